/* SPDX-License-Identifier: ISC */
#include "mailauth/spf_int.h"

#include <inttypes.h>

/* RFC 7208 section 7: one piece of a macro-string. */
struct piece {
	struct str literal;	/* p NULL: a macro */
	char letter;		/* lower case */
	bool is_escaped;	/* it was upper case */
	bool is_reversed;
	unsigned parts;		/* 0: all */
	struct str delimiters;	/* empty: the dot */
};

static bool
is_delimiter(char c)
{
	return str_find(STR(".-+,/_="), c) != STR_NPOS;
}

/* RFC 7208 section 7.3: DIGIT must not be zero. Values that no text has as
 * many parts as are all one. */
static bool
get_parts(struct str *body, struct piece *piece)
{
	size_t at = 0;

	while (at < body->len && ascii_is_digit(body->p[at])) {
		piece->parts = piece->parts * 10 +
		    (unsigned)(body->p[at++] - '0');
		if (piece->parts > 1000)
			piece->parts = 1000;
	}
	*body = str_sub(*body, at, STR_NPOS);
	return at == 0 || piece->parts != 0;
}

/* What stands between the braces. */
static bool
get_braced(struct str body, struct piece *piece)
{
	size_t i;

	if (body.len == 0)
		return false;
	piece->letter = ascii_lower(body.p[0]);
	piece->is_escaped = piece->letter != body.p[0];
	if (str_find(STR("slodiphcrtv"), piece->letter) == STR_NPOS)
		return false;
	body = str_sub(body, 1, STR_NPOS);
	if (!get_parts(&body, piece))
		return false;
	piece->is_reversed = body.len != 0 && ascii_lower(body.p[0]) == 'r';
	if (piece->is_reversed)
		body = str_sub(body, 1, STR_NPOS);
	for (i = 0; i < body.len; i++)
		if (!is_delimiter(body.p[i]))
			return false;
	piece->delimiters = body;
	return true;
}

/* What the percent sign at the start of rest stands for; octets, 0: none. */
static size_t
get_macro(struct str rest, struct piece *piece)
{
	static const struct {
		struct str text;
		struct str value;
	} fixed[] = {
		{ { "%%", 2 }, { "%", 1 } },
		{ { "%_", 2 }, { " ", 1 } },
		{ { "%-", 2 }, { "%20", 3 } },
	};
	size_t i, end;

	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (str_begins(rest, fixed[i].text)) {
			piece->literal = fixed[i].value;
			return 2;
		}
	end = str_find(rest, '}');
	if (!str_begins(rest, STR("%{")) || end == STR_NPOS ||
	    !get_braced(str_sub(rest, 2, end - 2), piece))
		return 0;
	return end + 1;
}

/* The next piece of *rest, which is not empty; false when malformed. */
static bool
next_piece(struct str *rest, struct piece *piece)
{
	size_t took = str_find(*rest, '%');

	*piece = (struct piece){ .letter = '\0' };
	if (took == 0)
		took = get_macro(*rest, piece);
	else
		piece->literal = str_sub(*rest, 0, took);
	if (took == 0)
		return false;
	*rest = str_sub(*rest, took, STR_NPOS);
	return true;
}

/* ---- syntax ---- */

static bool
is_alphanum(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

/* RFC 7208 section 7.1: toplabel */
static bool
is_toplabel(struct str label)
{
	bool has_more = false;
	size_t i;

	if (label.len == 0 || !is_alphanum(label.p[0]) ||
	    !is_alphanum(label.p[label.len - 1]))
		return false;
	for (i = 0; i < label.len; i++) {
		if (!is_alphanum(label.p[i]) && label.p[i] != '-')
			return false;
		has_more = has_more || !ascii_is_digit(label.p[i]);
	}
	return has_more;
}

/* domain-end; tail is what follows the last macro. */
static bool
is_domain_end(struct str text, struct str tail)
{
	size_t dot;

	if (tail.len == 0)
		return text.len != 0;
	if (tail.p[tail.len - 1] == '.')
		tail.len--;
	dot = str_rfind(tail, '.');
	return dot != STR_NPOS && is_toplabel(str_sub(tail, dot + 1,
	    STR_NPOS));
}

/* RFC 7208 section 7.2: c, r and t only in an explanation. */
static bool
is_allowed(const struct piece *piece, enum spf_place place)
{
	return piece->letter == '\0' || place == SPF_IN_TEXT ||
	    str_find(STR("crt"), piece->letter) == STR_NPOS;
}

int
spf_macro_check(struct str text, enum spf_place place, struct err *err)
{
	struct str rest = text, tail = text;
	struct piece piece;
	bool is_macro;

	if (!str_is_printable(text))
		return err_set(err, ERR_SYNTAX,
		    "octets outside printable ASCII");
	while (rest.len != 0) {
		is_macro = rest.p[0] == '%';
		if (!next_piece(&rest, &piece) || !is_allowed(&piece, place))
			return err_set(err, ERR_SYNTAX,
			    "macro in \"%.*s\"",
			    STR_FMT(str_sub(text, 0, 80)));
		if (is_macro)
			tail = rest;
	}
	if (place == SPF_IN_SPEC && !is_domain_end(text, tail))
		return err_set(err, ERR_SYNTAX, "\"%.*s\" is not a domain",
		    STR_FMT(str_sub(text, 0, 80)));
	return 0;
}

bool
spf_macro_is_plain(struct str text)
{
	return str_find(text, '%') == STR_NPOS;
}

/* ---- values ---- */

/* RFC 7208 section 7.3: dotted, IPv6 by half octets. */
static struct str
dotted_ip(struct spf *spf)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[64], *p = text;
	size_t i;

	if (spf->ip.family == AF_INET)
		return arena_printf(spf->scratch, "%u.%u.%u.%u",
		    spf->ip.octets[0], spf->ip.octets[1], spf->ip.octets[2],
		    spf->ip.octets[3]);
	for (i = 0; i < 16; i++) {
		*p++ = digits[spf->ip.octets[i] >> 4];
		*p++ = '.';
		*p++ = digits[spf->ip.octets[i] & 15];
		*p++ = '.';
	}
	return arena_str(spf->scratch, str_make(text, sizeof(text) - 1));
}

