/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "dnsd/answer.h"
#include "dnsd/resolver.h"

/* A packet: header, the question a.test MX, then records. */
#define HEADER(rcode, an, ns) "\0\0\x81" rcode "\0\1\0" an "\0" ns "\0\0"
#define QUESTION "\1a\4test\0\0\17\0\1"		/* a.test is at 12 */
#define FIXED(type) "\0" type "\0\1\0\0\0\x3c"	/* 60 seconds */
#define PACKET(s) { "" s, sizeof(s) - 1 }
#define ASKED STR("\1a\4test\0")

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

static void
test_packets(void **state)
{
	static const struct {
		const char *what;
		struct str packet;
		int rc;
		unsigned rcode;
		size_t records;
		const char *canonical;
		uint32_t ttl_s;
	} cases[] = {
		{ "one", PACKET(HEADER("\0", "\1", "\0") QUESTION
		    "\300\14" FIXED("\17") "\0\6\0\12\1m\300\16"),
		    0, 0, 1, "a.test", 60 },
		{ "another case", PACKET(HEADER("\0", "\1", "\0") QUESTION
		    "\1A\4TEST\0" FIXED("\17") "\0\4\0\12\300\16"),
		    0, 0, 1, "a.test", 60 },
		{ "alias", PACKET(HEADER("\0", "\2", "\0") QUESTION
		    "\300\14" FIXED("\5") "\0\4\1b\300\16"
		    "\1b\300\16" "\0\17\0\1\0\0\0\5" "\0\4\0\12\300\16"),
		    0, 0, 1, "b.test", 5 },
		{ "aliases out of order", PACKET(HEADER("\0", "\2", "\0")
		    QUESTION
		    "\1b\300\16" FIXED("\17") "\0\4\0\12\300\16"
		    "\300\14" FIXED("\5") "\0\4\1b\300\16"),
		    0, 0, 1, "b.test", 60 },
		{ "to itself", PACKET(HEADER("\0", "\1", "\0") QUESTION
		    "\300\14" FIXED("\5") "\0\2\300\14"),
		    ERR_LIMIT, 0, 0, NULL, 0 },
		{ "round", PACKET(HEADER("\0", "\2", "\0") QUESTION
		    "\300\14" FIXED("\5") "\0\4\1b\300\16"
		    "\1b\300\16" FIXED("\5") "\0\2\300\14"),
		    ERR_LIMIT, 0, 0, NULL, 0 },
		{ "somebody else's", PACKET(HEADER("\0", "\1", "\0") QUESTION
		    "\1x\300\16" FIXED("\17") "\0\4\0\12\300\16"),
		    0, 0, 0, "a.test", 0 },
		{ "no such name", PACKET(HEADER("\3", "\0", "\1") QUESTION
		    "\300\16" FIXED("\6") "\0\26\0\0" "\0\0\0\0\0\0\0\0"
		    "\0\0\0\0\0\0\0\0" "\0\0\0\7"),
		    0, 3, 0, "a.test", 7 },
		{ "nothing, and no SOA", PACKET(HEADER("\0", "\0", "\0")
		    QUESTION), 0, 0, 0, "a.test", 0 },
		{ "a time over 31 bits", PACKET(HEADER("\0", "\1", "\0")
		    QUESTION "\300\14\0\17\0\1\377\0\0\0\0\4\0\12\300\16"),
		    0, 0, 1, "a.test", 0 },
		{ "a day at most", PACKET(HEADER("\0", "\1", "\0")
		    QUESTION "\300\14\0\17\0\1\17\0\0\0\0\4\0\12\300\16"),
		    0, 0, 1, "a.test", 86400 },
		{ "empty", PACKET(""), ERR_SYNTAX, 0, 0, NULL, 0 },
		{ "no question", PACKET(HEADER("\0", "\1", "\0")),
		    ERR_SYNTAX, 0, 0, NULL, 0 },
		{ "fewer records", PACKET(HEADER("\0", "\1", "\0") QUESTION),
		    ERR_SYNTAX, 0, 0, NULL, 0 },
		{ "a length that lies", PACKET(HEADER("\0", "\1", "\0")
		    QUESTION "\300\14" FIXED("\17") "\0\7\0\12\1m\300\16"),
		    ERR_SYNTAX, 0, 0, NULL, 0 },
		{ "a name past its record", PACKET(HEADER("\0", "\1", "\0")
		    QUESTION "\300\14" FIXED("\17") "\0\4\0\12\1m\300\16"),
		    ERR_SYNTAX, 0, 0, NULL, 0 },
		{ "a pointer to itself", PACKET(HEADER("\0", "\1", "\0")
		    QUESTION "\300\30" FIXED("\17") "\0\4\0\12\300\16"),
		    ERR_SYNTAX, 0, 0, NULL, 0 },
		{ "a pointer forward", PACKET(HEADER("\0", "\1", "\0")
		    QUESTION "\300\377" FIXED("\17") "\0\4\0\12\300\16"),
		    ERR_SYNTAX, 0, 0, NULL, 0 },
	};
	struct answer answer;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		memset(&answer, 0, sizeof(answer));
		rc = answer_read(arena, cases[i].packet, ASKED, DNS_T_MX,
		    &answer, NULL);
		if (rc != cases[i].rc)
			fail_msg("%s: %d", cases[i].what, rc);
		if (rc != 0)
			continue;
		if (answer.rcode != cases[i].rcode ||
		    answer.rdata_len != cases[i].records ||
		    answer.ttl_s != cases[i].ttl_s ||
		    !str_eq(answer.canonical, str_of(cases[i].canonical)))
			fail_msg("%s: %u, %zu records, %u s, %.*s",
			    cases[i].what, answer.rcode, answer.rdata_len,
			    answer.ttl_s, STR_FMT(answer.canonical));
	}
}

