/* SPDX-License-Identifier: ISC */
/*
 * hygiene: what ingress does to a message while it streams by, before it is
 * hashed: fields that only we may write are dropped, with all their folded
 * lines, wherever they stand; every other octet passes as it came.
 *
 * Dropped: Return-Path; X-Hikyaku-Scan, -Suspicious, -Detonation and -Released;
 * Authentication-Results that claim our name, or whose name cannot be told; on
 * submission Bcc and Resent-Bcc. Noted: how many Received, the values of From, Sender, Resent-From, Resent-Sender and
 * Delivered-To, whether Date and Message-ID exist, whether TLS-Required says no.
 *
 * Lifetime.   hygiene_new() -> hygiene_feed()* -> hygiene_end() ->
 *             hygiene_free(). Notes are valid until the free.
 * Ownership.  Output goes to the callback in order; it is valid for the call.
 *             Of the body it is the caller's own memory, not a copy.
 * Units.      Octets.
 * Errors.     ERR_LIMIT: header over 2 MB, or one noted field over 256 KiB.
 *             What the callback returns is passed on and stays.
 * Blocking.   As the callback.
 * Process.    smtpd ingress.
 * RFC.        8601 section 5; 5321 section 4.4; 5322 section 3.6.3.
 */
#ifndef MAIL_HYGIENE_H
#define MAIL_HYGIENE_H

#include "mail/header.h"

#define HYGIENE_RECEIVED_MAX 30U	/* hops: more is a loop */
#define HYGIENE_NOTES_MAX 100U		/* values kept of each field */

struct hygiene;

typedef int hygiene_out(void *ctx, const void *data, size_t len,
    struct err *err);

/* Values of a field, as they came: folded, without the last line end. */
struct hygiene_note {
	struct str v[HYGIENE_NOTES_MAX];
	size_t count;		/* fields; those over 100 are not in v */
};

struct hygiene_notes {
	struct hygiene_note from;
	struct hygiene_note sender;
	struct hygiene_note resent_from;
	struct hygiene_note resent_sender;
	struct hygiene_note delivered_to;
	size_t received;
	size_t dropped;			/* fields */
	uint64_t header_octets;		/* as they came */
	bool has_date;
	bool has_message_id;
	bool has_8bit;			/* raw 8-bit in the header */
	bool has_tls_optional;		/* "TLS-Required: No" (RFC 8689) */
	bool has_end;			/* the empty line was there */
};

/* authserv_id is copied. is_submission: drop Bcc too. */
struct hygiene *hygiene_new(struct str authserv_id, bool is_submission,
    hygiene_out *out, void *ctx);
void hygiene_free(struct hygiene **hygiene);

/* The next octets of the message. */
int hygiene_feed(struct hygiene *hygiene, const void *data, size_t len,
    struct err *err);

/* The message is over: what was held back goes out. */
int hygiene_end(struct hygiene *hygiene, struct err *err);

/* Complete once the body has begun or hygiene_end() returned. */
const struct hygiene_notes *hygiene_notes(const struct hygiene *hygiene);

#endif
