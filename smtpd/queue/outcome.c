/* SPDX-License-Identifier: ISC */
/*
 * outcome: what became of a recipient, in the log and in this round's commit.
 * A write that fails ends queued at the commit (store.c), so that memory is
 * never ahead of the disk.
 */
#include "smtpd/queue/work.h"

#include "base/log.h"
#include "base/when.h"
#include "ipc/figures.h"

static void
written(int rc, const struct err *err)
{
	if (rc != 0)
		ev_error(NULL, "queue.change.failed", EV_ERR(err));
}

static void
set(struct work *work, struct queue_rcpt *rcpt)
{
	struct err err = ERR_INIT;

	written(queue_store_rcpt_set(work->env->store, work->item.id, rcpt,
	    &err), &err);
}

void
outcome_gone(struct work *work, size_t i)
{
	struct queue_rcpt *rcpt = &work->item.rcpts[i];
	struct err err = ERR_INIT;

	written(queue_store_rcpt_done(work->env->store, work->item.id,
	    rcpt->n, &err), &err);
	rcpt->state = RCPT_GONE;
}

static uint64_t
delay_ms(const struct work *work)
{
	return (when_wall_us() - work->item.arrived_us) / 1000;
}

static void
count(const struct work *work, const char *name)
{
	figures_count(work->env->figures, STR(""), str_of(name), 1);
}

/* Done, and the sender may want to know. */
static void
success(struct work *work, size_t i, enum rcpt_state state, const char *status)
{
	struct queue_rcpt *rcpt = &work->item.rcpts[i];

	if ((rcpt->notify & QUEUE_N_SUCCESS) == 0) {
		outcome_gone(work, i);
		return;
	}
	rcpt->state = state;
	rcpt->status = str_of(status);
	rcpt->reason = STR("");
	set(work, rcpt);
}

void
outcome_delivered(struct work *work, size_t i)
{
	const struct queue_rcpt *rcpt = &work->item.rcpts[i];

	ev_info(NULL, "queue.rcpt.delivered", EV_U64(queue_id, work->item.id),
	    EV_STR(recipient, rcpt->address),
	    EV_U64(delay_ms, delay_ms(work)));
	count(work, "rcpt.delivered");
	figures_stage(work->env->figures, "delivery", delay_ms(work));
	success(work, i, RCPT_DELIVERED, "2.0.0");
}

void
outcome_relayed(struct work *work, size_t i, struct str remote, bool has_dsn)
{
	struct queue_rcpt *rcpt = &work->item.rcpts[i];

	ev_info(NULL, "queue.rcpt.relayed", EV_U64(queue_id, work->item.id),
	    EV_STR(recipient, rcpt->address), EV_STR(remote, remote),
	    EV_U64(delay_ms, delay_ms(work)));
	count(work, "rcpt.relayed");
	figures_stage(work->env->figures, "relay", delay_ms(work));
	rcpt->remote = arena_str(work->arena, remote);
	if (has_dsn)
		outcome_gone(work, i);
	else
		success(work, i, RCPT_RELAYED, "2.0.0");
}

void
outcome_kept(struct work *work, size_t i)
{
	ev_info(NULL, "queue.rcpt.quarantined",
	    EV_U64(queue_id, work->item.id),
	    EV_STR(recipient, work->item.rcpts[i].address),
	    EV_U64(delay_ms, delay_ms(work)));
	count(work, "rcpt.quarantined");
	/* The sender hears nothing: nobody has it yet. */
	outcome_gone(work, i);
}

static void
tried(struct work *work, struct queue_rcpt *rcpt, enum rcpt_state state,
    const struct outcome *why)
{
	ev_info(NULL, state == RCPT_FAILED ? "queue.rcpt.failed" :
	    "queue.rcpt.waits", EV_U64(queue_id, work->item.id),
	    EV_STR(recipient, rcpt->address), EV_CSTR(status, why->status),
	    EV_STR(remote, why->remote), EV_STR(reason, why->reason));
	if (state == RCPT_FAILED)
		count(work, "rcpt.failed");
	rcpt->state = state;
	rcpt->status = str_of(why->status);
	rcpt->reason = arena_str(work->arena, why->reason);
	rcpt->remote = arena_str(work->arena, why->remote);
	set(work, rcpt);
}

void
outcome_failed(struct work *work, size_t i, const struct outcome *why)
{
	tried(work, &work->item.rcpts[i], RCPT_FAILED, why);
}

void
outcome_deferred(struct work *work, size_t i, const struct outcome *why)
{
	struct outcome expired = *why;

	/* What waits for the quarantine is nobody's to hear of, and stays. */
	if (work->is_quarantined ||
	    delay_ms(work) / 1000 <= work->env->lifetime_s) {
		tried(work, &work->item.rcpts[i], RCPT_DEFERRED, why);
		return;
	}
	/* RFC 3463 section 3.5: delivery time expired. */
	expired.status = "4.4.7";
	tried(work, &work->item.rcpts[i], RCPT_FAILED, &expired);
}
