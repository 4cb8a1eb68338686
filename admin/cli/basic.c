/* SPDX-License-Identifier: ISC */
/* Verbs that are one question, or a few, and their answer. */
#include "admin/cli/cli.h"

#define LOG_KEPT 100000

/* ---- one question ---- */

/* What the verb did, said with its first operand. */
static void
say_done(const struct cli *cli, const json_t *result)
{
	const struct verb *verb = cli->parsed.verb;
	struct str key = str_cut(str_of(verb->operands), ' ', &(struct str){
	    NULL, 0 });
	const json_t *name = json_object_getn(cli->parsed.request, key.p,
	    key.len);

	if (json_object_getn(result, key.p, key.len) != NULL)
		name = json_object_getn(result, key.p, key.len);
	(void)printf("%s %s: ", verb->noun, verb->verb);
	print_safe(str_of(json_string_value(name)), stdout);
	(void)fputs(" done\n", stdout);
}

static void
say_warning(const json_t *result)
{
	const char *warning = json_string_value(json_object_get(result,
	    "warning"));

	if (warning != NULL)
		(void)cli_fail("warning: %s", warning);
}

static int
finish_change(struct cli *cli, json_t *result)
{
	say_warning(result);
	if (cli->parsed.is_json)
		print_json(result);
	else
		say_done(cli, result);
	json_decref(result);
	return 0;
}

static const char *
remote_of(const struct verb *verb)
{
	return verb->remote != NULL ? verb->remote : verb->verb;
}

int
verb_change(struct cli *cli)
{
	const struct verb *verb = cli->parsed.verb;
	struct err err = ERR_INIT;
	json_t *result;

	if (cli_ask(cli, verb->noun, remote_of(verb), cli->parsed.request,
	    &result, &err) != 0)
		return cli_fail("%s", err_text(&err));
	return finish_change(cli, result);
}

int
verb_show(struct cli *cli)
{
	const struct verb *verb = cli->parsed.verb;
	struct err err = ERR_INIT;
	json_t *result;

	if (cli_ask(cli, verb->noun, remote_of(verb), cli->parsed.request,
	    &result, &err) != 0)
		return cli_fail("%s", err_text(&err));
	print_item(cli, json_object_get(result, "item"), verb->columns);
	json_decref(result);
	return 0;
}

int
verb_list(struct cli *cli)
{
	const struct verb *verb = cli->parsed.verb;
	struct err err = ERR_INIT;
	json_t *items;
	int rc = cli_ask_all(cli, verb->noun, remote_of(verb),
	    cli->parsed.request, &items, &err);

	if (rc == 0)
		print_items(cli, items, verb->columns);
	json_decref(items);
	return rc == 0 ? 0 : cli_fail("%s", err_text(&err));
}

/* ---- queue ---- */

static void
put_queue_item(const json_t *item)
{
	const json_t *rcpt;
	char size[32];
	size_t i;

	format_size((uint64_t)json_integer_value(json_object_get(item,
	    "size")), size, sizeof(size));
	(void)printf("%s  %s  %s  <", json_string_value(json_object_get(item,
	    "id")), json_string_value(json_object_get(item, "arrived")),
	    size);
	print_safe(str_of(json_string_value(json_object_get(item,
	    "sender"))), stdout);
	(void)puts(">");
	json_array_foreach(json_object_get(item, "recipients"), i, rcpt) {
		const char *next = json_string_value(json_object_get(rcpt,
		    "next_try"));

		(void)fputs("    ", stdout);
		print_safe(str_of(json_string_value(json_object_get(rcpt,
		    "address"))), stdout);
		(void)printf("  %s", json_string_value(json_object_get(rcpt,
		    "state")));
		if (next != NULL)
			(void)printf("  next try %s", next);
		(void)putchar('\n');
		if (json_string_length(json_object_get(rcpt, "reason")) == 0)
			continue;
		(void)fputs("        ", stdout);
		print_safe(str_of(json_string_value(json_object_get(rcpt,
		    "reason"))), stdout);
		(void)putchar('\n');
	}
}

int
queue_list(struct cli *cli)
{
	struct err err = ERR_INIT;
	json_t *items, *item;
	size_t i;
	int rc = cli_ask_all(cli, "queue", "list", cli->parsed.request,
	    &items, &err);

	if (rc == 0 && cli->parsed.is_json) {
		print_json(items);
	} else if (rc == 0) {
		json_array_foreach(items, i, item)
			put_queue_item(item);
		(void)printf("%zu in the queue\n", json_array_size(items));
	}
	json_decref(items);
	return rc == 0 ? 0 : cli_fail("%s", err_text(&err));
}

