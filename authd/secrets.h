/* SPDX-License-Identifier: ISC */
/*
 * secrets: what is stored of passwords, and who changed it.
 *
 * Lifetime.   secrets_open() -> ... -> secrets_close().
 * Ownership.  Rows are values; strings of log lines are in the arena.
 * Units.      Microseconds since 1970.
 * Errors.     ERR_NOTFOUND: the account has no password. ERR_TEMP, ERR_CORRUPT.
 * Blocking.   Reads and writes files; a change waits for the disk.
 * Process.    authd, the only one that opens secrets.db.
 */
#ifndef AUTHD_SECRETS_H
#define AUTHD_SECRETS_H

#include "authd/hash.h"
#include "base/arena.h"

#define SECRETS_ADDRESS_MAX 512

struct secrets;

struct secret {
	uint64_t account;
	uint64_t changed_us;
	char address[SECRETS_ADDRESS_MAX];
	struct hash_keys keys;
};

struct secrets_log_line {
	uint64_t id;
	uint64_t when_us;
	struct str actor;
	struct str verb;
	struct str object;
};

int secrets_open(struct secrets **secrets_r, const char *path,
    struct err *err);
void secrets_close(struct secrets **secrets);

/* The key that fake salts are made with: the same at every start. */
const unsigned char *secrets_fake_key(const struct secrets *secrets);

/* By canonical address. */
int secrets_find(struct secrets *secrets, struct str address,
    struct secret *secret_r, struct err *err);

/* Each with its line in the log, in one transaction. */
int secrets_set(struct secrets *secrets, struct str actor,
    const struct secret *secret, struct err *err);
int secrets_forget(struct secrets *secrets, struct str actor,
    uint64_t account, struct str address, struct err *err);

/*
 * Networks the account has logged in from in the last 90 days, at most 32:
 * from there it is not locked out by other people's guesses. secrets_know()
 * writes when there is something new, at most once a day for each.
 */
bool secrets_knows(struct secrets *secrets, uint64_t account,
    struct str network);
int secrets_know(struct secrets *secrets, uint64_t account,
    struct str network, struct err *err);

int secrets_log_read(struct secrets *secrets, uint64_t after, size_t max,
    struct arena *arena, struct secrets_log_line *lines, size_t *count_r,
    struct err *err);

#endif
