/* SPDX-License-Identifier: ISC */
/* Messages at engines that follow scripts: what comes of them. */
#include "base/test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/when.h"
#include "filterd/detonate/job.h"
#include "ipc/links.h"

#define FIRST_MS 2

/*
 * A character a call. submit: + taken; poll: r running, d done, f could not
 * be opened, l lost; verdict: c clean, m malicious. Any: ~ not now, ! never,
 * . no answer at all.
 */
struct script {
	const char *next;
	unsigned calls;
	unsigned submits;
	unsigned open;
};

struct engine_call {
	struct engine *engine;
	struct loop_timer timer;
	char what;
	engine_done *done;
	void *ctx;
};

static struct loop *loop;
static struct script scripts[2];
static struct engine engines[2];

static void
fake_free(struct engine_call **call)
{
	struct script *script = &scripts[(*call)->engine - engines];

	script->open--;
	loop_timer_fini(&(*call)->timer);
	free(*call);
	*call = NULL;
}

static void
fake_answer(void *arg)
{
	struct engine_call *call = arg;
	struct engine_answer answer = { .end = ENGINE_OK, .reason = "why" };

	switch (call->what) {
	case '~':
		answer.end = ENGINE_AGAIN;
		break;
	case '!':
		answer.end = ENGINE_REFUSED;
		break;
	case '+':
		answer.task = (struct engine_task){ { 1 }, 1 };
		break;
	case 'r':
		answer.state = ENGINE_RUNNING;
		break;
	case 'd':
		answer.state = ENGINE_DONE;
		break;
	case 'f':
		answer.state = ENGINE_FAILED;
		break;
	case 'l':
		answer.state = ENGINE_LOST;
		break;
	case 'c':
		answer.report = (struct engine_report){ 4, "" };
		break;
	case 'm':
		answer.report = (struct engine_report){ 92, "Emotet" };
		break;
	default:
		fail_msg("'%c'", call->what);
	}
	call->done(call->ctx, &answer);
	fake_free(&call);
}

static struct engine_call *
fake_call(struct engine *engine, const char *legal, engine_done *done,
    void *ctx)
{
	struct script *script = &scripts[engine - engines];
	struct engine_call *call = calloc(1, sizeof(*call));

	assert_non_null(call);
	script->calls++;
	script->open++;
	call->engine = engine;
	call->what = *script->next != '\0' ? *script->next++ : '.';
	if (strchr(legal, call->what) == NULL &&
	    strchr("~!.", call->what) == NULL)
		fail_msg("'%c' is none of \"%s\"", call->what, legal);
	call->done = done;
	call->ctx = ctx;
	loop_timer_init(&call->timer, loop, fake_answer, call);
	if (call->what != '.')
		loop_timer_start(&call->timer, 0);
	return call;
}

static struct engine_call *
fake_submit(struct engine *engine, struct thing *thing, engine_done *done,
    void *ctx)
{
	assert_true(thing->is_link || thing->size != 0);
	scripts[engine - engines].submits++;
	return fake_call(engine, "+", done, ctx);
}

static struct engine_call *
fake_poll(struct engine *engine, const struct engine_task *task,
    engine_done *done, void *ctx)
{
	assert_int_equal(task->len, 1);
	return fake_call(engine, "rdfl", done, ctx);
}

static struct engine_call *
fake_verdict(struct engine *engine, const struct engine_task *task,
    engine_done *done, void *ctx)
{
	assert_int_equal(task->ids[0], 1);
	return fake_call(engine, "cm", done, ctx);
}

static const struct engine_ops fake = {
	.name = "fake", .submit = fake_submit, .poll = fake_poll,
	.verdict = fake_verdict, .call_free = fake_free,
};

/* ---- asking ---- */

static struct ipc_link *client, *served;
static struct probes *probes;
static struct jobs *jobs;

struct heard {
	bool has_come;
	int code;
	uint64_t result;
	char engines[200];	/* "name/kind/result/score/found;" */
};

