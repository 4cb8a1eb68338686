/* SPDX-License-Identifier: ISC */
/*
 * APPEND: the message literal goes straight to a blob and through the MIME
 * scanner; nothing but the scanner's notes is kept in memory.
 *
 * Easy case: "a APPEND Sent {310}": the mailbox is there, the size is good,
 * a blob is opened, then the continuation is sent; octets come, the line
 * ends, the blob is sealed and linked, the rows are put in, APPENDUID.
 *
 * Hard case: the disk fills up, or the header turns out too large, while the
 * literal comes. What is left of it has to be read all the same (it was asked
 * for); job->failure remembers what to say at its end.
 *
 * RFC 3501 section 6.3.11; RFC 4315 section 3; RFC 7888.
 */
#include "imapd/engine/engine_int.h"

#include "base/when.h"
#include "mail/scan.h"

enum append_stage {
	APPEND_OPEN,	/* wait for the blob */
	APPEND_DATA,	/* the literal and the rest of its line */
	APPEND_SEAL,
	APPEND_LINK,
};

struct append_job {
	enum append_stage stage;
	struct scan *scan;
	const char *failure;	/* what to answer at the end */
	bool is_failure_bad;	/* BAD instead of NO */
	uint64_t header_octets;
	unsigned header_state;	/* LFs without a letter between; 2: body */
	bool has_nul;
	uint64_t message;	/* reserved; 0: none */
};

void
imap_append_free(struct imap_session *s)
{
	struct append_job *job = s->append;

	if (job == NULL)
		return;
	if (job->message != 0)
		store_reserve_cancel(s->store, job->message);
	engine_blob_close(s->host);
	scan_free(&job->scan);
	free(job);
	s->append = NULL;
}

/* --- before the literal -------------------------------------------- */

/* Reply is set when it is refused. */
static bool
may_append(struct imap_session *s)
{
	const struct engine_user *user = engine_user(s->host);
	struct store_usage usage;
	uint64_t size = s->framer.append_octets;

	if (imap_find(s, &s->cmd.u.append.mailbox, true) == NULL)
		return false;
	if (s->framer.append_is_binary) {
		imap_reply(s, "BAD", "Binary literals are not supported");
		return false;
	}
	if (size == 0) {
		imap_reply(s, "NO", "[CANNOT] An empty message");
		return false;
	}
	if (user->message_max_octets != 0 && size > user->message_max_octets) {
		imap_reply(s, "NO", "[TOOBIG] Message too large");
		return false;
	}
	store_usage(s->store, &usage);
	if (user->quota_octets != 0 &&
	    (usage.size_octets > user->quota_octets ||
	    size > user->quota_octets - usage.size_octets)) {
		imap_reply(s, "NO", "[OVERQUOTA] Mailbox is full");
		return false;
	}
	return true;
}

/* Say s->reply; the phase of the command's end does it. */
static void
finish(struct imap_session *s)
{
	static const struct imap_handler handler = { .run = NULL };

	imap_append_free(s);
	s->handler = &handler;
	s->phase = PHASE_FINISH;
}

static void
refuse_syntax(struct imap_session *s, const struct imap_problem *problem)
{
	imap_refuse(s, s->cmd.tag, problem->text);
	imap_framer_refuse(&s->framer);
	arena_reset(s->arena);
}

void
imap_append_begin(struct imap_session *s)
{
	struct imap_problem problem;

	/* The framer's text goes on growing, the command stays. */
	if (imap_parse(arena_str(s->arena, imap_framer_text(&s->framer)),
	    NULL, s->arena, &s->cmd, &problem) != 0) {
		refuse_syntax(s, &problem);
		return;
	}
	buf_reset(&s->reply);
	if (!may_append(s)) {
		imap_framer_refuse(&s->framer);
		finish(s);
		return;
	}
	s->append = calloc(1, sizeof(*s->append));
	invariant(s->append != NULL);
	s->append->scan = scan_new();
	s->phase = PHASE_APPEND;
	engine_blob_open(s->host, s->framer.append_octets);
}

/* --- the literal --------------------------------------------------- */

