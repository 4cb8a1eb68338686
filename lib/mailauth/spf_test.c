/* SPDX-License-Identifier: ISC */
/*
 * SPF as filterd uses it: rounds of questions, what stays within its limits,
 * hostile records. What a record means is in tests/mailauth/spf-cases.yml.
 */
#include "base/test.h"

#include "base/buf.h"
#include "mailauth/spf_int.h"

struct zone {
	const char *name;
	unsigned type;
	const char *text;	/* TXT, a name for MX and PTR, an address */
};

/* The octets of a record as an answer holds them. */
static struct str
make_rdata(struct arena *arena, unsigned type, struct str text)
{
	unsigned char wire[DNS_NAME_WIRE_MAX];
	struct buf out;
	struct str rdata, piece;
	struct netaddr addr;
	size_t len;

	buf_init(&out, 1U << 20);
	if (type == DNS_T_TXT) {
		do {
			piece = str_sub(text, 0, 255);
			text = str_sub(text, piece.len, STR_NPOS);
			buf_add_char(&out, (char)piece.len);
			buf_add_str(&out, piece);
		} while (text.len != 0);
	} else if (type == DNS_T_A || type == DNS_T_AAAA) {
		assert_int_equal(netaddr_parse(text, &addr, NULL), 0);
		buf_add(&out, addr.octets, type == DNS_T_A ? 4 : 16);
	} else {
		if (type == DNS_T_MX)
			buf_add(&out, "\0\1", 2);
		assert_int_equal(dns_name_to_wire(text, wire, &len, NULL), 0);
		buf_add(&out, wire, len);
	}
	assert_false(buf_failed(&out));
	rdata = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return rdata;
}

static void
put(struct answers *answers, struct str name, unsigned type,
    struct str text)
{
	struct arena *arena = arena_new(0);
	struct str rdata = make_rdata(arena, type, text);
	struct answer answer = { .rdata = &rdata, .rdata_len = 1 };

	answers_put(answers, name, type, &answer);
	arena_free(&arena);
}

/* All that is wanted gets its answer from the zone. */
static unsigned
answer_round(struct answers *answers, const struct zone *zone, size_t count)
{
	static const struct answer none = { .rcode = DNS_R_NXDOMAIN };
	unsigned type, asked = 0;
	struct str name;
	size_t i;

	while (answers_next_wanted(answers, &name, &type)) {
		asked++;
		for (i = 0; i < count; i++)
			if (zone[i].type == type &&
			    dns_name_eq(name, str_of(zone[i].name)))
				break;
		if (i == count)
			answers_put(answers, name, type, &none);
		else
			put(answers, name, type, str_of(zone[i].text));
	}
	return asked;
}

static struct spf_input
make_input(const char *ip)
{
	struct spf_input input = { .helo = STR("mail.example.org"),
		.local = STR("alice"), .domain = STR("example.org"),
		.receiver = STR("mx.example.net"), .now_s = 1,
		.wants_explanation = true };

	assert_int_equal(netaddr_parse(str_of(ip), &input.ip, NULL), 0);
	return input;
}

/* Rounds until it is done; *asked_r counts the questions. */
static unsigned
run(struct arena *arena, const struct spf_input *input,
    const struct zone *zone, size_t count, struct spf_result *result_r,
    unsigned *asked_r)
{
	struct answers *answers = answers_new();
	unsigned rounds = 0, asked;

	*asked_r = 0;
	while (spf_check_mailfrom(arena, input, answers, result_r) ==
	    MAILAUTH_WAIT) {
		/* Who waits has asked. */
		asked = answer_round(answers, zone, count);
		assert_int_not_equal(asked, 0);
		*asked_r += asked;
		rounds++;
		assert_true(rounds < 50);
	}
	answers_free(&answers);
	return rounds;
}

