/* SPDX-License-Identifier: ISC */
/*
 * host: one session in an account process: the stream to its front, the
 * engine on it, parking.
 */
#include "mboxd/process.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/when.h"
#include "mboxd/engines.h"

#define IN_MAX (64U << 10)
#define OUT_MAX (8U << 20)	/* a step stops at its slice, or a little over */
#define OUT_FULL ENGINE_SLICE_OCTETS
#define OUT_LOW (64U << 10)
#define OFFER_MS 1000		/* for the front to take an offer to park */

/* ---- what the engine sees ---- */

const struct engine_user *
engine_user(struct engine_host *host)
{
	host->user.quota_octets = host->process->quota_octets;
	return &host->user;
}

struct store *
engine_store(struct engine_host *host)
{
	return host->process->store;
}

struct str
engine_input(struct engine_host *host)
{
	return buf_str(&host->in);
}

void
engine_consume(struct engine_host *host, size_t len)
{
	buf_consume(&host->in, len);
}

struct buf *
engine_output(struct engine_host *host)
{
	return &host->out;
}

bool
engine_is_full(struct engine_host *host)
{
	return host->out.len >= OUT_FULL;
}

bool
engine_slice_over(struct engine_host *host)
{
	return host->out.len - host->step_from >= ENGINE_SLICE_OCTETS ||
	    when_mono_us() >= host->step_until_us;
}

void
engine_changed(struct engine_host *host)
{
	process_changed(host->process, host);
}

struct ev *
engine_ev(struct engine_host *host)
{
	return host->ev;
}

static void
idle_start(struct engine_host *host)
{
	if (host->engine->park != NULL)
		loop_timer_start(&host->idle,
		    host->process->family->park_after_s * 1000);
}

void
engine_set_idle(struct engine_host *host, bool is_idle)
{
	if (host->is_idle == is_idle)
		return;
	host->is_idle = is_idle;
	if (is_idle)
		idle_start(host);
	else
		loop_timer_stop(&host->idle);
}

void
engine_compress(struct engine_host *host, struct str answer)
{
	struct ipc_out *out = ipc_begin(host->front, SESSION_COMPRESS);

	ipc_put_u64(out, host->out_octets + host->out.len);
	ipc_put_str(out, answer);
	(void)ipc_send(out, -1);
}

/* ---- ends ---- */

static void
host_free(struct engine_host *host, bool is_parked)
{
	struct process *process = host->process;
	struct arena *arena = host->arena;
	struct ipc_out *out;

	list_del(&host->node);
	if (host->session != NULL)
		host->engine->free(&host->session);
	engine_blob_close(host);
	engine_blob_forget(host);
	loop_timer_fini(&host->idle);
	if (host->fd != -1) {
		loop_fd_fini(&host->watch);
		(void)close(host->fd);
	}
	ipc_link_free(&host->front);
	buf_fini(&host->in);
	buf_fini(&host->out);
	ev_free(&host->ev);
	if (host->id != 0) {
		out = ipc_begin(process->broker, ACCOUNT_PARKED);
		ipc_put_u64(out, host->id);
		ipc_put_bool(out, is_parked);
		(void)ipc_send(out, -1);
	}
	if (is_parked && store_modseq(process->store) != host->parked_modseq)
		process_changed(process, NULL);
	arena_free(&arena);
	process_sessions_changed(process);
}

/* All is written: the front may close. */
static void
host_finish(struct engine_host *host)
{
	struct ipc_out *out = ipc_begin(host->front, SESSION_END);

	ipc_put_u64(out, host->out_octets);
	ipc_put_str(out, host->reason);
	(void)ipc_send(out, -1);
	host_free(host, false);
}

void
host_end(struct engine_host *host, struct str reason)
{
	if (host->is_ending)
		return;
	host->is_ending = true;
	host->reason = arena_str(host->arena, reason);
	if (host->session != NULL && host->engine->end != NULL)
		host->engine->end(host->session, host->reason);
	process_wake(host->process);
}

/* ---- steps ---- */

void
host_ready(struct engine_host *host)
{
	host->is_ready = true;
	process_wake(host->process);
}

static bool
may_step(const struct engine_host *host)
{
	return host->is_ready && host->session != NULL && host->fd != -1 &&
	    !host->is_ending && !host->is_dead && !host->is_parking &&
	    host->out.len < OUT_FULL;
}