static void
on_watch(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct job_asked asked = { .req = req };

	(void)link;
	asked.queue_id = ipc_get_u64(in);
	asked.deadline_ms = ipc_get_u64(in);
	asked.size = ipc_get_u64(in);
	asked.verdict = ipc_get_str(in);
	asked.blob_fd = ipc_take_fd(in);
	jobs_add(jobs, &asked);
}

static void
on_heard(void *ctx, int code, struct ipc_in *in)
{
	struct heard *heard = ctx;
	size_t len = 0;

	heard->has_come = true;
	heard->code = code;
	if (code != 0)
		return;
	heard->result = ipc_get_u64(in);
	while (ipc_more(in)) {
		struct str name = ipc_get_str(in), kind = ipc_get_str(in);
		uint64_t result = ipc_get_u64(in), score = ipc_get_u64(in);
		struct str found = ipc_get_str(in);

		len += (size_t)snprintf(heard->engines + len,
		    sizeof(heard->engines) - len, "%.*s/%.*s/%s/%u/%.*s;",
		    STR_FMT(name), STR_FMT(kind),
		    verdict_detonation_name((enum detonation_result)result),
		    (unsigned)score, STR_FMT(found));
	}
}

static void
open_all(size_t engines_len)
{
	static ipc_handler *const handlers[] = {
		[DETONATE_WATCH] = on_watch,
	};
	int fds[2];

	loop = loop_new();
	memset(engines, 0, sizeof(engines));
	memset(scripts, 0, sizeof(scripts));
	engines[0].ops = engines[1].ops = &fake;
	(void)snprintf(engines[0].name, ENGINE_NAME_SIZE, "one");
	(void)snprintf(engines[0].kind, ENGINE_NAME_SIZE, "virtual");
	(void)snprintf(engines[1].name, ENGINE_NAME_SIZE, "two");
	(void)snprintf(engines[1].kind, ENGINE_NAME_SIZE, "physical");
	probes = probes_new(loop, FIRST_MS);
	probes_set_score(probes, 50);
	jobs = jobs_new(loop, probes, engines, engines_len);
	assert_int_equal(ipc_pair(fds, NULL), 0);
	served = ipc_serve(loop, &ipc_detonate, fds[0], STR("queued"),
	    handlers, NULL, NULL);
	client = ipc_client_new(loop, &ipc_detonate, NULL);
	ipc_client_attach(client, fds[1]);
}

static void
close_all(void)
{
	jobs_free(&jobs);
	ipc_link_free(&client);
	ipc_link_free(&served);
	probes_free(&probes);
	assert_int_equal(scripts[0].open + scripts[1].open, 0);
	loop_free(&loop);
}

#define PART(name, text) "--b\r\nContent-Type: application/x; name=" name \
	"\r\n\r\n" text "\r\n"
#define MESSAGE(parts) "Content-Type: multipart/mixed; boundary=b\r\n\r\n" \
	parts "--b--\r\n"
#define ONE MESSAGE(PART("a.exe", "one"))
#define TWO MESSAGE(PART("a.exe", "one") PART("b.exe", "two"))
#define NONE "Subject: x\r\n\r\nhello\r\n"

static void
ask(uint64_t queue_id, const char *message, uint64_t ms, struct heard *heard)
{
	static const struct verdict verdict = { .action = VERDICT_DETONATE };
	struct ipc_out *out = ipc_begin(client, DETONATE_WATCH);
	int fd = memfd_create("blob", MFD_CLOEXEC);
	struct buf octets;

	assert_true(fd != -1);
	assert_int_equal(write(fd, message, strlen(message)),
	    strlen(message));
	buf_init(&octets, VERDICT_OCTETS_MAX);
	verdict_encode(&verdict, &octets);
	ipc_put_u64(out, queue_id);
	ipc_put_u64(out, when_mono_ms() + ms);
	ipc_put_u64(out, strlen(message));
	ipc_put_str(out, buf_str(&octets));
	memset(heard, 0, sizeof(*heard));
	(void)ipc_call(out, fd, 60000, on_heard, heard);
	(void)close(fd);
	buf_fini(&octets);
}

