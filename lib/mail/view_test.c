/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "mail/view.h"

#define TRACE "Return-Path: <a@b>\r\nReceived: x\r\n"
#define HEAD "Subject: s\r\n\r\n"
#define BODY "line one\r\nline two\r\n"

static int
file_of(struct str s)
{
	int fd = memfd_create("blob", 0);

	assert_true(fd != -1);
	assert_int_equal(write(fd, s.p, s.len), s.len);
	return fd;
}

/* Every offset and length, from a file and from memory. */
static void
check_reads(const struct mail_view *view, struct str want)
{
	char data[200];
	size_t at, len, got;

	assert_true(mail_view_size(view) == want.len);
	for (at = 0; at <= want.len + 2; at++)
		for (len = 0; len <= want.len + 2; len++) {
			assert_int_equal(mail_view_read(view, at, data, len,
			    &got, NULL), 0);
			assert_true(str_eq(str_make(data, got),
			    str_sub(want, at, len)));
		}
}

static void
test_read(void **state)
{
	struct mail_view view;
	int fd = file_of(STR(HEAD BODY));

	(void)state;
	view = mail_view_of_fd(STR(TRACE), fd, sizeof(HEAD BODY) - 1);
	check_reads(&view, STR(TRACE HEAD BODY));
	view = mail_view_of_memory(STR(TRACE), STR(HEAD BODY));
	check_reads(&view, STR(TRACE HEAD BODY));
	view = mail_view_of_memory(STR_NONE, STR(""));
	check_reads(&view, STR(""));
	close(fd);
}

static void
test_short_blob(void **state)
{
	struct err err = ERR_INIT;
	struct mail_view view;
	char data[100];
	size_t len;
	int fd = file_of(STR(HEAD));

	(void)state;
	view = mail_view_of_fd(STR(""), fd, 100);
	assert_int_equal(mail_view_read(&view, 0, data, 100, &len, &err),
	    ERR_CORRUPT);
	assert_int_equal(len, 0);
	close(fd);
}

static void
test_sections(void **state)
{
	static const struct {
		const char *spec;
		const char *want;
	} cases[] = {
		{ "", TRACE HEAD BODY }, { "HEADER", TRACE HEAD },
		{ "TEXT", BODY }, { "1", BODY }, { "1.MIME", HEAD },
	};
	struct arena *arena = arena_new(0);
	struct mail_view view = mail_view_of_memory(STR(TRACE),
	    STR(HEAD BODY));
	struct scan *scan = scan_new();
	const struct mail_summary *sum;
	struct mail_section section;
	struct mail_range range;
	struct str text;
	bool is_done = false;
	char data[8];
	size_t i, at, len;

	(void)state;
	while (!is_done)
		assert_int_equal(mail_view_scan(&view, scan, 5, &is_done,
		    NULL), 0);
	sum = scan_end(scan);
	assert_true(mail_view_fits(&view, sum));
	for (i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(mail_section_parse(str_of(cases[i].spec),
		    &section), 0);
		assert_int_equal(summary_section(sum, &section, &range), 0);
		assert_int_equal(mail_range_str(&view, &range, arena, 1000,
		    &text, NULL), 0);
		assert_true(str_eq(text, str_of(cases[i].want)));
		assert_int_equal(mail_range_str(&view, &range, arena, 3,
		    &text, NULL), ERR_LIMIT);
		for (at = 0; at < text.len + 2; at++) {
			assert_int_equal(mail_range_read(&view, &range, at,
			    data, sizeof(data), &len, NULL), 0);
			assert_true(str_eq(str_make(data, len),
			    str_sub(str_of(cases[i].want), at,
			    sizeof(data))));
		}
	}
	assert_int_equal(mail_view_header(&view, sum, arena, &text, NULL), 0);
	assert_true(str_eq(text, STR(TRACE HEAD)));
	view.blob_size--;
	assert_false(mail_view_fits(&view, sum));
	scan_free(&scan);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_short_blob),
		cmocka_unit_test(test_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
