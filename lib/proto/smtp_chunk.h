/* SPDX-License-Identifier: ISC */
/*
 * smtp_chunk: the octets of one message that come in BDAT chunks. Their
 * number is known, so nothing in them ends the message; but a CR or LF that
 * stands alone makes a message bad here as in DATA, unless it was declared
 * binary, since later it travels by protocols where line ends matter.
 *
 *     smtp_chunk_begin(&chunk, 1000, false);
 *     while (!smtp_chunk_next(&chunk, in, &span, &used)) ...
 *
 * Lifetime.   smtp_chunk_init() -> (smtp_chunk_begin() -> smtp_chunk_next()*
 *             until true)* until the last chunk ended.
 * Ownership.  Spans are views of the input; nothing is copied or kept.
 * Units.      Octets.
 * Errors.     In verdict; spans after the first error are empty. Results do
 *             not depend on how the input is cut.
 * Blocking.   Never.
 * Process.    smtpd ingress.
 * RFC.        RFC 3030 section 2.
 */
#ifndef PROTO_SMTP_CHUNK_H
#define PROTO_SMTP_CHUNK_H

#include "proto/smtp_data.h"

struct smtp_chunk {
	uint64_t max_octets;
	uint64_t size_octets;		/* of the message so far, at most max */
	uint64_t dropped_octets;	/* input swallowed after an error */
	uint64_t left_octets;		/* of the chunk under way */
	enum smtp_data_verdict verdict;
	bool is_binary;
	bool is_last;
	bool has_cr;			/* private: the last octet was one */
};

void smtp_chunk_init(struct smtp_chunk *chunk, uint64_t max_octets,
    bool is_binary);

/* A BDAT command. */
void smtp_chunk_begin(struct smtp_chunk *chunk, uint64_t octets,
    bool is_last);

/*
 * Consume *used_r octets of in and give what belongs to the message as
 * *span_r, which may be empty. True when the chunk is complete; a chunk
 * without octets is so at once.
 */
bool smtp_chunk_next(struct smtp_chunk *chunk, struct str in,
    struct str *span_r, size_t *used_r);

#endif
