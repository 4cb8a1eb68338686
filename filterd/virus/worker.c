/* SPDX-License-Identifier: ISC */
#include "filterd/virus/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "filterd/virus/message.h"
#include "io/loop.h"
#include "ipc/links.h"
#include "ipc/values.h"
#include "proc/sandbox.h"

#define CPU_S 600		/* a worker's whole life */
#define FILES_MAX 256
#define SLOTS_MAX 64
#define REAP_MS 1000
#define SWEEP_DEPTH 32

struct generation {
	const struct worker_env *env;
	struct engine *engine;
	uint64_t signatures;
	struct loop_timer reap;
};

struct scan_worker {
	struct scan_tools tools;
};

/* Nothing of the parent's but the log and this descriptor. */
static void
keep_only(int fd)
{
	if (fd > 3)
		(void)close_range(3, (unsigned)fd - 1, 0);
	(void)close_range((unsigned)fd + 1, ~0U, 0);
}

/* ---- the worker's folder ---- */

/* What the last message left; names are not trusted, nor how deep it goes. */
static void
sweep(int dir, unsigned depth)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), below;
	DIR *stream = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (stream == NULL) {
		if (fd != -1)
			(void)close(fd);
		return;
	}
	while ((entry = readdir(stream)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dir, entry->d_name, 0) == 0 ||
		    depth == SWEEP_DEPTH)
			continue;
		below = openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY |
		    O_NOFOLLOW | O_CLOEXEC);
		if (below == -1)
			continue;
		sweep(below, depth + 1);
		(void)close(below);
		(void)unlinkat(dir, entry->d_name, AT_REMOVEDIR);
	}
	(void)closedir(stream);
}

/* ---- the worker ---- */

static void
on_test(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct scan_worker *worker = ipc_link_ctx(link);
	struct ipc_out *out;
	bool is_found = engine_test(worker->tools.engine);

	(void)in;
	sweep(worker->tools.dir, 0);
	out = ipc_reply_begin(req);
	ipc_put_bool(out, is_found);
	ipc_reply_end(out, -1);
}

static void
put_row(struct ipc_out *out, uint64_t part, uint64_t what, const char *name,
    const char *detail)
{
	/* Each field has a few octets of its own. */
	if (ipc_room(out) < strlen(name) + strlen(detail) + 64)
		return;
	ipc_put_u64(out, part);
	ipc_put_u64(out, what);
	ipc_put_str(out, str_of(name));
	ipc_put_str(out, str_of(detail));
}

static void
put_report(struct ipc_out *out, const struct report *report)
{
	const struct attack_note *note;
	size_t i;

	ipc_put_u64(out, report->whole.result);
	ipc_put_str(out, str_of(report->whole.name));
	ipc_put_bool(out, attack_is_suspicious(&report->odd));
	for (i = 0; i < report->parts_len; i++)
		put_row(out, report->parts[i].part,
		    report->parts[i].finding.result,
		    report->parts[i].finding.name, "");
	for (i = 0; i < report->odd.notes_len; i++) {
		note = &report->odd.notes[i];
		put_row(out, note->part, SCAN_W_TRAIT,
		    attack_trait_name(note->trait), note->detail);
	}
}

static void
on_scan(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct scan_worker *worker = ipc_link_ctx(link);
	uint64_t ms = ipc_get_u64(in), size = ipc_get_u64(in);
	uint64_t flags = ipc_get_u64(in);
	int fd = ipc_take_fd(in);
	struct report report;
	struct ipc_out *out;

	message_scan(&worker->tools, fd, size, flags, ms, &report);
	(void)close(fd);
	sweep(worker->tools.dir, 0);
	out = ipc_reply_begin(req);
	put_report(out, &report);
	ipc_reply_end(out, -1);
}

static void
on_scand_gone(void *ctx, struct ipc_link *link)
{
	(void)ctx;
	(void)link;
	_exit(0);
}

static int
set_limit(int what, rlim_t value, struct err *err)
{
	struct rlimit limit = { value, value };

	return setrlimit(what, &limit) == 0 ? 0 :
	    err_set_errno(err, ERR_TEMP, "setrlimit");
}

static int
set_limits(struct err *err)
{
	int rc = set_limit(RLIMIT_CORE, 0, err);

	if (rc == 0)
		rc = set_limit(RLIMIT_NPROC, 0, err);
	if (rc == 0)
		rc = set_limit(RLIMIT_CPU, CPU_S, err);
	if (rc == 0)
		rc = set_limit(RLIMIT_NOFILE, FILES_MAX, err);
	if (rc == 0)
		rc = set_limit(RLIMIT_FSIZE, ENGINE_SCAN_OCTETS_MAX, err);
	return rc;
}

