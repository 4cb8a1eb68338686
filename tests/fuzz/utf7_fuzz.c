/* SPDX-License-Identifier: ISC */
/*
 * Every UTF-8 name comes back from modified UTF-7, and each name has exactly
 * one spelling. The pattern matcher agrees with the obvious recursion.
 */
#include "proto/imap_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_from_utf8(struct str in)
{
	struct buf utf7, back;

	buf_init(&utf7, in.len * 4 + 16);
	buf_init(&back, in.len + 1);
	if (imap_add_utf7(&utf7, in) == 0) {
		invariant(!buf_failed(&utf7));
		invariant(str_is_printable(buf_str(&utf7)));
		invariant(imap_add_unutf7(&back, buf_str(&utf7)) == 0);
		invariant(str_eq(buf_str(&back), in));
	} else
		invariant(!str_is_utf8(in) && utf7.len == 0);
	buf_fini(&utf7);
	buf_fini(&back);
}

static void
check_from_utf7(struct str in)
{
	struct buf utf8, back;

	buf_init(&utf8, in.len * 2 + 16);
	buf_init(&back, in.len + 1);
	if (imap_add_unutf7(&utf8, in) == 0) {
		invariant(str_is_utf8(buf_str(&utf8)));
		invariant(imap_add_utf7(&back, buf_str(&utf8)) == 0);
		invariant(str_eq(buf_str(&back), in));
	} else
		invariant(utf8.len == 0);
	buf_fini(&utf8);
	buf_fini(&back);
}

static bool
match(struct str p, struct str s)
{
	size_t i;

	if (p.len == 0)
		return s.len == 0;
	if (p.p[0] == '*' || p.p[0] == '%') {
		for (i = 0; i <= s.len; i++) {
			if (match(str_sub(p, 1, p.len), str_sub(s, i, s.len)))
				return true;
			if (i < s.len && p.p[0] == '%' && s.p[i] == '/')
				return false;
		}
		return false;
	}
	return s.len != 0 && p.p[0] == s.p[0] &&
	    match(str_sub(p, 1, p.len), str_sub(s, 1, s.len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, size), pattern, name;

	check_from_utf8(in);
	check_from_utf7(in);
	pattern = str_cut(in, '\n', &name);
	if (pattern.len <= 8 && name.len <= 12)
		invariant(imap_match(pattern, name, '/') ==
		    match(pattern, name));
	else
		(void)imap_match(pattern, name, '/');
	return 0;
}
