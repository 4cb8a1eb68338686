/* SPDX-License-Identifier: ISC */
#include "admin/front/dnstext.h"

#include "proto/dns_rdata.h"

#define STRING_MAX 255

static int put_a(struct buf *out, struct str rdata, struct arena *arena);
static int put_aaaa(struct buf *out, struct str rdata, struct arena *arena);
static int put_name(struct buf *out, struct str rdata, struct arena *arena);
static int put_mx(struct buf *out, struct str rdata, struct arena *arena);
static int put_srv(struct buf *out, struct str rdata, struct arena *arena);
static int put_txt(struct buf *out, struct str rdata, struct arena *arena);
static int put_tlsa(struct buf *out, struct str rdata, struct arena *arena);

static const struct {
	unsigned type;
	const char *name;
	int (*put)(struct buf *out, struct str rdata, struct arena *arena);
} types[] = {
	{ DNS_T_A, "A", put_a },
	{ 2, "NS", put_name },
	{ DNS_T_CNAME, "CNAME", put_name },
	{ DNS_T_PTR, "PTR", put_name },
	{ DNS_T_MX, "MX", put_mx },
	{ DNS_T_TXT, "TXT", put_txt },
	{ DNS_T_AAAA, "AAAA", put_aaaa },
	{ DNS_T_SRV, "SRV", put_srv },
	{ DNS_T_TLSA, "TLSA", put_tlsa },
};

#define TYPES_LEN (sizeof(types) / sizeof(types[0]))

unsigned
dns_type_of(struct str text)
{
	uint64_t number;
	size_t i;

	for (i = 0; i < TYPES_LEN; i++)
		if (str_eq_nocase(text, str_of(types[i].name)))
			return types[i].type;
	if (str_begins_nocase(text, STR("TYPE")))
		text = str_sub(text, 4, STR_NPOS);
	return str_to_u64(text, 65535, &number) == 0 ? (unsigned)number : 0;
}

void
dns_put_type(struct buf *out, unsigned type)
{
	size_t i;

	for (i = 0; i < TYPES_LEN; i++)
		if (types[i].type == type) {
			buf_add_cstr(out, types[i].name);
			return;
		}
	buf_addf(out, "TYPE%u", type);
}

static void
put_dotted(struct buf *out, struct str name)
{
	buf_add_str(out, name);
	if (!str_eq(name, STR(".")))
		buf_add_char(out, '.');
}

static int
put_address(struct buf *out, const struct netaddr *addr)
{
	char text[NETADDR_TEXT_SIZE];

	buf_add_cstr(out, netaddr_text(addr, text));
	return 0;
}

static int
put_a(struct buf *out, struct str rdata, struct arena *arena)
{
	struct netaddr addr;
	int rc = dns_rdata_a(rdata, &addr, NULL);

	(void)arena;
	return rc != 0 ? rc : put_address(out, &addr);
}

static int
put_aaaa(struct buf *out, struct str rdata, struct arena *arena)
{
	struct netaddr addr;
	int rc = dns_rdata_aaaa(rdata, &addr, NULL);

	(void)arena;
	return rc != 0 ? rc : put_address(out, &addr);
}

static int
put_name(struct buf *out, struct str rdata, struct arena *arena)
{
	struct str name;
	int rc = dns_rdata_name(arena, rdata, &name, NULL);

	if (rc == 0)
		put_dotted(out, name);
	return rc;
}

static int
put_mx(struct buf *out, struct str rdata, struct arena *arena)
{
	struct dns_mx mx;
	int rc = dns_rdata_mx(arena, rdata, &mx, NULL);

	if (rc != 0)
		return rc;
	buf_addf(out, "%u ", mx.preference);
	put_dotted(out, mx.exchange);
	return 0;
}

static int
put_srv(struct buf *out, struct str rdata, struct arena *arena)
{
	struct dns_srv srv;
	int rc = dns_rdata_srv(arena, rdata, &srv, NULL);

	if (rc != 0)
		return rc;
	buf_addf(out, "%u %u %u ", srv.priority, srv.weight, srv.port);
	put_dotted(out, srv.target);
	return 0;
}

void
dns_put_txt(struct buf *out, struct str text)
{
	size_t i;
	unsigned char c;

	buf_add_char(out, '"');
	for (i = 0; i < text.len; i++) {
		if (i != 0 && i % STRING_MAX == 0)
			buf_add_cstr(out, "\" \"");
		c = (unsigned char)text.p[i];
		if (c == '"' || c == '\\')
			buf_addf(out, "\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			buf_add_char(out, (char)c);
		else
			buf_addf(out, "\\%03u", (unsigned)c);
	}
	buf_add_char(out, '"');
}

static int
put_txt(struct buf *out, struct str rdata, struct arena *arena)
{
	struct str text;
	int rc = dns_rdata_txt(arena, rdata, &text, NULL);

	if (rc == 0)
		dns_put_txt(out, text);
	return rc;
}

static int
put_tlsa(struct buf *out, struct str rdata, struct arena *arena)
{
	struct dns_tlsa tlsa;
	int rc = dns_rdata_tlsa(rdata, &tlsa, NULL);

	(void)arena;
	if (rc != 0)
		return rc;
	buf_addf(out, "%u %u %u ", tlsa.usage, tlsa.selector, tlsa.matching);
	buf_add_hex(out, tlsa.data.p, tlsa.data.len);
	return 0;
}

void
dns_put_rdata(struct buf *out, unsigned type, struct str rdata)
{
	struct arena *arena = arena_new(0);
	int rc = ERR_SYNTAX;
	size_t i;

	for (i = 0; i < TYPES_LEN; i++)
		if (types[i].type == type)
			rc = types[i].put(out, rdata, arena);
	if (rc != 0) {
		buf_addf(out, "\\# %zu ", rdata.len);
		buf_add_hex(out, rdata.p, rdata.len);
	}
	arena_free(&arena);
}
