/* SPDX-License-Identifier: ISC */
/*
 * supervise: hikyakud's children: start, link, restart with back-off, stop in
 * stages.
 *
 * Story. Every program of topology.c gets a process (or as many as its
 * workers key says), its own log pipe, its slice of the configuration and
 * descriptors, and one end of a link to each program it talks to. When one
 * dies, it is started again (at once the first time, then 100 ms, 200 ms, ...
 * up to 10 s), and all its links are made anew: the other ends get new
 * descriptors under the same names.
 *
 * Lifetime.   supervisor_new() -> supervisor_start() -> supervisor_stop() ->
 *             supervisor_free() after its callback.
 * Blocking.   Never, but for fork and exec.
 */
#ifndef MASTER_SUPERVISE_H
#define MASTER_SUPERVISE_H

#include "config/config.h"
#include "io/loop.h"
#include "master/listen.h"
#include "master/logfile.h"

struct supervisor;

struct supervisor_args {
	struct loop *loop;
	struct config *config;
	const char *dir;
	const char *programs_dir;
	struct listen_socket *sockets;
	int control_fd;
	struct logfile *log;
	void (*on_ready)(void *ctx);		/* all serve, once */
	/* A program did not come up; only before on_ready. */
	void (*on_failed)(void *ctx, const char *program);
	void (*on_stopped)(void *ctx);		/* all are gone */
	void *ctx;
};

struct supervisor *supervisor_new(const struct supervisor_args *args);
void supervisor_free(struct supervisor **s);
void supervisor_start(struct supervisor *s);

/* Stop fronts first, storage last; a child that takes over 20 s is killed. */
void supervisor_stop(struct supervisor *s);

/* Hand out a new configuration (the supervisor keeps it) and certificates. */
void supervisor_reload(struct supervisor *s, struct config *config);

/* SIGCHLD came. */
void supervisor_reap(struct supervisor *s);

#endif
