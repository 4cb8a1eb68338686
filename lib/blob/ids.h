/* SPDX-License-Identifier: ISC */
/*
 * ids: numbers that a holder of blobs gives what it holds, none of them twice.
 * Others remember them: mailboxes and the quarantine know by the queue's
 * number what was delivered, for months.
 *
 * A number is an epoch and a sequence within it. Every start begins an epoch,
 * which is on disk before a number of it is used; one that begins on the way
 * is written with the first number of it.
 *
 * Easy case.  A crash: the next epoch is one more than the last.
 * Hard case.  The holder's database is lost, or put back from an older copy:
 *             the next epoch is the time of day (seconds since 2026), which is
 *             more than any epoch before, unless the clock went back too.
 * Another.    A database from before numbers had this form: they were 32 times
 *             as far apart, so a clock that is wrong leaps past them.
 *
 * Numbers stay below 2^53 until 2094, so that what reads JSON into doubles
 * keeps them whole.
 *
 * Lifetime.   A value.
 * Errors.     None.
 * Blocking.   Never.
 * Process.    queued, quarantined.
 */
#ifndef BLOB_IDS_H
#define BLOB_IDS_H

#include <stdbool.h>
#include <stdint.h>

struct blob_ids {
	uint64_t epoch;
	uint32_t sequence;
};

/* The epoch to begin; last: the newest on disk, 0: none. */
uint64_t blob_ids_epoch_after(uint64_t last);

void blob_ids_begin(struct blob_ids *ids, uint64_t epoch);

/* Another epoch has to begin before the next number. */
bool blob_ids_used_up(const struct blob_ids *ids);

uint64_t blob_ids_next(struct blob_ids *ids);

#endif
