/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <unistd.h>

#include "authd/hasher.h"
#include "authd/prep.h"
#include "authd/rate.h"
#include "authd/remember.h"
#include "authd/secrets.h"
#include "base/buf.h"
#include "base/when.h"

static uint64_t clock_us = 1000000;

static uint64_t
fake_clock(void)
{
	return clock_us;
}

/* ---- hash ---- */

static void
test_hash(void **state)
{
	struct hash_keys keys, fake, again;
	static const unsigned char key[HASH_KEY_OCTETS] = "k";
	char dummy[HASH_ARGON2_MAX];
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(hash_make(STR("secret"), &keys, &err), 0);
	assert_true(str_begins(str_of(keys.argon2),
	    STR("$argon2id$v=19$m=65536,t=3,p=1$")));
	assert_true(hash_verify(STR("secret"), keys.argon2));
	assert_false(hash_verify(STR("secreT"), keys.argon2));
	assert_false(hash_verify(STR(""), keys.argon2));
	hash_dummy(dummy);
	/* The dummy costs what a real one does: the same parameters. */
	assert_int_equal(strlen(dummy), strlen(keys.argon2));
	assert_false(hash_verify(STR("secret"), dummy));
	hash_fake_keys(key, STR("nobody"), &fake);
	hash_fake_keys(key, STR("nobody"), &again);
	assert_memory_equal(fake.salt, again.salt, sizeof(fake.salt));
	assert_int_equal(fake.iterations, keys.iterations);
	hash_fake_keys(key, STR("nobodz"), &again);
	assert_memory_not_equal(fake.salt, again.salt, sizeof(fake.salt));
}

/* ---- workers ---- */

static struct {
	int done;
	int code;
	bool is_right;
	int gone;
	struct str argon2;
	char text[HASH_ARGON2_MAX];
} t;

static void
on_made(void *ctx, int code, struct ipc_in *in)
{
	(void)ctx;
	t.done++;
	t.code = code;
	if (code != 0)
		return;
	t.argon2 = ipc_get_str(in);
	(void)snprintf(t.text, sizeof(t.text), "%.*s", STR_FMT(t.argon2));
	t.argon2 = str_of(t.text);
	assert_int_equal(ipc_get_str(in).len, HASH_SALT_OCTETS);
	assert_int_equal(ipc_get_u64(in), HASH_SCRAM_ITERATIONS);
	assert_int_equal(ipc_get_str(in).len, HASH_KEY_OCTETS);
	assert_int_equal(ipc_get_str(in).len, HASH_KEY_OCTETS);
}

static void
on_verified(void *ctx, int code, struct ipc_in *in)
{
	(void)ctx;
	t.done++;
	t.code = code;
	t.is_right = code == 0 && ipc_get_bool(in);
}

static void
on_gone(void *ctx)
{
	(void)ctx;
	t.gone++;
}

static void
test_workers(void **state)
{
	/* Tests may run where no sandbox can be entered. */
	struct sandbox sandbox = { .is_degraded_ok = true };
	struct loop *loop = loop_new();
	struct err err = ERR_INIT;
	struct hasher *hasher = hasher_fork(2, &sandbox, &err);
	int i, taken = 0;

	(void)state;
	memset(&t, 0, sizeof(t));
	assert_non_null(hasher);
	hasher_start(hasher, loop, on_gone, NULL);
	assert_int_equal(hasher_make(hasher, STR("p\xc3\xa4ss"), on_made,
	    NULL), 0);
	while (t.done < 1)
		loop_once(loop);
	assert_int_equal(t.code, 0);
	assert_int_equal(hasher_verify(hasher, STR("p\xc3\xa4ss"), t.argon2,
	    on_verified, NULL), 0);
	while (t.done < 2)
		loop_once(loop);
	assert_true(t.is_right);
	assert_int_equal(hasher_verify(hasher, STR("other"), t.argon2,
	    on_verified, NULL), 0);
	while (t.done < 3)
		loop_once(loop);
	assert_false(t.is_right);
	/* The queue is bounded; cheap garbage fills it. */
	t.done = 0;
	for (i = 0; i < 100; i++)
		if (hasher_verify(hasher, STR("x"), STR("garbage"),
		    on_verified, NULL) == 0)
			taken++;
	assert_int_equal(taken, 2 * HASHER_QUEUE);
	while (t.done < taken)
		loop_once(loop);
	assert_false(t.is_right);
	assert_int_equal(t.gone, 0);
	hasher_free(&hasher);
	loop_free(&loop);
}

/* ---- remember ---- */

