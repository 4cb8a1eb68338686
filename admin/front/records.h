/* SPDX-License-Identifier: ISC */
/*
 * records: what the DNS should say of a domain that is served here, and
 * whether it does. Only what is true now is wanted: a service without a
 * listener is said not to be there.
 *
 * Lifetime.   Everything is in the arena given.
 * Blocking.   Never.
 * RFC.        RFC 5321 section 5 (MX), 7208 (SPF), 6376 section 3.6.2
 *             (DKIM), 7489 (DMARC), 8461 (MTA-STS), 8460 (TLSRPT), 7672 (TLSA), 6186 and 8314 (SRV).
 */
#ifndef ADMIN_FRONT_RECORDS_H
#define ADMIN_FRONT_RECORDS_H

#include "base/arena.h"
#include "base/buf.h"
#include "proto/mta_sts.h"

#define RECORDS_MAX 96
#define RECORDS_RDATA_MAX 64

enum record_kind {
	RECORD_ADDRESS,		/* of the server itself; only checked */
	RECORD_MX,
	RECORD_SPF,
	RECORD_DMARC,
	RECORD_MTA_STS,
	RECORD_TLSRPT,
	RECORD_TLSA,
	RECORD_SRV,
	RECORD_ALIAS,
	RECORD_DKIM,
};

struct record {
	enum record_kind kind;
	struct str name;	/* without the last dot */
	unsigned type;
	struct str value;	/* as a zone file writes it */
	const char *purpose;
	bool is_required;	/* mail suffers without it */
};

/* A service that SRV records can announce. */
struct records_service {
	const char *label;	/* "_imaps" */
	const char *protocol;	/* of the listener */
	const char *tls;
	uint64_t port;		/* 0: there is none */
};

/* A key of the domain's. */
struct records_key {
	struct str selector;
	struct str text;	/* of its TXT */
	bool is_needed;		/* it signs, or is about to */
};

struct records_input {
	struct str domain;
	struct str hostname;
	uint64_t web_port;	/* 0: no HTTPS */
	enum mta_sts_mode mta_sts_mode;
	const unsigned char *key_id;	/* SHA-256 of the public key, or NULL */
	size_t services_len;
	struct records_service *services;
	size_t keys_len;		/* of DKIM, to be published */
	struct records_key *keys;
};

/* All services, with port 0. */
size_t records_services(struct records_service *services, size_t max);

/* One row of hikyakud's listeners. */
void records_listener(struct records_input *input, struct str protocol,
    uint64_t port, struct str tls);

/* How many were put into records (RECORDS_MAX). */
size_t records_build(struct arena *arena, const struct records_input *input,
    struct record *records);

/* ---- judging ---- */

struct record_reply {
	uint64_t rcode;
	bool is_secure;
	bool is_bogus;
	struct str canonical;
	size_t rdata_len;
	struct str rdata[RECORDS_RDATA_MAX];
};

enum record_state {
	RECORD_OK,
	RECORD_OTHER,		/* there, and says something else: allowed */
	RECORD_MISSING,
	RECORD_DIFFERS,		/* there, and wrong: worse than missing */
	RECORD_INSECURE,	/* right, but DNSSEC does not vouch for it */
	RECORD_ERROR,		/* it cannot be told now */
};

const char *record_state_name(enum record_state state);

/* detail_r: a reason, or NULL. */
enum record_state record_judge(const struct record *record,
    const struct record_reply *reply, const char **detail_r);

#endif
