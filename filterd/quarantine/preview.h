/* SPDX-License-Identifier: ISC */
/*
 * preview: what a message says, as text that does nothing: decoded, HTML
 * without its tags, control characters gone, cut. Nothing of it is fetched.
 *
 * Ownership.  Texts live in the arena.
 * Units.      Octets.
 * Errors.     None: what cannot be read is empty.
 * Blocking.   Reads at most PREVIEW_READ_MAX octets of the blob, and
 *             PREVIEW_SCAN_MAX when its summary is missing.
 * Process.    quarantined.
 */
#ifndef QUARANTINE_PREVIEW_H
#define QUARANTINE_PREVIEW_H

#include "filterd/quarantine/store.h"

#define PREVIEW_OCTETS 4000U
#define PREVIEW_READ_MAX (256U << 10)
#define PREVIEW_SCAN_MAX (4U << 20)
#define PREVIEW_NAMES_MAX 50U

struct preview {
	struct str text;
	bool is_cut;
	struct str *names;	/* of the parts that have one */
	size_t names_len;
};

/* entry was read whole. */
struct preview preview_read(const struct quarantine_entry *entry,
    int blob_fd, struct arena *arena);

#endif
