/* SPDX-License-Identifier: ISC */
/*
 * rig: mboxd and blobd as they are, in a directory of their own, between a
 * hikyakud, directoryd, authd, queued and front that are this test.
 *
 * Lifetime.   rig_start() -> ... -> rig_stop().
 * Errors.     Trouble of the rig itself fails the test.
 */
#ifndef MBOXD_RIG_H
#define MBOXD_RIG_H

#include <openssl/evp.h>
#include <sys/types.h>

#include "base/buf.h"
#include "ipc/links.h"
#include "ipc/values.h"
#include "store/store.h"

#define RIG_QUOTA_ACCOUNT 900	/* its quota is 1000 octets */
#define RIG_NO_ACCOUNT 901	/* the directory does not know it */
#define RIG_SHUT_ACCOUNT 902	/* is not enabled */

struct rig_program {
	const char *name;
	const char *path;
	struct ipc_link *master;	/* we are its hikyakud */
	pid_t pid;
	bool is_ready;
};

struct rig {
	struct loop *loop;
	char dir[512];
	struct rig_program mboxd;
	struct rig_program blobd;
	struct ipc_link *queued;	/* to mboxd, as queued */
	struct ipc_link *authd;
	struct ipc_link *front;
	struct ipc_link *blobs;		/* to blobd, as smtpd */
	EVP_PKEY *key;
	uint64_t usage_rows;
	uint64_t changed;		/* MBOX_CHANGED pushes */
	uint64_t ended;			/* MBOX_END pushes */
	uint64_t next_serial;
};

extern struct rig rig;

/* config: lines for mboxd. */
void rig_start(const char *config);

/* Ask both to stop; they must exit with 0. The directory stays. */
void rig_stop(void);
void rig_remove(void);

/* kill -9 and a new one, as hikyakud does. */
void rig_restart(struct rig_program *program);

/* Run the loop until *what is at least want, or fail after 10 s. */
void rig_until(const uint64_t *what, uint64_t want);

/* A sealed blob: a read descriptor, size and SHA-256. */
struct rig_blob {
	int fd;
	uint64_t size;
	char sha256[32];
};
struct rig_blob rig_blob(struct str text);

/* What directoryd tells when an account has changed. */
void rig_directory_changed(uint64_t account, bool ends_sessions);

/* One MBOX_DELIVER; done when *answers grew. results may be NULL. */
struct rig_delivery {
	uint64_t *answers;
	unsigned *results;
	size_t len;
	bool has_failed;
	bool is_junk;
};
void rig_deliver(struct rig_delivery *delivery, uint64_t queue_id,
    const struct rig_blob *blob, const uint64_t *accounts, size_t len);

/* A session as a front has it. */
struct rig_session {
	struct ipc_link *link;
	int stream;
	uint64_t number;
	uint64_t account;
	uint64_t is_answered;
	int code;
	uint64_t sent;
	uint64_t got;
	uint64_t parks;			/* offers to park that were taken */
	uint64_t ends;
	bool takes_parking;
	struct buf text;		/* from the process */
	char state[8192];
	size_t state_len;
};

/* Append a signed ticket. */
void rig_ticket(struct buf *out, const char *protocol, uint64_t account,
    uint64_t session, int64_t expires_in_s);

/* MBOX_OPEN with the ticket, and the stream if let in: the code. */
int rig_session_open(struct rig_session *session, const char *protocol,
    struct str ticket, uint64_t number);

/* MBOX_RESUME with what parking left. */
int rig_session_resume(struct rig_session *session);
void rig_session_close(struct rig_session *session);

/* Send text; wait until want has come (and cut off what is before its end). */
void rig_session_say(struct rig_session *session, const char *text);
void rig_session_expect(struct rig_session *session, const char *want);

/* Messages in INBOX, with mboxd stopped; -1: no such account. */
long rig_count(uint64_t account);
long rig_count_in(uint64_t account, enum store_role role);

#endif
