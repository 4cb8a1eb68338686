/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/admin.h"

#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "filterd/quarantine/show.h"
#include "mail/address.h"

#define PAGE_ITEMS 32
#define PAGE_OCTETS 48000
#define IDS_MAX 100

static void
reply_json(struct ipc_req *req, json_t *result)
{
	char *text = json_dumps(result, JSON_COMPACT);
	struct ipc_out *out = ipc_reply_begin(req);

	invariant(text != NULL);
	ipc_put_str(out, str_of(text));
	ipc_reply_end(out, -1);
	free(text);
	json_decref(result);
}

static bool
arg_id(const json_t *value, uint64_t *id_r)
{
	const char *text = json_string_value(value);

	return text != NULL &&
	    str_to_u64(str_of(text), INT64_MAX, id_r) == 0;
}

static struct str
arg_str(const json_t *args, const char *name)
{
	const json_t *value = json_object_get(args, name);

	return json_is_string(value) ? str_make(json_string_value(value),
	    json_string_length(value)) : STR("");
}

/* ---- questions that need the days of domains first ---- */

struct asking {
	const struct admin_env *env;
	struct ipc_req *req;
	struct arena *arena;		/* holds this too */
	struct quarantine_entry *entries;
	size_t len;
	uint64_t next;			/* the last id; 0: no more */
	bool is_whole;
};

static void
asking_free(struct asking *asking)
{
	struct arena *arena = asking->arena;

	arena_free(&arena);
}

/* Entries that fit into an answer; the rest is asked for again. */
static void
answer_list(struct asking *asking)
{
	json_t *items = json_array(), *result = json_object(), *item;
	size_t used = 0, i;

	for (i = 0; i < asking->len && used < PAGE_OCTETS; i++) {
		item = show_entry(&asking->entries[i], asking->env->days);
		used += json_dumpb(item, NULL, 0, JSON_COMPACT);
		if (used > PAGE_OCTETS && i != 0) {
			json_decref(item);
			break;
		}
		json_array_append_new(items, item);
	}
	json_object_set_new(result, "items", items);
	if (i < asking->len)
		json_object_set_new(result, "next",
		    show_id(asking->entries[i - 1].id));
	else if (asking->next != 0)
		json_object_set_new(result, "next", show_id(asking->next));
	reply_json(asking->req, result);
}

static void
answer_show(struct asking *asking)
{
	struct quarantine_entry *entry = &asking->entries[0];
	int fd = quarantine_store_open_blob(asking->env->store, entry->id,
	    NULL);
	json_t *shown = show_whole(entry, asking->env->days, fd < 0 ? -1 :
	    fd);

	if (fd >= 0)
		(void)close(fd);
	reply_json(asking->req, json_pack("{s:o}", "item", shown));
}

static void
on_days(void *ctx, int code)
{
	struct asking *asking = ctx;

	/* Without an answer what was said last is shown. */
	(void)code;
	if (asking->is_whole)
		answer_show(asking);
	else
		answer_list(asking);
	asking_free(asking);
}

static void
ask_days(struct asking *asking)
{
	struct str domains[PAGE_ITEMS];
	size_t n = 0, i, k;

	for (i = 0; i < asking->len; i++) {
		for (k = 0; k < n; k++)
			if (str_eq(domains[k], asking->entries[i].domain))
				break;
		if (k == n)
			domains[n++] = asking->entries[i].domain;
	}
	days_ask(asking->env->days, domains, n, on_days, asking);
}

static struct asking *
asking_new(const struct admin_env *env, struct ipc_req *req)
{
	struct arena *arena = arena_new(16384);
	struct asking *asking = arena_new_of(arena, struct asking);

	asking->env = env;
	asking->req = req;
	asking->arena = arena;
	asking->entries = arena_alloc(arena, PAGE_ITEMS *
	    sizeof(*asking->entries));
	return asking;
}

/* ---- list, show ---- */

/* An address as owners are written: in lower case, the domain as A-labels. */
static int
canonical(struct str text, struct arena *arena, struct str *owner_r,
    struct err *err)
{
	struct address address;
	struct str owner;
	char *lower;
	size_t i;
	int rc = address_parse(arena, text, ADDRESS_UTF8 | ADDRESS_DOTS,
	    &address, err);

	if (rc != 0)
		return rc;
	owner = arena_printf(arena, "%.*s@%.*s", STR_FMT(address.local),
	    STR_FMT(address.domain));
	lower = arena_cstr(arena, owner);
	for (i = 0; i < owner.len; i++)
		lower[i] = ascii_lower(lower[i]);
	*owner_r = str_make(lower, owner.len);
	return 0;
}

static int
read_filter(const json_t *args, struct arena *arena,
    struct quarantine_filter *filter_r, struct err *err)
{
	struct str domain = arg_str(args, "domain");
	struct str address = arg_str(args, "address");
	struct str who = arg_str(args, "for");
	int rc = 0;

