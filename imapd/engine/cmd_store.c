/* SPDX-License-Identifier: ISC */
/*
 * STORE and UID STORE. Changes of others are told first, so that what this
 * command changes can be taken as told after it: silently, or by the FETCH
 * answers below.
 */
#include "imapd/engine/engine_int.h"

/* Messages of one commit: some 20 ms. */
#define STORE_BATCH 50000

struct store_job {
	struct store_set uids;
	struct view_set set;
	struct store_flag_change change;
	uint32_t next_uid;
	bool is_changed;	/* all of it is stored; answers follow */
	uint32_t *modified;	/* UIDs that failed UNCHANGEDSINCE */
	size_t modified_count;
	size_t modified_at;
	size_t range;
	size_t number;
	size_t hint;
	bool has_gone;
};

static enum imap_run
no_keyword(struct imap_session *s, int ret)
{
	return imap_no(s, ret == ERR_LIMIT ?
	    "[LIMIT] Too many keywords in this mailbox" :
	    ret == ERR_SYNTAX ? "[CANNOT] Keyword too long or not an atom" :
	    "[UNAVAILABLE] Keyword could not be stored");
}

/* Bits of the keywords; one that is not known need not be taken away. */
static int
keyword_bits(struct imap_session *s, const struct imap_store *store,
    uint64_t *bits_r)
{
	bool may_make = store->mode != IMAP_STORE_REMOVE;
	unsigned bit;
	size_t i;
	int ret;

	*bits_r = 0;
	for (i = 0; i < store->flags.n_keywords; i++) {
		ret = store_keyword(s->store, s->view->mailbox,
		    store->flags.keywords[i], may_make, &bit, NULL);
		if (ret == 0)
			*bits_r |= UINT64_C(1) << bit;
		else if (may_make)
			return ret;
	}
	return 0;
}

static struct store_job *
store_job_begin(struct imap_session *s)
{
	static const enum store_flag_op ops[] = {
		[IMAP_STORE_REPLACE] = STORE_FLAGS_SET,
		[IMAP_STORE_ADD] = STORE_FLAGS_ADD,
		[IMAP_STORE_REMOVE] = STORE_FLAGS_REMOVE,
	};
	const struct imap_store *store = &s->cmd.u.store;
	struct store_job *job = arena_new_of(s->arena, struct store_job);
	int ret;

	if (!imap_may_write(s))
		return NULL;
	if (view_resolve(s->view, &store->set, s->cmd.is_uid, s->arena,
	    &job->set) != 0) {
		imap_reply(s, "BAD", "No such message number");
		return NULL;
	}
	ret = keyword_bits(s, store, &job->change.keywords);
	if (ret != 0) {
		(void)no_keyword(s, ret);
		return NULL;
	}
	job->change.op = ops[store->mode];
	job->change.flags = view_flags_to(store->flags.system);
	job->change.has_unchangedsince = store->has_unchangedsince;
	job->change.unchangedsince = store->unchangedsince;
	job->uids = view_uids(s->view, &job->set, s->arena);
	if (job->set.count != 0)
		job->number = job->set.ranges[0].first;
	s->job = job;
	return job;
}

/* RFC 7162 section 3.1.3: what is left alone is named at the end. */
static void
note_modified(struct imap_session *s, struct store_job *job,
    const struct store_uids *uids)
{
	size_t count = job->modified_count + uids->count;
	uint32_t *all;

	if (uids->count == 0)
		return;
	all = arena_alloc(s->arena, count * sizeof(*all));
	if (job->modified_count != 0)
		memcpy(all, job->modified,
		    job->modified_count * sizeof(*all));
	memcpy(all + job->modified_count, uids->uids,
	    uids->count * sizeof(*all));
	job->modified = all;
	job->modified_count = count;
}

/* One batch; *is_done_r: it was the last. */
static int
store_batch(struct imap_session *s, struct store_job *job)
{
	struct store_flag_result result = { .modseq = 0 };
	struct err err = ERR_INIT;
	bool was_level = view_change_begin(s->view, s->store);

	if (store_flags(s->store, s->view->mailbox, &job->uids, &job->change,
	    STORE_BATCH, &job->next_uid, s->arena, &result, &err) != 0) {
		imap_reply_err(s, &err);
		return err.code;
	}
	if (result.changed.count != 0) {
		view_change_end(s->view, s->store, was_level);
		engine_changed(s->host);
	}
	note_modified(s, job, &result.modified);
	job->is_changed = job->next_uid == 0;
	return 0;
}

