/* SPDX-License-Identifier: ISC */
/*
 * relay: what all of this folder shares: the process, and the values that
 * its parts hand to each other.
 *
 *     job      recipients of one domain and a message, from queued
 *     hosts    the domain's next hops, one address at a time
 *     client   a connection to one of them, up to "ready for MAIL"
 *     tx       one transaction on a client
 *     letter   the message in the form that a hop can take
 *     signer   the signatures that go in front of it
 *     pool     clients that wait for the next job
 *     sts      MTA-STS policies of domains
 *     routes   smart host and routes of domains
 *
 * Process.    relay.
 */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "io/conn.h"
#include "io/netaddr.h"
#include "io/tls_client.h"
#include "ipc/links.h"
#include "ipc/values.h"

#define RELAY_REASON_MAX 400

struct child;
struct pool;
struct signatures;
struct sts;
struct route;

/* RFC 5321 section 4.5.3.2, threats.md section 4; milliseconds. */
struct relay_timeouts {
	uint64_t connect, greeting, hello, tls, mail, rcpt, data, block, end,
	    idle, quit;
	uint64_t job;		/* a whole job, and a second per 500 octets */
};

struct relay {
	struct child *child;		/* NULL in tests */
	struct loop *loop;
	struct ipc_link *queued, *dnsd, *fetchd;
	struct ipc_link *keyd;		/* NULL in tests */
	struct signatures *signatures;
	struct tls_trust *trust;
	const char *hostname;
	uint16_t port;
	bool allow_private;
	struct relay_timeouts timeouts;
	const struct route *routes;	/* the last one: the smart host */
	size_t routes_len;
	struct pool *pool;
	struct sts *sts;
	struct list byes;		/* connections that hear QUIT */
	struct list jobs;
	size_t jobs_len;
	uint64_t tls_failures;		/* since the start, for TLSRPT */
	bool is_stopping;
	void (*on_quiet)(struct relay *relay);	/* the last job is over */
};

/* What became of something, in the words of RELAY_RESULT. */
struct verdict {
	enum relay_result result;
	char status[12];
	char reason[RELAY_REASON_MAX + 1];
};

void verdict_set(struct verdict *verdict, enum relay_result result,
    const char *status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* What a connection must be. */
enum hop_tls {
	HOP_TLS_NONE,		/* plain text: TLS has failed before */
	HOP_TLS_MAY,		/* opportunistic */
	HOP_TLS_ENCRYPT,	/* TLS, whoever it is */
	HOP_TLS_NAME,		/* TLS, certificate for the host's name */
	HOP_TLS_DANE,		/* TLS, TLSA records decide */
};

/* One address of one next hop, and what is asked of it. */
struct hop {
	struct str host;
	struct netaddr address;
	uint16_t port;
	enum hop_tls tls;
	bool is_implicit;	/* TLS from the first octet */
	/* The name came from DNSSEC, MTA-STS or our configuration. */
	bool is_name_trusted;
	bool is_testing;	/* MTA-STS: report only */
	const char *policy;	/* "none", "dane", "sts", "config": for logs */
	struct str other_name;	/* DANE-TA: the domain itself will do */
	struct tls_tlsa *tlsa;
	size_t tlsa_len;
	const char *user, *password;	/* NULL: no AUTH */
	uint64_t queue_id;	/* whose attempt it is, for the log */
};

/* "mx.example.org [192.0.2.1]:25" */
#define HOP_TEXT_SIZE 340
void hop_text(const struct hop *hop, char text_r[HOP_TEXT_SIZE]);

#endif
