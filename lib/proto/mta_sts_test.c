/* SPDX-License-Identifier: ISC */
/* MTA-STS records, policies and which hosts they allow. */
#include "base/test.h"

#include "proto/mta_sts.h"

static const struct {
	const char *txt;
	const char *id;		/* NULL: refused */
} records[] = {
	{ "v=STSv1; id=20160831085700Z;", "20160831085700Z" },
	{ "v=STSv1;id=1", "1" },
	{ "v=STSv1 ; id = 7 ", "7" },
	{ "v=STSv1; x=y; id=a; id=b", "a" },
	{ "v=STSv1;", NULL }, { "v=STSv1", NULL }, { "", NULL },
	{ "v=STSv2; id=1", NULL }, { "id=1; v=STSv1", NULL },
	{ "V=STSv1; id=1", NULL }, { "v=STSv1x; id=1", NULL },
	{ "v=STSv1; id=", NULL }, { "v=STSv1; id=a-b", NULL },
	{ "v=STSv1; id=123456789012345678901234567890123", NULL },
};

static void
test_records(void **state)
{
	struct str id;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(records); i++) {
		rc = mta_sts_record(str_of(records[i].txt), &id, NULL);
		if ((rc == 0) != (records[i].id != NULL) ||
		    !str_eq(id, str_of(records[i].id)))
			fail_msg("%s", records[i].txt);
	}
}

static const struct {
	const char *body;
	int want;
	enum mta_sts_mode mode;
	uint64_t max_age_s;
	size_t mx_len;
} policies[] = {
	{ "version: STSv1\r\nmode: enforce\r\nmx: a.example\r\n"
	    "mx: *.example.net\r\nmax_age: 604800\r\n", 0, MTA_STS_ENFORCE,
	    604800, 2 },
	{ "version:STSv1\nmode:testing\nmx:a\nmax_age:1", 0, MTA_STS_TESTING,
	    1, 1 },
	{ "version: STSv1\nmode: none\nmax_age: 5\n", 0, MTA_STS_NONE, 5,
	    0 },
	/* The first of a field counts; unknown ones are passed over. */
	{ "version: STSv1\nmode: none\nmode: enforce\nmax_age: 5\n"
	    "max_age: x\nfuture: 1\nno colon\n", 0, MTA_STS_NONE, 5, 0 },
	{ "version: STSv1\nmode: none\nmax_age: 9999999999\n", 0,
	    MTA_STS_NONE, MTA_STS_AGE_MAX_S, 0 },
	{ "version: STSv1\nmode: none\nmax_age: 99999999999\n", ERR_SYNTAX,
	    0, 0, 0 },
	{ "version: STSv2\nmode: none\nmax_age: 5\n", ERR_SYNTAX, 0, 0, 0 },
	{ "mode: none\nmax_age: 5\n", ERR_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmax_age: 5\n", ERR_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: a\n", ERR_SYNTAX, 0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmax_age: 5\n", ERR_SYNTAX, 0, 0,
	    0 },
	{ "version: STSv1\nmode: Enforce\nmx: a\nmax_age: 5\n", ERR_SYNTAX,
	    0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: a b\nmax_age: 5\n", ERR_SYNTAX,
	    0, 0, 0 },
	{ "version: STSv1\nmode: enforce\nmx: *.\nmax_age: 5\n", ERR_SYNTAX,
	    0, 0, 0 },
	{ "<html>", ERR_SYNTAX, 0, 0, 0 }, { "", ERR_SYNTAX, 0, 0, 0 },
};

static void
test_policies(void **state)
{
	struct arena *arena = arena_new(0);
	struct mta_sts_policy policy;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(policies); i++) {
		rc = mta_sts_policy(arena, str_of(policies[i].body), &policy,
		    NULL);
		if (rc != policies[i].want)
			fail_msg("%s: %d", policies[i].body, rc);
		if (rc != 0)
			continue;
		assert_int_equal(policy.mode, policies[i].mode);
		assert_int_equal(policy.max_age_s, policies[i].max_age_s);
		assert_int_equal(policy.mx_len, policies[i].mx_len);
	}
	arena_free(&arena);
}

static const struct {
	const char *host;
	bool is_allowed;
} hosts[] = {
	{ "mail.example.com", true }, { "MAIL.example.com.", true },
	{ "example.com", false }, { "x.mail.example.com", false },
	{ "a.example.net", true }, { "a.b.example.net", false },
	{ "example.net", false }, { ".example.net", false }, { "", false },
};

static void
test_hosts(void **state)
{
	struct str mx[] = { STR("mail.example.com"), STR("*.example.net") };
	struct mta_sts_policy policy = { .mx = mx, .mx_len = 2 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(hosts); i++)
		if (mta_sts_allows(&policy, str_of(hosts[i].host)) !=
		    hosts[i].is_allowed)
			fail_msg("%s", hosts[i].host);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
