/* SPDX-License-Identifier: ISC */
/*
 * admin: what `hikyaku queue` asks: list, show, hold, release, flush, delete.
 * Arguments and results are JSON objects (docs/cli.md).
 *
 * Errors.     ERR_NOTFOUND, ERR_SYNTAX, ERR_TEMP through the reply.
 * Blocking.   Reads the database, a page of a list at a time.
 */
#ifndef QUEUE_ADMIN_H
#define QUEUE_ADMIN_H

#include "smtpd/queue/schedule.h"

struct queue_admin {
	struct queue_store *store;
	struct schedule *schedule;
	struct remote *remote;
	struct watch *watch;
};

/* Answers req, at once or when the change is on disk. */
void queue_admin_run(const struct queue_admin *admin, struct ipc_req *req,
    struct ipc_in *in);

#endif
