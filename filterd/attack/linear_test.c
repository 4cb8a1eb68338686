/* SPDX-License-Identifier: ISC */
/* Twice as much of anything takes twice as long to look into. */
#include "base/test.h"

#include "filterd/attack/build_int.h"
#include "filterd/attack/check_int.h"

#define OCTETS(literal) { literal, sizeof(literal) - 1 }

static uint64_t
time_octets(const char *name, struct str file)
{
	struct attack_part part = { .fd = -1, .name = str_of(name),
		.type = STR("application"), .subtype = STR("octet-stream"),
		.charset = STR("") };
	struct attack_report report;
	struct attack_look *look = attack_open(check_attack(), &report);
	uint64_t begin_us = test_cpu_us();

	attack_look_at_octets(look, &part, file);
	begin_us = test_cpu_us() - begin_us;
	attack_close(&look);
	return begin_us;
}

static uint64_t
time_file(const char *name, struct str first, struct str unit, size_t count)
{
	uint64_t us;
	struct buf file;
	size_t i;

	buf_init(&file, 64U << 20);
	buf_add_str(&file, first);
	for (i = 0; i < count; i++)
		buf_add_str(&file, unit);
	us = time_octets(name, buf_str(&file));
	buf_fini(&file);
	return us;
}

/* A document with one part of that. */
static uint64_t
time_document(const char *part, const char *unit, size_t count)
{
	struct member members[] = { { "[Content_Types].xml", "<Types/>", true, false, NULL },
		{ part, NULL, true, false, NULL } };
	struct buf text, file;
	uint64_t us;
	size_t i;

	buf_init(&text, 64U << 20);
	for (i = 0; i < count; i++)
		buf_add_cstr(&text, unit);
	buf_add_char(&text, '\0');
	members[1].text = buf_str(&text).p;
	buf_init(&file, 64U << 20);
	build_zip(&file, members, 2);
	us = time_octets("a.docx", buf_str(&file));
	buf_fini(&file);
	buf_fini(&text);
	return us;
}

static uint64_t
time_tar(const char *name, const char *unit, size_t count)
{
	struct buf file;
	uint64_t us;
	size_t i;

	buf_init(&file, 64U << 20);
	for (i = 0; i < count; i++)
		build_tar(&file, unit[0], name, STR("x"));
	us = time_octets("a.tar", buf_str(&file));
	buf_fini(&file);
	return us;
}

/* Headers that name the same octets, which unpack to nothing. */
static uint64_t
time_shared_octets(const char *member, const char *unit, size_t count)
{
	uint64_t us;
	struct buf file;
	size_t i;

	buf_init(&file, 64U << 20);
	for (i = 0; i < count; i++) {
		buf_add(&file, "PK\003\004\024\0\0\0\010\0\0\0\0\0", 14);
		build_le(&file, 0, 4);
		build_le(&file, UINT32_MAX, 4);
		build_le(&file, 1, 4);
		build_le(&file, strlen(member), 2);
		build_le(&file, (count - 1 - i) * (30 + strlen(member)), 2);
		buf_add_cstr(&file, member);
	}
	for (i = 0; i < count * 400; i++)
		buf_add(&file, "\0\0\0\xff\xff", 5);
	us = time_octets(unit, buf_str(&file));
	buf_fini(&file);
	return us;
}

/* time: of count units, in microseconds. */
static void
check_linear(uint64_t (*time)(const void *row, size_t count),
    const void *row, size_t count, const char *name, size_t n)
{
	uint64_t once = 0, twice = 0;
	unsigned tries;

	for (tries = 0; tries < TEST_LINEAR_TRIES; tries++) {
		once = time(row, count);
		twice = time(row, 2 * count);
		if (test_is_linear(once, twice))
			return;
	}
	fail_msg("%s, row %zu: %lu, %lu", name, n, (unsigned long)once,
	    (unsigned long)twice);
}

struct repeated {
	const char *name;
	struct str first;
	struct str unit;
};

static uint64_t
time_repeated(const void *row, size_t count)
{
	const struct repeated *file = row;

	return time_file(file->name, file->first, file->unit, count);
}

