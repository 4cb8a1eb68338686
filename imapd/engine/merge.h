/* SPDX-License-Identifier: ISC */
/*
 * merge: a stable merge sort of numbers that can be left at any moment, so
 * that sorting 100,000 messages keeps nobody waiting.
 *
 * Lifetime.   merge_begin() -> merge_step()* -> merge_result() -> merge_end().
 * Ownership.  The items given to merge_begin() are taken over (malloc).
 * Units.      A step's budget is comparisons.
 */
#ifndef IMAPD_MERGE_H
#define IMAPD_MERGE_H

#include "base/err.h"
#include "base/str.h"

struct merge {
	uint32_t *from;		/* sorted runs of width */
	uint32_t *to;
	size_t count;
	size_t width;
	size_t low;		/* the runs being merged begin here */
	size_t left;
	size_t right;
	size_t at;		/* in to */
	int (*compare)(const void *ctx, uint32_t a, uint32_t b);
	const void *ctx;
};

void merge_begin(struct merge *merge, uint32_t *items, size_t count,
    int (*compare)(const void *ctx, uint32_t a, uint32_t b),
    const void *ctx);
void merge_end(struct merge *merge);

/* True: it is sorted. */
bool merge_step(struct merge *merge, size_t budget);

const uint32_t *merge_result(const struct merge *merge);

#endif
