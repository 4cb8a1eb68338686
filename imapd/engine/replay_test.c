/* SPDX-License-Identifier: ISC */
/*
 * C:/S: scripts against the engine (tests/replay/imap). Each is run three
 * times: its input whole, one octet at a time, and with an output that is
 * full and a slice that is over all the time.
 *
 *   C: text          the client of session 1 sends a line
 *   C+: text         the same, whatever it got before
 *   C2: text         session 2 (made on first use; so is 1)
 *                    (<uidvalidity> is INBOX's)
 *   S: text          the next line it gets; <any> stands for any octets
 *   E:               the session is over
 *   @park            session 1 is parked and comes back
 *   @leave, @return  session 1 is parked; and comes back
 *   @quota N         @max N         @disk N        limits from here on
 *   @blobs down|up   blobs cannot (can) be opened
 *   @deliver MAILBOX UNIXTIME then lines "| text": a message comes in;
 *   @scan MAILBOX UNIXTIME          the same without a summary
 *   @break ID        the blob of that message disappears
 *   @end text        the server ends session 1
 *
 * Each C: and @ line, and the end, requires that nothing more was sent.
 */
#include "base/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "mboxd/engine_test.h"

#define SESSIONS 3

struct replay {
	const char *name;
	unsigned line;
	bool is_slow;		/* one octet at a time */
	struct test_account *account;
	struct engine_host *hosts[SESSIONS + 1];
	struct buf message;
	struct buf parked;
	struct str box;
	int64_t date_s;
	bool is_delivering;
	bool has_summary;
};

static struct engine_host *
host_of(struct replay *r, unsigned n)
{
	assert_in_range(n, 1, SESSIONS);
	if (r->hosts[n] == NULL)
		r->hosts[n] = test_host_new(r->account, &imap_engine,
		    STR_NONE);
	return r->hosts[n];
}

static void
assert_quiet(struct replay *r)
{
	struct str out;
	unsigned i;

	for (i = 1; i <= SESSIONS; i++) {
		if (r->hosts[i] == NULL)
			continue;
		out = test_host_output(r->hosts[i]);
		if (out.len != 0)
			fail_msg("%s:%u: session %u sent more: %.*s", r->name,
			    r->line, i, STR_FMT(out));
	}
}

static void
feed(struct replay *r, struct engine_host *host, struct str text)
{
	size_t i;

	if (!r->is_slow) {
		test_host_feed(host, text);
		test_run(r->account);
		return;
	}
	for (i = 0; i < text.len; i++) {
		test_host_feed(host, str_sub(text, i, 1));
		test_run(r->account);
	}
}

/* <uidvalidity> is INBOX's. */
static void
put_line(struct replay *r, struct str text, struct buf *line)
{
	const struct str word = STR("<uidvalidity>");
	size_t at = str_find_str(text, word);

	if (at == STR_NPOS) {
		buf_add_str(line, text);
		return;
	}
	buf_add_str(line, str_sub(text, 0, at));
	buf_add_u64(line, store_mailbox_by_name(r->account->store,
	    STR("INBOX"))->uidvalidity);
	buf_add_str(line, str_sub(text, at + word.len, text.len));
}

static void
client(struct replay *r, unsigned n, struct str text)
{
	struct buf line;

	buf_init(&line, 1 << 20);
	put_line(r, text, &line);
	buf_add_cstr(&line, "\r\n");
	feed(r, host_of(r, n), buf_str(&line));
	buf_fini(&line);
}

/* Does line match pattern with its <any>? */
static bool
matches(struct str pattern, struct str line)
{
	const struct str any = STR("<any>");
	size_t at = str_find_str(pattern, any), found;

	if (at == STR_NPOS)
		return str_eq(pattern, line);
	if (!str_begins(line, str_sub(pattern, 0, at)))
		return false;
	line = str_sub(line, at, line.len);
	pattern = str_sub(pattern, at + any.len, pattern.len);
	if (pattern.len == 0)
		return true;
	for (found = 0; found <= line.len; found++)
		if (matches(pattern, str_sub(line, found, line.len)))
			return true;
	return false;
}

