/* SPDX-License-Identifier: ISC */
/*
 * tls_int: what conn.c needs of a TLS server side.
 */
#ifndef IO_TLS_INT_H
#define IO_TLS_INT_H

#include <openssl/ssl.h>

#include "io/tls.h"

/* An SSL for a descriptor; wake is called when a signature has come. */
SSL *tls_session(struct tls *tls, int fd, void (*wake)(void *ctx), void *ctx);

/* SSL_do_handshake(), with the key methods knowing whose it is. */
int tls_handshake(SSL *ssl);

/*
 * End it. A handshake that waits for a signature cannot be freed at once: it
 * is kept until the signer has answered.
 */
void tls_session_free(SSL **ssl);

#endif
