/* SPDX-License-Identifier: ISC */
/*
 * state: a parked session as its front keeps it: what the engine exported,
 * bound to the session by a MAC. The front can give it back or lose it, but
 * not change it or use it for another session.
 *
 * Each account has a key of its own, made from the broker's, which is new with
 * every start of the broker: an account process that was broken into can make
 * states of its own account only, where it may do as it likes anyway.
 *
 * Lifetime.   Values. Views of a read state look into its octets.
 * Errors.     ERR_SYNTAX: not of this version. ERR_DENIED: not ours.
 *             ERR_LIMIT: too long.
 * Blocking.   Never.
 * Process.    Account processes write, the broker reads.
 * RFC.        2104 (HMAC).
 */
#ifndef MBOXD_STATE_H
#define MBOXD_STATE_H

#include "base/buf.h"

#define STATE_KEY_OCTETS 32
#define STATE_MAX 8192

struct state {
	uint64_t account;
	uint64_t session;	/* the front's number */
	bool has_tls;
	struct str protocol;
	struct str user;
	struct str remote;
	struct str engine;	/* what park() wrote */
};

/* The account's key. */
void state_key(const unsigned char broker_key[STATE_KEY_OCTETS],
    uint64_t account, unsigned char key_r[STATE_KEY_OCTETS]);

int state_write(const struct state *state,
    const unsigned char key[STATE_KEY_OCTETS], struct buf *out,
    struct err *err);

int state_read(struct str octets, const unsigned char key[STATE_KEY_OCTETS],
    struct state *state_r, struct err *err);

#endif