static const struct zone usual[] = {
	{ "example.org", DNS_T_TXT, "v=spf1 a mx include:one.example "
	    "include:two.example -all exp=why.example.org" },
	{ "example.org", DNS_T_A, "192.0.2.1" },
	{ "example.org", DNS_T_MX, "mail.example.org" },
	{ "mail.example.org", DNS_T_A, "192.0.2.2" },
	{ "one.example", DNS_T_TXT, "v=spf1 ip4:192.0.2.3 -all" },
	{ "two.example", DNS_T_TXT, "v=spf1 ip4:192.0.2.4 -all" },
	{ "why.example.org", DNS_T_TXT, "%{i} is not %{d}'s; %{r}" },
};

/* The names of the later terms are asked while the first one waits. */
static void
test_rounds(void **state)
{
	struct arena *arena = arena_new(0);
	struct spf_input input = make_input("192.0.2.4");
	struct spf_result result;
	unsigned asked;

	(void)state;
	/* The record; four terms at once; the MX host. */
	assert_int_equal(run(arena, &input, usual, COUNT_OF(usual), &result,
	    &asked), 3);
	assert_int_equal(asked, 6);
	assert_int_equal(result.result, MAILAUTH_PASS);
	assert_int_equal(result.lookups, 4);
	assert_true(str_eq(result.mechanism, STR("include:two.example")));
	assert_true(str_eq(result.domain, STR("example.org")));
	assert_null(result.explanation.p);
	assert_int_equal(result.problem.len, 0);

	input = make_input("192.0.2.9");
	assert_int_equal(run(arena, &input, usual, COUNT_OF(usual), &result,
	    &asked), 4);
	assert_int_equal(result.result, MAILAUTH_FAIL);
	assert_true(str_eq(result.mechanism, STR("-all")));
	assert_true(str_eq(result.explanation,
	    STR("192.0.2.9 is not example.org's; mx.example.net")));

	input.wants_explanation = false;
	assert_int_equal(run(arena, &input, usual, COUNT_OF(usual), &result,
	    &asked), 3);
	assert_null(result.explanation.p);
	arena_free(&arena);
}

static void
test_identities(void **state)
{
	static const struct zone zone[] = {
		{ "mail.example.org", DNS_T_TXT,
		    "v=spf1 exists:%{l}.%{o}.ok -all" },
		{ "postmaster.mail.example.org.ok", DNS_T_A, "127.0.0.2" },
		{ "example.org", DNS_T_TXT, "v=spf1 -all" },
	};
	struct arena *arena = arena_new(0);
	struct spf_input input = make_input("192.0.2.1");
	struct answers *answers = answers_new();
	struct spf_result result;
	unsigned asked;

	(void)state;
	while (spf_check_helo(arena, &input, answers, &result) ==
	    MAILAUTH_WAIT)
		(void)answer_round(answers, zone, COUNT_OF(zone));
	assert_int_equal(result.result, MAILAUTH_PASS);
	assert_true(str_eq(result.domain, STR("mail.example.org")));
	(void)run(arena, &input, zone, COUNT_OF(zone), &result, &asked);
	assert_int_equal(result.result, MAILAUTH_FAIL);
	input.domain = STR_NONE;
	input.local = STR_NONE;
	(void)run(arena, &input, zone, COUNT_OF(zone), &result, &asked);
	assert_int_equal(result.result, MAILAUTH_PASS);
	answers_free(&answers);
	arena_free(&arena);
}

/* One text as the record of example.org. */
static void
check_record(struct str record, enum mailauth_result want)
{
	struct arena *arena = arena_new(0);
	struct answers *answers = answers_new();
	struct spf_input input = make_input("192.0.2.1");
	struct spf_result result;
	unsigned rounds = 0;

	put(answers, STR("example.org"), DNS_T_TXT, record);
	while (spf_check_mailfrom(arena, &input, answers, &result) ==
	    MAILAUTH_WAIT) {
		(void)answer_round(answers, NULL, 0);
		assert_true(rounds++ < 20);
	}
	if (result.result != want)
		fail_msg("%s: %.*s", mailauth_result_name(result.result),
		    STR_FMT(str_sub(record, 0, 100)));
	assert_int_equal(result.problem.len != 0,
	    want == MAILAUTH_PERMERROR || want == MAILAUTH_TEMPERROR);
	assert_true(str_is_printable(result.problem));
	answers_free(&answers);
	arena_free(&arena);
}

