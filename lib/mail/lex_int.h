/* SPDX-License-Identifier: ISC */
/*
 * lex: words of structured header fields. A cursor that only goes forward;
 * every function stops at the end of its input.
 *
 * RFC.        5322 section 3.2; 2045 section 5.1.
 */
#ifndef MAIL_LEX_INT_H
#define MAIL_LEX_INT_H

#include "base/arena.h"

struct lex {
	const char *p;
	const char *end;
	bool is_open;		/* a quote or comment was not closed */
};

static inline struct lex
lex_of(struct str s)
{
	if (s.len == 0)
		s.p = "";
	return (struct lex){ s.p, s.p + s.len, false };
}

static inline bool
lex_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool
lex_at(const struct lex *lex, char c)
{
	return lex->p < lex->end && *lex->p == c;
}

/* Skip blanks and comments; *comment_r (when not NULL) is the last comment's
 * inside. An unclosed comment reaches to the end. */
void lex_skip(struct lex *lex, struct str *comment_r);

/*
 * A quoted-string at its opening quote: the inside without quotes,
 * backslashes and line ends. A view when nothing had to go. An unclosed
 * string reaches to the end.
 */
struct str lex_quoted(struct lex *lex, struct arena *arena);

/* The run of octets that are neither blank nor in stop (NUL-terminated). */
struct str lex_until(struct lex *lex, const char *stop);

/* Lower-case copy, or s itself when it is lower case. */
struct str lex_lower(struct arena *arena, struct str s);

#endif
