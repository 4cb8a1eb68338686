/* SPDX-License-Identifier: ISC */
#include "mboxd/broker.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/when.h"

#define ATTACH_DEADLINE_MS 10000
#define RESTART_MS 200
#define HASTY_MS 2000		/* died sooner: wait before the next */
#define PROCESS_OCTETS (256ULL << 20)

/* ---- links ---- */

static void
on_attached(void *ctx, int code, struct ipc_in *in)
{
	(void)ctx;
	(void)in;
	if (code != 0)
		ev_warn(NULL, "mbox.blobd.refused", EV_I64(code, code));
}

/* A link of the kid's own to blobd, which binds it to the account (0: a bulk
 * worker, any account). -1: there is no blobd now. */
static int
blobs_for(struct kid *kid)
{
	struct broker *broker = kid->broker;
	struct err err = ERR_INIT;
	struct ipc_out *out;
	int fds[2];

	if (!ipc_is_attached(broker->blobd))
		return -1;
	if (ipc_pair(fds, &err) != 0) {
		ev_error(NULL, "mbox.link.failed", EV_ERR(&err));
		return -1;
	}
	out = ipc_begin(broker->blobd, BLOB_ATTACH);
	ipc_put_u64(out, kid->acct != NULL ? kid->acct->id : 0);
	(void)ipc_call(out, fds[0], ATTACH_DEADLINE_MS, on_attached, NULL);
	(void)close(fds[0]);
	return fds[1];
}

static void
give_blobs(struct kid *kid)
{
	int fd;

	if (!ipc_is_attached(kid->link) || (fd = blobs_for(kid)) == -1)
		return;
	(void)ipc_send(ipc_begin(kid->link, ACCOUNT_BLOBS), fd);
	(void)close(fd);
}

void
kids_new_blobd(struct broker *broker)
{
	struct kid *kid, *tmp;
	unsigned i;

	for (i = 0; i < broker->workers_len; i++)
		give_blobs(&broker->workers[i]);
	list_each(kid, tmp, &broker->kids, struct kid, node)
		give_blobs(kid);
}

/* ---- pushes ---- */

static void
on_changed(struct kid *kid, struct ipc_in *in)
{
	struct broker *broker = kid->broker;
	struct store_usage figures;
	struct acct *acct;
	uint64_t id;

	while (ipc_more(in)) {
		id = ipc_get_u64(in);
		(void)ipc_get_u64(in);
		figures.size_octets = ipc_get_u64(in);
		figures.messages = ipc_get_u64(in);
		figures.sequence = ipc_get_u64(in);
		/* A process speaks for its own account only. */
		if (kid->acct != NULL && kid->acct->id != id)
			continue;
		usage_note(&broker->usage, id, &figures);
		acct = table_get_u64(broker->accts, id);
		if (acct != NULL)
			sessions_wake(acct);
	}
}

static void
on_push(void *ctx, unsigned type, struct ipc_in *in)
{
	struct kid *kid = ctx;
	uint64_t id;

	switch ((enum ipc_account_request)type) {
	case ACCOUNT_CHANGED:
		on_changed(kid, in);
		break;
	case ACCOUNT_PARKED:
		id = ipc_get_u64(in);
		if (kid->acct != NULL)
			session_parked(kid->acct, id, ipc_get_bool(in));
		break;
	case ACCOUNT_IDLE:
		if (kid->acct != NULL)
			acct_end_process(kid->acct);
		break;
	default:
		break;
	}
}

/* It has closed its end, or broke the rules: nothing good follows. */
static void
on_gone(void *ctx, struct ipc_link *link)
{
	struct kid *kid = ctx;

	(void)link;
	if (kid->acct != NULL)
		kid->acct->state = ACCT_ENDING;
	if (kid->pid != 0)
		(void)kill(kid->pid, SIGKILL);
}

/* ---- birth ---- */

static void
limit_process(void)
{
#ifndef HK_SANITIZE
	struct rlimit rl = { PROCESS_OCTETS, PROCESS_OCTETS };

	(void)setrlimit(RLIMIT_AS, &rl);
#endif
}