static void
test_uncompressed(void **state)
{
	static const struct str packet = PACKET(HEADER("\0", "\1", "\0")
	    QUESTION "\300\14" FIXED("\17") "\0\6\0\12\1m\300\16");
	struct answer answer;
	struct dns_mx mx;

	(void)state;
	assert_int_equal(answer_read(arena, packet, ASKED, DNS_T_MX, &answer,
	    NULL), 0);
	assert_int_equal(dns_rdata_mx(arena, answer.rdata[0], &mx, NULL), 0);
	assert_int_equal(mx.preference, 10);
	assert_true(str_eq(mx.exchange, STR("m.test")));
	/* As a question for the alias itself, it is no alias to follow. */
	assert_int_equal(answer_read(arena, (struct str)PACKET(
	    HEADER("\0", "\1", "\0") QUESTION "\300\14" FIXED("\5")
	    "\0\4\1b\300\16"), ASKED, DNS_T_CNAME, &answer, NULL), 0);
	assert_int_equal(answer.rdata_len, 1);
	assert_true(str_eq(answer.canonical, STR("a.test")));
}

/* 300 records: the first 256 are kept. */
static void
test_many(void **state)
{
	struct answer answer;
	struct buf packet;
	unsigned i;

	(void)state;
	buf_init(&packet, 65536);
	buf_add(&packet, "\0\0\x81\0\0\1\1\54\0\0\0\0", 12);
	buf_add(&packet, QUESTION, sizeof(QUESTION) - 1);
	for (i = 0; i < 300; i++)
		buf_add(&packet, "\300\14" FIXED("\17") "\0\4\0\12\300\16",
		    16);
	assert_int_equal(answer_read(arena, buf_str(&packet), ASKED,
	    DNS_T_MX, &answer, NULL), 0);
	assert_int_equal(answer.rdata_len, ANSWER_RDATA_MAX);
	buf_fini(&packet);
}

static void
test_settings(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *first;
		size_t servers;
		bool has_loopback;
	} cases[] = {
		{ "192.0.2.1", 0, "192.0.2.1@53", 1, false },
		{ " 192.0.2.1@5353  2001:db8::1 ", 0, "192.0.2.1@5353", 2,
		    false },
		{ "127.0.0.1@5300", 0, "127.0.0.1@5300", 1, true },
		{ "192.0.2.1 ::1@5300", 0, "192.0.2.1@53", 2, true },
		{ "root", 0, "", 0, false },
		{ "ns.example", ERR_SYNTAX, "", 0, false },
		{ "192.0.2.1@", ERR_SYNTAX, "", 0, false },
		{ "192.0.2.1@0", ERR_SYNTAX, "", 0, false },
		{ "192.0.2.1@65536", ERR_SYNTAX, "", 0, false },
		{ "192.0.2.1,192.0.2.2", ERR_SYNTAX, "", 0, false },
		{ "1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 "
		    "1.1.1.8 1.1.1.9", ERR_LIMIT, "", 0, false },
	};
	struct resolver_settings settings;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		if (resolver_settings_read(&settings,
		    str_of(cases[i].text), "", false, NULL) != cases[i].rc)
			fail_msg("%s", cases[i].text);
		if (cases[i].rc == 0) {
			assert_int_equal(settings.servers_len,
			    cases[i].servers);
			assert_string_equal(settings.servers[0],
			    cases[i].first);
			assert_int_equal(settings.has_loopback,
			    cases[i].has_loopback);
		}
		buf_fini(&settings.anchors);
	}
}

static void
test_resolv_conf(void **state)
{
	struct resolver_settings settings = { .servers_len = 0 };

	(void)state;
	resolver_settings_conf(&settings, STR("# a comment\n"
	    "search example.test\nnameserver 127.0.0.53\n"
	    "nameserver\t2001:db8::1 \nnameserver fe80::1%eth0\n"
	    "nameserver 192.0.2.1@5300\nnameserver\noptions edns0"));
	assert_int_equal(settings.servers_len, 2);
	assert_string_equal(settings.servers[0], "127.0.0.53@53");
	assert_string_equal(settings.servers[1], "2001:db8::1@53");
	assert_true(settings.has_loopback);
}

/* libunbound takes every option, and bad anchors are found at the start. */
static void
test_start(void **state)
{
	static const struct {
		const char *anchors;
		bool is_good;
	} cases[] = {
		{ "", false },
		{ "; nothing\n", false },
		{ ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E8804"
		    "09BBC683457104237C7F8EC8D ; the root\n", true },
		{ "this is no record\n", false },
	};
	struct resolver_settings settings;
	struct loop *loop = loop_new();
	struct resolver *resolver;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(resolver_settings_read(&settings,
		    STR("127.0.0.1@1"), "", false, NULL), 0);
		settings.is_validating = true;
		buf_add_cstr(&settings.anchors, cases[i].anchors);
		resolver = resolver_new(loop, &settings, NULL);
		if ((resolver != NULL) != cases[i].is_good)
			fail_msg("%s", cases[i].anchors);
		resolver_free(&resolver);
		buf_fini(&settings.anchors);
	}
	loop_free(&loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_uncompressed),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_resolv_conf),
		cmocka_unit_test(test_start),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
