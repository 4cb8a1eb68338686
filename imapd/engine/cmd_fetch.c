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
#include "imapd/engine/ahead.h"
#include "imapd/engine/binary.h"
#include "imapd/engine/preview.h"
#include "imapd/engine/section.h"
#include "imapd/engine/structure.h"

#define CHUNK (64U << 10)
#define SEEN_WINDOW 64

enum fetch_stage {
	FETCH_START,
	FETCH_SUMMARY,
	FETCH_PREVIEW,
	FETCH_HEAD,
	FETCH_SECTION,
	FETCH_STREAM,
	FETCH_MEASURE,		/* BINARY: how long it is */
	FETCH_BINARY,
};

struct fetch_job {
	struct view_set set;
	size_t range;			/* of the set */
	size_t number;			/* the next message */
	size_t hint;
	uint64_t since;			/* only what changed after it */
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
	struct binary binary;
	struct preview *preview;
	bool has_unknown_cte;
	uint64_t at;
	uint64_t end;
	/* blobs of later messages: the next one to look at */
	struct ahead ahead;
	size_t ahead_range;
	size_t ahead_number;
	size_t ahead_hint;
};

static void
fetch_cleanup(struct imap_session *s)
{
	struct fetch_job *job = s->job;

	store_reader_end(&job->reader);
	binary_end(&job->binary);
	preview_free(&job->preview);
	message_fini(&job->message);
	ahead_end(&job->ahead);
	arena_free(&job->seen_arena);
}

/* RFC 9394 section 3.3: leave those at positions first to last. */
static void
clip_set(struct view_set *set, const struct imap_partial *partial)
{
	uint64_t total = 0, at = 1, first = partial->first,
	    last = partial->last;
	size_t i, kept = 0;
	struct imap_range r;

	if (first == 0)
		return;
	for (i = 0; i < set->count; i++)
		total += (uint64_t)set->ranges[i].last -
		    set->ranges[i].first + 1;
	if (partial->is_last) {
		last = total + 1 > first ? total + 1 - first : 0;
		first = total + 1 > partial->last ?
		    total + 1 - partial->last : 1;
	}
	for (i = 0; i < set->count; i++) {
		r = set->ranges[i];
		total = (uint64_t)r.last - r.first + 1;
		if (at + total > first && at <= last) {
			if (at + total - 1 > last)
				r.last -= (uint32_t)(at + total - 1 - last);
			if (at < first)
				r.first += (uint32_t)(first - at);
			set->ranges[kept++] = r;
		}
		at += total;
	}
	set->count = kept;
}

/* RFC 7162: MODSEQ and its friends enable CONDSTORE; VANISHED comes before
 * the messages. False: answered. */
static bool
fetch_prepare(struct imap_session *s)
{
	const struct imap_fetch *fetch = &s->cmd.u.fetch;
	const struct store_mailbox *box;
	struct imap_set known;
	struct err err = ERR_INIT;

	if ((fetch->items & IMAP_FETCH_MODSEQ) != 0)
		imap_enable(s, IMAP_ENABLED_CONDSTORE);
	if (!fetch->has_vanished)
		return true;
	if ((s->enabled & IMAP_ENABLED_QRESYNC) == 0) {
		imap_reply(s, "BAD", "VANISHED needs ENABLE QRESYNC");
		return false;
	}
	box = store_mailbox_by_id(s->store, s->view->mailbox);
	if (box == NULL || fetch->set.is_saved)
		return true;
	known = imap_set_resolve(&fetch->set, box->uidnext - 1, s->arena);
	if (imap_put_vanished(s, fetch->changedsince, &known, 0, &err) == 0)
		return true;
	imap_reply_err(s, &err);
	return false;
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
	    IMAP_FETCH_BODYSTRUCTURE | IMAP_FETCH_PREVIEW)) != 0;
	job->since = fetch->has_changedsince ? fetch->changedsince : 0;
	clip_set(&job->set, &fetch->partial);
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
	view_put_flags(&s->out, msg, view_shows_recent(s->view, msg->uid),
	    msg->keywords != 0 ?
	    store_keyword_names(s->store, s->view->mailbox) : NULL);
	buf_add_char(&s->out, ' ');
}

static void
put_modseq(struct buf *out, uint64_t modseq)
{
	buf_add(out, "MODSEQ (", 8);
	buf_add_u64(out, modseq);
	buf_add(out, ") ", 2);
}

