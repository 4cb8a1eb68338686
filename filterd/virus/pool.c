/* SPDX-License-Identifier: ISC */
#include "filterd/virus/pool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"
#include "base/when.h"
#include "ipc/links.h"
#include "ipc/values.h"

#define LOAD_MS 600000		/* millions of signatures take a minute */
#define FORK_MS 10000
#define TEST_MS 15000
#define GRACE_MS 2000		/* for libclamav's own limit to be told */
#define LOOK_MS 10000		/* for new signatures */
#define RETRY_MS 30000		/* after signatures that are unusable */
#define FORK_PAUSE_MS 1000	/* after a worker that ended before its test */
#define TRIES_MAX 2
#define NAME_MAX_OCTETS 200U	/* of what was found, and what shows it */
#define ROWS_MAX 200
#define READERS_MAX 32U

struct pool_job {
	struct list node;
	struct ipc_req *req;
	int fd;
	uint64_t size;
	uint64_t flags;
	uint64_t deadline_ms;
	unsigned tries;
	struct str client;		/* a stranger's address; or empty */
	struct arena *arena;		/* its readers' domains */
	struct str readers[READERS_MAX];
	size_t readers_len;
};

struct generation {
	struct pool *pool;
	struct ipc_link *link;
	uint64_t stamp;			/* of its signatures */
	uint64_t signatures;
	uint64_t built_s;		/* when the newest of them were */
	unsigned workers;
	bool is_tested;
};

enum worker_state { W_NONE, W_FORKING, W_TESTING, W_IDLE, W_BUSY };

struct worker {
	struct pool *pool;
	struct generation *generation;
	enum worker_state state;
	struct ipc_link *link;
	uint64_t pid;
	unsigned scans;
	unsigned known;			/* of the pool when it was forked */
	struct pool_job *job;
	struct loop_timer timer;
	bool is_late;
};

struct pool {
	struct loop *loop;
	struct pool_settings settings;
	struct worker workers[POOL_WORKERS_MAX];
	struct generation *current;	/* tested; NULL: none yet */
	struct generation *next;	/* on its way; NULL: none */
	uint64_t bad_stamp;		/* of signatures that were unusable */
	uint64_t bad_until_ms;
	uint64_t fork_after_ms;
	unsigned known;			/* goes up with what is known of us */
	struct list waiting;
	struct loop_timer again;	/* pump() */
	struct loop_timer look;
	struct loop_timer expire;
};

static void pump(struct pool *pool);
static void generation_failed(struct generation *generation,
    const char *why);

/* ---- jobs ---- */

static void
job_free(struct pool_job *job)
{
	list_del(&job->node);
	(void)close(job->fd);
	arena_free(&job->arena);
	free(job);
}

static void
job_answer(struct pool_job *job, enum scan_result result, const char *name)
{
	struct ipc_out *out = ipc_reply_begin(job->req);

	ipc_put_u64(out, result);
	ipc_put_str(out, str_of(name));
	ipc_put_bool(out, false);
	ipc_reply_end(out, -1);
	job_free(job);
}

/* Those nobody can look at any more in time. */
static void
expire(void *arg)
{
	struct pool *pool = arg;
	struct pool_job *job, *tmp;
	uint64_t now = when_mono_ms(), next = UINT64_MAX;

	list_each(job, tmp, &pool->waiting, struct pool_job, node) {
		if (job->deadline_ms > now) {
			next = job->deadline_ms < next ? job->deadline_ms :
			    next;
			continue;
		}
		ipc_reply_err(job->req, ERR_TEMP, "no scanner in time");
		job_free(job);
	}
	if (next != UINT64_MAX)
		loop_timer_start(&pool->expire, next - now);
}

/* ---- workers ---- */

