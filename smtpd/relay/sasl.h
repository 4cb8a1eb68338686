/* SPDX-License-Identifier: ISC */
/*
 * sasl: AUTH as a client, for a smart host: SCRAM-SHA-256, PLAIN, LOGIN.
 * The lines are those of SMTP AUTH (base64). SCRAM is taken where it is
 * offered: the server never sees the password and has to prove that it knew
 * it. The number of iterations a server may ask for is bounded.
 *
 * Lifetime.   sasl_new() -> sasl_first() -> sasl_step()* -> sasl_free().
 * Ownership.  user and password are borrowed and must outlive it.
 * Errors.     ERR_SYNTAX, ERR_DENIED when the server's proof is wrong,
 *             ERR_LIMIT for too many iterations.
 * Blocking.   SCRAM computes for up to some hundred milliseconds.
 * RFC.        RFC 4954, RFC 4616, RFC 5802, RFC 7677.
 */
#ifndef RELAY_SASL_H
#define RELAY_SASL_H

#include "base/buf.h"

#define SASL_ITERATIONS_MAX 200000

struct sasl;

/* mechanisms: enum smtp_mechanism of what may be used; NULL: none of them. */
struct sasl *sasl_new(unsigned mechanisms, const char *user,
    const char *password);
void sasl_free(struct sasl **sasl);

/* For tests: the client's nonce. */
void sasl_set_nonce(struct sasl *sasl, const char *nonce);

/* "SCRAM-SHA-256 biws...": what follows AUTH. */
void sasl_first(struct sasl *sasl, struct buf *out);

/* The answer to what came with 334. */
int sasl_step(struct sasl *sasl, struct str base64, struct buf *out);

/* All that the mechanism demands has happened. */
bool sasl_is_done(const struct sasl *sasl);

#endif
