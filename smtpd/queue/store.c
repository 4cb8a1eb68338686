/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/store.h"

#include "base/log.h"
#include "base/when.h"
#include "blob/holder.h"

/* Longer than anybody keeps what he may submit again: a quarantine 90 days. */
#define KEY_KEPT_S (100 * 86400)

enum statement {
	EPOCH_GET,
	EPOCH_SET,
	ITEM_ADD,
	ITEM_GET,
	ITEM_DELETE,
	ITEM_SCHEDULE,
	ITEM_VERDICT,
	ITEM_EACH,
	ITEM_IDS,
	ITEM_EXISTS,
	RCPT_ADD,
	RCPT_GET,
	RCPT_DELETE,
	RCPT_DELETE_ALL,
	RCPT_SET,
	RCPT_ANY,
	KEY_GET,
	KEY_ADD,
	KEY_SWEEP,
	STATEMENTS
};

static const char *const statements[STATEMENTS] = {
	[EPOCH_GET] = "SELECT value FROM meta WHERE name = 'epoch'",
	[EPOCH_SET] = "INSERT INTO meta (name, value) VALUES ('epoch', ?2) "
	    "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	[ITEM_ADD] = "INSERT INTO item (id, sender, sender_account, flags, "
	    "trace, summary, size, sha256, client, arrived_us, next_try_s, "
	    "tries, is_held, envid, verdict) VALUES (?2, ?3, ?4, ?5, ?6, ?7, "
	    "?8, ?9, ?10, ?11, ?12, 0, ?13, ?14, ?15)",
	[ITEM_GET] = "SELECT sender, sender_account, flags, trace, summary, "
	    "size, sha256, client, arrived_us, next_try_s, tries, is_held, "
	    "envid, verdict FROM item WHERE id = ?2",
	[ITEM_DELETE] = "DELETE FROM item WHERE id = ?2",
	[ITEM_SCHEDULE] = "UPDATE item SET next_try_s = ?3, tries = ?4, "
	    "is_held = ?5 WHERE id = ?2",
	[ITEM_VERDICT] = "UPDATE item SET verdict = ?3, trace = ?4 "
	    "WHERE id = ?2",
	[ITEM_EACH] = "SELECT id, next_try_s, is_held FROM item ORDER BY id",
	[ITEM_IDS] = "SELECT id FROM item WHERE id > ?2 ORDER BY id "
	    "LIMIT ?3",
	[ITEM_EXISTS] = "SELECT 1 FROM item WHERE id = ?2",
	[RCPT_ADD] = "INSERT INTO rcpt (item, n, address, state, reason, "
	    "status, remote, notify, orcpt, via, is_expanded, is_delay_told) "
	    "VALUES (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
	[RCPT_GET] = "SELECT n, address, state, reason, status, remote, "
	    "notify, orcpt, via, is_expanded, is_delay_told FROM rcpt "
	    "WHERE item = ?2 ORDER BY n",
	[RCPT_DELETE] = "DELETE FROM rcpt WHERE item = ?2 AND n = ?3",
	[RCPT_DELETE_ALL] = "DELETE FROM rcpt WHERE item = ?2",
	[RCPT_SET] = "UPDATE rcpt SET state = ?4, reason = ?5, status = ?6, "
	    "remote = ?7, is_expanded = ?8, is_delay_told = ?9 "
	    "WHERE item = ?2 AND n = ?3",
	[RCPT_ANY] = "SELECT 1 FROM rcpt WHERE item = ?2 LIMIT 1",
	[KEY_GET] = "SELECT item FROM submission WHERE key = ?2",
	[KEY_ADD] = "INSERT INTO submission (key, item, made_s) "
	    "VALUES (?2, ?3, ?4)",
	[KEY_SWEEP] = "DELETE FROM submission WHERE made_s < ?2",
};

static const char *const migrations[] = {
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) "
	"WITHOUT ROWID;"
	"CREATE TABLE item (id INTEGER PRIMARY KEY, sender TEXT NOT NULL, "
	" sender_account INTEGER NOT NULL, flags INTEGER NOT NULL, "
	" trace BLOB NOT NULL, summary BLOB NOT NULL, size INTEGER NOT NULL, "
	" sha256 BLOB NOT NULL, client TEXT NOT NULL, "
	" arrived_us INTEGER NOT NULL, next_try_s INTEGER NOT NULL, "
	" tries INTEGER NOT NULL, is_held INTEGER NOT NULL);"
	"CREATE TABLE rcpt (item INTEGER NOT NULL, n INTEGER NOT NULL, "
	" address TEXT NOT NULL, state INTEGER NOT NULL, "
	" reason TEXT NOT NULL, PRIMARY KEY (item, n)) WITHOUT ROWID;",

	/* What waited for a relay (2) is tried; what waited for an operator
	 * because it was given up or refused (3, 4) gets its DSN. */
	"ALTER TABLE item ADD COLUMN envid TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE rcpt ADD COLUMN status TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE rcpt ADD COLUMN remote TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE rcpt ADD COLUMN notify INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE rcpt ADD COLUMN orcpt TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE rcpt ADD COLUMN via TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE rcpt ADD COLUMN is_expanded INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE rcpt ADD COLUMN is_delay_told INTEGER NOT NULL "
	" DEFAULT 0;"
	"UPDATE rcpt SET state = 0 WHERE state = 2;"
	"UPDATE rcpt SET state = 3 WHERE state = 4;"
	"UPDATE item SET next_try_s = arrived_us / 1000000 "
	" WHERE next_try_s = 9223372036854775807;",

	"ALTER TABLE item ADD COLUMN verdict BLOB NOT NULL DEFAULT x'';",

	"CREATE TABLE submission (key TEXT PRIMARY KEY, "
	" item INTEGER NOT NULL, made_s INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX submission_made ON submission (made_s);",

	/* What a filter had held (action 2 in its verdict) is kept by the
	 * quarantine from now on. */
	("UPDATE item SET is_held = 0 WHERE is_held = 1 AND "
	" SUBSTR(verdict, 5, 1) = x'02';"),
};

