/* SPDX-License-Identifier: ISC */
/* NOTIFY, and what it has asked for between commands. */
#include "imapd/engine/notify.h"

#define BADEVENT "[BADEVENT (MessageNew MessageExpunge FlagChange " \
	"MailboxName SubscriptionChange)] Event not supported"

/* RFC 5465 section 3: NOTIFY. A new one takes the place of the old. */
enum imap_run
imap_run_notify(struct imap_session *s)
{
	const struct imap_notify *asked = &s->cmd.u.notify;
	size_t i;

	for (i = 0; i < asked->n_groups; i++)
		if ((asked->groups[i].events & IMAP_EVENT_UNKNOWN) != 0)
			return imap_no(s, BADEVENT);
	notify_free(&s->notify);
	if (asked->n_groups != 0)
		s->notify = notify_new(asked, s->store);
	if (asked->has_status && s->notify != NULL)
		notify_put_all(s->notify, s);
	imap_ok(s);
	return RUN_DONE;
}

/* RFC 5465 section 5.1: the items of new messages come with their EXISTS. As
 * a FETCH that nobody has asked for. */
static void
fetch_new(struct imap_session *s, size_t first)
{
	static const struct imap_handler handler = {
		.run = imap_run_fetch, .keeps_numbers = true,
		.is_silent = true, .is_unasked = true,
	};
	const struct imap_parse_options options = {
		.is_utf8 = imap_is_utf8(s),
	};
	struct str items = notify_items(s->notify);
	struct imap_problem problem;
	struct buf text;
	int ret;

	buf_init(&text, items.len + 100);
	buf_addf(&text, "n FETCH %zu:%zu ", first, s->view->count);
	buf_add_str(&text, items);
	ret = imap_parse(arena_str(s->arena, buf_str(&text)), &options,
	    s->arena, &s->cmd, &problem);
	buf_fini(&text);
	/* It was parsed when it was asked for. */
	invariant(ret == 0);
	buf_reset(&s->reply);
	s->handler = &handler;
	s->after = s->phase;
	s->phase = PHASE_RUN;
}

/* The selected mailbox, between commands as IDLE tells it. */
static enum imap_run
tell_selected(struct imap_session *s)
{
	bool is_delayed, has_flags;
	unsigned events = notify_selected(s->notify, &is_delayed);
	size_t before = s->view->count;
	enum imap_run run;

	if ((events & IMAP_EVENT_NEW) == 0)
		return RUN_DONE;
	has_flags = (events & IMAP_EVENT_FLAGS) != 0;
	if (!has_flags)
		s->view->style |= VIEW_NO_FLAGS;
	run = imap_tell(s, !is_delayed, false);
	if (s->view == NULL)
		return RUN_MORE;
	s->view->style &= ~(unsigned)VIEW_NO_FLAGS;
	if (run == RUN_DONE && s->view->count > before &&
	    notify_items(s->notify).len != 0) {
		fetch_new(s, before + 1);
		return RUN_MORE;
	}
	return run;
}

enum imap_run
imap_notify_step(struct imap_session *s)
{
	if (imap_is_full(s))
		return RUN_MORE;
	notify_tell(s->notify, s);
	if (s->view != NULL && tell_selected(s) == RUN_MORE)
		return RUN_MORE;
	return s->out.len != 0 ? RUN_MORE : RUN_DONE;
}
