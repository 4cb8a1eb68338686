/* SPDX-License-Identifier: ISC */
#include "base/test.h"
#include "base/test_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/when.h"
#include "blob/layout.h"
#include "filterd/quarantine/headline.h"
#include "filterd/quarantine/store.h"

#define DAY_S 86400
#define DAY0_S 1000000000

/* A store in a folder of its own, on a clock of its own. */
struct rig {
	char dir[64];
	char path[128];
	int dir_fd;
	struct loop *loop;
	struct quarantine_store *store;
	struct arena *arena;
};

static int64_t now_s = DAY0_S;

static uint64_t
fake_wall_us(void)
{
	return (uint64_t)now_s * 1000000;
}

static void
rig_open(struct rig *rig)
{
	struct err err = ERR_INIT;

	rig->dir_fd = open(rig->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rig->loop = loop_new();
	assert_int_equal(quarantine_store_open(&rig->store, rig->loop,
	    rig->path, rig->dir_fd, &err), 0);
}

static void
rig_close(struct rig *rig)
{
	quarantine_store_close(&rig->store);
	loop_free(&rig->loop);
	(void)close(rig->dir_fd);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char path[128];

	now_s = DAY0_S;
	when_set_wall(fake_wall_us);
	(void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/hk-quarantine.XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	(void)snprintf(path, sizeof(path), "%s/b", rig->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(rig->path, sizeof(rig->path), "%s/quarantine.db",
	    rig->dir);
	rig->arena = arena_new(0);
	rig_open(rig);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	rig_close(rig);
	arena_free(&rig->arena);
	assert_int_equal(test_folder_remove(rig->dir), 0);
	when_set_wall(NULL);
	free(rig);
	return 0;
}

/* ---- steps ---- */

static void
on_committed(void *ctx, int code)
{
	assert_int_equal(code, 0);
	*(bool *)ctx = true;
}

/* The round ends: what was changed is on disk. */
static void
commit(struct rig *rig)
{
	bool is_done = false;

	quarantine_store_after(rig->store, on_committed, &is_done);
	while (!is_done)
		loop_once(rig->loop);
}

static bool
has_link(const struct rig *rig, uint64_t id)
{
	char name[BLOB_PATH_SIZE];

	blob_link_name(id, name);
	return faccessat(rig->dir_fd, name, F_OK, 0) == 0;
}

/* As blobd does. */
static void
make_link(const struct rig *rig, uint64_t id)
{
	char name[BLOB_PATH_SIZE];
	int fd;

	blob_link_name(id, name);
	fd = openat(rig->dir_fd, name, O_CREAT | O_EXCL | O_WRONLY, 0600);
	assert_true(fd != -1);
	(void)close(fd);
}

static uint64_t
add(struct rig *rig, uint64_t queue_id, const char *owner, uint64_t size)
{
	static const char hash[32] = "hash";
	struct quarantine_rcpt rcpts[2] = {
		{ .n = 0, .address = str_of(owner), .notify = 3,
		    .orcpt = STR("") },
		{ .n = 7, .address = STR("other@a.test"),
		    .orcpt = STR("rfc822;x@b.test") },
	};
	struct str name = str_of(owner);
	struct quarantine_entry entry = { .queue_id = queue_id,
		.owner = name, .domain = str_sub(name, str_rfind(name, '@') +
		1, name.len), .is_for_admin = str_find(name, '@') == STR_NPOS,
		.sender = STR("s@remote.test"), .flags = 5,
		.envid = STR("id"), .verdict = STR("verdict"),
		.size_octets = size, .sha256 = str_make(hash, 32),
		.client = STR("192.0.2.1"), .arrived_us = 77,
		.kept_s = now_s, .from = STR("From"),
		.subject = STR("Subject"), .date = STR("Date"),
		.trace = STR("T: 1\r\n"), .summary = STR("summary"),
		.rcpts = rcpts, .rcpts_len = 2 };

	assert_int_equal(quarantine_store_reserve(rig->store, &entry.id,
	    NULL), 0);
	make_link(rig, entry.id);
	assert_int_equal(quarantine_store_add(rig->store, &entry, NULL), 0);
	return entry.id;
}

static bool
is_there(struct rig *rig, uint64_t id)
{
	struct quarantine_entry entry;

	return quarantine_store_get(rig->store, id, false, rig->arena,
	    &entry, NULL) == 0;
}

static uint64_t
next_releasing(struct rig *rig, uint64_t after)
{
	uint64_t id;

	assert_int_equal(quarantine_store_next_releasing(rig->store, after,
	    &id, NULL), 0);
	return id;
}

/* ---- tests ---- */

static void
test_there_and_back(void **state)
{
	struct rig *rig = *state;
	uint64_t id = add(rig, 42, "a@a.test", 100), found;
	struct quarantine_entry entry;
	struct quarantine_rcpt more[2] = {
		{ .n = 7, .address = STR("again@a.test"), .orcpt = STR("") },
		{ .n = 9, .address = STR("new@a.test"), .orcpt = STR("") },
	};

	assert_int_equal(quarantine_store_add_rcpts(rig->store, id, more, 2,
	    NULL), 0);
	commit(rig);
	rig_close(rig);
	rig_open(rig);
	assert_int_equal(quarantine_store_find(rig->store, 42,
	    STR("a@a.test"), &found, NULL), 0);
	assert_int_equal(found, id);
	assert_int_equal(quarantine_store_find(rig->store, 42,
	    STR("b@a.test"), &found, NULL), ERR_NOTFOUND);
	assert_int_equal(quarantine_store_get(rig->store, id, true,
	    rig->arena, &entry, NULL), 0);
	assert_int_equal(entry.queue_id, 42);
	assert_true(str_eq(entry.owner, STR("a@a.test")));
	assert_true(str_eq(entry.domain, STR("a.test")));
	assert_false(entry.is_for_admin);
	assert_int_equal(entry.flags, 5);
	assert_int_equal(entry.arrived_us, 77);
	assert_int_equal(entry.kept_s, DAY0_S);
	assert_true(str_eq(entry.trace, STR("T: 1\r\n")));
	assert_true(str_eq(entry.summary, STR("summary")));
	/* Number 7 was there; 9 is new. */
	assert_int_equal(entry.rcpts_len, 3);
	assert_true(str_eq(entry.rcpts[0].address, STR("a@a.test")));
	assert_int_equal(entry.rcpts[0].notify, 3);
	assert_true(str_eq(entry.rcpts[1].address, STR("other@a.test")));
	assert_true(str_eq(entry.rcpts[1].orcpt, STR("rfc822;x@b.test")));
	assert_int_equal(entry.rcpts[2].n, 9);
	assert_int_equal(quarantine_store_status(rig->store).entries, 1);
	assert_int_equal(quarantine_store_status(rig->store).octets, 106);
	/* Ids are never given twice. */
	assert_true(add(rig, 43, "a@a.test", 1) > id);
}

static bool
is_gone(struct rig *rig, uint64_t n)
{
	bool gone;

	assert_int_equal(quarantine_store_is_gone(rig->store, 42,
	    STR("a@a.test"), n, &gone, NULL), 0);
	return gone;
}

/* What went stays known, for as long as anybody may ask again. */
static void
test_gone(void **state)
{
	struct rig *rig = *state;
	uint64_t id = add(rig, 42, "a@a.test", 100);

	commit(rig);
	assert_false(is_gone(rig, 0));
	assert_int_equal(quarantine_store_delete(rig->store, id, NULL), 0);
	/* The link goes after the row. */
	assert_true(has_link(rig, id));
	commit(rig);
	assert_false(has_link(rig, id));
	assert_false(is_there(rig, id));
	assert_int_equal(quarantine_store_delete(rig->store, id, NULL),
	    ERR_NOTFOUND);
	assert_int_equal(quarantine_store_status(rig->store).entries, 0);
	assert_int_equal(quarantine_store_status(rig->store).octets, 0);
	assert_true(is_gone(rig, 0) && is_gone(rig, 7));
	assert_false(is_gone(rig, 1));
	now_s += 99 * DAY_S;
	assert_int_equal(quarantine_store_tidy(rig->store, NULL), 0);
	assert_true(is_gone(rig, 0));
	now_s += 2 * DAY_S;
	assert_int_equal(quarantine_store_tidy(rig->store, NULL), 0);
	assert_false(is_gone(rig, 0));
}

/* Who came while it was on its way to others stays. */
static void
test_rcpts_done(void **state)
{
	struct rig *rig = *state;
	uint64_t id = add(rig, 42, "a@a.test", 100);
	struct quarantine_rcpt late = { .n = 9, .address = STR("l@a.test"),
		.orcpt = STR("") };
	struct quarantine_entry entry;

	assert_int_equal(quarantine_store_get(rig->store, id, true,
	    rig->arena, &entry, NULL), 0);
	assert_int_equal(quarantine_store_set_releasing(rig->store, id, true,
	    NULL), 0);
	assert_int_equal(quarantine_store_add_rcpts(rig->store, id, &late, 1,
	    NULL), 0);
	assert_int_equal(quarantine_store_rcpts_done(rig->store, id,
	    entry.rcpts, entry.rcpts_len, NULL), 0);
	commit(rig);
	assert_true(is_gone(rig, 0) && is_gone(rig, 7) && !is_gone(rig, 9));
	assert_int_equal(quarantine_store_get(rig->store, id, true,
	    rig->arena, &entry, NULL), 0);
	assert_int_equal(entry.rcpts_len, 1);
	assert_int_equal(entry.rcpts[0].n, 9);
	/* Nobody has decided about it. */
	assert_false(entry.is_releasing || entry.rcpts[0].is_releasing);
	assert_int_equal(next_releasing(rig, 0), 0);
	assert_int_equal(quarantine_store_rcpts_done(rig->store, id, &late,
	    1, NULL), 0);
	commit(rig);
	assert_false(is_there(rig, id) || has_link(rig, id));
	assert_true(is_gone(rig, 9));
	assert_int_equal(quarantine_store_rcpts_done(rig->store, id, &late,
	    1, NULL), ERR_NOTFOUND);
}

/* A decision outlives the program, and ends with the entry. */
static void
test_releasing(void **state)
{
	struct rig *rig = *state;
	uint64_t one = add(rig, 1, "a@a.test", 1);
	uint64_t other = add(rig, 2, "a@a.test", 1);
	uint64_t last = add(rig, 3, "a@a.test", 1);
	struct quarantine_entry entry;

	assert_int_equal(next_releasing(rig, 0), 0);
	assert_int_equal(quarantine_store_set_releasing(rig->store, one,
	    true, NULL), 0);
	assert_int_equal(quarantine_store_set_releasing(rig->store, last,
	    true, NULL), 0);
	commit(rig);
	rig_close(rig);
	rig_open(rig);
	assert_int_equal(next_releasing(rig, 0), one);
	assert_int_equal(next_releasing(rig, one), last);
	assert_int_equal(next_releasing(rig, last), 0);
	assert_int_equal(quarantine_store_get(rig->store, other, false,
	    rig->arena, &entry, NULL), 0);
	assert_false(entry.is_releasing);
	assert_int_equal(quarantine_store_get(rig->store, last, true,
	    rig->arena, &entry, NULL), 0);
	assert_true(entry.is_releasing);
	assert_true(str_eq(entry.summary, STR("summary")));
	assert_int_equal(quarantine_store_set_releasing(rig->store, one,
	    false, NULL), 0);
	assert_int_equal(quarantine_store_delete(rig->store, last, NULL), 0);
	commit(rig);
	assert_int_equal(next_releasing(rig, 0), 0);
	assert_int_equal(quarantine_store_set_releasing(rig->store, last,
	    true, NULL), ERR_NOTFOUND);
}

/* What was decided to go is not deleted before it went. */
static void
test_releasing_is_kept(void **state)
{
	struct rig *rig = *state;
	struct quarantine_limits limits = { .owner_octets = UINT64_MAX,
		.owner_entries = 2, .total_octets = UINT64_MAX };
	uint64_t going = add(rig, 1, "a@a.test", 1), held, newest;
	struct quarantine_rcpt late = { .n = 9, .address = STR("l@a.test"),
		.orcpt = STR("") };
	struct quarantine_entry entry;
	size_t count;

	assert_int_equal(quarantine_store_set_releasing(rig->store, going,
	    true, NULL), 0);
	assert_int_equal(quarantine_store_add_rcpts(rig->store, going, &late,
	    1, NULL), 0);
	held = add(rig, 2, "a@a.test", 1);
	commit(rig);
	assert_int_equal(quarantine_store_get(rig->store, going, false,
	    rig->arena, &entry, NULL), 0);
	assert_int_equal(entry.rcpts_len, 3);
	assert_true(entry.is_releasing && entry.rcpts[0].is_releasing &&
	    entry.rcpts[1].is_releasing);
	assert_false(entry.rcpts[2].is_releasing);
	/* Over the owner's share the other one goes, though it is younger. */
	quarantine_store_limit(rig->store, &limits);
	newest = add(rig, 3, "a@a.test", 1);
	commit(rig);
	assert_true(is_there(rig, going) && is_there(rig, newest));
	assert_false(is_there(rig, held));
	assert_int_equal(quarantine_store_expire(rig->store, STR("a.test"),
	    now_s + DAY_S, 10, &count, NULL), 0);
	commit(rig);
	assert_int_equal(count, 1);
	assert_true(is_there(rig, going));
	assert_false(is_there(rig, newest));
	/* Also when nothing else is left. */
	limits.owner_entries = 1;
	quarantine_store_limit(rig->store, &limits);
	assert_int_equal(quarantine_store_set_releasing(rig->store, add(rig,
	    4, "a@a.test", 1), true, NULL), 0);
	commit(rig);
	newest = add(rig, 5, "a@a.test", 1);
	commit(rig);
	assert_true(is_there(rig, newest) && is_there(rig, going));
	assert_int_equal(quarantine_store_status(rig->store).entries, 3);
}

/* A crash between link and row: the link goes at the next start. */
static void
test_links_without_rows(void **state)
{
	struct rig *rig = *state;
	uint64_t kept = add(rig, 1, "a@a.test", 1), lost;

	commit(rig);
	assert_int_equal(quarantine_store_reserve(rig->store, &lost, NULL),
	    0);
	make_link(rig, lost);
	rig_close(rig);
	rig_open(rig);
	assert_true(has_link(rig, kept));
	assert_false(has_link(rig, lost));
}

static void
test_shares(void **state)
{
	struct rig *rig = *state;
	struct quarantine_limits limits = { .owner_octets = 350,
		.owner_entries = 5, .total_octets = 2000 };
	uint64_t ids[8], first, big;
	size_t i;

	quarantine_store_limit(rig->store, &limits);
	first = add(rig, 1, "b@a.test", 94);
	/* 100 octets each: the fourth is one too many. */
	for (i = 0; i < 4; i++)
		ids[i] = add(rig, 10 + i, "a@a.test", 94);
	commit(rig);
	assert_false(is_there(rig, ids[0]));
	assert_false(has_link(rig, ids[0]));
	assert_true(is_there(rig, ids[1]) && is_there(rig, ids[3]));
	assert_true(is_there(rig, first));
	/* Larger than the share: it alone stays. */
	big = add(rig, 20, "a@a.test", 900);
	commit(rig);
	assert_true(is_there(rig, big));
	assert_false(is_there(rig, ids[3]));
	assert_true(is_there(rig, first));
	/* By number. */
	limits.owner_octets = 10000;
	limits.total_octets = 10000;
	quarantine_store_limit(rig->store, &limits);
	for (i = 0; i < 6; i++)
		ids[i] = add(rig, 30 + i, "c@a.test", 1);
	commit(rig);
	assert_false(is_there(rig, ids[0]));
	assert_true(is_there(rig, ids[1]));
	/* All together: of who has most, and be it the only one. */
	limits.total_octets = 950;
	quarantine_store_limit(rig->store, &limits);
	ids[6] = add(rig, 40, "d@a.test", 94);
	ids[7] = add(rig, 41, "d@a.test", 94);
	commit(rig);
	assert_false(is_there(rig, big));
	assert_true(is_there(rig, first) && is_there(rig, ids[1]));
	assert_true(is_there(rig, ids[6]) && is_there(rig, ids[7]));
	assert_true(quarantine_store_status(rig->store).evicted >= 6);
}

static void
test_expiry(void **state)
{
	struct rig *rig = *state;
	uint64_t old[3], young, other;
	size_t count, i;

	for (i = 0; i < 3; i++)
		old[i] = add(rig, i, "a@a.test", 1);
	other = add(rig, 9, "a@b.test", 1);
	now_s += 2 * DAY_S;
	young = add(rig, 10, "a.test", 1);
	commit(rig);
	assert_int_equal(quarantine_store_expire(rig->store, STR("a.test"),
	    now_s - DAY_S, 2, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_int_equal(quarantine_store_expire(rig->store, STR("a.test"),
	    now_s - DAY_S, 2, &count, NULL), 0);
	assert_int_equal(count, 1);
	assert_int_equal(quarantine_store_expire(rig->store, STR("a.test"),
	    now_s - DAY_S, 2, &count, NULL), 0);
	assert_int_equal(count, 0);
	commit(rig);
	for (i = 0; i < 3; i++)
		assert_false(is_there(rig, old[i]));
	assert_true(is_there(rig, young) && is_there(rig, other));
}

static size_t
ids_of(struct rig *rig, const char *domain, const char *owner, int for_admin,
    uint64_t after)
{
	struct quarantine_filter filter = { .domain = str_of(domain),
		.owner = str_of(owner), .is_for_admin = for_admin };
	uint64_t ids[10];
	size_t count;

	assert_int_equal(quarantine_store_ids(rig->store, &filter, after, 10,
	    ids, &count, NULL), 0);
	return count;
}

static void
test_filters(void **state)
{
	struct rig *rig = *state;
	uint64_t first = add(rig, 1, "a@a.test", 1);
	struct str domain;

	(void)add(rig, 1, "a.test", 1);
	(void)add(rig, 2, "a@b.test", 1);
	(void)add(rig, 3, "a@a.test", 1);
	assert_int_equal(ids_of(rig, "", "", -1, 0), 4);
	assert_int_equal(ids_of(rig, "", "", -1, first), 3);
	assert_int_equal(ids_of(rig, "", "", 1, 0), 1);
	assert_int_equal(ids_of(rig, "a.test", "", -1, 0), 3);
	assert_int_equal(ids_of(rig, "a.test", "", 0, 0), 2);
	assert_int_equal(ids_of(rig, "", "a@a.test", -1, first), 1);
	assert_int_equal(ids_of(rig, "", "a@c.test", -1, 0), 0);
	assert_int_equal(quarantine_store_next_domain(rig->store, STR(""),
	    rig->arena, &domain, NULL), 0);
	assert_true(str_eq(domain, STR("a.test")));
	assert_int_equal(quarantine_store_next_domain(rig->store, domain,
	    rig->arena, &domain, NULL), 0);
	assert_true(str_eq(domain, STR("b.test")));
	assert_int_equal(quarantine_store_next_domain(rig->store, domain,
	    rig->arena, &domain, NULL), 0);
	assert_int_equal(domain.len, 0);
}

static const struct {
	const char *name;
	const char *in;
	size_t max;
	const char *want;
} texts[] = {
	{ "plain", "hello\r\nyou\n", 100, "hello\nyou\n" },
	{ "escapes", "a\033[31mb\007\177c", 100, "a[31mbc" },
	{ "C1", "a\302\233b", 100, "ab" },
	{ "Japanese", "件名①", 100, "件名①" },
	{ "cut between characters", "件名", 5, "件" },
	{ "turned around", "exe\342\200\256gpj\342\201\246", 100, "exegpj" },
	{ "no UTF-8", "a\377\300b", 100, "a??b" },
	{ "a character that is cut", "a\344\273", 100, "a??" },
};

static void
test_clean(void **state)
{
	struct rig *rig = *state;
	struct str got;
	size_t i;

	for (i = 0; i < COUNT_OF(texts); i++) {
		got = headline_clean(str_of(texts[i].in), texts[i].max,
		    rig->arena);
		if (!str_eq(got, str_of(texts[i].want)))
			fail_msg("%s: %.*s", texts[i].name, STR_FMT(got));
	}
}

int
main(void)
{
#define RIGGED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		RIGGED(test_there_and_back),
		RIGGED(test_gone),
		RIGGED(test_rcpts_done),
		RIGGED(test_releasing),
		RIGGED(test_releasing_is_kept),
		RIGGED(test_links_without_rows),
		RIGGED(test_shares),
		RIGGED(test_expiry),
		RIGGED(test_filters),
		RIGGED(test_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
