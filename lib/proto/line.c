/* SPDX-License-Identifier: ISC */
#include "proto/line.h"

void
line_init(struct line *line, size_t max_octets, bool is_strict)
{
	*line = (struct line){ .max_octets = max_octets,
	    .is_strict = is_strict };
}

/* Consume up to and including the LF that ends an over-long line. */
static size_t
drop(struct line *line, struct str in)
{
	size_t at = str_find(in, '\n');

	if (at == STR_NPOS)
		return in.len;
	line->is_dropping = false;
	return at + 1;
}

enum line_result
line_next(struct line *line, struct str in, struct str *line_r,
    size_t *used_r)
{
	size_t at, dropped = 0;

	*line_r = STR_NONE;
	if (line->is_dropping) {
		dropped = drop(line, in);
		in = str_sub(in, dropped, in.len);
	}
	*used_r = dropped;
	invariant(line->scanned <= in.len);
	at = str_find(str_sub(in, line->scanned, in.len), '\n');
	at = at == STR_NPOS ? in.len : at + line->scanned;
	if (at >= line->max_octets) {
		line->scanned = 0;
		line->is_dropping = true;
		*used_r += drop(line, in);
		return LINE_LONG;
	}
	if (at == in.len) {
		line->scanned = in.len;
		return LINE_MORE;
	}
	line->scanned = 0;
	*used_r += at + 1;
	if (at > 0 && in.p[at - 1] == '\r') {
		*line_r = str_sub(in, 0, at - 1);
		return LINE_DONE;
	}
	*line_r = str_sub(in, 0, at);
	return line->is_strict ? LINE_BAD_END : LINE_DONE;
}
