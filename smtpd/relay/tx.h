/* SPDX-License-Identifier: ISC */
/*
 * tx: one transaction: MAIL, RCPT, DATA or BDAT, and what became of each
 * recipient.
 *
 * Easy case: MAIL and all RCPTs at once where the hop pipelines, 250 for all,
 * DATA, 354, the letter, 250: each recipient is sent.
 *
 * Hard case: the connection is lost after the final dot. The hop may have the
 * message or not; the recipients are tried again, since a doubled message is
 * better than a lost one. A connection from the pool that ends before MAIL is
 * answered was closed for idleness: TX_STALE, and nothing has been tried.
 *
 * Lifetime.   tx_new() -> done, once -> tx_free(). Before done, free the
 *             client first: in the middle of a transaction it is of no use.
 * Ownership.  The client is borrowed until done; recipients and letter
 *             outlive the tx.
 * Errors.     In verdicts; those that are left alone are to be tried
 *             elsewhere or later.
 * Blocking.   Never, but for reading the letter.
 * RFC.        RFC 5321 sections 3.3, 4.5.3.1.10; RFC 1870; RFC 2920;
 *             RFC 3030; RFC 3461; RFC 6152; RFC 6531; RFC 8689; RFC 9422.
 */
#ifndef RELAY_TX_H
#define RELAY_TX_H

#include "smtpd/relay/client.h"
#include "smtpd/relay/letter.h"
#include "smtpd/relay/signer.h"

#define TX_RCPTS_MAX 100

/* One recipient of a job. */
struct rcpt {
	uint64_t n;
	struct str address;
	struct str ascii;	/* with the domain in A-labels; empty: cannot */
	unsigned notify;	/* enum queue_notify */
	struct str orcpt;	/* xtext, as it came */
	bool has_verdict;
	bool is_final;		/* sent or failed: not to be tried again */
	bool has_dsn;
	bool is_reported;
	struct verdict verdict;
	const char *remote;
};

/* What all transactions of a job share. */
struct tx_mail {
	struct str sender;	/* empty: <> */
	struct str sender_ascii;
	struct str envid;	/* xtext, as it came */
	struct letter *letter;
	struct signer *signer;	/* NULL: it is not to be signed */
};

enum tx_end {
	TX_OK,			/* the client can take another one */
	TX_CLOSED,		/* the client is over */
	TX_BUSY,		/* the same, it said 421 */
	TX_STALE,		/* the same, before it had heard of this one */
};

struct tx;

typedef void tx_done(void *ctx, enum tx_end end,
    const struct verdict *verdict);

struct tx *tx_new(struct relay *relay, struct client *client,
    const struct tx_mail *mail, struct rcpt **rcpts, size_t rcpts_len,
    tx_done *done, void *ctx);
void tx_free(struct tx **tx);

/* Recipients that one transaction with this hop may have. */
size_t tx_rcpts_max(const struct client *client);

#endif
