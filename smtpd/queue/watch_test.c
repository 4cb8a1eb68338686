/* SPDX-License-Identifier: ISC */
/* Items that wait for detonated: one that answers, dies, lies or is silent. */
#include "base/test.h"
#include "base/test_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/when.h"
#include "blob/layout.h"
#include "filter/verdict.h"
#include "ipc/links.h"
#include "smtpd/queue/watch.h"

#define ITEMS_MAX 700

static struct loop *loop;
static struct queue_store *store;
static struct watch *watch;
static struct ipc_link *client, *served, *metricd;
static struct figures *figures;
static char dir[] = "/tmp/hk-watch-test-XXXXXX";
static int dir_fd;

/* What the fake detonated does with what it is asked. */
static enum { ANSWER, SILENT, FAIL_ONCE } manner;
static enum detonation_result result;
static const char *found;
static unsigned more_engines;
static char text[300];
static const struct str longest = { text, sizeof(text) };
static struct ipc_req *open_reqs[ITEMS_MAX];
static size_t open_len, most_open, asked;

static unsigned done, told;
static uint64_t last_done;

static void
reply(struct ipc_req *req)
{
	struct ipc_out *out = ipc_reply_begin(req);
	unsigned i;

	ipc_put_u64(out, result);
	ipc_put_str(out, STR("cape"));
	ipc_put_str(out, STR("virtual"));
	ipc_put_u64(out, result);
	ipc_put_u64(out, 42);
	ipc_put_str(out, str_of(found));
	for (i = 0; i < more_engines; i++) {
		ipc_put_str(out, longest);
		ipc_put_str(out, longest);
		ipc_put_u64(out, result);
		ipc_put_u64(out, 42);
		ipc_put_str(out, longest);
	}
	ipc_reply_end(out, -1);
}

static void
on_watch(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct arena *arena = arena_new(0);
	struct verdict verdict;
	int fd = ipc_take_fd(in);
	struct stat st;

	(void)link;
	(void)ipc_get_u64(in);
	assert_true(ipc_get_u64(in) + 1 >= when_mono_ms());
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, ipc_get_u64(in));
	(void)close(fd);
	assert_int_equal(verdict_decode(ipc_get_str(in), arena, &verdict,
	    NULL), 0);
	assert_int_equal(verdict.action, VERDICT_DETONATE);
	arena_free(&arena);
	asked++;
	if (manner == FAIL_ONCE) {
		manner = ANSWER;
		ipc_reply_err(req, ERR_TEMP, "stopping");
		return;
	}
	open_reqs[open_len++] = req;
	if (open_len > most_open)
		most_open = open_len;
}

static void
answer_open(void)
{
	while (manner != SILENT && open_len != 0)
		reply(open_reqs[--open_len]);
}

static void
on_done(void *ctx, uint64_t id, int64_t next_try_s)
{
	(void)ctx;
	assert_true(next_try_s > 0);
	last_done = id;
	done++;
}

static void
on_malicious(void *ctx, const struct queue_item *item, struct str name)
{
	(void)ctx;
	assert_true(item->rcpts_len == 2 && str_eq(name, str_of(found)));
	told++;
}

/* ---- an instance's part ---- */

static void
open_all(void)
{
	static ipc_handler *const handlers[] = {
		[DETONATE_WATCH] = on_watch,
	};
	struct watch_env env;
	char path[128];
	int fds[2];

	loop = loop_new();
	(void)snprintf(path, sizeof(path), "%s/queue.db", dir);
	assert_int_equal(queue_store_open(&store, loop, path, dir_fd, NULL),
	    0);
	assert_int_equal(ipc_pair(fds, NULL), 0);
	served = ipc_serve(loop, &ipc_detonate, fds[0], STR("queued"),
	    handlers, NULL, NULL);
	client = ipc_client_new(loop, &ipc_detonate, NULL);
	ipc_client_attach(client, fds[1]);
	metricd = ipc_client_new(loop, &ipc_metric, NULL);
	figures = figures_new(loop, metricd);
	env = (struct watch_env){ .loop = loop, .store = store,
	    .detonated = client, .figures = figures, .done = on_done,
	    .malicious = on_malicious };
	watch = watch_new(&env);
	watch_set_policy(watch, 60, false);
	manner = ANSWER;
	result = DETONATION_CLEAN;
	found = "";
	more_engines = 0;
	open_len = most_open = asked = 0;
	done = told = 0;
}

static uint64_t
add_verdict(const struct verdict *verdict)
{
	static struct queue_rcpt rcpts[] = {
		{ .n = 0, .address = { "a@x.test", 8 } },
		{ .n = 1, .address = { "b@x.test", 8 } },
	};
	struct queue_item item = { .sender = STR("s@y.test"),
		.trace = STR("Received: here\r\n"), .sha256 = STR(
		"0123456789abcdef0123456789abcdef"), .size_octets = 5,
		.rcpts = rcpts, .rcpts_len = 2, .next_try_s = 1 };
	char name[BLOB_PATH_SIZE];
	struct buf octets;
	int fd;

	buf_init(&octets, VERDICT_OCTETS_MAX);
	verdict_encode(verdict, &octets);
	item.verdict = buf_str(&octets);
	item.arrived_us = when_wall_us();
	assert_int_equal(queue_store_reserve(store, &item.id, NULL), 0);
	blob_link_name(item.id, name);
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd != -1 && write(fd, "hello", 5) == 5);
	(void)close(fd);
	assert_int_equal(queue_store_add(store, &item, NULL), 0);
	assert_true(watch_wants(&item));
	watch_item(watch, &item);
	buf_fini(&octets);
	return item.id;
}

