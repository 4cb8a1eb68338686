/* SPDX-License-Identifier: ISC */
/*
 * job: one message that is watched while its parts and links are opened.
 *
 * Story. All engines are given all its things. The first that is malicious
 * ends it; it is clean when every engine has called everything clean. Its
 * deadline ends it as late, or as failed where an engine has not even taken
 * what it was given. Who asks about a message that is watched already takes
 * the place of who asked before.
 *
 * Lifetime.   jobs_new() -> jobs_add()* -> jobs_free(), which answers what is
 *             under way with ERR_TEMP: it is asked again.
 * Ownership.  jobs_add() takes over the request and the descriptor.
 * Units.      Octets, milliseconds of the monotonic clock.
 * Errors.     In the answer (detonate.def).
 * Blocking.   Reading and decoding a message when its turn comes.
 * Process.    detonated.
 */
#ifndef DETONATE_JOB_H
#define DETONATE_JOB_H

#include "filterd/detonate/probe.h"

#define JOBS_RUNNING_MAX 64U

struct jobs;

/* engines and probes outlive it. */
struct jobs *jobs_new(struct loop *loop, struct probes *probes,
    struct engine *engines, size_t engines_len);
void jobs_free(struct jobs **jobs);

struct job_asked {
	struct ipc_req *req;
	int blob_fd;
	uint64_t queue_id;
	uint64_t deadline_ms;
	uint64_t size;
	struct str verdict;
};

void jobs_add(struct jobs *jobs, const struct job_asked *asked);

#endif
