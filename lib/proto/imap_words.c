/* SPDX-License-Identifier: ISC */
#include "proto/imap_parse_int.h"
#include "proto/imap_write.h"

int
ic_fail_code(struct imap_cursor *c, int code, const char *text)
{
	if (c->problem->text == NULL)
		*c->problem = (struct imap_problem){ text, c->at };
	return code;
}

int
ic_fail(struct imap_cursor *c, const char *text)
{
	return ic_fail_code(c, ERR_SYNTAX, text);
}

bool
ic_is_end(const struct imap_cursor *c)
{
	return c->at >= c->text.len;
}

char
ic_peek(const struct imap_cursor *c)
{
	return ic_is_end(c) ? '\0' : c->text.p[c->at];
}

bool
ic_accept(struct imap_cursor *c, char ch)
{
	if (ic_is_end(c) || c->text.p[c->at] != ch)
		return false;
	c->at++;
	return true;
}

int
ic_expect(struct imap_cursor *c, char ch, const char *text)
{
	return ic_accept(c, ch) ? 0 : ic_fail(c, text);
}

int
ic_space(struct imap_cursor *c)
{
	if (!ic_accept(c, ' '))
		return ic_fail(c, ic_is_end(c) ? "Missing arguments" :
		    "Space expected");
	return 0;
}

/* A space too many at the end is forgiven: some clients send it. */
int
ic_finish(struct imap_cursor *c)
{
	while (ic_accept(c, ' '))
		;
	return ic_is_end(c) ? 0 : ic_fail(c, "Too many arguments");
}

/* RFC 3501 section 9: ATOM-CHAR */
bool
ic_is_atom_char(char ch)
{
	if (ch <= ' ' || ch == 0x7f)
		return false;	/* controls, space, and 8-bit octets */
	switch (ch) {
	case '(': case ')': case '{': case '%': case '*': case '"':
	case '\\': case ']':
		return false;
	default:
		return true;
	}
}

int
ic_atom(struct imap_cursor *c, struct str *s_r)
{
	size_t from = c->at;

	while (!ic_is_end(c) && ic_is_atom_char(ic_peek(c)))
		c->at++;
	*s_r = str_sub(c->text, from, c->at - from);
	if (s_r->len == 0)
		return ic_fail(c, ic_is_end(c) ? "Missing arguments" :
		    "Atom expected");
	return 0;
}

struct str
ic_name(struct imap_cursor *c)
{
	size_t from = c->at;

	while (ascii_is_alpha(ic_peek(c)) || ascii_is_digit(ic_peek(c)) ||
	    ic_peek(c) == '.' || ic_peek(c) == '-')
		c->at++;
	return str_sub(c->text, from, c->at - from);
}

/* Without the backslashes. */
static struct str
unescape(struct imap_cursor *c, struct str s)
{
	char *p = arena_alloc(c->arena, s.len + 1);
	size_t i, len = 0;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		p[len++] = s.p[i];
	}
	return str_make(p, len);
}

/* RFC 3501 section 9: quoted */
static int
quoted(struct imap_cursor *c, struct str *s_r)
{
	size_t from = ++c->at;
	bool has_escape = false;
	char ch;

	for (; (ch = ic_peek(c)) != '"'; c->at++) {
		if (ch == '\\') {
			has_escape = true;
			c->at++;
			ch = ic_peek(c);
			if (ch != '"' && ch != '\\')
				return ic_fail(c, "Invalid escape in string");
		} else if (ch == '\0' || ch == '\r' || ch == '\n')
			return ic_fail(c, "Unterminated quoted string");
		else if ((unsigned char)ch > 0x7f && !c->options.is_utf8)
			return ic_fail(c,
			    "8-bit text must be sent as a literal");
	}
	*s_r = str_sub(c->text, from, c->at - from);
	c->at++;
	if (has_escape)
		*s_r = unescape(c, *s_r);
	if (c->options.is_utf8 && !str_is_utf8(*s_r))
		return ic_fail(c, "String is not UTF-8");
	return 0;
}

/* RFC 3501 section 9: literal; its octets stand in the text. */
static int
literal(struct imap_cursor *c, struct str *s_r)
{
	size_t from = ++c->at, room;
	uint64_t n;

	while (ascii_is_digit(ic_peek(c)))
		c->at++;
	if (str_to_u64(str_sub(c->text, from, c->at - from), SIZE_MAX / 2,
	    &n) != 0)
		return ic_fail(c, "Invalid literal");
	(void)ic_accept(c, '+');
	if (!ic_accept(c, '}') || !ic_accept(c, '\r') || !ic_accept(c, '\n'))
		return ic_fail(c, "Invalid literal");
	room = c->text.len - c->at;
	if (n > room)
		return ic_fail(c, "Invalid literal");
	*s_r = str_sub(c->text, c->at, (size_t)n);
	if (str_find(*s_r, '\0') != STR_NPOS)
		return ic_fail(c, "NUL in literal");
	c->at += (size_t)n;
	return 0;
}

