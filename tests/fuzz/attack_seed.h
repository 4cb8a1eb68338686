/* SPDX-License-Identifier: ISC */
/* Seeds of binary formats are kept as text: "hex", then digits and blanks. */
#ifndef FUZZ_ATTACK_SEED_H
#define FUZZ_ATTACK_SEED_H

#include "base/buf.h"

static inline int
seed_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	    c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The file that data stands for, in out. */
static inline struct str
attack_seed(struct buf *out, const void *data, size_t size)
{
	struct str s = str_make(data, size);
	int high = -1;
	size_t i;

	buf_init(out, size + 1);
	if (!str_begins(s, STR("hex\n")))
		return s;
	for (i = 4; i < s.len; i++) {
		int digit = seed_digit(s.p[i]);

		if (digit < 0)
			continue;
		if (high >= 0)
			buf_add_char(out, (char)(high * 16 + digit));
		high = high >= 0 ? -1 : digit;
	}
	return buf_str(out);
}

#endif
