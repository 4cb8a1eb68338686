/* SPDX-License-Identifier: ISC */
/*
 * dispatch: one MBOX_DELIVER on its way: limits of all its accounts, then one
 * frame for each owner, then the answers in the order asked.
 */
#include "mboxd/broker.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"

#define DEADLINE_MS 280000
#define REASON_MAX 200
#define ROW_OCTETS 32		/* numbers, length and tags of a row */
#define PENDING_HIGH (64ULL << 20)
#define PENDING_LOW (32ULL << 20)

struct row {
	struct waiter waiter;
	struct delivery *delivery;
	uint64_t account;
	uint64_t quota_octets;
	struct str recipient;
	struct kid *kid;		/* that it goes to, until it is sent */
	enum mbox_result result;
	struct str reason;
};

struct delivery {
	struct broker *broker;
	struct ipc_req *req;
	struct arena *arena;
	int blob_fd;
	uint64_t queue_id;
	struct str trace;
	struct str summary;
	uint64_t size_octets;
	struct str sha256;
	uint64_t arrived_us;
	bool is_junk;
	struct row *rows;
	size_t rows_len;
	size_t asking;		/* rows without limits */
	size_t open;		/* rows without a result */
	size_t pending_octets;
};

/* A frame under way. */
struct sent {
	struct delivery *delivery;
	struct kid *kid;
	size_t len;
	struct row *rows[];
};

/* ---- the answer ---- */

static void
set_paused(struct broker *broker, bool is_paused)
{
	struct front *front, *tmp;

	list_each(front, tmp, &broker->fronts, struct front, node)
		if (str_eq(ipc_link_peer(front->link), STR("queued")))
			ipc_link_pause(front->link, is_paused);
}

static void
answer(struct delivery *d)
{
	struct ipc_out *out = ipc_reply_begin(d->req);
	struct broker *broker = d->broker;
	struct arena *arena = d->arena;
	size_t i;

	for (i = 0; i < d->rows_len; i++) {
		ipc_put_u64(out, d->rows[i].account);
		ipc_put_u64(out, d->rows[i].result);
		ipc_put_str(out, d->rows[i].reason);
	}
	ipc_reply_end(out, -1);
	if (broker->pending_octets >= PENDING_LOW &&
	    broker->pending_octets - d->pending_octets < PENDING_LOW)
		set_paused(broker, false);
	broker->pending_octets -= d->pending_octets;
	(void)close(d->blob_fd);
	arena_free(&arena);
}

static void
rows_done(struct delivery *d, size_t n)
{
	d->open -= n;
	if (d->open == 0)
		answer(d);
}

/* ---- frames ---- */

static void
on_delivered(void *ctx, int code, struct ipc_in *in)
{
	struct sent *sent = ctx;
	struct delivery *d = sent->delivery;
	struct row *row;
	uint64_t account, result;
	struct str reason;
	size_t i;

	kid_leave(sent->kid);
	for (i = 0; i < sent->len; i++) {
		row = sent->rows[i];
		row->reason = STR("the mailbox does not answer");
		if (code != 0 || !ipc_more(in))
			continue;
		account = ipc_get_u64(in);
		result = ipc_get_u64(in);
		reason = ipc_get_str(in);
		if (account != row->account || result > MBOX_R_GONE)
			continue;
		row->result = (enum mbox_result)result;
		row->reason = arena_str(d->arena, str_sub(reason, 0,
		    REASON_MAX));
	}
	rows_done(d, sent->len);
}

static struct ipc_out *
frame_begin(struct delivery *d, struct kid *kid)
{
	struct ipc_out *out = ipc_begin(kid->link, ACCOUNT_DELIVER);

	ipc_put_u64(out, d->queue_id);
	ipc_put_str(out, d->trace);
	ipc_put_str(out, d->summary);
	ipc_put_u64(out, d->size_octets);
	ipc_put_str(out, d->sha256);
	ipc_put_u64(out, d->arrived_us);
	ipc_put_bool(out, d->is_junk);
	return out;
}

/* One frame with what goes to the kid of rows[from], as far as it fits. */
static void
send_frame(struct delivery *d, size_t from)
{
	struct kid *kid = d->rows[from].kid;
	struct ipc_out *out = frame_begin(d, kid);
	struct sent *sent = arena_alloc(d->arena, sizeof(*sent) +
	    (d->rows_len - from) * sizeof(sent->rows[0]));
	struct row *row;
	size_t i;

	sent->delivery = d;
	sent->kid = kid;
	for (i = from; i < d->rows_len; i++) {
		row = &d->rows[i];
		if (row->kid != kid)
			continue;
		if (sent->len != 0 &&
		    ipc_room(out) < row->recipient.len + ROW_OCTETS)
			break;
		ipc_put_u64(out, row->account);
		ipc_put_u64(out, row->quota_octets);
		ipc_put_str(out, row->recipient);
		sent->rows[sent->len++] = row;
		row->kid = NULL;
	}
	kid_enter(kid);
	(void)ipc_call(out, d->blob_fd, DEADLINE_MS, on_delivered, sent);
}

