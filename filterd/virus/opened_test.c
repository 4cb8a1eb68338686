/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/buf.h"
#include "filterd/virus/opened.h"

#define OCTETS(literal) { "" literal, sizeof(literal) - 1 }

static void
put_le(struct buf *out, uint32_t value, unsigned octets)
{
	for (; octets-- > 0; value >>= 8)
		buf_add_char(out, (char)(value & 0xff));
}

struct member {
	const char *name;
	unsigned method;
	unsigned flags;
	uint32_t octets;	/* as it says */
	unsigned local_method;	/* as its own header says; 0: the same */
	uint32_t local_packed;
	bool is_long;		/* packed: 7 octets, not 3 */
};

static void
put_member(struct buf *out, const struct member *member, bool is_local)
{
	put_le(out, 20, 2);
	put_le(out, member->flags, 2);
	put_le(out, is_local && member->local_method != 0 ?
	    member->local_method : member->method, 2);
	put_le(out, 0, 4);
	put_le(out, 0, 4);
	put_le(out, is_local && member->local_packed != 0 ?
	    member->local_packed : member->is_long ? 7 : 3, 4);
	put_le(out, member->octets, 4);
	put_le(out, (uint32_t)strlen(member->name), 2);
	put_le(out, 0, 2);
}

/* A zip of members whose octets are of no matter. */
static void
put_zip(struct buf *out, const struct member *members, size_t count)
{
	uint32_t at[4];
	size_t i, start;

	for (i = 0; i < count; i++) {
		at[i] = (uint32_t)out->len;
		put_le(out, 0x04034b50, 4);
		put_member(out, &members[i], true);
		buf_add_cstr(out, members[i].name);
		buf_add_cstr(out, members[i].is_long ? "abcdefg" : "abc");
	}
	start = out->len;
	for (i = 0; i < count; i++) {
		put_le(out, 0x02014b50, 4);
		put_le(out, 20, 2);
		put_member(out, &members[i], false);
		put_le(out, 0, 2 + 2 + 2);
		put_le(out, 0, 4);
		put_le(out, at[i], 4);
		buf_add_cstr(out, members[i].name);
	}
	put_le(out, 0x06054b50, 4);
	put_le(out, 0, 4);
	put_le(out, (uint32_t)count, 2);
	put_le(out, (uint32_t)count, 2);
	put_le(out, (uint32_t)(out->len - 12 - start), 4);
	put_le(out, (uint32_t)start, 4);
	put_le(out, 0, 2);
}

/* Files that come, one octet of level each: 'A' + level, then 'r' a RAR, 'z' a
 * zip of one member, 's' something by Zstandard, 't' text; small: it is known
 * from before. */
static const char *
after(const char *files)
{
	static const struct member member = { "a.txt", 8, 0, 100, 0, 0, false };
	struct opened opened;
	struct str octets;
	const char *unopened;
	struct buf zip;

	buf_init(&zip, 1024);
	put_zip(&zip, &member, 1);
	opened_begin(&opened, true);
	for (; *files != '\0'; files += 2) {
		octets = STR("text");
		if (files[1] == 'r')
			octets = STR("Rar!\032\007\0 and more of it");
		else if (files[1] == 's')
			octets = STR("\x28\xb5\x2f\xfd and more of it");
		else if (files[1] == 'z')
			octets = buf_str(&zip);
		opened_file(&opened, files[0] < 'a' ?
		    (unsigned)(files[0] - 'A') : (unsigned)(files[0] - 'a'),
		    octets);
		if (files[0] < 'a')
			opened_scan(&opened);
	}
	unopened = opened_end(&opened);
	buf_fini(&zip);
	return unopened;
}

