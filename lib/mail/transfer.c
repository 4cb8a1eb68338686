/* SPDX-License-Identifier: ISC */
/* Transfer encodings: RFC 2045 section 6. */
#include "mail/text.h"

struct transfer {
	void (*feed)(struct transfer *t, struct str in, bool is_last,
	    struct buf *out);
	unsigned value;		/* base64: bits not yet given out */
	unsigned bits;
	bool is_over;		/* base64: padding was seen */
	char held[256];		/* quoted-printable: blanks, or "=" and more */
	size_t held_len;
};

/* Value + 1; 0: not of the alphabet, skipped; -1: padding. */
static const signed char base64_table[256] = {
#define R(c, v) [c] = (v) + 1
	R('A', 0), R('B', 1), R('C', 2), R('D', 3), R('E', 4), R('F', 5),
	R('G', 6), R('H', 7), R('I', 8), R('J', 9), R('K', 10), R('L', 11),
	R('M', 12), R('N', 13), R('O', 14), R('P', 15), R('Q', 16),
	R('R', 17), R('S', 18), R('T', 19), R('U', 20), R('V', 21),
	R('W', 22), R('X', 23), R('Y', 24), R('Z', 25), R('a', 26),
	R('b', 27), R('c', 28), R('d', 29), R('e', 30), R('f', 31),
	R('g', 32), R('h', 33), R('i', 34), R('j', 35), R('k', 36),
	R('l', 37), R('m', 38), R('n', 39), R('o', 40), R('p', 41),
	R('q', 42), R('r', 43), R('s', 44), R('t', 45), R('u', 46),
	R('v', 47), R('w', 48), R('x', 49), R('y', 50), R('z', 51),
	R('0', 52), R('1', 53), R('2', 54), R('3', 55), R('4', 56),
	R('5', 57), R('6', 58), R('7', 59), R('8', 60), R('9', 61),
	R('+', 62), R('/', 63),
	['='] = -1,
#undef R
};

/* RFC 2045 section 6.8: other octets are ignored, padding ends it. */
static void
feed_base64(struct transfer *t, struct str in, bool is_last, struct buf *out)
{
	char *to = buf_reserve(out, in.len / 4 * 3 + 3);
	size_t i, len = 0;
	int digit;

	(void)is_last;
	if (to == NULL)
		return;
	for (i = 0; i < in.len && !t->is_over; i++) {
		digit = base64_table[(unsigned char)in.p[i]];
		if (digit <= 0) {
			t->is_over = digit < 0;
			continue;
		}
		t->value = t->value << 6 | (unsigned)(digit - 1);
		t->bits += 6;
		if (t->bits >= 8) {
			t->bits -= 8;
			to[len++] = (char)(t->value >> t->bits);
		}
	}
	buf_grow(out, len);
}

static int
hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* held is "=" and up to two octets; true when it is used up. */
static bool
resolve_escape(struct transfer *t, struct buf *out)
{
	int high, low;

	if (t->held_len < 2)
		return false;
	if (t->held[1] == '\n') {
		t->held_len = 0;
		return true;
	}
	if (t->held_len < 3)
		return false;
	high = hex_value(t->held[1]);
	low = hex_value(t->held[2]);
	if (high >= 0 && low >= 0)
		buf_add_char(out, (char)(high << 4 | low));
	else if (t->held[1] != '\r' || t->held[2] != '\n')
		buf_add(out, t->held, t->held_len);
	t->held_len = 0;
	return true;
}

/* Blanks at the end of a line were added on the way: section 6.7 rule 3. */
static void
hold_blank(struct transfer *t, char c, struct buf *out)
{
	if (t->held_len == sizeof(t->held)) {
		buf_add(out, t->held, t->held_len);
		t->held_len = 0;
	}
	t->held[t->held_len++] = c;
}

static void
qp_octet(struct transfer *t, char c, struct buf *out)
{
	if (t->held_len != 0 && t->held[0] == '=') {
		/* "=" and blanks before a line end is a soft break too. */
		if (t->held_len == 1 && (c == ' ' || c == '\t'))
			return;
		t->held[t->held_len++] = c;
		(void)resolve_escape(t, out);
		return;
	}
	if (c == ' ' || c == '\t' || c == '\r') {
		hold_blank(t, c, out);
		return;
	}
	if (t->held_len != 0 && c == '\n') {
		if (t->held[t->held_len - 1] == '\r')
			buf_add_char(out, '\r');
	} else {
		buf_add(out, t->held, t->held_len);
	}
	t->held_len = 0;
	if (c == '=')
		t->held[t->held_len++] = c;
	else
		buf_add_char(out, c);
}

static void
feed_qp(struct transfer *t, struct str in, bool is_last, struct buf *out)
{
	size_t i = 0, from;

	while (i < in.len) {
		from = i;
		if (t->held_len == 0)
			while (i < in.len && in.p[i] != '=' && in.p[i] != ' ' &&
			    in.p[i] != '\t' && in.p[i] != '\r')
				i++;
		buf_add(out, in.p + from, i - from);
		if (i < in.len)
			qp_octet(t, in.p[i++], out);
	}
	if (is_last && t->held_len != 0 && t->held[0] == '=' &&
	    t->held_len > 1)
		buf_add(out, t->held, t->held_len);
	if (is_last)
		t->held_len = 0;
}

static void
feed_identity(struct transfer *t, struct str in, bool is_last,
    struct buf *out)
{
	(void)t;
	(void)is_last;
	buf_add_str(out, in);
}

static const struct {
	struct str name;
	void (*feed)(struct transfer *t, struct str in, bool is_last,
	    struct buf *out);
} encodings[] = {
	{ { "", 0 }, feed_identity }, { { "7bit", 4 }, feed_identity },
	{ { "8bit", 4 }, feed_identity }, { { "binary", 6 }, feed_identity },
	{ { "base64", 6 }, feed_base64 },
	{ { "quoted-printable", 16 }, feed_qp },
};

bool
transfer_is_known(struct str encoding)
{
	size_t i;

	for (i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++)
		if (str_eq_nocase(encodings[i].name, encoding))
			return true;
	return false;
}

struct transfer *
transfer_new(struct str encoding)
{
	struct transfer *t = calloc(1, sizeof(*t));
	size_t i;

	invariant(t != NULL);
	t->feed = feed_identity;
	for (i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++)
		if (str_eq_nocase(encodings[i].name, encoding))
			t->feed = encodings[i].feed;
	return t;
}

void
transfer_free(struct transfer **transfer)
{
	free(*transfer);
	*transfer = NULL;
}

void
transfer_feed(struct transfer *transfer, struct str in, bool is_last,
    struct buf *out)
{
	transfer->feed(transfer, in, is_last, out);
}
