/* SPDX-License-Identifier: ISC */
/*
 * smtp: command lines of an SMTP or LMTP client to structs, and replies to
 * octets. Order, state and policy are the caller's.
 *
 * Lifetime.   Views in struct smtp_command live as long as the line.
 * Ownership.  Nothing is allocated.
 * Units.      Octets; a line comes without its CRLF (see proto/line.h).
 * Errors.     ERR_SYNTAX or ERR_LIMIT, with the reply to give in struct
 *             smtp_refusal.
 * Blocking.   Never.
 * Process.    smtpd ingress.
 * RFC.        RFC 5321 section 4.1, RFC 1870, RFC 6152, RFC 3207, RFC 4954,
 *             RFC 3030, RFC 2033, RFC 2034, RFC 6531 (SMTPUTF8 as unknown
 *             parameter).
 */
#ifndef PROTO_SMTP_H
#define PROTO_SMTP_H

#include "base/buf.h"

#define SMTP_LINE_MAX 4096
#define SMTP_AUTH_LINE_MAX 12288
#define SMTP_PARAMS_MAX 16

enum smtp_verb {
	SMTP_EHLO, SMTP_HELO, SMTP_LHLO, SMTP_MAIL, SMTP_RCPT, SMTP_DATA,
	SMTP_BDAT, SMTP_RSET, SMTP_NOOP, SMTP_QUIT, SMTP_VRFY, SMTP_EXPN,
	SMTP_HELP, SMTP_STARTTLS, SMTP_AUTH,
	SMTP_VERB_COUNT
};

enum smtp_body {
	SMTP_BODY_NONE,		/* not said: 7BIT */
	SMTP_BODY_7BIT,
	SMTP_BODY_8BITMIME,
	SMTP_BODY_BINARYMIME,
};

/* A parameter of MAIL or RCPT that is not decoded below. */
struct smtp_param {
	struct str name;
	struct str value;	/* p == NULL: without "=" */
};

struct smtp_command {
	enum smtp_verb verb;
	/*
	 * EHLO, HELO, LHLO: the name; AUTH: the mechanism; VRFY, EXPN, HELP,
	 * NOOP: the rest of the line.
	 */
	struct str arg;
	/*
	 * MAIL, RCPT: what stands between < and >, unparsed, without a source
	 * route; empty for <>. "postmaster" without a domain comes as such.
	 */
	struct str path;
	bool has_size;
	uint64_t size_octets;		/* MAIL SIZE= */
	enum smtp_body body;		/* MAIL BODY= */
	bool has_auth;
	struct str auth;		/* MAIL AUTH=, xtext as sent */
	struct smtp_param params[SMTP_PARAMS_MAX];	/* the others */
	size_t n_params;
	bool has_initial;		/* AUTH: an initial response came */
	struct str initial;		/* base64, or "=" for empty */
	uint64_t chunk_octets;		/* BDAT */
	bool is_last;			/* BDAT LAST */
};

/* How to say no. The texts are constants. */
struct smtp_refusal {
	unsigned code;
	const char *enhanced;		/* "5.5.4" */
	const char *text;
	size_t offset;			/* octet of the line */
};

/*
 * Parse one line. A line over SMTP_LINE_MAX is refused unless it is AUTH
 * (then SMTP_AUTH_LINE_MAX).
 */
int smtp_parse(struct str line, struct smtp_command *cmd_r,
    struct smtp_refusal *refusal_r);

/* "MAIL"; never NULL. */
const char *smtp_verb_name(enum smtp_verb verb);

/* Decode xtext (RFC 3461 section 4); ERR_SYNTAX and nothing added. */
int smtp_add_unxtext(struct buf *out, struct str xtext);

/*
 * Write a reply. text may hold several lines separated by LF; anything that
 * is not printable ASCII becomes "?", and lines over 512 octets are split, so
 * that nothing in text can forge a reply. enhanced may be NULL.
 */
void smtp_put_reply(struct buf *out, unsigned code, const char *enhanced,
    struct str text);

/* One line of a reply that goes on unless is_last (EHLO, LMTP). */
void smtp_put_line(struct buf *out, unsigned code, bool is_last,
    struct str text);

/* Any text as one line of UTF-8 of at most max octets. */
void smtp_put_one_line(struct buf *out, struct str text, size_t max);

#endif
