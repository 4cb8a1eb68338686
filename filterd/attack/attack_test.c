/* SPDX-License-Identifier: ISC */
/* Kinds of files, what they promise, senders. What is inside of files:
 * inside_test.c. */
#include "base/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filterd/attack/attack.h"
#include "filterd/attack/build_int.h"
#include "filterd/attack/check_int.h"
#include "filterd/attack/kind.h"
#include "mail/scan.h"

/* ---- kinds ---- */

#define OCTETS(literal) { literal, sizeof(literal) - 1 }

static const struct {
	struct str octets;
	const char *name;
	enum attack_kind kind;
} kinds[] = {
	{ OCTETS(""), "a", KIND_EMPTY },
	{ OCTETS("hello\r\n"), "a.txt", KIND_TEXT },
	{ OCTETS("\1\2\3"), "a.txt", KIND_DATA },
	{ OCTETS("\177ELF\2\1\1"), "a.pdf", KIND_ELF },
	{ OCTETS("\xcf\xfa\xed\xfe\7\0\0\1"), "a", KIND_MACHO },
	{ OCTETS("\xca\xfe\xba\xbe\0\0\0\2"), "a", KIND_MACHO },
	{ OCTETS("\xca\xfe\xba\xbe\0\0\0\064"), "a", KIND_JAVA },
	{ OCTETS("ITSF\3\0\0\0"), "a.chm", KIND_CHM },
	{ OCTETS("%PDF-1.7\n"), "a.exe", KIND_PDF },
	{ OCTETS("\n\nrubbish %PDF-1.7\n"), "a", KIND_PDF },
	{ OCTETS("{\\rtf1 x}"), "a.doc", KIND_RTF },
	{ OCTETS("{\\rt x}"), "a.doc", KIND_RTF },
	{ OCTETS("Rar!\032\007\001\0"), "a", KIND_RAR },
	{ OCTETS("7z\xbc\xaf\x27\x1c\0\4"), "a", KIND_SEVENZIP },
	{ OCTETS("MSCF\0\0\0\0"), "a", KIND_CAB },
	{ OCTETS("\037\213\010\0"), "a", KIND_GZIP },
	{ OCTETS("BZh91AY&SY"), "a", KIND_BZIP2 },
	{ OCTETS("\xfd""7zXZ\0\0\4"), "a", KIND_XZ },
	{ OCTETS("\x28\xb5\x2f\xfd\4"), "a", KIND_ZSTD },
	{ OCTETS("\x50\x2a\x4d\x18\0\0\0\0"), "a", KIND_ZSTD },
	{ OCTETS("\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0\1"),
	    "a", KIND_LZMA },
	{ OCTETS("LZIP\1\x14"), "a", KIND_LZIP },
	{ OCTETS("\x04\x22\x4d\x18\x64"), "a", KIND_LZ4 },
	{ OCTETS("\037\235\x90\1"), "a", KIND_COMPRESS },
	{ OCTETS("1234567**ACE**"), "a", KIND_ACE },
	{ OCTETS("ZOO 2.10 Archive.\032\0\0\xdc\xa7\xc4\xfd"), "a",
	    KIND_ZOO },
	{ OCTETS("ALZ\1\n\0\0\0"), "a", KIND_ALZ },
	{ OCTETS("EGGA\0\1"), "a", KIND_EGG },
	{ OCTETS("!<arch>\ndebian"), "a", KIND_AR },
	{ OCTETS("\xed\xab\xee\xdb\3"), "a", KIND_RPM },
	{ OCTETS("070707" "0000000000" "0000000000" "0000000000" "0000000000"
	    "0000000000" "0000000000" "0000000000"), "a", KIND_CPIO },
	{ OCTETS("\x78\x9f\x3e\x22\0"), "a", KIND_TNEF },
	{ OCTETS("vhdxfile"), "a", KIND_VHDX },
	{ OCTETS("MSWIM\0\0\0"), "a", KIND_WIM },
	{ OCTETS("KDMV\1\0\0\0"), "a", KIND_VMDK },
	{ OCTETS("QFI\xfb\0\0\0\3"), "a", KIND_QCOW },
	{ OCTETS("hsqs\1\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\1\0\x11\0\0\0\1\0"
	    "\4\0"), "a", KIND_SQUASHFS },
	{ OCTETS("\x89PNG\r\n\032\n"), "a", KIND_PICTURE },
	{ OCTETS("\xff\xd8\xff\xe0"), "a", KIND_PICTURE },
	{ OCTETS("\0\0\0\030ftypheic"), "a", KIND_PICTURE },
	{ OCTETS("\0\0\0\030ftypisom"), "a", KIND_MEDIA },
	{ OCTETS("RIFF\0\0\0\0WEBP"), "a", KIND_PICTURE },
	{ OCTETS("\x22\0-lh5-\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "a", KIND_LHA },
	{ OCTETS("#!/bin/sh\n"), "a", KIND_SCRIPT },
	{ OCTETS("var x = 1;"), "a.js", KIND_SCRIPT },
	{ OCTETS("var x = 1;"), "a.txt", KIND_TEXT },
	{ OCTETS("x = CreateObject(\"WScript.Shell\")"), "a.dat",
	    KIND_SCRIPT },
	{ OCTETS("Do not run WScript.Shell"), "a.txt", KIND_TEXT },
	{ OCTETS("@echo off\r\n"), "a", KIND_SCRIPT },
	{ OCTETS("<job id=\"x\">"), "a", KIND_SCRIPT },
	{ OCTETS("<?xml version='1.0'?><scriptlet>"), "a", KIND_SCRIPT },
	{ OCTETS("<html><hta:application id=x>"), "a.html", KIND_HTA },
	{ OCTETS(" \r\n<!DOCTYPE html>"), "a", KIND_HTML },
	{ OCTETS("\xef\xbb\xbf<HTML>"), "a", KIND_HTML },
	{ OCTETS("<?xml version='1.0'?><svg xmlns=''/>"), "a", KIND_SVG },
	{ OCTETS("<?xml version='1.0'?><a/>"), "a", KIND_XML },
	{ OCTETS("[InternetShortcut]\r\nURL=http://a.example/"), "a",
	    KIND_URL_FILE },
	{ OCTETS("PK\003\004"), "a", KIND_ZIP },
	{ OCTETS("PK"), "a", KIND_TEXT }, { OCTETS("MZ"), "a", KIND_TEXT },
};

static void
tells_kinds(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(kinds); i++) {
		struct name_look look = names_look(str_of(kinds[i].name));
		enum attack_kind kind = kind_of(kinds[i].octets, &look);

		if (kind != kinds[i].kind)
			fail_msg("%s: %s, not %s", kinds[i].name,
			    kind_name(kind), kind_name(kinds[i].kind));
	}
}

/* Marks far inside, and structure. */
static void
tells_structures(void **state)
{
	static const struct {
		size_t at;
		const char *mark;
		size_t len;
		enum attack_kind kind;
	} marks[] = {
		{ 0, "MZ", 70000, KIND_DOS },
		{ 32769, "CD001", 40000, KIND_ISO },
		{ 32769, "BEA01", 40000, KIND_UDF },
		{ 257, "ustar", 1024, KIND_TAR },
		{ 69488, "conectix", 70000, KIND_VHD },
		{ 69488, "koly", 70000, KIND_DMG },
	};
	struct name_look look = { .flags = 0 };
	struct buf file;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(marks); i++) {
		buf_init(&file, 1U << 20);
		build_zeros(&file, marks[i].at);
		buf_add_cstr(&file, marks[i].mark);
		build_zeros(&file, marks[i].len - file.len);
		assert_int_equal(kind_of(buf_str(&file), &look),
		    marks[i].kind);
		buf_fini(&file);
	}
	buf_init(&file, 1024);
	buf_add_cstr(&file, "MZ");
	build_zeros(&file, 58);
	build_le(&file, 64, 4);
	buf_add(&file, "PE\0\0", 4);
	assert_int_equal(kind_of(buf_str(&file), &look), KIND_PE);
	buf_reset(&file);
	build_zeros(&file, 54);
	buf_add_cstr(&file, "FAT12   ");
	build_zeros(&file, 510 - 62);
	buf_add(&file, "\x55\xaa", 2);
	assert_int_equal(kind_of(buf_str(&file), &look), KIND_IMG);
	buf_fini(&file);
}

