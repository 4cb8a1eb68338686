/* SPDX-License-Identifier: ISC */
/*
 * verdict: what filterd says about a message: what is to be done with it, why,
 * and what is known of its sender. It travels from filterd to smtpd and to
 * the queue, is stored with the item, and header fields are rendered from it.
 *
 * On the wire: a version octet, then sections (tag, two octets of length,
 * contents); what decides comes first. A reader passes over sections it does not know and over what
 * stands behind the part of one that it knows: a newer writer may say more.
 *
 * Easy case.  { VERDICT_DELIVER } with spf=pass: deliver, add the field.
 * Hard case.  A verdict with more signatures than fit: those behind are left
 *             out, the action never is.
 *
 * Lifetime.   A value; what verdict_decode() fills in lives in the arena.
 * Ownership.  Strings are the caller's.
 * Units.      Octets.
 * Errors.     verdict_decode(): ERR_SYNTAX. Its input is hostile: filterd
 *             reads strangers' mail.
 * Blocking.   Never.
 * Process.    filterd, smtpd, queued, quarantined.
 * RFC.        RFC 8601 sections 2.2 and 2.7.
 */
#ifndef FILTER_VERDICT_H
#define FILTER_VERDICT_H

#include "base/arena.h"
#include "base/buf.h"
#include "filter/traits.h"
#include "ipc/values.h"
#include "mailauth/result.h"

#define VERDICT_OCTETS_MAX 4096U
#define VERDICT_TEXT_MAX 200U
#define VERDICT_IDENTITY_MAX 255U
#define VERDICT_AUTH_MAX 24U
#define VERDICT_TRAITS_MAX 24U
#define VERDICT_TRAITS_OCTETS_MAX 1400U	/* of the octets above */
#define VERDICT_ENGINES_MAX 4U
#define VERDICT_ENGINE_NAME_MAX 32U
#define VERDICT_SCORE_MAX 100U
#define VERDICT_PARTS_MAX 16U
#define VERDICT_PART_NAME_MAX 100U

/* Stored and sent: never renumber. */
enum verdict_action {
	VERDICT_DELIVER = 0,
	VERDICT_JUNK = 1,	/* to the mailbox for junk */
	VERDICT_QUARANTINE = 2,	/* kept until somebody lets it go */
	VERDICT_DISCARD = 3,	/* accepted and dropped */
	VERDICT_TEMPFAIL = 4,	/* 4xx to the client */
	VERDICT_REFUSE = 5,	/* 5xx to the client */
	VERDICT_DETONATE = 6,	/* opened where it can do no harm, first */
	VERDICT_ACTIONS
};

/* What was checked, and which name it is about. Never renumber. */
enum verdict_method {
	VERDICT_M_SPF_MAILFROM = 0,
	VERDICT_M_SPF_HELO = 1,
	VERDICT_M_DKIM = 2,
	VERDICT_M_DMARC = 3,
	VERDICT_M_ARC = 4,
	VERDICT_METHODS
};

/* Who decides about a message that is quarantined. Never renumber. */
enum verdict_holder {
	VERDICT_H_RECIPIENT = 0,
	VERDICT_H_ADMIN = 1,	/* of the recipient's domain, or, outgoing,
				 * of the sender's */
	VERDICT_HOLDERS
};

struct verdict_auth {
	enum verdict_method method;
	enum mailauth_result result;
	struct str identity;	/* the domain; may be empty */
	struct str selector;	/* of a signature; else empty */
	struct str signature;	/* what tells it from others: of b= */
	struct str reason;	/* may be empty */
};

/* What is odd about it (traits.h). */
struct verdict_trait {
	enum attack_trait trait;
	uint16_t part;		/* number in the summary, or ATTACK_NO_PART */
	struct str detail;	/* a file name, a host, ...; may be empty */
};

/* What one engine saw when it opened the message. */
struct verdict_engine {
	enum detonation_result result;
	unsigned score;		/* tenths of a point, of ten points */
	struct str engine;	/* its name in the configuration */
	struct str kind;	/* "virtual", "physical", ... */
	struct str name;	/* what was found; may be empty */
};

/* A part that must not be delivered. */
struct verdict_part {
	unsigned number;	/* in the message's summary */
	struct str name;	/* what was found in it */
};

struct verdict {
	enum verdict_action action;
	enum verdict_holder holder;	/* of QUARANTINE */
	unsigned code;		/* of REFUSE and TEMPFAIL: 550, 451 */
	struct str enhanced;	/* "5.7.1" */
	struct str text;	/* what the client hears */
	struct str reason;	/* for log and operator; may be empty */
	struct verdict_auth *auth;	/* by weight: the last may be left out */
	size_t auth_len;
	bool is_judged;		/* senders' identities were looked at */
	bool is_scanned;	/* its content was looked at */
	enum scan_result virus;
	struct str virus_name;	/* empty when clean */
	bool is_suspicious;
	/* By weight: the last may be left out. */
	struct verdict_trait *traits;
	size_t traits_len;
	bool has_more_traits;	/* some were left out */
	enum verdict_action when_clean;	/* of DETONATE: DELIVER or JUNK */
	bool is_detonated;	/* the queue has heard what came of it */
	enum detonation_result detonation;
	struct verdict_engine *engines;
	size_t engines_len;
	/* Not empty: all else may go its way when these are taken out. */
	struct verdict_part *parts;
	size_t parts_len;
};

/* Append at most VERDICT_OCTETS_MAX octets. Texts become one line of UTF-8. */
void verdict_encode(const struct verdict *verdict, struct buf *out);

int verdict_decode(struct str in, struct arena *arena,
    struct verdict *verdict_r, struct err *err);

/* "deliver", "junk", ... */
const char *verdict_action_name(enum verdict_action action);

/* "clean", "infected", ... */
const char *verdict_scan_name(enum scan_result result);

/* "clean", "malicious", ... */
const char *verdict_detonation_name(enum detonation_result result);

/* "spf", "dkim", ... */
const char *verdict_method_name(enum verdict_method method);

/* Does it name a part or a link that could be opened? */
bool verdict_can_be_opened(const struct verdict *verdict);

/* The names of its traits, each once: "office-macro, reply-elsewhere". */
struct str verdict_trait_names(const struct verdict *verdict,
    struct arena *arena);

/* Append X-Hikyaku-Detonation, CRLF included; nothing when nothing was
 * detonated. The other fields are in the trace already at that time. */
void verdict_put_detonation(const struct verdict *verdict, struct buf *out);

/* Append the header fields, CRLF included; nothing when nothing was judged.
 * authserv_id: our name. */
void verdict_put_fields(const struct verdict *verdict, struct str authserv_id,
    struct buf *out);

#endif
