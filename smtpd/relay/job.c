/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/job.h"

#include <unistd.h>

#include "base/log.h"
#include "base/when.h"
#include "mail/address.h"
#include "smtpd/relay/hosts.h"
#include "smtpd/relay/pool.h"
#include "smtpd/relay/tx.h"

#define RESULT_OVERHEAD 64
#define OCTETS_PER_MS 0.5	/* slower than this is a hand on our slots */

struct job {
	struct list node;
	struct relay *relay;
	struct arena *arena;
	uint64_t id, queue_id;
	struct str domain, domain_ascii;
	struct tx_mail mail;
	struct rcpt *rcpts;
	size_t rcpts_len, rcpts_wanted;
	struct hosts *hosts;
	struct hop hop;			/* being tried */
	struct client *client;
	struct tx *tx;
	unsigned sessions;
	unsigned *tried;		/* by recipient: its last session */
	bool is_alive, is_busy, has_why;
	struct verdict why;		/* the last host's trouble */
	char why_remote[HOP_TEXT_SIZE];
	uint64_t started_ms;
	struct loop_timer timer;
};

static void next_host(struct job *job);
static void begin_tx(struct job *job);

/* ---- results ---- */

static void
log_result(const struct job *job, const struct rcpt *rcpt, struct str tls,
    const char *policy)
{
	static const char *const events[] = {
		[RELAY_R_SENT] = "relay.sent",
		[RELAY_R_TEMP] = "relay.deferred",
		[RELAY_R_FAILED] = "relay.failed",
	};

	ev_info(NULL, events[rcpt->verdict.result],
	    EV_U64(queue_id, job->queue_id), EV_STR(recipient, rcpt->address),
	    EV_STR(sender, job->mail.sender),
	    EV_CSTR(remote, rcpt->remote != NULL ? rcpt->remote : ""),
	    EV_STR(tls, tls), EV_CSTR(policy, policy),
	    EV_CSTR(reason, rcpt->verdict.reason),
	    EV_U64(ms, when_mono_ms() - job->started_ms));
}

static bool
is_due(const struct rcpt *rcpt, bool is_end)
{
	return !rcpt->is_reported && rcpt->has_verdict &&
	    (rcpt->is_final || is_end);
}

static void
put_result(struct ipc_out *out, const struct rcpt *rcpt)
{
	ipc_put_u64(out, rcpt->n);
	ipc_put_u64(out, rcpt->verdict.result);
	ipc_put_bool(out, rcpt->has_dsn);
	ipc_put_str(out, str_of(rcpt->verdict.status));
	ipc_put_str(out, str_of(rcpt->verdict.reason));
}

/* One frame: those that the same host said something about. */
static bool
report_some(struct job *job, bool is_end)
{
	struct str tls = job->client != NULL ? client_tls_text(job->client) :
	    STR_NONE;
	const char *policy = job->hop.policy != NULL ? job->hop.policy : "";
	struct ipc_out *out = NULL;
	const char *remote = "";
	struct rcpt *rcpt;
	size_t i;

	for (i = 0; i < job->rcpts_len; i++) {
		rcpt = &job->rcpts[i];
		if (!is_due(rcpt, is_end))
			continue;
		if (out == NULL) {
			remote = rcpt->remote != NULL ? rcpt->remote : "";
			out = ipc_begin(job->relay->queued, RELAY_RESULT);
			ipc_put_u64(out, job->id);
			ipc_put_str(out, str_of(remote));
		} else if (strcmp(remote, rcpt->remote != NULL ?
		    rcpt->remote : "") != 0 || ipc_room(out) <
		    RELAY_REASON_MAX + RESULT_OVERHEAD) {
			break;
		}
		put_result(out, rcpt);
		rcpt->is_reported = true;
		log_result(job, rcpt, tls, policy);
	}
	if (out != NULL)
		(void)ipc_send(out, -1);
	return out != NULL;
}

/* The remote's name outlives its client. */
static void
keep_remotes(struct job *job)
{
	const char *seen = NULL, *copy = NULL;
	size_t i;

	for (i = 0; i < job->rcpts_len; i++) {
		const char **remote = &job->rcpts[i].remote;

		if (job->client == NULL ||
		    *remote != client_remote(job->client))
			continue;
		if (*remote != seen)
			copy = arena_cstr(job->arena, str_of(*remote));
		seen = *remote;
		*remote = copy;
	}
}

