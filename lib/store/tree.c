/* SPDX-License-Identifier: ISC */
/* tree: the mailboxes of an account by name, and which are subscribed. */
#include "store/store_int.h"

/* --- the sorted list ----------------------------------------------- */

/* Where name is, or belongs. */
static size_t
list_find(const struct store *store, struct str name, bool *is_there_r)
{
	size_t low = 0, high = store->box_count, mid;
	int cmp;

	*is_there_r = false;
	while (low < high) {
		mid = low + (high - low) / 2;
		cmp = name_cmp(store->boxes[mid]->info.name, name);
		if (cmp == 0) {
			*is_there_r = true;
			return mid;
		}
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct mbox *
box_by_name(struct store *store, struct str name)
{
	bool is_there;
	size_t at;

	if (boxes_load(store, NULL) != 0)
		return NULL;
	at = list_find(store, name, &is_there);
	return is_there ? store->boxes[at] : NULL;
}

int
box_insert(struct store *store, struct mbox *box)
{
	bool is_there;
	size_t at = list_find(store, box->info.name, &is_there);

	if (is_there || table_get_u64(store->by_id, box->info.id) != NULL)
		return ERR_EXISTS;
	store->boxes = array_grow(store->boxes, &store->box_cap,
	    store->box_count, sizeof(struct mbox *));
	memmove(store->boxes + at + 1, store->boxes + at,
	    (store->box_count - at) * sizeof(struct mbox *));
	store->boxes[at] = box;
	store->box_count++;
	(void)table_put_u64(store->by_id, box->info.id, box);
	store->is_tree_stale = true;
	return 0;
}

void
box_take_out(struct store *store, struct mbox *box)
{
	bool is_there;
	size_t at = list_find(store, box->info.name, &is_there);

	invariant(is_there && store->boxes[at] == box);
	store->box_count--;
	memmove(store->boxes + at, store->boxes + at + 1,
	    (store->box_count - at) * sizeof(struct mbox *));
	(void)table_del_u64(store->by_id, box->info.id);
	store->is_tree_stale = true;
}

bool
box_has_children(const struct store *store, const struct mbox *box)
{
	bool is_there;
	size_t at = list_find(store, box->info.name, &is_there) + 1;

	return at < store->box_count &&
	    name_is_below(box->info.name, store->boxes[at]->info.name);
}

/* --- subscriptions ------------------------------------------------- */

int
subscriptions_load(struct store *store, struct err *err)
{
	struct db_query *q;
	int ret;

	if (store->subscribed != NULL)
		return 0;
	store->subscribed = table_new();
	q = db_query(store->db, Q_SUBSCRIPTION_LIST);
	while (db_next(q))
		(void)table_put(store->subscribed, db_col_str(q, 0), store);
	ret = db_end(&q, err);
	if (ret != 0)
		table_free(&store->subscribed);
	store->is_tree_stale = true;
	return ret;
}

/* Bring has_children and is_subscribed up to date. */
static int
tree_refresh(struct store *store, struct err *err)
{
	struct mbox *box, *next;
	size_t i;
	int ret = boxes_load(store, err);

	if (ret == 0)
		ret = subscriptions_load(store, err);
	if (ret != 0 || !store->is_tree_stale)
		return ret;
	for (i = 0; i < store->box_count; i++) {
		box = store->boxes[i];
		next = i + 1 < store->box_count ? store->boxes[i + 1] : NULL;
		box->info.has_children = next != NULL &&
		    name_is_below(box->info.name, next->info.name);
		box->info.is_subscribed = table_get(store->subscribed,
		    box->info.name) != NULL;
	}
	store->is_tree_stale = false;
	return 0;
}

int
subscription_write(struct store *store, struct str name, bool is_on,
    struct err *err)
{
	struct db_query *q;
	struct mbox *box;
	bool was_on;
	int ret = subscriptions_load(store, err);

	if (ret != 0)
		return ret;
	was_on = table_get(store->subscribed, name) != NULL;
	if (was_on == is_on)
		return 0;
	if (is_on && table_count(store->subscribed) >= STORE_SUBSCRIPTION_MAX)
		return err_set(err, ERR_LIMIT, "too many subscriptions");
	q = db_query(store->db,
	    is_on ? Q_SUBSCRIPTION_ADD : Q_SUBSCRIPTION_DELETE);
	db_bind_str(q, 2, name);
	ret = db_run(&q, err);
	if (ret != 0)
		return ret;
	if (is_on)
		(void)table_put(store->subscribed, name, store);
	else
		(void)table_del(store->subscribed, name);
	box = box_by_name(store, name);
	if (box != NULL) {
		box->info.modseq = store_next_modseq(store);
		box->is_dirty = true;
	}
	store->is_changed = true;
	store->is_tree_stale = true;
	return 0;
}

int
store_subscribe(struct store *store, struct str name, bool is_on,
    struct err *err)
{
	bool is_own;
	int ret;

	if (name.len == 0 || name.len > STORE_NAME_MAX)
		return err_set(err, ERR_SYNTAX, "impossible mailbox name");
	ret = op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	ret = boxes_load(store, err);
	if (ret == 0)
		ret = subscription_write(store, name, is_on, err);
	return op_end(store, is_own, ret, err);
}

int
store_subscription_list(struct store *store, struct arena *arena,
    struct str **names_r, size_t *count_r, struct err *err)
{
	struct db_query *q;
	size_t max, count = 0;
	int ret = subscriptions_load(store, err);

	*names_r = NULL;
	*count_r = 0;
	if (ret != 0)
		return ret;
	max = table_count(store->subscribed);
	*names_r = arena_alloc(arena, (max + 1) * sizeof(**names_r));
	q = db_query(store->db, Q_SUBSCRIPTION_LIST);
	while (db_next(q) && count < max)
		(*names_r)[count++] = arena_str(arena, db_col_str(q, 0));
	ret = db_end(&q, err);
	*count_r = ret == 0 ? count : 0;
	return ret;
}

/* --- looking ------------------------------------------------------- */

int
store_mailbox_list(struct store *store,
    const struct store_mailbox *const **list_r, size_t *count_r,
    struct err *err)
{
	int ret = tree_refresh(store, err);

	/* The public struct is the first member of ours. */
	*list_r = ret == 0 ?
	    (const struct store_mailbox *const *)(void *)store->boxes : NULL;
	*count_r = ret == 0 ? store->box_count : 0;
	return ret;
}

const struct store_mailbox *
store_mailbox_by_name(struct store *store, struct str name)
{
	struct mbox *box;

	if (tree_refresh(store, NULL) != 0)
		return NULL;
	box = box_by_name(store, name);
	return box != NULL ? &box->info : NULL;
}

const struct store_mailbox *
store_mailbox_by_id(struct store *store, uint64_t id)
{
	struct mbox *box;

	if (tree_refresh(store, NULL) != 0)
		return NULL;
	box = table_get_u64(store->by_id, id);
	return box != NULL ? &box->info : NULL;
}

const struct store_mailbox *
store_mailbox_by_role(struct store *store, enum store_role role)
{
	size_t i;

	if (role == STORE_ROLE_NONE || tree_refresh(store, NULL) != 0)
		return NULL;
	for (i = 0; i < store->box_count; i++)
		if (store->boxes[i]->info.role == role &&
		    !store->boxes[i]->info.is_noselect)
			return &store->boxes[i]->info;
	return NULL;
}
