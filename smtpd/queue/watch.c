/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/watch.h"

#include <unistd.h>

#include "base/log.h"
#include "base/table.h"
#include "base/when.h"
#include "filter/verdict.h"
#include "ipc/links.h"

#define ASKED_MAX 256U
#define AGAIN_MS 1000
#define ERROR_RETRY_S 60
/* detonated keeps the deadline itself, and knows what it has by then. */
#define MARGIN_MS 1500
#define TRACE_MORE_MAX (64U << 10)

struct watch {
	struct watch_env env;
	uint64_t time_s;
	bool is_delivered_unseen;
	struct table *items;	/* id -> struct watched */
	struct list waiting;	/* to be asked about */
	size_t asked_len;
	struct loop_timer turn;
};

struct watched {
	struct list node;
	struct watch *watch;
	uint64_t id;
	uint64_t arrived_us;
	uint32_t call;		/* 0: not asked */
	bool is_ending;
	struct loop_timer deadline;
	int64_t next_try_s;	/* of the ending */
};

/* What is known at the end. */
struct ending {
	enum detonation_result result;
	struct verdict_engine engines[VERDICT_ENGINES_MAX];
	size_t engines_len;
};

/* ---- items ---- */

static void
watched_free(struct watched *watched)
{
	struct watch *watch = watched->watch;

	(void)table_del_u64(watch->items, watched->id);
	if (watched->call != 0) {
		ipc_cancel(watch->env.detonated, watched->call);
		watch->asked_len--;
	}
	loop_timer_fini(&watched->deadline);
	list_del(&watched->node);
	free(watched);
	if (!list_is_empty(&watch->waiting) &&
	    !loop_timer_is_set(&watch->turn))
		loop_timer_start(&watch->turn, 0);
}

static uint64_t
ms_left(const struct watched *watched)
{
	uint64_t now_us = when_wall_us();
	uint64_t until_us = watched->arrived_us +
	    watched->watch->time_s * 1000000;

	return until_us > now_us ? (until_us - now_us) / 1000 + 1 : 0;
}

/* ---- the end ---- */

static void
on_written(void *ctx, int code)
{
	struct watched *watched = ctx;
	struct watch *watch = watched->watch;
	uint64_t id = watched->id;
	int64_t next_try_s = watched->next_try_s;

	watched_free(watched);
	/* A commit that failed ends the process elsewhere. */
	if (code == 0)
		watch->env.done(watch->env.ctx, id, next_try_s);
}

/* As it is stored, and what is read from that. */
static int
encode(const struct verdict *verdict, struct arena *arena,
    struct queue_item *item, struct verdict *stored_r, struct err *err)
{
	struct buf octets;
	int rc;

	buf_init(&octets, VERDICT_OCTETS_MAX);
	verdict_encode(verdict, &octets);
	item->verdict = arena_str(arena, buf_str(&octets));
	rc = buf_failed(&octets) ? err_set(err, ERR_LIMIT,
	    "a verdict that does not fit") : verdict_decode(item->verdict,
	    arena, stored_r, err);
	buf_fini(&octets);
	return rc;
}

/* One that nobody could read again would wait for ever: what is left of it
 * is that somebody has to look. */
static int
encode_or_keep(const struct verdict *verdict, struct arena *arena,
    struct queue_item *item, struct verdict *stored_r, struct err *err)
{
	struct verdict bare = { .action = VERDICT_QUARANTINE,
		.holder = VERDICT_H_ADMIN,
		.reason = STR("a verdict that cannot be stored"),
		.is_detonated = verdict->is_detonated,
		.detonation = verdict->detonation };
	struct err why = ERR_INIT;

	if (encode(verdict, arena, item, stored_r, &why) == 0)
		return 0;
	ev_error(NULL, "queue.change.failed", EV_U64(queue_id, item->id),
	    EV_ERR(&why));
	return encode(&bare, arena, item, stored_r, err);
}

/* Its verdict and its trace from now on. What is shown is what is stored:
 * texts of detonated are in bounds then. */
