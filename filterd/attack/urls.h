/* SPDX-License-Identifier: ISC */
/*
 * urls: where the links of a message lead, read as browsers read them: blanks
 * inside go away, \ is /, the host is percent-decoded, in A-labels, and a
 * number in any notation is an address.
 *
 * Lifetime.   url_list_new() -> urls_of_*()*, url_list_add()* ->
 *             url_list_free().
 * Ownership.  The list copies what it keeps.
 * Units.      Octets. URLS_MAX links are kept, URLS_TRIES_MAX are looked at.
 * Errors.     None: what is no link is passed over.
 * Blocking.   Never. Time is linear in the input.
 * Process.    scan worker.
 */
#ifndef ATTACK_URLS_H
#define ATTACK_URLS_H

#include "base/str.h"

#define URLS_MAX 256U
#define URLS_TRIES_MAX 20000U
#define URL_KEPT_MAX 512U	/* octets of the link itself */
#define URL_READ_MAX 8192U

#define URL_HAS_USERINFO 0x01u	/* name@host, with something that looks like
				   a host before the at sign */
#define URL_IS_ADDRESS 0x02u
#define URL_IS_ODD_ADDRESS 0x04u	/* not four plain numbers */
#define URL_RUNS 0x08u		/* its scheme starts something */
#define URL_IS_DECEPTIVE 0x10u	/* shown is another host */
#define URL_IN_FORM 0x20u
#define URL_IS_BROKEN 0x40u	/* no host name anybody could look up */

struct url {
	struct str raw;		/* cut to URL_KEPT_MAX */
	struct str scheme;	/* lower case */
	struct str host;	/* lower case, A-labels; "" without one */
	struct str shown;	/* host that the link's text shows, or "" */
	unsigned flags;		/* URL_* */
};

struct url_list;

struct url_list *url_list_new(void);
void url_list_free(struct url_list **list);

size_t url_list_count(const struct url_list *list);
const struct url *url_list_get(const struct url_list *list, size_t i);

/* More were there than are kept. */
bool url_list_is_cut(const struct url_list *list);

/* A link alone. flags: URL_IN_FORM; shown: the text a person sees. */
void url_list_add(struct url_list *list, struct str raw, struct str shown,
    unsigned flags);

/* Text in UTF-8: what mail programs would make a link of. */
void urls_of_text(struct url_list *list, struct str text);

/* HTML in UTF-8. */
void urls_of_html(struct url_list *list, struct str html);

/* Do the two look like one owner's: equal, one below the other, or both
 * below the same name? */
bool url_host_is_related(struct str a, struct str b);

#endif
