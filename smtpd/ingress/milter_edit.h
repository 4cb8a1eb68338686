/* SPDX-License-Identifier: ISC */
/*
 * milter_edit: what one mail filter wants changed in a message, and the header
 * that comes of it.
 *
 * The header is a list of pieces: its fields, and whatever stands between
 * them, so that writing the pieces out gives every octet that was not meant
 * to change. A field keeps its place; what is added comes on top or to the
 * end. When all that is new stands on top and nothing else has changed, the
 * blob can stay as it is.
 *
 * Lifetime.   milter_edits_init() -> milter_edits_add()* ->
 *             milter_edits_apply() -> milter_edits_fini().
 * Ownership.  Strings are copied into the arena.
 * Units.      Octets.
 * Errors.     ERR_LIMIT: too many edits, or too much of them.
 * Blocking.   Never.
 */
#ifndef INGRESS_MILTER_EDIT_H
#define INGRESS_MILTER_EDIT_H

#include "base/arena.h"
#include "base/list.h"
#include "proto/milter.h"

#define MILTER_EDITS_MAX 1000U
#define MILTER_EDITS_OCTETS_MAX (2U << 20)

struct milter_edit {
	struct list node;
	struct milter_answer answer;
};

struct milter_edits {
	struct arena *arena;
	struct list list;	/* all but the body, in their order */
	size_t len;
	size_t octets;
	struct buf body;	/* the new one, lines with CRLF */
	bool has_body;
	bool ends_with_cr;	/* the last piece of it */
};

struct milter_piece {
	struct list node;
	struct str name;	/* empty: no field */
	struct str raw;
	bool is_new;
};

struct milter_header {
	struct list pieces;
	bool is_changed;	/* something under the new fields on top */
};

void milter_edits_init(struct milter_edits *edits, struct arena *arena,
    size_t body_max);
void milter_edits_fini(struct milter_edits *edits);

/* Keep an edit (an answer that is not the last one). */
int milter_edits_add(struct milter_edits *edits,
    const struct milter_answer *answer, struct err *err);

/*
 * front: fields that stand on top of the blob; block: the blob's own header,
 * without the empty line. The pieces are views of both, or in the arena.
 */
void milter_edits_apply(const struct milter_edits *edits,
    const struct milter_options *agreed, struct str front, struct str block,
    struct milter_header *header_r);

#endif