static void
worker_end(struct worker *worker)
{
	struct generation *generation = worker->generation;
	struct ipc_out *out;

	if (worker->state == W_NONE)
		return;
	/* First: calls that end with the link look at it. */
	worker->state = W_NONE;
	loop_timer_stop(&worker->timer);
	ipc_link_free(&worker->link);
	if (worker->pid != 0 && generation->link != NULL) {
		out = ipc_begin(generation->link, SCANNER_KILL);
		ipc_put_u64(out, worker->pid);
		(void)ipc_send(out, -1);
	}
	worker->pid = 0;
	worker->scans = 0;
	worker->is_late = false;
	worker->generation = NULL;
	generation->workers--;
	/* The last of an old generation takes it along. */
	if (generation->workers == 0 && generation != generation->pool->next &&
	    generation != generation->pool->current) {
		ipc_link_free(&generation->link);
		free(generation);
	}
}

/* Its worker ended under it, or was killed over it. */
static void
job_lost(struct worker *worker)
{
	struct pool_job *job = worker->job;
	struct pool *pool = worker->pool;

	worker->job = NULL;
	if (job == NULL)
		return;
	if (worker->is_late) {
		ev_warn(NULL, "scan.message.slow", EV_U64(size, job->size));
		job_answer(job, SCAN_LIMIT, "Limits.Time");
		return;
	}
	ev_warn(NULL, "scan.worker.crashed", EV_U64(size, job->size),
	    EV_U64(count, job->tries));
	if (job->tries >= TRIES_MAX)
		job_answer(job, SCAN_CRASHED, "Scanner.Crashed");
	else
		list_add(&pool->waiting, &job->node);
}

/* New signatures are not used then; with those in use others are tried. */
static void
test_failed(struct generation *generation, const char *why)
{
	generation->pool->fork_after_ms = when_mono_ms() + FORK_PAUSE_MS;
	if (generation->is_tested)
		ev_warn(NULL, "scan.worker.failed", EV_CSTR(reason, why));
	else
		generation_failed(generation, why);
}

static void
on_worker_gone(void *ctx, struct ipc_link *link)
{
	struct worker *worker = ctx;
	struct pool *pool = worker->pool;
	struct generation *generation = worker->generation;
	bool was_test = worker->state == W_TESTING ||
	    worker->state == W_FORKING;

	(void)link;
	job_lost(worker);
	if (was_test)
		test_failed(generation, "the test of the scanner ended it");
	worker_end(worker);
	pump(pool);
}

static void
on_worker_late(void *arg)
{
	struct worker *worker = arg;
	struct pool *pool = worker->pool;

	worker->is_late = true;
	job_lost(worker);
	worker_end(worker);
	pump(pool);
}

/* Retire it when it has done its part, what it was given may have taken it
 * over, or what it knows is old. */
static void
worker_rest(struct worker *worker, bool is_trusted)
{
	struct pool *pool = worker->pool;

	worker->state = W_IDLE;
	if (++worker->scans >= pool->settings.scans_max || !is_trusted ||
	    worker->generation != pool->current ||
	    worker->known != pool->known)
		worker_end(worker);
	pump(pool);
}

/* A row of what was found; one that makes no sense is left out. */
static void
forward_row(struct ipc_out *out, struct ipc_in *in)
{
	uint64_t part = ipc_get_u64(in), what = ipc_get_u64(in);
	struct str name = ipc_get_str(in), detail = ipc_get_str(in);

	if (part > UINT16_MAX || (what >= SCAN_RESULTS &&
	    what != SCAN_W_TRAIT) || !str_is_printable(name) ||
	    name.len > NAME_MAX_OCTETS || !str_is_text(detail) ||
	    detail.len > NAME_MAX_OCTETS ||
	    ipc_room(out) < name.len + detail.len + 64)
		return;
	ipc_put_u64(out, part);
	ipc_put_u64(out, what);
	ipc_put_str(out, name);
	ipc_put_str(out, detail);
}

