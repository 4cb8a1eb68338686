/* SPDX-License-Identifier: ISC */
/*
 * build: header fields that we write. A field is written word by word; lines
 * are folded at 78 octets where a word begins. No octet of a word can end the
 * line: CR, LF, NUL and other controls become "?", so that peer text cannot
 * add a field.
 *
 * Lifetime.   build_begin() -> build_word()* -> build_end(), or one of the
 *             whole-field functions. Nothing to free.
 * Ownership.  Output is appended to the caller's buf.
 * Units.      Octets; lines end with CRLF.
 * Errors.     Those of the buf (buf_failed()).
 * Blocking.   Never.
 * RFC.        5322 section 2.1.1, 2.2.3; 5321 section 4.4; 3848; 6531
 *             section 4.3; 2047.
 */
#ifndef MAIL_BUILD_H
#define MAIL_BUILD_H

#include "mail/address.h"
#include "mail/date.h"

struct build {
	struct buf *buf;
	size_t column;
};

/* "Name:". name is ours. */
void build_begin(struct build *build, struct buf *buf, const char *name);

/* A blank and word, on a new line when it would pass column 78. Blanks in
 * word stay and are no place to fold. */
void build_word(struct build *build, struct str word);
void build_wordf(struct build *build, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* text at its blanks, each piece a word. */
void build_words(struct build *build, struct str text);

void build_end(struct build *build);

/* What a Received field says (RFC 5321 section 4.4). Empty: left out. */
struct build_received {
	struct str helo;
	struct str remote_name;		/* reverse DNS */
	struct str remote_ip;
	struct str by;
	bool is_lmtp;
	bool has_esmtp;			/* EHLO, not HELO */
	bool has_tls;
	bool has_auth;
	bool has_utf8;			/* SMTPUTF8 */
	struct str tls;			/* "TLSv1.3 with cipher X" as comment */
	struct str id;
	struct str recipient;		/* only when there is one */
	struct mail_date date;
};

void build_received(struct buf *buf, const struct build_received *received);

/* "Return-Path: <sender>"; sender without brackets, empty for <>. */
void build_return_path(struct buf *buf, struct str sender);

void build_delivered_to(struct buf *buf, struct str recipient);
void build_date(struct buf *buf, struct mail_date date);

/* "Message-ID: <unique@host>". */
void build_message_id(struct buf *buf, struct str unique, struct str host);

/* A field of plain words: ASCII or, with SMTPUTF8, UTF-8. */
void build_field(struct buf *buf, const char *name, struct str text);

/* Unstructured text in UTF-8 as encoded words where it is no ASCII. */
void build_text(struct buf *buf, const char *name, struct str text);

/* For rfc2047_encode(): write each word to the struct build ctx. */
void build_encoded_word(void *ctx, struct str word);

/* A name (UTF-8, may be empty) and an address: From and its like. */
void build_mailbox(struct build *build, struct str name, struct str address);

#endif