/* Real files of many packers, where the package is installed. */
static void
tells_real_files(void **state)
{
	static const struct {
		const char *name;
		enum attack_kind kind;
	} files[] = {
		{ "clam.exe", KIND_PE }, { "clam-upx.exe", KIND_PE },
		{ "clam.zip", KIND_ZIP }, { "clam.impl.zip", KIND_ZIP },
		{ "clam.7z", KIND_SEVENZIP }, { "clam.cab", KIND_CAB },
		{ "clam.arj", KIND_ARJ }, { "clam.chm", KIND_CHM },
		{ "clam.pdf", KIND_PDF }, { "clam.exe.rtf", KIND_RTF },
		{ "clam.ole.doc", KIND_OLE }, { "clam.ppt", KIND_OLE },
		{ "clam.tar.gz", KIND_GZIP }, { "clam.exe.bz2", KIND_BZIP2 },
		{ "clam.tnef", KIND_TNEF }, { "clam.exe.html", KIND_HTML },
		{ "clam.newc.cpio", KIND_CPIO }, { "clam.odc.cpio", KIND_CPIO },
		{ "clam.bin-le.cpio", KIND_CPIO },
		{ "clam.bin-be.cpio", KIND_CPIO },
	};
	struct name_look look = { .flags = 0 };
	char path[256];
	struct stat st;
	size_t i;

	(void)state;
	if (access("/usr/share/clamav-testfiles/clam.zip", R_OK) != 0)
		fail_msg("package clamav-testfiles is not installed");
	for (i = 0; i < COUNT_OF(files); i++) {
		enum attack_kind kind;
		void *map;
		int fd;

		(void)snprintf(path, sizeof(path),
		    "/usr/share/clamav-testfiles/%s", files[i].name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd != -1 && fstat(fd, &st) == 0);
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE,
		    fd, 0);
		assert_true(map != MAP_FAILED);
		kind = kind_of(str_make(map, (size_t)st.st_size), &look);
		if (kind != files[i].kind)
			fail_msg("%s: %s", path, kind_name(kind));
		(void)munmap(map, (size_t)st.st_size);
		(void)close(fd);
	}
}

