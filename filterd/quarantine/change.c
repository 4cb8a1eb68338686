/* SPDX-License-Identifier: ISC */
/* change: entries come and go, and owners keep to their share. */
#include "filterd/quarantine/store_int.h"

#include "base/log.h"
#include "base/when.h"

/* Longer than any item stays in the queue. */
#define GONE_KEPT_S (100 * 86400)
#define EVICT_MAX 1000	/* of one addition */
#define OWNER_MAX 512

/* ---- what an owner holds ---- */

static uint64_t
weight_of(const struct quarantine_entry *entry)
{
	return entry->size_octets + entry->trace.len;
}

static int
holder_change(struct quarantine_store *store,
    enum quarantine_statement statement, struct str owner, uint64_t octets,
    struct err *err)
{
	struct db_query *q = db_query(store->holder.db, statement);

	db_bind_str(q, 2, owner);
	db_bind_u64(q, 3, octets);
	return db_run(&q, err);
}

static int
holder_get(struct quarantine_store *store, struct str owner,
    uint64_t *entries_r, uint64_t *octets_r, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, HOLDER_GET);

	*entries_r = 0;
	*octets_r = 0;
	db_bind_str(q, 2, owner);
	if (db_next(q)) {
		*entries_r = db_col_u64(q, 0);
		*octets_r = db_col_u64(q, 1);
	}
	return db_end(&q, err);
}

/* The oldest entry of an owner makes room; not one that is on its way.
 * ERR_NOTFOUND: there is none. */
static int
evict_oldest(struct quarantine_store *store, struct str owner,
    bool is_any, const char *why, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, OLDEST_OF);
	uint64_t id = 0;
	int rc;

	db_bind_str(q, 2, owner);
	db_bind_u64(q, 3, is_any);
	if (db_next(q))
		id = db_col_u64(q, 0);
	if ((rc = db_end(&q, err)) != 0)
		return rc;
	if (id == 0)
		return ERR_NOTFOUND;
	ev_warn(NULL, "quarantine.entry.evicted", EV_U64(entry, id),
	    EV_STR(address, owner), EV_CSTR(reason, why));
	store->status.evicted++;
	return quarantine_store_delete(store, id, err);
}

static int
evict_of_owner(struct quarantine_store *store, struct str owner,
    struct err *err)
{
	uint64_t entries, octets;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < EVICT_MAX; i++) {
		rc = holder_get(store, owner, &entries, &octets, err);
		if (rc != 0 || entries <= 1 ||
		    (entries <= store->limits.owner_entries &&
		    octets <= store->limits.owner_octets))
			return rc;
		rc = evict_oldest(store, owner, false,
		    "its owner's share is used up", err);
	}
	return rc == ERR_NOTFOUND ? 0 : rc;
}

static int
evict_of_all(struct quarantine_store *store, struct err *err)
{
	char owner[OWNER_MAX];
	struct db_query *q;
	size_t i, len;
	int rc = 0;

	for (i = 0; rc == 0 && i < EVICT_MAX &&
	    store->status.octets > store->limits.total_octets; i++) {
		len = 0;
		q = db_query(store->holder.db, HOLDER_LARGEST);
		if (db_next(q)) {
			len = db_col_str(q, 0).len;
			if (len > sizeof(owner))
				db_query_corrupt(q, "owner");
			else
				memcpy(owner, db_col_str(q, 0).p, len);
		}
		rc = db_end(&q, err);
		if (rc != 0 || len == 0)
			return rc;
		rc = evict_oldest(store, str_make(owner, len), true,
		    "the quarantine is full", err);
	}
	return rc == ERR_NOTFOUND ? 0 : rc;
}

/* ---- changes ---- */

