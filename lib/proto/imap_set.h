/* SPDX-License-Identifier: ISC */
/*
 * imap_set: sequence sets: message numbers or UIDs as ranges.
 *
 * Lifetime.   In the arena given.
 * Ownership.  The arena's.
 * Units.      Numbers from 1 to 2^32-1; 0 in a parsed set stands for "*".
 * Errors.     ERR_SYNTAX; ERR_LIMIT over IMAP_RANGES_MAX.
 * Blocking.   Never.
 * RFC.        RFC 3501 section 9 (sequence-set), RFC 5182 ("$").
 */
#ifndef PROTO_IMAP_SET_H
#define PROTO_IMAP_SET_H

#include "base/arena.h"
#include "base/buf.h"

#define IMAP_RANGES_MAX 20000

struct imap_range {
	uint32_t first;
	uint32_t last;
};

struct imap_set {
	struct imap_range *ranges;
	size_t n_ranges;
	bool is_saved;		/* "$": the saved search result */
};

/*
 * Ranges of set with "*" = largest put in, sorted and merged: every number
 * stands once. largest 0 (an empty mailbox): "*" selects nothing. The result
 * may name numbers over largest.
 */
struct imap_set imap_set_resolve(const struct imap_set *set, uint32_t largest,
    struct arena *arena);

/* True when a resolved set holds number. */
bool imap_set_has(const struct imap_set *resolved, uint32_t number);

/* Index of the first range of a resolved set that ends at number or later. */
size_t imap_set_find(const struct imap_set *resolved, uint32_t number);

/* The smallest member >= number of a resolved set; 0 when there is none. */
uint32_t imap_set_next(const struct imap_set *resolved, uint32_t number);

/* The largest number in a resolved set; 0 when empty. */
uint32_t imap_set_max(const struct imap_set *resolved);

/*
 * Writes numbers as a compact set: 1:3,7. They come one by one; an order that
 * does not rise is written as it came (COPYUID needs that).
 */
struct imap_set_writer {
	struct buf *out;
	uint32_t first;
	uint32_t last;		/* 0: nothing pending */
	bool has_output;
};

void imap_set_writer_init(struct imap_set_writer *writer, struct buf *out);
void imap_set_writer_add(struct imap_set_writer *writer, uint32_t number);
void imap_set_writer_end(struct imap_set_writer *writer);

#endif
