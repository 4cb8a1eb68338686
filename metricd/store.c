/* SPDX-License-Identifier: ISC */
#include "metricd/store.h"

#include "base/log.h"
#include "db/db.h"

#define CHECKPOINT_PAGES 500

enum statement { FIGURE_ADD, FIGURE_EACH, FIGURE_SWEEP, STATEMENTS };

static const char *const statements[STATEMENTS] = {
	[FIGURE_ADD] = "INSERT INTO figure (domain, day, name, count) "
	    "VALUES (?2, ?3, ?4, ?5) ON CONFLICT (domain, day, name) "
	    "DO UPDATE SET count = count + excluded.count",
	[FIGURE_EACH] = "SELECT day, name, count FROM figure "
	    "WHERE domain = ?2 AND day BETWEEN ?3 AND ?4 "
	    "ORDER BY day DESC, name",
	[FIGURE_SWEEP] = "DELETE FROM figure WHERE day < ?2",
};

static const char *const migrations[] = {
	"CREATE TABLE figure (domain TEXT NOT NULL, day INTEGER NOT NULL, "
	" name TEXT NOT NULL, count INTEGER NOT NULL, "
	" PRIMARY KEY (domain, day, name)) WITHOUT ROWID;"
	"CREATE INDEX figure_day ON figure (day);",
};

static const struct db_schema schema = {
	.name = "figures", .application = 0x686b6d74,	/* "hkmt" */
	.migrations = migrations,
	.migration_count = sizeof(migrations) / sizeof(migrations[0]),
	.statements = statements, .statement_count = STATEMENTS,
};

struct metric_store {
	struct db *db;
};

int
metric_store_open(struct metric_store **store_r, const char *path,
    struct err *err)
{
	static const struct db_options options = { .schema = &schema,
		.may_create = true };
	struct metric_store *store = calloc(1, sizeof(*store));
	int rc;

	invariant(store != NULL);
	rc = db_open(&store->db, path, &options, err);
	if (rc != 0) {
		free(store);
		store = NULL;
	}
	*store_r = store;
	return rc;
}

void
metric_store_close(struct metric_store **store)
{
	if (*store == NULL)
		return;
	db_close(&(*store)->db);
	free(*store);
	*store = NULL;
}

static int
begin(struct metric_store *store, struct err *err)
{
	return db_in_transaction(store->db) ? 0 :
	    db_begin(store->db, DB_SYNC_FULL, err);
}

int
metric_store_add(struct metric_store *store, struct str domain, uint32_t day,
    struct str name, uint64_t count, struct err *err)
{
	struct db_query *q;
	int rc = begin(store, err);

	if (rc != 0)
		return rc;
	q = db_query(store->db, FIGURE_ADD);
	db_bind_str(q, 2, domain);
	db_bind_u64(q, 3, day);
	db_bind_str(q, 4, name);
	db_bind_u64(q, 5, count & INT64_MAX);
	return db_run(&q, err);
}

int
metric_store_sweep(struct metric_store *store, uint32_t day, struct err *err)
{
	struct db_query *q;
	int rc = begin(store, err);

	if (rc != 0)
		return rc;
	q = db_query(store->db, FIGURE_SWEEP);
	db_bind_u64(q, 2, day);
	return db_run(&q, err);
}

int
metric_store_commit(struct metric_store *store, struct err *err)
{
	struct err why = ERR_INIT;
	int rc;

	if (!db_in_transaction(store->db))
		return 0;
	rc = db_commit(store->db, err);
	if (rc != 0)
		return db_is_full(store->db) ? ERR_LIMIT : rc;
	if (db_wal_pages(store->db) >= CHECKPOINT_PAGES &&
	    db_checkpoint(store->db, CHECKPOINT_PAGES, false, &why) != 0)
		ev_error(NULL, "metric.checkpoint.failed", EV_ERR(&why));
	return 0;
}

int
metric_store_each(struct metric_store *store, struct str domain,
    uint32_t from, uint32_t to, metric_row *row, void *ctx, struct err *err)
{
	struct db_query *q = db_query(store->db, FIGURE_EACH);

	db_bind_str(q, 2, domain);
	db_bind_u64(q, 3, from);
	db_bind_u64(q, 4, to);
	while (db_next(q))
		row(ctx, db_col_u32(q, 0), db_col_str(q, 1),
		    db_col_u64(q, 2));
	return db_end(&q, err);
}
