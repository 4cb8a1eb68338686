/* SPDX-License-Identifier: ISC */
/*
 * mboxd as a whole, with a real blobd. "mboxd_test bench N ACCOUNTS" delivers
 * N messages round robin and says how long it took; "mboxd_test cold N" one
 * message to N new accounts, "mboxd_test park N" parks N sessions.
 */
#include "base/test.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/when.h"
#include "mboxd/rig.h"

#define CONFIG "workers_bulk=2\npark_after=0\naccount_linger=1\n"	\
	"sessions_per_user=3\nhostname=mail.example.test\n"

static const char body[] = "From: a@example.test\r\nSubject: hello\r\n\r\n"
    "text\r\n";

static int
setup(void **state)
{
	(void)state;
	rig_start(CONFIG);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_remove();
	return 0;
}

static void
send_and_wait(uint64_t queue_id, const struct rig_blob *blob,
    const uint64_t *accounts, size_t len, bool is_junk, unsigned *results)
{
	uint64_t answers = 0;
	struct rig_delivery delivery = { .answers = &answers,
	    .results = results, .is_junk = is_junk };

	rig_deliver(&delivery, queue_id, blob, accounts, len);
	rig_until(&answers, 1);
}

static void
blob_and_wait(uint64_t queue_id, const struct rig_blob *blob,
    const uint64_t *accounts, size_t len, unsigned *results)
{
	send_and_wait(queue_id, blob, accounts, len, false, results);
}

static void
deliver_and_wait(uint64_t queue_id, const uint64_t *accounts, size_t len,
    unsigned *results)
{
	struct rig_blob blob = rig_blob(str_of(body));

	blob_and_wait(queue_id, &blob, accounts, len, results);
	(void)close(blob.fd);
}

static void
open_session(struct rig_session *session, const char *protocol,
    uint64_t account, uint64_t number, int want)
{
	struct buf ticket;

	buf_init(&ticket, 1024);
	rig_ticket(&ticket, protocol, account, number, 60);
	assert_int_equal(rig_session_open(session, protocol,
	    buf_str(&ticket), number), want);
	session->account = account;
	buf_fini(&ticket);
}

/* ---- deliveries ---- */

static void
test_deliver(void **state)
{
	static const uint64_t accounts[] = { 7, RIG_QUOTA_ACCOUNT, 8,
	    RIG_NO_ACCOUNT, 9, 5000, RIG_SHUT_ACCOUNT };
	static const unsigned want[] = { MBOX_R_DELIVERED, MBOX_R_DELIVERED,
	    MBOX_R_DELIVERED, MBOX_R_GONE, MBOX_R_DELIVERED, MBOX_R_DELIVERED,
	    MBOX_R_DELIVERED };
	unsigned results[COUNT_OF(accounts)];
	struct rig_blob blob = rig_blob(str_of(body));
	size_t i;
	int round;

	(void)state;
	/* The second time nothing is new. */
	for (round = 0; round < 2; round++) {
		memset(results, 0xff, sizeof(results));
		blob_and_wait(1, &blob, accounts, COUNT_OF(accounts),
		    results);
		for (i = 0; i < COUNT_OF(accounts); i++)
			assert_int_equal(results[i], want[i]);
	}
	(void)close(blob.fd);
	rig_until(&rig.usage_rows, 6);
	/* The quota is used up some time. */
	for (i = 2; i < 30 && results[1] == MBOX_R_DELIVERED; i++)
		deliver_and_wait(i, accounts, 2, results);
	assert_int_equal(results[0], MBOX_R_DELIVERED);
	assert_int_equal(results[1], MBOX_R_FULL);
	rig_stop();
	assert_int_equal(rig_count(8), 1);
	assert_int_equal(rig_count(9), 1);
	assert_int_equal(rig_count(5000), 1);
	assert_int_equal(rig_count(7), (long)i - 1);
	assert_int_equal(rig_count(RIG_QUOTA_ACCOUNT), (long)i - 2);
	assert_int_equal(rig_count(RIG_NO_ACCOUNT), -1);
}

