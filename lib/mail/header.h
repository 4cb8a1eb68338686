/* SPDX-License-Identifier: ISC */
/*
 * header: the fields of a header block, and the parameters of the MIME
 * fields. This is the only place that decides where a field begins and ends,
 * so that filter, store and clients agree on it.
 *
 * A field is a line with a colon and the lines after it that begin with a
 * blank. Lines end with CRLF or a bare LF; a bare CR is an ordinary octet.
 * Lines that are no field and no continuation are skipped. An empty line
 * ends the block.
 *
 * Lifetime.   Values; fields are views into the block.
 * Ownership.  Results are views into the input or live in the arena given.
 * Units.      Octets as stored, line ends included where it says raw.
 * Errors.     None: broken input gives less, never a failure. Limits below.
 * Blocking.   Never. Time is linear in the input.
 * RFC.        5322 section 2.2, 4.5; 2045 section 5.1; 2183; 2231.
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "base/arena.h"

#define HEADER_FIELD_MAX (256U << 10)	/* octets of one field in views */
#define HEADER_BLOCK_MAX (2U << 20)	/* octets of all fields */
#define HEADER_FIELDS_MAX 2000U
#define HEADER_PARAMS_MAX 64U

struct header_field {
	struct str name;	/* without the colon and blanks before it */
	struct str value;	/* after the colon, without the last line end */
	struct str raw;		/* the whole field with its line ends */
	size_t at;		/* offset of raw in the block */
};

struct header_iter {
	struct str block;
	size_t at;
	size_t count;
};

/* Begin at the first field of block. */
void header_iter_init(struct header_iter *iter, struct str block);

/* The next field; false at the end of the block and after 2,000 fields. */
bool header_next(struct header_iter *iter, struct header_field *field_r);

/* The same without a limit: for who must not miss a field. */
static inline bool
header_next_all(struct header_iter *iter, struct header_field *field_r)
{
	iter->count = 0;
	return header_next(iter, field_r);
}

/* The first field called name (ASCII case ignored). */
bool header_find(struct str block, struct str name,
    struct header_field *field_r);

/*
 * The value on one line, without blanks at its ends: line ends go away, NUL
 * and stray CR become a space. A view of value when nothing needs to change.
 */
struct str header_unfold(struct arena *arena, struct str value);

struct mail_param {
	struct str name;	/* lower case; ends with * when value is in the
				   extended form of RFC 2231 section 4 */
	struct str value;	/* unquoted, continuations joined */
};

struct mail_params {
	struct mail_param *v;
	size_t count;
};

struct content_type {
	struct str type;	/* lower case */
	struct str subtype;	/* lower case */
	struct mail_params params;
};

/* Content-Type; false (and nothing set) when there is no type/subtype. */
bool header_content_type(struct arena *arena, struct str value,
    struct content_type *ct_r);

/* Content-Disposition; false when there is no word. value_r: lower case. */
bool header_disposition(struct arena *arena, struct str value,
    struct str *value_r, struct mail_params *params_r);

/* First word of a field such as Content-Transfer-Encoding, lower case. */
struct str header_token(struct arena *arena, struct str value);

/* The value of exactly that name (lower case); STR_NONE without it. */
struct str mail_param_get(const struct mail_params *params, struct str name);

#endif
