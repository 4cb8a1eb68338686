/* SPDX-License-Identifier: ISC */
#include "proto/imap_parse_int.h"

static const struct {
	struct str name;
	enum imap_sort_by by;
} criteria[] = {
	{ { "ARRIVAL", 7 }, IMAP_SORT_ARRIVAL },
	{ { "CC", 2 }, IMAP_SORT_CC },
	{ { "DATE", 4 }, IMAP_SORT_DATE },
	{ { "DISPLAYFROM", 11 }, IMAP_SORT_DISPLAYFROM },
	{ { "DISPLAYTO", 9 }, IMAP_SORT_DISPLAYTO },
	{ { "FROM", 4 }, IMAP_SORT_FROM },
	{ { "SIZE", 4 }, IMAP_SORT_SIZE },
	{ { "SUBJECT", 7 }, IMAP_SORT_SUBJECT },
	{ { "TO", 2 }, IMAP_SORT_TO },
};

static int
sort_key(struct imap_cursor *c, struct imap_search *search)
{
	struct imap_sort_key *key;
	struct str name = ic_name(c);
	size_t i;

	if (search->n_sort == IMAP_SORT_KEYS_MAX)
		return ic_fail_code(c, ERR_LIMIT, "Too many sort keys");
	key = &search->sort[search->n_sort++];
	key->is_reverse = str_eq_nocase(name, STR("REVERSE"));
	if (key->is_reverse) {
		if (ic_space(c) != 0)
			return ERR_SYNTAX;
		name = ic_name(c);
	}
	for (i = 0; i < sizeof(criteria) / sizeof(criteria[0]); i++)
		if (str_eq_nocase(name, criteria[i].name)) {
			key->by = criteria[i].by;
			return 0;
		}
	return ic_fail(c, "Unknown sort key");
}

/* The charset is not optional here. */
static int
charset_and_keys(struct imap_cursor *c, struct imap_search *search)
{
	if (ic_space(c) != 0 || ic_astring(c, &search->charset) != 0 ||
	    ic_space(c) != 0)
		return ERR_SYNTAX;
	return ic_search_keys(c, search);
}

/* RFC 5256 section 5: sort; RFC 5267 section 3: RETURN */
int
ic_parse_sort(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_search *search = &cmd->u.search;
	int ret;

	if (ic_space(c) != 0 || ic_search_return(c, search) != 0 ||
	    ic_expect(c, '(', "Sort keys expected") != 0)
		return ERR_SYNTAX;
	if ((search->returns & IMAP_RETURN_SAVE) != 0)
		return ic_fail(c, "SAVE is for SEARCH");
	do {
		ret = sort_key(c, search);
	} while (ret == 0 && ic_accept(c, ' '));
	if (ret != 0)
		return ret;
	if (ic_expect(c, ')', "Sort keys not closed") != 0)
		return ERR_SYNTAX;
	return charset_and_keys(c, search);
}

/* RFC 5256 section 5: thread */
int
ic_parse_thread(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_search *search = &cmd->u.search;
	struct str name;

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	name = ic_name(c);
	if (str_eq_nocase(name, STR("ORDEREDSUBJECT")))
		search->thread = IMAP_THREAD_ORDEREDSUBJECT;
	else if (str_eq_nocase(name, STR("REFERENCES")))
		search->thread = IMAP_THREAD_REFERENCES;
	else
		return ic_fail(c, "Unknown threading algorithm");
	return charset_and_keys(c, search);
}
