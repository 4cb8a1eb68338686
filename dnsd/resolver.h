/* SPDX-License-Identifier: ISC */
/*
 * resolver: libunbound in our loop. It asks the configured resolvers (or the
 * authoritative servers themselves), validates, and caches.
 *
 * Lifetime.   resolver_new() -> resolver_ask()* -> resolver_free(). The done
 *             callback is called exactly once, perhaps from inside
 *             resolver_ask(); after resolver_free() not any more.
 * Errors.     ERR_SYNTAX for settings that do not read.
 * Blocking.   Never.
 * Process.    dnsd. Settings are read before the sandbox is entered
 *             (resolver_settings_read()); libunbound starts after it.
 */
#ifndef DNSD_RESOLVER_H
#define DNSD_RESOLVER_H

#include "base/buf.h"
#include "dnsd/answer.h"
#include "io/loop.h"

#define RESOLVER_SERVERS_MAX 8
/* A file of trust anchors has at most so many octets. */
#define RESOLVER_ANCHORS_MAX 65536

struct resolver_settings {
	size_t servers_len;	/* 0: ask the authoritative servers */
	char servers[RESOLVER_SERVERS_MAX][NETADDR_TEXT_SIZE + 8];
	bool has_loopback;	/* one of them is on this machine */
	bool is_validating;
	struct buf anchors;	/* DS and DNSKEY records, one a line */
};

/*
 * servers: "address@port ..." ("root": none; empty: what /etc/resolv.conf
 * says); anchors_path: a file of DS or DNSKEY records.
 */
int resolver_settings_read(struct resolver_settings *settings,
    struct str servers, const char *anchors_path, bool is_validating,
    struct err *err);

/* The nameserver lines of a resolv.conf; others are ignored. */
void resolver_settings_conf(struct resolver_settings *settings,
    struct str conf);

struct resolver;

struct resolver *resolver_new(struct loop *loop,
    const struct resolver_settings *settings, struct err *err);
void resolver_free(struct resolver **resolver);

struct resolver_answer {
	unsigned rcode;		/* as DNS_QUERY has it */
	bool is_secure;
	bool is_bogus;
	const char *why;	/* of SERVFAIL; NULL: not known */
	const struct answer *records;	/* NULL with SERVFAIL */
};

typedef void resolver_done(void *ctx, const struct resolver_answer *answer);

/* name: text. ERR_SYNTAX: no domain name; ERR_TEMP: too many are waiting. */
int resolver_ask(struct resolver *resolver, struct str name, unsigned type,
    resolver_done *done, void *ctx, struct err *err);

#endif
