/* SPDX-License-Identifier: ISC */
/*
 * SEARCH, SORT and THREAD, and their UID forms: the walk over the mailbox,
 * level by level. What SORT and THREAD have found they order in steps.
 */
#include "imapd/engine/engine_int.h"
#include "imapd/engine/search.h"
#include "imapd/engine/search_result.h"
#include "imapd/engine/sorter.h"
#include "imapd/engine/thread.h"

#define TEXT_SLICE (128U << 10)
#define BADCHARSET "[BADCHARSET (US-ASCII UTF-8 ISO-2022-JP Shift_JIS " \
	"EUC-JP ISO-8859-1)] Unknown charset"

struct search_job {
	struct search *search;
	struct search_result result;
	unsigned returns;		/* enum imap_search_return */
	bool is_extended;		/* ESEARCH instead of SEARCH */
	struct sorter *sorter;		/* SORT */
	struct thread *thread;		/* THREAD */
	bool needs_summary;		/* of what is found */
	size_t index;			/* the next message */
	size_t hint;
	const struct store_msg *msgs;	/* for this run */
	size_t count;
	struct store_reader *reader;	/* for this run */
	struct imap_message message;
	struct store_msg msg;
	enum search_level level;	/* of this message, read so far */
	struct mail_text *text;
	struct search_group *group;	/* under way */
};

static void
search_cleanup(struct imap_session *s)
{
	struct search_job *job = s->job;

	store_reader_end(&job->reader);
	mail_text_free(&job->text);
	message_fini(&job->message);
	search_free(&job->search);
	result_fini(&job->result);
	sorter_free(&job->sorter);
	thread_free(&job->thread);
}

/* RFC 5182 section 2.1: a search that answers NO leaves "$" empty. */
static struct search_job *
search_no(struct imap_session *s, const char *text)
{
	if ((s->cmd.u.search.returns & IMAP_RETURN_SAVE) != 0)
		view_save(s->view, NULL, 0);
	imap_reply(s, "NO", text);
	return NULL;
}

/* RFC 9051 section 6.4.4: there ESEARCH is the only answer. */
static void
choose_form(struct imap_session *s, struct search_job *job)
{
	const struct imap_search *search = &s->cmd.u.search;

	job->returns = search->returns;
	job->is_extended = search->has_return ||
	    (s->cmd.info->id == IMAP_SEARCH &&
	    (s->enabled & IMAP_ENABLED_REV2) != 0);
	if (!search->has_return)
		job->returns = IMAP_RETURN_ALL;
	if (search->n_sort != 0)
		job->sorter = sorter_new(search);
	else if (search->thread != IMAP_THREAD_NONE)
		job->thread = thread_new(search->thread);
	else if (!job->is_extended)
		buf_add_cstr(&s->out, "* SEARCH");
	job->needs_summary = job->thread != NULL ||
	    sorter_needs_summary(search);
}

static struct search_job *
search_begin(struct imap_session *s)
{
	struct search_job *job = arena_new_of(s->arena, struct search_job);
	struct err err = ERR_INIT;
	int ret;

	/* RFC 6855 section 3 */
	if ((s->enabled & IMAP_ENABLED_UTF8) != 0 &&
	    s->cmd.info->id == IMAP_SEARCH &&
	    s->cmd.u.search.charset.len != 0) {
		imap_reply(s, "BAD", "No CHARSET after UTF8=ACCEPT");
		return NULL;
	}
	if (s->cmd.u.search.has_modseq)
		imap_enable(s, IMAP_ENABLED_CONDSTORE);
	ret = search_new(&s->cmd.u.search, s->view, s->store, s->arena,
	    &job->search, &err);
	if (ret != 0)
		return search_no(s, BADCHARSET);
	result_init(&job->result);
	message_init(&job->message, s->store);
	job->search->message = &job->message;
	s->job = job;
	s->cleanup = search_cleanup;
	choose_form(s, job);
	return job;
}

static int
load_msgs(struct imap_session *s, struct search_job *job)
{
	struct err err = ERR_INIT;

	if (store_messages(s->store, s->view->mailbox, &job->msgs,
	    &job->count, &err) == 0)
		return 0;
	imap_reply_err(s, &err);
	return err.code;
}

/* --- reading a message --------------------------------------------- */

enum read { READ_OK, READ_MORE, READ_FAILED };

