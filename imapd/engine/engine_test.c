/* SPDX-License-Identifier: ISC */
/* What scripts cannot say: large and hostile input, bodies octet by octet,
 * states that were tampered with. */
#include "base/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "mboxd/engine_test.h"

struct fixture {
	struct test_account *account;
	struct engine_host *host;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->account = test_account_new();
	f->host = test_host_new(f->account, &imap_engine, STR_NONE);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	test_host_free(&f->host);
	test_account_free(&f->account);
	free(f);
	return 0;
}

static void
say(struct fixture *f, struct str text)
{
	test_host_feed(f->host, text);
	test_run(f->account);
}

/* Drop what was sent so far. */
static void
forget(struct fixture *f)
{
	test_host_take(f->host, test_host_output(f->host).len);
}

/* The output ends with text; then it is forgotten. */
static void
expect_end(struct fixture *f, const char *text)
{
	struct str out = test_host_output(f->host);

	if (!str_ends_nocase(out, str_of(text)))
		fail_msg("\"%s\" expected at the end of: %.*s", text,
		    STR_FMT(str_sub(out, out.len > 500 ? out.len - 500 : 0,
		    500)));
	forget(f);
}

static void
expect_begin(struct fixture *f, const char *text)
{
	struct str out = test_host_output(f->host);

	if (!str_begins(out, str_of(text)))
		fail_msg("\"%s\" expected at the start of: %.*s", text,
		    STR_FMT(str_sub(out, 0, 500)));
}

static void
select_inbox(struct fixture *f)
{
	say(f, STR("s SELECT INBOX\r\n"));
	expect_end(f, "s OK [READ-WRITE] SELECT completed\r\n");
}

/* --- bodies -------------------------------------------------------- */

static const char *const bodies[] = {
	/* ISO-2022-JP, Shift_JIS, UTF-8, a bare LF, 8-bit in the header. */
	"Content-Type: text/plain; charset=x\r\n\r\n\033$B2q5D\033(B\r\n",
	"Subject: \203e\203X\203g\r\n\r\n\223\372\226{\214\352\r\n",
	"Subject: \xe4\xbc\x9a\xe8\xad\xb0\r\n\r\n.\r\n..dots\r\n.\r\n",
	"Subject: x\nbare: lf\n\nbody\nlines\n",
	"Subject: empty\r\n\r\n",
	"no header at all",
	"\r\n",
	"Subject: )(\"\\{5}\r\n\r\na OK done\r\n* BYE\r\n",
};

/* A literal comes back with exactly these octets. */
static void
expect_literal(struct fixture *f, struct str before, struct str body)
{
	struct str out = test_host_output(f->host), rest;
	size_t at = str_find_str(out, before);
	uint64_t len;

	assert_int_not_equal(at, STR_NPOS);
	rest = str_sub(out, at + before.len, out.len);
	assert_int_equal(str_to_u64(str_cut(rest, '}', &rest), UINT32_MAX,
	    &len), 0);
	assert_int_equal(len, body.len);
	assert_true(str_begins(rest, STR("\r\n")));
	assert_true(rest.len > 2 + body.len);
	if (body.len != 0)
		assert_memory_equal(rest.p + 2, body.p, body.len);
	assert_int_equal(rest.p[2 + body.len], ')');
}

static void
append(struct fixture *f, struct str body)
{
	char head[64];

	(void)snprintf(head, sizeof(head), "a APPEND INBOX {%zu+}\r\n",
	    body.len);
	test_host_feed(f->host, str_of(head));
	test_host_feed(f->host, body);
	say(f, STR("\r\n"));
}

static void
test_bodies(void **state)
{
	struct fixture *f = *state;
	char line[64];
	size_t i;

	select_inbox(f);
	for (i = 0; i < COUNT_OF(bodies); i++) {
		append(f, str_of(bodies[i]));
		expect_end(f, "APPEND completed\r\n");
		(void)snprintf(line, sizeof(line),
		    "b FETCH %zu BODY.PEEK[]\r\n", i + 1);
		say(f, str_of(line));
		expect_literal(f, STR("BODY[] {"), str_of(bodies[i]));
		expect_end(f, "b OK FETCH completed\r\n");
	}
}

