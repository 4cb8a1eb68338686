/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "mboxd/state.h"

static const unsigned char broker_key[STATE_KEY_OCTETS] = { 1, 2, 3 };

static const struct state sample = {
	.account = 7, .session = 1ULL << 40, .has_tls = true,
	.protocol = { "imap", 4 }, .user = { "alice@example.test", 18 },
	.remote = { "2001:db8::1", 11 }, .engine = { "\1\0state", 7 },
};

static void
test_round_trip(void **unused)
{
	unsigned char key[STATE_KEY_OCTETS];
	struct err err = ERR_INIT;
	struct state got;
	struct buf buf;

	(void)unused;
	state_key(broker_key, 7, key);
	buf_init(&buf, STATE_MAX);
	assert_int_equal(state_write(&sample, key, &buf, &err), 0);
	assert_int_equal(state_read(buf_str(&buf), key, &got, &err), 0);
	assert_true(got.account == 7 && got.session == sample.session);
	assert_true(got.has_tls);
	assert_true(str_eq(got.protocol, sample.protocol));
	assert_true(str_eq(got.user, sample.user));
	assert_true(str_eq(got.remote, sample.remote));
	assert_true(str_eq(got.engine, sample.engine));
	buf_fini(&buf);
}

static void
test_tampering(void **unused)
{
	unsigned char key[STATE_KEY_OCTETS], other[STATE_KEY_OCTETS];
	struct err err = ERR_INIT;
	struct state got;
	struct buf buf;
	size_t i;

	(void)unused;
	state_key(broker_key, 7, key);
	state_key(broker_key, 8, other);
	buf_init(&buf, STATE_MAX);
	assert_int_equal(state_write(&sample, key, &buf, &err), 0);
	for (i = 0; i < buf.len; i++) {
		buf.p[i] ^= 4;
		assert_int_not_equal(state_read(buf_str(&buf), key, &got,
		    NULL), 0);
		buf.p[i] ^= 4;
		assert_int_not_equal(state_read(str_sub(buf_str(&buf), 0, i),
		    key, &got, NULL), 0);
	}
	/* Another account's key. */
	assert_int_equal(state_read(buf_str(&buf), other, &got, NULL),
	    ERR_DENIED);
	buf_fini(&buf);
}

static void
test_limit(void **unused)
{
	static char large[STATE_MAX];
	unsigned char key[STATE_KEY_OCTETS];
	struct state state = sample;
	struct buf buf;

	(void)unused;
	state_key(broker_key, 7, key);
	buf_init(&buf, STATE_MAX);
	state.engine = str_make(large, sizeof(large));
	assert_int_equal(state_write(&state, key, &buf, NULL), ERR_LIMIT);
	buf_fini(&buf);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_tampering),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
