/* SPDX-License-Identifier: ISC */
/* Archives, documents, shortcuts and pages: every trait that is found in
 * them, and that nothing in them stops us. */
#include "base/test.h"

#include <zlib.h>

#include "filterd/attack/build_int.h"
#include "filterd/attack/check_int.h"

#define OCTETS(literal) { literal, sizeof(literal) - 1 }

/* ---- archives ---- */

static void
looks_into_zips(void **state)
{
	static const struct {
		const char *what;
		struct member members[3];
		size_t count;
		const char *want;
	} zips[] = {
		{ "plain", { { "a.txt", "x", false, false, NULL },
		    { "d/", "", false, false, NULL } }, 2, "" },
		{ "program", { { "d/a.pdf.exe", "MZ", true, false, NULL } }, 1,
		    "double-extension archive-executable" },
		{ "script", { { "a.vbs", "x = 1", true, false, NULL } }, 1,
		    "script archive-executable" },
		{ "script by content",
		    { { "a.dat", "#!/bin/sh", false, false, NULL } }, 1,
		    "script" },
		{ "encrypted", { { "a.txt", "abcdefghijkl", false, true,
		    NULL } }, 1, "archive-encrypted" },
		{ "encrypted program", { { "a.scr", "abcdefghijkl", false,
		    true, NULL } }, 1, "archive-encrypted archive-executable" },
		{ "two names", { { "a.txt", "x", false, false, "a.exe" } }, 1,
		    "archive-odd" },
		{ "disk image", { { "a.iso", "x", false, false, NULL } }, 1,
		    "disk-image" },
		{ "web page", { { "a.html", "<script>x</script>", true, false,
		    NULL } }, 1, "html-script" },
	};
	struct buf zip;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(zips); i++) {
		buf_init(&zip, 65536);
		build_zip(&zip, zips[i].members, zips[i].count);
		check_file("a.zip", "application", "zip", buf_str(&zip),
		    zips[i].want);
		buf_fini(&zip);
	}
}

static void
looks_into_nested_zips(void **state)
{
	struct buf inner, outer;
	unsigned depth;

	(void)state;
	buf_init(&inner, 1U << 20);
	buf_init(&outer, 1U << 20);
	build_zip_of(&inner, "a.exe", STR("\177ELF\2\1\1\0"));
	for (depth = 2; depth <= 8; depth++) {
		buf_reset(&outer);
		build_zip_of(&outer, "b.zip", buf_str(&inner));
		check_file("c.zip", "application", "zip", buf_str(&outer),
		    depth == 2 || depth == 3 ?
		    "executable archive-executable archive-nested" :
		    depth == 4 ?
		    "archive-executable archive-nested container-limit" :
		    "archive-nested container-limit");
		buf_reset(&inner);
		buf_add_str(&inner, buf_str(&outer));
	}
	buf_fini(&inner);
	buf_fini(&outer);
}

/* 40 MB of nothing: bounded, and said so. */
static void
bounds_bombs(void **state)
{
	struct buf nothing, zip;
	uint64_t begin_us;

	(void)state;
	buf_init(&nothing, 64U << 20);
	build_zeros(&nothing, 40U << 20);
	buf_init(&zip, 1U << 20);
	build_zip_of(&zip, "a.dat", buf_str(&nothing));
	begin_us = test_cpu_us();
	check_file("a.zip", "application", "zip", buf_str(&zip),
	    "container-limit");
	assert_true(test_cpu_us() - begin_us < 5000000);
	buf_fini(&nothing);
	buf_fini(&zip);
}

/* One member, named by a thousand entries. */
static void
tells_overlapping_members(void **state)
{
	struct buf noise, zip;
	uint32_t x = 1;
	size_t i;

	(void)state;
	buf_init(&noise, 1U << 20);
	for (i = 0; i < 100000; i++) {
		x = x * 1103515245U + 12345U;
		buf_add_char(&noise, (char)(1 | (x >> 16 & 0x7e)));
	}
	buf_init(&zip, 1U << 20);
	build_zip_overlapping(&zip, buf_str(&noise), 1000);
	check_file("a.zip", "application", "zip", buf_str(&zip),
	    "archive-odd container-limit");
	buf_fini(&zip);
	buf_fini(&noise);
}