static void
report(struct job *job, bool is_end)
{
	keep_remotes(job);
	while (report_some(job, is_end))
		;
}

/* ---- the end ---- */

static void
job_free(struct job *job)
{
	struct relay *relay = job->relay;

	client_free(&job->client);
	tx_free(&job->tx);
	hosts_free(&job->hosts);
	signer_free(&job->mail.signer);
	letter_free(&job->mail.letter);
	loop_timer_fini(&job->timer);
	list_del(&job->node);
	relay->jobs_len--;
	free(job->rcpts);
	free(job->tried);
	arena_free(&job->arena);
	free(job);
	if (relay->jobs_len == 0 && relay->on_quiet != NULL)
		relay->on_quiet(relay);
}

static enum relay_destination
destination(const struct job *job)
{
	if (job->is_busy)
		return RELAY_D_BUSY;
	/* A domain that is not there at all is no host that is down. */
	return job->is_alive || job->why.result == RELAY_R_FAILED ?
	    RELAY_D_ALIVE : RELAY_D_DEAD;
}

static void
job_end(struct job *job)
{
	struct relay *relay = job->relay;
	struct ipc_out *out;
	size_t i;

	for (i = 0; i < job->rcpts_len; i++) {
		struct rcpt *rcpt = &job->rcpts[i];

		if (rcpt->has_verdict)
			continue;
		rcpt->verdict = job->why;
		rcpt->has_verdict = true;
		rcpt->remote = job->why_remote;
	}
	report(job, true);
	ev_debug(NULL, "relay.job.done", EV_U64(queue_id, job->queue_id),
	    EV_U64(ms, when_mono_ms() - job->started_ms));
	out = ipc_begin(relay->queued, RELAY_DONE);
	ipc_put_u64(out, job->id);
	ipc_put_u64(out, destination(job));
	ipc_put_u64(out, 0);
	(void)ipc_send(out, -1);
	if (!relay->is_stopping) {
		out = ipc_begin(relay->queued, RELAY_READY);
		ipc_put_u64(out, 1);
		(void)ipc_send(out, -1);
	}
	job_free(job);
}

/* ---- hosts ---- */

/* Trouble that may pass stays in front of what would not. */
static void
keep_why(struct job *job, const struct verdict *verdict, const char *remote)
{
	if (job->has_why && job->why.result == RELAY_R_TEMP &&
	    verdict->result != RELAY_R_TEMP)
		return;
	job->why = *verdict;
	job->has_why = true;
	if (remote != job->why_remote)
		(void)snprintf(job->why_remote, sizeof(job->why_remote),
		    "%s", remote);
}

static bool
is_settled(const struct job *job)
{
	size_t i;

	for (i = 0; i < job->rcpts_len; i++)
		if (!job->rcpts[i].is_final)
			return false;
	return true;
}

static void
session_over(struct job *job)
{
	report(job, false);
	if (is_settled(job) || job->sessions >= JOB_SESSIONS_MAX)
		job_end(job);
	else
		next_host(job);
}

static void connect_hop(struct job *job);

static void
on_failed(void *ctx, enum client_end end, const struct verdict *verdict)
{
	struct job *job = ctx;
	struct verdict said = *verdict;
	uint64_t flags = letter_flags(job->mail.letter);

	job->is_alive |= end != CLIENT_UNREACHABLE;
	job->is_busy |= end == CLIENT_BUSY;
	keep_why(job, &said, client_remote(job->client));
	client_free(&job->client);
	if (end == CLIENT_TLS_FAILED && job->hop.tls == HOP_TLS_MAY &&
	    !job->hop.is_implicit) {
		/* RFC 7435: encryption was only a wish. */
		job->hop.tls = HOP_TLS_NONE;
		connect_hop(job);
		return;
	}
	if (end == CLIENT_TLS_FAILED && (flags & QUEUE_F_REQUIRETLS) != 0) {
		verdict_set(&said, RELAY_R_FAILED, "5.7.30",
		    "REQUIRETLS is not possible: %.300s", verdict->reason);
		job->has_why = false;
		keep_why(job, &said, job->why_remote);
	}
	if (end == CLIENT_REFUSED)
		job->sessions++;
	session_over(job);
}

