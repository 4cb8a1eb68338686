/* SPDX-License-Identifier: ISC */
#include "mailauth/authres.h"

#define COMMENT_DEPTH_MAX 50U

struct lex {
	struct arena *arena;
	struct str s;
	size_t at;
	struct str comment;	/* the first one skipped, or p NULL */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ---- lexing ---- */

static int
skip_comment(struct lex *lex)
{
	size_t depth = 0, from = lex->at + 1;
	char c;

	for (; lex->at < lex->s.len; lex->at++) {
		c = lex->s.p[lex->at];
		if (c == '\\')
			lex->at++;
		else if (c == '(' && ++depth > COMMENT_DEPTH_MAX)
			return ERR_SYNTAX;
		else if (c == ')' && --depth == 0)
			break;
	}
	if (lex->at >= lex->s.len)
		return ERR_SYNTAX;
	if (lex->comment.p == NULL)
		lex->comment = str_sub(lex->s, from, lex->at - from);
	lex->at++;
	return 0;
}

/* RFC 5322 section 3.2.2: CFWS. */
static int
skip(struct lex *lex)
{
	while (lex->at < lex->s.len) {
		if (is_blank(lex->s.p[lex->at]))
			lex->at++;
		else if (lex->s.p[lex->at] != '(')
			return 0;
		else if (skip_comment(lex) != 0)
			return ERR_SYNTAX;
	}
	return 0;
}

static bool
next_is(const struct lex *lex, char c)
{
	return lex->at < lex->s.len && lex->s.p[lex->at] == c;
}

/* Take c with the blanks around it. */
static int
take(struct lex *lex, char c)
{
	if (skip(lex) != 0 || !next_is(lex, c))
		return ERR_SYNTAX;
	lex->at++;
	return skip(lex);
}

/* Append what a quoted-string holds. */
static int
take_quoted(struct lex *lex, struct buf *out)
{
	char c;

	for (lex->at++; lex->at < lex->s.len; lex->at++) {
		c = lex->s.p[lex->at];
		if (c == '"') {
			lex->at++;
			return 0;
		}
		if (c == '\\' && lex->at + 1 < lex->s.len)
			c = lex->s.p[++lex->at];
		if (c != '\r' && c != '\n')
			buf_add_char(out, c);
	}
	return ERR_SYNTAX;
}

/* A value: octets up to a blank, comment or one of stops; quoted-strings in
 * it are unquoted ("a b"@example.org). */
static int
take_value(struct lex *lex, const char *stops, struct str *value_r)
{
	struct buf out;
	int rc = 0;
	char c;

	buf_init(&out, lex->s.len + 1);
	while (rc == 0 && lex->at < lex->s.len) {
		c = lex->s.p[lex->at];
		if (c == '"') {
			rc = take_quoted(lex, &out);
			continue;
		}
		if (is_blank(c) || c == '(' || (c != '\0' &&
		    strchr(stops, c) != NULL))
			break;
		buf_add_char(&out, c);
		lex->at++;
	}
	if (rc == 0 && out.len == 0)
		rc = ERR_SYNTAX;
	if (rc == 0)
		*value_r = arena_str(lex->arena, buf_str(&out));
	buf_fini(&out);
	return rc;
}

/* RFC 5321: Keyword; "/" and "." as stops decide themselves. */
static int
take_keyword(struct lex *lex, struct str *word_r)
{
	size_t from = lex->at;
	char c;

	for (; lex->at < lex->s.len; lex->at++) {
		c = lex->s.p[lex->at];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' &&
		    c != '_')
			break;
	}
	*word_r = str_sub(lex->s, from, lex->at - from);
	return word_r->len > 0 ? 0 : ERR_SYNTAX;
}

/* ---- grammar ---- */

static int
take_version(struct lex *lex)
{
	while (lex->at < lex->s.len && ascii_is_digit(lex->s.p[lex->at]))
		lex->at++;
	return skip(lex);
}

/* authserv-id [ CFWS authres-version ], up to the semicolon or the end. */
static int
take_id(struct lex *lex, struct str *id_r)
{
	if (skip(lex) != 0 || take_value(lex, ";", id_r) != 0 ||
	    skip(lex) != 0 || take_version(lex) != 0)
		return ERR_SYNTAX;
	return lex->at == lex->s.len || next_is(lex, ';') ? 0 : ERR_SYNTAX;
}

