/* SPDX-License-Identifier: ISC */
/*
 * Modified UTF-7 (RFC 3501 section 5.1.3): printable ASCII stands for itself,
 * "&" is "&-", the rest is UTF-16 in base64 with "," for "/" between "&" and
 * "-". Exactly one spelling of each name is right.
 */
#include "proto/imap_write.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool
is_direct(uint32_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* One character of valid UTF-8; moves *i over it. */
static uint32_t
next_char(struct str s, size_t *i)
{
	unsigned char first = (unsigned char)s.p[(*i)++];
	unsigned more;
	uint32_t c;

	if (first < 0x80)
		return first;
	more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
	c = first & (0x3fU >> more);
	for (; more != 0; more--)
		c = c << 6 | ((unsigned char)s.p[(*i)++] & 0x3f);
	return c;
}

static void
put_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_add_char(out, (char)c);
		return;
	}
	if (c < 0x800)
		buf_add_char(out, (char)(0xc0 | c >> 6));
	else if (c < 0x10000)
		buf_add_char(out, (char)(0xe0 | c >> 12));
	else {
		buf_add_char(out, (char)(0xf0 | c >> 18));
		buf_add_char(out, (char)(0x80 | (c >> 12 & 63)));
	}
	if (c >= 0x800)
		buf_add_char(out, (char)(0x80 | (c >> 6 & 63)));
	buf_add_char(out, (char)(0x80 | (c & 63)));
}

/* Bits on their way from 16 to 6 at a time. */
struct bits {
	uint32_t value;
	unsigned count;
};

static void
put_unit(struct buf *out, struct bits *bits, uint32_t unit)
{
	bits->value = bits->value << 16 | unit;
	bits->count += 16;
	for (; bits->count >= 6; bits->count -= 6)
		buf_add_char(out,
		    digits[bits->value >> (bits->count - 6) & 63]);
	bits->value &= (1U << bits->count) - 1;
}

/* A shifted run from *i on. */
static void
encode_run(struct buf *out, struct str s, size_t *i)
{
	struct bits bits = { 0, 0 };
	size_t here;
	uint32_t c;

	buf_add_char(out, '&');
	while (*i < s.len) {
		here = *i;
		c = next_char(s, i);
		if (is_direct(c)) {
			*i = here;
			break;
		}
		if (c >= 0x10000) {
			put_unit(out, &bits, 0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		put_unit(out, &bits, c);
	}
	if (bits.count != 0)
		buf_add_char(out, digits[bits.value << (6 - bits.count) & 63]);
	buf_add_char(out, '-');
}

int
imap_add_utf7(struct buf *out, struct str utf8)
{
	size_t i = 0;

	if (!str_is_utf8(utf8))
		return ERR_SYNTAX;
	while (i < utf8.len) {
		if (!is_direct((unsigned char)utf8.p[i]))
			encode_run(out, utf8, &i);
		else {
			buf_add_char(out, utf8.p[i]);
			if (utf8.p[i++] == '&')
				buf_add_char(out, '-');
		}
	}
	return 0;
}

/* UTF-16 coming in. */
struct decoder {
	struct bits bits;
	uint32_t high;		/* a high surrogate that waits, or 0 */
	bool has_output;
};

/* One UTF-16 unit; what could have stood for itself is an error. */
static int
put_char(struct buf *out, struct decoder *d, uint32_t unit)
{
	d->has_output = true;
	if (d->high != 0) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return ERR_SYNTAX;
		put_utf8(out, 0x10000 + ((d->high - 0xd800) << 10) +
		    (unit - 0xdc00));
		d->high = 0;
		return 0;
	}
	if (unit >= 0xd800 && unit <= 0xdbff) {
		d->high = unit;
		return 0;
	}
	if (unit == 0 || is_direct(unit) || (unit >= 0xdc00 && unit <= 0xdfff))
		return ERR_SYNTAX;
	put_utf8(out, unit);
	return 0;
}

static int
put_digit(struct buf *out, struct decoder *d, char digit)
{
	const char *hit = strchr(digits, digit);

	if (digit == '\0' || hit == NULL)
		return ERR_SYNTAX;
	d->bits.value = (d->bits.value << 6 | (uint32_t)(hit - digits)) &
	    0x3fffff;
	d->bits.count += 6;
	if (d->bits.count < 16)
		return 0;
	d->bits.count -= 16;
	return put_char(out, d, d->bits.value >> d->bits.count & 0xffff);
}

/* Between "&" and "-". */
static int
decode_run(struct buf *out, struct str run)
{
	struct decoder d = { .high = 0 };
	size_t i;

	for (i = 0; i < run.len; i++)
		if (put_digit(out, &d, run.p[i]) != 0)
			return ERR_SYNTAX;
	/* Nothing half done, no digit too many, padding all zero. */
	if (!d.has_output || d.high != 0 || d.bits.count >= 6 ||
	    (d.bits.value & ((1U << d.bits.count) - 1)) != 0)
		return ERR_SYNTAX;
	return 0;
}

/* One run or "&-" from *i on; two runs in a row could have been one. */
static int
decode_shift(struct buf *out, struct str s, size_t *i)
{
	struct str run = str_sub(s, *i + 1, s.len);
	size_t end = str_find(run, '-');

	if (end == STR_NPOS)
		return ERR_SYNTAX;
	run.len = end;
	*i += end + 2;
	if (run.len == 0) {
		buf_add_char(out, '&');
		return 0;
	}
	if (*i + 1 < s.len && s.p[*i] == '&' && s.p[*i + 1] != '-')
		return ERR_SYNTAX;
	return decode_run(out, run);
}

static int
decode(struct buf *out, struct str s)
{
	size_t i = 0;

	while (i < s.len) {
		if (!is_direct((unsigned char)s.p[i]))
			return ERR_SYNTAX;
		if (s.p[i] != '&')
			buf_add_char(out, s.p[i++]);
		else if (decode_shift(out, s, &i) != 0)
			return ERR_SYNTAX;
	}
	return 0;
}

int
imap_add_unutf7(struct buf *out, struct str utf7)
{
	size_t before = out->len;

	if (decode(out, utf7) == 0)
		return 0;
	buf_truncate(out, before);
	return ERR_SYNTAX;
}