static int
entry_add(struct quarantine_store *store,
    const struct quarantine_entry *entry, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, ENTRY_ADD);

	db_bind_u64(q, 2, entry->id);
	db_bind_u64(q, 3, entry->queue_id);
	db_bind_str(q, 4, entry->owner);
	db_bind_str(q, 5, entry->domain);
	db_bind_u64(q, 6, entry->is_for_admin);
	db_bind_str(q, 7, entry->sender);
	db_bind_u64(q, 8, entry->sender_account);
	db_bind_u64(q, 9, entry->flags);
	db_bind_str(q, 10, entry->envid);
	db_bind_blob(q, 11, entry->verdict);
	db_bind_u64(q, 12, entry->size_octets);
	db_bind_blob(q, 13, entry->sha256);
	db_bind_str(q, 14, entry->client);
	db_bind_u64(q, 15, entry->arrived_us);
	db_bind_i64(q, 16, entry->kept_s);
	db_bind_str(q, 17, entry->from);
	db_bind_str(q, 18, entry->subject);
	db_bind_str(q, 19, entry->date);
	db_bind_blob(q, 20, entry->trace);
	db_bind_blob(q, 21, entry->summary);
	return db_run(&q, err);
}

int
quarantine_store_add_rcpts(struct quarantine_store *store, uint64_t id,
    const struct quarantine_rcpt *rcpts, size_t len, struct err *err)
{
	struct db_query *q;
	size_t i;
	int rc = blob_holder_begin(&store->holder, err);

	for (i = 0; rc == 0 && i < len; i++) {
		q = db_query(store->holder.db, RCPT_ADD);
		db_bind_u64(q, 2, id);
		db_bind_u64(q, 3, rcpts[i].n);
		db_bind_str(q, 4, rcpts[i].address);
		db_bind_u64(q, 5, rcpts[i].notify);
		db_bind_str(q, 6, rcpts[i].orcpt);
		rc = db_run(&q, err);
	}
	return rc;
}

int
quarantine_store_add(struct quarantine_store *store,
    const struct quarantine_entry *entry, struct err *err)
{
	int rc = blob_holder_begin(&store->holder, err);

	if (rc == 0)
		rc = entry_add(store, entry, err);
	if (rc == 0)
		rc = quarantine_store_add_rcpts(store, entry->id,
		    entry->rcpts, entry->rcpts_len, err);
	if (rc == 0)
		rc = holder_change(store, HOLDER_ADD, entry->owner,
		    weight_of(entry), err);
	if (rc != 0)
		return rc;
	store->status.entries++;
	store->status.octets += weight_of(entry);
	rc = evict_of_owner(store, entry->owner, err);
	return rc == 0 ? evict_of_all(store, err) : rc;
}

static int
run_on_entry(struct quarantine_store *store,
    enum quarantine_statement statement, uint64_t id, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, statement);

	db_bind_u64(q, 2, id);
	return db_run(&q, err);
}

static int
remember(struct quarantine_store *store, uint64_t id, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, GONE_ADD);

	db_bind_u64(q, 2, id);
	db_bind_i64(q, 3, when_wall_s());
	return db_run(&q, err);
}

/* Whose entry it is, and what it weighs. */
static int
weigh(struct quarantine_store *store, uint64_t id, struct arena *arena,
    struct str *owner_r, uint64_t *octets_r, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, ENTRY_SIZE);

	db_bind_u64(q, 2, id);
	if (db_first(q, err) == 0) {
		*owner_r = arena_str(arena, db_col_str(q, 0));
		*octets_r = db_col_u64(q, 1);
	}
	return db_end(&q, err);
}

static int
unhold(struct quarantine_store *store, struct str owner, uint64_t octets,
    struct err *err)
{
	struct db_query *q;
	int rc = holder_change(store, HOLDER_SUB, owner, octets, err);

	if (rc != 0)
		return rc;
	q = db_query(store->holder.db, HOLDER_EMPTY);
	db_bind_str(q, 2, owner);
	rc = db_run(&q, err);
	if (rc == 0) {
		store->status.entries--;
		store->status.octets -= octets;
	}
	return rc;
}