static void
wait_for(const struct heard *heard)
{
	uint64_t until = when_mono_ms() + 10000;

	while (!heard->has_come) {
		assert_true(when_mono_ms() < until);
		loop_once(loop);
	}
}

/* ---- tests ---- */

static const struct {
	const char *name;
	const char *message;
	const char *script;
	const char *other;	/* NULL: there is one engine */
	uint64_t ms;
	enum detonation_result want;
	const char *engines;
	unsigned submits;
} cases[] = {
	{ "clean", ONE, "+dc", NULL, 5000, DETONATION_CLEAN,
	    "one/virtual/clean/4/;", 1 },
	{ "malicious", ONE, "+rrdm", NULL, 5000, DETONATION_MALICIOUS,
	    "one/virtual/malicious/92/Emotet;", 1 },
	{ "not now, again and again", ONE, "~~+~r~d~c", NULL, 5000,
	    DETONATION_CLEAN, "one/virtual/clean/4/;", 3 },
	{ "lost by the engine", ONE, "+l+rl+dc", NULL, 5000,
	    DETONATION_CLEAN, "one/virtual/clean/4/;", 3 },
	{ "lost each time", ONE, "+l+l+l+l+l", NULL, 5000,
	    DETONATION_FAILED, "one/virtual/failed/0/;", 5 },
	{ "refused", ONE, "!", NULL, 5000, DETONATION_FAILED,
	    "one/virtual/failed/0/;", 1 },
	{ "could not be opened", ONE, "+rf", NULL, 5000, DETONATION_FAILED,
	    "one/virtual/failed/0/;", 1 },
	{ "no verdict", ONE, "+d!", NULL, 5000, DETONATION_FAILED,
	    "one/virtual/failed/0/;", 1 },
	{ "slow", ONE, "+.", NULL, 40, DETONATION_LATE,
	    "one/virtual/late/0/;", 1 },
	{ "silent", ONE, ".", NULL, 40, DETONATION_FAILED,
	    "one/virtual/failed/0/;", 1 },
	{ "late already", ONE, "", NULL, 0, DETONATION_LATE, NULL, 0 },
	{ "nothing to open", NONE, "", NULL, 5000, DETONATION_UNKNOWN,
	    "one/virtual/unknown/0/;", 0 },
	{ "two things", TWO, "++ddcc", NULL, 5000, DETONATION_CLEAN,
	    "one/virtual/clean/4/;", 2 },
	{ "two things, one bad", TWO, "++ddcm", NULL, 5000,
	    DETONATION_MALICIOUS, "one/virtual/malicious/92/Emotet;", 2 },
	{ "two things, one refused", TWO, "+!dc", NULL, 5000,
	    DETONATION_FAILED, "one/virtual/failed/4/;", 2 },
	{ "one bad is enough", TWO, "++d.m", NULL, 5000,
	    DETONATION_MALICIOUS, "one/virtual/malicious/92/Emotet;", 2 },
	{ "more than is opened", MESSAGE(PART("a", "1") PART("a", "2")
	    PART("a", "3") PART("a", "4") PART("a", "5") PART("a", "6")
	    PART("a", "7") PART("a", "8") PART("a", "9") PART("a", "10")
	    PART("a", "11")), "++++++++++ddddddddddcccccccccc", NULL, 5000,
	    DETONATION_UNKNOWN, "one/virtual/clean/4/;", 10 },
	{ "two engines", ONE, "+dc", "+rdc", 5000, DETONATION_CLEAN,
	    "one/virtual/clean/4/;two/physical/clean/4/;", 1 },
	{ "two engines, one sees it", ONE, "+dc", "+rrdm", 5000,
	    DETONATION_MALICIOUS,
	    "one/virtual/clean/4/;two/physical/malicious/92/Emotet;", 1 },
	{ "two engines, one is down", ONE, "+dc", "~~.", 60,
	    DETONATION_FAILED,
	    "one/virtual/clean/4/;two/physical/failed/0/;", 1 },
};

