/* SPDX-License-Identifier: ISC */
/*
 * sessions: who is in which account, by which front. A session is opened with
 * a ticket, lives in its account's process, is parked as a state that its
 * front keeps, and comes back with it. While it is parked, the entry here is
 * all that the platform has of it besides the front's.
 */
#include "mboxd/broker.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/when.h"
#include "ipc/ticket.h"

#define SESSION_DEADLINE_MS 60000
#define OLD_KEY_MS 120000
#define CLOCK_SLACK_S 5
#define POP3_LOGINS_MAX 1000000

enum session_state { IS_OPENING, IS_LIVE, IS_PARKED };

struct session {
	struct list node;		/* acct->sessions */
	struct front *front;		/* NULL: it has gone */
	uint64_t number;		/* the front's */
	uint64_t id;			/* ours, new with every resume */
	uint64_t cap;			/* hash of user and remote */
	uint8_t state;
};

/* A session on its way to a process. */
struct opening {
	struct waiter waiter;
	struct broker *broker;
	struct arena *arena;
	struct ipc_req *req;
	struct kid *kid;
	struct acct *acct;
	uint64_t id;
	uint64_t number;
	int fd;
	bool has_tls;
	bool is_resumed;
	struct str protocol;
	struct str user;
	struct str remote;
	struct str state;
};

struct used_ticket {
	struct list node;
	uint64_t serial;
	int64_t expires_s;
};

/* ---- the table ---- */

static struct session *
session_by_id(struct acct *acct, uint64_t id)
{
	struct session *session, *tmp;

	list_each(session, tmp, &acct->sessions, struct session, node)
		if (session->id == id)
			return session;
	return NULL;
}

static struct session *
session_by_number(struct acct *acct, const struct front *front,
    uint64_t number)
{
	struct session *session, *tmp;

	list_each(session, tmp, &acct->sessions, struct session, node)
		if (session->front == front && session->number == number)
			return session;
	return NULL;
}

static void
session_free(struct session *session)
{
	list_del(&session->node);
	free(session);
}

bool
acct_has_live_sessions(const struct acct *acct)
{
	struct session *session, *tmp;

	list_each(session, tmp, &acct->sessions, struct session, node)
		if (session->state != IS_PARKED)
			return true;
	return false;
}

static uint64_t
cap_of(const struct broker *broker, struct str user, struct str remote)
{
	char text[1024];
	int len = snprintf(text, sizeof(text), "%.*s %.*s", STR_FMT(remote),
	    STR_FMT(user));

	return siphash(broker->cap_key, text, (size_t)len < sizeof(text) ?
	    (size_t)len : sizeof(text));
}

static bool
has_room(const struct acct *acct, uint64_t cap)
{
	struct session *session, *tmp;
	uint64_t n = 0;

	list_each(session, tmp, &acct->sessions, struct session, node)
		if (session->cap == cap)
			n++;
	return n < acct->broker->sessions_per_user;
}

/* ---- tickets ---- */

void
session_ticket_key(struct broker *broker, struct str public_half)
{
	struct err err = ERR_INIT;
	EVP_PKEY *key = ticket_key_of(public_half, &err);

	if (key == NULL) {
		ev_warn(NULL, "mbox.key.refused", EV_ERR(&err));
		return;
	}
	EVP_PKEY_free(broker->ticket_keys[1]);
	broker->ticket_keys[1] = broker->ticket_keys[0];
	broker->ticket_keys[0] = key;
	broker->ticket_key_until_ms = when_mono_ms() + OLD_KEY_MS;
}

static void
tickets_forget(struct broker *broker, int64_t now_s)
{
	struct used_ticket *used;

	while ((used = list_first(&broker->tickets_order, struct used_ticket,
	    node)) != NULL && used->expires_s + CLOCK_SLACK_S < now_s) {
		table_del_u64(broker->tickets_used, used->serial);
		list_del(&used->node);
		free(used);
	}
}

/* False: it was shown before. */
static bool
ticket_use(struct broker *broker, const struct ticket *ticket)
{
	struct used_ticket *used;

	if (table_get_u64(broker->tickets_used, ticket->serial) != NULL)
		return false;
	used = calloc(1, sizeof(*used));
	invariant(used != NULL);
	used->serial = ticket->serial;
	used->expires_s = ticket->expires_s;
	table_put_u64(broker->tickets_used, used->serial, used);
	list_add(&broker->tickets_order, &used->node);
	return true;
}

