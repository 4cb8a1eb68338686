/* SPDX-License-Identifier: ISC */
/*
 * store_int: what the files of the store share.
 *
 * All mailboxes are in memory from the first use on, the memberships of those
 * in use too (or only the last page, which is all an append needs). A change
 * is made in memory and marked; store_commit() writes what is marked, so that
 * ten deliveries in one group write their page, mailbox and account once. A
 * rollback forgets all that is in memory and reads it again when needed.
 *
 * A failure of the database in the middle of a change spoils the group
 * (spoilt): nothing but a rollback follows.
 */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "base/table.h"
#include "db/db.h"
#include "store/page.h"
#include "store/schema.h"
#include "store/store.h"

/* Rows of the page table: mailbox id and first UID in one number. */
#define PAGE_KEY(mailbox, first) ((mailbox) << 32 | (uint64_t)(first))
#define MAILBOX_ID_MAX ((UINT64_C(1) << 31) - 1)

struct page {
	uint64_t key;
	size_t start;		/* index of its first membership */
	size_t count;
	bool is_dirty;
};

enum mbox_level {
	MBOX_NONE,	/* memberships are not in memory */
	MBOX_TAIL,	/* the last page is */
	MBOX_ALL,
};

struct mbox {
	struct store_mailbox info;	/* first: the public pointer */
	char *name;
	struct store_msg *msgs;
	size_t count;
	size_t cap;
	struct page *pages;
	size_t page_count;
	size_t page_cap;
	uint64_t *dead;			/* keys of pages to delete */
	size_t dead_count;
	size_t dead_cap;
	struct str *keywords;		/* STORE_KEYWORD_COUNT, or NULL */
	enum mbox_level level;
	bool is_dirty;			/* its row */
	bool has_dirty_pages;
};

/* The account's row. */
struct account {
	uint64_t next_message;
	uint64_t next_mailbox;
	uint64_t next_uidvalidity;
	uint64_t modseq;
	uint64_t size_octets;
	uint64_t messages;
	uint64_t sequence;
	uint64_t checked;	/* ids below had their links on the disk */
};

/* One block of extra memberships, kept while neighbours are changed. */
struct refs {
	uint64_t block;
	uint16_t extra[REFS_BLOCK];
	bool is_loaded;
	bool is_dirty;
};

struct ids {
	uint64_t *v;
	size_t count;
	size_t cap;
};

struct store {
	struct db *db;
	struct store_options options;
	char *path;
	int dir_fd;
	int owner_fd;
	char owner_state;
	struct account account;
	struct mbox **boxes;		/* by name, see name_cmp() */
	size_t box_count;
	size_t box_cap;
	struct table *by_id;
	struct table *subscribed;	/* names; NULL: not read yet */
	struct refs refs;
	struct ids garbage;		/* gone in this group, not written */
	uint64_t next_with_dir;		/* an id whose directory is there */
	struct table *reserved;		/* ids handed out, not added */
	uint64_t written_next;		/* next_message in the row */
	struct ids added;		/* in this group */
	struct ids dirs;		/* sub-directories to flush */
	struct err spoilt;
	enum store_sync sync;		/* of the group */
	bool is_group;
	bool is_changed;		/* memory differs from the rows */
	bool are_boxes_loaded;
	bool is_tree_stale;		/* has_children, is_subscribed */
	bool is_unclean;		/* the last owner died */
	bool needs_top_flush;		/* new entries in the directory */
	bool is_full;
	bool is_flush_lost;
	unsigned readers;
};

/* --- store.c --- */

/*
 * A change outside of a group is one of its own: op_begin() says so in
 * *is_own_r; op_end() commits or undoes it and returns ret, or what the
 * commit says.
 */
int op_begin(struct store *store, bool *is_own_r, struct err *err);
int op_end(struct store *store, bool is_own, int ret, struct err *err);

/* Remember that rows are half changed. Returns the code. */
int store_spoil(struct store *store, const struct err *err, int code);

/* A new modseq. */
uint64_t store_next_modseq(struct store *store);