/* 30 MB: the same octets, and never more than a slice in the output. */
static void
test_large_body(void **state)
{
	struct fixture *f = *state;
	struct buf body;
	unsigned i;

	buf_init(&body, 40 << 20);
	buf_add_cstr(&body, "Subject: large\r\n\r\n");
	for (i = 0; body.len < 30 << 20; i++)
		buf_addf(&body, "%u %s\r\n", i, i % 100 == 0 ?
		    "\xe9\xa3\x9b\xe8\x84\x9a" : "plain");
	select_inbox(f);
	append(f, buf_str(&body));
	expect_end(f, "APPEND completed\r\n");
	say(f, STR("b FETCH 1 BODY.PEEK[]\r\n"));
	expect_literal(f, STR("BODY[] {"), buf_str(&body));
	expect_end(f, "b OK FETCH completed\r\n");
	say(f, STR("c FETCH 1 BODY.PEEK[]<20000000.1000000>\r\n"));
	expect_literal(f, STR("BODY[]<20000000> {"),
	    str_sub(buf_str(&body), 20000000, 1000000));
	expect_end(f, "c OK FETCH completed\r\n");
	buf_fini(&body);
}

/* --- hostile input ------------------------------------------------- */

static void
repeat(struct buf *out, const char *text, size_t n)
{
	while (n-- > 0)
		buf_add_cstr(out, text);
}

static const struct {
	const char *before;
	const char *repeated;
	size_t n;
	const char *after;
	const char *want;	/* how the answer begins */
} long_commands[] = {
	{ "a NOOP ", "x", 70000, "\r\n", "a BAD Command line too long" },
	{ "a LIST \"\" ", "*", 60000, "\r\n", "a " },
	{ "a SEARCH ", "(", 20000, "\r\n", "a BAD" },
	{ "a SEARCH ALL", ")", 20000, "\r\n", "a BAD" },
	{ "a SEARCH ", "NOT ", 10000, "ALL\r\n", "a BAD" },
	{ "a SEARCH ", "OR 1 ", 10000, "1\r\n", "a BAD" },
	{ "a FETCH 1 ", "(", 20000, "\r\n", "a BAD" },
	{ "a FETCH 1", ",1", 20000, " UID\r\n", "a " },
	{ "a FETCH 1 BODY[", "1.", 5000, "1]\r\n", "a BAD" },
	{ "a CREATE ", "a/", 10000, "b\r\n", "a " },
	{ "a STORE 1 +FLAGS (", "k", 60000, ")\r\n", "a BAD" },
	{ "a SEARCH TEXT {200000+}\r\n", "x", 200000, "\r\n",
	    "a NO [TOOBIG] Literal too large" },
	{ "a SEARCH TEXT \"", "\\\\", 20000, "\\\r\n", "a BAD" },
	{ "", "(", 20000, "\r\n", "* BAD" },
};

static void
test_long_commands(void **state)
{
	struct fixture *f = *state;
	struct buf text;
	size_t i;

	select_inbox(f);
	buf_init(&text, 1 << 20);
	for (i = 0; i < COUNT_OF(long_commands); i++) {
		buf_reset(&text);
		buf_add_cstr(&text, long_commands[i].before);
		repeat(&text, long_commands[i].repeated, long_commands[i].n);
		buf_add_cstr(&text, long_commands[i].after);
		say(f, buf_str(&text));
		expect_begin(f, long_commands[i].want);
		forget(f);
		/* The session goes on. */
		say(f, STR("n NOOP\r\n"));
		expect_end(f, "n OK NOOP completed\r\n");
	}
	buf_fini(&text);
}

static void
test_nul(void **state)
{
	struct fixture *f = *state;

	say(f, STR("a CREATE a\0b\r\n"));
	expect_begin(f, "a BAD");
	forget(f);
	say(f, STR("a CREATE {3+}\r\na\0b\r\n"));
	expect_begin(f, "a ");
	forget(f);
	append(f, STR("Subject: x\r\n\r\na\0b\r\n"));
	expect_end(f, "a NO [CANNOT] IMAP messages hold no NUL\r\n");
	say(f, STR("n NOOP\r\n"));
	expect_end(f, "n OK NOOP completed\r\n");
}

