/* SPDX-License-Identifier: ISC */
#include "ipc/ipc_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/table.h"
#include "base/when.h"

#define READS_PER_ROUND 32
#define TIMER_MS 250

struct call {
	struct list node;
	uint32_t id;
	unsigned type;
	uint64_t deadline_ms;
	bool is_sent;
	ipc_done *done;		/* NULL: cancelled */
	void *ctx;
};

struct frame {
	struct list node;
	uint32_t call_id;	/* 0: not a request */
	int fd;
	size_t len;
	char data[];
};

struct ipc_req {
	struct list node;
	struct ipc_link *link;	/* NULL: the peer is gone */
	uint32_t id;
	unsigned type;
};

struct ipc_link {
	struct loop *loop;
	const struct ipc_proto *proto;
	bool is_server;
	int fd;
	struct loop_fd watch;
	struct loop_timer timer;
	void *ctx;
	char peer[48];

	/* server */
	ipc_handler *const *handlers;
	uint64_t allowed;
	uint64_t seen_once;
	unsigned state;
	struct list reqs;
	size_t reqs_len;

	/* client */
	ipc_push *push;
	struct table *calls;
	struct list calls_list;
	uint32_t next_id;

	ipc_gone *gone;
	struct list frames;	/* waiting to be sent */
	size_t frames_len;
	struct ipc_out out;
	int depth;		/* callbacks running; free waits for 0 */
	bool is_freed;
	bool is_paused;
	char last_error[ERR_TEXT_SIZE];
};

/* One frame is received at a time; a nested wait takes memory of its own. */
static char rx_shared[IPC_FRAME_MAX];
static bool rx_is_busy;

/* Written to when a reply's peer is gone. */
static struct ipc_out orphan_out;

static void link_lost(struct ipc_link *link);

