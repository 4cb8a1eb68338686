/* SPDX-License-Identifier: ISC */
#include "proto/smtp_chunk.h"

void
smtp_chunk_init(struct smtp_chunk *chunk, uint64_t max_octets, bool is_binary)
{
	*chunk = (struct smtp_chunk){ .max_octets = max_octets,
	    .is_binary = is_binary };
}

void
smtp_chunk_begin(struct smtp_chunk *chunk, uint64_t octets, bool is_last)
{
	chunk->left_octets = octets;
	chunk->is_last = is_last;
}

/* How many octets stand before the first bare CR or LF, or all. A CR at the
 * end is waited for: its LF may be in the next piece or chunk. */
static size_t
count_good(struct smtp_chunk *chunk, struct str s)
{
	bool has_cr = chunk->has_cr;
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (has_cr != (s.p[i] == '\n'))
			return i;
		has_cr = s.p[i] == '\r';
	}
	chunk->has_cr = has_cr;
	return s.len;
}

static struct str
take(struct smtp_chunk *chunk, struct str s)
{
	uint64_t room = chunk->max_octets - chunk->size_octets;
	size_t good = s.len;

	if (chunk->verdict != SMTP_DATA_OK) {
		chunk->dropped_octets += s.len;
		return str_sub(s, 0, 0);
	}
	if (!chunk->is_binary && (good = count_good(chunk, s)) != s.len)
		chunk->verdict = SMTP_DATA_BAD_LINE_END;
	if (good > room) {
		good = (size_t)room;
		chunk->verdict = SMTP_DATA_TOO_BIG;
	}
	chunk->size_octets += good;
	chunk->dropped_octets += s.len - good;
	return str_sub(s, 0, good);
}

bool
smtp_chunk_next(struct smtp_chunk *chunk, struct str in, struct str *span_r,
    size_t *used_r)
{
	size_t n = in.len;

	if (n > chunk->left_octets)
		n = (size_t)chunk->left_octets;
	*span_r = take(chunk, str_sub(in, 0, n));
	*used_r = n;
	chunk->left_octets -= n;
	if (chunk->left_octets != 0)
		return false;
	if (chunk->is_last && chunk->has_cr &&
	    chunk->verdict == SMTP_DATA_OK)
		chunk->verdict = SMTP_DATA_BAD_LINE_END;
	return true;
}
