/* SPDX-License-Identifier: ISC */
/*
 * The first octet chooses the type asked for; the rest is a packet that
 * answers for a.test. What comes out is bounded and decodes.
 */
#include "dnsd/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_records(struct arena *arena, const struct answer *answer,
    unsigned type)
{
	struct str name;
	struct dns_mx mx;
	size_t i;

	invariant(answer->rdata_len <= ANSWER_RDATA_MAX);
	invariant(answer->ttl_s <= ANSWER_TTL_MAX_S);
	for (i = 0; i < answer->rdata_len; i++) {
		if (type == DNS_T_MX)
			invariant(dns_rdata_mx(arena, answer->rdata[i], &mx,
			    NULL) == 0);
		if (type == DNS_T_CNAME || type == DNS_T_PTR)
			invariant(dns_rdata_name(arena, answer->rdata[i],
			    &name, NULL) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned types[] = { DNS_T_A, DNS_T_MX, DNS_T_CNAME,
	    DNS_T_TXT, DNS_T_SRV, DNS_T_PTR };
	struct arena *arena = arena_new(0);
	struct answer *answer = arena_new_of(arena, struct answer);
	unsigned type;

	if (size != 0) {
		type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
		if (answer_read(arena, str_make(data + 1, size - 1),
		    STR("\1a\4test\0"), type, answer, NULL) == 0)
			check_records(arena, answer, type);
	}
	arena_free(&arena);
	return 0;
}
