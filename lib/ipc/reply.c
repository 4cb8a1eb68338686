/* SPDX-License-Identifier: ISC */
/* reply: giving a reply, and waiting for one. */
#include "ipc/ipc_int.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/when.h"

/* Written to when a reply's peer is gone. */
static struct ipc_out orphan_out;

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
	    ipc_transmit(link, out, fd, 0) != 0) {
		ev_warn(NULL, "ipc.reply.failed", EV_CSTR(peer, link->peer),
		    EV_CSTR(request, ipc_request_name(link, req->type)));
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
	waiter->in = ipc_must(calloc(1, sizeof(*waiter->in)));
	waiter->in->heap = ipc_must(malloc(in->fields.len + 1));
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
	ipc_enter(link);
	while (!waiter.is_done && link->fd != -1) {
		now = when_mono_ms();
		pfd = (struct pollfd){ .fd = link->fd, .events = POLLIN };
		if (!list_is_empty(&link->frames))
			pfd.events |= POLLOUT;
		if (now >= end || poll(&pfd, 1, (int)(end - now)) == 0)
			break;
		if ((pfd.revents & POLLOUT) != 0) {
			(void)ipc_frames_flush(link);
			ipc_watch_update(link);
		}
		if ((pfd.revents & (POLLIN | POLLHUP | POLLERR)) != 0)
			(void)ipc_read_one(link);
	}
	if (!waiter.is_done && !link->is_freed) {
		ipc_drop_call_frame(link, id);
		ipc_cancel(link, id);
		waiter.code = err_set(err, ERR_TEMP, "no answer from %s",
		    link->proto->server);
	} else if (waiter.code != 0) {
		err_set(err, waiter.code, "%s", link->last_error);
	}
	ipc_leave(link);
	*in_r = waiter.in;
	return waiter.code;
}
