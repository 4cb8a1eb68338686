/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/accept.h"

#include <unistd.h>

#include "base/log.h"
#include "base/table.h"
#include "base/when.h"
#include "filter/verdict.h"
#include "ipc/links.h"

#define RCPTS_MAX 10000
#define PENDING_MAX 2000
#define LINK_DEADLINE_MS 60000

/* Recipients that came before their submission. */
struct pending {
	struct arena *arena;
	struct queue_rcpt *rcpts;
	size_t len;
	size_t cap;
};

struct acceptor {
	const struct accept_env *env;
	bool may_key;
	struct table *pending;	/* tx -> struct pending */
};

/* A submission on its way to the disk. */
struct submission {
	const struct accept_env *env;
	struct ipc_req *req;
	struct arena *arena;
	struct str key;		/* empty: none */
	uint64_t first;		/* the item an earlier one became */
	struct queue_item item;
	int blob_fd;
};

/* ---- recipients ---- */

static struct pending *
pending_of(struct acceptor *acceptor, uint64_t tx)
{
	struct pending *pending = table_get_u64(acceptor->pending, tx);
	struct arena *arena;

	if (pending != NULL)
		return pending;
	if (table_count(acceptor->pending) >= PENDING_MAX)
		return NULL;
	arena = arena_new(4096);
	pending = arena_new_of(arena, struct pending);
	pending->arena = arena;
	table_put_u64(acceptor->pending, tx, pending);
	return pending;
}

static void
add_rcpts(struct pending *pending, struct ipc_in *in)
{
	struct queue_rcpt *more, *rcpt;
	struct str address, orcpt;
	uint64_t notify;

	while (ipc_more(in)) {
		address = ipc_get_str(in);
		notify = ipc_get_u64(in);
		orcpt = ipc_get_str(in);
		if (pending->len >= RCPTS_MAX)
			continue;
		if (pending->len == pending->cap) {
			pending->cap = pending->cap != 0 ? pending->cap * 2 :
			    4;
			more = arena_alloc(pending->arena,
			    pending->cap * sizeof(*more));
			if (pending->len != 0)
				memcpy(more, pending->rcpts,
				    pending->len * sizeof(*more));
			pending->rcpts = more;
		}
		rcpt = &pending->rcpts[pending->len];
		*rcpt = (struct queue_rcpt){
		    .n = (uint32_t)pending->len++ };
		rcpt->state = RCPT_QUEUED;
		rcpt->address = arena_str(pending->arena, address);
		rcpt->notify = notify;
		rcpt->orcpt = arena_str(pending->arena, orcpt);
	}
}

void
accept_rcpts(struct acceptor *acceptor, struct ipc_in *in)
{
	struct pending *pending = pending_of(acceptor, ipc_get_u64(in));

	if (pending != NULL)
		add_rcpts(pending, in);
}

void
accept_abort(struct acceptor *acceptor, struct ipc_in *in)
{
	struct pending *pending = table_del_u64(acceptor->pending,
	    ipc_get_u64(in));

	if (pending != NULL)
		arena_free(&pending->arena);
}

/* ---- submissions ---- */

static void
submission_fail(struct submission *sub, int code, const char *why)
{
	struct arena *arena = sub->arena;	/* sub lives in it */

	ev_warn(NULL, "queue.item.refused", EV_CSTR(reason, why));
	ipc_reply_err(sub->req, code, "%s", why);
	(void)close(sub->blob_fd);
	arena_free(&arena);
}

/* Envelope and blob are on disk: we answer for the message now. */
static void
on_committed(void *ctx, int code)
{
	struct submission *sub = ctx;
	struct ipc_out *out;

	if (code != 0) {
		submission_fail(sub, code, "the envelope was not written");
		return;
	}
	ev_info(NULL, "queue.item.accepted", EV_U64(queue_id, sub->item.id),
	    EV_STR(sender, sub->item.sender),
	    EV_U64(count, sub->item.rcpts_len),
	    EV_U64(size, sub->item.size_octets));
	out = ipc_reply_begin(sub->req);
	ipc_put_u64(out, sub->item.id);
	ipc_reply_end(out, -1);
	found_item(sub->env->found, &sub->item);
	schedule_accept(sub->env->schedule, sub->arena, &sub->item,
	    sub->blob_fd);
}

/* It was made before: what it became is on disk, or is with this round. */
static void
on_known(void *ctx, int code)
{
	struct submission *sub = ctx;
	struct arena *arena = sub->arena;
	struct ipc_out *out;

	if (code != 0) {
		submission_fail(sub, code, "the envelope was not written");
		return;
	}
	ev_info(NULL, "queue.item.repeated", EV_U64(queue_id, sub->first));
	out = ipc_reply_begin(sub->req);
	ipc_put_u64(out, sub->first);
	ipc_reply_end(out, -1);
	(void)close(sub->blob_fd);
	arena_free(&arena);
}

/* Has it been made before? True: it is or will be answered. */
static bool
is_known(struct submission *sub)
{
	struct err err = ERR_INIT;
	int rc;

	if (sub->key.len == 0)
		return false;
	rc = queue_store_key_get(sub->env->store, sub->key, &sub->first,
	    &err);
	if (rc == 0)
		queue_store_after(sub->env->store, on_known, sub);
	else if (rc != ERR_NOTFOUND)
		submission_fail(sub, ERR_TEMP, err_text(&err));
	return rc != ERR_NOTFOUND;
}

