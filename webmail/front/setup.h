/* SPDX-License-Identifier: ISC */
/*
 * setup: what mail programs and other servers ask a web server for: how to
 * reach the mailboxes, and the MTA-STS policy. What is answered depends on
 * the domain alone, never on whether the user exists.
 *
 * Ownership.  Text is appended to the caller's buf; results are in the arena.
 * Errors.     ERR_SYNTAX, ERR_NOTFOUND: the request names no domain.
 * Blocking.   Never.
 * Spec.       Thunderbird autoconfig (clientConfig 1.1); [MS-OXDSCLI] (POX,
 *             Outlook 2007 and later) and autodiscover.json; Apple
 *             configuration profiles (com.apple.mail.managed); RFC 8461
 *             section 3.2.
 */
#ifndef WEBMAIL_FRONT_SETUP_H
#define WEBMAIL_FRONT_SETUP_H

#include "http/request.h"
#include "http/response.h"
#include "http/route.h"
#include "proto/mta_sts.h"

#define SETUP_SERVICES_MAX 16

enum setup_kind { SETUP_IMAP, SETUP_POP3, SETUP_SMTP, SETUP_KINDS };

struct setup_service {
	enum setup_kind kind;
	uint16_t port;
	bool is_implicit;	/* TLS from the first octet; else STARTTLS */
};

struct setup {
	struct str hostname;
	size_t services_len;
	/* by kind, implicit TLS first */
	struct setup_service services[SETUP_SERVICES_MAX];
	enum mta_sts_mode mta_sts_mode;
};

/* A listener as hikyakud knows it; those without TLS are left out. */
void setup_add(struct setup *setup, struct str protocol, uint64_t port,
    struct str tls);

/* What a request is about. */
struct setup_subject {
	struct str address;	/* canonical; empty: only the domain is known */
	struct str domain;
	bool wants_other;	/* autodiscover for another schema */
};

struct setup_page {
	/* Whom it is about. A failure is answered with `missing`. */
	int (*read)(struct arena *arena, const struct http_request *request,
	    struct setup_subject *subject_r, struct err *err);
	/* The document for a domain that is served here. */
	void (*put)(const struct setup *setup,
	    const struct setup_subject *subject, struct buf *out);
	/* For what is not served here; NULL: 404. */
	void (*put_unknown)(struct buf *out);
	const char *content_type;
	const char *fields;	/* more header fields; may be NULL */
	unsigned missing;	/* status */
};

/* Handlers are struct setup_page. */
extern const struct http_route setup_routes[];

#endif
