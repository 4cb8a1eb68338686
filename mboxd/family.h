/* SPDX-License-Identifier: ISC */
/*
 * family: what the broker's children begin with: a bulk worker or an account
 * process is a fork of the broker that forgets nearly everything.
 *
 * Process.    Called in the fresh child. Never returns.
 */
#ifndef MBOXD_FAMILY_H
#define MBOXD_FAMILY_H

#include "io/loop.h"
#include "ipc/links.h"
#include "mboxd/state.h"
#include "store/store.h"

/* What a child gets from the broker's memory. */
struct family {
	const char *accounts_dir;	/* "" or the path of data/accounts */
	struct db_image *image;
	struct str hostname;
	uint64_t message_max_octets;
	uint64_t pop3_expire_days;	/* UINT64_MAX: never */
	uint64_t pop3_login_delay_s;
	uint64_t park_after_s;
	uint64_t linger_s;
	bool is_degraded_ok;
	unsigned char state_key[STATE_KEY_OCTETS];	/* the account's own */
};

/* Exit statuses that the broker understands. */
enum {
	FAMILY_DONE = 0,
	FAMILY_FAILED = 2,
	FAMILY_FLUSH_LOST = 3,	/* a flush failed: nothing may go on */
};

/* The path of an account's directory. */
#define FAMILY_PATH_SIZE 4096
void family_path(const struct family *family, uint64_t account,
    char path_r[FAMILY_PATH_SIZE]);

/* Make the directory above the account's ("accounts/N"). */
int family_make_group(const struct family *family, uint64_t account,
    struct err *err);

/*
 * In the child: default signals, no descriptor but the log, link_fd and
 * keep (-1: none), and a new loop.
 */
struct loop *family_begin(int link_fd, int keep);

/* A descriptor of data/accounts of this process's own, for syncfs(). */
int family_open_fs(const struct family *family, struct err *err);

/*
 * Open the account's store. One that is still held by a process of the last
 * broker, or by a worker that is being killed, is waited for: for 3 seconds.
 */
int family_open_store(const struct family *family, uint64_t account,
    enum store_sync sync, struct store **store_r, struct err *err);

/* Serve the broker on link_fd; blob_fd: to blobd, -1: comes later. */
_Noreturn void worker_main(const struct family *family, int link_fd,
    int blob_fd);
_Noreturn void process_main(const struct family *family, uint64_t account,
    int link_fd, int blob_fd);

#endif
