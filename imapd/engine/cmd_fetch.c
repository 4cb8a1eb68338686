/* SPDX-License-Identifier: ISC */
/*
 * FETCH and UID FETCH.
 *
 * Easy case: nothing but what rows and summaries hold is asked for. Messages
 * are read through a store reader, one line each, until the slice is used.
 *
 * Hard case: BODY[] of 30 MB that sets \Seen. The flags of the next messages
 * of the set are changed with one commit (the window), then each message is
 * shown: its head, and per section a literal that is read from the blob in
 * chunks as the client takes them. Between the chunks other sessions run and
 * may expunge it; its blob stays open.
 */
#include "imapd/engine/engine_int.h"
#include "imapd/engine/section.h"
#include "imapd/engine/structure.h"

#define CHUNK (64U << 10)
#define SEEN_WINDOW 64

enum fetch_stage {
	FETCH_START,
	FETCH_SUMMARY,
	FETCH_HEAD,
	FETCH_SECTION,
	FETCH_STREAM,
};

struct fetch_job {
	struct view_set set;
	size_t range;			/* of the set */
	size_t number;			/* the next message */
	size_t hint;
	const struct store_msg *msgs;	/* for this run */
	size_t count;
	struct store_reader *reader;	/* for this run */
	bool needs_summary;
	bool has_gone;
	bool has_broken;
	/* \Seen is set for numbers up to here; for these just now. */
	size_t seen_to;
	struct store_uids seen;
	struct arena *seen_arena;
	/* the message being shown */
	enum fetch_stage stage;
	struct store_msg msg;
	struct imap_message message;
	size_t n_section;
	struct section section;
	uint64_t at;
	uint64_t end;
};

static void
fetch_cleanup(struct imap_session *s)
{
	struct fetch_job *job = s->job;

	store_reader_end(&job->reader);
	message_fini(&job->message);
	arena_free(&job->seen_arena);
}

static struct fetch_job *
fetch_begin(struct imap_session *s)
{
	const struct imap_fetch *fetch = &s->cmd.u.fetch;
	struct fetch_job *job = arena_new_of(s->arena, struct fetch_job);

	if (view_resolve(s->view, &fetch->set, s->cmd.is_uid, s->arena,
	    &job->set) != 0) {
		imap_reply(s, "BAD", "No such message number");
		return NULL;
	}
	job->needs_summary = fetch->n_sections != 0 || (fetch->items &
	    (IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY |
	    IMAP_FETCH_BODYSTRUCTURE)) != 0;
	if (job->set.count != 0)
		job->number = job->set.ranges[0].first;
	message_init(&job->message, s->store);
	job->seen_arena = arena_new(0);
	s->job = job;
	s->cleanup = fetch_cleanup;
	return job;
}

/* --- \Seen --------------------------------------------------------- */

/* The UIDs of the next messages, at most a window of them. */
static struct store_range
seen_window(const struct imap_session *s, struct fetch_job *job)
{
	size_t last = job->set.ranges[job->range].last;

	if (last - job->number >= SEEN_WINDOW)
		last = job->number + SEEN_WINDOW - 1;
	job->seen_to = last;
	return (struct store_range){ s->view->uids[job->number - 1],
	    s->view->uids[last - 1] };
}

static int
load_msgs(struct imap_session *s, struct fetch_job *job)
{
	struct err err = ERR_INIT;

	if (store_messages(s->store, s->view->mailbox, &job->msgs,
	    &job->count, &err) == 0)
		return 0;
	imap_reply_err(s, &err);
	return err.code;
}

/* Set \Seen for the window that begins here. That it cannot be stored does
 * not keep anybody from reading. */
static int
set_seen(struct imap_session *s, struct fetch_job *job)
{
	static const struct store_flag_change change = {
		.op = STORE_FLAGS_ADD, .flags = STORE_SEEN,
	};
	struct store_range range;
	struct store_set set = { &range, 1 };
	struct store_flag_result result = { .modseq = 0 };
	struct err err = ERR_INIT;
	uint32_t next = 0;
	bool was_level = view_change_begin(s->view, s->store);

	range = seen_window(s, job);
	store_reader_end(&job->reader);
	arena_reset(job->seen_arena);
	job->seen.count = 0;
	if (store_flags(s->store, s->view->mailbox, &set, &change, 0, &next,
	    job->seen_arena, &result, &err) != 0) {
		ev_warn(engine_ev(s->host), "imap.seen.failed", EV_ERR(&err));
		return load_msgs(s, job);
	}
	job->seen = result.changed;
	if (result.changed.count != 0) {
		view_change_end(s->view, s->store, was_level);
		engine_changed(s->host);
	}
	return load_msgs(s, job);
}

static bool
is_newly_seen(const struct fetch_job *job, uint32_t uid)
{
	size_t i;

	for (i = 0; i < job->seen.count; i++)
		if (job->seen.uids[i] == uid)
			return true;
	return false;
}

/* --- a message ----------------------------------------------------- */

