/* SPDX-License-Identifier: ISC */
/*
 * rig: a relay in one process with a queued, a dnsd, a fetchd and mail hosts
 * that follow scripts; for tests and the fuzz target.
 *
 * A script is what one connection to a host does, a line a step:
 *
 *     S text     send text and CRLF
 *     R text     send text alone ("\r" and "\n" mean what they say)
 *     C text     wait for a line that begins with text
 *     D          wait for a message up to its lone dot; kept in rig.data
 *     B          take as many octets as the last line's BDAT said; the same
 *     T          the server's side of a TLS handshake
 *     X          close
 *     H          hang: say nothing any more
 *
 * Hosts are 127.0.0.1; nobody listens on 127.0.0.2. The zone has lines
 * "name TYPE data" (A, AAAA, MX, TXT, TLSA "3 1 1 good" or "3 1 1 bad",
 * CNAME-less); "name TYPE !" is SERVFAIL, "name TYPE -" is no data, other
 * names do not exist. A "*" after the type: the answer is secure.
 *
 * Process.    Tests only.
 */
#ifndef RELAY_RIG_H
#define RELAY_RIG_H

#include "io/tls.h"
#include "smtpd/relay/relay.h"

#define RIG_SCRIPTS_MAX 8

struct rig {
	struct str grant;		/* of the next job; or empty */
	struct relay relay;
	struct ipc_link *queued, *dnsd, *fetchd;	/* the servers' ends */
	const char *zone;
	const char *policy;		/* what fetchd gives; NULL: nothing */
	const char *const *scripts;
	unsigned sessions;		/* connections taken so far */
	unsigned fetches;
	struct buf data;		/* messages, one after another */
	struct buf said;		/* all lines that clients sent */
	struct buf results;		/* "0:sent:2.0.0 ..." */
	char reason[512];		/* the last one */
	char remote[400];
	bool has_dsn, is_done;
	uint64_t destination;
	int listen_fd;
	struct loop_fd watch;
	struct list hosts;
	struct tls *tls;
	/* In place of scripts: octets up to each 0xfe are the answer to one
	 * line; after the last one the host says no more. For fuzzing. */
	struct str chunks;
	const char *fault;		/* what a script did not expect */
};

void rig_init(struct rig *rig);
void rig_fini(struct rig *rig);

/* Hand a job to the relay: addresses separated by spaces. */
void rig_job(struct rig *rig, struct str message, const char *domain,
    const char *sender, uint64_t flags, const char *recipients);

/* Run until RELAY_DONE. */
void rig_wait(struct rig *rig);

#endif
