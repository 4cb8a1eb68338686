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

/* A mailbox that refuses mail. */
struct full {
	int64_t since_s;
	uint64_t octets;	/* its usage then; 0: not known */
};

struct directory {
	struct db *db;
	char actor[256];
	struct table *usage;	/* account -> struct usage */
	struct table *full;	/* account -> struct full */
	size_t dirty;
};

/* Read which mailboxes are full. */
int directory_full_load(struct directory *dir, struct err *err);
void directory_full_free(struct directory *dir);

/* Split at the last @; domain.p NULL without one. */
struct str directory_local_of(struct str address, struct str *domain_r);

#endif
