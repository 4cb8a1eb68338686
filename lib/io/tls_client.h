/* SPDX-License-Identifier: ISC */
/*
 * tls_client: TLS as a client: who is believed, and what is asked of a server.
 *
 *     none  whatever certificate comes (opportunistic TLS); whether it would
 *           have been good is told afterwards
 *     name  a chain to a trusted authority, for that name (RFC 9525)
 *     dane  TLSA records of the server decide (RFC 6698, RFC 7671, RFC 7672);
 *           no authority is needed
 *
 * A handshake that does not meet what is asked ends the conn with CONN_ERROR.
 *
 * Lifetime.   tls_trust_new() -> conn_start_tls_client()* -> tls_trust_free().
 *             Conns hold what they need.
 * Ownership.  Targets are copied before return.
 * Errors.     ERR_SYNTAX for authorities that do not parse; ERR_NOTFOUND when
 *             no TLSA record is usable.
 * Blocking.   Never: authorities are given as text, no file is opened later.
 */
#ifndef IO_TLS_CLIENT_H
#define IO_TLS_CLIENT_H

#include "base/str.h"

struct tls_trust;

enum tls_verify { TLS_VERIFY_NONE, TLS_VERIFY_NAME, TLS_VERIFY_DANE };

/* RFC 6698 section 2.1. */
struct tls_tlsa {
	uint8_t usage;
	uint8_t selector;
	uint8_t type;
	struct str data;
};

struct tls_target {
	enum tls_verify verify;
	const char *name;	/* SNI and what is verified; NULL: neither */
	const char *other_name;	/* dane: this name will do as well; or NULL */
	const struct tls_tlsa *tlsa;
	size_t tlsa_len;
};

/* ca_pem: certificates of the authorities one trusts, maybe none. */
struct tls_trust *tls_trust_new(struct str ca_pem, struct err *err);
void tls_trust_free(struct tls_trust **trust);

/* May SMTP use this record (RFC 7672 section 3.1): DANE-TA or DANE-EE with a
 * known selector and type, and data of the right length. */
bool tls_tlsa_is_usable(const struct tls_tlsa *tlsa);

#endif