static int
write_verdict(struct watch *watch, struct queue_item *item,
    const struct verdict *verdict, struct arena *arena, struct err *err)
{
	struct verdict stored;
	struct buf trace;
	int rc;

	buf_init(&trace, item->trace.len + TRACE_MORE_MAX);
	rc = encode_or_keep(verdict, arena, item, &stored, err);
	if (rc == 0) {
		verdict_put_detonation(&stored, &trace);
		buf_add_str(&trace, item->trace);
		item->trace = arena_str(arena, buf_str(&trace));
		rc = buf_failed(&trace) ? err_set(err, ERR_LIMIT,
		    "a trace that does not fit") : queue_store_verdict(
		    watch->env.store, item->id, item->verdict, item->trace,
		    err);
	}
	buf_fini(&trace);
	return rc;
}

/* For the installation, and for the domain of each recipient once. */
static void
count(struct figures *figures, const struct queue_item *item,
    enum detonation_result result)
{
	struct table *seen = table_new();
	struct str domain;
	char name[32];
	size_t i, at;

	(void)snprintf(name, sizeof(name), "detonated.%s",
	    verdict_detonation_name(result));
	figures_count(figures, STR(""), str_of(name), 1);
	for (i = 0; i < item->rcpts_len; i++) {
		at = str_rfind(item->rcpts[i].address, '@');
		domain = at == STR_NPOS ? STR("") :
		    str_sub(item->rcpts[i].address, at + 1,
		    item->rcpts[i].address.len);
		if (domain.len == 0 || table_put(seen, domain, seen) != NULL)
			continue;
		figures_count(figures, domain, str_of(name), 1);
	}
	table_free(&seen);
	figures_stage(figures, "detonation",
	    (when_wall_us() - item->arrived_us) / 1000);
}

/* What was found by one who says so. */
static struct str
name_of(const struct ending *ending)
{
	size_t i;

	for (i = 0; i < ending->engines_len; i++)
		if (ending->engines[i].result == DETONATION_MALICIOUS)
			return ending->engines[i].name;
	return STR("");
}

static void
decide(const struct watch *watch, const struct ending *ending,
    struct arena *arena, struct verdict *verdict)
{
	enum detonation_result result = ending->result;
	struct str name = name_of(ending);

	if (result == DETONATION_CLEAN || (result != DETONATION_MALICIOUS &&
	    watch->is_delivered_unseen)) {
		verdict->action = verdict->when_clean;
		return;
	}
	/* Nobody but who knows what it may do is to open it. */
	verdict->action = VERDICT_QUARANTINE;
	verdict->holder = VERDICT_H_ADMIN;
	verdict->reason = result == DETONATION_MALICIOUS ?
	    arena_printf(arena, "malicious when it was opened%s%.*s",
	    name.len != 0 ? ": " : "", STR_FMT(name)) :
	    arena_printf(arena, "not opened before delivery (%s), and suspicious",
	    verdict_detonation_name(result));
}

/* What the store has, read again: an operator may have changed it. */
static int
write_ending(struct watched *watched, struct ending *ending, struct err *err)
{
	struct watch *watch = watched->watch;
	struct arena *arena = arena_new(0);
	struct verdict verdict;
	struct queue_item item;
	int rc;

	rc = queue_store_get(watch->env.store, watched->id, arena, &item,
	    err);
	if (rc == 0)
		rc = verdict_decode(item.verdict, arena, &verdict, err);
	if (rc == 0) {
		verdict.is_detonated = true;
		verdict.detonation = ending->result;
		verdict.engines = ending->engines;
		verdict.engines_len = ending->engines_len;
		decide(watch, ending, arena, &verdict);
		watched->next_try_s = item.next_try_s;
		ev_info(NULL, "queue.item.detonated",
		    EV_U64(queue_id, item.id), EV_CSTR(status,
		    verdict_detonation_name(ending->result)),
		    EV_CSTR(state, verdict_action_name(verdict.action)),
		    EV_STR(reason, verdict.reason), EV_U64(delay_ms,
		    (when_wall_us() - item.arrived_us) / 1000));
		rc = write_verdict(watch, &item, &verdict, arena, err);
	}
	if (rc == 0)
		count(watch->env.figures, &item, ending->result);
	if (rc == 0 && ending->result == DETONATION_MALICIOUS)
		watch->env.malicious(watch->env.ctx, &item,
		    name_of(ending));
	arena_free(&arena);
	return rc;
}

