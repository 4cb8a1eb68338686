/* SPDX-License-Identifier: ISC */
/*
 * scan: skips the octets of a message that need no thought: text whose lines
 * all end in CRLF and none of which begins with a dot. Whole blocks of 64
 * octets at a time, so that the length of lines does not matter.
 *
 * Units.      Octets.
 * Blocking.   Never.
 */
#ifndef PROTO_SCAN_INT_H
#define PROTO_SCAN_INT_H

#include "base/str.h"

/* Where in a line we stand. */
enum scan_at {
	SCAN_TEXT,
	SCAN_BOL,		/* at the beginning of a line */
	SCAN_CR,		/* after a CR that is not bare yet */
};

/* How many octets of p may be taken as they are; moves *at over them. */
size_t scan_clean(const char *p, size_t len, enum scan_at *at);

#endif
