/* SPDX-License-Identifier: ISC */
/*
 * store: one account: its mailboxes and messages.
 *
 * An account is a directory: `owner` (locked by the process that has it
 * open), `mail.db` (rows, lib/db) and `b/N/ID` (hard links to blobs, made by
 * blobd; N = ID div 4096). A *message* is a blob with its trace and summary.
 * A message is *in* a mailbox by a membership, which has the UID, flags,
 * keywords and modseq; COPY makes a second membership of the same message.
 *
 * An easy case, APPEND: store_reserve() gives a message id and makes its
 * sub-directory; the caller has blobd link the blob to store_link_path();
 * store_add() puts the rows in and, outside of store_begin(), has committed
 * and flushed them (and the link's directory) when it returns.
 *
 * A hard case, bulk delivery: for each account store_begin(NORMAL), per
 * message store_reserve(), link, store_add() with the delivery key,
 * store_commit(); then one syncfs() for all accounts, store_note_synced() on
 * each, and only then are recipients reported done. The process dies between
 * the commit and the report: the next delivery of the same key gets
 * ERR_EXISTS with the earlier message id; the caller links that id again
 * (EEXIST is success), flushes, and reports done.
 *
 * Lifetime.   store_open() -> ... -> store_close().
 * Ownership.  The store owns all it returns unless an arena was passed.
 *             Arrays and views from the store are good until the next call
 *             on it.
 * Units.      Octets; times in seconds since 1970 UTC; sizes as a client
 *             sees them are trace + blob.
 * Errors.     ERR_NOTFOUND: no such mailbox or message. ERR_EXISTS: name
 *             taken, or delivery key known. ERR_LIMIT: quota, or a bound of
 *             this header. ERR_SYNTAX: an impossible name, flag or range.
 *             ERR_DENIED: the account is open elsewhere; INBOX cannot be
 *             deleted; a \Noselect name. ERR_CORRUPT: rows do not read back.
 *             ERR_TEMP: disk trouble; store_is_disk_full() tells which. After
 *             ERR_TEMP or ERR_CORRUPT of a change nothing of it is visible;
 *             when store_has_failed(), close, and open again.
 * Blocking.   Reads and writes files. With STORE_FULL changes wait for the
 *             disk. Calls that take `batch` stop after that many messages.
 * Process.    The account's process or a bulk worker; one thread. Opened
 *             after the fork that leads to the process (the lock is its).
 * RFC.        3501/9051 (names, UIDs), 4551/7162 (modseq, vanished), 6154
 *             (special use), 8474 (object ids), 9208 (quota).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"

struct store;
struct db_image;

/* --- bounds -------------------------------------------------------- */

enum {
	STORE_NAME_MAX = 1000,		/* octets of a mailbox name */
	STORE_DEPTH_MAX = 32,		/* levels of a name */
	STORE_LEVEL_MAX = 255,		/* octets of one level */
	STORE_MAILBOX_MAX = 10000,	/* mailboxes of an account */
	STORE_SUBSCRIPTION_MAX = 20000,
	STORE_KEYWORD_COUNT = 64,	/* keywords of a mailbox */
	STORE_KEYWORD_MAX = 100,	/* octets of a keyword */
	STORE_TRACE_MAX = 65536,
	STORE_SUMMARY_MAX = 49152,
	STORE_RECIPIENT_MAX = 320,
	STORE_KEY_MAX = 255,		/* octets of a value's key */
	STORE_VALUE_MAX = 1048576,
	STORE_RESERVED_MAX = 4096,	/* reserved ids not yet added */
	STORE_LINKS_PER_DIR = 4096,
	STORE_LINK_PATH_SIZE = 48,
};

/* --- open and close ------------------------------------------------ */

enum store_sync {
	STORE_FULL,	/* durable on return: interactive changes */
	STORE_NORMAL,	/* durable after the caller's syncfs(): bulk */
};

