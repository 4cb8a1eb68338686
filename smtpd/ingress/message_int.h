/* SPDX-License-Identifier: ISC */
/*
 * message_int: one message, for the files it is spread over: message.c (its
 * octets), judge.c (what filterd says of it), submit.c (on to the queue).
 */
#ifndef INGRESS_MESSAGE_INT_H
#define INGRESS_MESSAGE_INT_H

#include "filter/verdict.h"
#include "mail/hygiene.h"
#include "mail/scan.h"
#include "proto/smtp_chunk.h"
#include "proto/smtp_data.h"
#include "smtpd/ingress/message.h"

struct message {
	struct session *session;
	bool is_chunked;
	struct smtp_data data;		/* DATA */
	struct smtp_chunk chunk;	/* BDAT */
	struct hygiene *hygiene;
	struct scan *scan;
	struct buf out;			/* on its way to the file */
	int write_fd;
	uint64_t handle;
	uint64_t blob_octets;
	unsigned char sha256[32];
	int read_fd;
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

/* judge.c: the blob is sealed; goes on with message_filter(), or answers. */
void message_judge(struct message *message);

/* submit.c: it may go on: before the mail filters, then to the queue. */
void message_filter(struct message *message);

/* submit.c: hand it to the queue and answer. */
void message_submit(struct message *message);

#endif
