/* SPDX-License-Identifier: ISC */
/*
 * sandbox: give up everything a program does not need, before it reads its
 * first octet from a peer.
 *
 * Order (threats.md section 5): rlimits, chroot (root only), groups and uid,
 * no_new_privs, Landlock, seccomp, not dumpable. A system call outside the
 * profile's groups kills the process; opening files where none may be opened
 * fails with EACCES, since libraries probe. Who forks nothing can signal
 * itself alone (abort()).
 *
 * Lifetime.   sandbox_enter() once a process; nothing undoes it. A forked child
 *             may call sandbox_narrow() to give up still more.
 * Errors.     ERR_DENIED when the kernel lacks Landlock or seccomp and
 *             is_degraded_ok is false; ERR_TEMP when a step fails.
 * Process.    Single-threaded at the time of the call (blobd's flushers are
 *             started afterwards and inherit it).
 */
#ifndef PROC_SANDBOX_H
#define PROC_SANDBOX_H

#include "base/str.h"

/* System-call groups beyond what every program has (memory, time, poll,
 * octets on open descriptors, messages with descriptors). */
enum sandbox_group {
	SB_ACCEPT = 1,		/* accept, socket names and options */
	SB_FILES = 2,		/* open, link, rename, unlink, flush, lock */
	SB_FORK = 4,		/* clone without threads, wait, kill, rlimits */
	SB_THREADS = 8,		/* clone with threads */
	SB_SOCKETPAIR = 16,
	SB_SANDBOX = 32,	/* Landlock and seccomp for forked children */
	SB_CONNECT = 64,	/* sockets of IPv4 and IPv6, connect (outbound) */
	SB_MEMFILES = 256,	/* memfd: no limit of ours bounds them */
	SB_MODES = 128,		/* owners, rights and times of files: Landlock
				   does not look at them */
};

enum sandbox_right { SB_READ = 1, SB_WRITE = 2 };

struct sandbox_path {
	const char *path;	/* as seen after the chroot */
	int rights;
};

struct sandbox {
	int groups;
	const char *user;	/* NULL: keep; ignored when not root */
	const char *group;	/* NULL: the user's */
	const char *const *extra_groups;	/* NULL-terminated; may be NULL */
	const char *root;	/* chroot here when root; NULL: none */
	const struct sandbox_path *paths;	/* ended by path NULL; may be NULL */
	uint64_t files_max;	/* RLIMIT_NOFILE */
	uint64_t address_octets;	/* RLIMIT_AS; 0: none. Not in sanitizer builds */
	bool is_degraded_ok;
};

/* Enter; text_r gets what was entered, e.g. "seccomp landlock-7 chroot uid". */
int sandbox_enter(const struct sandbox *sandbox, char *text_r,
    size_t text_size, struct err *err);

/*
 * A forked child of a process with SB_SANDBOX: from now on only the files
 * below the open directories (rights apply to all of them), and only the
 * system-call groups named (filters add up: none can be won back).
 */
int sandbox_narrow(const int *dirs, size_t dirs_len, int rights, int groups,
    bool is_degraded_ok, struct err *err);

/*
 * Build the filter of sandbox_narrow() with these groups beforehand, for all
 * children to come: that is most of what a narrow costs.
 */
int sandbox_narrow_prepare(int groups, struct err *err);

#endif
