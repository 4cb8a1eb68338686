/* SPDX-License-Identifier: ISC */
/*
 * grant: queued's word that a message may be signed for a domain. A relay
 * shows it to keyd, so that a relay that was broken into signs nothing but
 * what it was given to send.
 *
 * A grant is: version, purpose, what it is about, when it expires, domain;
 * then HMAC-SHA-256 of all that, under a secret that queued makes when it
 * starts and tells keyd alone.
 *
 * Lifetime.   grant_put() -> grant_read() within GRANT_LIFE_S.
 * Ownership.  The domain of a read grant is a view into its octets.
 * Units.      Seconds of the wall clock.
 * Errors.     ERR_SYNTAX: no grant of this version. ERR_DENIED: not under
 *             this secret, or too old.
 * Blocking.   Never.
 * Process.    queued makes them, keyd reads them.
 * RFC.        2104 (HMAC).
 */
#ifndef IPC_GRANT_H
#define IPC_GRANT_H

#include "base/buf.h"

#define GRANT_LIFE_S (6 * 3600)
#define GRANT_SECRET_OCTETS 32
#define GRANT_MAX 512

enum grant_purpose {
	GRANT_DKIM = 1,		/* sign it; what: the queue id */
	GRANT_ARC = 2,		/* seal it; the same */
};

struct grant {
	enum grant_purpose purpose;
	uint64_t what;
	int64_t expires_s;
	struct str domain;	/* at most 253 octets */
};

/* Append it. */
void grant_put(struct buf *out, const struct grant *grant,
    const unsigned char secret[GRANT_SECRET_OCTETS]);

/* What it says it is, for who cannot check it. ERR_SYNTAX. */
int grant_peek(struct str octets, struct grant *grant_r, struct err *err);

int grant_read(struct str octets,
    const unsigned char secret[GRANT_SECRET_OCTETS], int64_t now_s,
    struct grant *grant_r, struct err *err);

#endif
