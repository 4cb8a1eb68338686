/* SPDX-License-Identifier: ISC */
/* milters_int: what milters.c (the session) and milter_message.c (the message)
 * share. */
#ifndef INGRESS_MILTERS_INT_H
#define INGRESS_MILTERS_INT_H

#include "smtpd/ingress/message_int.h"
#include "smtpd/ingress/milter.h"
#include "smtpd/ingress/milter_edit.h"
#include "smtpd/ingress/milters.h"

struct milter_slot {
	struct milters *milters;
	struct milter *milter;
	struct milter_settings settings;
	bool is_out;		/* for the session: it accepted all of it */
	bool has_failed;
	bool is_passed;		/* it was told that mail goes on without it */
	bool is_out_tx;		/* for this message */
	bool has_tx;		/* it has heard MAIL */
};

struct milters {
	struct session *session;
	struct milter_slot slots[MILTERS_MAX];
	size_t slots_len;
	size_t at;		/* the slot that is being asked */
	enum milter_event event;
	struct str path;
	milters_done *done;
	void *ctx;
	struct milters_result result;
	bool is_discarded;
	char quarantine[300];
	char port[8];
	char id[48];		/* of the transaction, for macro i */

	/* milter_message.c */
	struct message *message;
	struct arena *arena;	/* of the slot's turn */
	struct str header;	/* fields on top, then the blob's */
	struct header_iter fields;
	bool has_headers;	/* all were told */
	bool skips_body;
	uint64_t body_at;
	struct milter_edits edits;
	bool has_too_much;	/* edits over the limits */
	bool has_data;		/* DATA was asked about */
	milters_done *message_done;
	void *message_ctx;
};

/* An answer that is the last word on an event. True: go on with the next. */
bool milters_take(struct milter_slot *slot,
    const struct milter_answer *answer);

/* The slot's filter is gone: what its settings say. True: go on without. */
bool milters_absent(struct milter_slot *slot);

/* Is the slot to be asked about the message at hand? */
bool milters_is_in(const struct milter_slot *slot);

void milters_put_macros(struct milter_slot *slot, enum milter_event event);

/* All are through, or one has refused. */
void milters_end(struct milters *milters);

#endif
