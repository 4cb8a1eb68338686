/* SPDX-License-Identifier: ISC */
/*
 * found_text: what a notice about something found says to one reader.
 *
 * A recipient is told of no other recipient: nobody knows whether they are
 * secret (Bcc). The administrator, and who sent it, see all.
 *
 * Errors.     None.
 * Blocking.   Never.
 * Process.    queued.
 */
#ifndef QUEUE_FOUND_TEXT_H
#define QUEUE_FOUND_TEXT_H

#include "base/buf.h"
#include "ipc/values.h"

struct found_event {
	enum queue_found kind;
	struct str sender;		/* of the envelope */
	struct str name;		/* what was found */
	const struct str *recipients;
	size_t recipients_len;
};

struct found_reader {
	struct str address;
	bool is_admin;
	uint64_t since;		/* found and not told since the last notice */
};

/* UTF-8. */
const char *found_subject(enum queue_found kind, bool is_japanese);

/* The text below the header: UTF-8, CRLF. */
void found_put_text(struct buf *text, const struct found_event *event,
    const struct found_reader *reader, bool is_japanese);

#endif