static int
ticket_verify(struct broker *broker, struct str octets,
    struct ticket *ticket_r, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = ERR_DENIED, i;

	for (i = 0; i < 2 && rc == ERR_DENIED; i++) {
		if (broker->ticket_keys[i] == NULL || (i == 1 &&
		    when_mono_ms() > broker->ticket_key_until_ms))
			continue;
		err_clear(&why);
		rc = ticket_read(octets, broker->ticket_keys[i], ticket_r,
		    &why);
	}
	if (broker->ticket_keys[0] == NULL)
		return err_set(err, ERR_TEMP, "authd has told no key yet");
	return rc == 0 ? 0 : err_set(err, ERR_DENIED, "%s", err_text(&why));
}

/* Is it for this session, now, and for the first time? */
static int
ticket_check(struct broker *broker, struct str octets, uint64_t session,
    struct str protocol, struct ticket *t, struct err *err)
{
	int64_t now_s = when_wall_s();
	int rc = ticket_verify(broker, octets, t, err);

	if (rc != 0)
		return rc;
	tickets_forget(broker, now_s);
	if (t->session != session || !str_eq(t->protocol, protocol))
		return err_set(err, ERR_DENIED, "ticket of another session");
	if (now_s > t->expires_s || t->issued_s > now_s + CLOCK_SLACK_S ||
	    t->expires_s - t->issued_s > TICKET_LIFE_S)
		return err_set(err, ERR_DENIED, "ticket out of date");
	if (t->account == 0 || !ticket_use(broker, t))
		return err_set(err, ERR_DENIED, "ticket used before");
	return 0;
}

/* ---- opening ---- */

static void
opening_free(struct opening *opening)
{
	struct arena *arena = opening->arena;

	(void)close(opening->fd);
	arena_free(&arena);
}

static void
opening_fail(struct opening *opening, int code)
{
	struct acct *acct = opening->acct;
	struct session *session = session_by_id(acct, opening->id);

	if (session != NULL)
		session_free(session);
	ipc_reply_err(opening->req, code == ERR_NOTFOUND ? ERR_DENIED :
	    code == ERR_LIMIT ? ERR_TEMP : code,
	    "the mailbox cannot be opened");
	opening_free(opening);
	acct_release(acct);
}

static void
on_session(void *ctx, int code, struct ipc_in *in)
{
	struct opening *opening = ctx;
	struct session *session = session_by_id(opening->acct, opening->id);
	struct kid *kid = opening->kid;
	struct ipc_out *out;

	(void)in;
	if (code != 0 || session == NULL) {
		opening_fail(opening, code != 0 ? code : ERR_DENIED);
	} else {
		/* SESSION_PARKED may have come already. */
		if (session->state == IS_OPENING)
			session->state = IS_LIVE;
		out = ipc_reply_begin(opening->req);
		if (!opening->is_resumed)
			ipc_put_u64(out, opening->acct->id);
		ipc_reply_end(out, -1);
		opening_free(opening);
	}
	kid_leave(kid);
}

static void
on_process(struct waiter *waiter, struct acct *acct, int code)
{
	struct opening *opening = (struct opening *)(void *)waiter;
	struct ipc_out *out;

	if (code == 0 && !acct->is_enabled)
		code = ERR_DENIED;
	/* Ended while it waited. */
	if (code == 0 && session_by_id(acct, opening->id) == NULL)
		code = ERR_DENIED;
	if (code != 0) {
		opening_fail(opening, code);
		return;
	}
	opening->kid = acct->kid;
	out = ipc_begin(acct->kid->link, ACCOUNT_SESSION);
	ipc_put_u64(out, opening->id);
	ipc_put_u64(out, opening->number);
	ipc_put_str(out, opening->protocol);
	ipc_put_str(out, opening->user);
	ipc_put_str(out, opening->remote);
	ipc_put_bool(out, opening->has_tls);
	ipc_put_str(out, opening->state);
	kid_enter(acct->kid);
	(void)ipc_call(out, opening->fd, SESSION_DEADLINE_MS, on_session,
	    opening);
}

static struct opening *
opening_new(struct front *front, struct ipc_req *req, struct ipc_in *in)
{
	struct arena *arena = arena_new(2048);
	struct opening *opening = arena_new_of(arena, struct opening);

	opening->arena = arena;
	opening->broker = front->broker;
	opening->req = req;
	opening->fd = ipc_take_fd(in);
	opening->waiter.go = on_process;
	return opening;
}

