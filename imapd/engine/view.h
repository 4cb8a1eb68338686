/* SPDX-License-Identifier: ISC */
/*
 * view: the selected mailbox as the client knows it: which UID has which
 * message number, what is \Recent, up to which modseq flags were told.
 *
 * The store runs ahead: other sessions and deliveries change it. A message
 * that is gone keeps its number here until view_tell() may say EXPUNGE; one
 * that is new gets a number when view_tell() says EXISTS.
 *
 * Lifetime.   view_open() -> view_tell()* -> view_free().
 * Ownership.  The view owns its arrays.
 * Units.      Message numbers from 1; index = number - 1.
 * Errors.     Those of the store.
 * Blocking.   As the store's.
 * RFC.        3501 section 5.2, 7.3, 7.4.1.
 */
#ifndef IMAPD_VIEW_H
#define IMAPD_VIEW_H

#include "base/buf.h"
#include "proto/imap_parse.h"
#include "store/store.h"

#define VIEW_RECENT_MAX 64

/* How this client is told (bits). */
enum view_style {
	VIEW_MODSEQ = 1,	/* RFC 7162 section 3.1: with every flag */
	VIEW_VANISHED = 2,	/* section 3.2: UIDs for EXPUNGE and FETCH */
	VIEW_NO_RECENT = 4,	/* RFC 9051 has no \Recent */
	VIEW_UIDONLY = 16,	/* RFC 9586: no message numbers */
	VIEW_NO_FLAGS = 8,	/* for now: RFC 5465 without FlagChange */
};

struct imap_view {
	uint64_t mailbox;
	uint32_t uidvalidity;
	bool is_readonly;
	bool has_gone;		/* not told yet */
	unsigned style;		/* enum view_style */
	uint32_t *uids;		/* by number */
	size_t count;
	size_t cap;
	struct store_range recent[VIEW_RECENT_MAX];	/* of UIDs */
	size_t recent_count;
	size_t recent_told;
	uint64_t modseq;	/* flags are told up to here */
	uint64_t checked;	/* the account's modseq when last told */
	uint64_t keywords;	/* bits whose names are told */
	uint64_t scan_modseq;	/* a scan for flags under way; 0: none */
	uint32_t scan_uid;
	uint32_t scan_last;
	struct store_range *saved;	/* "$", RFC 5182: UIDs */
	size_t saved_count;
};

/* Message numbers, ascending and disjoint. */
struct view_set {
	struct imap_range *ranges;
	size_t count;
};

enum view_tell {
	VIEW_DONE,
	VIEW_MORE,	/* enough for now, call again */
	VIEW_DELETED,	/* the mailbox is no more */
	VIEW_FAILED,
};

/* Without any message; view_load() puts in what is there. */
struct imap_view *view_new(const struct store_mailbox *box, bool is_readonly);
void view_free(struct imap_view **view);

/* All that is there now, as told; \Recent is taken unless read-only. */
int view_load(struct imap_view *view, struct store *store, struct err *err);

/* Untagged answers for what changed; the FETCHes hold UIDs when has_uid. */
enum view_tell view_tell(struct imap_view *view, struct store *store,
    struct buf *out, bool may_expunge, bool has_uid, struct err *err);

/*
 * This session changes flags: view_change_begin() before; after it,
 * view_change_end() takes the change as told when nothing else had happened.
 */
bool view_change_begin(const struct imap_view *view, struct store *store);
void view_change_end(struct imap_view *view, struct store *store,
    bool was_level);

bool view_is_recent(const struct imap_view *view, uint32_t uid);

/* ... and is to be shown as such. */
bool view_shows_recent(const struct imap_view *view, uint32_t uid);
size_t view_count_recent(const struct imap_view *view);

/* Index of the first message with at least uid. */
size_t view_find(const struct imap_view *view, uint32_t uid);

/* Keep "$": count ranges of message numbers. */
void view_save(struct imap_view *view, const struct imap_range *numbers,
    size_t count);

/* Append UIDs first to last. ERR_LIMIT over what anybody has. */
int view_add_range(struct imap_view *view, uint32_t first, uint32_t last);

/* Message numbers of a parsed set. ERR_SYNTAX: a number that is not. */
int view_resolve(const struct imap_view *view, const struct imap_set *set,
    bool is_uid, struct arena *arena, struct view_set *set_r);

/* UIDs of message numbers. */
struct store_set view_uids(const struct imap_view *view,
    const struct view_set *set, struct arena *arena);

/* The store's record of message number i + 1. *hint is a guess that is kept
 * between calls. NULL: gone. */
const struct store_msg *view_msg(const struct imap_view *view, size_t i,
    const struct store_msg *msgs, size_t count, size_t *hint);

/* --- flags --- */

/* The store's flags from enum imap_flag bits. */
uint8_t view_flags_to(unsigned flags);

/* "(\Seen $Junk)" of a message. */
void view_put_flags(struct buf *out, const struct store_msg *msg,
    bool is_recent, const struct str *keyword_names);

/* "* FLAGS" and "* OK [PERMANENTFLAGS". */
void view_put_known_flags(struct imap_view *view, struct store *store,
    struct buf *out);

/* "* 3 FETCH (", or "* 7 UIDFETCH (": RFC 9586 section 3.3. */
void view_put_fetch(const struct imap_view *view, struct buf *out,
    size_t number, uint32_t uid);

/* "* 3 FETCH (UID 7 FLAGS (\Seen))" CRLF in the view's style; without the
 * flags when is_silent. */
void view_put_fetch_flags(const struct imap_view *view, struct buf *out,
    size_t number, const struct store_msg *msg, bool has_uid, bool is_silent,
    const struct str *keyword_names);

#endif