int
ic_string(struct imap_cursor *c, struct str *s_r)
{
	switch (ic_peek(c)) {
	case '"':
		return quoted(c, s_r);
	case '{':
		return literal(c, s_r);
	default:
		return ic_fail(c, ic_is_end(c) ? "Missing arguments" :
		    "String expected");
	}
}

/* The octets for which is_char() holds, at least one. */
static int
run(struct imap_cursor *c, bool has_wildcards, struct str *s_r)
{
	size_t from = c->at;
	char ch;

	for (; (ch = ic_peek(c)) != '\0'; c->at++)
		if (!ic_is_atom_char(ch) && ch != ']' &&
		    !(has_wildcards && (ch == '*' || ch == '%')))
			break;
	*s_r = str_sub(c->text, from, c->at - from);
	return s_r->len != 0 ? 0 : ic_fail(c, ic_is_end(c) ?
	    "Missing arguments" : "Invalid character");
}

int
ic_astring(struct imap_cursor *c, struct str *s_r)
{
	if (ic_peek(c) == '"' || ic_peek(c) == '{')
		return ic_string(c, s_r);
	return run(c, false, s_r);
}

int
ic_nstring(struct imap_cursor *c, struct str *s_r)
{
	struct str word;

	if (ic_peek(c) == '"' || ic_peek(c) == '{')
		return ic_string(c, s_r);
	word = ic_name(c);
	*s_r = STR_NONE;
	return str_eq_nocase(word, STR("NIL")) ? 0 :
	    ic_fail(c, "String or NIL expected");
}

struct imap_mailbox
ic_decode_mailbox(struct imap_cursor *c, struct str s)
{
	struct imap_mailbox mailbox = { s, false };
	struct buf utf8;

	if (str_eq_nocase(s, STR("INBOX")))
		return (struct imap_mailbox){ STR("INBOX"), true };
	if (s.len > IMAP_MAILBOX_OCTETS_MAX)
		return mailbox;
	if (c->options.is_utf8) {
		mailbox.is_valid = str_is_utf8(s);
		return mailbox;
	}
	buf_init(&utf8, IMAP_MAILBOX_OCTETS_MAX);
	if (imap_add_unutf7(&utf8, s) == 0 && !buf_failed(&utf8)) {
		mailbox.is_valid = true;
		mailbox.name = arena_str(c->arena, buf_str(&utf8));
	}
	buf_fini(&utf8);
	return mailbox;
}

int
ic_mailbox(struct imap_cursor *c, struct imap_mailbox *mailbox_r)
{
	struct str s;
	int ret = ic_astring(c, &s);

	if (ret == 0)
		*mailbox_r = ic_decode_mailbox(c, s);
	return ret;
}

/* RFC 3501 section 9: list-mailbox */
int
ic_list_mailbox(struct imap_cursor *c, struct imap_mailbox *mailbox_r)
{
	struct str s;
	int ret;

	if (ic_peek(c) == '"' || ic_peek(c) == '{')
		ret = ic_string(c, &s);
	else
		ret = run(c, true, &s);
	if (ret == 0)
		*mailbox_r = ic_decode_mailbox(c, s);
	return ret;
}

int
ic_u64(struct imap_cursor *c, uint64_t *n_r)
{
	size_t from = c->at;

	while (ascii_is_digit(ic_peek(c)))
		c->at++;
	if (str_to_u64(str_sub(c->text, from, c->at - from), INT64_MAX,
	    n_r) != 0)
		return ic_fail(c, "Invalid number");
	return 0;
}

int
ic_u32(struct imap_cursor *c, uint32_t min, uint32_t *n_r)
{
	uint64_t n;

	if (ic_u64(c, &n) != 0)
		return ERR_SYNTAX;
	if (n < min || n > UINT32_MAX)
		return ic_fail(c, "Number out of range");
	*n_r = (uint32_t)n;
	return 0;
}

/* RFC 3501 section 9: seq-number; "*" is 0 */
static int
seq_number(struct imap_cursor *c, uint32_t *n_r)
{
	*n_r = 0;
	return ic_accept(c, '*') ? 0 : ic_u32(c, 1, n_r);
}

/* RFC 3501 section 9: sequence-set */
int
ic_set(struct imap_cursor *c, struct imap_set *set_r)
{
	struct imap_range range, *place;

	*set_r = (struct imap_set){ .is_saved = ic_accept(c, '$') };
	if (set_r->is_saved)
		return 0;
	do {
		if (set_r->n_ranges == IMAP_RANGES_MAX)
			return ic_fail_code(c, ERR_LIMIT,
			    "Too many ranges in set");
		if (seq_number(c, &range.first) != 0)
			return ERR_SYNTAX;
		range.last = range.first;
		if (ic_accept(c, ':') && seq_number(c, &range.last) != 0)
			return ERR_SYNTAX;
		place = ic_push(c, &set_r->ranges, &set_r->n_ranges,
		    sizeof(range));
		*place = range;
	} while (ic_accept(c, ','));
	return 0;
}

