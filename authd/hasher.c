/* SPDX-License-Identifier: ISC */
#include "authd/hasher.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"

#define DEADLINE_MS 60000
#define WORKER_SOCKET 3

struct worker {
	struct hasher *hasher;
	struct ipc_link *link;
	unsigned pending;
	int fd;			/* until hasher_start() */
};

struct hasher {
	struct worker workers[HASHER_WORKERS_MAX];
	unsigned workers_len;
	void (*gone)(void *ctx);
	void *ctx;
	bool is_gone;
};

/* A call on its way, so that the worker's load is known. */
struct waiting {
	struct worker *worker;
	ipc_done *done;
	void *ctx;
};

/* ---- the worker ---- */

static void
wipe(struct str s)
{
	explicit_bzero((char *)(uintptr_t)s.p, s.len);
}

static void
on_make(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct str password = ipc_get_str(in);
	struct err err = ERR_INIT;
	struct hash_keys keys;
	struct ipc_out *out;
	int rc = hash_make(password, &keys, &err);

	(void)link;
	wipe(password);
	if (rc != 0) {
		ipc_reply_err(req, rc, "%s", err_text(&err));
		return;
	}
	out = ipc_reply_begin(req);
	ipc_put_str(out, str_of(keys.argon2));
	ipc_put_str(out, str_make(keys.salt, sizeof(keys.salt)));
	ipc_put_u64(out, keys.iterations);
	ipc_put_str(out, str_make(keys.stored_key, sizeof(keys.stored_key)));
	ipc_put_str(out, str_make(keys.server_key, sizeof(keys.server_key)));
	ipc_reply_end(out, -1);
	explicit_bzero(&keys, sizeof(keys));
}

static void
on_verify(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct str password = ipc_get_str(in), argon2 = ipc_get_str(in);
	char encoded[HASH_ARGON2_MAX];
	struct ipc_out *out;
	bool is_right;

	(void)link;
	(void)snprintf(encoded, sizeof(encoded), "%.*s", STR_FMT(argon2));
	is_right = hash_verify(password, encoded);
	wipe(password);
	out = ipc_reply_begin(req);
	ipc_put_bool(out, is_right);
	ipc_reply_end(out, -1);
}

static void
on_authd_gone(void *ctx, struct ipc_link *link)
{
	(void)ctx;
	(void)link;
	_exit(0);
}

static _Noreturn void
worker_main(const struct sandbox *sandbox, int fd)
{
	static ipc_handler *const handlers[] = { [HASH_MAKE] = on_make,
	    [HASH_VERIFY] = on_verify };
	struct err err = ERR_INIT;
	struct loop *loop;
	char text[128];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "authd-hash");
	/* Nothing of authd's but the log and this socket. */
	if (dup2(fd, WORKER_SOCKET) == -1)
		_exit(2);
	(void)close_range(WORKER_SOCKET + 1, ~0U, 0);
	if (sandbox_enter(sandbox, text, sizeof(text), &err) != 0) {
		ev_error(NULL, "auth.worker.failed", EV_ERR(&err));
		_exit(2);
	}
	loop = loop_new();
	(void)ipc_serve(loop, &ipc_hash, WORKER_SOCKET, STR("authd"),
	    handlers, NULL, on_authd_gone);
	loop_run(loop);
	_exit(0);
}

/* ---- the pool ---- */

static int
worker_fork(struct worker *worker, const struct sandbox *sandbox,
    struct err *err)
{
	int fds[2];
	pid_t pid;

	if (ipc_pair(fds, err) != 0)
		return ERR_TEMP;
	pid = fork();
	if (pid == -1)
		return err_set_errno(err, ERR_TEMP, "fork");
	if (pid == 0)
		worker_main(sandbox, fds[1]);
	(void)close(fds[1]);
	worker->fd = fds[0];
	return 0;
}

struct hasher *
hasher_fork(unsigned workers, const struct sandbox *sandbox, struct err *err)
{
	struct hasher *hasher = calloc(1, sizeof(*hasher));

	invariant(hasher != NULL);
	if (workers == 0)
		workers = 1;
	if (workers > HASHER_WORKERS_MAX)
		workers = HASHER_WORKERS_MAX;
	while (hasher->workers_len < workers) {
		struct worker *worker =
		    &hasher->workers[hasher->workers_len];

		worker->hasher = hasher;
		if (worker_fork(worker, sandbox, err) != 0) {
			free(hasher);
			return NULL;
		}
		hasher->workers_len++;
	}
	return hasher;
}

static void
on_worker_gone(void *ctx, struct ipc_link *link)
{
	struct worker *worker = ctx;
	struct hasher *hasher = worker->hasher;

	(void)link;
	if (hasher->is_gone)
		return;
	hasher->is_gone = true;
	hasher->gone(hasher->ctx);
}

void
hasher_start(struct hasher *hasher, struct loop *loop,
    void (*gone)(void *ctx), void *ctx)
{
	unsigned i;

	hasher->gone = gone;
	hasher->ctx = ctx;
	for (i = 0; i < hasher->workers_len; i++) {
		struct worker *worker = &hasher->workers[i];

		worker->link = ipc_client_new(loop, &ipc_hash, worker);
		ipc_client_on(worker->link, NULL, on_worker_gone);
		ipc_client_attach(worker->link, worker->fd);
	}
}

void
hasher_free(struct hasher **hasher)
{
	unsigned i;

	if (*hasher == NULL)
		return;
	(*hasher)->is_gone = true;
	for (i = 0; i < (*hasher)->workers_len; i++)
		ipc_link_free(&(*hasher)->workers[i].link);
	free(*hasher);
	*hasher = NULL;
}

/* The worker with the least to do; NULL: all have enough. */
static struct worker *
worker_choose(struct hasher *hasher)
{
	struct worker *best = &hasher->workers[0];
	unsigned i;

	for (i = 1; i < hasher->workers_len; i++)
		if (hasher->workers[i].pending < best->pending)
			best = &hasher->workers[i];
	return best->pending < HASHER_QUEUE ? best : NULL;
}

static void
on_done(void *ctx, int code, struct ipc_in *in)
{
	struct waiting *waiting = ctx;

	waiting->worker->pending--;
	waiting->done(waiting->ctx, code, in);
	free(waiting);
}

static void
ask(struct worker *worker, struct ipc_out *out, ipc_done *done, void *ctx)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	invariant(waiting != NULL);
	waiting->worker = worker;
	waiting->done = done;
	waiting->ctx = ctx;
	worker->pending++;
	(void)ipc_call(out, -1, DEADLINE_MS, on_done, waiting);
	ipc_wipe_sent(worker->link);
}

int
hasher_make(struct hasher *hasher, struct str password, ipc_done *done,
    void *ctx)
{
	struct worker *worker = worker_choose(hasher);
	struct ipc_out *out;

	if (worker == NULL)
		return ERR_LIMIT;
	out = ipc_begin(worker->link, HASH_MAKE);
	ipc_put_str(out, password);
	ask(worker, out, done, ctx);
	return 0;
}

int
hasher_verify(struct hasher *hasher, struct str password, struct str argon2,
    ipc_done *done, void *ctx)
{
	struct worker *worker = worker_choose(hasher);
	struct ipc_out *out;

	if (worker == NULL)
		return ERR_LIMIT;
	out = ipc_begin(worker->link, HASH_VERIFY);
	ipc_put_str(out, password);
	ipc_put_str(out, argon2);
	ask(worker, out, done, ctx);
	return 0;
}