/* method [ "/" version ] "=" result */
static int
take_method(struct lex *lex, struct authres *one)
{
	if (take_keyword(lex, &one->method) != 0 || skip(lex) != 0)
		return ERR_SYNTAX;
	if (next_is(lex, '/')) {
		lex->at++;
		if (skip(lex) != 0 || take_version(lex) != 0)
			return ERR_SYNTAX;
	}
	return take(lex, '=') != 0 ? ERR_SYNTAX :
	    take_keyword(lex, &one->result);
}

/* "reason" "=" value, or ptype "." property "=" pvalue. */
static int
take_property(struct lex *lex, struct authres *one)
{
	struct str name, property, value;

	if (take_keyword(lex, &name) != 0 || skip(lex) != 0)
		return ERR_SYNTAX;
	if (next_is(lex, '.')) {
		lex->at++;
		if (skip(lex) != 0 || take_keyword(lex, &property) != 0)
			return ERR_SYNTAX;
		name = arena_printf(lex->arena, "%.*s.%.*s", STR_FMT(name),
		    STR_FMT(property));
	} else if (!str_eq_nocase(name, STR("reason")) &&
	    !str_eq_nocase(name, STR("action")))
		return ERR_SYNTAX;
	if (take(lex, '=') != 0 || take_value(lex, ";", &value) != 0)
		return ERR_SYNTAX;
	if (str_eq_nocase(name, STR("reason")))
		one->reason = value;
	else if (one->prop_count == AUTHRES_PROPS_MAX)
		return ERR_LIMIT;
	else
		one->props[one->prop_count++] =
		    (struct authres_prop){ name, value };
	return 0;
}

static int
take_result(struct lex *lex, struct authres *one)
{
	int rc;

	memset(one, 0, sizeof(*one));
	if (take_method(lex, one) != 0)
		return ERR_SYNTAX;
	lex->comment = STR_NONE;
	if (skip(lex) != 0)
		return ERR_SYNTAX;
	one->comment = lex->comment;
	while (lex->at < lex->s.len && !next_is(lex, ';')) {
		rc = take_property(lex, one);
		if (rc != 0 || (rc = skip(lex)) != 0)
			return rc;
	}
	return 0;
}

/* "none" and nothing else: there are no results. */
static bool
take_none(struct lex *lex)
{
	struct lex try = *lex;
	struct str word;

	if (take_keyword(&try, &word) != 0 ||
	    !str_eq_nocase(word, STR("none")) || skip(&try) != 0)
		return false;
	if (next_is(&try, ';')) {
		try.at++;
		(void)skip(&try);
	}
	if (try.at < try.s.len)
		return false;
	*lex = try;
	return true;
}

static int
take_results(struct lex *lex, struct authres_list *list)
{
	int rc;

	while (next_is(lex, ';')) {
		lex->at++;
		if (skip(lex) != 0)
			return ERR_SYNTAX;
		if (lex->at == lex->s.len)
			break;
		if (list->count == 0 && take_none(lex))
			break;
		if (list->count == AUTHRES_MAX)
			return ERR_LIMIT;
		rc = take_result(lex, &list->v[list->count]);
		if (rc != 0)
			return rc;
		list->count++;
	}
	return lex->at == lex->s.len ? 0 : ERR_SYNTAX;
}

int
authres_parse(struct arena *arena, struct str value,
    struct authres_list *list_r, struct err *err)
{
	struct lex lex = { .arena = arena, .s = value };
	int rc;

	memset(list_r, 0, sizeof(*list_r));
	rc = take_id(&lex, &list_r->authserv_id);
	if (rc == 0)
		rc = take_results(&lex, list_r);
	if (rc == 0)
		return 0;
	list_r->count = 0;
	return err_set(err, rc == ERR_LIMIT ? ERR_LIMIT : ERR_SYNTAX,
	    "Authentication-Results: octet %zu", lex.at);
}

struct str
authres_id(struct arena *arena, struct str value, struct str *rest_r)
{
	struct lex lex = { .arena = arena, .s = value };
	struct str id;

	*rest_r = STR_NONE;
	if (take_id(&lex, &id) != 0)
		return STR_NONE;
	if (lex.at < value.len)
		*rest_r = str_sub(value, lex.at + 1, STR_NPOS);
	return id;
}