static int
add_item(struct submission *sub, struct err *err)
{
	int rc = queue_store_add(sub->env->store, &sub->item, err);

	return rc == 0 && sub->key.len != 0 ? queue_store_key_add(
	    sub->env->store, sub->key, sub->item.id, err) : rc;
}

static void
on_linked(void *ctx, int code, struct ipc_in *in)
{
	struct submission *sub = ctx;
	struct err err = ERR_INIT;

	(void)in;
	/* Another one may have come meanwhile; the link goes at a start. */
	if (code == 0 && is_known(sub))
		return;
	if (code == 0)
		code = add_item(sub, &err);
	if (code != 0) {
		submission_fail(sub, code == ERR_LIMIT ? ERR_LIMIT : ERR_TEMP,
		    err.code != 0 ? err_text(&err) : "the blob was not "
		    "written");
		return;
	}
	queue_store_after(sub->env->store, on_committed, sub);
}

static void
take_envelope(struct submission *sub, struct ipc_in *in)
{
	struct queue_item *item = &sub->item;
	struct arena *arena = sub->arena;
	uint64_t hold_until_s;

	sub->key = arena_str(arena, ipc_get_str(in));
	item->sender = arena_str(arena, ipc_get_str(in));
	item->sender_account = ipc_get_u64(in);
	item->flags = ipc_get_u64(in);
	item->envid = arena_str(arena, ipc_get_str(in));
	hold_until_s = ipc_get_u64(in);
	item->trace = arena_str(arena, ipc_get_str(in));
	item->verdict = arena_str(arena, ipc_get_str(in));
	item->summary = arena_str(arena, ipc_get_str(in));
	item->size_octets = ipc_get_u64(in);
	item->sha256 = arena_str(arena, ipc_get_str(in));
	item->client = arena_str(arena, ipc_get_str(in));
	item->arrived_us = when_wall_us();
	item->next_try_s = when_wall_s();
	if (hold_until_s > (uint64_t)item->next_try_s &&
	    hold_until_s < INT64_MAX)
		item->next_try_s = (int64_t)hold_until_s;
}

/* Can it be understood when it is to be acted on? */
static bool
is_verdict(const struct submission *sub)
{
	struct verdict verdict;

	return sub->item.verdict.len == 0 || verdict_decode(
	    sub->item.verdict, sub->arena, &verdict, NULL) == 0;
}

/* The blob's link; the envelope follows it. */
static void
link_blob(struct submission *sub)
{
	struct err err = ERR_INIT;
	struct ipc_out *out;
	int rc = queue_store_reserve(sub->env->store, &sub->item.id, &err);

	if (rc != 0) {
		submission_fail(sub, rc, err_text(&err));
		return;
	}
	out = ipc_begin(sub->env->blobs, BLOB_LINK);
	ipc_put_bool(out, true);
	ipc_put_u64(out, 0);
	ipc_put_u64(out, sub->item.id);
	(void)ipc_call(out, sub->blob_fd, LINK_DEADLINE_MS, on_linked, sub);
}

void
accept_submit(struct acceptor *acceptor, struct ipc_req *req,
    struct ipc_in *in)
{
	const struct accept_env *env = acceptor->env;
	uint64_t tx = ipc_get_u64(in), want;
	struct pending *pending = pending_of(acceptor, tx);
	struct submission *sub;

	if (pending == NULL || env->is_stopping) {
		ipc_reply_err(req, ERR_TEMP, "too busy");
		return;
	}
	table_del_u64(acceptor->pending, tx);
	sub = arena_new_of(pending->arena, struct submission);
	sub->env = env;
	sub->req = req;
	sub->arena = pending->arena;
	sub->blob_fd = ipc_take_fd(in);
	take_envelope(sub, in);
	if (!acceptor->may_key)
		sub->key = STR("");
	want = ipc_get_u64(in);
	add_rcpts(pending, in);
	sub->item.rcpts = pending->rcpts;
	sub->item.rcpts_len = pending->len;
	if (want != pending->len || want == 0 ||
	    sub->item.sha256.len != 32) {
		submission_fail(sub, ERR_TEMP, "recipients are missing");
		return;
	}
	if (!is_verdict(sub)) {
		submission_fail(sub, ERR_TEMP, "the verdict is malformed");
		return;
	}
	if (!is_known(sub))
		link_blob(sub);
}

/* ---- life ---- */

struct acceptor *
acceptor_new(const struct accept_env *env, bool may_key)
{
	struct acceptor *acceptor = calloc(1, sizeof(*acceptor));

	invariant(acceptor != NULL);
	acceptor->env = env;
	acceptor->may_key = may_key;
	acceptor->pending = table_new();
	return acceptor;
}

void
acceptor_free(struct acceptor **acceptor)
{
	struct pending *pending;
	size_t cursor = 0;

	if (*acceptor == NULL)
		return;
	while ((pending = table_next((*acceptor)->pending, &cursor, NULL))
	    != NULL)
		arena_free(&pending->arena);
	table_free(&(*acceptor)->pending);
	free(*acceptor);
	*acceptor = NULL;
}
