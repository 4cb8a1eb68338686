/* SPDX-License-Identifier: ISC */
/*
 * engine_test: a host for the engines' tests: an account in a directory of
 * its own, sessions on buffers, blobs as local files. No process, no socket.
 *
 * What the real host does between steps is done by test_run(): it steps all
 * sessions until nothing moves, takes their output, and lets blob requests
 * end one step later than they were made.
 *
 * Lifetime.   test_account_new() -> test_host_new()* -> test_run()* ->
 *             test_host_free()* -> test_account_free().
 * Errors.     Trouble of the test itself fails the test.
 */
#ifndef MBOXD_ENGINE_TEST_H
#define MBOXD_ENGINE_TEST_H

#include "base/list.h"
#include "mboxd/engine.h"

struct test_account {
	char dir[64];
	struct store *store;
	struct list hosts;
	uint64_t quota_octets;
	uint64_t message_max_octets;
	uint64_t pop3_expire_days;	/* UINT64_MAX: never */
	uint64_t disk_octets;	/* a blob may have so many */
	bool is_blob_down;	/* engine_blob_open() fails */
	size_t full_octets;	/* output that is full */
	unsigned slice_calls;	/* engine_slice_over() is true once in so many */
};

struct test_account *test_account_new(void);
void test_account_free(struct test_account **account);

/* Close the store and open it again; no host may be there. */
void test_account_reopen(struct test_account *account);

/* Put a message in as a delivery does; has_summary false leaves it empty.
 * The UID. */
uint32_t test_deliver(struct test_account *account, struct str mailbox,
    struct str trace, struct str blob, uint8_t flags, int64_t date_s,
    bool has_summary);

/* A session; state empty or what test_host_park() gave. NULL: refused. */
struct engine_host *test_host_new(struct test_account *account,
    const struct engine *engine, struct str state);
void test_host_free(struct engine_host **host);

/* Octets from the client. */
void test_host_feed(struct engine_host *host, struct str input);

/* Step all sessions of the account until nothing moves. */
void test_run(struct test_account *account);

/* Everything sent and not taken; test_host_take() drops len octets. */
struct str test_host_output(const struct engine_host *host);
void test_host_take(struct engine_host *host, size_t len);

bool test_host_is_over(const struct engine_host *host);
bool test_host_is_idle(const struct engine_host *host);
bool test_host_park(struct engine_host *host, struct buf *state);
void test_host_end(struct engine_host *host, struct str reason);

#endif
