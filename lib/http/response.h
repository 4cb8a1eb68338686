/* SPDX-License-Identifier: ISC */
/*
 * response: an answer, with the fields that every answer of ours carries: no
 * sniffing, no framing, no scripts, no referrer.
 *
 * Ownership.  Text is appended to the caller's buf.
 * Blocking.   Never.
 * RFC.        RFC 9112 section 4; RFC 9110 sections 6.6.1, 8.6.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include "base/buf.h"

struct http_response {
	unsigned status;
	const char *content_type;	/* NULL: text/plain */
	const char *fields;	/* more of them, each with CRLF; may be NULL */
	struct str body;	/* empty with an error: its reason is said */
	bool is_head;		/* HEAD: the length, not the body */
	bool keeps_alive;
};

/* "Not Found"; "Error" for a status that is not ours. */
const char *http_reason(unsigned status);

void http_put_response(struct buf *out, const struct http_response *response);

#endif
