/* SPDX-License-Identifier: ISC */
/*
 * hosts: the next hops of a domain, one address after the other, each with
 * what is asked of a connection to it.
 *
 * Easy case: two MX records, each with an AAAA and an A record. The preferred
 * host's addresses come first, IPv6 and IPv4 in turn, then the other's.
 *
 * Hard case: the domain has an MTA-STS policy in mode enforce, its answers
 * are signed and one host has TLSA records. That host is asked for DANE, the
 * other for a valid certificate, and a third whose name the policy does not
 * allow is passed over.
 *
 * Lifetime.   hosts_new() -> hosts_next()* -> hosts_free(), at any time.
 * Ownership.  A hop and its strings live as long as the hosts.
 * Errors.     At the end a verdict says why there are no more: what is said
 *             when none of them could be used.
 * Blocking.   Never; callbacks are not called from inside hosts_next().
 * RFC.        RFC 5321 section 5.1; RFC 7505; RFC 7672; RFC 8461; RFC 8689.
 */
#ifndef RELAY_HOSTS_H
#define RELAY_HOSTS_H

#include "smtpd/relay/route.h"

#define HOSTS_MX_MAX 20		/* hosts of a domain that are looked at */
#define HOSTS_TRIES_MAX 5	/* addresses that are given out */

struct hosts;

/* hop NULL: there are no more, verdict says why. */
typedef void hosts_done(void *ctx, const struct hop *hop,
    const struct verdict *verdict);

/* domain in A-labels, or an address literal; flags: enum queue_flag. */
struct hosts *hosts_new(struct relay *relay, struct str domain,
    uint64_t flags);
void hosts_free(struct hosts **hosts);

void hosts_next(struct hosts *hosts, hosts_done *done, void *ctx);

#endif