int
quarantine_store_delete(struct quarantine_store *store, uint64_t id,
    struct err *err)
{
	struct arena *arena = arena_new(512);
	struct str owner = STR("");
	uint64_t octets = 0;
	int rc = blob_holder_begin(&store->holder, err);

	if (rc == 0)
		rc = weigh(store, id, arena, &owner, &octets, err);
	if (rc == 0)
		rc = remember(store, id, err);
	if (rc == 0)
		rc = run_on_entry(store, RCPT_DELETE, id, err);
	if (rc == 0)
		rc = run_on_entry(store, ENTRY_DELETE, id, err);
	if (rc == 0)
		rc = unhold(store, owner, octets, err);
	if (rc == 0)
		blob_holder_unlink(&store->holder, id);
	arena_free(&arena);
	return rc;
}

static int
rcpt_done(struct quarantine_store *store, uint64_t id, uint64_t n,
    struct err *err)
{
	struct db_query *q = db_query(store->holder.db, GONE_ADD_ONE);
	int rc;

	db_bind_u64(q, 2, id);
	db_bind_u64(q, 3, n);
	db_bind_i64(q, 4, when_wall_s());
	if ((rc = db_run(&q, err)) != 0)
		return rc;
	q = db_query(store->holder.db, RCPT_DELETE_ONE);
	db_bind_u64(q, 2, id);
	db_bind_u64(q, 3, n);
	return db_run(&q, err);
}

int
quarantine_store_rcpts_done(struct quarantine_store *store, uint64_t id,
    const struct quarantine_rcpt *rcpts, size_t len, struct err *err)
{
	int rc = blob_holder_begin(&store->holder, err);
	struct db_query *q;
	bool is_left;
	size_t i;

	for (i = 0; rc == 0 && i < len; i++)
		rc = rcpt_done(store, id, rcpts[i].n, err);
	if (rc != 0)
		return rc;
	q = db_query(store->holder.db, RCPT_ANY);
	db_bind_u64(q, 2, id);
	is_left = db_next(q);
	rc = db_end(&q, err);
	return rc == 0 && !is_left ? quarantine_store_delete(store, id, err) :
	    rc;
}

int
quarantine_store_set_releasing(struct quarantine_store *store, uint64_t id,
    bool is_releasing, struct err *err)
{
	struct db_query *q;
	int rc = blob_holder_begin(&store->holder, err);

	if (rc != 0)
		return rc;
	q = db_query(store->holder.db, RELEASING_SET);
	db_bind_u64(q, 2, id);
	db_bind_u64(q, 3, is_releasing);
	if ((rc = db_run(&q, err)) != 0)
		return rc;
	return db_changes(store->holder.db) != 0 ? 0 :
	    err_set(err, ERR_NOTFOUND, "there is no such entry");
}

int
quarantine_store_expire(struct quarantine_store *store, struct str domain,
    int64_t kept_s, size_t max, size_t *count_r, struct err *err)
{
	struct db_query *q = db_query(store->holder.db, ENTRY_OLD);
	uint64_t *ids = calloc(max, sizeof(*ids));
	size_t len = 0, i;
	int rc;

	invariant(ids != NULL);
	db_bind_str(q, 2, domain);
	db_bind_i64(q, 3, kept_s);
	db_bind_u64(q, 4, max);
	while (len < max && db_next(q))
		ids[len++] = db_col_u64(q, 0);
	rc = db_end(&q, err);
	for (i = 0; rc == 0 && i < len; i++)
		rc = quarantine_store_delete(store, ids[i], err);
	*count_r = len;
	free(ids);
	return rc;
}

int
quarantine_store_tidy(struct quarantine_store *store, struct err *err)
{
	struct db_query *q;
	int rc = blob_holder_begin(&store->holder, err);

	if (rc != 0)
		return rc;
	q = db_query(store->holder.db, GONE_SWEEP);
	db_bind_i64(q, 2, when_wall_s() - GONE_KEPT_S);
	rc = db_run(&q, err);
	/* The configuration may say less than before. */
	return rc == 0 ? evict_of_all(store, err) : rc;
}
