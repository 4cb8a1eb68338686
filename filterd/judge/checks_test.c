/* SPDX-License-Identifier: ISC */
/* Verdicts on messages with a DNS of their own, fed whole and octet by octet. */
#include "base/test.h"

#include "filterd/judge/checks.h"
#include "ipc/values.h"

struct record {
	const char *name;
	unsigned type;
	const char *text;
};

static const struct record records[] = {
	{ "good.test", DNS_T_TXT, "v=spf1 ip4:192.0.2.1 -all" },
	{ "helo.test", DNS_T_TXT, "v=spf1 a -all" },
	{ "broken.test", DNS_T_TXT, "v=spf1 foo:bar" },
	{ "_dmarc.good.test", DNS_T_TXT, "v=DMARC1; p=reject" },
	{ "junk.test", DNS_T_TXT, "v=spf1 ip4:192.0.2.1 -all" },
	{ "_dmarc.junk.test", DNS_T_TXT, "v=DMARC1; p=quarantine" },
};

static void
put_record(struct answers *answers, struct str name, unsigned type)
{
	struct answer answer = { .rcode = DNS_R_NXDOMAIN };
	struct str rdata;
	char octets[256];
	size_t i, len;

	for (i = 0; i < COUNT_OF(records); i++) {
		if (records[i].type != type ||
		    !str_eq_nocase(str_of(records[i].name), name))
			continue;
		len = strlen(records[i].text);
		octets[0] = (char)len;
		memcpy(octets + 1, records[i].text, len);
		rdata = str_make(octets, len + 1);
		answer = (struct answer){ .rcode = DNS_R_NOERROR,
		    .rdata = &rdata, .rdata_len = 1 };
		break;
	}
	answers_put(answers, name, type, &answer);
}

static void
run(struct checks *checks, const char *message, size_t step,
    struct verdict *verdict_r)
{
	struct answers *answers = answers_new();
	struct str rest = str_of(message), part, name;
	unsigned type, rounds = 0;

	while (rest.len != 0) {
		part = str_sub(rest, 0, step);
		assert_int_equal(checks_feed(checks, part.p, part.len, NULL),
		    0);
		rest = str_sub(rest, part.len, rest.len);
	}
	checks_end(checks);
	while (checks_run(checks, answers) == MAILAUTH_WAIT) {
		assert_true(++rounds < 20);
		while (answers_next_wanted(answers, &name, &type))
			put_record(answers, name, type);
	}
	checks_verdict(checks, verdict_r);
	answers_free(&answers);
}

static const struct {
	const char *name;
	const char *client;
	const char *sender;
	const char *message;
	uint64_t flags;
	bool refuses_spf_fail;
	enum verdict_action want;
	const char *reason;
	enum mailauth_result spf;
} cases[] = {
	{ "spf pass", "192.0.2.1", "a@good.test",
	    "From: a@good.test\r\n\r\nx\r\n", 0, false, VERDICT_DELIVER, "",
	    MAILAUTH_PASS },
	{ "spf fail alone is no reason", "192.0.2.2", "a@good.test",
	    "From: a@none.test\r\n\r\nx\r\n", 0, false, VERDICT_DELIVER, "",
	    MAILAUTH_FAIL },
	{ "unless somebody wants it so", "192.0.2.2", "a@good.test",
	    "From: a@good.test\r\n\r\nx\r\n", 0, true, VERDICT_REFUSE, "spf",
	    MAILAUTH_FAIL },
	{ "dmarc by spf", "192.0.2.1", "a@good.test",
	    "From: b@good.test\r\n\r\n", 0, false, VERDICT_DELIVER, "",
	    MAILAUTH_PASS },
	{ "dmarc refuses what is not proven", "192.0.2.2", "a@good.test",
	    "From: b@good.test\r\n\r\n", 0, false, VERDICT_REFUSE, "dmarc",
	    MAILAUTH_FAIL },
	{ "or is proven for somebody else", "192.0.2.1", "a@junk.test",
	    "From: b@good.test\r\n\r\n", 0, false, VERDICT_REFUSE, "dmarc",
	    MAILAUTH_PASS },
	{ "dmarc puts aside", "192.0.2.2", "a@junk.test",
	    "From: b@junk.test\r\n\r\n", 0, false, VERDICT_JUNK, "dmarc",
	    MAILAUTH_FAIL },
	{ "dmarc only marks", "192.0.2.2", "a@good.test",
	    "From: b@good.test\r\n\r\n", FILTER_F_DMARC_MARK, false,
	    VERDICT_DELIVER, "", MAILAUTH_FAIL },
	{ "no record", "192.0.2.2", "a@none.test",
	    "From: a@none.test\r\n\r\n", 0, true, VERDICT_DELIVER, "",
	    MAILAUTH_NONE },
	{ "a broken record", "192.0.2.2", "a@broken.test",
	    "From: a@broken.test\r\n\r\n", 0, true, VERDICT_DELIVER, "",
	    MAILAUTH_PERMERROR },
	{ "no From", "192.0.2.1", "a@good.test", "To: b@c.test\r\n\r\n",
	    0, false, VERDICT_REFUSE, "from", MAILAUTH_PASS },
	{ "From in the body", "192.0.2.1", "a@good.test",
	    "To: b@c.test\r\n\r\nFrom: a@good.test\r\n", 0, false,
	    VERDICT_REFUSE, "from", MAILAUTH_PASS },
	{ "two From", "192.0.2.1", "a@good.test",
	    "From: a@good.test\r\nTo: b@c.test\r\nfrom: b@bad.test\r\n\r\n",
	    0, false, VERDICT_REFUSE, "from", MAILAUTH_PASS },
	{ "authors of two domains", "192.0.2.1", "a@good.test",
	    "From: a@good.test, b@bad.test\r\n\r\n", 0, false,
	    VERDICT_REFUSE, "from", MAILAUTH_PASS },
	{ "two authors of one domain", "192.0.2.1", "a@good.test",
	    "From: a@good.test, b@good.test\r\n\r\n", 0, false,
	    VERDICT_DELIVER, "", MAILAUTH_PASS },
	{ "an empty From", "192.0.2.1", "a@good.test", "From: \r\n\r\n",
	    0, false, VERDICT_REFUSE, "from", MAILAUTH_PASS },
	{ "a group", "192.0.2.1", "a@good.test",
	    "From: us: a@good.test;\r\n\r\n", 0, false, VERDICT_REFUSE, "from",
	    MAILAUTH_PASS },
	{ "an encoded word as address", "192.0.2.1", "a@good.test",
	    "From: =?utf-8?q?a=40good.test?=\r\n\r\n", 0, false,
	    VERDICT_REFUSE, "from", MAILAUTH_PASS },
	{ "no header at all", "192.0.2.1", "a@good.test", "\r\n", 0, false,
	    VERDICT_REFUSE, "from", MAILAUTH_PASS },
};

