/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/when.h"
#include "smtpd/ingress/limits.h"

static uint64_t clock_us;

static uint64_t
fake_clock(void)
{
	return clock_us;
}

static void
test_periods(void **state)
{
	struct limits *limits = limits_new(3, 5);
	int i;

	(void)state;
	when_set_mono(fake_clock);
	for (i = 0; i < 3; i++)
		assert_true(limits_message(limits, 1));
	assert_false(limits_message(limits, 1));
	assert_true(limits_message(limits, 2));
	for (i = 0; i < 5; i++)
		assert_true(limits_recipient(limits, 1));
	assert_false(limits_recipient(limits, 1));
	clock_us += 3600ULL * 1000000;
	assert_true(limits_message(limits, 1));
	assert_false(limits_recipient(limits, 1));
	clock_us += 23ULL * 3600 * 1000000;
	assert_true(limits_recipient(limits, 1));
	limits_set(limits, 0, 0);	/* no limits */
	for (i = 0; i < 100; i++)
		assert_true(limits_message(limits, 1));
	when_set_mono(NULL);
	limits_free(&limits);
}

static void
test_crowd(void **state)
{
	struct limits *limits = limits_new(1, 1);
	uint64_t i;

	(void)state;
	when_set_mono(fake_clock);
	for (i = 1; i <= LIMITS_ACCOUNTS_MAX; i++)
		assert_true(limits_message(limits, i));
	assert_false(limits_message(limits, i));
	clock_us += 25ULL * 3600 * 1000000;
	assert_true(limits_message(limits, i));
	when_set_mono(NULL);
	limits_free(&limits);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_periods),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
