/* SPDX-License-Identifier: ISC */
/*
 * line: cuts a byte stream into command lines with a limit. The caller keeps
 * the input; line_next() is called with all that is not consumed yet and
 * remembers how far it has looked, so that one octet at a time costs no more
 * than all at once.
 *
 *     "NOOP\r\nQU"      LINE_DONE "NOOP", used 6; then LINE_MORE, used 0.
 *     "NOOP\nQUIT\r\n"  LINE_BAD_END when strict (used 5), else "NOOP".
 *     5000 octets       LINE_LONG at once, used 5000; what follows up to the
 *                       next LF is consumed silently, then lines go on.
 *
 * Ownership.  line_r is a view of the input.
 * Units.      max_octets counts CRLF.
 * Blocking.   Never.
 * Process.    Any.
 * RFC.        RFC 5321 section 2.3.8: only CRLF ends a line.
 */
#ifndef PROTO_LINE_H
#define PROTO_LINE_H

#include "base/str.h"

enum line_result {
	LINE_MORE,		/* no line end yet */
	LINE_DONE,		/* *line_r is a line without its line end */
	LINE_LONG,		/* over the limit; the rest is being dropped */
	LINE_BAD_END,		/* strict, and it ended with LF alone */
};

struct line {
	size_t max_octets;
	size_t scanned;
	bool is_strict;		/* an LF without CR is an error */
	bool is_dropping;
};

void line_init(struct line *line, size_t max_octets, bool is_strict);

/*
 * Look at in, the octets not consumed yet. *used_r octets may be dropped
 * after *line_r has been used.
 */
enum line_result line_next(struct line *line, struct str in,
    struct str *line_r, size_t *used_r);

#endif
