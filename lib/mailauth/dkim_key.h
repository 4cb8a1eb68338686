/* SPDX-License-Identifier: ISC */
/*
 * dkim_key: public keys as domains publish them, for reading and for writing.
 *
 * Lifetime.   dkim_key_parse() -> dkim_key_verify()* -> dkim_key_fini().
 * Ownership.  The key is the caller's to free; text is not kept.
 * Units.      Bits of an RSA modulus; Ed25519 counts as 256.
 * Errors.     ERR_SYNTAX: no key record of this version. ERR_NOTFOUND: it was
 *             revoked (empty p=). ERR_DENIED: it is not for mail, or not for
 *             SHA-256, or of a kind that nobody here knows.
 * Blocking.   Never.
 * RFC.        6376 section 3.6.1; 8301; 8463; 8616.
 */
#ifndef MAILAUTH_DKIM_KEY_H
#define MAILAUTH_DKIM_KEY_H

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/buf.h"

#define DKIM_RSA_BITS_MIN 1024U		/* RFC 8301 section 3.2 */
#define DKIM_RSA_BITS_MAX 8192U
#define DKIM_RSA_EXPONENT_BITS_MAX 33U	/* what verifying costs */

/* Stored and sent between processes: numbers are never given again. */
enum dkim_algorithm {
	DKIM_RSA_SHA256,
	DKIM_ED25519_SHA256,
	DKIM_ALGORITHM_COUNT
};

struct dkim_key {
	EVP_PKEY *pkey;
	enum dkim_algorithm algorithm;
	unsigned bits;
	bool is_testing;	/* t=y */
	bool is_exact;		/* t=s: i= must be of d= itself */
};

/* "rsa-sha256", "ed25519-sha256". */
const char *dkim_algorithm_name(enum dkim_algorithm algorithm);

/* By that name, in any case; ERR_SYNTAX. */
int dkim_algorithm_of(struct str name, enum dkim_algorithm *algorithm_r);

int dkim_key_parse(struct str record, struct dkim_key *key_r,
    struct err *err);
void dkim_key_fini(struct dkim_key *key);

/* Is signature this key's over the 32 octets of digest? */
bool dkim_key_verify(const struct dkim_key *key, const unsigned char *digest,
    struct str signature);

/* Sign digest: for keyd and tests. ERR_TEMP. */
int dkim_key_sign(EVP_PKEY *pkey, const unsigned char *digest,
    struct buf *signature, struct err *err);

/* What signs with that key pair: ERR_SYNTAX for another kind. */
int dkim_key_algorithm(EVP_PKEY *pkey, enum dkim_algorithm *algorithm_r);

/* Append "v=DKIM1; k=...; p=..." of the public half. */
int dkim_key_put_record(EVP_PKEY *pkey, struct buf *out, struct err *err);

/* Where a key is published: SELECTOR._domainkey.DOMAIN. */
struct str dkim_key_name(struct arena *arena, struct str selector,
    struct str domain);

#endif
