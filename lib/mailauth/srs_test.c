/* SPDX-License-Identifier: ISC */
/* SRS: there and back, over several hosts, and what is not taken. */
#include "base/test.h"

#include "base/buf.h"
#include "mailauth/srs.h"

#define NOW_S INT64_C(1800000000)
#define DAY_S INT64_C(86400)

static const struct str one_key[] = {
	{ "0123456789abcdef0123456789abcdef", 32 },
};
static const struct str two_keys[] = {
	{ "fedcba9876543210fedcba9876543210", 32 },
	{ "0123456789abcdef0123456789abcdef", 32 },
};
static const struct srs_keys ours = { one_key, 1 };
static const struct srs_keys changed = { two_keys, 2 };
static const struct srs_keys theirs = { two_keys, 1 };

static void
assert_str(struct str got, const char *want)
{
	if (!str_eq(got, str_of(want)))
		fail_msg("%.*s instead of %s", STR_FMT(got), want);
}

static struct str
forward(struct arena *arena, const struct srs_keys *keys, struct str local,
    const char *domain)
{
	struct str got;

	assert_int_equal(srs_forward(arena, keys, local, str_of(domain),
	    NOW_S, &got, NULL), 0);
	return got;
}

static const struct {
	const char *local;
	const char *domain;
} senders[] = {
	{ "alice", "example.org" },
	{ "Alice.B+tag", "Mail.Example.org" },
	{ "with=equals=signs", "example.org" },
	{ "=", "a.b" },
	{ "bounce-12=bob=c.example", "d.example" },
	{ "a b\"c\\d", "example.org" },
	{ "SRS", "example.org" }, { "SRS0", "example.org" },
	{ "SRS0x", "example.org" }, { "SRS2=a", "example.org" },
	{ "\xe3\x81\x82", "example.org" },
};

static void
test_there_and_back(void **state)
{
	struct arena *arena = arena_new(0);
	struct str srs, local, domain;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(senders); i++) {
		srs = forward(arena, &ours, str_of(senders[i].local),
		    senders[i].domain);
		assert_true(srs_is_address(srs));
		assert_true(str_begins(srs, STR("SRS0=")));
		assert_true(srs.len <= SRS_LOCAL_MAX);
		assert_int_equal(srs_reverse(arena, &ours, srs, NOW_S, &local,
		    &domain, NULL), 0);
		assert_str(local, senders[i].local);
		assert_str(domain, senders[i].domain);
		/* By a new first key. */
		assert_int_equal(srs_reverse(arena, &changed, srs, NOW_S,
		    &local, &domain, NULL), 0);
		assert_int_equal(srs_reverse(arena, &theirs, srs, NOW_S,
		    &local, &domain, NULL), ERR_DENIED);
		assert_null(local.p);
		assert_null(domain.p);
	}
	arena_free(&arena);
}

/* example.org -> one.example -> two.example -> three.example, and back. */
static void
test_chain(void **state)
{
	struct arena *arena = arena_new(0);
	struct str one, two, three, local, domain;

	(void)state;
	one = forward(arena, &ours, STR("alice"), "example.org");
	two = forward(arena, &theirs, one, "one.example");
	assert_true(str_begins(two, STR("SRS1=")));
	three = forward(arena, &ours, two, "two.example");
	assert_true(str_begins(three, STR("SRS1=")));
	assert_int_equal(three.len, two.len);

	/* The third leads to the first, not to the second. */
	assert_int_equal(srs_reverse(arena, &ours, three, NOW_S, &local,
	    &domain, NULL), 0);
	assert_str(domain, "one.example");
	assert_true(str_eq(local, one));
	assert_int_equal(srs_reverse(arena, &ours, two, NOW_S, &local,
	    &domain, NULL), ERR_DENIED);
	assert_int_equal(srs_reverse(arena, &ours, one, NOW_S, &local,
	    &domain, NULL), 0);
	assert_str(domain, "example.org");
	assert_str(local, "alice");

	/* Another host's separators. */
	two = forward(arena, &ours, STR("SRS0+xyz=TT=a.example=bob"),
	    "other.example");
	assert_int_equal(srs_reverse(arena, &ours, two, NOW_S, &local,
	    &domain, NULL), 0);
	assert_str(local, "SRS0+xyz=TT=a.example=bob");
	assert_str(domain, "other.example");
	arena_free(&arena);
}

