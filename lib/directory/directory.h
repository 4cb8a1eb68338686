/* SPDX-License-Identifier: ISC */
/*
 * directory: tenants, domains, accounts, aliases, forwards, plans, roles and
 * the operation log, as rows.
 *
 * An address is kept in canonical form: domain in lower case A-labels, local
 * part in lower case. What an address means, in this order: an account, an
 * alias (one or more targets), the same without its +tag, postmaster@ and
 * abuse@ (the domain's administrators).
 *
 * Lifetime.   directory_open() -> ... -> directory_close().
 * Ownership.  Results are in the arena that was passed.
 * Units.      Octets; seconds since 1970. 0 is "no limit" where a limit is.
 * Errors.     ERR_NOTFOUND, ERR_EXISTS, ERR_SYNTAX, ERR_LIMIT (ids of a domain
 *             used up), ERR_TEMP. Texts are for the operator who asked.
 * Blocking.   Reads and writes files; a change waits for the disk.
 * Process.    directoryd, the only one that opens directory.db.
 */
#ifndef DIRECTORY_DIRECTORY_H
#define DIRECTORY_DIRECTORY_H

#include "base/arena.h"

struct directory;

int directory_open(struct directory **dir_r, const char *path,
    struct err *err);
void directory_close(struct directory **dir);

/* ---- changes: each in a transaction with its line in the log ---- */

/* Begin a change by actor ("uid 0", "admin@example.test"). */
int directory_begin(struct directory *dir, struct str actor,
    struct err *err);
int directory_commit(struct directory *dir, struct err *err);
void directory_rollback(struct directory *dir);

/* One line of the log, in the same transaction. detail is JSON or empty. */
int directory_log(struct directory *dir, const char *verb, struct str object,
    struct str detail, struct err *err);

struct directory_log_line {
	uint64_t id;
	uint64_t when_us;
	struct str actor;
	struct str verb;
	struct str object;
	struct str detail;
};

int directory_log_read(struct directory *dir, uint64_t after, size_t max,
    struct arena *arena, struct directory_log_line *lines, size_t *count_r,
    struct err *err);

/* ---- tenants, domains, plans ---- */

/* What is done with mail while nothing judges it. Stored. */
enum directory_absent {
	DIRECTORY_ABSENT_SERVER = 0,	/* as the server is configured */
	DIRECTORY_ABSENT_ACCEPT = 1,
	DIRECTORY_ABSENT_TEMPFAIL = 2,
};

#define DIRECTORY_QUARANTINE_DAYS 14U	/* preset */
#define DIRECTORY_QUARANTINE_DAYS_MAX 90U

struct directory_domain {
	uint64_t id;
	uint64_t tenant;
	struct str name;
	struct str tenant_name;
	uint64_t mailbox_octets;	/* of accounts without a plan or quota */
	uint64_t ids_max;
	uint64_t message_octets;
	uint64_t message_recipients;
	bool is_enabled;
	struct str access;		/* grid of directory/access.h */
	bool stops_when_full;		/* a full mailbox may not send */
	bool dmarc_marks;		/* DMARC only marks, never acts */
	enum directory_absent filter_absent;
	uint64_t quarantine_days;	/* 1 to 90; 0 for a new one: 14 */
	uint64_t accounts;		/* how many there are */
};

int directory_tenant_add(struct directory *dir, struct str name,
    uint64_t *id_r, struct err *err);
int directory_tenant_find(struct directory *dir, struct str name,
    uint64_t *id_r, struct err *err);
int directory_tenant_delete(struct directory *dir, uint64_t id,
    struct err *err);
int directory_tenant_list(struct directory *dir, struct str after, size_t max,
    struct arena *arena, struct str *names, size_t *count_r,
    struct err *err);

int directory_domain_add(struct directory *dir,
    const struct directory_domain *domain, uint64_t *id_r, struct err *err);
