/* SPDX-License-Identifier: ISC */
/*
 * section: a body section of a message as FETCH asked for it: where it lies,
 * or its text when it has to be put together (HEADER.FIELDS).
 *
 * RFC.        3501 section 6.4.5.
 */
#ifndef IMAPD_SECTION_H
#define IMAPD_SECTION_H

#include "imapd/engine/message.h"
#include "proto/imap_parse.h"

enum section_kind {
	SECTION_NIL,	/* the message has no such section */
	SECTION_TEXT,	/* in memory */
	SECTION_RANGE,	/* of the message's view */
};

struct section {
	enum section_kind kind;
	struct str text;		/* in the message's arena */
	struct mail_range range;
};

/* Does the summary alone answer it? */
bool section_is_summed(const struct imap_section *section,
    const struct mail_summary *summary);

/* Find it; the blob is open unless section_is_summed(). */
int section_find(struct imap_message *m, const struct imap_section *section,
    struct section *section_r, struct err *err);

#endif