static uint64_t
add_item(enum verdict_action when_clean)
{
	struct verdict verdict = { .action = VERDICT_DETONATE,
		.when_clean = when_clean, .reason = STR("suspicious") };

	return add_verdict(&verdict);
}

static void
run_until(unsigned wanted)
{
	uint64_t until = when_mono_ms() + 20000;

	while (done < wanted) {
		assert_true(when_mono_ms() < until);
		loop_once(loop);
		answer_open();
	}
}

static void
read_back(uint64_t id, struct arena *arena, struct queue_item *item,
    struct verdict *verdict)
{
	assert_int_equal(queue_store_get(store, id, arena, item, NULL), 0);
	assert_int_equal(verdict_decode(item->verdict, arena, verdict, NULL),
	    0);
}

/* ---- tests ---- */

static const struct {
	const char *name;
	enum detonation_result result;
	const char *found;
	bool is_delivered_unseen;
	enum verdict_action when_clean;
	enum verdict_action want;
	const char *reason;
	const char *field;
} cases[] = {
	{ "clean", DETONATION_CLEAN, "", false, VERDICT_DELIVER,
	    VERDICT_DELIVER, "suspicious", "clean; engine=cape;" },
	{ "clean, and junk", DETONATION_CLEAN, "", false, VERDICT_JUNK,
	    VERDICT_JUNK, "suspicious", "clean; engine=cape;" },
	{ "malicious", DETONATION_MALICIOUS, "Emotet", true, VERDICT_JUNK,
	    VERDICT_QUARANTINE, "malicious when it was opened: Emotet",
	    "malicious; engine=cape;" },
	{ "a name that would be a field", DETONATION_MALICIOUS,
	    "x\r\nX-Evil: y", false, VERDICT_DELIVER, VERDICT_QUARANTINE,
	    "malicious when it was opened: x  X-Evil: y",
	    "malicious; engine=cape;" },
	{ "failed", DETONATION_FAILED, "", false, VERDICT_DELIVER,
	    VERDICT_QUARANTINE,
	    "not opened before delivery (failed), and suspicious",
	    "failed; engine=cape;" },
	{ "unknown, other policy", DETONATION_UNKNOWN, "", true,
	    VERDICT_DELIVER, VERDICT_DELIVER, "suspicious",
	    "unknown; engine=cape;" },
	{ "of a newer detonated", (enum detonation_result)77, "", false,
	    VERDICT_DELIVER, VERDICT_QUARANTINE,
	    "not opened before delivery (failed), and suspicious",
	    "failed; engine=cape;" },
};

static void
test_cases(void **state)
{
	struct arena *arena = arena_new(0);
	struct verdict verdict;
	struct queue_item item;
	size_t i, lines, k;
	uint64_t id;

	(void)state;
	open_all();
	for (i = 0; i < COUNT_OF(cases); i++) {
		result = cases[i].result;
		found = cases[i].found;
		watch_set_policy(watch, 60, cases[i].is_delivered_unseen);
		id = add_item(cases[i].when_clean);
		run_until((unsigned)i + 1);
		assert_int_equal(last_done, id);
		read_back(id, arena, &item, &verdict);
		if (verdict.action != cases[i].want || item.is_held ||
		    !str_eq(verdict.reason, str_of(cases[i].reason)) ||
		    str_find_str(item.trace, str_of(cases[i].field)) ==
		    STR_NPOS || watch_wants(&item))
			fail_msg("%s: %s, %.*s, %.*s", cases[i].name,
			    verdict_action_name(verdict.action),
			    STR_FMT(verdict.reason), STR_FMT(item.trace));
		/* Our field in front, folded, and what was there. */
		for (lines = k = 0; k < item.trace.len; k++)
			lines += item.trace.p[k] == '\n' &&
			    (k + 1 == item.trace.len ||
			    item.trace.p[k + 1] == 'R' ||
			    item.trace.p[k + 1] == 'X');
		assert_int_equal(lines, 2);
		assert_true((verdict.holder == VERDICT_H_ADMIN) ==
		    (verdict.action == VERDICT_QUARANTINE));
	}
	assert_int_equal(told, 2);
	arena_free(&arena);
}

