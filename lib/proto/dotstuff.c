/* SPDX-License-Identifier: ISC */
#include "proto/pop3.h"
#include "proto/scan_int.h"

void
dotstuff_init(struct dotstuff *dotstuff)
{
	dotstuff->state = SCAN_BOL;
}

/* Append one octet and what canonical form puts before or after it. */
static enum scan_at
put_octet(enum scan_at at, char c, struct buf *out)
{
	if (c == '\n') {
		buf_add_cstr(out, at == SCAN_CR ? "\n" : "\r\n");
		return SCAN_BOL;
	}
	if (at == SCAN_CR) {
		/* The CR before was bare: it ends its line. */
		buf_add_char(out, '\n');
		at = SCAN_BOL;
	}
	if (at == SCAN_BOL && c == '.')
		buf_add_char(out, '.');
	buf_add_char(out, c);
	return c == '\r' ? SCAN_CR : SCAN_TEXT;
}

void
dotstuff_add(struct dotstuff *dotstuff, struct str in, struct buf *out)
{
	enum scan_at at = (enum scan_at)dotstuff->state;
	size_t i = 0, n, block;

	while (i < in.len) {
		n = scan_clean(in.p + i, in.len - i, &at);
		if (n != 0)
			buf_add(out, in.p + i, n);
		i += n;
		for (block = i + 64; i < in.len && i < block; i++)
			at = put_octet(at, in.p[i], out);
	}
	dotstuff->state = (unsigned char)at;
}

void
dotstuff_end(struct dotstuff *dotstuff, struct buf *out)
{
	if (dotstuff->state == SCAN_CR)
		buf_add_char(out, '\n');
	else if (dotstuff->state == SCAN_TEXT)
		buf_add_cstr(out, "\r\n");
	buf_add_cstr(out, ".\r\n");
	dotstuff->state = SCAN_BOL;
}