static void
test_huge_header(void **state)
{
	struct fixture *f = *state;
	struct buf body;

	buf_init(&body, 8 << 20);
	buf_add_cstr(&body, "Subject: ");
	repeat(&body, "0123456789", 300000);
	buf_add_cstr(&body, "\r\n\r\nbody\r\n");
	append(f, buf_str(&body));
	expect_end(f, "a NO [LIMIT] Header over 2 MB\r\n");
	buf_reset(&body);
	repeat(&body, "X-Field: 12345678\r\n", 100000);
	buf_add_cstr(&body, "\r\nbody\r\n");
	append(f, buf_str(&body));
	expect_end(f, "APPEND completed\r\n");
	select_inbox(f);
	say(f, STR("b FETCH 1 (ENVELOPE BODY BODY.PEEK[HEADER.FIELDS "
	    "(X-Field)]<0.10> BODY.PEEK[HEADER.FIELDS.NOT (Y)]<0.10>)\r\n"));
	expect_end(f, "b OK FETCH completed\r\n");
	say(f, STR("c SEARCH HEADER X-Field 12345678 NOT TEXT z\r\n"));
	expect_end(f, "* SEARCH 1\r\nc OK SEARCH completed\r\n");
	buf_fini(&body);
}

/* 10,000 parts inside each other, and beside each other. */
static void
test_many_parts(void **state)
{
	struct fixture *f = *state;
	struct buf body;
	unsigned i;

	buf_init(&body, 8 << 20);
	for (i = 0; i < 10000; i++)
		buf_addf(&body, "%s%uContent-Type: multipart/mixed; "
		    "boundary=%u\r\n\r\n", i != 0 ? "--" : "X: ",
		    i != 0 ? i - 1 : 0, i);
	append(f, buf_str(&body));
	expect_end(f, "APPEND completed\r\n");
	buf_reset(&body);
	for (i = 0; i < 10000; i++)
		buf_add_cstr(&body, "Content-Type: message/rfc822\r\n\r\n");
	append(f, buf_str(&body));
	expect_end(f, "APPEND completed\r\n");
	buf_reset(&body);
	buf_add_cstr(&body, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	repeat(&body, "--b\r\n\r\n\r\n", 10000);
	append(f, buf_str(&body));
	expect_end(f, "APPEND completed\r\n");
	select_inbox(f);
	say(f, STR("b FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[1.1.1])"
	    "\r\n"));
	expect_end(f, "b OK FETCH completed\r\n");
	say(f, STR("c SEARCH NOT TEXT nothing\r\n"));
	expect_end(f, "* SEARCH 1 2 3\r\nc OK SEARCH completed\r\n");
	buf_fini(&body);
}

/* --- many messages ------------------------------------------------- */

static void
deliver(struct fixture *f, unsigned n)
{
	while (n-- > 0)
		(void)test_deliver(f->account, STR("INBOX"), STR_NONE,
		    STR("Subject: x\r\n\r\ny\r\n"), 0, 1700000000, true);
}

/* The blobs leave memory, where the file system lets them. */
static void
forget_pages(struct fixture *f, uint64_t messages)
{
	char path[STORE_LINK_PATH_SIZE];
	uint64_t id;
	int fd;

	for (id = 1; id <= messages; id++) {
		store_link_path(id, path);
		fd = openat(store_dir_fd(f->account->store), path, O_RDONLY);
		assert_true(fd >= 0);
		(void)fdatasync(fd);
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		(void)close(fd);
	}
}

/* Their number in the order asked for, whatever is read before its turn. */
static void
test_fetch_not_in_memory(void **state)
{
	struct fixture *f = *state;
	struct str out, want;
	char text[64];
	unsigned i;
	size_t at;

	for (i = 1; i <= 700; i++) {
		(void)snprintf(text, sizeof(text), "S: %u\r\n\r\nbody %u.\r\n",
		    i, i);
		(void)test_deliver(f->account, STR("INBOX"), STR_NONE,
		    str_of(text), 0, 1700000000, i % 3 != 0);
	}
	select_inbox(f);
	say(f, STR("a STORE 5,300:302 +FLAGS.SILENT (\\Deleted)\r\n"));
	say(f, STR("b EXPUNGE\r\n"));
	expect_end(f, "b OK EXPUNGE completed\r\n");
	forget_pages(f, 700);
	say(f, STR("c UID FETCH 1:350,360,400:* (UID BODY[TEXT])\r\n"));
	out = test_host_output(f->host);
	for (i = 1; i <= 700; i++) {
		(void)snprintf(text, sizeof(text), "body %u.", i);
		want = str_of(text);
		at = str_find_str(out, want);
		if (i == 5 || (i >= 300 && i <= 302) ||
		    (i > 350 && i < 400 && i != 360)) {
			assert_int_equal(at, STR_NPOS);
			continue;
		}
		assert_int_not_equal(at, STR_NPOS);
		out = str_sub(out, at + want.len, out.len);
	}
	expect_end(f, "c OK UID FETCH completed\r\n");
}

/* Every second UID gone: no room for them in a state; it is found again. */
static void
test_park_with_gaps(void **state)
{
	struct fixture *f = *state;
	struct buf text, parked;
	unsigned i;

	deliver(f, 6000);
	select_inbox(f);
	buf_init(&text, 1 << 20);
	buf_init(&parked, ENGINE_STATE_MAX);
	buf_add_cstr(&text, "a STORE 1");
	for (i = 3; i < 6000; i += 2)
		buf_addf(&text, ",%u", i);
	buf_add_cstr(&text, " +FLAGS.SILENT (\\Deleted)\r\n");
	say(f, buf_str(&text));
	expect_end(f, "a OK STORE completed\r\n");
	say(f, STR("b EXPUNGE\r\n"));
	expect_end(f, "b OK EXPUNGE completed\r\n");
	assert_true(test_host_park(f->host, &parked));
	assert_in_range(parked.len, 5, 100);
	test_host_free(&f->host);
	(void)test_deliver(f->account, STR("INBOX"), STR_NONE, STR("\r\n"), 0,
	    1700000000, true);
	f->host = test_host_new(f->account, &imap_engine, buf_str(&parked));
	assert_non_null(f->host);
	say(f, STR("c FETCH 1:2,3000 UID\r\n"));
	expect_begin(f, "* 1 FETCH (UID 2)\r\n* 2 FETCH (UID 4)\r\n"
	    "* 3000 FETCH (UID 6000)\r\n* 3001 EXISTS\r\n");
	expect_end(f, "c OK FETCH completed\r\n");
	buf_fini(&text);
	buf_fini(&parked);
}

/* Whatever comes back: refused, or a session that works. */
static void
try_state(struct fixture *f, struct str state)
{
	struct engine_host *host = test_host_new(f->account, &imap_engine,
	    state);

	if (host == NULL)
		return;
	test_host_feed(host, STR("DONE\r\nx UID FETCH 1:* FLAGS\r\n"
	    "y NOOP\r\n"));
	test_run(f->account);
	test_host_free(&host);
}

static void
test_tampered_states(void **state)
{
	struct fixture *f = *state;
	struct buf parked;
	char copy[ENGINE_STATE_MAX];
	size_t i, len;
	int bit;

	deliver(f, 5);
	select_inbox(f);
	say(f, STR("a UID STORE 2,4 +FLAGS.SILENT (\\Deleted)\r\n"
	    "b EXPUNGE\r\nc IDLE\r\n"));
	expect_end(f, "+ idling\r\n");
	buf_init(&parked, ENGINE_STATE_MAX);
	assert_true(test_host_park(f->host, &parked));
	len = parked.len;
	for (i = 0; i < len; i++) {
		try_state(f, str_sub(buf_str(&parked), 0, i));
		for (bit = 0; bit < 8; bit++) {
			memcpy(copy, buf_str(&parked).p, len);
			copy[i] = (char)(copy[i] ^ (1 << bit));
			try_state(f, str_make(copy, len));
		}
	}
	buf_fini(&parked);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_bodies),
		TEST(test_large_body),
		TEST(test_long_commands),
		TEST(test_nul),
		TEST(test_huge_header),
		TEST(test_many_parts),
		TEST(test_fetch_not_in_memory),
		TEST(test_park_with_gaps),
		TEST(test_tampered_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