/* From now on: one folder, the descriptors that come, nothing else. */
static int
worker_enter(const struct worker_env *env, struct scan_worker *worker,
    uint64_t slot, struct err *err)
{
	char folder[4096];
	int rc;

	(void)snprintf(folder, sizeof(folder), "%s/%llu", env->unpack,
	    (unsigned long long)slot);
	worker->tools.dir = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (worker->tools.dir == -1)
		return err_set_errno(err, ERR_TEMP, "open %s", folder);
	sweep(worker->tools.dir, 0);
	if ((rc = engine_use_folder(worker->tools.engine, folder, err)) != 0 ||
	    (rc = set_limits(err)) != 0)
		return rc;
	return sandbox_narrow(&worker->tools.dir, 1, SB_READ | SB_WRITE, SB_FILES,
	    env->is_degraded_ok, err);
}

static _Noreturn void
worker_main(const struct generation *generation, uint64_t slot, int fd)
{
	static ipc_handler *const handlers[] = {
		[SCANNER_LOADED] = NULL, [SCANNER_FORK] = NULL,
		[SCANNER_KILL] = NULL, [SCANNER_TEST] = on_test,
		[SCANNER_SCAN] = on_scan, [SCANNER_KNOW] = NULL,
	};
	struct scan_worker worker = { .tools = {
	    .engine = generation->engine,
	    .attack = generation->env->attack } };
	struct err err = ERR_INIT;
	struct loop *loop;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "scan-worker");
	keep_only(fd);
	if (worker_enter(generation->env, &worker, slot, &err) != 0) {
		ev_error(NULL, "scan.worker.failed", EV_ERR(&err));
		_exit(2);
	}
	loop = loop_new();
	(void)ipc_serve(loop, &ipc_scanner, fd, STR("scand"), handlers,
	    &worker, on_scand_gone);
	loop_run(loop);
	_exit(0);
}

/* ---- the generation ---- */

static void
on_loaded(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct generation *generation = ipc_link_ctx(link);
	struct ipc_out *out = ipc_reply_begin(req);

	(void)in;
	ipc_put_u64(out, generation->signatures);
	ipc_reply_end(out, -1);
}

static void
on_fork(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct generation *generation = ipc_link_ctx(link);
	uint64_t slot = ipc_get_u64(in);
	int fd = ipc_take_fd(in);
	struct ipc_out *out;
	pid_t pid = slot < SLOTS_MAX ? fork() : -1;

	if (pid == 0)
		worker_main(generation, slot, fd);
	(void)close(fd);
	if (pid == -1) {
		ipc_reply_err(req, ERR_TEMP, "fork");
		return;
	}
	out = ipc_reply_begin(req);
	ipc_put_u64(out, (uint64_t)pid);
	ipc_reply_end(out, -1);
}

/* Only its own children, which it has not reaped: no pid is another's. */
static void
on_kill(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	uint64_t pid = ipc_get_u64(in);
	siginfo_t info;

	(void)link;
	(void)req;
	if (pid > 1 && pid <= INT32_MAX && waitid(P_PID, (id_t)pid, &info,
	    WEXITED | WNOHANG | WNOWAIT) == 0)
		(void)kill((pid_t)pid, SIGKILL);
}

/* Its attack tables are a copy of scand's; its next workers get one of it. */
static void
on_know(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct generation *generation = ipc_link_ctx(link);
	struct attack *attack = generation->env->attack;
	uint64_t kind;

	(void)req;
	if (ipc_get_bool(in))
		attack_forget(attack);
	kind = ipc_get_u64(in);
	while (ipc_more(in))
		if (kind == SCAN_K_DOMAINS)
			(void)attack_add_domain(attack, ipc_get_str(in));
		else
			attack_add_name(attack, ipc_get_str(in));
}

static void
reap(void *arg)
{
	struct generation *generation = arg;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
	loop_timer_start(&generation->reap, REAP_MS);
}

_Noreturn void
generation_main(const struct worker_env *env, int fd)
{
	static ipc_handler *const handlers[] = {
		[SCANNER_LOADED] = on_loaded, [SCANNER_FORK] = on_fork,
		[SCANNER_KILL] = on_kill, [SCANNER_TEST] = NULL,
		[SCANNER_SCAN] = NULL, [SCANNER_KNOW] = on_know,
	};
	struct generation generation = { .env = env };
	struct err err = ERR_INIT;
	struct loop *loop;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "scan-signatures");
	(void)signal(SIGCHLD, SIG_DFL);
	keep_only(fd);
	generation.engine = engine_load(env->signatures,
	    &generation.signatures, &err);
	if (generation.engine == NULL) {
		ev_error(NULL, "scan.signatures.unusable", EV_ERR(&err));
		_exit(2);
	}
	loop = loop_new();
	loop_timer_init(&generation.reap, loop, reap, &generation);
	loop_timer_start(&generation.reap, REAP_MS);
	(void)ipc_serve(loop, &ipc_scanner, fd, STR("scand"), handlers,
	    &generation, on_scand_gone);
	loop_run(loop);
	_exit(0);
}
