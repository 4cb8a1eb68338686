/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/store_int.h"

#include "base/log.h"

#define CHECKPOINT_PAGES 2000

/* ---- commit ---- */

static int
count(struct quarantine_store *store, struct err *err)
{
	struct db_query *q = db_query(store->db, HOLDER_SUM);

	if (db_first(q, err) == 0) {
		store->status.entries = db_col_u64(q, 0);
		store->status.octets = db_col_u64(q, 1);
	}
	return db_end(&q, err);
}

static void
on_commit(void *arg)
{
	struct quarantine_store *store = arg;
	struct err err = ERR_INIT;
	int code = 0;

	if (db_in_transaction(store->db) &&
	    db_commit(store->db, &err) != 0) {
		code = db_is_full(store->db) ? ERR_LIMIT : ERR_TEMP;
		ev_error(NULL, "quarantine.commit.failed", EV_ERR(&err));
	}
	blob_round_unlinks(&store->round, code == 0);
	/* What was counted of the round did not happen. */
	if (code != 0 && count(store, NULL) != 0)
		code = ERR_TEMP;
	blob_round_tell(&store->round, code);
	if (code != 0 && db_has_failed(store->db)) {
		/* Begin again from what is there. */
		ev_error(NULL, "quarantine.restart");
		exit(1);
	}
	if (code == 0 && !db_in_transaction(store->db) &&
	    db_wal_pages(store->db) >= CHECKPOINT_PAGES &&
	    db_checkpoint(store->db, CHECKPOINT_PAGES, false, &err) != 0)
		ev_error(NULL, "quarantine.checkpoint.failed", EV_ERR(&err));
}

void
quarantine_store_after(struct quarantine_store *store,
    void (*done)(void *ctx, int code), void *ctx)
{
	blob_round_after(&store->round, done, ctx);
	loop_later(store->loop, &store->commit);
}

int
quarantine_store_begin(struct quarantine_store *store, struct err *err)
{
	if (db_in_transaction(store->db))
		return 0;
	loop_later(store->loop, &store->commit);
	return db_begin(store->db, DB_SYNC_FULL, err);
}

void
quarantine_store_unlink(struct quarantine_store *store, uint64_t id)
{
	blob_round_unlink(&store->round, id);
}

/* ---- ids and links ---- */

static int
next_epoch(struct quarantine_store *store, struct err *err)
{
	struct db_query *q = db_query(store->db, EPOCH_GET);
	uint64_t epoch = 0;
	int rc;

	if (db_next(q))
		epoch = db_col_u64(q, 0);
	if ((rc = db_end(&q, err)) != 0)
		return rc;
	epoch = blob_ids_epoch_after(epoch);
	if ((rc = quarantine_store_begin(store, err)) != 0)
		return rc;
	q = db_query(store->db, EPOCH_SET);
	db_bind_u64(q, 2, epoch);
	if ((rc = db_run(&q, err)) == 0)
		blob_ids_begin(&store->ids, epoch);
	return rc;
}

int
quarantine_store_reserve(struct quarantine_store *store, uint64_t *id_r,
    struct err *err)
{
	uint64_t id;
	int rc;

	if (blob_ids_used_up(&store->ids) &&
	    (rc = next_epoch(store, err)) != 0)
		return rc;
	id = blob_ids_next(&store->ids);
	if ((rc = blob_links_prepare(&store->links, id, err)) != 0)
		return rc;
	*id_r = id;
	return 0;
}

void
quarantine_store_drop_link(struct quarantine_store *store, uint64_t id)
{
	blob_links_remove(&store->links, id);
}

int
quarantine_store_open_blob(struct quarantine_store *store, uint64_t id,
    struct err *err)
{
	return blob_links_open(&store->links, id, err);
}

static bool
entry_exists(void *ctx, uint64_t id)
{
	struct quarantine_store *store = ctx;
	struct db_query *q = db_query(store->db, ENTRY_EXISTS);
	bool is_there;

	db_bind_u64(q, 2, id);
	is_there = db_next(q);
	/* Unsure is there: a link more does no harm. */
	return db_end(&q, NULL) != 0 || is_there;
}

/* ---- life ---- */

int
quarantine_store_open(struct quarantine_store **store_r, struct loop *loop,
    const char *path, int dir_fd, struct err *err)
{
	struct db_options options = { .schema = &quarantine_schema,
	    .may_create = true, .busy_timeout_ms = 5000, .cache_kib = 8192 };
	struct quarantine_store *store = calloc(1, sizeof(*store));
	size_t swept;
	int rc;

	invariant(store != NULL);
	store->loop = loop;
	store->limits = (struct quarantine_limits){ UINT64_MAX, UINT64_MAX,
	    UINT64_MAX };
	blob_links_init(&store->links, dir_fd);
	blob_round_init(&store->round, &store->links);
	loop_later_init(&store->commit, on_commit, store);
	if ((rc = db_open(&store->db, path, &options, err)) != 0 ||
	    (rc = next_epoch(store, err)) != 0 ||
	    (rc = db_commit(store->db, err)) != 0 ||
	    (rc = count(store, err)) != 0) {
		quarantine_store_close(&store);
		return rc;
	}
	swept = blob_links_sweep(&store->links, entry_exists, store);
	if (swept != 0)
		ev_info(NULL, "quarantine.links.swept", EV_U64(count, swept));
	*store_r = store;
	return 0;
}

void
quarantine_store_close(struct quarantine_store **store)
{
	if (*store == NULL)
		return;
	loop_later_fini(&(*store)->commit);
	db_close(&(*store)->db);
	free(*store);
	*store = NULL;
}

void
quarantine_store_limit(struct quarantine_store *store,
    const struct quarantine_limits *limits)
{
	store->limits = *limits;
}

struct quarantine_status
quarantine_store_status(const struct quarantine_store *store)
{
	return store->status;
}
