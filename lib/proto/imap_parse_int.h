/* SPDX-License-Identifier: ISC */
/*
 * imap_parse_int: the words every IMAP command is made of, read from left to
 * right by a cursor. Each reader returns 0 or an error that is noted once.
 *
 * Lifetime.   One command.
 * Blocking.   Never.
 */
#ifndef PROTO_IMAP_PARSE_INT_H
#define PROTO_IMAP_PARSE_INT_H

#include "proto/imap_parse.h"

struct imap_cursor {
	struct str text;
	size_t at;
	struct arena *arena;
	struct imap_problem *problem;
	struct imap_parse_options options;
};

/* A word that stands for a bit. */
struct imap_word {
	struct str name;
	unsigned bit;
};

#define IMAP_WORD(name, bit) { { name, sizeof(name) - 1 }, bit }
#define IMAP_WORD_END { { NULL, 0 }, 0 }

/* Note the problem and return ERR_SYNTAX (or code). */
int ic_fail(struct imap_cursor *c, const char *text);
int ic_fail_code(struct imap_cursor *c, int code, const char *text);

bool ic_is_end(const struct imap_cursor *c);
char ic_peek(const struct imap_cursor *c);	/* NUL at the end */

/* Take ch if it stands here. */
bool ic_accept(struct imap_cursor *c, char ch);
int ic_expect(struct imap_cursor *c, char ch, const char *text);

/* One space, with something behind it. */
int ic_space(struct imap_cursor *c);

/* Nothing may follow. */
int ic_finish(struct imap_cursor *c);

/* RFC 3501 section 9: atom */
int ic_atom(struct imap_cursor *c, struct str *s_r);

/* Letters, digits, "." and "-": the name of an item or option. */
struct str ic_name(struct imap_cursor *c);

/* Like an atom; "%" and "*" belong to it too: list-char */
bool ic_is_atom_char(char ch);

int ic_string(struct imap_cursor *c, struct str *s_r);
int ic_astring(struct imap_cursor *c, struct str *s_r);
int ic_nstring(struct imap_cursor *c, struct str *s_r);
int ic_mailbox(struct imap_cursor *c, struct imap_mailbox *mailbox_r);
int ic_list_mailbox(struct imap_cursor *c, struct imap_mailbox *mailbox_r);
int ic_u32(struct imap_cursor *c, uint32_t min, uint32_t *n_r);
int ic_u64(struct imap_cursor *c, uint64_t *n_r);
int ic_set(struct imap_cursor *c, struct imap_set *set_r);
int ic_flag_list(struct imap_cursor *c, struct imap_flags *flags_r);
int ic_flags(struct imap_cursor *c, struct imap_flags *flags_r);
int ic_date(struct imap_cursor *c, int32_t *day_r);
int ic_partial(struct imap_cursor *c, struct imap_partial *partial_r);

/* The bit of a word, or 0. */
unsigned ic_word_bit(const struct imap_word *words, struct str name);

/* "(" word *(SP word) ")" as bits; problem when one is unknown. */
int ic_word_list(struct imap_cursor *c, const struct imap_word *words,
    const char *problem, unsigned *bits_r);

/* Room for one more element; the array moves when it grows. */
void *ic_push(struct imap_cursor *c, void *array_p, size_t *n, size_t size);

/* A mailbox name in its UTF-8 form. */
struct imap_mailbox ic_decode_mailbox(struct imap_cursor *c, struct str s);

int ic_parse_fetch(struct imap_cursor *c, struct imap_command *cmd);
int ic_parse_search(struct imap_cursor *c, struct imap_command *cmd);
int ic_parse_getmetadata(struct imap_cursor *c, struct imap_command *cmd);
int ic_parse_setmetadata(struct imap_cursor *c, struct imap_command *cmd);
int ic_parse_notify(struct imap_cursor *c, struct imap_command *cmd);

/* "(UID FLAGS)", FAST or one item. */
int ic_fetch_items(struct imap_cursor *c, struct imap_fetch *fetch);
int ic_parse_sort(struct imap_cursor *c, struct imap_command *cmd);
int ic_parse_thread(struct imap_cursor *c, struct imap_command *cmd);

/* "RETURN (...) " if it stands here. */
int ic_search_return(struct imap_cursor *c, struct imap_search *search);

/* All that is left: search-key *(SP search-key) */
int ic_search_keys(struct imap_cursor *c, struct imap_search *search);
int ic_parse_list(struct imap_cursor *c, struct imap_command *cmd);
int ic_parse_lsub(struct imap_cursor *c, struct imap_command *cmd);
int ic_parse_status(struct imap_cursor *c, struct imap_command *cmd);
int ic_parse_create(struct imap_cursor *c, struct imap_command *cmd);
int ic_status_items(struct imap_cursor *c, unsigned *items_r);

/* "dd-Mon-yyyy" with a day of one or two digits or a space before it. */
int imap_read_date(struct str s, int *year, int *month, int *day);

/* Index (0 to 11) of "Jan".."Dec" in any case, or -1. */
extern const char imap_months[12][4];

#endif
