/* SPDX-License-Identifier: ISC */
/*
 * sig_write: signature fields that we make. A field is written with nothing
 * in b=; what was written is signed, and then the signature is put in. Lines
 * are folded between tags and inside h=, where the relaxed form does not care;
 * with a space, since dkimpy looks for " i=" in ARC fields.
 *
 * The order of the tags is the alphabet's, after v=; this is also how the
 * published suite for ARC wants them.
 *
 * Lifetime.   sig_write_begin() -> sig_write_tag()*, sig_write_hole() once ->
 *             sig_write_put_unsigned() -> sig_write_end() ->
 *             sig_write_fini().
 */
#ifndef MAILAUTH_SIG_WRITE_H
#define MAILAUTH_SIG_WRITE_H

#include "mailauth/message.h"

#define SIG_WRITE_MAX (32U << 10)

struct sig_write {
	struct buf text;
	size_t hole;		/* where the signature goes */
	size_t column;
	bool has_tag;
	bool is_long;		/* values are not folded: no blank in b= or
				   h=, whose lines may then be long */
};

/* name: of the field, without the colon. */
void sig_write_begin(struct sig_write *write, const char *name, bool is_long);
void sig_write_tag(struct sig_write *write, const char *name,
    struct str value);
void sig_write_tag_u64(struct sig_write *write, const char *name,
    uint64_t value);

/* h=: may be folded at its colons. */
void sig_write_names(struct sig_write *write, struct str names);

/* bh=: the hash of the body. */
void sig_write_hash(struct sig_write *write,
    const unsigned char digest[MAILAUTH_HASH_OCTETS]);

/* b=, empty. */
void sig_write_hole(struct sig_write *write);

/* Append the field as it is signed: relaxed, without its line end. */
void sig_write_put_unsigned(const struct sig_write *write, struct buf *out);

/* Append the field with its signature. */
void sig_write_end(const struct sig_write *write, struct str signature,
    struct buf *out);

void sig_write_fini(struct sig_write *write);

/* ---- what both kinds of signatures need ---- */

/* asked, or when it is empty what ought to be signed of message; empty when
 * it has too many fields. */
struct str sig_names(const struct mailauth_message *message,
    struct str asked);

/* May it stand as d= or s=? */
bool sig_is_name(struct str s);

#endif
