/* SPDX-License-Identifier: ISC */
/*
 * address: mailboxes. Two grammars: the strict one of the SMTP envelope
 * (RFC 5321) and the tolerant one of header fields (RFC 5322).
 *
 * Lifetime.   Values.
 * Ownership.  Results are views into the input or live in the arena given.
 * Units.      Octets. Limits of RFC 5321 section 4.5.3.1: local part 64,
 *             domain 255, mailbox 254. Header lists: 1,000 entries.
 * Errors.     Strict: ERR_SYNTAX, ERR_LIMIT. The header parser never fails:
 *             it takes what it can and sets is_odd.
 * Blocking.   Never. Time is linear in the input.
 * RFC.        5321 section 4.1.2, 4.1.3; 5322 section 3.4, 4.4; 6531; 6532.
 */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include "base/arena.h"
#include "base/buf.h"

#define ADDRESS_LOCAL_MAX 64U
#define ADDRESS_DOMAIN_MAX 255U
#define ADDRESS_MAX 254U
#define ADDRESS_LIST_MAX 1000U

/* A mailbox of the envelope, in canonical form. */
struct address {
	struct str local;	/* quotes and backslashes removed, case kept */
	struct str domain;	/* lower case, A-labels; with brackets when a
				   literal; empty for <> and <postmaster> */
	bool is_literal;	/* [192.0.2.1], [IPv6:...] */
	bool is_null;		/* <> */
	bool has_8bit;		/* needs SMTPUTF8 in its local part or as it
				   was written */
};

#define ADDRESS_UTF8 0x1u	/* allow UTF-8 (SMTPUTF8 was given) */
#define ADDRESS_NULL 0x2u	/* allow <> (MAIL FROM) */
#define ADDRESS_BARE_LOCAL 0x4u	/* allow <postmaster> (RCPT TO) */
#define ADDRESS_DOTS 0x8u	/* allow a..b@ and a.@, which Japanese mobile
				   carriers gave out; written quoted */

/*
 * A path in its angle brackets, all of text. A source route is accepted and
 * dropped.
 */
int address_parse_path(struct arena *arena, struct str text, unsigned flags,
    struct address *address_r, struct err *err);

/* The same without brackets: local@domain, all of text. */
int address_parse(struct arena *arena, struct str text, unsigned flags,
    struct address *address_r, struct err *err);

/* Domain alone: lower case, UTF-8 to A-labels. ERR_SYNTAX, ERR_LIMIT. */
int address_domain(struct arena *arena, struct str text, unsigned flags,
    struct str *domain_r, struct err *err);

/* Append local@domain, the local part quoted when it must be. */
void address_put(struct buf *buf, const struct address *address);

/* Append a local part, quoted when it must be. */
void address_put_local(struct buf *buf, struct str local);

/* The local part without its +tag; *tag_r is what follows the plus (p NULL
 * without one). A leading plus is no separator. */
struct str address_split_tag(struct str local, struct str *tag_r);

/* Same mailbox: domains are equal, local parts equal but for ASCII case. */
bool address_eq(const struct address *a, const struct address *b);

enum mailbox_kind {
	MAILBOX_ADDRESS,
	MAILBOX_GROUP_BEGIN,	/* name is the group's */
	MAILBOX_GROUP_END,
};

/* An entry of a header field. */
struct mailbox {
	enum mailbox_kind kind;
	struct str name;	/* phrase, or comment after the address; raw:
				   encoded words are not decoded; p NULL */
	struct str route;	/* obsolete source route, p NULL */
	struct str local;	/* unquoted */
	struct str domain;	/* as written; p NULL when there is none */
};

struct mailbox_list {
	struct mailbox *v;
	size_t count;
	bool is_cut;		/* over 1,000 entries */
	bool is_odd;		/* not what RFC 5322 section 3.4 writes:
				   parsers could disagree about it */
};

/* The entries of a From, To, ... value, which may be folded. */
void mailbox_list_parse(struct arena *arena, struct str value,
    struct mailbox_list *list_r);

/*
 * The mailboxes a From: (or Sender:) means to every reader. values are all
 * fields of that name. ERR_SYNTAX when a reader could see another address:
 * no field or more than one, an empty list, a group, anything odd, a mailbox
 * that is no RFC 5321 mailbox. *addresses_r has *count_r entries, canonical.
 */
int address_from(struct arena *arena, const struct str *values,
    size_t value_count, struct address **addresses_r, size_t *count_r,
    struct err *err);

/* Append text as a quoted-string; CR, LF and NUL become blanks. */
void mailbox_put_quoted(struct buf *buf, struct str text);

#endif
