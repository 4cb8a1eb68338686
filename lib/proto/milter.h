/* SPDX-License-Identifier: ISC */
/*
 * milter: the protocol between an MTA and a mail filter, as the MTA needs it:
 * commands are written, answers are read. The filter is hostile: every
 * length, count and string has a bound, and an answer that was not agreed on,
 * or that does not fit the command, is an error.
 *
 * A frame is its length (4 octets, network order, of what follows), a command
 * octet and data. First both sides negotiate; then the session goes on:
 *
 *     -> D C j\0mx.test\0        macros for the next command
 *     -> C client.test\0 4 ...   <- c             CONNECT, go on
 *     -> M <a@b.test>\0          <- c
 *     -> R <c@d.test>\0          <- y 550 5.1.1 no such user\0
 *     -> L, N, B                 header, its end, body
 *     -> E                       <- h X-Seen\0yes\0   edits, then
 *                                <- a                 the last word
 *
 * The hard case: a filter that agreed to an NR_ flag says nothing to that
 * command, so milter_has_answer() decides whether to wait, per command.
 *
 * Lifetime.   Values. Views in answers look into the frame.
 * Units.      Octets. Header values hold LF where a line is folded.
 * Errors.     ERR_SYNTAX: not this protocol, or not now; ERR_LIMIT: a frame
 *             over the agreed size. The conversation is over after both.
 * Blocking.   Never.
 * Source.     libmilter's protocol, versions 2 to 6.
 */
#ifndef PROTO_MILTER_H
#define PROTO_MILTER_H

#include "base/buf.h"

#define MILTER_VERSION 6U
#define MILTER_VERSION_MIN 2U

/* A field name, an address, the names of macros, a reason. */
#define MILTER_NAME_MAX 255U
#define MILTER_ADDRESS_MAX 1024U
#define MILTER_SYMBOLS_MAX 1024U
#define MILTER_REASON_MAX 1024U
#define MILTER_REPLY_MAX 16384U

/* What a filter may do to a message. */
enum milter_action {
	MILTER_A_ADDHDRS = 0x001,
	MILTER_A_CHGBODY = 0x002,
	MILTER_A_ADDRCPT = 0x004,
	MILTER_A_DELRCPT = 0x008,
	MILTER_A_CHGHDRS = 0x010,
	MILTER_A_QUARANTINE = 0x020,
	MILTER_A_CHGFROM = 0x040,
	MILTER_A_ADDRCPT_PAR = 0x080,
	MILTER_A_SETSYMLIST = 0x100,
	MILTER_A_ALL = 0x1ff,
};

/* What is not sent, what is not answered, and what else is understood. */
enum milter_protocol {
	MILTER_P_NOCONNECT = 0x000001,
	MILTER_P_NOHELO = 0x000002,
	MILTER_P_NOMAIL = 0x000004,
	MILTER_P_NORCPT = 0x000008,
	MILTER_P_NOBODY = 0x000010,
	MILTER_P_NOHDRS = 0x000020,
	MILTER_P_NOEOH = 0x000040,
	MILTER_P_NR_HDR = 0x000080,
	MILTER_P_NOUNKNOWN = 0x000100,
	MILTER_P_NODATA = 0x000200,
	MILTER_P_SKIP = 0x000400,	/* SKIP may be answered */
	MILTER_P_RCPT_REJ = 0x000800,	/* refused recipients are told too */
	MILTER_P_NR_CONN = 0x001000,
	MILTER_P_NR_HELO = 0x002000,
	MILTER_P_NR_MAIL = 0x004000,
	MILTER_P_NR_RCPT = 0x008000,
	MILTER_P_NR_DATA = 0x010000,
	MILTER_P_NR_UNKN = 0x020000,
	MILTER_P_NR_EOH = 0x040000,
	MILTER_P_NR_BODY = 0x080000,
	MILTER_P_HDR_LEADSPC = 0x100000, /* blanks after a colon are kept */
	MILTER_P_MDS_256K = 0x10000000,	/* frames up to 256 KiB, 1 MiB */
	MILTER_P_MDS_1M = 0x20000000,
	MILTER_P_ALL = 0x301fffff,
};

/* Commands that carry an event of the session. */
enum milter_event {
	MILTER_E_CONNECT,
	MILTER_E_HELO,
	MILTER_E_MAIL,
	MILTER_E_RCPT,
	MILTER_E_DATA,
	MILTER_E_HEADER,
	MILTER_E_EOH,
	MILTER_E_BODY,
	MILTER_E_EOB,
	MILTER_E_UNKNOWN,
	MILTER_EVENTS
};

/* Where a filter may choose the macros it gets (SETSYMLIST). */
enum milter_stage {
	MILTER_S_CONNECT,
	MILTER_S_HELO,
	MILTER_S_MAIL,
	MILTER_S_RCPT,
	MILTER_S_DATA,
	MILTER_S_EOB,
	MILTER_S_EOH,
	MILTER_STAGES
};

struct milter_options {
	uint32_t version;
	uint32_t actions;	/* enum milter_action */
	uint32_t protocol;	/* enum milter_protocol */
	/* Names separated by blanks; p NULL: the filter did not choose. */
	struct str symbols[MILTER_STAGES];
};