/* RFC 8474 section 5, RFC 8514 section 4.2. Threads are not kept. */
static void
put_ids(struct buf *out, unsigned items, const struct store_msg *msg)
{
	if (items & IMAP_FETCH_EMAILID)
		buf_addf(out, "EMAILID (M%llu) ",
		    (unsigned long long)msg->message);
	if (items & IMAP_FETCH_THREADID)
		buf_add_cstr(out, "THREADID NIL ");
	if ((items & IMAP_FETCH_SAVEDATE) == 0)
		return;
	buf_add_cstr(out, "SAVEDATE ");
	if (msg->saved_s != 0)
		imap_put_date_time(out, msg->saved_s);
	else
		buf_add_cstr(out, "NIL");
	buf_add_char(out, ' ');
}

/* All but the sections; each item with a blank after it. */
static void
put_head(struct imap_session *s, struct fetch_job *job)
{
	unsigned items = s->cmd.u.fetch.items;
	struct buf *out = &s->out;
	bool is_seen;

	view_put_fetch(s->view, out, job->number, job->msg.uid);
	if (items & IMAP_FETCH_UID) {
		buf_add(out, "UID ", 4);
		buf_add_u64(out, job->msg.uid);
		buf_add_char(out, ' ');
	}
	is_seen = is_newly_seen(job, job->msg.uid);
	if ((items & IMAP_FETCH_FLAGS) || is_seen)
		put_flags(s, &job->msg);
	if ((items & IMAP_FETCH_MODSEQ) || (is_seen &&
	    (s->view->style & VIEW_MODSEQ) != 0))
		put_modseq(out, job->msg.modseq);
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
	if (items & (IMAP_FETCH_EMAILID | IMAP_FETCH_THREADID |
	    IMAP_FETCH_SAVEDATE))
		put_ids(out, items, &job->msg);
	if (job->needs_summary)
		put_summed(out, items, &job->message);
	if (items & IMAP_FETCH_PREVIEW) {
		buf_add(out, "PREVIEW ", 8);
		imap_put_string(out, preview_text(job->preview));
		buf_add_char(out, ' ');
		preview_free(&job->preview);
	}
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

static struct store_reader *
reader_of(struct imap_session *s, struct fetch_job *job)
{
	if (job->reader == NULL)
		job->reader = store_reader_begin(s->store);
	return job->reader;
}

/* Is a message shown in one go? Else its row has to outlive the reader. */
static bool
is_at_once(const struct imap_fetch *fetch)
{
	return fetch->n_sections == 0 &&
	    (fetch->items & IMAP_FETCH_PREVIEW) == 0;
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
	/* RFC 7162 section 3.1.4.1 */
	if (msg->modseq <= job->since)
		return end_message(job);
	job->msg = *msg;
	job->stage = FETCH_PREVIEW;
	if (!job->needs_summary)
		return true;
	if (message_load(&job->message, reader_of(s, job), msg->message,
	    NULL) != 0)
		return broken(job);
	if (!is_at_once(&s->cmd.u.fetch))
		message_keep_row(&job->message);
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
	job->stage = FETCH_PREVIEW;
	return true;
}

static bool
stage_preview(struct imap_session *s, struct fetch_job *job)
{
	job->stage = FETCH_HEAD;
	if ((s->cmd.u.fetch.items & IMAP_FETCH_PREVIEW) == 0)
		return true;
	if (job->preview == NULL) {
		if (!message_open(&job->message))
			return broken(job);
		job->preview = preview_new(&job->message);
	}
	if (preview_step(job->preview))
		return true;
	job->stage = FETCH_PREVIEW;
	return !engine_slice_over(s->host);
}

/* Blobs of the messages that follow, as long as reading has to wait. */
static void
look_ahead(struct imap_session *s, struct fetch_job *job)
{
	const struct store_msg *msg;

	if (job->ahead_range < job->range ||
	    (job->ahead_range == job->range &&
	    job->ahead_number <= job->number)) {
		job->ahead_range = job->range;
		job->ahead_number = job->number + 1;
	}
	while (ahead_wants(&job->ahead)) {
		if (job->ahead_number >
		    job->set.ranges[job->ahead_range].last) {
			if (job->ahead_range + 1 == job->set.count)
				return;
			job->ahead_number =
			    job->set.ranges[++job->ahead_range].first;
		}
		msg = view_msg(s->view, job->ahead_number++ - 1, job->msgs,
		    job->count, &job->ahead_hint);
		if (msg != NULL && msg->modseq > job->since)
			ahead_add(&job->ahead, s->store, msg->message,
			    msg->size_octets);
	}
}

static bool
open_blob(struct imap_session *s, struct fetch_job *job)
{
	struct imap_message *message = &job->message;
	bool is_ahead;

	message->fd = ahead_take(&job->ahead, message->row.id);
	is_ahead = message->fd != -1;
	if (!message_open(message))
		return false;
	if (!is_ahead)
		ahead_probe(&job->ahead, message->fd);
	look_ahead(s, job);
	return true;
}

static bool
stage_head(struct imap_session *s, struct fetch_job *job)
{
	const struct imap_fetch *fetch = &s->cmd.u.fetch;

	if (fetch->n_sections != 0 && !job->message.has_blob &&
	    needs_blob(fetch, job->message.summary) && !open_blob(s, job))
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
begin_binary(struct imap_session *s, struct fetch_job *job,
    const struct imap_section *section)
{
	int ret = binary_begin(&job->binary, &job->message, section);

	if (ret == 0) {
		job->stage = FETCH_MEASURE;
		return true;
	}
	job->has_unknown_cte |= ret == ERR_DENIED;
	if (section->form == IMAP_FORM_BINARY) {
		put_nil(s, job);
		return true;
	}
	buf_add(&s->out, "0 ", 2);
	job->n_section++;
	return true;
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
	if (section->form == IMAP_FORM_BINARY ||
	    section->form == IMAP_FORM_BINARY_SIZE)
		return begin_binary(s, job, section);
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

/* RFC 9051 section 9: a literal holds no NUL; BINARY shows it as it is. */
static void
hide_nul(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] == '\0')
			p[i] = '\x80';
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
	if ((job->message.summary->flags & SUMMARY_HAS_NUL) != 0)
		hide_nul(p, len);
	buf_grow(&s->out, len);
	job->at += len;
	return 0;
}

/* The length is promised: nothing can be said any more. */
static void
unreadable(struct imap_session *s, const struct fetch_job *job)
{
	ev_error(engine_ev(s->host), "imap.blob.unreadable",
	    EV_U64(bytes, job->at));
	s->is_over = true;
}

static bool
stage_stream(struct imap_session *s, struct fetch_job *job)
{
	while (job->at < job->end) {
		if (imap_is_full(s))
			return false;
		if (put_chunk(s, job) == 0)
			continue;
		unreadable(s, job);
		return false;
	}
	buf_add_char(&s->out, ' ');
	job->n_section++;
	job->stage = FETCH_SECTION;
	return true;
}

static void
end_binary(struct imap_session *s, struct fetch_job *job)
{
	binary_end(&job->binary);
	buf_add_char(&s->out, ' ');
	job->n_section++;
	job->stage = FETCH_SECTION;
}

/* RFC 9051 section 9: literal8 where there is a NUL. */
static void
measured(struct imap_session *s, struct fetch_job *job)
{
	const struct imap_section *section =
	    &s->cmd.u.fetch.sections[job->n_section];

	if (section->form == IMAP_FORM_BINARY_SIZE) {
		buf_add_u64(&s->out, job->binary.size);
		end_binary(s, job);
		return;
	}
	clip(section, job->binary.size, job);
	if (job->binary.has_nul)
		buf_add_char(&s->out, '~');
	imap_put_literal_size(&s->out, job->end - job->at);
	job->stage = FETCH_BINARY;
}

static bool
stage_measure(struct imap_session *s, struct fetch_job *job)
{
	bool is_done;

	if (binary_measure(&job->binary, &is_done) != 0) {
		job->has_broken = true;
		binary_end(&job->binary);
		/* Nothing is promised yet. */
		if (s->cmd.u.fetch.sections[job->n_section].form ==
		    IMAP_FORM_BINARY_SIZE)
			buf_add(&s->out, "0 ", 2);
		else
			buf_add(&s->out, "NIL ", 4);
		job->n_section++;
		job->stage = FETCH_SECTION;
		return true;
	}
	if (!is_done)
		return !engine_slice_over(s->host);
	measured(s, job);
	return true;
}

static bool
stage_binary(struct imap_session *s, struct fetch_job *job)
{
	while (job->at < job->end) {
		if (imap_is_full(s) || engine_slice_over(s->host))
			return false;
		if (binary_read(&job->binary, &job->at, job->end,
		    &s->out) != 0) {
			unreadable(s, job);
			return false;
		}
	}
	end_binary(s, job);
	return true;
}

static bool (*const stages[])(struct imap_session *, struct fetch_job *) = {
	[FETCH_START] = stage_start,
	[FETCH_SUMMARY] = stage_summary,
	[FETCH_PREVIEW] = stage_preview,
	[FETCH_HEAD] = stage_head,
	[FETCH_SECTION] = stage_section,
	[FETCH_STREAM] = stage_stream,
	[FETCH_MEASURE] = stage_measure,
	[FETCH_BINARY] = stage_binary,
};

static enum imap_run
fetch_end(struct imap_session *s, struct fetch_job *job)
{
	if (job->has_broken)
		return imap_no(s,
		    "[CORRUPTION] Some messages could not be read");
	if (job->has_unknown_cte)
		return imap_no(s,
		    "[UNKNOWN-CTE] Some parts could not be decoded");
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
		if (!fetch_prepare(s))
			return RUN_DONE;
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
