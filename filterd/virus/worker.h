/* SPDX-License-Identifier: ISC */
/*
 * worker: the processes that touch what strangers sent.
 *
 * A generation has loaded the signatures and does nothing but fork workers,
 * which share its memory. A worker has one folder of limited size, one
 * message at a time by descriptor, no network, no other file, and a limit of
 * memory and processor time.
 *
 * Process.    Called in a fresh child of scand. Never returns.
 */
#ifndef VIRUS_WORKER_H
#define VIRUS_WORKER_H

#include <stdbool.h>

#include "base/err.h"

struct attack;

struct worker_env {
	/* folders, as they are reached now; ended by NULL */
	const char *signatures[3];
	const char *unpack;	/* holds a folder for each slot */
	bool is_degraded_ok;
	struct attack *attack;	/* its tables are opened, and what is known of
				   us when a generation begins is in it */
};

/* Serve scand (scanner.def, SCANNER_LOADED to SCANNER_KILL) on fd. */
_Noreturn void generation_main(const struct worker_env *env, int fd);

#endif