static void
end(struct watched *watched, struct ending *ending)
{
	struct watch *watch = watched->watch;
	uint64_t id = watched->id;
	struct err err = ERR_INIT;
	int rc;

	if (watched->call != 0) {
		ipc_cancel(watch->env.detonated, watched->call);
		watched->call = 0;
		watch->asked_len--;
	}
	loop_timer_stop(&watched->deadline);
	list_del(&watched->node);
	rc = write_ending(watched, ending, &err);
	if (rc == 0) {
		watched->is_ending = true;
		queue_store_after(watch->env.store, on_written, watched);
		return;
	}
	watched_free(watched);
	if (rc == ERR_NOTFOUND)
		return;
	/* The schedule gives it back: it still is to be opened. */
	ev_error(NULL, "queue.change.failed", EV_U64(queue_id, id),
	    EV_ERR(&err));
	watch->env.done(watch->env.ctx, id, when_wall_s() + ERROR_RETRY_S);
}

static void
on_deadline(void *ctx)
{
	struct ending late = { .result = DETONATION_LATE };

	end(ctx, &late);
}

/* ---- asking ---- */

static void
wait_turn(struct watched *watched, bool is_first, uint64_t ms)
{
	struct watch *watch = watched->watch;

	if (is_first)
		list_push(&watch->waiting, &watched->node);
	else
		list_add(&watch->waiting, &watched->node);
	if (!loop_timer_is_set(&watch->turn))
		loop_timer_start(&watch->turn, ms);
}

static enum detonation_result
result_of(uint64_t value)
{
	return value < DETONATION_RESULTS ? (enum detonation_result)value :
	    DETONATION_FAILED;
}

static void
on_answer(void *ctx, int code, struct ipc_in *in)
{
	struct watched *watched = ctx;
	struct ending ending = { .result = DETONATION_FAILED };
	struct verdict_engine *engine;

	watched->call = 0;
	watched->watch->asked_len--;
	if (code != 0) {
		/* It was restarted, or is: its deadline goes on. */
		wait_turn(watched, true, AGAIN_MS);
		return;
	}
	ending.result = result_of(ipc_get_u64(in));
	while (ipc_more(in) && ending.engines_len < VERDICT_ENGINES_MAX) {
		engine = &ending.engines[ending.engines_len++];
		engine->engine = ipc_get_str(in);
		engine->kind = ipc_get_str(in);
		engine->result = result_of(ipc_get_u64(in));
		engine->score = (unsigned)ipc_get_u64(in);
		engine->name = ipc_get_str(in);
	}
	end(watched, &ending);
}

static void
ask(struct watched *watched, const struct queue_item *item, int blob_fd)
{
	struct watch *watch = watched->watch;
	struct ipc_out *out = ipc_begin(watch->env.detonated,
	    DETONATE_WATCH);
	uint64_t left_ms = ms_left(watched);

	ipc_put_u64(out, item->id);
	ipc_put_u64(out, when_mono_ms() + left_ms);
	ipc_put_u64(out, item->size_octets);
	ipc_put_str(out, item->verdict);
	watched->call = ipc_call(out, blob_fd, left_ms + MARGIN_MS,
	    on_answer, watched);
	watch->asked_len++;
}

static void
ask_about(struct watched *watched)
{
	struct watch *watch = watched->watch;
	struct ending failed = { .result = DETONATION_FAILED };
	struct arena *arena = arena_new(8192);
	struct err err = ERR_INIT;
	struct queue_item item;
	int fd = -1, rc;

	list_del(&watched->node);
	rc = queue_store_get(watch->env.store, watched->id, arena, &item,
	    &err);
	if (rc == 0 && (fd = queue_store_open_blob(watch->env.store,
	    watched->id, &err)) >= 0) {
		ask(watched, &item, fd);
		(void)close(fd);
	} else if (rc == ERR_NOTFOUND) {
		watched_free(watched);
	} else {
		ev_error(NULL, "queue.item.unreadable",
		    EV_U64(queue_id, watched->id), EV_ERR(&err));
		end(watched, &failed);
	}
	arena_free(&arena);
}