/* What is junk goes where it belongs, by worker and by account process. */
static void
test_junk(void **state)
{
	static const uint64_t account = 7;
	struct rig_blob blob = rig_blob(str_of(body));
	struct rig_session session;
	unsigned result = MBOX_R_TEMP;

	(void)state;
	send_and_wait(1, &blob, &account, 1, true, &result);
	assert_int_equal(result, MBOX_R_DELIVERED);
	open_session(&session, "imap", account, 1, 0);
	send_and_wait(2, &blob, &account, 1, true, &result);
	assert_int_equal(result, MBOX_R_DELIVERED);
	rig_session_close(&session);
	blob_and_wait(3, &blob, &account, 1, &result);
	(void)close(blob.fd);
	rig_stop();
	assert_int_equal(rig_count_in(account, STORE_ROLE_JUNK), 2);
	assert_int_equal(rig_count(account), 1);
}

/* The children of mboxd, from /proc. */
static size_t
children(pid_t *pids, size_t max)
{
	char path[64], text[512], *p;
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	size_t n = 0;
	FILE *file;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL && n < max) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%.20s/stat",
		    entry->d_name);
		if ((file = fopen(path, "r")) == NULL)
			continue;
		if (fgets(text, sizeof(text), file) != NULL &&
		    (p = strrchr(text, ')')) != NULL && p[2] != 'Z' &&
		    strtol(p + 3, NULL, 10) == rig.mboxd.pid)
			pids[n++] = (pid_t)strtol(entry->d_name, NULL, 10);
		(void)fclose(file);
	}
	(void)closedir(dir);
	return n;
}

#define KILLED 150

/* What is killed under load loses and doubles nothing. */
static void
load_and_kill(void (*kill_something)(int round))
{
	static struct rig_delivery deliveries[KILLED];
	struct rig_blob blob = rig_blob(str_of(body));
	uint64_t answers = 0, before, accounts[4] = { 11, 12, 13, 14 };
	int round, i;
	bool is_done;

	memset(deliveries, 0, sizeof(deliveries));
	for (i = 0; i < KILLED; i++)
		deliveries[i].answers = &answers;
	/* Again until all is delivered, as queued does. */
	for (round = 0; round < 100; round++) {
		before = answers;
		for (i = 0; i < KILLED; i++) {
			deliveries[i].has_failed = false;
			rig_deliver(&deliveries[i], 100 + (uint64_t)i, &blob,
			    accounts, 4);
			if (i % 50 == 25 && round < 2)
				kill_something(round);
		}
		rig_until(&answers, before + KILLED);
		is_done = true;
		for (i = 0; i < KILLED; i++)
			is_done = is_done && !deliveries[i].has_failed;
		if (is_done && round >= 2)
			break;
	}
	assert_true(round < 100);
	rig_stop();
	for (i = 0; i < 4; i++)
		assert_int_equal(rig_count(accounts[i]), KILLED);
	(void)close(blob.fd);
}

static void
kill_worker(int round)
{
	pid_t pids[64];
	size_t n = children(pids, 64);

	loop_once(rig.loop);
	if (n != 0)
		(void)kill(pids[(size_t)round % n], SIGKILL);
}

static void
test_killed_worker(void **state)
{
	(void)state;
	load_and_kill(kill_worker);
}

static void
kill_broker(int round)
{
	(void)round;
	loop_once(rig.loop);
	rig_restart(&rig.mboxd);
}

static void
test_killed_broker(void **state)
{
	(void)state;
	load_and_kill(kill_broker);
}

/* ---- sessions ---- */

