/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "ipc/ticket.h"

static const struct ticket sample = {
	.account = 0x0102030405060708, .issued_s = 1700000000,
	.expires_s = 1700000060, .session = 42, .serial = UINT64_MAX,
	.protocol = { "imap", 4 }, .user = { "alice@example.test", 18 },
};

static EVP_PKEY *
public_of(EVP_PKEY *key)
{
	unsigned char half[TICKET_KEY_OCTETS];
	struct err err = ERR_INIT;
	EVP_PKEY *other;

	assert_int_equal(ticket_key_public(key, half, &err), 0);
	other = ticket_key_of(str_make(half, sizeof(half)), &err);
	assert_non_null(other);
	return other;
}

static void
test_round_trip(void **state)
{
	struct err err = ERR_INIT;
	EVP_PKEY *key = ticket_key_new(&err), *half;
	struct ticket t;
	struct buf buf;

	(void)state;
	assert_non_null(key);
	half = public_of(key);
	buf_init(&buf, TICKET_MAX);
	assert_int_equal(ticket_sign(&sample, key, &buf, &err), 0);
	assert_int_equal(ticket_read(buf_str(&buf), half, &t, &err), 0);
	assert_true(t.account == sample.account);
	assert_true(t.issued_s == sample.issued_s);
	assert_true(t.expires_s == sample.expires_s);
	assert_true(t.session == 42 && t.serial == UINT64_MAX);
	assert_true(str_eq(t.protocol, sample.protocol));
	assert_true(str_eq(t.user, sample.user));
	buf_fini(&buf);
	EVP_PKEY_free(half);
	EVP_PKEY_free(key);
}

/* Every changed octet and every cut is refused. */
static void
test_tampering(void **state)
{
	struct err err = ERR_INIT;
	EVP_PKEY *key = ticket_key_new(&err), *half = public_of(key);
	struct ticket t;
	struct buf buf;
	size_t i;

	(void)state;
	buf_init(&buf, TICKET_MAX);
	assert_int_equal(ticket_sign(&sample, key, &buf, &err), 0);
	for (i = 0; i < buf.len; i++) {
		buf.p[i] ^= 1;
		assert_int_not_equal(ticket_read(buf_str(&buf), half, &t,
		    NULL), 0);
		buf.p[i] ^= 1;
		assert_int_not_equal(ticket_read(str_sub(buf_str(&buf), 0, i),
		    half, &t, NULL), 0);
	}
	assert_int_equal(ticket_read(buf_str(&buf), half, &t, &err), 0);
	buf_fini(&buf);
	EVP_PKEY_free(half);
	EVP_PKEY_free(key);
}

static void
test_refusals(void **state)
{
	struct err err = ERR_INIT;
	EVP_PKEY *key = ticket_key_new(&err), *other = ticket_key_new(&err);
	EVP_PKEY *half = public_of(other);
	struct ticket t = sample;
	char name[600];
	struct buf buf;

	(void)state;
	buf_init(&buf, TICKET_MAX);
	assert_int_equal(ticket_sign(&sample, key, &buf, &err), 0);
	assert_int_equal(ticket_read(buf_str(&buf), half, &t, NULL),
	    ERR_DENIED);
	memset(name, 'a', sizeof(name));
	t = sample;
	t.user = str_make(name, 513);
	assert_int_equal(ticket_sign(&t, key, &buf, NULL), ERR_LIMIT);
	assert_null(ticket_key_of(STR("short"), NULL));
	buf_fini(&buf);
	EVP_PKEY_free(half);
	EVP_PKEY_free(other);
	EVP_PKEY_free(key);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_tampering),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
