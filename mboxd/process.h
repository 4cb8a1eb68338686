/* SPDX-License-Identifier: ISC */
/*
 * process: what the parts of an account process share: one account, its
 * sessions and deliveries, one thread.
 *
 * Everything happens in turns. An event (input, drained output, a blob reply,
 * a change) marks sessions ready; the turn, after the round's events, makes
 * waiting deliveries, steps each ready session once, flushes what is not on
 * the disk yet, and writes the output. What is still ready waits for the next
 * turn, so that sockets are looked at in between.
 *
 * Process.    mboxd's account process.
 */
#ifndef MBOXD_PROCESS_H
#define MBOXD_PROCESS_H

#include "base/arena.h"
#include "base/list.h"
#include "ipc/links.h"
#include "mboxd/batch.h"
#include "mboxd/engine.h"
#include "mboxd/family.h"

struct process {
	const struct family *family;
	uint64_t account;
	struct loop *loop;
	struct ipc_link *broker;
	struct ipc_link *blobs;
	struct store *store;		/* NULL before ACCOUNT_OPEN */
	struct batch_env env;
	struct batch batch;
	struct batch_account batch_account;
	struct list sessions;		/* struct engine_host */
	struct loop_later later;
	struct loop_timer linger;
	struct loop_timer tidy;
	struct loop_timer retry;	/* blobd was not there */
	unsigned blobs_waits;
	uint64_t quota_octets;
	bool is_changed;		/* the broker is to be told */
	bool is_leaving;
};

/* Have a turn soon. */
void process_wake(struct process *process);

/* The account was changed: step all sessions but one, tell the broker. */
void process_changed(struct process *process,
    const struct engine_host *but);

/* The last session has gone, or the first has come. */
void process_sessions_changed(struct process *process);

/* What a disk does not take any more cannot be mended here: end. */
_Noreturn void process_give_up(struct process *process, const char *what,
    const struct err *err);

/* ---- sessions ---- */

/* Serve ACCOUNT_SESSION. */
void host_begin(struct process *process, struct ipc_req *req,
    struct ipc_in *in);

/* Step it if it is ready; true: it would go on. */
bool host_step(struct engine_host *host);

/* Write its output; the host may be freed. */
void host_flush(struct engine_host *host);
bool host_has_output(const struct engine_host *host);

/* Mark as ready for a step. */
void host_ready(struct engine_host *host);

/* End it with a word to the client; freed when that is written. */
void host_end(struct engine_host *host, struct str reason);

/* ---- a session's blob ---- */

struct blob_call;
struct host_asides;
struct host_spare;

struct host_blob {
	enum engine_blob state;
	int error;
	int fd;			/* for writing, then for reading; or -1 */
	uint64_t handle;
	uint64_t size_octets;
	unsigned char sha256[32];
	struct blob_call *call;	/* under way */
};

struct engine_host {
	struct list node;
	struct process *process;
	struct arena *arena;
	const struct engine *engine;
	struct engine_session *session;
	struct engine_user user;
	struct ipc_link *front;
	struct ev *ev;
	uint64_t id;			/* the broker's */
	uint64_t number;		/* the front's */
	int fd;				/* the stream; -1: not here yet */
	struct loop_fd watch;
	struct buf in;
	struct buf out;
	uint64_t in_octets;		/* read from the stream */
	uint64_t out_octets;		/* written to it */
	uint64_t step_until_us;
	size_t step_from;		/* output when the step began */
	struct loop_timer idle;
	uint64_t parked_modseq;
	struct str reason;		/* of the end */
	struct host_blob blob;
	struct host_asides *asides;	/* links not flushed yet; NULL: none */
	struct host_spare *spare;	/* a file for the next blob, or NULL */
	bool is_ready;
	bool is_full;		/* waits for the client to read */
	bool is_eof;
	bool is_idle;
	bool is_parking;	/* the front has the state; it may say no */
	bool was_offered;
	bool is_ending;
	bool is_dead;
};

#endif
