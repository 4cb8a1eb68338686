/* SPDX-License-Identifier: ISC */
/* Parameters of MIME fields: RFC 2045 section 5.1 and RFC 2231. */
#include "mail/header.h"

#include "mail/lex_int.h"

#define SECTION_NONE (-1)

/* One parameter as written: name*section*=value. */
struct piece {
	struct str base;
	struct str value;
	int section;
	bool is_extended;
	bool is_used;
};

/* RFC 2231 section 3: name*0, name*1 and section 4: a * at the end. */
static void
split_name(struct str name, struct piece *piece)
{
	size_t star;
	uint64_t number;

	piece->section = SECTION_NONE;
	piece->base = name;
	if (name.len > 1 && name.p[name.len - 1] == '*') {
		piece->is_extended = true;
		name.len--;
		piece->base = name;
	}
	star = str_rfind(name, '*');
	if (star == STR_NPOS || star == 0)
		return;
	if (str_to_u64(str_sub(name, star + 1, name.len),
	    HEADER_PARAMS_MAX - 1, &number) != 0)
		return;
	piece->section = (int)number;
	piece->base = str_sub(name, 0, star);
}

/*
 * A value without quotes. Senders leave the quotes away around blanks, so
 * everything up to the semicolon belongs to it, but a comment does not.
 */
static struct str
bare_value(struct lex *lex)
{
	const char *from = lex->p, *end;

	while (lex->p < lex->end && *lex->p != ';')
		lex->p++;
	for (end = from; end < lex->p; end++)
		if (*end == '(' && end > from && lex_is_blank(end[-1]))
			break;
	return str_trim(str_make(from, (size_t)(end - from)));
}

static void
skip_past_semicolon(struct lex *lex)
{
	while (lex->p < lex->end && *lex->p != ';')
		lex->p++;
	if (lex->p < lex->end)
		lex->p++;
}

static size_t
collect(struct lex *lex, struct arena *arena, struct piece *pieces)
{
	size_t count = 0;
	struct str name;

	while (lex->p < lex->end && count < HEADER_PARAMS_MAX) {
		lex_skip(lex, NULL);
		name = lex_until(lex, "=;(\"");
		lex_skip(lex, NULL);
		if (name.len == 0 || !lex_at(lex, '=')) {
			skip_past_semicolon(lex);
			continue;
		}
		lex->p++;
		lex_skip(lex, NULL);
		pieces[count] = (struct piece){ .is_used = false };
		pieces[count].value = lex_at(lex, '"') ?
		    lex_quoted(lex, arena) : bare_value(lex);
		split_name(lex_lower(arena, name), &pieces[count]);
		count++;
		skip_past_semicolon(lex);
	}
	return count;
}

static bool
is_attribute_char(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) ||
	    (c != '\0' && strchr("!#$&+-.^_`{|}~", c) != NULL);
}

/* A plain section inside an extended value is percent-encoded like the rest. */
static char *
put_encoded(char *out, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (is_attribute_char(s.p[i])) {
			*out++ = s.p[i];
			continue;
		}
		*out++ = '%';
		*out++ = digits[(unsigned char)s.p[i] >> 4];
		*out++ = digits[(unsigned char)s.p[i] & 15];
	}
	return out;
}

/* Indexes by section of base, up to the first one missing. */
static size_t
find_sections(struct piece *pieces, size_t count, struct str base,
    size_t by_section[HEADER_PARAMS_MAX], bool *is_extended_r)
{
	bool has[HEADER_PARAMS_MAX] = { false };
	size_t i, n = 0, at;

	*is_extended_r = false;
	for (i = 0; i < count; i++) {
		if (pieces[i].section == SECTION_NONE ||
		    !str_eq(pieces[i].base, base))
			continue;
		pieces[i].is_used = true;
		at = (size_t)pieces[i].section;
		if (has[at])
			continue;
		has[at] = true;
		by_section[at] = i;
	}
	while (n < HEADER_PARAMS_MAX && has[n]) {
		if (pieces[by_section[n]].is_extended)
			*is_extended_r = true;
		n++;
	}
	return n;
}