static void
put_summed(struct buf *out, unsigned items, struct imap_message *m)
{
	if (items & IMAP_FETCH_ENVELOPE) {
		buf_add(out, "ENVELOPE ", 9);
		structure_put_envelope(out, summary_envelope(m->summary),
		    m->arena);
		buf_add_char(out, ' ');
	}
	if (items & IMAP_FETCH_BODY) {
		buf_add(out, "BODY ", 5);
		structure_put_body(out, m->summary, false, m->arena);
		buf_add_char(out, ' ');
	}
	if (items & IMAP_FETCH_BODYSTRUCTURE) {
		buf_add(out, "BODYSTRUCTURE ", 14);
		structure_put_body(out, m->summary, true, m->arena);
		buf_add_char(out, ' ');
	}
}

static void
put_flags(struct imap_session *s, const struct store_msg *msg)
{
	buf_add(&s->out, "FLAGS ", 6);
	view_put_flags(&s->out, msg, view_is_recent(s->view, msg->uid),
	    msg->keywords != 0 ?
	    store_keyword_names(s->store, s->view->mailbox) : NULL);
	buf_add_char(&s->out, ' ');
}

/* All but the sections; each item with a blank after it. */
static void
put_head(struct imap_session *s, struct fetch_job *job)
{
	unsigned items = s->cmd.u.fetch.items;
	struct buf *out = &s->out;

	buf_add(out, "* ", 2);
	buf_add_u64(out, job->number);
	buf_add(out, " FETCH (", 8);
	if (items & IMAP_FETCH_UID) {
		buf_add(out, "UID ", 4);
		buf_add_u64(out, job->msg.uid);
		buf_add_char(out, ' ');
	}
	if ((items & IMAP_FETCH_FLAGS) || is_newly_seen(job, job->msg.uid))
		put_flags(s, &job->msg);
	if (items & IMAP_FETCH_INTERNALDATE) {
		buf_add(out, "INTERNALDATE ", 13);
		imap_put_date_time(out, job->msg.date_s);
		buf_add_char(out, ' ');
	}
	if (items & IMAP_FETCH_SIZE) {
		buf_add(out, "RFC822.SIZE ", 12);
		buf_add_u64(out, job->msg.size_octets);
		buf_add_char(out, ' ');
	}
	if (job->needs_summary)
		put_summed(out, items, &job->message);
}

static void
put_end(struct imap_session *s)
{
	/* The blank after the last item. */
	buf_truncate(&s->out, s->out.len - 1);
	buf_add(&s->out, ")\r\n", 3);
}

/* Will the blob be read? */
static bool
needs_blob(const struct imap_fetch *fetch, const struct mail_summary *summary)
{
	size_t i;

	for (i = 0; i < fetch->n_sections; i++)
		if (!section_is_summed(&fetch->sections[i], summary))
			return true;
	return false;
}

/* --- stages: false: call again later ------------------------------- */

static bool
end_message(struct fetch_job *job)
{
	message_end(&job->message);
	job->stage = FETCH_START;
	if (job->number++ < job->set.ranges[job->range].last)
		return true;
	if (++job->range < job->set.count)
		job->number = job->set.ranges[job->range].first;
	return true;
}

static bool
broken(struct fetch_job *job)
{
	job->has_broken = true;
	return end_message(job);
}

/* Rows that are read and shown at once need no copy. */
static struct store_reader *
reader_of(struct imap_session *s, struct fetch_job *job)
{
	if (s->cmd.u.fetch.n_sections != 0)
		return NULL;
	if (job->reader == NULL)
		job->reader = store_reader_begin(s->store);
	return job->reader;
}

static bool
stage_start(struct imap_session *s, struct fetch_job *job)
{
	const struct store_msg *msg = view_msg(s->view, job->number - 1,
	    job->msgs, job->count, &job->hint);

	if (msg == NULL) {
		job->has_gone = true;
		return end_message(job);
	}
	job->msg = *msg;
	job->stage = FETCH_HEAD;
	if (!job->needs_summary)
		return true;
	if (message_load(&job->message, reader_of(s, job), msg->message,
	    NULL) != 0)
		return broken(job);
	if (message_has_summary(&job->message))
		return true;
	/* It will take several runs and a change: read the row again. */
	store_reader_end(&job->reader);
	if (message_load(&job->message, NULL, msg->message, NULL) != 0)
		return broken(job);
	job->stage = FETCH_SUMMARY;
	return true;
}

static bool
stage_summary(struct imap_session *s, struct fetch_job *job)
{
	/* It stores what it made: no reader is open, msgs may move. */
	if (!message_make_summary(&job->message) || load_msgs(s, job) != 0)
		return false;
	if (job->message.is_broken)
		return broken(job);
	job->stage = FETCH_HEAD;
	return true;
}

