/* SPDX-License-Identifier: ISC */
#include "proto/imap_parse_int.h"

/* RFC 5464 section 3.2: entry names have levels, no wildcards, and belong to
 * one user or to all. */
static bool
is_entry(struct str name)
{
	size_t i;

	if (!str_begins_nocase(name, STR("/private/")) &&
	    !str_begins_nocase(name, STR("/shared/")))
		return false;
	for (i = 0; i < name.len; i++)
		if (name.p[i] <= ' ' || name.p[i] == 0x7f ||
		    name.p[i] == '*' || name.p[i] == '%' ||
		    (name.p[i] == '/' && (i + 1 == name.len ||
		    name.p[i + 1] == '/')))
			return false;
	return name.len <= IMAP_ENTRY_OCTETS_MAX;
}

/* Entry names are compared without case: kept in lower case. */
static int
entry_name(struct imap_cursor *c, struct str *name_r)
{
	char *lower;
	size_t i;
	int ret = ic_astring(c, name_r);

	if (ret != 0)
		return ret;
	if (!is_entry(*name_r))
		return ic_fail(c, "Invalid entry name");
	lower = arena_alloc(c->arena, name_r->len + 1);
	for (i = 0; i < name_r->len; i++)
		lower[i] = ascii_lower(name_r->p[i]);
	*name_r = str_make(lower, name_r->len);
	return 0;
}

static int
add_entry(struct imap_cursor *c, struct imap_metadata *metadata, bool is_set)
{
	struct imap_entry entry = { .value = STR_NONE }, *place;

	if (metadata->n_entries == IMAP_ENTRIES_MAX)
		return ic_fail_code(c, ERR_LIMIT, "Too many entries");
	if (entry_name(c, &entry.name) != 0)
		return ERR_SYNTAX;
	if (is_set) {
		if (ic_space(c) != 0)
			return ERR_SYNTAX;
		/* RFC 5464 section 5: value: nstring / literal8 */
		(void)ic_accept(c, '~');
		if (ic_nstring(c, &entry.value) != 0)
			return ERR_SYNTAX;
	}
	place = ic_push(c, &metadata->entries, &metadata->n_entries,
	    sizeof(entry));
	*place = entry;
	return 0;
}

static int
entry_list(struct imap_cursor *c, struct imap_metadata *metadata, bool is_set)
{
	int ret;

	if (ic_expect(c, '(', "Entries expected") != 0)
		return ERR_SYNTAX;
	do {
		ret = add_entry(c, metadata, is_set);
	} while (ret == 0 && ic_accept(c, ' '));
	return ret != 0 ? ret : ic_expect(c, ')', "Entries not closed");
}

static int
depth(struct imap_cursor *c, struct imap_metadata *metadata)
{
	struct str word = ic_name(c);

	if (str_eq_nocase(word, STR("infinity")))
		metadata->depth = IMAP_DEPTH_ALL;
	else if (str_eq(word, STR("1")))
		metadata->depth = IMAP_DEPTH_CHILDREN;
	else if (!str_eq(word, STR("0")))
		return ic_fail(c, "Unknown DEPTH");
	return 0;
}

static int
option(struct imap_cursor *c, struct imap_metadata *metadata)
{
	struct str name = ic_name(c);

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	if (str_eq_nocase(name, STR("DEPTH")))
		return depth(c, metadata);
	if (!str_eq_nocase(name, STR("MAXSIZE")))
		return ic_fail(c, "Unknown GETMETADATA option");
	metadata->has_maxsize = true;
	return ic_u32(c, 0, &metadata->maxsize);
}

/* "(" options ")" SP, if it stands here: entries begin with a slash. */
static int
options(struct imap_cursor *c, struct imap_metadata *metadata)
{
	struct str next = str_sub(c->text, c->at, 2);
	int ret;

	if (next.len != 2 || next.p[0] != '(' || !ascii_is_alpha(next.p[1]))
		return 0;
	c->at++;
	do {
		ret = option(c, metadata);
	} while (ret == 0 && ic_accept(c, ' '));
	if (ret != 0)
		return ret;
	if (ic_expect(c, ')', "Options not closed") != 0)
		return ERR_SYNTAX;
	return ic_space(c);
}

/* RFC 5464 section 4.2. Its examples have the options before the mailbox, and
 * clients also put them behind it. */
int
ic_parse_getmetadata(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_metadata *metadata = &cmd->u.metadata;

	if (ic_space(c) != 0 || options(c, metadata) != 0 ||
	    ic_mailbox(c, &metadata->mailbox) != 0 || ic_space(c) != 0 ||
	    options(c, metadata) != 0)
		return ERR_SYNTAX;
	return ic_peek(c) == '(' ? entry_list(c, metadata, false) :
	    add_entry(c, metadata, false);
}

/* RFC 5464 section 4.3 */
int
ic_parse_setmetadata(struct imap_cursor *c, struct imap_command *cmd)
{
	if (ic_space(c) != 0 || ic_mailbox(c, &cmd->u.metadata.mailbox) != 0 ||
	    ic_space(c) != 0)
		return ERR_SYNTAX;
	return entry_list(c, &cmd->u.metadata, true);
}
