/* SPDX-License-Identifier: ISC */
/*
 * attack: the static look for targeted attacks, as the scan worker calls it.
 *
 *     attack_begin() once before the sandbox, with what is known of us;
 *     for each message: attack_open(), attack_look_at_message() with its
 *     header, attack_look_at_part() for each leaf with its decoded octets,
 *     attack_close(), which judges the links of all parts together.
 *     attack_is_suspicious(report) then says whether to detonate it.
 *
 * Lifetime.   attack_begin() -> (attack_open() -> attack_look_at_*()* ->
 *             attack_close())* -> attack_end().
 * Ownership.  What is given in is copied or only read; the report is the
 *             caller's.
 * Units.      Octets; of a part over ATTACK_PART_MAX its beginning is read.
 * Errors.     attack_begin(): ERR_TEMP without tables of ICU or public
 *             suffixes. Looking never fails: what cannot be read is noted.
 * Blocking.   A part's file is mapped and read. Nothing is executed, written
 *             or asked of anybody. Time is linear in the octets and bounded
 *             by the limits in filterd/attack/inspect.h.
 * Process.    scan worker.
 */
#ifndef ATTACK_ATTACK_H
#define ATTACK_ATTACK_H

#include "filterd/attack/sender.h"
#include "filter/traits.h"
#include "filterd/attack/urls.h"
#include "mail/summary.h"

#define ATTACK_PART_MAX (128ULL << 20)

struct attack;		/* what is known of us; for all messages */
struct attack_look;	/* of one message */

struct attack_part {
	int fd;			/* its octets without transfer encoding, a file
				   nobody else changes */
	size_t number;		/* in the summary */
	struct str name;	/* file name in UTF-8, decoded; "" without */
	struct str other_name;	/* when Content-Type has another than
				   Content-Disposition: programs differ in
				   which they take; "" without */
	struct str type;	/* declared, lower case; "" without */
	struct str subtype;
	struct str charset;	/* of text; "" unknown */
};

/* What a summary says of a part; names live in the arena or the summary. */
void attack_part_of(struct arena *arena, const struct mail_part *mail_part,
    size_t number, int fd, struct attack_part *part_r);

/* Nothing is known yet. */
int attack_begin(struct attack **attack_r, struct err *err);
void attack_end(struct attack **attack);

/* A domain of ours or of a partner; false when it is none or one too many.
 * owner: whose it is, as lookalike_add() has it. */
bool attack_add_domain(struct attack *attack, struct str domain,
    uint64_t owner);

/* A name that stands for us (organization, brand, person); UTF-8. */
void attack_add_name(struct attack *attack, struct str name);

/* Nothing is known any more: for a list that changed. */
void attack_forget(struct attack *attack);

struct attack_look *attack_open(struct attack *attack,
    struct attack_report *report);

/* A recipient's domain: only what its owner has, and everybody's, can be
 * pretended to be. Without one every known domain can. */
void attack_reader(struct attack_look *look, struct str domain);

/* The header block of a message from outside: whom it pretends to be from.
 * Mail of our own users is not asked. */
void attack_look_at_message(struct attack_look *look, struct str header);

/* One part; a message inside a message: its parts again, as any others. */
void attack_look_at_part(struct attack_look *look,
    const struct attack_part *part);

/* The same for octets in memory. */
void attack_look_at_octets(struct attack_look *look,
    const struct attack_part *part, struct str octets);

/* All was seen: judge the links. *look becomes NULL. */
void attack_close(struct attack_look **look);

#endif
