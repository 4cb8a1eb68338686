/* SPDX-License-Identifier: ISC */
/*
 * str: a view of octets somebody else owns. Not NUL-terminated, may hold any
 * octet, may be empty (p may then be NULL). Case folding is ASCII only, since
 * that is what the mail grammars mean by case-insensitive.
 *
 * Ownership.  None: a view lives as long as what it looks at.
 * Blocking.   Never.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct str {
	const char *p;
	size_t len;
};

/* View of a string literal; also usable in static initialisers. */
#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
#define STR_NONE ((struct str){ NULL, 0 })
/* For printf: "%.*s", STR_FMT(s): s is evaluated more than once. */
#define STR_FMT(s) (int)(s).len, (s).p != NULL ? (s).p : ""

/* View of a NUL-terminated string (NULL: empty). */
struct str str_of(const char *cstr);

/* View of len octets. */
struct str str_make(const void *p, size_t len);

/* Octets from, at most len of them; clipped to s. */
struct str str_sub(struct str s, size_t from, size_t len);

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b);
bool str_begins(struct str s, struct str prefix);
bool str_begins_nocase(struct str s, struct str prefix);
bool str_ends_nocase(struct str s, struct str suffix);

/* Like memcmp, shorter first. */
int str_cmp(struct str a, struct str b);

#define STR_NPOS ((size_t)-1)

/* Index of the first (last) c, or STR_NPOS. */
size_t str_find(struct str s, char c);
size_t str_rfind(struct str s, char c);

/* Index of the first needle, or STR_NPOS. An empty needle is found at 0. */
size_t str_find_str(struct str s, struct str needle);
size_t str_find_nocase(struct str s, struct str needle);

/* Without blanks (space, tab, CR, LF) at both ends. */
struct str str_trim(struct str s);

/*
 * Cut at the first sep: the part before it is returned, *rest is what follows
 * it. Without a sep all is returned and rest->p becomes NULL.
 */
struct str str_cut(struct str s, char sep, struct str *rest);

/* Decimal digits only, no sign, no blank; ERR_SYNTAX, ERR_LIMIT over max. */
int str_to_u64(struct str s, uint64_t max, uint64_t *value_r);

/* True when s holds only octets 0x20 to 0x7e. */
bool str_is_printable(struct str s);

/* True for UTF-8 on one line: without C0 controls and DEL. */
bool str_is_text(struct str s);

/* True for well-formed UTF-8 without NUL (RFC 3629). */
bool str_is_utf8(struct str s);

/* True when any octet is over 0x7f. */
bool str_has_8bit(struct str s);

/* ASCII case of one octet. */
static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline char
ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static inline bool
ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
ascii_is_alpha(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

#endif
