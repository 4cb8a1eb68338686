/* SPDX-License-Identifier: ISC */
#include "proto/imap_parse_int.h"

static const struct imap_word status_items[] = {
	IMAP_WORD("MESSAGES", IMAP_STATUS_MESSAGES),
	IMAP_WORD("RECENT", IMAP_STATUS_RECENT),
	IMAP_WORD("UIDNEXT", IMAP_STATUS_UIDNEXT),
	IMAP_WORD("UIDVALIDITY", IMAP_STATUS_UIDVALIDITY),
	IMAP_WORD("UNSEEN", IMAP_STATUS_UNSEEN),
	IMAP_WORD("SIZE", IMAP_STATUS_SIZE),
	IMAP_WORD("DELETED", IMAP_STATUS_DELETED),
	IMAP_WORD("HIGHESTMODSEQ", IMAP_STATUS_HIGHESTMODSEQ),
	IMAP_WORD("MAILBOXID", IMAP_STATUS_MAILBOXID),
	IMAP_WORD("DELETED-STORAGE", IMAP_STATUS_DELETED_STORAGE),
	IMAP_WORD("APPENDLIMIT", IMAP_STATUS_APPENDLIMIT),
	IMAP_WORD_END,
};

static const struct imap_word selections[] = {
	IMAP_WORD("SUBSCRIBED", IMAP_LIST_SUBSCRIBED),
	IMAP_WORD("REMOTE", IMAP_LIST_REMOTE),
	IMAP_WORD("RECURSIVEMATCH", IMAP_LIST_RECURSIVEMATCH),
	IMAP_WORD("SPECIAL-USE", IMAP_LIST_SPECIAL_USE),
	IMAP_WORD_END,
};

static const struct imap_word return_options[] = {
	IMAP_WORD("SUBSCRIBED", IMAP_LIST_SUBSCRIBED),
	IMAP_WORD("CHILDREN", IMAP_LIST_CHILDREN),
	IMAP_WORD("SPECIAL-USE", IMAP_LIST_SPECIAL_USE),
	IMAP_WORD("STATUS", IMAP_LIST_STATUS),
	IMAP_WORD_END,
};

static const struct imap_word uses[] = {
	IMAP_WORD("\\All", IMAP_USE_ALL),
	IMAP_WORD("\\Archive", IMAP_USE_ARCHIVE),
	IMAP_WORD("\\Drafts", IMAP_USE_DRAFTS),
	IMAP_WORD("\\Flagged", IMAP_USE_FLAGGED),
	IMAP_WORD("\\Junk", IMAP_USE_JUNK),
	IMAP_WORD("\\Sent", IMAP_USE_SENT),
	IMAP_WORD("\\Trash", IMAP_USE_TRASH),
	IMAP_WORD_END,
};

int
ic_status_items(struct imap_cursor *c, unsigned *items_r)
{
	return ic_word_list(c, status_items, "Unknown STATUS item", items_r);
}

/* RFC 3501 section 6.3.10: STATUS */
int
ic_parse_status(struct imap_cursor *c, struct imap_command *cmd)
{
	if (ic_space(c) != 0 || ic_mailbox(c, &cmd->u.status.mailbox) != 0 ||
	    ic_space(c) != 0 ||
	    ic_status_items(c, &cmd->u.status.items) != 0)
		return ERR_SYNTAX;
	return cmd->u.status.items != 0 ? 0 :
	    ic_fail(c, "STATUS items missing");
}

/* RFC 6154 section 3: "(" use-attr *(SP use-attr) ")" */
static int
use_list(struct imap_cursor *c, unsigned *use_r)
{
	struct str name;
	size_t from;
	unsigned bit;

	if (ic_expect(c, '(', "List expected") != 0)
		return ERR_SYNTAX;
	if (ic_accept(c, ')'))
		return 0;
	do {
		from = c->at;
		if (ic_expect(c, '\\', "Invalid special use") != 0 ||
		    ic_atom(c, &name) != 0)
			return ERR_SYNTAX;
		bit = ic_word_bit(uses, str_sub(c->text, from, c->at - from));
		*use_r |= bit != 0 ? bit : IMAP_USE_UNKNOWN;
	} while (ic_accept(c, ' '));
	return ic_expect(c, ')', "List not closed");
}

