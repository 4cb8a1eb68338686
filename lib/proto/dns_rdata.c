/* SPDX-License-Identifier: ISC */
#include "proto/dns_rdata.h"

#include "base/buf.h"

/* Every octet of a name may need four of text. */
#define NAME_TEXT_MAX (DNS_NAME_WIRE_MAX * 4)

static uint16_t
get_u16(struct str s, size_t at)
{
	return (uint16_t)((unsigned char)s.p[at] << 8 |
	    (unsigned char)s.p[at + 1]);
}

/* ---- names ---- */

static void
put_octet(struct buf *out, unsigned char c)
{
	if (c == '.' || c == '\\')
		buf_addf(out, "\\%c", c);
	else if (c > 0x20 && c < 0x7f)
		buf_add_char(out, (char)c);
	else
		buf_addf(out, "\\%03u", (unsigned)c);
}

/* The octets after the root label, or 0. Appends the text. */
static size_t
walk_name(struct str wire, struct buf *out)
{
	size_t at = 0, i;
	unsigned len;

	while (at < wire.len && at < DNS_NAME_WIRE_MAX) {
		len = (unsigned char)wire.p[at++];
		if (len == 0) {
			if (at == 1)
				buf_add_char(out, '.');
			return at;
		}
		/* RFC 1035 section 4.1.4: pointers have no place here. */
		if (len > DNS_LABEL_MAX || wire.len - at < len)
			return 0;
		if (at != 1)
			buf_add_char(out, '.');
		for (i = 0; i < len; i++)
			put_octet(out, (unsigned char)wire.p[at + i]);
		at += len;
	}
	return 0;
}

int
dns_name_from_wire(struct arena *arena, struct str wire, struct str *name_r,
    size_t *used_r, struct err *err)
{
	struct buf out;
	int rc = 0;

	buf_init(&out, NAME_TEXT_MAX);
	*used_r = walk_name(wire, &out);
	*name_r = STR_NONE;
	if (*used_r == 0)
		rc = err_set(err, ERR_SYNTAX, "not a name in a record");
	else
		*name_r = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return rc;
}

/* One octet of a label's text; the octets of text it took, 0: malformed. */
static size_t
get_octet(struct str text, unsigned char *octet_r)
{
	unsigned value;

	*octet_r = (unsigned char)text.p[0];
	if (text.p[0] != '\\')
		return 1;
	if (text.len < 2)
		return 0;
	*octet_r = (unsigned char)text.p[1];
	if (!ascii_is_digit(text.p[1]))
		return 2;
	if (text.len < 4 || !ascii_is_digit(text.p[2]) ||
	    !ascii_is_digit(text.p[3]))
		return 0;
	value = (unsigned)(text.p[1] - '0') * 100 +
	    (unsigned)(text.p[2] - '0') * 10 + (unsigned)(text.p[3] - '0');
	*octet_r = (unsigned char)value;
	return value <= 255 ? 4 : 0;
}

/* One label at wire[at]; the octets of text before the dot, 0: malformed. */
static size_t
put_label(struct str text, unsigned char *wire, size_t at)
{
	size_t took = 0, len = 0, n;
	unsigned char octet;

	while (took < text.len && text.p[took] != '.') {
		n = get_octet(str_sub(text, took, STR_NPOS), &octet);
		/* One octet stays free for the root. */
		if (n == 0 || len == DNS_LABEL_MAX ||
		    at + 1 + len >= DNS_NAME_WIRE_MAX - 1)
			return 0;
		wire[at + 1 + len++] = octet;
		took += n;
	}
	if (len != 0)
		wire[at] = (unsigned char)len;
	return len != 0 ? took : 0;
}

int
dns_name_to_wire(struct str name, unsigned char *wire_r, size_t *len_r,
    struct err *err)
{
	size_t at = 0, took;

	if (str_eq(name, STR(".")))
		name.len = 0;
	else if (name.len == 0)
		return err_set(err, ERR_SYNTAX, "an empty name");
	while (name.len != 0) {
		took = put_label(name, wire_r, at);
		if (took == 0)
			return err_set(err, ERR_SYNTAX, "not a domain name");
		at += 1U + wire_r[at];
		/* The dot, which may end the name. */
		name = str_sub(name, took, STR_NPOS);
		if (name.len != 0)
			name = str_sub(name, 1, STR_NPOS);
	}
	wire_r[at] = 0;
	*len_r = at + 1;
	return 0;
}

static struct str
without_dot(struct str name)
{
	if (name.len > 1 && name.p[name.len - 1] == '.')
		name.len--;
	return name;
}

bool
dns_name_eq(struct str a, struct str b)
{
	return str_eq_nocase(without_dot(a), without_dot(b));
}

