/* SPDX-License-Identifier: ISC */
/*
 * dkim: signatures of a message that was read (mailauth/message.h): whether
 * they hold, and how to make one.
 *
 * Verifying. Each signature has a result of its own, topmost field first.
 * PASS: the header fields it names and the whole body are as they were signed,
 * by a key that its domain publishes. Anything else is no pass: FAIL (changed,
 * expired, l= over the body), POLICY (it holds, but a key that is too short,
 * or l=: threats 19), PERMERROR (it, or its key, is unusable), TEMPERROR (the
 * DNS gave no answer). is_testing changes nothing about the result.
 *
 * Signing is two steps, so that the private key stays where it is:
 * dkim_sign_begin() gives the digest that is to be signed, dkim_sign_end()
 * takes the signature. Names that are signed once more than the message has
 * them (oversigned) cannot be added by somebody later.
 *
 * Lifetime.   Results and signings live as long as the message.
 * Ownership.  As the message.
 * Units.      Seconds since 1970.
 * Errors.     ERR_SYNTAX: a domain or selector that cannot stand in a
 *             signature, a message without From.
 * Blocking.   Never.
 * RFC.        6376; 8301; 8463; 6008 (header.b).
 */
#ifndef MAILAUTH_DKIM_H
#define MAILAUTH_DKIM_H

#include "mailauth/answers.h"
#include "mailauth/dkim_key.h"
#include "mailauth/message.h"
#include "mailauth/result.h"

struct dkim_result {
	enum mailauth_result result;
	struct str reason;		/* our words, one line; or empty */
	struct str domain;		/* d=, lower case, A-labels; or empty */
	struct str selector;
	struct str identity;		/* i=, hostile text */
	struct str algorithm;		/* "rsa-sha256", or empty */
	struct str signature;		/* so much of b= as tells it from the
					   others, at least 8 octets */
	unsigned key_bits;		/* 0: no key was found */
	bool is_testing;		/* t=y in the key */
};

struct dkim_results {
	struct dkim_result v[DKIM_SIGNATURES_MAX];
	size_t count;
	bool is_cut;			/* there were more */
};

/* WAIT: all keys that are missing have been noted as wanted. now_s: clock. */
enum mailauth_step dkim_verify(const struct mailauth_message *message,
    struct answers *answers, int64_t now_s, struct dkim_results *results_r);

struct dkim_sign {
	struct str domain;
	struct str selector;
	enum dkim_algorithm algorithm;
	int64_t now_s;
	int64_t expires_s;		/* 0: never */
	struct str names;		/* "from:to:..." as it shall stand in
					   h=; empty: what ought to be signed */
};

struct dkim_signing;

/*
 * The message must have been read with mailauth_message_want(RELAXED). The
 * digest goes to the key (dkim_key_sign()). NULL: see Errors.
 */
struct dkim_signing *dkim_sign_begin(const struct mailauth_message *message,
    const struct dkim_sign *sign,
    unsigned char digest_r[MAILAUTH_HASH_OCTETS], struct err *err);

/* Append the finished field, its line ends included. */
void dkim_sign_end(const struct dkim_signing *signing, struct str signature,
    struct buf *out);

#endif
