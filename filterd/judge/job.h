/* SPDX-License-Identifier: ISC */
/*
 * job: one message that is being judged.
 *
 * Story. A job is made from a request with the blob's descriptor. It reads
 * the message in steps, taking turns with the other jobs, and feeds it to the
 * checks. Then it asks dnsd for all the names the checks want, at most
 * QUESTIONS_MAX at a time, and runs them again when the answers are there.
 * At the end it answers with the verdict and logs how long each part took.
 *
 * Beside that scand looks at the content; there is no verdict without it.
 *
 * The hard case: the deadline comes first. What the DNS has not answered by
 * then counts as a failure of the DNS, so that there is a verdict in time
 * (temperror), which is more than none. A message that was not even read by
 * then gets no verdict.
 *
 * Many at a time: where half of the questions that may be asked are, a job
 * asks a few at a time, so that messages with many signatures take no more
 * of dnsd than others.
 *
 * Lifetime.   job_new() -> job_start() -> the done callback, once, when it has answered.
 * Ownership.  The job owns the descriptor.
 * Units.      Milliseconds of the monotonic clock.
 * Errors.     Answered to the client as ERR_TEMP.
 * Blocking.   Reads of a local file, JOB_STEP_OCTETS at a time.
 * Process.    filterd.
 */
#ifndef JUDGE_JOB_H
#define JUDGE_JOB_H

#include "base/list.h"
#include "filterd/judge/suspicious.h"
#include "filterd/judge/virus.h"
#include "ipc/links.h"

#define JOB_STEP_OCTETS (256U << 10)
#define JOB_READ_OCTETS 65536U

struct figures;
struct job;

struct job_env {
	struct loop *loop;
	struct ipc_link *dnsd;
	struct ipc_link *scand;		/* NULL: content is not looked at */
	struct figures *figures;
	struct virus_policy virus;
	enum verdict_action suspicious;	/* what is done with such mail */
	struct str hostname;
	char *buffer;		/* JOB_READ_OCTETS, for all jobs */
	bool refuses_spf_fail;
	struct str arc_trusted;
	const struct psl *psl;
	size_t questions_len;	/* of all jobs, asked and not answered */
	/* Has more to read: call job_step() when it is its turn. */
	void (*wants_turn)(void *ctx, struct job *job);
	void (*done)(void *ctx, struct job *job);
	void *ctx;
};

struct job {
	struct list node;	/* the env's */
	bool is_started;	/* job_start() was called */
	struct list turn;	/* the env's: linked while it wants a turn */
	struct job_impl *impl;
};

/* Takes the request over; in is FILTER_JUDGE's. */
struct job *job_new(struct job_env *env, struct ipc_req *req,
    struct ipc_in *in);

/* Begin. Before that it waits; its deadline counts. */
void job_start(struct job *job);

/* Whose share of the jobs it takes; empty: nobody's. */
struct str job_client(const struct job *job);

/* Read the next part. */
void job_step(struct job *job);

/* Give up: the client hears ERR_TEMP, and done is called. */
void job_abort(struct job *job, const char *why);

#endif
