/* SPDX-License-Identifier: ISC */
/* What of a message is opened, and under which names. */
#include "base/test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "filterd/detonate/thing.h"

static void
test_names(void **state)
{
	static const struct {
		const char *name;
		const char *want;
	} cases[] = {
		{ "invoice.pdf.exe", "invoice.pdf.exe" },
		{ "a b\t(1).doc", "a_b_1_.doc" },
		{ "../../etc/passwd", "passwd" },
		{ "c:\\x\\a.lnk", "a.lnk" },
		{ "a/", "attachment" },
		{ "x\"; rm\r\nX: y.js", "x_rm_X_y.js" },
		{ "\xe8\xab\x8b\xe6\xb1\x82.xls", "_.xls" },
		{ "", "attachment" },
		{ ".exe", "_exe" },
	};
	char out[THING_NAME_MAX + 1], longer[300];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		thing_clean_name(str_of(cases[i].name), out);
		if (strcmp(out, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].name, out);
	}
	memset(longer, 'a', sizeof(longer));
	memcpy(longer + 296, ".exe", 4);
	thing_clean_name(str_make(longer, 300), out);
	assert_int_equal(strlen(out), THING_NAME_MAX);
	assert_string_equal(out + THING_NAME_MAX - 4, ".exe");
	thing_clean_name(STR("a\0b"), out);
	assert_string_equal(out, "a_b");
}

static void
test_links(void **state)
{
	static const struct {
		const char *link;
		const char *want;	/* NULL: none */
	} cases[] = {
		{ "http://a.test/x?y=z", "http://a.test/x?y=z" },
		{ "HTTPS://a.test/", "HTTPS://a.test/" },
		{ " http://a.te\r\nst/ x ", "http://a.test/x" },
		{ "http://a.test/\xe3\x81\x82", "http://a.test/%E3%81%82" },
		{ "javascript:alert(1)", NULL },
		{ "file:///etc/passwd", NULL },
		{ "ftp://a.test/", NULL },
		{ "http://", NULL },
		{ "", NULL },
	};
	char out[THING_LINK_MAX + 1], longer[THING_LINK_MAX + 100];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		bool is_link = thing_clean_link(str_of(cases[i].link), out);

		if (is_link != (cases[i].want != NULL) ||
		    (is_link && strcmp(out, cases[i].want) != 0))
			fail_msg("%s", cases[i].link);
	}
	memset(longer, 'a', sizeof(longer));
	memcpy(longer, "http://", 7);
	assert_false(thing_clean_link(str_make(longer, sizeof(longer)),
	    out));
}

/* ---- messages ---- */

#define PART(type, name, text) "--b\r\nContent-Type: " type "; name=" name \
	"\r\n\r\n" text "\r\n"
#define HEAD "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
#define END "--b--\r\n"

static void
look(const char *message, const struct verdict *verdict,
    struct things *things)
{
	int fd = memfd_create("blob", MFD_CLOEXEC);

	assert_true(fd != -1);
	assert_int_equal(write(fd, message, strlen(message)),
	    strlen(message));
	things_of_message(fd, strlen(message), verdict, things);
	(void)close(fd);
}

/* Without a name for the part: all attachments, each once; decoded. */
static void
test_attachments(void **state)
{
	static const struct verdict verdict = { .action = VERDICT_DETONATE };
	struct things things;
	char octets[64], hash[65];
	int fd;

	(void)state;
	look(HEAD "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
	    PART("application/x", "a.exe", "one")
	    PART("application/y", "b.exe", "one")
	    PART("text/html", "page.html", "<p>")
	    "--b\r\nContent-Type: application/octet-stream\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nYWJj\r\n"
	    END, &verdict, &things);
	assert_int_equal(things.len, 3);
	assert_string_equal(things.all[0]->name, "a.exe");
	assert_string_equal(things.all[1]->name, "page.html");
	assert_string_equal(things.all[2]->name, "part5.octet-stream");
	assert_false(things.is_cut);
	thing_hash_text(things.all[2], hash);
	assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(thing_open(things.all[2], &fd, NULL), 0);
	assert_int_equal(read(fd, octets, sizeof(octets)), 3);
	assert_memory_equal(octets, "abc", 3);
	assert_int_equal(things.all[2]->size, 3);
	(void)close(fd);
	things_fini(&things);
}

