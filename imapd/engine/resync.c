/* SPDX-License-Identifier: ISC */
/*
 * What a client has missed: RFC 7162 sections 3.2.5 and 3.2.6.
 *
 * Easy case: SELECT INBOX (QRESYNC (7 100)): one VANISHED (EARLIER) with all
 * UIDs that went after modseq 100, then the flags of each message that has
 * changed since, in slices.
 *
 * Hard case: the client names the UIDs it knows, and pairs of a number and a
 * UID. Only known UIDs are told; and where a pair still fits, nothing before
 * it has gone.
 */
#include "imapd/engine/engine_int.h"

struct resync_job {
	uint64_t since;
	bool has_known;
	struct imap_set known;
	size_t at;		/* index of the next message */
};

/* --- VANISHED ------------------------------------------------------ */

struct vanished {
	struct imap_session *s;
	struct imap_set_writer writer;
	uint32_t above_uid;
};

/* A run of UIDs that are neither there nor known to be there: what the
 * client still has a number for is told by EXPUNGE's VANISHED. */
static void
add_unnumbered(struct vanished *v, uint32_t first, uint32_t last)
{
	const struct imap_view *view = v->s->view;
	size_t i = view_find(view, first);
	uint64_t uid = first;

	for (; uid <= last; uid++) {
		if (i < view->count && view->uids[i] == uid)
			i++;
		else
			imap_set_writer_add(&v->writer, (uint32_t)uid);
	}
}

static void
add_range(struct vanished *v, const struct imap_set *known, uint32_t first,
    uint32_t last)
{
	uint32_t from, to;
	size_t i;

	if (first <= v->above_uid)
		first = v->above_uid + 1;
	if (known == NULL) {
		if (first <= last)
			add_unnumbered(v, first, last);
		return;
	}
	for (i = imap_set_find(known, first); i < known->n_ranges &&
	    known->ranges[i].first <= last; i++) {
		from = known->ranges[i].first;
		to = known->ranges[i].last;
		from = from > first ? from : first;
		to = to < last ? to : last;
		if (from <= to)
			add_unnumbered(v, from, to);
	}
}

int
imap_put_vanished(struct imap_session *s, uint64_t since,
    const struct imap_set *known, uint32_t above_uid, struct err *err)
{
	struct vanished v = { .s = s, .above_uid = above_uid };
	size_t i, from = s->out.len, empty;
	struct store_set gone;
	int ret = store_vanished(s->store, s->view->mailbox, since, s->arena,
	    &gone, err);

	if (ret != 0)
		return ret;
	buf_add_cstr(&s->out, "* VANISHED (EARLIER) ");
	empty = s->out.len;
	imap_set_writer_init(&v.writer, &s->out);
	for (i = 0; i < gone.count; i++)
		add_range(&v, known, gone.ranges[i].first,
		    gone.ranges[i].last);
	imap_set_writer_end(&v.writer);
	if (s->out.len == empty)
		buf_truncate(&s->out, from);
	else
		buf_add_cstr(&s->out, "\r\n");
	return 0;
}

/* --- SELECT -------------------------------------------------------- */

/* Numbers in a set; two sets of pairs must have as many. */
static uint64_t
count_numbers(const struct imap_set *set)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < set->n_ranges; i++)
		n += (uint64_t)set->ranges[i].last - set->ranges[i].first + 1;
	return n;
}

/* The nth number (from 0) of a resolved set. */
static uint32_t
nth(const struct imap_set *set, uint64_t n)
{
	uint64_t len;
	size_t i;

	for (i = 0; i < set->n_ranges; i++) {
		len = (uint64_t)set->ranges[i].last -
		    set->ranges[i].first + 1;
		if (n < len)
			return set->ranges[i].first + (uint32_t)n;
		n -= len;
	}
	return 0;
}

static bool
pair_fits(const struct imap_view *view, uint32_t number, uint32_t uid)
{
	return number >= 1 && number <= view->count &&
	    view->uids[number - 1] == uid;
}

/*
 * The largest UID of a pair that still fits: its number is as it was, so
 * nothing below it has gone. Pairs fit up to some place and not beyond it.
 */
static uint32_t
matched_uid(struct imap_session *s, const struct imap_select *select)
{
	struct imap_set numbers, uids;
	uint64_t low = 0, high, middle;
	uint32_t uid = 0;

	numbers = imap_set_resolve(&select->match_numbers, 1, s->arena);
	uids = imap_set_resolve(&select->match_uids, 1, s->arena);
	high = count_numbers(&numbers);
	if (high != count_numbers(&uids))
		return 0;
	while (low < high) {
		middle = low + (high - low) / 2;
		if (pair_fits(s->view, nth(&numbers, middle),
		    nth(&uids, middle))) {
			uid = nth(&uids, middle);
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return uid;
}

bool
imap_resync_begin(struct imap_session *s)
{
	const struct imap_select *select = &s->cmd.u.mailbox;
	struct resync_job *job;
	struct err err = ERR_INIT;

	if (!select->has_qresync ||
	    select->uidvalidity != s->view->uidvalidity)
		return true;
	job = arena_new_of(s->arena, struct resync_job);
	job->since = select->modseq;
	job->has_known = select->has_known;
	if (job->has_known)
		job->known = imap_set_resolve(&select->known, 1, s->arena);
	s->job = job;
	if (imap_put_vanished(s, job->since,
	    job->has_known ? &job->known : NULL, matched_uid(s, select),
	    &err) == 0)
		return true;
	imap_reply_err(s, &err);
	return false;
}

enum imap_run
imap_resync_run(struct imap_session *s)
{
	struct resync_job *job = s->job;
	const struct store_msg *msgs, *msg;
	const struct str *names;
	size_t count, hint = job->at;
	unsigned n = 0;

	if (store_messages(s->store, s->view->mailbox, &msgs, &count,
	    NULL) != 0)
		return RUN_DONE;
	names = store_keyword_names(s->store, s->view->mailbox);
	for (; job->at < s->view->count; job->at++) {
		if (imap_is_full(s) ||
		    (++n % 256 == 0 && engine_slice_over(s->host)))
			return RUN_MORE;
		msg = view_msg(s->view, job->at, msgs, count, &hint);
		if (msg != NULL && msg->modseq > job->since &&
		    (!job->has_known || imap_set_has(&job->known, msg->uid)))
			view_put_fetch_flags(s->view, &s->out, job->at + 1,
			    msg, true, false, names);
	}
	return RUN_DONE;
}
