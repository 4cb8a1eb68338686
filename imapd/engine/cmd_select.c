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
	size_t unseen = box->unseen != 0 ? first_unseen(s) : 0;

	view_put_known_flags(s->view, s->store, &s->out);
	buf_addf(&s->out, "* %zu EXISTS\r\n* %zu RECENT\r\n", s->view->count,
	    view_count_recent(s->view));
	if (unseen != 0)
		buf_addf(&s->out, "* OK [UNSEEN %zu] First unseen\r\n",
		    unseen);
	buf_addf(&s->out, "* OK [UIDVALIDITY %u] UIDs are valid\r\n"
	    "* OK [UIDNEXT %u] Predicted next UID\r\n",
	    box->uidvalidity, box->uidnext);
}

/* RFC 3501 section 6.3.1: SELECT; section 6.3.2: EXAMINE */
enum imap_run
imap_run_select(struct imap_session *s)
{
	bool is_readonly = s->cmd.info->id == IMAP_EXAMINE;
	const struct store_mailbox *box;
	struct err err = ERR_INIT;

	/* A failed SELECT leaves nothing selected. */
	imap_deselect(s);
	box = imap_find(s, &s->cmd.u.mailbox.mailbox, false);
	if (box == NULL)
		return RUN_DONE;
	s->view = view_new(box, is_readonly);
	if (view_load(s->view, s->store, &err) != 0) {
		imap_deselect(s);
		return imap_fail(s, &err);
	}
	put_selected(s, store_mailbox_by_id(s->store, s->view->mailbox));
	imap_reply(s, "OK", is_readonly ?
	    "[READ-ONLY] EXAMINE completed" : "[READ-WRITE] SELECT completed");
	return RUN_DONE;
}

/* RFC 3501 section 6.4.2: CLOSE */
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

void
imap_put_status(struct imap_session *s, const struct store_mailbox *box,
    unsigned items)
{
	struct buf *out = &s->out;

	buf_add_cstr(out, "* STATUS ");
	imap_put_mailbox(out, box->name, false);
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
	imap_put_status(s, box, s->cmd.u.status.items);
	imap_ok(s);
	return RUN_DONE;
}
