/* SPDX-License-Identifier: ISC */
#include "mboxd/batch.h"

#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "mail/build.h"

#define LINK_DEADLINE_MS 30000
#define TRACE_LINE_MAX 1024

struct batch_row {
	struct batch_row *next;		/* of the same account */
	struct job *job;
	struct batch_account *account;	/* NULL: result is known */
	uint64_t id;
	uint64_t quota_octets;
	uint64_t message;		/* 0: nothing to link */
	struct str recipient;
	enum mbox_result result;
	const char *reason;
	bool is_reserved;
};

struct job {
	struct list node;
	struct arena *arena;
	struct ipc_req *req;
	int blob_fd;
	uint64_t queue_id;
	struct str trace;
	struct str summary;
	struct str sha256;
	uint64_t size_octets;
	uint64_t arrived_us;
	bool is_junk;
	struct batch_row *rows;
	size_t rows_len;
	bool needs_link;
	int code;			/* of its link frame */
};

/* ---- frames ---- */

void
batch_init(struct batch *batch, const struct batch_env *env)
{
	batch->env = env;
	batch->rows_len = 0;
	list_init(&batch->jobs);
	list_init(&batch->touched);
}

static void
job_free(struct job *job)
{
	struct arena *arena = job->arena;

	list_del(&job->node);
	(void)close(job->blob_fd);
	arena_free(&arena);
}

void
batch_fini(struct batch *batch)
{
	struct job *job;

	while ((job = list_first(&batch->jobs, struct job, node)) != NULL) {
		ipc_reply_err(job->req, ERR_TEMP, "stopping");
		job_free(job);
	}
}

bool
batch_is_empty(const struct batch *batch)
{
	return list_is_empty(&batch->jobs);
}

static size_t
count_rows(struct ipc_in *in)
{
	size_t n = 0;

	for (; ipc_more(in); n++) {
		(void)ipc_get_u64(in);
		(void)ipc_get_u64(in);
		(void)ipc_get_str(in);
	}
	return n;
}

static void
read_head(struct job *job, struct ipc_in *in)
{
	job->queue_id = ipc_get_u64(in);
	job->trace = ipc_get_str(in);
	job->summary = ipc_get_str(in);
	job->size_octets = ipc_get_u64(in);
	job->sha256 = ipc_get_str(in);
	job->arrived_us = ipc_get_u64(in);
	job->is_junk = ipc_get_bool(in);
}

void
batch_add(struct batch *batch, struct ipc_req *req, struct ipc_in *in)
{
	struct arena *arena = arena_new(8192);
	struct job *job = arena_new_of(arena, struct job);
	struct batch_row *row;

	job->arena = arena;
	job->req = req;
	job->blob_fd = ipc_take_fd(in);
	read_head(job, in);
	job->rows_len = count_rows(in);
	ipc_rewind(in);
	read_head(job, in);
	job->trace = arena_str(arena, job->trace);
	job->summary = arena_str(arena, job->summary);
	job->sha256 = arena_str(arena, job->sha256);
	job->rows = arena_alloc(arena, (job->rows_len + 1) *
	    sizeof(*job->rows));
	for (row = job->rows; ipc_more(in); row++) {
		row->job = job;
		row->id = ipc_get_u64(in);
		row->quota_octets = ipc_get_u64(in);
		row->recipient = arena_str(arena, ipc_get_str(in));
		row->result = MBOX_R_TEMP;
		row->reason = "";
	}
	batch->rows_len += job->rows_len;
	list_add(&batch->jobs, &job->node);
}

/* ---- results ---- */

static void
row_fail(struct batch_row *row, enum mbox_result result, const char *reason)
{
	if (row->is_reserved && row->account->store != NULL)
		store_reserve_cancel(row->account->store, row->message);
	row->is_reserved = false;
	row->message = 0;
	row->account = NULL;
	row->result = result;
	row->reason = reason;
}