/* It says that files or memory failed it: another worker may be luckier. */
static void
try_again(struct pool *pool, struct pool_job *job, struct str name)
{
	if (!str_is_printable(name))
		name = STR("?");
	ev_warn(NULL, "scan.worker.helpless", EV_U64(size, job->size),
	    EV_U64(count, job->tries),
	    EV_STR(reason, str_sub(name, 0, NAME_MAX_OCTETS)));
	list_add(&pool->waiting, &job->node);
}

/* The worker is as hostile as what it read. False: it is not to read more. */
static bool
forward(struct pool *pool, struct pool_job *job, struct ipc_in *in)
{
	uint64_t result = ipc_get_u64(in);
	struct str name = ipc_get_str(in);
	bool is_suspicious = ipc_get_bool(in);
	struct ipc_out *out;
	unsigned n;

	if (result >= SCAN_RESULTS) {
		job_answer(job, SCAN_CRASHED, "Scanner.Nonsense");
		return false;
	}
	if (result == SCAN_CRASHED && job->tries < TRIES_MAX) {
		try_again(pool, job, name);
		return false;
	}
	out = ipc_reply_begin(job->req);
	ipc_put_u64(out, result);
	ipc_put_str(out, str_is_printable(name) ?
	    str_sub(name, 0, NAME_MAX_OCTETS) : STR("?"));
	ipc_put_bool(out, is_suspicious);
	for (n = 0; n < ROWS_MAX && ipc_more(in); n++)
		forward_row(out, in);
	ipc_reply_end(out, -1);
	job_free(job);
	return !is_suspicious && result != SCAN_INFECTED &&
	    result != SCAN_CRASHED;
}

static void
on_scanned(void *ctx, int code, struct ipc_in *in)
{
	struct worker *worker = ctx;
	struct pool_job *job = worker->job;

	/* The link's end is told by on_worker_gone(). */
	if (code != 0 || job == NULL)
		return;
	loop_timer_stop(&worker->timer);
	worker->job = NULL;
	worker_rest(worker, forward(worker->pool, job, in));
}

static void
worker_give(struct worker *worker, struct pool_job *job)
{
	uint64_t ms = worker->pool->settings.scan_ms, now = when_mono_ms();
	struct ipc_out *out = ipc_begin(worker->link, SCANNER_SCAN);
	size_t i;

	if (job->deadline_ms - now < ms)
		ms = job->deadline_ms - now;
	list_del(&job->node);
	job->tries++;
	worker->job = job;
	worker->state = W_BUSY;
	loop_timer_start(&worker->timer, ms + GRACE_MS);
	ipc_put_u64(out, ms);
	ipc_put_u64(out, job->size);
	ipc_put_u64(out, job->flags);
	for (i = 0; i < job->readers_len; i++)
		ipc_put_str(out, job->readers[i]);
	(void)ipc_call(out, job->fd, ms + 2 * GRACE_MS, on_scanned, worker);
}

/* ---- from a generation to an idle worker ---- */

static void
generation_tested(struct generation *generation)
{
	struct pool *pool = generation->pool;
	struct generation *old = pool->current;
	size_t i;

	generation->is_tested = true;
	if (generation != pool->next)
		return;
	pool->current = generation;
	pool->next = NULL;
	ev_info(NULL, "scan.signatures.ready");
	if (pool->settings.ready != NULL)
		pool->settings.ready(pool->settings.ctx,
		    generation->signatures, generation->built_s);
	if (old == NULL)
		return;
	if (old->workers == 0) {
		ipc_link_free(&old->link);
		free(old);
		return;
	}
	/* The last of its workers takes it along: see worker_end(). */
	for (i = 0; i < POOL_WORKERS_MAX; i++)
		if (pool->workers[i].generation == old &&
		    pool->workers[i].state == W_IDLE)
			worker_end(&pool->workers[i]);
}

