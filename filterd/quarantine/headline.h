/* SPDX-License-Identifier: ISC */
/*
 * headline: what a list shows of a message: From, Subject and Date, decoded,
 * on one line each, without what commands a terminal.
 *
 * Ownership.  Texts live in the arena.
 * Errors.     ERR_TEMP: the blob cannot be read. A field that is not there, or
 *             makes no sense, is empty.
 * Blocking.   Reads up to 64 KiB of the blob.
 * Process.    quarantined.
 * RFC.        5322 section 3.6; 2047.
 */
#ifndef QUARANTINE_HEADLINE_H
#define QUARANTINE_HEADLINE_H

#include "filterd/quarantine/store.h"

/* Fill in from, subject and date. */
int headline_read(struct quarantine_entry *entry, int blob_fd,
    struct arena *arena, struct err *err);

/* UTF-8 for people: control characters and those that turn the direction of
 * text go, line ends stay; cut after max octets, not within a character. */
struct str headline_clean(struct str text, size_t max, struct arena *arena);

#endif
