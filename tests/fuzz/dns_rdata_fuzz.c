/* SPDX-License-Identifier: ISC */
/*
 * The first octet chooses the record's kind. A name that is read is printable
 * text and, written again, is the same octets.
 */
#include "proto/dns_rdata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(struct str name, struct str wire)
{
	unsigned char again[DNS_NAME_WIRE_MAX];
	size_t len, i;

	for (i = 0; i < name.len; i++)
		invariant(name.p[i] > 0x20 && name.p[i] < 0x7f);
	invariant(dns_name_to_wire(name, again, &len, NULL) == 0);
	invariant(wire.len == len && memcmp(wire.p, again, len) == 0);
	(void)dns_name_is_host(name);
}

static void
read_name(struct arena *arena, struct str in)
{
	struct str name;

	if (dns_rdata_name(arena, in, &name, NULL) == 0)
		check_name(name, in);
}

static void
read_mx(struct arena *arena, struct str in)
{
	struct dns_mx mx;

	if (dns_rdata_mx(arena, in, &mx, NULL) == 0)
		check_name(mx.exchange, str_sub(in, 2, STR_NPOS));
}

static void
read_srv(struct arena *arena, struct str in)
{
	struct dns_srv srv;

	if (dns_rdata_srv(arena, in, &srv, NULL) == 0)
		check_name(srv.target, str_sub(in, 6, STR_NPOS));
}

static void
read_txt(struct arena *arena, struct str in)
{
	struct str text;

	if (dns_rdata_txt(arena, in, &text, NULL) == 0)
		invariant(text.len < in.len);
}

static void
read_rest(struct arena *arena, struct str in)
{
	unsigned char wire[DNS_NAME_WIRE_MAX];
	struct netaddr addr;
	struct dns_tlsa tlsa;
	size_t len;

	(void)arena;
	if (dns_rdata_a(in, &addr, NULL) == 0 ||
	    dns_rdata_aaaa(in, &addr, NULL) == 0)
		(void)netaddr_is_public(&addr);
	if (dns_rdata_tlsa(in, &tlsa, NULL) == 0)
		invariant(tlsa.data.len != 0 && tlsa.data.len + 3 == in.len);
	if (dns_name_to_wire(in, wire, &len, NULL) == 0)
		invariant(len <= sizeof(wire) && wire[len - 1] == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct arena *, struct str) = {
		read_name, read_mx, read_srv, read_txt, read_rest,
	};
	struct arena *arena = arena_new(0);

	if (size != 0)
		kinds[data[0] % (sizeof(kinds) / sizeof(kinds[0]))](arena,
		    str_make(data + 1, size - 1));
	arena_free(&arena);
	return 0;
}