static void
on_ready(void *ctx)
{
	struct job *job = ctx;

	job->is_alive = true;
	job->sessions++;
	begin_tx(job);
}

static const struct client_ops client_ops = {
	.ready = on_ready, .failed = on_failed,
};

static void
connect_hop(struct job *job)
{
	job->client = client_new(job->relay, &job->hop, &client_ops, job);
}

static void
on_hop(void *ctx, const struct hop *hop, const struct verdict *verdict)
{
	struct job *job = ctx;

	if (hop == NULL) {
		if (!job->has_why)
			keep_why(job, verdict, "");
		job_end(job);
		return;
	}
	job->hop = *hop;
	job->hop.queue_id = job->queue_id;
	job->client = pool_take(job->relay->pool, hop, &client_ops, job);
	if (job->client != NULL)
		on_ready(job);
	else
		connect_hop(job);
}

static void
next_host(struct job *job)
{
	hosts_next(job->hosts, on_hop, job);
}

/* ---- transactions ---- */

static void
on_tx_done(void *ctx, enum tx_end end, const struct verdict *verdict)
{
	struct job *job = ctx;

	tx_free(&job->tx);
	report(job, false);
	if (end == TX_OK) {
		begin_tx(job);
		return;
	}
	if (end != TX_STALE)
		keep_why(job, verdict, client_remote(job->client));
	job->is_busy |= end == TX_BUSY;
	client_free(&job->client);
	if (end == TX_STALE) {
		job->sessions--;
		memset(job->tried, 0, job->rcpts_len * sizeof(*job->tried));
		connect_hop(job);
		return;
	}
	session_over(job);
}

/* Those that this host has not been asked about, or had no room for. */
static void
begin_tx(struct job *job)
{
	struct rcpt *some[TX_RCPTS_MAX];
	size_t i, n = 0, max = tx_rcpts_max(job->client);

	for (i = 0; i < job->rcpts_len && n < max; i++) {
		struct rcpt *rcpt = &job->rcpts[i];

		if (rcpt->is_final || (job->tried[i] == job->sessions &&
		    rcpt->has_verdict))
			continue;
		/* What an earlier host said is replaced by this one's word. */
		rcpt->has_verdict = false;
		job->tried[i] = job->sessions;
		some[n++] = rcpt;
	}
	if (n != 0) {
		job->tx = tx_new(job->relay, job->client, &job->mail, some, n,
		    on_tx_done, job);
		return;
	}
	pool_put(job->relay->pool, &job->client);
	session_over(job);
}

/* ---- the beginning ---- */

/* The address for hops without SMTPUTF8: A-labels; empty when it cannot be
 * written so (RFC 6531 section 3.7.1). */
static struct str
ascii_address(struct arena *arena, struct str text)
{
	struct address address;
	struct buf buf;
	struct str ascii = STR_NONE;

	if (!str_has_8bit(text))
		return text;
	if (address_parse(arena, text, ADDRESS_UTF8 | ADDRESS_DOTS, &address,
	    NULL) != 0 || str_has_8bit(address.local))
		return STR_NONE;
	buf_init(&buf, 1024);
	address_put(&buf, &address);
	if (!buf_failed(&buf))
		ascii = arena_str(arena, buf_str(&buf));
	buf_fini(&buf);
	return ascii;
}

/* A host that drags each answer out would keep our slots for hours. */
static void
on_late(void *ctx)
{
	struct job *job = ctx;
	struct verdict verdict;

	verdict_set(&verdict, RELAY_R_TEMP, "4.4.7", "%.300s: too slow: "
	    "given up for now", job->client != NULL ?
	    client_remote(job->client) : "the domain's hosts");
	job->has_why = false;
	keep_why(job, &verdict, job->client != NULL ?
	    client_remote(job->client) : "");
	keep_remotes(job);
	client_free(&job->client);
	tx_free(&job->tx);
	job_end(job);
}

static void
job_start(struct job *job)
{
	uint64_t size = letter_size(job->mail.letter);
	struct str domain;

	loop_timer_start(&job->timer, job->relay->timeouts.job +
	    (uint64_t)((double)size / OCTETS_PER_MS));

	if (address_domain(job->arena, job->domain, ADDRESS_UTF8, &domain,
	    NULL) != 0)
		domain = job->domain;	/* a literal, or DNS will tell */
	job->domain_ascii = domain;
	job->hosts = hosts_new(job->relay, domain,
	    letter_flags(job->mail.letter));
	next_host(job);
}

