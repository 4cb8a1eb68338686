/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/deliver.h"

#include <unistd.h>

#include "base/log.h"
#include "base/table.h"
#include "base/when.h"
#include "ipc/links.h"
#include "ipc/values.h"

#define ROUTE_BATCH 128
#define DELIVER_BATCH 64
#define ROUTE_DEADLINE_MS 30000
#define DELIVER_DEADLINE_MS 300000
#define REASON_MAX 200

/* One account a recipient leads to. */
struct target {
	uint64_t account;
	struct str address;
	enum mbox_result result;
	struct str reason;
	bool has_result;
};

/* recipient index -> target index; target STR_NPOS: route has the answer. */
struct edge {
	size_t rcpt;
	size_t target;
};

struct work {
	const struct deliver_env *env;
	struct arena *arena;
	struct queue_item item;
	int blob_fd;
	deliver_done *done;
	void *ctx;
	struct str trace;	/* Return-Path and the item's own */
	bool *is_routed;	/* per recipient */
	enum dir_route *routes;	/* for those without a target */
	struct str *route_reasons;
	struct edge *edges;
	size_t edges_len;
	size_t edges_cap;
	struct target *targets;
	size_t targets_len;
	size_t targets_cap;
	struct table *by_account;	/* account -> target index + 1 */
	size_t next;		/* next recipient or target to ask about */
	size_t waiting;		/* delivery frames not answered */
	size_t asked_from;	/* of the route frame under way */
	size_t asked_to;
	bool has_progress;
};

/* A delivery frame under way. */
struct frame {
	struct work *work;
	size_t from;
	size_t to;
};

static void route_more(struct work *work);
static void deliver_more(struct work *work);
static void settle(struct work *work, const char *failure);

/* ---- targets ---- */

static void *
grown(struct arena *arena, void *old, size_t len, size_t size, size_t *cap)
{
	void *more;

	if (len < *cap)
		return old;
	*cap = *cap != 0 ? *cap * 2 : 8;
	more = arena_alloc(arena, *cap * size);
	if (len != 0)
		memcpy(more, old, len * size);
	return more;
}

static size_t
target_of(struct work *work, uint64_t account, struct str address)
{
	size_t known = (size_t)(uintptr_t)table_get_u64(work->by_account,
	    account);
	struct target *target;

	if (known != 0)
		return known - 1;
	work->targets = grown(work->arena, work->targets, work->targets_len,
	    sizeof(*work->targets), &work->targets_cap);
	target = &work->targets[work->targets_len++];
	*target = (struct target){ .account = account,
	    .address = arena_str(work->arena, address) };
	table_put_u64(work->by_account, account,
	    (void *)(uintptr_t)work->targets_len);
	return work->targets_len - 1;
}

static void
edge_add(struct work *work, size_t rcpt, size_t target)
{
	struct edge *edge;

	work->edges = grown(work->arena, work->edges, work->edges_len,
	    sizeof(*work->edges), &work->edges_cap);
	edge = &work->edges[work->edges_len++];
	edge->rcpt = rcpt;
	edge->target = target;
}

/* ---- routing ---- */

static void
route_row(struct work *work, uint64_t index, uint64_t route,
    uint64_t account, struct str target)
{
	/* Rows for what was not asked are another process's mistake. */
	if (index < work->asked_from || index >= work->asked_to ||
	    route > DIR_R_REFUSED)
		return;
	work->is_routed[index] = true;
	work->has_progress = true;
	if (route == DIR_R_ACCOUNT) {
		edge_add(work, index, target_of(work, account, target));
		return;
	}
	/* A local target beside it keeps the recipient waiting for this one:
	 * the worst answer decides what becomes of it. */
	work->routes[index] = (enum dir_route)route;
	work->route_reasons[index] = arena_str(work->arena,
	    str_sub(target, 0, REASON_MAX));
}

static void
on_routed(void *ctx, int code, struct ipc_in *in)
{
	struct work *work = ctx;
	uint64_t index, route, account;

	if (code != 0) {
		settle(work, "the directory does not answer");
		return;
	}
	work->has_progress = false;
	while (ipc_more(in)) {
		index = ipc_get_u64(in);
		route = ipc_get_u64(in);
		account = ipc_get_u64(in);
		route_row(work, index, route, account, ipc_get_str(in));
	}
	if (!work->has_progress) {
		settle(work, "the directory does not know a route");
		return;
	}
	/* What did not fit into the reply is asked for again. */
	for (work->next = work->asked_from; work->next < work->asked_to;
	    work->next++)
		if (!work->is_routed[work->next])
			break;
	route_more(work);
}

static bool
is_waiting(const struct queue_rcpt *rcpt)
{
	return rcpt->state == RCPT_QUEUED || rcpt->state == RCPT_DEFERRED;
}

