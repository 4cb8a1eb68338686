/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/remote.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/table.h"
#include "base/when.h"

#define JOBS_FIRST 5
#define JOBS_MAX 20
#define FAILURES_BEFORE_DEAD 2	/* jobs in a row that reached nobody */
#define SLOTS_MAX 10000
#define REASON_MAX 500
#define ROOM_FOR_RCPTS 1024
#define PUMP_MS 200
#define SWEEP_FIRST 10000
#define LOOK_MS 1000

struct destination {
	size_t active;		/* jobs taken */
	size_t limit;
	unsigned failures;	/* in a row */
	int64_t dead_until_s;
	char reason[REASON_MAX + 1];
	uint64_t *line;		/* items that wait, a ring */
	struct table *in_line;	/* the same, each once */
	size_t line_at;
	size_t line_len;
	size_t line_cap;
};

struct relay {
	struct list node;
	struct remote *remote;
	struct ipc_link *link;
	struct list jobs;
	uint64_t slots;
	bool is_ready;
};

struct remote {
	struct loop *loop;
	void (*wake)(void *ctx, uint64_t id);
	void *wake_ctx;
	struct table *destinations;
	struct table *jobs;		/* pushed: id -> job */
	struct table *routed;		/* domains with a route of their own */
	struct list ready;		/* jobs without a relay yet */
	struct list relays;
	struct loop_timer pump_timer;
	struct loop_timer look_timer;
	size_t look_at;			/* where in the destinations */
	size_t taken;			/* jobs of all destinations */
	uint64_t next_job;
	size_t sweep_at;
	struct remote_settings settings;
	bool is_stopping;
};

/* ---- the line of a destination ---- */

/* An item that is woken by another destination's line stands here still. */
static void
line_add(struct destination *to, uint64_t id)
{
	uint64_t *more;
	size_t cap, i;

	if (to->in_line == NULL)
		to->in_line = table_new();
	if (table_put_u64(to->in_line, id, to) != NULL)
		return;
	if (to->line_len == to->line_cap) {
		cap = to->line_cap != 0 ? to->line_cap * 2 : 8;
		more = calloc(cap, sizeof(*more));
		invariant(more != NULL);
		for (i = 0; i < to->line_len; i++)
			more[i] = to->line[(to->line_at + i) % to->line_cap];
		free(to->line);
		to->line = more;
		to->line_cap = cap;
		to->line_at = 0;
	}
	to->line[(to->line_at + to->line_len++) % to->line_cap] = id;
}

static uint64_t
line_take(struct destination *to)
{
	uint64_t id = to->line[to->line_at];

	to->line_at = (to->line_at + 1) % to->line_cap;
	table_del_u64(to->in_line, id);
	if (--to->line_len == 0) {
		table_free(&to->in_line);
		free(to->line);
		to->line = NULL;
		to->line_cap = 0;
		to->line_at = 0;
	}
	return id;
}

/*
 * Let as many come as there is room for. Some may not want it any more
 * (sent, removed or held meanwhile): a second look is taken at a line that
 * is not empty, so that nobody stands behind them for ever.
 */
static size_t
line_wake(struct remote *remote, struct destination *to, size_t max)
{
	size_t room = to->limit > to->active ? to->limit - to->active : 0;
	size_t n;

	if (list_is_empty(&remote->relays) || remote->is_stopping)
		return 0;
	if (room > max)
		room = max;
	for (n = 0; to->line_len != 0 && n < room; n++)
		remote->wake(remote->wake_ctx, line_take(to));
	if (to->line_len != 0 && to->active < to->limit &&
	    !loop_timer_is_set(&remote->look_timer))
		loop_timer_start(&remote->look_timer, LOOK_MS);
	return n;
}

static size_t
room_of_all(const struct remote *remote)
{
	return remote->taken < REMOTE_JOBS_MAX ?
	    REMOTE_JOBS_MAX - remote->taken : 0;
}

/* All lines, from where the last look ended. */
static void
look(void *arg)
{
	struct remote *remote = arg;
	size_t room = room_of_all(remote), cursor = remote->look_at;
	size_t left = table_count(remote->destinations);
	struct destination *to;

	while (left-- != 0) {
		to = table_next(remote->destinations, &cursor, NULL);
		if (to == NULL) {
			cursor = 0;
			to = table_next(remote->destinations, &cursor, NULL);
		}
		if (to == NULL)
			break;
		room -= line_wake(remote, to, room);
		if (room == 0)
			break;
	}
	remote->look_at = cursor;
}

/* ---- destinations ---- */

