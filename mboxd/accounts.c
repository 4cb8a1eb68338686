/* SPDX-License-Identifier: ISC */
#include "mboxd/broker.h"

#include "base/log.h"

#define FORGETTABLE_MAX 20000
#define LIMITS_DEADLINE_MS 30000
#define CLOSE_DEADLINE_MS 60000

static void advance(struct acct *acct);

/* ---- the table ---- */

static void
acct_free(struct acct *acct)
{
	list_del(&acct->node);
	if (acct->is_forgettable)
		acct->broker->forgettable_len--;
	table_del_u64(acct->broker->accts, acct->id);
	free(acct->address);
	free(acct);
}

void
acct_release(struct acct *acct)
{
	struct broker *broker = acct->broker;

	if (acct->is_forgettable) {
		/* Used again: the last to be forgotten. */
		list_del(&acct->node);
		list_add(&broker->forgettable, &acct->node);
		return;
	}
	if (acct->state != ACCT_BULK || acct->is_asking || !list_is_empty(&acct->waiters) ||
	    !list_is_empty(&acct->sessions))
		return;
	acct->is_forgettable = true;
	list_del(&acct->node);
	list_add(&broker->forgettable, &acct->node);
	if (++broker->forgettable_len > FORGETTABLE_MAX)
		acct_free(list_entry(broker->forgettable.next, struct acct,
		    node));
}

struct acct *
acct_get(struct broker *broker, uint64_t id)
{
	struct acct *acct = table_get_u64(broker->accts, id);

	if (acct != NULL)
		return acct;
	acct = calloc(1, sizeof(*acct));
	invariant(acct != NULL);
	acct->broker = broker;
	acct->id = id;
	acct->state = ACCT_BULK;
	list_init(&acct->node);
	list_init(&acct->waiters);
	list_init(&acct->sessions);
	table_put_u64(broker->accts, id, acct);
	return acct;
}

/* In use again. */
static void
acct_hold(struct acct *acct)
{
	if (!acct->is_forgettable)
		return;
	acct->is_forgettable = false;
	acct->broker->forgettable_len--;
	list_del(&acct->node);
}

static struct kid *
worker_of(const struct acct *acct)
{
	return &acct->broker->workers[acct->id % acct->broker->workers_len];
}

struct kid *
acct_owner(struct acct *acct)
{
	if (acct->state == ACCT_PROCESS)
		return acct->kid;
	return acct->state == ACCT_BULK ? worker_of(acct) : NULL;
}

/* ---- waiters ---- */

static bool
is_ready(struct acct *acct, enum waiter_need need)
{
	if (!acct->has_limits)
		return false;
	if (need == NEEDS_PROCESS)
		return acct->state == ACCT_PROCESS;
	return need == NEEDS_LIMITS || acct_owner(acct) != NULL;
}

/* Those of at least this need are told that it cannot be. */
static void
fail_waiters(struct acct *acct, enum waiter_need least, int code)
{
	struct waiter *waiter, *tmp;
	struct list failed;

	list_init(&failed);
	list_each(waiter, tmp, &acct->waiters, struct waiter, node) {
		if (waiter->need < least)
			continue;
		list_del(&waiter->node);
		list_add(&failed, &waiter->node);
	}
	while ((waiter = list_first(&failed, struct waiter, node)) != NULL) {
		list_del(&waiter->node);
		waiter->go(waiter, acct, code);
	}
}

static struct waiter *
ready_waiter(struct acct *acct)
{
	struct waiter *waiter, *tmp;

	list_each(waiter, tmp, &acct->waiters, struct waiter, node)
		if (is_ready(acct, waiter->need))
			return waiter;
	return NULL;
}

static bool
wants_process(const struct acct *acct)
{
	struct waiter *waiter, *tmp;

	list_each(waiter, tmp, &acct->waiters, struct waiter, node)
		if (waiter->need == NEEDS_PROCESS)
			return true;
	return false;
}

void
acct_wait(struct acct *acct, struct waiter *waiter, enum waiter_need need)
{
	waiter->need = need;
	list_init(&waiter->node);
	if (list_is_empty(&acct->waiters) && is_ready(acct, need)) {
		waiter->go(waiter, acct, 0);
		return;
	}
	acct_hold(acct);
	list_add(&acct->waiters, &waiter->node);
	advance(acct);
}

/* ---- limits ---- */

static void
limits_known(struct acct *acct, struct ipc_in *in)
{
	struct str address = ipc_get_str(in);
	struct err err = ERR_INIT;
	uint64_t quota;
	bool is_new;

	(void)ipc_get_u64(in);
	quota = ipc_get_u64(in);
	is_new = quota != acct->quota_octets || !acct->has_limits;
	acct->quota_octets = quota;
	acct->is_enabled = ipc_get_bool(in);
	acct->has_limits = true;
	if (acct->state == ACCT_CLOSING && acct->address == NULL &&
	    acct->is_enabled) {
		acct->address = strndup(address.p, address.len);
		invariant(acct->address != NULL);
	}
	if (acct->state == ACCT_PROCESS && is_new)
		(void)kid_start(acct, address, &err);
	if (!acct->is_enabled)
		sessions_end(acct, STR("the account is closed"));
}

/* A start that does not come about. */
static void
start_failed(struct acct *acct)
{
	acct->state = ACCT_BULK;
	acct->broker->processes--;
	free(acct->address);
	acct->address = NULL;
}