/* A directory that blobd's group may write to, if it is not there. */
int make_dir(struct store *store, int at_fd, const char *name, bool *is_new_r,
    struct err *err);

/* Make room for one more in an array that doubles. */
void *array_grow(void *array, size_t *cap, size_t count, size_t size);
void ids_push(struct ids *ids, uint64_t id);

/* --- owner.c --- */

/*
 * `owner` holds one line with the account's id and a state: OWNER_NEW until
 * the first flush (a database that does not read back then was never
 * anybody's), OWNER_OPEN, OWNER_SHUT.
 */
enum { OWNER_NEW = 'n', OWNER_OPEN = 'o', OWNER_SHUT = 's' };

void owner_mark(struct store *store, char state);

/* Lock `owner`, see whether the last one died, and say that we are here. */
int owner_take(struct store *store, struct err *err);

/* --- box.c: memberships in memory and in pages --- */

int boxes_load(struct store *store, struct err *err);
void boxes_drop(struct store *store);
struct mbox *box_by_id(struct store *store, uint64_t id);

/* The mailbox, selectable, with its memberships at level, or an error. */
int box_need(struct store *store, uint64_t id, enum mbox_level level,
    struct mbox **box_r, struct err *err);

/* Append a membership; msg->uid, ->modseq are given here. */
int box_append(struct store *store, struct mbox *box, struct store_msg *msg,
    uint64_t modseq, struct err *err);

/* Note that message i has changed; counters are the caller's. */
void box_touch(struct mbox *box, size_t i);

/* Count a membership in (+1) or out (-1). */
void box_count(struct mbox *box, const struct store_msg *msg, int sign);

/* Take out those with is_gone[i]; the counters too. */
void box_remove(struct mbox *box, const bool *is_gone);

/* Index of the first membership with at least uid. */
size_t box_find(const struct mbox *box, uint32_t uid);

/* Write what has changed. */
int boxes_flush(struct store *store, struct err *err);
void box_free(struct mbox *box);
void box_unload(struct mbox *box);
void box_forget_keywords(struct mbox *box);

/* --- name.c --- */
int name_cmp(struct str a, struct str b);

/* Is b below a? */
bool name_is_below(struct str a, struct str b);

/* --- keyword.c --- */
int keywords_load(struct store *store, struct mbox *box, struct err *err);

/* --- tree.c: the mailboxes by name, and which are subscribed --- */
struct mbox *box_by_name(struct store *store, struct str name);

/* Into the list and out of it, by its name; ERR_EXISTS. */
int box_insert(struct store *store, struct mbox *box);
void box_take_out(struct store *store, struct mbox *box);
bool box_has_children(const struct store *store, const struct mbox *box);

/* store->subscribed is there on 0. */
int subscriptions_load(struct store *store, struct err *err);
int subscription_write(struct store *store, struct str name, bool is_on,
    struct err *err);

/* --- mailbox.c --- */
int mailboxes_create_first(struct store *store, struct err *err);

/* --- refs.c: how many memberships a message has; what has none --- */
int refs_add(struct store *store, uint64_t message, struct err *err);

/* One membership less; *was_last_r: it had no other. */
int refs_drop(struct store *store, uint64_t message, bool *was_last_r,
    struct err *err);
int refs_flush(struct store *store, struct err *err);

/* The message has left its last mailbox: hide it and give its space back. */
void message_hide(struct store *store, uint64_t message,
    uint32_t size_octets);
int garbage_flush(struct store *store, struct err *err);

/* Is the row of the message there? */
int message_has(struct store *store, uint64_t message, bool *has_r,
    struct err *err);

/* --- add.c --- */

/* Is the link there, as a plain file? Its size, if asked. */
bool link_is_there(const struct store *store, uint64_t message,
    uint64_t *size_r);

/* Note that the link's directory is to be flushed. */
void link_note_dir(struct store *store, uint64_t message);

/* --- repair.c --- */

/* Links and rows of the ids that were not known to be on the disk. */
int repair_recent(struct store *store, struct err *err);

#endif
