/* SPDX-License-Identifier: ISC */
/*
 * message_int: one message, for the files it is spread over: message.c (its
 * octets), judge.c (what filterd says of it), replace.c (infected parts go),
 * submit.c (on to the queue).
 */
#ifndef INGRESS_MESSAGE_INT_H
#define INGRESS_MESSAGE_INT_H

#include "filter/verdict.h"
#include "mail/hygiene.h"
#include "mail/scan.h"
#include "proto/smtp_chunk.h"
#include "proto/smtp_data.h"
#include "smtpd/ingress/message.h"

/* A blob of blobd's that no one can write any more, and what it is made of. */
struct sealed {
	uint64_t handle;	/* 0: none */
	int fd;			/* for reading; -1: none */
	uint64_t octets;
	unsigned char sha256[32];
	struct scan *scan;	/* NULL: none */
	const struct mail_summary *summary;	/* NULL: not asked for yet */
};

struct message {
	struct session *session;
	bool is_chunked;
	struct smtp_data data;		/* DATA */
	struct smtp_chunk chunk;	/* BDAT */
	struct hygiene *hygiene;
	struct buf out;			/* on its way to the file */
	int write_fd;
	struct sealed sealed;	/* scanned while it is written */
	struct sealed original;	/* of which infected parts were taken out */
	struct verdict *judged;		/* the first verdict on the original */
	const struct verdict *known;	/* the last verdict; NULL: none */
	bool is_edited;		/* inside, by a mail filter */
	uint64_t stage_ms;		/* when the stage under way began */
	struct str verdict;	/* as filterd said it; empty: nothing */
	struct str front;	/* fields that mail filters put on top */
	struct str fields;	/* header fields from it */
	uint64_t started_ms;
	bool is_open;			/* data is awaited */
	/* The first thing that went wrong; code 0: nothing yet. */
	unsigned code;
	const char *enhanced;
	const char *text;
};

/* The link to a server. */
struct ipc_link *message_link(const struct message *message,
    const char *server);

/* Answer the client; the message is gone afterwards. */
void message_answer(struct message *message, unsigned code,
    const char *enhanced, const char *text);

/* A call came back. False: the client is gone, and the message with it. */
bool message_answered(struct message *message);

/* rewrite.c: blobd may forget it. */
void sealed_drop(const struct message *message, struct sealed *sealed);

/* rewrite.c: what it is made of. It is wholly written. */
const struct mail_summary *sealed_summary(struct sealed *sealed);

/* judge.c: the blob is sealed; goes on with message_filter(), or answers. */
void message_judge(struct message *message);

/* judge.c: infected parts are out of it, or cannot be: what is to be done
 * with what it is now? */
void message_judge_again(struct message *message);

/* judge.c: a mail filter has edited it: is it still harmless? Goes on with
 * message_submit(), or answers. */
void message_judge_edited(struct message *message);

/* replace.c: notices in place of the parts that message->judged names; then
 * message_judge_again(). */
void message_replace(struct message *message);

/* submit.c: it may go on: before the mail filters, then to the queue. */
void message_filter(struct message *message);

/* submit.c: hand it to the queue and answer. */
void message_submit(struct message *message);

#endif
