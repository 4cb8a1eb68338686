/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/keep.h"

#include <unistd.h>

#include "base/log.h"
#include "base/when.h"
#include "blob/layout.h"
#include "filterd/quarantine/headline.h"
#include "ipc/links.h"

#define LINK_DEADLINE_MS 60000
#define OWNER_MAX 320U
#define RCPTS_MAX 10000U

struct keep {
	const struct keep_env *env;
	struct ipc_req *req;
	struct arena *arena;	/* holds this too */
	struct quarantine_entry entry;
	int blob_fd;
	bool is_new;
};

static void
keep_free(struct keep *keep)
{
	struct arena *arena = keep->arena;

	(void)close(keep->blob_fd);
	arena_free(&arena);
}

static void
keep_fail(struct keep *keep, int code, const char *why)
{
	ev_warn(NULL, "quarantine.entry.refused",
	    EV_U64(queue_id, keep->entry.queue_id),
	    EV_STR(address, keep->entry.owner), EV_CSTR(reason, why));
	ipc_reply_err(keep->req, code, "%s", why);
	keep_free(keep);
}

static void
tell_new(const struct keep *keep)
{
	ev_info(NULL, "quarantine.entry.kept", EV_U64(entry, keep->entry.id),
	    EV_U64(queue_id, keep->entry.queue_id),
	    EV_STR(address, keep->entry.owner),
	    EV_STR(sender, keep->entry.sender),
	    EV_U64(count, keep->entry.rcpts_len),
	    EV_U64(size, keep->entry.size_octets));
	tally_count(keep->env->tally, keep->entry.domain, "kept", 1);
	tally_state(keep->env->tally, 0);
}

static void
on_committed(void *ctx, int code)
{
	struct keep *keep = ctx;

	if (code != 0) {
		keep_fail(keep, code, "the entry was not written");
		return;
	}
	if (keep->is_new)
		tell_new(keep);
	ipc_reply_end(ipc_reply_begin(keep->req), -1);
	keep_free(keep);
}

/* Drop recipients that were here before and went. */
static int
forget_gone(struct keep *keep, struct err *err)
{
	struct quarantine_entry *entry = &keep->entry;
	size_t i, left = 0;
	bool is_gone;
	int rc = 0;

	for (i = 0; rc == 0 && i < entry->rcpts_len; i++) {
		rc = quarantine_store_is_gone(keep->env->store,
		    entry->queue_id, entry->owner, entry->rcpts[i].n,
		    &is_gone, err);
		if (rc == 0 && !is_gone)
			entry->rcpts[left++] = entry->rcpts[i];
	}
	entry->rcpts_len = left;
	return rc;
}

/* The entry may be there. True: it is or will be answered. */
static bool
is_known(struct keep *keep)
{
	struct quarantine_entry *entry = &keep->entry;
	struct err err = ERR_INIT;
	uint64_t id;
	int rc = forget_gone(keep, &err);

	if (rc == 0 && entry->rcpts_len != 0) {
		rc = quarantine_store_find(keep->env->store, entry->queue_id,
		    entry->owner, &id, &err);
		if (rc == ERR_NOTFOUND)
			return false;
		if (rc == 0)
			rc = quarantine_store_add_rcpts(keep->env->store, id,
			    entry->rcpts, entry->rcpts_len, &err);
	}
	if (rc != 0)
		keep_fail(keep, rc == ERR_LIMIT ? rc : ERR_TEMP,
		    err_text(&err));
	else
		quarantine_store_after(keep->env->store, on_committed, keep);
	return true;
}

static void
on_linked(void *ctx, int code, struct ipc_in *in)
{
	struct keep *keep = ctx;
	struct err err = ERR_INIT;
	uint64_t id = keep->entry.id;
	struct quarantine_store *store = keep->env->store;

	(void)in;
	if (code != 0) {
		keep_fail(keep, code == ERR_LIMIT ? code : ERR_TEMP,
		    "the blob was not linked");
		return;
	}
	/* Another request of the same may have been quicker. */
	if (is_known(keep)) {
		quarantine_store_drop_link(store, id);
		return;
	}
	keep->is_new = true;
	keep->entry.kept_s = when_wall_s();
	code = quarantine_store_add(store, &keep->entry, &err);
	if (code != 0)
		keep_fail(keep, code == ERR_LIMIT ? code : ERR_TEMP,
		    err_text(&err));
	else
		quarantine_store_after(store, on_committed, keep);
}

