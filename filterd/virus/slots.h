/* SPDX-License-Identifier: ISC */
/*
 * slots: the folders of the scan workers: each a file system of its own, in
 * memory, of limited size, which nobody outside scand sees.
 *
 * Lifetime.   slots_begin() -> slots_make()* -> slots_end(), before the
 *             sandbox. They end with the last process of scand.
 * Ownership.  None.
 * Units.      Octets.
 * Errors.     ERR_DENIED where the kernel lets us have no mounts of our own.
 * Blocking.   No.
 * Process.    scand, still privileged, or root only for its own mounts.
 */
#ifndef VIRUS_SLOTS_H
#define VIRUS_SLOTS_H

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

/* Mounts of our own from now on. */
int slots_begin(struct err *err);

/* The slot's folder below unpack; owner (uid_t)-1: ours. */
int slots_make(const char *unpack, unsigned slot, uint64_t octets,
    uid_t owner, gid_t group, struct err *err);

/* No mounts any more. */
int slots_end(struct err *err);

#endif
