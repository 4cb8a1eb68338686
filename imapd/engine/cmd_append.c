/* SPDX-License-Identifier: ISC */
/*
 * APPEND: the message literal goes straight to a blob and through the MIME
 * scanner; nothing but the scanner's notes is kept in memory.
 *
 * Easy case: "a APPEND Sent {310}": the mailbox is there, the size is good,
 * a blob is opened, then the continuation is sent; octets come, the line
 * ends, the blob is sealed and linked, the rows are put in, APPENDUID.
 *
 * With MULTIAPPEND more messages follow in the same command: each becomes a
 * blob that is sealed and linked while the next one is read; at the end one
 * flush holds for all of them, and their rows are put in by one commit.
 *
 * Hard case: the disk fills up, or the header turns out too large, while the
 * literal comes. What is left of it has to be read all the same (it was asked
 * for); job->failure remembers what to say at its end.
 *
 * RFC 3501 section 6.3.11; RFC 3502; RFC 3516 section 4.4; RFC 4315 section 3;
 * RFC 6855 section 4; RFC 7888.
 */
#include "imapd/engine/engine_int.h"

#include "base/when.h"
#include "mail/scan.h"

enum append_stage {
	APPEND_OPEN,	/* wait for the blob */
	APPEND_DATA,	/* the literal and the rest of its line */
	APPEND_SEAL,
	APPEND_LINK,
	APPEND_FLUSH,	/* of several */
};

/* Messages of one command, and what they may take while it lasts. */
#define MESSAGES_MAX 1000
#define SUMMARIES_MAX (16U << 20)

/* One that is linked and waits for the others. */
struct appended {
	struct imap_append append;
	uint64_t message;
	uint64_t blob_octets;
	unsigned char sha256[32];
	int64_t sent_s;
	struct str summary;
};

struct append_job {
	enum append_stage stage;
	struct appended *list;	/* in the command's arena */
	size_t count;
	size_t cap;
	uint64_t octets;	/* of all messages so far */
	size_t summary_octets;
	bool is_replace;
	uint32_t replaced_uid;	/* REPLACE: this one goes */
	bool has_next;		/* the next literal is announced */
	struct imap_append next;
	struct scan *scan;
	const char *failure;	/* what to answer at the end */
	bool is_failure_bad;	/* BAD instead of NO */
	uint64_t header_octets;
	unsigned header_state;	/* LFs without a letter between; 2: body */
	uint64_t message;	/* reserved; 0: none */
};

void
imap_append_free(struct imap_session *s)
{
	struct append_job *job = s->append;
	size_t i;

	if (job == NULL)
		return;
	/* First: links under way are removed when they are made. */
	engine_blob_forget(s->host);
	for (i = 0; i < job->count; i++)
		store_reserve_cancel(s->store, job->list[i].message);
	if (job->message != 0)
		store_reserve_cancel(s->store, job->message);
	engine_blob_close(s->host);
	scan_free(&job->scan);
	free(job);
	s->append = NULL;
}

/* --- before the literal -------------------------------------------- */

/* NULL: a message of that size may come; used: octets of those before. */
static const char *
refusal_of(struct imap_session *s, uint64_t used)
{
	const struct engine_user *user = engine_user(s->host);
	struct store_usage usage;
	uint64_t size = s->framer.append_octets;

	/* RFC 3502 section 6.3.11: an empty one takes all back. */
	if (size == 0)
		return "[CANNOT] An empty message";
	if (user->message_max_octets != 0 && size > user->message_max_octets)
		return "[TOOBIG] Message too large";
	store_usage(s->store, &usage);
	used += usage.size_octets;
	if (user->quota_octets != 0 && (used > user->quota_octets ||
	    size > user->quota_octets - used))
		return "[OVERQUOTA] Mailbox is full";
	return NULL;
}

/* RFC 8508 section 3.1: the message must be there. 0: reply is set. */
static uint32_t
replaced_uid(struct imap_session *s)
{
	struct view_set set;

	if (s->view == NULL) {
		imap_reply(s, "BAD", "No mailbox is selected");
		return 0;
	}
	if (!s->cmd.is_uid && (s->enabled & IMAP_ENABLED_UIDONLY) != 0) {
		imap_reply(s, "BAD",
		    "[UIDREQUIRED] Message numbers are not in use");
		return 0;
	}
	if (!imap_may_write(s))
		return 0;
	if (view_resolve(s->view, &s->cmd.u.append.replaced, s->cmd.is_uid,
	    s->arena, &set) != 0 || set.count == 0) {
		imap_reply(s, s->cmd.is_uid ? "NO" : "BAD",
		    "No such message");
		return 0;
	}
	return s->view->uids[set.ranges[0].first - 1];
}

