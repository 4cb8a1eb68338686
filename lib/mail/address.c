/* SPDX-License-Identifier: ISC */
/* The envelope's grammar: RFC 5321 section 4.1.2. */
#include "mail/address.h"

#include <arpa/inet.h>
#include <unicode/uidna.h>

/* RFC 5322 section 3.2.3: atext. */
static bool
is_atext(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) ||
	    (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
is_8bit(char c)
{
	return (unsigned char)c > 0x7f;
}

static int
bad(struct err *err, const char *what)
{
	return err_set(err, ERR_SYNTAX, "address: %s", what);
}

/* Dot-string: atoms with single dots between them. */
static bool
is_dot_string(struct str s)
{
	bool was_dot = true;
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '.' && was_dot)
			return false;
		was_dot = s.p[i] == '.';
		if (!was_dot && !is_atext(s.p[i]) && !is_8bit(s.p[i]))
			return false;
	}
	return !was_dot;
}

/* Atoms with dots anywhere. */
static bool
is_loose_string(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.p[i] != '.' && !is_atext(s.p[i]) && !is_8bit(s.p[i]))
			return false;
	return s.len != 0;
}

/*
 * Quoted-string at the start of text. RFC 5321 section 4.1.2: qtextSMTP and
 * quoted-pairSMTP are printable, so no CR, LF or NUL gets in.
 */
static int
quoted_local(struct arena *arena, struct str text, struct str *local_r,
    size_t *len_r)
{
	char *out = arena_alloc(arena, text.len);
	size_t i, len = 0;

	for (i = 1; i < text.len && text.p[i] != '"'; i++) {
		if (text.p[i] == '\\')
			i++;
		if (i == text.len)
			return ERR_SYNTAX;
		if ((text.p[i] < 0x20 && !is_8bit(text.p[i])) ||
		    text.p[i] == 0x7f)
			return ERR_SYNTAX;
		out[len++] = text.p[i];
	}
	if (i == text.len)
		return ERR_SYNTAX;
	*local_r = str_make(out, len);
	*len_r = i + 1;
	return 0;
}

/* The local part at the start of text; *len_r octets of text are it. */
static int
local_part(struct arena *arena, struct str text, unsigned flags,
    struct str *local_r, size_t *len_r, struct err *err)
{
	size_t len = 0;

	if (text.len != 0 && text.p[0] == '"') {
		if (quoted_local(arena, text, local_r, len_r) != 0)
			return bad(err, "quoted local part");
	} else {
		while (len < text.len && text.p[len] != '@')
			len++;
		*local_r = str_sub(text, 0, len);
		*len_r = len;
		if (!is_dot_string(*local_r) && (!(flags & ADDRESS_DOTS) ||
		    !is_loose_string(*local_r)))
			return bad(err, "local part");
	}
	if (*len_r > ADDRESS_LOCAL_MAX)
		return err_set(err, ERR_LIMIT, "local part over 64 octets");
	return 0;
}

/* sub-domain *("." sub-domain); a name ends with a letter or digit. */
static bool
is_domain_name(struct str s)
{
	size_t i, label = 0;
	char c, last = '.';

	if (s.len == 0 || s.len > ADDRESS_DOMAIN_MAX)
		return false;
	for (i = 0; i < s.len; i++) {
		c = s.p[i];
		if (c == '.') {
			if (last == '.' || last == '-')
				return false;
			label = 0;
		} else if (!ascii_is_alpha(c) && !ascii_is_digit(c) &&
		    (c != '-' || last == '.') && c != '_') {
			return false;
		} else if (++label > 63) {
			return false;
		}
		last = c;
	}
	return last != '.' && last != '-';
}

static struct str
lower(struct arena *arena, struct str s)
{
	char *out = arena_alloc(arena, s.len + 1);
	size_t i;

	for (i = 0; i < s.len; i++)
		out[i] = ascii_lower(s.p[i]);
	return str_make(out, s.len);
}

/* RFC 6531 section 3.3: U-labels; compared and routed as A-labels. */
static int
domain_to_ascii(struct arena *arena, struct str text, struct str *domain_r)
{
	UIDNAInfo info = UIDNA_INFO_INITIALIZER;
	UErrorCode status = U_ZERO_ERROR;
	char *out = arena_alloc(arena, ADDRESS_DOMAIN_MAX + 1);
	UIDNA *idna;
	int32_t len;

	if (text.len > ADDRESS_DOMAIN_MAX || !str_is_utf8(text))
		return ERR_SYNTAX;
	idna = uidna_openUTS46(UIDNA_NONTRANSITIONAL_TO_ASCII |
	    UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ, &status);
	if (U_FAILURE(status))
		return ERR_SYNTAX;
	len = uidna_nameToASCII_UTF8(idna, text.p, (int32_t)text.len, out,
	    ADDRESS_DOMAIN_MAX, &info, &status);
	uidna_close(idna);
	if (U_FAILURE(status) || info.errors != 0 || len <= 0 ||
	    len > (int32_t)ADDRESS_DOMAIN_MAX)
		return ERR_SYNTAX;
	*domain_r = str_make(out, (size_t)len);
	return 0;
}

int
address_domain(struct arena *arena, struct str text, unsigned flags,
    struct str *domain_r, struct err *err)
{
	if (text.len > ADDRESS_DOMAIN_MAX)
		return err_set(err, ERR_LIMIT, "domain over 255 octets");
	if (str_has_8bit(text)) {
		if (!(flags & ADDRESS_UTF8) ||
		    domain_to_ascii(arena, text, &text) != 0)
			return bad(err, "domain");
	}
	if (!is_domain_name(text))
		return bad(err, "domain");
	*domain_r = lower(arena, text);
	return 0;
}