static void
take_rcpts(struct keep *keep, struct ipc_in *in)
{
	struct quarantine_entry *entry = &keep->entry;
	struct quarantine_rcpt *more, *rcpt;
	size_t cap = 0;

	while (ipc_more(in) && entry->rcpts_len < RCPTS_MAX) {
		if (entry->rcpts_len == cap) {
			cap = cap != 0 ? cap * 2 : 4;
			more = arena_alloc(keep->arena, cap * sizeof(*more));
			if (entry->rcpts_len != 0)
				memcpy(more, entry->rcpts,
				    entry->rcpts_len * sizeof(*more));
			entry->rcpts = more;
		}
		rcpt = &entry->rcpts[entry->rcpts_len++];
		rcpt->n = ipc_get_u64(in);
		rcpt->address = arena_str(keep->arena, ipc_get_str(in));
		rcpt->notify = ipc_get_u64(in);
		rcpt->orcpt = arena_str(keep->arena, ipc_get_str(in));
	}
}

static void
take(struct keep *keep, struct ipc_in *in)
{
	struct quarantine_entry *entry = &keep->entry;
	struct arena *arena = keep->arena;

	entry->queue_id = ipc_get_u64(in);
	entry->owner = arena_str(arena, ipc_get_str(in));
	entry->domain = str_sub(entry->owner, str_rfind(entry->owner, '@') +
	    1, entry->owner.len);
	entry->is_for_admin = ipc_get_bool(in);
	entry->sender = arena_str(arena, ipc_get_str(in));
	entry->sender_account = ipc_get_u64(in);
	entry->flags = ipc_get_u64(in);
	entry->envid = arena_str(arena, ipc_get_str(in));
	entry->trace = arena_str(arena, ipc_get_str(in));
	entry->verdict = arena_str(arena, ipc_get_str(in));
	entry->summary = arena_str(arena, ipc_get_str(in));
	entry->size_octets = ipc_get_u64(in);
	entry->sha256 = arena_str(arena, ipc_get_str(in));
	entry->client = arena_str(arena, ipc_get_str(in));
	entry->arrived_us = ipc_get_u64(in);
	take_rcpts(keep, in);
}

static bool
is_sound(const struct quarantine_entry *entry)
{
	return entry->owner.len != 0 && entry->owner.len <= OWNER_MAX &&
	    entry->domain.len != 0 && entry->sha256.len == 32 &&
	    entry->rcpts_len != 0;
}

void
keep_request(const struct keep_env *env, struct ipc_req *req,
    struct ipc_in *in)
{
	struct arena *arena = arena_new(8192);
	struct keep *keep = arena_new_of(arena, struct keep);
	struct err err = ERR_INIT;
	struct ipc_out *out;
	int rc;

	keep->env = env;
	keep->req = req;
	keep->arena = arena;
	keep->blob_fd = ipc_take_fd(in);
	take(keep, in);
	if (!is_sound(&keep->entry)) {
		keep_fail(keep, ERR_SYNTAX, "no owner, or no recipient");
		return;
	}
	if (is_known(keep))
		return;
	rc = headline_read(&keep->entry, keep->blob_fd, arena, &err);
	if (rc == 0)
		rc = quarantine_store_reserve(env->store, &keep->entry.id,
		    &err);
	if (rc != 0) {
		keep_fail(keep, rc, err_text(&err));
		return;
	}
	out = ipc_begin(env->blobs, BLOB_LINK);
	ipc_put_bool(out, true);
	ipc_put_u64(out, BLOB_HOLDER_QUARANTINE);
	ipc_put_u64(out, keep->entry.id);
	(void)ipc_call(out, keep->blob_fd, LINK_DEADLINE_MS, on_linked,
	    keep);
}