/* RFC 3501 section 6.3.3: CREATE; RFC 6154 section 3: (USE (...)) */
int
ic_parse_create(struct imap_cursor *c, struct imap_command *cmd)
{
	if (ic_space(c) != 0 || ic_mailbox(c, &cmd->u.mailbox.mailbox) != 0)
		return ERR_SYNTAX;
	if (!ic_accept(c, ' ') || ic_is_end(c))
		return 0;
	if (ic_expect(c, '(', "CREATE parameter expected") != 0)
		return ERR_SYNTAX;
	if (!str_eq_nocase(ic_name(c), STR("USE")))
		return ic_fail(c, "Unknown CREATE parameter");
	if (ic_space(c) != 0 || use_list(c, &cmd->u.mailbox.use) != 0)
		return ERR_SYNTAX;
	return ic_expect(c, ')', "CREATE parameters not closed");
}

static int
add_pattern(struct imap_cursor *c, struct imap_list *list)
{
	struct imap_mailbox pattern, *place;

	if (list->n_patterns == IMAP_PATTERNS_MAX)
		return ic_fail_code(c, ERR_LIMIT, "Too many patterns");
	if (ic_list_mailbox(c, &pattern) != 0)
		return ERR_SYNTAX;
	place = ic_push(c, &list->patterns, &list->n_patterns,
	    sizeof(pattern));
	*place = pattern;
	return 0;
}

/* RFC 5258 section 6: mbox-or-pat */
static int
patterns(struct imap_cursor *c, struct imap_list *list)
{
	int ret;

	if (!ic_accept(c, '('))
		return add_pattern(c, list);
	list->is_extended = true;
	do {
		ret = add_pattern(c, list);
	} while (ret == 0 && ic_accept(c, ' '));
	return ret != 0 ? ret : ic_expect(c, ')', "Patterns not closed");
}

static int
return_option(struct imap_cursor *c, struct imap_list *list)
{
	unsigned bit = ic_word_bit(return_options, ic_name(c));

	list->returns |= bit;
	if (bit == 0)
		return ic_fail(c, "Unknown LIST return option");
	if (bit != IMAP_LIST_STATUS)
		return 0;
	/* RFC 5819 section 4: STATUS SP "(" items ")" */
	return ic_space(c) != 0 ? ERR_SYNTAX :
	    ic_status_items(c, &list->status);
}

/* RFC 5258 section 6: list-return-opts */
static int
list_return(struct imap_cursor *c, struct imap_list *list)
{
	int ret;

	if (!ic_accept(c, ' ') || ic_is_end(c))
		return 0;
	list->is_extended = true;
	if (!str_eq_nocase(ic_name(c), STR("RETURN")))
		return ic_fail(c, "RETURN expected");
	if (ic_space(c) != 0 || ic_expect(c, '(', "List expected") != 0)
		return ERR_SYNTAX;
	if (ic_accept(c, ')'))
		return 0;
	do {
		ret = return_option(c, list);
	} while (ret == 0 && ic_accept(c, ' '));
	return ret != 0 ? ret : ic_expect(c, ')', "List not closed");
}

static int
list_select(struct imap_cursor *c, struct imap_list *list)
{
	const unsigned modifier = IMAP_LIST_RECURSIVEMATCH;

	list->is_extended = true;
	if (ic_word_list(c, selections, "Unknown LIST selection option",
	    &list->select) != 0)
		return ERR_SYNTAX;
	/* RFC 5258 section 3: RECURSIVEMATCH only with another criterion. */
	if ((list->select & modifier) != 0 &&
	    (list->select & ~(modifier | IMAP_LIST_REMOTE)) == 0)
		return ic_fail(c, "RECURSIVEMATCH needs SUBSCRIBED");
	/* RFC 5258 section 3.1: selection by subscription returns it. */
	list->returns |= list->select & IMAP_LIST_SUBSCRIBED;
	return ic_space(c);
}

/* RFC 3501 section 6.3.8: LIST, with RFC 5258 and RFC 6154 */
int
ic_parse_list(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_list *list = &cmd->u.list;
	int ret;

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	if (ic_peek(c) == '(' && list_select(c, list) != 0)
		return ERR_SYNTAX;
	if (ic_mailbox(c, &list->reference) != 0 || ic_space(c) != 0)
		return ERR_SYNTAX;
	ret = patterns(c, list);
	return ret != 0 ? ret : list_return(c, list);
}

/* RFC 3501 section 6.3.9: LSUB */
int
ic_parse_lsub(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_list *list = &cmd->u.list;

	if (ic_space(c) != 0 || ic_mailbox(c, &list->reference) != 0 ||
	    ic_space(c) != 0)
		return ERR_SYNTAX;
	return add_pattern(c, list);
}
