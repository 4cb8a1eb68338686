/* SPDX-License-Identifier: ISC */
/* dns show and dns check; dkim, whose records are shown the same way. */
#include "admin/cli/cli.h"

static const char *
text_of(const json_t *item, const char *key)
{
	const char *text = json_string_value(json_object_get(item, key));

	return text != NULL ? text : "";
}

static void
put_notes(const json_t *result)
{
	const json_t *note;
	size_t i;

	json_array_foreach(json_object_get(result, "notes"), i, note) {
		(void)fputs("; ", stdout);
		print_safe(str_of(json_string_value(note)), stdout);
		(void)fputc('\n', stdout);
	}
}

/* ---- show: a zone file takes it as it is ---- */

static void
put_record(const json_t *item)
{
	(void)fputs("; ", stdout);
	print_safe(str_of(text_of(item, "purpose")), stdout);
	(void)fputc('\n', stdout);
	print_safe(str_of(text_of(item, "name")), stdout);
	(void)printf(". IN %s ", text_of(item, "type"));
	print_safe(str_of(text_of(item, "value")), stdout);
	(void)fputc('\n', stdout);
}

int
dns_show(struct cli *cli)
{
	const struct verb *verb = cli->parsed.verb;
	struct err err = ERR_INIT;
	const json_t *item;
	json_t *result;
	size_t i;

	if (cli_ask(cli, verb->noun, verb->verb, cli->parsed.request,
	    &result, &err) != 0)
		return cli_fail("%s", err_text(&err));
	if (cli->parsed.is_json) {
		print_json(result);
	} else {
		json_array_foreach(json_object_get(result, "items"), i, item)
			put_record(item);
		put_notes(result);
	}
	json_decref(result);
	return 0;
}

/* ---- check ---- */

/* What is wrong is worse than what is missing. */
static bool
is_bad(const json_t *item)
{
	const char *state = text_of(item, "state");

	if (strcmp(state, "differs") == 0 || strcmp(state, "error") == 0)
		return true;
	return json_is_true(json_object_get(item, "required")) &&
	    strcmp(state, "missing") == 0;
}

static void
put_line(const char *label, const char *text)
{
	if (text[0] == '\0')
		return;
	(void)printf("%10s%s", "", label);
	print_safe(str_of(text), stdout);
	(void)fputc('\n', stdout);
}

static void
put_judged(const json_t *item)
{
	const char *state = text_of(item, "state");
	const json_t *found;
	size_t i;

	(void)printf("%-9s %-5s ", state, text_of(item, "type"));
	print_safe(str_of(text_of(item, "name")), stdout);
	(void)printf("  (%s)\n", text_of(item, "purpose"));
	put_line("", text_of(item, "detail"));
	if (strcmp(state, "ok") == 0)
		return;
	put_line("want  ", text_of(item, "value"));
	json_array_foreach(json_object_get(item, "found"), i, found)
		put_line("found ", json_string_value(found));
}

int
dns_check(struct cli *cli)
{
	struct err err = ERR_INIT;
	const json_t *item;
	json_t *result;
	size_t i, bad = 0;

	if (cli_ask(cli, "dns", "check", cli->parsed.request, &result,
	    &err) != 0)
		return cli_fail("%s", err_text(&err));
	json_array_foreach(json_object_get(result, "items"), i, item) {
		bad += is_bad(item);
		if (!cli->parsed.is_json)
			put_judged(item);
	}
	if (cli->parsed.is_json)
		print_json(result);
	else
		put_notes(result);
	json_decref(result);
	return bad == 0 ? 0 : 1;
}