/* What the traits name first, then links, whole, then what else there is. */
static void
test_traits(void **state)
{
	struct verdict_trait traits[] = {
		{ ATTACK_DOUBLE_EXTENSION, 3, STR("b.pdf.exe") },
		{ ATTACK_URL_ODD_ADDRESS, ATTACK_NO_PART,
		    STR("http://0x7f.1/lo") },
		{ ATTACK_URL_LOOKALIKE, ATTACK_NO_PART,
		    STR("examp1e.test") },
		{ ATTACK_URL_MIXED_SCRIPT, ATTACK_NO_PART,
		    STR("nowhere.test") },
		{ ATTACK_URL_SCHEME, ATTACK_NO_PART, STR("ms-x:/a?b") },
		{ ATTACK_EXECUTABLE, 900, STR("") },
	};
	struct verdict verdict = { .action = VERDICT_DETONATE,
		.traits = traits, .traits_len = COUNT_OF(traits) };
	struct things things;

	(void)state;
	look(HEAD "--b\r\nContent-Type: text/html\r\n\r\n"
	    "<a href=\"http://0x7f.1/long?way=1\">x</a> "
	    "<a href=\"https://examp1e.test/login\">y</a>\r\n"
	    PART("application/x", "a.exe", "one")
	    PART("application/y", "b.pdf.exe", "two") END, &verdict,
	    &things);
	assert_int_equal(things.len, 5);
	assert_string_equal(things.all[0]->name, "b.pdf.exe");
	assert_string_equal(things.all[1]->link, "http://0x7f.1/long?way=1");
	assert_string_equal(things.all[2]->link,
	    "https://examp1e.test/login");
	assert_string_equal(things.all[3]->link, "http://nowhere.test/");
	assert_string_equal(things.all[4]->name, "a.exe");
	/* For the scheme that no engine follows. */
	assert_true(things.is_cut);
	things_fini(&things);
	verdict.traits_len = 4;
	look(HEAD "--b\r\nContent-Type: text/plain\r\n\r\n"
	    "http://0x7f.1/long https://examp1e.test/login\r\n"
	    PART("application/x", "a.exe", "one")
	    PART("application/y", "b.pdf.exe", "two") END, &verdict,
	    &things);
	assert_int_equal(things.len, 5);
	/* For the host that only a file could lead to. */
	assert_true(things.is_cut);
	things_fini(&things);
	verdict.traits_len = 3;
	look(HEAD "--b\r\nContent-Type: text/plain\r\n\r\n"
	    "http://0x7f.1/long https://examp1e.test/login\r\n"
	    PART("application/y", "b.pdf.exe", "two")
	    PART("application/y", "c.pdf.exe", "three") END, &verdict,
	    &things);
	assert_int_equal(things.len, 4);
	assert_false(things.is_cut);
	things_fini(&things);
}

/* A link whose end nobody knows, in a part that is no text. */
static void
test_cut_link(void **state)
{
	static const char start[] = "http://0x7f.1/";
	char detail[ATTACK_DETAIL_MAX + 1];
	struct verdict_trait trait = { ATTACK_URL_ODD_ADDRESS,
	    ATTACK_NO_PART, { detail, ATTACK_DETAIL_MAX } };
	struct verdict verdict = { .action = VERDICT_DETONATE,
		.traits = &trait, .traits_len = 1 };
	struct things things;

	(void)state;
	memset(detail, 'x', sizeof(detail));
	memcpy(detail, start, sizeof(start) - 1);
	look(HEAD PART("application/pdf", "a.pdf", "one") END, &verdict,
	    &things);
	assert_int_equal(things.len, 1);
	assert_string_equal(things.all[0]->name, "a.pdf");
	assert_true(things.is_cut);
	things_fini(&things);
	trait.detail.len -= 10;
	look(HEAD PART("application/pdf", "a.pdf", "one") END, &verdict,
	    &things);
	assert_int_equal(things.len, 2);
	assert_false(things.is_cut);
	things_fini(&things);
}

/* A decoy has all the traits that fit. */
static void
test_decoy(void **state)
{
	struct verdict_trait traits[] = {
		{ ATTACK_BIDI_NAME, 1, STR("decoy.pdf.js") },
		{ ATTACK_PADDED_NAME, 1, STR("decoy.pdf.js") },
	};
	struct verdict verdict = { .action = VERDICT_DETONATE,
		.traits = traits, .traits_len = COUNT_OF(traits) };
	struct things things;

	(void)state;
	look(HEAD PART("application/pdf", "decoy.pdf.js", "one")
	    PART("application/pdf", "real.js", "two")
	    "--b\r\nContent-Type: text/rtf\r\n\r\n{}\r\n" END, &verdict,
	    &things);
	assert_int_equal(things.len, 3);
	assert_string_equal(things.all[0]->name, "decoy.pdf.js");
	assert_string_equal(things.all[1]->name, "real.js");
	assert_string_equal(things.all[2]->name, "part3.rtf");
	assert_false(things.is_cut);
	things_fini(&things);
	/* A link may be among what was left out. */
	verdict.has_more_traits = true;
	look(HEAD PART("application/pdf", "decoy.pdf.js", "one") END,
	    &verdict, &things);
	assert_int_equal(things.len, 1);
	assert_true(things.is_cut);
	things_fini(&things);
}

