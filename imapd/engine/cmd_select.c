/* SPDX-License-Identifier: ISC */
/* SELECT, EXAMINE, CLOSE, UNSELECT, STATUS. */
#include "imapd/engine/engine_int.h"

/* Number of the first message without \Seen; 0: none. */
static size_t
first_unseen(struct imap_session *s)
{
	const struct store_msg *msgs;
	size_t count, i;

	if (store_messages(s->store, s->view->mailbox, &msgs, &count,
	    NULL) != 0)
		return 0;
	for (i = 0; i < count; i++)
		if ((msgs[i].flags & STORE_SEEN) == 0)
			return i + 1;
	return 0;
}

static void
put_selected(struct imap_session *s, const struct store_mailbox *box)
{
	bool is_rev2 = (s->enabled & IMAP_ENABLED_REV2) != 0;
	/* RFC 9586 section 3: nor where there are no message numbers. */
	bool has_unseen = !is_rev2 && box->unseen != 0 &&
	    (s->enabled & IMAP_ENABLED_UIDONLY) == 0;
	size_t unseen = has_unseen ? first_unseen(s) : 0;

	view_put_known_flags(s->view, s->store, &s->out);
	buf_addf(&s->out, "* %zu EXISTS\r\n", s->view->count);
	if (!is_rev2)
		buf_addf(&s->out, "* %zu RECENT\r\n",
		    view_count_recent(s->view));
	if (unseen != 0)
		buf_addf(&s->out, "* OK [UNSEEN %zu] First unseen\r\n",
		    unseen);
	buf_addf(&s->out, "* OK [UIDVALIDITY %u] UIDs are valid\r\n"
	    "* OK [UIDNEXT %u] Predicted next UID\r\n",
	    box->uidvalidity, box->uidnext);
	imap_put_highestmodseq(s, box->highestmodseq);
	buf_addf(&s->out, "* OK [MAILBOXID (F%llu)] Mailbox\r\n",
	    (unsigned long long)box->id);
	/* RFC 9051 section 6.3.2 */
	if (is_rev2)
		imap_put_list(s, box, s->cmd.u.mailbox.mailbox.name);
}

/* RFC 7162 section 3.2.11: what is told from here on is of the new one. */
static void
put_closed(struct imap_session *s)
{
	if (s->view != NULL)
		buf_add_cstr(&s->out,
		    "* OK [CLOSED] Previous mailbox is closed\r\n");
	imap_deselect(s);
}

static enum imap_run
finish_select(struct imap_session *s)
{
	if (s->job != NULL && imap_resync_run(s) == RUN_MORE)
		return RUN_MORE;
	imap_reply(s, "OK", s->view->is_readonly ?
	    "[READ-ONLY] EXAMINE completed" : "[READ-WRITE] SELECT completed");
	return RUN_DONE;
}

/* False: answered. */
static bool
select_enables(struct imap_session *s)
{
	const struct imap_select *select = &s->cmd.u.mailbox;

	if (select->has_qresync &&
	    (s->enabled & IMAP_ENABLED_QRESYNC) == 0) {
		imap_reply(s, "BAD", "QRESYNC must be enabled first");
		return false;
	}
	return true;
}

/* RFC 3501 section 6.3.1: SELECT; section 6.3.2: EXAMINE */
enum imap_run
imap_run_select(struct imap_session *s)
{
	bool is_readonly = s->cmd.info->id == IMAP_EXAMINE;
	const struct store_mailbox *box;
	struct err err = ERR_INIT;

	if (s->job != NULL)
		return finish_select(s);
	if (!select_enables(s))
		return RUN_DONE;
	/* A failed SELECT leaves nothing selected. */
	put_closed(s);
	if (s->cmd.u.mailbox.has_condstore)
		imap_enable(s, IMAP_ENABLED_CONDSTORE);
	box = imap_find(s, &s->cmd.u.mailbox.mailbox, false);
	if (box == NULL)
		return RUN_DONE;
	s->view = view_new(box, is_readonly);
	imap_enable(s, 0);
	if (view_load(s->view, s->store, &err) != 0) {
		imap_deselect(s);
		return imap_fail(s, &err);
	}
	put_selected(s, store_mailbox_by_id(s->store, s->view->mailbox));
	return imap_resync_begin(s) ? finish_select(s) : RUN_DONE;
}

/* RFC 3501 section 6.4.2: CLOSE. Its answer has no HIGHESTMODSEQ: other
 * changes may not have been told (RFC 7162 section 3.2.8). */