static void
test_remember(void **state)
{
	static const struct remember_key base = { .account = 1,
	    .changed_us = 5, .address = { "a@b", 3 },
	    .mechanism = { "password", 8 }, .protocol = { "imap", 4 },
	    .remote = { "192.0.2.1", 9 }, .password = { "secret", 6 } };
	struct remember_key key;
	struct remember *r = remember_new(300);
	size_t i;

	(void)state;
	when_set_mono(fake_clock);
	assert_false(remember_has(r, &base));
	remember_add(r, &base);
	assert_true(remember_has(r, &base));
	for (i = 0; i < 7; i++) {
		key = base;
		if (i == 0)
			key.account = 2;
		else if (i == 1)
			key.changed_us = 6;
		else if (i == 2)
			key.address = STR("a@c");
		else if (i == 3)
			key.mechanism = STR("proof");
		else if (i == 4)
			key.protocol = STR("pop3");
		else if (i == 5)
			key.remote = STR("192.0.2.2");
		else
			key.password = STR("secreT");
		assert_false(remember_has(r, &key));
	}
	/* The same octets cut at another place are another key. */
	key = base;
	key.protocol = STR("imap1");
	key.remote = STR("92.0.2.1");
	assert_false(remember_has(r, &key));
	clock_us += 299ULL * 1000000;
	assert_true(remember_has(r, &base));
	clock_us += 2000000;
	assert_false(remember_has(r, &base));
	remember_add(r, &base);
	remember_forget(r, 2);
	assert_true(remember_has(r, &base));
	remember_forget(r, 1);
	assert_false(remember_has(r, &base));
	remember_set_life(r, 0);
	remember_add(r, &base);
	assert_false(remember_has(r, &base));
	when_set_mono(NULL);
	remember_free(&r);
}

/* ---- rate ---- */

static void
test_rate(void **state)
{
	struct rate *rate;
	int i;

	(void)state;
	when_set_mono(fake_clock);
	rate = rate_new(3, 60000);
	for (i = 0; i < 3; i++)
		assert_true(rate_begin(rate, STR("192.0.2.1")));
	assert_false(rate_begin(rate, STR("192.0.2.1")));
	assert_true(rate_begin(rate, STR("192.0.2.2")));
	assert_true(rate_begin(rate, STR("local")));
	rate_succeeded(rate, STR("192.0.2.1"));
	assert_true(rate_begin(rate, STR("192.0.2.1")));
	assert_false(rate_begin(rate, STR("192.0.2.1")));
	for (i = 0; i < 3; i++)
		assert_true(rate_begin(rate, STR("2001:db8:0:1::1")));
	/* The same /56. */
	assert_false(rate_begin(rate, STR("2001:db8:0:ff::1")));
	assert_true(rate_begin(rate, STR("2001:db8:0:100::1")));
	clock_us += 60ULL * 1000000;
	assert_true(rate_begin(rate, STR("192.0.2.1")));
	/* Successes alone are never refused. */
	for (i = 0; i < 100; i++) {
		assert_true(rate_begin(rate, STR("192.0.2.9")));
		rate_succeeded(rate, STR("192.0.2.9"));
	}
	when_set_mono(NULL);
	rate_free(&rate);
}

static void
test_rate_of_names(void **state)
{
	struct rate *rate;
	int i;

	(void)state;
	when_set_mono(fake_clock);
	rate = rate_new(2, 60000);
	for (i = 0; i < 2; i++) {
		assert_true(rate_allows_name(rate, STR("a@b")));
		assert_true(rate_begin_name(rate, STR("a@b")));
	}
	assert_false(rate_allows_name(rate, STR("a@b")));
	assert_false(rate_begin_name(rate, STR("a@b")));
	assert_true(rate_allows_name(rate, STR("c@b")));
	rate_succeeded_name(rate, STR("a@b"));
	assert_true(rate_allows_name(rate, STR("a@b")));
	assert_true(rate_begin_name(rate, STR("a@b")));
	clock_us += 60ULL * 1000000;
	assert_true(rate_allows_name(rate, STR("a@b")));
	when_set_mono(NULL);
	rate_free(&rate);
}

/* ---- SASLprep ---- */