/* Hosts on the way may fold the case of a local part. */
static void
test_case(void **state)
{
	struct arena *arena = arena_new(0);
	struct str srs, local, domain;
	char text[SRS_LOCAL_MAX];
	size_t i;

	(void)state;
	srs = forward(arena, &ours, STR("Alice"), "Example.org");
	for (i = 0; i < srs.len; i++)
		text[i] = ascii_lower(srs.p[i]);
	assert_int_equal(srs_reverse(arena, &ours, str_make(text, srs.len),
	    NOW_S, &local, &domain, NULL), 0);
	assert_str(local, "alice");
	assert_str(domain, "example.org");
	arena_free(&arena);
}

static const struct {
	int64_t days;		/* from when it was made */
	int want;
} ages[] = {
	{ 0, 0 }, { 1, 0 }, { SRS_DAYS, 0 }, { SRS_DAYS + 1, ERR_DENIED },
	{ 100, ERR_DENIED }, { 1000, ERR_DENIED }, { -1, 0 },
	{ -2, ERR_DENIED }, { -100, ERR_DENIED },
};

static void
test_age(void **state)
{
	struct arena *arena = arena_new(0);
	struct str srs, local, domain;
	size_t i;

	(void)state;
	srs = forward(arena, &ours, STR("alice"), "example.org");
	for (i = 0; i < COUNT_OF(ages); i++)
		assert_int_equal(srs_reverse(arena, &ours, srs,
		    NOW_S + ages[i].days * DAY_S, &local, &domain, NULL),
		    ages[i].want);
	/* A clock before 1970 breaks nothing. */
	assert_int_equal(srs_forward(arena, &ours, STR("alice"),
	    STR("example.org"), -5 * DAY_S, &srs, NULL), 0);
	assert_int_equal(srs_reverse(arena, &ours, srs, -4 * DAY_S, &local,
	    &domain, NULL), 0);
	arena_free(&arena);
}

/* Each octet matters: none can be changed or left out. */
static void
test_forged(void **state)
{
	struct arena *arena = arena_new(0);
	struct str made[2], local, domain;
	char text[SRS_LOCAL_MAX];
	size_t i, k;

	(void)state;
	made[0] = forward(arena, &ours, STR("alice"), "example.org");
	made[1] = forward(arena, &ours, made[0], "one.example");
	for (k = 0; k < 2; k++)
		for (i = 0; i < made[k].len; i++) {
			memcpy(text, made[k].p, made[k].len);
			text[i] = text[i] == 'x' ? 'y' : 'x';
			assert_int_not_equal(srs_reverse(arena, &ours,
			    str_make(text, made[k].len), NOW_S, &local,
			    &domain, NULL), 0);
			assert_int_not_equal(srs_reverse(arena, &ours,
			    str_sub(made[k], 0, i), NOW_S, &local, &domain,
			    NULL), 0);
		}
	/* A part that moved over its border. */
	assert_int_equal(srs_reverse(arena, &ours, arena_printf(arena,
	    "%.*s=example.org.alice=x", 14, made[0].p), NOW_S, &local,
	    &domain, NULL), ERR_DENIED);
	arena_free(&arena);
}

