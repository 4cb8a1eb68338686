/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "filterd/virus/message.h"
#include "ipc/values.h"

#define MS 60000
#define MARK "HIKYAKU-TEST-VIRUS-" "IN-ATTACHMENT"

struct fixture {
	char folder[64];
	int dir;
	struct engine *engine;
	struct attack *attack;
};

static int
setup(void **state)
{
	static struct fixture f;
	struct err err = ERR_INIT;
	char folder[512];
	const char *const folders[] = { "/nonexistent", folder, NULL };
	uint64_t signatures;

	(void)snprintf(folder, sizeof(folder), "%s/conf/signatures",
	    getenv("srcdir") != NULL ? getenv("srcdir") : ".");
	f.engine = engine_load(folders, &signatures, &err);
	if (f.engine == NULL)
		fail_msg("%s", err_text(&err));
	assert_true(signatures >= 3);
	if (attack_begin(&f.attack, &err) != 0)
		fail_msg("%s", err_text(&err));
	assert_true(attack_add_domain(f.attack, STR("courier.test"), 0));
	(void)snprintf(f.folder, sizeof(f.folder), "/tmp/scan-test-XXXXXX");
	assert_non_null(mkdtemp(f.folder));
	f.dir = open(f.folder, O_RDONLY | O_DIRECTORY);
	assert_true(f.dir >= 0);
	assert_int_equal(engine_use_folder(f.engine, f.folder, &err), 0);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	engine_free(&f->engine);
	attack_end(&f->attack);
	(void)close(f->dir);
	assert_int_equal(rmdir(f->folder), 0);
	return 0;
}

static int
file_of(struct str text)
{
	int fd = memfd_create("message", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.p, text.len), (ssize_t)text.len);
	return fd;
}

static struct report
report_of(struct fixture *f, struct str text)
{
	struct scan_tools tools = { .engine = f->engine,
	    .attack = f->attack, .dir = f->dir };
	struct report report;
	int fd = file_of(text);

	message_scan(&tools, &(struct scan_order){ .fd = fd,
	    .size = text.len, .flags = SCAN_F_OUTSIDE, .ms = MS }, &report);
	(void)close(fd);
	return report;
}

static void
test_archives_are_opened(void **state)
{
	struct fixture *f = *state;

	assert_true(engine_test(f->engine, f->dir));
}

/* A file of LZMA alone begins so. */
#define BY_LZMA "\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0" "\x18\x4c\x82"

static struct finding
finding_of(struct fixture *f, struct str file)
{
	int fd = file_of(file);
	struct finding finding = engine_scan(f->engine, fd, MS);

	(void)close(fd);
	return finding;
}

/* A stored zip with one member. */
static void
put_zip(struct buf *out, struct str member)
{
	static const char local[] = "PK\3\4\12\0\0\0\0\0!Z!Z";
	static const char central[] = "PK\1\2\12\0\12\0\0\0\0\0!Z!Z";
	static const char end[] = "PK\5\6\0\0\0\0\1\0\1\0";
	uint32_t crc = (uint32_t)crc32(0, (const Bytef *)member.p,
	    (uInt)member.len), len = (uint32_t)member.len;
	uint32_t sizes[3] = { crc, len, len }, directory[2] = { 47, 0 };
	uint16_t names[2] = { 1, 0 };

	buf_add(out, local, sizeof(local) - 1);
	buf_add(out, sizes, sizeof(sizes));
	buf_add(out, names, sizeof(names));
	buf_add_cstr(out, "m");
	buf_add_str(out, member);
	directory[1] = (uint32_t)out->len;
	buf_add(out, central, sizeof(central) - 1);
	buf_add(out, sizes, sizeof(sizes));
	buf_add(out, names, sizeof(names));
	buf_add(out, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 14);
	buf_add_cstr(out, "m");
	buf_add(out, end, sizeof(end) - 1);
	buf_add(out, directory, sizeof(directory));
	buf_add(out, "\0\0", 2);
}

static void
expect_unopened(struct fixture *f, struct str file, const char *name)
{
	int i;

	/* Also when it was seen before. */
	for (i = 0; i < 3; i++) {
		struct finding finding = finding_of(f, file);

		assert_int_equal(finding.result, SCAN_LIMIT);
		assert_string_equal(finding.name, name);
	}
}

