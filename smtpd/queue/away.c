/* SPDX-License-Identifier: ISC */
/* away: to other hosts, a job for each domain. */
#include "smtpd/queue/work.h"

#include "ipc/links.h"
#include "mail/build.h"
#include "smtpd/queue/grants.h"

#define SENDER_DEADLINE_MS 30000

/* A job and the recipients' numbers in the item. */
struct away {
	struct remote_job job;
	struct work *work;
	struct str via;			/* our address that sends it on */
	size_t cap;
	size_t *index;
	size_t index_cap;
	bool *has_result;
	size_t has_result_cap;
};

static struct str
domain_of(struct str address)
{
	size_t at = str_rfind(address, '@');

	return at != STR_NPOS ? str_sub(address, at + 1, address.len) :
	    STR("");
}

static void
on_result(struct remote_job *job, const struct remote_result *result)
{
	struct away *away = job->ctx;
	struct work *work = away->work;
	struct outcome why = { .reason = result->reason,
	    .remote = result->remote };
	struct str status;
	size_t i;

	for (i = 0; i < job->rcpts_len; i++)
		if (job->rcpts[i]->n == result->n)
			break;
	if (i == job->rcpts_len || away->has_result[i] ||
	    !work_rcpt_waits(job->rcpts[i]))
		return;
	work->is_tried = true;
	away->has_result[i] = true;
	status = arena_str(work->arena, result->status);
	if (result->result == RELAY_R_SENT) {
		outcome_relayed(work, away->index[i], result->remote,
		    result->has_dsn);
		return;
	}
	why.status = status.len != 0 ? arena_cstr(work->arena, status) :
	    result->result == RELAY_R_FAILED ? "5.0.0" : "4.0.0";
	if (result->result == RELAY_R_FAILED)
		outcome_failed(work, away->index[i], &why);
	else
		outcome_deferred(work, away->index[i], &why);
}

/* Whoever has no result has been in a relay that ended: it counts as a try,
 * so that a message that kills relays is given up some day. */
static void
on_done(struct remote_job *job, bool was_sent)
{
	struct away *away = job->ctx;
	struct outcome why = { .status = "4.3.0",
	    .reason = STR("the relay has ended before it was sent") };
	size_t i;

	for (i = 0; was_sent && i < job->rcpts_len; i++)
		if (work_rcpt_waits(job->rcpts[i]) &&
		    !away->has_result[i])
			outcome_deferred(away->work, away->index[i], &why);
	work_part_done(away->work);
}

/* A message that a forward sends on says so, which stops circles. */
static struct str
trace_of(struct work *work, const struct queue_rcpt *rcpt)
{
	struct str trace;
	struct buf buf;

	if (rcpt->via.len == 0)
		return work->item.trace;
	buf_init(&buf, 1 << 20);
	build_delivered_to(&buf, rcpt->via);
	buf_add(&buf, work->item.trace.p, work->item.trace.len);
	trace = buf_failed(&buf) ? work->item.trace :
	    arena_str(work->arena, buf_str(&buf));
	buf_fini(&buf);
	return trace;
}

/* One for all jobs of the item, but for those that are sent on. */
static struct str
grant_of(struct work *work, struct str via)
{
	if (via.len != 0)
		return grants_make(work->env->grant_secret, work->arena,
		    &work->item, via);
	if (!work->has_grant)
		work->grant = grants_make(work->env->grant_secret,
		    work->arena, &work->item, STR_NONE);
	work->has_grant = true;
	return work->grant;
}

static struct away *
away_new(struct work *work, const struct queue_rcpt *rcpt)
{
	struct away *away = arena_new_of(work->arena, struct away);

	away->work = work;
	away->via = rcpt->via;
	away->job.item = &work->item;
	away->job.sender = work->item.sender;
	away->job.trace = trace_of(work, rcpt);
	away->job.domain = domain_of(rcpt->address);
	away->job.grant = grant_of(work, rcpt->via);
	away->job.blob_fd = work->blob_fd;
	away->job.on_result = on_result;
	away->job.on_done = on_done;
	away->job.ctx = away;
	return away;
}

static void
away_add(struct work *work, struct away *away, size_t i)
{
	struct remote_job *job = &away->job;

	job->rcpts = work_grown(work->arena, job->rcpts, job->rcpts_len,
	    sizeof(*job->rcpts), &away->cap);
	away->index = work_grown(work->arena, away->index, job->rcpts_len,
	    sizeof(*away->index), &away->index_cap);
	away->has_result = work_grown(work->arena, away->has_result,
	    job->rcpts_len, sizeof(*away->has_result),
	    &away->has_result_cap);
	away->has_result[job->rcpts_len] = false;
	away->index[job->rcpts_len] = i;
	job->rcpts[job->rcpts_len++] = &work->item.rcpts[i];
}

/* The recipients hear why, now. */
static void
defer_all(struct away *away, const char *status, struct str reason)
{
	struct outcome why = { .status = status, .reason = reason };
	size_t i;

	if (why.reason.len == 0)
		why.reason = STR("the destination cannot be reached");
	for (i = 0; i < away->job.rcpts_len; i++)
		outcome_deferred(away->work, away->index[i], &why);
}

static void
hand_over(struct work *work, struct away *away)
{
	int64_t until_s = 0;
	struct str why = STR_NONE;

	switch (remote_send(work->env->remote, &away->job, &until_s, &why)) {
	case REMOTE_TAKEN:
		work->parts++;
		break;
	case REMOTE_WAITS:
		work->is_blocked = true;
		break;
	case REMOTE_DEAD:
		if (work->not_before_s == 0 || until_s < work->not_before_s)
			work->not_before_s = until_s;
		defer_all(away, "4.4.1", why);
		break;
	}
}

static void
on_sender(void *ctx, int code, struct ipc_in *in)
{
	struct away *away = ctx;
	struct work *work = away->work;

	if (code != 0) {
		work->is_tried = true;
		defer_all(away, "4.3.0",
		    STR("the directory does not answer"));
	} else {
		away->job.sender = arena_str(work->arena, ipc_get_str(in));
		hand_over(work, away);
	}
	work_part_done(work);
}

/* What a forward sends on leaves with another sender, directoryd says. */
static void
send_away(struct work *work, struct away *away)
{
	struct ipc_out *out;

	if (away->via.len == 0 || work->item.sender.len == 0) {
		hand_over(work, away);
		return;
	}
	work->parts++;
	out = ipc_begin(work->env->directory, DIR_FORWARD);
	ipc_put_str(out, away->via);
	ipc_put_str(out, work->item.sender);
	(void)ipc_call(out, -1, SENDER_DEADLINE_MS, on_sender, away);
}

void
work_away(struct work *work)
{
	struct table *by_domain = table_new();
	struct queue_rcpt *rcpt;
	struct away *away;
	struct str key, domain;
	size_t i, cursor = 0;

	for (i = 0; i < work->item.rcpts_len; i++) {
		rcpt = &work->item.rcpts[i];
		if (!work->is_away[i] || !work_rcpt_waits(rcpt))
			continue;
		domain = domain_of(rcpt->address);
		key = arena_printf(work->arena, "%.*s %.*s",
		    STR_FMT(rcpt->via),
		    STR_FMT(domain));
		away = table_get(by_domain, key);
		if (away == NULL) {
			away = away_new(work, rcpt);
			table_put(by_domain, key, away);
		}
		away_add(work, away, i);
	}
	while ((away = table_next(by_domain, &cursor, NULL)) != NULL)
		send_away(work, away);
	table_free(&by_domain);
}
