/* SPDX-License-Identifier: ISC */
/*
 * keyclient: the signer (io/tls.h) of a front: signatures by keyd.
 *
 * Lifetime.   ctx of tls_new() is the link to keyd.
 * Blocking.   Never; a handshake gives up after KEY_DEADLINE_MS.
 */
#ifndef IPC_KEYCLIENT_H
#define IPC_KEYCLIENT_H

#include "io/tls.h"
#include "ipc/links.h"

#define KEY_DEADLINE_MS 20000

/* A tls_signer whose ctx is a struct ipc_link of the key table. */
void keyclient_sign(void *key_link, struct tls_sign *sign, struct str key,
    unsigned operation, struct str data);

#endif