/* What libclamav cannot open it calls clean; we do not. */
static void
test_what_stays_closed(void **state)
{
	struct fixture *f = *state;
	struct str packed = str_make(BY_LZMA, sizeof(BY_LZMA) - 1);
	struct buf zip, outer;
	int i;

	buf_init(&zip, 4096);
	buf_init(&outer, 4096);
	put_zip(&zip, STR("a text that is long enough"));
	put_zip(&outer, buf_str(&zip));
	for (i = 0; i < 3; i++) {
		assert_int_equal(finding_of(f, buf_str(&outer)).result,
		    SCAN_CLEAN);
		assert_int_equal(finding_of(f, buf_str(&zip)).result,
		    SCAN_CLEAN);
	}
	expect_unopened(f, packed, "Unopened.lzma");
	expect_unopened(f, STR("Rar!\032\007\0 and more of it"),
	    "Unopened.rar");
	buf_reset(&zip);
	put_zip(&zip, packed);
	expect_unopened(f, buf_str(&zip), "Unopened.lzma");
	buf_reset(&outer);
	put_zip(&outer, buf_str(&zip));
	expect_unopened(f, buf_str(&outer), "Unopened.lzma");
	/* Its method, in header and directory: 93, Zstandard. */
	buf_reset(&zip);
	put_zip(&zip, STR("a text that is long enough"));
	zip.p[8] = 93;
	*((char *)memmem(zip.p, zip.len, "PK\1\2", 4) + 10) = 93;
	expect_unopened(f, buf_str(&zip), "Unopened.zip");
	/* A virus outweighs it. */
	buf_reset(&zip);
	put_zip(&zip, STR(MARK));
	assert_int_equal(finding_of(f, buf_str(&zip)).result, SCAN_INFECTED);
	buf_fini(&outer);
	buf_fini(&zip);
}

#define HEAD "From: a@example.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
#define MULTI HEAD "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static const struct {
	const char *name;
	const char *text;
	enum scan_result result;
	size_t part;		/* that is to be named; 0: none */
} messages[] = {
	{ "plain", HEAD "\r\nhello\r\n", SCAN_CLEAN, 0 },
	{ "body", HEAD "\r\n" MARK "\r\n", SCAN_INFECTED, 0 },
	{ "attachment", MULTI "--b\r\n\r\nhello\r\n--b\r\n"
	    "Content-Type: application/octet-stream\r\n\r\n" MARK
	    "\r\n--b--\r\n", SCAN_INFECTED, 2 },
	/* "HIKYAKU-TEST-VIRUS-" "IN-ATTACHMENT" */
	{ "base64", MULTI "--b\r\n\r\nhello\r\n--b\r\n"
	    "Content-Type: application/pdf\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n"
	    "SElLWUFLVS1URVNULVZJUlVTLUlOLUFUVEFDSE1FTlQ=\r\n--b--\r\n",
	    SCAN_INFECTED, 2 },
	/* No encoding to us, one to others. */
	{ "odd encoding", MULTI "--b\r\n\r\nhello\r\n--b\r\n"
	    "Content-Type: image/png\r\n"
	    "Content-Transfer-Encoding: \"quoted-printable\" (x)\r\n\r\n"
	    "HIKYAKU=2DTEST-VIRUS=\r\n-IN-ATTACH=4DENT\r\n--b--\r\n",
	    SCAN_INFECTED, 0 },
	{ "no end", MULTI "--b\r\nContent-Type: application/zip\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n"
	    "SElLWUFLVS1URVNULVZJUlVTLUlOLUFUVEFDSE1FTlQ=\r\n",
	    SCAN_INFECTED, 1 },
	{ "empty", "", SCAN_CLEAN, 0 },
};