static void
test_cases(void **state)
{
	struct heard heard;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		open_all(cases[i].other != NULL ? 2 : 1);
		scripts[0].next = cases[i].script;
		scripts[1].next = cases[i].other;
		ask(1, cases[i].message, cases[i].ms, &heard);
		wait_for(&heard);
		if (heard.code != 0 || heard.result != cases[i].want ||
		    (cases[i].engines != NULL &&
		    strcmp(heard.engines, cases[i].engines) != 0) ||
		    scripts[0].submits != cases[i].submits)
			fail_msg("%s: %s %s, %u", cases[i].name,
			    verdict_detonation_name((enum detonation_result)
			    heard.result), heard.engines,
			    scripts[0].submits);
		close_all();
	}
}

/* Many messages with the same file: one submission, each is answered. */
static void
test_shared(void **state)
{
	struct heard heard[JOBS_RUNNING_MAX + 20];
	size_t i;

	(void)state;
	open_all(1);
	scripts[0].next = "+rrrdm";
	for (i = 0; i < COUNT_OF(heard); i++)
		ask(i + 1, ONE, 20000, &heard[i]);
	/* Those over the bound come after; the script has nothing for them
	 * but a new look. */
	for (i = 0; i < JOBS_RUNNING_MAX; i++) {
		wait_for(&heard[i]);
		assert_int_equal(heard[i].result, DETONATION_MALICIOUS);
	}
	assert_int_equal(scripts[0].submits, 1 +
	    (scripts[0].calls > 6));
	close_all();
}

/* queued was restarted: it asks again and takes over what is under way. */
static void
test_asked_again(void **state)
{
	struct heard first, second;
	unsigned i;

	(void)state;
	open_all(1);
	scripts[0].next = "+rrrrrrrrrrdc";
	ask(7, ONE, 20000, &first);
	for (i = 0; i < 5; i++)
		loop_once(loop);
	ask(7, ONE, 20000, &second);
	wait_for(&first);
	assert_int_equal(first.code, ERR_TEMP);
	wait_for(&second);
	assert_int_equal(second.result, DETONATION_CLEAN);
	assert_int_equal(scripts[0].submits, 1);
	close_all();
}

/* Nobody waits for it any more: the engine is left alone. */
static void
test_given_up(void **state)
{
	struct heard heard;
	unsigned calls;

	(void)state;
	open_all(1);
	scripts[0].next = "~~~~~~~~~~~~~~~~~~~~";
	ask(1, ONE, 30, &heard);
	wait_for(&heard);
	assert_int_equal(heard.result, DETONATION_FAILED);
	calls = scripts[0].calls;
	assert_int_equal(scripts[0].open, 0);
	ask(2, NONE, 100, &heard);
	wait_for(&heard);
	assert_int_equal(scripts[0].calls, calls);
	close_all();
}

/* It stops while much is under way: who asked asks again. */
static void
test_stop(void **state)
{
	struct heard heard[3];
	size_t i;

	(void)state;
	open_all(1);
	scripts[0].next = "+";
	for (i = 0; i < COUNT_OF(heard); i++)
		ask(i + 1, TWO, 20000, &heard[i]);
	for (i = 0; i < 3; i++)
		loop_once(loop);
	jobs_free(&jobs);
	for (i = 0; i < COUNT_OF(heard); i++) {
		wait_for(&heard[i]);
		assert_int_equal(heard[i].code, ERR_TEMP);
	}
	close_all();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_asked_again),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_stop),
	};

	log_set_level(LOG_L_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
