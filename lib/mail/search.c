/* SPDX-License-Identifier: ISC */
/* Folding and searching of UTF-8. */
#include "mail/text.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

#define NEEDLE_MAX (64U << 10)	/* folded */
#define SEGMENT_MAX 4096U	/* octets folded at once */
#define STEP_OCTETS 16384U

/*
 * Characters that converters of Japanese disagree about, and what the other
 * one becomes under NFKC.
 */
static UChar
unify(UChar c)
{
	switch (c) {
	case 0x301c:		/* wave dash; fullwidth tilde becomes ~ */
		return '~';
	case 0x2212:		/* minus sign; fullwidth one becomes - */
		return '-';
	case 0x2016:		/* double vertical line; parallel to */
		return 0x2225;
	default:
		return c;
	}
}

static const UNormalizer2 *
normalizer(void)
{
	UErrorCode status = U_ZERO_ERROR;
	const UNormalizer2 *n = unorm2_getNFKCCasefoldInstance(&status);

	invariant(U_SUCCESS(status));
	return n;
}

/* A segment of at most SEGMENT_MAX octets that begins and ends where
 * normalisation cannot reach across. */
static void
fold_segment(struct buf *out, struct str s)
{
	/* NFKC makes at most 18 units of one (U+FDFA). */
	UChar from[SEGMENT_MAX + 1], to[SEGMENT_MAX * 6 + 32];
	UErrorCode status = U_ZERO_ERROR;
	int32_t len, i, utf8_len = 0;
	char *utf8;

	u_strFromUTF8WithSub(from, SEGMENT_MAX + 1, &len, s.p, (int32_t)s.len,
	    0xfffd, NULL, &status);
	len = unorm2_normalize(normalizer(), from, len, to,
	    (int32_t)(sizeof(to) / sizeof(to[0])), &status);
	if (U_FAILURE(status)) {
		buf_add_str(out, s);
		return;
	}
	for (i = 0; i < len; i++)
		to[i] = unify(to[i]);
	utf8 = buf_reserve(out, (size_t)len * 3 + 1);
	if (utf8 == NULL)
		return;
	u_strToUTF8(utf8, len * 3 + 1, &utf8_len, to, len, &status);
	if (U_SUCCESS(status))
		buf_grow(out, (size_t)utf8_len);
}

static bool
is_ascii(char c)
{
	return (unsigned char)c < 0x80;
}

/*
 * Length of a character that folding leaves as it is (ASCII apart): kana,
 * the common kanji, and their punctuation; 0 for others. Most Japanese text
 * needs no table for it.
 */
static size_t
stable_len(const char *p, size_t left)
{
	const unsigned char *u = (const unsigned char *)p;
	unsigned c;

	if (left < 3 || u[0] < 0xe3 || u[0] > 0xe9 || (u[1] & 0xc0) != 0x80 ||
	    (u[2] & 0xc0) != 0x80)
		return 0;
	c = (u[0] & 0xfU) << 12 | (u[1] & 0x3fU) << 6 | (u[2] & 0x3fU);
	return (c >= 0x4e00 && c <= 0x9fef) || (c >= 0x3041 && c <= 0x3096) ||
	    (c >= 0x30a1 && c <= 0x30fa) || c == 0x30fc || c == 0x3001 ||
	    c == 0x3002 ? 3 : 0;
}

/* Octets at the start that need no table, less the last character when a
 * mark may follow it. */
static size_t
plain_run(struct str s)
{
	size_t i = 0, n = 0;

	for (; i < s.len; i += n) {
		if (is_ascii(s.p[i]))
			n = 1;
		else if (stable_len(s.p + i, s.len - i) != 0)
			n = 3;
		else
			break;
	}
	return i < s.len ? i - n : i;
}

static void
fold_plain(struct buf *out, struct str s)
{
	char *to = s.len != 0 ? buf_reserve(out, s.len) : NULL;
	size_t i;

	if (to == NULL)
		return;
	for (i = 0; i < s.len; i++)
		to[i] = ascii_lower(s.p[i]);
	buf_grow(out, s.len);
}

/* Before ASCII nothing composes. Else look for a boundary near the end. */
static size_t
cut_long(struct str s)
{
	int32_t at = (int32_t)s.len, before, tries = 0;
	UChar32 c;

	while (at > 0 && tries++ < 64) {
		before = at;
		U8_PREV((const uint8_t *)s.p, 0, at, c);
		if (before == (int32_t)s.len)
			continue;	/* may be cut off */
		if (c >= 0 && unorm2_hasBoundaryBefore(normalizer(), c) &&
		    at > 0)
			return (size_t)at;
	}
	return s.len;
}

/* The length of a segment for the table: the character it begins with, and
 * all up to one before which nothing composes. */
