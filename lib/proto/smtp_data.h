/* SPDX-License-Identifier: ISC */
/*
 * smtp_data: takes the body out of the octets that follow DATA. Only
 * CR LF "." CR LF ends it. A CR or LF that stands alone makes the body bad:
 * what follows is swallowed up to that strict end, so that nothing in it is
 * ever run as a command, whatever another server makes of it.
 *
 *     "a\r\n..b\r\n.\r\n"    spans "a\r\n", ".b\r\n"; SMTP_DATA_END, OK.
 *     "a\n.\nMAIL ...\r\n.\r\n"  span "a"; is_bad from the LF on;
 *                            SMTP_DATA_END with SMTP_DATA_BAD_LINE_END.
 *
 * Lifetime.   smtp_data_init() -> smtp_data_next()* until SMTP_DATA_END.
 * Ownership.  Spans are views of the input; nothing is copied or kept.
 * Units.      Octets of the body as stored: stuffed dots not counted.
 * Errors.     In verdict; spans after the first error are empty. Results do
 *             not depend on how the input is cut.
 * Blocking.   Never.
 * Process.    smtpd ingress.
 * RFC.        RFC 5321 section 4.5.2, RFC 5321 section 4.1.1.4.
 */
#ifndef PROTO_SMTP_DATA_H
#define PROTO_SMTP_DATA_H

#include "base/str.h"

enum smtp_data_verdict {
	SMTP_DATA_OK,
	SMTP_DATA_BAD_LINE_END,		/* a bare CR or LF */
	SMTP_DATA_TOO_BIG,		/* over max_octets */
};

enum smtp_data_result {
	SMTP_DATA_MORE,			/* go on with the rest of the input */
	SMTP_DATA_END,			/* the end was consumed */
};

struct smtp_data {
	uint64_t max_octets;
	uint64_t size_octets;		/* body octets so far, at most max */
	uint64_t dropped_octets;	/* input swallowed after an error */
	enum smtp_data_verdict verdict;
	unsigned char state;		/* private */
};

void smtp_data_init(struct smtp_data *data, uint64_t max_octets);

/*
 * Consume *used_r octets of in (at least one when there are any) and give the
 * body octets among them as *span_r, which may be empty. Call again with the
 * rest until all is used or it says SMTP_DATA_END.
 */
enum smtp_data_result smtp_data_next(struct smtp_data *data, struct str in,
    struct str *span_r, size_t *used_r);

#endif
