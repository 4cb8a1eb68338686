/* SPDX-License-Identifier: ISC */
/*
 * remember: passwords that were right a moment ago, so that the next login of
 * the same client costs microseconds and not 150 ms.
 *
 * What is kept is HMAC-SHA256 under a key made at start of: the address, when
 * its password was last changed, the class of mechanism, protocol, remote
 * address and password, each with its length. So no two users, no two
 * passwords and no two sources can share an entry, a changed password finds
 * none, and the table gives no password away.
 *
 * Lifetime.   remember_new() -> remember_add(), remember_has() ->
 *             remember_free(). An entry lives life_s seconds.
 * Units.      Seconds; at most REMEMBER_MAX entries, the oldest go first.
 * Blocking.   Never.
 */
#ifndef AUTHD_REMEMBER_H
#define AUTHD_REMEMBER_H

#include "base/str.h"

#define REMEMBER_MAX 100000

struct remember;

struct remember_key {
	uint64_t account;
	uint64_t changed_us;
	struct str address;
	struct str mechanism;	/* class: "password" */
	struct str protocol;
	struct str remote;
	struct str password;
};

/* life_s 0: nothing is remembered. */
struct remember *remember_new(uint64_t life_s);
void remember_free(struct remember **remember);
void remember_set_life(struct remember *remember, uint64_t life_s);

void remember_add(struct remember *remember, const struct remember_key *key);
bool remember_has(struct remember *remember, const struct remember_key *key);

/* Forget all of an account. */
void remember_forget(struct remember *remember, uint64_t account);

#endif