static size_t
segment_len(struct str s)
{
	size_t i = 1;

	if (stable_len(s.p, s.len) != 0)
		i = 3;
	while (i < s.len && i < SEGMENT_MAX && !is_ascii(s.p[i]) &&
	    stable_len(s.p + i, s.len - i) == 0)
		i++;
	return i < SEGMENT_MAX ? i : cut_long(str_sub(s, 0, i));
}

void
text_fold(struct buf *out, struct str s)
{
	size_t n;

	while (s.len != 0) {
		n = plain_run(s);
		if (n != 0) {
			fold_plain(out, str_sub(s, 0, n));
		} else {
			n = segment_len(s);
			fold_segment(out, str_sub(s, 0, n));
		}
		s = str_sub(s, n, s.len);
	}
}

bool
text_contains(struct str text, struct str folded_needle)
{
	struct buf folded;
	bool is_found;

	buf_init(&folded, text.len * 18 + 64);
	text_fold(&folded, text);
	is_found = str_find_str(buf_str(&folded), folded_needle) != STR_NPOS;
	buf_fini(&folded);
	return is_found;
}

struct text_search {
	struct str needles[TEXT_NEEDLES_MAX];
	size_t count;
	size_t longest;
	uint64_t found;
	uint64_t all;
	struct buf folded_needles;
	struct buf pending;	/* not folded: more may compose with it */
	struct buf text;	/* folded: the last part of what was searched */
};

struct text_search *
text_search_new(const struct str *needles, size_t count)
{
	struct text_search *s = calloc(1, sizeof(*s));
	size_t i, from, at[TEXT_NEEDLES_MAX + 1] = { 0 };

	invariant(s != NULL && count <= TEXT_NEEDLES_MAX);
	buf_init(&s->folded_needles, TEXT_NEEDLES_MAX * NEEDLE_MAX);
	buf_init(&s->pending, 2 * SEGMENT_MAX + STEP_OCTETS);
	buf_init(&s->text, SIZE_MAX / 4);
	for (i = 0; i < count; i++) {
		text_fold(&s->folded_needles, needles[i]);
		at[i + 1] = s->folded_needles.len;
	}
	for (i = 0; i < count; i++) {
		from = at[i];
		s->needles[i] = str_sub(buf_str(&s->folded_needles), from,
		    at[i + 1] - from);
		if (s->needles[i].len > s->longest)
			s->longest = s->needles[i].len;
	}
	s->count = count;
	s->all = count == 64 ? UINT64_MAX : (1ULL << count) - 1;
	text_search_reset(s);
	return s;
}

void
text_search_free(struct text_search **search)
{
	if (*search == NULL)
		return;
	buf_fini(&(*search)->folded_needles);
	buf_fini(&(*search)->pending);
	buf_fini(&(*search)->text);
	free(*search);
	*search = NULL;
}

void
text_search_reset(struct text_search *s)
{
	size_t i;

	buf_reset(&s->pending);
	buf_reset(&s->text);
	s->found = 0;
	for (i = 0; i < s->count; i++)
		if (s->needles[i].len == 0)
			s->found |= 1ULL << i;
}

uint64_t
text_search_found(const struct text_search *s)
{
	return s->found;
}

bool
text_search_is_done(const struct text_search *s)
{
	return s->found == s->all;
}

static void
look(struct text_search *s)
{
	struct str text = buf_str(&s->text);
	size_t i;

	for (i = 0; i < s->count; i++)
		if ((s->found & 1ULL << i) == 0 &&
		    str_find_str(text, s->needles[i]) != STR_NPOS)
			s->found |= 1ULL << i;
	/* A match may begin in the last octets. */
	if (s->longest != 0 && text.len >= s->longest)
		buf_consume(&s->text, text.len - (s->longest - 1));
}

/* Octets of pending that nothing to come can change. */
static size_t
safe_len(struct str s)
{
	size_t i = s.len;

	while (i > 0 && !is_ascii(s.p[i - 1]))
		i--;
	/* A long run without ASCII is cut somewhere else. */
	if (s.len - i >= SEGMENT_MAX)
		return cut_long(s);
	return i > 1 ? i - 1 : 0;
}

static void
feed_some(struct text_search *s, struct str utf8)
{
	size_t n;

	buf_add_str(&s->pending, utf8);
	n = safe_len(buf_str(&s->pending));
	text_fold(&s->text, str_sub(buf_str(&s->pending), 0, n));
	buf_consume(&s->pending, n);
	look(s);
}

void
text_search_feed(struct text_search *s, struct str utf8)
{
	size_t n;

	while (utf8.len != 0 && s->found != s->all) {
		n = utf8.len < STEP_OCTETS ? utf8.len : STEP_OCTETS;
		feed_some(s, str_sub(utf8, 0, n));
		utf8 = str_sub(utf8, n, utf8.len);
	}
}

void
text_search_break(struct text_search *s)
{
	if (s->found != s->all) {
		text_fold(&s->text, buf_str(&s->pending));
		look(s);
	}
	buf_reset(&s->pending);
	buf_reset(&s->text);
}
