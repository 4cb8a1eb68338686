/* SPDX-License-Identifier: ISC */
/*
 * bounce: what the sender is to hear (RFC 3461, 3464): one report of all that
 * is due when an item's work ends.
 *
 * The report becomes a blob, and in one commit its envelope is added and what
 * it reports is removed: it is sent exactly once, whatever crashes between.
 * Nobody is told about a report (an empty sender): such a recipient is
 * dropped, and the log says so.
 */
#include "smtpd/queue/own.h"
#include "smtpd/queue/work.h"

#include "base/log.h"
#include "base/when.h"
#include "mail/dsn.h"
#include "mail/view.h"

#define HEADER_OCTETS (64U << 10)	/* of a returned header */
#define FULL_OCTETS_MAX (16U << 20)

/* ---- what is due ---- */

static bool
wants(const struct queue_rcpt *rcpt, enum queue_notify what, bool by_default)
{
	return rcpt->notify == 0 ? by_default : (rcpt->notify & what) != 0;
}

static bool
is_late(const struct work *work, const struct queue_rcpt *rcpt)
{
	uint64_t age_s = (when_wall_us() - work->item.arrived_us) / 1000000;

	return !work->is_quarantined && rcpt->state == RCPT_DEFERRED && !rcpt->is_delay_told &&
	    work->env->delay_warning_s != 0 &&
	    age_s >= work->env->delay_warning_s;
}

/* Is this recipient in the report? */
static bool
is_due(const struct work *work, const struct queue_rcpt *rcpt,
    enum dsn_action *action_r)
{
	/* Of a forged sender, most likely. */
	if (work->is_quarantined)
		return false;
	switch (rcpt->state) {
	case RCPT_FAILED:
		*action_r = DSN_FAILED;
		return wants(rcpt, QUEUE_N_FAILURE, true);
	case RCPT_DELIVERED:
		*action_r = DSN_DELIVERED;
		return true;
	case RCPT_RELAYED:
		*action_r = DSN_RELAYED;
		return true;
	case RCPT_EXPANDED:
		*action_r = DSN_EXPANDED;
		return true;
	case RCPT_DEFERRED:
		*action_r = DSN_DELAYED;
		return is_late(work, rcpt) && wants(rcpt, QUEUE_N_DELAY, true);
	case RCPT_QUEUED:
	case RCPT_GONE:
		break;
	}
	return false;
}

static void
log_untold(const struct work *work, const struct queue_rcpt *rcpt)
{
	enum dsn_action action;

	if (rcpt->state == RCPT_FAILED && (work->item.sender.len == 0 ||
	    !is_due(work, rcpt, &action)))
		ev_warn(NULL, "queue.rcpt.dropped",
		    EV_U64(queue_id, work->item.id),
		    EV_STR(recipient, rcpt->address),
		    EV_STR(reason, rcpt->reason),
		    EV_CSTR(detail, work->item.sender.len == 0 ?
		    "there is no sender to tell" :
		    "the sender asked not to be told"));
}

/* What the report (or its absence) settles, in this round's commit. */
static void
settle(struct work *work)
{
	struct queue_rcpt *rcpt;
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < work->item.rcpts_len; i++) {
		rcpt = &work->item.rcpts[i];
		log_untold(work, rcpt);
		if (rcpt->state == RCPT_FAILED ||
		    rcpt->state == RCPT_DELIVERED ||
		    rcpt->state == RCPT_RELAYED ||
		    rcpt->state == RCPT_EXPANDED) {
			outcome_gone(work, i);
		} else if (is_late(work, rcpt)) {
			rcpt->is_delay_told = true;
			if (queue_store_rcpt_set(work->env->store,
			    work->item.id, rcpt, &err) != 0)
				ev_error(NULL, "queue.change.failed",
				    EV_ERR(&err));
		}
	}
}

/* ---- the report ---- */

static struct dsn_rcpt *
due_rcpts(struct work *work, size_t *len_r)
{
	struct dsn_rcpt *rcpts = arena_alloc(work->arena,
	    (work->item.rcpts_len + 1) * sizeof(*rcpts));
	const struct queue_rcpt *rcpt;
	enum dsn_action action;
	size_t i, n = 0;

	for (i = 0; i < work->item.rcpts_len; i++) {
		rcpt = &work->item.rcpts[i];
		if (!is_due(work, rcpt, &action))
			continue;
		rcpts[n++] = (struct dsn_rcpt){ .action = action,
		    .address = rcpt->address, .orcpt = rcpt->orcpt,
		    .status = rcpt->status, .remote = rcpt->remote,
		    .reason = rcpt->reason,
		    .retry_until_s = (int64_t)(work->item.arrived_us /
		    1000000 + work->env->lifetime_s) };
	}
	*len_r = n;
	return rcpts;
}

