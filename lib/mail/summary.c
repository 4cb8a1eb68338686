/* SPDX-License-Identifier: ISC */
/*
 * The encoded form. Numbers are LEB128 (v), signed ones zigzag (z); text is
 * a length (v) and its octets (s).
 *
 *   octet SUMMARY_VERSION
 *   v flags, v size, v lines
 *   z sent_s, z zone_min		when SUMMARY_HAS_DATE
 *   v fields_missing
 *   v count, then fields: octet id, v at, v value offset in raw, s raw
 *   v count, then parts in order:
 *	octet kind | flags << 2, v children, v header_at, v header_len,
 *	v body_len, v lines, v mask of what follows,
 *	s type, s subtype, params, [s id] ... [s location], [envelope]
 *   params: v count, then s name, s value
 *   envelope: v mask, then s each (not in part 0: it has fields)
 */
#include "mail/summary.h"

#define PART_MIN_OCTETS 9	/* of an encoded part */
#define FIELD_MIN_OCTETS 4
#define SENT_MAX_S 300000000000		/* past the year 9999 */
#define ZONE_MAX_MIN 1439

/* Bits of a part's mask, in the order of the text that follows. */
enum part_bit {
	BIT_ID = 1,
	BIT_DESCRIPTION = 2,
	BIT_ENCODING = 4,
	BIT_MD5 = 8,
	BIT_DISPOSITION = 16,
	BIT_LANGUAGE = 32,
	BIT_LOCATION = 64,
	BIT_ENVELOPE = 128,
	BIT_ALL = 255,
};

static const struct {
	unsigned bit;
	size_t offset;
} part_texts[] = {
	{ BIT_ID, offsetof(struct mail_part, id) },
	{ BIT_DESCRIPTION, offsetof(struct mail_part, description) },
	{ BIT_ENCODING, offsetof(struct mail_part, encoding) },
	{ BIT_MD5, offsetof(struct mail_part, md5) },
	{ BIT_DISPOSITION, offsetof(struct mail_part, disposition) },
	{ BIT_LANGUAGE, offsetof(struct mail_part, language) },
	{ BIT_LOCATION, offsetof(struct mail_part, location) },
};
#define PART_TEXTS (sizeof(part_texts) / sizeof(part_texts[0]))

static void
put_v(struct buf *buf, uint64_t v)
{
	char out[10];
	size_t len = 0;

	while (v >= 0x80) {
		out[len++] = (char)(v | 0x80);
		v >>= 7;
	}
	out[len++] = (char)v;
	buf_add(buf, out, len);
}

static void
put_z(struct buf *buf, int64_t v)
{
	put_v(buf, v < 0 ? ~((uint64_t)v << 1) : (uint64_t)v << 1);
}

static void
put_s(struct buf *buf, struct str s)
{
	put_v(buf, s.len);
	buf_add_str(buf, s);
}

static void
put_params(struct buf *buf, const struct mail_params *params)
{
	size_t i;

	put_v(buf, params->count);
	for (i = 0; i < params->count; i++) {
		put_s(buf, params->v[i].name);
		put_s(buf, params->v[i].value);
	}
}

static const struct str *
part_text(const struct mail_part *part, size_t i)
{
	return (const struct str *)(const void *)
	    ((const char *)part + part_texts[i].offset);
}

static void
put_envelope(struct buf *buf, const struct mail_envelope *env)
{
	unsigned mask = 0;
	size_t i;

	for (i = 0; i < MAIL_ENV_COUNT; i++)
		if (env->raw[i].p != NULL)
			mask |= 1U << i;
	put_v(buf, mask);
	for (i = 0; i < MAIL_ENV_COUNT; i++)
		if (env->raw[i].p != NULL)
			put_s(buf, env->raw[i]);
}

static void
put_part(struct buf *buf, const struct mail_part *part, bool is_root)
{
	unsigned mask = 0;
	size_t i;

	for (i = 0; i < PART_TEXTS; i++)
		if (part_text(part, i)->p != NULL)
			mask |= part_texts[i].bit;
	if (part->envelope != NULL && !is_root)
		mask |= BIT_ENVELOPE;
	buf_add_char(buf, (char)(part->kind | part->flags << 2));
	put_v(buf, part->children);
	put_v(buf, part->header_at);
	put_v(buf, part->header_len);
	put_v(buf, part->body_len);
	put_v(buf, part->lines);
	put_v(buf, mask);
	put_s(buf, part->type);
	put_s(buf, part->subtype);
	put_params(buf, &part->params);
	for (i = 0; i < PART_TEXTS; i++)
		if (mask & part_texts[i].bit)
			put_s(buf, *part_text(part, i));
	if (mask & BIT_DISPOSITION)
		put_params(buf, &part->disposition_params);
	if (mask & BIT_ENVELOPE)
		put_envelope(buf, part->envelope);
}