/* The account has got an owner again. */
static void
on_owner(struct waiter *waiter, struct acct *acct, int code)
{
	struct row *row = (struct row *)(void *)waiter;
	struct delivery *d = row->delivery;

	if (code != 0) {
		row->result = code == ERR_NOTFOUND ? MBOX_R_GONE : MBOX_R_TEMP;
		row->reason = STR("the account is not available");
		rows_done(d, 1);
		return;
	}
	row->kid = acct_owner(acct);
	send_frame(d, (size_t)(row - d->rows));
}

/* All limits are known (or their rows done). open is held above zero. */
static void
dispatch(struct delivery *d)
{
	struct acct *acct;
	size_t i;

	d->open++;
	for (i = 0; i < d->rows_len; i++) {
		struct row *row = &d->rows[i];

		if (row->reason.p != NULL)
			continue;
		acct = acct_get(d->broker, row->account);
		row->kid = acct_owner(acct);
		if (row->kid != NULL)
			continue;
		row->waiter.go = on_owner;
		acct_wait(acct, &row->waiter, NEEDS_OWNER);
	}
	for (i = 0; i < d->rows_len; i++)
		if (d->rows[i].kid != NULL)
			send_frame(d, i);
	rows_done(d, 1);
}

/* ---- limits ---- */

static void
on_limits(struct waiter *waiter, struct acct *acct, int code)
{
	struct row *row = (struct row *)(void *)waiter;
	struct delivery *d = row->delivery;

	if (code == 0) {
		row->quota_octets = acct->quota_octets;
		acct_release(acct);
	} else {
		row->result = code == ERR_NOTFOUND ? MBOX_R_GONE : MBOX_R_TEMP;
		row->reason = code == ERR_NOTFOUND ? STR("no such account") :
		    STR("the directory does not answer");
		d->open--;
	}
	if (--d->asking == 0)
		dispatch(d);
}

/* ---- entry ---- */

static void
read_head(struct delivery *d, struct ipc_in *in)
{
	d->queue_id = ipc_get_u64(in);
	d->trace = ipc_get_str(in);
	d->summary = ipc_get_str(in);
	d->size_octets = ipc_get_u64(in);
	d->sha256 = ipc_get_str(in);
	d->arrived_us = ipc_get_u64(in);
	d->is_junk = ipc_get_bool(in);
}

static struct delivery *
delivery_new(struct broker *broker, struct ipc_req *req, struct ipc_in *in)
{
	struct arena *arena = arena_new(8192);
	struct delivery *d = arena_new_of(arena, struct delivery);
	struct row *row;

	d->broker = broker;
	d->req = req;
	d->arena = arena;
	d->blob_fd = ipc_take_fd(in);
	read_head(d, in);
	for (; ipc_more(in); d->rows_len++) {
		(void)ipc_get_u64(in);
		(void)ipc_get_str(in);
	}
	ipc_rewind(in);
	read_head(d, in);
	d->trace = arena_str(arena, d->trace);
	d->summary = arena_str(arena, d->summary);
	d->sha256 = arena_str(arena, d->sha256);
	d->rows = arena_alloc(arena, (d->rows_len + 1) * sizeof(*d->rows));
	for (row = d->rows; ipc_more(in); row++) {
		row->delivery = d;
		row->account = ipc_get_u64(in);
		row->recipient = arena_str(arena, ipc_get_str(in));
		row->result = MBOX_R_TEMP;
	}
	return d;
}

static void
refuse_all(struct delivery *d)
{
	size_t i;

	for (i = 0; i < d->rows_len; i++)
		d->rows[i].reason = STR("the mailboxes are closed");
	answer(d);
}

void
deliver_begin(struct broker *broker, struct ipc_req *req, struct ipc_in *in)
{
	struct delivery *d = delivery_new(broker, req, in);
	size_t i;

	d->pending_octets = arena_used(d->arena);
	broker->pending_octets += d->pending_octets;
	if (broker->pending_octets > PENDING_HIGH)
		set_paused(broker, true);
	if (broker->is_stopping || broker->is_flush_lost) {
		refuse_all(d);
		return;
	}
	d->open = d->rows_len;
	d->asking = d->rows_len + 1;
	for (i = 0; i < d->rows_len; i++) {
		struct row *row = &d->rows[i];

		row->waiter.go = on_limits;
		acct_wait(acct_get(broker, row->account), &row->waiter,
		    NEEDS_LIMITS);
	}
	if (--d->asking == 0)
		dispatch(d);
}
