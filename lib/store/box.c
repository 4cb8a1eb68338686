/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

#include "base/when.h"

/* Memberships kept in memory over all mailboxes; 48 octets each. */
#define CACHED_MAX ((size_t)2000000)

static void *
must(void *p)
{
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

/* --- memory -------------------------------------------------------- */

void
box_unload(struct mbox *box)
{
	free(box->msgs);
	free(box->pages);
	free(box->dead);
	box->msgs = NULL;
	box->pages = NULL;
	box->dead = NULL;
	box->count = box->cap = 0;
	box->page_count = box->page_cap = 0;
	box->dead_count = box->dead_cap = 0;
	box->level = MBOX_NONE;
	box->has_dirty_pages = false;
}

void
box_forget_keywords(struct mbox *box)
{
	size_t i;

	if (box->keywords == NULL)
		return;
	for (i = 0; i < STORE_KEYWORD_COUNT; i++)
		if (box->keywords[i].len != 0)
			free((void *)(uintptr_t)box->keywords[i].p);
	free(box->keywords);
	box->keywords = NULL;
}

void
box_free(struct mbox *box)
{
	box_unload(box);
	box_forget_keywords(box);
	free(box->name);
	free(box);
}

void
boxes_drop(struct store *store)
{
	size_t i;

	for (i = 0; i < store->box_count; i++) {
		(void)table_del_u64(store->by_id, store->boxes[i]->info.id);
		box_free(store->boxes[i]);
	}
	store->box_count = 0;
	table_free(&store->subscribed);
	store->are_boxes_loaded = false;
	store->is_tree_stale = true;
}

/* When too much is in memory, let go of mailboxes that are not in use. */
static void
boxes_shrink(struct store *store, const struct mbox *keep)
{
	struct mbox *box;
	size_t total = 0, i;

	for (i = 0; i < store->box_count; i++)
		total += store->boxes[i]->count;
	for (i = 0; i < store->box_count && total > CACHED_MAX; i++) {
		box = store->boxes[i];
		if (box == keep || box->has_dirty_pages)
			continue;
		total -= box->count;
		box_unload(box);
	}
}

/* --- rows of mailboxes --------------------------------------------- */

static int
box_read(struct store *store, struct db_query *q)
{
	struct mbox *box = must(calloc(1, sizeof(*box)));
	struct store_mailbox *info = &box->info;
	struct str name = db_col_str(q, 1);
	uint64_t role = db_col_u64(q, 2);

	info->id = db_col_u64(q, 0);
	info->role = (enum store_role)role;
	info->is_noselect = db_col_bool(q, 3);
	info->uidvalidity = db_col_u32(q, 4);
	info->uidnext = db_col_u32(q, 5);
	info->recent_uid = db_col_u32(q, 6);
	info->messages = db_col_u32(q, 7);
	info->unseen = db_col_u32(q, 8);
	info->deleted = db_col_u32(q, 9);
	info->size_octets = db_col_u64(q, 10);
	info->highestmodseq = db_col_u64(q, 11);
	info->modseq = db_col_u64(q, 12);
	if (role >= STORE_ROLE_MAX || info->id == 0 ||
	    info->id > MAILBOX_ID_MAX || info->uidvalidity == 0 ||
	    info->uidnext == 0 || name.len == 0 || name.len > STORE_NAME_MAX) {
		db_query_corrupt(q, "a mailbox");
		free(box);
		return ERR_CORRUPT;
	}
	box->name = must(strndup(name.p, name.len));
	info->name = str_make(box->name, name.len);
	if (box_insert(store, box) == 0)
		return 0;
	db_query_corrupt(q, "two mailboxes of a name");
	box_free(box);
	return ERR_CORRUPT;
}

int
boxes_load(struct store *store, struct err *err)
{
	struct db_query *q;
	int ret;

	if (store->are_boxes_loaded)
		return 0;
	q = db_query(store->db, Q_MAILBOX_LIST);
	while (db_next(q))
		if (box_read(store, q) != 0)
			break;
	ret = db_end(&q, err);
	if (ret != 0) {
		boxes_drop(store);
		return ret;
	}
	store->are_boxes_loaded = true;
	store->is_tree_stale = true;
	return 0;
}

struct mbox *
box_by_id(struct store *store, uint64_t id)
{
	if (boxes_load(store, NULL) != 0)
		return NULL;
	return table_get_u64(store->by_id, id);
}

static int
box_put(struct store *store, struct mbox *box, struct err *err)
{
	const struct store_mailbox *info = &box->info;
	struct db_query *q = db_query(store->db, Q_MAILBOX_PUT);
	int ret;

	db_bind_u64(q, 2, info->id);
	db_bind_str(q, 3, info->name);
	db_bind_u64(q, 4, info->role);
	db_bind_u64(q, 5, info->is_noselect);
	db_bind_u64(q, 6, info->uidvalidity);
	db_bind_u64(q, 7, info->uidnext);
	db_bind_u64(q, 8, info->recent_uid);
	db_bind_u64(q, 9, info->messages);
	db_bind_u64(q, 10, info->unseen);
	db_bind_u64(q, 11, info->deleted);
	db_bind_u64(q, 12, info->size_octets);
	db_bind_u64(q, 13, info->highestmodseq);
	db_bind_u64(q, 14, info->modseq);
	ret = db_run(&q, err);
	if (ret == 0)
		box->is_dirty = false;
	return ret;
}

/* --- reading pages ------------------------------------------------- */

static struct page *
page_new(struct mbox *box, uint64_t key)
{
	struct page *page;

	box->pages = array_grow(box->pages, &box->page_cap, box->page_count,
	    sizeof(*box->pages));
	page = &box->pages[box->page_count++];
	*page = (struct page){ .key = key, .start = box->count };
	return page;
}

static void
msgs_reserve(struct mbox *box, size_t more)
{
	if (box->count + more <= box->cap)
		return;
	box->cap = box->cap * 2 > box->count + more ? box->cap * 2 :
	    box->count + more;
	box->msgs = must(reallocarray(box->msgs, box->cap,
	    sizeof(*box->msgs)));
}

/* One row: behind what is there, inside its key, below uidnext. */
static void
page_read(struct mbox *box, struct db_query *q)
{
	uint64_t key = db_col_u64(q, 0);
	struct err err = ERR_INIT;
	struct page *page;
	const struct store_msg *msgs;
	uint32_t last = box->count != 0 ? box->msgs[box->count - 1].uid : 0;
	size_t count;

	msgs_reserve(box, PAGE_MAX);
	if (page_decode(db_col_blob(q, 1), box->msgs + box->count, &count,
	    &err) != 0) {
		db_query_corrupt(q, err_text(&err));
		return;
	}
	msgs = box->msgs + box->count;
	if (msgs[0].uid <= last || msgs[0].uid < (uint32_t)key ||
	    msgs[count - 1].uid >= box->info.uidnext) {
		db_query_corrupt(q, "a page of messages out of order");
		return;
	}
	page = page_new(box, key);
	page->count = count;
	box->count += count;
}

static int
pages_read(struct store *store, struct mbox *box, unsigned statement,
    struct err *err)
{
	struct db_query *q = db_query(store->db, statement);
	int ret;

	db_bind_u64(q, 2, PAGE_KEY(box->info.id, 0));
	db_bind_u64(q, 3, PAGE_KEY(box->info.id, UINT32_MAX));
	while (db_next(q))
		page_read(box, q);
	ret = db_end(&q, err);
	if (ret != 0)
		box_unload(box);
	return ret;
}

/* The pages are the truth; the counters in the row follow them. */
static void
counters_from_pages(struct mbox *box)
{
	struct store_mailbox was = box->info;
	struct store_mailbox *info = &box->info;
	size_t i;

	info->messages = info->unseen = info->deleted = 0;
	info->size_octets = 0;
	for (i = 0; i < box->count; i++)
		box_count(box, &box->msgs[i], 1);
	if (was.messages != info->messages || was.unseen != info->unseen ||
	    was.deleted != info->deleted ||
	    was.size_octets != info->size_octets)
		box->is_dirty = true;
}

static int box_flush_pages(struct store *, struct mbox *, struct err *);

static int
box_load(struct store *store, struct mbox *box, enum mbox_level level,
    struct err *err)
{
	int ret;

	if (box->level >= level)
		return 0;
	if (box->has_dirty_pages) {
		ret = box_flush_pages(store, box, err);
		if (ret != 0)
			return ret;
	}
	box_unload(box);
	if (level == MBOX_ALL)
		msgs_reserve(box, box->info.messages + PAGE_MAX);
	ret = pages_read(store, box,
	    level == MBOX_ALL ? Q_PAGE_LIST : Q_PAGE_LAST, err);
	if (ret != 0)
		return ret;
	box->level = level;
	if (level == MBOX_ALL)
		counters_from_pages(box);
	boxes_shrink(store, box);
	return 0;
}

int
box_need(struct store *store, uint64_t id, enum mbox_level level,
    struct mbox **box_r, struct err *err)
{
	struct mbox *box;
	int ret = boxes_load(store, err);

	if (ret != 0)
		return ret;
	box = table_get_u64(store->by_id, id);
	if (box == NULL)
		return err_set(err, ERR_NOTFOUND, "no mailbox %llu",
		    (unsigned long long)id);
	if (box->info.is_noselect)
		return err_set(err, ERR_DENIED, "mailbox cannot be selected");
	*box_r = box;
	return box_load(store, box, level, err);
}

/* --- changing ------------------------------------------------------ */

size_t
box_find(const struct mbox *box, uint32_t uid)
{
	size_t low = 0, high = box->count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (box->msgs[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void
box_count(struct mbox *box, const struct store_msg *msg, int sign)
{
	struct store_mailbox *info = &box->info;
	uint32_t one = sign > 0 ? 1 : UINT32_MAX;

	info->messages += one;
	if (!(msg->flags & STORE_SEEN))
		info->unseen += one;
	if (msg->flags & STORE_DELETED)
		info->deleted += one;
	if (sign > 0)
		info->size_octets += msg->size_octets;
	else
		info->size_octets -= msg->size_octets;
}

int
box_append(struct store *store, struct mbox *box, struct store_msg *msg,
    uint64_t modseq, struct err *err)
{
	struct page *page = NULL;

	if (box->info.uidnext == UINT32_MAX)
		return err_set(err, ERR_LIMIT, "out of UIDs");
	msg->uid = box->info.uidnext++;
	msg->modseq = modseq;
	msg->saved_s = (uint32_t)when_wall_s();
	if (box->page_count != 0)
		page = &box->pages[box->page_count - 1];
	if (page == NULL || page->count == PAGE_MAX)
		page = page_new(box, PAGE_KEY(box->info.id, msg->uid));
	msgs_reserve(box, 1);
	box->msgs[box->count++] = *msg;
	page->count++;
	page->is_dirty = true;
	box_count(box, msg, 1);
	box->info.highestmodseq = modseq;
	box->has_dirty_pages = true;
	box->is_dirty = true;
	store->is_changed = true;
	return 0;
}

void
box_touch(struct mbox *box, size_t i)
{
	size_t low = 0, high = box->page_count, mid;

	while (high - low > 1) {
		mid = low + (high - low) / 2;
		if (box->pages[mid].start <= i)
			low = mid;
		else
			high = mid;
	}
	box->pages[low].is_dirty = true;
	box->has_dirty_pages = true;
	box->is_dirty = true;
}

static void
page_bury(struct mbox *box, const struct page *page)
{
	box->dead = array_grow(box->dead, &box->dead_cap, box->dead_count,
	    sizeof(*box->dead));
	box->dead[box->dead_count++] = page->key;
}

/* Take the gone ones of one page out, moving the rest down to *at. */
static void
page_squeeze(struct mbox *box, struct page *page, const bool *is_gone,
    size_t *at)
{
	size_t start = *at, i;

	for (i = page->start; i < page->start + page->count; i++) {
		if (is_gone[i])
			box_count(box, &box->msgs[i], -1);
		else if (*at != i)
			box->msgs[(*at)++] = box->msgs[i];
		else
			(*at)++;
	}
	if (*at - start != page->count)
		page->is_dirty = true;
	page->start = start;
	page->count = *at - start;
}

void
box_remove(struct mbox *box, const bool *is_gone)
{
	struct page *page, *last;
	size_t at = 0, kept = 0, i;

	for (i = 0; i < box->page_count; i++) {
		page = &box->pages[i];
		page_squeeze(box, page, is_gone, &at);
		last = kept > 0 ? &box->pages[kept - 1] : NULL;
		if (page->count == 0) {
			page_bury(box, page);
		} else if (last != NULL && (last->is_dirty || page->is_dirty) &&
		    last->count + page->count <= PAGE_MAX / 2) {
			/* Two thin neighbours become one. */
			last->count += page->count;
			last->is_dirty = true;
			page_bury(box, page);
		} else {
			box->pages[kept++] = *page;
		}
	}
	box->page_count = kept;
	box->count = at;
	box->has_dirty_pages = true;
	box->is_dirty = true;
}

/* --- writing ------------------------------------------------------- */

static int
page_write(struct store *store, struct mbox *box, struct page *page,
    struct buf *buf, struct err *err)
{
	struct db_query *q;
	int ret;

	buf_reset(buf);
	page_encode(box->msgs + page->start, page->count, buf);
	q = db_query(store->db, Q_PAGE_PUT);
	db_bind_u64(q, 2, page->key);
	db_bind_blob(q, 3, buf_str(buf));
	ret = db_run(&q, err);
	if (ret == 0)
		page->is_dirty = false;
	return ret;
}

static int
box_flush_pages(struct store *store, struct mbox *box, struct err *err)
{
	struct db_query *q;
	struct buf buf;
	size_t i;
	int ret = 0;

	for (i = 0; i < box->dead_count && ret == 0; i++) {
		q = db_query(store->db, Q_PAGE_DELETE);
		db_bind_u64(q, 2, box->dead[i]);
		ret = db_run(&q, err);
	}
	buf_init(&buf, PAGE_OCTETS_MAX);
	for (i = 0; i < box->page_count && ret == 0; i++)
		if (box->pages[i].is_dirty)
			ret = page_write(store, box, &box->pages[i], &buf,
			    err);
	buf_fini(&buf);
	if (ret != 0)
		return ret;
	box->dead_count = 0;
	box->has_dirty_pages = false;
	return 0;
}

int
boxes_flush(struct store *store, struct err *err)
{
	struct mbox *box;
	size_t i;
	int ret = 0;

	for (i = 0; i < store->box_count && ret == 0; i++) {
		box = store->boxes[i];
		if (box->has_dirty_pages)
			ret = box_flush_pages(store, box, err);
		if (ret == 0 && box->is_dirty)
			ret = box_put(store, box, err);
	}
	return ret;
}

/* --- public -------------------------------------------------------- */

int
store_messages(struct store *store, uint64_t mailbox,
    const struct store_msg **msgs_r, size_t *count_r, struct err *err)
{
	struct mbox *box;
	int ret = box_need(store, mailbox, MBOX_ALL, &box, err);

	*msgs_r = ret == 0 ? box->msgs : NULL;
	*count_r = ret == 0 ? box->count : 0;
	return ret;
}

const struct store_msg *
store_msg_find(const struct store_msg *msgs, size_t count, uint32_t uid)
{
	size_t low = 0, high = count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (msgs[mid].uid == uid)
			return &msgs[mid];
		if (msgs[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