/* ---- what a name and a type promise ---- */

static void
finds_disguises(void **state)
{
	static const char elf[] = "\177ELF\2\1\1\0";
	struct str program = str_make(elf, 8);

	(void)state;
	check_file("a.bin", "application", "octet-stream", program,
	    "executable");
	check_file("a.pdf", "application", "pdf", program,
	    "executable type-mismatch");
	check_file("a", "image", "png", program, "executable type-mismatch");
	check_file("a.pdf.exe", "application", "octet-stream", program,
	    "executable-name double-extension executable");
	check_file("a.pdf", "application", "pdf", STR("<html>hello"),
	    "type-mismatch");
	check_file("a.html", "text", "html", STR("<html>hello"), "");
	check_file("a.txt", "text", "plain", STR("hello"), "");
	check_file("a.jpg", "image", "jpeg", STR("\xff\xd8\xff\xe0"), "");
	check_file("a.png", "image", "png", STR("\xff\xd8\xff\xe0"), "");
	check_file("a.doc", "application", "msword", STR("{\\rtf1 x}"), "");
	check_file("a.svg", "image", "svg+xml", STR("<svg><path/></svg>"), "");
	check_file("a.svg", "image", "svg+xml",
	    STR("<svg><script>1</script></svg>"), "svg-script");
	check_file("a.js", "text", "javascript", STR("x"),
	    "executable-name script");
	check_file("a.iso", "application", "octet-stream", STR("x"),
	    "disk-image");
	/* What a mail program shows is no file. */
	check_file("", "text", "plain", STR("#!/bin/sh\n"), "");
	check_file("", "text", "html", STR("<html><script>x</script>"), "");
}

/* ---- senders ---- */

static const struct {
	const char *header;
	const char *want;
} senders[] = {
	{ "From: A <a@other.example>\r\n\r\n", "" },
	{ "From: Hikyaku Express <a@hikyaku.example>\r\n\r\n", "" },
	{ "From: Hikyaku Express <a@other.example>\r\n\r\n", "name-brand" },
	{ "From: hikyaku  express support <a@other.example>\r\n\r\n",
	    "name-brand" },
	{ "From: Hikyaku Expressions <a@other.example>\r\n\r\n", "" },
	{ "From: =?UTF-8?B?6aOb6ISa5ZWG5LqL?= <a@other.example>\r\n\r\n",
	    "name-brand" },
	{ "From: \"boss@hikyaku.example\" <a@other.example>\r\n\r\n",
	    "name-ours" },
	/* A full-width at sign. */
	{ "From: \"boss\xef\xbc\xa0hikyaku.example\" <a@other.example>\r\n"
	    "\r\n", "name-ours" },
	{ "From: \"x@third.example\" <a@other.example>\r\n\r\n",
	    "name-address" },
	{ "From: \"a@other.example\" <a@other.example>\r\n\r\n", "" },
	{ "From: \"a@mail.other.example\" <a@other.example>\r\n\r\n", "" },
	{ "From: a@hikyakv.example\r\n\r\n", "sender-lookalike" },
	{ "From: a@hikyaku.net\r\n\r\n", "sender-other-tld" },
	{ "From: a@hiky\xd0\xb0ku.example\r\n\r\n",
	    "sender-lookalike sender-mixed-script" },
	{ "From: a@other.example\r\nReply-To: b@third.test\r\n\r\n",
	    "reply-elsewhere" },
	{ "From: a@other.example\r\nReply-To: b@hikyaku-login.com\r\n\r\n",
	    "reply-elsewhere reply-lookalike" },
	{ "From: a@other.example\r\nReply-To: b@mail.other.example\r\n\r\n",
	    "" },
	{ "From:\r\n\r\n", "" }, { "\r\n", "" }, { "", "" },
	{ "From: <@@>, \"@\" <>, a@\r\nReply-To: ;;;\r\n\r\n", "" },
};

