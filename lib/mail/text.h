/* SPDX-License-Identifier: ISC */
/*
 * text: what a message says, in UTF-8, and whether it says something.
 *
 * Equal text.  text_fold() is Unicode NFKC_Casefold (width and case vanish:
 * full-width ASCII, half-width kana, ligatures), and the characters that
 * Japanese converters disagree about are one (wave dash and tilde, minus
 * signs, double bars). Search and index both use it; a needle is found when
 * its folded octets are a substring of the folded text.
 *
 * Lifetime.   mail_text_new() -> mail_text_step()* -> mail_text_free();
 *             text_search_new() -> _feed()*, _break()* -> _free().
 * Ownership.  The view's descriptor and the summary outlive a mail_text.
 * Units.      Octets; a step reads at most the octets it is given.
 * Errors.     Those of the view. Broken encodings give what can be read.
 * Blocking.   pread() in a step; a step of n octets costs time linear in n.
 * Process.    Account process, indexer.
 * RFC.        2045 section 6; 3501 section 6.4.4 (SEARCH BODY, TEXT).
 */
#ifndef MAIL_TEXT_H
#define MAIL_TEXT_H

#include "mail/view.h"

#define TEXT_NEEDLES_MAX 64U

/* Append s folded. */
void text_fold(struct buf *out, struct str s);

/* Is needle, folded before, in text? For short text such as a subject. */
bool text_contains(struct str text, struct str folded_needle);

struct text_search;

/* Search for all needles (1 to 64, UTF-8, not folded) at once. An empty
 * needle is found at once. */
struct text_search *text_search_new(const struct str *needles, size_t count);
void text_search_free(struct text_search **search);

/* The next octets of a text, in any split. */
void text_search_feed(struct text_search *search, struct str utf8);

/* The text is over: nothing matches across it. */
void text_search_break(struct text_search *search);

/* Bit i: needle i was found. Complete after text_search_break(). */
uint64_t text_search_found(const struct text_search *search);

/* All needles were found: no need to read on. */
bool text_search_is_done(const struct text_search *search);

/* Forget what was found: the next message. */
void text_search_reset(struct text_search *search);

/*
 * What to read of a message. Header: each field as "Name: decoded value".
 * Body: text leaves decoded (HTML without its tags), file names of all
 * parts, headers of messages inside.
 */
#define MAIL_TEXT_HEADER 0x1u
#define MAIL_TEXT_BODY 0x2u
#define MAIL_TEXT_FILE_NAMES 0x4u

enum mail_text_result {
	MAIL_TEXT_MORE,		/* call again */
	MAIL_TEXT_BREAK,	/* this text is over, call again */
	MAIL_TEXT_DONE,
	MAIL_TEXT_FAILED,	/* err says why */
};

struct mail_text;

struct mail_text *mail_text_new(const struct mail_view *view,
    const struct mail_summary *summary, unsigned what);
void mail_text_free(struct mail_text **text);

/* Read at most max octets more of the message and append their text. */
enum mail_text_result mail_text_step(struct mail_text *text, size_t max,
    struct buf *out, struct err *err);

/* Which part the text of the last step came from (NULL: the header). */
const struct mail_part *mail_text_part(const struct mail_text *text);

/*
 * One slice of a search: read about max octets (a header is read whole), feed
 * them. *is_done_r: all was read, or all needles are found.
 */
int mail_text_search_step(struct mail_text *text,
    struct text_search *search, size_t max, bool *is_done_r,
    struct err *err);

/*
 * The transfer encoding undone, octets as they are (BINARY, attachments).
 * encoding as in a summary; anything unknown is identity.
 */
struct transfer;

struct transfer *transfer_new(struct str encoding);
void transfer_free(struct transfer **transfer);
void transfer_feed(struct transfer *transfer, struct str in, bool is_last,
    struct buf *out);

/* Does encoding name one that we can undo (RFC 3516: UNKNOWN-CTE)? */
bool transfer_is_known(struct str encoding);

/* HTML (UTF-8) to its text: tags, comments, scripts and styles go, block
 * elements become line ends, character references are decoded. */
struct html_text;

struct html_text *html_text_new(void);
void html_text_free(struct html_text **html);
void html_text_feed(struct html_text *html, struct str in, bool is_last,
    struct buf *out);

#endif