static void
refuse(struct opening *opening, int code, const struct err *err)
{
	ev_warn(NULL, "mbox.session.refused",
	    EV_U64(session, opening->number), EV_STR(remote, opening->remote),
	    EV_ERR(err));
	ipc_reply_err(opening->req, code, "%s", err_text(err));
	opening_free(opening);
}

/* The session is known from here on, so that the cap counts it. */
static void
opening_go(struct opening *opening, struct acct *acct, struct front *front)
{
	struct session *session = calloc(1, sizeof(*session));

	invariant(session != NULL);
	session->front = front;
	session->number = opening->number;
	session->id = opening->id = ++front->broker->next_session;
	session->cap = cap_of(front->broker, opening->user, opening->remote);
	session->state = IS_OPENING;
	list_add(&acct->sessions, &session->node);
	opening->acct = acct;
	acct_wait(acct, &opening->waiter, NEEDS_PROCESS);
}

/* LOGIN-DELAY (RFC 2449 section 6.5). A restart forgets: no harm. */
static bool
is_too_soon(struct broker *broker, uint64_t account, struct str protocol)
{
	uint64_t now = when_mono_ms(), last;

	if (broker->pop3_login_delay_ms == 0 ||
	    !str_eq(protocol, STR("pop3")))
		return false;
	if (broker->pop3_logins == NULL)
		broker->pop3_logins = table_new();
	last = (uintptr_t)table_get_u64(broker->pop3_logins, account);
	if (last != 0 && now - (last - 1) < broker->pop3_login_delay_ms)
		return true;
	if (table_count(broker->pop3_logins) >= POP3_LOGINS_MAX) {
		table_free(&broker->pop3_logins);
		broker->pop3_logins = table_new();
	}
	table_put_u64(broker->pop3_logins, account,
	    (void *)(uintptr_t)(now + 1));
	return false;
}

void
session_open(struct front *front, struct ipc_req *req, struct ipc_in *in)
{
	struct broker *broker = front->broker;
	struct opening *opening = opening_new(front, req, in);
	struct err err = ERR_INIT;
	struct ticket ticket;
	struct acct *acct;
	struct str octets;
	int rc;

	opening->number = ipc_get_u64(in);
	opening->protocol = arena_str(opening->arena, ipc_get_str(in));
	octets = ipc_get_str(in);
	opening->remote = arena_str(opening->arena, ipc_get_str(in));
	opening->has_tls = ipc_get_bool(in);
	if (broker->is_stopping || broker->is_flush_lost)
		rc = err_set(&err, ERR_TEMP, "the mailboxes are closed");
	else
		rc = ticket_check(broker, octets, opening->number,
		    opening->protocol, &ticket, &err);
	if (rc != 0) {
		refuse(opening, rc, &err);
		return;
	}
	opening->user = arena_str(opening->arena, ticket.user);
	acct = acct_get(broker, ticket.account);
	if (!has_room(acct, cap_of(broker, ticket.user, opening->remote)) ||
	    session_by_number(acct, front, opening->number) != NULL) {
		(void)err_set(&err, ERR_DENIED, "too many sessions");
		refuse(opening, ERR_DENIED, &err);
		acct_release(acct);
		return;
	}
	if (is_too_soon(broker, ticket.account, opening->protocol)) {
		(void)err_set(&err, ERR_LIMIT, "the last login was just now");
		refuse(opening, ERR_LIMIT, &err);
		acct_release(acct);
		return;
	}
	opening_go(opening, acct, front);
}

/* ---- parking ---- */

static int
resume_check(struct broker *broker, uint64_t account, uint64_t number,
    struct str octets, struct state *state, struct err *err)
{
	unsigned char key[STATE_KEY_OCTETS];
	int rc;

	state_key(broker->state_key, account, key);
	rc = state_read(octets, key, state, err);
	explicit_bzero(key, sizeof(key));
	if (rc != 0)
		return err_set(err, ERR_DENIED, "state");
	if (state->account != account || state->session != number)
		return err_set(err, ERR_DENIED, "state of another session");
	return 0;
}