static void *
must(void *p)
{
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

/* ---- sending ---- */

static void
frame_free(struct ipc_link *link, struct frame *frame)
{
	list_del(&frame->node);
	link->frames_len--;
	if (frame->fd != -1)
		(void)close(frame->fd);
	explicit_bzero(frame->data, frame->len); /* a password may be in it */
	free(frame);
}

/* Keep a frame for later. ERR_TEMP when the window is full. */
static int
frame_queue(struct ipc_link *link, struct str data, int fd, uint32_t call_id)
{
	struct frame *frame;

	if (link->frames_len >= IPC_WINDOW)
		return ERR_TEMP;
	frame = must(malloc(sizeof(*frame) + data.len));
	frame->fd = -1;
	if (fd != -1 &&
	    (frame->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) == -1) {
		free(frame);
		return ERR_TEMP;
	}
	frame->call_id = call_id;
	frame->len = data.len;
	memcpy(frame->data, data.p, data.len);
	list_add(&link->frames, &frame->node);
	link->frames_len++;
	return 0;
}

static void
watch_update(struct ipc_link *link)
{
	int want = 0;

	if (link->loop == NULL || link->fd == -1)
		return;
	if (!link->is_paused)
		want |= LOOP_READ;
	if (!list_is_empty(&link->frames))
		want |= LOOP_WRITE;
	loop_fd_want(&link->watch, want);
}

static void
mark_sent(struct ipc_link *link, uint32_t call_id)
{
	struct call *call;

	if (call_id == 0)
		return;
	call = table_get_u64(link->calls, call_id);
	if (call != NULL)
		call->is_sent = true;
}

/* Send what waits. False when the peer is lost. */
static bool
frames_flush(struct ipc_link *link)
{
	struct frame *frame;

	while ((frame = list_first(&link->frames, struct frame, node))
	    != NULL) {
		if (frame_send(link->fd, str_make(frame->data, frame->len),
		    frame->fd) == -1)
			return errno == EAGAIN || errno == ENOBUFS;
		mark_sent(link, frame->call_id);
		frame_free(link, frame);
	}
	return true;
}

/*
 * Send now or keep for later. A lost peer is found by the reader, so that no
 * callback runs from inside a send.
 */
static int
transmit(struct ipc_link *link, struct ipc_out *out, int fd, uint32_t call_id)
{
	struct str data = buf_str(&out->buf);
	int rc = 0;

	if (buf_failed(&out->buf)) {
		rc = ERR_LIMIT;
	} else if (link->fd == -1) {
		rc = call_id != 0 ? frame_queue(link, data, fd, call_id) :
		    ERR_TEMP;
	} else if (list_is_empty(&link->frames) &&
	    frame_send(link->fd, data, fd) != -1) {
		mark_sent(link, call_id);
	} else {
		rc = frame_queue(link, data, fd, call_id);
		watch_update(link);
	}
	buf_reset(&out->buf);
	if (out->buf.cap > 4096)
		buf_trim(&out->buf);
	return rc;
}

/* ---- calls ---- */

static void
call_free(struct ipc_link *link, struct call *call)
{
	/* A callback may have freed the link while its calls are ended. */
	if (link->calls != NULL)
		table_del_u64(link->calls, call->id);
	list_del(&call->node);
	free(call);
}

static void
call_finish(struct ipc_link *link, struct call *call, int code,
    struct ipc_in *in)
{
	ipc_done *done = call->done;
	void *ctx = call->ctx;

	call_free(link, call);
	if (done != NULL)
		done(ctx, code, in);
}

static void
drop_call_frame(struct ipc_link *link, uint32_t call_id)
{
	struct frame *frame, *tmp;

	list_each(frame, tmp, &link->frames, struct frame, node)
		if (frame->call_id == call_id)
			frame_free(link, frame);
}

static void
enter(struct ipc_link *link)
{
	link->depth++;
}

/* False when the link is gone. */
static bool
leave(struct ipc_link *link)
{
	if (--link->depth > 0 || !link->is_freed)
		return !link->is_freed;
	free(link);
	return false;
}

static void
on_timer(void *arg)
{
	struct ipc_link *link = arg;
	uint64_t now = when_mono_ms();
	struct call *call, *tmp;
	struct list late;

	enter(link);
	list_init(&late);
	list_each(call, tmp, &link->calls_list, struct call, node) {
		if (call->deadline_ms > now)
			continue;
		list_del(&call->node);
		list_add(&late, &call->node);
	}
	while ((call = list_first(&late, struct call, node)) != NULL) {
		if (!call->is_sent)
			drop_call_frame(link, call->id);
		(void)snprintf(link->last_error, sizeof(link->last_error),
		    "no answer to %s", link->proto->rows[call->type].name);
		call_finish(link, call, ERR_TEMP, NULL);
	}
	if (!link->is_freed && !list_is_empty(&link->calls_list))
		loop_timer_start(&link->timer, TIMER_MS);
	leave(link);
}

struct ipc_out *
ipc_begin(struct ipc_link *link, unsigned type)
{
	const struct ipc_row *row;
	enum wire_kind kind;
	uint32_t id = 0;

	invariant(type < link->proto->rows_len);
	row = &link->proto->rows[type];
	invariant((row->kind == IPC_K_PUSH) == link->is_server);
	kind = row->kind == IPC_K_REQ ? W_REQ :
	    row->kind == IPC_K_NOTE ? W_NOTE : W_PUSH;
	if (kind == W_REQ) {
		do
			id = ++link->next_id;
		while (id == 0 || table_get_u64(link->calls, id) != NULL);
	}
	return frame_begin(&link->out, kind, type, id);
}

static struct call *
call_new(struct ipc_link *link, unsigned type, uint64_t deadline_ms,
    ipc_done *done, void *ctx)
{
	struct call *call = must(calloc(1, sizeof(*call)));

	call->id = link->next_id;
	call->type = type;
	call->deadline_ms = when_mono_ms() + deadline_ms;
	call->done = done;
	call->ctx = ctx;
	list_add(&link->calls_list, &call->node);
	table_put_u64(link->calls, call->id, call);
	if (link->loop != NULL && !loop_timer_is_set(&link->timer))
		loop_timer_start(&link->timer, TIMER_MS);
	return call;
}

uint32_t
ipc_call(struct ipc_out *out, int fd, uint64_t deadline_ms, ipc_done *done,
    void *ctx)
{
	struct ipc_link *link = out->link;
	struct call *call;
	bool is_full;

	invariant(link->proto->rows[out->type].kind == IPC_K_REQ);
	is_full = table_count(link->calls) >= IPC_WINDOW;
	call = call_new(link, out->type, deadline_ms, done, ctx);
	/* A failure is told by the timer: never from inside this call. */
	if (is_full || transmit(link, out, fd, call->id) != 0) {
		call->deadline_ms = 0;
		if (link->loop != NULL)
			loop_timer_start(&link->timer, 0);
	}
	return call->id;
}

void
ipc_cancel(struct ipc_link *link, uint32_t id)
{
	struct call *call = table_get_u64(link->calls, id);

	if (call != NULL)
		call->done = NULL;
}

void
ipc_wipe_sent(struct ipc_link *link)
{
	if (link->out.buf.p != NULL)
		explicit_bzero(link->out.buf.p, link->out.buf.cap);
}

int
ipc_send(struct ipc_out *out, int fd)
{
	return transmit(out->link, out, fd, 0);
}

/* ---- receiving ---- */

static void
violation(struct ipc_link *link, const char *request, const char *reason)
{
	ev_warn(NULL, "ipc.violation", EV_CSTR(peer, link->peer),
	    EV_CSTR(request, request), EV_CSTR(reason, reason));
	link_lost(link);
}

static const char *
request_name(const struct ipc_link *link, unsigned type)
{
	return type < link->proto->rows_len ? link->proto->rows[type].name :
	    "unknown";
}

/* Why a client's frame is not legal now, or NULL. */
static const char *
why_illegal(struct ipc_link *link, enum wire_kind kind, unsigned type,
    const struct ipc_in *in)
{
	const struct ipc_row *row;

	if (type >= link->proto->rows_len)
		return "no such request";
	row = &link->proto->rows[type];
	if (row->kind != (kind == W_REQ ? IPC_K_REQ : IPC_K_NOTE))
		return "wrong kind";
	if (link->handlers[type] == NULL || (link->allowed >> type & 1) == 0)
		return "not for this client";
	if ((row->states & ST(link->state)) == 0)
		return "wrong state";
	if (row->often == IPC_ONCE && (link->seen_once >> type & 1) != 0)
		return "more than once";
	if (((row->fd & IPC_FD_IN) != 0) != (in->fd != -1))
		return "descriptor";
	if (ipc_check_fields(row->args, in->fields) != 0)
		return "fields";
	if (kind == W_REQ && link->reqs_len >= IPC_WINDOW)
		return "window";
	return NULL;
}

static void
serve_frame(struct ipc_link *link, enum wire_kind kind, unsigned type,
    uint32_t id, struct ipc_in *in)
{
	const char *why = why_illegal(link, kind, type, in);
	struct ipc_req *req = NULL;

	if (why != NULL) {
		violation(link, request_name(link, type), why);
		return;
	}
	link->seen_once |= 1ULL << type;
	if (kind == W_REQ) {
		req = must(calloc(1, sizeof(*req)));
		req->link = link;
		req->id = id;
		req->type = type;
		list_add(&link->reqs, &req->node);
		link->reqs_len++;
	}
	link->handlers[type](link, req, in);
}

static void
client_push(struct ipc_link *link, unsigned type, struct ipc_in *in)
{
	const struct ipc_row *row;

	if (type >= link->proto->rows_len ||
	    link->proto->rows[type].kind != IPC_K_PUSH) {
		violation(link, request_name(link, type), "not a push");
		return;
	}
	row = &link->proto->rows[type];
	if (ipc_check_fields(row->args, in->fields) != 0 ||
	    ((row->fd & IPC_FD_IN) != 0) != (in->fd != -1)) {
		violation(link, row->name, "fields");
		return;
	}
	if (link->push != NULL)
		link->push(link->ctx, type, in);
}

static void
client_reply(struct ipc_link *link, enum wire_kind kind, unsigned type,
    uint32_t id, struct ipc_in *in)
{
	struct call *call = table_get_u64(link->calls, id);
	const struct ipc_row *row;
	struct str text;
	int code;

	if (call == NULL)
		return;		/* its deadline has passed */
	row = &link->proto->rows[call->type];
	if (type != call->type || !call->is_sent || ipc_check_fields(
	    kind == W_ERROR ? "i:code s:text" : row->reply, in->fields) != 0 ||
	    (kind == W_REPLY && ((row->fd & IPC_FD_BACK) != 0) !=
	    (in->fd != -1))) {
		violation(link, row->name, "reply");
		return;
	}
	if (kind == W_REPLY) {
		call_finish(link, call, 0, in);
		return;
	}
	code = (int)ipc_get_i64(in);
	if (code >= 0 || code < ERR_CORRUPT)
		code = ERR_TEMP;
	text = ipc_get_str(in);
	(void)snprintf(link->last_error, sizeof(link->last_error), "%.*s",
	    STR_FMT(text));
	call_finish(link, call, code, NULL);
}

static void
dispatch(struct ipc_link *link, struct str frame, struct ipc_in *in)
{
	enum wire_kind kind;
	unsigned type;
	uint32_t id;

	if (frame.len < HEADER_OCTETS || frame.p[0] != WIRE_VERSION) {
		violation(link, "-", "header");
		return;
	}
	kind = (enum wire_kind)(unsigned char)frame.p[1];
	type = (unsigned)frame_load(frame.p + 2, 2);
	id = (uint32_t)frame_load(frame.p + 4, 4);
	in->fields = str_sub(frame, HEADER_OCTETS, frame.len);
	if (link->is_server && (kind == W_REQ || kind == W_NOTE))
		serve_frame(link, kind, type, id, in);
	else if (!link->is_server && kind == W_PUSH)
		client_push(link, type, in);
	else if (!link->is_server && (kind == W_REPLY || kind == W_ERROR))
		client_reply(link, kind, type, id, in);
	else
		violation(link, request_name(link, type), "direction");
}

/* Read and dispatch one frame. False when there is nothing more to read. */
static bool
read_one(struct ipc_link *link)
{
	struct ipc_in in = { .fd = -1 };
	bool is_shared = !rx_is_busy;
	struct str frame;
	enum received got;
	char *rx;

	rx = is_shared ? rx_shared : must(malloc(IPC_FRAME_MAX));
	rx_is_busy = true;
	got = frame_receive(link->fd, rx, &frame, &in.fd);
	if (got == RX_FRAME)
		dispatch(link, frame, &in);
	else if (got == RX_BAD)
		violation(link, "-", "frame");
	else if (got == RX_LOST)
		link_lost(link);
	frame_in_fini(&in);
	if (is_shared)
		rx_is_busy = false;
	else
		free(rx);
	return got == RX_FRAME;
}

static void
on_ready(void *arg, int what)
{
	struct ipc_link *link = arg;
	int i;

	enter(link);
	if ((what & LOOP_WRITE) != 0) {
		/* A lost peer shows when reading, after its last words. */
		(void)frames_flush(link);
		watch_update(link);
	}
	for (i = 0; (what & LOOP_READ) != 0 && i < READS_PER_ROUND; i++)
		if (link->is_freed || link->fd == -1 || link->is_paused ||
		    !read_one(link))
			break;
	leave(link);
}

/* ---- life ---- */

static void
link_close_fd(struct ipc_link *link)
{
	if (link->fd == -1)
		return;
	if (link->loop != NULL)
		loop_fd_fini(&link->watch);
	(void)close(link->fd);
	link->fd = -1;
}

static void
fail_calls(struct ipc_link *link, bool is_all)
{
	struct call *call, *tmp;
	struct list lost;

	list_init(&lost);
	list_each(call, tmp, &link->calls_list, struct call, node) {
		if (!is_all && !call->is_sent)
			continue;
		list_del(&call->node);
		list_add(&lost, &call->node);
	}
	(void)snprintf(link->last_error, sizeof(link->last_error),
	    "%s is gone", link->peer[0] != '\0' ? link->peer :
	    link->proto->server);
	while ((call = list_first(&lost, struct call, node)) != NULL)
		call_finish(link, call, ERR_TEMP, NULL);
}

static void
drop_frames(struct ipc_link *link, bool is_all)
{
	struct frame *frame, *tmp;

	list_each(frame, tmp, &link->frames, struct frame, node)
		if (is_all || frame->call_id == 0)
			frame_free(link, frame);
}

static void
link_lost(struct ipc_link *link)
{
	enter(link);
	link_close_fd(link);
	drop_frames(link, link->is_server);
	if (!link->is_server)
		fail_calls(link, false);
	if (link->gone != NULL && !link->is_freed)
		link->gone(link->ctx, link);
	leave(link);
}

static struct ipc_link *
link_new(struct loop *loop, const struct ipc_proto *proto, void *ctx)
{
	struct ipc_link *link = must(calloc(1, sizeof(*link)));

	invariant(proto->rows_len <= 64);
	link->loop = loop;
	link->proto = proto;
	link->ctx = ctx;
	link->fd = -1;
	link->allowed = ~0ULL;
	list_init(&link->frames);
	list_init(&link->reqs);
	list_init(&link->calls_list);
	link->out.link = link;
	buf_init(&link->out.buf, IPC_FRAME_MAX);
	if (loop != NULL)
		loop_timer_init(&link->timer, loop, on_timer, link);
	return link;
}

struct ipc_link *
ipc_client_new(struct loop *loop, const struct ipc_proto *proto, void *ctx)
{
	struct ipc_link *link = link_new(loop, proto, ctx);

	link->calls = table_new();
	return link;
}

void
ipc_client_on(struct ipc_link *link, ipc_push *push, ipc_gone *gone)
{
	link->push = push;
	link->gone = gone;
}

static void
link_use_fd(struct ipc_link *link, int fd)
{
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	link->fd = fd;
	if (link->loop != NULL)
		loop_fd_init(&link->watch, link->loop, fd, on_ready, link);
	watch_update(link);
}

void
ipc_client_attach(struct ipc_link *link, int fd)
{
	if (link->fd != -1)
		link_lost(link);
	link_use_fd(link, fd);
	(void)frames_flush(link);
	watch_update(link);
}

void
ipc_client_detach(struct ipc_link *link)
{
	enter(link);
	link_close_fd(link);
	drop_frames(link, false);
	fail_calls(link, false);
	leave(link);
}

bool
ipc_is_attached(const struct ipc_link *link)
{
	return link->fd != -1;
}

struct ipc_link *
ipc_serve(struct loop *loop, const struct ipc_proto *proto, int fd,
    struct str peer, ipc_handler *const *handlers, void *ctx, ipc_gone *gone)
{
	struct ipc_link *link = link_new(loop, proto, ctx);

	link->is_server = true;
	link->handlers = handlers;
	link->gone = gone;
	(void)snprintf(link->peer, sizeof(link->peer), "%.*s", STR_FMT(peer));
	link_use_fd(link, fd);
	return link;
}

void
ipc_link_allow(struct ipc_link *link, uint64_t requests)
{
	link->allowed = requests;
}

void
ipc_link_set_state(struct ipc_link *link, unsigned state)
{
	invariant(state < 16);
	link->state = state;
}

struct str
ipc_link_peer(const struct ipc_link *link)
{
	return str_of(link->peer);
}

void *
ipc_link_ctx(const struct ipc_link *link)
{
	return link->ctx;
}

struct str
ipc_last_error(const struct ipc_link *link)
{
	return str_of(link->last_error);
}

void
ipc_link_pause(struct ipc_link *link, bool is_paused)
{
	link->is_paused = is_paused;
	watch_update(link);
}

void
ipc_link_free(struct ipc_link **linkp)
{
	struct ipc_link *link = *linkp;
	struct ipc_req *req, *tmp;

	if (link == NULL)
		return;
	*linkp = NULL;
	if (link->is_freed)
		return;
	enter(link);
	link->gone = NULL;
	link_close_fd(link);
	drop_frames(link, true);
	fail_calls(link, true);
	list_each(req, tmp, &link->reqs, struct ipc_req, node) {
		list_del(&req->node);
		req->link = NULL;
	}
	if (link->loop != NULL)
		loop_timer_fini(&link->timer);
	table_free(&link->calls);
	buf_fini(&link->out.buf);
	link->is_freed = true;
	leave(link);
}

/* ---- replies ---- */

struct ipc_link *
ipc_req_link(const struct ipc_req *req)
{
	return req->link;
}

struct ipc_out *
ipc_reply_begin(struct ipc_req *req)
{
	struct ipc_out *out = req->link != NULL ? &req->link->out :
	    &orphan_out;

	frame_begin(out, W_REPLY, req->type, req->id);
	out->req = req;
	return out;
}

static void
req_free(struct ipc_req *req)
{
	if (req->link != NULL) {
		list_del(&req->node);
		req->link->reqs_len--;
	}
	free(req);
}

/* Send a finished reply; a client that lets us wait too long is ended. */
static void
reply_send(struct ipc_link *link, struct ipc_out *out, int fd)
{
	struct ipc_req *req = out->req;

	if (link != NULL && link->fd != -1 &&
	    transmit(link, out, fd, 0) != 0) {
		ev_warn(NULL, "ipc.reply.failed", EV_CSTR(peer, link->peer),
		    EV_CSTR(request, request_name(link, req->type)));
		(void)shutdown(link->fd, SHUT_RDWR);
	}
	req_free(req);
}

void
ipc_reply_end(struct ipc_out *out, int fd)
{
	struct ipc_req *req = out->req;

	if (buf_failed(&out->buf)) {
		ipc_reply_err(req, ERR_LIMIT, "reply over a frame");
		return;
	}
	reply_send(req->link, out, fd);
}

void
ipc_reply_err(struct ipc_req *req, int code, const char *fmt, ...)
{
	struct ipc_out *out = req->link != NULL ? &req->link->out :
	    &orphan_out;
	char text[ERR_TEXT_SIZE];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	frame_begin(out, W_ERROR, req->type, req->id);
	out->req = req;
	ipc_put_i64(out, code);
	ipc_put_str(out, str_of(text));
	reply_send(req->link, out, -1);
}

/* ---- waiting ---- */

struct waiter {
	bool is_done;
	int code;
	struct ipc_in *in;
};

static void
on_waited(void *ctx, int code, struct ipc_in *in)
{
	struct waiter *waiter = ctx;

	waiter->is_done = true;
	waiter->code = code;
	if (in == NULL)
		return;
	waiter->in = must(calloc(1, sizeof(*waiter->in)));
	waiter->in->heap = must(malloc(in->fields.len + 1));
	memcpy(waiter->in->heap, in->fields.p, in->fields.len);
	waiter->in->fields = str_make(waiter->in->heap, in->fields.len);
	waiter->in->fd = ipc_take_fd(in);
}

int
ipc_call_wait(struct ipc_out *out, int fd, uint64_t deadline_ms,
    struct ipc_in **in_r, struct err *err)
{
	struct ipc_link *link = out->link;
	struct waiter waiter = { .is_done = false };
	uint64_t end = when_mono_ms() + deadline_ms, now;
	struct pollfd pfd;
	uint32_t id;

	if (link->fd == -1)
		return err_set(err, ERR_TEMP, "%s is not there",
		    link->proto->server);
	id = ipc_call(out, fd, deadline_ms, on_waited, &waiter);
	enter(link);
	while (!waiter.is_done && link->fd != -1) {
		now = when_mono_ms();
		pfd.fd = link->fd;
		pfd.events = POLLIN;
		if (!list_is_empty(&link->frames))
			pfd.events |= POLLOUT;
		if (now >= end || poll(&pfd, 1, (int)(end - now)) == 0)
			break;
		if ((pfd.revents & POLLOUT) != 0) {
			(void)frames_flush(link);
			watch_update(link);
		}
		if ((pfd.revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			(void)read_one(link);
	}
	if (!waiter.is_done && !link->is_freed) {
		drop_call_frame(link, id);
		ipc_cancel(link, id);
		waiter.code = err_set(err, ERR_TEMP, "no answer from %s",
		    link->proto->server);
	} else if (waiter.code != 0) {
		err_set(err, waiter.code, "%s", link->last_error);
	}
	leave(link);
	*in_r = waiter.in;
	return waiter.code;
}
