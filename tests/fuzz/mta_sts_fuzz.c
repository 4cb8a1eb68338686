/* SPDX-License-Identifier: ISC */
/* The same octets as a record, as a policy and as a host's name. */
#include <stddef.h>
#include <stdint.h>

#include "proto/mta_sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, size), id;
	struct arena *arena = arena_new(0);
	struct mta_sts_policy policy;
	size_t i;

	if (mta_sts_record(in, &id, NULL) == 0)
		invariant(id.len > 0 && id.len <= 32 &&
		    mta_sts_is_record(in));
	if (mta_sts_policy(arena, in, &policy, NULL) == 0) {
		invariant(policy.max_age_s <= MTA_STS_AGE_MAX_S);
		invariant(policy.mx_len <= MTA_STS_MX_MAX);
		for (i = 0; i < policy.mx_len; i++)
			invariant(policy.mx[i].p[0] == '*' ||
			    mta_sts_allows(&policy, policy.mx[i]));
		(void)mta_sts_allows(&policy, in);
	}
	arena_free(&arena);
	return 0;
}