bool
host_step(struct engine_host *host)
{
	enum engine_step end;

	if (!may_step(host))
		return false;
	host->is_ready = false;
	host->step_from = host->out.len;
	host->step_until_us = when_mono_us() + ENGINE_SLICE_MS * 1000;
	end = host->engine->step(host->session);
	if (end == ENGINE_MORE)
		host->is_ready = true;
	else if (end == ENGINE_END)
		host->is_ending = true;
	else if (end == ENGINE_DONE && host->is_eof)
		host->is_dead = true;
	else if (end == ENGINE_WAIT && host->out.len >= OUT_FULL)
		host->is_full = true;
	if (buf_failed(&host->out)) {
		ev_error(host->ev, "mbox.output.overrun");
		host->is_dead = true;
	}
	return host->is_ready;
}

/* ---- the stream ---- */

static void
watch_update(struct engine_host *host)
{
	int want = 0;

	if (host->fd == -1)
		return;
	if (!host->is_eof && !host->is_ending && host->in.len < IN_MAX)
		want |= LOOP_READ;
	if (host->out.len != 0)
		want |= LOOP_WRITE;
	loop_fd_want(&host->watch, want);
}

bool
host_has_output(const struct engine_host *host)
{
	return host->fd != -1 && host->out.len != 0;
}

