/* SPDX-License-Identifier: ISC */
/*
 * names: what a file name hides. Names are judged as a person sees them and
 * as Windows takes them: width and case vanish (NFKC), characters without
 * width do not count, blanks and dots at the end neither.
 *
 * Lifetime.   Values.
 * Ownership.  None.
 * Units.      Octets; of a name over NAMES_MAX its end is judged.
 * Errors.     None: what is no UTF-8 reads as U+FFFD.
 * Blocking.   Never.
 * Process.    scan worker.
 */
#ifndef ATTACK_NAMES_H
#define ATTACK_NAMES_H

#include "base/str.h"

#define NAMES_MAX 2048U
#define NAMES_EXTENSION_MAX 15U
#define NAMES_BLANKS_MAX 8U		/* in a row; more hides what follows */

#define NAME_IS_EXECUTABLE 0x01u	/* opening it runs it */
#define NAME_IS_DOUBLE 0x02u		/* ... and it looks like a document */
#define NAME_HAS_BIDI 0x04u		/* embeds, overrides, isolates */
#define NAME_IS_PADDED 0x08u
#define NAME_HAS_INVISIBLE 0x10u	/* zero-width characters, controls */
#define NAME_IS_SCRIPT 0x20u		/* its text is run */
#define NAME_IS_IMAGE_OF_DISK 0x40u
#define NAME_IS_ARCHIVE 0x80u

/* What a name promises. */
enum name_claim {
	CLAIM_NOTHING,
	CLAIM_DOCUMENT,		/* office formats */
	CLAIM_PDF,
	CLAIM_PICTURE,
	CLAIM_MEDIA,
	CLAIM_TEXT,
	CLAIM_ARCHIVE,
};

struct name_look {
	unsigned flags;			/* NAME_* */
	enum name_claim claim;
	char extension[NAMES_EXTENSION_MAX + 1];	/* lower case */
};

/* UTF-8, maybe with folders in front. */
struct name_look names_look(struct str name);

/* What a declared type promises. */
enum name_claim names_claim_of_type(struct str type, struct str subtype);

/* Is the extension that of an office format that has no macros? */
bool names_is_without_macros(const struct name_look *look);

#endif