static const struct {
	const char *local;
	int want;
} others[] = {
	{ "alice", ERR_NOTFOUND }, { "", ERR_NOTFOUND },
	{ "SRS0", ERR_NOTFOUND }, { "SRS1", ERR_NOTFOUND },
	{ "SRS0x=a=b=c=d", ERR_NOTFOUND }, { "SRS2=a", ERR_NOTFOUND },
	{ "SRS0=", ERR_SYNTAX }, { "SRS0==", ERR_SYNTAX },
	{ "SRS0====", ERR_SYNTAX }, { "SRS0=======", ERR_SYNTAX },
	{ "SRS0=AAAAAA=AA=example.org=", ERR_SYNTAX },
	{ "SRS0=AAAAAA=AA=exam ple.org=a", ERR_SYNTAX },
	{ "SRS0=AAAAAA=AA=192.0.2.1=a", ERR_SYNTAX },
	{ "SRS0=AAAAAA=AA=example.org=a", ERR_DENIED },
	{ "SRS0==AA=example.org=a", ERR_DENIED },
	{ "SRS0=AAAAAAA=AA=example.org=a", ERR_DENIED },
	{ "srs0+aaaaaa=aa=example.org=a", ERR_DENIED },
	{ "SRS1=", ERR_SYNTAX }, { "SRS1=AAAAAA=a.b=", ERR_SYNTAX },
	{ "SRS1=AAAAAA=a.b==", ERR_SYNTAX },
	{ "SRS1=AAAAAA=a.b=x", ERR_SYNTAX },
	{ "SRS1=AAAAAA=a.b==x", ERR_DENIED },
};

static void
test_others(void **state)
{
	struct arena *arena = arena_new(0);
	struct str local, domain;
	char text[2000];
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(others); i++) {
		rc = srs_reverse(arena, &ours, str_of(others[i].local), NOW_S,
		    &local, &domain, NULL);
		if (rc != others[i].want)
			fail_msg("%s: %d", others[i].local, rc);
	}
	memset(text, 'a', sizeof(text));
	memcpy(text, "SRS0=AAAAAA=AA=example.org=", 27);
	assert_int_equal(srs_reverse(arena, &ours, str_make(text,
	    sizeof(text)), NOW_S, &local, &domain, NULL), ERR_SYNTAX);
	assert_int_equal(srs_reverse(arena, &ours,
	    STR("SRS0=AAAAAA=AA=example.org=a\0b"), NOW_S, &local, &domain,
	    NULL), ERR_SYNTAX);
	arena_free(&arena);
}

static const struct {
	const char *local;
	const char *domain;
	int want;
} limits[] = {
	/* 16 octets go to what SRS adds. */
	{ "a234567890123456789012345678901234567", "example.org", 0 },
	{ "a2345678901234567890123456789012345678", "example.org",
	    ERR_LIMIT },
	{ "SRS0=AAAAAA=AA=a.example=b23456789012345678901234567890",
	    "example.org", ERR_LIMIT },
	{ "alice", "[192.0.2.1]", ERR_SYNTAX },
	{ "alice", "192.0.2.1", ERR_SYNTAX }, { "alice", "", ERR_SYNTAX },
	{ "alice", "a=b.example", ERR_SYNTAX }, { "", "a.example", ERR_SYNTAX },
};

static void
test_limits(void **state)
{
	struct arena *arena = arena_new(0);
	char text[2000];
	struct str srs;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(limits); i++)
		if (srs_forward(arena, &ours, str_of(limits[i].local),
		    str_of(limits[i].domain), NOW_S, &srs, NULL) !=
		    limits[i].want)
			fail_msg("%s", limits[i].local);
	memset(text, 'a', sizeof(text));
	assert_int_equal(srs_forward(arena, &ours, str_make(text,
	    sizeof(text)), STR("a.example"), NOW_S, &srs, NULL), ERR_LIMIT);
	assert_int_equal(srs_forward(arena, &ours, STR("a\0b"),
	    STR("a.example"), NOW_S, &srs, NULL), ERR_LIMIT);
	arena_free(&arena);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_case),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