static void
destination_free(struct destination *to)
{
	table_free(&to->in_line);
	free(to->line);
	free(to);
}

/* Forget destinations nothing is to be remembered of. */
static void
sweep(struct remote *remote)
{
	int64_t now = when_wall_s();
	struct destination *to;
	size_t cursor = 0;
	struct str name;

	if (table_count(remote->destinations) < remote->sweep_at)
		return;
	while ((to = table_next(remote->destinations, &cursor, &name))
	    != NULL) {
		if (to->active != 0 || to->line_len != 0 ||
		    to->dead_until_s + (int64_t)remote->settings.retry_last_s > now)
			continue;
		table_del(remote->destinations, name);
		destination_free(to);
	}
	remote->sweep_at = table_count(remote->destinations) * 2;
	if (remote->sweep_at < SWEEP_FIRST)
		remote->sweep_at = SWEEP_FIRST;
}

static struct destination *
destination_of(struct remote *remote, struct str domain)
{
	struct destination *to;

	if (remote->settings.has_smart_host &&
	    table_get(remote->routed, domain) == NULL)
		domain = STR("");
	to = table_get(remote->destinations, domain);
	if (to != NULL)
		return to;
	sweep(remote);
	to = calloc(1, sizeof(*to));
	invariant(to != NULL);
	to->limit = JOBS_FIRST;
	table_put(remote->destinations, domain, to);
	return to;
}

static void
destination_fails(struct remote *remote, struct destination *to)
{
	uint64_t wait_s = remote->settings.retry_first_s;
	unsigned i;

	if (++to->failures < FAILURES_BEFORE_DEAD)
		return;
	for (i = FAILURES_BEFORE_DEAD; i < to->failures &&
	    wait_s < remote->settings.retry_last_s; i++)
		wait_s *= 2;
	if (wait_s > remote->settings.retry_last_s)
		wait_s = remote->settings.retry_last_s;
	to->dead_until_s = when_wall_s() + (int64_t)wait_s;
	to->limit = 1;
	/* Those in line hear it now, and come again when it is tried. */
	while (to->line_len != 0)
		remote->wake(remote->wake_ctx, line_take(to));
}

static void
destination_answered(struct destination *to, enum relay_destination how)
{
	if (how == RELAY_D_BUSY)
		to->limit = to->limit > 1 ? to->limit / 2 : 1;
	else if (to->failures != 0 && to->limit < JOBS_FIRST)
		to->limit = JOBS_FIRST;
	else if (to->limit < JOBS_MAX)
		to->limit++;
	to->failures = 0;
	to->dead_until_s = 0;
	to->reason[0] = '\0';
}

/* ---- jobs ---- */

static void
job_end(struct remote *remote, struct remote_job *job)
{
	bool was_sent = job->relay != NULL;

	if (was_sent)
		table_del_u64(remote->jobs, job->id);
	/* Room for all lines, not only for this one's. */
	if (remote->taken-- == REMOTE_JOBS_MAX)
		loop_timer_start(&remote->look_timer, 0);
	list_del(&job->node);
	job->relay = NULL;
	job->on_done(job, was_sent);
}

static int
push_rcpts(struct relay *relay, const struct remote_job *job)
{
	const struct queue_rcpt *rcpt;
	struct ipc_out *out;
	size_t i = 0;
	int rc = 0;

	while (rc == 0 && i < job->rcpts_len) {
		out = ipc_begin(relay->link, RELAY_JOB_RCPTS);
		ipc_put_u64(out, job->id);
		for (; i < job->rcpts_len; i++) {
			rcpt = job->rcpts[i];
			if (ipc_room(out) < rcpt->address.len +
			    rcpt->orcpt.len + 64)
				break;
			ipc_put_u64(out, rcpt->n);
			ipc_put_str(out, rcpt->address);
			ipc_put_u64(out, rcpt->notify);
			ipc_put_str(out, rcpt->orcpt);
		}
		rc = ipc_send(out, -1);
	}
	return rc;
}

static int
push(struct relay *relay, const struct remote_job *job)
{
	const struct queue_item *item = job->item;
	struct ipc_out *out = ipc_begin(relay->link, RELAY_JOB);
	struct str summary = item->summary;
	int rc;

	ipc_put_u64(out, job->id);
	ipc_put_u64(out, item->id);
	ipc_put_str(out, job->domain);
	ipc_put_str(out, job->sender);
	ipc_put_u64(out, item->flags);
	ipc_put_str(out, item->envid);
	ipc_put_str(out, job->trace);
	/* The relay can make a summary itself. */
	if (summary.len + job->grant.len + 64 > ipc_room(out))
		summary = STR("");
	ipc_put_str(out, summary);
	ipc_put_u64(out, item->size_octets);
	ipc_put_u64(out, job->rcpts_len);
	ipc_put_str(out, job->grant);
	rc = ipc_send(out, job->blob_fd);
	return rc != 0 ? rc : push_rcpts(relay, job);
}

