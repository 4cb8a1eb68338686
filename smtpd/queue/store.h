/* SPDX-License-Identifier: ISC */
/*
 * store: the queue on disk: items (a message and its envelope) and their
 * recipients.
 *
 * Changes of one round of the event loop share one commit: queue_store_change()
 * opens the transaction, the round's end commits it (durable), and what
 * depended on it is told through queue_store_after(). A failed commit fails
 * everything of its round.
 *
 * Lifetime.   queue_store_open() -> ... -> queue_store_close(), not from a
 *             callback of queue_store_after().
 * Ownership.  Items read are in the arena that was passed.
 * Units.      Octets; seconds since 1970 (next_try_s), microseconds (arrived).
 * Errors.     ERR_LIMIT: the disk is full; ERR_TEMP; ERR_NOTFOUND.
 * Blocking.   The commit waits for the disk: the one place where queued does.
 * Process.    queued, the only one that opens queue.db.
 */
#ifndef QUEUE_STORE_H
#define QUEUE_STORE_H

#include "base/arena.h"
#include "io/loop.h"

struct queue_store;

enum rcpt_state {
	RCPT_QUEUED = 0,	/* to be tried */
	RCPT_DEFERRED = 1,	/* was tried, has a reason */
	RCPT_FAILED = 3,	/* for good: a DSN is due */
	RCPT_DELIVERED = 5,	/* a DSN of success is due */
	RCPT_RELAYED = 6,	/* the same: to a host that sends no DSNs */
	RCPT_EXPANDED = 7,	/* the same: to where the address leads */
	RCPT_GONE = 100,	/* in memory only: done, no row any more */
};

struct queue_rcpt {
	uint32_t n;			/* number within the item */
	enum rcpt_state state;
	struct str address;
	struct str reason;		/* of the last try */
	struct str status;		/* "4.4.1"; empty: none */
	struct str remote;		/* the host that said so, or empty */
	uint64_t notify;		/* enum queue_notify */
	struct str orcpt;		/* RFC 3461; empty: none */
	struct str via;			/* our address that led here, or empty */
	bool is_expanded;		/* what leads elsewhere has own rows */
	bool is_delay_told;		/* the DSN of delay was sent */
};

struct queue_item {
	uint64_t id;
	struct str sender;
	uint64_t sender_account;
	uint64_t flags;			/* enum queue_flag */
	struct str trace;
	struct str verdict;		/* filter/verdict.h, or empty */
	struct str summary;
	uint64_t size_octets;
	struct str sha256;
	struct str client;
	struct str envid;		/* RFC 3461; empty: none */
	uint64_t arrived_us;
	bool is_held;
	uint64_t tries;
	int64_t next_try_s;		/* QUEUE_NEVER: waits for a command */
	size_t rcpts_len;
	struct queue_rcpt *rcpts;
};

#define QUEUE_NEVER INT64_MAX

/* path of queue.db; dir_fd holds b/. Links without a row are removed. */
int queue_store_open(struct queue_store **store_r, struct loop *loop,
    const char *path, int dir_fd, struct err *err);
void queue_store_close(struct queue_store **store);

/* A new id, never used before, whose link's folder is there. */
int queue_store_reserve(struct queue_store *store, uint64_t *id_r,
    struct err *err);

/* The item's blob, read-only. */
int queue_store_open_blob(struct queue_store *store, uint64_t id,
    struct err *err);

/* Call done(ctx, code) when this round's changes are on disk, or are not. */
void queue_store_after(struct queue_store *store,
    void (*done)(void *ctx, int code), void *ctx);

/* ---- changes: part of this round's commit ---- */

int queue_store_add(struct queue_store *store, const struct queue_item *item,
    struct err *err);

/* The submission was made under this key: it is item id. ERR_EXISTS. */
int queue_store_key_add(struct queue_store *store, struct str key,
    uint64_t id, struct err *err);

/* Remove recipients that are done; the item and its link go with the last. */
int queue_store_rcpt_done(struct queue_store *store, uint64_t id, uint32_t n,
    struct err *err);
int queue_store_item_delete(struct queue_store *store, uint64_t id,
    struct err *err);
int queue_store_rcpt_add(struct queue_store *store, uint64_t id,
    const struct queue_rcpt *rcpt, struct err *err);

/* State, reason, status, remote, is_expanded and is_delay_told of row n. */
int queue_store_rcpt_set(struct queue_store *store, uint64_t id,
    const struct queue_rcpt *rcpt, struct err *err);
int queue_store_schedule(struct queue_store *store, uint64_t id,
    int64_t next_try_s, uint64_t tries, bool is_held, struct err *err);

/* What came of opening it. */
int queue_store_verdict(struct queue_store *store, uint64_t id,
    struct str verdict, struct str trace, struct err *err);

/* ---- reading ---- */

/* Which item a submission under this key became: ERR_NOTFOUND. It may be one
 * of this round, or gone. */
int queue_store_key_get(struct queue_store *store, struct str key,
    uint64_t *id_r, struct err *err);

int queue_store_get(struct queue_store *store, uint64_t id,
    struct arena *arena, struct queue_item *item_r, struct err *err);

/* Every item's schedule, ascending by id. */
int queue_store_each(struct queue_store *store,
    void (*cb)(void *ctx, uint64_t id, int64_t next_try_s, bool is_held),
    void *ctx, struct err *err);

/* Up to max ids after `after`, ascending; *count_r are there. */
int queue_store_ids(struct queue_store *store, uint64_t after, size_t max,
    uint64_t *ids, size_t *count_r, struct err *err);

#endif
