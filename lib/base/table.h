/* SPDX-License-Identifier: ISC */
/*
 * table: a hash table from octets or numbers to pointers. Keys are hashed
 * with SipHash-2-4 under a random key, so that a peer who chooses keys cannot
 * choose collisions.
 *
 * Lifetime.   table_new() -> table_put(), table_get(), table_del() ->
 *             table_free().
 * Ownership.  Keys are copied; values are the caller's.
 * Blocking.   Never. Growing moves all entries at once.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include "base/str.h"

struct table;

struct table *table_new(void);

/* Free the table, not the values; *table becomes NULL. */
void table_free(struct table **table);

/* The value, or NULL. */
void *table_get(const struct table *table, struct str key);
void *table_get_u64(const struct table *table, uint64_t key);

/* Set (value not NULL); the value that was there before, or NULL. */
void *table_put(struct table *table, struct str key, void *value);
void *table_put_u64(struct table *table, uint64_t key, void *value);

/* Remove; the value that was there, or NULL. */
void *table_del(struct table *table, struct str key);
void *table_del_u64(struct table *table, uint64_t key);

size_t table_count(const struct table *table);

/*
 * Walk in no order: start with *cursor = 0, ends with NULL. Only the entry
 * just returned may be deleted meanwhile, and nothing added.
 */
void *table_next(const struct table *table, size_t *cursor, struct str *key_r);

/* SipHash-2-4 of len octets under a 16-octet key. */
uint64_t siphash(const unsigned char key[16], const void *data, size_t len);

#endif
