/* SPDX-License-Identifier: ISC */
/*
 * ticket: authd's word that somebody has logged in. A front shows it to mboxd
 * to have a session opened, so that a broken front cannot open the accounts of
 * people who did not log in through it.
 *
 * A ticket is: version, account, when it was issued and when it expires, the
 * front's session number, a serial number (random, so that a ticket can be
 * told from every other and is good once), protocol, user; then an Ed25519
 * signature of all that. It is no secret worth keeping after its minute.
 *
 * Lifetime.   ticket_key_new() once in authd, which tells the public half to
 *             mboxd; ticket_sign() -> ticket_read() within TICKET_LIFE_S.
 * Ownership.  Strings of a read ticket are views into its octets.
 * Units.      Seconds of the wall clock.
 * Errors.     ERR_SYNTAX: no ticket of this version. ERR_DENIED: the signature
 *             is not of this key. Expiry, protocol and single use are the
 *             reader's to check.
 * Blocking.   Never.
 * Process.    authd signs, mboxd's broker reads.
 * RFC.        8032 (Ed25519).
 */
#ifndef IPC_TICKET_H
#define IPC_TICKET_H

#include <openssl/evp.h>

#include "base/buf.h"

#define TICKET_LIFE_S 60
#define TICKET_MAX 1024
#define TICKET_KEY_OCTETS 32

struct ticket {
	uint64_t account;
	int64_t issued_s;
	int64_t expires_s;
	uint64_t session;
	uint64_t serial;
	struct str protocol;	/* "imap", "pop3": at most 32 octets */
	struct str user;	/* who logged in: at most 512 octets */
};

/* A new key pair; free with EVP_PKEY_free(). NULL: ERR_TEMP. */
EVP_PKEY *ticket_key_new(struct err *err);

/* Its public half: what MBOX_TICKET_KEY tells. */
int ticket_key_public(EVP_PKEY *key, unsigned char public_r[TICKET_KEY_OCTETS],
    struct err *err);

/* The key for ticket_read() from the public half. NULL: ERR_SYNTAX. */
EVP_PKEY *ticket_key_of(struct str public_half, struct err *err);

/* Append the signed ticket. ERR_LIMIT: a string is too long. */
int ticket_sign(const struct ticket *ticket, EVP_PKEY *key, struct buf *out,
    struct err *err);

/* Read and verify. */
int ticket_read(struct str octets, EVP_PKEY *key, struct ticket *ticket_r,
    struct err *err);

#endif
