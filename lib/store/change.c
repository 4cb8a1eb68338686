/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

/* A mailbox walked along a set of UIDs. */
struct walk {
	const struct mbox *box;
	const struct store_set *set;	/* NULL: all */
	uint32_t from;			/* UIDs below are done */
	size_t batch;			/* messages still to give; 0: any */
	size_t range;
	size_t i;
	bool has_limit;
};

static void
walk_begin(struct walk *w, const struct mbox *box,
    const struct store_set *set, size_t batch, uint32_t from)
{
	*w = (struct walk){ .box = box, .set = set, .from = from,
	    .batch = batch, .has_limit = batch != 0 };
	w->i = box_find(box, from);
}

/* The next message of the set, or false. Its index is w->i - 1. */
static bool
walk_next(struct walk *w)
{
	const struct store_range *range;
	uint32_t uid;

	while (w->i < w->box->count) {
		uid = w->box->msgs[w->i].uid;
		if (w->set != NULL) {
			if (w->range == w->set->count)
				return false;
			range = &w->set->ranges[w->range];
			if (uid > range->last) {
				w->range++;
				continue;
			}
			if (uid < range->first) {
				w->i = box_find(w->box, range->first);
				continue;
			}
		}
		if (w->has_limit && w->batch-- == 0)
			return false;
		w->i++;
		return true;
	}
	return false;
}

/* Where to go on: the first UID not given, 0 at the end. */
static uint32_t
walk_rest(const struct walk *w)
{
	if (w->i >= w->box->count ||
	    (w->set != NULL && w->range == w->set->count))
		return 0;
	return w->box->msgs[w->i].uid;
}

static int
set_check(const struct store_set *set, struct err *err)
{
	uint32_t last = 0;
	size_t i;

	for (i = 0; set != NULL && i < set->count; i++) {
		if (set->ranges[i].first <= last ||
		    set->ranges[i].first > set->ranges[i].last)
			return err_set(err, ERR_SYNTAX, "UID set out of order");
		last = set->ranges[i].last;
	}
	return 0;
}

/* How many messages of the walk there are, at most its batch. */
static size_t
walk_count(struct walk w)
{
	size_t n = 0;

	while (walk_next(&w))
		n++;
	return n;
}

static struct store_uids
uids_new(struct arena *arena, size_t max)
{
	struct store_uids uids = { .count = 0 };

	uids.uids = arena_alloc(arena, (max + 1) * sizeof(*uids.uids));
	return uids;
}

/* --- flags --------------------------------------------------------- */

static bool
flags_apply(struct store_msg *msg, const struct store_flag_change *c)
{
	uint8_t flags = c->flags & STORE_FLAGS_ALL, was = msg->flags;
	uint64_t keywords = c->keywords, had = msg->keywords;

	switch (c->op) {
	case STORE_FLAGS_SET:
		break;
	case STORE_FLAGS_ADD:
		flags |= was;
		keywords |= had;
		break;
	case STORE_FLAGS_REMOVE:
		flags = (uint8_t)(was & ~flags);
		keywords = had & ~keywords;
		break;
	}
	msg->flags = flags;
	msg->keywords = keywords;
	return flags != was || keywords != had;
}

static void
flags_one(struct store *store, struct mbox *box, size_t i,
    const struct store_flag_change *change, struct store_flag_result *result)
{
	struct store_msg *msg = &box->msgs[i], was = *msg;

	/* RFC 7162 section 3.1.3: older than asked, or left alone. */
	if (change->has_unchangedsince &&
	    msg->modseq > change->unchangedsince) {
		result->modified.uids[result->modified.count++] = msg->uid;
		return;
	}
	if (!flags_apply(msg, change))
		return;
	if (result->modseq == 0)
		result->modseq = store_next_modseq(store);
	msg->modseq = result->modseq;
	box_count(box, &was, -1);
	box_count(box, msg, 1);
	box_touch(box, i);
	result->changed.uids[result->changed.count++] = msg->uid;
}

