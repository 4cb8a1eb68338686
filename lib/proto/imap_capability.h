/* SPDX-License-Identifier: ISC */
/*
 * imap_capability: what the server says it can do, by state, in one place
 * for the front (greeting, before login, the answer to login) and the engine.
 *
 * RFC.        RFC 3501 section 7.2.1. Each word stands for what is served:
 *             RFC 2177 (IDLE), 2342 (NAMESPACE), 2971 (ID), 3348 (CHILDREN),
 *             3691 (UNSELECT), 4315 (UIDPLUS), 4959 (SASL-IR), 6154
 *             (SPECIAL-USE, CREATE-SPECIAL-USE), 6851 (MOVE), 7888
 *             (LITERAL+).
 */
#ifndef PROTO_IMAP_CAPABILITY_H
#define PROTO_IMAP_CAPABILITY_H

/* Before login; STARTTLS, LOGINDISABLED and AUTH= are the front's to add. */
#define IMAP_CAPABILITY_FRONT "IMAP4rev1 LITERAL+ SASL-IR ID IDLE"

/* After login. */
#define IMAP_CAPABILITY_SESSION \
	IMAP_CAPABILITY_FRONT " NAMESPACE UIDPLUS MOVE SPECIAL-USE" \
	" CREATE-SPECIAL-USE CHILDREN UNSELECT"

#endif