static bool
stage_head(struct imap_session *s, struct fetch_job *job)
{
	const struct imap_fetch *fetch = &s->cmd.u.fetch;

	if (fetch->n_sections != 0 &&
	    needs_blob(fetch, job->message.summary) &&
	    !message_open(&job->message))
		return broken(job);
	put_head(s, job);
	job->n_section = 0;
	job->stage = FETCH_SECTION;
	return true;
}

/* RFC 3501 section 6.4.5: a partial that begins after the end is "". */
static void
clip(const struct imap_section *section, uint64_t size,
    struct fetch_job *job)
{
	job->at = 0;
	job->end = size;
	if (!section->is_partial)
		return;
	job->at = section->first < size ? section->first : size;
	if (size - job->at > section->count)
		job->end = job->at + section->count;
}

static void
put_nil(struct imap_session *s, struct fetch_job *job)
{
	buf_add(&s->out, "NIL ", 4);
	job->n_section++;
}

static bool
stage_section(struct imap_session *s, struct fetch_job *job)
{
	const struct imap_fetch *fetch = &s->cmd.u.fetch;
	const struct imap_section *section;
	uint64_t size;

	if (job->n_section == fetch->n_sections) {
		put_end(s);
		return end_message(job);
	}
	section = &fetch->sections[job->n_section];
	imap_put_section(&s->out, section);
	buf_add_char(&s->out, ' ');
	if (section_find(&job->message, section, &job->section, NULL) != 0) {
		job->has_broken = true;
		put_nil(s, job);
		return true;
	}
	if (job->section.kind == SECTION_NIL) {
		put_nil(s, job);
		return true;
	}
	size = job->section.kind == SECTION_TEXT ? job->section.text.len :
	    mail_range_size(&job->message.view, &job->section.range);
	clip(section, size, job);
	imap_put_literal_size(&s->out, job->end - job->at);
	job->stage = FETCH_STREAM;
	return true;
}

static int
put_chunk(struct imap_session *s, struct fetch_job *job)
{
	size_t len = job->end - job->at < CHUNK ?
	    (size_t)(job->end - job->at) : CHUNK;
	size_t got;
	char *p = buf_reserve(&s->out, len);

	if (p == NULL)
		return ERR_LIMIT;
	if (job->section.kind == SECTION_TEXT) {
		memcpy(p, job->section.text.p + job->at, len);
	} else if (mail_range_read(&job->message.view, &job->section.range,
	    job->at, p, len, &got, NULL) != 0 || got != len) {
		return ERR_CORRUPT;
	}
	buf_grow(&s->out, len);
	job->at += len;
	return 0;
}

static bool
stage_stream(struct imap_session *s, struct fetch_job *job)
{
	while (job->at < job->end) {
		if (imap_is_full(s))
			return false;
		if (put_chunk(s, job) == 0)
			continue;
		/* The length is promised: nothing can be said any more. */
		ev_error(engine_ev(s->host), "imap.blob.unreadable",
		    EV_U64(bytes, job->at));
		s->is_over = true;
		return false;
	}
	buf_add_char(&s->out, ' ');
	job->n_section++;
	job->stage = FETCH_SECTION;
	return true;
}

static bool (*const stages[])(struct imap_session *, struct fetch_job *) = {
	[FETCH_START] = stage_start,
	[FETCH_SUMMARY] = stage_summary,
	[FETCH_HEAD] = stage_head,
	[FETCH_SECTION] = stage_section,
	[FETCH_STREAM] = stage_stream,
};

static enum imap_run
fetch_end(struct imap_session *s, struct fetch_job *job)
{
	if (job->has_broken)
		return imap_no(s,
		    "[CORRUPTION] Some messages could not be read");
	if (job->has_gone)
		imap_reply(s, "OK",
		    "[EXPUNGEISSUED] Some messages are gone");
	else
		imap_ok(s);
	return RUN_DONE;
}

/* Go on until the slice is used; false: not done. */
static bool
fetch_go(struct imap_session *s, struct fetch_job *job)
{
	unsigned n = 0;

	while (job->range < job->set.count) {
		if (job->stage == FETCH_START) {
			if (imap_is_full(s) ||
			    (++n % 16 == 0 && engine_slice_over(s->host)))
				return false;
			if (s->cmd.u.fetch.sets_seen &&
			    !s->view->is_readonly &&
			    job->number > job->seen_to &&
			    set_seen(s, job) != 0)
				return true;
		}
		if (!stages[job->stage](s, job))
			return false;
	}
	return true;
}

/* RFC 3501 section 6.4.5: FETCH */
enum imap_run
imap_run_fetch(struct imap_session *s)
{
	struct fetch_job *job = s->job;
	bool is_done;

	if (job == NULL) {
		job = fetch_begin(s);
		if (job == NULL)
			return RUN_DONE;
	}
	if (load_msgs(s, job) != 0)
		return RUN_DONE;
	is_done = fetch_go(s, job);
	store_reader_end(&job->reader);
	if (!is_done && s->reply.len == 0)
		return RUN_MORE;
	return s->reply.len != 0 ? RUN_DONE : fetch_end(s, job);
}
