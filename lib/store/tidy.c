/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

#include <unistd.h>

#include "base/when.h"

/* A log over this is copied into the database when there is time. */
enum { WAL_PAGES = 1000, PURGE_BATCH = 128, KEYS_BATCH = 256 };

/* --- garbage ------------------------------------------------------- */

struct garbage {
	uint64_t row;
	bool is_deleted;	/* its rows are, its links may be */
	size_t count;
	uint64_t ids[IDS_MAX];
};

/* The oldest row that is due; count 0: none. */
static int
garbage_oldest(struct store *store, int64_t before_s, struct garbage *g,
    struct err *err)
{
	struct db_query *q = db_query(store->db, Q_GARBAGE_OLDEST);
	struct err why = ERR_INIT;

	g->count = 0;
	g->row = 0;
	db_bind_i64(q, 2, before_s);
	if (db_next(q)) {
		g->row = db_col_u64(q, 0);
		g->is_deleted = db_col_bool(q, 1);
		if (ids_decode(db_col_blob(q, 2), g->ids, &g->count,
		    &why) != 0)
			db_query_corrupt(q, err_text(&why));
	}
	return db_end(&q, err);
}

static int
garbage_put(struct store *store, uint64_t row, unsigned state,
    const uint64_t *ids, size_t count, struct err *err)
{
	struct db_query *q;
	struct buf buf;
	int ret;

	buf_init(&buf, IDS_MAX * 10 + 1);
	ids_encode(ids, count, &buf);
	q = db_query(store->db, count != 0 ? Q_GARBAGE_PUT :
	    Q_GARBAGE_DELETE);
	db_bind_u64(q, 2, row);
	if (count != 0) {
		db_bind_u64(q, 3, state);
		db_bind_blob(q, 4, buf_str(&buf));
	}
	ret = db_run(&q, err);
	buf_fini(&buf);
	return ret;
}

static int
message_delete(struct store *store, uint64_t id, struct err *err)
{
	struct db_query *q = db_query(store->db, Q_MESSAGE_DELETE);

	db_bind_u64(q, 2, id);
	return db_run(&q, err);
}

/* The rows of the last few ids of a garbage row go, and are noted as links to
 * be removed in a row of their own. */
static int
purge_rows(struct store *store, struct garbage *g, struct err *err)
{
	size_t n = g->count < PURGE_BATCH ? g->count : PURGE_BATCH, i;
	size_t left = g->count - n;
	struct db_query *q;
	struct buf buf;
	int ret = 0;

	for (i = left; i < g->count && ret == 0; i++)
		ret = message_delete(store, g->ids[i], err);
	if (ret == 0)
		ret = garbage_put(store, g->row, 0, g->ids, left, err);
	if (ret != 0)
		return ret;
	buf_init(&buf, IDS_MAX * 10 + 1);
	ids_encode(g->ids + left, n, &buf);
	q = db_query(store->db, Q_GARBAGE_ADD);
	db_bind_i64(q, 2, when_wall_s());
	db_bind_u64(q, 3, 1);
	db_bind_blob(q, 4, buf_str(&buf));
	ret = db_run(&q, err);
	buf_fini(&buf);
	return ret;
}

static void
unlink_all(struct store *store, const struct garbage *g)
{
	char path[STORE_LINK_PATH_SIZE];
	size_t i;

	for (i = 0; i < g->count; i++) {
		store_link_path(g->ids[i], path);
		(void)unlinkat(store->dir_fd, path, 0);
	}
}

/* One step: rows and then, when their end is committed, the links. */
static int
tidy_garbage(struct store *store, int64_t before_s, bool *has_more_r,
    struct err *err)
{
	struct garbage g;
	int ret = garbage_oldest(store, before_s, &g, err);

	if (ret != 0 || g.row == 0)
		return ret;
	*has_more_r = true;
	ret = store_begin(store, STORE_NORMAL, err);
	if (ret != 0)
		return ret;
	if (g.is_deleted) {
		unlink_all(store, &g);
		ret = garbage_put(store, g.row, 1, NULL, 0, err);
	} else {
		ret = purge_rows(store, &g, err);
	}
	return op_end(store, true, ret, err);
}

/* --- keys and values ----------------------------------------------- */

struct old_key {
	uint64_t queue_id;
	struct str recipient;
};

/* Keys begin with the queue id, which grows with time: the oldest are first,
 * nearly; a younger one in between only puts it off. */
static int
keys_oldest(struct store *store, int64_t before_s, struct arena *arena,
    struct old_key *keys_r, size_t *count_r, struct err *err)
{
	struct db_query *q = db_query(store->db, Q_DELIVERY_OLDEST);

	*count_r = 0;
	db_bind_u64(q, 2, KEYS_BATCH);
	while (db_next(q) && *count_r < KEYS_BATCH) {
		if (db_col_i64(q, 2) >= before_s)
			break;
		keys_r[*count_r].queue_id = db_col_u64(q, 0);
		keys_r[*count_r].recipient = arena_str(arena,
		    db_col_str(q, 1));
		(*count_r)++;
	}
	return db_end(&q, err);
}

static int
tidy_keys(struct store *store, int64_t before_s, bool *has_more_r,
    struct err *err)
{
	struct arena *arena = arena_new(0);
	struct old_key keys[KEYS_BATCH];
	struct db_query *q;
	size_t count, i;
	int ret = keys_oldest(store, before_s, arena, keys, &count, err);

