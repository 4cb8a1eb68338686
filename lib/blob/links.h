/* SPDX-License-Identifier: ISC */
/*
 * links: a holder's own folder of links (blob/layout.h). blobd makes the links;
 * the holder makes the sub-folders beforehand, opens and removes links.
 *
 * Lifetime.   A value: blob_links_init(), then anything.
 * Ownership.  The descriptor of the holder's folder stays the caller's.
 * Errors.     ERR_LIMIT: the disk is full; ERR_TEMP.
 * Blocking.   Local file calls; blob_links_sweep() reads the whole folder.
 * Process.    queued, quarantined.
 */
#ifndef BLOB_LINKS_H
#define BLOB_LINKS_H

#include "base/err.h"
#include "base/str.h"

struct blob_links {
	int dir_fd;
	uint64_t made_dir;	/* newest b/N that is there, plus 1 */
};

void blob_links_init(struct blob_links *links, int dir_fd);

/* The sub-folder that blobd will link id into. */
int blob_links_prepare(struct blob_links *links, uint64_t id,
    struct err *err);

/* The blob of id, read-only. ERR_NOTFOUND. */
int blob_links_open(const struct blob_links *links, uint64_t id,
    struct err *err);

void blob_links_remove(const struct blob_links *links, uint64_t id);

/* Remove the links that no row holds, such as a crash leaves; how many. */
size_t blob_links_sweep(const struct blob_links *links,
    bool (*is_held)(void *ctx, uint64_t id), void *ctx);

#endif
