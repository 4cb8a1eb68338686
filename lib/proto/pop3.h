/* SPDX-License-Identifier: ISC */
/*
 * pop3: command lines to structs, answers to octets, and the octets of a
 * message to what RETR and TOP send.
 *
 * Lifetime.   Views live as long as the line. dotstuff_init() ->
 *             dotstuff_add()* -> dotstuff_end().
 * Ownership.  Nothing is allocated but by the caller's buf.
 * Units.      Octets; lines come without CRLF (proto/line.h).
 * Errors.     ERR_SYNTAX with a constant text for "-ERR".
 * Blocking.   Never.
 * Process.    pop3d front and engine; relay for dotstuff.
 * RFC.        RFC 1939, RFC 2449, RFC 2595, RFC 3206, RFC 5034, RFC 6856.
 */
#ifndef PROTO_POP3_H
#define PROTO_POP3_H

#include "base/buf.h"

#define POP3_LINE_MAX 2048
#define POP3_AUTH_LINE_MAX 12288

enum pop3_verb {
	POP3_APOP, POP3_AUTH, POP3_CAPA, POP3_DELE, POP3_LANG, POP3_LIST,
	POP3_NOOP, POP3_PASS, POP3_QUIT, POP3_RETR, POP3_RSET, POP3_STAT,
	POP3_STLS, POP3_TOP, POP3_UIDL, POP3_USER, POP3_UTF8,
	POP3_VERB_COUNT
};

/* Where a command is legal. */
enum pop3_state {
	POP3_AUTHORIZATION = 1,
	POP3_TRANSACTION = 2,
};

struct pop3_command {
	enum pop3_verb verb;
	unsigned legal;		/* enum pop3_state bits */
	struct str arg;		/* USER, PASS, LANG; AUTH: the mechanism */
	bool has_initial;
	struct str initial;	/* AUTH: base64 or "=" */
	bool has_number;	/* LIST, UIDL may come without */
	uint32_t number;	/* message number, from 1 */
	uint32_t lines;		/* TOP */
};

/* Parse a line; *problem_r is a constant text for the peer. */
int pop3_parse(struct str line, struct pop3_command *cmd_r,
    const char **problem_r);

/* "RETR"; never NULL. */
const char *pop3_verb_name(enum pop3_verb verb);

/* Languages of the texts behind +OK and -ERR (RFC 6856 section 3). */
enum pop3_lang { POP3_EN, POP3_JA, POP3_LANGS };

/* "ja", "ja-JP", "*" (the default); POP3_LANGS: not one of ours. */
enum pop3_lang pop3_lang_of(struct str tag);

/* "ja" */
const char *pop3_lang_tag(enum pop3_lang lang);

/* The multi-line answer to LANG without an argument, its first line too. */
void pop3_put_langs(struct buf *out, enum pop3_lang lang);

/* text in a language, as far as it is one of our own sentences. */
const char *pop3_text(enum pop3_lang lang, const char *text);

/* "+OK text CRLF"; a control character becomes "?". */
void pop3_put_ok(struct buf *out, struct str text);

/* "-ERR [CODE] text CRLF"; code ("IN-USE", "AUTH", "SYS/TEMP") or NULL. */
void pop3_put_err(struct buf *out, const char *code, struct str text);

/* The capabilities that do not depend on the state, and the end of the answer
 * (RFC 2449 section 6). expire_days UINT64_MAX: never. */
void pop3_put_capabilities(struct buf *out, uint64_t login_delay_s,
    uint64_t expire_days);

/* What a front tells its engine before the client's octets: the language it
 * has chosen. Never a client's line: it begins with an octet none may send. */
void pop3_put_hello(struct buf *out, enum pop3_lang lang);
bool pop3_take_hello(struct str line, enum pop3_lang *lang_r);

/*
 * A message on its way into a multi-line answer (or into SMTP DATA): a dot at
 * the start of a line is doubled, and every line end becomes CRLF, be it a
 * bare LF or a bare CR, so that no reader's idea of a line can find a lone
 * dot in it.
 */
struct dotstuff {
	unsigned char state;	/* private */
};

void dotstuff_init(struct dotstuff *dotstuff);

/*
 * Append in, stuffed; at most 3 times as long. A message without a bare CR
 * or LF keeps its octets. The caller bounds out by feeding pieces and looking
 * at buf_failed().
 */
void dotstuff_add(struct dotstuff *dotstuff, struct str in, struct buf *out);

/* End the last line if it has no line end, then "." CRLF. */
void dotstuff_end(struct dotstuff *dotstuff, struct buf *out);

/* TOP: lets through the header, the empty line and n lines of the body. */
struct pop3_top {
	uint32_t lines_left;
	bool is_body;
	unsigned char seen;	/* private: of the line so far */
	bool is_done;
};

void pop3_top_init(struct pop3_top *top, uint32_t lines);

/* How many octets of in to pass on; fewer than all: is_done is set. */
size_t pop3_top_take(struct pop3_top *top, struct str in);

#endif