static void
on_tested(void *ctx, int code, struct ipc_in *in)
{
	struct worker *worker = ctx;
	struct generation *generation = worker->generation;
	struct pool *pool = worker->pool;

	if (worker->state != W_TESTING)
		return;
	if (code != 0 || !ipc_get_bool(in)) {
		test_failed(generation, code != 0 ?
		    "the test of the scanner does not end" :
		    "what is inside an archive is not found");
		worker_end(worker);
		pump(pool);
		return;
	}
	worker->state = W_IDLE;
	if (!generation->is_tested)
		generation_tested(generation);
	if (generation != pool->current || worker->known != pool->known ||
	    worker == &pool->workers[pool->settings.workers])
		worker_end(worker);
	pump(pool);
}

static void
on_forked(void *ctx, int code, struct ipc_in *in)
{
	struct worker *worker = ctx;
	struct pool *pool = worker->pool;

	if (worker->state != W_FORKING)
		return;
	if (code != 0) {
		test_failed(worker->generation, "no worker can be made");
		worker_end(worker);
		pump(pool);
		return;
	}
	worker->pid = ipc_get_u64(in);
	worker->state = W_TESTING;
	(void)ipc_call(ipc_begin(worker->link, SCANNER_TEST), -1, TEST_MS,
	    on_tested, worker);
}

static void
worker_fork(struct worker *worker, struct generation *generation)
{
	struct pool *pool = generation->pool;
	struct ipc_out *out;
	int fds[2];

	if (!ipc_is_attached(generation->link) ||
	    ipc_pair(fds, NULL) != 0) {
		test_failed(generation, "no worker can be made");
		return;
	}
	worker->generation = generation;
	worker->state = W_FORKING;
	worker->known = pool->known;
	worker->link = ipc_client_new(pool->loop, &ipc_scanner, worker);
	ipc_client_on(worker->link, NULL, on_worker_gone);
	ipc_client_attach(worker->link, fds[0]);
	generation->workers++;
	out = ipc_begin(generation->link, SCANNER_FORK);
	ipc_put_u64(out, (uint64_t)(worker - pool->workers));
	(void)ipc_call(out, fds[1], FORK_MS, on_forked, worker);
	(void)close(fds[1]);
}

static struct worker *
worker_in(struct pool *pool, enum worker_state state)
{
	size_t i;

	for (i = 0; i < pool->settings.workers; i++)
		if (pool->workers[i].state == state)
			return &pool->workers[i];
	return NULL;
}

/* Give out what waits; make workers for the rest. */
static bool
is_at_work_for(const struct pool *pool, struct str client)
{
	unsigned i;

	for (i = 0; i <= pool->settings.workers; i++)
		if (pool->workers[i].job != NULL &&
		    str_eq(pool->workers[i].job->client, client))
			return true;
	return false;
}

/* The first, but others before a stranger who has a worker already: so that
 * one who sends what takes long keeps nobody from the workers. */
static struct pool_job *
next_job(struct pool *pool)
{
	struct pool_job *job, *tmp;

	list_each(job, tmp, &pool->waiting, struct pool_job, node)
		if (job->client.len == 0 ||
		    !is_at_work_for(pool, job->client))
			return job;
	return list_entry(pool->waiting.next, struct pool_job, node);
}

static void
pump(struct pool *pool)
{
	struct worker *worker;

	expire(pool);
	while (!list_is_empty(&pool->waiting) &&
	    (worker = worker_in(pool, W_IDLE)) != NULL)
		worker_give(worker, next_job(pool));
	if (pool->current == NULL ||
	    (worker = worker_in(pool, W_NONE)) == NULL)
		return;
	if (when_mono_ms() >= pool->fork_after_ms)
		worker_fork(worker, pool->current);
	if (when_mono_ms() < pool->fork_after_ms)
		loop_timer_start(&pool->again, FORK_PAUSE_MS);
}

static void
on_again(void *arg)
{
	pump(arg);
}

/* ---- generations ---- */

/* The last slot tests, beside those that work. */
static void
generation_test(struct generation *generation)
{
	struct pool *pool = generation->pool;
	struct worker *worker = &pool->workers[pool->settings.workers];

	invariant(worker->state == W_NONE);
	worker_fork(worker, generation);
}

