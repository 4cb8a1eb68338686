/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

#include "base/when.h"

/* --- extra memberships --------------------------------------------- */

int
refs_flush(struct store *store, struct err *err)
{
	static const uint16_t none[REFS_BLOCK];
	struct refs *refs = &store->refs;
	unsigned char data[REFS_OCTETS];
	struct db_query *q;
	int ret;

	if (!refs->is_dirty)
		return 0;
	if (memcmp(refs->extra, none, sizeof(none)) == 0) {
		q = db_query(store->db, Q_REFS_DELETE);
		db_bind_u64(q, 2, refs->block);
	} else {
		refs_encode(refs->extra, data);
		q = db_query(store->db, Q_REFS_PUT);
		db_bind_u64(q, 2, refs->block);
		db_bind_blob(q, 3, str_make(data, sizeof(data)));
	}
	ret = db_run(&q, err);
	if (ret == 0)
		refs->is_dirty = false;
	return ret;
}

static int
refs_load(struct store *store, uint64_t block, struct err *err)
{
	struct refs *refs = &store->refs;
	struct db_query *q;
	struct err why = ERR_INIT;
	int ret;

	if (refs->is_loaded && refs->block == block)
		return 0;
	ret = refs_flush(store, err);
	if (ret != 0)
		return ret;
	memset(refs, 0, sizeof(*refs));
	q = db_query(store->db, Q_REFS_GET);
	db_bind_u64(q, 2, block);
	if (db_next(q) && refs_decode(db_col_blob(q, 0), refs->extra,
	    &why) != 0)
		db_query_corrupt(q, err_text(&why));
	ret = db_end(&q, err);
	if (ret != 0)
		return ret;
	refs->block = block;
	refs->is_loaded = true;
	return 0;
}

int
refs_add(struct store *store, uint64_t message, struct err *err)
{
	uint16_t *extra = &store->refs.extra[message % REFS_BLOCK];
	int ret = refs_load(store, message / REFS_BLOCK, err);

	if (ret != 0)
		return ret;
	if (*extra == UINT16_MAX)
		return err_set(err, ERR_LIMIT, "too many copies");
	(*extra)++;
	store->refs.is_dirty = true;
	store->is_changed = true;
	return 0;
}

int
refs_drop(struct store *store, uint64_t message, bool *was_last_r,
    struct err *err)
{
	uint16_t *extra = &store->refs.extra[message % REFS_BLOCK];
	int ret = refs_load(store, message / REFS_BLOCK, err);

	if (ret != 0)
		return ret;
	*was_last_r = *extra == 0;
	if (*extra == 0)
		return 0;
	(*extra)--;
	store->refs.is_dirty = true;
	store->is_changed = true;
	return 0;
}

/* --- messages without a mailbox ------------------------------------ */

void
message_hide(struct store *store, uint64_t message, uint32_t size_octets)
{
	struct account *a = &store->account;

	ids_push(&store->garbage, message);
	/* A figure that was wrong must not wrap around. */
	a->size_octets -= size_octets < a->size_octets ? size_octets :
	    a->size_octets;
	a->messages -= a->messages > 0;
	a->sequence++;
	store->is_changed = true;
}

static int
garbage_add(struct store *store, const uint64_t *ids, size_t count,
    struct err *err)
{
	struct db_query *q;
	struct buf buf;
	int ret;

	buf_init(&buf, IDS_MAX * 10 + 1);
	ids_encode(ids, count, &buf);
	q = db_query(store->db, Q_GARBAGE_ADD);
	db_bind_i64(q, 2, when_wall_s());
	db_bind_u64(q, 3, 0);
	db_bind_blob(q, 4, buf_str(&buf));
	ret = db_run(&q, err);
	buf_fini(&buf);
	return ret;
}

int
garbage_flush(struct store *store, struct err *err)
{
	size_t at, n;
	int ret = 0;

	for (at = 0; at < store->garbage.count && ret == 0; at += n) {
		n = store->garbage.count - at;
		if (n > IDS_MAX)
			n = IDS_MAX;
		ret = garbage_add(store, store->garbage.v + at, n, err);
	}
	if (ret == 0)
		store->garbage.count = 0;
	return ret;
}

int
message_has(struct store *store, uint64_t message, bool *has_r,
    struct err *err)
{
	struct db_query *q = db_query(store->db, Q_MESSAGE_HAS);

	db_bind_u64(q, 2, message);
	*has_r = db_next(q);
	return db_end(&q, err);
}
