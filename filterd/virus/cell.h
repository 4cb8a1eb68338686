/* SPDX-License-Identifier: ISC */
/*
 * cell: what a scan worker lives in. Its walls: one folder (Landlock), a few
 * system calls (seccomp), and limits of memory, processor time, files and
 * their size. What a message can make of the worker it is given to ends here;
 * filterd/virus/escape_test tries.
 *
 * Lifetime.   cell_open() -> cell_enter(), once, in a fresh child of a
 *             generation; nothing undoes it. cell_sweep() after each message.
 * Ownership.  The folder's descriptor is the caller's.
 * Errors.     ERR_TEMP; ERR_DENIED on a kernel without Landlock or seccomp.
 * Blocking.   Files in memory.
 * Process.    scan worker.
 */
#ifndef VIRUS_CELL_H
#define VIRUS_CELL_H

#include "base/err.h"
#include "base/str.h"

/* The slot's folder below unpack, emptied; its path into folder_r. */
int cell_open(const char *unpack, uint64_t slot, char *folder_r,
    size_t folder_size, int *dir_r, struct err *err);

/* From now on: this folder, the descriptors that come, nothing else. */
int cell_enter(int dir, bool is_degraded_ok, struct err *err);

/* Remove what the last message left. */
void cell_sweep(int dir);

#endif
