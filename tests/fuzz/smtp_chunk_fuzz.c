/* SPDX-License-Identifier: ISC */
/*
 * Chunks give the same octets and verdict whatever the pieces, and agree with
 * the obvious way: put all together, look afterwards. The first octet says
 * binary or not and how large chunks are.
 */
#include "base/buf.h"
#include "proto/smtp_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
has_bare(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			return true;
		if (s.p[i] == '\r' && (i + 1 == s.len ||
		    s.p[i + 1] != '\n'))
			return true;
	}
	return false;
}

static void
run(struct str in, size_t chunk_octets, size_t step, struct smtp_chunk *chunk,
    struct buf *out)
{
	struct str part, span;
	size_t used, n;
	bool is_done;

	do {
		n = in.len < chunk_octets ? in.len : chunk_octets;
		smtp_chunk_begin(chunk, n, n == in.len);
		part = str_sub(in, 0, n);
		do {
			is_done = smtp_chunk_next(chunk, str_sub(part, 0,
			    step), &span, &used);
			invariant(used <= part.len);
			invariant(is_done || used != 0);
			buf_add_str(out, span);
			part = str_sub(part, used, part.len);
		} while (!is_done);
		invariant(part.len == 0);
		in = str_sub(in, n, in.len);
	} while (in.len != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 2, 7, 1000000 };
	struct smtp_chunk chunk;
	struct buf out;
	struct str in;
	uint64_t max;
	size_t i;

	if (size < 2)
		return 0;
	in = str_make(data + 2, size - 2);
	max = data[1] < 200 ? 1 << 20 : data[1];
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		buf_init(&out, in.len + 1);
		smtp_chunk_init(&chunk, max, (data[0] & 1) != 0);
		run(in, (data[0] >> 1) + 1U, steps[i], &chunk, &out);
		invariant(out.len == chunk.size_octets && out.len <= max);
		if (chunk.verdict == SMTP_DATA_OK)
			invariant(str_eq(buf_str(&out), in) &&
			    (chunk.is_binary || !has_bare(in)));
		else
			invariant(in.len > max || (!chunk.is_binary &&
			    has_bare(in)));
		buf_fini(&out);
	}
	return 0;
}
