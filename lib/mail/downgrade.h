/* SPDX-License-Identifier: ISC */
/*
 * downgrade: a message in a form that a stricter next hop takes: without
 * octets over 127, or without what only BINARYMIME may carry (NUL, a bare CR
 * or LF, lines over 998 octets).
 *
 * Only leaves that need it are recoded, as quoted-printable or base64, and
 * their Content-Transfer-Encoding is replaced; multipart and message/rfc822
 * stay structure and are relabelled. The decoded content of every leaf stays
 * the same, octet for octet. Header fields are not touched otherwise.
 *
 * Easy case: one text part, 8bit: the same header with quoted-printable, the
 * body encoded. Hard case: a message/partial with 8-bit octets, or a part
 * nested too deeply to be looked into: it must not be encoded (RFC 2045
 * section 6.4), so the message cannot be sent: DOWNGRADE_IMPOSSIBLE.
 *
 * Lifetime.   downgrade_new() -> downgrade_prepare()* until READY ->
 *             downgrade_read()* -> downgrade_free(). downgrade_rewind() reads
 *             once more.
 * Ownership.  The view's trace and descriptor outlive it.
 * Units.      Octets; a step reads about so many.
 * Errors.     Those of the view.
 * Blocking.   pread() of a local file.
 * RFC.        2045 section 6; 6152 section 3; 3030 section 3; 1428.
 */
#ifndef MAIL_DOWNGRADE_H
#define MAIL_DOWNGRADE_H

#include "mail/view.h"

#define DOWNGRADE_LINE_MAX 998U

enum downgrade_to {
	DOWNGRADE_7BIT,		/* for a hop without 8BITMIME */
	DOWNGRADE_8BIT,		/* for a hop without BINARYMIME */
};

enum downgrade_result {
	DOWNGRADE_MORE,		/* call again */
	DOWNGRADE_READY,
	DOWNGRADE_IMPOSSIBLE,
	DOWNGRADE_FAILED,	/* err tells */
};

struct downgrade;

struct downgrade *downgrade_new(const struct mail_view *view,
    enum downgrade_to to);
void downgrade_free(struct downgrade **downgrade);

/* Read about max octets more and find out what has to change. */
enum downgrade_result downgrade_prepare(struct downgrade *downgrade,
    size_t max, struct err *err);

/* When READY or IMPOSSIBLE: some header, also of a part, has octets over
 * 127: it needs SMTPUTF8 (RFC 6532). */
bool downgrade_has_utf8_header(const struct downgrade *downgrade);

/* Append about max octets of the message, the trace first. */
int downgrade_read(struct downgrade *downgrade, size_t max, struct buf *out,
    bool *is_end_r, struct err *err);

void downgrade_rewind(struct downgrade *downgrade);

#endif
