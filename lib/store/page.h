/* SPDX-License-Identifier: ISC */
/*
 * page: packed forms of what a mailbox has many of. Memberships, up to
 * PAGE_MAX in a row; UID ranges of a tombstone; message ids of a garbage row;
 * extra memberships of a block of messages. What is read back is checked
 * value by value and never cast.
 *
 * Ownership.  Encoders append to the caller's buf, decoders fill the
 *             caller's array.
 * Errors.     ERR_CORRUPT: not what an encoder writes.
 * Blocking.   Never.
 */
#ifndef STORE_PAGE_H
#define STORE_PAGE_H

#include "base/buf.h"
#include "store/store.h"

enum {
	PAGE_MAX = 128,			/* memberships of a page */
	PAGE_OCTETS_MAX = 128 * 60,	/* of its encoding */
	IDS_MAX = 1024,			/* ids of a garbage row */
	REFS_BLOCK = 256,		/* messages of a block of references */
	REFS_OCTETS = REFS_BLOCK * 2,
};

void page_encode(const struct store_msg *msgs, size_t count,
    struct buf *out);

/* msgs_r has room for PAGE_MAX. UIDs are strictly ascending. */
int page_decode(struct str data, struct store_msg *msgs_r, size_t *count_r,
    struct err *err);

void ranges_encode(const struct store_range *ranges, size_t count,
    struct buf *out);

/* Call once with NULL for the count, then with room for it. */
int ranges_decode(struct str data, struct store_range *ranges_r,
    size_t *count_r, struct err *err);

void ids_encode(const uint64_t *ids, size_t count, struct buf *out);

/* ids_r has room for IDS_MAX. */
int ids_decode(struct str data, uint64_t *ids_r, size_t *count_r,
    struct err *err);

void refs_encode(const uint16_t refs[REFS_BLOCK],
    unsigned char out[REFS_OCTETS]);
int refs_decode(struct str data, uint16_t refs_r[REFS_BLOCK],
    struct err *err);

#endif
