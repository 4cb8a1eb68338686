/* SPDX-License-Identifier: ISC */
/*
 * search_result: the messages a search has found, and how they are told.
 *
 * Found numbers come in rising order and are kept as ranges, so that a
 * mailbox of 50,000 matches takes one.
 *
 * Lifetime.   result_init() -> result_add()* -> result_put(), result_save()
 *             -> result_fini().
 * Units.      Message numbers; UIDs only when written.
 * RFC.        RFC 4731 (ESEARCH), RFC 5267 (ESORT), RFC 5182 ("$"), RFC 7162 section 3.1.5
 *             (MODSEQ), RFC 9394 (PARTIAL).
 */
#ifndef IMAPD_SEARCH_RESULT_H
#define IMAPD_SEARCH_RESULT_H

#include "imapd/engine/view.h"

struct search_result {
	struct imap_range *ranges;
	size_t n_ranges;
	size_t cap;
	uint64_t count;
	uint64_t modseq;	/* the highest of all */
	uint64_t first_modseq;
	uint64_t last_modseq;
};

void result_init(struct search_result *result);
void result_fini(struct search_result *result);
void result_add(struct search_result *result, uint32_t number,
    uint64_t modseq);

/* How a result is asked for. */
struct result_form {
	struct str tag;
	bool is_uid;
	bool has_modseq;
	unsigned returns;		/* enum imap_search_return */
	struct imap_partial partial;
	const uint32_t *numbers;	/* SORT: in this order; else NULL */
	size_t count;
};

/* Is one message enough? */
bool result_is_enough(const struct search_result *result, unsigned returns);

/* "* ESEARCH (TAG "a") UID MIN 1 ALL 1:3" CRLF */
void result_put(struct buf *out, const struct search_result *result,
    const struct imap_view *view, const struct result_form *form);

/* Keep it as "$". */
void result_save(const struct search_result *result, struct imap_view *view,
    unsigned returns);

#endif