/* In the child: forget the key that all accounts' keys are made from. */
static _Noreturn void
child_run(struct kid *kid, int fd, int blob_fd)
{
	struct broker *broker = kid->broker;
	struct family family = broker->family;

	if (kid->acct == NULL) {
		explicit_bzero(broker->state_key, sizeof(broker->state_key));
		worker_main(&family, fd, blob_fd);
	}
	state_key(broker->state_key, kid->acct->id, family.state_key);
	explicit_bzero(broker->state_key, sizeof(broker->state_key));
	limit_process();
	process_main(&family, kid->acct->id, fd, blob_fd);
}

static int
kid_fork(struct kid *kid, struct err *err)
{
	int fds[2], blob_fd, rc = ipc_pair(fds, err);

	if (rc != 0)
		return rc;
	blob_fd = blobs_for(kid);
	kid->started_ms = when_mono_ms();
	kid->pid = fork();
	if (kid->pid == 0)
		child_run(kid, fds[1], blob_fd);
	(void)close(fds[1]);
	if (blob_fd != -1)
		(void)close(blob_fd);
	if (kid->pid == -1) {
		kid->pid = 0;
		(void)close(fds[0]);
		return err_set_errno(err, ERR_TEMP, "fork");
	}
	/* Deliveries that waited for a worker are sent by this. */
	ipc_client_attach(kid->link, fds[0]);
	return 0;
}

static void
kid_init(struct kid *kid, struct broker *broker)
{
	kid->broker = broker;
	list_init(&kid->node);
	list_init(&kid->idle);
	kid->link = ipc_client_new(broker->loop, &ipc_account, kid);
	ipc_client_on(kid->link, on_push, on_gone);
}

static void
worker_start(void *arg)
{
	struct kid *worker = arg;
	struct err err = ERR_INIT;

	if (worker->broker->is_stopping || worker->pid != 0)
		return;
	if (kid_fork(worker, &err) == 0)
		return;
	ev_error(NULL, "mbox.worker.failed", EV_ERR(&err));
	loop_timer_start(&worker->timer, RESTART_MS);
}

void
kids_start_workers(struct broker *broker)
{
	unsigned i;

	for (i = 0; i < broker->workers_len; i++) {
		struct kid *worker = &broker->workers[i];

		worker->number = i;
		kid_init(worker, broker);
		loop_timer_init(&worker->timer, broker->loop, worker_start,
		    worker);
		worker_start(worker);
	}
}

static void
on_opened(void *ctx, int code, struct ipc_in *in)
{
	struct kid *kid = ctx;

	(void)in;
	/* A process that cannot open its account is of no use. */
	if (code != 0 && kid->pid != 0 && ipc_is_attached(kid->link)) {
		ev_error(NULL, "mbox.account.unopened",
		    EV_U64(account, kid->acct->id), EV_STR(reason,
		    ipc_last_error(kid->link)));
		(void)kill(kid->pid, SIGKILL);
	}
	kid_leave(kid);
}

static void
send_limits(struct kid *kid, struct str address)
{
	struct ipc_out *out = ipc_begin(kid->link, ACCOUNT_OPEN);

	ipc_put_u64(out, kid->acct->id);
	ipc_put_str(out, address);
	ipc_put_u64(out, kid->acct->quota_octets);
	kid_enter(kid);
	(void)ipc_call(out, -1, 60000, on_opened, kid);
}

int
kid_start(struct acct *acct, struct str address, struct err *err)
{
	struct kid *kid = acct->kid;
	int rc;

	if (kid != NULL) {
		send_limits(kid, address);
		return 0;
	}
	kid = calloc(1, sizeof(*kid));
	invariant(kid != NULL);
	kid_init(kid, acct->broker);
	kid->acct = acct;
	rc = kid_fork(kid, err);
	if (rc != 0) {
		ipc_link_free(&kid->link);
		free(kid);
		return rc;
	}
	acct->kid = kid;
	list_add(&acct->broker->kids, &kid->node);
	send_limits(kid, address);
	return 0;
}

/* ---- busy and idle ---- */

void
kid_enter(struct kid *kid)
{
	kid->busy++;
	list_del(&kid->idle);
}

