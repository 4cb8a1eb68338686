/* SPDX-License-Identifier: ISC */
#include "mail/header.h"

void
header_iter_init(struct header_iter *iter, struct str block)
{
	*iter = (struct header_iter){ .block = block };
}

/* Offset after the line that begins at at. */
static size_t
line_end(struct str s, size_t at)
{
	const char *nl = memchr(s.p + at, '\n', s.len - at);

	return nl != NULL ? (size_t)(nl - s.p) + 1 : s.len;
}

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_empty_line(struct str s, size_t at)
{
	return s.p[at] == '\n' ||
	    (s.p[at] == '\r' && at + 1 < s.len && s.p[at + 1] == '\n');
}

/* RFC 5322 section 2.2: a name is printable ASCII; 4.5.8: blanks may follow. */
static size_t
name_len(struct str line, size_t colon)
{
	size_t i, len = colon;

	while (len > 0 && is_wsp(line.p[len - 1]))
		len--;
	for (i = 0; i < len; i++)
		if (line.p[i] <= 0x20 || line.p[i] >= 0x7f)
			return 0;
	return len;
}

static struct str
without_line_end(struct str s)
{
	if (s.len > 0 && s.p[s.len - 1] == '\n')
		s.len--;
	else
		return s;
	if (s.len > 0 && s.p[s.len - 1] == '\r')
		s.len--;
	return s;
}

static bool
field_of(struct str raw, size_t first_line, struct header_field *field_r)
{
	const char *colon = memchr(raw.p, ':', first_line);
	size_t len, at;

	if (colon == NULL)
		return false;
	at = (size_t)(colon - raw.p);
	len = name_len(raw, at);
	if (len == 0)
		return false;
	field_r->name = str_make(raw.p, len);
	field_r->raw = raw;
	field_r->value = without_line_end(str_sub(raw, at + 1, raw.len));
	if (field_r->value.len > HEADER_FIELD_MAX)
		field_r->value.len = HEADER_FIELD_MAX;
	return true;
}

bool
header_next(struct header_iter *iter, struct header_field *field_r)
{
	struct str s = iter->block;
	size_t from, first;

	while (iter->at < s.len && iter->count < HEADER_FIELDS_MAX) {
		from = iter->at;
		if (is_empty_line(s, from))
			return false;
		first = iter->at = line_end(s, from);
		while (iter->at < s.len && is_wsp(s.p[iter->at]))
			iter->at = line_end(s, iter->at);
		if (is_wsp(s.p[from]))
			continue;
		if (!field_of(str_sub(s, from, iter->at - from),
		    first - from, field_r))
			continue;
		field_r->at = from;
		iter->count++;
		return true;
	}
	return false;
}

bool
header_find(struct str block, struct str name, struct header_field *field_r)
{
	struct header_iter iter;

	header_iter_init(&iter, block);
	while (header_next(&iter, field_r))
		if (str_eq_nocase(field_r->name, name))
			return true;
	return false;
}

static bool
is_plain(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\0')
			return false;
	return true;
}

struct str
header_unfold(struct arena *arena, struct str value)
{
	struct str s = str_trim(value);
	size_t i, len = 0;
	char *out;

	if (is_plain(s))
		return s;
	out = arena_alloc(arena, s.len + 1);
	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '\n' || (s.p[i] == '\r' && i + 1 < s.len &&
		    s.p[i + 1] == '\n'))
			continue;
		out[len++] = s.p[i] == '\r' || s.p[i] == '\0' ? ' ' : s.p[i];
	}
	return str_make(out, len);
}
