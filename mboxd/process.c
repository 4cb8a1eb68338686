/* SPDX-License-Identifier: ISC */
/*
 * process: the process of one active account. It is locked into the account's
 * directory, has no network, and speaks to its fronts by streams.
 */
#include "mboxd/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/when.h"
#include "mboxd/usage.h"
#include "proc/sandbox.h"

#define BLOBS_WAIT_MS 50
#define BLOBS_WAITS 100
#define TIDY_FIRST_MS 2000
#define TIDY_MORE_MS 20
#define TIDY_AGAIN_MS 600000
#define RECOVERY_S (7 * 86400)
#define KEYS_S (14 * 86400)
#define WAL_PAGES_LEAVE 250

/* ---- turns ---- */

void
process_wake(struct process *process)
{
	loop_later(process->loop, &process->later);
}

void
process_changed(struct process *process, const struct engine_host *but)
{
	struct engine_host *host, *tmp;

	process->is_changed = true;
	list_each(host, tmp, &process->sessions, struct engine_host, node)
		if (host != but)
			host_ready(host);
	process_wake(process);
}

void
process_give_up(struct process *process, const char *what,
    const struct err *err)
{
	ev_error(NULL, "mbox.process.lost",
	    EV_U64(account, process->account), EV_CSTR(reason, what),
	    EV_ERR(err));
	_exit(FAMILY_FLUSH_LOST);
}

static void
deliver(struct process *process)
{
	struct err err = ERR_INIT;
	enum batch_end end;

	if (batch_is_empty(&process->batch))
		return;
	end = batch_run(&process->batch, process->blobs_waits < BLOBS_WAITS,
	    &err);
	if (end == BATCH_AGAIN) {
		process->blobs_waits++;
		loop_timer_start(&process->retry, BLOBS_WAIT_MS);
		return;
	}
	process->blobs_waits = 0;
	if (end == BATCH_FLUSH_LOST)
		process_give_up(process, "deliver", &err);
	/* A store that failed was closed: begin anew with a new process. */
	process->store = process->batch_account.store;
	if (process->store == NULL) {
		ev_error(NULL, "mbox.store.failed",
		    EV_U64(account, process->account));
		_exit(FAMILY_FAILED);
	}
	process_changed(process, NULL);
	process_sessions_changed(process);
}

/* No UID leaves before the log that holds it is on the disk. */
static void
make_durable(struct process *process)
{
	struct err err = ERR_INIT;

	if (!store_is_durable(process->store) &&
	    store_sync(process->store, &err) != 0)
		process_give_up(process, "flush", &err);
}

static void
tell_broker(struct process *process)
{
	struct usage_push push;

	if (!process->is_changed)
		return;
	make_durable(process);
	process->is_changed = false;
	usage_push_begin(&push, process->broker);
	usage_push_add(&push, process->store);
	usage_push_end(&push);
}

static void
flush_all(struct process *process)
{
	struct engine_host *host, *tmp;

	list_each(host, tmp, &process->sessions, struct engine_host, node)
		if (host_has_output(host)) {
			make_durable(process);
			break;
		}
	list_each(host, tmp, &process->sessions, struct engine_host, node)
		host_flush(host);
}

static void
check_store(struct process *process)
{
	if (!store_has_failed(process->store))
		return;
	ev_error(NULL, "mbox.store.failed",
	    EV_U64(account, process->account));
	_exit(FAMILY_FAILED);
}

static void
turn(void *arg)
{
	struct process *process = arg;
	struct engine_host *host, *tmp;
	bool has_more = false;

	if (process->store == NULL)
		return;
	if (process->blobs_waits == 0)
		deliver(process);
	list_each(host, tmp, &process->sessions, struct engine_host, node)
		if (host_step(host))
			has_more = true;
	check_store(process);
	flush_all(process);
	tell_broker(process);
	if (has_more)
		process_wake(process);
}

/* ---- the broker's requests ---- */