static void
put_gzip(struct buf *out, struct str octets)
{
	buf_add(out, "\037\213\010\0\0\0\0\0\0\003", 10);
	build_deflated(out, octets, true);
	build_le(out, crc32(0, (const Bytef *)octets.p, (uInt)octets.len), 4);
	build_le(out, octets.len, 4);
}

/* gzip in gzip: looked into so far, and said so. */
static void
looks_into_gzip(void **state)
{
	struct buf inner, outer;
	unsigned depth;

	(void)state;
	buf_init(&inner, 1U << 20);
	buf_init(&outer, 1U << 20);
	put_gzip(&inner, STR("\177ELF\2\1\1\0"));
	check_file("a.exe.gz", "", "", buf_str(&inner),
	    "executable archive-executable");
	for (depth = 2; depth <= 50; depth++) {
		buf_reset(&outer);
		put_gzip(&outer, buf_str(&inner));
		buf_reset(&inner);
		buf_add_str(&inner, buf_str(&outer));
	}
	check_file("a.gz", "application", "gzip", buf_str(&outer),
	    "archive-nested container-limit");
	buf_fini(&inner);
	buf_fini(&outer);
}

static void
looks_into_tar(void **state)
{
	struct buf tar;

	(void)state;
	buf_init(&tar, 65536);
	build_tar(&tar, '5', "dir.exe/", STR(""));
	build_tar(&tar, '0', "dir/a.txt", STR("hello"));
	check_file("a.tar", "application", "x-tar", buf_str(&tar), "");
	build_tar(&tar, 'L', "././@LongLink", STR("dir/b.pdf.exe\0"));
	build_tar(&tar, '0', "dir/b.pdf", STR("\177ELF\2\1\1\0"));
	check_file("a.tar", "application", "x-tar", buf_str(&tar),
	    "double-extension executable archive-executable");
	check_file("a.tar", "application", "x-tar",
	    str_sub(buf_str(&tar), 0, tar.len - 510), "container-limit");
	check_shake("a.tar", buf_str(&tar));
	buf_fini(&tar);
}

static void
looks_into_cabinets(void **state)
{
	static const char names[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a.txt\0"
	    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0b.scr";
	struct buf cab;

	(void)state;
	buf_init(&cab, 4096);
	buf_add(&cab, "MSCF", 4);
	build_zeros(&cab, 12);
	build_le(&cab, 36, 4);
	build_zeros(&cab, 8);
	build_le(&cab, 2, 2);
	build_zeros(&cab, 6);
	buf_add(&cab, names, sizeof(names));
	check_file("a.cab", "", "", buf_str(&cab), "archive-executable");
	check_shake("a.cab", buf_str(&cab));
	buf_fini(&cab);
}

/* What is inside is not seen, and that is said; a password stops others. */
static void
tells_unread_archives(void **state)
{
	static const struct {
		struct str octets;
		const char *want;
	} archives[] = {
		{ OCTETS("7z\xbc\xaf\x27\x1c\0\4\0\0\0\0" "\0\0\0\0\0\0\0\0"
		    "\4\0\0\0\0\0\0\0" "\0\0\0\0" "\1\4\6\0"),
		    "archive-unread" },
		{ OCTETS("7z\xbc\xaf\x27\x1c\0\4\0\0\0\0" "\0\0\0\0\0\0\0\0"
		    "\6\0\0\0\0\0\0\0" "\0\0\0\0" "\1\x06\xf1\x07\x01\0"),
		    "archive-encrypted" },
		{ OCTETS("BZh91AY&SY"), "archive-unread" },
		{ OCTETS("\xfd""7zXZ\0\0\4"), "archive-unread" },
		{ OCTETS("\x28\xb5\x2f\xfd\4"), "archive-unread" },
		{ OCTETS("\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff"
		    "\0\1"), "archive-unread" },
		{ OCTETS("LZIP\1\x14"), "archive-unread" },
		{ OCTETS("\x04\x22\x4d\x18\x64"), "archive-unread" },
		{ OCTETS("\037\235\x90\1"), "archive-unread" },
		{ OCTETS("\x22\0-lh5-\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
		    "archive-unread" },
		{ OCTETS("\x60\xea\x1e\0\x1e\x0b\1\0\0\0\2\0\0"),
		    "archive-unread" },
		{ OCTETS("1234567**ACE**"), "archive-unread" },
		{ OCTETS("ZOO 2.10 Archive.\032\0\0\xdc\xa7\xc4\xfd"),
		    "archive-unread" },
		{ OCTETS("ALZ\1\n\0\0\0"), "archive-unread" },
		{ OCTETS("EGGA\0\1"), "archive-unread" },
		{ OCTETS("!<arch>\ndebian"), "archive-unread" },
		{ OCTETS("\xed\xab\xee\xdb\3"), "archive-unread" },
		{ OCTETS("070707" "0000000000" "0000000000" "0000000000"
		    "0000000000" "0000000000" "0000000000" "0000000000"),
		    "archive-unread" },
		{ OCTETS("\x78\x9f\x3e\x22\0"), "archive-unread" },
	};
	struct buf zip;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(archives); i++)
		check_file("a.dat", "application", "octet-stream",
		    archives[i].octets, archives[i].want);
	buf_init(&zip, 4096);
	build_zip_of(&zip, "a.xz", STR("\xfd""7zXZ\0\0\4"));
	check_file("a.zip", "application", "zip", buf_str(&zip),
	    "archive-nested archive-unread");
	buf_fini(&zip);
}

/* By their octets: their names are those of anything. */
static void
tells_disk_images(void **state)
{
	static const struct {
		size_t at;
		struct str mark;
	} images[] = {
		{ 0, OCTETS("KDMV\1\0\0\0") }, { 0, OCTETS("QFI\xfb\0\0\0\3") },
		{ 0, OCTETS("hsqs\1\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0"
		    "\1\0\x11\0\0\0\1\0\4\0") }, { 0, OCTETS("vhdxfile") },
		{ 0, OCTETS("conectix") }, { 0, OCTETS("MSWIM\0\0\0") },
		{ 32769, OCTETS("CD001") }, { 32769, OCTETS("NSR02") },
		{ 69632 - 512, OCTETS("koly") }, { 510, OCTETS("\x55\xaa"
		    "EFI PART") },
	};
	struct buf file;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(images); i++) {
		buf_init(&file, 1U << 20);
		build_zeros(&file, images[i].at);
		buf_add_str(&file, images[i].mark);
		build_zeros(&file, 69632 - file.len);
		check_file("a.dat", "application", "octet-stream",
		    buf_str(&file), "disk-image");
		check_file("a.pdf", "application", "pdf", buf_str(&file),
		    "disk-image type-mismatch");
		buf_fini(&file);
	}
}

