/* SPDX-License-Identifier: ISC */
/*
 * cfb: the directory of a compound file (OLE2: old office formats, MSI, mail
 * saved by Outlook, encrypted OOXML), and the beginning of its streams.
 *
 * Entries are given as they stand in the directory's sectors, not by its
 * tree: a tree with a loop or with hidden branches hides nothing.
 *
 * Lifetime.   cfb_open() -> cfb_next()*, cfb_read()* -> cfb_close().
 * Ownership.  Views into the file; the struct owns its sector list.
 * Units.      Octets. A chain ends after as many sectors as the file has.
 * Errors.     cfb_open() false: no compound file, or its tables are outside.
 * Blocking.   Never. Time is linear in the file for the directory, and in
 *             what is asked for by cfb_read().
 * Process.    scan worker.
 */
#ifndef ATTACK_CFB_H
#define ATTACK_CFB_H

#include "base/buf.h"

#define CFB_NAME_MAX 96U	/* 31 UTF-16 units */
#define CFB_ENTRIES_MAX 20000U

enum cfb_type {
	CFB_UNUSED = 0,
	CFB_STORAGE = 1,
	CFB_STREAM = 2,
	CFB_ROOT = 5,
};

struct cfb {
	struct str file;
	uint32_t sector_octets;
	uint32_t *fat;		/* sectors of the table */
	size_t fat_len;
	uint32_t sector;	/* of the directory, now */
	uint32_t in_sector;	/* entries of it given */
	size_t steps;
	bool is_broken;
};

struct cfb_entry {
	char name[CFB_NAME_MAX + 1];	/* UTF-8, controls as they are */
	enum cfb_type type;
	uint32_t start;
	uint64_t octets;
	struct str clsid;	/* 16 octets */
};

bool cfb_is(struct str file);
bool cfb_open(struct cfb *cfb, struct str file);
void cfb_close(struct cfb *cfb);

/* The next entry in use. */
bool cfb_next(struct cfb *cfb, struct cfb_entry *entry_r);

/* Append the beginning of a stream, as much as fits. Streams under 4,096
 * octets, which lie in the mini stream, give nothing. */
void cfb_read(struct cfb *cfb, const struct cfb_entry *entry,
    struct buf *out);

#endif