static void
route_more(struct work *work)
{
	struct ipc_out *out = ipc_begin(work->env->directory, DIR_ROUTE);
	size_t asked = 0;

	work->asked_from = work->next;
	for (; work->next < work->item.rcpts_len && asked < ROUTE_BATCH;
	    work->next++) {
		if (work->is_routed[work->next] ||
		    !is_waiting(&work->item.rcpts[work->next]))
			continue;
		ipc_put_u64(out, work->next);
		ipc_put_str(out, work->item.rcpts[work->next].address);
		asked++;
	}
	work->asked_to = work->next;
	if (asked == 0) {
		work->next = 0;
		deliver_more(work);
		return;
	}
	(void)ipc_call(out, -1, ROUTE_DEADLINE_MS, on_routed, work);
}

/* ---- delivering ---- */

static void
on_delivered(void *ctx, int code, struct ipc_in *in)
{
	struct frame *frame = ctx;
	struct work *work = frame->work;
	struct target *target;
	uint64_t account, result;
	struct str reason;
	size_t i;

	for (i = frame->from; i < frame->to; i++) {
		target = &work->targets[i];
		target->has_result = true;
		target->result = MBOX_R_TEMP;
		target->reason = STR("the mailboxes do not answer");
		if (code != 0 || !ipc_more(in))
			continue;
		account = ipc_get_u64(in);
		result = ipc_get_u64(in);
		reason = ipc_get_str(in);
		if (account != target->account || result > MBOX_R_GONE)
			continue;
		target->result = (enum mbox_result)result;
		target->reason = arena_str(work->arena,
		    str_sub(reason, 0, REASON_MAX));
	}
	free(frame);
	if (--work->waiting == 0)
		settle(work, NULL);
}

static void
send_frame(struct work *work, size_t from, size_t to)
{
	struct ipc_out *out = ipc_begin(work->env->mailboxes, MBOX_DELIVER);
	struct frame *frame = calloc(1, sizeof(*frame));
	size_t i;

	invariant(frame != NULL);
	frame->work = work;
	frame->from = from;
	ipc_put_u64(out, work->item.id);
	ipc_put_str(out, work->trace);
	ipc_put_str(out, work->item.summary);
	ipc_put_u64(out, work->item.size_octets);
	ipc_put_str(out, work->item.sha256);
	ipc_put_u64(out, work->item.arrived_us);
	for (i = from; i < to; i++) {
		/* Number, length and tags of one more row. */
		if (ipc_room(out) < work->targets[i].address.len + 32)
			break;
		ipc_put_u64(out, work->targets[i].account);
		ipc_put_str(out, work->targets[i].address);
	}
	frame->to = i;
	work->next = i;
	work->waiting++;
	(void)ipc_call(out, work->blob_fd, DELIVER_DEADLINE_MS, on_delivered,
	    frame);
}

static void
deliver_more(struct work *work)
{
	struct err err = ERR_INIT;
	size_t to;

	if (work->targets_len == 0) {
		settle(work, NULL);
		return;
	}
	if (work->blob_fd == -1)
		work->blob_fd = queue_store_open_blob(work->env->store,
		    work->item.id, &err);
	if (work->blob_fd < 0) {
		work->blob_fd = -1;
		ev_error(NULL, "queue.blob.missing",
		    EV_U64(queue_id, work->item.id), EV_ERR(&err));
		settle(work, "the message cannot be read");
		return;
	}
	/* waiting is held above zero until all frames are on their way. */
	work->waiting = 1;
	while (work->next < work->targets_len) {
		to = work->next + DELIVER_BATCH;
		send_frame(work, work->next, to < work->targets_len ? to :
		    work->targets_len);
	}
	if (--work->waiting == 0)
		settle(work, NULL);
}

/* ---- what becomes of each recipient ---- */

struct fate {
	bool has_any;
	bool is_done;
	enum rcpt_state state;
	struct str reason;
};

static struct fate
fate_of_route(const struct work *work, size_t rcpt)
{
	struct fate fate = { .has_any = true, .is_done = false };

	fate.reason = work->route_reasons[rcpt];
	fate.state = work->routes[rcpt] == DIR_R_REMOTE ? RCPT_REMOTE :
	    RCPT_REFUSED;
	if (fate.state == RCPT_REMOTE)
		fate.reason = STR("waits for a relay");
	return fate;
}

static void
fate_add_target(struct fate *fate, const struct target *target)
{
	static const struct str names[] = {
		[MBOX_R_FULL] = { "mailbox full", 12 },
		[MBOX_R_TEMP] = { "try again", 9 },
		[MBOX_R_GONE] = { "no such account", 15 },
	};

	fate->has_any = true;
	if (target->has_result && target->result == MBOX_R_DELIVERED)
		return;
	fate->is_done = false;
	fate->state = target->result == MBOX_R_GONE ? RCPT_REFUSED :
	    RCPT_DEFERRED;
	fate->reason = target->reason.len != 0 ? target->reason :
	    names[target->result];
}

