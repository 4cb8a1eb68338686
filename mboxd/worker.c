/* SPDX-License-Identifier: ISC */
/*
 * worker: a bulk worker: delivers into accounts that nobody uses at the
 * moment. It keeps the stores of recent accounts open, which saves most of
 * the work, and gives one back when the broker asks for it.
 */
#include "mboxd/family.h"

#include <malloc.h>
#include <unistd.h>

#include "base/log.h"
#include "base/table.h"
#include "mboxd/batch.h"
#include "mboxd/usage.h"
#include "proc/sandbox.h"

#define OPEN_MAX 1024		/* stores kept open between runs; 0.2 MB each */
#define OPEN_QUIET 32		/* as many stay when nothing has come lately */
#define ROWS_MAX 512		/* of one run */
#define WAL_PAGES_BUSY 2000	/* a log this long is emptied at once */
#define WAL_PAGES_LEAVE 250	/* and this long, when giving back */
#define BLOBS_WAIT_MS 50
#define BLOBS_WAITS 100	/* before deliveries fail for want of blobd */
#define IDLE_MS 2000
#define QUIET_MS 60000

struct worker {
	const struct family *family;
	struct loop *loop;
	struct ipc_link *broker;
	struct ipc_link *blobs;
	struct batch_env env;
	struct batch batch;
	struct loop_later later;
	struct loop_timer idle;
	struct loop_timer quiet;
	struct loop_timer retry;	/* blobd was not there */
	unsigned blobs_waits;
	size_t rows_seen;
	struct table *open;	/* account -> struct batch_account */
	struct list recent;	/* the same, least recently used first */
};

/* ---- stores ---- */

static void
account_drop(struct worker *worker, struct batch_account *account,
    uint32_t min_pages)
{
	struct err err = ERR_INIT;

	if (account->store != NULL && store_checkpoint(account->store,
	    min_pages, &err) != 0)
		ev_warn(NULL, "mbox.checkpoint.failed",
		    EV_U64(account, account->account), EV_ERR(&err));
	store_close(&account->store);
	table_del_u64(worker->open, account->account);
	list_del(&account->node);
	list_del(&account->touched);
	free(account);
}

static struct batch_account *
open_account(void *ctx, uint64_t id, enum mbox_result *result_r,
    const char **reason_r)
{
	struct worker *worker = ctx;
	struct batch_account *account = table_get_u64(worker->open, id);
	struct err err = ERR_INIT;
	struct store *store = NULL;

	if (account != NULL && account->store != NULL) {
		list_del(&account->node);
		list_add(&worker->recent, &account->node);
		return account;
	}
	if (family_make_group(worker->family, id, &err) != 0 ||
	    family_open_store(worker->family, id, STORE_NORMAL, &store,
	    &err) != 0) {
		ev_error(NULL, "mbox.open.failed", EV_U64(account, id),
		    EV_ERR(&err));
		*result_r = MBOX_R_TEMP;
		*reason_r = "the mailbox cannot be opened";
		return NULL;
	}
	if (account == NULL) {
		account = calloc(1, sizeof(*account));
		invariant(account != NULL);
		account->account = id;
		list_init(&account->node);
		list_init(&account->touched);
		table_put_u64(worker->open, id, account);
	}
	account->store = store;
	list_del(&account->node);
	list_add(&worker->recent, &account->node);
	return account;
}

static void
keep_few(struct worker *worker, size_t few)
{
	while (table_count(worker->open) > few)
		account_drop(worker, list_first(&worker->recent,
		    struct batch_account, node), WAL_PAGES_LEAVE);
}

static struct ipc_link *
to_blobd(void *ctx)
{
	struct worker *worker = ctx;

	return ipc_is_attached(worker->blobs) ? worker->blobs : NULL;
}

/* ---- deliveries ---- */

static void
after_run(struct worker *worker)
{
	struct batch_account *account, *tmp;
	struct usage_push push;

	usage_push_begin(&push, worker->broker);
	list_each(account, tmp, &worker->batch.touched, struct batch_account,
	    touched) {
		struct err err = ERR_INIT;

		if (account->store == NULL) {
			account_drop(worker, account, 0);
			continue;
		}
		usage_push_add(&push, account->store);
		if (store_checkpoint(account->store, WAL_PAGES_BUSY,
		    &err) != 0)
			ev_warn(NULL, "mbox.checkpoint.failed",
			    EV_U64(account, account->account), EV_ERR(&err));
	}
	usage_push_end(&push);
	keep_few(worker, OPEN_MAX);
	loop_timer_start(&worker->idle, IDLE_MS);
	loop_timer_start(&worker->quiet, QUIET_MS);
}

static void
run(struct worker *worker)
{
	struct err err = ERR_INIT;

	enum batch_end end;

	worker->rows_seen = 0;
	if (batch_is_empty(&worker->batch))
		return;
	end = batch_run(&worker->batch, worker->blobs_waits < BLOBS_WAITS,
	    &err);
	if (end == BATCH_AGAIN) {
		worker->blobs_waits++;
		loop_timer_start(&worker->retry, BLOBS_WAIT_MS);
		return;
	}
	worker->blobs_waits = 0;
	if (end == BATCH_FLUSH_LOST) {
		ev_error(NULL, "mbox.flush.failed", EV_ERR(&err));
		_exit(FAMILY_FLUSH_LOST);
	}
	after_run(worker);
}