static void
test_messages(void **state)
{
	struct fixture *f = *state;
	struct report report;
	size_t i, k;
	bool is_named;

	for (i = 0; i < COUNT_OF(messages); i++) {
		report = report_of(f, str_of(messages[i].text));
		if (report.whole.result != messages[i].result)
			fail_msg("%s: %u %s", messages[i].name,
			    report.whole.result, report.whole.name);
		is_named = messages[i].part == 0;
		for (k = 0; k < report.parts_len; k++)
			is_named |= report.parts[k].part ==
			    messages[i].part &&
			    report.parts[k].finding.result == SCAN_INFECTED;
		if (!is_named)
			fail_msg("%s: its part is not named",
			    messages[i].name);
	}
}

#define TRAIT_NONE ATTACK_TRAIT_COUNT

/* Each is one part of a message from outside, as its sender encoded it. */
static const struct {
	const char *name;
	const char *text;
	enum attack_trait trait;
	uint16_t part;
} odd[] = {
	{ "nothing odd", MULTI "--b\r\n\r\nhello\r\n--b\r\n"
	    "Content-Type: image/png; name=a.png\r\n\r\n"
	    "\x89PNG\r\n\x1a\n\r\n--b--\r\n", TRAIT_NONE, 0 },
	{ "a program", MULTI "--b\r\n\r\nhello\r\n--b\r\n"
	    "Content-Type: application/octet-stream\r\n"
	    "Content-Disposition: attachment; filename=\"a.pdf.exe\"\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n"
	    "SGVsbG8=\r\n--b--\r\n", ATTACK_DOUBLE_EXTENSION, 2 },
	{ "text that is not encoded", HEAD
	    "Content-Type: text/plain; name=a.js\r\n"
	    "Content-Disposition: attachment\r\n\r\nvar a = 1;\r\n",
	    ATTACK_EXECUTABLE_NAME, 0 },
	{ "a link in text that is not encoded", HEAD
	    "\r\nsee http://0x7f000001/login\r\n",
	    ATTACK_URL_ODD_ADDRESS, ATTACK_NO_PART },
	{ "nothing in a file", HEAD "Content-Type: application/x-y\r\n"
	    "Content-Disposition: attachment; filename=a.scr\r\n\r\n",
	    ATTACK_EXECUTABLE_NAME, 0 },
	{ "inside a message", HEAD "Content-Type: message/rfc822\r\n\r\n"
	    MULTI "--b\r\nContent-Type: text/plain; name=a.vbs\r\n\r\n"
	    "x\r\n--b--\r\n", ATTACK_EXECUTABLE_NAME, 2 },
	{ "a sender like us", "From: a@c0urier.test\r\n\r\nhello\r\n",
	    ATTACK_SENDER_LOOKALIKE, ATTACK_NO_PART },
	{ "we ourselves", "From: a@courier.test\r\n\r\nhello\r\n",
	    TRAIT_NONE, 0 },
};

static void
test_odd(void **state)
{
	struct fixture *f = *state;
	struct report report;
	size_t i, k;
	bool is_named;

	for (i = 0; i < COUNT_OF(odd); i++) {
		report = report_of(f, str_of(odd[i].text));
		is_named = odd[i].trait == TRAIT_NONE;
		for (k = 0; k < report.odd.notes_len; k++)
			is_named |= report.odd.notes[k].trait ==
			    odd[i].trait &&
			    report.odd.notes[k].part == odd[i].part;
		if (!is_named || attack_is_suspicious(&report.odd) !=
		    (odd[i].trait != TRAIT_NONE))
			fail_msg("%s: %zu notes, the first %s of %u",
			    odd[i].name, report.odd.notes_len,
			    attack_trait_name(report.odd.notes[0].trait),
			    report.odd.notes[0].part);
	}
}

/* Of our own user nobody asks whom it pretends to be from. */
static void
test_own(void **state)
{
	static const char text[] = "From: a@c0urier.test\r\n\r\nhello\r\n";
	struct fixture *f = *state;
	struct scan_tools tools = { .engine = f->engine,
	    .attack = f->attack, .dir = f->dir };
	struct report report;
	int fd = file_of(str_of(text));

	message_scan(&tools, &(struct scan_order){ .fd = fd,
	    .size = sizeof(text) - 1, .ms = MS }, &report);
	(void)close(fd);
	assert_int_equal(report.odd.notes_len, 0);
}