/* A cut archive, without its directory. */
static void
repairs_zips(void **state)
{
	struct buf zip;

	(void)state;
	buf_init(&zip, 65536);
	build_zip_of(&zip, "a.exe", STR("\177ELF\2\1\1\0"));
	check_file("a.zip", "application", "zip",
	    str_sub(buf_str(&zip), 0, zip.len - 30),
	    "executable archive-executable container-limit");
	buf_fini(&zip);
}

static void
reads_rar(void **state)
{
	static const char five[] = "Rar!\032\007\001\0"
	    "\0\0\0\0\003\001\0\0"		/* main */
	    "\0\0\0\0\015\002\0\0\004\004\0\0\005""a.exe"	/* file */
	    "\0\0\0\0\003\005\0\0";
	static const char locked[] = "Rar!\032\007\001\0"
	    "\0\0\0\0\003\004\0\0";
	static const char four[] = "Rar!\032\007\0"
	    "\0\0\x73\0\0\015\0\0\0\0\0\0\0"
	    "\0\0\x74\004\0\045\0" "\0\0\0\0" "\0\0\0\0" "\0" "\0\0\0\0"
	    "\0\0\0\0" "\0" "\060" "\005\0" "\0\0\0\0" "a.scr"
	    "\0\0\x7b\0\0\007\0";

	(void)state;
	check_file("a.rar", "", "", str_make(five, sizeof(five) - 1),
	    "archive-executable");
	check_file("a.rar", "", "", str_make(locked, sizeof(locked) - 1),
	    "archive-encrypted");
	check_file("a.rar", "", "", str_make(four, sizeof(four) - 1),
	    "archive-encrypted archive-executable");
	check_shake("a.rar", str_make(five, sizeof(five) - 1));
	check_shake("a.rar", str_make(four, sizeof(four) - 1));
}

/* ---- office ---- */

#define TYPES "[Content_Types].xml"
#define EXTERNAL " Target=\"http://a.example/x\" TargetMode=\"External\"/>"

