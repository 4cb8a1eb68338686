/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/store_int.h"

int
quarantine_store_find(struct quarantine_store *store, uint64_t queue_id,
    struct str owner, uint64_t *id_r, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, ENTRY_FIND);

	db_bind_u64(q, 2, queue_id);
	db_bind_str(q, 3, owner);
	if (db_first(q, err) == 0)
		*id_r = db_col_u64(q, 0);
	return db_end(&q, err);
}

int
quarantine_store_is_gone(struct quarantine_store *store, uint64_t queue_id,
    struct str owner, uint64_t n, bool *is_gone_r, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, GONE_HAS);

	db_bind_u64(q, 2, queue_id);
	db_bind_str(q, 3, owner);
	db_bind_u64(q, 4, n);
	*is_gone_r = db_next(q);
	return db_end(&q, err);
}

static void
entry_read(struct db_query *q, bool is_whole, struct arena *arena,
    struct quarantine_entry *entry)
{
	entry->queue_id = db_col_u64(q, 0);
	entry->owner = arena_str(arena, db_col_str(q, 1));
	entry->domain = arena_str(arena, db_col_str(q, 2));
	entry->is_for_admin = db_col_bool(q, 3);
	entry->sender = arena_str(arena, db_col_str(q, 4));
	entry->sender_account = db_col_u64(q, 5);
	entry->flags = db_col_u64(q, 6);
	entry->envid = arena_str(arena, db_col_str(q, 7));
	entry->verdict = arena_str(arena, db_col_blob(q, 8));
	entry->size_octets = db_col_u64(q, 9);
	entry->sha256 = arena_str(arena, db_col_blob(q, 10));
	entry->client = arena_str(arena, db_col_str(q, 11));
	entry->arrived_us = db_col_u64(q, 12);
	entry->kept_s = db_col_i64(q, 13);
	entry->from = arena_str(arena, db_col_str(q, 14));
	entry->subject = arena_str(arena, db_col_str(q, 15));
	entry->date = arena_str(arena, db_col_str(q, 16));
	entry->trace = arena_str(arena, db_col_blob(q, 17));
	entry->is_releasing = db_col_bool(q, 18);
	entry->summary = is_whole ? arena_str(arena, db_col_blob(q, 19)) :
	    STR("");
	if (entry->sha256.len != 32)
		db_query_corrupt(q, "hash");
}

static int
get_rcpts(struct quarantine_store *store, struct arena *arena,
    struct quarantine_entry *entry, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, RCPT_GET);
	struct quarantine_rcpt *rcpts = NULL, *more;
	size_t cap = 0, len = 0;

	db_bind_u64(q, 2, entry->id);
	while (db_next(q)) {
		if (len == cap) {
			cap = cap != 0 ? cap * 2 : 4;
			more = arena_alloc(arena, cap * sizeof(*more));
			if (len != 0)
				memcpy(more, rcpts, len * sizeof(*more));
			rcpts = more;
		}
		rcpts[len].n = db_col_u64(q, 0);
		rcpts[len].address = arena_str(arena, db_col_str(q, 1));
		rcpts[len].notify = db_col_u64(q, 2);
		rcpts[len].orcpt = arena_str(arena, db_col_str(q, 3));
		rcpts[len++].is_releasing = db_col_bool(q, 4);
	}
	entry->rcpts = rcpts;
	entry->rcpts_len = len;
	return db_end(&q, err);
}

int
quarantine_store_get(struct quarantine_store *store, uint64_t id,
    bool is_whole, struct arena *arena, struct quarantine_entry *entry_r,
    struct err *err)
{
	struct db_query *q = db_query(store->holder.db, is_whole ?
	    ENTRY_GET_WHOLE : ENTRY_GET);
	struct quarantine_entry entry = { .id = id };
	int rc;

	db_bind_u64(q, 2, id);
	if (db_first(q, err) == 0)
		entry_read(q, is_whole, arena, &entry);
	rc = db_end(&q, err);
	if (rc == 0)
		rc = get_rcpts(store, arena, &entry, err);
	if (rc == 0)
		*entry_r = entry;
	return rc;
}

int
quarantine_store_ids(struct quarantine_store *store,
    const struct quarantine_filter *filter, uint64_t after, size_t max,
    uint64_t *ids, size_t *count_r, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, filter->owner.len != 0 ?
	    ENTRY_IDS_OWNER : filter->domain.len != 0 ? ENTRY_IDS_DOMAIN :
	    ENTRY_IDS);
	size_t n = 0;

	db_bind_u64(q, 2, after);
	db_bind_u64(q, 3, max);
	db_bind_i64(q, 4, filter->is_for_admin);
	if (filter->owner.len != 0)
		db_bind_str(q, 5, filter->owner);
	else if (filter->domain.len != 0)
		db_bind_str(q, 5, filter->domain);
	while (n < max && db_next(q))
		ids[n++] = db_col_u64(q, 0);
	*count_r = n;
	return db_end(&q, err);
}

int
quarantine_store_next_releasing(struct quarantine_store *store,
    uint64_t after, uint64_t *id_r, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, RELEASING_NEXT);

	db_bind_u64(q, 2, after);
	*id_r = db_next(q) ? db_col_u64(q, 0) : 0;
	return db_end(&q, err);
}

int
quarantine_store_next_domain(struct quarantine_store *store,
    struct str after, struct arena *arena, struct str *domain_r,
    struct err *err)
{
	struct db_query *q = db_query(store->holder.db, DOMAIN_NEXT);

	*domain_r = STR("");
	db_bind_str(q, 2, after);
	if (db_next(q))
		*domain_r = arena_str(arena, db_col_str(q, 0));
	return db_end(&q, err);
}
