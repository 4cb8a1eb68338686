/* SPDX-License-Identifier: ISC */
/*
 * dkim: what keyd does with the domains' keys (ring.h): makes them, says
 * which are to be published, and signs for who shows a grant.
 *
 * Process.    keyd; child->ctx begins with struct dkim_keys.
 */
#ifndef KEYD_DKIM_H
#define KEYD_DKIM_H

#include "ipc/child.h"
#include "ipc/grant.h"
#include "keyd/ring.h"

struct dkim_keys {
	struct ring *ring;
	bool has_secret;
	unsigned char secret[GRANT_SECRET_OCTETS];
};

/* For prepare: open the keyring and read it. */
int dkim_open(struct child *child, struct err *err);

/* For start: what an operator has to know of it. */
int dkim_start(struct child *child, struct err *err);

ipc_handler dkim_on_secret, dkim_on_create, dkim_on_list, dkim_on_find,
    dkim_on_sign;

#endif
