/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/when.h"
#include "smtpd/queue/remote.h"

#define JOBS (REMOTE_JOBS_MAX + 20)

/* A relay that answers when told to. */
static struct {
	struct loop *loop;
	struct remote *remote;
	struct ipc_link *relay;
	int fd;
	uint64_t pushed[JOBS];		/* ids, in the order they came */
	size_t pushed_len;
	size_t rcpts_len;
	uint64_t woken[JOBS];
	size_t woken_len;
	size_t done;
	size_t sent;			/* of the done ones */
	size_t results;
	struct remote_result last;
} t;

static struct queue_item items[JOBS];
static struct queue_rcpt rcpts[JOBS];
static const struct queue_rcpt *rows[JOBS];
static struct remote_job jobs[JOBS];
static char domains[JOBS][32];

static void
on_push(void *ctx, unsigned type, struct ipc_in *in)
{
	uint64_t id = ipc_get_u64(in);

	(void)ctx;
	if (type == RELAY_JOB) {
		t.pushed[t.pushed_len++] = id;
		(void)close(ipc_take_fd(in));
		return;
	}
	assert_int_equal(type, RELAY_JOB_RCPTS);
	for (; ipc_more(in); t.rcpts_len++) {
		(void)ipc_get_u64(in);
		(void)ipc_get_str(in);
		(void)ipc_get_u64(in);
		(void)ipc_get_str(in);
	}
}

static void
on_wake(void *ctx, uint64_t id)
{
	(void)ctx;
	t.woken[t.woken_len++] = id;
}

static void
on_result(struct remote_job *job, const struct remote_result *result)
{
	(void)job;
	t.results++;
	t.last = *result;
}

static void
on_done(struct remote_job *job, bool was_sent)
{
	(void)job;
	t.done++;
	t.sent += was_sent;
}

static void
on_tick(void *ctx)
{
	(void)ctx;
}

/* Everything under way is in a socket already: a few rounds take it all. */
static void
turn(void)
{
	struct loop_timer tick;
	int i;

	loop_timer_init(&tick, t.loop, on_tick, NULL);
	for (i = 0; i < 20; i++) {
		loop_timer_start(&tick, 1);
		loop_once(t.loop);
	}
	loop_timer_fini(&tick);
}

static void
relay_connect(uint64_t slots)
{
	struct err err = ERR_INIT;
	struct ipc_out *out;
	int fds[2];

	assert_int_equal(ipc_pair(fds, &err), 0);
	remote_client(t.remote, STR("relay"), fds[0]);
	t.relay = ipc_client_new(t.loop, &ipc_relay, NULL);
	ipc_client_on(t.relay, on_push, NULL);
	ipc_client_attach(t.relay, fds[1]);
	out = ipc_begin(t.relay, RELAY_READY);
	ipc_put_u64(out, slots);
	assert_int_equal(ipc_send(out, -1), 0);
	turn();
}

