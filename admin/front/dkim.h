/* SPDX-License-Identifier: ISC */
/*
 * dkim: the verbs of `hikyaku dkim`, and the records of a domain's keys.
 *
 *   create   a domain's first keys; they sign at once
 *   rotate   new ones, which sign when the DNS has had time to tell of them
 *   show     what is to be published
 *
 * Lifetime.   dkim_run() takes the request over and answers it exactly once.
 *             A key that was made stays when a second one cannot be.
 * Errors.     Answers with the code of what failed.
 * Blocking.   Never; each question has a deadline.
 * Process.    admind.
 */
#ifndef ADMIN_FRONT_DKIM_H
#define ADMIN_FRONT_DKIM_H

#include <jansson.h>

#include "ipc/child.h"

#define DKIM_ADMIN_KEYS_MAX 64U

/* One key of KEY_DKIM_LIST's answer. */
struct dkim_admin_key {
	struct str selector;
	const char *algorithm;		/* "rsa", "ed25519" */
	int64_t made_s, active_s, until_s;
	bool is_signing;
	struct str record;
};

/* The rest of the answer, as views into it; how many. */
size_t dkim_read_keys(struct ipc_in *in, struct dkim_admin_key *keys_r,
    size_t max);

void dkim_run(struct child *child, struct ipc_req *req, const char *verb,
    const json_t *args);

#endif