static const struct db_schema schema = {
	.name = "queue", .application = 0x686b7175,	/* "hkqu" */
	.migrations = migrations,
	.migration_count = sizeof(migrations) / sizeof(migrations[0]),
	.statements = statements, .statement_count = STATEMENTS,
};

struct queue_store {
	struct blob_holder holder;
	bool has_progress;	/* the round changed more than new items */
};

/* ---- the round ---- */

/* Of a lost round new items alone are nothing that memory knows of. What was
 * delivered meanwhile is not delivered twice. */
static bool
round_ended(void *ctx, int code)
{
	struct queue_store *store = ctx;
	bool may_go_on = code == 0 || !store->has_progress;

	store->has_progress = false;
	return may_go_on;
}

void
queue_store_after(struct queue_store *store,
    void (*done)(void *ctx, int code), void *ctx)
{
	blob_holder_after(&store->holder, done, ctx);
}

static int
change(struct queue_store *store, struct err *err)
{
	store->has_progress = true;
	return blob_holder_begin(&store->holder, err);
}

int
queue_store_reserve(struct queue_store *store, uint64_t *id_r,
    struct err *err)
{
	return blob_holder_reserve(&store->holder, id_r, err);
}

int
queue_store_open_blob(struct queue_store *store, uint64_t id,
    struct err *err)
{
	return blob_links_open(&store->holder.links, id, err);
}

/* ---- life ---- */

int
queue_store_open(struct queue_store **store_r, struct loop *loop,
    const char *path, int dir_fd, struct err *err)
{
	struct db_options options = { .schema = &schema, .may_create = true,
	    .busy_timeout_ms = 5000, .cache_kib = 16384 };
	struct queue_store *store = calloc(1, sizeof(*store));
	struct blob_holder_spec spec = { .options = &options,
	    .epoch_get = EPOCH_GET, .epoch_set = EPOCH_SET,
	    .row_of = ITEM_EXISTS, .ended = round_ended, .ctx = store };
	int rc;

	invariant(store != NULL);
	rc = blob_holder_open(&store->holder, loop, path, dir_fd, &spec, err);
	if (rc != 0) {
		queue_store_close(&store);
		return rc;
	}
	*store_r = store;
	return 0;
}

void
queue_store_close(struct queue_store **store)
{
	if (*store == NULL)
		return;
	blob_holder_close(&(*store)->holder);
	free(*store);
	*store = NULL;
}

/* ---- changes ---- */

static int
rcpt_add(struct queue_store *store, uint64_t id,
    const struct queue_rcpt *rcpt, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, RCPT_ADD);

	db_bind_u64(q, 2, id);
	db_bind_u64(q, 3, rcpt->n);
	db_bind_str(q, 4, rcpt->address);
	db_bind_u64(q, 5, (uint64_t)rcpt->state);
	db_bind_str(q, 6, rcpt->reason);
	db_bind_str(q, 7, rcpt->status);
	db_bind_str(q, 8, rcpt->remote);
	db_bind_u64(q, 9, rcpt->notify);
	db_bind_str(q, 10, rcpt->orcpt);
	db_bind_str(q, 11, rcpt->via);
	db_bind_u64(q, 12, rcpt->is_expanded);
	db_bind_u64(q, 13, rcpt->is_delay_told);
	return db_run(&q, err);
}