static void
fail(struct append_job *job, const char *text, bool is_bad)
{
	if (job->failure != NULL)
		return;
	job->failure = text;
	job->is_failure_bad = is_bad;
}

static const char *
blob_failure(int code)
{
	return code == ERR_LIMIT ? "[UNAVAILABLE] Disk full" :
	    "[UNAVAILABLE] Message could not be stored";
}

/* How long is the header? It ends with an empty line. */
static void
count_header(struct append_job *job, struct str data)
{
	size_t i;

	if (job->header_octets == 0 && data.len != 0)
		job->header_state = 1;
	for (i = 0; i < data.len && job->header_state < 2; i++) {
		if (data.p[i] == '\n')
			job->header_state++;
		else if (data.p[i] != '\r')
			job->header_state = 0;
		job->header_octets++;
	}
	if (job->header_octets > HEADER_BLOCK_MAX)
		fail(job, "[LIMIT] Header over 2 MB", false);
}

static void
take_data(struct imap_session *s, struct str data)
{
	struct append_job *job = s->append;
	int ret;

	if (memchr(data.p, '\0', data.len) != NULL)
		fail(job, "[CANNOT] IMAP messages hold no NUL", false);
	count_header(job, data);
	if (job->failure != NULL)
		return;
	scan_feed(job->scan, data.p, data.len);
	ret = engine_blob_write(s->host, data);
	if (ret != 0)
		fail(job, blob_failure(ret), false);
}

static enum imap_run
end_with_failure(struct imap_session *s)
{
	struct append_job *job = s->append;

	imap_reply(s, job->is_failure_bad ? "BAD" : "NO", job->failure);
	finish(s);
	return RUN_MORE;
}

/* The command's line has ended. */
static enum imap_run
end_data(struct imap_session *s)
{
	struct append_job *job = s->append;

	if (imap_framer_tail(&s->framer).len != 0)
		fail(job, "Nothing may follow the message", true);
	if (job->failure != NULL)
		return end_with_failure(s);
	engine_blob_seal(s->host);
	job->stage = APPEND_SEAL;
	return RUN_MORE;
}

/* A second message literal: RFC 3502 is not offered. */
static enum imap_run
second_literal(struct imap_session *s)
{
	imap_framer_refuse(&s->framer);
	fail(s->append, "One message at a time", true);
	return end_with_failure(s);
}

static enum imap_run
stage_data(struct imap_session *s)
{
	enum imap_frame frame;
	struct str data;
	size_t used;

	frame = imap_framer_next(&s->framer, engine_input(s->host), &used,
	    &data);
	if (frame == IMAP_FRAME_DATA)
		take_data(s, data);
	engine_consume(s->host, used);
	switch (frame) {
	case IMAP_FRAME_DATA:
	case IMAP_FRAME_CONTINUE:
		return RUN_MORE;
	case IMAP_FRAME_COMMAND:
	case IMAP_FRAME_LINE:
		return end_data(s);
	case IMAP_FRAME_APPEND:
		return second_literal(s);
	case IMAP_FRAME_REFUSE:
		fail(s->append, "Nothing may follow the message", true);
		return end_with_failure(s);
	case IMAP_FRAME_CLOSE:
		imap_bye(s, "Command too long");
		return RUN_MORE;
	case IMAP_FRAME_MORE:
		break;
	}
	return engine_input(s->host).len != 0 ? RUN_MORE : RUN_NOTHING;
}

/* --- the blob ------------------------------------------------------ */

static enum imap_run
stage_open(struct imap_session *s)
{
	enum engine_blob blob = engine_blob_state(s->host);

	if (blob == ENGINE_BLOB_OPENING)
		return RUN_WAIT;
	if (blob != ENGINE_BLOB_OPEN) {
		/* The literal was not asked for yet, or is swallowed. */
		imap_framer_refuse(&s->framer);
		fail(s->append, blob_failure(engine_blob_error(s->host)),
		    false);
		return end_with_failure(s);
	}
	if (s->framer.append_is_sync)
		buf_add_cstr(&s->out, "+ OK\r\n");
	imap_framer_accept(&s->framer);
	s->append->stage = APPEND_DATA;
	return RUN_MORE;
}