struct store_options {
	uint64_t account;		/* id; must be the one it was made for */
	const struct db_image *image;	/* to create from; may be NULL */
	bool may_create;		/* make the directory and INBOX, ... */
	enum store_sync sync;		/* of changes outside store_begin() */
	bool are_links_flushed;		/* whoever links flushes them */
};

/*
 * Open the account in directory path. ERR_DENIED "busy" while another
 * process has it; ERR_NOTFOUND without it (unless may_create). What an
 * unclean stop left is put right first (store_repair()).
 */
int store_open(struct store **store_r, const char *path,
    const struct store_options *options, struct err *err);

/* Close: an open transaction is rolled back; no checkpoint. */
void store_close(struct store **store);

/* The schema in memory, for cheap creation; made once per process. */
int store_image_new(struct db_image **image_r, struct err *err);

uint64_t store_account(const struct store *store);

/* Descriptor of the account's directory (for links by blobd). */
int store_dir_fd(const struct store *store);

/* True when the database must be closed and opened again. */
bool store_has_failed(const struct store *store);

/* True when the last ERR_TEMP was a full disk. */
bool store_is_disk_full(const struct store *store);

/* --- transactions and durability ----------------------------------- */

/* Group the following changes into one commit; not nested. */
int store_begin(struct store *store, enum store_sync sync, struct err *err);

/* Commit the group. On failure all of it is undone. */
int store_commit(struct store *store, struct err *err);

/* Undo the group; harmless without one. */
void store_rollback(struct store *store);

/* Flush everything committed so far, links included. */
int store_sync(struct store *store, struct err *err);

/* The caller's syncfs() after the last commit succeeded. */
void store_note_synced(struct store *store);

/* False while a commit is not on the disk: until then no UID, modseq or
 * EXISTS may leave the process. */
bool store_is_durable(const struct store *store);

/*
 * Housekeeping in one slice of at most about 20 ms, for idle moments:
 * checkpoint of a grown log, purge of what was expunged before
 * expunged_before_s and of delivery keys from before keys_before_s, unlinks.
 * *has_more_r: call again.
 */
int store_tidy(struct store *store, int64_t expunged_before_s,
    int64_t keys_before_s, bool *has_more_r, struct err *err);

/*
 * Before an account is given back: when its log holds at least min_pages (of
 * 4 KiB), copy it into the database, flush, and empty it. A long log makes
 * the next open slow, about 1 ms for 200 pages; this costs one or two flushes.
 */
int store_checkpoint(struct store *store, uint32_t min_pages,
    struct err *err);

/* What store_repair() found and put right. */
struct store_repair {
	uint64_t links_removed;		/* links without a row */
	uint64_t rows_removed;		/* rows without a link */
	uint64_t counters_fixed;
};

/* Compare all rows, links and counters; only outside of a group. */
int store_repair(struct store *store, struct store_repair *done_r,
    struct err *err);

/* --- account ------------------------------------------------------- */

struct store_usage {
	uint64_t size_octets;	/* each message once, expunged not counted */
	uint64_t messages;
	uint64_t sequence;	/* grows with every change of the two */
};

void store_usage(const struct store *store, struct store_usage *usage_r);

/* Highest modseq given out in the account; grows with every change. */
uint64_t store_modseq(const struct store *store);

/* A named value of the account (Sieve scripts, vacation memory, settings).
 * until_s 0: for ever. Expired values are not found. */
int store_value_get(struct store *store, struct str key, struct arena *arena,
    struct str *value_r, struct err *err);
int store_value_put(struct store *store, struct str key, struct str value,
    int64_t until_s, struct err *err);
int store_value_delete(struct store *store, struct str key, struct err *err);

/* Keys that begin with prefix, sorted, at most max. */
int store_value_list(struct store *store, struct str prefix, size_t max,
    struct arena *arena, struct str **keys_r, size_t *count_r,
    struct err *err);

/* --- mailboxes ----------------------------------------------------- */

enum store_role {
	STORE_ROLE_NONE,
	STORE_ROLE_INBOX,
	STORE_ROLE_DRAFTS,
	STORE_ROLE_SENT,
	STORE_ROLE_JUNK,
	STORE_ROLE_TRASH,
	STORE_ROLE_ARCHIVE,
	STORE_ROLE_MAX
};

