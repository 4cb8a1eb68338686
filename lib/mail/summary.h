/* SPDX-License-Identifier: ISC */
/*
 * summary: what a message is made of. The scanner makes it once while the
 * octets stream through; it is stored beside the message, and listings
 * (ENVELOPE, BODYSTRUCTURE, header fields, section offsets) are answered from
 * it without the blob.
 *
 * It describes the blob alone. What clients see is trace + blob: the caller
 * puts the trace in front (mail/view.h).
 *
 * Lifetime.   scan_end() or summary_decode() make one; both are read the same
 *             way. Views point into the scanner or the encoded octets.
 * Ownership.  summary_decode() allocates in the arena; strings stay views
 *             into its input, which must outlive the summary.
 * Units.      Octets of the blob; lines are counted by their LF.
 * Errors.     Encoded octets are hostile: ERR_CORRUPT, never a crash.
 *             summary_encode(): ERR_LIMIT when it does not fit; the message
 *             then has an empty summary and is scanned again when needed.
 * Blocking.   Never.
 * RFC.        3501 section 6.4.5, 7.4.2; 9051 section 6.4.5, 7.5.2.
 */
#ifndef MAIL_SUMMARY_H
#define MAIL_SUMMARY_H

#include "mail/header.h"

#include "base/buf.h"

#define SUMMARY_VERSION 1
#define SUMMARY_MAX (48U << 10)		/* encoded octets */
#define SUMMARY_PARTS_MAX 2000U
#define SUMMARY_DEPTH_MAX 50U

enum mail_field_id {
#define MAIL_FIELD(id, name) MAIL_FIELD_##id,
#include "mail/fields.def"
#undef MAIL_FIELD
	MAIL_FIELD_COUNT,
	MAIL_FIELD_NONE = MAIL_FIELD_COUNT
};

/* The ENVELOPE: the first ten field ids. */
#define MAIL_ENV_COUNT (MAIL_FIELD_MESSAGE_ID + 1)

/* Which known field name is (ASCII case ignored), or MAIL_FIELD_NONE. */
enum mail_field_id mail_field_id(struct str name);

/* The usual spelling. */
struct str mail_field_name(enum mail_field_id id);

/* Raw values after the colon, maybe folded; p is NULL when absent. */
struct mail_envelope {
	struct str raw[MAIL_ENV_COUNT];
};

enum mail_part_kind {
	MAIL_LEAF,
	MAIL_MULTIPART,		/* one child or more */
	MAIL_MESSAGE,		/* message/rfc822: exactly one child, the
				   root entity of the message inside */
};

#define MAIL_PART_OPAQUE 0x1u	/* over a limit, not looked into */
#define MAIL_PART_BROKEN 0x2u	/* multipart without its closing boundary */

#define MAIL_PART_NONE 0xffffu

/*
 * One entity. Part 0 is the message itself. Parts stand in the order in which
 * they begin; parent, child and next are indexes or MAIL_PART_NONE.
 */
struct mail_part {
	uint64_t header_at;
	uint64_t header_len;	/* with the empty line */
	uint64_t body_at;	/* header_at + header_len */
	uint64_t body_len;	/* without the CRLF of the next boundary */
	uint32_t lines;		/* LFs in the body */
	uint16_t parent;
	uint16_t child;		/* the first */
	uint16_t next;		/* sibling */
	uint16_t children;
	uint8_t kind;		/* enum mail_part_kind */
	uint8_t flags;		/* MAIL_PART_* */
	uint16_t depth;		/* 1 for the root */
	struct str type;	/* lower case, always set */
	struct str subtype;
	struct mail_params params;
	/* p is NULL where the field is absent. */
	struct str id;
	struct str description;
	struct str encoding;	/* lower case */
	struct str md5;
	struct str disposition;	/* lower case */
	struct mail_params disposition_params;
	struct str language;	/* as written: a list with commas */
	struct str location;
	/* Of the message that begins here: part 0 and the child of a
	 * MAIL_MESSAGE; NULL elsewhere. */
	const struct mail_envelope *envelope;
};