static enum imap_run
blob_trouble(struct imap_session *s)
{
	fail(s->append, blob_failure(engine_blob_error(s->host)), false);
	return end_with_failure(s);
}

static enum imap_run
stage_seal(struct imap_session *s)
{
	enum engine_blob blob = engine_blob_state(s->host);
	struct append_job *job = s->append;
	struct err err = ERR_INIT;

	if (blob == ENGINE_BLOB_SEALING)
		return RUN_WAIT;
	if (blob != ENGINE_BLOB_SEALED)
		return blob_trouble(s);
	if (store_reserve(s->store, &job->message, &err) != 0) {
		imap_reply_err(s, &err);
		finish(s);
		return RUN_MORE;
	}
	engine_blob_link(s->host, job->message);
	job->stage = APPEND_LINK;
	return RUN_MORE;
}

/* RFC 4315 section 3 */
static void
put_appenduid(struct imap_session *s, const struct store_added *added)
{
	buf_reset(&s->reply);
	buf_addf(&s->reply, "OK [APPENDUID %u %u] APPEND completed",
	    added->uidvalidity, added->uid);
}

static void
add_failed(struct imap_session *s, int ret, const struct err *err)
{
	if (ret == ERR_LIMIT)
		imap_reply(s, "NO", "[OVERQUOTA] Mailbox is full");
	else if (ret == ERR_NOTFOUND)
		imap_reply(s, "NO", "[TRYCREATE] No such mailbox");
	else if (ret == ERR_SYNTAX)
		imap_reply(s, "NO", "[CANNOT] Not a possible keyword");
	else
		imap_reply_err(s, err);
}

static int
add_message(struct imap_session *s, uint64_t mailbox, struct str summary,
    struct store_added *added_r, struct err *err)
{
	const struct imap_append *append = &s->cmd.u.append;
	const struct mail_summary *scanned = scan_end(s->append->scan);
	struct store_add add = {
		.mailbox = mailbox,
		.message = s->append->message,
		.blob_octets = engine_blob_size(s->host),
		.sha256 = engine_blob_sha256(s->host),
		.flags = view_flags_to(append->flags.system),
		.summary = summary,
		.keywords = append->flags.keywords,
		.keyword_count = append->flags.n_keywords,
		.date_s = append->has_date ? append->date_s : when_wall_s(),
		.sent_s = (scanned->flags & SUMMARY_HAS_DATE) != 0 ?
		    scanned->sent_s : 0,
		.max_octets = engine_user(s->host)->quota_octets,
	};

	return store_add(s->store, &add, added_r, err);
}

/* The rows; the mailbox may have gone while the literal came. */
static void
add(struct imap_session *s)
{
	const struct store_mailbox *box = imap_find(s,
	    &s->cmd.u.append.mailbox, true);
	struct store_added added;
	struct err err = ERR_INIT;
	struct buf summary;
	int ret;

	if (box == NULL)
		return;
	buf_init(&summary, STORE_SUMMARY_MAX);
	if (summary_encode(scan_end(s->append->scan), &summary) != 0)
		buf_reset(&summary);
	ret = add_message(s, box->id, buf_str(&summary), &added, &err);
	buf_fini(&summary);
	if (ret != 0) {
		add_failed(s, ret, &err);
		return;
	}
	s->append->message = 0;
	put_appenduid(s, &added);
	engine_changed(s->host);
}

static enum imap_run
stage_link(struct imap_session *s)
{
	enum engine_blob blob = engine_blob_state(s->host);

	if (blob == ENGINE_BLOB_LINKING)
		return RUN_WAIT;
	if (blob != ENGINE_BLOB_LINKED)
		return blob_trouble(s);
	add(s);
	finish(s);
	return RUN_MORE;
}

enum imap_run
imap_append_run(struct imap_session *s)
{
	static enum imap_run (*const stages[])(struct imap_session *) = {
		[APPEND_OPEN] = stage_open,
		[APPEND_DATA] = stage_data,
		[APPEND_SEAL] = stage_seal,
		[APPEND_LINK] = stage_link,
	};

	return stages[s->append->stage](s);
}
