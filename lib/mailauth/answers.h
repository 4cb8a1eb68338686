/* SPDX-License-Identifier: ISC */
/*
 * answers: what the DNS has said so far about one message, and what is still
 * to be asked.
 *
 * An evaluation (spf, dkim, dmarc, arc) does no I/O. It asks this memo; what
 * the memo does not know is noted as wanted, and the evaluation returns
 * MAILAUTH_WAIT. The caller asks the DNS for all that is wanted, puts the
 * answers and calls the evaluation again, from its start: it is cheap, and
 * the same answers give the same result.
 *
 *     while (spf_check(..., answers, &spf) == MAILAUTH_WAIT)
 *         while (answers_next_wanted(answers, &name, &type))
 *             ask dnsd, answers_put(answers, name, type, &answer);
 *
 * A hard case: a message whose signatures and policies want more names than
 * ANSWERS_MAX. The questions over the limit are never handed out: they are
 * answered SERVFAIL at once, the evaluation ends with a temporary error, and
 * nothing waits for ever.
 *
 * Lifetime.   answers_new() -> answers_find(), answers_next_wanted(),
 *             answers_put() -> answers_free(). What answers_find() gives
 *             lives until then and never changes.
 * Ownership.  Names and rdata are copied.
 * Units.      rdata as it stands in an answer of the DNS, names inside
 *             uncompressed (proto/dns_rdata.h). Names are text with the
 *             escapes of RFC 1035 section 5.1; case and the last dot do not
 *             matter.
 * Errors.     None: over a limit the answer is SERVFAIL. A name that the DNS
 *             cannot hold (an empty label, one over 63 octets, over 255 in
 *             all) is NXDOMAIN without being asked.
 * Blocking.   Never.
 * Process.    filterd; the command line's doors for the published suites.
 */
#ifndef MAILAUTH_ANSWERS_H
#define MAILAUTH_ANSWERS_H

#include "proto/dns_rdata.h"

#define ANSWERS_MAX 512U		/* questions, wanted ones included */
#define ANSWERS_OCTETS_MAX (2U << 20)	/* of rdata in all answers */
#define ANSWERS_RDATA_MAX 256U		/* records of one answer */

enum mailauth_step {
	MAILAUTH_DONE,
	MAILAUTH_WAIT,		/* answers are missing: see above */
};

/* As DNS_QUERY of lib/ipc/dns.def has it. */
struct answer {
	unsigned rcode;		/* enum dns_rcode; others are failures */
	bool is_secure;		/* validated by DNSSEC */
	bool is_bogus;		/* validation failed; rcode is SERVFAIL */
	struct str *rdata;
	size_t rdata_len;
};

struct answers;

struct answers *answers_new(void);
void answers_free(struct answers **answers);

/* NULL: not known yet, noted as wanted. */
const struct answer *answers_find(struct answers *answers, struct str name,
    unsigned type);

/* A question that nobody was given yet; false when there is none. The name
 * lives as long as the memo. */
bool answers_next_wanted(struct answers *answers, struct str *name_r,
    unsigned *type_r);

/* Wanted or not. An answer that stands is not changed by a second one. */
void answers_put(struct answers *answers, struct str name, unsigned type,
    const struct answer *answer);

#endif