/* A zip whose one file has the encryption bit. */
#define LOCKED_ZIP \
	"PK\3\4\24\0\1\0\0\0!Z!\0\0\0\0\0\24\0\0\0\10\0\0\0\1\0\0\0"	\
	"a01234567890123456789"						\
	"PK\1\2\24\0\24\0\1\0\0\0!Z!\0\0\0\0\0\24\0\0\0\10\0\0\0\1\0"	\
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a"				\
	"PK\5\6\0\0\0\0\1\0\1\0/\0\0\0003\0\0\0\0\0"

static void
test_encrypted(void **state)
{
	static const char zip[] = LOCKED_ZIP;
	struct fixture *f = *state;
	struct finding finding;
	int fd = file_of(str_make(zip, sizeof(zip) - 1));

	finding = engine_scan(f->engine, fd, MS);
	(void)close(fd);
	if (finding.result != SCAN_ENCRYPTED)
		fail_msg("%u %s", finding.result, finding.name);
}

/* Each is told of, whatever weighs more, and however many parts have more. */
static void
test_password_beside_a_limit(void **state)
{
	static const char part[] = "--b\r\nContent-Type: application/x\r\n\r\n";
	static const char zip[] = LOCKED_ZIP "\r\n";
	static const char rar[] = "Rar!\032\007\0 and more of it\r\n";
	struct fixture *f = *state;
	struct report report;
	struct buf text;
	int i;

	buf_init(&text, 1 << 20);
	buf_add_cstr(&text, MULTI);
	for (i = 0; i < 120; i++) {
		buf_add_cstr(&text, part);
		buf_add(&text, rar, sizeof(rar) - 1);
	}
	buf_add_cstr(&text, part);
	buf_add(&text, zip, sizeof(zip) - 1);
	buf_add_cstr(&text, "--b--\r\n");
	report = report_of(f, buf_str(&text));
	buf_fini(&text);
	assert_int_equal(report.whole.result, SCAN_LIMIT);
	assert_int_equal(report.locked.result, SCAN_ENCRYPTED);
	assert_int_equal(report.closed.result, SCAN_LIMIT);
	assert_string_equal(report.closed.name, "Unopened.rar");
}

/* An xz of a few words that wants 4 GB to be opened with: no infection. */
static void
test_dictionary(void **state)
{
	static const char xz[] =
	    "\xfd\x37\x7a\x58\x5a\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21"
	    "\x01\x28\x00\x00\x00\xe6\xa0\x11\xb3\xe0\x01\xf3\x00\x0d\x5d"
	    "\x00\x34\x19\x49\xee\x8e\xa9\xcf\xaf\x11\x83\x00\x00\x00\x00"
	    "\x00\x00\x00\x28\x78\x8b\xc8\x00\x01\x25\xf4\x03\x00\x00\x00"
	    "\x2b\x19\x35\x3b\x3e\x30\x0d\x8b\x02\x00\x00\x00\x00\x01\x59"
	    "\x5a";
	struct fixture *f = *state;
	struct finding finding;
	int fd = file_of(str_make(xz, sizeof(xz) - 1));

	finding = engine_scan(f->engine, fd, MS);
	(void)close(fd);
	if (finding.result != SCAN_LIMIT)
		fail_msg("%u %s", finding.result, finding.name);
}

/* Decoded, it is more than is looked at. */
static void
test_too_large(void **state)
{
	struct fixture *f = *state;
	struct report report;
	struct buf text;
	char block[1024];
	unsigned i;

	memset(block, 'x', sizeof(block));
	buf_init(&text, 200 << 20);
	buf_add_cstr(&text, HEAD "Content-Type: application/x-y\r\n\r\n");
	for (i = 0; i < 101 * 1024; i++)
		buf_add(&text, block, sizeof(block));
	report = report_of(f, buf_str(&text));
	buf_fini(&text);
	if (report.whole.result != SCAN_LIMIT)
		fail_msg("%u %s", report.whole.result, report.whole.name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_archives_are_opened),
		cmocka_unit_test(test_what_stays_closed),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_encrypted),
		cmocka_unit_test(test_password_beside_a_limit),
		cmocka_unit_test(test_dictionary),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
