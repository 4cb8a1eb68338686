/* SPDX-License-Identifier: ISC */
/* What is known of us: out of a directory that answers in pages, fails and
 * changes, and out of the configuration. */
#include "base/test.h"

#include <unistd.h>

#include "base/when.h"
#include "filterd/attack/attack.h"
#include "filterd/virus/known.h"
#include "ipc/links.h"
#include "ipc/values.h"

#define PAGE 3U
#define WAIT_MS 20000
#define GAP_MS 200U

static struct loop *loop;
static struct attack *attack;
static struct known *known;
static struct ipc_link *directory, *served;
static unsigned changes, questions, failures_left;

/* ---- a directory: d000.test to so many, of tenants 100 and on ---- */

static unsigned domains;

static void
on_domains(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct str after = ipc_get_str(in);
	struct ipc_out *out;
	unsigned i, count = 0;
	char name[32];

	(void)link;
	questions++;
	if (failures_left != 0 && after.len != 0) {
		failures_left--;
		ipc_reply_err(req, ERR_TEMP, "busy");
		return;
	}
	out = ipc_reply_begin(req);
	for (i = 0; i < domains && count < PAGE; i++) {
		(void)snprintf(name, sizeof(name), "d%03u.test", i);
		if (str_cmp(str_of(name), after) <= 0)
			continue;
		ipc_put_str(out, str_of(name));
		ipc_put_u64(out, 100 + i);
		count++;
	}
	ipc_reply_end(out, -1);
}

/* ---- a generation that is told ---- */

static struct {
	unsigned begins;
	unsigned domains;
	unsigned names;
	char last[64];		/* "owner name" */
} told;

static void
on_know(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	uint64_t kind, owner;
	struct str name;

	(void)link;
	(void)req;
	if (ipc_get_bool(in)) {
		memset(&told, 0, sizeof(told));
		told.begins++;
	}
	kind = ipc_get_u64(in);
	while (ipc_more(in)) {
		name = ipc_get_str(in);
		owner = ipc_get_u64(in);
		if (kind == SCAN_K_DOMAINS)
			told.domains++;
		else
			told.names++;
		(void)snprintf(told.last, sizeof(told.last), "%llu %.*s",
		    (unsigned long long)owner, STR_FMT(name));
	}
}

static void
tick(void *arg)
{
	loop_timer_start(arg, 20);
}

/* What comes within so many milliseconds. */
static void
run_for(uint64_t ms)
{
	uint64_t until = when_mono_ms() + ms;
	struct loop_timer timer;

	loop_timer_init(&timer, loop, tick, &timer);
	loop_timer_start(&timer, 20);
	while (when_mono_ms() < until)
		loop_once(loop);
	loop_timer_fini(&timer);
}

static void
tell(void)
{
	static ipc_handler *const handlers[] = {
		[SCANNER_LOADED] = NULL, [SCANNER_FORK] = NULL,
		[SCANNER_KILL] = NULL, [SCANNER_TEST] = NULL,
		[SCANNER_SCAN] = NULL, [SCANNER_KNOW] = on_know,
	};
	struct ipc_link *generation = ipc_client_new(loop, &ipc_scanner,
	    NULL), *end;
	int fds[2];

	assert_int_equal(ipc_pair(fds, NULL), 0);
	end = ipc_serve(loop, &ipc_scanner, fds[0], STR("scand"), handlers,
	    NULL, NULL);
	ipc_client_attach(generation, fds[1]);
	known_tell(known, generation);
	run_for(20);
	ipc_link_free(&generation);
	ipc_link_free(&end);
}

/* ---- tests ---- */

static void
on_changed(void *ctx)
{
	(void)ctx;
	changes++;
}

static void
await_changes(unsigned count)
{
	uint64_t until = when_mono_ms() + WAIT_MS;

	while (changes < count && when_mono_ms() < until)
		run_for(20);
	assert_int_equal(changes, count);
}

static int
setup(void **state)
{
	static ipc_handler *const handlers[] = {
		[DIR_DOMAINS] = on_domains, [DIR_DOMAINS_CHANGED] = NULL,
	};
	struct known_settings settings = { .changed = on_changed,
	    .gap_ms = GAP_MS };
	int fds[2];

	(void)state;
	domains = 10;
	changes = questions = failures_left = 0;
	loop = loop_new();
	assert_int_equal(attack_begin(&attack, NULL), 0);
	assert_int_equal(ipc_pair(fds, NULL), 0);
	served = ipc_serve(loop, &ipc_dir, fds[0], STR("scand"), handlers,
	    NULL, NULL);
	directory = ipc_client_new(loop, &ipc_dir, NULL);
	ipc_client_attach(directory, fds[1]);
	settings.loop = loop;
	settings.directory = directory;
	settings.attack = attack;
	known = known_new(&settings);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	known_free(&known);
	ipc_link_free(&directory);
	ipc_link_free(&served);
	attack_end(&attack);
	loop_free(&loop);
	return 0;
}

/* Page by page to the end; partners and names beside it. */
static void
test_pages(void **state)
{
	(void)state;
	known_configure(known, STR(" partner.test  other.test"),
	    STR("Hikyaku Express, \xe9\xa3\x9b\xe8\x84\x9a ,,"));
	assert_int_equal(changes, 1);
	tell();
	assert_int_equal(told.domains, 2);
	await_changes(2);
	assert_int_equal(questions, 10 / PAGE + 2);
	tell();
	assert_int_equal(told.begins, 1);
	assert_int_equal(told.domains, 12);
	assert_int_equal(told.names, 2);
	assert_string_equal(told.last, "0 \xe9\xa3\x9b\xe8\x84\x9a");
}

/* A page that fails: it begins again, and half a list is never used. */
static void
test_failure(void **state)
{
	(void)state;
	failures_left = 1;
	await_changes(1);
	tell();
	assert_int_equal(told.domains, 10);
	assert_string_equal(told.last, "109 d009.test");
}

/* Told that something changed, it asks; the same list changes nothing. */
static void
test_change(void **state)
{
	unsigned before;

	(void)state;
	await_changes(1);
	domains = 4;
	known_ask(known);
	await_changes(2);
	tell();
	assert_int_equal(told.domains, 4);
	before = questions;
	known_ask(known);
	known_ask(known);
	/* Not at once again, however often it is told. */
	run_for(GAP_MS / 4);
	assert_int_equal(questions, before);
	run_for(2 * GAP_MS);
	assert_int_equal(questions, before + 3);
	assert_int_equal(changes, 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_pages), TEST(test_failure), TEST(test_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