struct store_mailbox {
	uint64_t id;			/* never reused (MAILBOXID) */
	struct str name;		/* UTF-8 NFC, levels split by '/' */
	enum store_role role;
	bool is_noselect;		/* only there for its children */
	bool has_children;
	bool is_subscribed;
	uint32_t uidvalidity;
	uint32_t uidnext;
	uint32_t recent_uid;		/* UIDs from here on are \Recent */
	uint32_t messages;
	uint32_t unseen;
	uint32_t deleted;		/* with \Deleted */
	uint64_t size_octets;		/* sum over memberships */
	uint64_t highestmodseq;		/* of its messages */
	uint64_t modseq;		/* of its name, role, subscription */
};

/*
 * Canonical form of a mailbox name a peer gave: NFC, INBOX in capitals as
 * first level, no empty level, no control octet, no "." or "..", within the
 * bounds; ERR_SYNTAX or ERR_LIMIT. All calls below take canonical names.
 */
int store_name_canon(struct str name, struct arena *arena,
    struct str *canon_r, struct err *err);

/* All mailboxes, sorted by name with '/' before everything else; pointers
 * into the store. */
int store_mailbox_list(struct store *store,
    const struct store_mailbox *const **list_r, size_t *count_r,
    struct err *err);

/* One mailbox, or NULL. */
const struct store_mailbox *store_mailbox_by_name(struct store *store,
    struct str name);
const struct store_mailbox *store_mailbox_by_id(struct store *store,
    uint64_t id);
const struct store_mailbox *store_mailbox_by_role(struct store *store,
    enum store_role role);

/* Create it and its missing parents; ERR_EXISTS. A \Noselect name becomes
 * selectable, with a new id and UIDVALIDITY. */
int store_mailbox_create(struct store *store, struct str name,
    enum store_role role, uint64_t *id_r, struct err *err);

/*
 * Delete it with its messages. One with children becomes \Noselect; one that
 * is \Noselect already and has children: ERR_DENIED, as for INBOX.
 */
int store_mailbox_delete(struct store *store, struct str name,
    struct err *err);

/* Rename it and its children; makes the target's parents. INBOX: its
 * messages move into a new mailbox, its children stay. */
int store_mailbox_rename(struct store *store, struct str from, struct str to,
    struct err *err);

/* Give it another role; a role is had by one mailbox, the other loses it. */
int store_mailbox_set_role(struct store *store, uint64_t mailbox,
    enum store_role role, struct err *err);

/* Subscriptions are names, which need not exist (RFC 3501 section 6.3.6). */
int store_subscribe(struct store *store, struct str name, bool is_on,
    struct err *err);
int store_subscription_list(struct store *store, struct arena *arena,
    struct str **names_r, size_t *count_r, struct err *err);

/* Take the \Recent messages for a session that selects read-write: returns
 * the first recent UID and moves the mark to uidnext. */
int store_recent_take(struct store *store, uint64_t mailbox,
    uint32_t *first_uid_r, struct err *err);

/* --- flags and keywords -------------------------------------------- */

enum {
	STORE_SEEN = 1 << 0,
	STORE_ANSWERED = 1 << 1,
	STORE_FLAGGED = 1 << 2,
	STORE_DELETED = 1 << 3,
	STORE_DRAFT = 1 << 4,
	STORE_FLAGS_ALL = 0x1f,
};

/*
 * Bit number of a keyword of the mailbox (case is ignored), made if may_make.
 * ERR_NOTFOUND, ERR_SYNTAX (not an atom), ERR_LIMIT (64 are there).
 */
int store_keyword(struct store *store, uint64_t mailbox, struct str name,
    bool may_make, unsigned *bit_r, struct err *err);

/* Names by bit; an empty one for a bit not in use. Points into the store;
 * NULL when the mailbox is not there. */
const struct str *store_keyword_names(struct store *store, uint64_t mailbox);

/* --- messages in a mailbox ----------------------------------------- */

