/* SPDX-License-Identifier: ISC */
/*
 * link: give a holder its hard link to a blob, known by a descriptor.
 *
 * Lifetime.   linker_open(), for as long as the process lives.
 * Errors.     ERR_LIMIT: disk full. ERR_NOTFOUND: the holder has not made the
 *             sub-directory. ERR_EXISTS: the name is another blob's.
 *             ERR_DENIED: the descriptor is no sealed blob of ours.
 * Blocking.   File calls.
 */
#ifndef BLOBD_LINK_H
#define BLOBD_LINK_H

#include "base/str.h"

struct linker;

/* data_fd: DIR/data; proc_fd: our own /proc/self/fd. */
struct linker *linker_open(int data_fd, int proc_fd);

/* Is this a regular file of blobd's that nobody can write? */
int linker_check(int blob_fd, struct err *err);

/*
 * Link blob_fd as id of the account (0: the queue). An existing link to the
 * same blob is success. *dir_fd_r (if not NULL) gets the directory of the new
 * link, for flushing.
 */
int linker_link(struct linker *linker, int blob_fd, uint64_t account,
    uint64_t id, int *dir_fd_r, struct err *err);

#endif