/* "v=spf1" and as much of text as fits. */
static void
check_repeated(const char *text, size_t times, const char *end,
    enum mailauth_result want)
{
	struct buf out;
	size_t i;

	buf_init(&out, 60000);
	buf_add_cstr(&out, "v=spf1 ");
	for (i = 0; i < times; i++)
		buf_add_cstr(&out, text);
	buf_add_cstr(&out, end);
	assert_false(buf_failed(&out));
	check_record(buf_str(&out), want);
	buf_fini(&out);
}

/* threats.md 20: what is long, deep or many ends within its limit. */
static void
test_hostile(void **state)
{
	(void)state;
	check_repeated("ip4:1.2.3.4 ", SPF_TERMS_MAX - 1, "+all",
	    MAILAUTH_PASS);
	check_repeated("ip4:1.2.3.4 ", SPF_TERMS_MAX, "+all",
	    MAILAUTH_PERMERROR);
	check_repeated(" ", 50000, "+all", MAILAUTH_PASS);
	check_repeated("x=%{d} ", 8000, "+all", MAILAUTH_PASS);
	/* A name of 4 KiB can still be cut to what fits; more is refused. */
	check_repeated("a:", 1, "%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}"
	    ".%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}"
	    ".%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d} -all", MAILAUTH_FAIL);
	check_record(STR("v=spf1 a:%{d999}.%{d1r.-+,/_=}.org -all"),
	    MAILAUTH_FAIL);
	check_record(STR("v=spf1 ~all \x01"), MAILAUTH_PERMERROR);
	check_record(STR("v=spf1 a:x\0.org"), MAILAUTH_PERMERROR);
	check_record(STR("v=spf1 %{d}"), MAILAUTH_PERMERROR);
	check_record(STR("v=spf1 a:%"), MAILAUTH_PERMERROR);
	check_record(STR("v=spf1 a:%{"), MAILAUTH_PERMERROR);
	check_record(STR("v=spf1 a:%{d-"), MAILAUTH_PERMERROR);
	check_record(STR("v=spf1 /24"), MAILAUTH_PERMERROR);
	check_record(STR("v=spf1 -"), MAILAUTH_PERMERROR);
	check_record(STR("v=spf1 :"), MAILAUTH_PERMERROR);
}

static void
test_long_target(void **state)
{
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 60000);
	buf_add_cstr(&out, "v=spf1 a:");
	for (i = 0; i < 2000; i++)
		buf_add_cstr(&out, "%{d}.");
	buf_add_cstr(&out, "org -all");
	check_record(buf_str(&out), MAILAUTH_PERMERROR);
	buf_reset(&out);
	/* No dot to cut at: a name that is not there. */
	buf_add_cstr(&out, "v=spf1 a:");
	for (i = 0; i < 1000; i++)
		buf_add_char(&out, 'a');
	buf_add_cstr(&out, ".org -all");
	check_record(buf_str(&out), MAILAUTH_FAIL);
	buf_fini(&out);
}

/* Records that do not read as their type are as if they were not there. */
static void
test_broken_rdata(void **state)
{
	static const unsigned types[] = { DNS_T_A, DNS_T_MX, DNS_T_PTR };
	static const char *const records[] = { "v=spf1 a -all",
		"v=spf1 mx -all", "v=spf1 ptr -all" };
	struct str rdata[] = { STR_NONE, STR("\300\1\2\3\4\5"), STR("\77x") };
	struct answer answer = { .rdata = rdata, .rdata_len = 3 };
	struct spf_input input = make_input("192.0.2.1");
	struct arena *arena = arena_new(0);
	struct answers *answers;
	struct spf_result result;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(types); i++) {
		answers = answers_new();
		put(answers, STR("example.org"), DNS_T_TXT,
		    str_of(records[i]));
		answers_put(answers, types[i] == DNS_T_PTR ?
		    STR("1.2.0.192.in-addr.arpa") : STR("example.org"),
		    types[i], &answer);
		assert_int_equal(spf_check_mailfrom(arena, &input, answers,
		    &result), MAILAUTH_DONE);
		assert_int_equal(result.result, MAILAUTH_FAIL);
		answers_free(&answers);
	}
	answers = answers_new();
	answers_put(answers, STR("example.org"), DNS_T_TXT, &answer);
	assert_int_equal(spf_check_mailfrom(arena, &input, answers, &result),
	    MAILAUTH_DONE);
	assert_int_equal(result.result, MAILAUTH_NONE);
	answers_free(&answers);
	arena_free(&arena);
}

