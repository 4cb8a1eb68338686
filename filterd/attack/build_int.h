/* SPDX-License-Identifier: ISC */
/* build: small files of every kind, harmless, for the tests of this folder.
 * They are built here so that none lies in the tree. */
#ifndef ATTACK_BUILD_INT_H
#define ATTACK_BUILD_INT_H

#include "base/buf.h"

struct member {
	const char *name;
	const char *text;
	bool is_packed;
	bool is_encrypted;
	const char *local_name;	/* NULL: the same */
};

void build_le(struct buf *out, uint64_t value, unsigned octets);
void build_zeros(struct buf *out, size_t count);

/* A zip of members that are text. */
void build_zip(struct buf *out, const struct member *members, size_t count);

/* A zip with one member of any octets. */
void build_zip_of(struct buf *out, const char *name, struct str octets);

/* A member of a tar, of that type. */
void build_tar(struct buf *out, char type, const char *name,
    struct str octets);

struct stream {
	const char *name;
	char type;		/* 1 storage, 2 stream, 5 root */
	const char *clsid;	/* 16 octets or NULL */
	struct str content;	/* of 4,096 octets at least, or none */
};

/* A zip whose directory names its only member count times. */
void build_zip_overlapping(struct buf *out, struct str octets, size_t count);

/* A compound file with sectors of 512 octets. */
void build_cfb(struct buf *out, const struct stream *streams, size_t count);

/* A shortcut with a relative path and arguments. */
void build_lnk(struct buf *out, const char *path, const char *arguments);

/* RFC 1950 octets. */
void build_deflated(struct buf *out, struct str text, bool is_bare);

#endif
