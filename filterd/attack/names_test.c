/* SPDX-License-Identifier: ISC */
/* What names of files hide, and what the vocabulary says. */
#include "base/test.h"

#include "base/buf.h"
#include "filterd/attack/names.h"
#include "filter/traits.h"

#define X NAME_IS_EXECUTABLE
#define S (NAME_IS_EXECUTABLE | NAME_IS_SCRIPT)
#define D NAME_IS_DOUBLE

static const struct {
	const char *name;
	const char *extension;
	unsigned flags;
	enum name_claim claim;
} names[] = {
	{ "invoice.pdf", "pdf", 0, CLAIM_PDF },
	{ "Quarterly report 2026.10.xlsx", "xlsx", 0, CLAIM_DOCUMENT },
	{ "v1.2.3-notes.txt", "txt", 0, CLAIM_TEXT },
	{ "setup.exe", "exe", X, CLAIM_NOTHING },
	{ "SETUP.EXE", "exe", X, CLAIM_NOTHING },
	{ "run.Js", "js", S, CLAIM_NOTHING },
	{ "invoice.pdf.exe", "exe", X | D, CLAIM_NOTHING },
	{ "invoice.pdf .exe", "exe", X | D, CLAIM_NOTHING },
	{ "invoice.pdf___.js", "js", S | D, CLAIM_NOTHING },
	{ "photos.zip.scr", "scr", X | D, CLAIM_NOTHING },
	{ "invoice.pdf.lnk", "lnk", X | D, CLAIM_NOTHING },
	{ "invoice.pdf.iso", "iso", NAME_IS_IMAGE_OF_DISK | D, 0 },
	{ "invoice.exe.pdf", "pdf", 0, CLAIM_PDF },
	{ "archive.tar.gz", "gz", NAME_IS_ARCHIVE, CLAIM_ARCHIVE },
	/* What Windows drops at the end. */
	{ "setup.exe.", "exe", X, CLAIM_NOTHING },
	{ "setup.exe . .", "exe", X, CLAIM_NOTHING },
	/* 請求書.pdf, wide blanks, .exe */
	{ "\xe8\xab\x8b\xe6\xb1\x82\xe6\x9b\xb8.pdf\xe3\x80\x80\xe3\x80\x80"
	    ".exe", "exe", X | D, CLAIM_NOTHING },
	/* 請求書．ｐｄｆ．ｅｘｅ, all of it full width */
	{ "\xe8\xab\x8b\xe6\xb1\x82\xe6\x9b\xb8\xef\xbc\x8e\xef\xbd\x90"
	    "\xef\xbd\x84\xef\xbd\x86\xef\xbc\x8e\xef\xbd\x85\xef\xbd\x98"
	    "\xef\xbd\x85", "exe", X | D, CLAIM_NOTHING },
	/* shown as "CV_exe.pdf" */
	{ "CV_\xe2\x80\xae""fdp.exe", "exe", X | NAME_HAS_BIDI, 0 },
	{ "a\xe2\x81\xa6""b.pdf", "pdf", NAME_HAS_BIDI, CLAIM_PDF },
	/* .e<ZWSP>xe */
	{ "a.e\xe2\x80\x8bxe", "exe", X | NAME_HAS_INVISIBLE, 0 },
	{ "report.pdf                    .exe", "exe",
	    X | D | NAME_IS_PADDED, CLAIM_NOTHING },
	{ "report.pdf\xe3\x80\x80\xe3\x80\x80\xe3\x80\x80\xe3\x80\x80\xe3\x80"
	    "\x80\xe3\x80\x80\xe3\x80\x80\xe3\x80\x80\xe3\x80\x80.scr", "scr",
	    X | D | NAME_IS_PADDED, CLAIM_NOTHING },
	/* A family of emoji holds joiners and is a name like any other. */
	{ "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9.jpg", "jpg", 0,
	    CLAIM_PICTURE },
	{ "folder.exe/readme.txt", "txt", 0, CLAIM_TEXT },
	{ "folder\\run.bat", "bat", S, CLAIM_NOTHING },
	{ "", "", 0, CLAIM_NOTHING }, { ".", "", 0, CLAIM_NOTHING },
	{ "exe", "", 0, CLAIM_NOTHING },
	{ ".exe", "exe", X, CLAIM_NOTHING },
	{ "a.thisextensionistoolongtobekept", "", 0, CLAIM_NOTHING },
	{ "\xff\xfe.pdf", "pdf", 0, CLAIM_PDF },
};

static void
judges_names(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(names); i++) {
		struct name_look look = names_look(str_of(names[i].name));

		if (look.flags != names[i].flags ||
		    look.claim != names[i].claim ||
		    strcmp(look.extension, names[i].extension) != 0)
			fail_msg("%s: %x %d %s", names[i].name, look.flags,
			    (int)look.claim, look.extension);
	}
}

/* The end of an endless name counts, and takes no time. */
static void
bounds_names(void **state)
{
	struct name_look look;
	struct buf name;
	size_t i;

	(void)state;
	buf_init(&name, 4U << 20);
	for (i = 0; i < 1000000; i++)
		buf_add_cstr(&name, "\xef\xb7\xba");	/* 18 letters each */
	buf_add_cstr(&name, ".pdf.exe");
	look = names_look(buf_str(&name));
	assert_int_equal(look.flags, X | D);
	buf_fini(&name);
}

