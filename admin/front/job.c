/* SPDX-License-Identifier: ISC */
#include "admin/front/job.h"

#include <jansson.h>

#include "admin/front/dkim.h"
#include "admin/front/dns.h"
#include "base/log.h"

#define STEP_MS 30000
#define PASSWORD_MS 120000
#define RELEASE_MS 150000
#define LOG_PAGE 200

struct job {
	struct child *child;
	struct ipc_req *req;
	char actor[32];
	char noun[32];
	char verb[32];
	json_t *args;
	json_t *result;		/* of the directory, kept for the end */
	uint64_t account;
	char *address;
	const char *program;	/* that was asked, for its error */
	struct err err;		/* why a chain is being undone */
};

/* ---- the end ---- */

/* jansson has no way to wipe a value; its octets are ours all the same. */
static void
wipe_password(const json_t *args)
{
	const json_t *password = json_object_get(args, "password");

	if (json_is_string(password))
		explicit_bzero((char *)(uintptr_t)
		    json_string_value(password),
		    json_string_length(password));
}

static void
job_free(struct job *job)
{
	wipe_password(job->args);
	json_decref(job->args);
	json_decref(job->result);
	free(job->address);
	free(job);
}

static void
finish_text(struct job *job, struct str result)
{
	struct ipc_out *out = ipc_reply_begin(job->req);

	ipc_put_str(out, result);
	ipc_reply_end(out, -1);
	job_free(job);
}

static void
finish_json(struct job *job, json_t *result)
{
	char *text = json_dumps(result, JSON_COMPACT);

	invariant(text != NULL);
	finish_text(job, str_of(text));
	free(text);
}

static void
fail(struct job *job, int code, struct str text)
{
	ipc_reply_err(job->req, code, "%.*s", STR_FMT(text));
	job_free(job);
}

/* The text of a link's last error, for the operator. */
static void
fail_link(struct job *job, int code, const char *server)
{
	struct ipc_link *link = child_link(job->child, server);

	fail(job, code, ipc_last_error(link));
}

static struct ipc_link *
link_of(struct job *job, const char *server)
{
	return child_link(job->child, server);
}

/* ---- one question: directory, queue, quarantine ---- */

static void
ask_directory(struct job *job, const char *verb, const json_t *args,
    ipc_done *done)
{
	struct ipc_out *out = ipc_begin(link_of(job, "directoryd"),
	    DIR_ADMIN);
	char *text = json_dumps(args, JSON_COMPACT);

	invariant(text != NULL);
	ipc_put_str(out, str_of(job->actor));
	ipc_put_str(out, str_of(job->noun));
	ipc_put_str(out, str_of(verb));
	ipc_put_str(out, str_of(text));
	(void)ipc_call(out, -1, STEP_MS, done, job);
	free(text);
}

static void
on_directory(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;

	if (code != 0)
		fail_link(job, code, "directoryd");
	else
		finish_text(job, ipc_get_str(in));
}

static void
run_directory(struct job *job)
{
	/* No change but those below takes one; what is asked is logged. */
	wipe_password(job->args);
	json_object_del(job->args, "password");
	ask_directory(job, job->verb, job->args, on_directory);
}

/* ---- one question to a program that answers with JSON as well ---- */

static void
on_program(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;

	if (code != 0)
		fail_link(job, code, job->program);
	else
		finish_text(job, ipc_get_str(in));
}

static void
ask_program(struct job *job, const char *program, unsigned request,
    uint64_t deadline_ms)
{
	struct ipc_out *out = ipc_begin(link_of(job, program), request);
	char *text = json_dumps(job->args, JSON_COMPACT);

	invariant(text != NULL);
	job->program = program;
	ipc_put_str(out, str_of(job->actor));
	ipc_put_str(out, str_of(job->verb));
	ipc_put_str(out, str_of(text));
	(void)ipc_call(out, -1, deadline_ms, on_program, job);
	free(text);
}