static bool
is_host_label(struct str label)
{
	size_t i;
	char c;

	if (label.len == 0 || label.len > DNS_LABEL_MAX ||
	    label.p[0] == '-' || label.p[label.len - 1] == '-')
		return false;
	for (i = 0; i < label.len; i++) {
		c = label.p[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' &&
		    c != '_')
			return false;
	}
	return true;
}

bool
dns_name_is_host(struct str name)
{
	struct str rest = without_dot(name), label = STR_NONE;
	size_t i;

	if (rest.len == 0 || rest.len > DNS_NAME_WIRE_MAX - 2)
		return false;
	while (rest.p != NULL) {
		label = str_cut(rest, '.', &rest);
		if (!is_host_label(label))
			return false;
	}
	for (i = 0; i < label.len; i++)
		if (!ascii_is_digit(label.p[i]))
			return true;
	return false;
}

/* ---- records ---- */

static int
get_address(struct str rdata, int family, size_t len, struct netaddr *addr_r,
    struct err *err)
{
	memset(addr_r, 0, sizeof(*addr_r));
	if (rdata.len != len)
		return err_set(err, ERR_SYNTAX, "an address of %zu octets",
		    rdata.len);
	addr_r->family = family;
	memcpy(addr_r->octets, rdata.p, len);
	return 0;
}

int
dns_rdata_a(struct str rdata, struct netaddr *addr_r, struct err *err)
{
	return get_address(rdata, AF_INET, 4, addr_r, err);
}

int
dns_rdata_aaaa(struct str rdata, struct netaddr *addr_r, struct err *err)
{
	return get_address(rdata, AF_INET6, 16, addr_r, err);
}

int
dns_rdata_name(struct arena *arena, struct str rdata, struct str *name_r,
    struct err *err)
{
	size_t used;
	int rc = dns_name_from_wire(arena, rdata, name_r, &used, err);

	if (rc == 0 && used != rdata.len)
		rc = err_set(err, ERR_SYNTAX, "octets after a name");
	return rc;
}

int
dns_rdata_mx(struct arena *arena, struct str rdata, struct dns_mx *mx_r,
    struct err *err)
{
	memset(mx_r, 0, sizeof(*mx_r));
	if (rdata.len < 3)
		return err_set(err, ERR_SYNTAX, "a short MX");
	mx_r->preference = get_u16(rdata, 0);
	return dns_rdata_name(arena, str_sub(rdata, 2, STR_NPOS),
	    &mx_r->exchange, err);
}

int
dns_rdata_srv(struct arena *arena, struct str rdata, struct dns_srv *srv_r,
    struct err *err)
{
	memset(srv_r, 0, sizeof(*srv_r));
	if (rdata.len < 7)
		return err_set(err, ERR_SYNTAX, "a short SRV");
	srv_r->priority = get_u16(rdata, 0);
	srv_r->weight = get_u16(rdata, 2);
	srv_r->port = get_u16(rdata, 4);
	return dns_rdata_name(arena, str_sub(rdata, 6, STR_NPOS),
	    &srv_r->target, err);
}

int
dns_rdata_txt(struct arena *arena, struct str rdata, struct str *text_r,
    struct err *err)
{
	size_t at = 0, len = 0, n;
	char *p;

	*text_r = STR_NONE;
	/* A TXT has at least one string, perhaps an empty one. */
	if (rdata.len == 0 || rdata.len > 65535)
		return err_set(err, ERR_SYNTAX, "a TXT of %zu octets",
		    rdata.len);
	p = arena_alloc(arena, rdata.len);
	while (at < rdata.len) {
		n = (unsigned char)rdata.p[at++];
		if (n > rdata.len - at)
			return err_set(err, ERR_SYNTAX,
			    "a string past the end of a TXT");
		memcpy(p + len, rdata.p + at, n);
		len += n;
		at += n;
	}
	*text_r = str_make(p, len);
	return 0;
}

int
dns_rdata_tlsa(struct str rdata, struct dns_tlsa *tlsa_r, struct err *err)
{
	memset(tlsa_r, 0, sizeof(*tlsa_r));
	if (rdata.len < 4)
		return err_set(err, ERR_SYNTAX, "a short TLSA");
	tlsa_r->usage = (uint8_t)rdata.p[0];
	tlsa_r->selector = (uint8_t)rdata.p[1];
	tlsa_r->matching = (uint8_t)rdata.p[2];
	tlsa_r->data = str_sub(rdata, 3, STR_NPOS);
	if ((tlsa_r->matching == 1 && tlsa_r->data.len != 32) ||
	    (tlsa_r->matching == 2 && tlsa_r->data.len != 64))
		return err_set(err, ERR_SYNTAX, "a TLSA digest of %zu octets",
		    tlsa_r->data.len);
	return 0;
}