void
kid_leave(struct kid *kid)
{
	kid->busy--;
	if (kid->acct != NULL && kid->busy == 0 && list_is_empty(&kid->idle) &&
	    !acct_has_live_sessions(kid->acct))
		list_add(&kid->broker->idle, &kid->idle);
	if (kid->acct != NULL && !list_is_empty(&kid->broker->starved))
		(void)kids_end_one(kid->broker);
}

bool
kids_end_one(struct broker *broker)
{
	struct kid *kid, *tmp;

	list_each(kid, tmp, &broker->idle, struct kid, idle) {
		if (kid->busy != 0 || acct_has_live_sessions(kid->acct) ||
		    kid->acct->state != ACCT_PROCESS) {
			list_del(&kid->idle);
			continue;
		}
		list_del(&kid->idle);
		acct_end_process(kid->acct);
		return true;
	}
	return false;
}

/* ---- death ---- */

static void
log_death(const struct kid *kid, int status)
{
	bool is_clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (is_clean || (kid->acct != NULL && kid->broker->is_stopping))
		return;
	ev_error(NULL, kid->acct != NULL ? "mbox.process.died" :
	    "mbox.worker.died", EV_U64(peer_pid, kid->pid),
	    EV_U64(account, kid->acct != NULL ? kid->acct->id : 0),
	    EV_I64(status, WIFEXITED(status) ? WEXITSTATUS(status) : -1),
	    EV_I64(signal, WIFSIGNALED(status) ? WTERMSIG(status) : 0));
}

static void
kid_died(struct kid *kid, int status)
{
	struct broker *broker = kid->broker;
	struct acct *acct = kid->acct;
	uint64_t age_ms = when_mono_ms() - kid->started_ms;

	log_death(kid, status);
	if (WIFEXITED(status) && WEXITSTATUS(status) == FAMILY_FLUSH_LOST &&
	    !broker->is_flush_lost) {
		broker->is_flush_lost = true;
		child_alert(broker->child, "a flush of data/accounts failed: "
		    "no mail is delivered until the file system was looked "
		    "at and mboxd started again");
	}
	kid->pid = 0;
	if (acct == NULL) {
		if (ipc_is_attached(kid->link))
			ipc_client_detach(kid->link);
		loop_timer_start(&kid->timer, age_ms < HASTY_MS ?
		    RESTART_MS : 0);
		return;
	}
	/* Its calls end with ERR_TEMP by this, and each may list it as idle
	 * again: it leaves the lists when nothing calls back any more. */
	acct->state = ACCT_ENDING;
	acct->kid = NULL;
	ipc_link_free(&kid->link);
	list_del(&kid->node);
	list_del(&kid->idle);
	free(kid);
	acct_ended(acct);
}

static struct kid *
kid_of(struct broker *broker, pid_t pid)
{
	struct kid *kid, *tmp;
	unsigned i;

	for (i = 0; i < broker->workers_len; i++)
		if (broker->workers[i].pid == pid)
			return &broker->workers[i];
	list_each(kid, tmp, &broker->kids, struct kid, node)
		if (kid->pid == pid)
			return kid;
	return NULL;
}

static bool
has_kids(const struct broker *broker)
{
	unsigned i;

	for (i = 0; i < broker->workers_len; i++)
		if (broker->workers[i].pid != 0)
			return true;
	return !list_is_empty(&broker->kids);
}

void
kids_reap(struct broker *broker)
{
	struct kid *kid;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if ((kid = kid_of(broker, pid)) != NULL)
			kid_died(kid, status);
	if (broker->is_stopping && !has_kids(broker))
		child_exit(broker->child);
}

/* A closed link is the word to end: each flushes and gives back. */
void
kids_stop(struct broker *broker)
{
	struct kid *kid, *tmp;
	unsigned i;

	for (i = 0; i < broker->workers_len; i++)
		if (broker->workers[i].pid != 0)
			ipc_client_detach(broker->workers[i].link);
	list_each(kid, tmp, &broker->kids, struct kid, node)
		ipc_client_detach(kid->link);
	if (!has_kids(broker))
		child_exit(broker->child);
}
