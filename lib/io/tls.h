/* SPDX-License-Identifier: ISC */
/*
 * tls: a server's TLS settings, whose private key lives in another process.
 *
 * The certificate chain is public and held here; each signature of a
 * handshake is asked for by the signer callback (keyd, by way of
 * ipc/keyclient.h), while the handshake waits in an OpenSSL async job, so
 * that the loop goes on.
 *
 * Lifetime.   tls_new() -> conn_start_tls()* -> tls_free(). A conn holds what
 *             it needs: tls may be freed (reload) while conns live.
 * Errors.     ERR_SYNTAX for a chain that does not parse.
 * Blocking.   Never.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "base/buf.h"

struct tls;
struct tls_sign;		/* one signature being waited for */

/*
 * Start a signature: key is the SHA-256 of the SubjectPublicKeyInfo, operation
 * as in ipc/values.h enum key_operation. Ends with tls_sign_done(), later.
 */
typedef void tls_signer(void *ctx, struct tls_sign *sign, struct str key,
    unsigned operation, struct str data);

/* The answer; signature is empty on failure. */
void tls_sign_done(struct tls_sign *sign, struct str signature);

/* chain_pem: the leaf first. */
struct tls *tls_new(struct str chain_pem, tls_signer *signer, void *ctx,
    struct err *err);
void tls_free(struct tls **tls);

/* Share: one more tls_free() is due. */
struct tls *tls_ref(struct tls *tls);

/* Key id (SHA-256 of the SubjectPublicKeyInfo) of a PEM private key's public
 * half or a certificate. */
int tls_key_id(struct str pem, bool is_private, unsigned char id_r[32],
    struct err *err);

#endif