static int
setup(void **state)
{
	struct remote_settings settings = { .retry_first_s = 300,
		.retry_last_s = 4000 };
	size_t i;

	(void)state;
	memset(&t, 0, sizeof(t));
	t.loop = loop_new();
	t.fd = open("/dev/null", O_RDONLY);
	t.remote = remote_new(t.loop, on_wake, NULL);
	remote_config(t.remote, &settings);
	for (i = 0; i < JOBS; i++) {
		items[i] = (struct queue_item){ .id = i + 1 };
		rcpts[i] = (struct queue_rcpt){ .n = (uint32_t)i,
		    .address = STR("a@dead.test") };
		rows[i] = &rcpts[i];
		jobs[i] = (struct remote_job){ .item = &items[i],
		    .domain = STR("dead.test"), .blob_fd = t.fd,
		    .rcpts_len = 1, .rcpts = &rows[i],
		    .on_result = on_result, .on_done = on_done };
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ipc_link_free(&t.relay);
	turn();
	remote_stop(t.remote);
	remote_free(&t.remote);
	loop_free(&t.loop);
	(void)close(t.fd);
	return 0;
}

static enum remote_answer
offer(size_t i)
{
	int64_t until_s;
	struct str why;

	return remote_send(t.remote, &jobs[i], &until_s, &why);
}

static void
answer(uint64_t id, enum relay_destination how)
{
	struct ipc_out *out = ipc_begin(t.relay, RELAY_DONE);

	ipc_put_u64(out, id);
	ipc_put_u64(out, (uint64_t)how);
	ipc_put_u64(out, 0);
	assert_int_equal(ipc_send(out, -1), 0);
	out = ipc_begin(t.relay, RELAY_READY);
	ipc_put_u64(out, 1);
	assert_int_equal(ipc_send(out, -1), 0);
	turn();
}

static void
result(uint64_t id, enum relay_result what, const char *reason)
{
	struct ipc_out *out = ipc_begin(t.relay, RELAY_RESULT);

	ipc_put_u64(out, id);
	ipc_put_str(out, STR("mx.dead.test [192.0.2.1]:25"));
	ipc_put_u64(out, 0);
	ipc_put_u64(out, (uint64_t)what);
	ipc_put_bool(out, false);
	ipc_put_str(out, STR("4.4.1"));
	ipc_put_str(out, str_of(reason));
	assert_int_equal(ipc_send(out, -1), 0);
	turn();
}

/* Turn for so long. */
static void
turn_ms(uint64_t ms)
{
	uint64_t end = when_mono_ms() + ms;

	while (when_mono_ms() < end)
		turn();
}

/* Five at a time at first; the rest stand in line and are woken. */
static void
test_line(void **state)
{
	size_t i;

	(void)state;
	relay_connect(100);
	for (i = 0; i < 5; i++)
		assert_int_equal(offer(i), REMOTE_TAKEN);
	for (; i < 10; i++)
		assert_int_equal(offer(i), REMOTE_WAITS);
	turn();
	assert_int_equal(t.pushed_len, 5);
	assert_int_equal(t.rcpts_len, 5);
	answer(t.pushed[0], RELAY_D_ALIVE);
	assert_int_equal(t.done, 1);
	/* One place is free, and one more is allowed. */
	assert_int_equal(t.woken_len, 2);
	assert_int_equal(t.woken[0], 6);
	assert_int_equal(t.woken[1], 7);
	answer(t.pushed[1], RELAY_D_BUSY);
	assert_int_equal(offer(5), REMOTE_WAITS);
}

/* One stands in a line once, and behind one that does not come for a while
 * only. */
static void
test_stale(void **state)
{
	size_t i;

	(void)state;
	relay_connect(100);
	for (i = 0; i < 5; i++)
		assert_int_equal(offer(i), REMOTE_TAKEN);
	for (i = 0; i < 3; i++)
		assert_int_equal(offer(5), REMOTE_WAITS);
	for (i = 6; i < 9; i++)
		assert_int_equal(offer(i), REMOTE_WAITS);
	turn();
	for (i = 0; i < 4; i++)
		answer(t.pushed[i], RELAY_D_BUSY);
	assert_int_equal(t.woken_len, 0);
	answer(t.pushed[4], RELAY_D_BUSY);
	assert_int_equal(t.woken_len, 1);
	assert_int_equal(t.woken[0], 6);
	turn_ms(1200);
	assert_int_equal(t.woken_len, 2);
	assert_int_equal(t.woken[1], 7);
	assert_int_equal(offer(6), REMOTE_TAKEN);
	turn_ms(1200);
	assert_int_equal(t.woken_len, 2);
	ipc_link_free(&t.relay);
	turn_ms(1200);
	assert_int_equal(t.woken_len, 2);	/* nobody to send it */
	relay_connect(100);
	assert_int_equal(t.woken_len, 3);
	assert_int_equal(t.woken[2], 8);
}

/* Many destinations together leave room for others than theirs. */
static void
test_all(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < JOBS; i++) {
		(void)snprintf(domains[i], sizeof(domains[i]), "d%zu.test",
		    i / 5);
		jobs[i].domain = str_of(domains[i]);
	}
	relay_connect(300);
	for (i = 0; i < REMOTE_JOBS_MAX; i++)
		assert_int_equal(offer(i), REMOTE_TAKEN);
	for (; i < JOBS; i++)
		assert_int_equal(offer(i), REMOTE_WAITS);
	/* More than the link holds at a time: all come all the same. */
	turn_ms(1200);
	assert_int_equal(t.pushed_len, 300);
	assert_int_equal(t.rcpts_len, 300);
	assert_int_equal(t.woken_len, 0);
	answer(t.pushed[0], RELAY_D_ALIVE);
	assert_int_equal(t.pushed_len, 301);
	assert_int_equal(t.woken_len, 1);
	assert_true(t.woken[0] > REMOTE_JOBS_MAX);
	assert_int_equal(offer(t.woken[0] - 1), REMOTE_TAKEN);
}

