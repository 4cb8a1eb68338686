/* SPDX-License-Identifier: ISC */
/*
 * smtp_answer: what an SMTP server says, to a client: replies and the
 * extensions it lists. The server is hostile: every length and count has a
 * bound, and what leaves here as text is one line of well-formed UTF-8
 * without control characters.
 *
 *     "250-mx\r\n250 SIZE\r\n"  code 250, two lines.
 *     "550 5.1.1 no\r\n"        code 550, enhanced "5.1.1", text "no".
 *     "550\r\n"                 code 550, no text.
 *     "550-a\r\n250 b\r\n"      SMTP_ANSWER_BAD: the code changes.
 *     "hello\r\n"               SMTP_ANSWER_BAD.
 *
 * Lifetime.   smtp_answer_init() -> smtp_answer_feed()* -> smtp_answer_fini().
 *             After SMTP_ANSWER_DONE the next feed begins the next answer.
 * Ownership.  The answer owns its text; views of it live until the next feed.
 * Units.      Octets.
 * Errors.     SMTP_ANSWER_BAD: nothing more can be understood on this
 *             connection.
 * Blocking.   Never.
 * Process.    relay.
 * RFC.        RFC 5321 section 4.2, RFC 2034, RFC 3463, RFC 1870, RFC 4954
 *             section 3, RFC 9422.
 */
#ifndef PROTO_SMTP_ANSWER_H
#define PROTO_SMTP_ANSWER_H

#include "base/buf.h"
#include "proto/smtp.h"

/* RFC 5321 section 4.5.3.1.5 says 512; servers say more. */
#define SMTP_ANSWER_LINE_MAX 2048
#define SMTP_ANSWER_LINES_MAX 200
#define SMTP_ANSWER_TEXT_MAX 16384

enum smtp_answer_result {
	SMTP_ANSWER_MORE,
	SMTP_ANSWER_DONE,
	SMTP_ANSWER_BAD,
};

struct smtp_answer {
	unsigned code;		/* 200 to 599 */
	char enhanced[12];	/* "5.1.1"; "" when none came, or another class */
	unsigned lines;
	struct buf text;	/* lines as they came, separated by LF */
	struct buf line;	/* the line that is not complete yet */
	bool is_done;
};

void smtp_answer_init(struct smtp_answer *answer);
void smtp_answer_fini(struct smtp_answer *answer);

/* Forget all: a new connection. */
void smtp_answer_reset(struct smtp_answer *answer);

/* Take *used_r octets of in, at most up to the end of one answer. */
enum smtp_answer_result smtp_answer_feed(struct smtp_answer *answer,
    struct str in, size_t *used_r);

/* "550 5.1.1 text of all lines" on one line of at most max octets. */
void smtp_answer_put(const struct smtp_answer *answer, size_t max,
    struct buf *out);

/* ---- EHLO ---- */

enum smtp_extension {
	SMTP_X_PIPELINING = 1,
	SMTP_X_SIZE = 2,
	SMTP_X_8BITMIME = 4,
	SMTP_X_SMTPUTF8 = 8,
	SMTP_X_DSN = 16,
	SMTP_X_CHUNKING = 32,
	SMTP_X_BINARYMIME = 64,
	SMTP_X_REQUIRETLS = 128,
	SMTP_X_ENHANCED = 256,
	SMTP_X_STARTTLS = 512,
	SMTP_X_AUTH = 1024,
	SMTP_X_LIMITS = 2048,
};

enum smtp_mechanism {
	SMTP_M_PLAIN = 1,
	SMTP_M_LOGIN = 2,
	SMTP_M_SCRAM_SHA_256 = 4,
};

struct smtp_caps {
	unsigned extensions;	/* enum smtp_extension */
	unsigned mechanisms;	/* enum smtp_mechanism, those we speak */
	uint64_t size_octets;	/* 0: not said, or without a limit */
	uint64_t rcpt_max;	/* LIMITS; 0: not said */
	uint64_t mail_max;
	char name[256];		/* how the server calls itself; maybe "" */
};

/* Read the text of a 250 answer to EHLO. Nonsense is passed over. */
void smtp_caps_read(struct str text, struct smtp_caps *caps_r);

#endif
