/* SPDX-License-Identifier: ISC */
/*
 * dnstext: records as a zone file writes them (RFC 1035 section 5.1).
 *
 * Ownership.  Text is appended to the caller's buf.
 * Blocking.   Never.
 */
#ifndef ADMIN_FRONT_DNSTEXT_H
#define ADMIN_FRONT_DNSTEXT_H

#include "base/buf.h"

/* "MX", "mx" or "15"; 0: neither. */
unsigned dns_type_of(struct str text);

/* "MX", or "TYPE65280" (RFC 3597 section 5). */
void dns_put_type(struct buf *out, unsigned type);

/* Rdata as text; what does not decode as RFC 3597 writes unknown types. */
void dns_put_rdata(struct buf *out, unsigned type, struct str rdata);

/* Text as strings in quotes of at most 255 octets each. */
void dns_put_txt(struct buf *out, struct str text);

#endif