static void
check_case(size_t i, size_t step)
{
	struct arena *arena = arena_new(0);
	struct envelope envelope = { .protocol = STR("smtp"),
	    .zone = STR("internet"), .client = str_of(cases[i].client),
	    .helo = STR("x"), .sender = str_of(cases[i].sender),
	    .hostname = STR("mx.test"), .now_s = 1000000000,
	    .flags = cases[i].flags,
	    .refuses_spf_fail = cases[i].refuses_spf_fail };
	struct checks *checks = checks_new(&envelope, arena);
	struct verdict verdict;

	run(checks, cases[i].message, step, &verdict);
	if (verdict.action != cases[i].want || !str_eq(verdict.reason,
	    str_of(cases[i].reason)) || verdict.auth_len == 0 ||
	    verdict.auth[0].method != VERDICT_M_SPF_MAILFROM ||
	    verdict.auth[0].result != cases[i].spf || !verdict.is_judged)
		fail_msg("%s: %s %.*s spf %s", cases[i].name,
		    verdict_action_name(verdict.action),
		    STR_FMT(verdict.reason), verdict.auth_len != 0 ?
		    mailauth_result_name(verdict.auth[0].result) : "?");
	checks_free(&checks);
	arena_free(&arena);
}

static void
test_cases(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		check_case(i, 1);
		check_case(i, 10000);
	}
}

/* A From that no reader gets to see, but some do. */
static void
test_from_far_below(void **state)
{
	struct arena *arena = arena_new(0);
	struct envelope envelope = { .protocol = STR("smtp"),
	    .client = STR("192.0.2.1"), .helo = STR("x"),
	    .sender = STR("a@good.test"), .hostname = STR("mx.test") };
	struct checks *checks = checks_new(&envelope, arena);
	struct verdict verdict;
	struct buf text;
	int i;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_add_cstr(&text, "From: a@good.test\r\n");
	for (i = 0; i < 10000; i++)
		buf_addf(&text, "X-%d: y\r\n", i);
	buf_add_cstr(&text, "From: b@bad.test\r\n\r\n");
	buf_add_char(&text, '\0');
	run(checks, text.p, 65536, &verdict);
	assert_int_equal(verdict.action, VERDICT_REFUSE);
	assert_true(str_eq(verdict.reason, STR("from")));
	buf_fini(&text);
	checks_free(&checks);
	arena_free(&arena);
}

static void
test_header_too_big(void **state)
{
	static char line[65536];
	struct arena *arena = arena_new(0);
	struct envelope envelope = { .client = STR("192.0.2.1") };
	struct checks *checks = checks_new(&envelope, arena);
	int rc = 0, i;

	(void)state;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (i = 0; i < 40 && rc == 0; i++)
		rc = checks_feed(checks, line, sizeof(line), NULL);
	assert_int_equal(rc, ERR_LIMIT);
	assert_true(i > 32);
	checks_free(&checks);
	arena_free(&arena);
}

static void
test_wanted(void **state)
{
	static const struct {
		const char *protocol, *zone;
		uint64_t flags;
		bool want;
	} ways[] = {
		{ "smtp", "internet", 0, true },
		{ "smtp", "closed", 0, true },
		{ "smtp", "internet", FILTER_F_DMARC_MARK, true },
		{ "smtp", "loopback", 0, false },
		{ "lmtp", "loopback", 0, false },
		{ "submission", "internet", FILTER_F_AUTHENTICATED, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(ways); i++) {
		struct envelope envelope = { .flags = ways[i].flags,
		    .protocol = str_of(ways[i].protocol),
		    .zone = str_of(ways[i].zone) };

		assert_int_equal(checks_wanted(&envelope), ways[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_from_far_below),
		cmocka_unit_test(test_header_too_big),
		cmocka_unit_test(test_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