static void
run_queue(struct job *job)
{
	ask_program(job, "queued", QUEUE_ADMIN, STEP_MS);
}

static void
run_quarantine(struct job *job)
{
	/* What is released is scanned before. */
	ask_program(job, "quarantined", QUARANTINE_ADMIN, RELEASE_MS);
}

static void
run_stats(struct job *job)
{
	ask_program(job, "metricd", METRIC_ADMIN, STEP_MS);
}

/* ---- passwords ---- */

static struct str
password_of(const struct job *job)
{
	const json_t *password = json_object_get(job->args, "password");

	return json_is_string(password) ? str_make(
	    json_string_value(password), json_string_length(password)) :
	    STR_NONE;
}

static void
ask_password(struct job *job, ipc_done *done)
{
	struct ipc_out *out = ipc_begin(link_of(job, "authd"),
	    AUTH_SET_PASSWORD);

	ipc_put_str(out, str_of(job->actor));
	ipc_put_u64(out, job->account);
	ipc_put_str(out, str_of(job->address));
	ipc_put_str(out, password_of(job));
	(void)ipc_call(out, -1, PASSWORD_MS, done, job);
	ipc_wipe_sent(link_of(job, "authd"));
}

/* Keep what the directory said: {"id": ..., "address": ...}. */
static int
keep_account(struct job *job, struct ipc_in *in, const char *member)
{
	struct str text = ipc_get_str(in);
	const json_t *item;

	job->result = json_loadb(text.p, text.len, 0, NULL);
	item = member != NULL ? json_object_get(job->result, member) :
	    job->result;
	job->account = (uint64_t)json_integer_value(json_object_get(item,
	    "id"));
	free(job->address);
	job->address = NULL;
	if (json_is_string(json_object_get(item, "address")))
		job->address = strdup(json_string_value(json_object_get(item,
		    "address")));
	return job->account != 0 && job->address != NULL ? 0 : ERR_CORRUPT;
}

static json_t *
address_args(const struct job *job)
{
	return json_pack("{s:s}", "address", job->address);
}

/* ---- account create, with a password ---- */

static void
on_undone(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;

	(void)in;
	if (code != 0)
		ipc_reply_err(job->req, job->err.code, "%s; the account was "
		    "created and is still there without a password",
		    err_text(&job->err));
	else
		ipc_reply_err(job->req, job->err.code, "%s; the account was "
		    "not created", err_text(&job->err));
	job_free(job);
}

static void
on_create_password(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;
	json_t *args;

	(void)in;
	if (code == 0) {
		finish_json(job, job->result);
		return;
	}
	err_set(&job->err, (enum err_code)code, "password: %.*s",
	    STR_FMT(ipc_last_error(link_of(job, "authd"))));
	args = address_args(job);
	ask_directory(job, "delete", args, on_undone);
	json_decref(args);
}

static void
on_created(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;

	if (code != 0)
		fail_link(job, code, "directoryd");
	else if (keep_account(job, in, NULL) != 0)
		fail(job, ERR_CORRUPT, STR("directoryd: no account id"));
	else
		ask_password(job, on_create_password);
}

static void
run_account_create(struct job *job)
{
	json_t *args;

	if (password_of(job).p == NULL) {
		run_directory(job);
		return;
	}
	/* The directory and its log never see the password. */
	args = json_copy(job->args);
	json_object_del(args, "password");
	ask_directory(job, "create", args, on_created);
	json_decref(args);
}

/* ---- account password ---- */

static void
on_password_told(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;

	if (code != 0)
		fail(job, code, STR("the password was changed, but sessions "
		    "that are logged in were not ended"));
	else
		finish_text(job, ipc_get_str(in));
}

static void
on_password_set(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;
	json_t *args;

	(void)in;
	if (code != 0) {
		fail_link(job, code, "authd");
		return;
	}
	args = address_args(job);
	ask_directory(job, "password", args, on_password_told);
	json_decref(args);
}

