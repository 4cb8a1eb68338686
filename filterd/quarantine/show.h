/* SPDX-License-Identifier: ISC */
/*
 * show: entries as JSON (docs/cli.md).
 *
 * Ownership.  The caller gets a new reference.
 * Errors.     None: what does not read is said to be unknown.
 * Blocking.   show_whole() reads from the blob (preview.h).
 * Process.    quarantined.
 */
#ifndef QUARANTINE_SHOW_H
#define QUARANTINE_SHOW_H

#include <jansson.h>

#include "filterd/quarantine/days.h"
#include "filterd/quarantine/store.h"

json_t *show_id(uint64_t id);
json_t *show_time(int64_t s);

/* What a list shows. */
json_t *show_entry(const struct quarantine_entry *entry,
    const struct days *days);

/* And the verdict in its parts, and a preview. blob_fd -1: unreadable. */
json_t *show_whole(const struct quarantine_entry *entry,
    const struct days *days, int blob_fd);

#endif
