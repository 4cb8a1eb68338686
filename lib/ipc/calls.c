/* SPDX-License-Identifier: ISC */
/* calls: frames on their way out, and the calls that wait for an answer. */
#include "ipc/ipc_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/table.h"
#include "base/when.h"

#define TIMER_MS 250

struct frame {
	struct list node;
	uint32_t call_id;	/* 0: not a request */
	int fd;
	size_t len;
	char data[];
};

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
	frame = ipc_must(malloc(sizeof(*frame) + data.len));
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
mark_sent(struct ipc_link *link, uint32_t call_id)
{
	struct call *call;

	if (call_id == 0)
		return;
	call = table_get_u64(link->calls, call_id);
	if (call != NULL)
		call->is_sent = true;
}

bool
ipc_frames_flush(struct ipc_link *link)
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
int
ipc_transmit(struct ipc_link *link, struct ipc_out *out, int fd,
    uint32_t call_id)
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
		ipc_watch_update(link);
	}
	buf_reset(&out->buf);
	if (out->buf.cap > 4096)
		buf_trim(&out->buf);
	return rc;
}

void
ipc_drop_call_frame(struct ipc_link *link, uint32_t call_id)
{
	struct frame *frame, *tmp;

	list_each(frame, tmp, &link->frames, struct frame, node)
		if (frame->call_id == call_id)
			frame_free(link, frame);
}

void
ipc_drop_frames(struct ipc_link *link, bool is_all)
{
	struct frame *frame, *tmp;

	list_each(frame, tmp, &link->frames, struct frame, node)
		if (is_all || frame->call_id == 0)
			frame_free(link, frame);
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

void
ipc_call_finish(struct ipc_link *link, struct call *call, int code,
    struct ipc_in *in)
{
	ipc_done *done = call->done;
	void *ctx = call->ctx;

	call_free(link, call);
	if (done != NULL)
		done(ctx, code, in);
}

void
ipc_fail_calls(struct ipc_link *link, bool is_all)
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
		ipc_call_finish(link, call, ERR_TEMP, NULL);
}

void
ipc_on_timer(void *arg)
{
	struct ipc_link *link = arg;
	uint64_t now = when_mono_ms();
	struct call *call, *tmp;
	struct list late;

	ipc_enter(link);
	list_init(&late);
	list_each(call, tmp, &link->calls_list, struct call, node) {
		if (call->deadline_ms > now)
			continue;
		list_del(&call->node);
		list_add(&late, &call->node);
	}
	while ((call = list_first(&late, struct call, node)) != NULL) {
		if (!call->is_sent)
			ipc_drop_call_frame(link, call->id);
		(void)snprintf(link->last_error, sizeof(link->last_error),
		    "no answer to %s", link->proto->rows[call->type].name);
		ipc_call_finish(link, call, ERR_TEMP, NULL);
	}
	if (!link->is_freed && !list_is_empty(&link->calls_list))
		loop_timer_start(&link->timer, TIMER_MS);
	ipc_leave(link);
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
	struct call *call = ipc_must(calloc(1, sizeof(*call)));

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
	if (is_full || ipc_transmit(link, out, fd, call->id) != 0) {
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
	return ipc_transmit(out->link, out, fd, 0);
}