/* RFC 5321 section 4.1.3: IPv4 or IPv6; no general literal is registered. */
static int
address_literal(struct arena *arena, struct str text, struct str *domain_r,
    struct err *err)
{
	char plain[INET6_ADDRSTRLEN + 1] = "";
	unsigned char addr[16];
	struct str inside;
	int family = AF_INET;

	if (text.len < 3 || text.p[text.len - 1] != ']')
		return bad(err, "address literal");
	inside = str_sub(text, 1, text.len - 2);
	if (str_begins_nocase(inside, STR("IPv6:"))) {
		family = AF_INET6;
		inside = str_sub(inside, 5, inside.len);
	}
	if (inside.len == 0 || inside.len >= sizeof(plain))
		return bad(err, "address literal");
	memcpy(plain, inside.p, inside.len);
	if (strlen(plain) != inside.len ||
	    inet_pton(family, plain, addr) != 1)
		return bad(err, "address literal");
	/* One spelling for each address. */
	invariant(inet_ntop(family, addr, plain, sizeof(plain)) != NULL);
	*domain_r = arena_printf(arena, "[%s%s]",
	    family == AF_INET6 ? "ipv6:" : "", plain);
	return 0;
}

static int
domain_part(struct arena *arena, struct str text, unsigned flags,
    struct address *address, struct err *err)
{
	address->is_literal = text.len != 0 && text.p[0] == '[';
	if (address->is_literal)
		return address_literal(arena, text, &address->domain, err);
	return address_domain(arena, text, flags, &address->domain, err);
}

int
address_parse(struct arena *arena, struct str text, unsigned flags,
    struct address *address_r, struct err *err)
{
	size_t len = 0;
	int rc;

	*address_r = (struct address){ .has_8bit = str_has_8bit(text) };
	if (text.len > ADDRESS_MAX)
		return err_set(err, ERR_LIMIT, "address over 254 octets");
	if (address_r->has_8bit &&
	    (!(flags & ADDRESS_UTF8) || !str_is_utf8(text)))
		return bad(err, "8-bit");
	rc = local_part(arena, text, flags, &address_r->local, &len, err);
	if (rc != 0)
		return rc;
	if (len == text.len && (flags & ADDRESS_BARE_LOCAL)) {
		address_r->domain = STR("");
		return 0;
	}
	if (len == text.len || text.p[len] != '@')
		return bad(err, "no domain");
	return domain_part(arena, str_sub(text, len + 1, text.len), flags,
	    address_r, err);
}

/* RFC 5321 section 4.1.2: A-d-l ":" is accepted and ignored. */
static int
skip_route(struct str *text, struct err *err)
{
	struct str rest, hop, route = str_cut(*text, ':', &rest);

	if (rest.p == NULL)
		return bad(err, "route");
	*text = rest;
	for (rest = route; rest.p != NULL;) {
		hop = str_cut(rest, ',', &rest);
		if (hop.len < 2 || hop.p[0] != '@' ||
		    !is_domain_name(str_sub(hop, 1, hop.len)))
			return bad(err, "route");
	}
	return 0;
}

int
address_parse_path(struct arena *arena, struct str text, unsigned flags,
    struct address *address_r, struct err *err)
{
	int rc;

	*address_r = (struct address){ .is_null = false };
	if (text.len < 2 || text.p[0] != '<' || text.p[text.len - 1] != '>')
		return bad(err, "no angle brackets");
	text = str_sub(text, 1, text.len - 2);
	if (text.len == 0) {
		if (!(flags & ADDRESS_NULL))
			return bad(err, "empty path");
		address_r->is_null = true;
		address_r->local = address_r->domain = STR("");
		return 0;
	}
	if (text.p[0] == '@') {
		rc = skip_route(&text, err);
		if (rc != 0)
			return rc;
	}
	return address_parse(arena, text, flags, address_r, err);
}

void
mailbox_put_quoted(struct buf *buf, struct str text)
{
	size_t i;

	buf_add_char(buf, '"');
	for (i = 0; i < text.len; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_add_char(buf, '\\');
		/* Nothing that could end the line gets through. */
		buf_add_char(buf, text.p[i] == '\r' || text.p[i] == '\n' ||
		    text.p[i] == '\0' ? ' ' : text.p[i]);
	}
	buf_add_char(buf, '"');
}

void
address_put_local(struct buf *buf, struct str local)
{
	if (is_dot_string(local))
		buf_add_str(buf, local);
	else
		mailbox_put_quoted(buf, local);
}

void
address_put(struct buf *buf, const struct address *address)
{
	if (address->is_null)
		return;
	address_put_local(buf, address->local);
	if (address->domain.len == 0)
		return;
	buf_add_char(buf, '@');
	buf_add_str(buf, address->domain);
}

struct str
address_split_tag(struct str local, struct str *tag_r)
{
	size_t at = str_find(str_sub(local, 1, local.len), '+');

	*tag_r = STR_NONE;
	if (at == STR_NPOS)
		return local;
	*tag_r = str_sub(local, at + 2, local.len);
	if (tag_r->p == NULL)
		*tag_r = STR("");
	return str_sub(local, 0, at + 1);
}

bool
address_eq(const struct address *a, const struct address *b)
{
	return a->is_null == b->is_null && str_eq(a->domain, b->domain) &&
	    str_eq_nocase(a->local, b->local);
}