static void
generation_end(struct generation *generation)
{
	struct pool *pool = generation->pool;
	size_t i;

	if (generation == pool->next)
		pool->next = NULL;
	if (generation == pool->current)
		pool->current = NULL;
	/* Ours until the end: calls that fail with the link end workers. */
	generation->workers++;
	ipc_link_free(&generation->link);
	/* Its workers die with it; the last one frees it. */
	for (i = 0; i < POOL_WORKERS_MAX; i++)
		if (pool->workers[i].generation == generation &&
		    (pool->workers[i].state == W_IDLE ||
		    pool->workers[i].state == W_FORKING))
			worker_end(&pool->workers[i]);
	if (--generation->workers == 0)
		free(generation);
}

static void
generation_failed(struct generation *generation, const char *why)
{
	struct pool *pool = generation->pool;

	ev_error(NULL, "scan.signatures.refused", EV_CSTR(reason, why));
	pool->settings.alert(pool->settings.ctx,
	    "the virus scanner's signatures cannot be used");
	pool->bad_stamp = generation->stamp;
	pool->bad_until_ms = when_mono_ms() + RETRY_MS;
	if (generation == pool->next)
		pool->next = NULL;
}

static void
on_generation_gone(void *ctx, struct ipc_link *link)
{
	struct generation *generation = ctx;
	struct pool *pool = generation->pool;

	(void)link;
	if (!generation->is_tested && generation == pool->next)
		generation_failed(generation, "they cannot be loaded");
	generation_end(generation);
	loop_timer_start(&pool->look, 1000);
}

static void
on_loaded(void *ctx, int code, struct ipc_in *in)
{
	struct generation *generation = ctx;

	if (code != 0) {
		/* The end of its link is told by on_generation_gone(), which
		 * may come before the question was sent. */
		if (generation->link != NULL &&
		    ipc_is_attached(generation->link)) {
			generation_failed(generation, "loading does not end");
			generation_end(generation);
		}
		return;
	}
	generation->signatures = ipc_get_u64(in);
	generation->built_s = ipc_get_u64(in);
	ev_info(NULL, "scan.signatures.loaded",
	    EV_U64(count, generation->signatures));
	generation_test(generation);
}

static void
generation_start(struct pool *pool, uint64_t stamp)
{
	struct generation *generation;
	int fds[2];
	pid_t pid;

	if (ipc_pair(fds, NULL) != 0)
		return;
	pid = fork();
	if (pid == 0)
		pool->settings.generation(&pool->settings.env, fds[1]);
	(void)close(fds[1]);
	if (pid == -1) {
		(void)close(fds[0]);
		return;
	}
	generation = calloc(1, sizeof(*generation));
	invariant(generation != NULL);
	generation->pool = pool;
	generation->stamp = stamp;
	generation->link = ipc_client_new(pool->loop, &ipc_scanner,
	    generation);
	ipc_client_on(generation->link, NULL, on_generation_gone);
	ipc_client_attach(generation->link, fds[0]);
	pool->next = generation;
	(void)ipc_call(ipc_begin(generation->link, SCANNER_LOADED), -1,
	    LOAD_MS, on_loaded, generation);
}

/* Names, sizes and times of the signatures, as one number; 0: none. */
static uint64_t
stamp_of_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	uint64_t stamp = 0, one;
	struct dirent *entry;
	struct stat st;
	const char *p;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' || fstatat(dirfd(dir),
		    entry->d_name, &st, 0) != 0 || !S_ISREG(st.st_mode))
			continue;
		one = (uint64_t)st.st_size * 31 +
		    (uint64_t)st.st_mtim.tv_sec * 1000003 +
		    (uint64_t)st.st_mtim.tv_nsec;
		for (p = entry->d_name; *p != '\0'; p++)
			one = one * 131 + (unsigned char)*p;
		/* The order in which they are listed does not matter. */
		stamp += one | 1;
	}
	if (dir != NULL)
		(void)closedir(dir);
	return stamp;
}

