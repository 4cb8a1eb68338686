/* SPDX-License-Identifier: ISC */
/*
 * store: the quarantine on disk. An entry is a message and its envelope for
 * one owner: a recipient, or the administrators of a domain.
 *
 * Changes of one round of the event loop share one commit: the first one opens
 * the transaction, the round's end commits it (durable), and what depended on
 * it is told through quarantine_store_after(). A failed commit fails
 * everything of its round.
 *
 * Easy case.  An entry is added, shown, and deleted or released.
 * Hard case.  queued asks again for what was answered, or nearly: an entry is
 *             known by queue item and owner, a recipient in it by its number.
 *             Recipients of entries that went stay known for a while, so that
 *             a repetition does not bring them back.
 *
 * An owner over its share: its oldest entries go first, never the newest. All
 * together over theirs: the oldest of who holds the most. Never what is on its
 * way to its recipients.
 *
 * Lifetime.   quarantine_store_open() -> ... -> quarantine_store_close(), not
 *             from a callback of quarantine_store_after().
 * Ownership.  What is read is in the arena that was passed.
 * Units.      Octets (of the message and what stands before it); seconds
 *             since 1970 (kept_s), microseconds (arrived_us).
 * Errors.     ERR_LIMIT: the disk is full; ERR_TEMP; ERR_NOTFOUND.
 * Blocking.   The commit waits for the disk.
 * Process.    quarantined, the only one that opens quarantine.db.
 */
#ifndef QUARANTINE_STORE_H
#define QUARANTINE_STORE_H

#include "base/arena.h"
#include "io/loop.h"

struct quarantine_store;

struct quarantine_rcpt {
	uint64_t n;		/* number within the queue item */
	struct str address;
	uint64_t notify;	/* enum queue_notify */
	struct str orcpt;
	bool is_releasing;	/* decided: it gets the message */
};

struct quarantine_entry {
	uint64_t id;
	uint64_t queue_id;
	struct str owner;	/* address, or domain */
	struct str domain;	/* whose: of the owner */
	bool is_for_admin;
	bool is_releasing;	/* some of its recipients are */
	struct str sender;
	uint64_t sender_account;
	uint64_t flags;		/* enum queue_flag */
	struct str envid;
	struct str verdict;	/* filter/verdict.h */
	uint64_t size_octets;	/* of the blob */
	struct str sha256;
	struct str client;
	uint64_t arrived_us;
	int64_t kept_s;
	struct str from;	/* decoded, one line each; may be empty */
	struct str subject;
	struct str date;	/* as written */
	struct str trace;
	struct str summary;	/* only when read whole */
	size_t rcpts_len;
	struct quarantine_rcpt *rcpts;
};

/* Which entries; empty, and -1: any. */
struct quarantine_filter {
	struct str domain;
	struct str owner;
	int is_for_admin;	/* -1, 0, 1 */
};

struct quarantine_limits {
	uint64_t owner_octets;
	uint64_t owner_entries;
	uint64_t total_octets;
};

struct quarantine_status {
	uint64_t entries;
	uint64_t octets;
	uint64_t evicted;	/* since the start */
};

/* path of quarantine.db; dir_fd holds b/. Links without a row are removed. */
int quarantine_store_open(struct quarantine_store **store_r,
    struct loop *loop, const char *path, int dir_fd, struct err *err);
void quarantine_store_close(struct quarantine_store **store);

void quarantine_store_limit(struct quarantine_store *store,
    const struct quarantine_limits *limits);

/* A new id, never used before, whose link's folder is there. */
int quarantine_store_reserve(struct quarantine_store *store, uint64_t *id_r,
    struct err *err);

/* The link of an id that got no entry. */
void quarantine_store_drop_link(struct quarantine_store *store, uint64_t id);

/* The entry's blob, read-only. */
int quarantine_store_open_blob(struct quarantine_store *store, uint64_t id,
    struct err *err);

/* Call done(ctx, code) when this round's changes are on disk, or are not. */
void quarantine_store_after(struct quarantine_store *store,
    void (*done)(void *ctx, int code), void *ctx);

/* ---- changes: part of this round's commit ---- */

/* The entry and its recipients; then who is over a limit loses its oldest. */
int quarantine_store_add(struct quarantine_store *store,
    const struct quarantine_entry *entry, struct err *err);

/* More recipients of entry id; those that it has are passed over. */
int quarantine_store_add_rcpts(struct quarantine_store *store, uint64_t id,
    const struct quarantine_rcpt *rcpts, size_t len, struct err *err);

/* The entry and its link go; ERR_NOTFOUND. */
int quarantine_store_delete(struct quarantine_store *store, uint64_t id,
    struct err *err);

/* These recipients have the message: they go, and the entry with the last one.
 * Others may have come while it was on its way to them. */
int quarantine_store_rcpts_done(struct quarantine_store *store, uint64_t id,
    const struct quarantine_rcpt *rcpts, size_t len, struct err *err);

/* It was decided that it goes on to the recipients it has now, or that it
 * stays after all. Who comes later waits for another decision. ERR_NOTFOUND. */
int quarantine_store_set_releasing(struct quarantine_store *store,
    uint64_t id, bool is_releasing, struct err *err);

/* Delete up to max entries of domain kept before kept_s; how many. */
int quarantine_store_expire(struct quarantine_store *store,
    struct str domain, int64_t kept_s, size_t max, size_t *count_r,
    struct err *err);

/* Forget who went longer ago than anybody asks again. */
int quarantine_store_tidy(struct quarantine_store *store, struct err *err);

/* ---- reading ---- */

/* The entry of this queue item and owner: ERR_NOTFOUND. */
int quarantine_store_find(struct quarantine_store *store, uint64_t queue_id,
    struct str owner, uint64_t *id_r, struct err *err);

/* Was recipient n of it there, and went? */
int quarantine_store_is_gone(struct quarantine_store *store,
    uint64_t queue_id, struct str owner, uint64_t n, bool *is_gone_r,
    struct err *err);

/* is_whole: with its summary. */
int quarantine_store_get(struct quarantine_store *store, uint64_t id,
    bool is_whole, struct arena *arena, struct quarantine_entry *entry_r,
    struct err *err);

/* Up to max ids after `after`, ascending; *count_r are there. */
int quarantine_store_ids(struct quarantine_store *store,
    const struct quarantine_filter *filter, uint64_t after, size_t max,
    uint64_t *ids, size_t *count_r, struct err *err);

/* The next domain after `after` that has entries; empty: there is none. */
int quarantine_store_next_domain(struct quarantine_store *store,
    struct str after, struct arena *arena, struct str *domain_r,
    struct err *err);

/* The first entry after `after` with a release that was decided and has not ended;
 * 0: there is none. */
int quarantine_store_next_releasing(struct quarantine_store *store,
    uint64_t after, uint64_t *id_r, struct err *err);

struct quarantine_status quarantine_store_status(
    const struct quarantine_store *store);

#endif
