/* SPDX-License-Identifier: ISC */
#include "mailauth/authres.h"

#include "mail/build.h"

/* ---- collecting ---- */

struct authres *
authres_add(struct authres_list *list, const char *method,
    enum mailauth_result result)
{
	struct authres *one;

	if (list->count == AUTHRES_MAX)
		return NULL;
	one = &list->v[list->count++];
	memset(one, 0, sizeof(*one));
	one->method = str_of(method);
	one->result = str_of(mailauth_result_name(result));
	return one;
}

void
authres_prop(struct authres *authres, const char *name, struct str value)
{
	struct authres_prop *prop;

	if (authres == NULL || value.len == 0 ||
	    value.len > AUTHRES_VALUE_MAX ||
	    authres->prop_count == AUTHRES_PROPS_MAX)
		return;
	prop = &authres->props[authres->prop_count++];
	prop->name = str_of(name);
	prop->value = value;
}

static void
add_signature(struct authres_list *list, struct arena *arena,
    const struct dkim_result *result)
{
	struct authres *one = authres_add(list, "dkim", result->result);

	if (one == NULL)
		return;
	if (result->key_bits != 0)
		one->comment = arena_printf(arena, "%u-bit key%s",
		    result->key_bits, result->is_testing ? ", testing" : "");
	one->reason = result->reason;
	authres_prop(one, "header.d", result->domain);
	/* i= says more than d= only when it is not the default. */
	if (result->identity.len != result->domain.len + 1)
		authres_prop(one, "header.i", result->identity);
	authres_prop(one, "header.s", result->selector);
	authres_prop(one, "header.a", result->algorithm);
	authres_prop(one, "header.b", result->signature);
}

void
authres_add_dkim(struct authres_list *list, struct arena *arena,
    const struct dkim_results *results)
{
	size_t i;

	if (results->count == 0)
		(void)authres_add(list, "dkim", MAILAUTH_NONE);
	for (i = 0; i < results->count; i++)
		add_signature(list, arena, &results->v[i]);
}

void
authres_add_arc(struct authres_list *list, struct arena *arena,
    const struct arc_result *result)
{
	struct authres *one = authres_add(list, "arc", result->result);

	if (one == NULL)
		return;
	one->reason = result->reason;
	if (result->instance > 0)
		one->comment = arena_printf(arena, "i=%u", result->instance);
	if (result->has_oldest_pass)
		authres_prop(one, "header.oldest-pass",
		    arena_printf(arena, "%u", result->oldest_pass));
}

/* ---- writing ---- */

/* RFC 2045 section 5.1: token. */
static bool
is_token_char(char c)
{
	return c > 0x20 && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* RFC 8601 section 2.2: pvalue without quotes: a token, or a mailbox of dots
 * and atoms, or "@" and a domain. */
static bool
is_plain(struct str s)
{
	bool has_at = false;
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '@' && !has_at && i + 1 < s.len) {
			has_at = true;
			continue;
		}
		if (!is_token_char(s.p[i]))
			return false;
	}
	return s.len > 0;
}

/* What may stand on our line of text. */
static char
safe_char(char c, bool keeps_8bit)
{
	if ((unsigned char)c >= 0x80)
		return keeps_8bit ? c : '?';
	return (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
}

static void
put_quoted(struct buf *out, struct str s, bool keeps_8bit)
{
	size_t i;
	char c;

	buf_add_char(out, '"');
	for (i = 0; i < s.len; i++) {
		c = safe_char(s.p[i], keeps_8bit);
		if (c == '"' || c == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, c);
	}
	buf_add_char(out, '"');
}

static void
put_value(struct buf *out, struct str s, bool has_utf8)
{
	bool keeps_8bit = has_utf8 && str_is_utf8(s);

	/* A slash of base64 is no token: RFC 6008 quotes it. */
	if (is_plain(s))
		buf_add_str(out, s);
	else
		put_quoted(out, s, keeps_8bit);
}

/* Comments are ours, but an algorithm's or a country's name may be in them. */
static void
put_comment(struct buf *out, struct str s)
{
	size_t i;
	char c;

	buf_add_char(out, '(');
	for (i = 0; i < s.len; i++) {
		c = safe_char(s.p[i], false);
		buf_add_char(out, c == '(' || c == ')' || c == '\\' ? '?' : c);
	}
	buf_add_char(out, ')');
}

/* One word, so that it is not folded inside. */
static void
put_word(struct build *build, struct buf *word, bool is_last)
{
	if (is_last)
		buf_add_char(word, ';');
	build_word(build, buf_str(word));
	buf_reset(word);
}

static void
put_result(struct build *build, const struct authres *one, bool has_utf8,
    bool ends, struct buf *word)
{
	size_t i, left = one->prop_count + (one->comment.len > 0) +
	    (one->reason.len > 0);

	buf_addf(word, "%.*s=%.*s", STR_FMT(one->method),
	    STR_FMT(one->result));
	put_word(build, word, ends && left == 0);
	if (one->comment.len > 0) {
		put_comment(word, one->comment);
		put_word(build, word, ends && --left == 0);
	}
	if (one->reason.len > 0) {
		buf_add_cstr(word, "reason=");
		put_quoted(word, one->reason, false);
		put_word(build, word, ends && --left == 0);
	}
	for (i = 0; i < one->prop_count; i++) {
		buf_addf(word, "%.*s=", STR_FMT(one->props[i].name));
		put_value(word, one->props[i].value, has_utf8);
		put_word(build, word, ends && i + 1 == one->prop_count);
	}
}

static void
put_list(struct build *build, const struct authres_list *list)
{
	struct buf word;
	size_t i;

	buf_init(&word, 64U << 10);
	put_value(&word, list->authserv_id, false);
	put_word(build, &word, true);
	if (list->count == 0)
		build_word(build, STR("none"));
	for (i = 0; i < list->count; i++)
		put_result(build, &list->v[i], list->has_utf8,
		    i + 1 < list->count, &word);
	buf_fini(&word);
}

void
authres_put_field(struct buf *out, const struct authres_list *list)
{
	struct build build;

	build_begin(&build, out, "Authentication-Results");
	put_list(&build, list);
	build_end(&build);
}

void
authres_put_payload(struct buf *out, const struct authres_list *list)
{
	struct build build;
	struct buf text;
	struct str rest;

	buf_init(&text, 256U << 10);
	build_begin(&build, &text, "ARC-Authentication-Results");
	put_list(&build, list);
	(void)str_cut(buf_str(&text), ':', &rest);
	buf_add_str(out, str_trim(rest));
	buf_fini(&text);
}
