/* SPDX-License-Identifier: ISC */
/*
 * store_test: an account in a directory of its own, and links as blobd would
 * make them.
 */
#ifndef STORE_STORE_TEST_H
#define STORE_STORE_TEST_H

#include "store/store.h"

/* The account's directory; a new name with each test. */
extern char account_dir[64];

int account_setup(void **state);
int account_teardown(void **state);

/* Open it (made on need); fails the test otherwise. */
struct store *account_open(enum store_sync sync);

/* Make the link of a reserved message: len octets. */
void account_link(struct store *store, uint64_t message, size_t len);

/* Reserve, link and add a message of len octets without a trace. */
struct store_added account_add(struct store *store, uint64_t mailbox,
    size_t len, uint8_t flags);

uint64_t account_mailbox(struct store *store, const char *name);

#endif
