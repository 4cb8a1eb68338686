/* SPDX-License-Identifier: ISC */
/*
 * A stored summary is hostile input: it decodes or is corrupt. What decodes
 * keeps the promises of mail/summary.h and encodes to something that decodes
 * to the same.
 */
#include "mail_fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	struct mail_summary *sum, *again;
	struct buf buf;

	buf_init(&buf, SUMMARY_MAX);
	if (summary_decode(str_make(data, size), arena, &sum, NULL) == 0) {
		check_summary(sum);
		if (summary_encode(sum, &buf) == 0) {
			invariant(summary_decode(buf_str(&buf), arena,
			    &again, NULL) == 0);
			same_summary(sum, again);
		}
	}
	buf_fini(&buf);
	arena_free(&arena);
	return 0;
}
