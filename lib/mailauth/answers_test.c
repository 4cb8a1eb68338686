/* SPDX-License-Identifier: ISC */
/* The memo of answers: what is wanted, names, limits. */
#include "base/test.h"

#include <stdio.h>
#include <string.h>

#include "mailauth/answers.h"
#include "mailauth/result.h"

static void
assert_str(struct str got, const char *want)
{
	if (!str_eq(got, str_of(want)))
		fail_msg("%.*s instead of %s", STR_FMT(got), want);
}

static void
test_wanted(void **state)
{
	struct answers *answers = answers_new();
	struct answer nothing = { .rcode = DNS_R_NOERROR };
	struct str name;
	unsigned type;

	(void)state;
	assert_null(answers_find(answers, STR("a.example"), DNS_T_TXT));
	assert_null(answers_find(answers, STR("b.example"), DNS_T_A));
	/* Noted once, whatever the case and the last dot. */
	assert_null(answers_find(answers, STR("A.Example."), DNS_T_TXT));
	assert_null(answers_find(answers, STR("\\097.example"), DNS_T_TXT));
	assert_null(answers_find(answers, STR("a.example"), DNS_T_MX));

	assert_true(answers_next_wanted(answers, &name, &type));
	assert_str(name, "a.example");
	assert_int_equal(type, DNS_T_TXT);
	/* One that was answered meanwhile is not asked. */
	answers_put(answers, STR("B.example"), DNS_T_A, &nothing);
	assert_true(answers_next_wanted(answers, &name, &type));
	assert_str(name, "a.example");
	assert_int_equal(type, DNS_T_MX);
	assert_false(answers_next_wanted(answers, &name, &type));
	/* Handed out and still without an answer: not handed out again. */
	assert_null(answers_find(answers, STR("a.example"), DNS_T_MX));
	assert_false(answers_next_wanted(answers, &name, &type));
	answers_free(&answers);
	assert_null(answers);
	answers_free(&answers);
}

static void
test_answers(void **state)
{
	struct answers *answers = answers_new();
	char octets[] = "\3abc";
	struct str rdata[] = { str_of(octets), STR_NONE };
	struct answer put = { .rcode = DNS_R_NOERROR, .is_secure = true,
		.rdata = rdata, .rdata_len = 2 };
	const struct answer *got;

	(void)state;
	assert_null(answers_find(answers, STR("a.example"), DNS_T_TXT));
	answers_put(answers, STR("A.EXAMPLE."), DNS_T_TXT, &put);
	octets[1] = 'x';	/* it was copied */
	got = answers_find(answers, STR("a.example"), DNS_T_TXT);
	assert_non_null(got);
	assert_int_equal(got->rcode, DNS_R_NOERROR);
	assert_true(got->is_secure);
	assert_false(got->is_bogus);
	assert_int_equal(got->rdata_len, 2);
	assert_str(got->rdata[0], "\3abc");
	assert_int_equal(got->rdata[1].len, 0);
	/* Another type of the same name is another question. */
	assert_null(answers_find(answers, STR("a.example"), DNS_T_A));

	/* The first answer stays; so does what was handed out. */
	put.rcode = DNS_R_NXDOMAIN;
	put.rdata_len = 0;
	answers_put(answers, STR("a.example"), DNS_T_TXT, &put);
	assert_ptr_equal(answers_find(answers, STR("a.example"), DNS_T_TXT),
	    got);
	assert_int_equal(got->rcode, DNS_R_NOERROR);
	answers_free(&answers);
}

/* Names that the DNS cannot hold are not asked. */
static void
test_names(void **state)
{
	static const char *const bad[] = { "", "a..example", ".a", "a\\",
		("a23456789012345678901234567890123456789012345678901234567"
		"8901234.example") };
	struct answers *answers = answers_new();
	const struct answer *got;
	char text[300];
	struct str name;
	unsigned type;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(bad); i++) {
		got = answers_find(answers, str_of(bad[i]), DNS_T_TXT);
		if (got == NULL || got->rcode != DNS_R_NXDOMAIN)
			fail_msg("%s", bad[i]);
	}
	memset(text, 'a', sizeof(text));
	for (i = 1; i < sizeof(text); i += 2)
		text[i] = '.';
	got = answers_find(answers, str_make(text, 255), DNS_T_TXT);
	assert_non_null(got);
	assert_int_equal(got->rcode, DNS_R_NXDOMAIN);
	assert_false(answers_next_wanted(answers, &name, &type));
	/* 127 labels of one octet fill the wire. */
	assert_null(answers_find(answers, str_make(text, 253), DNS_T_TXT));
	assert_true(answers_next_wanted(answers, &name, &type));
	answers_free(&answers);
}

