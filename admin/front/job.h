/* SPDX-License-Identifier: ISC */
/*
 * job: one verb of the command line, from the request to its answer.
 *
 * Most verbs are one question to one program. Those that touch a password are
 * a chain: the directory first (it knows the account), then authd (it has the
 * secrets); a new account whose password cannot be stored is deleted again,
 * so that "failed" means that nothing is there.
 *
 * Lifetime.   job_run() takes the request over and answers it exactly once, also
 *             when the client has left: a chain that was begun is finished.
 * Blocking.   Never; each step has a deadline.
 * Process.    admind.
 */
#ifndef ADMIN_FRONT_JOB_H
#define ADMIN_FRONT_JOB_H

#include "ipc/child.h"

/* CONTROL_RUN by actor ("uid 0"). */
void job_run(struct child *child, struct str actor, struct ipc_req *req,
    struct ipc_in *in);

#endif
