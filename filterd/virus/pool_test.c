/* SPDX-License-Identifier: ISC */
/*
 * The pool with scanners that do what a message tells them: its first letter
 * is what happens. The folder of the signatures tells what becomes of them.
 */
#include "base/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/when.h"
#include "filterd/virus/pool.h"
#include "ipc/links.h"
#include "ipc/values.h"

#define WAIT_MS 20000
#define SCANS_MAX 5U

/* ---- the scanners ---- */

/* Shared with all of them: who was given a message since the last expect(). */
static struct {
	unsigned count;
	int pids[8];
} *tries;

static char folder[64];
static bool is_second;		/* of this generation's signatures */

static bool
has_file(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

static void
on_gone(void *ctx, struct ipc_link *link)
{
	(void)ctx;
	(void)link;
	_exit(0);
}

static void
on_test(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct ipc_out *out;

	(void)link;
	(void)in;
	if (has_file("crashes"))
		_exit(1);
	out = ipc_reply_begin(req);
	ipc_put_bool(out, !has_file("misses"));
	ipc_reply_end(out, -1);
}

/* What workers of this generation know. */
static unsigned known_names;

static void
on_know(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	(void)link;
	(void)req;
	if (ipc_get_bool(in))
		known_names = 0;
	(void)ipc_get_u64(in);
	while (ipc_more(in)) {
		(void)ipc_get_str(in);
		known_names += (unsigned)ipc_get_u64(in);
	}
}

static void
put_row(struct ipc_out *out, uint64_t part, uint64_t what, struct str name,
    struct str detail)
{
	ipc_put_u64(out, part);
	ipc_put_u64(out, what);
	ipc_put_str(out, name);
	ipc_put_str(out, detail);
}

/* What a worker that was taken over might say. */
static void
put_nonsense(struct ipc_out *out)
{
	static char many[300];
	unsigned i;

	memset(many, 'x', sizeof(many));
	put_row(out, 3, 99, STR("Nonsense"), STR(""));
	put_row(out, 4, SCAN_INFECTED, STR("Two\r\nLines"), STR(""));
	put_row(out, 65536, SCAN_INFECTED, STR("NoPart"), STR(""));
	put_row(out, 4, SCAN_INFECTED, str_make(many, sizeof(many)), STR(""));
	put_row(out, 4, SCAN_W_TRAIT, STR("bidi-name"),
	    str_make(many, sizeof(many)));
	put_row(out, 4, SCAN_W_TRAIT, STR("bidi-name"), STR("\xff"));
	for (i = 0; i < 300; i++)
		put_row(out, 5, SCAN_W_TRAIT, STR("no-such\ntrait"),
		    STR(""));
	put_row(out, 5, SCAN_W_TRAIT, STR("too-late"), STR(""));
}

static void
on_scan(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	uint64_t result = SCAN_CLEAN;
	int fd;
	struct ipc_out *out;
	char what = 0, text[64];
	uint64_t flags;

	(void)link;
	(void)ipc_get_u64(in);
	(void)ipc_get_u64(in);
	flags = ipc_get_u64(in);
	assert_true(ipc_more(in) && str_eq(ipc_get_str(in),
	    STR("reader.test")));
	fd = ipc_take_fd(in);
	assert_int_equal(pread(fd, &what, 1, 0), 1);
	(void)close(fd);
	tries->pids[tries->count % COUNT_OF(tries->pids)] = (int)getpid();
	tries->count++;
	if (what == 'k' || (what == 'K' && tries->count == 1))
		(void)raise(SIGKILL);
	while (what == 'h')
		(void)pause();
	if (what == 'v')
		result = SCAN_INFECTED;
	if (what == 'n')
		result = 77;
	if (what == 'f' || (what == 'F' && tries->count == 1))
		result = SCAN_CRASHED;
	out = ipc_reply_begin(req);
	ipc_put_u64(out, result);
	ipc_put_str(out, what == 'v' ? STR("Virus.Test") :
	    result == SCAN_CRASHED ? STR("Part.NoFile") : STR(""));
	ipc_put_bool(out, what == 's');
	if (what == 'v') {
		put_row(out, 2, SCAN_INFECTED, is_second ? STR("Second") :
		    STR("First"), STR(""));
		put_row(out, 65535, SCAN_W_TRAIT, STR("name-ours"),
		    STR("\xe9\xa3\x9b"));
		put_nonsense(out);
	}
	/* Who says so, and what it knows. */
	if (what == 's' || what == 'w') {
		(void)snprintf(text, sizeof(text), "%d %u %u", (int)getpid(),
		    known_names, (unsigned)flags);
		put_row(out, 1, SCAN_W_TRAIT, STR("worker"), str_of(text));
	}
	ipc_reply_end(out, -1);
}

static void
on_loaded(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct ipc_out *out = ipc_reply_begin(req);

	(void)link;
	(void)in;
	ipc_put_u64(out, 1);
	ipc_put_u64(out, 1000);
	ipc_reply_end(out, -1);
}

static void on_fork(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in);
static void on_kill(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in);

static ipc_handler *const handlers[] = {
	[SCANNER_LOADED] = on_loaded, [SCANNER_FORK] = on_fork,
	[SCANNER_KILL] = on_kill, [SCANNER_TEST] = on_test,
	[SCANNER_SCAN] = on_scan, [SCANNER_KNOW] = on_know,
};

static _Noreturn void
serve(int fd)
{
	struct loop *loop = loop_new();

	(void)ipc_serve(loop, &ipc_scanner, fd, STR("pool"), handlers, NULL,
	    on_gone);
	loop_run(loop);
	_exit(0);
}

static void
on_fork(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	int fd;
	struct ipc_out *out;
	pid_t pid;

	(void)link;
	(void)ipc_get_u64(in);
	fd = ipc_take_fd(in);
	pid = fork();
	if (pid == 0) {
		(void)close_range(3, (unsigned)fd - 1, 0);
		serve(fd);
	}
	(void)close(fd);
	out = ipc_reply_begin(req);
	ipc_put_u64(out, (uint64_t)pid);
	ipc_reply_end(out, -1);
}

static void
on_kill(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	(void)link;
	(void)req;
	(void)kill((pid_t)ipc_get_u64(in), SIGKILL);
}

static void
generation(const struct worker_env *env, int fd)
{
	(void)env;
	(void)signal(SIGCHLD, SIG_IGN);
	if (has_file("unloadable"))
		_exit(1);
	is_second = has_file("second");
	(void)close_range(3, (unsigned)fd - 1, 0);
	(void)close_range((unsigned)fd + 1, ~0U, 0);
	serve(fd);
}

/* ---- the pool, and one that asks it ---- */

struct answer {
	bool has_come;
	int code;
	uint64_t result;
	char name[64];
	bool is_suspicious;
	char parts[256];	/* "2 Name detail;" */
};

static struct loop *loop;
static struct pool *pool;
static struct ipc_link *client, *served;
static unsigned alerts;

static void
on_message(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	(void)link;
	pool_scan(pool, req, in);
}

static void
on_alert(void *ctx, const char *what)
{
	(void)ctx;
	(void)what;
	alerts++;
}

static void
tell(void *ctx, struct ipc_link *link)
{
	struct ipc_out *out = ipc_begin(link, SCANNER_KNOW);

	(void)ctx;
	ipc_put_bool(out, true);
	ipc_put_u64(out, SCAN_K_DOMAINS);
	ipc_put_str(out, STR("a.test"));
	ipc_put_u64(out, 1);
	ipc_put_str(out, STR("b.test"));
	ipc_put_u64(out, 1);
	assert_int_equal(ipc_send(out, -1), 0);
}

static void
make_file(const char *name)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
}