int
queue_store_add(struct queue_store *store, const struct queue_item *item,
    struct err *err)
{
	struct db_query *q;
	size_t i;
	int rc = blob_holder_begin(&store->holder, err);

	if (rc != 0)
		return rc;
	q = db_query(store->holder.db, ITEM_ADD);
	db_bind_u64(q, 2, item->id);
	db_bind_str(q, 3, item->sender);
	db_bind_u64(q, 4, item->sender_account);
	db_bind_u64(q, 5, item->flags);
	db_bind_blob(q, 6, item->trace);
	db_bind_blob(q, 7, item->summary);
	db_bind_u64(q, 8, item->size_octets);
	db_bind_blob(q, 9, item->sha256);
	db_bind_str(q, 10, item->client);
	db_bind_u64(q, 11, item->arrived_us);
	db_bind_i64(q, 12, item->next_try_s);
	db_bind_u64(q, 13, item->is_held);
	db_bind_str(q, 14, item->envid);
	db_bind_blob(q, 15, item->verdict);
	rc = db_run(&q, err);
	for (i = 0; rc == 0 && i < item->rcpts_len; i++)
		rc = rcpt_add(store, item->id, &item->rcpts[i], err);
	return rc;
}

int
queue_store_key_get(struct queue_store *store, struct str key,
    uint64_t *id_r, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, KEY_GET);

	db_bind_str(q, 2, key);
	if (db_first(q, err) == 0)
		*id_r = db_col_u64(q, 0);
	return db_end(&q, err);
}

int
queue_store_key_add(struct queue_store *store, struct str key, uint64_t id,
    struct err *err)
{
	int64_t now = when_wall_s();
	struct db_query *q;
	int rc = blob_holder_begin(&store->holder, err);

	if (rc != 0)
		return rc;
	q = db_query(store->holder.db, KEY_ADD);
	db_bind_str(q, 2, key);
	db_bind_u64(q, 3, id);
	db_bind_i64(q, 4, now);
	if ((rc = db_run(&q, err)) != 0)
		return rc;
	q = db_query(store->holder.db, KEY_SWEEP);
	db_bind_i64(q, 2, now - KEY_KEPT_S);
	return db_run(&q, err);
}

static int
run_on_item(struct queue_store *store, enum statement statement, uint64_t id,
    struct err *err)
{
	struct db_query *q = db_query(store->holder.db, statement);

	db_bind_u64(q, 2, id);
	return db_run(&q, err);
}

int
queue_store_item_delete(struct queue_store *store, uint64_t id,
    struct err *err)
{
	int rc = change(store, err);

	if (rc == 0)
		rc = run_on_item(store, RCPT_DELETE_ALL, id, err);
	if (rc == 0)
		rc = run_on_item(store, ITEM_DELETE, id, err);
	if (rc == 0)
		blob_holder_unlink(&store->holder, id);
	return rc;
}

int
queue_store_rcpt_done(struct queue_store *store, uint64_t id, uint32_t n,
    struct err *err)
{
	struct db_query *q;
	int rc = change(store, err);

	if (rc != 0)
		return rc;
	q = db_query(store->holder.db, RCPT_DELETE);
	db_bind_u64(q, 2, id);
	db_bind_u64(q, 3, n);
	return db_run(&q, err);
}

int
queue_store_rcpt_add(struct queue_store *store, uint64_t id,
    const struct queue_rcpt *rcpt, struct err *err)
{
	int rc = change(store, err);

	return rc != 0 ? rc : rcpt_add(store, id, rcpt, err);
}

int
queue_store_rcpt_set(struct queue_store *store, uint64_t id,
    const struct queue_rcpt *rcpt, struct err *err)
{
	struct db_query *q;
	int rc = change(store, err);

	if (rc != 0)
		return rc;
	q = db_query(store->holder.db, RCPT_SET);
	db_bind_u64(q, 2, id);
	db_bind_u64(q, 3, rcpt->n);
	db_bind_u64(q, 4, (uint64_t)rcpt->state);
	db_bind_str(q, 5, rcpt->reason);
	db_bind_str(q, 6, rcpt->status);
	db_bind_str(q, 7, rcpt->remote);
	db_bind_u64(q, 8, rcpt->is_expanded);
	db_bind_u64(q, 9, rcpt->is_delay_told);
	return db_run(&q, err);
}