static void
takes_linear_time(void **state)
{
	static const struct repeated files[] = {
		{ "a.pdf", OCTETS("%PDF-"), OCTETS("(") },
		{ "a.pdf", OCTETS("%PDF-"), OCTETS(" stream ") },
		{ "a.pdf", OCTETS("%PDF-"),
		    OCTETS("1 0 obj<</Type/ObjStm>>stream x") },
		{ "a.pdf", OCTETS("%PDF-"), OCTETS("1 0 obj<</Type/ObjStm"
		    "/Filter/FlateDecode>>stream\nx\nendstream") },
		{ "a.pdf", OCTETS("%PDF-"), OCTETS("/URI<") },
		{ "a.pdf", OCTETS("%PDF-"), OCTETS("/URI(") },
		{ "a.pdf", OCTETS("%PDF-"), OCTETS("/URI(http://a.b/)") },
		{ "a.pdf", OCTETS("%PDF-"), OCTETS("/UF(a.exe)") },
		{ "a.pdf", OCTETS("%PDF-"), OCTETS("((((endobj") },
		{ "a.pdf", OCTETS("%PDF-"), OCTETS("(endobj)") },
		{ "a.pdf", OCTETS("%PDF-"), OCTETS("/#") },
		{ "a.pdf", OCTETS("%PDF-"), OCTETS("(\\") },
		{ "a.rtf", OCTETS("{\\rtf"), OCTETS("\\objdata 00") },
		{ "a.rtf", OCTETS("{\\rtf"), OCTETS("\\template ") },
		{ "a.rtf", OCTETS("{\\rtf"), OCTETS("{\\object") },
		{ "a.rtf", OCTETS("{\\rtf"), OCTETS("http://a.b/ ") },
		{ "a.zip", OCTETS("PK\003\004"), OCTETS("PK\003\004") },
		{ "a.html", OCTETS("<html>"), OCTETS("<script") },
		{ "a.html", OCTETS("<html><script>"), OCTETS("atob(.click(") },
		{ "a.html", OCTETS("<html>"), OCTETS("<a download=") },
		{ "a.html", OCTETS("<html>"), OCTETS("data:x;base64,AAAA") },
		{ "a.html", OCTETS("<html>"), OCTETS("<a href=http://a.b>c") },
		{ "a.svg", OCTETS("<svg>"), OCTETS("<a href='") },
		{ "a.txt", OCTETS("x"), OCTETS("http://a.b/") },
		{ "a.txt", OCTETS("x"), OCTETS(" a@b.example") },
		{ "a.rar", OCTETS("Rar!\032\007\0"),
		    OCTETS("\0\0\x74\0\0\007\0") },
		{ "a.rar", OCTETS("Rar!\032\007\001\0"),
		    OCTETS("\0\0\0\0\003\002\0\0") },
		{ "a.cab", OCTETS("MSCF\0\0\0\0\0\0\0\0\0\0\0\0\044\0\0\0"
		    "\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0\0\0"),
		    OCTETS("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a.exe\0") },
		{ "a.one", OCTETS("\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1"
		    "\x53\x78\xd0\x29\x96\xd3"), OCTETS("\xe7\x16\xe3\xbd\x65"
		    "\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac\1\0\0\0\0"
		    "\0\0\0") },
		{ "a.7z", OCTETS("7z\xbc\xaf\x27\x1c\0\4\0\0\0\0\0\0\0\0\0\0"
		    "\0\0\0\x20\0\0\0\0\0\0\0\0\0\0"),
		    OCTETS("\x06\xf1") },
		{ "a.gz", OCTETS("\037\213\010\0\0\0\0\0\0\003"),
		    OCTETS("\0\0\0\xff\xff") },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(files); i++)
		check_linear(time_repeated, &files[i], 20000, files[i].name,
		    i);
}

struct members {
	uint64_t (*time)(const char *name, const char *unit, size_t count);
	const char *name;
	const char *unit;
	size_t count;
};

static uint64_t
time_members(const void *row, size_t count)
{
	const struct members *file = row;

	return file->time(file->name, file->unit, count);
}

/* What members share is unpacked a few times, not once for each. */
static void
takes_linear_time_for_members(void **state)
{
	static const struct members files[] = {
		{ time_shared_octets, "a", "a.zip", 150 },
		{ time_shared_octets, "word/embeddings/a.bin", "a.docx", 150 },
		{ time_shared_octets, "word/a.rels", "a.docx", 150 },
		{ time_shared_octets, "META-INF/manifest.xml", "a.odt", 150 },
		{ time_document, "word/a.rels", "<Relationship ", 20000 },
		{ time_document, "word/a.rels", "<Relationship Target=\"x\" "
		    "TargetMode=\"External\" Type=\"/hyperlink\">", 20000 },
		{ time_document, "word/document.xml", "<w:instrText>", 20000 },
		{ time_document, "word/document.xml", "<w:fldSimple w:instr=",
		    20000 },
		{ time_tar, "a.exe", "0", 3000 },
		{ time_tar, "a.exe", "L", 3000 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(files); i++)
		check_linear(time_members, &files[i], files[i].count,
		    files[i].name, i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_linear_time),
		cmocka_unit_test(takes_linear_time_for_members),
	};

	return cmocka_run_group_tests(tests, NULL, check_end);
}