static void
on_shown(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;

	if (code != 0)
		fail_link(job, code, "directoryd");
	else if (keep_account(job, in, "item") != 0)
		fail(job, ERR_CORRUPT, STR("directoryd: no account id"));
	else
		ask_password(job, on_password_set);
}

static void
run_account_password(struct job *job)
{
	json_t *args;

	if (password_of(job).p == NULL) {
		fail(job, ERR_SYNTAX, STR("password is missing"));
		return;
	}
	args = json_pack("{s:O?}", "address", json_object_get(job->args,
	    "address"));
	ask_directory(job, "show", args, on_shown);
	json_decref(args);
}

/* ---- account secret: the password of an account just imported ---- */

static void
on_secret(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;

	(void)in;
	if (code != 0)
		fail_link(job, code, "authd");
	else
		finish_text(job, STR("{}"));
}

static void
run_account_secret(struct job *job)
{
	const json_t *address = json_object_get(job->args, "address");

	job->account = (uint64_t)json_integer_value(json_object_get(job->args,
	    "id"));
	if (job->account == 0 || !json_is_string(address) ||
	    password_of(job).p == NULL) {
		fail(job, ERR_SYNTAX, STR("id, address and password are "
		    "wanted"));
		return;
	}
	job->address = strdup(json_string_value(address));
	invariant(job->address != NULL);
	ask_password(job, on_secret);
}

/* ---- account delete ---- */

static void
on_forgotten(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;

	(void)in;
	/* Ids are never given twice: what stays behind opens nothing. */
	if (code != 0)
		json_object_set_new(job->result, "warning", json_string(
		    "the account is deleted, its keys are still stored"));
	finish_json(job, job->result);
}

static void
on_deleted(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;
	struct ipc_out *out;

	if (code != 0) {
		fail_link(job, code, "directoryd");
		return;
	}
	if (keep_account(job, in, NULL) != 0) {
		fail(job, ERR_CORRUPT, STR("directoryd: no account id"));
		return;
	}
	out = ipc_begin(link_of(job, "authd"), AUTH_FORGET);
	ipc_put_str(out, str_of(job->actor));
	ipc_put_u64(out, job->account);
	ipc_put_str(out, str_of(job->address));
	(void)ipc_call(out, -1, STEP_MS, on_forgotten, job);
}

static void
run_account_delete(struct job *job)
{
	ask_directory(job, "delete", job->args, on_deleted);
}

/* ---- what hikyakud and authd list ---- */

static json_t *
get_text(struct ipc_in *in)
{
	struct str s = ipc_get_str(in);
	json_t *text = json_stringn(s.p, s.len);

	return text != NULL ? text : json_string("?");
}

static json_t *
get_number(struct ipc_in *in)
{
	return json_integer((json_int_t)ipc_get_u64(in));
}

/* A row of fields; a name begins with its type in the signature. */
static json_t *
get_row(struct ipc_in *in, const char *const *names)
{
	json_t *row = json_object();

	for (; *names != NULL; names++)
		json_object_set_new(row, *names + 1, **names == 'u' ?
		    get_number(in) : get_text(in));
	return row;
}

static void
finish_rows(struct job *job, struct ipc_in *in, const char *const *names)
{
	json_t *result = json_object(), *items = json_array();

	while (ipc_more(in))
		json_array_append_new(items, get_row(in, names));
	json_object_set_new(result, "items", items);
	finish_json(job, result);
	json_decref(result);
}

static void
on_processes(void *ctx, int code, struct ipc_in *in)
{
	static const char *const names[] = { "sname", "upid", "sversion",
	    "ssandbox", "urestarts", "uage_ms", "salert", NULL };

	if (code != 0)
		fail(ctx, code, STR("hikyakud does not answer"));
	else
		finish_rows(ctx, in, names);
}

static void
run_processes(struct job *job)
{
	(void)ipc_call(ipc_begin(child_master(job->child), MASTER_PROCESSES),
	    -1, STEP_MS, on_processes, job);
}