/* Who reaches nobody twice is left alone; an operator may overrule it. */
static void
test_dead(void **state)
{
	int64_t until_s = 0;
	struct str why = STR_NONE;

	(void)state;
	relay_connect(100);
	assert_int_equal(offer(0), REMOTE_TAKEN);
	assert_int_equal(offer(1), REMOTE_TAKEN);
	turn();
	result(t.pushed[0], RELAY_R_TEMP, "connection timed out");
	assert_int_equal(t.results, 1);
	assert_int_equal(t.last.result, RELAY_R_TEMP);
	answer(t.pushed[0], RELAY_D_DEAD);
	assert_int_equal(offer(2), REMOTE_TAKEN);
	turn();
	answer(t.pushed[1], RELAY_D_DEAD);
	assert_int_equal(remote_send(t.remote, &jobs[3], &until_s, &why),
	    REMOTE_DEAD);
	assert_true(until_s >= when_wall_s() + 299);
	assert_true(str_eq(why, STR("connection timed out")));
	/* Another destination is not touched by that. */
	jobs[4].domain = STR("alive.test");
	assert_int_equal(offer(4), REMOTE_TAKEN);
	remote_forgive(t.remote);
	assert_int_equal(offer(3), REMOTE_TAKEN);
}

/* Its jobs end without a result when a relay dies; the next takes over. */
static void
test_relay_dies(void **state)
{
	(void)state;
	relay_connect(1);
	assert_int_equal(offer(0), REMOTE_TAKEN);
	assert_int_equal(offer(1), REMOTE_TAKEN);
	turn();
	assert_int_equal(t.pushed_len, 1);	/* it said one */
	ipc_link_free(&t.relay);
	turn();
	assert_int_equal(t.done, 1);
	assert_int_equal(t.sent, 1);
	assert_int_equal(t.results, 0);
	relay_connect(5);	/* takes what still waits */
	assert_int_equal(t.pushed_len, 2);
	/* Not its job: nothing happens. */
	result(t.pushed[0], RELAY_R_SENT, "");
	answer(t.pushed[0], RELAY_D_ALIVE);
	assert_int_equal(t.results, 0);
	assert_int_equal(t.done, 1);
	result(t.pushed[1], RELAY_R_SENT, "250 ok\x07");
	assert_int_equal(t.results, 1);
	assert_int_equal(t.last.reason.len, 0);	/* not printable: not kept */
}

static void
test_smart_host(void **state)
{
	struct remote_settings settings = { .retry_first_s = 1,
		.retry_last_s = 1, .has_smart_host = true };
	size_t i;

	(void)state;
	assert_int_equal(offer(7), REMOTE_WAITS);	/* no relay yet */
	assert_int_equal(t.woken_len, 0);
	relay_connect(100);
	assert_int_equal(t.woken_len, 1);
	remote_config(t.remote, &settings);
	remote_route(t.remote, STR("own.test"));
	for (i = 0; i < 5; i++) {
		jobs[i].domain = i % 2 != 0 ? STR("a.test") : STR("b.test");
		assert_int_equal(offer(i), REMOTE_TAKEN);
	}
	jobs[5].domain = STR("c.test");
	assert_int_equal(offer(5), REMOTE_WAITS);
	jobs[6].domain = STR("own.test");
	assert_int_equal(offer(6), REMOTE_TAKEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead, setup, teardown),
		cmocka_unit_test_setup_teardown(test_relay_dies, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_smart_host, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