static void
server(struct replay *r, unsigned n, struct str pattern)
{
	struct str out = test_host_output(host_of(r, n)), line;
	size_t end = str_find(out, '\n');

	if (end == STR_NPOS)
		fail_msg("%s:%u: \"%.*s\" expected, nothing came: %.*s",
		    r->name, r->line, STR_FMT(pattern), STR_FMT(out));
	line = str_sub(out, 0, end);
	if (line.len != 0 && line.p[line.len - 1] == '\r')
		line.len--;
	if (!matches(pattern, line))
		fail_msg("%s:%u:\nwant %.*s\ngot  %.*s", r->name, r->line,
		    STR_FMT(pattern), STR_FMT(line));
	test_host_take(r->hosts[n], end + 1);
}

/* --- directives ---------------------------------------------------- */

static void
do_leave(struct replay *r, struct str arg)
{
	(void)arg;
	buf_reset(&r->parked);
	if (!test_host_park(host_of(r, 1), &r->parked))
		fail_msg("%s:%u: not parked", r->name, r->line);
	test_host_free(&r->hosts[1]);
}

static void
do_return(struct replay *r, struct str arg)
{
	(void)arg;
	r->hosts[1] = test_host_new(r->account, &imap_engine,
	    buf_str(&r->parked));
	if (r->hosts[1] == NULL)
		fail_msg("%s:%u: not resumed", r->name, r->line);
	test_run(r->account);
}

static void
do_park(struct replay *r, struct str arg)
{
	do_leave(r, arg);
	do_return(r, arg);
}

static uint64_t
number(struct str arg)
{
	uint64_t value;

	assert_int_equal(str_to_u64(arg, UINT64_MAX, &value), 0);
	return value;
}

static void
do_quota(struct replay *r, struct str arg)
{
	r->account->quota_octets = number(arg);
}

static void
do_max(struct replay *r, struct str arg)
{
	r->account->message_max_octets = number(arg);
}

static void
do_disk(struct replay *r, struct str arg)
{
	r->account->disk_octets = number(arg);
}

static void
do_blobs(struct replay *r, struct str arg)
{
	r->account->is_blob_down = str_eq(arg, STR("down"));
}

static void
do_deliver(struct replay *r, struct str arg)
{
	struct str date;

	r->box = str_cut(arg, ' ', &date);
	r->date_s = (int64_t)number(date);
	r->is_delivering = true;
	r->has_summary = true;
	buf_reset(&r->message);
}

static void
do_scan(struct replay *r, struct str arg)
{
	do_deliver(r, arg);
	r->has_summary = false;
}

static void
do_break(struct replay *r, struct str arg)
{
	char path[STORE_LINK_PATH_SIZE];

	store_link_path(number(arg), path);
	assert_int_equal(unlinkat(store_dir_fd(r->account->store), path, 0),
	    0);
}

static void
do_end(struct replay *r, struct str arg)
{
	test_host_end(host_of(r, 1), arg);
}

static const struct {
	const char *name;
	void (*run)(struct replay *r, struct str arg);
} directives[] = {
	{ "@leave", do_leave },
	{ "@park", do_park },
	{ "@return", do_return },
	{ "@quota", do_quota },
	{ "@max", do_max },
	{ "@disk", do_disk },
	{ "@blobs", do_blobs },
	{ "@deliver", do_deliver },
	{ "@scan", do_scan },
	{ "@break", do_break },
	{ "@end", do_end },
};

static void
directive(struct replay *r, struct str line)
{
	struct str arg, name = str_cut(line, ' ', &arg);
	size_t i;

	for (i = 0; i < COUNT_OF(directives); i++)
		if (str_eq(name, str_of(directives[i].name))) {
			directives[i].run(r, arg);
			return;
		}
	fail_msg("%s:%u: unknown directive", r->name, r->line);
}

