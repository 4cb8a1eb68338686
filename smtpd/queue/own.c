/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/own.h"

#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/when.h"
#include "ipc/links.h"

#define BLOB_DEADLINE_MS 60000

struct own {
	const struct deliver_env *env;
	struct own_mail mail;
	struct arena *arena;		/* of the new item; holds this too */
	struct queue_item item;
	uint64_t handle;
	int read_fd;
};

static void
own_end(struct own *own, const char *failure)
{
	struct arena *arena = own->arena;
	struct own_mail mail = own->mail;
	uint64_t id = own->item.id;

	buf_fini(&own->mail.text);
	if (own->read_fd != -1)
		(void)close(own->read_fd);
	if (failure == NULL)
		own->env->accepted(own->env->ctx, arena, &own->item);
	mail.done(mail.ctx, id, failure);
	if (failure != NULL)
		arena_free(&arena);
}

static void
on_committed(void *ctx, int code)
{
	own_end(ctx, code == 0 ? NULL : "the envelope was not written");
}

static void
on_linked(void *ctx, int code, struct ipc_in *in)
{
	struct own *own = ctx;
	struct err err = ERR_INIT;

	(void)in;
	if (code == 0)
		code = queue_store_add(own->env->store, &own->item, &err);
	if (code != 0) {
		own_end(own, "it was not linked");
		return;
	}
	if (own->mail.settle != NULL)
		own->mail.settle(own->mail.ctx);
	queue_store_after(own->env->store, on_committed, own);
}

static void
fill_item(struct own *own, struct str sha256, uint64_t size)
{
	struct queue_item *item = &own->item;
	struct queue_rcpt *rcpt = arena_new_of(own->arena, struct queue_rcpt);

	rcpt->address = arena_str(own->arena, own->mail.to);
	rcpt->notify = QUEUE_N_NEVER;	/* RFC 3461 section 6 */
	item->sender = STR("");
	item->flags = own->mail.flags;
	item->trace = STR("");
	item->verdict = STR("");
	item->summary = STR("");
	item->size_octets = size;
	item->sha256 = arena_str(own->arena, sha256);
	item->client = STR("local");
	item->arrived_us = when_wall_us();
	item->next_try_s = when_wall_s();
	item->rcpts = rcpt;
	item->rcpts_len = 1;
}

static void
on_sealed(void *ctx, int code, struct ipc_in *in)
{
	struct own *own = ctx;
	struct err err = ERR_INIT;
	struct ipc_out *out;
	struct str sha256;
	uint64_t size;

	if (code != 0) {
		own_end(own, "it was not sealed");
		return;
	}
	size = ipc_get_u64(in);
	sha256 = ipc_get_str(in);
	own->read_fd = ipc_take_fd(in);
	fill_item(own, sha256, size);
	if (queue_store_reserve(own->env->store, &own->item.id, &err) != 0) {
		own_end(own, err_text(&err));
		return;
	}
	out = ipc_begin(own->env->blobs, BLOB_LINK);
	ipc_put_bool(out, true);
	ipc_put_u64(out, 0);
	ipc_put_u64(out, own->item.id);
	(void)ipc_call(out, own->read_fd, BLOB_DEADLINE_MS, on_linked, own);
	/* The link is what holds it now. */
	out = ipc_begin(own->env->blobs, BLOB_DROP);
	ipc_put_u64(out, own->handle);
	(void)ipc_send(out, -1);
}

static void
on_created(void *ctx, int code, struct ipc_in *in)
{
	struct own *own = ctx;
	struct ipc_out *out;
	bool is_written;
	int fd;

	if (code != 0) {
		own_end(own, "there is no file for it");
		return;
	}
	own->handle = ipc_get_u64(in);
	fd = ipc_take_fd(in);
	is_written = file_write(fd, buf_str(&own->mail.text), NULL) == 0;
	if (close(fd) == -1)
		is_written = false;
	out = ipc_begin(own->env->blobs, is_written ? BLOB_SEAL : BLOB_DROP);
	ipc_put_u64(out, own->handle);
	if (is_written) {
		(void)ipc_call(out, -1, BLOB_DEADLINE_MS, on_sealed, own);
		return;
	}
	(void)ipc_send(out, -1);
	own_end(own, "it was not written");
}

void
own_submit(const struct deliver_env *env, const struct own_mail *mail)
{
	struct arena *arena = arena_new(4096);
	struct own *own = arena_new_of(arena, struct own);
	struct ipc_out *out;

	own->env = env;
	own->mail = *mail;
	own->mail.to = arena_str(arena, mail->to);
	own->arena = arena;
	own->read_fd = -1;
	out = ipc_begin(env->blobs, BLOB_CREATE);
	ipc_put_u64(out, own->mail.text.len);
	(void)ipc_call(out, -1, BLOB_DEADLINE_MS, on_created, own);
}