static void
tells_claims(void **state)
{
	(void)state;
	assert_int_equal(names_claim_of_type(STR("image"), STR("jpeg")),
	    CLAIM_PICTURE);
	assert_int_equal(names_claim_of_type(STR("application"), STR("pdf")),
	    CLAIM_PDF);
	assert_int_equal(names_claim_of_type(STR("application"),
	    STR("vnd.openxmlformats-officedocument.wordprocessingml"
	    ".document")), CLAIM_DOCUMENT);
	assert_int_equal(names_claim_of_type(STR("application"),
	    STR("octet-stream")), CLAIM_NOTHING);
}

/* ---- the vocabulary ---- */

static void
names_every_trait(void **state)
{
	enum attack_trait trait;
	unsigned i, j;

	(void)state;
	for (i = 0; i < ATTACK_TRAIT_COUNT; i++) {
		const char *name = attack_trait_name((enum attack_trait)i);

		assert_int_equal(attack_trait_of(str_of(name), &trait), 0);
		assert_int_equal(trait, i);
		for (j = 0; name[j] != '\0'; j++)
			assert_true((name[j] >= 'a' && name[j] <= 'z') ||
			    name[j] == '-');
		assert_true(attack_trait_weight(trait) > 0 &&
		    attack_trait_weight(trait) <= 100);
		/* A decisive trait weighs enough; the others do not. */
		assert_int_equal(attack_trait_is_decisive(trait),
		    attack_trait_weight(trait) >= ATTACK_SUSPICIOUS);
		assert_true(str_is_printable(str_of(attack_trait_text(trait,
		    STR("en")))));
		assert_true(str_has_8bit(str_of(attack_trait_text(trait,
		    STR("ja-JP")))));
		assert_true(str_is_text(str_of(attack_trait_text(trait,
		    STR("ja")))));
	}
	assert_int_equal(attack_trait_of(STR("no-such"), &trait),
	    ERR_NOTFOUND);
	assert_false(str_has_8bit(str_of(attack_trait_text(ATTACK_SCRIPT,
	    STR("jam")))));
}

static void
adds_weights(void **state)
{
	struct attack_report report = ATTACK_REPORT_INIT;

	(void)state;
	assert_false(attack_is_suspicious(&report));
	attack_note(&report, ATTACK_REPLY_ELSEWHERE, ATTACK_NO_PART, STR(""));
	attack_note(&report, ATTACK_REPLY_ELSEWHERE, 3, STR(""));
	attack_note(&report, ATTACK_ARCHIVE_ENCRYPTED, 2, STR("a.zip"));
	assert_int_equal(attack_weight(&report), 40);
	assert_false(attack_is_suspicious(&report));
	attack_note(&report, ATTACK_URL_ADDRESS, ATTACK_NO_PART, STR(""));
	assert_int_equal(attack_weight(&report), 60);
	assert_true(attack_is_suspicious(&report));
	report = (struct attack_report)ATTACK_REPORT_INIT;
	attack_note(&report, ATTACK_OFFICE_MACRO, 1, STR("a.xlsm"));
	assert_true(attack_is_suspicious(&report));
}

static void
keeps_details_clean(void **state)
{
	struct attack_report report = ATTACK_REPORT_INIT;
	char text[1000];
	size_t i;

	(void)state;
	attack_note(&report, ATTACK_BIDI_NAME, 1,
	    STR("a\r\nb\xe2\x80\xae\xff\x01""c"));
	assert_string_equal(report.notes[0].detail,
	    "a\xef\xbf\xbd\xef\xbf\xbd""b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf"
	    "\xbd""c");
	for (i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	attack_note(&report, ATTACK_BIDI_NAME, 2, str_make(text, 999));
	assert_int_equal(strlen(report.notes[1].detail), ATTACK_DETAIL_MAX);
	/* The same of the same part once; what has no room is counted. */
	attack_note(&report, ATTACK_BIDI_NAME, 2, STR("again"));
	assert_int_equal(report.notes_len, 2);
	for (i = 3; i < 200; i++)
		attack_note(&report, ATTACK_BIDI_NAME, i, STR("x"));
	assert_int_equal(report.notes_len, ATTACK_NOTES_MAX);
	assert_int_equal(report.notes_lost, 197 - 62);
	/* Of the message each detail: it may be another link. */
	report = (struct attack_report)ATTACK_REPORT_INIT;
	attack_note(&report, ATTACK_URL_USERINFO, ATTACK_NO_PART, STR("a"));
	attack_note(&report, ATTACK_URL_USERINFO, ATTACK_NO_PART, STR("b"));
	attack_note(&report, ATTACK_URL_USERINFO, ATTACK_NO_PART, STR("a"));
	assert_int_equal(report.notes_len, 2);
	assert_string_equal(report.notes[1].detail, "b");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_names), cmocka_unit_test(bounds_names),
		cmocka_unit_test(tells_claims),
		cmocka_unit_test(names_every_trait),
		cmocka_unit_test(adds_weights),
		cmocka_unit_test(keeps_details_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
