/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/cli/cli.h"

#define DEADLINE_MS 180000

int
cli_connect(struct cli *cli, struct err *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const char *dir = config_get(cli->config, "directory");
	int fd, n;

	if (cli->link != NULL)
		return 0;
	n = snprintf(un.sun_path, sizeof(un.sun_path), "%s/run/control.sock",
	    dir);
	if (n < 0 || (size_t)n >= sizeof(un.sun_path))
		return err_set(err, ERR_LIMIT, "%s: path too long", dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_set_errno(err, ERR_TEMP, "socket");
	if (connect(fd, (void *)&un, sizeof(un)) == -1) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			err_set(err, ERR_TEMP, "the instance in %s is not "
			    "running; start it with: hikyakud -c %s", dir,
			    cli->parsed.config_path);
		else if (errno == EACCES || errno == EPERM)
			err_set(err, ERR_DENIED, "%s: not permitted; run "
			    "this as root or as the user who started the "
			    "instance", un.sun_path);
		else
			err_set_errno(err, ERR_TEMP, "%s", un.sun_path);
		(void)close(fd);
		return ERR_TEMP;
	}
	cli->loop = loop_new();
	cli->link = ipc_client_new(cli->loop, &ipc_control, cli);
	ipc_client_attach(cli->link, fd);
	return 0;
}

/* A frame with the question; the text may hold a password. */
static struct ipc_out *
question(struct cli *cli, const char *noun, const char *verb,
    const json_t *args)
{
	struct ipc_out *out = ipc_begin(cli->link, CONTROL_RUN);
	char *text = json_dumps(args, JSON_COMPACT);

	invariant(text != NULL);
	ipc_put_str(out, str_of(noun));
	ipc_put_str(out, str_of(verb));
	ipc_put_str(out, str_of(text));
	explicit_bzero(text, strlen(text));
	free(text);
	return out;
}

int
cli_ask(struct cli *cli, const char *noun, const char *verb,
    const json_t *args, json_t **result_r, struct err *err)
{
	struct ipc_in *in = NULL;
	struct str text;
	int rc = cli_connect(cli, err);

	*result_r = NULL;
	if (rc != 0)
		return rc;
	rc = ipc_call_wait(question(cli, noun, verb, args), -1, DEADLINE_MS,
	    &in, err);
	if (rc != 0)
		return rc;
	text = ipc_get_str(in);
	*result_r = json_loadb(text.p, text.len, 0, NULL);
	ipc_in_free(&in);
	if (!json_is_object(*result_r)) {
		json_decref(*result_r);
		*result_r = NULL;
		return err_set(err, ERR_CORRUPT, "an answer that is no "
		    "object");
	}
	return 0;
}

/* A page says where the next begins; false: it was the last. */
static bool
go_on(json_t *args, const json_t *result)
{
	json_t *next = json_object_get(result, "next");
	json_t *target = json_object_get(result, "next_target");

	if (!json_is_string(next))
		return false;
	json_object_set(args, "after", next);
	if (json_is_string(target))
		json_object_set(args, "after_target", target);
	return true;
}

int
cli_ask_all(struct cli *cli, const char *noun, const char *verb,
    const json_t *args, json_t **items_r, struct err *err)
{
	json_t *mine = json_deep_copy(args), *items = json_array(), *result;
	struct progress progress;
	bool has_more = true;
	int rc = 0;

	progress_begin(&progress, "reading");
	while (rc == 0 && has_more) {
		rc = cli_ask(cli, noun, verb, mine, &result, err);
		if (rc != 0)
			break;
		json_array_extend(items, json_object_get(result, "items"));
		has_more = go_on(mine, result);
		progress_show(&progress, json_array_size(items), 0);
		json_decref(result);
	}
	progress_end(&progress);
	json_decref(mine);
	*items_r = items;
	return rc;
}

void
cli_ask_later(struct cli *cli, const char *noun, const char *verb,
    const json_t *args, ipc_done *done, void *ctx)
{
	(void)ipc_call(question(cli, noun, verb, args), -1, DEADLINE_MS,
	    done, ctx);
}

void
cli_wait(struct cli *cli)
{
	loop_once(cli->loop);
}