/* One membership. */
struct store_msg {
	uint64_t message;	/* id (EMAILID) */
	uint64_t modseq;
	uint64_t keywords;	/* bits */
	int64_t date_s;		/* INTERNALDATE */
	uint32_t uid;
	uint32_t size_octets;	/* RFC822.SIZE */
	uint32_t saved_s;	/* when it came into the mailbox; 0: unknown */
	uint8_t flags;
};

/* UIDs ascending, disjoint, first <= last; 0 is no UID. */
struct store_range {
	uint32_t first;
	uint32_t last;
};
struct store_set {
	const struct store_range *ranges;
	size_t count;
};

struct store_uids {
	uint32_t *uids;
	size_t count;
};

/*
 * All messages of a mailbox, ascending by UID: index + 1 is the sequence
 * number. Cheap when repeated. Points into the store until its next change.
 */
int store_messages(struct store *store, uint64_t mailbox,
    const struct store_msg **msgs_r, size_t *count_r, struct err *err);

/* The message with that UID, or NULL, in an array of store_messages(). */
const struct store_msg *store_msg_find(const struct store_msg *msgs,
    size_t count, uint32_t uid);

/*
 * UIDs that left the mailbox after since_modseq, as ranges (RFC 7162
 * VANISHED). Long-ago ones may be reported again, none is left out.
 */
int store_vanished(struct store *store, uint64_t mailbox,
    uint64_t since_modseq, struct arena *arena, struct store_set *set_r,
    struct err *err);

/* --- putting messages in ------------------------------------------- */

/* A new message id, never given before, whose link may now be made. The
 * sub-directory exists. ERR_LIMIT: too many reserved and not added. */
int store_reserve(struct store *store, uint64_t *message_r, struct err *err);

/* Give up a reserved id: its link, if any, is removed. */
void store_reserve_cancel(struct store *store, uint64_t message);

/* "b/N/ID" relative to the account's directory. */
void store_link_path(uint64_t message, char path_r[STORE_LINK_PATH_SIZE]);

struct store_add {
	uint64_t mailbox;
	uint64_t message;		/* reserved, its link in place */
	uint64_t blob_octets;
	const unsigned char *sha256;	/* 32 octets */
	uint8_t codec;			/* 0: raw */
	uint8_t flags;
	struct str trace;
	struct str summary;		/* may be empty: made on first need */
	const struct str *keywords;
	size_t keyword_count;
	int64_t date_s;			/* INTERNALDATE */
	int64_t sent_s;			/* Date:, 0 when unknown */
	uint64_t thread;		/* 0: a thread of its own */
	uint64_t queue_id;		/* delivery key; 0: none */
	struct str recipient;		/* of the delivery key */
	uint64_t max_octets;		/* quota; 0: none */
	uint64_t max_messages;
};

struct store_added {
	uint64_t message;	/* ERR_EXISTS: the earlier one's; 0: purged */
	uint64_t mailbox;
	uint64_t modseq;
	uint32_t uid;
	uint32_t uidvalidity;
};

/*
 * Add the reserved message to the mailbox. ERR_LIMIT over quota; ERR_EXISTS
 * with *added_r filled when the delivery key is known (the reserved id is
 * given up); ERR_NOTFOUND when the mailbox or the link is not there;
 * ERR_SYNTAX when the link's size is not blob_octets. Nothing changed then.
 */
int store_add(struct store *store, const struct store_add *add,
    struct store_added *added_r, struct err *err);

/* Look for a delivery key before doing the work: ERR_NOTFOUND. */
int store_delivery_find(struct store *store, uint64_t queue_id,
    struct str recipient, struct store_added *added_r, struct err *err);

/* Forget the key without a delivery: a discard by Sieve is remembered too. */
int store_delivery_note(struct store *store, uint64_t queue_id,
    struct str recipient, struct err *err);

/* --- changing messages --------------------------------------------- */