static void
put_fields(struct buf *buf, const struct mail_summary *summary)
{
	const struct mail_field *field;
	size_t i;

	put_v(buf, summary->field_count);
	for (i = 0; i < summary->field_count; i++) {
		field = &summary->fields[i];
		buf_add_char(buf, (char)field->id);
		put_v(buf, field->at);
		put_v(buf, (size_t)(field->value.p - field->raw.p));
		put_s(buf, field->raw);
	}
}

static void
put_summary(struct buf *buf, const struct mail_summary *summary)
{
	size_t i;

	buf_add_char(buf, SUMMARY_VERSION);
	put_v(buf, summary->flags);
	put_v(buf, summary->size);
	put_v(buf, summary->lines);
	if (summary->flags & SUMMARY_HAS_DATE) {
		put_z(buf, summary->sent_s);
		put_z(buf, summary->zone_min);
	}
	put_v(buf, summary->fields_missing);
	put_fields(buf, summary);
	put_v(buf, summary->part_count);
	for (i = 0; i < summary->part_count; i++)
		put_part(buf, &summary->parts[i], i == 0);
}

int
summary_encode(const struct mail_summary *summary, struct buf *buf)
{
	struct buf out;
	int rc = 0;

	buf_init(&out, SUMMARY_MAX);
	put_summary(&out, summary);
	if (buf_failed(&out))
		rc = ERR_LIMIT;
	else
		buf_add_str(buf, buf_str(&out));
	buf_fini(&out);
	return rc;
}

/* A reader that remembers failure; after one it reads zeros. */
struct reader {
	const unsigned char *p;
	const unsigned char *end;
	struct arena *arena;
	bool has_failed;
};

static void
fail(struct reader *r)
{
	r->has_failed = true;
	r->p = r->end;
}

static unsigned
get_octet(struct reader *r)
{
	if (r->p == r->end) {
		fail(r);
		return 0;
	}
	return *r->p++;
}

static uint64_t
get_v_long(struct reader *r)
{
	uint64_t v = 0;
	unsigned shift = 0, octet;

	do {
		octet = get_octet(r);
		/* The tenth octet has room for one bit. */
		if (shift == 63 && octet > 1) {
			fail(r);
			return 0;
		}
		v |= (uint64_t)(octet & 0x7f) << shift;
		shift += 7;
	} while (octet & 0x80);
	return v;
}

static inline uint64_t
get_v(struct reader *r)
{
	if (r->p != r->end && *r->p < 0x80)
		return *r->p++;
	return get_v_long(r);
}

static uint64_t
get_max(struct reader *r, uint64_t max)
{
	uint64_t v = get_v(r);

	if (v <= max)
		return v;
	fail(r);
	return 0;
}

static int64_t
get_z(struct reader *r)
{
	uint64_t v = get_v(r);

	return (int64_t)(v & 1 ? ~(v >> 1) : v >> 1);
}

/* Zero and a failure outside [-max, max]. */
static int64_t
get_z_max(struct reader *r, int64_t max)
{
	int64_t v = get_z(r);

	if (v >= -max && v <= max)
		return v;
	fail(r);
	return 0;
}

static inline struct str
get_s(struct reader *r)
{
	uint64_t len = get_v(r);
	struct str s;

	if (len > (size_t)(r->end - r->p)) {
		fail(r);
		return STR("");
	}
	s = str_make(r->p, (size_t)len);
	r->p += len;
	return s;
}

/* A count of things that take at least octets each. */
static size_t
get_count(struct reader *r, size_t octets, size_t max)
{
	size_t left = (size_t)(r->end - r->p) / octets;

	return (size_t)get_max(r, left < max ? left : max);
}

static void
get_params(struct reader *r, struct mail_params *params)
{
	size_t i;

	params->count = get_count(r, 2, HEADER_PARAMS_MAX);
	if (params->count == 0)
		return;
	params->v = arena_alloc(r->arena, params->count *
	    sizeof(*params->v));
	for (i = 0; i < params->count; i++) {
		params->v[i].name = get_s(r);
		params->v[i].value = get_s(r);
	}
}