/* Reply is set when it is refused. */
static bool
may_append(struct imap_session *s)
{
	const char *refusal;

	if (imap_find(s, &s->cmd.u.append.mailbox, true) == NULL)
		return false;
	refusal = refusal_of(s, 0);
	if (refusal != NULL)
		imap_reply(s, "NO", refusal);
	return refusal == NULL;
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
	const struct imap_parse_options options = {
		.is_utf8 = imap_is_utf8(s),
	};
	struct imap_problem problem;
	bool is_replace;
	uint32_t uid;

	/* The framer's text goes on growing, the command stays. */
	if (imap_parse(arena_str(s->arena, imap_framer_text(&s->framer)),
	    &options, s->arena, &s->cmd, &problem) != 0) {
		refuse_syntax(s, &problem);
		return;
	}
	buf_reset(&s->reply);
	is_replace = s->cmd.info->id == IMAP_REPLACE;
	uid = is_replace ? replaced_uid(s) : 0;
	if ((is_replace && uid == 0) || !may_append(s)) {
		imap_framer_refuse(&s->framer);
		finish(s);
		return;
	}
	s->append = calloc(1, sizeof(*s->append));
	invariant(s->append != NULL);
	s->append->is_replace = is_replace;
	s->append->replaced_uid = uid;
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

	/* RFC 3516 section 4.4: a literal8 may. */
	if (!s->framer.append_is_binary &&
	    memchr(data.p, '\0', data.len) != NULL)
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

/* False: reply is set, the command is over. */
static bool
reserve(struct imap_session *s)
{
	struct append_job *job = s->append;
	struct err err = ERR_INIT;

	if (store_reserve(s->store, &job->message, &err) == 0)
		return true;
	if (job->has_next)
		imap_framer_refuse(&s->framer);
	imap_reply_err(s, &err);
	finish(s);
	return false;
}

/* The message joins the list. */
static struct appended *
join(struct imap_session *s)
{
	struct append_job *job = s->append;
	const struct mail_summary *scanned = scan_end(job->scan);
	struct appended *bigger, *one;
	struct buf summary;

	if (job->count == job->cap) {
		job->cap = job->cap != 0 ? job->cap * 2 : 1;
		bigger = arena_alloc(s->arena, job->cap * sizeof(*bigger));
		if (job->count != 0)
			memcpy(bigger, job->list,
			    job->count * sizeof(*bigger));
		job->list = bigger;
	}
	buf_init(&summary, STORE_SUMMARY_MAX);
	if (summary_encode(scanned, &summary) != 0)
		buf_reset(&summary);
	one = &job->list[job->count++];
	*one = (struct appended){
		.append = s->cmd.u.append, .message = job->message,
		.blob_octets = scanned->size,
		.sent_s = (scanned->flags & SUMMARY_HAS_DATE) != 0 ?
		    scanned->sent_s : 0,
		.summary = arena_str(s->arena, buf_str(&summary)),
	};
	buf_fini(&summary);
	job->message = 0;
	job->octets += one->blob_octets;
	job->summary_octets += one->summary.len;
	return one;
}

/* It is sealed and linked while the next one is read. */
static void
put_aside(struct imap_session *s)
{
	engine_blob_put_aside(s->host, join(s)->message);
}

/* Get ready for the literal that was announced. */
static void
begin_next(struct imap_session *s)
{
	struct append_job *job = s->append;

	scan_free(&job->scan);
	job->scan = scan_new();
	job->header_octets = 0;
	job->header_state = 0;
	job->has_next = false;
	s->cmd.u.append = job->next;
	job->stage = APPEND_OPEN;
	engine_blob_open(s->host, s->framer.append_octets);
	engine_blob_expect(s->host);
}

/* The command's line has ended. */
static enum imap_run
end_data(struct imap_session *s)
{
	struct append_job *job = s->append;

	if (!str_eq(imap_framer_tail(&s->framer),
	    s->cmd.u.append.is_utf8 ? STR(")") : STR("")))
		fail(job, "Nothing may follow the message", true);
	if (job->failure != NULL)
		return end_with_failure(s);
	if (job->count == 0) {
		engine_blob_seal(s->host);
		job->stage = APPEND_SEAL;
	} else if (reserve(s)) {
		put_aside(s);
		job->stage = APPEND_FLUSH;
	}
	return RUN_MORE;
}

/* Parse what stands before the next message; NULL: good. */
static const char *
read_next(struct imap_session *s)
{
	const struct imap_parse_options options = {
		.is_utf8 = imap_is_utf8(s),
	};
	struct append_job *job = s->append;
	struct imap_problem problem;
	struct str text;

	text = arena_str(s->arena, imap_framer_tail(&s->framer));
	job->next = s->cmd.u.append;
	return imap_parse_append_next(text, &options, s->arena, &job->next,
	    &problem) != 0 ? problem.text : NULL;
}

/* RFC 3502: another message follows; this one is put aside first. */
static enum imap_run
next_literal(struct imap_session *s)
{
	struct append_job *job = s->append;
	const char *problem = read_next(s), *refusal;

	if (job->is_replace)
		problem = "REPLACE takes one message";
	if (problem != NULL)
		fail(job, problem, true);
	refusal = refusal_of(s, job->octets);
	if (refusal != NULL)
		fail(job, refusal, false);
	if (job->count + 1 >= MESSAGES_MAX ||
	    job->summary_octets > SUMMARIES_MAX)
		fail(job, "[LIMIT] Too many messages at once", false);
	if (job->failure != NULL) {
		imap_framer_refuse(&s->framer);
		return end_with_failure(s);
	}
	job->has_next = true;
	if (!reserve(s))
		return RUN_MORE;
	put_aside(s);
	begin_next(s);
	return RUN_MORE;
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
		return next_literal(s);
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
	if (s->append->has_next)
		imap_framer_refuse(&s->framer);
	fail(s->append, blob_failure(engine_blob_error(s->host)), false);
	return end_with_failure(s);
}

static enum imap_run
stage_seal(struct imap_session *s)
{
	enum engine_blob blob = engine_blob_state(s->host);
	struct append_job *job = s->append;

	if (blob == ENGINE_BLOB_SEALING)
		return RUN_WAIT;
	if (blob != ENGINE_BLOB_SEALED)
		return blob_trouble(s);
	if (!reserve(s))
		return RUN_MORE;
	engine_blob_link(s->host, job->message);
	job->stage = APPEND_LINK;
	return RUN_MORE;
}

/* RFC 4315 section 3, RFC 3502 section 6.3.11 */
static void
put_appenduid(struct imap_session *s, const struct store_added *added,
    size_t count)
{
	struct imap_set_writer writer;
	size_t i;

	buf_reset(&s->reply);
	buf_addf(&s->reply, "OK [APPENDUID %u ", added[0].uidvalidity);
	imap_set_writer_init(&writer, &s->reply);
	for (i = 0; i < count; i++)
		imap_set_writer_add(&writer, added[i].uid);
	imap_set_writer_end(&writer);
	buf_add_cstr(&s->reply, "] APPEND completed");
}

static void
add_failed(struct imap_session *s, int ret, const struct err *err)
{
	if (ret == ERR_LIMIT)
		imap_reply(s, "NO", "[OVERQUOTA] Mailbox is full");
	else if (ret == ERR_NOTFOUND && s->append->is_replace)
		imap_reply(s, "NO", "[EXPUNGEISSUED] Message is gone");
	else if (ret == ERR_NOTFOUND)
		imap_reply(s, "NO", "[TRYCREATE] No such mailbox");
	else if (ret == ERR_SYNTAX)
		imap_reply(s, "NO", "[CANNOT] Not a possible keyword");
	else
		imap_reply_err(s, err);
}

static int
add_message(struct imap_session *s, uint64_t mailbox,
    const struct appended *one, struct store_added *added_r, struct err *err)
{
	const struct imap_append *append = &one->append;
	struct store_add add = {
		.mailbox = mailbox,
		.message = one->message,
		.blob_octets = one->blob_octets,
		.sha256 = one->sha256,
		.flags = view_flags_to(append->flags.system),
		.summary = one->summary,
		.keywords = append->flags.keywords,
		.keyword_count = append->flags.n_keywords,
		.date_s = append->has_date ? append->date_s : when_wall_s(),
		.sent_s = one->sent_s,
		.max_octets = engine_user(s->host)->quota_octets,
	};

	return store_add(s->store, &add, added_r, err);
}

/* RFC 8508 section 3.2: as if it had \Deleted, and no other one. */
static int
expunge_replaced(struct imap_session *s, struct err *err)
{
	const struct store_range range = { s->append->replaced_uid,
	    s->append->replaced_uid };
	const struct store_set set = { &range, 1 };
	struct store_uids gone;
	uint64_t modseq;
	uint32_t next = 0;
	int ret = store_expunge(s->store, s->view->mailbox, &set, 0, 0, &next,
	    s->arena, &gone, &modseq, err);

	/* Somebody else was faster: then there is nothing to replace. */
	return ret == 0 && gone.count == 0 ?
	    err_set(err, ERR_NOTFOUND, "the message is gone") : ret;
}

/* All or none of them. One alone is a transaction by itself. */
static int
add_messages(struct imap_session *s, uint64_t mailbox,
    struct store_added *added, struct err *err)
{
	struct append_job *job = s->append;
	bool is_group = job->count > 1 || job->is_replace;
	size_t i;
	int ret = 0;

	if (is_group)
		ret = store_begin(s->store, STORE_FULL, err);
	for (i = 0; i < job->count && ret == 0; i++)
		ret = add_message(s, mailbox, &job->list[i], &added[i], err);
	if (ret == 0 && job->is_replace)
		ret = expunge_replaced(s, err);
	if (is_group && ret == 0)
		ret = store_commit(s->store, err);
	else if (is_group)
		store_rollback(s->store);
	return ret;
}

/* The rows; the mailbox may have gone while the literals came. */
static void
add(struct imap_session *s)
{
	const struct store_mailbox *box = imap_find(s,
	    &s->cmd.u.append.mailbox, true);
	struct append_job *job = s->append;
	struct store_added *added;
	struct err err = ERR_INIT;
	int ret;

	if (box == NULL)
		return;
	added = arena_alloc(s->arena, job->count * sizeof(*added));
	ret = add_messages(s, box->id, added, &err);
	if (ret != 0) {
		add_failed(s, ret, &err);
		return;
	}
	put_appenduid(s, added, job->count);
	/* RFC 8508 section 3.4: said before the EXPUNGE. */
	if (job->is_replace) {
		buf_add_cstr(&s->out, "* ");
		buf_add_str(&s->out, buf_str(&s->reply));
		buf_add_cstr(&s->out, "\r\n");
		imap_ok(s);
	}
	job->count = 0;
	engine_changed(s->host);
}

/* The file is not what was written to it. */
static enum imap_run
not_whole(struct imap_session *s)
{
	fail(s->append, blob_failure(ERR_TEMP), false);
	return end_with_failure(s);
}

static enum imap_run
stage_link(struct imap_session *s)
{
	enum engine_blob blob = engine_blob_state(s->host);
	struct appended *one;

	if (blob == ENGINE_BLOB_LINKING)
		return RUN_WAIT;
	if (blob != ENGINE_BLOB_LINKED)
		return blob_trouble(s);
	one = join(s);
	if (one->blob_octets != engine_blob_size(s->host))
		return not_whole(s);
	memcpy(one->sha256, engine_blob_sha256(s->host),
	    sizeof(one->sha256));
	add(s);
	finish(s);
	return RUN_MORE;
}

/* What blobd says of those put aside. False: not what was written. */
static bool
take_asides(struct imap_session *s)
{
	struct append_job *job = s->append;
	const struct engine_aside *aside;
	size_t i;

	for (i = 0; i < job->count; i++) {
		aside = engine_blob_aside(s->host, i);
		if (aside->size_octets != job->list[i].blob_octets)
			return false;
		memcpy(job->list[i].sha256, aside->sha256,
		    sizeof(aside->sha256));
	}
	return true;
}

static enum imap_run
stage_flush(struct imap_session *s)
{
	enum engine_blob links = engine_blob_asides(s->host);

	if (links == ENGINE_BLOB_LINKING)
		return RUN_WAIT;
	if (links == ENGINE_BLOB_LINKED && !take_asides(s))
		return not_whole(s);
	if (links != ENGINE_BLOB_LINKED ||
	    engine_blob_flush(s->host) != 0) {
		fail(s->append, blob_failure(engine_blob_error(s->host)),
		    false);
		return end_with_failure(s);
	}
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
		[APPEND_FLUSH] = stage_flush,
	};

	return stages[s->append->stage](s);
}
