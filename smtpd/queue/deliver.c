/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/work.h"

#include <unistd.h>

#include "base/log.h"
#include "base/when.h"
#include "filter/verdict.h"
#include "mail/summary.h"

/* ---- for all parts ---- */

void *
work_grown(struct arena *arena, void *old, size_t len, size_t size,
    size_t *cap)
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

bool
work_rcpt_waits(const struct queue_rcpt *rcpt)
{
	return rcpt->state == RCPT_QUEUED || rcpt->state == RCPT_DEFERRED;
}

int
work_blob(struct work *work)
{
	struct err err = ERR_INIT;

	if (work->blob_fd != -1)
		return work->blob_fd;
	work->blob_fd = queue_store_open_blob(work->env->store,
	    work->item.id, &err);
	if (work->blob_fd < 0) {
		work->blob_fd = -1;
		ev_error(NULL, "queue.blob.missing",
		    EV_U64(queue_id, work->item.id), EV_ERR(&err));
	}
	return work->blob_fd;
}

/* ---- the end ---- */

static int64_t
next_try(const struct work *work, uint64_t tries)
{
	uint64_t wait = work->env->retry_first_s;
	uint64_t i;

	for (i = 0; i < tries && wait < work->env->retry_last_s; i++)
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

static int64_t
when_again(const struct work *work, bool has_deferred)
{
	int64_t next = QUEUE_NEVER;

	if (has_deferred && (work->is_tried || work->not_before_s == 0))
		next = next_try(work, work->item.tries);
	if (work->not_before_s != 0 && work->not_before_s < next)
		next = work->not_before_s;
	/* Nothing was tried, and nobody will wake it. */
	if (next == QUEUE_NEVER && !work->is_blocked)
		next = next_try(work, 0);
	return next;
}

/* What the disk says decides; a failed commit ends the process elsewhere. */
static void
finish(struct work *work, bool has_failed_bounce)
{
	bool is_left = false, has_deferred = has_failed_bounce;
	int64_t next, now = when_wall_s();
	struct err err = ERR_INIT;
	size_t i;
	int rc = 0;

	for (i = 0; i < work->item.rcpts_len; i++) {
		is_left |= work->item.rcpts[i].state != RCPT_GONE;
		has_deferred |= work->item.rcpts[i].state == RCPT_DEFERRED;
	}
	next = is_left ? when_again(work, has_deferred) : QUEUE_NEVER;
	if (!is_left)
		rc = queue_store_item_delete(work->env->store, work->item.id,
		    &err);
	else if (next != QUEUE_NEVER)
		/* A start that comes before looks at what waits in line. */
		rc = queue_store_schedule(work->env->store, work->item.id,
		    work->is_blocked ? now : next,
		    work->item.tries + work->is_tried, false, &err);
	if (rc != 0)
		ev_error(NULL, "queue.change.failed", EV_ERR(&err));
	work->done(work->ctx, &work->item, is_left ? DELIVER_WAITS :
	    DELIVER_GONE, next, is_left && next == QUEUE_NEVER ?
	    &work->arena : NULL);
	work_free(work);
}

void
work_bounced(struct work *work, bool is_ok)
{
	finish(work, !is_ok);
}

void
work_part_done(struct work *work)
{
	if (--work->parts == 0)
		work_bounce(work);
}

void
work_fail(struct work *work, const char *reason)
{
	struct outcome why = { .status = "4.3.0", .reason = str_of(reason) };
	size_t i;

	for (i = 0; i < work->item.rcpts_len; i++)
		if (work_rcpt_waits(&work->item.rcpts[i]))
			outcome_deferred(work, i, &why);
	work->is_tried = true;
	work_bounce(work);
}

/* ---- what leads elsewhere ---- */

/* Has the message been sent on by this address before? */
static bool
is_loop(struct work *work, struct str address)
{
	struct mail_summary *summary;
	size_t i;

	if (work->item.summary.len == 0 || summary_decode(work->item.summary,
	    work->arena, &summary, NULL) != 0)
		return false;	/* the hop limit is left */
	for (i = 0; i < summary->field_count; i++)
		if (summary->fields[i].id == MAIL_FIELD_DELIVERED_TO &&
		    str_eq_nocase(str_trim(summary->fields[i].value),
		    address))
			return true;
	return false;
}

static bool
is_recipient(const struct work *work, struct str address)
{
	size_t i;

	for (i = 0; i < work->item.rcpts_len; i++)
		if (work->item.rcpts[i].state != RCPT_GONE &&
		    str_eq(work->item.rcpts[i].address, address))
			return true;
	return false;
}

static int
expand_row(struct work *work, uint32_t n, const struct queue_rcpt *from,
    struct str address, bool is_only, struct err *err)
{
	struct queue_rcpt row = { .n = n, .address = address,
	    .notify = from->notify, .via = from->address };

	row.orcpt = from->orcpt.len != 0 ? from->orcpt :
	    arena_printf(work->arena, "rfc822;%.*s",
	    STR_FMT(from->address));
	/* Of several, the address itself tells of its success. */
	if (!is_only)
		row.notify &= ~(uint64_t)QUEUE_N_SUCCESS;
	if (!is_only && row.notify == 0 && from->notify != 0)
		row.notify = QUEUE_N_NEVER;
	ev_info(NULL, "queue.rcpt.forwarded",
	    EV_U64(queue_id, work->item.id),
	    EV_STR(recipient, from->address), EV_STR(address, address));
	return queue_store_rcpt_add(work->env->store, work->item.id, &row,
	    err);
}

/* The recipient's own row, once its other addresses have theirs. */
static void
expand_own(struct work *work, size_t i, size_t targets, bool has_accounts)
{
	struct queue_rcpt *rcpt = &work->item.rcpts[i];
	struct err err = ERR_INIT;

	rcpt->is_expanded = true;
	if (!has_accounts && (targets == 1 ||
	    (rcpt->notify & QUEUE_N_SUCCESS) == 0)) {
		outcome_gone(work, i);
		return;
	}
	if (!has_accounts) {
		rcpt->state = RCPT_EXPANDED;
		rcpt->status = STR("2.0.0");
	}
	if (queue_store_rcpt_set(work->env->store, work->item.id, rcpt,
	    &err) != 0)
		ev_error(NULL, "queue.change.failed", EV_ERR(&err));
}

static void
expand_rcpt(struct work *work, size_t i, uint32_t *next_n)
{
	struct outcome loop = { .status = "5.4.6",
	    .reason = STR("the message was sent on by this address before") };
	struct err err = ERR_INIT;
	size_t targets = 0, k;
	bool has_accounts = false;

	for (k = 0; k < work->edges_len; k++)
		has_accounts |= work->edges[k].rcpt == i;
	for (k = 0; k < work->elsewhere_len; k++)
		targets += work->elsewhere[k].rcpt == i;
	if (targets == 0)
		return;
	if (is_loop(work, work->item.rcpts[i].address)) {
		outcome_failed(work, i, &loop);
		return;
	}
	for (k = 0; k < work->elsewhere_len; k++)
		if (work->elsewhere[k].rcpt == i &&
		    !is_recipient(work, work->elsewhere[k].address) &&
		    expand_row(work, (*next_n)++, &work->item.rcpts[i],
		    work->elsewhere[k].address, targets == 1 && !has_accounts,
		    &err) != 0)
			ev_error(NULL, "queue.change.failed", EV_ERR(&err));
	expand_own(work, i, targets, has_accounts);
}

static void begin(struct work *work);

/* The new rows are on disk: begin again with them. */
static void
on_expanded(void *ctx, int code)
{
	struct work *work = ctx;
	struct err err = ERR_INIT;

	if (code == 0)
		code = queue_store_get(work->env->store, work->item.id,
		    work->arena, &work->item, &err);
	if (code != 0) {
		/* The commit ended the process, or the item cannot be read
		 * now: later. */
		work->done(work->ctx, &work->item, DELIVER_WAITS,
		    next_try(work, 0), NULL);
		work_free(work);
		return;
	}
	begin(work);
}

static void
expand(struct work *work)
{
	uint32_t next_n = 0;
	size_t i;

	for (i = 0; i < work->item.rcpts_len; i++)
		if (work->item.rcpts[i].n >= next_n)
			next_n = work->item.rcpts[i].n + 1;
	for (i = 0; i < work->item.rcpts_len; i++)
		expand_rcpt(work, i, &next_n);
	queue_store_after(work->env->store, on_expanded, work);
}

/* ---- the way ---- */

static void
refuse(struct work *work)
{
	struct outcome why = { .status = "5.1.1" };
	bool *has_target = arena_alloc(work->arena, work->item.rcpts_len + 1);
	size_t i;

	for (i = 0; i < work->edges_len; i++)
		has_target[work->edges[i].rcpt] = true;
	for (i = 0; i < work->item.rcpts_len; i++) {
		why.reason = work->refusals[i];
		if (why.reason.p != NULL && !has_target[i] &&
		    !work->is_away[i])
			outcome_failed(work, i, &why);
	}
}

void
work_routed(struct work *work)
{
	if (work->is_quarantined) {
		if (work_blob(work) == -1)
			work_fail(work, "the message cannot be read");
		else
			work_keep(work);
		return;
	}
	if (work->elsewhere_len != 0) {
		expand(work);
		return;
	}
	refuse(work);
	work->parts = 1;
	if (work_blob(work) == -1) {
		work_fail(work, "the message cannot be read");
		return;
	}
	work_local(work);
	work_away(work);
	work_part_done(work);
}

static void
begin(struct work *work)
{
	struct arena *arena = work->arena;
	size_t n = work->item.rcpts_len + 1;

	work->is_routed = arena_alloc(arena, n * sizeof(*work->is_routed));
	work->refusals = arena_alloc(arena, n * sizeof(*work->refusals));
	work->is_away = arena_alloc(arena, n * sizeof(*work->is_away));
	work->edges_len = 0;
	work->targets_len = 0;
	work->elsewhere_len = 0;
	table_free(&work->by_account);
	work->by_account = table_new();
	work->next = 0;
	work_route(work);
}

/* What the verdict asks of the queue. */
static void
read_verdict(struct work *work)
{
	struct verdict verdict;

	if (work->item.verdict.len == 0 || verdict_decode(
	    work->item.verdict, work->arena, &verdict, NULL) != 0)
		return;
	work->is_junk = verdict.action == VERDICT_JUNK;
	work->is_quarantined = verdict.action == VERDICT_QUARANTINE;
	work->is_for_admin = verdict.holder == VERDICT_H_ADMIN;
}

void
deliver_item(const struct deliver_env *env, struct arena *arena,
    const struct queue_item *item, int blob_fd, deliver_done *done, void *ctx)
{
	struct work *work = arena_new_of(arena, struct work);
	size_t i;

	work->env = env;
	work->arena = arena;
	work->item = *item;
	work->blob_fd = blob_fd;
	work->done = done;
	work->ctx = ctx;
	work->trace = arena_printf(arena, "Return-Path: <%.*s>\r\n%.*s",
	    STR_FMT(item->sender), STR_FMT(item->trace));
	read_verdict(work);
	if (!env->is_discard) {
		begin(work);
		return;
	}
	for (i = 0; i < work->item.rcpts_len; i++)
		work->item.rcpts[i].state = RCPT_GONE;
	finish(work, false);
}
