/* SPDX-License-Identifier: ISC */
/* hikyaku: the operator's command. */
#include <locale.h>
#include <unistd.h>

#include "admin/cli/cli.h"
#include "base/log.h"

static void
quiet(void *ctx, struct str line)
{
	(void)ctx;
	(void)line;
}

static int
run(struct cli *cli)
{
	struct err err = ERR_INIT;
	int status;

	cli->config = config_load(cli->parsed.config_path, &err);
	if (cli->config == NULL) {
		(void)cli_fail("%s", err_text(&err));
		return access(cli->parsed.config_path, F_OK) == 0 ? 2 : 1;
	}
	status = cli->parsed.verb->run(cli);
	ipc_link_free(&cli->link);
	loop_free(&cli->loop);
	config_free(&cli->config);
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail("writing the output failed");
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = { .link = NULL };
	struct err err = ERR_INIT;
	int status = 0;

	/* The outside is UTF-8, whatever the terminal's locale says. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	log_capture(quiet, NULL);
	if (options_parse(cli_verbs, cli_verbs_len, argc, argv, &cli.parsed,
	    &err) != 0) {
		status = cli_usage("%s", err_text(&err));
	} else if (cli.parsed.wants_version) {
		(void)puts("hikyaku " PACKAGE_VERSION);
	} else if (cli.parsed.wants_help) {
		options_help(cli_verbs, cli_verbs_len, &cli.parsed, stdout);
	} else {
		status = run(&cli);
	}
	options_free(&cli.parsed);
	return status;
}
