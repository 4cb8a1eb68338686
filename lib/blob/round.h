/* SPDX-License-Identifier: ISC */
/*
 * round: what a holder does when the changes of a round of its loop are on
 * disk, or are not: links of rows that went are removed, and who waits is told.
 *
 * Lifetime.   A value: blob_round_init() -> (blob_round_after(),
 *             blob_round_unlink())* -> blob_round_unlinks() ->
 *             blob_round_tell(), after each commit.
 * Ownership.  links is the caller's.
 * Errors.     None. A link that stays is removed at the next start.
 * Blocking.   Unlinks.
 * Process.    queued, quarantined.
 */
#ifndef BLOB_ROUND_H
#define BLOB_ROUND_H

#include "base/list.h"
#include "blob/links.h"

struct blob_round {
	const struct blob_links *links;
	struct list afters;
	struct list gone;
};

void blob_round_init(struct blob_round *round,
    const struct blob_links *links);

/* Call done(ctx, code) with how the commit ended. */
void blob_round_after(struct blob_round *round,
    void (*done)(void *ctx, int code), void *ctx);

/* The link of id goes when the round is on disk. */
void blob_round_unlink(struct blob_round *round, uint64_t id);

/* The commit has ended: what was to be unlinked is, or is forgotten. */
void blob_round_unlinks(struct blob_round *round, bool is_committed);

/* Tell who waits; what they begin belongs to the next round. */
void blob_round_tell(struct blob_round *round, int code);

#endif