	*filter_r = (struct quarantine_filter){ .is_for_admin = -1 };
	if (domain.len != 0)
		rc = address_domain(arena, domain, ADDRESS_UTF8,
		    &filter_r->domain, err);
	if (rc == 0 && address.len != 0)
		rc = canonical(address, arena, &filter_r->owner, err);
	if (rc != 0)
		return rc;
	if (str_eq(who, STR("admin")))
		filter_r->is_for_admin = 1;
	else if (str_eq(who, STR("user")))
		filter_r->is_for_admin = 0;
	else if (who.len != 0)
		return err_set(err, ERR_SYNTAX, "for: want admin or user");
	return 0;
}

static int
read_page(struct asking *asking, const struct quarantine_filter *filter,
    uint64_t after, struct err *err)
{
	uint64_t ids[PAGE_ITEMS];
	size_t count, i;
	int rc = quarantine_store_ids(asking->env->store, filter, after,
	    PAGE_ITEMS, ids, &count, err);

	for (i = 0; rc == 0 && i < count; i++)
		rc = quarantine_store_get(asking->env->store, ids[i], false,
		    asking->arena, &asking->entries[asking->len++], err);
	if (rc == 0 && count == PAGE_ITEMS)
		asking->next = ids[count - 1];
	return rc;
}

static void
run_list(const struct admin_env *env, struct ipc_req *req,
    const json_t *args, struct str actor)
{
	struct asking *asking = asking_new(env, req);
	struct quarantine_filter filter;
	struct err err = ERR_INIT;
	uint64_t after = 0;
	int rc;

	(void)actor;
	(void)arg_id(json_object_get(args, "after"), &after);
	rc = read_filter(args, asking->arena, &filter, &err);
	if (rc == 0)
		rc = read_page(asking, &filter, after, &err);
	if (rc == 0 && asking->len != 0) {
		ask_days(asking);
		return;
	}
	if (rc != 0)
		ipc_reply_err(req, rc, "%s", err_text(&err));
	else
		reply_json(req, json_pack("{s:[]}", "items"));
	asking_free(asking);
}

static void
run_show(const struct admin_env *env, struct ipc_req *req,
    const json_t *args, struct str actor)
{
	struct asking *asking = asking_new(env, req);
	struct err err = ERR_INIT;
	uint64_t id = 0;
	int rc;

	(void)actor;
	if (!arg_id(json_object_get(args, "id"), &id))
		rc = err_set(&err, ERR_SYNTAX, "id is not a number");
	else
		rc = quarantine_store_get(env->store, id, true,
		    asking->arena, &asking->entries[0], &err);
	if (rc == 0) {
		asking->len = 1;
		asking->is_whole = true;
		ask_days(asking);
		return;
	}
	if (rc == ERR_NOTFOUND)
		ipc_reply_err(req, rc, "no message %llu in the quarantine",
		    (unsigned long long)id);
	else
		ipc_reply_err(req, rc, "%s", err_text(&err));
	asking_free(asking);
}

/* ---- release, delete: one after the other ---- */

struct batch {
	const struct admin_env *env;
	struct ipc_req *req;
	uint64_t ids[IDS_MAX];
	size_t len;
	size_t at;
	json_int_t count;
	json_t *failed;
	bool is_forced;
	char actor[64];
};

static void
batch_failed(struct batch *batch, uint64_t id, const char *why)
{
	json_array_append_new(batch->failed, json_pack("{s:o, s:s}", "id",
	    show_id(id), "reason", why));
}

static void
batch_answer(struct batch *batch)
{
	reply_json(batch->req, json_pack("{s:I, s:o}", "count",
	    batch->count, "failed", batch->failed));
	free(batch);
}

static void batch_release(struct batch *batch);

static void
on_released(void *ctx, int code, const struct err *err)
{
	struct batch *batch = ctx;

	if (code != 0)
		batch_failed(batch, batch->ids[batch->at], err_text(err));
	else
		batch->count++;
	batch->at++;
	batch_release(batch);
}

static void
batch_release(struct batch *batch)
{
	if (batch->at == batch->len)
		batch_answer(batch);
	else
		release_begin(batch->env->release, batch->ids[batch->at],
		    batch->is_forced, str_of(batch->actor), on_released,
		    batch);
}

static void
on_deleted(void *ctx, int code)
{
	struct batch *batch = ctx;

	if (code == 0) {
		tally_count(batch->env->release->tally, STR(""), "deleted",
		    (uint64_t)batch->count);
		tally_state(batch->env->release->tally, 0);
		batch_answer(batch);
		return;
	}
	ipc_reply_err(batch->req, code, "not written");
	json_decref(batch->failed);
	free(batch);
}

/* What was decided to go may have gone: to say that it was deleted would be a
 * lie. */
static int
delete_one(const struct admin_env *env, uint64_t id, struct err *err)
{
	struct arena *arena = arena_new(4096);
	struct quarantine_entry entry;
	int rc = quarantine_store_get(env->store, id, false, arena, &entry,
	    err);

	if (rc == 0 && entry.is_releasing)
		rc = err_set(err, ERR_EXISTS, "it is on its way to its "
		    "recipients");
	arena_free(&arena);
	return rc == 0 ? quarantine_store_delete(env->store, id, err) : rc;
}

