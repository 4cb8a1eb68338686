/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/buf.h"
#include "proto/dns_rdata.h"

#define L63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static struct arena *arena;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

#define WIRE(s) { "" s, sizeof(s) - 1 }

/* Name rdata to text; NULL: refused. */
static void
test_name_from_wire(void **state)
{
	static const struct {
		struct str wire;
		const char *want;
	} cases[] = {
		{ WIRE("\0"), "." },
		{ WIRE("\3com\0"), "com" },
		{ WIRE("\4mail\7example\0"), "mail.example" },
		{ WIRE("\4MaIl\0"), "MaIl" },
		{ WIRE("\3a.b\1c\0"), "a\\.b.c" },
		{ WIRE("\2\\x\0"), "\\\\x" },
		{ WIRE("\4\0 \x7f\xff\0"), "\\000\\032\\127\\255" },
		{ WIRE("\77" L63 "\0"), L63 },
		{ WIRE(""), NULL },
		{ WIRE("\3com"), NULL },
		{ WIRE("\4com\0"), NULL },
		{ WIRE("\300\014"), NULL },
		{ WIRE("\3com\300\0"), NULL },
		{ WIRE("\100" L63 "l\0"), NULL },
		{ WIRE("\3com\0x"), NULL },
		{ WIRE("\77" L63 "\77" L63 "\77" L63
		    "\75abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
		    "abcdefghi\0"), L63 "." L63 "." L63
		    ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
		    "abcdefghi" },
		{ WIRE("\77" L63 "\77" L63 "\77" L63 "\77" L63 "\0"), NULL },
	};
	struct str name;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		rc = dns_rdata_name(arena, cases[i].wire, &name, NULL);
		if (cases[i].want == NULL) {
			assert_int_equal(rc, ERR_SYNTAX);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_true(str_eq(name, str_of(cases[i].want)));
	}
}

