/* SPDX-License-Identifier: ISC */
/*
 * tls_int: what a conn needs of both sides of TLS.
 */
#ifndef IO_TLS_INT_H
#define IO_TLS_INT_H

#include <openssl/ssl.h>

#include "io/tls.h"
#include "io/tls_client.h"

/* An SSL for a descriptor; wake is called when a signature has come. */
SSL *tls_session(struct tls *tls, int fd, void (*wake)(void *ctx), void *ctx);

/* An SSL for a descriptor as client; ERR_NOTFOUND without a usable TLSA. */
int tls_client_session(struct tls_trust *trust,
    const struct tls_target *target, int fd, SSL **ssl_r);

/* SSL_do_handshake(), with the key methods knowing whose it is. */
int tls_handshake(SSL *ssl);

/*
 * End it. A handshake that waits for a signature cannot be freed at once: it
 * is kept until the signer has answered.
 */
void tls_session_free(SSL **ssl);

#endif
