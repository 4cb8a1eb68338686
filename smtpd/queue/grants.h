/* SPDX-License-Identifier: ISC */
/*
 * grants: which domain a message may be signed for when it leaves: that of
 * its From, which ingress has checked to be the sender's own, when somebody
 * submitted it who had logged in. What came from elsewhere and is sent on may
 * be sealed (ARC) for the domain of our address that does so. DSNs get none.
 *
 * Lifetime.   grants_tell() each time a keyd comes.
 * Blocking.   Never.
 */
#ifndef QUEUE_GRANTS_H
#define QUEUE_GRANTS_H

#include "ipc/grant.h"
#include "ipc/ipc.h"
#include "smtpd/queue/store.h"

/* Make a secret and tell keyd. */
void grants_tell(unsigned char secret[GRANT_SECRET_OCTETS],
    struct ipc_link *keyd);

/* A grant for this item, in the arena; empty: none. via: our address that
 * sends it on, or empty. */
struct str grants_make(const unsigned char *secret, struct arena *arena,
    const struct queue_item *item, struct str via);

#endif
