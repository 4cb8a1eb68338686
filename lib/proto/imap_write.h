/* SPDX-License-Identifier: ISC */
/*
 * imap_write: pieces of IMAP answers, each quoted as its grammar wants.
 *
 * Ownership.  Appends to the caller's buf.
 * Units.      Octets.
 * Errors.     buf_failed() for the writers; ERR_SYNTAX for UTF-7.
 * Blocking.   Never.
 * Process.    imapd front and engine.
 * RFC.        RFC 3501 section 9, RFC 3501 section 5.1.3 (modified UTF-7),
 *             RFC 3501 section 6.3.8 (patterns).
 */
#ifndef PROTO_IMAP_WRITE_H
#define PROTO_IMAP_WRITE_H

#include "proto/imap_parse.h"

#define IMAP_PATTERN_OCTETS_MAX 2048

/* A quoted string where it can be one, else a literal. NUL becomes "?". */
void imap_put_string(struct buf *out, struct str s);

/* An atom where it can be one, else as imap_put_string(). */
void imap_put_astring(struct buf *out, struct str s);

/* NIL when s.p is NULL, else as imap_put_string(). */
void imap_put_nstring(struct buf *out, struct str s);

/* Just "{len}" CRLF; the octets follow from elsewhere. */
void imap_put_literal_size(struct buf *out, uint64_t len);

/* A mailbox name (UTF-8) in modified UTF-7, as astring. */
void imap_put_mailbox(struct buf *out, struct str name, bool is_utf8);

/* Text of an answer for people: not printable ASCII becomes "?". */
void imap_put_text(struct buf *out, struct str s);

/* "(\Seen $Junk)"; system bits are enum imap_flag. */
void imap_put_flags(struct buf *out, const struct imap_flags *flags);

/* "17-Jul-1996 02:44:25 +0000" with the quotes. */
void imap_put_date_time(struct buf *out, int64_t date_s);

/* The label of a section in a FETCH answer: BODY[1.HEADER.FIELDS (A)]<0> */
void imap_put_section(struct buf *out, const struct imap_section *section);

/* ENVELOPE address: (name NIL local host); p == NULL is NIL. */
void imap_put_address(struct buf *out, struct str name, struct str local,
    struct str host);

/* UTF-8 (valid, else ERR_SYNTAX) to modified UTF-7. */
int imap_add_utf7(struct buf *out, struct str utf8);

/*
 * Modified UTF-7 to UTF-8. Strict: one spelling a name, so that overlong
 * forms, needless shifts, broken surrogates and NUL are ERR_SYNTAX.
 */
int imap_add_unutf7(struct buf *out, struct str utf7);

/*
 * True when name matches pattern: "*" any octets, "%" any but delimiter.
 * Time is bounded by pattern times name, whatever the pattern; one over
 * IMAP_PATTERN_OCTETS_MAX matches nothing.
 */
bool imap_match(struct str pattern, struct str name, char delimiter);

#endif
