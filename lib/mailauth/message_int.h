/* SPDX-License-Identifier: ISC */
/*
 * message_int: what the evaluations see of a message that was read: its
 * fields by name from the bottom up, its signatures, the body's hashes.
 */
#ifndef MAILAUTH_MESSAGE_INT_H
#define MAILAUTH_MESSAGE_INT_H

#include <openssl/evp.h>

#include "mail/header.h"
#include "mailauth/message.h"
#include "mailauth/sig_int.h"

#define ARC_FIELDS_MAX 150U	/* three for each of 50 sets */
#define BODY_HASHES_MAX (2 * DKIM_SIGNATURES_MAX)
#define BODY_WHOLE UINT64_MAX

struct body_hash {
	uint64_t limit;			/* BODY_WHOLE: all of it */
	EVP_MD_CTX *md;
	unsigned char digest[MAILAUTH_HASH_OCTETS];
};

struct body_stream {
	bool is_wanted;
	struct canon_body canon;
	uint64_t octets;		/* canonical ones so far */
	struct body_hash hashes[DKIM_SIGNATURES_MAX + 1];
	size_t hash_count;
};

/* A field, and the one of the same name above it. */
struct message_field {
	struct header_field field;
	size_t name;			/* number of its name */
	size_t above;			/* index, or SIZE_MAX */
};

struct mailauth_message {
	struct arena *arena;
	struct buf header;
	size_t line_at;			/* where its current line begins */
	bool has_body;			/* the empty line has come */
	bool has_ended;
	struct message_field *fields;
	size_t field_count;
	size_t *last;			/* by name: its lowest field */
	size_t name_count;
	struct table *names;		/* lower case to number + 1 */
	struct body_stream streams[2];	/* by enum canon */
	struct sig *dkim[DKIM_SIGNATURES_MAX];
	size_t dkim_count;
	size_t dkim_seen;		/* those over the limit too */
	struct sig *ams[ARC_FIELDS_MAX];
	struct sig *as[ARC_FIELDS_MAX];
	const struct header_field *aar[ARC_FIELDS_MAX];
	size_t ams_count, as_count, aar_count;
	bool has_too_many_arc;
};

/* For picking fields by h=: the next one to take of each name. */
struct message_cursor {
	size_t *next;
};

void message_cursor_init(struct message_cursor *cursor,
    const struct mailauth_message *message);
void message_cursor_fini(struct message_cursor *cursor);

/* The lowest field of that name that was not taken yet, or NULL. */
const struct header_field *message_cursor_take(struct message_cursor *cursor,
    const struct mailauth_message *message, struct str name);

/* The hash of the body in that form; NULL when nobody wanted it. */
const struct body_hash *message_body_hash(
    const struct mailauth_message *message, enum canon canon,
    uint64_t limit);

#endif
