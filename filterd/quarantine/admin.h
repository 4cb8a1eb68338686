/* SPDX-License-Identifier: ISC */
/*
 * admin: the verbs of `hikyaku quarantine`. Arguments and results are JSON:
 *
 *   list     domain, address, for ("admin", "user"), after
 *            -> items, next (when there are more)
 *   show     id -> item
 *   release  ids, force -> count, failed: [{id, reason}]
 *   delete   ids -> count, failed
 *   status   -> item
 *
 * Ownership.  Takes the request over.
 * Errors.     ERR_SYNTAX, ERR_NOTFOUND, ERR_DENIED, ERR_TEMP, with a text for
 *             whoever asked.
 * Blocking.   Reads of the store, and of one message to show it.
 * Process.    quarantined.
 */
#ifndef QUARANTINE_ADMIN_H
#define QUARANTINE_ADMIN_H

#include "filterd/quarantine/days.h"
#include "filterd/quarantine/release.h"
#include "filterd/quarantine/sweep.h"

struct admin_env {
	struct quarantine_store *store;
	struct days *days;
	struct sweep *sweep;
	struct release_env *release;
	struct quarantine_limits limits;
};

void quarantine_admin_run(const struct admin_env *env, struct ipc_req *req,
    struct ipc_in *in);

#endif