static const struct {
	const char *name;
	struct member members[3];
	size_t count;
	const char *want;
} documents[] = {
	{ "a.docx", { { TYPES, "<Types/>", true, false, NULL },
	    { "word/document.xml", "<w:t>hello", true, false, NULL } }, 2,
	    "" },
	{ "a.docm", { { TYPES, "<Types/>", true, false, NULL },
	    { "word/vbaProject.bin", "x", true, false, NULL } }, 2,
	    "office-macro" },
	{ "a.xlsm", { { TYPES, "<Override ContentType=\"application/vnd.ms-"
	    "excel.sheet.macroEnabled.main+xml\"/>", true, false, NULL } }, 1,
	    "office-macro" },
	{ "a.docx", { { TYPES, "<Types/>", true, false, NULL },
	    { "word/vbaProject.bin", "x", true, false, NULL } }, 2,
	    "office-macro office-macro-hidden" },
	/* Another name for the same part. */
	{ "a.docx", { { TYPES, "<Override PartName=\"/word/x.bin\" "
	    "ContentType=\"application/vnd.ms-office.vbaProject\"/>", true,
	    false, NULL } }, 1, "office-macro office-macro-hidden" },
	{ "a.xlsx", { { TYPES, "<Types/>", true, false, NULL },
	    { "xl/macrosheets/sheet1.xml", "x", true, false, NULL } }, 2,
	    "office-xlm" },
	{ "a.docx", { { TYPES, "<Types/>", true, false, NULL },
	    { "word/_rels/settings.xml.rels", "<Relationship Id=\"1\" Type="
	    "\"http://x/attachedTemplate\"" EXTERNAL, true, false, NULL } }, 2,
	    "office-template" },
	{ "a.docx", { { TYPES, "<Types/>", true, false, NULL },
	    { "word/_rels/document.xml.rels", "<Relationship Id=\"1\" Type="
	    "\"http://x/oleObject\"" EXTERNAL, true, false, NULL } }, 2,
	    "office-external" },
	{ "a.docx", { { TYPES, "<Types/>", true, false, NULL },
	    { "word/_rels/document.xml.rels", "<Relationship Id=\"1\" Type="
	    "\"http://x/hyperlink\" Target=\"http://3221225985/\" "
	    "TargetMode=\"External\"/>", true, false, NULL } }, 2,
	    "url-address url-odd-address" },
	{ "a.docx", { { TYPES, "<Types/>", true, false, NULL },
	    { "word/document.xml", "<w:instrText>DDE</w:instrText><w:x/>"
	    "<w:instrText a=\"b\">AUTO c:\\x</w:instrText>", true, false,
	    NULL } }, 2, "office-dde" },
	{ "a.docx", { { TYPES, "<Types/>", true, false, NULL },
	    { "word/activeX/activeX1.bin", "x", true, false, NULL } }, 2,
	    "office-activex" },
	{ "a.odt", { { "mimetype", "application/vnd.oasis.opendocument.text",
	    false, false, NULL }, { "META-INF/manifest.xml",
	    "<manifest:encryption-data/>", true, false, NULL },
	    { "Basic/Standard/M.xml", "<x/>", true, false, NULL } }, 3,
	    "office-macro office-macro-hidden office-encrypted" },
};

static void
looks_into_documents(void **state)
{
	struct buf zip;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(documents); i++) {
		buf_init(&zip, 65536);
		build_zip(&zip, documents[i].members, documents[i].count);
		check_file(documents[i].name, "application", "octet-stream",
		    buf_str(&zip), documents[i].want);
		if (i == 6)
			check_shake("a.docx", buf_str(&zip));
		buf_fini(&zip);
	}
}

