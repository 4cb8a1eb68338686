/* SPDX-License-Identifier: ISC */
#include "base/str.h"

struct str
str_of(const char *cstr)
{
	return (struct str){ cstr, cstr != NULL ? strlen(cstr) : 0 };
}

struct str
str_make(const void *p, size_t len)
{
	return (struct str){ p, len };
}

struct str
str_sub(struct str s, size_t from, size_t len)
{
	if (from > s.len)
		from = s.len;
	if (len > s.len - from)
		len = s.len - from;
	return (struct str){ s.p != NULL ? s.p + from : NULL, len };
}

bool
str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool
str_eq_nocase(struct str a, struct str b)
{
	size_t i;

	if (a.len != b.len)
		return false;
	for (i = 0; i < a.len; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

bool
str_begins(struct str s, struct str prefix)
{
	return str_eq(str_sub(s, 0, prefix.len), prefix);
}

bool
str_begins_nocase(struct str s, struct str prefix)
{
	return str_eq_nocase(str_sub(s, 0, prefix.len), prefix);
}

bool
str_ends_nocase(struct str s, struct str suffix)
{
	return s.len >= suffix.len && str_eq_nocase(
	    str_sub(s, s.len - suffix.len, suffix.len), suffix);
}

int
str_cmp(struct str a, struct str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int d = n != 0 ? memcmp(a.p, b.p, n) : 0;

	if (d != 0)
		return d;
	return (a.len > b.len) - (a.len < b.len);
}

size_t
str_find(struct str s, char c)
{
	const char *hit = s.len != 0 ? memchr(s.p, c, s.len) : NULL;

	return hit != NULL ? (size_t)(hit - s.p) : STR_NPOS;
}

size_t
str_rfind(struct str s, char c)
{
	const char *hit = s.len != 0 ? memrchr(s.p, c, s.len) : NULL;

	return hit != NULL ? (size_t)(hit - s.p) : STR_NPOS;
}

size_t
str_find_str(struct str s, struct str needle)
{
	const char *hit;

	if (needle.len == 0)
		return 0;
	if (s.len < needle.len)
		return STR_NPOS;
	hit = memmem(s.p, s.len, needle.p, needle.len);
	return hit != NULL ? (size_t)(hit - s.p) : STR_NPOS;
}

size_t
str_find_nocase(struct str s, struct str needle)
{
	size_t i;

	if (needle.len == 0)
		return 0;
	for (i = 0; i + needle.len <= s.len; i++)
		if (str_eq_nocase(str_sub(s, i, needle.len), needle))
			return i;
	return STR_NPOS;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str
str_trim(struct str s)
{
	while (s.len != 0 && is_blank(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len != 0 && is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

struct str
str_cut(struct str s, char sep, struct str *rest)
{
	size_t at = str_find(s, sep);

	if (at == STR_NPOS) {
		*rest = STR_NONE;
		return s;
	}
	*rest = str_sub(s, at + 1, s.len);
	return str_sub(s, 0, at);
}

int
str_to_u64(struct str s, uint64_t max, uint64_t *value_r)
{
	uint64_t value = 0;
	uint64_t digit;
	size_t i;

	if (s.len == 0)
		return ERR_SYNTAX;
	for (i = 0; i < s.len; i++)
		if (!ascii_is_digit(s.p[i]))
			return ERR_SYNTAX;
	for (i = 0; i < s.len; i++) {
		digit = (uint64_t)(s.p[i] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return ERR_LIMIT;
		value = value * 10 + digit;
	}
	if (value > max)
		return ERR_LIMIT;
	*value_r = value;
	return 0;
}

bool
str_is_printable(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

bool
str_is_text(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return str_is_utf8(s);
}

bool
str_has_8bit(struct str s)
{
	uint64_t word;
	size_t i;

	for (i = 0; i + sizeof(word) <= s.len; i += sizeof(word)) {
		memcpy(&word, s.p + i, sizeof(word));
		if (word & 0x8080808080808080ULL)
			return true;
	}
	for (; i < s.len; i++)
		if ((unsigned char)s.p[i] > 0x7f)
			return true;
	return false;
}

/* Octets of the UTF-8 sequence at p (RFC 3629 section 4), 0 when malformed. */
static size_t
utf8_len(const unsigned char *p, size_t left)
{
	size_t i, len;
	unsigned char low = 0x80, high = 0xbf;

	if (p[0] < 0x80)
		return p[0] != 0 ? 1 : 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (left < len)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

bool
str_is_utf8(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = 0, n;

	while (i < s.len) {
		n = utf8_len(p + i, s.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}