int
queue_store_schedule(struct queue_store *store, uint64_t id,
    int64_t next_try_s, uint64_t tries, bool is_held, struct err *err)
{
	struct db_query *q;
	int rc = change(store, err);

	if (rc != 0)
		return rc;
	q = db_query(store->holder.db, ITEM_SCHEDULE);
	db_bind_u64(q, 2, id);
	db_bind_i64(q, 3, next_try_s);
	db_bind_u64(q, 4, tries);
	db_bind_u64(q, 5, is_held);
	return db_run(&q, err);
}

int
queue_store_verdict(struct queue_store *store, uint64_t id,
    struct str verdict, struct str trace, struct err *err)
{
	struct db_query *q;
	int rc = change(store, err);

	if (rc != 0)
		return rc;
	q = db_query(store->holder.db, ITEM_VERDICT);
	db_bind_u64(q, 2, id);
	db_bind_blob(q, 3, verdict);
	db_bind_blob(q, 4, trace);
	return db_run(&q, err);
}

/* ---- reading ---- */

static int
get_rcpts(struct queue_store *store, struct arena *arena,
    struct queue_item *item, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, RCPT_GET);
	struct queue_rcpt *rcpts = NULL, *rcpt;
	size_t cap = 0, len = 0;

	db_bind_u64(q, 2, item->id);
	while (db_next(q)) {
		if (len == cap) {
			struct queue_rcpt *more;

			cap = cap != 0 ? cap * 2 : 4;
			more = arena_alloc(arena, cap * sizeof(*more));
			if (len != 0)
				memcpy(more, rcpts, len * sizeof(*more));
			rcpts = more;
		}
		rcpt = &rcpts[len++];
		rcpt->n = db_col_u32(q, 0);
		rcpt->address = arena_str(arena, db_col_str(q, 1));
		rcpt->state = (enum rcpt_state)db_col_u32(q, 2);
		rcpt->reason = arena_str(arena, db_col_str(q, 3));
		rcpt->status = arena_str(arena, db_col_str(q, 4));
		rcpt->remote = arena_str(arena, db_col_str(q, 5));
		rcpt->notify = db_col_u64(q, 6);
		rcpt->orcpt = arena_str(arena, db_col_str(q, 7));
		rcpt->via = arena_str(arena, db_col_str(q, 8));
		rcpt->is_expanded = db_col_bool(q, 9);
		rcpt->is_delay_told = db_col_bool(q, 10);
		if (rcpt->state > RCPT_EXPANDED)
			db_query_corrupt(q, "recipient state");
	}
	item->rcpts = rcpts;
	item->rcpts_len = len;
	return db_end(&q, err);
}

int
queue_store_get(struct queue_store *store, uint64_t id, struct arena *arena,
    struct queue_item *item_r, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, ITEM_GET);
	struct queue_item item = { .id = id };
	int rc;

	db_bind_u64(q, 2, id);
	if (db_first(q, err) == 0) {
		item.sender = arena_str(arena, db_col_str(q, 0));
		item.sender_account = db_col_u64(q, 1);
		item.flags = db_col_u64(q, 2);
		item.trace = arena_str(arena, db_col_blob(q, 3));
		item.summary = arena_str(arena, db_col_blob(q, 4));
		item.size_octets = db_col_u64(q, 5);
		item.sha256 = arena_str(arena, db_col_blob(q, 6));
		item.client = arena_str(arena, db_col_str(q, 7));
		item.arrived_us = db_col_u64(q, 8);
		item.next_try_s = db_col_i64(q, 9);
		item.tries = db_col_u64(q, 10);
		item.is_held = db_col_bool(q, 11);
		item.envid = arena_str(arena, db_col_str(q, 12));
		item.verdict = arena_str(arena, db_col_blob(q, 13));
		if (item.sha256.len != 32)
			db_query_corrupt(q, "hash");
	}
	rc = db_end(&q, err);
	if (rc == 0)
		rc = get_rcpts(store, arena, &item, err);
	if (rc == 0)
		*item_r = item;
	return rc;
}

int
queue_store_each(struct queue_store *store,
    void (*cb)(void *ctx, uint64_t id, int64_t next_try_s, bool is_held),
    void *ctx, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, ITEM_EACH);

	while (db_next(q))
		cb(ctx, db_col_u64(q, 0), db_col_i64(q, 1),
		    db_col_bool(q, 2));
	return db_end(&q, err);
}

int
queue_store_ids(struct queue_store *store, uint64_t after, size_t max,
    uint64_t *ids, size_t *count_r, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, ITEM_IDS);
	size_t n = 0;

	db_bind_u64(q, 2, after);
	db_bind_u64(q, 3, max);
	while (n < max && db_next(q))
		ids[n++] = db_col_u64(q, 0);
	*count_r = n;
	return db_end(&q, err);
}