/* The same octets are one thing under names of one kind only. */
static void
test_kinds(void **state)
{
	static const struct verdict verdict = { .action = VERDICT_DETONATE };
	struct things things;
	char kind[THING_NAME_MAX + 1];

	(void)state;
	look(HEAD PART("application/x", "a.txt", "one")
	    PART("application/x", "b.JS", "one")
	    PART("application/x", "c.js", "one")
	    PART("application/x", "plain", "one") END, &verdict, &things);
	assert_int_equal(things.len, 3);
	assert_string_equal(things.all[0]->name, "a.txt");
	assert_string_equal(things.all[1]->name, "b.JS");
	assert_string_equal(things.all[2]->name, "plain");
	thing_kind(things.all[1], kind);
	assert_string_equal(kind, "js");
	thing_kind(things.all[2], kind);
	assert_string_equal(kind, "");
	assert_false(things.is_cut);
	things_fini(&things);
}

#define TEXT_OF(text) HEAD "--b\r\nContent-Type: text/html\r\n\r\n" text \
	"\r\n" END

static const struct {
	const char *name;
	const char *message;
	enum attack_trait trait;
	const char *detail;
	const char *links[2];
	size_t len;
	bool is_cut;
} links[] = {
	{ "the link itself, not one that begins with it",
	    TEXT_OF("<a href=\"http://evil.test/x?safe\">a</a>"
	    "<a href=\"http://evil.test/x\">https://bank.test/</a>"),
	    ATTACK_URL_DECEPTIVE, "http://evil.test/x",
	    { "http://evil.test/x" }, 1, false },
	{ "all that begin so", TEXT_OF("<a href=\"http://0x7f.1/a\">a</a>"
	    "<a href=\"http://0x7f.1/b\">b</a>"),
	    ATTACK_URL_ODD_ADDRESS, "http://0x7f.1/",
	    { "http://0x7f.1/a", "http://0x7f.1/b" }, 2, false },
	{ "all of the host", TEXT_OF("<a href=\"http://e.test/a\">a</a>"
	    "<a href=\"http://e.test/b\">b</a>"),
	    ATTACK_URL_LOOKALIKE, "e.test",
	    { "http://e.test/a", "http://e.test/b" }, 2, false },
	{ "too many", TEXT_OF("<a href=\"http://e.test/a\">a</a>"),
	    ATTACK_URL_MANY, "", { NULL }, 0, true },
	{ "one that is not what is shown", TEXT_OF("none"),
	    ATTACK_URL_DECEPTIVE, "http://e.test/\xef\xbf\xbd",
	    { NULL }, 0, true },
};

static void
test_which_links(void **state)
{
	struct verdict verdict = { .action = VERDICT_DETONATE,
		.traits_len = 1 };
	struct verdict_trait trait;
	struct things things;
	size_t i, k;

	(void)state;
	for (i = 0; i < COUNT_OF(links); i++) {
		trait = (struct verdict_trait){ links[i].trait,
		    ATTACK_NO_PART, str_of(links[i].detail) };
		verdict.traits = &trait;
		look(links[i].message, &verdict, &things);
		if (things.len != links[i].len ||
		    things.is_cut != links[i].is_cut)
			fail_msg("%s: %zu", links[i].name, things.len);
		for (k = 0; k < things.len; k++)
			assert_string_equal(things.all[k]->link,
			    links[i].links[k]);
		things_fini(&things);
	}
}

static void
test_many(void **state)
{
	static const struct verdict verdict = { .action = VERDICT_DETONATE };
	struct things things;
	struct buf message;
	unsigned i;

	(void)state;
	buf_init(&message, 1 << 20);
	buf_add_cstr(&message, HEAD);
	for (i = 0; i < 500; i++)
		buf_addf(&message, PART("application/x", "a.exe", "%u"), i);
	buf_add_cstr(&message, END);
	buf_add_char(&message, '\0');
	look(buf_str(&message).p, &verdict, &things);
	assert_int_equal(things.len, THINGS_MAX);
	assert_true(things.is_cut);
	things_fini(&things);
	buf_fini(&message);
	look("", &verdict, &things);
	assert_int_equal(things.len, 0);
}

/* The blob is shorter than somebody says. */
static void
test_cut(void **state)
{
	static const struct verdict verdict = { .action = VERDICT_DETONATE };
	int fd = memfd_create("blob", MFD_CLOEXEC);
	struct things things;

	(void)state;
	assert_int_equal(write(fd, "A: b\r\n\r\nx", 9), 9);
	things_of_message(fd, 1000, &verdict, &things);
	assert_int_equal(things.len, 0);
	assert_true(things.is_cut);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_attachments),
		cmocka_unit_test(test_traits),
		cmocka_unit_test(test_cut_link),
		cmocka_unit_test(test_decoy),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_which_links),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
