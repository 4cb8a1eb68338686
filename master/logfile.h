/* SPDX-License-Identifier: ISC */
/*
 * logfile: the children's lines on their way into DIR/log/hikyaku.log.
 *
 * A child holds only the writing end of its own pipe, so a broken one can
 * neither change nor remove what others have logged. What it writes is not
 * understood here: a line of JSON as lib/base/log makes it passes, anything
 * else (a sanitizer's report, an invariant) is wrapped as an event.
 *
 * Lifetime.   logfile_open() -> logpipe_open() per child -> logpipe_free() when
 *             the child is gone (reads the rest first).
 * Blocking.   Writes to a local file.
 */
#ifndef MASTER_LOGFILE_H
#define MASTER_LOGFILE_H

#include "base/buf.h"
#include "io/loop.h"

struct logfile;
struct logpipe;

struct logfile *logfile_open(const char *dir, struct err *err);

/* Open the file anew, after it was rotated away. */
void logfile_reopen(struct logfile *log);

/* A pipe for a child; *write_fd_r is the child's end, to be closed here. */
struct logpipe *logpipe_open(struct logfile *log, struct loop *loop,
    const char *process, int *write_fd_r, struct err *err);
void logpipe_set_pid(struct logpipe *pipe, int pid);
void logpipe_free(struct logpipe **pipe);

/* hikyakud's own lines. */
int logfile_fd(const struct logfile *log);

#endif
