/* SPDX-License-Identifier: ISC */
#include "filterd/attack/bytes.h"

#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include "base/buf.h"

/* memmem() is not used: called for each of many hits it is quadratic where
 * a sanitizer looks at the whole rest every time. Needles are short. */
size_t
bytes_find(struct str s, size_t from, struct str needle)
{
	const char *hit;

	while (needle.len != 0 && bytes_has(s, from, needle.len)) {
		hit = memchr(s.p + from, needle.p[0],
		    s.len - from - needle.len + 1);
		if (hit == NULL)
			break;
		if (memcmp(hit, needle.p, needle.len) == 0)
			return (size_t)(hit - s.p);
		from = (size_t)(hit - s.p) + 1;
	}
	return STR_NPOS;
}

void
bytes_put_utf16(struct buf *out, struct str utf16)
{
	size_t i;

	for (i = 0; i + 1 < utf16.len; i += 2) {
		uint32_t c = bytes_le16(utf16, i);
		uint32_t low = bytes_le16(utf16, i + 2);
		char utf8[4];
		int32_t len = 0;

		if (U16_IS_LEAD(c) && U16_IS_TRAIL(low)) {
			c = (uint32_t)U16_GET_SUPPLEMENTARY(c, low);
			i += 2;
		} else if (U16_IS_SURROGATE(c)) {
			c = 0xfffd;
		}
		if (c == 0)
			continue;
		U8_APPEND_UNSAFE(utf8, len, (UChar32)c);
		buf_add(out, utf8, (size_t)len);
	}
}