static void
test_session(void **state)
{
	struct rig_session imap, pop3;
	uint64_t account = 21;
	unsigned result = 99;

	(void)state;
	deliver_and_wait(1, &account, 1, &result);
	open_session(&imap, "imap", account, 1, 0);
	rig_session_say(&imap, "a SELECT INBOX\r\n");
	rig_session_expect(&imap, "* 1 EXISTS");
	rig_session_expect(&imap, "a OK");
	/* A delivery shows at once in the session that is in IDLE. */
	rig_session_say(&imap, "b IDLE\r\n");
	rig_session_expect(&imap, "+ ");
	deliver_and_wait(2, &account, 1, &result);
	assert_int_equal(result, MBOX_R_DELIVERED);
	rig_session_expect(&imap, "* 2 EXISTS");
	rig_session_say(&imap, "DONE\r\n");
	rig_session_expect(&imap, "b OK");
	/* APPEND: a blob of its own by way of blobd. */
	rig_session_say(&imap, "c APPEND INBOX {12+}\r\nA: b\r\n\r\ncd\r\n\r\n");
	rig_session_expect(&imap, "* 3 EXISTS");
	rig_session_expect(&imap, "c OK");
	rig_session_say(&imap, "d FETCH 1,3 BODY[]\r\n");
	rig_session_expect(&imap, "Return-Path: <a@example.test>\r\n"
	    "Delivered-To: u21@example.test\r\nReceived: from here");
	rig_session_expect(&imap, "text\r\n");
	rig_session_expect(&imap, "A: b\r\n\r\ncd\r\n");
	rig_session_expect(&imap, "d OK");
	open_session(&pop3, "pop3", account, 2, 0);
	rig_session_say(&pop3, "STAT\r\n");
	rig_session_expect(&pop3, "+OK 3 ");
	rig_session_say(&pop3, "DELE 1\r\nQUIT\r\n");
	rig_session_expect(&pop3, "+OK");
	rig_until(&pop3.ends, 1);
	rig_session_say(&imap, "e NOOP\r\n");
	rig_session_expect(&imap, "* 1 EXPUNGE");
	rig_session_say(&imap, "f LOGOUT\r\n");
	rig_session_expect(&imap, "* BYE");
	rig_until(&imap.ends, 1);
	rig_session_close(&imap);
	rig_session_close(&pop3);
	rig_stop();
	assert_int_equal(rig_count(account), 2);
}

static void
test_parking(void **state)
{
	struct rig_session imap;
	uint64_t account = 31, number;
	unsigned result = 99;
	pid_t pids[64];

	(void)state;
	open_session(&imap, "imap", account, 1, 0);
	imap.takes_parking = true;
	rig_session_say(&imap, "a SELECT INBOX\r\n");
	rig_session_expect(&imap, "a OK");
	rig_session_say(&imap, "b IDLE\r\n");
	rig_session_expect(&imap, "+ idling\r\n");
	rig_until(&imap.parks, 1);
	/* The process ends; the bulk worker delivers; the front is told. */
	for (number = 0; number < 500 && children(pids, 64) > 2; number++)
		(void)usleep(20000);
	assert_int_equal(children(pids, 64), 2);
	number = rig.changed;
	deliver_and_wait(1, &account, 1, &result);
	assert_int_equal(result, MBOX_R_DELIVERED);
	rig_until(&rig.changed, number + 1);
	imap.takes_parking = false;
	assert_int_equal(rig_session_resume(&imap), 0);
	rig_session_expect(&imap, "* 1 EXISTS");
	rig_session_say(&imap, "DONE\r\n");
	rig_session_expect(&imap, "b OK");
	/* The state is good once more only if it was not resumed: it is live. */
	imap.takes_parking = true;
	rig_session_say(&imap, "c NOOP\r\n");
	rig_session_expect(&imap, "c OK NOOP completed\r\n");
	rig_until(&imap.parks, 2);
	imap.state[20] ^= 1;
	assert_int_equal(rig_session_resume(&imap), ERR_DENIED);
	imap.state[20] ^= 1;
	imap.takes_parking = false;
	assert_int_equal(rig_session_resume(&imap), 0);
	rig_session_say(&imap, "d NOOP\r\n");
	rig_session_expect(&imap, "d OK");
	rig_session_close(&imap);
	rig_stop();
}