static void
looks_into_compound_files(void **state)
{
	static const char equation[] = "\x02\xce\x02\0\0\0\0\0\xc0\0\0\0\0\0"
	    "\0F";
	static const char installer[] = "\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0"
	    "\0F";
	static char document[4096], book[4096];
	const struct {
		const char *name;
		struct stream streams[3];
		size_t count;
		const char *want;
	} files[] = {
		{ "a.doc", { { "Root Entry", 5, NULL, STR_NONE },
		    { "WordDocument", 2, NULL, STR_NONE } }, 2, "" },
		{ "a.doc", { { "Root Entry", 5, NULL, STR_NONE },
		    { "Macros", 1, NULL, STR_NONE } }, 2, "office-macro" },
		{ "a.xls", { { "Root Entry", 5, NULL, STR_NONE },
		    { "_VBA_PROJECT_CUR", 1, NULL, STR_NONE } }, 2,
		    "office-macro" },
		{ "a.doc", { { "Root Entry", 5, NULL, STR_NONE },
		    { "\001Ole10Native", 2, NULL, STR_NONE } }, 2,
		    "office-package" },
		{ "a.doc", { { "Root Entry", 5, NULL, STR_NONE },
		    { "_1", 1, equation, STR_NONE } }, 2, "office-equation" },
		{ "a.docx", { { "Root Entry", 5, NULL, STR_NONE },
		    { "EncryptionInfo", 2, NULL, STR_NONE },
		    { "EncryptedPackage", 2, NULL, STR_NONE } }, 3,
		    "office-encrypted" },
		{ "a.doc", { { "Root Entry", 5, NULL, STR_NONE },
		    { "WordDocument", 2, NULL, { document,
		    sizeof(document) } } }, 2, "office-encrypted" },
		{ "a.xls", { { "Root Entry", 5, NULL, STR_NONE },
		    { "Workbook", 2, NULL, { book, sizeof(book) } } }, 2,
		    "office-xlm office-encrypted" },
		{ "a.msi", { { "Root Entry", 5, installer, STR_NONE } }, 1,
		    "executable-name installer" },
	};
	struct buf file;
	size_t i;

	(void)state;
	memcpy(document, "\xec\xa5\xc1\0\0\0\0\0\0\0\0\001", 12);
	/* BOF, FILEPASS, BOUNDSHEET8 of a macro sheet */
	memcpy(book, "\x09\x08\x02\0\0\0\x2f\0\x02\0\0\0\x85\0\x08\0\0\0\0\0"
	    "\0\001\001\0", 24);
	for (i = 0; i < COUNT_OF(files); i++) {
		buf_init(&file, 1U << 20);
		build_cfb(&file, files[i].streams, files[i].count);
		check_file(files[i].name, "application", "octet-stream",
		    buf_str(&file), files[i].want);
		if (files[i].streams[1].content.p == book)
			check_shake("a.doc", buf_str(&file));
		buf_fini(&file);
	}
}

/* A directory whose chain leads back to itself. */
static void
ends_loops(void **state)
{
	const struct stream streams[] = { { "Root Entry", 5, NULL, STR_NONE } };
	struct buf file;

	(void)state;
	buf_init(&file, 1U << 20);
	build_cfb(&file, streams, 1);
	memcpy(file.p + file.start + 512 + 4, "\001\0\0\0", 4);
	check_file("a.doc", "application", "msword", buf_str(&file),
	    "container-limit");
	buf_fini(&file);
}

static void
looks_into_rich_text(void **state)
{
	static const struct {
		const char *text;
		const char *want;
	} files[] = {
		{ "{\\rtf1 hello \\par}", "" },
		{ "{\\rtf1{\\object\\objemb{\\*\\objdata 0105}}}",
		    "rtf-object" },
		{ "{\\rtf1{\\object\\objupdate}}", "rtf-update" },
		/* "Equation.3", with blanks and words between */
		{ "{\\rtf1{\\*\\objdata 45 71\\x1 75\n61{\\y}74696f6e2e33}}",
		    "office-equation rtf-object" },
		{ "{\\rtf1{\\*\\objdata 5061636b61676500}}",
		    "office-package rtf-object" },
		{ "{\\rtf1{\\*\\template http://a.example/x.dotm}}",
		    "office-template" },
		{ "{\\rtf1{\\*\\template C:\\\\Normal.dotm}}", "" },
		{ "{\\rtf1{\\field{\\*\\fldinst DDEAUTO x}}\\ddeauto}",
		    "office-dde" },
		{ "{\\rtf1\\", "" }, { "{\\rtf1\\objdata", "rtf-object" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(files); i++)
		check_file("a.rtf", "application", "rtf",
		    str_of(files[i].text), files[i].want);
}

static void
looks_into_notebooks(void **state)
{
	static const char guid[] = "\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4"
	    "\x8d\x4d\x0b\x7a\x9e\xac";
	static const struct {
		struct str inside;
		const char *want;
	} files[] = {
		{ OCTETS("\x89PNG\r\n\032\n"), "" },
		{ OCTETS("hello"), "onenote-file" },
		{ OCTETS("\177ELF\2\1\1\0"),
		    "onenote-file archive-executable" },
	};
	struct buf file;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(files); i++) {
		buf_init(&file, 65536);
		buf_add(&file, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53"
		    "\x78\xd0\x29\x96\xd3", 16);
		build_zeros(&file, 100);
		buf_add(&file, guid, 16);
		build_le(&file, files[i].inside.len, 8);
		build_zeros(&file, 12);
		buf_add_str(&file, files[i].inside);
		check_file("a.one", "application", "onenote", buf_str(&file),
		    files[i].want);
		check_shake("a.one", buf_str(&file));
		buf_fini(&file);
	}
}

