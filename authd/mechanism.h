/* SPDX-License-Identifier: ISC */
/*
 * mechanism: one SASL exchange, by Cyrus SASL. Only PLAIN, LOGIN and
 * SCRAM-SHA-256 are ever loaded; a new sasl_conn for each exchange, so that
 * nothing of one mechanism is left for the next.
 *
 * PLAIN and LOGIN end with a password that somebody has to check
 * (MECHANISM_PASSWORD); SCRAM checks the proof itself, with keys it asks for
 * through the callback (MECHANISM_PROVEN).
 *
 *     m = mechanism_new("imap", find_keys, ctx);
 *     switch (mechanism_start(m, STR("PLAIN"), true, initial, &data)) ...
 *
 * Lifetime.   mechanism_load() once before the sandbox. mechanism_new() ->
 *             mechanism_start() -> mechanism_step()* -> mechanism_free().
 * Ownership.  data_r, user and password are views until the next call; all
 *             memory of libsasl is wiped when it is freed.
 * Errors.     By result.
 * Blocking.   As the callback does.
 * RFC.        4422, 4616 (PLAIN), 5802, 7677.
 */
#ifndef AUTHD_MECHANISM_H
#define AUTHD_MECHANISM_H

#include "authd/hash.h"

struct mechanism;

enum mechanism_result {
	MECHANISM_CONTINUE,	/* data_r is the challenge */
	MECHANISM_PASSWORD,	/* check it; data_r is empty */
	MECHANISM_PROVEN,	/* data_r are the last words */
	MECHANISM_FAILED,
	MECHANISM_BAD,		/* malformed */
	MECHANISM_NONE,		/* not one of ours */
	MECHANISM_TEMP,
};

/* The user's SCRAM keys, or what a user who is not there would have. False: it
 * cannot be said now. */
typedef bool mechanism_keys(void *ctx, struct str user,
    struct hash_keys *keys_r);

int mechanism_load(struct err *err);

/* NULL: no memory. */
struct mechanism *mechanism_new(const char *protocol, mechanism_keys *keys,
    void *ctx);
void mechanism_free(struct mechanism **m);

enum mechanism_result mechanism_start(struct mechanism *m, struct str name,
    bool has_initial, struct str initial, struct str *data_r);
enum mechanism_result mechanism_step(struct mechanism *m,
    struct str response, struct str *data_r);

/* Upper case; NULL when it is not one of ours. */
const char *mechanism_name(struct str name);
bool mechanism_is_proof(const char *name);

struct str mechanism_user(const struct mechanism *m);
struct str mechanism_password(const struct mechanism *m);

#endif
