/* SPDX-License-Identifier: ISC */
/*
 * sts: MTA-STS policies of domains (RFC 8461), kept in memory for as long as
 * they say.
 *
 * Story. Mail goes to a domain: its TXT record is looked up. It has the id of
 * the policy we hold: that one holds. It has another: the policy is fetched
 * over HTTPS and replaces ours. The record or the policy cannot be had (or
 * somebody keeps us from it): the one we hold stays in force until its
 * max_age is over; this is the point of MTA-STS. A fetch that failed is not
 * repeated for some minutes.
 *
 * Lifetime.   sts_new() -> sts_find()* -> sts_free(). An sts_query ends with
 *             its callback or sts_cancel().
 * Ownership.  The policy given to the callback lives until it returns.
 * Errors.     No policy: NULL.
 * Blocking.   Never. At most STS_DOMAINS_MAX domains are remembered.
 */
#ifndef RELAY_STS_H
#define RELAY_STS_H

#include "proto/mta_sts.h"
#include "smtpd/relay/relay.h"

#define STS_DOMAINS_MAX 10000

struct sts;
struct sts_query;

typedef void sts_done(void *ctx, const struct mta_sts_policy *policy);

struct sts *sts_new(struct relay *relay);
void sts_free(struct sts **sts);

/* done is never called from inside. */
struct sts_query *sts_find(struct sts *sts, struct str domain, sts_done *done,
    void *ctx);
void sts_cancel(struct sts_query **query);

#endif