static struct job *
job_find(struct relay *relay, uint64_t id)
{
	struct job *job, *tmp;

	list_each(job, tmp, &relay->jobs, struct job, node)
		if (job->id == id)
			return job;
	return NULL;
}

static void
take_job(struct relay *relay, struct ipc_in *in)
{
	struct job *job = calloc(1, sizeof(*job)), *half;
	struct str trace, grant;
	uint64_t flags, size;

	invariant(job != NULL);
	job->relay = relay;
	job->arena = arena_new(0);
	job->started_ms = when_mono_ms();
	job->id = ipc_get_u64(in);
	/* There was no room for the rest of it: it comes again whole. */
	half = job_find(relay, job->id);
	if (half != NULL && half->hosts == NULL)
		job_free(half);
	job->queue_id = ipc_get_u64(in);
	job->domain = arena_str(job->arena, ipc_get_str(in));
	job->mail.sender = arena_str(job->arena, ipc_get_str(in));
	flags = ipc_get_u64(in);
	job->mail.envid = arena_str(job->arena, ipc_get_str(in));
	trace = ipc_get_str(in);
	(void)ipc_get_str(in);	/* the summary: the letter is scanned when
				   it has to be recoded, and not otherwise */
	size = ipc_get_u64(in);
	job->rcpts_wanted = (size_t)ipc_get_u64(in);
	grant = ipc_get_str(in);
	if (grant.len != 0 && relay->keyd != NULL)
		job->mail.signer = signer_new(relay, grant, job->queue_id);
	job->mail.sender_ascii = ascii_address(job->arena, job->mail.sender);
	job->mail.letter = letter_new(ipc_take_fd(in), trace, size, flags);
	if (job->rcpts_wanted > JOB_RCPTS_MAX)
		job->rcpts_wanted = JOB_RCPTS_MAX;
	job->rcpts = calloc(job->rcpts_wanted + 1, sizeof(*job->rcpts));
	job->tried = calloc(job->rcpts_wanted + 1, sizeof(*job->tried));
	invariant(job->rcpts != NULL && job->tried != NULL);
	loop_timer_init(&job->timer, relay->loop, on_late, job);
	list_add(&relay->jobs, &job->node);
	relay->jobs_len++;
	verdict_set(&job->why, RELAY_R_TEMP, "4.3.0", "not tried yet");
	ev_debug(NULL, "relay.job.taken", EV_U64(queue_id, job->queue_id),
	    EV_STR(domain, job->domain), EV_U64(count, job->rcpts_wanted));
	if (job->rcpts_wanted == 0)
		job_end(job);
}

static void
take_rcpts(struct relay *relay, struct ipc_in *in)
{
	struct job *job = job_find(relay, ipc_get_u64(in));
	struct rcpt *rcpt;

	if (job == NULL || job->hosts != NULL)
		return;
	while (ipc_more(in) && job->rcpts_len < job->rcpts_wanted) {
		rcpt = &job->rcpts[job->rcpts_len++];
		rcpt->n = ipc_get_u64(in);
		rcpt->address = arena_str(job->arena, ipc_get_str(in));
		rcpt->notify = (unsigned)ipc_get_u64(in);
		rcpt->orcpt = arena_str(job->arena, ipc_get_str(in));
		rcpt->ascii = ascii_address(job->arena, rcpt->address);
	}
	if (job->rcpts_len == job->rcpts_wanted)
		job_start(job);
}

void
job_push(struct relay *relay, unsigned type, struct ipc_in *in)
{
	if (type == RELAY_JOB)
		take_job(relay, in);
	else
		take_rcpts(relay, in);
}

void
job_drop_all(struct relay *relay)
{
	struct job *job, *tmp;

	list_each(job, tmp, &relay->jobs, struct job, node)
		job_free(job);
}

void
job_drop_idle(struct relay *relay)
{
	struct job *job, *tmp;

	list_each(job, tmp, &relay->jobs, struct job, node)
		if (job->tx == NULL)
			job_free(job);
}
