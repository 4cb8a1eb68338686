/* SPDX-License-Identifier: ISC */
/* ipc: the life of a link, and what comes in by it. */
#include "ipc/ipc_int.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/table.h"

#define READS_PER_ROUND 32

/* One frame is received at a time; a nested wait takes memory of its own. */
static char rx_shared[IPC_FRAME_MAX];
static bool rx_is_busy;

static void link_lost(struct ipc_link *link);

void *
ipc_must(void *p)
{
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

void
ipc_enter(struct ipc_link *link)
{
	link->depth++;
}

bool
ipc_leave(struct ipc_link *link)
{
	if (--link->depth > 0 || !link->is_freed)
		return !link->is_freed;
	free(link);
	return false;
}

void
ipc_watch_update(struct ipc_link *link)
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

/* ---- receiving ---- */

static void
violation(struct ipc_link *link, const char *request, const char *reason)
{
	ev_warn(NULL, "ipc.violation", EV_CSTR(peer, link->peer),
	    EV_CSTR(request, request), EV_CSTR(reason, reason));
	link_lost(link);
}

const char *
ipc_request_name(const struct ipc_link *link, unsigned type)
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
		violation(link, ipc_request_name(link, type), why);
		return;
	}
	link->seen_once |= 1ULL << type;
	if (kind == W_REQ) {
		req = ipc_must(calloc(1, sizeof(*req)));
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
		violation(link, ipc_request_name(link, type), "not a push");
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
		ipc_call_finish(link, call, 0, in);
		return;
	}
	code = (int)ipc_get_i64(in);
	if (code >= 0 || code < ERR_CORRUPT)
		code = ERR_TEMP;
	text = ipc_get_str(in);
	(void)snprintf(link->last_error, sizeof(link->last_error), "%.*s",
	    STR_FMT(text));
	ipc_call_finish(link, call, code, NULL);
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
		violation(link, ipc_request_name(link, type), "direction");
}

bool
ipc_read_one(struct ipc_link *link)
{
	struct ipc_in in = { .fd = -1 };
	bool is_shared = !rx_is_busy;
	struct str frame;
	enum received got;
	char *rx;

	rx = is_shared ? rx_shared : ipc_must(malloc(IPC_FRAME_MAX));
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

	ipc_enter(link);
	if ((what & LOOP_WRITE) != 0) {
		/* A lost peer shows when reading, after its last words. */
		(void)ipc_frames_flush(link);
		ipc_watch_update(link);
	}
	for (i = 0; (what & LOOP_READ) != 0 && i < READS_PER_ROUND; i++)
		if (link->is_freed || link->fd == -1 || link->is_paused ||
		    !ipc_read_one(link))
			break;
	ipc_leave(link);
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
link_lost(struct ipc_link *link)
{
	ipc_enter(link);
	link_close_fd(link);
	ipc_drop_frames(link, link->is_server);
	if (!link->is_server)
		ipc_fail_calls(link, false);
	if (link->gone != NULL && !link->is_freed)
		link->gone(link->ctx, link);
	ipc_leave(link);
}

static struct ipc_link *
link_new(struct loop *loop, const struct ipc_proto *proto, void *ctx)
{
	struct ipc_link *link = ipc_must(calloc(1, sizeof(*link)));

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
		loop_timer_init(&link->timer, loop, ipc_on_timer, link);
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
	ipc_watch_update(link);
}

void
ipc_client_attach(struct ipc_link *link, int fd)
{
	if (link->fd != -1)
		link_lost(link);
	link_use_fd(link, fd);
	(void)ipc_frames_flush(link);
	ipc_watch_update(link);
}

void
ipc_client_detach(struct ipc_link *link)
{
	ipc_enter(link);
	link_close_fd(link);
	ipc_drop_frames(link, false);
	ipc_fail_calls(link, false);
	ipc_leave(link);
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
	ipc_watch_update(link);
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
	ipc_enter(link);
	link->gone = NULL;
	link_close_fd(link);
	ipc_drop_frames(link, true);
	ipc_fail_calls(link, true);
	list_each(req, tmp, &link->reqs, struct ipc_req, node) {
		list_del(&req->node);
		req->link = NULL;
	}
	if (link->loop != NULL)
		loop_timer_fini(&link->timer);
	table_free(&link->calls);
	buf_fini(&link->out.buf);
	link->is_freed = true;
	ipc_leave(link);
}