int
queue_show(struct cli *cli)
{
	struct str rest, line;
	struct err err = ERR_INIT;
	json_t *item;

	if (cli_ask(cli, "queue", "show", cli->parsed.request, &item,
	    &err) != 0)
		return cli_fail("%s", err_text(&err));
	if (cli->parsed.is_json) {
		print_json(item);
		json_decref(item);
		return 0;
	}
	put_queue_item(item);
	rest = str_of(json_string_value(json_object_get(item, "trace")));
	while (rest.p != NULL && rest.len != 0) {
		line = str_trim(str_cut(rest, '\n', &rest));
		(void)fputs("  | ", stdout);
		print_safe(line, stdout);
		(void)putchar('\n');
	}
	json_decref(item);
	return 0;
}

int
queue_act(struct cli *cli)
{
	const struct verb *verb = cli->parsed.verb;
	bool is_all = json_object_get(cli->parsed.request, "all") != NULL;
	struct err err = ERR_INIT;
	json_t *result;

	if (is_all == (json_object_get(cli->parsed.request, "ids") != NULL))
		return cli_usage("queue %s: name items, or --all",
		    verb->verb);
	if (cli_ask(cli, "queue", verb->verb, cli->parsed.request, &result,
	    &err) != 0)
		return cli_fail("%s", err_text(&err));
	if (cli->parsed.is_json)
		print_json(result);
	else
		(void)printf("queue %s: %lld items\n", verb->verb,
		    (long long)json_integer_value(json_object_get(result,
		    "count")));
	json_decref(result);
	return 0;
}

/* ---- log ---- */

static json_int_t
when_of(const json_t *items, size_t i)
{
	return json_integer_value(json_object_get(json_array_get(items, i),
	    "when_us"));
}

/* Two logs, each in order, as one. */
static json_t *
merge_logs(const json_t *a, const json_t *b)
{
	json_t *merged = json_array();
	size_t i = 0, j = 0;

	while (i < json_array_size(a) || j < json_array_size(b)) {
		if (j >= json_array_size(b) || (i < json_array_size(a) &&
		    when_of(a, i) <= when_of(b, j)))
			json_array_append(merged, json_array_get(a, i++));
		else
			json_array_append(merged, json_array_get(b, j++));
	}
	return merged;
}

/* The secrets' log has no pages of its own: ask on after the last id. */
static int
ask_secrets_log(struct cli *cli, json_t **items_r, struct err *err)
{
	json_t *items = json_array(), *args = json_object(), *result, *page;
	char after[32] = "0";
	size_t n;
	int rc;

	do {
		json_object_set_new(args, "after", json_string(after));
		rc = cli_ask(cli, "log", "secrets", args, &result, err);
		page = json_object_get(result, "items");
		n = json_array_size(page);
		if (n != 0)
			(void)snprintf(after, sizeof(after), "%lld",
			    (long long)json_integer_value(json_object_get(
			    json_array_get(page, n - 1), "id")));
		json_array_extend(items, page);
		json_decref(result);
	} while (rc == 0 && n != 0 && json_array_size(items) < LOG_KEPT);
	json_decref(args);
	*items_r = items;
	return rc;
}

int
log_list(struct cli *cli)
{
	json_t *directory = NULL, *secrets = NULL, *merged;
	struct err err = ERR_INIT;
	int rc = cli_ask_all(cli, "log", "list", cli->parsed.request,
	    &directory, &err);

	/* Ids are the directory's: after one, only its lines are shown. */
	if (rc == 0 && json_object_get(cli->parsed.request, "after") == NULL)
		rc = ask_secrets_log(cli, &secrets, &err);
	if (rc == 0) {
		merged = merge_logs(directory, secrets);
		print_items(cli, merged, cli->parsed.verb->columns);
		json_decref(merged);
	}
	json_decref(directory);
	json_decref(secrets);
	return rc == 0 ? 0 : cli_fail("%s", err_text(&err));
}

/* ---- config ---- */

/* Text as it is, or as {"text": ...}. */
static int
put_text(const struct cli *cli, struct buf *text)
{
	json_t *json;

	if (cli->parsed.is_json) {
		json = json_pack("{s:s#}", "text", buf_str(text).p,
		    (int)text->len);
		print_json(json);
		json_decref(json);
	} else {
		(void)fwrite(buf_str(text).p, 1, text->len, stdout);
	}
	buf_fini(text);
	return 0;
}

int
config_show(struct cli *cli)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	config_print(cli->config, &text);
	return put_text(cli, &text);
}

int
config_doc(struct cli *cli)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	config_document(&text);
	return put_text(cli, &text);
}
