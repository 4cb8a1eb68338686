/* SPDX-License-Identifier: ISC */
/*
 * hash: what is computed of a password: argon2id for logins that send it,
 * SCRAM-SHA-256 keys for those that prove it.
 *
 * Ownership.  Values; nothing is kept.
 * Units.      Passwords of 1 to 1024 octets, after SASLprep.
 * Errors.     ERR_TEMP: no memory.
 * Blocking.   About 150 ms of processor: only in a hash worker.
 * RFC.        9106 (argon2id), 5802 section 3, 7677 (SCRAM-SHA-256).
 */
#ifndef AUTHD_HASH_H
#define AUTHD_HASH_H

#include "base/str.h"

#define PASSWORD_MAX 1024
#define HASH_KEY_OCTETS 32
#define HASH_SALT_OCTETS 16
#define HASH_ARGON2_MAX 128
#define HASH_SCRAM_ITERATIONS 10000

struct hash_keys {
	char argon2[HASH_ARGON2_MAX];	/* encoded, with its parameters */
	unsigned char salt[HASH_SALT_OCTETS];
	uint64_t iterations;
	unsigned char stored_key[HASH_KEY_OCTETS];
	unsigned char server_key[HASH_KEY_OCTETS];
};

int hash_make(struct str password, struct hash_keys *keys_r,
    struct err *err);
bool hash_verify(struct str password, const char *argon2);

/* An encoded hash that no password has, with the cost of a real one. */
void hash_dummy(char argon2_r[HASH_ARGON2_MAX]);

/* HMAC-SHA256. */
void hash_hmac(const unsigned char key[HASH_KEY_OCTETS], const void *data,
    size_t len, unsigned char mac_r[HASH_KEY_OCTETS]);

/* What a user who is not there would have: the same each time. */
void hash_fake_keys(const unsigned char key[HASH_KEY_OCTETS], struct str user,
    struct hash_keys *keys_r);

#endif
