/* SPDX-License-Identifier: ISC */
/*
 * Whatever the message: every split gives the same summary, which encodes and
 * decodes to itself, and its text can be read and searched. The first octet
 * chooses the split.
 */
#include "mail_fuzz.h"

#include "mail/text.h"

static void
check_coding(const struct mail_summary *sum)
{
	struct arena *arena = arena_new(0);
	struct mail_summary *decoded;
	struct buf buf;

	buf_init(&buf, SUMMARY_MAX);
	if (summary_encode(sum, &buf) == 0) {
		invariant(summary_decode(buf_str(&buf), arena, &decoded,
		    NULL) == 0);
		same_summary(sum, decoded);
	}
	buf_fini(&buf);
	arena_free(&arena);
}

static void
check_text(struct str message, const struct mail_summary *sum, size_t step)
{
	const struct str needle[] = { STR("needle"), STR("\xe9\xa3\x9b") };
	struct mail_view view = mail_view_of_memory(STR("X: y\r\n"), message);
	struct text_search *search = text_search_new(needle, 2);
	struct mail_text *text = mail_text_new(&view, sum, MAIL_TEXT_HEADER |
	    MAIL_TEXT_BODY | MAIL_TEXT_FILE_NAMES);
	bool is_done = false;

	while (!is_done)
		invariant(mail_text_search_step(text, search, step, &is_done,
		    NULL) == 0);
	mail_text_free(&text);
	text_search_free(&search);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct mail_summary *sum;
	struct scan *whole, *split;
	size_t at, step;

	if (size == 0)
		return 0;
	step = (size_t)data[0] + 1;
	data++;
	size--;
	whole = scan_new();
	scan_feed(whole, data, size);
	sum = scan_end(whole);
	invariant(sum->size == size);
	check_summary(sum);
	split = scan_new();
	for (at = 0; at < size; at += step)
		scan_feed(split, data + at, step < size - at ? step :
		    size - at);
	same_summary(sum, scan_end(split));
	check_coding(sum);
	check_text(str_make(data, size), sum, step * 16);
	scan_free(&whole);
	scan_free(&split);
	return 0;
}