/* A kept field of the top-level header. */
struct mail_field {
	enum mail_field_id id;
	uint32_t at;		/* offset of raw in the blob */
	struct str value;	/* after the colon, maybe folded */
	struct str raw;		/* the whole field with its line ends */
};

#define SUMMARY_HAS_DATE 0x1u		/* sent_s and zone_min are set */
#define SUMMARY_HEADER_8BIT 0x2u	/* raw 8-bit in the top header */
#define SUMMARY_BARE_LF 0x4u		/* a line ends without CR */
#define SUMMARY_HAS_NUL 0x8u
#define SUMMARY_OVER_LIMIT 0x10u	/* a limit of the scanner was met */

struct mail_summary {
	uint64_t size;		/* of the blob */
	uint32_t flags;		/* SUMMARY_* */
	uint32_t lines;		/* LFs in the whole blob */
	int64_t sent_s;		/* Date: seconds since 1970 UTC */
	int zone_min;		/* its zone, minutes east */
	/* Bit (1 << id): fields of that name exist that are not kept. */
	uint64_t fields_missing;
	struct mail_field *fields;	/* in the order of the header */
	size_t field_count;
	struct mail_part *parts;
	size_t part_count;
};

/* Append the encoded form; ERR_LIMIT (nothing appended) over 48 KiB. */
int summary_encode(const struct mail_summary *summary, struct buf *buf);

/* Read it back. ERR_CORRUPT for anything that was not encoded so. */
int summary_decode(struct str encoded, struct arena *arena,
    struct mail_summary **summary_r, struct err *err);

/*
 * Can header fields of this name be answered from summary->fields? True also
 * when there are none in the message.
 */
bool summary_has_field(const struct mail_summary *summary,
    enum mail_field_id id);

/* The first kept field, or NULL. */
const struct mail_field *summary_field(const struct mail_summary *summary,
    enum mail_field_id id);

/* The top-level ENVELOPE. */
const struct mail_envelope *summary_envelope(
    const struct mail_summary *summary);

/* First part in document order that is text/subtype (empty: any text) and
 * no attachment; NULL without. */
const struct mail_part *summary_text_part(const struct mail_summary *summary,
    struct str subtype);

/* True when some leaf would be shown as an attachment (JMAP hasAttachment). */
bool summary_has_attachment(const struct mail_summary *summary);

enum mail_section_what {
	MAIL_SECTION_BODY,	/* BODY[] or BODY[1.2] */
	MAIL_SECTION_HEADER,	/* HEADER and HEADER.FIELDS */
	MAIL_SECTION_TEXT,
	MAIL_SECTION_MIME,
};

#define MAIL_PATH_MAX (SUMMARY_DEPTH_MAX + 1)

struct mail_section {
	enum mail_section_what what;
	size_t depth;			/* numbers in path */
	uint32_t path[MAIL_PATH_MAX];
};

/* Where a section lies. */
struct mail_range {
	bool has_trace;		/* the trace comes first */
	uint64_t at;		/* in the blob */
	uint64_t len;
	const struct mail_part *part;	/* whose; NULL for BODY[] */
};

/*
 * "", "1.2", "HEADER", "1.2.TEXT", "1.MIME": a section-spec without brackets
 * and without the list of HEADER.FIELDS. ERR_SYNTAX; ERR_LIMIT when deeper
 * than anything we ever look into.
 */
int mail_section_parse(struct str spec, struct mail_section *section_r);

/* The part with that number; NULL when the message has none such. */
const struct mail_part *summary_part(const struct mail_summary *summary,
    const uint32_t *path, size_t depth);

/* Find it; ERR_NOTFOUND when the message has no such section. */
int summary_section(const struct mail_summary *summary,
    const struct mail_section *section, struct mail_range *range_r);

/* Append the number of a part ("1.2"); nothing for the root of a message. */
void summary_put_number(const struct mail_summary *summary,
    const struct mail_part *part, struct buf *buf);

#endif
