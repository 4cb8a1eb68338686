/* SPDX-License-Identifier: ISC */
/*
 * view: a message as readers see it: the trace, then the blob. The only way
 * to octets for BODY[], partial fetches, TOP, export and DKIM.
 *
 * Lifetime.   A value: it borrows the trace and the descriptor.
 * Ownership.  Nothing is owned; reads go to the caller's memory or arena.
 * Units.      Octets. Virtual offsets count the trace first.
 * Errors.     ERR_TEMP when reading fails; ERR_CORRUPT when the blob is
 *             shorter than it should be; ERR_LIMIT when asked for too much.
 * Blocking.   pread() of a local file.
 * Process.    Whoever holds the blob's descriptor.
 */
#ifndef MAIL_VIEW_H
#define MAIL_VIEW_H

#include "mail/scan.h"

struct mail_view {
	struct str trace;	/* lines with CRLF, may be empty */
	int fd;			/* of the blob; -1: it is in memory */
	struct str memory;
	uint64_t blob_size;
};

struct mail_view mail_view_of_fd(struct str trace, int fd,
    uint64_t blob_size);
struct mail_view mail_view_of_memory(struct str trace, struct str blob);

/* RFC822.SIZE. */
uint64_t mail_view_size(const struct mail_view *view);

/* Up to len octets from virtual offset at; *len_r is 0 at the end only. */
int mail_view_read(const struct mail_view *view, uint64_t at, void *data,
    size_t len, size_t *len_r, struct err *err);

/* The same from offset at of the blob. */
int mail_view_read_blob(const struct mail_view *view, uint64_t at,
    void *data, size_t len, size_t *len_r, struct err *err);

/* Octets of a section (summary_section()), the trace included. */
uint64_t mail_range_size(const struct mail_view *view,
    const struct mail_range *range);

/* Up to len octets of a section from its own offset at. */
int mail_range_read(const struct mail_view *view,
    const struct mail_range *range, uint64_t at, void *data, size_t len,
    size_t *len_r, struct err *err);

/* A whole section of at most max octets in the arena. */
int mail_range_str(const struct mail_view *view,
    const struct mail_range *range, struct arena *arena, size_t max,
    struct str *text_r, struct err *err);

/* Header of the whole message: trace and the blob's, with the empty line. */
int mail_view_header(const struct mail_view *view,
    const struct mail_summary *summary, struct arena *arena,
    struct str *text_r, struct err *err);

/* Feed the next at most max octets of the blob to a scanner, from where it
 * is. *is_done_r: the blob is at its end. */
int mail_view_scan(const struct mail_view *view, struct scan *scan,
    size_t max, bool *is_done_r, struct err *err);

/* Do all of summary's parts lie inside this blob? A summary that does not
 * belong to it is not to be used. */
bool mail_view_fits(const struct mail_view *view,
    const struct mail_summary *summary);

#endif