static void
test_tickets(void **state)
{
	struct rig_session one, other[3];
	struct buf ticket;
	size_t i;

	(void)state;
	buf_init(&ticket, 1024);
	/* Good once. */
	rig_ticket(&ticket, "pop3", 41, 1, 60);
	assert_int_equal(rig_session_open(&one, "pop3", buf_str(&ticket), 1),
	    0);
	assert_int_equal(rig_session_open(&other[0], "pop3",
	    buf_str(&ticket), 1), ERR_DENIED);
	rig_session_close(&other[0]);
	/* For another session, another protocol, too late, changed. */
	buf_reset(&ticket);
	rig_ticket(&ticket, "pop3", 41, 2, 60);
	assert_int_equal(rig_session_open(&other[0], "pop3",
	    buf_str(&ticket), 3), ERR_DENIED);
	rig_session_close(&other[0]);
	assert_int_equal(rig_session_open(&other[0], "imap",
	    buf_str(&ticket), 2), ERR_DENIED);
	rig_session_close(&other[0]);
	ticket.p[3] ^= 1;
	assert_int_equal(rig_session_open(&other[0], "pop3",
	    buf_str(&ticket), 2), ERR_DENIED);
	rig_session_close(&other[0]);
	buf_reset(&ticket);
	rig_ticket(&ticket, "pop3", 41, 2, -1);
	assert_int_equal(rig_session_open(&other[0], "pop3",
	    buf_str(&ticket), 2), ERR_DENIED);
	rig_session_close(&other[0]);
	/* An account that is shut, one that is not there. */
	open_session(&other[0], "pop3", RIG_SHUT_ACCOUNT, 4, ERR_DENIED);
	rig_session_close(&other[0]);
	open_session(&other[0], "pop3", RIG_NO_ACCOUNT, 5, ERR_DENIED);
	rig_session_close(&other[0]);
	/* Three of a user from an address; POP3 sessions may share the box. */
	open_session(&other[0], "imap", 41, 6, 0);
	open_session(&other[1], "imap", 41, 7, 0);
	open_session(&other[2], "imap", 41, 8, ERR_DENIED);
	for (i = 0; i < 3; i++)
		rig_session_close(&other[i]);
	rig_session_close(&one);
	buf_fini(&ticket);
	rig_stop();
}

static void
test_password(void **state)
{
	struct rig_session imap;

	(void)state;
	open_session(&imap, "imap", 51, 1, 0);
	rig_session_say(&imap, "a SELECT INBOX\r\n");
	rig_session_expect(&imap, "a OK");
	/* Another limit of the account ends nothing; a password does. */
	rig_directory_changed(51, false);
	rig_session_say(&imap, "b NOOP\r\n");
	rig_session_expect(&imap, "b OK");
	rig_directory_changed(51, true);
	rig_session_expect(&imap, "* BYE");
	rig_until(&imap.ends, 1);
	rig_until(&rig.ended, 1);
	rig_session_close(&imap);
	rig_stop();
}

/* ---- measuring ---- */

static double
cpu_ms(void)
{
	struct rusage own;

	/* mboxd and its children, and blobd, once they are gone. */
	(void)getrusage(RUSAGE_CHILDREN, &own);
	return (double)own.ru_utime.tv_sec * 1e3 +
	    (double)own.ru_utime.tv_usec / 1e3 +
	    (double)own.ru_stime.tv_sec * 1e3 +
	    (double)own.ru_stime.tv_usec / 1e3;
}

#define BENCH_WINDOW 256

static void
bench_deliver(size_t n, size_t accounts)
{
	static struct rig_delivery deliveries[BENCH_WINDOW];
	struct rig_blob *blobs = calloc(BENCH_WINDOW, sizeof(*blobs));
	static char text[10240];
	uint64_t answers = 0, account, begun_us;
	double seconds;
	size_t i;

	memset(text, 'x', sizeof(text));
	for (i = 0; i < BENCH_WINDOW; i++)
		blobs[i] = rig_blob(str_make(text, sizeof(text)));
	begun_us = when_mono_us();
	for (i = 0; i < n; i++) {
		struct rig_delivery *d = &deliveries[i % BENCH_WINDOW];

		if (i >= BENCH_WINDOW)
			rig_until(&answers, i - BENCH_WINDOW + 1);
		d->answers = &answers;
		account = 1 + i % accounts;
		rig_deliver(d, i + 1, &blobs[i % BENCH_WINDOW], &account, 1);
	}
	rig_until(&answers, n);
	seconds = (double)(when_mono_us() - begun_us) / 1e6;
	rig_stop();
	print_message("%zu messages, %zu accounts: %.3f s, %.0f/s, "
	    "%.3f ms CPU each\n", n, accounts, seconds, (double)n / seconds,
	    cpu_ms() / (double)n);
}

