/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/store_int.h"

/* ---- the round ---- */

static int
count(struct quarantine_store *store, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, HOLDER_SUM);

	if (db_first(q, err) == 0) {
		store->status.entries = db_col_u64(q, 0);
		store->status.octets = db_col_u64(q, 1);
	}
	return db_end(&q, err);
}

/* What was counted of a lost round did not happen. */
static bool
round_ended(void *ctx, int code)
{
	return code == 0 || count(ctx, NULL) == 0;
}

void
quarantine_store_after(struct quarantine_store *store,
    void (*done)(void *ctx, int code), void *ctx)
{
	blob_holder_after(&store->holder, done, ctx);
}

int
quarantine_store_reserve(struct quarantine_store *store, uint64_t *id_r,
    struct err *err)
{
	return blob_holder_reserve(&store->holder, id_r, err);
}

void
quarantine_store_drop_link(struct quarantine_store *store, uint64_t id)
{
	blob_links_remove(&store->holder.links, id);
}

int
quarantine_store_open_blob(struct quarantine_store *store, uint64_t id,
    struct err *err)
{
	return blob_links_open(&store->holder.links, id, err);
}

/* ---- life ---- */

int
quarantine_store_open(struct quarantine_store **store_r, struct loop *loop,
    const char *path, int dir_fd, struct err *err)
{
	struct db_options options = { .schema = &quarantine_schema,
	    .may_create = true, .busy_timeout_ms = 5000, .cache_kib = 8192 };
	struct quarantine_store *store = calloc(1, sizeof(*store));
	struct blob_holder_spec spec = { .options = &options,
	    .epoch_get = EPOCH_GET, .epoch_set = EPOCH_SET,
	    .row_of = ENTRY_EXISTS, .ended = round_ended, .ctx = store };
	int rc;

	invariant(store != NULL);
	store->limits = (struct quarantine_limits){ UINT64_MAX, UINT64_MAX,
	    UINT64_MAX };
	rc = blob_holder_open(&store->holder, loop, path, dir_fd, &spec, err);
	if (rc == 0)
		rc = count(store, err);
	if (rc != 0) {
		quarantine_store_close(&store);
		return rc;
	}
	*store_r = store;
	return 0;
}

void
quarantine_store_close(struct quarantine_store **store)
{
	if (*store == NULL)
		return;
	blob_holder_close(&(*store)->holder);
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
