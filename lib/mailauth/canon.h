/* SPDX-License-Identifier: ISC */
/*
 * canon: the two forms in which DKIM and ARC hash a message, so that small
 * changes on its way do no harm.
 *
 * The body is a stream: pieces of any size go in, its canonical octets come
 * out. What could still turn out to be dropped at the end of a line or of the
 * body is held back as a count, never as octets, so that a body of 50 MB of
 * empty lines costs nothing.
 *
 * Easy case: "a \r\n\r\n" is "a\r\n" when relaxed and "a \r\n" when simple.
 * Hard case: "a" in one piece, "\r" in the next, "x" in the third: the CR was
 * no line end and comes out as it is.
 *
 * Lifetime.   canon_body_init() -> canon_body_feed()* -> canon_body_end().
 *             Nothing to free.
 * Ownership.  Output is valid during the callback.
 * Units.      Octets. Lines end with CRLF; a CR or LF alone is an octet of
 *             the line.
 * Errors.     None; those of the buf for header fields.
 * Blocking.   Never. Time is linear in the input.
 * RFC.        6376 section 3.4.
 */
#ifndef MAILAUTH_CANON_H
#define MAILAUTH_CANON_H

#include "base/buf.h"

enum canon {
	CANON_SIMPLE,
	CANON_RELAXED,
};

typedef void canon_out(void *ctx, const void *data, size_t len);

#define CANON_STAGE 512U

struct canon_body {
	enum canon canon;
	canon_out *out;
	void *ctx;
	uint64_t crlfs;		/* line ends held back */
	bool has_blank;		/* blanks held back (relaxed) */
	bool has_cr;		/* a CR held back */
	bool has_content;
	size_t staged;
	char stage[CANON_STAGE];
};

void canon_body_init(struct canon_body *body, enum canon canon,
    canon_out *out, void *ctx);
void canon_body_feed(struct canon_body *body, const void *data, size_t len);

/* The body is over: its last line end comes out. */
void canon_body_end(struct canon_body *body);

/*
 * Append a header field. raw is the whole field with its line ends, as
 * mail/header.h cuts it; the result ends with CRLF.
 */
void canon_header(struct buf *buf, enum canon canon, struct str raw);

/* "simple" or "relaxed", in any case; ERR_SYNTAX. */
int canon_of(struct str name, enum canon *canon_r);

#endif
