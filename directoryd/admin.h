/* SPDX-License-Identifier: ISC */
/*
 * admin: the verbs of the command line and the control panel on the
 * directory: arguments and results are JSON objects (docs/cli.md).
 *
 * Every change runs in one transaction with its line in the operation log.
 *
 * Ownership.  The result is the caller's.
 * Errors.     ERR_SYNTAX for arguments, else as directory.h; texts are for the
 *             operator.
 * Blocking.   As the directory: a transaction takes at most about 20 ms.
 */
#ifndef DIRECTORYD_ADMIN_H
#define DIRECTORYD_ADMIN_H

#include <jansson.h>

#include "directory/directory.h"

struct admin_change {
	uint64_t account;
	bool ends_sessions;
};

#define ADMIN_CHANGES_MAX 256

/* What a verb is given, and what it leaves. */
struct admin_call {
	struct directory *dir;
	struct arena *arena;
	struct str actor;
	const json_t *args;
	json_t *result;			/* an object to add to */
	struct admin_change changes[ADMIN_CHANGES_MAX];
	size_t changes_len;
};

/* Run noun verb. ERR_NOTFOUND "no such verb" too. */
int admin_run(struct admin_call *call, struct str noun, struct str verb,
    struct err *err);

#endif
