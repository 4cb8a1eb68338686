/* SPDX-License-Identifier: ISC */
/*
 * dns: the verbs of `hikyaku dns` and `hikyaku https`.
 *
 *   lookup   one question to dnsd and its answer as text
 *   get      one document by way of fetchd
 *   show     the records a domain should have
 *   check    the same, and what the DNS says of each
 *
 * Lifetime.   dns_run() takes the request over and answers it exactly once.
 * Errors.     Answers with the code of what failed.
 * Blocking.   Never; each question has a deadline.
 * Process.    admind.
 */
#ifndef ADMIN_FRONT_DNS_H
#define ADMIN_FRONT_DNS_H

#include <jansson.h>

#include "ipc/child.h"

/* admind's own, as child->ctx begins. */
struct dns_admin {
	bool has_key;
	unsigned char key_id[32];	/* SHA-256 of the server's public key */
};

void dns_run(struct child *child, struct ipc_req *req, const char *verb,
    const json_t *args);

/* zone.c: show, and check. */
void zone_run(struct child *child, struct ipc_req *req, const json_t *args,
    bool is_check);

#endif