void
host_flush(struct engine_host *host)
{
	struct str data = buf_str(&host->out);
	ssize_t n = 0;

	while (host->fd != -1 && data.len != 0 && !host->is_dead) {
		n = send(host->fd, data.p, data.len,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			break;
		host->out_octets += (size_t)n;
		buf_consume(&host->out, (size_t)n);
		data = buf_str(&host->out);
	}
	if (n == -1 && errno != EAGAIN)
		host->is_dead = true;
	if (host->is_dead) {
		host_free(host, false);
		return;
	}
	if (host->out.len == 0 && host->is_ending && host->fd != -1) {
		host_finish(host);
		return;
	}
	buf_trim(&host->out);
	watch_update(host);
	if (host->is_full && host->out.len <= OUT_LOW) {
		host->is_full = false;
		host_ready(host);
	}
	if (may_step(host))
		process_wake(host->process);
}

static void
host_read(struct engine_host *host)
{
	char *p = buf_reserve(&host->in, IN_MAX - host->in.len);
	ssize_t n;

	if (p == NULL)
		return;
	do
		n = recv(host->fd, p, IN_MAX - host->in.len, MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		host->is_eof = true;
	} else {
		buf_grow(&host->in, (size_t)n);
		host->in_octets += (size_t)n;
	}
	/* The client has spoken: whatever was exported is void. */
	host->is_parking = false;
	host_ready(host);
}

static void
on_stream(void *ctx, int what)
{
	struct engine_host *host = ctx;

	if ((what & LOOP_READ) != 0)
		host_read(host);
	watch_update(host);
	/* Written by the turn, which sees to it that it may be. */
	if ((what & LOOP_WRITE) != 0)
		process_wake(host->process);
}

/* ---- parking ---- */

static bool
may_park(const struct engine_host *host)
{
	return host->is_idle && !host->is_ready && !host->is_ending &&
	    !host->is_eof && !host->is_dead && host->fd != -1 &&
	    host->in.len == 0 && host->out.len == 0 &&
	    host->blob.state == ENGINE_BLOB_NONE;
}

static bool
park_write(struct engine_host *host, struct buf *out)
{
	struct state state = {
		.account = host->process->account, .session = host->number,
		.has_tls = host->user.has_tls,
		.protocol = str_of(host->engine->protocol),
		.user = host->user.name, .remote = host->user.remote,
	};
	struct err err = ERR_INIT;
	struct buf engine;
	bool ok;

	buf_init(&engine, ENGINE_STATE_MAX);
	ok = host->engine->park(host->session, &engine) &&
	    !buf_failed(&engine);
	state.engine = buf_str(&engine);
	ok = ok && state_write(&state, host->process->family->state_key, out,
	    &err) == 0;
	buf_fini(&engine);
	return ok;
}

static void
on_idle(void *arg)
{
	struct engine_host *host = arg;
	struct ipc_out *out;
	struct buf state;

	if (!host->is_idle)
		return;
	if (host->is_parking) {
		/* Not taken: offered again, if nothing has come up. Should
		 * the front take it after all, the state is still good: what
		 * is told from now on, it has not seen. */
		host->is_parking = false;
		process_wake(host->process);
		idle_start(host);
		return;
	}
	buf_init(&state, STATE_MAX);
	if (may_park(host) && store_is_durable(host->process->store) &&
	    park_write(host, &state)) {
		host->is_parking = true;
		host->was_offered = true;
		host->parked_modseq = store_modseq(host->process->store);
		out = ipc_begin(host->front, SESSION_PARK);
		ipc_put_u64(out, host->in_octets);
		ipc_put_u64(out, host->out_octets);
		ipc_put_str(out, buf_str(&state));
		(void)ipc_send(out, -1);
		loop_timer_start(&host->idle, OFFER_MS);
	} else {
		idle_start(host);
	}
	buf_fini(&state);
}

/* ---- the front ---- */

static void
on_parked(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct engine_host *host = ipc_link_ctx(link);

	(void)req;
	(void)in;
	host_free(host, host->was_offered && !host->is_ending);
}

static void
on_stream_given(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in)
{
	struct engine_host *host = ipc_link_ctx(link);
	struct str prefix = ipc_get_str(in);

	(void)req;
	ipc_link_set_state(link, 1);
	host->fd = ipc_take_fd(in);
	loop_fd_init(&host->watch, host->process->loop, host->fd, on_stream,
	    host);
	buf_add_str(&host->in, prefix);
	watch_update(host);
	host_ready(host);
}

static void
on_stop(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	(void)req;
	host_end(ipc_link_ctx(link), ipc_get_str(in));
}

static void
on_front_gone(void *ctx, struct ipc_link *link)
{
	(void)link;
	host_free(ctx, false);
}

static ipc_handler *const handlers[] = {
	[SESSION_STREAM] = on_stream_given,
	[SESSION_PARK] = NULL,
	[SESSION_END] = NULL,
	[SESSION_COMPRESS] = NULL,
	[SESSION_PARKED] = on_parked,
	[SESSION_STOP] = on_stop,
};

/* ---- begin ---- */

static struct engine_host *
host_new(struct process *process, struct ipc_in *in)
{
	struct arena *arena = arena_new(1024);
	struct engine_host *host = arena_new_of(arena, struct engine_host);
	const struct family *family = process->family;

	host->arena = arena;
	host->process = process;
	host->fd = -1;
	host->blob.fd = -1;
	host->id = ipc_get_u64(in);
	host->number = ipc_get_u64(in);
	host->engine = engine_find(ipc_get_str(in));
	host->user.account = process->account;
	host->user.message_max_octets = family->message_max_octets;
	host->user.hostname = family->hostname;
	host->user.pop3_expire_days = family->pop3_expire_days;
	host->user.pop3_login_delay_s = family->pop3_login_delay_s;
	host->user.name = arena_str(arena, ipc_get_str(in));
	host->user.remote = arena_str(arena, ipc_get_str(in));
	host->user.has_tls = ipc_get_bool(in);
	/* What it reads at a time, and as much behind the login. */
	buf_init(&host->in, IN_MAX + IPC_FRAME_MAX);
	buf_init(&host->out, OUT_MAX);
	loop_timer_init(&host->idle, process->loop, on_idle, host);
	host->ev = ev_new(NULL);
	ev_put_u64(host->ev, LOG_K_session, host->number);
	ev_put_str(host->ev, LOG_K_user, host->user.name);
	ev_put_str(host->ev, LOG_K_remote, host->user.remote);
	list_add(&process->sessions, &host->node);
	return host;
}

/* Refused: the broker frees its entry by our reply. */
static void
host_refuse(struct engine_host *host, struct ipc_req *req, int code,
    const struct err *err)
{
	host->id = 0;
	ipc_reply_err(req, code, "%s", err_text(err));
	host_free(host, false);
}

void
host_begin(struct process *process, struct ipc_req *req, struct ipc_in *in)
{
	struct engine_host *host = host_new(process, in);
	struct str state = ipc_get_str(in);
	struct err err = ERR_INIT;

	host->front = ipc_serve(process->loop, &ipc_session, ipc_take_fd(in),
	    STR("front"), handlers, host, on_front_gone);
	if (host->engine == NULL) {
		(void)err_set(&err, ERR_DENIED, "no such protocol");
		host_refuse(host, req, ERR_DENIED, &err);
		return;
	}
	host->session = host->engine->open(host, state, &err);
	if (host->session == NULL) {
		ev_warn(host->ev, "mbox.session.unopened", EV_ERR(&err));
		host_refuse(host, req, err.code == ERR_TEMP ? ERR_TEMP :
		    ERR_DENIED, &err);
		return;
	}
	ipc_reply_end(ipc_reply_begin(req), -1);
	process_sessions_changed(process);
}
