/* SPDX-License-Identifier: ISC */
/*
 * zip: the directory of a zip file, and single members of it.
 *
 * The central directory counts. Where there is none that can be read, local
 * headers are looked for from the beginning, as repair tools do. What the
 * two say must agree: a member whose local header has another name, or none,
 * makes the archive odd. Members that together are larger than the file lie
 * over each other, as in bombs: there the walk ends.
 *
 * Lifetime.   zip_open() -> zip_next()*; zip_inflate() for any entry.
 * Ownership.  Views into the file.
 * Units.      Octets. At most ZIP_ENTRIES_MAX entries are given.
 * Errors.     Flags in the struct; zip_open() false: no zip.
 * Blocking.   Never. Time is linear in the file.
 * Process.    scan worker.
 */
#ifndef ATTACK_ZIP_H
#define ATTACK_ZIP_H

#include "base/buf.h"

#define ZIP_ENTRIES_MAX 5000U

struct zip {
	struct str file;
	size_t at;		/* of the next header */
	size_t entries;		/* given */
	uint64_t base;		/* octets in front of the archive */
	uint64_t packed_octets;	/* of the entries given */
	uint64_t read_octets;	/* of members that were unpacked */
	bool is_repaired;	/* no central directory: local headers */
	bool is_shifted;	/* something stands in front of the archive, or
				   behind it an end of another one */
	bool is_odd;
	bool is_cut;		/* over a limit, or it ends early */
};

struct zip_entry {
	struct str name;	/* raw: UTF-8 or anything */
	uint16_t method;	/* 0 stored, 8 deflated */
	uint16_t flags;
	uint64_t octets;	/* as it says itself */
	uint64_t packed_octets;
	uint64_t data_at;	/* in the file; 0 when not there */
	bool is_encrypted;
	bool is_folder;
	bool is_lost;		/* there is no local header */
	bool is_askew;		/* programs differ in how they read it: another
				   method or size in its local header, sizes of
				   64 bits, more than there is */
	bool is_streamed;	/* its local header has no sizes */
};

/* Is this a zip file, and where does it begin? */
bool zip_open(struct zip *zip, struct str file);

/* The next entry. */
bool zip_next(struct zip *zip, struct zip_entry *entry_r);

/* Append a member, no more of it than there is room in out; false when it is
 * encrypted, broken, or packed in another way. All members together are read
 * a few times the file's octets at the most. */
bool zip_inflate(struct zip *zip, const struct zip_entry *entry,
    struct buf *out);

/* Deflated octets, as many as fit; window_bits as zlib's inflateInit2() has
 * them (-15 bare, 15 RFC 1950, 31 gzip). True when all came out. */
bool zip_inflate_raw(struct str packed, int window_bits, struct buf *out);

#endif