static void
on_open(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct process *process = ipc_link_ctx(link);
	uint64_t account = ipc_get_u64(in);
	struct err err = ERR_INIT;
	int rc = 0;

	(void)ipc_get_str(in);
	process->quota_octets = ipc_get_u64(in);
	if (account != process->account)
		rc = err_set(&err, ERR_DENIED, "another account");
	else if (process->store == NULL)
		rc = family_open_store(process->family, account, STORE_FULL,
		    &process->store, &err);
	process->batch_account.store = process->store;
	if (rc != 0)
		ipc_reply_err(req, rc, "%s", err_text(&err));
	else
		ipc_reply_end(ipc_reply_begin(req), -1);
}

static struct batch_account *
only_account(void *ctx, uint64_t account, enum mbox_result *result_r,
    const char **reason_r)
{
	struct process *process = ctx;

	if (account == process->account && process->store != NULL)
		return &process->batch_account;
	*result_r = MBOX_R_TEMP;
	*reason_r = "the mailbox cannot be opened";
	return NULL;
}

static struct ipc_link *
to_blobd(void *ctx)
{
	struct process *process = ctx;

	return ipc_is_attached(process->blobs) ? process->blobs : NULL;
}

static void
on_deliver(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct process *process = ipc_link_ctx(link);

	batch_add(&process->batch, req, in);
	process_wake(process);
}

static void
on_retry(void *arg)
{
	struct process *process = arg;

	deliver(process);
	process_wake(process);
}

static void
on_session(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct process *process = ipc_link_ctx(link);

	if (process->store == NULL || process->is_leaving)
		ipc_reply_err(req, ERR_TEMP, "the mailbox is not open");
	else
		host_begin(process, req, in);
}

static void
end_sessions(struct process *process, struct str reason)
{
	struct engine_host *host, *tmp;

	list_each(host, tmp, &process->sessions, struct engine_host, node)
		host_end(host, reason);
}

static void
on_end_sessions(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in)
{
	(void)req;
	end_sessions(ipc_link_ctx(link), ipc_get_str(in));
}

/* Flush and let go. */
static void
leave(struct process *process)
{
	struct err err = ERR_INIT;

	if (process->store == NULL)
		return;
	deliver(process);
	make_durable(process);
	tell_broker(process);
	if (store_checkpoint(process->store, WAL_PAGES_LEAVE, &err) != 0)
		ev_warn(NULL, "mbox.checkpoint.failed",
		    EV_U64(account, process->account), EV_ERR(&err));
	store_close(&process->store);
	process->batch_account.store = NULL;
	process->is_leaving = true;
}

static void
on_close(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct process *process = ipc_link_ctx(link);

	(void)in;
	if (!list_is_empty(&process->sessions) ||
	    !batch_is_empty(&process->batch)) {
		ipc_reply_err(req, ERR_TEMP, "in use");
		return;
	}
	leave(process);
	ipc_reply_end(ipc_reply_begin(req), -1);
}

static void
on_blobs(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct process *process = ipc_link_ctx(link);

	(void)req;
	ipc_client_attach(process->blobs, ipc_take_fd(in));
}

/* ---- idle ---- */

void
process_sessions_changed(struct process *process)
{
	if (list_is_empty(&process->sessions))
		loop_timer_start(&process->linger,
		    process->family->linger_s * 1000);
	else
		loop_timer_stop(&process->linger);
	if (!loop_timer_is_set(&process->tidy))
		loop_timer_start(&process->tidy, TIDY_FIRST_MS);
}

static void
on_linger(void *arg)
{
	struct process *process = arg;
	struct ipc_out *out;

	if (!list_is_empty(&process->sessions))
		return;
	out = ipc_begin(process->broker, ACCOUNT_IDLE);
	ipc_put_u64(out, process->account);
	(void)ipc_send(out, -1);
	/* It may have had a reason to go on. */
	loop_timer_start(&process->linger, process->family->linger_s * 1000);
}