static uint64_t
stamp_of(const char *const *folders)
{
	uint64_t stamp = 0;

	for (; *folders != NULL; folders++)
		stamp = stamp * 31 + stamp_of_folder(*folders);
	return stamp;
}

static void
look(void *arg)
{
	struct pool *pool = arg;
	uint64_t stamp = stamp_of(pool->settings.env.signatures);

	loop_timer_start(&pool->look, LOOK_MS);
	if (pool->next != NULL ||
	    pool->workers[pool->settings.workers].state != W_NONE)
		return;
	if (pool->current != NULL && pool->current->stamp == stamp)
		return;
	if (stamp == pool->bad_stamp && when_mono_ms() < pool->bad_until_ms)
		return;
	generation_start(pool, stamp);
}

/* ---- from outside ---- */

void
pool_scan(struct pool *pool, struct ipc_req *req, struct ipc_in *in)
{
	struct pool_job *job = calloc(1, sizeof(*job));

	invariant(job != NULL);
	job->req = req;
	job->deadline_ms = ipc_get_u64(in);
	job->size = ipc_get_u64(in);
	job->flags = ipc_get_u64(in);
	job->arena = arena_new(0);
	job->client = arena_str(job->arena, ipc_get_str(in));
	while (ipc_more(in) && job->readers_len < READERS_MAX)
		job->readers[job->readers_len++] = arena_str(job->arena,
		    ipc_get_str(in));
	job->fd = ipc_take_fd(in);
	list_add(&pool->waiting, &job->node);
	pump(pool);
}

void
pool_known(struct pool *pool)
{
	struct generation *const generations[] = { pool->current,
	    pool->next };
	size_t i;

	pool->known++;
	for (i = 0; i < 2; i++)
		if (generations[i] != NULL &&
		    ipc_is_attached(generations[i]->link))
			pool->settings.tell(pool->settings.ctx,
			    generations[i]->link);
	for (i = 0; i < pool->settings.workers; i++)
		if (pool->workers[i].state == W_IDLE)
			worker_end(&pool->workers[i]);
	pump(pool);
}

void
pool_reload(struct pool *pool)
{
	pool->bad_stamp = 0;
	loop_timer_start(&pool->look, 0);
}

struct pool *
pool_new(struct loop *loop, const struct pool_settings *settings)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	size_t i;

	invariant(pool != NULL && settings->workers < POOL_WORKERS_MAX);
	pool->loop = loop;
	pool->settings = *settings;
	list_init(&pool->waiting);
	for (i = 0; i < POOL_WORKERS_MAX; i++) {
		pool->workers[i].pool = pool;
		loop_timer_init(&pool->workers[i].timer, loop, on_worker_late,
		    &pool->workers[i]);
	}
	loop_timer_init(&pool->again, loop, on_again, pool);
	loop_timer_init(&pool->look, loop, look, pool);
	loop_timer_init(&pool->expire, loop, expire, pool);
	loop_timer_start(&pool->look, 0);
	return pool;
}

void
pool_free(struct pool **poolp)
{
	struct pool *pool = *poolp;
	struct pool_job *job, *tmp;
	size_t i;

	if (pool == NULL)
		return;
	*poolp = NULL;
	for (i = 0; i < POOL_WORKERS_MAX; i++) {
		if (pool->workers[i].job != NULL)
			list_add(&pool->waiting,
			    &pool->workers[i].job->node);
		worker_end(&pool->workers[i]);
		loop_timer_fini(&pool->workers[i].timer);
	}
	list_each(job, tmp, &pool->waiting, struct pool_job, node) {
		ipc_reply_err(job->req, ERR_TEMP, "stopping");
		job_free(job);
	}
	if (pool->next != NULL)
		generation_end(pool->next);
	if (pool->current != NULL)
		generation_end(pool->current);
	loop_timer_fini(&pool->again);
	loop_timer_fini(&pool->look);
	loop_timer_fini(&pool->expire);
	free(pool);
}
