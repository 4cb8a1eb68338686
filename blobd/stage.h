/* SPDX-License-Identifier: ISC */
/*
 * stage: files on their way from a writer to their holders.
 *
 * A staged file is made here, written by somebody else through the one
 * descriptor that is handed out, and sealed: a read lease is granted only
 * when no writable descriptor or mapping is left anywhere, and nobody but
 * blobd could open one again (0440, blobd's). Then its hash is taken.
 *
 * Where the file system can, it has no name before its first link: one entry
 * less to make and to remove a message, and a crash leaves nothing behind.
 *
 * Lifetime.   stage_open() once; stage_file_new() -> stage_seal_step()* ->
 *             stage_file_free() (links stay).
 * Units.      Octets.
 * Errors.     ERR_LIMIT: the disk is full (below its floor). ERR_DENIED: a
 *             writable descriptor is left.
 * Blocking.   File calls; hashing is done in slices of SEAL_SLICE_OCTETS.
 */
#ifndef BLOBD_STAGE_H
#define BLOBD_STAGE_H

#include <openssl/evp.h>

#include "base/str.h"

#define SEAL_SLICE_OCTETS (1U << 20)

struct stage;

struct stage_file {
	struct stage *stage;
	uint64_t number;	/* its name in the stage folder; 0: none */
	int read_fd;
	bool is_sealed;
	uint64_t size_octets;
	uint64_t hashed_octets;
	EVP_MD_CTX *hash;
	unsigned char sha256[32];
};

/* dir_fd: the stage folder; proc_fd: our own /proc/self/fd. Removes what an
 * earlier process left in the folder. */
struct stage *stage_open(int dir_fd, int proc_fd, unsigned floor_percent);

/* A new file and the descriptor that its writer gets. */
struct stage_file *stage_file_new(struct stage *stage, int *write_fd_r,
    struct err *err);
void stage_file_free(struct stage_file **file);

/* Make it immutable: once, before the first step. */
int stage_seal(struct stage_file *file, struct err *err);

/* Hash a slice: 1 when done, 0 when there is more, or an error. */
enum stage_step { STAGE_MORE, STAGE_DONE, STAGE_FAILED };
enum stage_step stage_seal_step(struct stage_file *file, struct err *err);

/* True below the floor of free space. */
bool stage_is_full(struct stage *stage);

#endif