	if (ret == 0 && count != 0)
		ret = store_begin(store, STORE_NORMAL, err);
	if (ret != 0 || count == 0)
		goto out;
	for (i = 0; i < count && ret == 0; i++) {
		q = db_query(store->db, Q_DELIVERY_DELETE);
		db_bind_u64(q, 2, keys[i].queue_id);
		db_bind_str(q, 3, keys[i].recipient);
		ret = db_run(&q, err);
	}
	ret = op_end(store, true, ret, err);
	*has_more_r = count == KEYS_BATCH;
out:
	arena_free(&arena);
	return ret;
}

static int
tidy_values(struct store *store, struct err *err)
{
	struct db_query *q;
	int ret = store_begin(store, STORE_NORMAL, err);

	if (ret != 0)
		return ret;
	q = db_query(store->db, Q_VALUE_EXPIRE);
	db_bind_i64(q, 2, when_wall_s());
	ret = db_run(&q, err);
	return op_end(store, true, ret, err);
}

int
store_tidy(struct store *store, int64_t expunged_before_s,
    int64_t keys_before_s, bool *has_more_r, struct err *err)
{
	int ret;

	invariant(!store->is_group && store->readers == 0);
	*has_more_r = false;
	ret = tidy_garbage(store, expunged_before_s, has_more_r, err);
	if (ret == 0 && !*has_more_r)
		ret = tidy_keys(store, keys_before_s, has_more_r, err);
	if (ret == 0 && !*has_more_r)
		ret = tidy_values(store, err);
	if (ret == 0)
		ret = db_checkpoint(store->db, WAL_PAGES, false, err);
	return ret;
}

int
store_checkpoint(struct store *store, uint32_t min_pages, struct err *err)
{
	invariant(!store->is_group && store->readers == 0);
	return db_checkpoint(store->db, min_pages, true, err);
}

/* --- recovery window ----------------------------------------------- */

static void
hidden_read(struct db_query *q, size_t max, struct store_hidden *list,
    size_t *count)
{
	int64_t expunged_s = db_col_i64(q, 1);
	uint64_t ids[IDS_MAX];
	struct err why = ERR_INIT;
	size_t n;

	if (ids_decode(db_col_blob(q, 2), ids, &n, &why) != 0) {
		db_query_corrupt(q, err_text(&why));
		return;
	}
	while (n-- > 0 && *count < max)
		list[(*count)++] = (struct store_hidden){ ids[n],
		    expunged_s };
}

int
store_hidden_list(struct store *store, size_t max, struct arena *arena,
    struct store_hidden **list_r, size_t *count_r, struct err *err)
{
	struct db_query *q;
	int ret;

	*count_r = 0;
	*list_r = arena_alloc(arena, (max + 1) * sizeof(**list_r));
	q = db_query(store->db, Q_GARBAGE_LIST);
	while (*count_r < max && db_next(q))
		hidden_read(q, max, *list_r, count_r);
	ret = db_end(&q, err);
	if (ret != 0)
		*count_r = 0;
	return ret;
}

/* The garbage row with the id, and where in it. */
static int
hidden_find(struct store *store, uint64_t message, struct garbage *g,
    size_t *at_r, struct err *err)
{
	struct db_query *q = db_query(store->db, Q_GARBAGE_LIST);
	struct err why = ERR_INIT;
	bool is_found = false;
	int ret;

	while (!is_found && db_next(q)) {
		g->row = db_col_u64(q, 0);
		if (ids_decode(db_col_blob(q, 2), g->ids, &g->count,
		    &why) != 0)
			db_query_corrupt(q, err_text(&why));
		for (*at_r = 0; *at_r < g->count; (*at_r)++) {
			is_found = g->ids[*at_r] == message;
			if (is_found)
				break;
		}
	}
	ret = db_end(&q, err);
	if (ret == 0 && !is_found)
		ret = err_set(err, ERR_NOTFOUND, "message is not hidden");
	return ret;
}

static int
restore_rows(struct store *store, uint64_t message, struct mbox *box,
    struct store_added *added_r, struct err *err)
{
	struct store_message m;
	struct arena *arena = arena_new(0);
	struct store_msg msg = { .message = message, .flags = STORE_SEEN };
	int ret = store_message(store, message, arena, &m, err);

	arena_free(&arena);
	if (ret == 0 && !link_is_there(store, message, NULL))
		ret = err_set(err, ERR_NOTFOUND, "its blob is gone");
	if (ret != 0)
		return ret;
	msg.size_octets = (uint32_t)(m.blob_octets + m.trace.len);
	msg.date_s = m.date_s;
	added_r->modseq = store_next_modseq(store);
	ret = box_append(store, box, &msg, added_r->modseq, err);
	if (ret != 0)
		return ret;
	added_r->message = message;
	added_r->mailbox = box->info.id;
	added_r->uid = msg.uid;
	added_r->uidvalidity = box->info.uidvalidity;
	store->account.size_octets += msg.size_octets;
	store->account.messages++;
	store->account.sequence++;
	return 0;
}

int
store_restore(struct store *store, uint64_t message, uint64_t mailbox,
    struct store_added *added_r, struct err *err)
{
	struct garbage g;
	struct mbox *box;
	size_t at = 0;
	bool is_own;
	int ret;

	*added_r = (struct store_added){ .message = 0 };
	ret = op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	ret = garbage_flush(store, err);
	if (ret == 0)
		ret = hidden_find(store, message, &g, &at, err);
	if (ret == 0)
		ret = box_need(store, mailbox, MBOX_TAIL, &box, err);
	if (ret == 0)
		ret = restore_rows(store, message, box, added_r, err);
	if (ret == 0) {
		g.count--;
		memmove(g.ids + at, g.ids + at + 1,
		    (g.count - at) * sizeof(g.ids[0]));
		ret = garbage_put(store, g.row, 0, g.ids, g.count, err);
	}
	return op_end(store, is_own, ret, err);
}
