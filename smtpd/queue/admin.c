/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/admin.h"

#include <jansson.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/when.h"
#include "filter/verdict.h"
#include "ipc/links.h"

#define PAGE_ITEMS 64
#define PAGE_OCTETS 48000
#define RCPTS_SHOWN 100

static const char *const state_names[] = {
	[RCPT_QUEUED] = "queued", [RCPT_DEFERRED] = "deferred",
	[RCPT_FAILED] = "failed", [RCPT_DELIVERED] = "delivered",
	[RCPT_RELAYED] = "relayed", [RCPT_EXPANDED] = "expanded",
};

/* ---- showing ---- */

static json_t *
json_text(struct str s)
{
	json_t *text = json_stringn(s.p != NULL ? s.p : "", s.len);

	/* NULL for what is no UTF-8, which no envelope should hold. */
	return text != NULL ? text : json_string("?");
}

static json_t *
json_time(int64_t s)
{
	char text[32];
	time_t t = (time_t)s;
	struct tm tm;

	if (s == QUEUE_NEVER)
		return json_null();
	gmtime_r(&t, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *
json_id(uint64_t id)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
	return json_string(text);
}

/* What the filter said. False: it was not asked. */
static bool
read_verdict(const struct queue_item *item, struct arena *arena,
    struct verdict *verdict_r)
{
	return item->verdict.len != 0 && verdict_decode(item->verdict, arena,
	    verdict_r, NULL) == 0;
}

static json_t *
show_verdict(const struct queue_item *item, struct arena *arena)
{
	struct verdict verdict;

	if (!read_verdict(item, arena, &verdict))
		return json_null();
	return json_pack("{s:s, s:o}", "action",
	    verdict_action_name(verdict.action), "reason",
	    json_text(verdict.reason));
}

/* Since when its content is opened elsewhere, and until when. */
static json_t *
show_detonating(const struct queue_admin *admin,
    const struct queue_item *item)
{
	if (!watch_wants(item))
		return json_null();
	return json_pack("{s:o, s:o}",
	    "since", json_time((int64_t)(item->arrived_us / 1000000)),
	    "until", json_time(watch_until_s(admin->watch, item)));
}

static json_t *
show_rcpt(const struct queue_item *item, const struct queue_rcpt *rcpt,
    const char *state)
{
	bool is_waiting = rcpt->state == RCPT_QUEUED ||
	    rcpt->state == RCPT_DEFERRED;

	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}",
	    "address", json_text(rcpt->address),
	    "state", state != NULL ? state : state_names[rcpt->state],
	    "reason", json_text(rcpt->reason),
	    "status", json_text(rcpt->status),
	    "remote", json_text(rcpt->remote),
	    "next_try", is_waiting && state == NULL ?
	    json_time(item->next_try_s) : json_null());
}

static json_t *
show_item(const struct queue_admin *admin, const struct queue_item *item,
    size_t rcpts_max)
{
	struct arena *arena = arena_new(0);
	const char *state = item->is_held ? "held" : watch_wants(item) ?
	    "detonating" : NULL;
	json_t *rcpts = json_array(), *shown;
	size_t i;

	for (i = 0; i < item->rcpts_len && i < rcpts_max; i++)
		json_array_append_new(rcpts, show_rcpt(item, &item->rcpts[i],
		    state));
	shown = json_pack("{s:o, s:o, s:I, s:o, s:o, s:b, s:I, s:b, s:I, s:o, "
	    "s:o, s:o}",
	    "id", json_id(item->id), "sender", json_text(item->sender),
	    "size", (json_int_t)(item->size_octets + item->trace.len),
	    "arrived", json_time((int64_t)(item->arrived_us / 1000000)),
	    "client", json_text(item->client),
	    "held", (int)item->is_held,
	    "tries", (json_int_t)item->tries,
	    "active", (int)schedule_is_active(admin->schedule, item->id),
	    "recipient_count", (json_int_t)item->rcpts_len,
	    "verdict", show_verdict(item, arena),
	    "detonating", show_detonating(admin, item), "recipients", rcpts);
	arena_free(&arena);
	return shown;
}

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

/* ---- arguments ---- */