/* The message is returned whole only when asked for (RFC 3461 section 4.3),
 * when something failed, and when it is not too large. */
static enum dsn_return
how_returned(const struct work *work, const struct mail_view *view,
    const struct dsn *dsn)
{
	size_t i;

	if ((work->item.flags & QUEUE_F_RET_FULL) == 0 ||
	    mail_view_size(view) > work->env->return_octets ||
	    mail_view_size(view) > FULL_OCTETS_MAX)
		return DSN_RETURN_HEADER;
	for (i = 0; i < dsn->rcpts_len; i++)
		if (dsn->rcpts[i].action == DSN_FAILED)
			return DSN_RETURN_FULL;
	return DSN_RETURN_HEADER;
}

static int
put_returned(struct buf *buf, const struct mail_view *view,
    enum dsn_return returned, struct err *err)
{
	uint64_t at = 0, max = returned == DSN_RETURN_FULL ?
	    mail_view_size(view) : HEADER_OCTETS;
	size_t start = buf->len, end, n;
	int rc;

	while (at < max) {
		rc = mail_view_read(view, at, buf_reserve(buf, 16384),
		    16384, &n, err);
		if (rc != 0)
			return rc;
		buf_grow(buf, n);
		at += n;
		if (n == 0)
			break;
	}
	if (returned == DSN_RETURN_FULL)
		return 0;
	end = str_find_str(str_sub(buf_str(buf), start, buf->len),
	    STR("\r\n\r\n"));
	if (end == STR_NPOS)	/* cut where a line ends */
		end = str_rfind(str_sub(buf_str(buf), start, HEADER_OCTETS),
		    '\n');
	buf_truncate(buf, end == STR_NPOS ? start : start + end + 2);
	return 0;
}

static int
compose(struct work *work, struct buf *text, const struct dsn_rcpt *rcpts,
    size_t len, struct err *err)
{
	struct mail_view view = mail_view_of_fd(work->item.trace,
	    work->blob_fd, work->item.size_octets);
	struct dsn dsn = { .hostname = work->env->hostname,
	    .to = work->item.sender, .envid = work->item.envid,
	    .arrived_s = (int64_t)(work->item.arrived_us / 1000000),
	    .now_s = when_wall_s(),
	    .is_utf8 = (work->item.flags & QUEUE_F_UTF8) != 0,
	    .rcpts_len = len, .rcpts = rcpts };
	int rc;

	if (work_blob(work) == -1)
		return err_set(err, ERR_TEMP, "the message cannot be read");
	view.fd = work->blob_fd;
	dsn_boundary(&dsn);
	dsn.returned = how_returned(work, &view, &dsn);
	dsn_begin(text, &dsn);
	rc = put_returned(text, &view, dsn.returned, err);
	dsn_end(text, &dsn);
	if (rc == 0 && buf_failed(text))
		rc = err_set(err, ERR_LIMIT, "the report is too large");
	return rc;
}

static void
settle_due(void *ctx)
{
	settle(ctx);
}

static void
on_queued(void *ctx, uint64_t id, const char *failure)
{
	struct work *work = ctx;

	if (failure != NULL)
		ev_warn(NULL, "queue.bounce.later",
		    EV_U64(queue_id, work->item.id),
		    EV_CSTR(reason, failure));
	else
		ev_info(NULL, "queue.bounce.sent",
		    EV_U64(queue_id, work->item.id), EV_U64(count, id),
		    EV_STR(recipient, work->item.sender));
	work_bounced(work, failure == NULL);
}

static void
report(struct work *work, const struct dsn_rcpt *rcpts, size_t len)
{
	struct own_mail mail = { .to = work->item.sender,
	    .flags = QUEUE_F_DSN | QUEUE_F_8BIT |
	    (work->item.flags & QUEUE_F_UTF8),
	    .settle = settle_due, .done = on_queued, .ctx = work };
	struct err err = ERR_INIT;

	buf_init(&mail.text, FULL_OCTETS_MAX + (16U << 20));
	if (compose(work, &mail.text, rcpts, len, &err) != 0) {
		buf_fini(&mail.text);
		on_queued(work, 0, err_text(&err));
		return;
	}
	own_submit(work->env, &mail);
}

void
work_bounce(struct work *work)
{
	struct dsn_rcpt *rcpts;
	size_t len;

	rcpts = due_rcpts(work, &len);
	if (len != 0 && work->item.sender.len != 0) {
		report(work, rcpts, len);
		return;
	}
	settle(work);
	work_bounced(work, true);
}
