/* SPDX-License-Identifier: ISC */
/* COPY, MOVE, EXPUNGE, and their UID forms. */
#include "imapd/engine/engine_int.h"

static void
put_uids(struct buf *out, const struct store_uids *uids)
{
	struct imap_set_writer writer;
	size_t i;

	imap_set_writer_init(&writer, out);
	for (i = 0; i < uids->count; i++)
		imap_set_writer_add(&writer, uids->uids[i]);
	imap_set_writer_end(&writer);
}

/* RFC 4315 section 3 */
static void
put_copyuid(struct buf *out, const struct store_copied *copied)
{
	buf_add_cstr(out, "OK [COPYUID ");
	buf_add_u64(out, copied->uidvalidity);
	buf_add_char(out, ' ');
	put_uids(out, &copied->from);
	buf_add_char(out, ' ');
	put_uids(out, &copied->to);
	buf_add_cstr(out, "] ");
}

static enum imap_run
copy_failed(struct imap_session *s, int ret, const struct err *err)
{
	/* The target's keywords, or its quota. */
	if (ret == ERR_LIMIT)
		return imap_no(s, "[LIMIT] Target mailbox takes no more");
	return imap_fail(s, err);
}

/* RFC 7162 section 3.2.7: all up to this modseq is told before the tagged
 * answer. */
static void
reply_expunged(struct imap_session *s)
{
	const struct store_mailbox *box;

	box = store_mailbox_by_id(s->store, s->view->mailbox);
	if ((s->enabled & IMAP_ENABLED_CONDSTORE) == 0 || box == NULL)
		return;
	buf_reset(&s->reply);
	buf_addf(&s->reply, "OK [HIGHESTMODSEQ %llu] Expunged",
	    (unsigned long long)box->highestmodseq);
}

/* RFC 6851 section 4.3: for MOVE it comes before the EXPUNGEs. */
static enum imap_run
copy_done(struct imap_session *s, const struct store_copied *copied,
    bool is_move)
{
	if (copied->from.count == 0) {
		imap_reply(s, "OK", "No messages found");
		return RUN_DONE;
	}
	engine_changed(s->host);
	if (is_move) {
		buf_add_cstr(&s->out, "* ");
		put_copyuid(&s->out, copied);
		buf_add_cstr(&s->out, "Moved\r\n");
		imap_ok(s);
		reply_expunged(s);
		return RUN_DONE;
	}
	buf_reset(&s->reply);
	put_copyuid(&s->reply, copied);
	buf_add_cstr(&s->reply, "Copied");
	return RUN_DONE;
}

/* RFC 3501 section 6.4.7: COPY; RFC 6851 section 3: MOVE. Whole or not at
 * all, so in one go. */
enum imap_run
imap_run_copy(struct imap_session *s)
{
	bool is_move = s->cmd.info->id == IMAP_MOVE;
	const struct store_mailbox *box;
	struct store_copied copied = { .uidvalidity = 0 };
	struct err err = ERR_INIT;
	struct view_set set;
	struct store_set uids;
	uint32_t next = 0;
	int ret;

	if (is_move && !imap_may_write(s))
		return RUN_DONE;
	if (view_resolve(s->view, &s->cmd.u.copy.set, s->cmd.is_uid,
	    s->arena, &set) != 0)
		return imap_bad(s, "No such message number");
	box = imap_find(s, &s->cmd.u.copy.mailbox, true);
	if (box == NULL)
		return RUN_DONE;
	uids = view_uids(s->view, &set, s->arena);
	if (uids.count == 0)
		return copy_done(s, &copied, is_move);
	ret = (is_move ? store_move : store_copy)(s->store, s->view->mailbox,
	    &uids, box->id, 0, &next, s->arena, &copied, &err);
	return ret != 0 ? copy_failed(s, ret, &err) :
	    copy_done(s, &copied, is_move);
}

/* RFC 3501 section 6.4.3: EXPUNGE; RFC 4315 section 2.1: UID EXPUNGE. The
 * EXPUNGE answers are those of imap_tell() at the end of the command. */
enum imap_run
imap_run_expunge(struct imap_session *s)
{
	struct store_uids gone = { NULL, 0 };
	struct store_set uids;
	struct err err = ERR_INIT;
	struct view_set set;
	uint64_t modseq = 0;
	uint32_t next = 0;

	if (!imap_may_write(s))
		return RUN_DONE;
	if (s->cmd.is_uid) {
		(void)view_resolve(s->view, &s->cmd.u.expunge.set, true,
		    s->arena, &set);
		uids = view_uids(s->view, &set, s->arena);
	}
	if ((!s->cmd.is_uid || uids.count != 0) && store_expunge(s->store,
	    s->view->mailbox, s->cmd.is_uid ? &uids : NULL, STORE_DELETED, 0,
	    &next, s->arena, &gone, &modseq, &err) != 0)
		return imap_fail(s, &err);
	imap_ok(s);
	if (gone.count != 0) {
		engine_changed(s->host);
		reply_expunged(s);
	}
	return RUN_DONE;
}