/* Errors that are about this message or account, not about the disk. */
static void
row_fail_code(struct batch_row *row, int code, const struct err *err)
{
	struct batch_account *account = row->account;
	bool is_full = store_is_disk_full(account->store);

	if (code != ERR_LIMIT || is_full)
		ev_warn(NULL, "mbox.deliver.failed",
		    EV_U64(queue_id, row->job->queue_id),
		    EV_U64(account, row->id), EV_ERR(err));
	if (code == ERR_LIMIT && !is_full)
		row_fail(row, MBOX_R_FULL, "mailbox full");
	else
		row_fail(row, MBOX_R_TEMP, is_full ? "the disk is full" :
		    "the mailbox cannot be written");
}

/* ---- 1: ids ---- */

static void
account_touch(struct batch *batch, struct batch_account *account)
{
	if (!list_is_empty(&account->touched))
		return;
	list_add(&batch->touched, &account->touched);
	account->first = NULL;
	account->last = &account->first;
}

static void
row_reserve(struct batch *batch, struct batch_row *row)
{
	struct err err = ERR_INIT;
	int rc;

	row->account = batch->env->open(batch->env->ctx, row->id,
	    &row->result, &row->reason);
	if (row->account == NULL)
		return;
	rc = store_reserve(row->account->store, &row->message, &err);
	if (rc != 0) {
		/* Too many at a time is no quota. */
		row_fail_code(row, ERR_TEMP, &err);
		return;
	}
	row->is_reserved = true;
	row->next = NULL;
	row->job->needs_link = true;
	account_touch(batch, row->account);
	*row->account->last = row;
	row->account->last = &row->next;
}

/* ---- 2: links ---- */

static void
on_linked(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;

	(void)in;
	job->code = code;
}

static struct ipc_out *
link_frame(struct ipc_link *blobs, const struct batch_row *rows, size_t len)
{
	struct ipc_out *out = ipc_begin(blobs, BLOB_LINK);
	size_t i;

	ipc_put_bool(out, false);
	for (i = 0; i < len; i++) {
		if (rows[i].account == NULL || rows[i].message == 0)
			continue;
		ipc_put_u64(out, rows[i].id);
		ipc_put_u64(out, rows[i].message);
	}
	return out;
}

static int
link_wait(struct ipc_link *blobs, const struct job *job,
    const struct batch_row *rows, size_t len)
{
	struct ipc_in *reply = NULL;
	int rc = ipc_call_wait(link_frame(blobs, rows, len), job->blob_fd,
	    LINK_DEADLINE_MS, &reply, NULL);

	ipc_in_free(&reply);
	return rc;
}

static void
row_link_failed(struct batch_row *row, int code)
{
	row_fail(row, MBOX_R_TEMP, code == ERR_LIMIT ? "the disk is full" :
	    "the message cannot be linked");
}

/* One of several links failed, and the rest was not tried: one by one. */
static void
link_singly(struct ipc_link *blobs, struct job *job)
{
	size_t i;
	int rc;

	for (i = 0; i < job->rows_len; i++) {
		if (job->rows[i].account == NULL)
			continue;
		rc = link_wait(blobs, job, &job->rows[i], 1);
		if (rc != 0)
			row_link_failed(&job->rows[i], rc);
	}
}

/* All frames are sent, then the last reply is waited for: they come in
 * order, the earlier ones have been taken by then. */
static void
link_all(struct batch *batch)
{
	struct ipc_link *blobs = batch->env->blobs(batch->env->ctx);
	struct job *job, *tmp, *last = NULL;

	list_each(job, tmp, &batch->jobs, struct job, node) {
		job->code = ERR_TEMP;
		if (!job->needs_link || blobs == NULL)
			continue;
		if (last != NULL)
			(void)ipc_call(link_frame(blobs, last->rows,
			    last->rows_len), last->blob_fd, LINK_DEADLINE_MS,
			    on_linked, last);
		last = job;
	}
	if (last != NULL)
		last->code = link_wait(blobs, last, last->rows,
		    last->rows_len);
	list_each(job, tmp, &batch->jobs, struct job, node)
		if (job->needs_link && job->code != 0 && blobs != NULL)
			link_singly(blobs, job);
}

