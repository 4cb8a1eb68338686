/* SPDX-License-Identifier: ISC */
/*
 * bytes: numbers and marks out of a file that somebody made to fool us.
 *
 * Ownership.  None: files are views.
 * Units.      Octets.
 * Errors.     None: what lies outside reads as 0 and is no mark.
 * Blocking.   Never.
 * Process.    scan worker.
 */
#ifndef ATTACK_BYTES_H
#define ATTACK_BYTES_H

#include "base/str.h"

static inline bool
bytes_has(struct str s, uint64_t at, uint64_t len)
{
	return at <= s.len && len <= s.len - at;
}

/* len octets from at, empty unless all of them are there. */
static inline struct str
bytes_cut(struct str s, uint64_t at, uint64_t len)
{
	return bytes_has(s, at, len) ?
	    str_make(s.p + at, (size_t)len) : STR_NONE;
}

/* Everything from at on. */
static inline struct str
bytes_from(struct str s, uint64_t at)
{
	return at < s.len ?
	    str_make(s.p + at, s.len - (size_t)at) : STR_NONE;
}

static inline uint64_t
bytes_le(struct str s, uint64_t at, unsigned octets)
{
	uint64_t value = 0;

	if (!bytes_has(s, at, octets))
		return 0;
	while (octets-- != 0)
		value = value << 8 | (unsigned char)s.p[at + octets];
	return value;
}

static inline uint16_t
bytes_le16(struct str s, uint64_t at)
{
	return (uint16_t)bytes_le(s, at, 2);
}

static inline uint32_t
bytes_le32(struct str s, uint64_t at)
{
	return (uint32_t)bytes_le(s, at, 4);
}

static inline uint64_t
bytes_le64(struct str s, uint64_t at)
{
	return bytes_le(s, at, 8);
}

/* Does mark stand at at? */
static inline bool
bytes_is(struct str s, uint64_t at, struct str mark)
{
	return bytes_has(s, at, mark.len) &&
	    memcmp(s.p + at, mark.p, mark.len) == 0;
}

/* Where needle stands first, at from or after it, or STR_NPOS. */
size_t bytes_find(struct str s, size_t from, struct str needle);

/* UTF-16LE to UTF-8, at most max octets of it; odd units become U+FFFD. */
struct buf;
void bytes_put_utf16(struct buf *out, struct str utf16);

#endif