void
session_resume(struct front *front, struct ipc_req *req, struct ipc_in *in)
{
	struct broker *broker = front->broker;
	struct opening *opening = opening_new(front, req, in);
	struct session *session = NULL;
	struct err err = ERR_INIT;
	struct acct *acct = NULL;
	struct state state;
	uint64_t account;
	struct str octets;
	int rc;

	opening->is_resumed = true;
	opening->number = ipc_get_u64(in);
	account = ipc_get_u64(in);
	octets = ipc_get_str(in);
	rc = resume_check(broker, account, opening->number, octets, &state,
	    &err);
	if (rc == 0 && (acct = table_get_u64(broker->accts, account)) != NULL)
		session = session_by_number(acct, front, opening->number);
	/* One that is not marked as parked yet: its process's word is still
	 * on its way, the front's is good. */
	if (rc == 0 && session == NULL)
		rc = err_set(&err, ERR_DENIED, "no such parked session");
	if (rc == 0 && (broker->is_stopping || broker->is_flush_lost))
		rc = err_set(&err, ERR_TEMP, "the mailboxes are closed");
	if (rc != 0) {
		refuse(opening, rc, &err);
		return;
	}
	session_free(session);
	opening->protocol = arena_str(opening->arena, state.protocol);
	opening->user = arena_str(opening->arena, state.user);
	opening->remote = arena_str(opening->arena, state.remote);
	opening->state = arena_str(opening->arena, state.engine);
	opening->has_tls = state.has_tls;
	opening_go(opening, acct, front);
}

void
session_unpark(struct front *front, struct ipc_in *in)
{
	uint64_t number = ipc_get_u64(in);
	struct acct *acct = table_get_u64(front->broker->accts,
	    ipc_get_u64(in));
	struct session *session;

	if (acct == NULL)
		return;
	session = session_by_number(acct, front, number);
	if (session == NULL)
		return;
	session_free(session);
	acct_release(acct);
}

void
session_parked(struct acct *acct, uint64_t id, bool is_parked)
{
	struct session *session = session_by_id(acct, id);

	/* Unknown: it was resumed already, under another id. */
	if (session == NULL)
		return;
	if (is_parked && session->front != NULL)
		session->state = IS_PARKED;
	else
		session_free(session);
	/* The process may be ended now. */
	if (acct->kid != NULL) {
		kid_enter(acct->kid);
		kid_leave(acct->kid);
	}
}

/* ---- ends ---- */

void
sessions_process_gone(struct acct *acct)
{
	struct session *session, *tmp;

	list_each(session, tmp, &acct->sessions, struct session, node)
		if (session->state == IS_LIVE)
			session_free(session);
}

void
sessions_front_gone(struct front *front)
{
	struct session *session, *tmp;
	struct acct *acct;
	size_t cursor = 0;
	struct str key;

	/* Those in a process end there, when their stream does. */
	while ((acct = table_next(front->broker->accts, &cursor, &key)) !=
	    NULL)
		list_each(session, tmp, &acct->sessions, struct session,
		    node) {
			if (session->front != front)
				continue;
			session->front = NULL;
			if (session->state == IS_PARKED)
				session_free(session);
		}
}

void
sessions_wake(struct acct *acct)
{
	struct front *last = NULL;
	struct session *session, *tmp;
	struct ipc_out *out;

	list_each(session, tmp, &acct->sessions, struct session, node) {
		/* Sessions of one front mostly stand together. */
		if (session->state != IS_PARKED ||
		    session->front == NULL || session->front == last)
			continue;
		last = session->front;
		out = ipc_begin(last->link, MBOX_CHANGED);
		ipc_put_u64(out, acct->id);
		(void)ipc_send(out, -1);
	}
}

void
sessions_end(struct acct *acct, struct str reason)
{
	struct front *front, *next;
	struct session *session, *tmp;
	struct ipc_out *out;

	if (list_is_empty(&acct->sessions))
		return;
	list_each(front, next, &acct->broker->fronts, struct front, node) {
		out = ipc_begin(front->link, MBOX_END);
		ipc_put_u64(out, acct->id);
		ipc_put_str(out, reason);
		(void)ipc_send(out, -1);
	}
	if (acct->kid != NULL) {
		out = ipc_begin(acct->kid->link, ACCOUNT_END_SESSIONS);
		ipc_put_str(out, reason);
		(void)ipc_send(out, -1);
	}
	/* One on its way to a process finds itself gone. */
	list_each(session, tmp, &acct->sessions, struct session, node)
		if (session->state != IS_LIVE)
			session_free(session);
}
