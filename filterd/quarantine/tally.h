/* SPDX-License-Identifier: ISC */
/*
 * tally: the quarantine's figures: what came and went, by domain and of all
 * together; how much there is now, and when it was swept last.
 *
 * Lifetime.   tally_new() -> tally_count(), tally_state()* -> tally_flush().
 * Errors.     None (ipc/figures.h).
 * Blocking.   Never.
 * Process.    quarantined.
 */
#ifndef QUARANTINE_TALLY_H
#define QUARANTINE_TALLY_H

#include "filterd/quarantine/store.h"
#include "ipc/ipc.h"

struct tally;

struct tally *tally_new(struct loop *loop, struct ipc_link *metricd,
    const struct quarantine_store *store);

/* "kept", "released", "deleted", "expired" */
void tally_count(struct tally *tally, struct str domain, const char *what,
    uint64_t count);

/* How it stands, after a change. swept_s 0: not swept now. */
void tally_state(struct tally *tally, int64_t swept_s);

void tally_flush(struct tally *tally);

#endif
