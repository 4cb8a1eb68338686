/* SPDX-License-Identifier: ISC */
/* A local part is reversed; as a sender it is rewritten and comes back. */
#include <stddef.h>
#include <stdint.h>

#include "mailauth/srs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_S 1800000000

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str key = { "0123456789abcdef0123456789abcdef",
		32 };
	struct srs_keys keys = { &key, 1 };
	struct str in = str_make(data, size), local, domain, back;
	struct arena *arena = arena_new(0);

	if (srs_reverse(arena, &keys, in, NOW_S, &local, &domain, NULL) == 0)
		invariant(srs_is_address(in) && local.len < in.len);
	if (srs_forward(arena, &keys, in, STR("a.example"), NOW_S, &local,
	    NULL) == 0) {
		invariant(local.len <= SRS_LOCAL_MAX);
		invariant(srs_reverse(arena, &keys, local, NOW_S, &back,
		    &domain, NULL) == 0);
		/* An SRS1 goes back to its first host. */
		invariant(str_begins_nocase(in, STR("SRS1")) ||
		    str_eq_nocase(back, in));
	}
	arena_free(&arena);
	return 0;
}
