/* SPDX-License-Identifier: ISC */
/*
 * srs: the sender rewriting scheme. Mail that is forwarded to another host
 * leaves with a sender of our own domain, which SPF there can accept, and
 * that carries the true one: its bounces come back to us and go on to it.
 *
 *     alice@example.org            forwarded by example.net becomes
 *     SRS0=K7QXBM=2A=example.org=alice@example.net
 *     and forwarded once more, by example.com, that becomes
 *     SRS1=J3ZT5W=example.net==K7QXBM=2A=example.org=alice@example.com
 *
 * K7QXBM are 30 bits of an HMAC-SHA-256 over the rest: without them anybody
 * could send through us to anybody. 2A is the day it was made; after
 * SRS_DAYS days it is no longer taken. An SRS1 leads back to the host that
 * made the SRS0, whatever the number of forwarders in between. Both are
 * letters and digits in any case, since some hosts fold it.
 *
 * A local part has 64 octets (RFC 5321 section 4.5.3.1.1). What does not fit
 * is refused, not shortened: a shortened one could not be reversed without
 * keeping state for weeks. The forwarder then keeps the sender as it is.
 *
 * Lifetime.   Results live in the arena.
 * Ownership.  Keys are the caller's: the first one signs, all of them are
 *             taken, so that they can be changed.
 * Units.      Local parts without quotes; seconds since 1970.
 * Errors.     srs_forward(): ERR_LIMIT when it does not fit; ERR_SYNTAX for
 *             a sender without a host's name.
 *             srs_reverse(): ERR_NOTFOUND for what is no such address;
 *             ERR_SYNTAX, ERR_DENIED (not made by us, or too old).
 * Blocking.   Never.
 * Process.    queued rewrites, ingress and queued reverse.
 */
#ifndef MAILAUTH_SRS_H
#define MAILAUTH_SRS_H

#include "base/arena.h"

#define SRS_DAYS 21
#define SRS_LOCAL_MAX 64U

struct srs_keys {
	const struct str *keys;		/* 32 octets or more each */
	size_t count;			/* at least one */
};

/* The local part, at our domain, that stands for local@domain. */
int srs_forward(struct arena *arena, const struct srs_keys *keys,
    struct str local, struct str domain, int64_t now_s, struct str *local_r,
    struct err *err);

/* Could it be one of these addresses? */
bool srs_is_address(struct str local);

/* Where mail for this local part at our domain goes on to. */
int srs_reverse(struct arena *arena, const struct srs_keys *keys,
    struct str local, int64_t now_s, struct str *local_r,
    struct str *domain_r, struct err *err);

#endif
