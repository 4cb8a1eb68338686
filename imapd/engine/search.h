/* SPDX-License-Identifier: ISC */
/*
 * search: a SEARCH program and what it says of one message.
 *
 * The keys become nodes. A node is true, false, or unknown until more of the
 * message is read: first what every membership has, then the summary, then
 * the blob's header, last the text. Reading stops at the first level at
 * which the whole program is known.
 *
 * Easy case: SEEN SINCE 1-Feb-2026 is known from the membership.
 *
 * Hard case: OR SEEN (FROM x BODY y) of an unseen message: the row says
 * unknown, the summary says whether x matches; only if so the text is read,
 * in slices, and all BODY needles of the program are looked for at once.
 *
 * Lifetime.   search_new() -> per message search_eval() by level -> free.
 * Ownership.  Nodes live in the arena given.
 * Errors.     search_new(): ERR_NOTFOUND: a charset nobody knows.
 * Blocking.   Never but for what imap_message reads.
 * RFC.        3501 section 6.4.4; 5032 (OLDER, YOUNGER).
 */
#ifndef IMAPD_SEARCH_H
#define IMAPD_SEARCH_H

#include "imapd/engine/message.h"
#include "imapd/engine/view.h"
#include "mail/text.h"

enum search_level {
	SEARCH_ROW,
	SEARCH_SUMMARY,
	SEARCH_HEADER,
	SEARCH_BODY,
};

enum search_answer { SEARCH_NO, SEARCH_YES, SEARCH_UNKNOWN };

/* Needles that are looked for in one pass over a message. */
struct search_group {
	unsigned what;			/* MAIL_TEXT_* */
	size_t count;
	struct str needles[TEXT_NEEDLES_MAX];
	struct text_search *search;
	uint64_t found;
	struct search_group *next;
};

struct search_node {
	enum imap_search_op op;
	const struct imap_search_key *key;
	enum search_level level;	/* that it needs */
	struct search_node **children;	/* cheap ones first */
	size_t n_children;
	struct imap_set set;
	uint64_t bit;			/* KEYWORD */
	uint64_t id;			/* EMAILID */
	struct str folded;		/* HEADER */
	enum mail_field_id field;
	struct search_group *group;	/* BODY, TEXT */
	unsigned needle;
};

struct search {
	struct search_node *root;
	struct search_group *groups;
	int64_t now_s;
	struct buf text;		/* scratch */
	/* the message */
	const struct imap_view *view;
	const struct store_msg *msg;
	size_t number;
	struct imap_message *message;
	struct str header;		/* at SEARCH_HEADER */
};

int search_new(const struct imap_search *program,
    const struct imap_view *view, struct store *store, struct arena *arena,
    struct search **search_r, struct err *err);
void search_free(struct search **search);

/* What is known with all up to level read. */
enum search_answer search_eval(struct search *search,
    enum search_level level);

#endif