static void
test_count_limit(void **state)
{
	struct answers *answers = answers_new();
	struct answer put = { .rcode = DNS_R_NOERROR };
	const struct answer *got;
	struct str name;
	unsigned type, i, given = 0;
	char text[32];

	(void)state;
	for (i = 0; i < ANSWERS_MAX; i++) {
		(void)snprintf(text, sizeof(text), "n%u.example", i);
		assert_null(answers_find(answers, str_of(text), DNS_T_A));
	}
	got = answers_find(answers, STR("over.example"), DNS_T_A);
	assert_non_null(got);
	assert_int_equal(got->rcode, DNS_R_SERVFAIL);
	answers_put(answers, STR("over.example"), DNS_T_A, &put);
	got = answers_find(answers, STR("over.example"), DNS_T_A);
	assert_int_equal(got->rcode, DNS_R_SERVFAIL);
	while (answers_next_wanted(answers, &name, &type))
		given++;
	assert_int_equal(given, ANSWERS_MAX);
	answers_put(answers, STR("n0.example"), DNS_T_A, &put);
	got = answers_find(answers, STR("n0.example"), DNS_T_A);
	assert_int_equal(got->rcode, DNS_R_NOERROR);
	answers_free(&answers);
}

static void
test_octet_limit(void **state)
{
	struct answers *answers = answers_new();
	size_t len = ANSWERS_OCTETS_MAX / 4, i;
	struct str rdata[ANSWERS_RDATA_MAX + 1];
	struct answer put = { .rdata = rdata, .rdata_len = 1 };
	char *octets = calloc(1, len), text[32];
	const struct answer *got;

	(void)state;
	assert_non_null(octets);
	for (i = 0; i < COUNT_OF(rdata); i++)
		rdata[i] = str_make(octets, len);
	for (i = 0; i < 5; i++) {
		(void)snprintf(text, sizeof(text), "n%zu.example", i);
		answers_put(answers, str_of(text), DNS_T_TXT, &put);
		got = answers_find(answers, str_of(text), DNS_T_TXT);
		assert_int_equal(got->rcode,
		    i < 4 ? DNS_R_NOERROR : DNS_R_SERVFAIL);
		assert_int_equal(got->rdata_len, i < 4 ? 1 : 0);
	}
	for (i = 0; i < COUNT_OF(rdata); i++)
		rdata[i] = STR_NONE;
	put.rdata_len = ANSWERS_RDATA_MAX;
	answers_put(answers, STR("full.example"), DNS_T_TXT, &put);
	got = answers_find(answers, STR("full.example"), DNS_T_TXT);
	assert_int_equal(got->rdata_len, ANSWERS_RDATA_MAX);
	put.rdata_len++;
	answers_put(answers, STR("over.example"), DNS_T_TXT, &put);
	got = answers_find(answers, STR("over.example"), DNS_T_TXT);
	assert_int_equal(got->rcode, DNS_R_SERVFAIL);
	free(octets);
	answers_free(&answers);
}

static void
test_result_names(void **state)
{
	enum mailauth_result got = MAILAUTH_NONE;
	unsigned i;

	(void)state;
	for (i = 0; i < MAILAUTH_RESULT_COUNT; i++) {
		assert_int_equal(mailauth_result_of(str_of(
		    mailauth_result_name((enum mailauth_result)i)), &got), 0);
		assert_int_equal(got, i);
	}
	assert_int_equal(mailauth_result_of(STR("PermError"), &got), 0);
	assert_int_equal(got, MAILAUTH_PERMERROR);
	assert_int_equal(mailauth_result_of(STR("passed"), &got), ERR_SYNTAX);
	assert_int_equal(mailauth_result_of(STR_NONE, &got), ERR_SYNTAX);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_count_limit),
		cmocka_unit_test(test_octet_limit),
		cmocka_unit_test(test_result_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
