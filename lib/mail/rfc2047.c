/* SPDX-License-Identifier: ISC */
/* Encoded words (RFC 2047) and extended parameters (RFC 2231). */
#include "mail/charset.h"

#define ENCODED_WORD_MAX 75U
#define PREFIX "=?UTF-8?B?"
#define SUFFIX "?="
/* Octets of text that fit: base64 turns 3 into 4. */
#define WORD_TEXT_MAX 45U
#define DECODED_MAX (1U << 20)

struct encoded_word {
	struct str charset;
	struct str text;
	bool is_base64;
};

/* The decoded octets of a run of words that share a charset. */
struct run {
	struct str charset;
	struct buf octets;
	bool is_open;
};

static bool
is_charset_char(char c)
{
	return c > ' ' && c < 0x7f && strchr("?=()<>@,;:\"/[]", c) == NULL;
}

/*
 * "=?" charset "?" encoding "?" text "?=" at the start of s; its length or 0.
 * Blanks in text are wrong and come anyway. The text has no "?", so a search
 * that fails has looked no further than the next one: linear in the whole.
 */
static size_t
parse_word(struct str s, struct encoded_word *word_r)
{
	size_t i = 2, from;

	while (i < s.len && is_charset_char(s.p[i]))
		i++;
	if (i == 2 || i + 3 > s.len || s.p[i] != '?' || s.p[i + 2] != '?')
		return 0;
	word_r->charset = str_sub(s, 2, i - 2);
	word_r->is_base64 = ascii_lower(s.p[i + 1]) == 'b';
	if (!word_r->is_base64 && ascii_lower(s.p[i + 1]) != 'q')
		return 0;
	from = i += 3;
	while (i < s.len && s.p[i] != '?' && s.p[i] != '\n')
		i++;
	if (i + 1 >= s.len || s.p[i] != '?' || s.p[i + 1] != '=')
		return 0;
	word_r->text = str_sub(s, from, i - from);
	return i + 2;
}

static int
hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
decode_hex(struct buf *out, struct str s, char mark, bool has_underscore)
{
	size_t i;
	int high, low;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] == mark && i + 2 < s.len) {
			high = hex_value(s.p[i + 1]);
			low = hex_value(s.p[i + 2]);
			if (high >= 0 && low >= 0) {
				buf_add_char(out, (char)(high << 4 | low));
				i += 2;
				continue;
			}
		}
		buf_add_char(out, has_underscore && s.p[i] == '_' ? ' ' :
		    s.p[i]);
	}
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Whatever can be read: other octets are skipped, padding may be missing. */
static void
decode_base64(struct buf *out, struct str s)
{
	unsigned value = 0, bits = 0;
	size_t i;
	int digit;

	for (i = 0; i < s.len && s.p[i] != '='; i++) {
		digit = base64_value(s.p[i]);
		if (digit < 0)
			continue;
		value = (value << 6 | (unsigned)digit) & 0xffffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_add_char(out, (char)(value >> bits & 255));
		}
	}
}

