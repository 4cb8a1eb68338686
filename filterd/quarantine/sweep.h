/* SPDX-License-Identifier: ISC */
/*
 * sweep: what was kept long enough goes, domain by domain, a few entries a
 * step, so that what comes meanwhile waits for none of it.
 *
 * Lifetime.   sweep_new(): looks soon, then every few minutes.
 * Errors.     A sweep that cannot end is tried again; sweep_failure() says
 *             why (hikyaku doctor shows it).
 * Blocking.   The store's reads, SWEEP_STEP entries at a time.
 * Process.    quarantined.
 */
#ifndef QUARANTINE_SWEEP_H
#define QUARANTINE_SWEEP_H

#include "filterd/quarantine/days.h"
#include "filterd/quarantine/tally.h"

struct sweep;

struct sweep *sweep_new(struct loop *loop, struct quarantine_store *store,
    struct days *days, struct tally *tally);

/* When the last one came to its end; 0: none yet. */
int64_t sweep_last_s(const struct sweep *sweep);

/* Empty: it is well. */
const char *sweep_failure(const struct sweep *sweep);

#endif
