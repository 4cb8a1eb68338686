/* SPDX-License-Identifier: ISC */
/*
 * dns: a question to dnsd, read.
 *
 * Ownership.  An answer's strings live until the callback returns.
 * Errors.     A dnsd that does not answer is rcode 2, as a SERVFAIL.
 */
#ifndef RELAY_DNS_H
#define RELAY_DNS_H

#include "proto/dns_rdata.h"
#include "smtpd/relay/relay.h"

#define DNS_RDATA_MAX 256
#define DNS_DEADLINE_MS 30000

struct dns_answer {
	unsigned rcode;
	bool is_secure;
	struct str canonical;
	struct str rdata[DNS_RDATA_MAX];
	size_t rdata_len;
};

/* done is an ipc_done that calls dns_read(). Returns the id to cancel. */
uint32_t dns_ask(struct relay *relay, struct str name, enum dns_type type,
    ipc_done *done, void *ctx);

void dns_read(int code, struct ipc_in *in, struct dns_answer *answer_r);

/* It is known: the name has records of the type, or none. */
static inline bool
dns_is_known(const struct dns_answer *answer)
{
	return answer->rcode == DNS_R_NOERROR ||
	    answer->rcode == DNS_R_NXDOMAIN;
}

#endif