/*
 * Calls below work through set from *next_uid on (0: the beginning), stop
 * after batch messages of the set (0: no stop) and leave in *next_uid where
 * to go on, 0 when done. Each call is one change with one modseq and, outside
 * of a group, one commit. Messages of the set that are not there are skipped.
 */

enum store_flag_op { STORE_FLAGS_SET, STORE_FLAGS_ADD, STORE_FLAGS_REMOVE };

struct store_flag_change {
	enum store_flag_op op;
	uint8_t flags;
	uint64_t keywords;		/* bits from store_keyword() */
	bool has_unchangedsince;
	uint64_t unchangedsince;	/* RFC 7162 section 3.1.3 */
};

struct store_flag_result {
	uint64_t modseq;		/* of the changed ones; 0: none */
	struct store_uids changed;	/* flags differ now */
	struct store_uids modified;	/* failed UNCHANGEDSINCE */
};

int store_flags(struct store *store, uint64_t mailbox,
    const struct store_set *set, const struct store_flag_change *change,
    size_t batch, uint32_t *next_uid, struct arena *arena,
    struct store_flag_result *result_r, struct err *err);

/* Expunge those of the set that have all of only_flags (STORE_DELETED for
 * EXPUNGE, 0 for POP3 and JMAP). A NULL set is the whole mailbox. */
int store_expunge(struct store *store, uint64_t mailbox,
    const struct store_set *set, uint8_t only_flags, size_t batch,
    uint32_t *next_uid, struct arena *arena, struct store_uids *gone_r,
    uint64_t *modseq_r, struct err *err);

struct store_copied {
	uint32_t uidvalidity;		/* of the target */
	struct store_uids from;		/* from.uids[i] became to.uids[i] */
	struct store_uids to;
	uint64_t modseq;
};

/* Copy keeps flags, keywords and INTERNALDATE; whole or not at all unless a
 * batch is given. max_octets is not asked: a copy takes no space. */
int store_copy(struct store *store, uint64_t from, const struct store_set *set,
    uint64_t to, size_t batch, uint32_t *next_uid, struct arena *arena,
    struct store_copied *copied_r, struct err *err);

/* Move: each message is in one of the two at any moment (RFC 6851). */
int store_move(struct store *store, uint64_t from, const struct store_set *set,
    uint64_t to, size_t batch, uint32_t *next_uid, struct arena *arena,
    struct store_copied *copied_r, struct err *err);

/* --- reading a message --------------------------------------------- */

struct store_message {
	uint64_t id;
	uint64_t thread;
	uint64_t blob_octets;
	uint8_t codec;
	unsigned char sha256[32];
	int64_t date_s;
	int64_t sent_s;
	struct str trace;
	struct str summary;	/* empty: rebuild, then store_set_summary() */
};

/* One message by id; trace and summary in the arena. */
int store_message(struct store *store, uint64_t message, struct arena *arena,
    struct store_message *message_r, struct err *err);

/*
 * Many messages: fastest with ascending ids. The views are good until the
 * next store_reader_get() or store_reader_end(); no change of the store while
 * a reader is open.
 */
struct store_reader;
struct store_reader *store_reader_begin(struct store *store);
int store_reader_get(struct store_reader *reader, uint64_t message,
    struct store_message *message_r, struct err *err);
void store_reader_end(struct store_reader **reader);

/* Keep a summary that was rebuilt; not flushed (it can be made again). */
int store_set_summary(struct store *store, uint64_t message,
    struct str summary, struct err *err);

/* Open the blob for reading; the descriptor is the caller's. */
int store_blob_open(struct store *store, uint64_t message, int *fd_r,
    struct err *err);

/* Undo an expunge within the recovery window: list what is hidden, newest
 * first, and put one back into a mailbox (a new UID, no flags but \Seen). */
struct store_hidden {
	uint64_t message;
	int64_t expunged_s;
};
int store_hidden_list(struct store *store, size_t max, struct arena *arena,
    struct store_hidden **list_r, size_t *count_r, struct err *err);
int store_restore(struct store *store, uint64_t message, uint64_t mailbox,
    struct store_added *added_r, struct err *err);

#endif