static void
on_limits(void *ctx, int code, struct ipc_in *in)
{
	struct acct *acct = ctx;

	acct->is_asking = false;
	if (code == 0) {
		limits_known(acct, in);
		/* A process that nobody may use is not started. */
		if (acct->state == ACCT_CLOSING && !acct->is_enabled) {
			if (acct->is_given_back)
				start_failed(acct);
			fail_waiters(acct, NEEDS_PROCESS, ERR_DENIED);
		}
	} else {
		if (code == ERR_NOTFOUND)
			sessions_end(acct, STR("the account is gone"));
		else
			code = ERR_TEMP;
		/* Without a reply the last known ones do for deliveries, but
		 * nobody is let in. */
		if (acct->state == ACCT_CLOSING && acct->is_given_back)
			start_failed(acct);
		fail_waiters(acct, acct->has_limits && code == ERR_TEMP ?
		    NEEDS_PROCESS : NEEDS_LIMITS, code);
	}
	advance(acct);
	acct_release(acct);
}

static void
ask_limits(struct acct *acct)
{
	struct ipc_out *out;

	if (acct->is_asking)
		return;
	acct_hold(acct);
	acct->is_asking = true;
	out = ipc_begin(acct->broker->directory, DIR_ACCOUNT);
	ipc_put_u64(out, acct->id);
	(void)ipc_call(out, -1, LIMITS_DEADLINE_MS, on_limits, acct);
}

void
acct_directory_changed(struct broker *broker, uint64_t id,
    bool ends_sessions)
{
	struct acct *acct;
	size_t cursor = 0;
	struct str key;

	if (id != 0) {
		acct = table_get_u64(broker->accts, id);
		if (acct == NULL)
			return;
		acct->has_limits = false;
		acct_hold(acct);
		if (ends_sessions)
			sessions_end(acct, STR("the account has changed, "
			    "log in again"));
		if (acct->kid != NULL || !list_is_empty(&acct->sessions))
			ask_limits(acct);
		acct_release(acct);
		return;
	}
	while ((acct = table_next(broker->accts, &cursor, &key)) != NULL) {
		acct->has_limits = false;
		if (acct->kid != NULL || !list_is_empty(&acct->sessions))
			ask_limits(acct);
	}
}

/* ---- from the worker to a process ---- */

static void
start_process(struct acct *acct)
{
	struct err err = ERR_INIT;
	int rc;

	rc = kid_start(acct, str_of(acct->address), &err);
	if (rc == 0) {
		acct->state = ACCT_PROCESS;
		free(acct->address);
		acct->address = NULL;
		return;
	}
	ev_error(NULL, "mbox.process.failed", EV_U64(account, acct->id),
	    EV_ERR(&err));
	start_failed(acct);
	fail_waiters(acct, NEEDS_PROCESS, ERR_TEMP);
}

/* Whatever the answer: a worker that died has let go as well. */
static void
on_given_back(void *ctx, int code, struct ipc_in *in)
{
	struct acct *acct = ctx;

	(void)code;
	(void)in;
	acct->is_given_back = true;
	/* The directory did not answer meanwhile. */
	if (!acct->is_asking && acct->address == NULL)
		start_failed(acct);
	advance(acct);
	acct_release(acct);
}

static void
take_from_worker(struct acct *acct)
{
	struct broker *broker = acct->broker;
	struct ipc_out *out;

	if (broker->processes >= broker->processes_max) {
		list_del(&acct->node);
		list_add(&broker->starved, &acct->node);
		(void)kids_end_one(broker);
		return;
	}
	broker->processes++;
	acct->state = ACCT_CLOSING;
	acct->is_given_back = false;
	/* Asked anew: a session must not begin with what has changed. */
	ask_limits(acct);
	out = ipc_begin(worker_of(acct)->link, ACCOUNT_CLOSE);
	ipc_put_u64(out, acct->id);
	(void)ipc_call(out, -1, CLOSE_DEADLINE_MS, on_given_back, acct);
}

/* ---- and back ---- */

static void
on_ending(void *ctx, int code, struct ipc_in *in)
{
	struct acct *acct = ctx;

	(void)in;
	if (acct->kid == NULL || !ipc_is_attached(acct->kid->link))
		return;
	if (code == 0) {
		/* It exits; acct_ended() follows. */
		ipc_client_detach(acct->kid->link);
		return;
	}
	acct->state = ACCT_PROCESS;
	advance(acct);
}

void
acct_end_process(struct acct *acct)
{
	struct ipc_out *out;

	if (acct->state != ACCT_PROCESS || acct->kid->busy != 0 ||
	    acct_has_live_sessions(acct) || !list_is_empty(&acct->waiters))
		return;
	acct->state = ACCT_ENDING;
	list_del(&acct->kid->idle);
	out = ipc_begin(acct->kid->link, ACCOUNT_CLOSE);
	ipc_put_u64(out, acct->id);
	(void)ipc_call(out, -1, CLOSE_DEADLINE_MS, on_ending, acct);
}

void
acct_ended(struct acct *acct)
{
	struct broker *broker = acct->broker;
	struct acct *next;

	acct->state = ACCT_BULK;
	broker->processes--;
	sessions_process_gone(acct);
	advance(acct);
	acct_release(acct);
	next = list_first(&broker->starved, struct acct, node);
	if (next != NULL) {
		list_del(&next->node);
		advance(next);
	}
}

/* ---- what is next ---- */

static void
advance(struct acct *acct)
{
	struct waiter *waiter;

	while ((waiter = ready_waiter(acct)) != NULL) {
		list_del(&waiter->node);
		waiter->go(waiter, acct, 0);
	}
	if (list_is_empty(&acct->waiters))
		return;
	if (!acct->has_limits)
		ask_limits(acct);
	if (acct->state == ACCT_BULK && acct->has_limits &&
	    wants_process(acct) && list_is_empty(&acct->node))
		take_from_worker(acct);
	if (acct->state == ACCT_CLOSING && acct->is_given_back &&
	    !acct->is_asking && acct->address != NULL) {
		start_process(acct);
		advance(acct);
	}
}