static bool
arg_u64(const json_t *value, uint64_t *id_r)
{
	const char *text = json_string_value(value);

	return text != NULL &&
	    str_to_u64(str_of(text), INT64_MAX, id_r) == 0;
}

/* ---- verbs ---- */

static void
run_list(const struct queue_admin *admin, struct ipc_req *req,
    const json_t *args)
{
	json_t *items = json_array(), *result = json_object(), *item_json;
	uint64_t ids[PAGE_ITEMS], after = 0;
	struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct queue_item item;
	size_t count, i, used = 0;
	int rc;

	(void)arg_u64(json_object_get(args, "after"), &after);
	rc = queue_store_ids(admin->store, after, PAGE_ITEMS, ids, &count,
	    &err);
	for (i = 0; rc == 0 && i < count && used < PAGE_OCTETS; i++) {
		arena_reset(arena);
		after = ids[i];
		if (queue_store_get(admin->store, ids[i], arena, &item,
		    &err) != 0) {
			err_clear(&err);
			continue;
		}
		item_json = show_item(admin, &item, RCPTS_SHOWN);
		used += json_dumpb(item_json, NULL, 0, JSON_COMPACT);
		json_array_append_new(items, item_json);
	}
	arena_free(&arena);
	json_object_set_new(result, "items", items);
	if (count == PAGE_ITEMS || i < count)
		json_object_set_new(result, "next", json_id(after));
	reply_json(req, result);
}

static void
run_show(const struct queue_admin *admin, struct ipc_req *req,
    const json_t *args)
{
	struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	struct queue_item item;
	uint64_t id;
	json_t *result;
	int rc;

	if (!arg_u64(json_object_get(args, "id"), &id))
		rc = err_set(&err, ERR_SYNTAX, "id is not a number");
	else
		rc = queue_store_get(admin->store, id, arena, &item, &err);
	if (rc == ERR_NOTFOUND) {
		err_clear(&err);
		err_set(&err, rc, "no item %llu in the queue",
		    (unsigned long long)id);
	}
	if (rc != 0) {
		ipc_reply_err(req, rc, "%s", err_text(&err));
	} else {
		result = show_item(admin, &item, 300);
		json_object_set_new(result, "trace", json_text(item.trace));
		reply_json(req, result);
	}
	arena_free(&arena);
}

enum act { ACT_HOLD, ACT_RELEASE, ACT_FLUSH, ACT_DELETE };

/* What is opened elsewhere goes on unopened only when it is named: letting
 * all go that is held is another matter. */
static int
act_on_watched(const struct queue_admin *admin, enum act act,
    const struct queue_item *item, bool is_named, struct err *err)
{
	int64_t now = when_wall_s();
	int rc;

	if (act == ACT_FLUSH || (act == ACT_RELEASE && !is_named))
		return 0;
	watch_forget(admin->watch, item->id);
	if (act == ACT_DELETE)
		return queue_store_item_delete(admin->store, item->id, err);
	if (act == ACT_HOLD)
		return queue_store_schedule(admin->store, item->id,
		    item->next_try_s, item->tries, true, err);
	rc = watch_release(admin->watch, item, err);
	if (rc == 0)
		schedule_set(admin->schedule, item->id, now);
	return rc;
}

static int
act_on(const struct queue_admin *admin, enum act act,
    const struct queue_item *item, bool is_named, struct err *err)
{
	int64_t now = when_wall_s();
	int rc;

	/* What is being worked on decides by itself in a moment. */
	if (schedule_is_active(admin->schedule, item->id) ||
	    watch_is_ending(admin->watch, item->id))
		return err_set(err, ERR_TEMP, "item %llu is being delivered",
		    (unsigned long long)item->id);
	schedule_forget(admin->schedule, item->id);
	if (watch_wants(item))
		return act_on_watched(admin, act, item, is_named, err);
	if (act == ACT_DELETE)
		return queue_store_item_delete(admin->store, item->id, err);
	if (act == ACT_HOLD)
		return queue_store_schedule(admin->store, item->id,
		    item->next_try_s, item->tries, true, err);
	if (act == ACT_FLUSH && item->is_held)
		return 0;
	/* One that was held before it was opened. */
	rc = is_named ? watch_release(admin->watch, item, err) : 0;
	if (rc == 0)
		rc = queue_store_schedule(admin->store, item->id, now,
		    item->tries, false, err);
	if (rc == 0)
		schedule_set(admin->schedule, item->id, now);
	return rc;
}