static void
on_turn(void *ctx)
{
	struct watch *watch = ctx;
	struct watched *watched;
	unsigned i;

	/* A few a round, so that others get their turn. */
	for (i = 0; i < 8 && watch->asked_len < ASKED_MAX && (watched =
	    list_first(&watch->waiting, struct watched, node)) != NULL; i++)
		ask_about(watched);
	if (watch->asked_len < ASKED_MAX && !list_is_empty(&watch->waiting))
		loop_timer_start(&watch->turn, 0);
}

/* ---- from outside ---- */

static bool
is_to_be_opened(const struct queue_item *item, struct arena *arena,
    struct verdict *verdict)
{
	return item->verdict.len != 0 && verdict_decode(item->verdict, arena,
	    verdict, NULL) == 0 && verdict->action == VERDICT_DETONATE;
}

bool
watch_wants(const struct queue_item *item)
{
	struct arena *arena;
	struct verdict verdict;
	bool wants;

	if (item->is_held || item->verdict.len == 0)
		return false;
	arena = arena_new(0);
	wants = is_to_be_opened(item, arena, &verdict);
	arena_free(&arena);
	return wants;
}

void
watch_item(struct watch *watch, const struct queue_item *item)
{
	struct watched *watched;

	if (table_get_u64(watch->items, item->id) != NULL)
		return;
	watched = calloc(1, sizeof(*watched));
	invariant(watched != NULL);
	watched->watch = watch;
	watched->id = item->id;
	watched->arrived_us = item->arrived_us;
	list_init(&watched->node);
	loop_timer_init(&watched->deadline, watch->env.loop, on_deadline,
	    watched);
	loop_timer_start(&watched->deadline, ms_left(watched) + MARGIN_MS);
	(void)table_put_u64(watch->items, item->id, watched);
	ev_info(NULL, "queue.item.detonating", EV_U64(queue_id, item->id));
	wait_turn(watched, false, 0);
}

void
watch_forget(struct watch *watch, uint64_t id)
{
	struct watched *watched = table_get_u64(watch->items, id);

	if (watched != NULL && !watched->is_ending)
		watched_free(watched);
}

bool
watch_is_ending(const struct watch *watch, uint64_t id)
{
	const struct watched *watched = table_get_u64(watch->items, id);

	return watched != NULL && watched->is_ending;
}

int
watch_release(struct watch *watch, const struct queue_item *item,
    struct err *err)
{
	struct arena *arena = arena_new(0);
	struct queue_item copy = *item;
	struct verdict verdict;
	int rc = 0;

	if (is_to_be_opened(item, arena, &verdict)) {
		verdict.action = verdict.when_clean;
		rc = write_verdict(watch, &copy, &verdict, arena, err);
		ev_warn(NULL, "queue.item.unwatched",
		    EV_U64(queue_id, item->id));
	}
	arena_free(&arena);
	return rc;
}

int64_t
watch_until_s(const struct watch *watch, const struct queue_item *item)
{
	return (int64_t)(item->arrived_us / 1000000 + watch->time_s);
}

/* ---- life ---- */

void
watch_set_policy(struct watch *watch, uint64_t time_s,
    bool is_delivered_unseen)
{
	struct watched *watched;
	size_t cursor = 0;

	watch->time_s = time_s;
	watch->is_delivered_unseen = is_delivered_unseen;
	while ((watched = table_next(watch->items, &cursor, NULL)) != NULL)
		if (!watched->is_ending)
			loop_timer_start(&watched->deadline,
			    ms_left(watched) + MARGIN_MS);
}

struct watch *
watch_new(const struct watch_env *env)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	invariant(watch != NULL);
	watch->env = *env;
	watch->items = table_new();
	list_init(&watch->waiting);
	loop_timer_init(&watch->turn, env->loop, on_turn, watch);
	return watch;
}

void
watch_free(struct watch **watch)
{
	struct watched *watched;
	size_t cursor = 0;

	if (*watch == NULL)
		return;
	while ((watched = table_next((*watch)->items, &cursor, NULL)) !=
	    NULL) {
		watched_free(watched);
		cursor = 0;
	}
	loop_timer_fini(&(*watch)->turn);
	table_free(&(*watch)->items);
	free(*watch);
	*watch = NULL;
}
