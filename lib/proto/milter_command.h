/* SPDX-License-Identifier: ISC */
/*
 * milter_command: the other side of proto/milter.h: what an MTA tells a filter,
 * and what the filter answers. The MTA is as hostile as its clients: what it
 * hands on of them is bounded, and on one line where it should be.
 *
 * Lifetime.   Values. Views in commands look into the frame.
 * Units.      Octets.
 * Errors.     ERR_SYNTAX: the conversation is over.
 * Blocking.   Never.
 * Source.     As proto/milter.h.
 */
#ifndef PROTO_MILTER_COMMAND_H
#define PROTO_MILTER_COMMAND_H

#include "proto/milter.h"

#define MILTER_PATH_MAX 4096U

enum milter_command_kind {
	MILTER_C_EVENT,		/* event says which */
	MILTER_C_NEGOTIATE,
	MILTER_C_MACROS,
	MILTER_C_ABORT,
	MILTER_C_QUIT,
	MILTER_C_QUIT_NC,
};

struct milter_command {
	enum milter_command_kind kind;
	enum milter_event event;
	struct milter_options offered;	/* NEGOTIATE */
	struct str rest;		/* MACROS: milter_macro_next() */
	struct str name;		/* host name, HELO name, of a field */
	struct str value;		/* of a field: lines with LF or CRLF */
	struct str path;		/* MAIL, RCPT: "<a@b>" */
	enum milter_family family;	/* CONNECT */
	struct str address;
	struct str text;		/* BODY, and what comes with EOB */
};

int milter_command_read(const struct milter_frame *frame,
    struct milter_command *command_r, struct err *err);

/* The next macro of MACROS; false at the end, or where they are malformed. */
bool milter_macro_next(struct str *rest, struct milter_macro *macro_r);

/* ---- answers ---- */

/* Without symbol lists. */
void milter_put_negotiated(struct buf *out,
    const struct milter_options *agreed);

/* CONTINUE, ACCEPT, TEMPFAIL, REJECT, DISCARD, PROGRESS. */
void milter_put_answer(struct buf *out, enum milter_answer_kind kind);

/* "550 5.7.1 text": one line, percent signs doubled. */
void milter_put_reply(struct buf *out, unsigned code, struct str enhanced,
    struct str text);

/* value as it stands after the colon, with CRLF where it is folded. */
void milter_put_insheader(struct buf *out,
    const struct milter_options *agreed, uint32_t index, struct str name,
    struct str value);

/* Delete the index-th field of the name, counted from 1. */
void milter_put_delheader(struct buf *out, uint32_t index, struct str name);
void milter_put_quarantine(struct buf *out, struct str reason);

#endif