#define COLD_MAX 5000
#define COLD_FRAME 64

static void
bench_cold(size_t n)
{
	static struct rig_delivery deliveries[COLD_MAX];
	uint64_t ids[COLD_FRAME], answers, frames, begun_us;
	struct rig_blob blob = rig_blob(str_of(body));
	size_t i, k;
	int round;

	/* The first round makes the accounts, the next find them. */
	for (round = 0; round < 3; round++) {
		begun_us = when_mono_us();
		answers = frames = 0;
		for (i = 0; i < n; i += k) {
			for (k = 0; k < COLD_FRAME && i + k < n; k++)
				ids[k] = 1 + i + k;
			deliveries[frames].answers = &answers;
			rig_deliver(&deliveries[frames++], 1 + (uint64_t)round,
			    &blob, ids, k);
		}
		rig_until(&answers, frames);
		print_message("%zu accounts, round %d: %.3f s\n", n, round,
		    (double)(when_mono_us() - begun_us) / 1e6);
	}
	rig_stop();
	print_message("%.3f ms CPU each\n", cpu_ms() / (double)n / 3);
}

static long
broker_kib(void)
{
	char path[64], line[256];
	long kib = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status",
	    (int)rig.mboxd.pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "RssAnon:", 8) == 0)
			kib = strtol(line + 8, NULL, 10);
	(void)fclose(file);
	return kib;
}

/* One session in each of n accounts: let in, SELECT, parked. */
static void
bench_park(size_t n)
{
	struct rig_session *all = calloc(n, sizeof(*all));
	long before = broker_kib();
	uint64_t us, open_us = 0, begun_us = when_mono_us();
	size_t i;

	assert_non_null(all);
	for (i = 0; i < n; i++) {
		us = when_mono_us();
		open_session(&all[i], "imap", 10001 + i, i + 1, 0);
		all[i].takes_parking = true;
		rig_session_say(&all[i], "a SELECT INBOX\r\n");
		rig_session_expect(&all[i], "a OK");
		rig_session_expect(&all[i], "\r\n");
		open_us += when_mono_us() - us;
	}
	for (i = 0; i < n; i++) {
		rig_until(&all[i].parks, 1);
		ipc_link_free(&all[i].link);
		(void)close(all[i].stream);
		buf_fini(&all[i].text);
	}
	print_message("%zu sessions: %.3f ms to let in and SELECT, %.3f ms "
	    "with parking; broker %ld KiB more, %.0f octets each\n", n,
	    (double)open_us / 1e3 / (double)n,
	    (double)(when_mono_us() - begun_us) / 1e3 / (double)n,
	    broker_kib() - before, (double)(broker_kib() - before) * 1024 /
	    (double)n);
	rig_stop();
	print_message("%.3f ms CPU each\n", cpu_ms() / (double)n);
	free(all);
}

static int
bench(int argc, char **argv)
{
	size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;

	rig_start("workers_bulk=2\npark_after=0\naccount_linger=1\n"
	    "processes_account=200\n");
	if (strcmp(argv[1], "park") == 0)
		bench_park(n);
	else if (strcmp(argv[1], "cold") == 0)
		bench_cold(n < COLD_MAX ? n : COLD_MAX);
	else
		bench_deliver(n, argc > 3 ? strtoul(argv[3], NULL, 10) : 20);
	rig_remove();
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_deliver, setup, teardown),
		cmocka_unit_test_setup_teardown(test_junk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_worker, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_killed_broker, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_session, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parking, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tickets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_password, setup,
		    teardown),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && (strcmp(argv[1], "bench") == 0 ||
	    strcmp(argv[1], "cold") == 0 || strcmp(argv[1], "park") == 0))
		return bench(argc, argv);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