static void
test_name_to_wire(void **state)
{
	static const struct {
		const char *name;
		struct str want;	/* empty: refused */
	} cases[] = {
		{ ".", WIRE("\0") },
		{ "com", WIRE("\3com\0") },
		{ "com.", WIRE("\3com\0") },
		{ "mail.example", WIRE("\4mail\7example\0") },
		{ "a\\.b.c", WIRE("\3a.b\1c\0") },
		{ "\\\\x", WIRE("\2\\x\0") },
		{ "\\000\\255", WIRE("\2\0\xff\0") },
		{ "_25._tcp.mx", WIRE("\3_25\4_tcp\2mx\0") },
		{ "", WIRE("") },
		{ "..", WIRE("") },
		{ ".com", WIRE("") },
		{ "a..b", WIRE("") },
		{ "a\\", WIRE("") },
		{ "a\\2", WIRE("") },
		{ "a\\25x", WIRE("") },
		{ "a\\256", WIRE("") },
		{ L63 "l", WIRE("") },
		{ L63 "." L63 "." L63 "." L63, WIRE("") },
		{ L63 "." L63 "." L63
		    ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
		    "abcdefghij", WIRE("") },
	};
	unsigned char wire[DNS_NAME_WIRE_MAX];
	size_t i, len;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		rc = dns_name_to_wire(str_of(cases[i].name), wire, &len, NULL);
		if (cases[i].want.len == 0) {
			assert_int_equal(rc, ERR_SYNTAX);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_true(str_eq(str_make(wire, len), cases[i].want));
	}
	/* 255 octets on the wire are allowed. */
	assert_int_equal(dns_name_to_wire(STR(L63 "." L63 "." L63
	    ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"),
	    wire, &len, NULL), 0);
	assert_int_equal(len, 255);
}

static void
test_host(void **state)
{
	static const struct {
		const char *name;
		bool is_host;
	} cases[] = {
		{ "mx.example.org", true },
		{ "mx.example.org.", true },
		{ "mx_1.example", true },
		{ "1.example", true },
		{ "xn--wgv71a.example", true },
		{ "localhost", true },
		{ "", false },
		{ ".", false },
		{ "..", false },
		{ "a..b", false },
		{ "-a.example", false },
		{ "a-.example", false },
		{ "127.0.0.1", false },
		{ "a.1", false },
		{ "2130706433", false },
		{ "0x7f.1", false },
		{ "a\\.b.example", false },
		{ "a b", false },
		{ "a@b", false },
		{ L63 "l.example", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++)
		if (dns_name_is_host(str_of(cases[i].name)) !=
		    cases[i].is_host)
			fail_msg("%s", cases[i].name);
	assert_true(dns_name_eq(STR("Example.ORG."), STR("example.org")));
	assert_true(dns_name_eq(STR("."), STR(".")));
	assert_false(dns_name_eq(STR("example.org"), STR("example.com")));
}

static void
test_addresses(void **state)
{
	struct netaddr addr;
	char text[NETADDR_TEXT_SIZE];

	(void)state;
	assert_int_equal(dns_rdata_a(STR("\300\0\2\1"), &addr, NULL), 0);
	assert_string_equal(netaddr_text(&addr, text), "192.0.2.1");
	assert_int_equal(dns_rdata_a(STR("\300\0\2"), &addr, NULL),
	    ERR_SYNTAX);
	assert_int_equal(dns_rdata_a(STR("\300\0\2\1\1"), &addr, NULL),
	    ERR_SYNTAX);
	assert_int_equal(dns_rdata_a(STR_NONE, &addr, NULL), ERR_SYNTAX);
	assert_int_equal(dns_rdata_aaaa(
	    STR("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), &addr, NULL), 0);
	assert_string_equal(netaddr_text(&addr, text), "2001:db8::1");
	assert_int_equal(dns_rdata_aaaa(STR("\300\0\2\1"), &addr, NULL),
	    ERR_SYNTAX);
}

static void
test_mx_srv(void **state)
{
	struct dns_mx mx;
	struct dns_srv srv;

	(void)state;
	assert_int_equal(dns_rdata_mx(arena, STR("\1\12\2mx\7example\0"),
	    &mx, NULL), 0);
	assert_int_equal(mx.preference, 266);
	assert_true(str_eq(mx.exchange, STR("mx.example")));
	assert_int_equal(dns_rdata_mx(arena, STR("\0\0\0"), &mx, NULL), 0);
	assert_true(str_eq(mx.exchange, STR(".")));
	assert_int_equal(dns_rdata_mx(arena, STR("\0\0"), &mx, NULL),
	    ERR_SYNTAX);
	assert_int_equal(dns_rdata_mx(arena, STR("\0\0\0x"), &mx, NULL),
	    ERR_SYNTAX);
	assert_int_equal(dns_rdata_srv(arena,
	    STR("\0\1\0\2\3\341\4imap\0"), &srv, NULL), 0);
	assert_int_equal(srv.priority, 1);
	assert_int_equal(srv.weight, 2);
	assert_int_equal(srv.port, 993);
	assert_true(str_eq(srv.target, STR("imap")));
	assert_int_equal(dns_rdata_srv(arena, STR("\0\1\0\2\3\341"), &srv,
	    NULL), ERR_SYNTAX);
}

static void
test_txt(void **state)
{
	static const struct {
		struct str rdata;
		struct str want;
		int rc;
	} cases[] = {
		{ WIRE("\6v=spf1"), WIRE("v=spf1"), 0 },
		{ WIRE("\3v=s\3pf1"), WIRE("v=spf1"), 0 },
		{ WIRE("\0"), WIRE(""), 0 },
		{ WIRE("\0\1a\0\1b"), WIRE("ab"), 0 },
		{ WIRE("\2\0\n"), WIRE("\0\n"), 0 },
		{ WIRE(""), WIRE(""), ERR_SYNTAX },
		{ WIRE("\1"), WIRE(""), ERR_SYNTAX },
		{ WIRE("\1a\3bc"), WIRE(""), ERR_SYNTAX },
	};
	struct str text;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(dns_rdata_txt(arena, cases[i].rdata, &text,
		    NULL), cases[i].rc);
		if (cases[i].rc == 0)
			assert_true(str_eq(text, cases[i].want));
	}
}

static void
test_tlsa(void **state)
{
	char rdata[3 + 64] = { 3, 1, 1 };
	struct dns_tlsa tlsa;

	(void)state;
	assert_int_equal(dns_rdata_tlsa(str_make(rdata, 35), &tlsa, NULL), 0);
	assert_int_equal(tlsa.usage, 3);
	assert_int_equal(tlsa.selector, 1);
	assert_int_equal(tlsa.matching, 1);
	assert_int_equal(tlsa.data.len, 32);
	assert_int_equal(dns_rdata_tlsa(str_make(rdata, 34), &tlsa, NULL),
	    ERR_SYNTAX);
	assert_int_equal(dns_rdata_tlsa(str_make(rdata, 67), &tlsa, NULL),
	    ERR_SYNTAX);
	assert_int_equal(dns_rdata_tlsa(str_make(rdata, 3), &tlsa, NULL),
	    ERR_SYNTAX);
	rdata[2] = 2;
	assert_int_equal(dns_rdata_tlsa(str_make(rdata, 67), &tlsa, NULL), 0);
	rdata[2] = 0;
	assert_int_equal(dns_rdata_tlsa(str_make(rdata, 9), &tlsa, NULL), 0);
	rdata[0] = (char)255;
	assert_int_equal(dns_rdata_tlsa(str_make(rdata, 9), &tlsa, NULL), 0);
	assert_int_equal(tlsa.usage, 255);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_from_wire),
		cmocka_unit_test(test_name_to_wire),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_mx_srv),
		cmocka_unit_test(test_txt),
		cmocka_unit_test(test_tlsa),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
