/* SPDX-License-Identifier: ISC */
/* Verbs of the quarantine. */
#include "admin/cli/cli.h"

/* So that each release may take its time, and the bar moves. */
#define RELEASE_AT_A_TIME 1
#define DELETE_AT_A_TIME 100

static const char *
text_of(const json_t *item, const char *key)
{
	const char *text = json_string_value(json_object_get(item, key));

	return text != NULL ? text : "";
}

static void
put_line(const char *name, const char *text)
{
	if (*text == '\0')
		return;
	(void)printf("%-12s ", name);
	print_safe(str_of(text), stdout);
	(void)putchar('\n');
}

/* ---- show ---- */

static void
put_traits(const json_t *verdict)
{
	const json_t *trait;
	size_t i;

	json_array_foreach(json_object_get(verdict, "traits"), i, trait) {
		(void)printf("%-12s ", i == 0 ? "traits" : "");
		print_safe(str_of(text_of(trait, "text")), stdout);
		if (*text_of(trait, "detail") != '\0') {
			(void)fputs(" (", stdout);
			print_safe(str_of(text_of(trait, "detail")), stdout);
			(void)putchar(')');
		}
		(void)putchar('\n');
	}
}

static void
put_auth(const json_t *verdict)
{
	const json_t *auth;
	size_t i;

	json_array_foreach(json_object_get(verdict, "auth"), i, auth) {
		(void)printf("%-12s %s=%s ", i == 0 ? "checks" : "",
		    text_of(auth, "method"), text_of(auth, "result"));
		print_safe(str_of(text_of(auth, "identity")), stdout);
		(void)putchar('\n');
	}
}

static void
put_list(const char *name, const json_t *list)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		put_line(i == 0 ? name : "", json_string_value(one));
}

static void
put_preview(const json_t *item)
{
	struct str rest = str_of(text_of(item, "preview")), line;

	while (rest.p != NULL && rest.len != 0) {
		line = str_cut(rest, '\n', &rest);
		(void)fputs("  | ", stdout);
		print_safe(line, stdout);
		(void)putchar('\n');
	}
	if (json_is_true(json_object_get(item, "preview_cut")))
		(void)puts("  | ...");
}

static void
put_entry(const json_t *item)
{
	static const char *const keys[] = { "id", "owner", "for", "state",
	    "reason", "sender", "from", "subject", "date", "client", "arrived",
	    "expires", "queue_id" };
	const json_t *verdict = json_object_get(item, "verdict");
	char size[32];
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put_line(keys[i], text_of(item, keys[i]));
	format_size((uint64_t)json_integer_value(json_object_get(item,
	    "size")), size, sizeof(size));
	put_line("size", size);
	put_list("recipients", json_object_get(item, "recipients"));
	put_list("attachments", json_object_get(item, "attachments"));
	put_line("scan", text_of(verdict, "scan"));
	put_line("found", text_of(verdict, "virus"));
	put_line("detonation", text_of(verdict, "detonation"));
	put_traits(verdict);
	put_auth(verdict);
	put_preview(item);
}

int
quarantine_show(struct cli *cli)
{
	struct err err = ERR_INIT;
	const json_t *item;
	json_t *result;

	if (cli_ask(cli, "quarantine", "show", cli->parsed.request, &result,
	    &err) != 0)
		return cli_fail("%s", err_text(&err));
	item = json_object_get(result, "item");
	if (cli->parsed.is_json)
		print_json(item);
	else
		put_entry(item);
	json_decref(result);
	return 0;
}

/* ---- release, delete ---- */

/* The ids on the command line, or those of all that the filter names. */
static int
find_ids(struct cli *cli, json_t **ids_r, struct err *err)
{
	const json_t *given = json_object_get(cli->parsed.request, "ids");
	json_t *items, *item;
	size_t i;
	int rc;

	*ids_r = json_array();
	if (given != NULL) {
		json_array_extend(*ids_r, (json_t *)(uintptr_t)given);
		return 0;
	}
	rc = cli_ask_all(cli, "quarantine", "list", cli->parsed.request,
	    &items, err);
	json_array_foreach(items, i, item)
		json_array_append(*ids_r, json_object_get(item, "id"));
	json_decref(items);
	return rc;
}

/* Ids from i on, at most as many as are asked for at a time. */
static json_t *
next_request(const struct cli *cli, const json_t *ids, size_t i,
    size_t at_a_time)
{
	json_t *some = json_array();
	size_t k;

	for (k = i; k < json_array_size(ids) && k < i + at_a_time; k++)
		json_array_append(some, json_array_get(ids, k));
	return json_pack("{s:o, s:b}", "ids", some, "force",
	    json_object_get(cli->parsed.request, "force") != NULL);
}

static int
act_on(struct cli *cli, const json_t *ids, json_int_t *count,
    json_t *failed, struct err *err)
{
	bool is_release = strcmp(cli->parsed.verb->verb, "release") == 0;
	size_t at_a_time = is_release ? RELEASE_AT_A_TIME : DELETE_AT_A_TIME;
	json_t *request, *result;
	struct progress progress;
	size_t i;
	int rc = 0;

	progress_begin(&progress, cli->parsed.verb->verb);
	for (i = 0; rc == 0 && i < json_array_size(ids); i += at_a_time) {
		request = next_request(cli, ids, i, at_a_time);
		rc = cli_ask(cli, "quarantine", cli->parsed.verb->verb,
		    request, &result, err);
		*count += json_integer_value(json_object_get(result,
		    "count"));
		json_array_extend(failed, json_object_get(result, "failed"));
		progress_show(&progress, i, json_array_size(ids));
		json_decref(request);
		json_decref(result);
	}
	progress_end(&progress);
	return rc;
}

static void
say(const struct cli *cli, json_int_t count, const json_t *failed)
{
	const json_t *one;
	json_t *result;
	size_t i;

	if (cli->parsed.is_json) {
		result = json_pack("{s:I, s:O}", "count", count, "failed",
		    failed);
		print_json(result);
		json_decref(result);
		return;
	}
	(void)printf("quarantine %s: %lld messages\n",
	    cli->parsed.verb->verb, (long long)count);
	json_array_foreach(failed, i, one)
		(void)cli_fail("%s: %s", text_of(one, "id"),
		    text_of(one, "reason"));
}

/* --all, or ids without anything that names others. */
static bool
is_clear(const json_t *request)
{
	bool is_all = json_object_get(request, "all") != NULL;
	bool has_filter = json_object_get(request, "domain") != NULL ||
	    json_object_get(request, "address") != NULL ||
	    json_object_get(request, "for") != NULL;

	return is_all ? json_object_get(request, "ids") == NULL :
	    json_object_get(request, "ids") != NULL && !has_filter;
}

int
quarantine_act(struct cli *cli)
{
	struct err err = ERR_INIT;
	json_t *ids, *failed;
	json_int_t count = 0;
	int rc;

	if (!is_clear(cli->parsed.request))
		return cli_usage("quarantine %s: name entries, or --all with "
		    "or without --domain, --address, --for",
		    cli->parsed.verb->verb);
	failed = json_array();
	rc = find_ids(cli, &ids, &err);
	if (rc == 0)
		rc = act_on(cli, ids, &count, failed, &err);
	if (rc == 0 || count != 0 || json_array_size(failed) != 0)
		say(cli, count, failed);
	if (rc != 0)
		(void)cli_fail("%s", err_text(&err));
	else if (json_array_size(failed) != 0)
		rc = 1;
	json_decref(ids);
	json_decref(failed);
	return rc == 0 ? 0 : 1;
}
