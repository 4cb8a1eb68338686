/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "keyd/ring.h"

#define NOW 1700000000
#define DAY 86400

/* A keyring in memory; fd stays ours. */
static struct ring *
open_ring(int fd)
{
	struct err err = ERR_INIT;
	struct ring *ring = ring_load(dup(fd), &err);

	if (ring == NULL)
		fail_msg("%s", err_text(&err));
	return ring;
}

static int
new_file(void)
{
	int fd = memfd_create("ring", MFD_CLOEXEC);

	assert_true(fd != -1);
	return fd;
}

static const struct ring_key *
add(struct ring *ring, const char *domain, const char *selector,
    int64_t active_s)
{
	const struct ring_key *key = NULL;

	assert_int_equal(ring_add(ring, str_of(domain), str_of(selector),
	    DKIM_ED25519_SHA256, NOW, active_s, &key, NULL), 0);
	return key;
}

static bool
signs(const struct ring *ring, const char *selector, int64_t now_s)
{
	const struct ring_key *key = ring_signing(ring, STR("a.test"),
	    DKIM_ED25519_SHA256, now_s);

	return key != NULL && str_eq(key->selector, str_of(selector));
}

static void
test_keep(void **state)
{
	unsigned char digest[32] = "digest";
	const struct ring_key *made;
	struct ring_key *key;
	struct dkim_key public;
	struct buf record, signature;
	int fd = new_file();
	struct ring *ring = open_ring(fd);

	(void)state;
	assert_int_equal(ring_add(ring, STR("a.test"), STR("r1"),
	    DKIM_RSA_SHA256, NOW, NOW, &made, NULL), 0);
	add(ring, "a.test", "e1", NOW);
	add(ring, "b.test", "e1", NOW);
	buf_init(&record, 4096);
	buf_init(&signature, 4096);
	assert_int_equal(dkim_key_put_record(made->pkey, &record, NULL), 0);
	ring_free(&ring);
	ring = open_ring(fd);
	assert_int_equal(ring_count(ring), 3);
	assert_false(ring_is_damaged(ring));
	/* The same key as before it was read back. */
	key = ring_signing(ring, STR("a.test"), DKIM_RSA_SHA256, NOW);
	assert_true(str_eq(key->selector, STR("r1")));
	assert_null(key->pkey);
	assert_int_equal(dkim_key_sign(ring_pkey(key), digest, &signature,
	    NULL), 0);
	assert_int_equal(dkim_key_parse(buf_str(&record), &public, NULL), 0);
	assert_true(dkim_key_verify(&public, digest, buf_str(&signature)));
	assert_int_equal(public.bits, 2048);
	dkim_key_fini(&public);
	assert_null(ring_signing(ring, STR("b.test"), DKIM_RSA_SHA256, NOW));
	assert_null(ring_keys(ring, STR("c.test")));
	ring_free(&ring);
	buf_fini(&record);
	buf_fini(&signature);
	(void)close(fd);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *domain, *selector;
		int rc;
	} cases[] = {
		{ "a.test", "s", ERR_EXISTS },
		{ "", "s", ERR_SYNTAX },
		{ "a.test", "", ERR_SYNTAX },
		{ "A.test", "s", ERR_SYNTAX },
		{ "a.test", "s;t=1", ERR_SYNTAX },
		{ "a.test", "s t", ERR_SYNTAX },
	};
	const struct ring_key *key;
	int fd = new_file();
	struct ring *ring = open_ring(fd);
	size_t i;

	(void)state;
	add(ring, "a.test", "s", NOW);
	for (i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(ring_add(ring, str_of(cases[i].domain),
		    str_of(cases[i].selector), DKIM_ED25519_SHA256, NOW, NOW,
		    &key, NULL), cases[i].rc);
	ring_free(&ring);
	(void)close(fd);
}

