/* SPDX-License-Identifier: ISC */
/*
 * told: who was told a moment ago: each address once an hour, with how many
 * there were since.
 *
 * Lifetime.   told_new() -> told_is_due()* -> told_free().
 * Ownership.  Addresses are copied.
 * Units.      Seconds of the wall clock.
 * Errors.     More than TOLD_MAX addresses in an hour: the others are not due.
 * Blocking.   Never. At the bound all of them are walked.
 * Process.    queued.
 */
#ifndef QUEUE_TOLD_H
#define QUEUE_TOLD_H

#include "base/str.h"

#define TOLD_EVERY_S 3600
#define TOLD_MAX 20000U		/* addresses that are remembered */

struct told;

struct told *told_new(void);
void told_free(struct told **told);

/* True: tell address now, and that there were *since_r that it was not told
 * of. False: not so soon again; one more is counted. */
bool told_is_due(struct told *told, struct str address, int64_t now_s,
    uint64_t *since_r);

/* It was not told after all. */
void told_forget(struct told *told, struct str address);

#endif
