/* SPDX-License-Identifier: ISC */
#include "proto/imap_parse_int.h"

static const struct {
	struct str name;
	enum imap_notify_filter filter;
	bool has_names;
} filters[] = {
	{ { "SELECTED", 8 }, IMAP_NOTIFY_SELECTED, false },
	{ { "SELECTED-DELAYED", 16 }, IMAP_NOTIFY_SELECTED_DELAYED, false },
	{ { "INBOXES", 7 }, IMAP_NOTIFY_INBOXES, false },
	{ { "PERSONAL", 8 }, IMAP_NOTIFY_PERSONAL, false },
	{ { "SUBSCRIBED", 10 }, IMAP_NOTIFY_SUBSCRIBED, false },
	{ { "SUBTREE", 7 }, IMAP_NOTIFY_SUBTREE, true },
	{ { "MAILBOXES", 9 }, IMAP_NOTIFY_MAILBOXES, true },
};

static const struct imap_word events[] = {
	IMAP_WORD("MessageNew", IMAP_EVENT_NEW),
	IMAP_WORD("MessageExpunge", IMAP_EVENT_EXPUNGE),
	IMAP_WORD("FlagChange", IMAP_EVENT_FLAGS),
	IMAP_WORD("MailboxName", IMAP_EVENT_NAME),
	IMAP_WORD("SubscriptionChange", IMAP_EVENT_SUBSCRIPTION),
	IMAP_WORD_END,
};

static bool
is_selected(const struct imap_notify_group *group)
{
	return group->filter == IMAP_NOTIFY_SELECTED ||
	    group->filter == IMAP_NOTIFY_SELECTED_DELAYED;
}

static int
add_name(struct imap_cursor *c, struct imap_notify_group *group)
{
	struct imap_mailbox name, *place;

	if (group->n_names == IMAP_PATTERNS_MAX)
		return ic_fail_code(c, ERR_LIMIT, "Too many mailboxes");
	if (ic_mailbox(c, &name) != 0)
		return ERR_SYNTAX;
	place = ic_push(c, &group->names, &group->n_names, sizeof(name));
	*place = name;
	return 0;
}

/* RFC 5465 section 8: one-or-more-mailbox */
static int
names(struct imap_cursor *c, struct imap_notify_group *group)
{
	int ret;

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	if (!ic_accept(c, '('))
		return add_name(c, group);
	do {
		ret = add_name(c, group);
	} while (ret == 0 && ic_accept(c, ' '));
	return ret != 0 ? ret : ic_expect(c, ')', "Mailboxes not closed");
}

static int
filter(struct imap_cursor *c, struct imap_notify_group *group)
{
	struct str name = ic_name(c);
	size_t i;

	for (i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		if (str_eq_nocase(name, filters[i].name)) {
			group->filter = filters[i].filter;
			return filters[i].has_names ? names(c, group) : 0;
		}
	return ic_fail(c, "Unknown mailbox filter");
}

/* MessageNew [SP "(" fetch-att *(SP fetch-att) ")"]: kept as written. */
static int
new_items(struct imap_cursor *c, struct imap_notify_group *group)
{
	struct imap_fetch fetch = { .items = 0 };
	size_t from;
	int ret;

	if (!str_begins(str_sub(c->text, c->at, 2), STR(" (")))
		return 0;
	if (!is_selected(group))
		return ic_fail(c, "Items are for the selected mailbox");
	from = ++c->at;
	ret = ic_fetch_items(c, &fetch);
	group->items = str_sub(c->text, from, c->at - from);
	return ret;
}

static int
event(struct imap_cursor *c, struct imap_notify_group *group)
{
	struct str name = ic_name(c);
	unsigned bit = ic_word_bit(events, name);

	if (name.len == 0)
		return ic_fail(c, "Event expected");
	/* RFC 5465 section 5: BADEVENT, not BAD. */
	group->events |= bit != 0 ? bit : IMAP_EVENT_UNKNOWN;
	return bit == IMAP_EVENT_NEW ? new_items(c, group) : 0;
}

/* RFC 5465 section 5: what must come together. */
static int
check(struct imap_cursor *c, const struct imap_notify_group *group)
{
	const unsigned both = IMAP_EVENT_NEW | IMAP_EVENT_EXPUNGE;

	if ((group->events & both) != 0 && (group->events & both) != both)
		return ic_fail(c, "MessageNew needs MessageExpunge");
	if ((group->events & IMAP_EVENT_FLAGS) != 0 &&
	    (group->events & both) != both)
		return ic_fail(c, "FlagChange needs MessageNew");
	if (is_selected(group) && (group->events & (IMAP_EVENT_NAME |
	    IMAP_EVENT_SUBSCRIPTION)) != 0)
		return ic_fail(c, "Not an event of the selected mailbox");
	return 0;
}

static int
group_events(struct imap_cursor *c, struct imap_notify_group *group)
{
	int ret;

	if (!ic_accept(c, '('))
		return str_eq_nocase(ic_name(c), STR("NONE")) ? 0 :
		    ic_fail(c, "Events expected");
	do {
		ret = event(c, group);
	} while (ret == 0 && ic_accept(c, ' '));
	if (ret != 0)
		return ret;
	ret = ic_expect(c, ')', "Events not closed");
	return ret != 0 ? ret : check(c, group);
}

static int
add_group(struct imap_cursor *c, struct imap_notify *notify)
{
	struct imap_notify_group group = { .events = 0 }, *place;

	if (notify->n_groups == IMAP_PATTERNS_MAX)
		return ic_fail_code(c, ERR_LIMIT, "Too many event groups");
	if (ic_expect(c, '(', "Event group expected") != 0 ||
	    filter(c, &group) != 0 || ic_space(c) != 0 ||
	    group_events(c, &group) != 0 ||
	    ic_expect(c, ')', "Event group not closed") != 0)
		return ERR_SYNTAX;
	place = ic_push(c, &notify->groups, &notify->n_groups,
	    sizeof(group));
	*place = group;
	return 0;
}

/* RFC 5465 section 8: notify */
int
ic_parse_notify(struct imap_cursor *c, struct imap_command *cmd)
{
	const struct str status = STR(" STATUS ");
	struct imap_notify *notify = &cmd->u.notify;
	struct str name;
	int ret;

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	name = ic_name(c);
	if (str_eq_nocase(name, STR("NONE")))
		return 0;
	if (!str_eq_nocase(name, STR("SET")))
		return ic_fail(c, "SET or NONE expected");
	notify->has_status = str_begins_nocase(str_sub(c->text, c->at,
	    status.len), status);
	if (notify->has_status)
		c->at += status.len - 1;
	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	do {
		ret = add_group(c, notify);
	} while (ret == 0 && ic_accept(c, ' '));
	return ret;
}
