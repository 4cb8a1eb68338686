/* SPDX-License-Identifier: ISC */
/*
 * sasl: the lines of a SASL exchange as SMTP AUTH, IMAP AUTHENTICATE and POP3
 * AUTH carry them: base64 with a limit, "*" to give up, "=" for an empty
 * initial response. The mechanisms are authd's.
 *
 * Ownership.  Nothing kept. What is decoded may hold a password: the caller
 *             wipes its buf.
 * Units.      SASL_LINE_MAX counts the line without CRLF.
 * Blocking.   Never.
 * RFC.        RFC 4422, RFC 4954 section 4, RFC 3501 section 6.2.2,
 *             RFC 4959, RFC 5034.
 */
#ifndef PROTO_SASL_H
#define PROTO_SASL_H

#include "base/buf.h"

#define SASL_LINE_MAX 12288
#define SASL_MECHANISM_MAX 20

enum sasl_line {
	SASL_LINE_DATA,		/* decoded, maybe empty */
	SASL_LINE_CANCEL,	/* "*" */
	SASL_LINE_BAD,		/* not base64 */
	SASL_LINE_LONG,
};

/* Decode a response line into out (appended). */
enum sasl_line sasl_read_line(struct str line, struct buf *out);

/* The same for an initial response, where "=" is the empty string. */
enum sasl_line sasl_read_initial(struct str word, struct buf *out);

/* "+ " or "334 " (prefix), base64 of data, CRLF. */
void sasl_put_challenge(struct buf *out, const char *prefix, struct str data);

/* 1 to 20 of A-Z 0-9 - _ (either case). */
bool sasl_is_mechanism(struct str name);

#endif
