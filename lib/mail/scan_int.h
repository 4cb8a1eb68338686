/* SPDX-License-Identifier: ISC */
/* scan_int: what the line machine (scan.c) and the field reader
 * (scan_part.c) share. */
#ifndef MAIL_SCAN_INT_H
#define MAIL_SCAN_INT_H

#include "mail/scan.h"

#define SCAN_BOUNDARY_MAX 70U		/* RFC 2046 section 5.1.1 */
#define SCAN_KEPT_MAX (4U << 20)

/* What the fields of a part's header say. */
struct scan_verdict {
	enum mail_part_kind kind;
	struct str boundary;		/* of a MAIL_MULTIPART */
};

/* Keeps header text within the budget; parsed values live in arena. */
struct scan_keeper {
	struct arena *arena;
	size_t kept;
	bool is_over;
};

/*
 * Read the header block of part into part (types, fields, envelope) and into
 * summary when it is the root. can_descend: the limits allow a child.
 * in_digest: the default type is message/rfc822 (RFC 2046 section 5.1.5).
 */
struct scan_verdict scan_part_read(struct scan_keeper *keeper,
    struct str block, struct mail_part *part, struct mail_summary *root,
    bool can_descend, bool in_digest);

/* Make part a leaf nobody looks into. */
void scan_part_opaque(struct mail_part *part);

/* Make part an empty text/plain. */
void scan_part_plain(struct scan_keeper *keeper, struct mail_part *part);

#endif
