/* SPDX-License-Identifier: ISC */
/*
 * dsn: the report that a message was not delivered, is late, or has arrived.
 *
 * The report is written in two pieces, around the returned octets, so that a
 * large message need not be in memory twice:
 *
 *     dsn_begin(&buf, &dsn);  ... the returned octets ...  dsn_end(&buf, &dsn);
 *
 * The text for people is in English and Japanese. Every octet that came from
 * a peer is kept out of the report's structure: controls become "?".
 *
 * Lifetime.   Nothing to free; the caller's strings are borrowed.
 * Units.      Wall-clock seconds.
 * Errors.     Those of the buf (buf_failed()).
 * Blocking.   Never.
 * RFC.        3461 section 6, 3464, 6522, 6533; 3834 (Auto-Submitted).
 */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include "base/buf.h"

enum dsn_action {
	DSN_FAILED,
	DSN_DELAYED,
	DSN_DELIVERED,
	DSN_RELAYED,
	DSN_EXPANDED,
};

enum dsn_return {
	DSN_RETURN_HEADER,	/* text/rfc822-headers */
	DSN_RETURN_FULL,	/* message/rfc822 */
};

struct dsn_rcpt {
	enum dsn_action action;
	struct str address;
	struct str orcpt;	/* "rfc822;a@b" (xtext), or empty */
	struct str status;	/* "5.1.1" */
	struct str remote;	/* "mx.example.org [192.0.2.1]:25", or empty */
	struct str reason;	/* SMTP reply when remote is set, else ours */
	int64_t retry_until_s;	/* of a delayed one */
};

struct dsn {
	struct str hostname;		/* who reports */
	struct str to;			/* the message's sender */
	struct str envid;		/* xtext, or empty */
	char boundary[33];		/* dsn_boundary() makes one */
	int64_t arrived_s;
	int64_t now_s;
	int zone_min;
	bool is_utf8;			/* the message needs SMTPUTF8 */
	enum dsn_return returned;
	size_t rcpts_len;
	const struct dsn_rcpt *rcpts;
};

/* A boundary that no message contains, by chance. */
void dsn_boundary(struct dsn *dsn);

/* Header, text, delivery status, and the header of the returned part. */
void dsn_begin(struct buf *buf, const struct dsn *dsn);
void dsn_end(struct buf *buf, const struct dsn *dsn);

#endif
