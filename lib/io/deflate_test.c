/* SPDX-License-Identifier: ISC */
/* Compressed streams: there and back in any cut, memory given back between,
 * garbage, and octets that unfold to too many. */
#include "base/test.h"

#include "base/rand.h"
#include "io/deflate.h"

/* What one side has packed comes to the other in pieces of len. */
static int
carry(struct deflate *to, struct buf *wire, size_t len, struct buf *got,
    size_t room)
{
	char p[512];
	size_t space, n;
	char *raw;
	int ret;

	assert_true(room <= sizeof(p));
	while (wire->len != 0) {
		raw = deflate_space(to, &space);
		space = space < len ? space : len;
		space = space < wire->len ? space : wire->len;
		memcpy(raw, buf_str(wire).p, space);
		buf_consume(wire, space);
		deflate_came(to, space);
		do {
			ret = deflate_unpack(to, p, room, &n);
			if (ret != 0)
				return ret;
			buf_add(got, p, n);
		} while (n != 0);
	}
	return 0;
}

static void
test_there_and_back(void **state)
{
	static const size_t cuts[] = { 1, 2, 7, 100, 8192 };
	struct deflate *a = deflate_new(), *b = deflate_new();
	struct buf plain, sent, wire, got;
	size_t i, j;

	(void)state;
	buf_init(&plain, 1 << 20);
	buf_init(&sent, 1 << 22);
	buf_init(&wire, 1 << 22);
	buf_init(&got, 1 << 22);
	for (i = 0; i < 40; i++) {
		for (j = 0; j < 1000; j++)
			buf_addf(&plain, "* %zu FETCH (FLAGS ())\r\n", j * i);
		buf_add_str(&sent, buf_str(&plain));
		deflate_pack(a, &plain, &wire);
		assert_int_equal(plain.len, 0);
		/* Each is readable at once, whatever comes after it. */
		assert_int_equal(carry(b, &wire, cuts[i % COUNT_OF(cuts)],
		    &got, i % 3 == 0 ? 1 : 512), 0);
		assert_true(str_eq(buf_str(&sent), buf_str(&got)));
		if (i % 4 == 0)
			deflate_rest(a);
	}
	deflate_free(&a);
	deflate_free(&b);
	buf_fini(&plain);
	buf_fini(&sent);
	buf_fini(&wire);
	buf_fini(&got);
}

static void
test_garbage(void **state)
{
	struct deflate *d = deflate_new();
	struct buf wire, got;

	(void)state;
	buf_init(&wire, 1000);
	buf_init(&got, 1000);
	buf_add_cstr(&wire, "\xff\xff\xff\xff not deflate");
	assert_int_equal(carry(d, &wire, 100, &got, 100), ERR_CORRUPT);
	deflate_free(&d);
	buf_fini(&wire);
	buf_fini(&got);
}

/* threats.md line 37: a little that becomes very much. */
static void
test_bomb(void **state)
{
	struct deflate *a = deflate_new(), *b = deflate_new();
	static char zeros[1 << 16];
	struct buf plain, wire, got;
	uint64_t unfolded = 0;
	int ret = 0;

	(void)state;
	buf_init(&plain, 1 << 20);
	buf_init(&wire, 1 << 20);
	buf_init(&got, 1 << 20);
	while (ret == 0) {
		buf_add(&plain, zeros, sizeof(zeros));
		deflate_pack(a, &plain, &wire);
		ret = carry(b, &wire, 8192, &got, 512);
		unfolded += got.len;
		buf_reset(&got);
		assert_true(unfolded < 2 * DEFLATE_FREE_OCTETS);
	}
	assert_int_equal(ret, ERR_LIMIT);
	assert_true(unfolded >= DEFLATE_FREE_OCTETS - sizeof(zeros));
	deflate_free(&a);
	deflate_free(&b);
	buf_fini(&plain);
	buf_fini(&wire);
	buf_fini(&got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_bomb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