static void
next_number(struct store_job *job)
{
	if (job->number++ < job->set.ranges[job->range].last)
		return;
	if (++job->range < job->set.count)
		job->number = job->set.ranges[job->range].first;
}

/* Numbers come in the order of their UIDs, as the modified ones do. */
static bool
is_modified(struct store_job *job, uint32_t uid)
{
	while (job->modified_at < job->modified_count &&
	    job->modified[job->modified_at] < uid)
		job->modified_at++;
	return job->modified_at < job->modified_count &&
	    job->modified[job->modified_at] == uid;
}

static void
put_answer(struct imap_session *s, struct store_job *job,
    const struct store_msg *msg, const struct str *names)
{
	bool is_silent = s->cmd.u.store.is_silent;

	if (is_modified(job, msg->uid))
		return;
	/* RFC 7162 section 3.1.3: its MODSEQ is told even so. */
	if (!is_silent || (s->view->style & VIEW_MODSEQ) != 0)
		view_put_fetch_flags(s->view, &s->out, job->number, msg,
		    s->cmd.is_uid, is_silent, names);
}

/* RFC 3501 section 6.4.6: the new flags of each, changed or not. */
static bool
put_answers(struct imap_session *s, struct store_job *job)
{
	const struct str *names = store_keyword_names(s->store,
	    s->view->mailbox);
	const struct store_msg *msgs, *msg;
	unsigned n = 0;
	size_t count;

	if (store_messages(s->store, s->view->mailbox, &msgs, &count,
	    NULL) != 0)
		return true;
	for (; job->range < job->set.count; next_number(job)) {
		if (imap_is_full(s) ||
		    (++n % 256 == 0 && engine_slice_over(s->host)))
			return false;
		msg = view_msg(s->view, job->number - 1, msgs, count,
		    &job->hint);
		if (msg == NULL)
			job->has_gone = true;
		else
			put_answer(s, job, msg, names);
	}
	return true;
}

/* RFC 7162 section 3.1.3: MODIFIED names numbers, or UIDs for UID STORE. */
static void
reply_modified(struct imap_session *s, const struct store_job *job)
{
	struct imap_set_writer writer;
	size_t i;

	buf_reset(&s->reply);
	buf_add_cstr(&s->reply, "OK [MODIFIED ");
	imap_set_writer_init(&writer, &s->reply);
	for (i = 0; i < job->modified_count; i++)
		imap_set_writer_add(&writer, s->cmd.is_uid ?
		    job->modified[i] :
		    (uint32_t)view_find(s->view, job->modified[i]) + 1);
	imap_set_writer_end(&writer);
	buf_add_cstr(&s->reply, "] Some messages have changed before");
}

enum imap_run
imap_run_store(struct imap_session *s)
{
	struct store_job *job = s->job;
	enum imap_run told;

	if (job == NULL) {
		if (s->cmd.u.store.has_unchangedsince)
			imap_enable(s, IMAP_ENABLED_CONDSTORE);
		job = store_job_begin(s);
		if (job == NULL)
			return RUN_DONE;
	}
	/* What others did, and new keywords, before what we do. */
	if (!job->is_changed) {
		told = imap_tell(s, false, s->cmd.is_uid);
		if (told != RUN_DONE)
			return told;
		if (s->is_over)
			return imap_no(s, "Mailbox is gone");
	}
	if (!job->is_changed && job->uids.count != 0) {
		if (store_batch(s, job) != 0)
			return RUN_DONE;
		return RUN_MORE;
	}
	if (!put_answers(s, job))
		return RUN_MORE;
	if (job->modified_count != 0)
		reply_modified(s, job);
	else if (job->has_gone)
		imap_reply(s, "OK",
		    "[EXPUNGEISSUED] Some messages are gone");
	else
		imap_ok(s);
	return RUN_DONE;
}