int directory_domain_find(struct directory *dir, struct str name,
    struct arena *arena, struct directory_domain *domain_r, struct err *err);
/* The same without counting its accounts: for mail on its way. */
int directory_domain_lookup(struct directory *dir, struct str name,
    struct arena *arena, struct directory_domain *domain_r, struct err *err);
int directory_domain_set(struct directory *dir,
    const struct directory_domain *domain, struct err *err);
/* ERR_EXISTS while it has accounts. */
int directory_domain_delete(struct directory *dir, uint64_t id,
    struct err *err);
int directory_domain_list(struct directory *dir, struct str after, size_t max,
    struct arena *arena, struct directory_domain *domains, size_t *count_r,
    struct err *err);
/* Name and tenant alone of at most max domains behind after, in order. */
int directory_domain_names(struct directory *dir, struct str after,
    size_t max, struct arena *arena, struct directory_domain *domains,
    size_t *count_r, struct err *err);

struct directory_plan {
	struct str name;
	uint64_t quota_octets;
};

int directory_plan_put(struct directory *dir,
    const struct directory_plan *plan, struct err *err);
int directory_plan_find(struct directory *dir, struct str name,
    uint64_t *quota_r, struct err *err);
/* ERR_EXISTS while an account has it. */
int directory_plan_delete(struct directory *dir, struct str name,
    struct err *err);
int directory_plan_list(struct directory *dir, struct arena *arena,
    struct directory_plan *plans, size_t max, size_t *count_r,
    struct err *err);

/* ---- accounts ---- */

struct directory_account {
	uint64_t id;
	uint64_t domain;
	uint64_t tenant;
	struct str address;
	struct str local;
	struct str name;		/* of the person */
	struct str plan;		/* empty: none */
	bool has_quota;			/* quota of its own */
	uint64_t own_quota_octets;
	uint64_t quota_octets;		/* that holds: own, plan's, domain's */
	bool is_enabled;		/* and its domain is */
	bool is_own_enabled;
	struct str language;
	uint64_t used_octets;
	uint64_t used_messages;
	uint64_t message_octets;	/* the domain's limits */
	uint64_t message_recipients;
	struct str access;
	bool stops_when_full;
	uint64_t warned_percent;	/* fullness its owner was told of */
};

int directory_account_add(struct directory *dir,
    const struct directory_account *account, uint64_t *id_r,
    struct err *err);
int directory_account_get(struct directory *dir, uint64_t id,
    struct arena *arena, struct directory_account *account_r,
    struct err *err);
/* By canonical address, exactly (no alias, no tag). */
int directory_account_find(struct directory *dir, struct str address,
    struct arena *arena, struct directory_account *account_r,
    struct err *err);
int directory_account_set(struct directory *dir,
    const struct directory_account *account, struct err *err);
int directory_account_delete(struct directory *dir, uint64_t id,
    struct err *err);
int directory_account_list(struct directory *dir, uint64_t domain,
    uint64_t after, size_t max, struct arena *arena,
    struct directory_account *accounts, size_t *count_r, struct err *err);

/*
 * How long a mailbox has been refusing mail because it is full: *since_s_r is
 * the second of the first refusal. The clock begins with directory_full(true)
 * and ends when something fits again or its usage falls.
 */
int directory_full(struct directory *dir, uint64_t account, bool is_full,
    int64_t *since_s_r, struct err *err);

/* A mailbox whose owner is to be told how full it is. */
struct directory_warning {
	struct directory_account account;
	uint64_t percent;		/* 80, 90 or 95 */
};

/*
 * Those of the accounts reported since the last flush that passed a level
 * they were not told of: call before directory_usage_flush(). At most max.
 */
int directory_warnings(struct directory *dir, struct arena *arena,
    struct directory_warning *warnings, size_t max, size_t *count_r,
    struct err *err);

/* The owner has been told. */
int directory_warned(struct directory *dir, uint64_t account,
    uint64_t percent, struct err *err);


