/* SPDX-License-Identifier: ISC */
/*
 * letter: the message of a job, and the form in which a hop can take it.
 *
 * Lifetime.   letter_new() -> letter_examine()* until done -> letter_form() ->
 *             letter_open() -> letter_read()* -> ... -> letter_free().
 * Ownership.  The letter owns its descriptor and a copy of its trace.
 * Units.      Octets; a step reads about so many.
 * Errors.     ERR_TEMP, ERR_CORRUPT when the blob cannot be read.
 * Blocking.   pread() of a local file.
 */
#ifndef RELAY_LETTER_H
#define RELAY_LETTER_H

#include "proto/smtp_answer.h"
#include "smtpd/relay/relay.h"

struct letter;

enum letter_form {
	LETTER_PLAIN,		/* as it is, by DATA */
	LETTER_BINARY,		/* as it is, by BDAT */
	LETTER_TO_7BIT,		/* recoded */
	LETTER_TO_8BIT,
};

/* flags: enum queue_flag. */
struct letter *letter_new(int fd, struct str trace, uint64_t size,
    uint64_t flags);
void letter_free(struct letter **letter);

uint64_t letter_size(const struct letter *letter);
uint64_t letter_flags(const struct letter *letter);

/* The body's octets were over 127 somewhere. */
bool letter_has_8bit(const struct letter *letter);

/*
 * Make it ready for a hop with these extensions, about max octets at a time;
 * is_utf8_needed_r: its headers need SMTPUTF8 (RFC 6531). When *is_done_r and
 * the return is 0, form_r says how to send it. ERR_DENIED: it cannot be had
 * in a form that this hop takes.
 */
int letter_prepare(struct letter *letter, unsigned extensions, size_t max,
    bool *is_done_r, enum letter_form *form_r, bool *is_utf8_needed_r,
    struct err *err);

/* What stands in front of it from now on, in every form: whole header fields,
 * copied. */
void letter_put_front(struct letter *letter, struct str front);

/* From the first octet on, in that form (of the last letter_prepare()). */
void letter_open(struct letter *letter, enum letter_form form);

/* Append about max octets. */
int letter_read(struct letter *letter, size_t max, struct buf *out,
    bool *is_end_r, struct err *err);

#endif