/* Without blobd all rows fail. */
static void
fail_unlinked(struct batch *batch)
{
	struct job *job, *tmp;
	size_t i;

	if (batch->env->blobs(batch->env->ctx) != NULL)
		return;
	list_each(job, tmp, &batch->jobs, struct job, node)
		for (i = 0; i < job->rows_len; i++)
			if (job->rows[i].account != NULL)
				row_link_failed(&job->rows[i], ERR_TEMP);
}

/* ---- 3: rows ---- */

/*
 * Delivered-To goes behind Return-Path, which is the first line of a message
 * (RFC 5321 section 4.4).
 */
static struct str
row_trace(struct batch_row *row)
{
	struct str trace = row->job->trace;
	size_t cut = 0;
	struct buf buf;
	struct str whole;

	if (str_begins_nocase(trace, STR("Return-Path:")))
		cut = str_find(trace, '\n') + 1;
	buf_init(&buf, trace.len + TRACE_LINE_MAX);
	buf_add_str(&buf, str_sub(trace, 0, cut));
	build_delivered_to(&buf, row->recipient);
	buf_add_str(&buf, str_sub(trace, cut, trace.len));
	whole = arena_str(row->job->arena, buf_str(&buf));
	buf_fini(&buf);
	return whole;
}

/* An account without a mailbox for junk has it in its inbox. */
static uint64_t
mailbox_for(const struct job *job, struct store *store)
{
	const struct store_mailbox *mailbox = NULL;

	if (job->is_junk)
		mailbox = store_mailbox_by_role(store, STORE_ROLE_JUNK);
	if (mailbox == NULL)
		mailbox = store_mailbox_by_role(store, STORE_ROLE_INBOX);
	return mailbox != NULL ? mailbox->id : 0;
}

static int
row_store(struct batch_row *row, struct err *err)
{
	struct job *job = row->job;
	struct store *store = row->account->store;
	struct store_add add = {
		.mailbox = mailbox_for(job, store),
		.message = row->message,
		.blob_octets = job->size_octets,
		.sha256 = (const unsigned char *)job->sha256.p,
		.trace = row_trace(row),
		.summary = job->summary,
		.date_s = (int64_t)(job->arrived_us / 1000000),
		.queue_id = job->queue_id,
		.recipient = row->recipient,
		.max_octets = row->quota_octets,
	};
	struct store_added added;
	int rc;

	if (job->sha256.len != 32)
		return err_set(err, ERR_SYNTAX, "no SHA-256");
	rc = store_add(store, &add, &added, err);
	if (rc == ERR_EXISTS) {
		/* Its reserved id is given up; the earlier link again. */
		row->is_reserved = false;
		row->message = added.message;
		return 0;
	}
	return rc;
}

static void
account_fail(struct batch_account *account, int code, const struct err *err)
{
	struct batch_row *row, *next;

	for (row = account->first; row != NULL; row = next) {
		next = row->next;
		if (row->account != NULL)
			row_fail_code(row, code, err);
	}
	/* The next delivery opens it anew. */
	if (store_has_failed(account->store))
		store_close(&account->store);
}

static void
account_store(struct batch_account *account)
{
	struct err err = ERR_INIT;
	struct batch_row *row;
	int rc = store_begin(account->store, STORE_NORMAL, &err);

	for (row = account->first; row != NULL && rc == 0; row = row->next) {
		struct err why = ERR_INIT;
		int one;

		if (row->account == NULL)
			continue;
		one = row_store(row, &why);
		if (one == ERR_TEMP || one == ERR_CORRUPT)
			rc = err_set(&err, one, "%s", err_text(&why));
		else if (one != 0)
			row_fail_code(row, one, &why);
	}
	if (rc == 0)
		rc = store_commit(account->store, &err);
	else
		store_rollback(account->store);
	if (rc != 0)
		account_fail(account, rc, &err);
}