/* While frames keep coming they join, up to a bound. */
static void
on_later(void *arg)
{
	struct worker *worker = arg;
	bool has_grown = worker->batch.rows_len > worker->rows_seen;

	worker->rows_seen = worker->batch.rows_len;
	if (worker->blobs_waits != 0)
		return;
	if (has_grown && worker->rows_seen < ROWS_MAX)
		loop_later(worker->loop, &worker->later);
	else
		run(worker);
}

static void
on_retry(void *arg)
{
	run(arg);
}

static void
on_deliver(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct worker *worker = ipc_link_ctx(link);

	batch_add(&worker->batch, req, in);
	loop_later(worker->loop, &worker->later);
}

static void
on_close(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct worker *worker = ipc_link_ctx(link);
	struct batch_account *account;
	uint64_t id = ipc_get_u64(in);

	/* What was asked before is done before. */
	while (!batch_is_empty(&worker->batch)) {
		worker->blobs_waits = BLOBS_WAITS;
		run(worker);
	}
	account = table_get_u64(worker->open, id);
	if (account != NULL)
		account_drop(worker, account, WAL_PAGES_LEAVE);
	ipc_reply_end(ipc_reply_begin(req), -1);
}

static void
on_blobs(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct worker *worker = ipc_link_ctx(link);

	(void)req;
	ipc_client_attach(worker->blobs, ipc_take_fd(in));
}

/* ---- idle ---- */

static void
on_idle(void *arg)
{
	struct worker *worker = arg;
	struct batch_account *account, *tmp;
	struct err err = ERR_INIT;
	bool has_more = false;

	list_each(account, tmp, &worker->recent, struct batch_account, node) {
		if (account->store == NULL ||
		    store_checkpoint(account->store, WAL_PAGES_LEAVE, &err) ==
		    0)
			continue;
		ev_warn(NULL, "mbox.checkpoint.failed",
		    EV_U64(account, account->account), EV_ERR(&err));
		has_more = true;
	}
	if (has_more)
		loop_timer_start(&worker->idle, IDLE_MS);
}

/* After a burst its memory goes back. */
static void
on_quiet(void *arg)
{
	keep_few(arg, OPEN_QUIET);
	(void)malloc_trim(0);
}

/* ---- life ---- */

/* The broker has closed the link: all that was answered is on the disk. */
static void
on_gone(void *ctx, struct ipc_link *link)
{
	struct worker *worker = ctx;
	struct batch_account *account;

	(void)link;
	while ((account = list_first(&worker->recent, struct batch_account,
	    node)) != NULL)
		account_drop(worker, account, WAL_PAGES_LEAVE);
	_exit(FAMILY_DONE);
}

static int
enter(struct worker *worker, struct err *err)
{
	int fs = family_open_fs(worker->family, err), rc;

	if (fs < 0)
		return fs;
	worker->env = (struct batch_env){ .ctx = worker, .open = open_account,
	    .blobs = to_blobd, .fs_fd = fs };
	rc = sandbox_narrow(&fs, 1, SB_READ | SB_WRITE, SB_FILES | SB_MODES,
	    worker->family->is_degraded_ok, err);
	return rc;
}

_Noreturn void
worker_main(const struct family *family, int link_fd, int blob_fd)
{
	static ipc_handler *const handlers[] = {
		[ACCOUNT_BLOBS] = on_blobs,
		[ACCOUNT_OPEN] = NULL,
		[ACCOUNT_DELIVER] = on_deliver,
		[ACCOUNT_SESSION] = NULL,
		[ACCOUNT_CLOSE] = on_close,
		[ACCOUNT_END_SESSIONS] = NULL,
		[ACCOUNT_CHANGED] = NULL,
		[ACCOUNT_PARKED] = NULL,
		[ACCOUNT_IDLE] = NULL,
	};
	struct worker worker = { .family = family };
	struct err err = ERR_INIT;

	worker.loop = family_begin(link_fd, blob_fd);
	worker.open = table_new();
	list_init(&worker.recent);
	if (enter(&worker, &err) != 0) {
		ev_error(NULL, "mbox.worker.failed", EV_ERR(&err));
		_exit(FAMILY_FAILED);
	}
	batch_init(&worker.batch, &worker.env);
	loop_later_init(&worker.later, on_later, &worker);
	loop_timer_init(&worker.retry, worker.loop, on_retry, &worker);
	loop_timer_init(&worker.idle, worker.loop, on_idle, &worker);
	loop_timer_init(&worker.quiet, worker.loop, on_quiet, &worker);
	worker.blobs = ipc_client_new(worker.loop, &ipc_blob, &worker);
	if (blob_fd != -1)
		ipc_client_attach(worker.blobs, blob_fd);
	worker.broker = ipc_serve(worker.loop, &ipc_account, link_fd,
	    STR("mboxd"), handlers, &worker, on_gone);
	loop_run(worker.loop);
	_exit(FAMILY_DONE);
}