static struct str
join(struct arena *arena, const struct piece *pieces, const size_t *order,
    size_t count, bool is_extended)
{
	const struct piece *piece;
	size_t i, len = 2;
	char *out, *p;

	for (i = 0; i < count; i++)
		len += pieces[order[i]].value.len * (is_extended ? 3 : 1);
	p = out = arena_alloc(arena, len);
	/* The charset stands in section 0 alone; without it, name none. */
	if (is_extended && !pieces[order[0]].is_extended) {
		*p++ = '\'';
		*p++ = '\'';
	}
	for (i = 0; i < count; i++) {
		piece = &pieces[order[i]];
		if (is_extended && !piece->is_extended) {
			p = put_encoded(p, piece->value);
		} else if (piece->value.len != 0) {
			memcpy(p, piece->value.p, piece->value.len);
			p += piece->value.len;
		}
	}
	return str_make(out, (size_t)(p - out));
}

static struct str
starred(struct arena *arena, struct str base)
{
	char *p = arena_alloc(arena, base.len + 1);

	if (base.len != 0)
		memcpy(p, base.p, base.len);
	p[base.len] = '*';
	return str_make(p, base.len + 1);
}

/* The first of a name wins, so that all readers see the same one. */
static void
put_param(struct mail_params *params, struct str name, struct str value)
{
	if (mail_param_get(params, name).p != NULL)
		return;
	if (value.p == NULL)
		value = STR("");
	params->v[params->count++] = (struct mail_param){ name, value };
}

static void
merge(struct arena *arena, struct piece *pieces, size_t count,
    struct mail_params *params)
{
	size_t order[HEADER_PARAMS_MAX];
	struct piece *piece;
	size_t i, n;
	bool is_extended;

	for (i = 0; i < count; i++) {
		piece = &pieces[i];
		if (piece->is_used)
			continue;
		if (piece->section == SECTION_NONE) {
			put_param(params, piece->is_extended ?
			    starred(arena, piece->base) : piece->base,
			    piece->value);
			continue;
		}
		n = find_sections(pieces, count, piece->base, order,
		    &is_extended);
		if (n == 0)
			continue;
		put_param(params, is_extended ? starred(arena, piece->base) :
		    piece->base, join(arena, pieces, order, n, is_extended));
	}
}

static void
parse_params(struct lex *lex, struct arena *arena,
    struct mail_params *params_r)
{
	struct piece pieces[HEADER_PARAMS_MAX];
	size_t count;

	*params_r = (struct mail_params){ NULL, 0 };
	skip_past_semicolon(lex);
	count = collect(lex, arena, pieces);
	if (count == 0)
		return;
	params_r->v = arena_alloc(arena, count * sizeof(*params_r->v));
	merge(arena, pieces, count, params_r);
}

bool
header_content_type(struct arena *arena, struct str value,
    struct content_type *ct_r)
{
	struct lex lex = lex_of(value);
	struct str type, subtype;

	lex_skip(&lex, NULL);
	type = lex_until(&lex, "/;(,\"");
	lex_skip(&lex, NULL);
	if (type.len == 0 || !lex_at(&lex, '/'))
		return false;
	lex.p++;
	lex_skip(&lex, NULL);
	subtype = lex_until(&lex, "/;(,\"");
	if (subtype.len == 0)
		return false;
	ct_r->type = lex_lower(arena, type);
	ct_r->subtype = lex_lower(arena, subtype);
	parse_params(&lex, arena, &ct_r->params);
	return true;
}

bool
header_disposition(struct arena *arena, struct str value,
    struct str *value_r, struct mail_params *params_r)
{
	struct lex lex = lex_of(value);
	struct str word;

	lex_skip(&lex, NULL);
	word = lex_until(&lex, ";(\"");
	if (word.len == 0)
		return false;
	*value_r = lex_lower(arena, word);
	parse_params(&lex, arena, params_r);
	return true;
}

struct str
header_token(struct arena *arena, struct str value)
{
	struct lex lex = lex_of(value);

	lex_skip(&lex, NULL);
	return lex_lower(arena, lex_until(&lex, ";(\""));
}

struct str
mail_param_get(const struct mail_params *params, struct str name)
{
	size_t i;

	for (i = 0; i < params->count; i++)
		if (str_eq(params->v[i].name, name))
			return params->v[i].value;
	return STR_NONE;
}