static void
batch_delete(struct batch *batch)
{
	struct err err = ERR_INIT;
	int rc;

	for (; batch->at < batch->len; batch->at++) {
		rc = delete_one(batch->env, batch->ids[batch->at], &err);
		if (rc == 0)
			batch->count++;
		else
			batch_failed(batch, batch->ids[batch->at],
			    rc == ERR_NOTFOUND ? "there is no such entry" :
			    err_text(&err));
		err_clear(&err);
	}
	quarantine_store_after(batch->env->store, on_deleted, batch);
}

static struct batch *
batch_new(const struct admin_env *env, struct ipc_req *req,
    const json_t *args, struct str actor, struct err *err)
{
	const json_t *ids = json_object_get(args, "ids");
	struct batch *batch;
	size_t i;

	if (json_array_size(ids) == 0 || json_array_size(ids) > IDS_MAX) {
		err_set(err, ERR_SYNTAX, "name 1 to %d entries", IDS_MAX);
		return NULL;
	}
	batch = calloc(1, sizeof(*batch));
	invariant(batch != NULL);
	batch->env = env;
	batch->req = req;
	batch->len = json_array_size(ids);
	(void)snprintf(batch->actor, sizeof(batch->actor), "%.*s",
	    STR_FMT(actor));
	for (i = 0; i < batch->len; i++)
		if (!arg_id(json_array_get(ids, i), &batch->ids[i])) {
			err_set(err, ERR_SYNTAX, "an id is a number");
			free(batch);
			return NULL;
		}
	batch->failed = json_array();
	return batch;
}

/* Only who has the machine may let go what is known to be harmful. */
static bool
is_operator(struct str actor)
{
	return str_begins(actor, STR("uid "));
}

static void
run_release(const struct admin_env *env, struct ipc_req *req,
    const json_t *args, struct str actor)
{
	bool is_forced = json_is_true(json_object_get(args, "force"));
	struct err err = ERR_INIT;
	struct batch *batch;

	if (is_forced && !is_operator(actor)) {
		ipc_reply_err(req, ERR_DENIED, "only an operator may force "
		    "a release");
		return;
	}
	batch = batch_new(env, req, args, actor, &err);
	if (batch == NULL) {
		ipc_reply_err(req, ERR_SYNTAX, "%s", err_text(&err));
		return;
	}
	batch->is_forced = is_forced;
	batch_release(batch);
}

static void
run_delete(const struct admin_env *env, struct ipc_req *req,
    const json_t *args, struct str actor)
{
	struct err err = ERR_INIT;
	struct batch *batch = batch_new(env, req, args, actor, &err);

	if (batch == NULL)
		ipc_reply_err(req, ERR_SYNTAX, "%s", err_text(&err));
	else
		batch_delete(batch);
}

/* ---- status ---- */

static void
run_status(const struct admin_env *env, struct ipc_req *req,
    const json_t *args, struct str actor)
{
	struct quarantine_status status = quarantine_store_status(env->store);
	int64_t last_s = sweep_last_s(env->sweep);

	(void)args;
	(void)actor;
	reply_json(req, json_pack("{s:{s:I, s:I, s:I, s:I, s:o, s:I, s:s}}",
	    "item", "entries", (json_int_t)status.entries,
	    "octets", (json_int_t)status.octets,
	    "total", (json_int_t)env->limits.total_octets,
	    "evicted", (json_int_t)status.evicted,
	    "swept", last_s != 0 ? show_time(last_s) : json_null(),
	    "swept_s", (json_int_t)last_s,
	    "failure", sweep_failure(env->sweep)));
}

/* ---- entry ---- */

static const struct {
	const char *verb;
	bool is_change;
	void (*run)(const struct admin_env *env, struct ipc_req *req,
	    const json_t *args, struct str actor);
} verbs[] = {
	{ "list", false, run_list },
	{ "show", false, run_show },
	{ "release", true, run_release },
	{ "delete", true, run_delete },
	{ "status", false, run_status },
};

#define VERBS_LEN (sizeof(verbs) / sizeof(verbs[0]))

void
quarantine_admin_run(const struct admin_env *env, struct ipc_req *req,
    struct ipc_in *in)
{
	struct str actor = ipc_get_str(in), verb = ipc_get_str(in);
	struct str text = ipc_get_str(in);
	json_t *args = json_loadb(text.p, text.len, 0, NULL);
	size_t i = 0;

	while (i < VERBS_LEN && !str_eq(verb, str_of(verbs[i].verb)))
		i++;
	if (!json_is_object(args)) {
		ipc_reply_err(req, ERR_SYNTAX, "arguments are no object");
	} else if (i == VERBS_LEN) {
		ipc_reply_err(req, ERR_SYNTAX, "no such verb");
	} else {
		if (verbs[i].is_change)
			ev_info(NULL, "quarantine.admin",
			    EV_STR(actor, actor), EV_STR(request, verb),
			    EV_STR(detail, text));
		verbs[i].run(env, req, args, actor);
	}
	json_decref(args);
}