struct milter_macro {
	struct str name;	/* "j", "{auth_authen}" */
	struct str value;
};

/* ---- frames ---- */

enum milter_result { MILTER_MORE, MILTER_FRAME, MILTER_BAD };

struct milter_frame {
	char command;
	struct str data;
};

/* The largest data of a frame; agreed NULL: before the negotiation. */
size_t milter_data_max(const struct milter_options *agreed);

/*
 * The first frame of in. MILTER_FRAME: *used_r octets are done with, the frame
 * is a view of them. MILTER_BAD: an empty frame, or one over max.
 */
enum milter_result milter_frame_next(struct str in, size_t data_max,
    struct milter_frame *frame_r, size_t *used_r);

/* ---- negotiation ---- */

void milter_put_negotiate(struct buf *out,
    const struct milter_options *offered);

/* The filter's answer: within what was offered, or it is an error. */
int milter_negotiated(const struct milter_frame *frame,
    const struct milter_options *offered, struct milter_options *agreed_r,
    struct err *err);

/* Does the filter want this event? Does it answer it? */
bool milter_wants(const struct milter_options *agreed,
    enum milter_event event);
bool milter_has_answer(const struct milter_options *agreed,
    enum milter_event event);

/* ---- commands ---- */

enum milter_family {
	MILTER_F_UNKNOWN = 'U',
	MILTER_F_UNIX = 'L',
	MILTER_F_INET = '4',
	MILTER_F_INET6 = '6',
};

/* A text with a NUL is cut there, and line ends in it become blanks. */
void milter_put_macros(struct buf *out, enum milter_event event,
    const struct milter_macro *macros, size_t macros_len);
void milter_put_connect(struct buf *out, struct str hostname,
    enum milter_family family, uint16_t port, struct str address);
void milter_put_helo(struct buf *out, struct str name);
/* MAIL and RCPT: "<a@b>" and the ESMTP parameters. */
void milter_put_envelope(struct buf *out, enum milter_event event,
    struct str path, const struct str *params, size_t params_len);
void milter_put_data(struct buf *out);
/* value: as it stands after the colon, folded lines with CRLF or LF. */
void milter_put_header(struct buf *out, const struct milter_options *agreed,
    struct str name, struct str value);
void milter_put_eoh(struct buf *out);
/* At most milter_data_max() octets. */
void milter_put_body(struct buf *out, struct str chunk);
void milter_put_eob(struct buf *out);
void milter_put_unknown(struct buf *out, struct str line);
/* Forget the message; end the connection; end the session but not the
 * connection. */
void milter_put_abort(struct buf *out);
void milter_put_quit(struct buf *out);
void milter_put_quit_nc(struct buf *out);

/* ---- answers ---- */

enum milter_answer_kind {
	/* The last word on a command. */
	MILTER_CONTINUE,
	MILTER_ACCEPT,
	MILTER_REJECT,
	MILTER_TEMPFAIL,
	MILTER_DISCARD,
	MILTER_SKIP,		/* go on, without more of this kind */
	MILTER_REPLYCODE,	/* code and text */
	MILTER_CONN_FAIL,
	MILTER_SHUTDOWN,	/* 421 */
	/* Another one follows. */
	MILTER_PROGRESS,
	MILTER_ADDHEADER,	/* name and value */
	MILTER_INSHEADER,	/* index, name, value */
	MILTER_CHGHEADER,	/* index, name, value; empty: delete */
	MILTER_CHGFROM,		/* address and params */
	MILTER_ADDRCPT,		/* address */
	MILTER_ADDRCPT_PAR,	/* address and params */
	MILTER_DELRCPT,		/* address */
	MILTER_REPLBODY,	/* text: a piece of the new body */
	MILTER_QUARANTINE,	/* text: why */
};

struct milter_answer {
	enum milter_answer_kind kind;
	uint32_t index;
	struct str name;	/* of a field: RFC 5322 section 3.6.8 */
	struct str value;	/* of a field: folded lines begin with blanks */
	struct str address;	/* one line */
	struct str params;	/* one line, may be empty */
	struct str text;
	unsigned code;		/* 400 to 599 */
};

/* True for what ends the filter's answer to a command. */
bool milter_is_last(enum milter_answer_kind kind);

/* Read an answer to event. */
int milter_answer_read(const struct milter_frame *frame,
    const struct milter_options *agreed, enum milter_event event,
    struct milter_answer *answer_r, struct err *err);

/*
 * The text of a REPLYCODE without code and enhanced code, in one line, and
 * the enhanced code ("5.7.1"; made up from the code when there is none).
 */
struct milter_reply {
	unsigned code;
	char enhanced[12];
	char text[512];
};
int milter_reply_read(const struct milter_answer *answer,
    struct milter_reply *reply_r, struct err *err);

/* Write an answer's field as it stands in a message: CRLF ends its lines, and
 * a blank follows the colon unless blanks are the filter's own business. */
void milter_put_field(struct buf *out, const struct milter_options *agreed,
    struct str name, struct str value);

#endif
