/* SPDX-License-Identifier: ISC */
#include "mail/scan_int.h"

#include "mail/date.h"

/* Of fields outside the ENVELOPE: octets of one, and of all. */
#define CACHE_FIELD_MAX 4096U
#define CACHE_MAX (16U << 10)

static struct str
keep(struct scan_keeper *keeper, struct str s)
{
	if (s.len > SCAN_KEPT_MAX - keeper->kept) {
		keeper->is_over = true;
		return STR_NONE;
	}
	keeper->kept += s.len;
	return arena_str(keeper->arena, s);
}

static struct str
keep_line(struct scan_keeper *keeper, struct str value)
{
	struct str kept = keep(keeper, value);

	return kept.p != NULL ? header_unfold(keeper->arena, kept) : kept;
}

/* The MIME fields of one part: the first of each counts. */
struct mime_fields {
	struct content_type ct;
	bool has_ct;
	bool has_bad_ct;
};

static void
read_type(struct scan_keeper *k, struct mail_part *part,
    struct mime_fields *mime, struct str value)
{
	(void)part;
	if (mime->has_ct || mime->has_bad_ct)
		return;
	value = keep(k, value);
	mime->has_ct = value.p != NULL &&
	    header_content_type(k->arena, value, &mime->ct);
	mime->has_bad_ct = !mime->has_ct;
}

static void
read_disposition(struct scan_keeper *k, struct mail_part *part,
    struct mime_fields *mime, struct str value)
{
	(void)mime;
	if (part->disposition.p != NULL)
		return;
	value = keep(k, value);
	if (value.p != NULL)
		(void)header_disposition(k->arena, value, &part->disposition,
		    &part->disposition_params);
}

static void
read_encoding(struct scan_keeper *k, struct mail_part *part,
    struct mime_fields *mime, struct str value)
{
	struct str word;

	(void)mime;
	if (part->encoding.p != NULL)
		return;
	word = header_token(k->arena, keep(k, value));
	if (word.len != 0)
		part->encoding = word;
}

#define READ_LINE(name)							\
static void								\
read_##name(struct scan_keeper *k, struct mail_part *part,		\
    struct mime_fields *mime, struct str value)				\
{									\
	(void)mime;							\
	if (part->name.p == NULL)					\
		part->name = keep_line(k, value);			\
}
READ_LINE(id)
READ_LINE(description)
READ_LINE(md5)
READ_LINE(language)
READ_LINE(location)

static const struct {
	struct str name;
	void (*read)(struct scan_keeper *k, struct mail_part *part,
	    struct mime_fields *mime, struct str value);
} mime_table[] = {
	{ { "Type", 4 }, read_type },
	{ { "Transfer-Encoding", 17 }, read_encoding },
	{ { "Disposition", 11 }, read_disposition },
	{ { "ID", 2 }, read_id },
	{ { "Description", 11 }, read_description },
	{ { "MD5", 3 }, read_md5 },
	{ { "Language", 8 }, read_language },
	{ { "Location", 8 }, read_location },
};

static void
read_mime_field(struct scan_keeper *k, struct mail_part *part,
    struct mime_fields *mime, const struct header_field *field)
{
	struct str rest;
	size_t i;

	if (field->name.len < 10 ||
	    !str_begins_nocase(field->name, STR("Content-")))
		return;
	rest = str_sub(field->name, 8, field->name.len);
	for (i = 0; i < sizeof(mime_table) / sizeof(mime_table[0]); i++)
		if (str_eq_nocase(rest, mime_table[i].name))
			mime_table[i].read(k, part, mime, field->value);
}

static void
read_envelope(struct scan_keeper *k, struct mail_envelope *env,
    enum mail_field_id id, const struct header_field *field)
{
	if (id < MAIL_ENV_COUNT && env->raw[id].p == NULL)
		env->raw[id] = keep(k, field->value);
}

/* The kept fields of the top-level header, and what they may cost. */
struct cache {
	struct mail_summary *sum;
	size_t cap;
	size_t spent;
	uint64_t seen;
};

static struct mail_field *
cache_slot(struct scan_keeper *k, struct cache *cache)
{
	struct mail_field *grown;

	if (cache->sum->field_count == cache->cap) {
		cache->cap = cache->cap != 0 ? cache->cap * 2 : 16;
		grown = arena_alloc(k->arena, cache->cap * sizeof(*grown));
		if (cache->sum->field_count != 0)
			memcpy(grown, cache->sum->fields,
			    cache->sum->field_count * sizeof(*grown));
		cache->sum->fields = grown;
	}
	return &cache->sum->fields[cache->sum->field_count++];
}

static bool
cache_takes(struct cache *cache, enum mail_field_id id, size_t len)
{
	if (id < MAIL_ENV_COUNT && (cache->seen & (1ULL << id)) == 0)
		return true;
	if (len > CACHE_FIELD_MAX || len > CACHE_MAX - cache->spent)
		return false;
	cache->spent += len;
	return true;
}

static void
cache_field(struct scan_keeper *k, struct cache *cache,
    enum mail_field_id id, const struct header_field *field)
{
	struct str raw = str_sub(field->raw, 0, HEADER_FIELD_MAX);
	bool takes = cache_takes(cache, id, raw.len);
	size_t value_at = (size_t)(field->value.p - field->raw.p);
	struct mail_field *slot;