static void
test_rotate(void **state)
{
	const struct ring_key *one, *two, *three;
	int fd = new_file();
	struct ring *ring = open_ring(fd);

	(void)state;
	one = add(ring, "a.test", "one", NOW);
	assert_false(signs(ring, "one", NOW - 1));
	assert_true(signs(ring, "one", NOW));
	assert_int_equal(ring_until(ring, one), 0);
	two = add(ring, "a.test", "two", NOW + 2 * DAY);
	assert_true(signs(ring, "one", NOW + 2 * DAY - 1));
	assert_true(signs(ring, "two", NOW + 2 * DAY));
	assert_int_equal(ring_until(ring, one), NOW + 2 * DAY + RING_GRACE_S);
	assert_int_equal(ring_until(ring, two), 0);
	/* In the same second: the one made later. */
	three = add(ring, "a.test", "three", NOW + 2 * DAY);
	assert_true(signs(ring, "three", NOW + 2 * DAY));
	assert_int_equal(ring_until(ring, two), NOW + 2 * DAY + RING_GRACE_S);
	assert_int_equal(ring_until(ring, three), 0);
	/* At once, though two wait still: until they become active. */
	add(ring, "a.test", "now", NOW + 1);
	assert_true(signs(ring, "now", NOW + 1));
	assert_true(signs(ring, "three", NOW + 2 * DAY));
	ring_free(&ring);
	(void)close(fd);
}

/* Cut at every octet: what was whole before stays, and goes on. */
static void
test_torn(void **state)
{
	int fd = new_file(), cut;
	struct ring *ring = open_ring(fd);
	off_t first, second, at;
	char file[4096];
	ssize_t len;

	(void)state;
	add(ring, "a.test", "one", NOW);
	first = lseek(fd, 0, SEEK_END);
	add(ring, "a.test", "two", NOW + 1);
	second = lseek(fd, 0, SEEK_END);
	ring_free(&ring);
	len = pread(fd, file, sizeof(file), 0);
	assert_int_equal(len, second);
	for (at = 0; at < second; at++) {
		cut = new_file();
		assert_int_equal(pwrite(cut, file, (size_t)at, 0), at);
		/* Room behind it that was never written to. */
		if (at % 3 == 0)
			assert_int_equal(ftruncate(cut, at + 100), 0);
		if (at > 0 && at < 8 && at % 3 == 0) {
			assert_null(ring_load(dup(cut), NULL));
			(void)close(cut);
			continue;
		}
		if (at == 0)
			assert_int_equal(ftruncate(cut, 0), 0);
		ring = open_ring(cut);
		assert_false(ring_is_damaged(ring));
		assert_int_equal(ring_count(ring), at >= first ? 1 : 0);
		add(ring, "a.test", "again", NOW + 2);
		ring_free(&ring);
		ring = open_ring(cut);
		assert_int_equal(ring_count(ring), at >= first ? 2 : 1);
		assert_true(signs(ring, "again", NOW + 2));
		ring_free(&ring);
		(void)close(cut);
	}
	(void)close(fd);
}

/* An octet in the middle: nothing more is written, nothing thrown away. */
static void
test_damage(void **state)
{
	const struct ring_key *key;
	int fd = new_file();
	struct ring *ring = open_ring(fd);
	off_t first, end;
	char c;

	(void)state;
	add(ring, "a.test", "one", NOW);
	first = lseek(fd, 0, SEEK_END);
	add(ring, "a.test", "two", NOW + 1);
	add(ring, "a.test", "three", NOW + 2);
	end = lseek(fd, 0, SEEK_END);
	ring_free(&ring);
	assert_int_equal(pread(fd, &c, 1, first + 20), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, first + 20), 1);
	ring = open_ring(fd);
	assert_true(ring_is_damaged(ring));
	assert_int_equal(ring_count(ring), 1);
	assert_true(signs(ring, "one", NOW + 2));
	assert_int_equal(ring_add(ring, STR("b.test"), STR("s"),
	    DKIM_ED25519_SHA256, NOW, NOW, &key, NULL), ERR_CORRUPT);
	assert_int_equal(lseek(fd, 0, SEEK_END), end);
	ring_free(&ring);
	/* Another file altogether. */
	assert_int_equal(pwrite(fd, "X", 1, 0), 1);
	assert_null(ring_load(dup(fd), NULL));
	(void)close(fd);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_rotate),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
