/* SPDX-License-Identifier: ISC */
/*
 * answer: a DNS packet, as the resolver hands it over, as one RRset. The
 * packet was put together from what strangers answered: every length is
 * checked, CNAMEs are followed inside the packet only, at most
 * ANSWER_CNAMES_MAX of them, and each only once.
 *
 * Lifetime.   Results are in the arena.
 * Units.      Seconds.
 * Errors.     ERR_SYNTAX for a packet that does not read; ERR_LIMIT for a
 *             chain of CNAMEs that is too long or goes round.
 * Blocking.   Never.
 * RFC.        RFC 1035 section 4.1; RFC 2308 section 5 (how long nothing
 *             stays nothing).
 */
#ifndef DNSD_ANSWER_H
#define DNSD_ANSWER_H

#include "base/arena.h"
#include "proto/dns_rdata.h"

#define ANSWER_RDATA_MAX 256
#define ANSWER_CNAMES_MAX 12
#define ANSWER_TTL_MAX_S 86400

struct answer {
	unsigned rcode;
	uint32_t ttl_s;		/* the least of all records used */
	struct str canonical;	/* text; the name at the end of the CNAMEs */
	size_t rdata_len;
	struct str rdata[ANSWER_RDATA_MAX];	/* names uncompressed */
};

/* name: what was asked, on the wire. */
int answer_read(struct arena *arena, struct str packet, struct str name,
    unsigned type, struct answer *answer_r, struct err *err);

#endif