/* The trace is what stands before a line "| --". */
static void
finish_delivery(struct replay *r)
{
	const struct str mark = STR("--\r\n");
	struct str blob = buf_str(&r->message), trace = STR_NONE;
	size_t at = str_find_str(blob, mark);

	if (!r->is_delivering)
		return;
	r->is_delivering = false;
	if (at != STR_NPOS && (at == 0 || blob.p[at - 1] == '\n')) {
		trace = str_sub(blob, 0, at);
		blob = str_sub(blob, at + mark.len, blob.len);
	}
	(void)test_deliver(r->account, r->box, trace, blob, 0, r->date_s,
	    r->has_summary);
	/* As the account process does: all sessions are stepped. */
	test_host_feed(host_of(r, 1), STR(""));
	engine_changed(host_of(r, 1));
	test_run(r->account);
}

/* --- running ------------------------------------------------------- */

static void
run_line(struct replay *r, struct str line)
{
	unsigned n = 1;
	struct str text;
	char kind;

	if (line.len >= 2 && line.p[0] == '|') {
		buf_add_str(&r->message, str_sub(line, 2, line.len));
		buf_add_cstr(&r->message, "\r\n");
		return;
	}
	finish_delivery(r);
	if (line.len == 0 || line.p[0] == '#')
		return;
	kind = line.p[0];
	if (kind != 'S' && line.p[1] != '+')
		assert_quiet(r);
	if (kind == '@') {
		directive(r, line);
		return;
	}
	if (ascii_is_digit(line.p[1]))
		n = (unsigned)(line.p[1] - '0');
	(void)str_cut(line, ':', &text);
	text = text.len != 0 ? str_sub(text, 1, text.len) : text;
	if (kind == 'C')
		client(r, n, text);
	else if (kind == 'S')
		server(r, n, text);
	else if (kind == 'E' && !test_host_is_over(host_of(r, n)))
		fail_msg("%s:%u: not over", r->name, r->line);
}

static void
run_script(struct replay *r, struct str script)
{
	struct str rest = script, line;
	unsigned i;

	buf_init(&r->message, 1 << 20);
	buf_init(&r->parked, ENGINE_STATE_MAX);
	for (r->line = 1; rest.p != NULL; r->line++) {
		line = str_cut(rest, '\n', &rest);
		run_line(r, line);
	}
	finish_delivery(r);
	assert_quiet(r);
	for (i = 1; i <= SESSIONS; i++)
		test_host_free(&r->hosts[i]);
	buf_fini(&r->message);
	buf_fini(&r->parked);
}

static void
read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		fail_msg("open %s", path);
	while ((n = read(fd, buf_reserve(out, 65536), 65536)) > 0)
		buf_grow(out, (size_t)n);
	assert_int_equal(n, 0);
	(void)close(fd);
}

static void
run_file(const char *path, const char *name)
{
	struct replay r;
	struct buf script;
	unsigned mode;

	buf_init(&script, 4 << 20);
	read_file(path, &script);
	for (mode = 0; mode < 3; mode++) {
		r = (struct replay){ .name = name, .is_slow = mode == 1 };
		r.account = test_account_new();
		if (mode == 2) {
			r.account->full_octets = 1;
			r.account->slice_calls = 2;
		}
		run_script(&r, buf_str(&script));
		test_account_free(&r.account);
	}
	buf_fini(&script);
}

static void
test_scripts(void **state)
{
	const char *srcdir = getenv("srcdir");
	char dir[512], path[1024];
	struct dirent *entry;
	unsigned count = 0;
	DIR *d;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/tests/replay/imap",
	    srcdir != NULL ? srcdir : ".");
	d = opendir(dir);
	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		if (!str_ends_nocase(str_of(entry->d_name), STR(".replay")))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir,
		    entry->d_name);
		run_file(path, entry->d_name);
		count++;
	}
	(void)closedir(d);
	assert_true(count > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
