/* SPDX-License-Identifier: ISC */
/* mail_fuzz: what the targets of lib/mail share. */
#ifndef MAIL_FUZZ_H
#define MAIL_FUZZ_H

#include "mail/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Compare two summaries field by field. */
static inline void
same_str(struct str a, struct str b)
{
	invariant((a.p == NULL) == (b.p == NULL));
	invariant(str_eq(a, b));
}

static inline void
same_params(const struct mail_params *a, const struct mail_params *b)
{
	size_t i;

	invariant(a->count == b->count);
	for (i = 0; i < a->count; i++) {
		same_str(a->v[i].name, b->v[i].name);
		same_str(a->v[i].value, b->v[i].value);
	}
}

static inline void
same_part(const struct mail_part *a, const struct mail_part *b)
{
	size_t i;

	invariant(a->header_at == b->header_at);
	invariant(a->header_len == b->header_len);
	invariant(a->body_at == b->body_at && a->body_len == b->body_len);
	invariant(a->lines == b->lines && a->kind == b->kind);
	invariant(a->parent == b->parent && a->child == b->child);
	invariant(a->next == b->next && a->children == b->children);
	invariant(a->flags == b->flags && a->depth == b->depth);
	same_str(a->type, b->type);
	same_str(a->subtype, b->subtype);
	same_str(a->id, b->id);
	same_str(a->description, b->description);
	same_str(a->encoding, b->encoding);
	same_str(a->md5, b->md5);
	same_str(a->disposition, b->disposition);
	same_str(a->language, b->language);
	same_str(a->location, b->location);
	same_params(&a->params, &b->params);
	same_params(&a->disposition_params, &b->disposition_params);
	invariant((a->envelope == NULL) == (b->envelope == NULL));
	for (i = 0; a->envelope != NULL && i < MAIL_ENV_COUNT; i++)
		same_str(a->envelope->raw[i], b->envelope->raw[i]);
}

static inline void
same_summary(const struct mail_summary *a, const struct mail_summary *b)
{
	size_t i;

	invariant(a->size == b->size && a->lines == b->lines);
	invariant(a->flags == b->flags && a->sent_s == b->sent_s);
	invariant(a->zone_min == b->zone_min);
	invariant(a->fields_missing == b->fields_missing);
	invariant(a->field_count == b->field_count);
	for (i = 0; i < a->field_count; i++) {
		invariant(a->fields[i].id == b->fields[i].id);
		invariant(a->fields[i].at == b->fields[i].at);
		same_str(a->fields[i].raw, b->fields[i].raw);
		same_str(a->fields[i].value, b->fields[i].value);
	}
	invariant(a->part_count == b->part_count);
	for (i = 0; i < a->part_count; i++)
		same_part(&a->parts[i], &b->parts[i]);
}

/* What holds for every summary, scanned or decoded. */
static inline void
check_summary(const struct mail_summary *s)
{
	struct mail_section section;
	struct mail_range range;
	struct buf number;
	size_t i;

	buf_init(&number, 2000);
	invariant(s->part_count >= 1 && s->part_count <= SUMMARY_PARTS_MAX);
	invariant(s->parts[0].header_at <= s->size);
	for (i = 0; i < s->part_count; i++) {
		invariant(s->parts[i].body_at + s->parts[i].body_len <=
		    s->size);
		invariant(s->parts[i].depth <= SUMMARY_DEPTH_MAX);
		if (i > 64)
			continue;
		buf_reset(&number);
		summary_put_number(s, &s->parts[i], &number);
		invariant(mail_section_parse(buf_str(&number),
		    &section) == 0);
		invariant(summary_section(s, &section, &range) == 0);
		if (s->parts[i].kind != MAIL_MULTIPART)
			invariant(range.part == &s->parts[i]);
	}
	(void)summary_has_attachment(s);
	(void)summary_text_part(s, STR("plain"));
	buf_fini(&number);
}

#endif
