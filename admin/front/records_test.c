/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "admin/front/dnstext.h"
#include "admin/front/records.h"
#include "proto/dns_rdata.h"

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

static size_t
build(struct record *records)
{
	static const unsigned char key_id[32] = { 0xab, 1 };
	struct records_service services[8];
	struct records_key keys[] = {
		{ STR("new"), STR("v=DKIM1; k=rsa; p=abc"), true },
		{ STR("old"), STR("v=DKIM1; k=rsa; p=abd"), false },
	};
	struct records_input input = { .domain = STR("a.test"),
	    .hostname = STR("mx.host.test"),
	    .mta_sts_mode = MTA_STS_TESTING, .key_id = key_id,
	    .services = services, .keys = keys, .keys_len = 2 };

	input.services_len = records_services(services, 8);
	records_listener(&input, STR("imap"), 993, STR("implicit"));
	records_listener(&input, STR("imap"), 1993, STR("implicit"));
	records_listener(&input, STR("submission"), 587, STR("starttls"));
	records_listener(&input, STR("smtp"), 25, STR("starttls"));
	records_listener(&input, STR("web"), 443, STR("implicit"));
	return records_build(arena, &input, records);
}

static const struct record *
find(const struct record *records, size_t n, const char *name, unsigned type)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (str_eq(records[i].name, str_of(name)) &&
		    records[i].type == type)
			return &records[i];
	fail_msg("no record %s", name);
	return NULL;
}

static void
test_build(void **state)
{
	static const struct {
		const char *name;
		unsigned type;
		const char *value;
	} cases[] = {
		{ "a.test", DNS_T_MX, "10 mx.host.test." },
		{ "a.test", DNS_T_TXT, "\"v=spf1 mx -all\"" },
		{ "_dmarc.a.test", DNS_T_TXT,
		    "\"v=DMARC1; p=none; rua=mailto:postmaster@a.test\"" },
		{ "_smtp._tls.a.test", DNS_T_TXT,
		    "\"v=TLSRPTv1; rua=mailto:postmaster@a.test\"" },
		{ "new._domainkey.a.test", DNS_T_TXT,
		    "\"v=DKIM1; k=rsa; p=abc\"" },
		{ "old._domainkey.a.test", DNS_T_TXT,
		    "\"v=DKIM1; k=rsa; p=abd\"" },
		{ "_25._tcp.mx.host.test", DNS_T_TLSA, "3 1 1 ab01000000000000"
		    "000000000000000000000000000000000000000000000000" },
		{ "mta-sts.a.test", DNS_T_CNAME, "mx.host.test." },
		{ "_imaps._tcp.a.test", DNS_T_SRV, "0 1 993 mx.host.test." },
		{ "_imap._tcp.a.test", DNS_T_SRV, "0 0 0 ." },
		{ "_pop3s._tcp.a.test", DNS_T_SRV, "0 0 0 ." },
		{ "_submissions._tcp.a.test", DNS_T_SRV, "0 0 0 ." },
		{ "_submission._tcp.a.test", DNS_T_SRV,
		    "0 1 587 mx.host.test." },
		{ "_autodiscover._tcp.a.test", DNS_T_SRV,
		    "0 1 443 mx.host.test." },
	};
	struct record records[RECORDS_MAX];
	size_t n = build(records), i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		const struct record *record = find(records, n, cases[i].name,
		    cases[i].type);

		if (!str_eq(record->value, str_of(cases[i].value)))
			fail_msg("%s: %.*s", cases[i].name,
			    STR_FMT(record->value));
	}
}

