/* SPDX-License-Identifier: ISC */
/*
 * authd: verifies credentials and issues login tickets.
 *
 * Story. A front says AUTH_START; an exchange runs until the mechanism has a
 * user and either a password or a proof. A password is looked for among those
 * that were right a moment ago, else a hash worker computes. Then directoryd
 * says which account it is and whether it may log in; only then the front
 * hears OK, with a ticket that mboxd believes.
 *
 * A hard case: the user does not exist. Everything goes the same way, against a
 * hash that nothing matches and salts that do not change, and fails with the
 * same words after the same time.
 *
 * Another: somebody guesses an account's password from many networks. After a
 * few failures its name is locked, but only for networks the account has
 * never logged in from: nobody can lock its owner out of where he always is.
 * A name that does not exist is locked the same way.
 *
 * Ownership.  A login owns its request and a copy of the password, wiped.
 * Blocking.   Reads of secrets.db, and the flush of a changed password.
 */
#ifndef AUTHD_AUTHD_H
#define AUTHD_AUTHD_H

#include <openssl/evp.h>

#include "authd/hasher.h"
#include "authd/mechanism.h"
#include "authd/prep.h"
#include "authd/rate.h"
#include "authd/remember.h"
#include "authd/secrets.h"
#include "ipc/child.h"

struct authd {
	struct child *child;
	struct secrets *secrets;
	struct hasher *hasher;
	struct remember *remember;
	struct rate *rate;		/* by network */
	struct rate *names;		/* by login name, a minute */
	struct rate *names_day;		/* and a day */
	struct prep *prep;
	struct arena *arena;		/* of one request */
	EVP_PKEY *ticket_key;
	const char *path;
	char dummy[HASH_ARGON2_MAX];
	struct list clients;
	struct loop_timer tidy;
	unsigned exchanges;
};

struct client {
	struct list node;
	struct authd *authd;
	struct ipc_link *link;
	struct table *exchanges;	/* by the client's session number */
	struct list by_age;
};

/* Who tries to log in, from where, how. */
struct origin {
	uint64_t session;
	char protocol[33];
	char remote[64];
	char service[16];
	char zone[32];
	const char *mechanism;
	bool is_limited;		/* not in zone loopback */
	bool is_name_counted;		/* by login_keys() */
};

/* ---- login.c ---- */

/* Answer AUTH_START, AUTH_STEP or AUTH_LOGIN. */
void login_reply(struct ipc_req *req, enum auth_status status,
    struct str data);

/* Check a password; takes req over. */
void login_password(struct authd *authd, const struct origin *origin,
    struct ipc_req *req, struct str user, struct str password);

/* The user has proven the password (SCRAM); data: the last words. */
void login_proven(struct authd *authd, const struct origin *origin,
    struct ipc_req *req, struct str user, struct str data);

/* A failed proof: count and log it; answers req. */
void login_unproven(struct authd *authd, const struct origin *origin,
    struct ipc_req *req, struct str user, enum auth_status status);

/* Keys of user for SCRAM, false ones when there is no such user or its name is
 * locked; counts the attempt. */
bool login_keys(struct authd *authd, struct origin *origin, struct str user,
    struct hash_keys *keys_r);

/* ---- exchange.c ---- */

extern ipc_handler exchange_on_start, exchange_on_step, exchange_on_cancel,
    exchange_on_login;

/* End all of a client's; end those that are left. */
void exchange_end_all(struct client *client);
void exchange_tidy(struct client *client);

#endif
