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

/* What rewritten senders are signed with (mailauth/srs.h). */
#define SENDER_KEYS_MAX 3
#define SENDER_KEY_OCTETS 32

struct sender_key {
	int64_t made_s;
	char secret[SENDER_KEY_OCTETS];
};

struct directory {
	struct db *db;
	char actor[256];
	struct table *usage;	/* account -> struct usage */
	struct table *full;	/* account -> struct full */
	size_t dirty;
	struct sender_key sender_keys[SENDER_KEYS_MAX];	/* newest first */
	size_t sender_keys_len;
};

/* Read which mailboxes are full. */
int directory_full_load(struct directory *dir, struct err *err);
void directory_full_free(struct directory *dir);

/* Read the keys of rewritten senders; make the first one. */
int directory_sender_load(struct directory *dir, struct err *err);

/* The sender that an address with our rewriting stands for, as canonical
 * text; ERR_NOTFOUND when it is none or not one that counts. */
int directory_sender_of(struct directory *dir, struct str address,
    struct arena *arena, struct str *sender_r);

/* Split at the last @; domain.p NULL without one. */
struct str directory_local_of(struct str address, struct str *domain_r);

#endif