static void
get_field(struct reader *r, struct mail_field *field)
{
	size_t value_at, len;

	field->id = (enum mail_field_id)get_octet(r);
	field->at = (uint32_t)get_max(r, UINT32_MAX);
	value_at = (size_t)get_max(r, SUMMARY_MAX);
	field->raw = get_s(r);
	if (field->id >= MAIL_FIELD_COUNT || value_at > field->raw.len) {
		fail(r);
		return;
	}
	len = field->raw.len;
	if (len > value_at && field->raw.p[len - 1] == '\n') {
		len--;
		if (len > value_at && field->raw.p[len - 1] == '\r')
			len--;
	}
	field->value = str_make(field->raw.p + value_at, len - value_at);
}

static void
get_fields(struct reader *r, struct mail_summary *summary)
{
	size_t i, count = get_count(r, FIELD_MIN_OCTETS, HEADER_FIELDS_MAX);

	if (count == 0)
		return;
	summary->field_count = count;
	summary->fields = arena_alloc(r->arena,
	    count * sizeof(*summary->fields));
	for (i = 0; i < count && !r->has_failed; i++)
		get_field(r, &summary->fields[i]);
}

static const struct mail_envelope *
get_envelope(struct reader *r)
{
	struct mail_envelope *env = arena_new_of(r->arena,
	    struct mail_envelope);
	unsigned mask = (unsigned)get_max(r, (1U << MAIL_ENV_COUNT) - 1);
	size_t i;

	for (i = 0; i < MAIL_ENV_COUNT; i++)
		if (mask & 1U << i)
			env->raw[i] = get_s(r);
	return env;
}

static const struct mail_envelope *
root_envelope(struct reader *r, const struct mail_summary *summary)
{
	struct mail_envelope *env = arena_new_of(r->arena,
	    struct mail_envelope);
	const struct mail_field *field = summary->fields;
	size_t i;

	for (i = 0; i < summary->field_count; i++, field++)
		if (field->id < MAIL_ENV_COUNT &&
		    env->raw[field->id].p == NULL)
			env->raw[field->id] = field->value;
	return env;
}

static void
get_part_texts(struct reader *r, struct mail_part *part, unsigned mask)
{
	size_t i;

	part->type = get_s(r);
	part->subtype = get_s(r);
	get_params(r, &part->params);
	if ((mask & (BIT_ALL - BIT_ENVELOPE)) == 0)
		return;
	for (i = 0; i < PART_TEXTS; i++)
		if (mask & part_texts[i].bit)
			*(struct str *)(void *)((char *)part +
			    part_texts[i].offset) = get_s(r);
	if (mask & BIT_DISPOSITION)
		get_params(r, &part->disposition_params);
}

static void
get_part(struct reader *r, struct mail_part *part)
{
	unsigned first = get_octet(r), mask;

	part->kind = first & 3;
	part->flags = (uint8_t)(first >> 2);
	part->children = (uint16_t)get_max(r, SUMMARY_PARTS_MAX);
	part->header_at = get_v(r);
	part->header_len = get_v(r);
	part->body_len = get_v(r);
	part->lines = (uint32_t)get_max(r, UINT32_MAX);
	mask = (unsigned)get_max(r, BIT_ALL);
	get_part_texts(r, part, mask);
	if (mask & BIT_ENVELOPE)
		part->envelope = get_envelope(r);
	if (part->flags > (MAIL_PART_OPAQUE | MAIL_PART_BROKEN))
		fail(r);
}

/* Offsets add up and lie inside [from, to). */
static bool
is_inside(struct mail_part *part, uint64_t from, uint64_t to)
{
	if (part->header_at < from || part->header_at > to ||
	    part->header_len > to - part->header_at)
		return false;
	part->body_at = part->header_at + part->header_len;
	return part->body_len <= to - part->body_at;
}

static bool
has_right_children(const struct mail_part *part)
{
	switch ((enum mail_part_kind)part->kind) {
	case MAIL_LEAF:
		return part->children == 0;
	case MAIL_MULTIPART:
		return part->children > 0;
	case MAIL_MESSAGE:
		return part->children == 1;
	}
	return false;
}