static struct str
readable_ip(struct spf *spf)
{
	char text[NETADDR_TEXT_SIZE];

	return arena_str(spf->scratch, str_of(netaddr_text(&spf->ip, text)));
}

static struct str
receiver(const struct spf *spf)
{
	return spf->input->receiver.len != 0 ? spf->input->receiver :
	    STR("unknown");
}

/* The value of a macro; *is_waiting_r: %{p} is not known yet. */
static struct str
get_value(struct spf *spf, char letter, struct str domain,
    bool *is_waiting_r)
{
	struct str name = STR_NONE;

	switch (letter) {
	case 's':
		return arena_printf(spf->scratch, "%.*s@%.*s",
		    STR_FMT(spf->local), STR_FMT(spf->domain));
	case 'l':
		return spf->local;
	case 'o':
		return spf->domain;
	case 'd':
		return domain;
	case 'i':
		return dotted_ip(spf);
	case 'p':
		*is_waiting_r = spf_validated_name(spf, domain, &name) ==
		    SPF_WAIT;
		return name;
	case 'v':
		return spf->ip.family == AF_INET ? STR("in-addr") :
		    STR("ip6");
	case 'h':
		return spf->input->helo;
	case 'c':
		return readable_ip(spf);
	case 'r':
		return receiver(spf);
	default:
		return arena_printf(spf->scratch, "%" PRId64,
		    spf->input->now_s);
	}
}

/* ---- transformers ---- */

static bool
splits(const struct piece *piece, char c)
{
	return piece->delimiters.len == 0 ? c == '.' :
	    str_find(piece->delimiters, c) != STR_NPOS;
}

/* The parts of value; their number is returned. */
static size_t
split(struct spf *spf, const struct piece *piece, struct str value,
    struct str **parts_r)
{
	size_t i, from = 0, count = 1, n = 0;

	for (i = 0; i < value.len; i++)
		count += splits(piece, value.p[i]);
	*parts_r = arena_alloc(spf->scratch, count * sizeof(**parts_r));
	for (i = 0; i < value.len; i++)
		if (splits(piece, value.p[i])) {
			(*parts_r)[n++] = str_sub(value, from, i - from);
			from = i + 1;
		}
	(*parts_r)[n++] = str_sub(value, from, STR_NPOS);
	return n;
}

/* RFC 3986 section 2.3: unreserved */
static void
put_escaped(struct buf *out, struct str value)
{
	size_t i;
	char c;

	for (i = 0; i < value.len; i++) {
		c = value.p[i];
		if (is_alphanum(c) || str_find(STR("-._~"), c) != STR_NPOS)
			buf_add_char(out, c);
		else
			buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
	}
}

static void
put_part(struct buf *out, const struct piece *piece, struct str part)
{
	if (piece->is_escaped)
		put_escaped(out, part);
	else
		buf_add_str(out, part);
}

static void
put_value(struct spf *spf, const struct piece *piece, struct str value,
    struct buf *out)
{
	struct str *parts;
	size_t i, count, from = 0;

	if (piece->parts == 0 && !piece->is_reversed &&
	    piece->delimiters.len == 0) {
		put_part(out, piece, value);
		return;
	}
	count = split(spf, piece, value, &parts);
	if (piece->parts != 0 && piece->parts < count)
		from = count - piece->parts;
	for (i = from; i < count; i++) {
		if (i != from)
			buf_add_char(out, '.');
		put_part(out, piece,
		    parts[piece->is_reversed ? count - 1 - i : i]);
	}
}

enum spf_expand
spf_macro_expand(struct spf *spf, struct str text, struct str domain,
    struct buf *out)
{
	bool is_waiting = false;
	struct piece piece;
	struct str value;

	while (text.len != 0 && !buf_failed(out)) {
		invariant(next_piece(&text, &piece));
		if (piece.letter == '\0') {
			buf_add_str(out, piece.literal);
			continue;
		}
		value = get_value(spf, piece.letter, domain, &is_waiting);
		if (is_waiting)
			return SPF_EXPAND_WAIT;
		put_value(spf, &piece, value, out);
	}
	return buf_failed(out) ? SPF_EXPAND_LONG : SPF_EXPAND_DONE;
}