#define RDATA(s) { { "" s, sizeof(s) - 1 } }
#define MX_OURS "\0\24\2mx\4host\4TEST\0"
#define SRV_OURS "\0\5\0\5\3\341\2mx\4host\4test\0"
#define SPF "\16v=spf1 mx -all"
#define KEY "\xab\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static void
test_judge(void **state)
{
	static const struct {
		const char *name;
		unsigned type;
		struct record_reply reply;
		enum record_state want;
	} cases[] = {
		{ "a.test", DNS_T_MX, { .rcode = 3 }, RECORD_MISSING },
		{ "a.test", DNS_T_MX, { .rcode = 2 }, RECORD_ERROR },
		{ "a.test", DNS_T_MX, { .rcode = 2, .is_bogus = true },
		    RECORD_ERROR },
		{ "a.test", DNS_T_MX, { .rdata_len = 1,
		    .rdata = RDATA(MX_OURS) }, RECORD_OK },
		{ "a.test", DNS_T_MX, { .rdata_len = 1,
		    .rdata = RDATA("\0\12\1x\0") }, RECORD_DIFFERS },
		{ "a.test", DNS_T_MX, { .rdata_len = 1,
		    .rdata = RDATA("\0") }, RECORD_DIFFERS },
		{ "a.test", DNS_T_TXT, { .rdata_len = 1,
		    .rdata = RDATA(SPF) }, RECORD_OK },
		{ "a.test", DNS_T_TXT, { .rdata_len = 1,
		    .rdata = RDATA("\13v=spf1 -all") }, RECORD_OTHER },
		{ "a.test", DNS_T_TXT, { .rdata_len = 1,
		    .rdata = RDATA("\13v=spf10 all") }, RECORD_MISSING },
		{ "a.test", DNS_T_TXT, { .rdata_len = 1,
		    .rdata = RDATA("\5hello") }, RECORD_MISSING },
		{ "a.test", DNS_T_TXT, { .rdata_len = 2, .rdata = {
		    { SPF, sizeof(SPF) - 1 }, { SPF, sizeof(SPF) - 1 } } },
		    RECORD_DIFFERS },
		{ "_mta-sts.a.test", DNS_T_TXT, { .rdata_len = 1,
		    .rdata = RDATA("\17v=STSv1; id=abc") }, RECORD_DIFFERS },
		{ "_25._tcp.mx.host.test", DNS_T_TLSA, { .rdata_len = 1,
		    .is_secure = true, .rdata = RDATA("\3\1\1" KEY) },
		    RECORD_OK },
		{ "_25._tcp.mx.host.test", DNS_T_TLSA, { .rdata_len = 1,
		    .rdata = RDATA("\3\1\1" KEY) }, RECORD_INSECURE },
		{ "_25._tcp.mx.host.test", DNS_T_TLSA, { .rdata_len = 1,
		    .is_secure = true, .rdata = RDATA("\2\1\1" KEY) },
		    RECORD_DIFFERS },
		{ "_25._tcp.mx.host.test", DNS_T_TLSA, { .rcode = 3 },
		    RECORD_MISSING },
		{ "_imaps._tcp.a.test", DNS_T_SRV, { .rdata_len = 1,
		    .rdata = RDATA(SRV_OURS) }, RECORD_OK },
		{ "_pop3s._tcp.a.test", DNS_T_SRV, { .rdata_len = 1,
		    .rdata = RDATA(SRV_OURS) }, RECORD_DIFFERS },
		{ "_pop3s._tcp.a.test", DNS_T_SRV, { .rcode = 3 },
		    RECORD_OK },
		{ "_imaps._tcp.a.test", DNS_T_SRV, { .rcode = 3 },
		    RECORD_MISSING },
		{ "mta-sts.a.test", DNS_T_CNAME, { .rdata_len = 1,
		    .canonical = { "MX.host.test", 12 },
		    .rdata = RDATA("\300\0\2\1") }, RECORD_OK },
		{ "mta-sts.a.test", DNS_T_CNAME, { .rdata_len = 1,
		    .canonical = { "mta-sts.a.test", 14 },
		    .rdata = RDATA("\300\0\2\1") }, RECORD_OTHER },
		{ "mta-sts.a.test", DNS_T_CNAME, { .rcode = 3,
		    .canonical = { "mta-sts.a.test", 14 } },
		    RECORD_MISSING },
		{ "new._domainkey.a.test", DNS_T_TXT, { .rcode = 3 },
		    RECORD_MISSING },
		{ "new._domainkey.a.test", DNS_T_TXT, { .rdata_len = 1,
		    .rdata = RDATA("\25v=DKIM1; k=rsa; p=abc") }, RECORD_OK },
		/* The same in two strings; another case is another key. */
		{ "new._domainkey.a.test", DNS_T_TXT, { .rdata_len = 1,
		    .rdata = RDATA("\7v=DKIM1\16; k=rsa; p=abc") },
		    RECORD_OK },
		{ "new._domainkey.a.test", DNS_T_TXT, { .rdata_len = 1,
		    .rdata = RDATA("\25v=DKIM1; k=rsa; p=abC") },
		    RECORD_DIFFERS },
		{ "new._domainkey.a.test", DNS_T_TXT, { .rdata_len = 2,
		    .rdata = { { "\25v=DKIM1; k=rsa; p=abc", 22 },
		    { "\1x", 2 } } }, RECORD_DIFFERS },
		{ "mx.host.test", DNS_T_A, { .rcode = 0 }, RECORD_MISSING },
		{ "mx.host.test", DNS_T_A, { .rdata_len = 1,
		    .rdata = RDATA("\300\0\2\1") }, RECORD_OK },
	};
	struct record records[RECORDS_MAX];
	size_t n = build(records), i;
	enum record_state got;
	const char *detail;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		got = record_judge(find(records, n, cases[i].name,
		    cases[i].type), &cases[i].reply, &detail);
		if (got != cases[i].want)
			fail_msg("%zu: %s is %s, want %s", i, cases[i].name,
			    record_state_name(got),
			    record_state_name(cases[i].want));
	}
}

static void
test_text(void **state)
{
	static const struct {
		unsigned type;
		struct str rdata;
		const char *want;
	} cases[] = {
		{ 1, { "\300\0\2\1", 4 }, "192.0.2.1" },
		{ 1, { "\300\0\2", 3 }, "\\# 3 c00002" },
		{ 16, { "\4a\"\\\n", 5 }, "\"a\\\"\\\\\\010\"" },
		{ 15, { "\0\0\0", 3 }, "0 ." },
		{ 52, { "\3\1\0\xff", 4 }, "3 1 0 ff" },
		{ 65280, { "x", 1 }, "\\# 1 78" },
	};
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 4096);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&out);
		dns_put_rdata(&out, cases[i].type, cases[i].rdata);
		if (!str_eq(buf_str(&out), str_of(cases[i].want)))
			fail_msg("%zu: %.*s", i, STR_FMT(buf_str(&out)));
	}
	buf_fini(&out);
	assert_int_equal(dns_type_of(STR("mx")), 15);
	assert_int_equal(dns_type_of(STR("TYPE65")), 65);
	assert_int_equal(dns_type_of(STR("65536")), 0);
	assert_int_equal(dns_type_of(STR("")), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
