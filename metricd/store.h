/* SPDX-License-Identifier: ISC */
/*
 * store: figures on disk: a count by domain, day and name.
 *
 * Changes collect in one transaction; store_commit() ends it.
 *
 * Lifetime.   metric_store_open() -> ... -> metric_store_close().
 * Units.      Days as numbers: 20261122, of the server's time zone.
 * Errors.     ERR_TEMP, ERR_LIMIT (the disk is full), ERR_CORRUPT.
 * Blocking.   Reads and writes a file; a commit waits for the disk.
 * Process.    metricd, the only one that opens figures.db.
 */
#ifndef METRICD_STORE_H
#define METRICD_STORE_H

#include "base/str.h"

struct metric_store;

int metric_store_open(struct metric_store **store_r, const char *path,
    struct err *err);
void metric_store_close(struct metric_store **store);

int metric_store_add(struct metric_store *store, struct str domain,
    uint32_t day, struct str name, uint64_t count, struct err *err);
int metric_store_commit(struct metric_store *store, struct err *err);

/* Forget days before that one. */
int metric_store_sweep(struct metric_store *store, uint32_t day,
    struct err *err);

typedef void metric_row(void *ctx, uint32_t day, struct str name,
    uint64_t count);

/* Figures of the domain of days from..to, the latest day first, by name. */
int metric_store_each(struct metric_store *store, struct str domain,
    uint32_t from, uint32_t to, metric_row *row, void *ctx, struct err *err);

#endif
