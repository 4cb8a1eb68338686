/* SPDX-License-Identifier: ISC */
#include "http/uri.h"

static int
hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The octet at text, or -1; took_r: how many octets of text. */
static int
next_octet(struct str text, bool is_form, size_t *took_r)
{
	int high, low;

	*took_r = 1;
	if (text.p[0] == '+' && is_form)
		return ' ';
	if (text.p[0] != '%')
		return (unsigned char)text.p[0];
	if (text.len < 3)
		return -1;
	*took_r = 3;
	high = hex_value(text.p[1]);
	low = hex_value(text.p[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

int
uri_decode(struct arena *arena, struct str text, bool is_form,
    struct str *decoded_r, struct err *err)
{
	char *p = arena_alloc(arena, text.len + 1);
	size_t i = 0, len = 0, took;
	int octet;

	*decoded_r = str_make(p, 0);
	while (i < text.len) {
		octet = next_octet(str_sub(text, i, STR_NPOS), is_form,
		    &took);
		if (octet <= 0)
			return err_set(err, ERR_SYNTAX, "a broken escape");
		p[len++] = (char)octet;
		i += took;
	}
	*decoded_r = str_make(p, len);
	return str_is_utf8(*decoded_r) ? 0 : err_set(err, ERR_SYNTAX,
	    "not UTF-8");
}

int
uri_query_get(struct arena *arena, struct str query, struct str name,
    struct str *value_r, struct err *err)
{
	struct str rest = query, pair, value, key;

	*value_r = STR_NONE;
	while (rest.p != NULL) {
		pair = str_cut(rest, '&', &rest);
		key = str_cut(pair, '=', &value);
		if (str_eq_nocase(key, name))
			return uri_decode(arena, value, true, value_r, err);
	}
	return err_set(err, ERR_NOTFOUND, "no field %.*s", STR_FMT(name));
}

void
uri_put(struct buf *out, struct str text)
{
	size_t i;
	char c;

	for (i = 0; i < text.len; i++) {
		c = text.p[i];
		if (ascii_is_alpha(c) || ascii_is_digit(c) ||
		    (c != '\0' && strchr("-._~", c) != NULL))
			buf_add_char(out, c);
		else
			buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
	}
}