/* One line of text: no control gets through. */
static void
put_line(struct buf *out, struct str s)
{
	size_t i, from = 0;

	for (i = 0; i < s.len; i++) {
		if ((unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f)
			continue;
		buf_add_str(out, str_sub(s, from, i - from));
		from = i + 1;
		/* Unfolding: the blank that follows a line end stays. */
		if (s.p[i] != '\n' && (s.p[i] != '\r' || i + 1 >= s.len ||
		    s.p[i + 1] != '\n'))
			buf_add_char(out, ' ');
	}
	buf_add_str(out, str_sub(s, from, s.len));
}

static void
put_converted(struct buf *out, struct str octets, struct str charset)
{
	struct charset *conv;
	struct buf text;

	buf_init(&text, DECODED_MAX * 4);
	conv = charset_open(charset);
	charset_feed(conv, octets, true, &text);
	charset_close(&conv);
	put_line(out, buf_str(&text));
	buf_fini(&text);
}

static void
run_end(struct run *run, struct buf *out)
{
	if (!run->is_open)
		return;
	put_converted(out, buf_str(&run->octets), run->charset);
	buf_reset(&run->octets);
	run->is_open = false;
}

static void
run_add(struct run *run, const struct encoded_word *word, struct buf *out)
{
	if (run->is_open && !str_eq_nocase(run->charset, word->charset))
		run_end(run, out);
	run->charset = word->charset;
	run->is_open = true;
	if (word->is_base64)
		decode_base64(&run->octets, word->text);
	else
		decode_hex(&run->octets, word->text, '=', true);
}

static bool
needs_guess(struct str s)
{
	return str_has_8bit(s) || (s.len != 0 &&
	    memchr(s.p, '\x1b', s.len) != NULL);
}

/* Text between encoded words. RFC 2047 section 6.2: blanks alone vanish. */
static void
put_between(struct run *run, struct buf *out, struct str s, bool is_inner)
{
	if (s.len == 0 || (is_inner && run->is_open && str_trim(s).len == 0))
		return;
	run_end(run, out);
	if (needs_guess(s))
		put_converted(out, s, STR_NONE);
	else
		put_line(out, s);
}

void
rfc2047_decode(struct buf *out, struct str value)
{
	struct run run = { .is_open = false };
	struct encoded_word word;
	struct str rest;
	size_t from = 0, at = 0, hit, len;

	value = str_sub(str_trim(value), 0, HEADER_FIELD_MAX);
	buf_init(&run.octets, DECODED_MAX);
	for (;;) {
		rest = str_sub(value, at, value.len);
		hit = str_find_str(rest, STR("=?"));
		if (hit == STR_NPOS)
			break;
		len = parse_word(str_sub(rest, hit, rest.len), &word);
		if (len == 0) {
			at += hit + 2;
			continue;
		}
		put_between(&run, out, str_sub(value, from,
		    at + hit - from), true);
		run_add(&run, &word, out);
		at += hit + len;
		from = at;
	}
	put_between(&run, out, str_sub(value, from, value.len), false);
	run_end(&run, out);
	buf_fini(&run.octets);
}

bool
rfc2047_needs_encoding(struct str text)
{
	return !str_is_printable(text) || str_has_8bit(text) ||
	    str_find_str(text, STR("=?")) != STR_NPOS;
}

static void
encode_word(struct str text, void (*put)(void *ctx, struct str word),
    void *ctx)
{
	struct buf word;

	buf_init(&word, ENCODED_WORD_MAX);
	buf_add_cstr(&word, PREFIX);
	buf_add_base64(&word, text.p, text.len);
	buf_add_cstr(&word, SUFFIX);
	invariant(!buf_failed(&word));
	put(ctx, buf_str(&word));
	buf_fini(&word);
}

void
rfc2047_encode(struct str text, void (*put)(void *ctx, struct str word),
    void *ctx)
{
	struct buf clean;
	struct str s;
	size_t len;

	buf_init(&clean, text.len * 3 + 1);
	(void)charset_to_utf8(&clean, STR("UTF-8"), text);
	s = buf_str(&clean);
	while (s.len != 0) {
		len = s.len < WORD_TEXT_MAX ? s.len : WORD_TEXT_MAX;
		/* Never inside a character. */
		while (len < s.len && ((unsigned char)s.p[len] & 0xc0) == 0x80)
			len--;
		encode_word(str_sub(s, 0, len), put, ctx);
		s = str_sub(s, len, s.len);
	}
	buf_fini(&clean);
}

/* RFC 2231 section 4: charset'language'text. */
static void
decode_extended(struct buf *out, struct str value)
{
	struct str charset, rest, text;
	struct buf octets;

	charset = str_cut(value, '\'', &rest);
	if (rest.p == NULL) {
		charset = STR_NONE;
		text = value;
	} else {
		(void)str_cut(rest, '\'', &text);
		if (text.p == NULL)
			text = rest;
	}
	buf_init(&octets, text.len);
	decode_hex(&octets, text, '%', false);
	put_converted(out, buf_str(&octets), charset);
	buf_fini(&octets);
}

struct str
mail_param_decode(struct arena *arena, const struct mail_params *params,
    struct str name)
{
	struct str value = STR_NONE, plain = mail_param_get(params, name);
	struct buf out;
	size_t i;

	for (i = 0; i < params->count && value.p == NULL; i++)
		if (params->v[i].name.len == name.len + 1 &&
		    str_begins(params->v[i].name, name) &&
		    params->v[i].name.p[name.len] == '*')
			value = params->v[i].value;
	if (value.p == NULL && plain.p == NULL)
		return STR_NONE;
	buf_init(&out, DECODED_MAX);
	if (value.p != NULL)
		decode_extended(&out, value);
	else
		rfc2047_decode(&out, plain);
	value = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return value;
}
