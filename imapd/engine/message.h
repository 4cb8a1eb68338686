/* SPDX-License-Identifier: ISC */
/*
 * message: one stored message while FETCH or SEARCH looks at it: its row,
 * summary and blob, each got when first needed. A summary that is missing or
 * does not belong to the blob is made anew, in slices, and stored.
 *
 * Lifetime.   message_init() -> (message_load() -> ... -> message_end())* ->
 *             message_fini().
 * Ownership.  Rows loaded through a reader are views until its next use.
 * Errors.     message_load(): those of the store. is_broken: what is stored
 *             does not read back; the message cannot be shown.
 * Blocking.   Local files.
 */
#ifndef IMAPD_MESSAGE_H
#define IMAPD_MESSAGE_H

#include "mail/view.h"
#include "store/store.h"

struct imap_message {
	struct arena *arena;	/* reset with each message */
	struct store *store;
	struct store_message row;
	const struct mail_summary *summary;
	struct mail_view view;	/* valid while has_blob */
	struct scan *scan;
	int fd;
	bool has_blob;
	bool is_broken;
};

void message_init(struct imap_message *m, struct store *store);
void message_fini(struct imap_message *m);

/* Read the row; by reader when it is not NULL. */
int message_load(struct imap_message *m, struct store_reader *reader,
    uint64_t id, struct err *err);

/* Copy what the reader showed: it will be used again or ended. */
void message_keep_row(struct imap_message *m);

/* Is the summary at hand, or can it be decoded without the blob? */
bool message_has_summary(struct imap_message *m);

/* One slice of making the summary. False: call again. The store is changed
 * at the end: no reader may be open. */
bool message_make_summary(struct imap_message *m);

/* Open the blob, unless fd is it already; false: is_broken. */
bool message_open(struct imap_message *m);

/* Done with this message. */
void message_end(struct imap_message *m);

#endif