static enum read
read_summary(struct imap_session *s, struct search_job *job)
{
	if (job->message.scan == NULL && job->message.summary == NULL) {
		if (job->reader == NULL)
			job->reader = store_reader_begin(s->store);
		if (message_load(&job->message, job->reader,
		    job->msg.message, NULL) != 0)
			return READ_FAILED;
		if (message_has_summary(&job->message))
			return READ_OK;
		store_reader_end(&job->reader);
		if (message_load(&job->message, NULL, job->msg.message,
		    NULL) != 0)
			return READ_FAILED;
	}
	store_reader_end(&job->reader);
	if (!message_make_summary(&job->message))
		return READ_MORE;
	if (job->message.is_broken || load_msgs(s, job) != 0)
		return READ_FAILED;
	return READ_OK;
}

/* From here on a message is looked at over several runs: a row from a
 * reader would not last. */
static enum read
keep_row(struct search_job *job)
{
	if (job->reader == NULL)
		return READ_OK;
	store_reader_end(&job->reader);
	message_end(&job->message);
	if (message_load(&job->message, NULL, job->msg.message, NULL) != 0 ||
	    !message_has_summary(&job->message))
		return READ_FAILED;
	return READ_OK;
}

static enum read
read_header(struct imap_session *s, struct search_job *job)
{
	(void)s;
	if (keep_row(job) != READ_OK || !message_open(&job->message) ||
	    mail_view_header(&job->message.view, job->message.summary,
	    job->message.arena, &job->search->header, NULL) != 0)
		return READ_FAILED;
	job->group = job->search->groups;
	return READ_OK;
}

/* One slice of one group's pass over the text. */
static enum read
read_text(struct imap_session *s, struct search_job *job)
{
	struct search_group *g = job->group;
	bool is_done = false;

	(void)s;
	if (g == NULL)
		return READ_OK;
	if (job->text == NULL) {
		text_search_reset(g->search);
		job->text = mail_text_new(&job->message.view,
		    job->message.summary, g->what);
	}
	if (mail_text_search_step(job->text, g->search, TEXT_SLICE, &is_done,
	    NULL) != 0)
		return READ_FAILED;
	if (!is_done)
		return READ_MORE;
	g->found = text_search_found(g->search);
	mail_text_free(&job->text);
	job->group = g->next;
	return g->next == NULL ? READ_OK : READ_MORE;
}

static enum read (*const readers[])(struct imap_session *,
    struct search_job *) = {
	[SEARCH_SUMMARY] = read_summary,
	[SEARCH_HEADER] = read_header,
	[SEARCH_BODY] = read_text,
};

/* --- the walk ------------------------------------------------------ */

static void
next_message(struct search_job *job)
{
	mail_text_free(&job->text);
	message_end(&job->message);
	job->level = SEARCH_ROW;
	job->index++;
}

static void
put_match(struct imap_session *s, struct search_job *job)
{
	uint32_t number = (uint32_t)job->index + 1;
	int ret = 0;

	if (job->sorter != NULL)
		ret = sorter_add(job->sorter, number, &job->msg,
		    &job->message);
	else if (job->thread != NULL)
		ret = thread_add(job->thread, number, &job->msg,
		    &job->message);
	if (ret != 0)
		imap_reply(s, "NO", "[LIMIT] Too many messages");
	result_add(&job->result, number, job->msg.modseq);
	if (job->is_extended || job->sorter != NULL || job->thread != NULL)
		return;
	buf_add_char(&s->out, ' ');
	buf_add_u64(&s->out, s->cmd.is_uid ? job->msg.uid : job->index + 1);
}

/* Read one level more; false: go on later. What cannot be read matches
 * nothing. */
static bool
read_more(struct imap_session *s, struct search_job *job)
{
	enum read read = readers[job->level + 1](s, job);

	if (read == READ_FAILED) {
		next_message(job);
		return true;
	}
	if (read == READ_OK)
		job->level++;
	return read == READ_OK || !engine_slice_over(s->host);
}

/* Begin with a message; false: it is gone. */
static bool
take_message(struct imap_session *s, struct search_job *job)
{
	const struct store_msg *msg = view_msg(s->view, job->index,
	    job->msgs, job->count, &job->hint);

	if (msg == NULL)
		return false;
	job->msg = *msg;
	job->search->msg = &job->msg;
	job->search->number = job->index + 1;
	return true;
}

/* Look at message index; false: not done with it. */
static bool
look(struct imap_session *s, struct search_job *job)
{
	enum search_answer answer;

	if (job->level == SEARCH_ROW && job->message.scan == NULL &&
	    !take_message(s, job)) {
		next_message(job);
		return true;
	}
	if (job->text == NULL || job->level == SEARCH_BODY) {
		answer = search_eval(job->search, job->level);
		if (answer == SEARCH_YES && job->needs_summary &&
		    job->level == SEARCH_ROW)
			return read_more(s, job);
		if (answer != SEARCH_UNKNOWN || job->level == SEARCH_BODY) {
			if (answer == SEARCH_YES)
				put_match(s, job);
			next_message(job);
			return true;
		}
	}
	return read_more(s, job);
}