/* Parts stand in pre-order; open holds those that still expect children. */
struct builder {
	uint16_t open[SUMMARY_DEPTH_MAX];
	uint16_t expects[SUMMARY_DEPTH_MAX];
	uint16_t last[SUMMARY_DEPTH_MAX];
	size_t depth;
};

static bool
place(struct builder *b, struct mail_summary *summary, uint16_t i)
{
	struct mail_part *part = &summary->parts[i], *parent;
	size_t top;

	part->parent = part->child = part->next = MAIL_PART_NONE;
	while (b->depth > 0 && b->expects[b->depth - 1] == 0)
		b->depth--;
	if (i == 0)
		return is_inside(part, 0, summary->size);
	if (b->depth == 0)
		return false;
	top = b->depth - 1;
	parent = &summary->parts[b->open[top]];
	part->parent = b->open[top];
	if (b->last[top] == MAIL_PART_NONE)
		parent->child = i;
	else
		summary->parts[b->last[top]].next = i;
	b->last[top] = i;
	b->expects[top]--;
	/* The root of a message has an envelope, nothing else has. */
	if ((parent->kind == MAIL_MESSAGE) != (part->envelope != NULL))
		return false;
	return is_inside(part, parent->body_at,
	    parent->body_at + parent->body_len);
}

static bool
descend(struct builder *b, const struct mail_part *part, uint16_t i)
{
	if (part->children == 0)
		return true;
	if (b->depth == SUMMARY_DEPTH_MAX)
		return false;
	b->open[b->depth] = i;
	b->expects[b->depth] = part->children;
	b->last[b->depth] = MAIL_PART_NONE;
	b->depth++;
	return true;
}

static bool
get_parts(struct reader *r, struct mail_summary *summary)
{
	struct builder b = { .depth = 0 };
	struct mail_part *part;
	size_t i;

	summary->part_count = get_count(r, PART_MIN_OCTETS,
	    SUMMARY_PARTS_MAX);
	if (summary->part_count == 0)
		return false;
	summary->parts = arena_alloc(r->arena,
	    summary->part_count * sizeof(*summary->parts));
	for (i = 0; i < summary->part_count; i++) {
		part = &summary->parts[i];
		get_part(r, part);
		if (r->has_failed || !has_right_children(part) ||
		    (i == 0 && part->envelope != NULL) ||
		    !place(&b, summary, (uint16_t)i))
			return false;
		part->depth = i == 0 ? 1 : (uint16_t)
		    (summary->parts[part->parent].depth + 1);
		if (part->depth > SUMMARY_DEPTH_MAX ||
		    !descend(&b, part, (uint16_t)i))
			return false;
	}
	while (b.depth > 0 && b.expects[b.depth - 1] == 0)
		b.depth--;
	summary->parts[0].envelope = root_envelope(r, summary);
	return b.depth == 0;
}

static bool
get_head(struct reader *r, struct mail_summary *summary)
{
	if (get_octet(r) != SUMMARY_VERSION)
		return false;
	summary->flags = (uint32_t)get_max(r, SUMMARY_HAS_DATE |
	    SUMMARY_HEADER_8BIT | SUMMARY_BARE_LF | SUMMARY_HAS_NUL |
	    SUMMARY_OVER_LIMIT);
	summary->size = get_v(r);
	summary->lines = (uint32_t)get_max(r, UINT32_MAX);
	if (summary->flags & SUMMARY_HAS_DATE) {
		summary->sent_s = get_z_max(r, SENT_MAX_S);
		summary->zone_min = (int)get_z_max(r, ZONE_MAX_MIN);
	}
	summary->fields_missing = get_v(r);
	get_fields(r, summary);
	return !r->has_failed;
}

int
summary_decode(struct str encoded, struct arena *arena,
    struct mail_summary **summary_r, struct err *err)
{
	struct mail_summary *summary;
	struct reader r = { .arena = arena };

	if (encoded.len == 0 || encoded.len > SUMMARY_MAX)
		return err_set(err, ERR_CORRUPT, "summary of %zu octets",
		    encoded.len);
	r.p = (const unsigned char *)encoded.p;
	r.end = r.p + encoded.len;
	summary = arena_new_of(arena, struct mail_summary);
	if (!get_head(&r, summary) || !get_parts(&r, summary) ||
	    r.has_failed || r.p != r.end)
		return err_set(err, ERR_CORRUPT, "summary does not decode");
	*summary_r = summary;
	return 0;
}
