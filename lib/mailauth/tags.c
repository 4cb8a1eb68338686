/* SPDX-License-Identifier: ISC */
#include "mailauth/tags.h"

#include "base/buf.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 6376 section 3.2: tag-name = ALPHA *ALNUMPUNC */
static bool
is_name(struct str s)
{
	size_t i;

	if (s.len == 0 || !ascii_is_alpha(s.p[0]))
		return false;
	for (i = 1; i < s.len; i++)
		if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) &&
		    s.p[i] != '_')
			return false;
	return true;
}

/* RFC 6376 section 3.2: VALCHAR, and RFC 8616: UTF-8. */
static bool
is_value(struct str s)
{
	bool has_8bit = false;
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (is_blank(s.p[i]))
			continue;
		if ((unsigned char)s.p[i] >= 0x80)
			has_8bit = true;
		else if (s.p[i] <= 0x20 || s.p[i] == 0x7f)
			return false;
	}
	return !has_8bit || str_is_utf8(s);
}

static int
add_tag(struct tags *tags, struct str spec, size_t from, struct err *err)
{
	struct str value, name = str_trim(str_cut(spec, '=', &value));
	struct tag *tag = &tags->v[tags->count];
	size_t i;

	if (value.p == NULL || !is_name(name) || !is_value(value))
		return err_set(err, ERR_SYNTAX, "no tag at octet %zu", from);
	for (i = 0; i < tags->count; i++)
		if (str_eq(tags->v[i].name, name))
			return err_set(err, ERR_SYNTAX, "tag %.*s twice",
			    STR_FMT(name));
	if (tags->count == TAGS_MAX)
		return err_set(err, ERR_LIMIT, "too many tags");
	tags->count++;
	tag->name = name;
	tag->end = from + spec.len;
	tag->at = tag->end - value.len;
	tag->value = str_trim(value);
	if (tag->value.p == NULL)
		tag->value = STR("");
	return 0;
}

int
tags_parse(struct str text, struct tags *tags_r, struct err *err)
{
	struct str spec, rest = text;
	size_t from = 0;
	int rc;

	tags_r->count = 0;
	if (text.len > TAGS_OCTETS_MAX)
		return err_set(err, ERR_LIMIT, "tag list over %u octets",
		    TAGS_OCTETS_MAX);
	while (rest.p != NULL) {
		spec = str_cut(rest, ';', &rest);
		/* Only the last semicolon may have nothing after it. */
		if (rest.p == NULL && tags_r->count > 0 &&
		    str_trim(spec).len == 0)
			break;
		if ((rc = add_tag(tags_r, spec, from, err)) != 0)
			return rc;
		from += spec.len + 1;
	}
	return tags_r->count > 0 ? 0 :
	    err_set(err, ERR_SYNTAX, "an empty tag list");
}

const struct tag *
tags_find(const struct tags *tags, const char *name)
{
	size_t i;

	for (i = 0; i < tags->count; i++)
		if (str_eq(tags->v[i].name, str_of(name)))
			return &tags->v[i];
	return NULL;
}

struct str
tags_get(const struct tags *tags, const char *name)
{
	const struct tag *tag = tags_find(tags, name);

	return tag != NULL ? tag->value : STR_NONE;
}

struct str
tags_squeeze(struct arena *arena, struct str value)
{
	size_t i, len = 0;
	char *out;

	for (i = 0; i < value.len && !is_blank(value.p[i]); i++)
		;
	if (i == value.len)
		return value;
	out = arena_alloc(arena, value.len);
	for (i = 0; i < value.len; i++)
		if (!is_blank(value.p[i]))
			out[len++] = value.p[i];
	return str_make(out, len);
}

int
tags_base64(struct arena *arena, struct str value, struct str *octets_r,
    struct err *err)
{
	struct str s = tags_squeeze(arena, value);
	struct buf padded, out;
	int rc;

	buf_init(&padded, s.len + 2);
	buf_init(&out, s.len + 2);
	buf_add_str(&padded, s);
	/* RFC 6376 section 2.10: the equals signs are optional. */
	while (padded.len % 4 > 1)
		buf_add_char(&padded, '=');
	rc = buf_add_unbase64(&out, buf_str(&padded));
	if (rc == 0)
		*octets_r = arena_str(arena, buf_str(&out));
	else
		(void)err_set(err, ERR_SYNTAX, "no base64");
	buf_fini(&padded);
	buf_fini(&out);
	return rc == 0 ? 0 : ERR_SYNTAX;
}

bool
tags_next_item(struct str *rest, struct str *item_r)
{
	if (rest->p == NULL)
		return false;
	*item_r = str_trim(str_cut(*rest, ':', rest));
	return true;
}

bool
tags_list_has(struct str list, const char *item)
{
	struct str one, rest = list;

	while (tags_next_item(&rest, &one))
		if (str_eq_nocase(one, str_of(item)))
			return true;
	return false;
}
