/* SPDX-License-Identifier: ISC */
/*
 * scan: the MIME structure of a message while its octets stream by.
 *
 * It is fed in any split and gives the same summary for each. Lines end with
 * CRLF, or with a bare LF as APPEND may keep it. Nothing fails: what is
 * broken, too deep or too much becomes one opaque part
 * (application/octet-stream), and every octet belongs to the root part.
 *
 * Easy case: header lines are gathered up to the empty line, the fields give
 * the part's kind, and body lines go by until one equals an open boundary.
 * That closes all parts inside, and a new part begins with its header.
 *
 * Hard case: a line "--x" when both "x" and an outer "x--" are open. A line
 * matches a boundary when it is exactly that, with or without "--" at its
 * end and with blanks after it; the innermost open multipart is asked first.
 * A boundary that is only a prefix of the line does not match, so that
 * "--xy" is text for "x" (RFC 2046 section 5.1.1 would let either hold).
 *
 * Lifetime.   scan_new() -> scan_feed()* -> scan_end() -> scan_free().
 * Ownership.  The summary and its strings belong to the scanner.
 * Units.      Octets; see mail/summary.h.
 * Errors.     None. Limits: depth 50, parts 2,000, boundary 70 octets, header
 *             block 2 MB, 4 MB of kept header text in all.
 * Blocking.   Never. Time is linear, the stack is flat.
 * Process.    Whoever writes a blob: ingress, account process, listd.
 * RFC.        2045, 2046 section 5.1, 6532 section 3.7.
 */
#ifndef MAIL_SCAN_H
#define MAIL_SCAN_H

#include "mail/summary.h"

struct scan;

struct scan *scan_new(void);
void scan_free(struct scan **scan);

/* The next len octets of the message. */
void scan_feed(struct scan *scan, const void *data, size_t len);

/* The message is over. Call it once; valid until scan_free(). */
const struct mail_summary *scan_end(struct scan *scan);

/* Octets fed so far. */
uint64_t scan_size(const struct scan *scan);

#endif
