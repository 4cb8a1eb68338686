/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "store/page.h"

static void
test_page(void **state)
{
	struct store_msg in[PAGE_MAX], out[PAGE_MAX];
	struct buf buf;
	size_t count, i, len;

	(void)state;
	memset(in, 0, sizeof(in));
	for (i = 0; i < PAGE_MAX; i++) {
		in[i].uid = (uint32_t)(i * i + 1);
		in[i].message = i % 2 ? 5 : (uint64_t)INT64_MAX - i;
		in[i].modseq = 1000 - i;
		in[i].keywords = i % 3 ? 0 : UINT64_MAX;
		in[i].date_s = i % 2 ? -1000 : 1 << 30;
		in[i].saved_s = i % 3 == 0 ? 0 : UINT32_MAX - (uint32_t)i;
		in[i].size_octets = i % 5 ? 100 : UINT32_MAX;
		in[i].flags = (uint8_t)(i & STORE_FLAGS_ALL);
	}
	in[PAGE_MAX - 1].uid = UINT32_MAX;
	buf_init(&buf, PAGE_OCTETS_MAX);
	page_encode(in, PAGE_MAX, &buf);
	assert_false(buf_failed(&buf));
	assert_int_equal(page_decode(buf_str(&buf), out, &count, NULL), 0);
	assert_int_equal(count, PAGE_MAX);
	for (i = 0; i < PAGE_MAX; i++) {
		assert_int_equal(in[i].uid, out[i].uid);
		assert_true(in[i].message == out[i].message);
		assert_true(in[i].modseq == out[i].modseq);
		assert_true(in[i].keywords == out[i].keywords);
		assert_true(in[i].date_s == out[i].date_s);
		assert_int_equal(in[i].saved_s, out[i].saved_s);
		assert_int_equal(in[i].size_octets, out[i].size_octets);
		assert_int_equal(in[i].flags, out[i].flags);
	}
	/* Cut anywhere it is refused, and longer too. */
	for (len = 0; len < buf.len; len++)
		assert_int_equal(page_decode(str_sub(buf_str(&buf), 0, len),
		    out, &count, NULL), ERR_CORRUPT);
	buf_reset(&buf);
	page_encode(in, 1, &buf);
	buf_add_char(&buf, 0);
	assert_int_equal(page_decode(buf_str(&buf), out, &count, NULL),
	    ERR_CORRUPT);
	buf_fini(&buf);
}

static void
test_bad_pages(void **state)
{
	static const struct {
		const char *what;
		struct str data;
	} cases[] = {
		{ "nothing", { "", 0 } },
		{ "another form", { "\2\1\1\2\2\0\0\2\1", 9 } },
		{ "no message", { "\1\0", 2 } },
		{ "129 messages", { "\1\x81\1", 3 } },
		{ "UID 0", { "\1\1\0\2\2\0\0\2\1", 9 } },
		{ "message 0", { "\1\1\1\0\2\0\0\2\1", 9 } },
		{ "message -1", { "\1\1\1\1\2\0\0\2\1", 9 } },
		{ "modseq 0", { "\1\1\1\2\0\0\0\2\1", 9 } },
		{ "unknown flag", { "\1\1\1\2\2\x20\0\2\1", 9 } },
		{ "long zero", { "\1\1\x81\0\2\2\0\0\2\1", 10 } },
		{ "UID over 32 bits",
		    { "\1\1\xff\xff\xff\xff\x1f\2\2\0\0\2\1", 13 } },
		{ "size over 32 bits",
		    { "\1\1\1\2\2\0\0\2\xff\xff\xff\xff\x1f", 13 } },
		{ "eleven octets of a number",
		    { "\1\1\1\2\2\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"
		      "\2\1", 19 } },
	};
	struct store_msg out[PAGE_MAX];
	size_t count, i;

	(void)state;
	assert_int_equal(page_decode(str_make("\1\1\1\2\2\0\0\2\1", 9), out,
	    &count, NULL), 0);
	for (i = 0; i < COUNT_OF(cases); i++)
		if (page_decode(cases[i].data, out, &count, NULL) !=
		    ERR_CORRUPT || count != 0)
			fail_msg("%s was taken", cases[i].what);
}

static void
test_ranges(void **state)
{
	const struct store_range in[] = {
		{ 1, 1 }, { 3, 500 }, { 502, 502 }, { 70000, UINT32_MAX },
	};
	struct store_range out[4];
	struct buf buf;
	size_t count, i;

	(void)state;
	buf_init(&buf, 1000);
	ranges_encode(in, 4, &buf);
	assert_int_equal(ranges_decode(buf_str(&buf), NULL, &count, NULL), 0);
	assert_int_equal(count, 4);
	assert_int_equal(ranges_decode(buf_str(&buf), out, &count, NULL), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(in[i].first, out[i].first);
		assert_int_equal(in[i].last, out[i].last);
	}
	buf_truncate(&buf, buf.len - 1);
	assert_int_equal(ranges_decode(buf_str(&buf), NULL, &count, NULL),
	    ERR_CORRUPT);
	buf_fini(&buf);
	assert_int_equal(ranges_decode(STR("\1\0\1"), NULL, &count, NULL),
	    ERR_CORRUPT);
}

static void
test_ids(void **state)
{
	const uint64_t in[] = { 7, 3, INT64_MAX, 1 };
	uint64_t out[IDS_MAX];
	struct buf buf;
	size_t count;

	(void)state;
	buf_init(&buf, 1000);
	ids_encode(in, 4, &buf);
	assert_int_equal(ids_decode(buf_str(&buf), out, &count, NULL), 0);
	assert_int_equal(count, 4);
	assert_memory_equal(in, out, sizeof(in));
	buf_fini(&buf);
	assert_int_equal(ids_decode(STR("\1\0"), out, &count, NULL),
	    ERR_CORRUPT);
	assert_int_equal(ids_decode(STR("\1\1"), out, &count, NULL),
	    ERR_CORRUPT);
}

static void
test_refs(void **state)
{
	uint16_t in[REFS_BLOCK] = { [0] = 1, [255] = 65535 };
	uint16_t out[REFS_BLOCK];
	unsigned char data[REFS_OCTETS];

	(void)state;
	refs_encode(in, data);
	assert_int_equal(refs_decode(str_make(data, sizeof(data)), out, NULL),
	    0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(refs_decode(str_make(data, 1), out, NULL),
	    ERR_CORRUPT);
}

/* What was written before the save date was kept. */
static void
test_first_form(void **state)
{
	static const char page[] = "\x01\x01\x05\x0e\x06\x01\x00\xc8\x01\x2a";
	struct store_msg msgs[PAGE_MAX];
	size_t count;

	(void)state;
	assert_int_equal(page_decode(str_make(page, sizeof(page) - 1), msgs,
	    &count, NULL), 0);
	assert_int_equal(count, 1);
	assert_int_equal(msgs[0].uid, 5);
	assert_int_equal(msgs[0].message, 7);
	assert_int_equal(msgs[0].modseq, 3);
	assert_int_equal(msgs[0].flags, STORE_SEEN);
	assert_int_equal(msgs[0].date_s, 100);
	assert_int_equal(msgs[0].size_octets, 42);
	assert_int_equal(msgs[0].saved_s, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_form),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_bad_pages),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_refs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