/* What the owner reported; kept in memory, written now and then. */
void directory_usage(struct directory *dir, uint64_t account,
    uint64_t octets, uint64_t messages, uint64_t sequence);
int directory_usage_flush(struct directory *dir, struct err *err);

/* ---- aliases, forwards, send-as, administrators ---- */

/* rows of (owner, target): aliases by address, forwards and send-as grants by
 * account address, administrators by domain. */
enum directory_pair {
	DIRECTORY_ALIAS,	/* alias address -> target address */
	DIRECTORY_FORWARD,	/* account address -> target address */
	DIRECTORY_SEND_AS,	/* account address -> address */
	DIRECTORY_ADMIN,	/* domain -> account address */
	DIRECTORY_PAIRS
};

struct directory_pair_row {
	struct str owner;
	struct str target;
	bool keeps_copy;	/* forwards */
};

int directory_pair_add(struct directory *dir, enum directory_pair kind,
    struct str owner, struct str target, bool keeps_copy, struct err *err);
/* target empty: all of the owner's. ERR_NOTFOUND when there was none. */
int directory_pair_delete(struct directory *dir, enum directory_pair kind,
    struct str owner, struct str target, struct err *err);
/* Of one owner (empty: all), after (owner, target). */
int directory_pair_list(struct directory *dir, enum directory_pair kind,
    struct str owner, const struct directory_pair_row *after, size_t max,
    struct arena *arena, struct directory_pair_row *rows, size_t *count_r,
    struct err *err);

/* ---- what an address means ---- */

/* Canonical form; ERR_SYNTAX. "postmaster" without a domain stays so. */
int directory_canon(struct arena *arena, struct str address,
    struct str *canon_r, struct err *err);

/* The same for an address that mail is for: it may be UTF-8 (RFC 6531), which
 * those of our accounts are not; a domain comes out in A-labels. */
int directory_canon_recipient(struct arena *arena, struct str address,
    struct str *canon_r, struct err *err);

enum directory_leaf_kind {
	DIRECTORY_LEAF_ACCOUNT,
	DIRECTORY_LEAF_REMOTE,
	DIRECTORY_LEAF_UNKNOWN,
	DIRECTORY_LEAF_DISABLED,
	DIRECTORY_LEAF_LOOP,		/* too deep or too many */
	DIRECTORY_LEAF_RETURN,		/* the sender that a rewritten one
					   stands for: for reports only */
};

struct directory_leaf {
	enum directory_leaf_kind kind;
	uint64_t account;
	struct str address;
	uint64_t quota_octets;	/* 0: none */
	uint64_t used_octets;
};

#define DIRECTORY_LEAVES_MAX 1000
#define DIRECTORY_DEPTH_MAX 10

/* All an address leads to, through aliases and forwards, each once. */
int directory_resolve(struct directory *dir, struct str address,
    struct arena *arena, struct directory_leaf **leaves_r, size_t *count_r,
    struct err *err);

/* The domain of a canonical address, when it is ours (accounts not counted):
 * else ERR_NOTFOUND. */
int directory_domain_of(struct directory *dir, struct str address,
    struct arena *arena, struct directory_domain *domain_r, struct err *err);

/*
 * The sender that mail leaves with which our address via sends on to another
 * host: rewritten to one of via's domain (mailauth/srs.h), so that SPF there
 * accepts it, and so that its reports come back to us. It stays as it is when
 * its domain is ours, too, or when it cannot be rewritten: ERR_LIMIT (then
 * *sender_r is set all the same).
 */
int directory_sender_for(struct directory *dir, struct str via,
    struct str sender, struct arena *arena, struct str *sender_r,
    struct err *err);

/* May the account send as the address? 0 or ERR_DENIED. */
int directory_may_send_as(struct directory *dir, uint64_t account,
    struct str address, struct err *err);

#endif
