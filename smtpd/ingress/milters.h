/* SPDX-License-Identifier: ISC */
/*
 * milters: the mail filters of one session's listener, asked in their order.
 *
 * Story. At each step of the session (connect, HELO, MAIL, RCPT, DATA) all
 * filters that want it are asked, one after the other; the first that refuses
 * ends it. When the message is sealed and judged, each filter hears its
 * header and body, read back from the blob, and may edit it at the end: the
 * next one hears what the one before it has left. Fields added on top go to
 * the trace; any other change of header or body makes a new blob.
 *
 * The hard case: a filter that fails in the middle. It is out for the rest of
 * the session, and what happens to mail is its own setting: put off (also
 * later messages), refused, held with the reason, or accepted without it.
 *
 * Lifetime.   milters_new() -> milters_ask()* -> milters_message() ->
 *             milters_reset() -> ... -> milters_free().
 * Ownership.  The session owns it. A result is good for the call.
 * Blocking.   Reads and writes of a local file, 256 KiB at a time.
 * Process.    smtpd ingress.
 */
#ifndef INGRESS_MILTERS_H
#define INGRESS_MILTERS_H

#include "proto/milter.h"
#include "smtpd/ingress/session.h"

#define MILTERS_MAX 16	/* of one listener */

struct milters;

struct milters_result {
	unsigned code;		/* 0: go on */
	char enhanced[12];
	char text[512];
	bool is_bye;		/* the connection ends */
};

typedef void milters_done(void *ctx, const struct milters_result *result);

/* NULL: the listener has none. */
struct milters *milters_new(struct session *session);
void milters_free(struct milters **milters);

/*
 * Ask about an event before DATA's end. path: "<a@b>" of MAIL and RCPT. done
 * may be called from inside. One question at a time; milters may be NULL.
 */
void milters_ask(struct milters *milters, enum milter_event event,
    struct str path, milters_done *done, void *ctx);

/* The sealed message. done hears what the client is to hear, or 0. */
void milters_message(struct milters *milters, struct message *message,
    milters_done *done, void *ctx);

/* A filter wants the message accepted and dropped. */
bool milters_discards(const struct milters *milters);

/* Why the message is to be held; empty: it is not. */
struct str milters_quarantine(const struct milters *milters);

/* The transaction is over. No question may be under way; NULL is allowed. */
void milters_reset(struct milters *milters);

#endif