/* ---- PDF ---- */

static const struct {
	const char *text;
	const char *want;
} pdfs[] = {
	{ "%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj", "" },
	{ "%PDF-1.7\n1 0 obj<</S/JavaScript/JS(x)>>endobj", "pdf-script" },
	{ "%PDF-1.7\n1 0 obj<</S/J#61vaScript>>endobj",
	    "pdf-script pdf-hidden-name" },
	{ "%PDF-1.7\n1 0 obj<</OpenAction 2 0 R>>endobj 2 0 obj<</S/Launch"
	    "/F(cmd.exe)>>endobj", "archive-executable pdf-launch pdf-action" },
	{ "%PDF-1.7\n1 0 obj<</Type/EmbeddedFile/UF(a.js)>>endobj",
	    "archive-executable pdf-file" },
	{ "%PDF-1.7\n1 0 obj<</Encrypt 2 0 R>>endobj", "pdf-encrypted" },
	{ "%PDF-1.7\n1 0 obj<</URI(http://a.example@3221225985/)>>endobj",
	    "url-userinfo url-address url-odd-address" },
	{ "%PDF-1.7\n1 0 obj<</URI(http://hikyakv\\056example/)>>endobj",
	    "url-lookalike" },
	{ "%PDF-1.7\n1 0 obj<</URI<687474703a2f2f3139322e302e322e31>>>endobj",
	    "url-address" },
	/* Text that names them; a stream's octets. */
	{ "%PDF-1.7\n1 0 obj(see /JavaScript \\( and /Launch)endobj", "" },
	{ "%PDF-1.7\n1 0 obj<</Length 12>>stream\n/JavaScript \nendstream",
	    "" },
	/* A length that would hide the next object. */
	{ "%PDF-1.7\n1 0 obj<</Length 40>>stream\nx\nendstream endobj "
	    "2 0 obj<</S/JavaScript>>endobj", "pdf-script" },
	/* A parenthesis between objects does not hide them. */
	{ "%PDF-1.7\n( 1 0 obj<</S/JavaScript>>endobj", "pdf-script" },
	{ "%PDF-1.7\n( 1 0 obj<</S/JavaScript>>endobj )", "pdf-script" },
	{ "%PDF-1.7\n1 0 obj<</JS", "pdf-script" }, { "%PDF-1.7\n(", "" },
	{ "%PDF-1.7\n(\\", "" }, { "%PDF-1.7\n/#", "" },
	{ "%PDF-1.7\n/URI<", "" }, { "%PDF-1.7\nstream", "" },
};

static void
looks_into_pdf(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(pdfs); i++) {
		check_file("a.pdf", "application", "pdf",
		    str_of(pdfs[i].text), pdfs[i].want);
		check_shake("a.pdf", str_of(pdfs[i].text));
	}
}

/* The same inside a packed object stream. */
static void
looks_into_object_streams(void **state)
{
	struct buf file, packed;

	(void)state;
	buf_init(&file, 1U << 20);
	buf_init(&packed, 1U << 20);
	build_deflated(&packed, STR("3 0 <</S/JavaScript/URI(http://"
	    "3221225985/)>>"), false);
	buf_addf(&file, "%%PDF-1.7\n1 0 obj<</Type/ObjStm/Filter/FlateDecode"
	    "/Length %zu>>stream\r\n", packed.len);
	buf_add_str(&file, buf_str(&packed));
	buf_add_cstr(&file, "\nendstream endobj");
	check_file("a.pdf", "application", "pdf", buf_str(&file),
	    "pdf-script url-address url-odd-address");
	check_shake("a.pdf", buf_str(&file));
	buf_reset(&file);
	buf_add_cstr(&file, "%PDF-1.7\n1 0 obj<</Type/ObjStm/Filter[/ASCIIHex"
	    "Decode/FlateDecode]>>stream\nx\nendstream");
	check_file("a.pdf", "application", "pdf", buf_str(&file),
	    "container-limit");
	buf_fini(&packed);
	buf_fini(&file);
}