/* Keys that were there: the row may have survived a crash without the link. */
static void
link_again(struct batch *batch)
{
	struct ipc_link *blobs = batch->env->blobs(batch->env->ctx);
	struct job *job, *tmp;
	size_t i;

	list_each(job, tmp, &batch->jobs, struct job, node)
		for (i = 0; i < job->rows_len; i++) {
			struct batch_row *row = &job->rows[i];

			if (row->account == NULL || row->is_reserved ||
			    row->message == 0)
				continue;
			if (blobs == NULL ||
			    link_wait(blobs, job, row, 1) != 0)
				row_link_failed(row, ERR_TEMP);
		}
}

/* ---- 4: flush and answer ---- */

static void
job_answer(struct job *job, bool is_flushed)
{
	struct ipc_out *out = ipc_reply_begin(job->req);
	struct batch_row *row;
	size_t i;

	for (i = 0; i < job->rows_len; i++) {
		row = &job->rows[i];
		if (row->account != NULL) {
			row->result = is_flushed ? MBOX_R_DELIVERED :
			    MBOX_R_TEMP;
			row->reason = is_flushed ? "" : "a flush has failed";
		}
		ipc_put_u64(out, row->id);
		ipc_put_u64(out, row->result);
		ipc_put_str(out, str_of(row->reason));
	}
	ipc_reply_end(out, -1);
}

static void
note_synced(struct batch *batch)
{
	struct batch_account *account, *tmp;

	list_each(account, tmp, &batch->touched, struct batch_account, touched)
		if (account->store != NULL)
			store_note_synced(account->store);
}

static void
touched_reset(struct batch *batch)
{
	struct batch_account *account;

	while ((account = list_first(&batch->touched, struct batch_account,
	    touched)) != NULL)
		list_del(&account->touched);
}

/* blobd is not there, or went while it was asked: as if nothing had been. */
static void
unreserve_all(struct batch *batch)
{
	struct job *job, *tmp;
	size_t i;

	list_each(job, tmp, &batch->jobs, struct job, node)
		for (i = 0; i < job->rows_len; i++)
			row_fail(&job->rows[i], MBOX_R_TEMP, "");
	touched_reset(batch);
}

static void
reserve_all(struct batch *batch)
{
	struct job *job, *tmp;
	size_t i;

	touched_reset(batch);
	list_each(job, tmp, &batch->jobs, struct job, node)
		for (i = 0; i < job->rows_len; i++)
			row_reserve(batch, &job->rows[i]);
}

enum batch_end
batch_run(struct batch *batch, bool may_wait, struct err *err)
{
	struct batch_account *account, *next;
	struct job *job;
	bool is_flushed;

	if (may_wait && batch->env->blobs(batch->env->ctx) == NULL)
		return BATCH_AGAIN;
	reserve_all(batch);
	link_all(batch);
	if (may_wait && batch->env->blobs(batch->env->ctx) == NULL) {
		unreserve_all(batch);
		return BATCH_AGAIN;
	}
	fail_unlinked(batch);
	list_each(account, next, &batch->touched, struct batch_account,
	    touched)
		account_store(account);
	link_again(batch);
	is_flushed = list_is_empty(&batch->touched) ||
	    syncfs(batch->env->fs_fd) == 0;
	if (is_flushed)
		note_synced(batch);
	else
		(void)err_set_errno(err, ERR_TEMP, "syncfs");
	while ((job = list_first(&batch->jobs, struct job, node)) != NULL) {
		job_answer(job, is_flushed);
		job_free(job);
	}
	batch->rows_len = 0;
	return is_flushed ? BATCH_DONE : BATCH_FLUSH_LOST;
}
