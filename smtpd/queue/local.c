/* SPDX-License-Identifier: ISC */
/* local: into mailboxes, by mboxd, in frames of up to 64 accounts. */
#include "smtpd/queue/work.h"

#include "base/when.h"
#include "ipc/links.h"

#define DELIVER_BATCH 64
#define DELIVER_DEADLINE_MS 300000
#define REASON_MAX 200

/* A delivery frame under way. */
struct frame {
	struct work *work;
	size_t from;
	size_t to;
};

/* ---- what became of each recipient ---- */

/* What an account's answer means, the worst last. */
static const struct {
	bool is_final;
	const char *status;
	struct str reason;
} meanings[] = {
	[MBOX_R_DELIVERED] = { false, "2.0.0", { "", 0 } },
	[MBOX_R_FULL] = { false, "4.2.2", { "mailbox full", 12 } },
	[MBOX_R_TEMP] = { false, "4.3.0", { "try again", 9 } },
	[MBOX_R_GONE] = { true, "5.1.1", { "no such account", 15 } },
};

static void
tell(struct work *work, size_t i, const struct target *worst)
{
	uint64_t age_s = (when_wall_us() - work->item.arrived_us) / 1000000;
	struct outcome why = { .status = meanings[worst->result].status,
	    .reason = worst->reason.len != 0 ? worst->reason :
	    meanings[worst->result].reason };

	if (worst->result == MBOX_R_DELIVERED &&
	    work->refusals[i].p != NULL) {
		/* One of several targets is nobody (any more). */
		why.status = "5.1.1";
		why.reason = work->refusals[i];
		outcome_failed(work, i, &why);
	} else if (worst->result == MBOX_R_DELIVERED) {
		outcome_delivered(work, i);
	} else if (worst->result == MBOX_R_FULL &&
	    age_s > work->env->quota_grace_s) {
		why.status = "5.2.2";
		outcome_failed(work, i, &why);
	} else if (meanings[worst->result].is_final) {
		outcome_failed(work, i, &why);
	} else {
		outcome_deferred(work, i, &why);
	}
}

/* All answers are in: a recipient has the worst of its accounts' answers. */
static void
settle(struct work *work)
{
	struct target **worst = arena_alloc(work->arena,
	    (work->item.rcpts_len + 1) * sizeof(struct target *));
	struct target *target;
	size_t i, rcpt;

	for (i = 0; i < work->edges_len; i++) {
		rcpt = work->edges[i].rcpt;
		target = &work->targets[work->edges[i].target];
		if (worst[rcpt] == NULL || target->result >
		    worst[rcpt]->result)
			worst[rcpt] = target;
	}
	for (i = 0; i < work->item.rcpts_len; i++)
		if (worst[i] != NULL)
			tell(work, i, worst[i]);
}

/* ---- frames ---- */

static void
frame_done(struct work *work)
{
	if (--work->next != 0)
		return;
	settle(work);
	work_part_done(work);
}

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
		target->result = MBOX_R_TEMP;
		target->reason = STR("the mailboxes do not answer");
		if (code != 0 || !ipc_more(in))
			continue;
		account = ipc_get_u64(in);
		result = ipc_get_u64(in);
		reason = ipc_get_str(in);
		if (account != target->account || result > MBOX_R_GONE)
			continue;
		target->result = result;
		target->reason = arena_str(work->arena,
		    str_sub(reason, 0, REASON_MAX));
	}
	frame_done(work);
}

static size_t
send_frame(struct work *work, size_t from, size_t to)
{
	struct ipc_out *out = ipc_begin(work->env->mailboxes, MBOX_DELIVER);
	struct frame *frame = arena_new_of(work->arena, struct frame);
	size_t i;

	frame->work = work;
	frame->from = from;
	ipc_put_u64(out, work->item.id);
	ipc_put_str(out, work->trace);
	ipc_put_str(out, work->item.summary);
	ipc_put_u64(out, work->item.size_octets);
	ipc_put_str(out, work->item.sha256);
	ipc_put_u64(out, work->item.arrived_us);
	ipc_put_bool(out, work->is_junk);
	for (i = from; i < to; i++) {
		/* Number, length and tags of one more row; at least one. */
		if (i != from &&
		    ipc_room(out) < work->targets[i].address.len + 32)
			break;
		ipc_put_u64(out, work->targets[i].account);
		ipc_put_str(out, work->targets[i].address);
	}
	frame->to = i;
	work->next++;
	(void)ipc_call(out, work->blob_fd, DELIVER_DEADLINE_MS, on_delivered,
	    frame);
	return i;
}

void
work_local(struct work *work)
{
	size_t at = 0, to;

	if (work->targets_len == 0)
		return;
	work->parts++;
	work->is_tried = true;
	/* next counts the frames under way, and this function. */
	work->next = 1;
	while (at < work->targets_len) {
		to = at + DELIVER_BATCH;
		at = send_frame(work, at, to < work->targets_len ? to :
		    work->targets_len);
	}
	frame_done(work);
}
