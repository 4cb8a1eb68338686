/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "filterd/judge/shares.h"

static void
test_shares(void **state)
{
	struct shares *shares = shares_new();

	(void)state;
	assert_true(shares_take(shares, STR("192.0.2.1"), 2));
	assert_true(shares_take(shares, STR("192.0.2.1"), 2));
	assert_false(shares_take(shares, STR("192.0.2.1"), 2));
	/* Others have their own. */
	assert_true(shares_take(shares, STR("192.0.2.2"), 2));
	shares_give(shares, STR("192.0.2.1"));
	assert_true(shares_take(shares, STR("192.0.2.1"), 2));
	/* A network of IPv6 is a /64. */
	assert_true(shares_take(shares, STR("2001:db8::1"), 1));
	assert_false(shares_take(shares, STR("2001:db8::ffff:1"), 1));
	assert_true(shares_take(shares, STR("2001:db8:0:1::1"), 1));
	shares_give(shares, STR("2001:db8::ffff:1"));
	assert_true(shares_take(shares, STR("2001:db8::2"), 1));
	/* Whoever has no address is one of us. */
	assert_true(shares_take(shares, STR("local"), 0));
	shares_give(shares, STR("local"));
	shares_free(&shares);
	assert_null(shares);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
