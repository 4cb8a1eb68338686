/* SPDX-License-Identifier: ISC */
/* Verbs on accounts that are more than one question. */
#include "admin/cli/cli.h"
#include "proto/csv.h"

/* ---- passwords ---- */

static void
wipe(struct buf *password)
{
	if (password->p != NULL)
		explicit_bzero(password->p, password->cap);
	buf_fini(password);
}

/* Ask noun verb with a password read from the user. */
static int
ask_with_password(struct cli *cli, json_t **result_r)
{
	struct buf password;
	struct err err = ERR_INIT;
	int rc;

	/* Nobody types a password for an instance that is not there. */
	if (cli_connect(cli, &err) != 0)
		return cli_fail("%s", err_text(&err));
	rc = read_password(cli, &password, &err);
	if (rc == 0)
		json_object_set_new(cli->parsed.request, "password",
		    json_stringn(buf_str(&password).p, password.len));
	wipe(&password);
	if (rc != 0)
		return rc == ERR_SYNTAX ? cli_usage("%s", err_text(&err)) :
		    cli_fail("%s", err_text(&err));
	rc = cli_ask(cli, "account", cli->parsed.verb->verb,
	    cli->parsed.request, result_r, &err);
	json_object_del(cli->parsed.request, "password");
	return rc == 0 ? 0 : cli_fail("%s", err_text(&err));
}

static int
finish(struct cli *cli, json_t *result, const char *what)
{
	const json_t *address = json_object_get(cli->parsed.request,
	    "address");

	if (cli->parsed.is_json) {
		print_json(result);
	} else {
		(void)printf("account %s: ", what);
		print_safe(str_of(json_string_value(address)), stdout);
		(void)fputs(" done\n", stdout);
	}
	json_decref(result);
	return 0;
}

int
account_create(struct cli *cli)
{
	struct err err = ERR_INIT;
	json_t *result = NULL;
	int status;

	if (json_object_get(cli->parsed.local, "no_password") == NULL) {
		status = ask_with_password(cli, &result);
	} else {
		status = 0;
		if (cli_ask(cli, "account", "create", cli->parsed.request,
		    &result, &err) != 0)
			status = cli_fail("%s", err_text(&err));
	}
	return status == 0 ? finish(cli, result, "create") : status;
}

int
account_password(struct cli *cli)
{
	json_t *result = NULL;
	int status = ask_with_password(cli, &result);

	return status == 0 ? finish(cli, result, "password") : status;
}

/* ---- lists ---- */

/* The accounts of --domain, or of every domain. */
static int
all_accounts(struct cli *cli, json_t **items_r, struct err *err)
{
	json_t *domains = NULL, *domain, *items, *some, *args;
	size_t i;
	int rc;

	if (json_object_get(cli->parsed.request, "domain") != NULL)
		return cli_ask_all(cli, "account", "list",
		    cli->parsed.request, items_r, err);
	items = json_array();
	rc = cli_ask_all(cli, "domain", "list", cli->parsed.request,
	    &domains, err);
	json_array_foreach(domains, i, domain) {
		if (rc != 0)
			break;
		args = json_pack("{s:O}", "domain", json_object_get(domain,
		    "name"));
		rc = cli_ask_all(cli, "account", "list", args, &some, err);
		json_array_extend(items, some);
		json_decref(some);
		json_decref(args);
	}
	json_decref(domains);
	*items_r = items;
	return rc;
}

int
account_list(struct cli *cli)
{
	struct err err = ERR_INIT;
	json_t *items = NULL;
	int rc = all_accounts(cli, &items, &err);

	if (rc == 0)
		print_items(cli, items, cli->parsed.verb->columns);
	json_decref(items);
	return rc == 0 ? 0 : cli_fail("%s", err_text(&err));
}

/* ---- export ---- */

/* Pairs as account -> array of the others; by is the account's side. */
static int
pairs_of(struct cli *cli, const char *noun, const char *by,
    const char *other, json_t *index, struct err *err)
{
	json_t *none = json_object(), *pairs, *pair, *list;
	const char *key;
	size_t i;
	int rc = cli_ask_all(cli, noun, "list", none, &pairs, err);

	json_array_foreach(pairs, i, pair) {
		key = json_string_value(json_object_get(pair, by));
		if (key == NULL)
			continue;
		list = json_object_get(index, key);
		if (list == NULL) {
			list = json_array();
			json_object_set_new(index, key, list);
		}
		json_array_append(list, json_object_get(pair, other));
	}
	json_decref(pairs);
	json_decref(none);
	return rc;
}

static void
put_list(struct buf *line, const json_t *list)
{
	const json_t *value;
	struct buf text;
	size_t i;

	buf_init(&text, 1 << 20);
	json_array_foreach(list, i, value) {
		buf_add_cstr(&text, i != 0 ? " " : "");
		buf_add_cstr(&text, json_string_value(value));
	}
	csv_put(line, buf_str(&text));
	buf_fini(&text);
}

static void
put_account(const json_t *account, const json_t *aliases,
    const json_t *forwards)
{
	const char *address = json_string_value(json_object_get(account,
	    "address"));
	const json_t *quota = json_object_get(account, "own_quota");
	struct buf line;

	buf_init(&line, 4 << 20);
	csv_put(&line, str_of(address));
	/* No password leaves authd. */
	buf_add_cstr(&line, ",,");
	csv_put(&line, str_of(json_string_value(json_object_get(account,
	    "name"))));
	buf_add_char(&line, ',');
	if (json_is_integer(quota))
		buf_add_u64(&line, (uint64_t)json_integer_value(quota));
	buf_add_char(&line, ',');
	csv_put(&line, str_of(json_string_value(json_object_get(account,
	    "plan"))));
	buf_add_char(&line, ',');
	put_list(&line, json_object_get(aliases, address));
	buf_add_char(&line, ',');
	put_list(&line, json_object_get(forwards, address));
	buf_add_cstr(&line, "\r\n");
	(void)fwrite(buf_str(&line).p, 1, line.len, stdout);
	buf_fini(&line);
}

int
account_export(struct cli *cli)
{
	json_t *accounts = NULL, *account, *aliases = json_object();
	json_t *forwards = json_object();
	struct err err = ERR_INIT;
	size_t i;
	int rc = all_accounts(cli, &accounts, &err);

	if (rc == 0)
		rc = pairs_of(cli, "alias", "target", "address", aliases,
		    &err);
	if (rc == 0)
		rc = pairs_of(cli, "forward", "address", "target", forwards,
		    &err);
	if (rc == 0 && cli->parsed.is_json) {
		print_json(accounts);
	} else if (rc == 0) {
		(void)fputs("address,password,name,quota,plan,aliases,"
		    "forwards\r\n", stdout);
		json_array_foreach(accounts, i, account)
			put_account(account, aliases, forwards);
	}
	json_decref(accounts);
	json_decref(aliases);
	json_decref(forwards);
	return rc == 0 ? 0 : cli_fail("%s", err_text(&err));
}
