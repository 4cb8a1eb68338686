/* SPDX-License-Identifier: ISC */
/*
 * kind: what a file is by its content. The name is asked for one thing only:
 * text is a script when Windows runs files of that name.
 *
 * Lifetime.   Values.
 * Ownership.  None.
 * Units.      Octets.
 * Errors.     None: what is not known is KIND_DATA or KIND_TEXT.
 * Blocking.   Never. Marks are looked for at fixed places; the directory of
 *             an archive is walked once.
 * Process.    scan worker.
 */
#ifndef ATTACK_KIND_H
#define ATTACK_KIND_H

#include "filterd/attack/names.h"

enum attack_kind {
#define KIND(id, name, flags) KIND_##id,
#include "filterd/attack/kinds.def"
#undef KIND
	KIND_COUNT
};

#define KIND_RUNS 0x01u		/* opening it runs it */
#define KIND_ARCHIVES 0x02u	/* holds other files */
#define KIND_IMAGES_DISK 0x04u
#define KIND_ACTS 0x08u		/* can do more than what shows text */
#define KIND_SHOWS 0x10u	/* a picture, sound, film */

/* What a file is; look: of its name. */
enum attack_kind kind_of(struct str file, const struct name_look *look);

/* Only what its octets' structure says: no text. False: nothing known. */
bool kind_of_structure(struct str file, enum attack_kind *kind_r);

const char *kind_name(enum attack_kind kind);
unsigned kind_flags(enum attack_kind kind);

/* Is it more dangerous than its name or its declared type promises? */
bool kind_is_disguised(enum attack_kind kind, enum name_claim claim);

/* Does the text hold one of the words (lower case; ASCII case is ignored)?
 * The words' first octets make it one walk. */
bool kind_has_word(struct str text, struct str word);

#endif