int
store_flags(struct store *store, uint64_t mailbox,
    const struct store_set *set, const struct store_flag_change *change,
    size_t batch, uint32_t *next_uid, struct arena *arena,
    struct store_flag_result *result_r, struct err *err)
{
	struct mbox *box;
	struct walk w;
	size_t max;
	bool is_own;
	int ret;

	*result_r = (struct store_flag_result){ .modseq = 0 };
	ret = set_check(set, err);
	if (ret == 0)
		ret = op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	ret = box_need(store, mailbox, MBOX_ALL, &box, err);
	if (ret != 0)
		return op_end(store, is_own, ret, err);
	walk_begin(&w, box, set, batch, *next_uid);
	max = walk_count(w);
	result_r->changed = uids_new(arena, max);
	result_r->modified = uids_new(arena,
	    change->has_unchangedsince ? max : 0);
	while (walk_next(&w))
		flags_one(store, box, w.i - 1, change, result_r);
	if (result_r->modseq != 0)
		box->info.highestmodseq = result_r->modseq;
	*next_uid = walk_rest(&w);
	return op_end(store, is_own, ret, err);
}

/* --- tombstones ---------------------------------------------------- */

/* Rows of a mailbox before the older half is made one. */
enum { VANISHED_ROWS = 512 };

struct ranges {
	struct store_range *v;
	size_t count;
	size_t cap;
};

static void
ranges_push(struct ranges *r, uint32_t first, uint32_t last)
{
	struct store_range *tail = r->count > 0 ? &r->v[r->count - 1] : NULL;

	if (tail != NULL && first <= tail->last + 1 && first >= tail->first) {
		if (last > tail->last)
			tail->last = last;
		return;
	}
	r->v = array_grow(r->v, &r->cap, r->count, sizeof(*r->v));
	r->v[r->count++] = (struct store_range){ first, last };
}