static void
settle_rcpt(struct work *work, size_t index, struct fate *fate,
    bool is_expired, size_t *waiting, size_t *left)
{
	struct queue_rcpt *rcpt = &work->item.rcpts[index];
	struct err err = ERR_INIT;
	int rc = 0;

	if (fate->has_any && fate->is_done) {
		ev_info(NULL, "queue.rcpt.delivered",
		    EV_U64(queue_id, work->item.id),
		    EV_STR(recipient, rcpt->address),
		    EV_U64(delay_ms, (when_wall_us() -
		    work->item.arrived_us) / 1000));
		rc = queue_store_rcpt_done(work->env->store, work->item.id,
		    rcpt->n, &err);
	} else {
		(*left)++;
		if (fate->state == RCPT_DEFERRED && is_expired)
			fate->state = RCPT_EXPIRED;
		if (fate->state == RCPT_DEFERRED)
			(*waiting)++;
		ev_info(NULL, "queue.rcpt.waits",
		    EV_U64(queue_id, work->item.id),
		    EV_STR(recipient, rcpt->address),
		    EV_U64(state, fate->state), EV_STR(reason, fate->reason));
		rc = queue_store_rcpt_set(work->env->store, work->item.id,
		    rcpt->n, fate->state, fate->reason, &err);
	}
	if (rc != 0)
		ev_error(NULL, "queue.change.failed", EV_ERR(&err));
}

static int64_t
next_try(const struct work *work)
{
	uint64_t wait = work->env->retry_first_s;
	uint64_t i;

	for (i = 0; i < work->item.tries && wait < work->env->retry_last_s;
	    i++)
		wait *= 2;
	if (wait > work->env->retry_last_s)
		wait = work->env->retry_last_s;
	return when_wall_s() + (int64_t)wait;
}

static void
work_free(struct work *work)
{
	struct arena *arena = work->arena;

	table_free(&work->by_account);
	if (work->blob_fd != -1)
		(void)close(work->blob_fd);
	arena_free(&arena);
}

/* What the disk says decides; a failed commit ends the process elsewhere. */
static void
finish(struct work *work, size_t waiting, size_t left)
{
	struct err err = ERR_INIT;
	int64_t next = waiting != 0 ? next_try(work) : QUEUE_NEVER;
	enum deliver_end end = left == 0 ? DELIVER_GONE : DELIVER_WAITS;
	int rc;

	if (end == DELIVER_GONE)
		rc = queue_store_item_delete(work->env->store, work->item.id,
		    &err);
	else
		rc = queue_store_schedule(work->env->store, work->item.id,
		    next, work->item.tries + 1, false, &err);
	if (rc != 0)
		ev_error(NULL, "queue.change.failed", EV_ERR(&err));
	work->done(work->ctx, work->item.id, end, next);
	work_free(work);
}

static void
settle(struct work *work, const char *failure)
{
	struct fate *fates = arena_alloc(work->arena,
	    (work->item.rcpts_len + 1) * sizeof(*fates));
	uint64_t age_s = (when_wall_us() - work->item.arrived_us) / 1000000;
	bool is_expired = age_s > work->env->lifetime_s;
	size_t i, waiting = 0, left = 0;

	for (i = 0; i < work->item.rcpts_len; i++) {
		fates[i].is_done = true;
		if (failure != NULL)
			fates[i] = (struct fate){ .state = RCPT_DEFERRED,
			    .reason = str_of(failure) };
		else if (work->route_reasons[i].p != NULL)
			fates[i] = fate_of_route(work, i);
	}
	for (i = 0; failure == NULL && i < work->edges_len; i++)
		fate_add_target(&fates[work->edges[i].rcpt],
		    &work->targets[work->edges[i].target]);
	for (i = 0; i < work->item.rcpts_len; i++) {
		if (!is_waiting(&work->item.rcpts[i])) {
			left++;
			continue;
		}
		settle_rcpt(work, i, &fates[i], is_expired, &waiting, &left);
	}
	finish(work, waiting, left);
}

/* ---- entry ---- */

void
deliver_item(const struct deliver_env *env, struct arena *arena,
    const struct queue_item *item, int blob_fd, deliver_done *done, void *ctx)
{
	struct work *work = arena_new_of(arena, struct work);
	size_t n = item->rcpts_len;

	work->env = env;
	work->arena = arena;
	work->item = *item;
	work->blob_fd = blob_fd;
	work->done = done;
	work->ctx = ctx;
	work->by_account = table_new();
	work->is_routed = arena_alloc(arena, n * sizeof(*work->is_routed));
	work->routes = arena_alloc(arena, n * sizeof(*work->routes));
	work->route_reasons = arena_alloc(arena,
	    n * sizeof(*work->route_reasons));
	work->trace = arena_printf(arena, "Return-Path: <%.*s>\r\n%.*s",
	    STR_FMT(item->sender), STR_FMT(item->trace));
	if (env->is_discard)
		finish(work, 0, 0);
	else
		route_more(work);
}
