/* SPDX-License-Identifier: ISC */
/*
 * imap_framer: collects one IMAP command (lines and literals) from a byte
 * stream, within limits, and says when the peer waits for a continuation.
 * The message literal of APPEND is not collected but announced and passed on
 * in pieces.
 *
 * Easy case: "a1 LOGIN {5}\r\n" gives IMAP_FRAME_CONTINUE (send "+ OK\r\n");
 * "alice secret\r\n" gives IMAP_FRAME_COMMAND with the text
 * "a1 LOGIN {5}\r\nalice secret", which imap_parse() understands.
 *
 * Hard case: "a2 APPEND Sent (\Seen) {310+}\r\n..." gives IMAP_FRAME_APPEND;
 * imap_framer_text() is the command so far and imap_parse() takes it. The
 * caller answers with imap_framer_accept() (then it sends the continuation if
 * is_sync, IMAP_FRAME_DATA brings the octets, and IMAP_FRAME_COMMAND the end
 * of the line: imap_framer_tail() must be empty, else it is MULTIAPPEND or
 * an error) or with imap_framer_refuse() (after its tagged NO): then a
 * non-synchronising literal and the rest of its command are swallowed.
 *
 * IMAP_FRAME_REFUSE: send imap_framer_tag() with the refusal; the framer
 * drops what belongs to that command. IMAP_FRAME_CLOSE: the peer sends more
 * than anybody wants to swallow: send BYE, close.
 *
 * Lifetime.   imap_framer_init() -> imap_framer_next()* -> imap_framer_fini().
 * Ownership.  The framer owns the text; views live until the next
 *             imap_framer_next(). IMAP_FRAME_DATA is a view of the input.
 * Units.      Octets. limits.line_octets counts lines without literals.
 * Errors.     As events. Results do not depend on how the input is cut.
 * Blocking.   Never.
 * Process.    imapd front (before login), imapd/engine (after).
 * RFC.        RFC 3501 section 4.3, RFC 7888, RFC 3502 (the shape), RFC 3516
 *             ("~{n}").
 */
#ifndef PROTO_IMAP_FRAMER_H
#define PROTO_IMAP_FRAMER_H

#include "base/buf.h"

struct imap_limits {
	size_t line_octets;	/* all lines of one command together */
	size_t literal_octets;	/* all literals of one command together */
	uint64_t swallow_octets; /* dropped for one command before CLOSE */
	bool has_append;	/* APPEND's literal is announced */
};

/* 8 KiB, literals 8 KiB, no APPEND: before login. */
extern const struct imap_limits imap_limits_front;
/* 64 KiB, literals 128 KiB, swallows 64 MiB: after login. */
extern const struct imap_limits imap_limits_session;

enum imap_frame {
	IMAP_FRAME_MORE,	/* all input used */
	IMAP_FRAME_CONTINUE,	/* send a continuation, go on */
	IMAP_FRAME_COMMAND,	/* imap_framer_text() is a whole command */
	IMAP_FRAME_LINE,	/* after imap_framer_want_line() */
	IMAP_FRAME_APPEND,	/* a message literal: accept or refuse it */
	IMAP_FRAME_DATA,	/* *data_r are octets of that literal */
	IMAP_FRAME_REFUSE,	/* framer->refusal says why */
	IMAP_FRAME_CLOSE,	/* framer->refusal says why; nothing more comes */
};

enum imap_frame_refusal {
	IMAP_REFUSAL_NONE,
	IMAP_REFUSAL_LINE,	/* BAD Command line too long */
	IMAP_REFUSAL_LITERAL,	/* NO [TOOBIG] Literal too large */
};

struct imap_framer {
	struct imap_limits limits;
	struct buf text;
	enum imap_frame_refusal refusal;
	uint64_t append_octets;	/* IMAP_FRAME_APPEND: the literal's length */
	bool append_is_sync;	/* it waits for a continuation */
	bool append_is_binary;	/* "~{n}" */
	unsigned append_count;	/* literals announced in this command */
	/* private */
	unsigned char state;
	bool is_append;
	bool is_fresh;
	bool is_raw;
	size_t line_start;
	size_t tail_start;
	size_t line_octets;
	size_t literal_octets;
	uint64_t left;
	uint64_t swallowed;
	size_t raw_max;
};

void imap_framer_init(struct imap_framer *framer,
    const struct imap_limits *limits);
void imap_framer_fini(struct imap_framer *framer);

/* Release the collected command's memory; for parking between commands. */
void imap_framer_trim(struct imap_framer *framer);

/* True between commands: nothing of the next one has been consumed. */
bool imap_framer_is_idle(const struct imap_framer *framer);

/*
 * Consume *used_r octets of in up to the next event. Events other than MORE
 * may leave input unused: call again with the rest after acting on them.
 * CONTINUE and REFUSE can come without any octet used.
 */
enum imap_frame imap_framer_next(struct imap_framer *framer, struct str in,
    size_t *used_r, struct str *data_r);

/* The command so far, without its final line end. */
struct str imap_framer_text(const struct imap_framer *framer);

/* What followed the last message literal on its line. */
struct str imap_framer_tail(const struct imap_framer *framer);

/* The tag, when the command has begun with a valid one; else empty. */
struct str imap_framer_tag(const struct imap_framer *framer);

/* After IMAP_FRAME_APPEND. */
void imap_framer_accept(struct imap_framer *framer);
void imap_framer_refuse(struct imap_framer *framer);

/*
 * The next line is not a command (DONE, an AUTHENTICATE response): give it
 * as IMAP_FRAME_LINE. Over max_octets it is IMAP_FRAME_REFUSE. Legal when
 * imap_framer_is_idle(), as after IMAP_FRAME_COMMAND.
 */
void imap_framer_want_line(struct imap_framer *framer, size_t max_octets);

#endif
