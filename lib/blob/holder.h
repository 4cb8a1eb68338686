/* SPDX-License-Identifier: ISC */
/*
 * holder: what a holder of blobs does about its database and its links.
 *
 * Changes of one round of the event loop share one commit: the first one opens
 * the transaction, the round's end commits it (durable). Then the links of rows
 * that went are removed, and who waits is told. A failed commit fails
 * everything of its round.
 *
 * Easy case.  A number and its link are there before the row; the commit
 *             makes it true.
 * Hard case.  A crash in between leaves a link without a row: it goes at the
 *             next start. Numbers are never given twice: see ids.h.
 *
 * The database has a table meta (name, value) and a table whose rows hold the
 * links, and statements for both (struct blob_holder_spec).
 *
 * Lifetime.   blob_holder_open() -> ... -> blob_holder_close(), not from a
 *             callback of blob_holder_after().
 * Ownership.  The holder is a value in the store's struct and does not move;
 *             the descriptor of its folder stays the caller's.
 * Errors.     ERR_LIMIT: the disk is full; ERR_TEMP. When the database has
 *             failed for good the process ends: it begins again from the disk.
 * Blocking.   The commit waits for the disk; opening reads the whole folder.
 * Process.    queued, quarantined: the log says which.
 */
#ifndef BLOB_HOLDER_H
#define BLOB_HOLDER_H

#include "base/list.h"
#include "blob/ids.h"
#include "blob/links.h"
#include "db/db.h"
#include "io/loop.h"

struct blob_holder_spec {
	const struct db_options *options;
	/* Statements: the value of meta 'epoch'; set it to ?2; any row that
	 * holds the link of ?2. */
	unsigned epoch_get;
	unsigned epoch_set;
	unsigned row_of;
	/* The round was committed (0) or lost, before anybody is told. False:
	 * what is in memory does not agree with the disk any more. */
	bool (*ended)(void *ctx, int code);
	void *ctx;
};

struct blob_holder {
	struct blob_holder_spec spec;
	struct db *db;
	struct loop *loop;
	struct loop_later commit;
	struct blob_links links;
	struct blob_ids ids;
	bool has_new_epoch;	/* in this round */
	struct list afters;
	struct list gone;
};

/* path: of the database; dir_fd: the folder that holds b/. Links without a row
 * are removed. After an error blob_holder_close() is still due. */
int blob_holder_open(struct blob_holder *holder, struct loop *loop,
    const char *path, int dir_fd, const struct blob_holder_spec *spec,
    struct err *err);
void blob_holder_close(struct blob_holder *holder);

/* Open the round's transaction, unless it is open. */
int blob_holder_begin(struct blob_holder *holder, struct err *err);

/* Call done(ctx, code) when this round's changes are on disk, or are not. */
void blob_holder_after(struct blob_holder *holder,
    void (*done)(void *ctx, int code), void *ctx);

/* A new number, never used before, whose link's folder is there. */
int blob_holder_reserve(struct blob_holder *holder, uint64_t *id_r,
    struct err *err);

/* The link of id goes when this round is on disk. */
void blob_holder_unlink(struct blob_holder *holder, uint64_t id);

#endif
