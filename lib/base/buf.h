/* SPDX-License-Identifier: ISC */
/*
 * buf: octets that grow up to a fixed maximum. An append that would pass the
 * maximum changes nothing and is remembered: append freely, ask buf_failed()
 * once at the end.
 *
 * Lifetime.   buf_init() -> buf_add*()* -> buf_fini(). buf_reset() empties it.
 * Ownership.  The buf owns its octets; buf_str() is a view until the next
 *             append, consume or fini.
 * Units.      Octets.
 * Errors.     Only buf_failed(). Out of memory aborts.
 * Blocking.   Never.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

struct buf {
	char *p;
	size_t len;		/* octets held */
	size_t start;		/* octets consumed in front of them */
	size_t cap;
	size_t max;
	bool has_failed;
};

/* An empty buffer that never holds more than max octets. */
void buf_init(struct buf *buf, size_t max);

/* Release the octets; the struct may be initialised again. */
void buf_fini(struct buf *buf);

/* The same after overwriting them: for what may hold a secret. */
void buf_wipe(struct buf *buf);

/* Empty it and forget a failure; keeps the memory. */
void buf_reset(struct buf *buf);

/* Release memory when empty (long-lived idle buffers). */
void buf_trim(struct buf *buf);

void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_str(struct buf *buf, struct str s);
void buf_add_cstr(struct buf *buf, const char *cstr);
void buf_add_char(struct buf *buf, char c);
void buf_add_u64(struct buf *buf, uint64_t value);
void buf_addf(struct buf *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Lower-case hexadecimal of len octets. */
void buf_add_hex(struct buf *buf, const void *data, size_t len);

/* Base64 with padding (RFC 4648 section 4). */
void buf_add_base64(struct buf *buf, const void *data, size_t len);

/* Decode strict base64; ERR_SYNTAX and nothing appended when malformed. */
int buf_add_unbase64(struct buf *buf, struct str s);

/* Room for len octets to be written at the returned place, then buf_grow(). */
char *buf_reserve(struct buf *buf, size_t len);

/* Count len octets that were written at buf_reserve()'s place. */
void buf_grow(struct buf *buf, size_t len);

/* Drop len octets from the front. */
void buf_consume(struct buf *buf, size_t len);

/* Cut down to len octets. */
void buf_truncate(struct buf *buf, size_t len);

struct str buf_str(const struct buf *buf);
bool buf_failed(const struct buf *buf);

#endif