static void
test_what_came(void **state)
{
	static const struct {
		const char *files;
		const char *unopened;
	} cases[] = {
		{ "", NULL }, { "At", NULL }, { "Ar", "rar" }, { "Az", "zip" },
		{ "ArBt", NULL }, { "AzBt", NULL }, { "AzBr", "rar" },
		{ "AzBrCt", NULL }, { "AzBrCtBrBt", "rar" },
		{ "AzBzCtBzCt", NULL }, { "AzBzBzCt", "zip" },
		/* What came was taken out of its middle. */
		{ "AsBt", "zstd" }, { "AzBsCtBt", "zstd" }, { "as", NULL },
		{ "AtBzCtBt", NULL }, { "AzBtBtBr", "rar" },
		{ "ArBzCtAt", NULL },
		/* Known from before: it is not gone into. */
		{ "ar", NULL }, { "Azbz", NULL }, { "AzbzBr", "rar" },
		{ "az", NULL }, { "Arbt", NULL },
		/* A level is left out. */
		{ "AtCr", "rar" }, { "AtCrDt", NULL },
		/* Deeper than anybody goes. */
		{ "Az`t", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *unopened = after(cases[i].files);

		if (cases[i].unopened == NULL ? unopened != NULL :
		    unopened == NULL || strcmp(unopened,
		    cases[i].unopened) != 0)
			fail_msg("%s: %s", cases[i].files, unopened != NULL ?
			    unopened : "none");
	}
}

static const char *
alone(struct str file, bool has_child)
{
	struct opened opened;

	opened_begin(&opened, true);
	opened_file(&opened, 0, file);
	opened_scan(&opened);
	if (has_child) {
		opened_file(&opened, 1, STR("text"));
		opened_scan(&opened);
	}
	return opened_end(&opened);
}

static void
check_zip(const struct member *members, size_t count, bool has_child,
    bool is_opened)
{
	struct buf zip;

	buf_init(&zip, 1024);
	put_zip(&zip, members, count);
	if (is_opened)
		assert_null(alone(buf_str(&zip), has_child));
	else
		assert_string_equal(alone(buf_str(&zip), has_child), "zip");
	buf_fini(&zip);
}

static void
test_members_of_zips(void **state)
{
	static const struct member members[] = {
		{ "text", 8, 0, 100, 0, 0, false }, { "lzma", 14, 0, 100, 0, 0, false },
		{ "tiny", 14, 0, 5, 0, 0, false }, { "folder/", 14, 0, 0, 0, 0, false },
		{ "locked", 99, 1, 100, 0, 0, false },
		/* Encryption by flags that mean nothing alone. */
		{ "flag", 14, 0x40, 100, 0, 0, false },
		{ "flag", 14, 0x2000, 100, 0, 0, false },
		/* Directory and member differ; sizes may stand after it. */
		{ "method", 8, 0, 100, 14, 0, false }, { "size", 8, 0, 100, 0, 7, false },
		{ "size", 8, 8, 100, 0, 7, false },
		/* As documents and programs have them. */
		{ "[Content_Types].xml", 14, 0, 100, 0, 0, false },
		{ "META-INF/manifest.xml", 14, 0, 100, 0, 0, false },
		{ "META-INF/MANIFEST.MF", 14, 0, 100, 0, 0, false },
		{ "[Content_Types].xml", 8, 0, 100, 0, 0, false },
		/* Packed it may be longer than it is. */
		{ "tiny", 8, 0, 5, 0, 0, true }, { "tiny", 14, 0, 5, 0, 0, true },
		{ "masked", 8, 0x2000, 100, 0, 0, false },
		{ "wide", 8, 8, 100, 0, UINT32_MAX, false },
	};
	static const char *const kinds[] = { "ooxml", "odf", "jar" };
	struct buf zip;
	size_t i;

	(void)state;
	check_zip(members, 1, true, true);
	check_zip(members, 1, false, false);
	/* One of them is passed over. */
	check_zip(members, 2, true, false);
	check_zip(members + 1, 1, false, false);
	/* Nothing in it. */
	check_zip(members, 0, false, true);
	check_zip(members + 2, 2, false, true);
	/* A password is told of elsewhere. */
	check_zip(members + 4, 1, true, true);
	check_zip(members + 5, 1, true, false);
	check_zip(members + 6, 1, true, false);
	check_zip(members + 7, 1, true, false);
	check_zip(members + 8, 1, true, false);
	check_zip(members + 9, 1, true, true);
	check_zip(members + 14, 1, false, true);
	check_zip(members + 15, 1, true, false);
	check_zip(members + 16, 1, true, false);
	check_zip(members + 17, 1, true, true);
	buf_init(&zip, 1024);
	for (i = 0; i < 3; i++) {
		buf_reset(&zip);
		put_zip(&zip, members + 10 + i, 1);
		assert_string_equal(alone(buf_str(&zip), true), kinds[i]);
	}
	buf_reset(&zip);
	put_zip(&zip, members + 13, 1);
	assert_null(alone(buf_str(&zip), true));
	/* Another end hides its directory: members have to say their size. */
	buf_add_cstr(&zip, "PK\5\6 and no more than that");
	assert_null(alone(buf_str(&zip), true));
	buf_reset(&zip);
	put_zip(&zip, members + 9, 1);
	assert_null(alone(buf_str(&zip), true));
	buf_add_cstr(&zip, "PK\5\6 and no more than that");
	assert_string_equal(alone(buf_str(&zip), true), "zip");
	/* It has no end at all. */
	buf_reset(&zip);
	put_zip(&zip, members, 1);
	zip.len -= 30;
	assert_string_equal(alone(buf_str(&zip), true), "zip");
	buf_fini(&zip);
}

/* Archives behind something else. */
static void
test_behind(void **state)
{
	static const struct member members[] = {
		{ "text", 8, 0, 100, 0, 0, false }, { "lzma", 14, 0, 100, 0, 0, false },
		{ "streamed", 8, 8, 100, 0, 0, false },
	};
	struct opened opened;
	struct buf file;

	(void)state;
	buf_init(&file, 1024);
	buf_add_cstr(&file, "MZ a program ");
	put_zip(&file, members, 1);
	assert_null(alone(buf_str(&file), true));
	buf_reset(&file);
	buf_add_cstr(&file, "x");
	put_zip(&file, members + 1, 1);
	assert_string_equal(alone(buf_str(&file), false), "zip");
	buf_reset(&file);
	buf_add_cstr(&file, "MZ a program ");
	put_zip(&file, members + 2, 1);
	assert_string_equal(alone(buf_str(&file), true), "zip");
	/* In pieces, in what is opened by itself. */
	buf_reset(&file);
	buf_add_cstr(&file, "%PDF-1.7 ");
	put_zip(&file, members + 1, 1);
	assert_null(alone(buf_str(&file), false));
	buf_reset(&file);
	buf_add_cstr(&file, "\xff\xd8\xff a picture Rar!\032\007");
	assert_null(alone(buf_str(&file), false));
	opened_begin(&opened, false);
	opened_file(&opened, 0, buf_str(&file));
	opened_scan(&opened);
	opened_file(&opened, 1, STR("text"));
	opened_scan(&opened);
	assert_string_equal(opened_end(&opened), "rar");
	buf_fini(&file);
}

static bool
is_never(const char *kind)
{
	static const char *const kinds[] = { "zstd", "lzma", "compress",
		"lzip", "lz4", "ar", "rpm" };
	size_t i;

	for (i = 0; kind != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i], kind) == 0)
			return true;
	return false;
}