static void
on_tidy(void *arg)
{
	struct process *process = arg;
	struct err err = ERR_INIT;
	int64_t now_s = when_wall_s();
	bool has_more = false;

	if (process->store == NULL)
		return;
	if (store_tidy(process->store, now_s - RECOVERY_S, now_s - KEYS_S,
	    &has_more, &err) != 0)
		ev_warn(NULL, "mbox.tidy.failed",
		    EV_U64(account, process->account), EV_ERR(&err));
	check_store(process);
	if (!has_more)
		make_durable(process);
	loop_timer_start(&process->tidy, has_more ? TIDY_MORE_MS :
	    TIDY_AGAIN_MS);
}

/* ---- life ---- */

/* The broker has gone or wants us gone. Clients get a last word if their
 * stream takes it. */
static void
on_gone(void *ctx, struct ipc_link *link)
{
	struct process *process = ctx;

	(void)link;
	if (process->store != NULL) {
		end_sessions(process, STR("the server is going down"));
		flush_all(process);
		/* What nobody asks about any more is not delivered. */
		batch_fini(&process->batch);
		leave(process);
	}
	_exit(FAMILY_DONE);
}

/* The directory must be there before only it may be seen. */
static int
enter(struct process *process, struct err *err)
{
	const struct family *family = process->family;
	char path[FAMILY_PATH_SIZE];
	int fs, dir, rc;

	fs = family_open_fs(family, err);
	if (fs < 0)
		return fs;
	if ((rc = family_make_group(family, process->account, err)) != 0)
		return rc;
	family_path(family, process->account, path);
	if (mkdir(path, 0770) == 0) {
		if (syncfs(fs) == -1)
			return err_set_errno(err, ERR_TEMP, "syncfs");
	} else if (errno != EEXIST) {
		return err_set_errno(err, ERR_TEMP, "mkdir %s", path);
	}
	dir = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir == -1)
		return err_set_errno(err, ERR_TEMP, "open %s", path);
	process->env = (struct batch_env){ .ctx = process,
	    .open = only_account, .blobs = to_blobd, .fs_fd = fs };
	rc = sandbox_narrow(&dir, 1, SB_READ | SB_WRITE, SB_FILES | SB_MODES,
	    family->is_degraded_ok, err);
	(void)close(dir);
	return rc;
}

static void
init(struct process *process)
{
	list_init(&process->sessions);
	list_init(&process->batch_account.node);
	list_init(&process->batch_account.touched);
	process->batch_account.account = process->account;
	batch_init(&process->batch, &process->env);
	loop_later_init(&process->later, turn, process);
	loop_timer_init(&process->linger, process->loop, on_linger, process);
	loop_timer_init(&process->tidy, process->loop, on_tidy, process);
	loop_timer_init(&process->retry, process->loop, on_retry, process);
	process_sessions_changed(process);
}

_Noreturn void
process_main(const struct family *family, uint64_t account, int link_fd,
    int blob_fd)
{
	static ipc_handler *const handlers[] = {
		[ACCOUNT_BLOBS] = on_blobs,
		[ACCOUNT_OPEN] = on_open,
		[ACCOUNT_DELIVER] = on_deliver,
		[ACCOUNT_SESSION] = on_session,
		[ACCOUNT_CLOSE] = on_close,
		[ACCOUNT_END_SESSIONS] = on_end_sessions,
		[ACCOUNT_CHANGED] = NULL,
		[ACCOUNT_PARKED] = NULL,
		[ACCOUNT_IDLE] = NULL,
	};
	struct process process = { .family = family, .account = account };
	struct err err = ERR_INIT;

	process.loop = family_begin(link_fd, blob_fd);
	if (enter(&process, &err) != 0) {
		ev_error(NULL, "mbox.process.failed",
		    EV_U64(account, account), EV_ERR(&err));
		_exit(FAMILY_FAILED);
	}
	init(&process);
	process.blobs = ipc_client_new(process.loop, &ipc_blob, &process);
	if (blob_fd != -1)
		ipc_client_attach(process.blobs, blob_fd);
	process.broker = ipc_serve(process.loop, &ipc_account, link_fd,
	    STR("mboxd"), handlers, &process, on_gone);
	loop_run(process.loop);
	_exit(FAMILY_DONE);
}
