/* SPDX-License-Identifier: ISC */
/*
 * Decoded header text is one line of UTF-8; every charset gives UTF-8 in any
 * split; what is encoded decodes to itself. Charset name, NUL, octets.
 */
#include "mail_fuzz.h"

#include "mail/build.h"
#include "mail/charset.h"

static bool
is_utf8_but_nul(struct str s)
{
	while (s.p != NULL)
		if (!str_is_utf8(str_cut(s, '\0', &s)))
			return false;
	return true;
}

static void
check_charset(struct str name, struct str in)
{
	struct charset *charset;
	struct buf whole, split;
	size_t at;

	buf_init(&whole, 64 * in.len + 1000);
	buf_init(&split, 64 * in.len + 1000);
	charset = charset_open(name);
	charset_feed(charset, in, true, &whole);
	charset_close(&charset);
	charset = charset_open(name);
	for (at = 0; at < in.len; at++)
		charset_feed(charset, str_sub(in, at, 1), at + 1 == in.len,
		    &split);
	charset_close(&charset);
	invariant(!buf_failed(&whole) && !buf_failed(&split));
	invariant(is_utf8_but_nul(buf_str(&whole)));
	invariant(is_utf8_but_nul(buf_str(&split)));
	/* A guess may differ by what it has seen. */
	if (str_eq(name, STR("iso-2022-jp")) || str_eq(name, STR("utf-8")))
		invariant(str_eq(buf_str(&whole), buf_str(&split)));
	buf_fini(&whole);
	buf_fini(&split);
}

static bool
is_line(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

static void
check_decode(struct str in)
{
	struct buf out, field, back;
	size_t i;

	buf_init(&out, 1 << 24);
	buf_init(&field, 1 << 24);
	buf_init(&back, 1 << 24);
	rfc2047_decode(&out, in);
	invariant(is_line(buf_str(&out)) && !buf_failed(&out));
	build_text(&field, "X", buf_str(&out));
	for (i = 0; i + 1 < field.len; i++)
		invariant(buf_str(&field).p[i] != '\n' ||
		    buf_str(&field).p[i + 1] == ' ');
	if (rfc2047_needs_encoding(buf_str(&out)) &&
	    str_is_utf8(buf_str(&out))) {
		rfc2047_decode(&back, str_sub(buf_str(&field), 2,
		    field.len));
		invariant(str_eq(buf_str(&back), buf_str(&out)));
	}
	buf_fini(&out);
	buf_fini(&field);
	buf_fini(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest, name = str_cut(str_make(data, size), '\0', &rest);

	if (size > 4096)
		return 0;
	check_charset(name, rest);
	check_charset(STR("iso-2022-jp"), rest);
	check_charset(STR("utf-8"), rest);
	check_decode(str_make(data, size));
	return 0;
}
