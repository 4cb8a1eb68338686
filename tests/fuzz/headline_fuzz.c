/* SPDX-License-Identifier: ISC */
/*
 * What of a message in the quarantine is shown to people: text in bounds,
 * without what commands a terminal or turns the direction of text; also by
 * the summary of another message.
 */
#include <stddef.h>
#include <stdint.h>

#include <sys/mman.h>
#include <unistd.h>

#include "filterd/quarantine/headline.h"
#include "filterd/quarantine/preview.h"
#include "mail/view.h"

#define LINE_OCTETS_MAX 400U
#define NAME_OCTETS_MAX 200U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_harmless(const unsigned char *p)
{
	if (p[0] < 0x20)
		return p[0] == '\n' || p[0] == '\t';
	if (p[0] == 0x7f)
		return false;
	if (p[0] == 0xc2)
		return p[1] >= 0xa0;
	if (p[0] == 0xe2 && p[1] == 0x80)
		return (p[2] < 0x8b || p[2] > 0x8f) &&
		    (p[2] < 0xa8 || p[2] > 0xae);
	return p[0] != 0xe2 || p[1] != 0x81 || p[2] < 0xa0 || p[2] > 0xaf;
}

static void
check_text(struct str text, size_t max)
{
	char copy[PREVIEW_OCTETS + 4] = "";
	size_t i;

	invariant(text.len <= max && str_is_utf8(text));
	if (text.len != 0)
		memcpy(copy, text.p, text.len);
	for (i = 0; i < text.len; i++)
		invariant(is_harmless((unsigned char *)copy + i));
}

static void
check_line(struct str line)
{
	check_text(line, LINE_OCTETS_MAX);
	invariant(str_find(line, '\n') == STR_NPOS);
}

static void
check_preview(const struct quarantine_entry *entry, int fd,
    struct arena *arena)
{
	struct preview preview = preview_read(entry, fd, arena);
	size_t i;

	check_text(preview.text, PREVIEW_OCTETS);
	invariant(preview.names_len <= PREVIEW_NAMES_MAX);
	for (i = 0; i < preview.names_len; i++)
		check_text(preview.names[i], NAME_OCTETS_MAX);
}

/* Of this message without its first octets. */
static struct str
other_summary(struct str message, struct arena *arena)
{
	struct str other = str_sub(message, 3, message.len);
	struct mail_view view = mail_view_of_memory(STR(""), other);
	struct scan *scan = scan_new();
	struct str encoded = STR("");
	bool is_done = false;
	struct buf out;

	buf_init(&out, SUMMARY_MAX);
	if (mail_view_scan(&view, scan, SIZE_MAX, &is_done, NULL) == 0 &&
	    summary_encode(scan_end(scan), &out) == 0)
		encoded = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	scan_free(&scan);
	return encoded;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct quarantine_entry entry = { .size_octets = size };
	struct arena *arena = arena_new(0);
	int fd = memfd_create("message", MFD_CLOEXEC);

	invariant(fd != -1 && write(fd, data, size) == (ssize_t)size);
	invariant(headline_read(&entry, fd, arena, NULL) == 0);
	check_line(entry.from);
	check_line(entry.subject);
	check_line(entry.date);
	check_preview(&entry, fd, arena);
	entry.summary = other_summary(str_make(data, size), arena);
	check_preview(&entry, fd, arena);
	/* The summary itself is made of hostile octets. */
	entry.summary = str_make(data, size);
	check_preview(&entry, fd, arena);
	arena_free(&arena);
	(void)close(fd);
	return 0;
}
