/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "ipc/grant.h"

#define NOW 1700000000

static const unsigned char secret[GRANT_SECRET_OCTETS] = "secret";
static const unsigned char other[GRANT_SECRET_OCTETS] = "another";

static void
test_grant(void **state)
{
	struct grant grant = { .purpose = GRANT_DKIM, .what = 77,
	    .expires_s = NOW + 10, .domain = STR("x.test") };
	struct grant again;
	char octets[GRANT_MAX];
	struct buf out;
	size_t i, len;

	(void)state;
	buf_init(&out, GRANT_MAX);
	grant_put(&out, &grant, secret);
	assert_int_equal(grant_read(buf_str(&out), secret, NOW, &again, NULL),
	    0);
	assert_int_equal(again.purpose, GRANT_DKIM);
	assert_int_equal(again.what, 77);
	assert_int_equal(again.expires_s, NOW + 10);
	assert_true(str_eq(again.domain, STR("x.test")));
	assert_int_equal(grant_read(buf_str(&out), secret, NOW + 11, &again,
	    NULL), ERR_DENIED);
	assert_int_equal(grant_read(buf_str(&out), other, NOW, &again, NULL),
	    ERR_DENIED);
	/* Any other octet, or one less: no grant. */
	len = out.len;
	memcpy(octets, buf_str(&out).p, len);
	for (i = 0; i < len; i++) {
		octets[i] ^= 1;
		assert_true(grant_read(str_make(octets, len), secret, NOW,
		    &again, NULL) != 0);
		octets[i] ^= 1;
		assert_true(grant_read(str_make(octets, i), secret, NOW,
		    &again, NULL) != 0);
	}
	buf_fini(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