enum imap_run
imap_run_close(struct imap_session *s)
{
	struct store_uids gone;
	struct err err = ERR_INIT;
	uint64_t modseq = 0;
	uint32_t next = 0;

	if (!s->view->is_readonly && store_expunge(s->store, s->view->mailbox,
	    NULL, STORE_DELETED, 0, &next, s->arena, &gone, &modseq,
	    &err) != 0 && err.code != ERR_NOTFOUND)
		return imap_fail(s, &err);
	if (modseq != 0)
		engine_changed(s->host);
	return imap_run_unselect(s);
}

/* RFC 3691 section 2: UNSELECT */
enum imap_run
imap_run_unselect(struct imap_session *s)
{
	imap_deselect(s);
	imap_ok(s);
	return RUN_DONE;
}

static void
put_item(struct buf *out, const char *name, uint64_t value)
{
	buf_add_cstr(out, name);
	buf_add_char(out, ' ');
	buf_add_u64(out, value);
	buf_add_char(out, ' ');
}

/* \Recent for a session that would select it now. */
static uint64_t
count_recent(struct imap_session *s, const struct store_mailbox *box)
{
	const struct store_msg *msgs;
	uint64_t n = 0;
	size_t count;

	if (box->recent_uid >= box->uidnext || store_messages(s->store,
	    box->id, &msgs, &count, NULL) != 0)
		return 0;
	while (count > 0 && msgs[count - 1].uid >= box->recent_uid) {
		count--;
		n++;
	}
	return n;
}

/* RFC 9208 section 4.1.4: units of 1,024 octets. */
static uint64_t
deleted_storage(struct imap_session *s, const struct store_mailbox *box)
{
	const struct store_msg *msgs;
	uint64_t octets = 0;
	size_t count, i;

	if (box->deleted == 0 || store_messages(s->store, box->id, &msgs,
	    &count, NULL) != 0)
		return 0;
	for (i = 0; i < count; i++)
		if ((msgs[i].flags & STORE_DELETED) != 0)
			octets += msgs[i].size_octets;
	return (octets + 1023) / 1024;
}

/* RFC 7889 section 4 */
static void
put_limit(struct buf *out, uint64_t octets)
{
	if (octets != 0)
		put_item(out, "APPENDLIMIT", octets);
	else
		buf_add_cstr(out, "APPENDLIMIT NIL ");
}

void
imap_put_status(struct imap_session *s, const struct store_mailbox *box,
    unsigned items)
{
	struct buf *out = &s->out;

	buf_add_cstr(out, "* STATUS ");
	imap_put_name(s, box->name);
	buf_add_cstr(out, " (");
	if (items & IMAP_STATUS_MESSAGES)
		put_item(out, "MESSAGES", box->messages);
	if (items & IMAP_STATUS_RECENT)
		put_item(out, "RECENT", count_recent(s, box));
	if (items & IMAP_STATUS_UIDNEXT)
		put_item(out, "UIDNEXT", box->uidnext);
	if (items & IMAP_STATUS_UIDVALIDITY)
		put_item(out, "UIDVALIDITY", box->uidvalidity);
	if (items & IMAP_STATUS_UNSEEN)
		put_item(out, "UNSEEN", box->unseen);
	if (items & IMAP_STATUS_SIZE)
		put_item(out, "SIZE", box->size_octets);
	if (items & IMAP_STATUS_DELETED)
		put_item(out, "DELETED", box->deleted);
	if (items & IMAP_STATUS_HIGHESTMODSEQ)
		put_item(out, "HIGHESTMODSEQ", box->highestmodseq);
	if (items & IMAP_STATUS_DELETED_STORAGE)
		put_item(out, "DELETED-STORAGE", deleted_storage(s, box));
	if (items & IMAP_STATUS_APPENDLIMIT)
		put_limit(out, engine_user(s->host)->message_max_octets);
	if (items & IMAP_STATUS_MAILBOXID)
		buf_addf(out, "MAILBOXID (F%llu) ",
		    (unsigned long long)box->id);
	buf_truncate(out, out->len - (items != 0));
	buf_add_cstr(out, ")\r\n");
}

/* RFC 3501 section 6.3.10: STATUS */
enum imap_run
imap_run_status(struct imap_session *s)
{
	const struct store_mailbox *box = imap_find(s,
	    &s->cmd.u.status.mailbox, false);

	if (box == NULL)
		return RUN_DONE;
	if ((s->cmd.u.status.items & IMAP_STATUS_HIGHESTMODSEQ) != 0)
		imap_enable(s, IMAP_ENABLED_CONDSTORE);
	imap_put_status(s, box, s->cmd.u.status.items);
	imap_ok(s);
	return RUN_DONE;
}
