/* SPDX-License-Identifier: ISC */
/*
 * deflate: both directions of a compressed octet stream, for conn.
 *
 * Story. deflate_pack() takes what is to be sent and leaves it compressed and
 * flushed in `wire`; deflate_unpack() gives octets out of what has come, no
 * more than it is given room for, so that the reader's bound holds for what a
 * few octets unfold to. deflate_rest() gives the compressor's memory back
 * while a stream is idle; the next pack begins with an empty history, which
 * the other side need not know.
 *
 * Lifetime.   deflate_new() -> ... -> deflate_free().
 * Errors.     deflate_unpack(): ERR_CORRUPT: no deflate stream, or its end;
 *             ERR_LIMIT: it unfolds to more than DEFLATE_FREE_OCTETS and
 *             DEFLATE_RATIO times what was sent (threats.md line 37).
 * Units.      Octets. Memory: 40 KiB, and 34 KiB until deflate_rest().
 * Blocking.   Never.
 * RFC.        RFC 1951, RFC 4978 (raw deflate, no header).
 */
#ifndef IO_DEFLATE_H
#define IO_DEFLATE_H

#include "base/buf.h"

#define DEFLATE_FREE_OCTETS (UINT64_C(64) << 20)
#define DEFLATE_RATIO 250U

struct deflate;

struct deflate *deflate_new(void);
void deflate_free(struct deflate **deflate);

/* Compress and consume plain; appended to wire. */
void deflate_pack(struct deflate *deflate, struct buf *plain,
    struct buf *wire);
void deflate_rest(struct deflate *deflate);

/* Where the next compressed octets go, at most *room_r; then say how many. */
char *deflate_space(struct deflate *deflate, size_t *room_r);
void deflate_came(struct deflate *deflate, size_t len);

/* Up to len octets into p; *len_r 0: more has to come. */
int deflate_unpack(struct deflate *deflate, char *p, size_t len,
    size_t *len_r);

/* Would deflate_unpack() give something, or may it? */
bool deflate_has_more(const struct deflate *deflate);

#endif