struct changing {
	struct ipc_req *req;
	json_int_t count;
};

static void
on_changed(void *ctx, int code)
{
	struct changing *changing = ctx;

	if (code != 0)
		ipc_reply_err(changing->req, code, "not written");
	else
		reply_json(changing->req, json_pack("{s:I}", "count",
		    changing->count));
	free(changing);
}

static int
act_on_id(const struct queue_admin *admin, enum act act, uint64_t id,
    bool is_named, struct err *err)
{
	struct arena *arena = arena_new(0);
	struct queue_item item;
	int rc = queue_store_get(admin->store, id, arena, &item, err);

	if (rc == ERR_NOTFOUND && err != NULL) {
		err_clear(err);
		err_set(err, rc, "no item %llu in the queue",
		    (unsigned long long)id);
	}
	if (rc == 0)
		rc = act_on(admin, act, &item, is_named, err);
	arena_free(&arena);
	return rc;
}

static int
act_on_all(const struct queue_admin *admin, enum act act, json_int_t *count,
    struct err *err)
{
	uint64_t ids[PAGE_ITEMS], after = 0;
	size_t n, i;
	int rc;

	do {
		rc = queue_store_ids(admin->store, after, PAGE_ITEMS, ids,
		    &n, err);
		for (i = 0; rc == 0 && i < n; i++) {
			after = ids[i];
			if (act_on_id(admin, act, ids[i], false, NULL) == 0)
				(*count)++;
		}
	} while (rc == 0 && n == PAGE_ITEMS);
	return rc;
}

static void
run_act(const struct queue_admin *admin, enum act act, struct ipc_req *req,
    const json_t *args)
{
	struct changing *changing = calloc(1, sizeof(*changing));
	const json_t *ids = json_object_get(args, "ids");
	struct err err = ERR_INIT;
	uint64_t id;
	size_t i;
	int rc = 0;

	invariant(changing != NULL);
	changing->req = req;
	if (act == ACT_FLUSH || act == ACT_RELEASE)
		remote_forgive(admin->remote);
	if (json_is_true(json_object_get(args, "all")))
		rc = act_on_all(admin, act, &changing->count, &err);
	else if (json_array_size(ids) == 0)
		rc = err_set(&err, ERR_SYNTAX, "name items, or --all");
	for (i = 0; rc == 0 && i < json_array_size(ids); i++) {
		if (!arg_u64(json_array_get(ids, i), &id))
			rc = err_set(&err, ERR_SYNTAX, "an id is a number");
		else if ((rc = act_on_id(admin, act, id, true,
		    &err)) == 0)
			changing->count++;
	}
	if (rc != 0) {
		ipc_reply_err(req, rc, "%s", err_text(&err));
		free(changing);
		return;
	}
	queue_store_after(admin->store, on_changed, changing);
}

/* ---- entry ---- */

void
queue_admin_run(const struct queue_admin *admin, struct ipc_req *req,
    struct ipc_in *in)
{
	static const char *const acts[] = {
		[ACT_HOLD] = "hold", [ACT_RELEASE] = "release",
		[ACT_FLUSH] = "flush", [ACT_DELETE] = "delete",
	};
	struct str actor = ipc_get_str(in), verb = ipc_get_str(in);
	struct str text = ipc_get_str(in);
	json_t *args = json_loadb(text.p, text.len, 0, NULL);
	size_t i;

	if (!json_is_object(args)) {
		ipc_reply_err(req, ERR_SYNTAX, "arguments are no object");
		json_decref(args);
		return;
	}
	for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (!str_eq(verb, str_of(acts[i])))
			continue;
		ev_info(NULL, "queue.admin", EV_STR(actor, actor),
		    EV_STR(request, verb), EV_STR(detail, text));
		run_act(admin, (enum act)i, req, args);
		break;
	}
	if (i < sizeof(acts) / sizeof(acts[0]))
		;
	else if (str_eq(verb, STR("list")))
		run_list(admin, req, args);
	else if (str_eq(verb, STR("show")))
		run_show(admin, req, args);
	else
		ipc_reply_err(req, ERR_SYNTAX, "no such verb");
	json_decref(args);
}
