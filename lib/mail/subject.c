/* SPDX-License-Identifier: ISC */
#include "mail/subject.h"

#include "mail/charset.h"
#include "mail/text.h"

/* What anybody sorts by. */
#define SUBJECT_OCTETS_MAX 1000U

/* Runs of blanks are one blank; none at the ends. */
static struct str
squeeze(struct arena *arena, struct str s)
{
	char *p = arena_alloc(arena, s.len + 1);
	size_t i, len = 0;

	for (i = 0; i < s.len; i++) {
		if ((unsigned char)s.p[i] > ' ')
			p[len++] = s.p[i];
		else if (len != 0 && p[len - 1] != ' ')
			p[len++] = ' ';
	}
	while (len != 0 && p[len - 1] == ' ')
		len--;
	return str_make(p, len);
}

static struct str
from(struct str s, size_t at)
{
	return str_sub(s, at, s.len);
}

static struct str
skip_blanks(struct str s)
{
	while (s.len != 0 && s.p[0] == ' ')
		s = from(s, 1);
	return s;
}

/* "[" without brackets in it "]" and blanks; false: none stands here. */
static bool
skip_blob(struct str *s)
{
	size_t i;

	if (s->len == 0 || s->p[0] != '[')
		return false;
	for (i = 1; i < s->len && s->p[i] != '[' && s->p[i] != ']'; i++)
		;
	if (i == s->len || s->p[i] != ']')
		return false;
	*s = skip_blanks(from(*s, i + 1));
	return true;
}

/* "re", "fw" or "fwd", blanks, a blob, ":" */
static bool
skip_refwd(struct str *s)
{
	struct str rest;

	if (str_begins(*s, STR("fwd")))
		rest = from(*s, 3);
	else if (str_begins(*s, STR("re")) || str_begins(*s, STR("fw")))
		rest = from(*s, 2);
	else
		return false;
	rest = skip_blanks(rest);
	(void)skip_blob(&rest);
	if (rest.len == 0 || rest.p[0] != ':')
		return false;
	*s = from(rest, 1);
	return true;
}

/* RFC 5256 section 2.1 step 3: blobs count only before a "re:". */
static bool
skip_leader(struct str *s, bool *is_reply)
{
	struct str rest = *s;

	if (s->len != 0 && s->p[0] == ' ') {
		*s = skip_blanks(*s);
		return true;
	}
	while (skip_blob(&rest))
		;
	if (!skip_refwd(&rest))
		return false;
	*is_reply = true;
	*s = rest;
	return true;
}

static bool
cut_trailer(struct str *s, bool *is_reply)
{
	const struct str fwd = STR("(fwd)");

	if (s->len != 0 && s->p[s->len - 1] == ' ') {
		s->len--;
		return true;
	}
	if (s->len < fwd.len || !str_eq(from(*s, s->len - fwd.len), fwd))
		return false;
	*is_reply = true;
	s->len -= fwd.len;
	return true;
}

/* Steps 2 to 5. */
static void
strip(struct str *s, bool *is_reply)
{
	struct str rest;
	bool is_changed;

	while (cut_trailer(s, is_reply))
		;
	do {
		is_changed = false;
		while (skip_leader(s, is_reply))
			is_changed = true;
		/* A blob that is all there is stays. */
		rest = *s;
		if (skip_blob(&rest) && rest.len != 0) {
			*s = rest;
			is_changed = true;
		}
	} while (is_changed);
}

/* Step 6: "[fwd: ... ]" */
static bool
unwrap(struct str *s, bool *is_reply)
{
	const struct str fwd = STR("[fwd:");

	if (s->len <= fwd.len || !str_begins(*s, fwd) ||
	    s->p[s->len - 1] != ']')
		return false;
	*s = str_sub(*s, fwd.len, s->len - fwd.len - 1);
	*is_reply = true;
	return true;
}

bool
subject_base(struct arena *arena, struct str value, struct str *base_r)
{
	struct buf text, folded;
	bool is_reply = false;

	buf_init(&text, 4 * SUBJECT_OCTETS_MAX);
	buf_init(&folded, 64 * SUBJECT_OCTETS_MAX);
	rfc2047_decode(&text, str_sub(value, 0, SUBJECT_OCTETS_MAX));
	text_fold(&folded, buf_str(&text));
	*base_r = squeeze(arena, buf_str(&folded));
	buf_fini(&text);
	buf_fini(&folded);
	do
		strip(base_r, &is_reply);
	while (unwrap(base_r, &is_reply));
	return is_reply;
}