/* An answer that fails validation is no answer. */
static void
test_bogus(void **state)
{
	struct str rdata = STR("\17v=spf1 ip4:0/0x");
	struct answer answer = { .is_bogus = true, .rcode = DNS_R_NOERROR,
		.rdata = &rdata, .rdata_len = 1 };
	struct spf_input input = make_input("192.0.2.1");
	struct answers *answers = answers_new();
	struct arena *arena = arena_new(0);
	struct spf_result result;

	(void)state;
	answers_put(answers, STR("example.org"), DNS_T_TXT, &answer);
	assert_int_equal(spf_check_mailfrom(arena, &input, answers, &result),
	    MAILAUTH_DONE);
	assert_int_equal(result.result, MAILAUTH_TEMPERROR);
	answers_free(&answers);
	arena_free(&arena);
}

/* A wide tree of includes asks no more than the limits allow. */
static void
test_fan_out(void **state)
{
	static const struct zone zone[] = {
		{ "example.org", DNS_T_TXT,
		    "v=spf1 include:%{l}1.t.example include:a2.t.example "
		    "include:a3.t.example include:a4.t.example "
		    "include:a5.t.example include:a6.t.example "
		    "include:a7.t.example include:a8.t.example "
		    "include:a9.t.example include:b1.t.example "
		    "include:b2.t.example include:b3.t.example -all" },
		{ "alice1.t.example", DNS_T_TXT,
		    "v=spf1 mx:c1.t.example mx:c2.t.example mx:c3.t.example "
		    "mx:c4.t.example mx:c5.t.example mx:c6.t.example "
		    "mx:c7.t.example mx:c8.t.example mx:c9.t.example "
		    "mx:d1.t.example mx:d2.t.example ?all" },
	};
	struct arena *arena = arena_new(0);
	struct spf_input input = make_input("192.0.2.1");
	struct spf_result result;
	unsigned asked;

	(void)state;
	(void)run(arena, &input, zone, COUNT_OF(zone), &result, &asked);
	assert_int_equal(result.result, MAILAUTH_PERMERROR);
	assert_true(asked <= 1 + 2 * SPF_LOOKUPS_MAX);
	arena_free(&arena);
}

/* Twice as long a record takes about twice as long. */
static void
test_linear(void **state)
{
	uint64_t times_us[2] = { 0, 1 }, began_us;
	struct spf_record record;
	struct arena *arena = arena_new(0);
	struct buf out;
	unsigned i, k, try;

	(void)state;
	for (try = 0; try < TEST_LINEAR_TRIES; try++) {
		for (k = 0; k < 2; k++) {
			buf_init(&out, 1U << 20);
			buf_add_cstr(&out, "v=spf1");
			for (i = 0; i < 30000 * (k + 1); i++)
				buf_add_cstr(&out, " x=%{d2}%%");
			began_us = test_cpu_us();
			assert_int_equal(spf_record_parse(arena,
			    buf_str(&out), &record, NULL), 0);
			times_us[k] = test_cpu_us() - began_us;
			buf_fini(&out);
			arena_reset(arena);
		}
		if (test_is_linear(times_us[0], times_us[1]))
			break;
	}
	assert_true(test_is_linear(times_us[0], times_us[1]));
	arena_free(&arena);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_long_target),
		cmocka_unit_test(test_broken_rdata),
		cmocka_unit_test(test_bogus),
		cmocka_unit_test(test_fan_out),
		cmocka_unit_test(test_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