static struct relay *
relay_with_room(struct remote *remote)
{
	struct relay *it, *tmp, *best = NULL;

	list_each(it, tmp, &remote->relays, struct relay, node)
		if (it->slots != 0 && (best == NULL ||
		    it->slots > best->slots))
			best = it;
	return best;
}

static void
pump(void *arg)
{
	struct remote *remote = arg;
	struct remote_job *job;
	struct relay *relay;

	while (!list_is_empty(&remote->ready) &&
	    (relay = relay_with_room(remote)) != NULL) {
		job = list_entry(remote->ready.next, struct remote_job, node);
		if (push(relay, job) != 0) {
			/* It does not read. The job is pushed anew, whatever
			 * of it went: its slots are still what it said. */
			loop_timer_start(&remote->pump_timer, PUMP_MS);
			return;
		}
		relay->slots--;
		list_del(&job->node);
		list_add(&relay->jobs, &job->node);
		job->relay = relay;
		table_put_u64(remote->jobs, job->id, job);
	}
}

enum remote_answer
remote_send(struct remote *remote, struct remote_job *job, int64_t *until_r,
    struct str *why_r)
{
	struct destination *to = destination_of(remote, job->domain);

	if (to->dead_until_s > when_wall_s()) {
		*until_r = to->dead_until_s;
		*why_r = str_of(to->reason);
		return REMOTE_DEAD;
	}
	/* Without a relay it stands in line until there is one. */
	if (to->active >= to->limit || remote->is_stopping ||
	    remote->taken >= REMOTE_JOBS_MAX ||
	    list_is_empty(&remote->relays)) {
		line_add(to, job->item->id);
		return REMOTE_WAITS;
	}
	to->active++;
	remote->taken++;
	job->to = to;
	job->id = ++remote->next_job;
	job->relay = NULL;
	list_add(&remote->ready, &job->node);
	loop_timer_start(&remote->pump_timer, 0);
	return REMOTE_TAKEN;
}

void
remote_forgive(struct remote *remote)
{
	struct destination *to;
	size_t cursor = 0;

	while ((to = table_next(remote->destinations, &cursor, NULL)) !=
	    NULL) {
		to->dead_until_s = 0;
		if (to->failures != 0)
			to->limit = JOBS_FIRST;
		(void)line_wake(remote, to, room_of_all(remote));
	}
}

/* ---- frames of a relay ---- */

static struct remote_job *
job_of(struct ipc_link *link, uint64_t id)
{
	struct relay *relay = ipc_link_ctx(link);
	struct remote_job *job = table_get_u64(relay->remote->jobs, id);

	/* Another relay's job is none of its business. */
	return job != NULL && job->relay == relay ? job : NULL;
}

static void
on_ready(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct relay *relay = ipc_link_ctx(link);
	uint64_t slots = ipc_get_u64(in);

	(void)req;
	if (slots > SLOTS_MAX || relay->slots + slots > SLOTS_MAX)
		slots = SLOTS_MAX - relay->slots;
	/* Who waited for a relay may come. */
	if (!relay->is_ready)
		loop_timer_start(&relay->remote->look_timer, 0);
	relay->is_ready = true;
	relay->slots += slots;
	loop_timer_start(&relay->remote->pump_timer, 0);
}

/* Text of a hostile host: one line, printable, UTF-8. */
static struct str
clean(struct str s)
{
	s = str_sub(s, 0, REASON_MAX);
	/* A cut may have gone through a character. */
	while (s.len != 0 && !str_is_utf8(s))
		s.len--;
	return str_is_text(s) ? s : STR("");
}

static void
on_result(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct remote_job *job = job_of(link, ipc_get_u64(in));
	struct str host = clean(ipc_get_str(in));
	struct remote_result result;
	uint64_t n, code;

	(void)req;
	while (job != NULL && ipc_more(in)) {
		n = ipc_get_u64(in);
		code = ipc_get_u64(in);
		result.has_dsn = ipc_get_bool(in);
		result.status = clean(ipc_get_str(in));
		result.reason = clean(ipc_get_str(in));
		if (n > UINT32_MAX || code > RELAY_R_FAILED)
			continue;
		result.n = (uint32_t)n;
		result.result = (enum relay_result)code;
		result.remote = host;
		if (result.result != RELAY_R_SENT)
			(void)snprintf(job->to->reason,
			    sizeof(job->to->reason), "%.*s",
			    STR_FMT(result.reason));
		job->on_result(job, &result);
	}
}

