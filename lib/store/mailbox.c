/* SPDX-License-Identifier: ISC */
/* mailbox: making, deleting and renaming mailboxes. */
#include "store/store_int.h"

#include "base/when.h"

static void *
must(void *p)
{
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

/* --- making -------------------------------------------------------- */

static void
box_set_name(struct mbox *box, struct str name)
{
	char *copy = must(strndup(name.p, name.len));

	free(box->name);
	box->name = copy;
	box->info.name = str_make(copy, name.len);
}

/* RFC 3501 section 2.3.1.1: ascending, and not from the past. */
static uint32_t
next_uidvalidity(struct store *store)
{
	uint64_t now = (uint64_t)when_wall_s() & UINT32_MAX;
	uint64_t *next = &store->account.next_uidvalidity;
	uint32_t value;

	if (*next < now)
		*next = now;
	if (*next == 0 || *next > UINT32_MAX)
		*next = 1;
	value = (uint32_t)*next;
	(*next)++;
	return value;
}

static void
role_take(struct store *store, enum store_role role, uint64_t modseq)
{
	size_t i;

	if (role == STORE_ROLE_NONE)
		return;
	for (i = 0; i < store->box_count; i++) {
		if (store->boxes[i]->info.role != role)
			continue;
		store->boxes[i]->info.role = STORE_ROLE_NONE;
		store->boxes[i]->info.modseq = modseq;
		store->boxes[i]->is_dirty = true;
	}
}

static int
box_make(struct store *store, struct str name, enum store_role role,
    struct mbox **box_r, struct err *err)
{
	struct mbox *box;

	if (store->box_count >= STORE_MAILBOX_MAX ||
	    store->account.next_mailbox > MAILBOX_ID_MAX)
		return err_set(err, ERR_LIMIT, "too many mailboxes");
	box = must(calloc(1, sizeof(*box)));
	box_set_name(box, name);
	box->info.id = store->account.next_mailbox++;
	box->info.uidvalidity = next_uidvalidity(store);
	box->info.uidnext = 1;
	box->info.recent_uid = 1;
	box->info.modseq = store_next_modseq(store);
	box->info.highestmodseq = box->info.modseq;
	box->level = MBOX_ALL;
	box->is_dirty = true;
	role_take(store, role, box->info.modseq);
	box->info.role = role;
	invariant(box_insert(store, box) == 0);
	*box_r = box;
	return 0;
}

/* The levels above name that are not there. */
static int
make_parents(struct store *store, struct str name, struct err *err)
{
	struct mbox *box;
	size_t i;
	int ret = 0;

	for (i = 1; i < name.len && ret == 0; i++) {
		struct str parent = str_sub(name, 0, i);

		if (name.p[i] == '/' && box_by_name(store, parent) == NULL)
			ret = box_make(store, parent, STORE_ROLE_NONE, &box,
			    err);
	}
	return ret;
}

/* Are there that many more mailboxes to be had as name has levels? */
static int
check_room(const struct store *store, struct str name, struct err *err)
{
	size_t levels = 1, i;

	if (name.len == 0 || name.len > STORE_NAME_MAX)
		return err_set(err, ERR_SYNTAX, "impossible mailbox name");
	for (i = 0; i < name.len; i++)
		levels += name.p[i] == '/';
	if (store->box_count + levels > STORE_MAILBOX_MAX)
		return err_set(err, ERR_LIMIT, "too many mailboxes");
	return 0;
}

/* A name without a mailbox becomes one again: nothing of the old is left. */
static void
box_revive(struct store *store, struct mbox *box, enum store_role role)
{
	struct store_mailbox *info = &box->info;

	(void)table_del_u64(store->by_id, info->id);
	info->id = store->account.next_mailbox++;
	(void)table_put_u64(store->by_id, info->id, box);
	info->is_noselect = false;
	info->uidvalidity = next_uidvalidity(store);
	info->uidnext = 1;
	info->recent_uid = 1;
	info->modseq = store_next_modseq(store);
	info->highestmodseq = info->modseq;
	role_take(store, role, info->modseq);
	info->role = role;
	box->level = MBOX_ALL;
	box->is_dirty = true;
}

static int
row_delete(struct store *store, uint64_t id, struct err *err)
{
	struct db_query *q = db_query(store->db, Q_MAILBOX_DELETE);

	db_bind_u64(q, 2, id);
	return db_run(&q, err);
}

static int
create(struct store *store, struct str name, enum store_role role,
    uint64_t *id_r, struct err *err)
{
	struct mbox *box;
	int ret = boxes_load(store, err);

	if (ret == 0)
		ret = check_room(store, name, err);
	if (ret != 0)
		return ret;
	box = box_by_name(store, name);
	if (box != NULL && !box->info.is_noselect)
		return err_set(err, ERR_EXISTS, "mailbox exists");
	if (box != NULL) {
		ret = row_delete(store, box->info.id, err);
		if (ret == 0)
			box_revive(store, box, role);
	} else {
		ret = make_parents(store, name, err);
		if (ret == 0)
			ret = box_make(store, name, role, &box, err);
	}
	if (ret == 0)
		*id_r = box->info.id;
	return ret;
}

int
store_mailbox_create(struct store *store, struct str name,
    enum store_role role, uint64_t *id_r, struct err *err)
{
	uint64_t id = 0;
	bool is_own;
	int ret = op_begin(store, &is_own, err);

	if (ret != 0)
		return ret;
	ret = create(store, name, role, &id, err);
	ret = op_end(store, is_own, ret, err);
	if (id_r != NULL)
		*id_r = id;
	return ret;
}

int
mailboxes_create_first(struct store *store, struct err *err)
{
	static const struct {
		struct str name;
		enum store_role role;
	} first[] = {
		{ { "INBOX", 5 }, STORE_ROLE_INBOX },
		{ { "Drafts", 6 }, STORE_ROLE_DRAFTS },
		{ { "Sent", 4 }, STORE_ROLE_SENT },
		{ { "Junk", 4 }, STORE_ROLE_JUNK },
		{ { "Trash", 5 }, STORE_ROLE_TRASH },
		{ { "Archive", 7 }, STORE_ROLE_ARCHIVE },
	};
	struct mbox *box;
	size_t i;
	int ret = 0;

	for (i = 0; i < sizeof(first) / sizeof(first[0]) && ret == 0; i++) {
		ret = box_make(store, first[i].name, first[i].role, &box,
		    err);
		if (ret == 0)
			ret = subscription_write(store, first[i].name, true,
			    err);
	}
	return ret;
}

/* --- deleting ------------------------------------------------------ */

/* All rows that name the mailbox but its own. */
static int
rows_delete(struct store *store, uint64_t id, struct err *err)
{
	static const unsigned statements[] = {
		Q_PAGE_DELETE_ALL, Q_VANISHED_DELETE_TO, Q_KEYWORD_DELETE,
	};
	struct db_query *q;
	size_t i;
	int ret = 0;

	for (i = 0; i < sizeof(statements) / sizeof(statements[0]) && ret == 0;
	    i++) {
		q = db_query(store->db, statements[i]);
		if (statements[i] == Q_PAGE_DELETE_ALL) {
			db_bind_u64(q, 2, PAGE_KEY(id, 0));
			db_bind_u64(q, 3, PAGE_KEY(id, UINT32_MAX));
		} else {
			db_bind_u64(q, 2, id);
		}
		if (statements[i] == Q_VANISHED_DELETE_TO)
			db_bind_u64(q, 3, INT64_MAX);
		ret = db_run(&q, err);
	}
	return ret;
}

static int
empty_out(struct store *store, struct mbox *box, struct err *err)
{
	bool was_last;
	size_t i;
	int ret = 0;

	for (i = 0; i < box->count && ret == 0; i++) {
		ret = refs_drop(store, box->msgs[i].message, &was_last, err);
		if (ret == 0 && was_last)
			message_hide(store, box->msgs[i].message,
			    box->msgs[i].size_octets);
	}
	if (ret == 0)
		ret = rows_delete(store, box->info.id, err);
	return ret;
}

static void
become_noselect(struct store *store, struct mbox *box)
{
	struct store_mailbox *info = &box->info;

	box_unload(box);
	box_forget_keywords(box);
	info->messages = info->unseen = info->deleted = 0;
	info->size_octets = 0;
	info->is_noselect = true;
	info->role = STORE_ROLE_NONE;
	info->modseq = store_next_modseq(store);
	box->is_dirty = true;
}

static int
delete(struct store *store, struct str name, struct err *err)
{
	struct mbox *box;
	int ret = boxes_load(store, err);

	if (ret != 0)
		return ret;
	box = box_by_name(store, name);
	if (box == NULL)
		return err_set(err, ERR_NOTFOUND, "no such mailbox");
	if (box->info.role == STORE_ROLE_INBOX)
		return err_set(err, ERR_DENIED, "INBOX stays");
	if (box->info.is_noselect)
		return err_set(err, ERR_DENIED, "has children");
	ret = box_need(store, box->info.id, MBOX_ALL, &box, err);
	if (ret == 0)
		ret = empty_out(store, box, err);
	if (ret != 0)
		return ret == ERR_TEMP || ret == ERR_CORRUPT ?
		    store_spoil(store, err, ret) : ret;
	(void)store_next_modseq(store);
	if (box_has_children(store, box)) {
		become_noselect(store, box);
		return 0;
	}
	ret = row_delete(store, box->info.id, err);
	if (ret != 0)
		return ret;
	box_take_out(store, box);
	box_free(box);
	return 0;
}

/* The last child is gone: a name that was there for it alone goes too. */
static int
prune_parents(struct store *store, struct str name, struct err *err)
{
	struct mbox *box;
	size_t at;
	int ret = 0;

	while (ret == 0 && (at = str_rfind(name, '/')) != STR_NPOS) {
		name = str_sub(name, 0, at);
		box = box_by_name(store, name);
		if (box == NULL || !box->info.is_noselect ||
		    box_has_children(store, box))
			break;
		ret = row_delete(store, box->info.id, err);
		if (ret == 0) {
			box_take_out(store, box);
			box_free(box);
		}
	}
	return ret;
}

int
store_mailbox_delete(struct store *store, struct str name, struct err *err)
{
	char copy[STORE_NAME_MAX];
	bool is_own;
	int ret;

	if (name.len == 0 || name.len > sizeof(copy))
		return err_set(err, ERR_NOTFOUND, "no such mailbox");
	/* The name may be the mailbox's own. */
	memcpy(copy, name.p, name.len);
	name.p = copy;
	ret = op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	ret = delete(store, name, err);
	if (ret == 0)
		ret = prune_parents(store, name, err);
	return op_end(store, is_own, ret, err);
}

/* --- renaming ------------------------------------------------------ */

/* The names of from and all below it, as they will be. */
static int
check_rename(struct store *store, struct str from, struct str to,
    struct err *err)
{
	struct mbox *box;
	size_t i, len;

	if (box_by_name(store, to) != NULL)
		return err_set(err, ERR_EXISTS, "mailbox exists");
	if (name_is_below(from, to))
		return err_set(err, ERR_DENIED, "into itself");
	for (i = 0; i < store->box_count; i++) {
		box = store->boxes[i];
		if (!name_is_below(from, box->info.name))
			continue;
		len = box->info.name.len - from.len + to.len;
		if (len > STORE_NAME_MAX)
			return err_set(err, ERR_LIMIT, "name too long");
	}
	return check_room(store, to, err);
}

static int
rename_one(struct store *store, struct mbox *box, struct str from,
    struct str to, uint64_t modseq, struct err *err)
{
	struct str old = box->info.name, tail;
	char name[STORE_NAME_MAX];
	bool is_on;
	int ret = 0;

	tail = str_sub(old, from.len, old.len);
	memcpy(name, to.p, to.len);
	memcpy(name + to.len, tail.p, tail.len);
	is_on = table_get(store->subscribed, old) != NULL;
	if (is_on)
		ret = subscription_write(store, old, false, err);
	box_take_out(store, box);
	box_set_name(box, str_make(name, to.len + tail.len));
	invariant(box_insert(store, box) == 0);
	box->info.modseq = modseq;
	box->is_dirty = true;
	if (is_on && ret == 0)
		ret = subscription_write(store, box->info.name, true, err);
	return ret;
}

static int
rename_tree(struct store *store, struct str from, struct str to,
    struct err *err)
{
	struct mbox **moved;
	size_t count = 0, i;
	uint64_t modseq;
	int ret = subscriptions_load(store, err);

	if (ret == 0)
		ret = make_parents(store, to, err);
	if (ret != 0)
		return ret;
	moved = must(calloc(store->box_count, sizeof(struct mbox *)));
	for (i = 0; i < store->box_count; i++)
		if (str_eq(store->boxes[i]->info.name, from) ||
		    name_is_below(from, store->boxes[i]->info.name))
			moved[count++] = store->boxes[i];
	modseq = store_next_modseq(store);
	for (i = 0; i < count && ret == 0; i++)
		ret = rename_one(store, moved[i], from, to, modseq, err);
	free(moved);
	if (ret == 0)
		ret = prune_parents(store, from, err);
	return ret != 0 ? store_spoil(store, err, ret) : 0;
}

/* RFC 3501 section 6.3.5: renaming INBOX moves its messages away. */
static int
rename_inbox(struct store *store, struct mbox *inbox, struct str to,
    struct err *err)
{
	struct arena *arena = arena_new(0);
	struct store_range all = { 1, UINT32_MAX };
	struct store_set set = { &all, 1 };
	struct store_copied copied;
	uint64_t id;
	uint32_t next = 0;
	int ret = create(store, to, STORE_ROLE_NONE, &id, err);

	if (ret == 0)
		ret = store_move(store, inbox->info.id, &set, id, 0, &next,
		    arena, &copied, err);
	arena_free(&arena);
	return ret != 0 ? store_spoil(store, err, ret) : 0;
}

static int
rename_any(struct store *store, struct str from, struct str to,
    struct err *err)
{
	struct mbox *box;
	int ret = boxes_load(store, err);

	if (ret != 0)
		return ret;
	box = box_by_name(store, from);
	if (box == NULL)
		return err_set(err, ERR_NOTFOUND, "no such mailbox");
	if (box->info.role == STORE_ROLE_INBOX) {
		if (box_by_name(store, to) != NULL)
			return err_set(err, ERR_EXISTS, "mailbox exists");
		return rename_inbox(store, box, to, err);
	}
	ret = check_rename(store, from, to, err);
	return ret != 0 ? ret : rename_tree(store, from, to, err);
}

int
store_mailbox_rename(struct store *store, struct str from, struct str to,
    struct err *err)
{
	char copy[STORE_NAME_MAX];
	bool is_own;
	int ret;

	if (from.len == 0 || from.len > sizeof(copy))
		return err_set(err, ERR_NOTFOUND, "no such mailbox");
	memcpy(copy, from.p, from.len);
	from.p = copy;
	ret = op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	ret = rename_any(store, from, to, err);
	return op_end(store, is_own, ret, err);
}

/* --- other properties ---------------------------------------------- */

int
store_mailbox_set_role(struct store *store, uint64_t mailbox,
    enum store_role role, struct err *err)
{
	struct mbox *box;
	uint64_t modseq;
	bool is_own;
	int ret = op_begin(store, &is_own, err);

	if (ret != 0)
		return ret;
	ret = box_need(store, mailbox, MBOX_NONE, &box, err);
	if (ret == 0 && (role == STORE_ROLE_INBOX ||
	    box->info.role == STORE_ROLE_INBOX))
		ret = err_set(err, ERR_DENIED, "INBOX keeps its role");
	if (ret == 0 && box->info.role != role) {
		modseq = store_next_modseq(store);
		role_take(store, role, modseq);
		box->info.role = role;
		box->info.modseq = modseq;
		box->is_dirty = true;
	}
	return op_end(store, is_own, ret, err);
}

int
store_recent_take(struct store *store, uint64_t mailbox,
    uint32_t *first_uid_r, struct err *err)
{
	struct mbox *box;
	bool is_own;
	int ret = box_need(store, mailbox, MBOX_NONE, &box, err);

	if (ret != 0)
		return ret;
	*first_uid_r = box->info.recent_uid;
	if (box->info.recent_uid == box->info.uidnext)
		return 0;
	/* Not worth a flush: at worst a message is \Recent once more. */
	is_own = !store->is_group;
	if (is_own)
		ret = store_begin(store, STORE_NORMAL, err);
	if (ret != 0)
		return ret;
	box->info.recent_uid = box->info.uidnext;
	box->is_dirty = true;
	store->is_changed = true;
	return op_end(store, is_own, ret, err);
}