static void
looks_at_senders(void **state)
{
	struct attack_report report;
	struct attack_look *look;
	struct buf got;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(senders); i++) {
		look = attack_open(check_attack(), &report);
		attack_look_at_message(look, str_of(senders[i].header));
		attack_close(&look);
		buf_init(&got, 4096);
		check_put_traits(&got, &report);
		if (!str_eq(buf_str(&got), str_of(senders[i].want)))
			fail_msg("%s: %.*s", senders[i].header,
			    STR_FMT(buf_str(&got)));
		buf_fini(&got);
	}
}

/* Two names of one part: both count. */
static void
reads_summaries(void **state)
{
	static const char text[] =
	    "Content-Type: application/pdf; name=\"a.pdf.exe\"\r\n"
	    "Content-Disposition: attachment;\r\n"
	    " filename*=utf-8''%E8%AB%8B.pdf\r\n\r\n%PDF-1.7\r\n";
	struct scan *scan = scan_new();
	struct arena *arena = arena_new(0);
	struct attack_report report;
	struct attack_look *look = attack_open(check_attack(), &report);
	struct attack_part part;
	const struct mail_summary *summary;

	(void)state;
	scan_feed(scan, text, sizeof(text) - 1);
	summary = scan_end(scan);
	attack_part_of(arena, &summary->parts[0], 0, -1, &part);
	assert_true(str_eq(part.name, STR("\xe8\xab\x8b.pdf")));
	assert_true(str_eq(part.other_name, STR("a.pdf.exe")));
	assert_true(str_eq(part.subtype, STR("pdf")));
	assert_int_equal(part.charset.len, 0);
	attack_look_at_octets(look, &part, STR("%PDF-1.7\r\n"));
	attack_close(&look);
	assert_true(attack_has(&report, ATTACK_DOUBLE_EXTENSION));
	assert_true(attack_has(&report, ATTACK_EXECUTABLE_NAME));
	scan_free(&scan);
	arena_free(&arena);
}

static uint64_t
time_sender(size_t count)
{
	struct attack_report report;
	struct attack_look *look = attack_open(check_attack(), &report);
	struct buf header;
	uint64_t begin_us;
	size_t i;

	buf_init(&header, 16U << 20);
	buf_add_cstr(&header, "From: ");
	for (i = 0; i < count; i++)
		buf_add_cstr(&header, "=?utf-8?q?a=40b.c?= <a@b.example>,\r\n ");
	buf_add_cstr(&header, "\r\n");
	for (i = 0; i < count; i++)
		buf_add_cstr(&header, "X: =?=?=?@@@\r\nReply-To: <<a@b,\r\n");
	begin_us = test_cpu_us();
	attack_look_at_message(look, buf_str(&header));
	begin_us = test_cpu_us() - begin_us;
	attack_close(&look);
	buf_fini(&header);
	return begin_us;
}

static void
bounds_senders(void **state)
{
	unsigned tries;

	(void)state;
	for (tries = 0; tries < TEST_LINEAR_TRIES; tries++)
		if (test_is_linear(time_sender(10000), time_sender(20000)))
			return;
	fail();
}

/* ---- by descriptor ---- */

static void
reads_descriptors(void **state)
{
	struct attack_part part = { .number = 4, .name = STR("a.pdf"),
		.type = STR("application"), .subtype = STR("pdf"),
		.charset = STR("") };
	struct attack_report report;
	struct attack_look *look = attack_open(check_attack(), &report);

	(void)state;
	part.fd = memfd_create("part", MFD_CLOEXEC);
	assert_true(part.fd != -1);
	attack_look_at_part(look, &part);
	assert_int_equal(report.traits, 0);
	assert_int_equal(write(part.fd, "\177ELF\2\1\1\0", 8), 8);
	attack_look_at_part(look, &part);
	attack_close(&look);
	assert_true(attack_has(&report, ATTACK_EXECUTABLE));
	assert_true(attack_has(&report, ATTACK_TYPE_MISMATCH));
	assert_true(attack_is_suspicious(&report));
	assert_int_equal(report.notes[0].part, 4);
	assert_string_equal(report.notes[0].detail, "a.pdf");
	(void)close(part.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_kinds),
		cmocka_unit_test(tells_structures),
		cmocka_unit_test(tells_real_files),
		cmocka_unit_test(finds_disguises),
		cmocka_unit_test(looks_at_senders),
		cmocka_unit_test(reads_summaries),
		cmocka_unit_test(bounds_senders),
		cmocka_unit_test(reads_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, check_end);
}