static void
test_kinds(void **state)
{
	static const struct {
		struct str file;
		const char *unopened;
	} files[] = {
		{ OCTETS(""), NULL },
		{ OCTETS("\037\213\010\0\0\0\0\0\0\3\3\0\0\0\0\0\0\0\0\0"), NULL },
		{ OCTETS("\037\213\010\0\0\0\0\0\0\3\3\0\0\0\0\0\6\0\0\0"),
		    "gzip" },
		{ OCTETS("\037\213\010"), "gzip" },
		{ OCTETS("BZh91AY&SYabcd"), "bzip2" },
		{ OCTETS("BZhang wrote: hello there"), NULL },
		{ OCTETS("0707012345 is my number, or 070702345"), NULL },
		{ OCTETS("MSCF, EGGA, KDMV and hsqs are no words"), NULL },
		{ OCTETS("ISc(a text)"), NULL },
		{ OCTETS("\1\0\0\0\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0 EMF\0\0\1\0"),
		    NULL },
		{ OCTETS("\x28\xb5\x2f\xfd\0"), "zstd" },
		{ OCTETS("\x50\x2a\x4d\x18\0"), "zstd" },
		{ OCTETS("\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0\x34"),
		    "lzma" },
		{ OCTETS("\x5d\0\0\x80\0\x64\0\0\0\0\0\0\0\0\x34"), "lzma" },
		{ OCTETS("\x5d\0\0\x81\0\x64\0\0\0\0\0\0\0\0\x34"), NULL },
		{ OCTETS("\x5d\0\0\x80\0\x64\0\0\0\0\0\0\1\0\x34"), NULL },
		{ OCTETS("\037\235\220abc"), "compress" },
		{ OCTETS("\037\235\377abc"), NULL },
		{ OCTETS("LZIP\001\014"), "lzip" },
		{ OCTETS("\x04\x22\x4d\x18\x64"), "lz4" },
		{ OCTETS("!<arch>\ndebian-binary"), "ar" },
		{ OCTETS("\xed\xab\xee\xdb\3\0"), "rpm" },
		{ OCTETS("ALZ\001\012\0\0\0"), "alz" },
		{ OCTETS("\x60\xea\x2b\0\x22\x0b\1\2\0\0\2\0"), "arj" },
		{ OCTETS("\x60\xea\xff\xff\x22\x0b\1\2\0\0\2\0"), NULL },
		{ OCTETS("\x78\x9f\x3e\x22\0\0"), NULL },
		{ OCTETS("%PDF-1.7"), NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		const char *unopened = alone(files[i].file, false);

		if (files[i].unopened == NULL ? unopened != NULL :
		    unopened == NULL || strcmp(unopened,
		    files[i].unopened) != 0)
			fail_msg("%zu: %s", i, unopened != NULL ? unopened :
			    "none");
		assert_ptr_equal(alone(files[i].file, true), is_never(
		    unopened) ? unopened : NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_came),
		cmocka_unit_test(test_members_of_zips),
		cmocka_unit_test(test_behind),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