	cache->seen |= 1ULL << id;
	if (raw.len < field->raw.len)
		cache->sum->fields_missing |= 1ULL << id;
	if (takes)
		raw = keep(k, raw);
	if (!takes || raw.p == NULL) {
		cache->sum->fields_missing |= 1ULL << id;
		return;
	}
	slot = cache_slot(k, cache);
	slot->id = id;
	slot->at = (uint32_t)field->at;
	slot->raw = raw;
	slot->value = str_sub(raw, value_at, field->value.len);
}

static void
root_done(struct mail_summary *root, struct str block, bool is_cut,
    struct mail_envelope *env)
{
	struct mail_date date;
	size_t i;

	if (is_cut) {
		root->fields_missing = UINT64_MAX;
		root->flags |= SUMMARY_OVER_LIMIT;
	}
	if (str_has_8bit(block))
		root->flags |= SUMMARY_HEADER_8BIT;
	for (i = 0; i < root->field_count; i++)
		if (root->fields[i].id < MAIL_ENV_COUNT &&
		    env->raw[root->fields[i].id].p == NULL)
			env->raw[root->fields[i].id] = root->fields[i].value;
	if (env->raw[MAIL_FIELD_DATE].p == NULL ||
	    date_parse(env->raw[MAIL_FIELD_DATE], &date) != 0)
		return;
	root->flags |= SUMMARY_HAS_DATE;
	root->sent_s = date.s;
	root->zone_min = date.zone_min;
}

static void
read_fields(struct scan_keeper *k, struct str block, struct mail_part *part,
    struct mail_envelope *env, struct mail_summary *root,
    struct mime_fields *mime)
{
	struct cache cache = { .sum = root };
	struct header_field field;
	struct header_iter iter;
	enum mail_field_id id;

	header_iter_init(&iter, block);
	while (header_next(&iter, &field)) {
		read_mime_field(k, part, mime, &field);
		if (env == NULL)
			continue;
		id = mail_field_id(field.name);
		if (id == MAIL_FIELD_NONE)
			continue;
		if (root != NULL)
			cache_field(k, &cache, id, &field);
		else
			read_envelope(k, env, id, &field);
	}
	if (root != NULL)
		root_done(root, block, iter.count == HEADER_FIELDS_MAX, env);
}

void
scan_part_opaque(struct mail_part *part)
{
	part->kind = MAIL_LEAF;
	part->flags |= MAIL_PART_OPAQUE;
	part->type = STR("application");
	part->subtype = STR("octet-stream");
	part->params = (struct mail_params){ NULL, 0 };
}

/* RFC 2045 section 5.2: text/plain; charset=us-ascii. */
void
scan_part_plain(struct scan_keeper *keeper, struct mail_part *part)
{
	part->kind = MAIL_LEAF;
	part->type = STR("text");
	part->subtype = STR("plain");
	part->params.count = 1;
	part->params.v = arena_alloc(keeper->arena,
	    sizeof(*part->params.v));
	part->params.v[0].name = STR("charset");
	part->params.v[0].value = STR("us-ascii");
}

/* RFC 2045 section 6.4: message/rfc822 is never encoded; when it is, what
 * lies inside cannot be pointed at. */
static bool
is_identity(struct str encoding)
{
	return encoding.len == 0 || str_eq(encoding, STR("7bit")) ||
	    str_eq(encoding, STR("8bit")) || str_eq(encoding, STR("binary"));
}

static bool
is_message(const struct mail_part *part)
{
	return str_eq(part->type, STR("message")) &&
	    (str_eq(part->subtype, STR("rfc822")) ||
	    str_eq(part->subtype, STR("global")));
}

static void
judge_multipart(struct scan_keeper *keeper, struct mail_part *part,
    bool can_descend, struct scan_verdict *verdict)
{
	struct str b = mail_param_get(&part->params, STR("boundary"));

	while (b.len > 0 && (b.p[b.len - 1] == ' ' || b.p[b.len - 1] == '\t'))
		b.len--;
	if (b.len == 0) {
		scan_part_plain(keeper, part);
		return;
	}
	if (b.len > SCAN_BOUNDARY_MAX || !can_descend) {
		scan_part_opaque(part);
		return;
	}
	verdict->kind = MAIL_MULTIPART;
	verdict->boundary = b;
}

static struct scan_verdict
judge(struct scan_keeper *keeper, struct mail_part *part, bool can_descend)
{
	struct scan_verdict verdict = { .kind = MAIL_LEAF };

	if (str_eq(part->type, STR("multipart")))
		judge_multipart(keeper, part, can_descend, &verdict);
	else if (is_message(part) &&
	    (!can_descend || !is_identity(part->encoding)))
		scan_part_opaque(part);
	else if (is_message(part))
		verdict.kind = MAIL_MESSAGE;
	part->kind = (uint8_t)verdict.kind;
	return verdict;
}

struct scan_verdict
scan_part_read(struct scan_keeper *keeper, struct str block,
    struct mail_part *part, struct mail_summary *root, bool can_descend,
    bool in_digest)
{
	struct mail_envelope *env = NULL;
	struct mime_fields mime = { .has_ct = false };

	/* The caller marks the root of a message with an empty envelope. */
	if (part->envelope != NULL) {
		env = arena_new_of(keeper->arena, struct mail_envelope);
		part->envelope = env;
	}
	read_fields(keeper, block, part, env, root, &mime);
	if (mime.has_ct) {
		part->type = mime.ct.type;
		part->subtype = mime.ct.subtype;
		part->params = mime.ct.params;
	} else if (in_digest && !mime.has_bad_ct) {
		part->type = STR("message");
		part->subtype = STR("rfc822");
	} else {
		scan_part_plain(keeper, part);
	}
	return judge(keeper, part, can_descend);
}