static int
setup(void **state)
{
	static ipc_handler *const asked[] = { [SCAN_MESSAGE] = on_message };
	struct pool_settings settings = { .workers = 2, .scan_ms = 300,
	    .generation = generation, .alert = on_alert, .tell = tell,
	    .scans_max = SCANS_MAX };
	int fds[2];

	(void)state;
	if (tries == NULL)
		tries = mmap(NULL, sizeof(*tries), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(tries, MAP_FAILED);
	(void)signal(SIGCHLD, SIG_IGN);
	(void)snprintf(folder, sizeof(folder), "/tmp/pool-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	make_file("signatures");
	alerts = 0;
	loop = loop_new();
	settings.env.signatures[0] = folder;
	pool = pool_new(loop, &settings);
	assert_int_equal(ipc_pair(fds, NULL), 0);
	served = ipc_serve(loop, &ipc_scan, fds[0], STR("filterd"), asked,
	    NULL, NULL);
	client = ipc_client_new(loop, &ipc_scan, NULL);
	ipc_client_attach(client, fds[1]);
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "signatures", "second",
	    "misses", "crashes", "unloadable" };
	char path[128];
	size_t i;

	(void)state;
	pool_free(&pool);
	ipc_link_free(&client);
	ipc_link_free(&served);
	loop_free(&loop);
	for (i = 0; i < COUNT_OF(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder,
		    names[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(folder), 0);
	return 0;
}

static void
on_answer(void *ctx, int code, struct ipc_in *in)
{
	struct answer *answer = ctx;
	struct str name, detail;
	uint64_t part;
	size_t len;

	answer->has_come = true;
	answer->code = code;
	if (code != 0)
		return;
	answer->result = ipc_get_u64(in);
	name = ipc_get_str(in);
	(void)snprintf(answer->name, sizeof(answer->name), "%.*s",
	    STR_FMT(name));
	answer->is_suspicious = ipc_get_bool(in);
	while (ipc_more(in)) {
		part = ipc_get_u64(in);
		(void)ipc_get_u64(in);
		name = ipc_get_str(in);
		detail = ipc_get_str(in);
		len = strlen(answer->parts);
		(void)snprintf(answer->parts + len,
		    sizeof(answer->parts) - len, "%llu %.*s %.*s;",
		    (unsigned long long)part, STR_FMT(name),
		    STR_FMT(detail));
	}
}

static void
ask(struct answer *answer, char what, uint64_t ms)
{
	struct ipc_out *out = ipc_begin(client, SCAN_MESSAGE);
	int fd = memfd_create("m", MFD_CLOEXEC);

	*answer = (struct answer){ .code = 0 };
	assert_int_equal(write(fd, &what, 1), 1);
	ipc_put_u64(out, when_mono_ms() + ms);
	ipc_put_u64(out, 1);
	ipc_put_u64(out, SCAN_F_OUTSIDE);
	ipc_put_str(out, STR(""));
	ipc_put_str(out, STR("reader.test"));
	(void)ipc_call(out, fd, 2 * WAIT_MS, on_answer, answer);
	(void)close(fd);
}

static void
await(const struct answer *answer)
{
	uint64_t until = when_mono_ms() + WAIT_MS;

	while (!answer->has_come && when_mono_ms() < until)
		loop_once(loop);
	assert_true(answer->has_come);
}

static void
expect(char what, enum scan_result result, const char *name)
{
	struct answer answer;

	tries->count = 0;
	ask(&answer, what, WAIT_MS);
	await(&answer);
	assert_int_equal(answer.code, 0);
	assert_int_equal(answer.result, result);
	assert_string_equal(answer.name, name);
}

static void
test_findings(void **state)
{
	struct answer answer;

	(void)state;
	expect('c', SCAN_CLEAN, "");
	ask(&answer, 'v', WAIT_MS);
	await(&answer);
	assert_int_equal(answer.result, SCAN_INFECTED);
	assert_string_equal(answer.name, "Virus.Test");
	assert_string_equal(answer.parts, "2 First ;"
	    "65535 name-ours \xe9\xa3\x9b;");
	assert_false(answer.is_suspicious);
}

/* How often the last message was looked at, by another worker each time. */
static void
expect_tries(unsigned count)
{
	assert_int_equal(tries->count, count);
	if (count == 2)
		assert_int_not_equal(tries->pids[0], tries->pids[1]);
}

/* Once more, then that is what is said of it; the others go on. */
static void
test_crash(void **state)
{
	(void)state;
	expect('k', SCAN_CRASHED, "Scanner.Crashed");
	expect_tries(2);
	expect('c', SCAN_CLEAN, "");
	expect_tries(1);
	expect('n', SCAN_CRASHED, "Scanner.Nonsense");
	expect_tries(1);
}

/* So is one whose worker says that it could not look. */
static void
test_helpless(void **state)
{
	(void)state;
	expect('f', SCAN_CRASHED, "Part.NoFile");
	expect_tries(2);
	expect('c', SCAN_CLEAN, "");
	expect_tries(1);
}

/* What passes by the second time has no part in the verdict. */
static void
test_passing_fault(void **state)
{
	(void)state;
	expect('K', SCAN_CLEAN, "");
	expect_tries(2);
	expect('F', SCAN_CLEAN, "");
	expect_tries(2);
}

static void
test_hang(void **state)
{
	struct answer slow[3], answer;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(slow); i++)
		ask(&slow[i], 'h', WAIT_MS);
	ask(&answer, 'c', WAIT_MS);
	for (i = 0; i < COUNT_OF(slow); i++) {
		await(&slow[i]);
		assert_int_equal(slow[i].result, SCAN_LIMIT);
		assert_string_equal(slow[i].name, "Limits.Time");
	}
	await(&answer);
	assert_int_equal(answer.result, SCAN_CLEAN);
}

/* Workers are replaced on the way. */
static void
test_many(void **state)
{
	static struct answer answers[300];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(answers); i++)
		ask(&answers[i], i % 7 == 0 ? 'v' : 'c', WAIT_MS);
	for (i = 0; i < COUNT_OF(answers); i++) {
		await(&answers[i]);
		assert_int_equal(answers[i].code, 0);
		assert_int_equal(answers[i].result, i % 7 == 0 ?
		    SCAN_INFECTED : SCAN_CLEAN);
	}
}

/* The worker that answers, and how much it knows. */
static int
who(char what, unsigned *known_r)
{
	struct answer answer;
	unsigned flags;
	int pid;

	ask(&answer, what, WAIT_MS);
	await(&answer);
	assert_int_equal(answer.code, 0);
	assert_int_equal(answer.is_suspicious, what == 's');
	assert_int_equal(sscanf(answer.parts, "1 worker %d %u %u;", &pid,
	    known_r, &flags), 3);
	assert_int_equal(flags, SCAN_F_OUTSIDE);
	return pid;
}

/* No worker sees more than its share. */
static void
test_share(void **state)
{
	int pids[40];
	unsigned known, count;
	size_t i, k;

	(void)state;
	for (i = 0; i < COUNT_OF(pids); i++) {
		pids[i] = who('w', &known);
		for (k = 0, count = 0; k <= i; k++)
			count += pids[k] == pids[i];
		assert_true(count <= SCANS_MAX);
	}
}

/* One that read what may have taken it over sees nothing more. */
static void
test_suspects(void **state)
{
	unsigned known, i;
	int pid;

	(void)state;
	for (i = 0; i < 5; i++) {
		pid = who('s', &known);
		assert_int_not_equal(who('w', &known), pid);
		assert_int_not_equal(who('w', &known), pid);
	}
}

/* What is known of us reaches the workers without new signatures. */
static void
test_known(void **state)
{
	unsigned known;

	(void)state;
	(void)who('w', &known);
	assert_int_equal(known, 0);
	pool_known(pool);
	(void)who('w', &known);
	assert_int_equal(known, 2);
	pool_known(pool);
	(void)who('w', &known);
	assert_int_equal(known, 2);
}

/* Signatures that find nothing in an archive, or cannot be loaded, are never
 * used: what waits hears so in time. */
static void
test_unusable(void **state)
{
	static const char *const kinds[] = { "misses", "crashes",
	    "unloadable" };
	struct answer answer;
	size_t i;

	for (i = 0; i < COUNT_OF(kinds); i++) {
		make_file(kinds[i]);
		ask(&answer, 'c', 1500);
		await(&answer);
		assert_int_equal(answer.code, ERR_TEMP);
		assert_true(alerts != 0);
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

/* Bad ones are never used, what was in use goes on. */
static void
test_reload_bad(void **state)
{
	uint64_t until = when_mono_ms() + WAIT_MS;
	unsigned n;

	(void)state;
	for (n = 0; n < 10; n++)
		expect('c', SCAN_CLEAN, "");
	make_file("unloadable");
	pool_reload(pool);
	while (alerts == 0 && when_mono_ms() < until)
		expect('v', SCAN_INFECTED, "Virus.Test");
	assert_int_equal(alerts, 1);
	expect('c', SCAN_CLEAN, "");
}

/* New ones take over without a gap. */
static void
test_reload(void **state)
{
	uint64_t until = when_mono_ms() + WAIT_MS;
	struct answer answer = { .code = 0 };

	(void)state;
	expect('c', SCAN_CLEAN, "");
	make_file("second");
	pool_reload(pool);
	while (strncmp(answer.parts, "2 Second ;", 10) != 0 &&
	    when_mono_ms() < until) {
		ask(&answer, 'v', WAIT_MS);
		await(&answer);
		assert_int_equal(answer.result, SCAN_INFECTED);
	}
	assert_int_equal(strncmp(answer.parts, "2 Second ;", 10), 0);
	assert_int_equal(alerts, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_findings),
		TEST(test_crash),
		TEST(test_helpless),
		TEST(test_passing_fault),
		TEST(test_hang),
		TEST(test_many),
		TEST(test_share),
		TEST(test_suspects),
		TEST(test_known),
		TEST(test_unusable),
		TEST(test_reload_bad),
		TEST(test_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