static void
on_listeners(void *ctx, int code, struct ipc_in *in)
{
	static const char *const names[] = { "sname", "sprotocol",
	    "saddress", "uport", "stls", "szone", NULL };

	if (code != 0)
		fail(ctx, code, STR("hikyakud does not answer"));
	else
		finish_rows(ctx, in, names);
}

static void
run_listeners(struct job *job)
{
	(void)ipc_call(ipc_begin(child_master(job->child), MASTER_LISTENERS),
	    -1, STEP_MS, on_listeners, job);
}

static void
on_secrets_log(void *ctx, int code, struct ipc_in *in)
{
	static const char *const names[] = { "uid", "uwhen_us", "sactor",
	    "sverb", "sobject", NULL };

	if (code != 0)
		fail_link(ctx, code, "authd");
	else
		finish_rows(ctx, in, names);
}

static void
run_secrets_log(struct job *job)
{
	struct ipc_out *out = ipc_begin(link_of(job, "authd"), AUTH_LOG);
	const char *text = json_string_value(json_object_get(job->args,
	    "after"));
	uint64_t after = 0;

	(void)str_to_u64(str_of(text), INT64_MAX, &after);
	ipc_put_u64(out, after);
	ipc_put_u64(out, LOG_PAGE);
	(void)ipc_call(out, -1, STEP_MS, on_secrets_log, job);
}

/* ---- dns ---- */

static void
run_dns(struct job *job)
{
	dns_run(job->child, job->req, job->verb, job->args);
	job_free(job);
}

static void
run_dkim(struct job *job)
{
	dkim_run(job->child, job->req, job->verb, job->args);
	job_free(job);
}

/* ---- dispatch ---- */

/* NULL stands for any; the first row that fits is taken. */
static const struct {
	const char *noun;
	const char *verb;
	void (*run)(struct job *job);
} routes[] = {
	{ "account", "create", run_account_create },
	{ "account", "password", run_account_password },
	{ "account", "secret", run_account_secret },
	{ "account", "delete", run_account_delete },
	{ "queue", NULL, run_queue },
	{ "quarantine", NULL, run_quarantine },
	{ "stats", NULL, run_stats },
	{ "dns", NULL, run_dns },
	{ "https", NULL, run_dns },
	{ "dkim", NULL, run_dkim },
	{ "process", "list", run_processes },
	{ "listener", "list", run_listeners },
	{ "log", "secrets", run_secrets_log },
	{ NULL, NULL, run_directory },
};

static bool
is_route(size_t i, const struct job *job)
{
	return (routes[i].noun == NULL ||
	    strcmp(routes[i].noun, job->noun) == 0) &&
	    (routes[i].verb == NULL ||
	    strcmp(routes[i].verb, job->verb) == 0);
}

void
job_run(struct child *child, struct str actor, struct ipc_req *req,
    struct ipc_in *in)
{
	struct job *job = calloc(1, sizeof(*job));
	struct str noun, verb, text;
	size_t i = 0;

	invariant(job != NULL);
	job->child = child;
	job->req = req;
	noun = ipc_get_str(in);
	verb = ipc_get_str(in);
	text = ipc_get_str(in);
	(void)snprintf(job->actor, sizeof(job->actor), "%.*s",
	    STR_FMT(actor));
	(void)snprintf(job->noun, sizeof(job->noun), "%.*s", STR_FMT(noun));
	(void)snprintf(job->verb, sizeof(job->verb), "%.*s", STR_FMT(verb));
	job->args = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES,
	    NULL);
	/* The frame has been copied; it may have held a password. */
	explicit_bzero((char *)(uintptr_t)text.p, text.len);
	if (!json_is_object(job->args)) {
		fail(job, ERR_SYNTAX, STR("arguments are no object"));
		return;
	}
	while (!is_route(i, job))
		i++;
	routes[i].run(job);
}
