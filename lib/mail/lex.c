/* SPDX-License-Identifier: ISC */
#include "mail/lex_int.h"

/* RFC 5322 section 3.2.2: comments nest; counted, not recursed into. */
static void
skip_comment(struct lex *lex, struct str *comment_r)
{
	const char *from = ++lex->p;
	size_t depth = 1;

	for (; lex->p < lex->end; lex->p++) {
		if (*lex->p == '\\' && lex->p + 1 < lex->end)
			lex->p++;
		else if (*lex->p == '(')
			depth++;
		else if (*lex->p == ')' && --depth == 0)
			break;
	}
	if (comment_r != NULL)
		*comment_r = str_make(from, (size_t)(lex->p - from));
	if (lex->p < lex->end)
		lex->p++;
	else
		lex->is_open = true;
}

void
lex_skip(struct lex *lex, struct str *comment_r)
{
	while (lex->p < lex->end) {
		if (lex_is_blank(*lex->p))
			lex->p++;
		else if (*lex->p == '(')
			skip_comment(lex, comment_r);
		else
			break;
	}
}

static struct str
unescape(struct arena *arena, struct str s)
{
	char *out = arena_alloc(arena, s.len + 1);
	size_t i, len = 0;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '\\' && i + 1 < s.len)
			i++;
		else if (s.p[i] == '\r' || s.p[i] == '\n')
			continue;
		out[len++] = s.p[i];
	}
	return str_make(out, len);
}

struct str
lex_quoted(struct lex *lex, struct arena *arena)
{
	const char *from = ++lex->p;
	bool is_plain = true;
	struct str s;

	for (; lex->p < lex->end && *lex->p != '"'; lex->p++) {
		if (*lex->p == '\\' && lex->p + 1 < lex->end) {
			lex->p++;
			is_plain = false;
		} else if (*lex->p == '\r' || *lex->p == '\n') {
			is_plain = false;
		}
	}
	s = str_make(from, (size_t)(lex->p - from));
	if (lex->p < lex->end)
		lex->p++;
	else
		lex->is_open = true;
	return is_plain ? s : unescape(arena, s);
}

struct str
lex_until(struct lex *lex, const char *stop)
{
	const char *from = lex->p;

	while (lex->p < lex->end && !lex_is_blank(*lex->p) &&
	    (*lex->p == '\0' || strchr(stop, *lex->p) == NULL))
		lex->p++;
	return str_make(from, (size_t)(lex->p - from));
}

struct str
lex_lower(struct arena *arena, struct str s)
{
	char *out;
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'Z')
			break;
	if (i == s.len)
		return s;
	out = arena_alloc(arena, s.len + 1);
	for (i = 0; i < s.len; i++)
		out[i] = ascii_lower(s.p[i]);
	return str_make(out, s.len);
}