static bool
search_go(struct imap_session *s, struct search_job *job)
{
	unsigned n = 0;

	while (job->index < s->view->count && s->reply.len == 0 &&
	    (job->sorter != NULL ||
	    !result_is_enough(&job->result, job->returns))) {
		if (imap_is_full(s) ||
		    (++n % 32 == 0 && engine_slice_over(s->host)) ||
		    !look(s, job))
			return false;
	}
	return true;
}

/* A step of bringing what was found in order; true: it is. */
static bool
order_go(struct imap_session *s, struct search_job *job)
{
	bool is_done = false;

	while (!is_done && s->reply.len == 0) {
		if (engine_slice_over(s->host))
			return false;
		is_done = job->sorter != NULL ? sorter_step(job->sorter) :
		    job->thread == NULL || thread_step(job->thread);
	}
	return true;
}

/* RFC 5256 section 4 */
static void
put_sorted(struct imap_session *s, const uint32_t *numbers, size_t count)
{
	size_t i;

	buf_add_cstr(&s->out, "* SORT");
	for (i = 0; i < count; i++) {
		buf_add_char(&s->out, ' ');
		buf_add_u64(&s->out, s->cmd.is_uid ?
		    s->view->uids[numbers[i] - 1] : numbers[i]);
	}
}

static void
put_threads(struct imap_session *s, struct search_job *job)
{
	buf_add_cstr(&s->out, "* THREAD");
	if (job->result.count != 0)
		buf_add_char(&s->out, ' ');
	thread_put(job->thread, s->view, s->cmd.is_uid, &s->out);
	buf_add_cstr(&s->out, "\r\n");
}

static void
put_modseq(struct imap_session *s, const struct search_job *job)
{
	/* RFC 7162 sections 3.1.5 and 3.1.6 */
	if (s->cmd.u.search.has_modseq && job->result.count != 0)
		buf_addf(&s->out, " (MODSEQ %llu)",
		    (unsigned long long)job->result.modseq);
	buf_add(&s->out, "\r\n", 2);
}

static void
put_sort(struct imap_session *s, struct search_job *job,
    struct result_form *form)
{
	form->numbers = sorter_numbers(job->sorter, &form->count);
	if (job->is_extended) {
		result_put(&s->out, &job->result, s->view, form);
		return;
	}
	put_sorted(s, form->numbers, form->count);
	put_modseq(s, job);
}

static void
put_result(struct imap_session *s, struct search_job *job)
{
	const struct imap_search *search = &s->cmd.u.search;
	struct result_form form = {
		.tag = s->cmd.tag, .is_uid = s->cmd.is_uid,
		.has_modseq = search->has_modseq, .returns = job->returns,
		.partial = search->partial,
	};

	if (s->reply.len != 0 && (job->sorter != NULL ||
	    job->thread != NULL))
		return;
	if (job->sorter != NULL) {
		put_sort(s, job, &form);
	} else if (job->thread != NULL) {
		put_threads(s, job);
	} else if (!job->is_extended) {
		put_modseq(s, job);
	} else if (job->returns != IMAP_RETURN_SAVE && s->reply.len == 0) {
		result_put(&s->out, &job->result, s->view, &form);
	}
	if ((job->returns & IMAP_RETURN_SAVE) == 0)
		return;
	if (s->reply.len != 0)
		view_save(s->view, NULL, 0);
	else
		result_save(&job->result, s->view, job->returns);
}

/* RFC 3501 section 6.4.4: SEARCH */
enum imap_run
imap_run_search(struct imap_session *s)
{
	struct search_job *job = s->job;
	bool is_done;

	if (job == NULL) {
		job = search_begin(s);
		if (job == NULL)
			return RUN_DONE;
	}
	if (load_msgs(s, job) == 0) {
		is_done = search_go(s, job);
		/* Rows of a reader do not outlive the run. */
		if (!is_done && job->reader != NULL && job->level != SEARCH_ROW &&
		    keep_row(job) != READ_OK)
			next_message(job);
		store_reader_end(&job->reader);
		if (is_done)
			is_done = order_go(s, job);
		if (!is_done && s->reply.len == 0)
			return RUN_MORE;
	}
	put_result(s, job);
	if (s->reply.len == 0)
		imap_ok(s);
	return RUN_DONE;
}
