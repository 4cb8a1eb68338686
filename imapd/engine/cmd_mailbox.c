/* SPDX-License-Identifier: ISC */
/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE. */
#include "imapd/engine/engine_int.h"

static const struct {
	unsigned use;
	enum store_role role;
	const char *name;
} uses[] = {
	{ IMAP_USE_ARCHIVE, STORE_ROLE_ARCHIVE, "\\Archive" },
	{ IMAP_USE_DRAFTS, STORE_ROLE_DRAFTS, "\\Drafts" },
	{ IMAP_USE_JUNK, STORE_ROLE_JUNK, "\\Junk" },
	{ IMAP_USE_SENT, STORE_ROLE_SENT, "\\Sent" },
	{ IMAP_USE_TRASH, STORE_ROLE_TRASH, "\\Trash" },
};

const char *
imap_role_name(enum store_role role)
{
	size_t i;

	for (i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		if (uses[i].role == role)
			return uses[i].name;
	return NULL;
}

/* RFC 6154 section 3: one use a mailbox is what we can keep. */
static bool
find_role(unsigned use, enum store_role *role_r)
{
	size_t i;

	*role_r = STORE_ROLE_NONE;
	for (i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		if (uses[i].use == use)
			*role_r = uses[i].role;
	return use == 0 || *role_r != STORE_ROLE_NONE;
}

/* RFC 3501 section 6.3.3: a trailing separator says that names under it will
 * come; nothing needs to be done for that. */
static struct imap_mailbox
without_separator(struct imap_mailbox mailbox)
{
	if (mailbox.name.len > 1 &&
	    mailbox.name.p[mailbox.name.len - 1] == '/')
		mailbox.name.len--;
	return mailbox;
}

static enum imap_run
finish_change(struct imap_session *s, int ret, const struct err *err)
{
	if (ret != 0)
		return imap_fail(s, err);
	engine_changed(s->host);
	imap_ok(s);
	return RUN_DONE;
}

/* RFC 9051 section 6.3.9.7: a name that is not as it was given. */
static void
put_new_name(struct imap_session *s, struct str name, struct str old_name)
{
	const struct store_mailbox *box = store_mailbox_by_name(s->store,
	    name);

	if ((s->enabled & IMAP_ENABLED_REV2) != 0 && box != NULL &&
	    !str_eq(name, old_name))
		imap_put_list(s, box, old_name);
}

/* RFC 3501 section 6.3.3: CREATE; RFC 6154 section 3 */
enum imap_run
imap_run_create(struct imap_session *s)
{
	struct imap_mailbox mailbox =
	    without_separator(s->cmd.u.mailbox.mailbox);
	struct err err = ERR_INIT;
	enum store_role role;
	struct str name;
	uint64_t id;
	int ret;

	if (!find_role(s->cmd.u.mailbox.use, &role))
		return imap_no(s, "[USEATTR] Special use not supported");
	if (!imap_canon(s, &mailbox, &name))
		return RUN_DONE;
	ret = store_mailbox_create(s->store, name, role, &id, &err);
	if (ret == ERR_LIMIT)
		return imap_no(s, "[LIMIT] Too many mailboxes");
	if (ret != 0)
		return imap_fail(s, &err);
	engine_changed(s->host);
	put_new_name(s, name, s->cmd.u.mailbox.mailbox.name);
	/* RFC 8474 section 4.1 */
	buf_reset(&s->reply);
	buf_addf(&s->reply, "OK [MAILBOXID (F%llu)] CREATE completed",
	    (unsigned long long)id);
	return RUN_DONE;
}

/* RFC 3501 section 6.3.4: DELETE */
enum imap_run
imap_run_delete(struct imap_session *s)
{
	const struct store_mailbox *box;
	struct err err = ERR_INIT;
	struct str name;
	uint64_t id;
	int ret;

	if (!imap_canon(s, &s->cmd.u.mailbox.mailbox, &name))
		return RUN_DONE;
	if (str_eq(name, STR("INBOX")))
		return imap_no(s, "[CANNOT] INBOX cannot be deleted");
	box = store_mailbox_by_name(s->store, name);
	if (box != NULL && box->is_noselect && box->has_children)
		return imap_no(s, "[HASCHILDREN] Mailbox has inferiors");
	/* One's own mailbox: as if closed before. */
	if (box != NULL && s->view != NULL && box->id == s->view->mailbox)
		imap_deselect(s);
	id = box != NULL ? box->id : 0;
	ret = store_mailbox_delete(s->store, name, &err);
	if (ret == 0 && id != 0)
		imap_forget_metadata(s, id);
	if (ret == ERR_NOTFOUND)
		return imap_no(s, "[NONEXISTENT] No such mailbox");
	return finish_change(s, ret, &err);
}

/* RFC 3501 section 6.3.5: RENAME */
enum imap_run
imap_run_rename(struct imap_session *s)
{
	struct imap_mailbox target = without_separator(s->cmd.u.rename.to);
	struct err err = ERR_INIT;
	struct str from, to;
	int ret;

	if (!imap_canon(s, &s->cmd.u.rename.from, &from) ||
	    !imap_canon(s, &target, &to))
		return RUN_DONE;
	ret = store_mailbox_rename(s->store, from, to, &err);
	if (ret == 0)
		put_new_name(s, to, from);
	return finish_change(s, ret, &err);
}

/* RFC 3501 section 6.3.6: SUBSCRIBE; section 6.3.7: UNSUBSCRIBE */
enum imap_run
imap_run_subscribe(struct imap_session *s)
{
	bool is_on = s->cmd.info->id == IMAP_SUBSCRIBE;
	struct err err = ERR_INIT;
	struct str name;
	int ret;

	if (!imap_canon(s, &s->cmd.u.mailbox.mailbox, &name))
		return RUN_DONE;
	ret = store_subscribe(s->store, name, is_on, &err);
	/* Nothing to take away is what was wanted. */
	if (ret == ERR_NOTFOUND && !is_on)
		ret = 0;
	return finish_change(s, ret, &err);
}