static const struct imap_word system_flags[] = {
	IMAP_WORD("\\Answered", IMAP_FLAG_ANSWERED),
	IMAP_WORD("\\Flagged", IMAP_FLAG_FLAGGED),
	IMAP_WORD("\\Deleted", IMAP_FLAG_DELETED),
	IMAP_WORD("\\Seen", IMAP_FLAG_SEEN),
	IMAP_WORD("\\Draft", IMAP_FLAG_DRAFT),
	IMAP_WORD("\\Recent", IMAP_FLAG_RECENT),
	IMAP_WORD_END,
};

static int
flag(struct imap_cursor *c, struct imap_flags *flags)
{
	size_t from = c->at;
	struct str name, *place;
	unsigned bit;
	bool is_system = ic_accept(c, '\\');

	if (ic_atom(c, &name) != 0)
		return ERR_SYNTAX;
	name = str_sub(c->text, from, c->at - from);
	if (name.len > IMAP_FLAG_OCTETS_MAX)
		return ic_fail_code(c, ERR_LIMIT, "Flag name too long");
	if (is_system) {
		bit = ic_word_bit(system_flags, name);
		flags->system |= bit & ~(unsigned)IMAP_FLAG_RECENT;
		return bit != 0 ? 0 : ic_fail(c, "Unknown system flag");
	}
	if (flags->n_keywords == IMAP_FLAGS_MAX)
		return ic_fail_code(c, ERR_LIMIT, "Too many flags");
	place = ic_push(c, &flags->keywords, &flags->n_keywords,
	    sizeof(name));
	*place = name;
	return 0;
}

/* RFC 3501 section 9: flag-list */
int
ic_flag_list(struct imap_cursor *c, struct imap_flags *flags_r)
{
	*flags_r = (struct imap_flags){ 0 };
	if (ic_expect(c, '(', "Flag list expected") != 0)
		return ERR_SYNTAX;
	if (ic_accept(c, ')'))
		return 0;
	do {
		int ret = flag(c, flags_r);

		if (ret != 0)
			return ret;
	} while (ic_accept(c, ' '));
	return ic_expect(c, ')', "Flag list not closed");
}

/* RFC 3501 section 9: store-att-flags, with or without parentheses */
int
ic_flags(struct imap_cursor *c, struct imap_flags *flags_r)
{
	int ret;

	if (ic_peek(c) == '(')
		return ic_flag_list(c, flags_r);
	*flags_r = (struct imap_flags){ 0 };
	do {
		ret = flag(c, flags_r);
	} while (ret == 0 && ic_accept(c, ' ') && !ic_is_end(c));
	return ret;
}

int
ic_date(struct imap_cursor *c, int32_t *day_r)
{
	int year, month, day, ret;
	struct str s;

	ret = ic_peek(c) == '"' ? ic_string(c, &s) : ic_atom(c, &s);
	if (ret != 0)
		return ret;
	if (imap_read_date(s, &year, &month, &day) != 0)
		return ic_fail(c, "Invalid date");
	*day_r = imap_day(year, month, day);
	return 0;
}

unsigned
ic_word_bit(const struct imap_word *words, struct str name)
{
	for (; words->name.p != NULL; words++)
		if (str_eq_nocase(words->name, name))
			return words->bit;
	return 0;
}

int
ic_word_list(struct imap_cursor *c, const struct imap_word *words,
    const char *problem, unsigned *bits_r)
{
	unsigned bit;

	*bits_r = 0;
	if (ic_expect(c, '(', "List expected") != 0)
		return ERR_SYNTAX;
	if (ic_accept(c, ')'))
		return 0;
	do {
		bit = ic_word_bit(words, ic_name(c));
		if (bit == 0)
			return ic_fail(c, problem);
		*bits_r |= bit;
	} while (ic_accept(c, ' '));
	return ic_expect(c, ')', "List not closed");
}

void *
ic_push(struct imap_cursor *c, void *array_p, size_t *n, size_t size)
{
	void *array, *bigger;
	size_t i = *n;

	memcpy(&array, array_p, sizeof(array));
	/* Full whenever the count is a power of two (or none). */
	if (i == 0 || (i >= 4 && (i & (i - 1)) == 0)) {
		bigger = arena_alloc(c->arena, (i == 0 ? 4 : i * 2) * size);
		if (i != 0)
			memcpy(bigger, array, i * size);
		array = bigger;
		memcpy(array_p, &array, sizeof(array));
	}
	*n = i + 1;
	return (char *)array + i * size;
}