/* ---- shortcuts, pages ---- */

static void
looks_into_shortcuts(void **state)
{
	struct buf file;

	(void)state;
	buf_init(&file, 65536);
	build_lnk(&file, "..\\notes.txt", "");
	check_file("a.lnk", "application", "octet-stream", buf_str(&file),
	    "executable-name shortcut");
	buf_reset(&file);
	build_lnk(&file, "..\\Windows\\System32\\CMD.EXE", "/c echo hello");
	check_file("a.pdf", "application", "pdf", buf_str(&file),
	    "shortcut shortcut-command type-mismatch");
	check_shake("a.lnk", buf_str(&file));
	buf_fini(&file);
}

static void
looks_into_pages(void **state)
{
	struct buf page;
	size_t i;

	(void)state;
	check_file("a.html", "text", "html", STR("<script>var b = new Blob("
	    "[atob(x)]);a.download='x.zip';a.click()</script>"),
	    "html-smuggling html-script");
	check_file("", "text", "html", STR("<script>var b = new Blob([atob(x)"
	    "]);a.download='x.zip';a.click()</script>"), "html-smuggling");
	check_file("a.html", "text", "html", STR("<a download='x.zip' href="
	    "'data:application/zip;base64,UEsDBA=='>x</a>"),
	    "html-smuggling url-scheme");
	check_file("a.html", "text", "html", STR("<form action=//a.example>"
	    "<input type=\"password\"></form>"), "html-password");
	check_file("a.html", "text", "html", STR("<script>go()</script>"),
	    "html-script");
	/* A large picture in a page is a picture. */
	buf_init(&page, 1U << 20);
	buf_add_cstr(&page, "<script>atob('eA==');a.click()</script><img src='"
	    "data:image/png;base64,");
	for (i = 0; i < 10000; i++)
		buf_add_cstr(&page, "QUJD");
	buf_add_cstr(&page, "'>");
	check_file("a.html", "text", "html", buf_str(&page), "html-script");
	buf_fini(&page);
	check_file("", "text", "html", STR("<a href='http://evil.example/'>"
	    "https://hikyaku.example/</a>"), "url-deceptive");
	check_file("", "text", "plain", STR("http://hikyaku.example/ "
	    "http://hiky\xd0\xb0ku.example/"),
	    "url-mixed-script url-lookalike");
}

/* UTF-16 pages are read too. */
static void
reads_wide_pages(void **state)
{
	static const char text[] = "<a href='http://3221225985/'>x</a>";
	struct buf page;
	size_t i;

	(void)state;
	buf_init(&page, 4096);
	buf_add(&page, "\xff\xfe", 2);
	for (i = 0; i < sizeof(text) - 1; i++)
		build_le(&page, (unsigned char)text[i], 2);
	check_file("a.html", "text", "html", buf_str(&page),
	    "url-address url-odd-address");
	buf_fini(&page);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_into_zips),
		cmocka_unit_test(looks_into_nested_zips),
		cmocka_unit_test(bounds_bombs),
		cmocka_unit_test(tells_overlapping_members),
		cmocka_unit_test(looks_into_gzip),
		cmocka_unit_test(looks_into_tar),
		cmocka_unit_test(looks_into_cabinets),
		cmocka_unit_test(tells_unread_archives),
		cmocka_unit_test(tells_disk_images),
		cmocka_unit_test(repairs_zips),
		cmocka_unit_test(reads_rar),
		cmocka_unit_test(looks_into_documents),
		cmocka_unit_test(looks_into_compound_files),
		cmocka_unit_test(ends_loops),
		cmocka_unit_test(looks_into_rich_text),
		cmocka_unit_test(looks_into_notebooks),
		cmocka_unit_test(looks_into_pdf),
		cmocka_unit_test(looks_into_object_streams),
		cmocka_unit_test(looks_into_shortcuts),
		cmocka_unit_test(looks_into_pages),
		cmocka_unit_test(reads_wide_pages),
	};

	return cmocka_run_group_tests(tests, NULL, check_end);
}