static void
test_prep(void **state)
{
	static const struct {
		const char *in;
		const char *want;	/* NULL: refused */
	} cases[] = {
		{ "secret", "secret" },
		{ " a b ", " a b " },
		{ "I\xc2\xadX", "IX" },		/* RFC 4013 section 3 */
		{ "\xc2\xaa", "a" },
		{ "\xe2\x85\xa8", "IX" },
		{ "\x07", NULL },
		{ "\xd8\xa7\x31", NULL },
		{ "", NULL },
		{ "\xff", NULL },
		{ "\xe3\x81\x82\xe3\x81\x84", "\xe3\x81\x82\xe3\x81\x84" },
	};
	struct err err = ERR_INIT;
	struct prep *prep = prep_open(&err);
	char longest[PASSWORD_MAX + 2];
	struct buf out;
	size_t i;
	int rc;

	(void)state;
	assert_non_null(prep);
	for (i = 0; i < COUNT_OF(cases); i++) {
		password_buf_init(&out);
		rc = prep_password(prep, str_of(cases[i].in), &out, NULL);
		assert_int_equal(rc, cases[i].want != NULL ? 0 : ERR_SYNTAX);
		if (rc == 0)
			assert_true(str_eq(buf_str(&out),
			    str_of(cases[i].want)));
		password_buf_fini(&out);
	}
	memset(longest, 'x', sizeof(longest));
	password_buf_init(&out);
	assert_int_equal(prep_password(prep, str_make(longest, PASSWORD_MAX),
	    &out, NULL), 0);
	assert_int_equal(prep_password(prep, str_make(longest,
	    PASSWORD_MAX + 1), &out, NULL), ERR_SYNTAX);
	password_buf_fini(&out);
	prep_close(&prep);
}

/* ---- secrets ---- */

static void
fill(struct secret *secret, uint64_t account, const char *address)
{
	memset(secret, 0, sizeof(*secret));
	secret->account = account;
	secret->changed_us = account * 10;
	(void)snprintf(secret->address, sizeof(secret->address), "%s",
	    address);
	hash_dummy(secret->keys.argon2);
	memset(secret->keys.salt, (int)account, sizeof(secret->keys.salt));
	secret->keys.iterations = 10000;
}

static void
test_secrets(void **state)
{
	char dir[] = "/tmp/hk-secrets-XXXXXX", path[64], wal[80];
	struct secrets_log_line lines[10];
	unsigned char fake[HASH_KEY_OCTETS];
	struct arena *arena = arena_new(0);
	struct secrets *s = NULL;
	struct secret in, out;
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/s.db", dir);
	(void)snprintf(wal, sizeof(wal), "%s-wal", path);
	assert_int_equal(secrets_open(&s, path, NULL), 0);
	memcpy(fake, secrets_fake_key(s), sizeof(fake));
	assert_int_equal(secrets_find(s, STR("a@b"), &out, NULL),
	    ERR_NOTFOUND);
	fill(&in, 1, "a@b");
	assert_int_equal(secrets_set(s, STR("uid 0"), &in, NULL), 0);
	in.changed_us = 99;
	assert_int_equal(secrets_set(s, STR("uid 0"), &in, NULL), 0);
	secrets_close(&s);
	assert_int_equal(secrets_open(&s, path, NULL), 0);
	assert_memory_equal(fake, secrets_fake_key(s), sizeof(fake));
	assert_int_equal(secrets_find(s, STR("a@b"), &out, NULL), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	/* The address goes to another account: the old secret is gone. */
	fill(&in, 2, "a@b");
	assert_int_equal(secrets_know(s, in.account, str_make("\x7f\0\0\2",
	    4), NULL), 0);
	assert_int_equal(secrets_know(s, in.account, str_make("\x7f\0\0\2",
	    4), NULL), 0);
	assert_true(secrets_knows(s, in.account, str_make("\x7f\0\0\2",
	    4)));
	assert_false(secrets_knows(s, in.account + 1,
	    str_make("\x7f\0\0\2", 4)));
	assert_false(secrets_knows(s, in.account, str_make("\x7f\0\0\3",
	    4)));
	assert_int_equal(secrets_set(s, STR("uid 7"), &in, NULL), 0);
	assert_int_equal(secrets_find(s, STR("a@b"), &out, NULL), 0);
	assert_int_equal(out.account, 2);
	assert_int_equal(secrets_forget(s, STR("uid 0"), 2, STR("a@b"),
	    NULL), 0);
	assert_int_equal(secrets_find(s, STR("a@b"), &out, NULL),
	    ERR_NOTFOUND);
	assert_int_equal(secrets_log_read(s, 0, 10, arena, lines, &n, NULL),
	    0);
	assert_int_equal(n, 4);
	assert_true(str_eq(lines[2].actor, STR("uid 7")));
	assert_true(str_eq(lines[3].verb, STR("password.forget")));
	assert_int_equal(secrets_log_read(s, lines[2].id, 10, arena, lines,
	    &n, NULL), 0);
	assert_int_equal(n, 1);
	secrets_close(&s);
	(void)unlink(path);
	(void)unlink(wal);
	(void)rmdir(dir);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_remember),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_rate_of_names),
		cmocka_unit_test(test_prep),
		cmocka_unit_test(test_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
