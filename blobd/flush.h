/* SPDX-License-Identifier: ISC */
/*
 * flush: group commit of files and directories.
 *
 * Requests that come while a flush runs are answered by the next one: one
 * thread flushes, a single request by fsync() of its file and directories,
 * several by one syncfs() on a descriptor that is open since the start (a
 * later one could miss an error). It does nothing else.
 *
 * A failed flush is final: what it covered may be lost and a second one would
 * not tell. From then on every request fails until blobd is started anew, on a
 * file system that has been looked at.
 *
 * Lifetime.   flush_new(), after the sandbox was entered -> flush_add()*.
 * Ownership.  Descriptors passed in are the flusher's and closed by it.
 * Blocking.   Never for the caller.
 */
#ifndef BLOBD_FLUSH_H
#define BLOBD_FLUSH_H

#include "io/loop.h"

struct flush;

typedef void flush_done(void *ctx, int code);

struct flush *flush_new(struct loop *loop, int fs_fd, struct err *err);

/* Call done(ctx) when file and dir are on the disk. */
void flush_add(struct flush *flush, int file_fd, int dir_fd,
    flush_done *done, void *ctx);

/* True after a failed flush. */
bool flush_has_failed(const struct flush *flush);

/* Requests not answered yet. */
size_t flush_pending(const struct flush *flush);

#endif
