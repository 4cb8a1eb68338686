/* SPDX-License-Identifier: ISC */
#include "filterd/virus/worker.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "filterd/virus/cell.h"
#include "filterd/virus/message.h"
#include "io/loop.h"
#include "ipc/links.h"
#include "ipc/values.h"

#define SLOTS_MAX 64
#define REAP_MS 1000

struct generation {
	const struct worker_env *env;
	struct engine *engine;
	uint64_t signatures;
	int64_t built_s;
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

/* ---- the worker ---- */

static void
on_test(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct scan_worker *worker = ipc_link_ctx(link);
	struct ipc_out *out;
	bool is_found = engine_test(worker->tools.engine,
	    worker->tools.dir);

	(void)in;
	cell_sweep(worker->tools.dir);
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
	/* A trait without a name: there are more than are told of. */
	if (report->odd.notes_lost != 0)
		put_row(out, ATTACK_NO_PART, SCAN_W_TRAIT, "", "");
	if (report->locked.result != SCAN_CLEAN)
		put_row(out, ATTACK_NO_PART, SCAN_ENCRYPTED,
		    report->locked.name, "");
	if (report->closed.result != SCAN_CLEAN)
		put_row(out, ATTACK_NO_PART, SCAN_LIMIT,
		    report->closed.name, "");
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
	struct scan_order order = { .ms = ipc_get_u64(in) };
	struct report report;
	struct ipc_out *out;

	order.size = ipc_get_u64(in);
	order.flags = ipc_get_u64(in);
	while (ipc_more(in) && order.readers_len < SCAN_READERS_MAX)
		order.readers[order.readers_len++] = ipc_get_str(in);
	order.fd = ipc_take_fd(in);
	message_scan(&worker->tools, &order, &report);
	(void)close(order.fd);
	cell_sweep(worker->tools.dir);
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
worker_enter(const struct worker_env *env, struct scan_tools *tools,
    uint64_t slot, struct err *err)
{
	char folder[4096];
	int rc = cell_open(env->unpack, slot, folder, sizeof(folder),
	    &tools->dir, err);

	if (rc == 0)
		rc = engine_use_folder(tools->engine, folder, err);
	return rc == 0 ? cell_enter(tools->dir, env->is_degraded_ok, err) :
	    rc;
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
	if (worker_enter(generation->env, &worker.tools, slot, &err) != 0) {
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
	ipc_put_u64(out, (uint64_t)generation->built_s);
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
	struct str name;
	uint64_t kind, owner;

	(void)req;
	if (ipc_get_bool(in))
		attack_forget(attack);
	kind = ipc_get_u64(in);
	while (ipc_more(in)) {
		name = ipc_get_str(in);
		owner = ipc_get_u64(in);
		if (kind == SCAN_K_DOMAINS)
			(void)attack_add_domain(attack, name, owner);
		else
			attack_add_name(attack, name);
	}
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
	generation.built_s = engine_signatures_built(env->signatures);
	loop = loop_new();
	loop_timer_init(&generation.reap, loop, reap, &generation);
	loop_timer_start(&generation.reap, REAP_MS);
	(void)ipc_serve(loop, &ipc_scanner, fd, STR("scand"), handlers,
	    &generation, on_scand_gone);
	loop_run(loop);
	_exit(0);
}