/* All is as long as it may be, before it is opened and after. */
static void
test_longest(void **state)
{
	struct verdict_trait traits[VERDICT_TRAITS_MAX];
	struct verdict_part parts[VERDICT_PARTS_MAX];
	struct verdict verdict = { .action = VERDICT_DETONATE,
		.is_judged = true, .is_scanned = true, .is_suspicious = true,
		.traits = traits, .traits_len = COUNT_OF(traits),
		.parts = parts, .parts_len = COUNT_OF(parts) };
	struct arena *arena = arena_new(0);
	struct queue_item item;
	uint64_t id;
	size_t i;

	(void)state;
	open_all();
	memset(text, 'n', sizeof(text));
	verdict.text = verdict.reason = verdict.virus_name = longest;
	for (i = 0; i < COUNT_OF(traits); i++)
		traits[i] = (struct verdict_trait){ .trait =
		    (enum attack_trait)i, .part = 1, .detail = longest };
	for (i = 0; i < COUNT_OF(parts); i++)
		parts[i] = (struct verdict_part){ .name = longest };
	result = DETONATION_MALICIOUS;
	more_engines = VERDICT_ENGINES_MAX - 1;
	id = add_verdict(&verdict);
	run_until(1);
	read_back(id, arena, &item, &verdict);
	assert_int_equal(verdict.action, VERDICT_QUARANTINE);
	assert_int_equal(verdict.holder, VERDICT_H_ADMIN);
	assert_int_equal(verdict.engines_len, VERDICT_ENGINES_MAX);
	assert_int_equal(verdict.parts_len, VERDICT_PARTS_MAX);
	assert_true(verdict.has_more_traits && !watch_wants(&item));
	arena_free(&arena);
}

/* Many: so many are asked about at a time, and all come to their end. */
static void
test_many(void **state)
{
	unsigned i;

	(void)state;
	open_all();
	manner = SILENT;
	for (i = 0; i < ITEMS_MAX; i++)
		(void)add_item(VERDICT_DELIVER);
	for (i = 0; i < 200; i++)
		if (open_len < 256)
			loop_once(loop);
	assert_int_equal(most_open, 256);
	manner = ANSWER;
	run_until(ITEMS_MAX);
	assert_int_equal(most_open, 256);
	assert_int_equal(asked, ITEMS_MAX);
}

/* detonated ends while it is asked: asked again. */
static void
test_lost(void **state)
{
	uint64_t id;

	(void)state;
	open_all();
	manner = FAIL_ONCE;
	id = add_item(VERDICT_DELIVER);
	run_until(1);
	assert_int_equal(asked, 2);
	assert_int_equal(last_done, id);
}

/* Silence: the policy decides when the time is over, with a reload too. */
static void
test_late(void **state)
{
	struct arena *arena = arena_new(0);
	struct verdict verdict;
	struct queue_item item;
	uint64_t id;

	(void)state;
	open_all();
	manner = SILENT;
	id = add_item(VERDICT_DELIVER);
	loop_once(loop);
	watch_set_policy(watch, 0, true);
	run_until(1);
	read_back(id, arena, &item, &verdict);
	assert_int_equal(verdict.action, VERDICT_DELIVER);
	assert_int_equal(verdict.detonation, DETONATION_LATE);
	arena_free(&arena);
}

/* An operator holds it, lets it go, deletes it: what is answered later is
 * nobody's business. */
static void
test_operator(void **state)
{
	struct arena *arena = arena_new(0);
	struct verdict verdict;
	struct queue_item item;
	uint64_t ids[3];
	unsigned i;

	(void)state;
	open_all();
	manner = SILENT;
	for (i = 0; i < 3; i++)
		ids[i] = add_item(VERDICT_JUNK);
	while (open_len < 3)
		loop_once(loop);
	read_back(ids[0], arena, &item, &verdict);
	watch_forget(watch, ids[0]);
	assert_int_equal(watch_release(watch, &item, NULL), 0);
	watch_forget(watch, ids[1]);
	assert_int_equal(queue_store_item_delete(store, ids[1], NULL), 0);
	manner = ANSWER;
	run_until(1);
	for (i = 0; i < 5; i++) {
		answer_open();
		loop_once(loop);
		if (asked == 3)
			break;
	}
	assert_int_equal(done, 1);
	assert_int_equal(last_done, ids[2]);
	read_back(ids[0], arena, &item, &verdict);
	assert_int_equal(verdict.action, VERDICT_JUNK);
	assert_false(verdict.is_detonated);
	assert_true(str_eq(item.trace, STR("Received: here\r\n")));
	arena_free(&arena);
}

static int
make_dir(void **state)
{
	char path[64];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/hk-watch-test-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/b", dir);
	if (mkdir(path, 0700) == -1)
		return -1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd == -1 ? -1 : 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	watch_free(&watch);
	while (open_len != 0)
		reply(open_reqs[--open_len]);
	ipc_link_free(&client);
	ipc_link_free(&served);
	figures_free(&figures);
	ipc_link_free(&metricd);
	queue_store_close(&store);
	loop_free(&loop);
	(void)close(dir_fd);
	return test_folder_remove(dir);
}

int
main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(test_cases), TEST(test_longest), TEST(test_many),
		TEST(test_lost), TEST(test_late), TEST(test_operator),
	};

	log_set_level(LOG_L_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
