/* SPDX-License-Identifier: ISC */
/*
 * directory_int: what the files of lib/directory share.
 */
#ifndef DIRECTORY_DIRECTORY_INT_H
#define DIRECTORY_DIRECTORY_INT_H

#include "base/table.h"
#include "directory/directory.h"
#include "directory/sql.h"

/* Usage as last reported. */
struct usage {
	uint64_t account;
	uint64_t octets;
	uint64_t messages;
	uint64_t sequence;
	bool is_dirty;
};

struct directory {
	struct db *db;
	char actor[256];
	struct table *usage;	/* account -> struct usage */
	size_t dirty;
};

/* Split at the last @; domain.p NULL without one. */
struct str directory_local_of(struct str address, struct str *domain_r);

#endif