static void
on_done(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct relay *relay = ipc_link_ctx(link);
	struct remote *remote = relay->remote;
	struct remote_job *job = job_of(link, ipc_get_u64(in));
	uint64_t how = ipc_get_u64(in), retry_after_s = ipc_get_u64(in);
	struct destination *to;

	(void)req;
	if (job == NULL)
		return;
	to = job->to;
	to->active--;
	if (how == RELAY_D_DEAD) {
		destination_fails(remote, to);
		ev_info(NULL, "queue.destination.unreachable",
		    EV_STR(domain, job->domain),
		    EV_U64(count, to->failures),
		    EV_CSTR(reason, to->reason));
	} else {
		destination_answered(to, (enum relay_destination)how);
	}
	if (retry_after_s != 0 && retry_after_s <= remote->settings.retry_last_s)
		to->dead_until_s = when_wall_s() + (int64_t)retry_after_s;
	job_end(remote, job);
	(void)line_wake(remote, to, room_of_all(remote));
}

static ipc_handler *const handlers[] = {
	[RELAY_READY] = on_ready,
	[RELAY_JOB] = NULL,
	[RELAY_JOB_RCPTS] = NULL,
	[RELAY_RESULT] = on_result,
	[RELAY_DONE] = on_done,
};

static void
on_gone(void *ctx, struct ipc_link *link)
{
	struct relay *relay = ctx;
	struct remote *remote = relay->remote;
	struct remote_job *job;
	struct destination *to;

	ipc_link_free(&link);
	list_del(&relay->node);
	while (!list_is_empty(&relay->jobs)) {
		job = list_entry(relay->jobs.next, struct remote_job, node);
		to = job->to;
		to->active--;
		job_end(remote, job);
		(void)line_wake(remote, to, room_of_all(remote));
	}
	free(relay);
}

void
remote_client(struct remote *remote, struct str peer, int fd)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	invariant(relay != NULL);
	relay->remote = remote;
	list_init(&relay->jobs);
	list_add(&remote->relays, &relay->node);
	relay->link = ipc_serve(remote->loop, &ipc_relay, fd, peer, handlers,
	    relay, on_gone);
}

/* ---- life ---- */

struct remote *
remote_new(struct loop *loop, void (*wake)(void *ctx, uint64_t id), void *ctx)
{
	struct remote *remote = calloc(1, sizeof(*remote));

	invariant(remote != NULL);
	remote->loop = loop;
	remote->wake = wake;
	remote->wake_ctx = ctx;
	remote->destinations = table_new();
	remote->jobs = table_new();
	remote->routed = table_new();
	remote->sweep_at = SWEEP_FIRST;
	list_init(&remote->ready);
	list_init(&remote->relays);
	loop_timer_init(&remote->pump_timer, loop, pump, remote);
	loop_timer_init(&remote->look_timer, loop, look, remote);
	return remote;
}

void
remote_config(struct remote *remote, const struct remote_settings *settings)
{
	remote->settings = *settings;
	table_free(&remote->routed);
	remote->routed = table_new();
}

void
remote_route(struct remote *remote, struct str domain)
{
	table_put(remote->routed, domain, remote);
}

void
remote_stop(struct remote *remote)
{
	struct remote_job *job;

	remote->is_stopping = true;
	while (!list_is_empty(&remote->ready)) {
		job = list_entry(remote->ready.next, struct remote_job, node);
		job->to->active--;
		job_end(remote, job);
	}
}

void
remote_free(struct remote **remote)
{
	struct remote *r = *remote;
	struct destination *to;
	struct relay *relay;
	size_t cursor = 0;

	if (r == NULL)
		return;
	while (!list_is_empty(&r->relays)) {
		relay = list_entry(r->relays.next, struct relay, node);
		invariant(list_is_empty(&relay->jobs));
		list_del(&relay->node);
		ipc_link_free(&relay->link);
		free(relay);
	}
	while ((to = table_next(r->destinations, &cursor, NULL)) != NULL)
		destination_free(to);
	table_free(&r->destinations);
	table_free(&r->jobs);
	table_free(&r->routed);
	loop_timer_fini(&r->pump_timer);
	loop_timer_fini(&r->look_timer);
	free(r);
	*remote = NULL;
}
