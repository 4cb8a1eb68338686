/* SPDX-License-Identifier: ISC */
/*
 * broker: what the parts of mboxd's broker share. The broker schedules who
 * owns an account; it reads no mail and opens no account's file.
 *
 * Ownership. An account belongs to the bulk worker that its id selects, unless
 * it has a process of its own. So nothing need be remembered of accounts that
 * nobody uses, and a delivery to one of them goes to its worker at once.
 *
 *     BULK --session comes--> CLOSING --worker gave it back, limits known-->
 *     PROCESS --idle or too many--> ENDING --waitpid--> BULK
 *
 * What comes in CLOSING and ENDING waits (acct_wait()) until the account has
 * an owner again. A process that dies goes from PROCESS to ENDING by itself.
 *
 * Process.    mboxd's broker.
 */
#ifndef MBOXD_BROKER_H
#define MBOXD_BROKER_H

#include <openssl/evp.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/table.h"
#include "ipc/child.h"
#include "mboxd/family.h"
#include "mboxd/usage.h"

#define WORKERS_MAX 32

struct broker;

/* ---- children ---- */

struct kid {
	struct list node;		/* broker->kids */
	struct list idle;		/* broker->idle: may be ended */
	struct broker *broker;
	struct acct *acct;		/* NULL: a bulk worker */
	pid_t pid;			/* 0: not running */
	struct ipc_link *link;
	struct loop_timer timer;	/* worker: start again */
	uint64_t started_ms;
	size_t busy;			/* requests not answered */
	unsigned number;		/* of a worker */
};

/* Fork a process for the account (which has its limits). */
int kid_start(struct acct *acct, struct str address, struct err *err);
void kids_start_workers(struct broker *broker);

/* A new blobd: each child gets a link to it. */
void kids_new_blobd(struct broker *broker);

/* Requests under way with a kid; a process without them may be ended. */
void kid_enter(struct kid *kid);
void kid_leave(struct kid *kid);

/* Ask an idle process to end, the longest idle one first. False: none is. */
bool kids_end_one(struct broker *broker);

/* Let all end. */
void kids_stop(struct broker *broker);

/* SIGCHLD. */
void kids_reap(struct broker *broker);

/* ---- accounts ---- */

enum acct_state { ACCT_BULK, ACCT_CLOSING, ACCT_PROCESS, ACCT_ENDING };

/* Something that waits for an account. go() is called once, from the loop or
 * from inside acct_wait(); code 0, or ERR_NOTFOUND, ERR_TEMP, ERR_DENIED. */
struct waiter {
	struct list node;
	enum waiter_need {
		NEEDS_LIMITS,	/* quota known */
		NEEDS_OWNER,	/* acct_owner() is not NULL */
		NEEDS_PROCESS,
	} need;
	void (*go)(struct waiter *waiter, struct acct *acct, int code);
};

struct acct {
	struct list node;		/* broker->forgettable, or linked to
					 * broker->starved */
	struct broker *broker;
	uint64_t id;
	uint64_t quota_octets;
	struct kid *kid;
	struct list waiters;
	struct list sessions;
	uint8_t state;
	bool has_limits;
	bool is_enabled;
	bool is_asking;		/* the directory */
	bool is_given_back;	/* CLOSING: the worker has closed it */
	bool is_forgettable;	/* node is in broker->forgettable */
	char *address;		/* CLOSING: limits were asked for the start */
};

struct acct *acct_get(struct broker *broker, uint64_t id);

/* The kid that delivers into it now; NULL while it changes hands. */
struct kid *acct_owner(struct acct *acct);

void acct_wait(struct acct *acct, struct waiter *waiter,
    enum waiter_need need);

/* Its process was reaped. */
void acct_ended(struct acct *acct);

/* Its process says that it is idle, or room is needed: end it unless busy. */
void acct_end_process(struct acct *acct);

/* The directory's push. 0: all. ends_sessions: who is logged in must go. */
void acct_directory_changed(struct broker *broker, uint64_t id,
    bool ends_sessions);

/* It may be forgotten when nothing needs it any more. */
void acct_release(struct acct *acct);

/* ---- deliveries ---- */

void deliver_begin(struct broker *broker, struct ipc_req *req,
    struct ipc_in *in);

/* ---- sessions ---- */

/* A client of the broker. */
struct front {
	struct broker *broker;
	struct ipc_link *link;
	struct list node;
};

void session_open(struct front *front, struct ipc_req *req,
    struct ipc_in *in);
void session_resume(struct front *front, struct ipc_req *req,
    struct ipc_in *in);
void session_unpark(struct front *front, struct ipc_in *in);

/* ACCOUNT_PARKED of a process. */
void session_parked(struct acct *acct, uint64_t id, bool is_parked);

/* The account's process is gone: so are its sessions that are not parked. */
void sessions_process_gone(struct acct *acct);
void sessions_front_gone(struct front *front);

/* Tell the fronts that keep parked sessions of the account. */
void sessions_wake(struct acct *acct);
void sessions_end(struct acct *acct, struct str reason);
bool acct_has_live_sessions(const struct acct *acct);

/* Tickets: authd's new key. */
void session_ticket_key(struct broker *broker, struct str public_half);

/* ---- all ---- */

struct broker {
	struct child *child;
	struct loop *loop;
	struct ipc_link *directory;
	struct ipc_link *blobd;
	struct family family;
	unsigned char state_key[STATE_KEY_OCTETS];
	struct kid workers[WORKERS_MAX];
	unsigned workers_len;
	struct list kids;		/* account processes */
	struct list idle;		/* of those, idle ones; oldest first */
	size_t processes;		/* places taken */
	size_t processes_max;
	struct table *accts;
	struct list forgettable;
	size_t forgettable_len;
	struct list starved;		/* accounts that want a process */
	struct list fronts;
	struct usage usage;
	uint64_t pending_octets;	/* of deliveries under way */
	EVP_PKEY *ticket_keys[2];	/* new, old */
	uint64_t ticket_key_until_ms;	/* of the old one */
	struct table *tickets_used;	/* serial -> struct used_ticket */
	struct list tickets_order;
	uint64_t next_session;
	uint64_t sessions_per_user;
	uint64_t pop3_login_delay_ms;	/* 0: none */
	struct table *pop3_logins;	/* account -> ms + 1 of the last */
	unsigned char cap_key[16];
	struct loop_timer stop_timer;
	bool is_stopping;
	bool is_flush_lost;
};

#endif