static int
range_cmp(const void *a, const void *b)
{
	const struct store_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Ascending and disjoint. */
static void
ranges_tidy(struct ranges *r)
{
	struct ranges out = { .v = NULL };
	size_t i;

	if (r->count < 2)
		return;
	qsort(r->v, r->count, sizeof(*r->v), range_cmp);
	for (i = 0; i < r->count; i++)
		ranges_push(&out, r->v[i].first, r->v[i].last);
	free(r->v);
	*r = out;
}

static void
ranges_read(struct ranges *r, struct db_query *q, int column)
{
	struct str data = db_col_blob(q, column);
	struct store_range *v;
	struct err err = ERR_INIT;
	size_t count, i;

	if (ranges_decode(data, NULL, &count, &err) != 0) {
		db_query_corrupt(q, err_text(&err));
		return;
	}
	v = calloc(count + 1, sizeof(*v));
	invariant(v != NULL);
	(void)ranges_decode(data, v, &count, NULL);
	for (i = 0; i < count; i++)
		ranges_push(r, v[i].first, v[i].last);
	free(v);
}

static int
vanished_write(struct store *store, uint64_t mailbox, uint64_t modseq,
    const struct ranges *r, struct err *err)
{
	struct db_query *q;
	struct buf buf;
	int ret;

	buf_init(&buf, r->count * 10 + 1);
	ranges_encode(r->v, r->count, &buf);
	q = db_query(store->db, Q_VANISHED_ADD);
	db_bind_u64(q, 2, mailbox);
	db_bind_u64(q, 3, modseq);
	db_bind_blob(q, 4, buf_str(&buf));
	ret = db_run(&q, err);
	buf_fini(&buf);
	return ret;
}

/*
 * Many small tombstones become one, with the modseq of the youngest: a client
 * that asks from before it hears of some UIDs twice, which RFC 7162 allows.
 */
static int
vanished_merge(struct store *store, uint64_t mailbox, struct err *err)
{
	struct db_query *q = db_query(store->db, Q_VANISHED_COUNT);
	struct ranges r = { .v = NULL };
	uint64_t rows = 0, modseq = 0;
	int ret;

	db_bind_u64(q, 2, mailbox);
	if (db_first(q, err) == 0)
		rows = db_col_u64(q, 0);
	ret = db_end(&q, err);
	if (ret != 0 || rows < VANISHED_ROWS)
		return ret;
	q = db_query(store->db, Q_VANISHED_FIRST);
	db_bind_u64(q, 2, mailbox);
	db_bind_u64(q, 3, VANISHED_ROWS / 2);
	while (db_next(q)) {
		modseq = db_col_u64(q, 0);
		ranges_read(&r, q, 1);
	}
	ret = db_end(&q, err);
	if (ret == 0) {
		q = db_query(store->db, Q_VANISHED_DELETE_TO);
		db_bind_u64(q, 2, mailbox);
		db_bind_u64(q, 3, modseq);
		ret = db_run(&q, err);
	}
	ranges_tidy(&r);
	if (ret == 0)
		ret = vanished_write(store, mailbox, modseq, &r, err);
	free(r.v);
	return ret;
}

static int
vanished_add(struct store *store, struct mbox *box, uint64_t modseq,
    const struct store_uids *gone, struct err *err)
{
	struct ranges r = { .v = NULL };
	size_t i;
	int ret;

	for (i = 0; i < gone->count; i++)
		ranges_push(&r, gone->uids[i], gone->uids[i]);
	ret = vanished_write(store, box->info.id, modseq, &r, err);
	free(r.v);
	/* The rows are counted now and then only. */
	if (ret == 0 && modseq % 64 == 0)
		ret = vanished_merge(store, box->info.id, err);
	return ret;
}

int
store_vanished(struct store *store, uint64_t mailbox, uint64_t since_modseq,
    struct arena *arena, struct store_set *set_r, struct err *err)
{
	struct ranges r = { .v = NULL };
	struct store_range *copy;
	struct db_query *q;
	struct mbox *box;
	int ret;

	*set_r = (struct store_set){ .count = 0 };
	ret = box_need(store, mailbox, MBOX_NONE, &box, err);
	if (ret != 0)
		return ret;
	if (since_modseq >= box->info.highestmodseq)
		return 0;
	q = db_query(store->db, Q_VANISHED_SINCE);
	db_bind_u64(q, 2, mailbox);
	db_bind_u64(q, 3, since_modseq);
	while (db_next(q))
		ranges_read(&r, q, 0);
	ret = db_end(&q, err);
	ranges_tidy(&r);
	if (ret == 0 && r.count != 0) {
		copy = arena_alloc(arena, r.count * sizeof(*copy));
		memcpy(copy, r.v, r.count * sizeof(*copy));
		*set_r = (struct store_set){ copy, r.count };
	}
	free(r.v);
	return ret;
}

/* --- expunge ------------------------------------------------------- */

/* Take the marked ones out of the mailbox, with a tombstone. */
static int
take_out(struct store *store, struct mbox *box, const bool *is_gone,
    const struct store_uids *gone, uint64_t modseq, struct err *err)
{
	box_remove(box, is_gone);
	box->info.highestmodseq = modseq;
	store->is_changed = true;
	return vanished_add(store, box, modseq, gone, err);
}

static int
expunge_one(struct store *store, const struct store_msg *msg,
    struct err *err)
{
	bool was_last;
	int ret = refs_drop(store, msg->message, &was_last, err);

	if (ret == 0 && was_last)
		message_hide(store, msg->message, msg->size_octets);
	return ret;
}

static int
expunge_walk(struct store *store, struct mbox *box, struct walk *w,
    uint8_t only_flags, struct store_uids *gone, uint64_t *modseq,
    struct err *err)
{
	bool *is_gone = calloc(box->count + 1, sizeof(*is_gone));
	const struct store_msg *msg;
	int ret = 0;

	invariant(is_gone != NULL);
	while (ret == 0 && walk_next(w)) {
		msg = &box->msgs[w->i - 1];
		if ((msg->flags & only_flags) != only_flags)
			continue;
		is_gone[w->i - 1] = true;
		gone->uids[gone->count++] = msg->uid;
		ret = expunge_one(store, msg, err);
	}
	if (ret == 0 && gone->count != 0) {
		*modseq = store_next_modseq(store);
		ret = take_out(store, box, is_gone, gone, *modseq, err);
	}
	free(is_gone);
	return ret != 0 ? store_spoil(store, err, ret) : 0;
}

int
store_expunge(struct store *store, uint64_t mailbox,
    const struct store_set *set, uint8_t only_flags, size_t batch,
    uint32_t *next_uid, struct arena *arena, struct store_uids *gone_r,
    uint64_t *modseq_r, struct err *err)
{
	struct mbox *box;
	struct walk w;
	uint32_t rest;
	bool is_own;
	int ret;

	*gone_r = (struct store_uids){ .count = 0 };
	*modseq_r = 0;
	ret = set_check(set, err);
	if (ret == 0)
		ret = op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	ret = box_need(store, mailbox, MBOX_ALL, &box, err);
	if (ret != 0)
		return op_end(store, is_own, ret, err);
	walk_begin(&w, box, set, batch, *next_uid);
	*gone_r = uids_new(arena, walk_count(w));
	/* Where to go on is asked before the array closes up. */
	{
		struct walk ahead = w;

		while (walk_next(&ahead))
			;
		rest = walk_rest(&ahead);
	}
	ret = expunge_walk(store, box, &w, only_flags, gone_r, modseq_r, err);
	*next_uid = rest;
	ret = op_end(store, is_own, ret, err);
	if (ret != 0)
		gone_r->count = 0;
	return ret;
}

/* --- copy and move ------------------------------------------------- */

/* Keyword bits of one mailbox as bits of another, made there on need. A
 * keyword that finds no room is left behind. */
struct keyword_map {
	uint64_t known;
	uint64_t to[STORE_KEYWORD_COUNT];
};

static int
keyword_map_bit(struct store *store, struct mbox *from, struct mbox *to,
    struct keyword_map *map, unsigned bit, struct err *err)
{
	unsigned target = 0;
	int ret = keywords_load(store, from, err);

	map->known |= UINT64_C(1) << bit;
	if (ret != 0 || from->keywords[bit].len == 0)
		return ret;
	ret = store_keyword(store, to->info.id, from->keywords[bit], true,
	    &target, NULL);
	if (ret == 0)
		map->to[bit] = UINT64_C(1) << target;
	return ret == ERR_LIMIT ? 0 : ret;
}

static int
keyword_map(struct store *store, struct mbox *from, struct mbox *to,
    struct keyword_map *map, uint64_t bits, uint64_t *bits_r,
    struct err *err)
{
	unsigned bit;
	int ret = 0;

	*bits_r = 0;
	for (; bits != 0 && ret == 0; bits &= bits - 1) {
		bit = (unsigned)__builtin_ctzll(bits);
		if (!(map->known & UINT64_C(1) << bit))
			ret = keyword_map_bit(store, from, to, map, bit, err);
		*bits_r |= map->to[bit];
	}
	return ret;
}

struct transfer {
	struct store *store;
	struct mbox *from;
	struct mbox *to;
	struct keyword_map map;
	struct store_copied *copied;
	bool *is_gone;			/* move; else NULL */
};

static int
transfer_one(struct transfer *t, size_t i, struct err *err)
{
	/* A copy: the array may move when both are the same mailbox. */
	struct store_msg msg = t->from->msgs[i];
	struct store_copied *c = t->copied;
	int ret = 0;

	if (t->from != t->to)
		ret = keyword_map(t->store, t->from, t->to, &t->map,
		    msg.keywords, &msg.keywords, err);
	if (ret == 0 && t->is_gone == NULL)
		ret = refs_add(t->store, msg.message, err);
	if (ret != 0)
		return ret;
	c->from.uids[c->from.count++] = msg.uid;
	ret = box_append(t->store, t->to, &msg, c->modseq, err);
	c->to.uids[c->to.count++] = msg.uid;
	if (t->is_gone != NULL)
		t->is_gone[i] = true;
	return ret;
}

static int
transfer_all(struct transfer *t, struct walk *w, uint32_t *next_uid,
    struct err *err)
{
	size_t left = walk_count(*w);
	uint32_t rest;
	int ret = 0;

	if (left == 0) {
		*next_uid = 0;
		return 0;
	}
	t->copied->modseq = store_next_modseq(t->store);
	/* What is appended to the same mailbox is not walked into. */
	for (; left > 0 && ret == 0 && walk_next(w); left--)
		ret = transfer_one(t, w->i - 1, err);
	rest = t->from != t->to ? walk_rest(w) : 0;
	if (ret == 0 && t->is_gone != NULL)
		ret = take_out(t->store, t->from, t->is_gone,
		    &t->copied->from, t->copied->modseq, err);
	*next_uid = ret == 0 ? rest : *next_uid;
	return ret != 0 ? store_spoil(t->store, err, ret) : 0;
}

static int
transfer_boxes(struct transfer *t, uint64_t from, uint64_t to, bool is_move,
    struct err *err)
{
	int ret = box_need(t->store, to, MBOX_TAIL, &t->to, err);

	if (ret == 0)
		ret = box_need(t->store, from, MBOX_ALL, &t->from, err);
	if (ret == 0)
		t->copied->uidvalidity = t->to->info.uidvalidity;
	if (ret != 0 || !is_move)
		return ret;
	/* Within one mailbox, the new ones follow the old. */
	t->is_gone = calloc(2 * t->from->count + 1, sizeof(*t->is_gone));
	invariant(t->is_gone != NULL);
	return 0;
}

static int
transfer(struct store *store, uint64_t from, const struct store_set *set,
    uint64_t to, bool is_move, size_t batch, uint32_t *next_uid,
    struct arena *arena, struct store_copied *copied_r, struct err *err)
{
	struct transfer t = { .store = store, .copied = copied_r };
	struct walk w;
	bool is_own;
	int ret = set_check(set, err);

	*copied_r = (struct store_copied){ .modseq = 0 };
	if (ret == 0)
		ret = op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	/* Within one mailbox there is no going on: the copies would be met. */
	if (from == to)
		batch = 0;
	ret = transfer_boxes(&t, from, to, is_move, err);
	if (ret == 0) {
		walk_begin(&w, t.from, set, batch, *next_uid);
		copied_r->from = uids_new(arena, walk_count(w));
		copied_r->to = uids_new(arena, walk_count(w));
		ret = transfer_all(&t, &w, next_uid, err);
	}
	free(t.is_gone);
	ret = op_end(store, is_own, ret, err);
	if (ret != 0)
		copied_r->from.count = copied_r->to.count = 0;
	return ret;
}

int
store_copy(struct store *store, uint64_t from, const struct store_set *set,
    uint64_t to, size_t batch, uint32_t *next_uid, struct arena *arena,
    struct store_copied *copied_r, struct err *err)
{
	return transfer(store, from, set, to, false, batch, next_uid, arena,
	    copied_r, err);
}

int
store_move(struct store *store, uint64_t from, const struct store_set *set,
    uint64_t to, size_t batch, uint32_t *next_uid, struct arena *arena,
    struct store_copied *copied_r, struct err *err)
{
	return transfer(store, from, set, to, true, batch, next_uid, arena,
	    copied_r, err);
}
