/* SPDX-License-Identifier: ISC */
#include "proto/imap_parse_int.h"

static int
ic_parse_none(struct imap_cursor *c, struct imap_command *cmd)
{
	(void)c;
	(void)cmd;
	return 0;
}

/* RFC 3501 section 6.2.3: LOGIN */
static int
ic_parse_login(struct imap_cursor *c, struct imap_command *cmd)
{
	if (ic_space(c) != 0 || ic_astring(c, &cmd->u.login.user) != 0 ||
	    ic_space(c) != 0)
		return ERR_SYNTAX;
	return ic_astring(c, &cmd->u.login.password);
}

/* RFC 3501 section 6.2.2: AUTHENTICATE; RFC 4959 section 3 */
static int
ic_parse_authenticate(struct imap_cursor *c, struct imap_command *cmd)
{
	if (ic_space(c) != 0 ||
	    ic_atom(c, &cmd->u.authenticate.mechanism) != 0)
		return ERR_SYNTAX;
	if (ic_is_end(c))
		return 0;
	cmd->u.authenticate.has_initial = true;
	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	return ic_atom(c, &cmd->u.authenticate.initial);
}

static int
id_pairs(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_id_pair *pair;

	do {
		if (cmd->u.id.n_pairs == IMAP_ID_PAIRS_MAX)
			return ic_fail_code(c, ERR_LIMIT, "Too many ID pairs");
		pair = ic_push(c, &cmd->u.id.pairs, &cmd->u.id.n_pairs,
		    sizeof(*pair));
		if (ic_string(c, &pair->name) != 0 || ic_space(c) != 0 ||
		    ic_nstring(c, &pair->value) != 0)
			return ERR_SYNTAX;
	} while (ic_accept(c, ' '));
	return ic_expect(c, ')', "ID list not closed");
}

/* RFC 2971 section 3.1: ID */
static int
ic_parse_id(struct imap_cursor *c, struct imap_command *cmd)
{
	struct str nil;

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	if (!ic_accept(c, '('))
		return ic_nstring(c, &nil);
	return ic_accept(c, ')') ? 0 : id_pairs(c, cmd);
}

/* RFC 5161 section 3.1: ENABLE */
static int
ic_parse_enable(struct imap_cursor *c, struct imap_command *cmd)
{
	struct str name, *place;

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	do {
		if (cmd->u.enable.n_names == IMAP_FLAGS_MAX)
			return ic_fail_code(c, ERR_LIMIT, "Too many names");
		if (ic_atom(c, &name) != 0)
			return ERR_SYNTAX;
		place = ic_push(c, &cmd->u.enable.names,
		    &cmd->u.enable.n_names, sizeof(name));
		*place = name;
	} while (ic_accept(c, ' ') && !ic_is_end(c));
	return 0;
}

static int
ic_parse_mailbox(struct imap_cursor *c, struct imap_command *cmd)
{
	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	return ic_mailbox(c, &cmd->u.mailbox.mailbox);
}

/* A set of UIDs without "*": RFC 7162 section 7, known-uids */
static int
known_set(struct imap_cursor *c, struct imap_set *set_r)
{
	size_t i;
	int ret = ic_set(c, set_r);

	if (ret != 0)
		return ret;
	if (set_r->is_saved)
		return ic_fail(c, "Numbers expected");
	for (i = 0; i < set_r->n_ranges; i++)
		if (set_r->ranges[i].first == 0 || set_r->ranges[i].last == 0)
			return ic_fail(c, "No \"*\" is allowed here");
	return 0;
}

/* RFC 7162 section 7: seq-match-data */
static int
seq_match(struct imap_cursor *c, struct imap_select *select)
{
	if (known_set(c, &select->match_numbers) != 0 || ic_space(c) != 0 ||
	    known_set(c, &select->match_uids) != 0)
		return ERR_SYNTAX;
	return ic_expect(c, ')', "QRESYNC not closed");
}

/* RFC 7162 section 3.2.5: QRESYNC (uidvalidity modseq [known [(match)]]) */
static int
select_qresync(struct imap_cursor *c, struct imap_select *select)
{
	select->has_qresync = true;
	if (ic_space(c) != 0 || ic_expect(c, '(', "List expected") != 0 ||
	    ic_u32(c, 1, &select->uidvalidity) != 0 || ic_space(c) != 0 ||
	    ic_u64(c, &select->modseq) != 0)
		return ERR_SYNTAX;
	if (select->modseq == 0)
		return ic_fail(c, "Number out of range");
	if (ic_accept(c, ' ') && ic_peek(c) != '(') {
		select->has_known = true;
		if (known_set(c, &select->known) != 0)
			return ERR_SYNTAX;
		(void)ic_accept(c, ' ');
	}
	if (ic_accept(c, '(') && seq_match(c, select) != 0)
		return ERR_SYNTAX;
	return ic_expect(c, ')', "QRESYNC not closed");
}

static int
select_param(struct imap_cursor *c, struct imap_select *select)
{
	struct str name = ic_name(c);

	if (str_eq_nocase(name, STR("CONDSTORE"))) {
		select->has_condstore = true;
		return 0;
	}
	if (str_eq_nocase(name, STR("QRESYNC")) && !select->has_qresync)
		return select_qresync(c, select);
	return ic_fail(c, "Unknown SELECT parameter");
}

/* RFC 4466 section 2.4: select-params */
static int
ic_parse_select(struct imap_cursor *c, struct imap_command *cmd)
{
	int ret = ic_parse_mailbox(c, cmd);

	if (ret != 0 || !ic_accept(c, ' ') || ic_is_end(c))
		return ret;
	if (ic_expect(c, '(', "List expected") != 0)
		return ERR_SYNTAX;
	do {
		ret = select_param(c, &cmd->u.mailbox);
	} while (ret == 0 && ic_accept(c, ' '));
	return ret != 0 ? ret : ic_expect(c, ')', "List not closed");
}

/* RFC 4978 section 5: COMPRESS */
static int
ic_parse_compress(struct imap_cursor *c, struct imap_command *cmd)
{
	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	return ic_atom(c, &cmd->u.compress.algorithm);
}

/* RFC 9208 section 4.1.1: GETQUOTA */
static int
ic_parse_getquota(struct imap_cursor *c, struct imap_command *cmd)
{
	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	return ic_astring(c, &cmd->u.getquota.root);
}

static int
ic_parse_rename(struct imap_cursor *c, struct imap_command *cmd)
{
	if (ic_space(c) != 0 || ic_mailbox(c, &cmd->u.rename.from) != 0 ||
	    ic_space(c) != 0)
		return ERR_SYNTAX;
	return ic_mailbox(c, &cmd->u.rename.to);
}

/* The announcement that ends what imap_framer gives for APPEND; RFC 6855
 * section 4: UTF8 SP "(" literal8 ")" */
static int
append_literal(struct imap_cursor *c, struct imap_append *append)
{
	size_t from = c->at;

	append->is_utf8 = str_eq_nocase(ic_name(c), STR("UTF8"));
	if (!append->is_utf8)
		c->at = from;
	if (append->is_utf8 && (ic_space(c) != 0 ||
	    ic_expect(c, '(', "Message literal expected") != 0))
		return ERR_SYNTAX;
	if (!ic_accept(c, '~') && append->is_utf8)
		return ic_fail(c, "Binary literal expected");
	if (ic_expect(c, '{', "Message literal expected") != 0 ||
	    ic_u64(c, &append->literal_octets) != 0)
		return ERR_SYNTAX;
	(void)ic_accept(c, '+');
	return ic_expect(c, '}', "Message literal expected");
}

/* RFC 3502 section 4: append-message, but for the message */
static int
append_message(struct imap_cursor *c, struct imap_append *append)
{
	struct str date;
	int ret;

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	if (ic_peek(c) == '(') {
		ret = ic_flag_list(c, &append->flags);
		if (ret != 0)
			return ret;
		if (ic_space(c) != 0)
			return ERR_SYNTAX;
	}
	if (ic_peek(c) == '"') {
		append->has_date = true;
		if (ic_string(c, &date) != 0)
			return ERR_SYNTAX;
		if (imap_parse_date_time(date, &append->date_s) != 0)
			return ic_fail(c, "Invalid date-time");
		if (ic_space(c) != 0)
			return ERR_SYNTAX;
	}
	return append_literal(c, append);
}

/* RFC 3501 section 6.3.11: APPEND */
static int
ic_parse_append(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_append *append = &cmd->u.append;

	if (ic_space(c) != 0 || ic_mailbox(c, &append->mailbox) != 0)
		return ERR_SYNTAX;
	return append_message(c, append);
}

/* RFC 8508 section 5: REPLACE seq-number SP mailbox append-message */
static int
ic_parse_replace(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_append *append = &cmd->u.append;
	int ret;

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	ret = ic_set(c, &append->replaced);
	if (ret != 0)
		return ret;
	if (append->replaced.is_saved || append->replaced.n_ranges != 1 ||
	    append->replaced.ranges[0].first !=
	    append->replaced.ranges[0].last)
		return ic_fail(c, "One message expected");
	if (ic_space(c) != 0 || ic_mailbox(c, &append->mailbox) != 0)
		return ERR_SYNTAX;
	return append_message(c, append);
}

int
imap_parse_append_next(struct str text,
    const struct imap_parse_options *options, struct arena *arena,
    struct imap_append *append, struct imap_problem *problem_r)
{
	struct imap_cursor c = { .text = text, .arena = arena,
	    .problem = problem_r };
	bool was_utf8 = append->is_utf8;
	int ret;

	*problem_r = (struct imap_problem){ NULL, 0 };
	if (options != NULL)
		c.options = *options;
	append->flags = (struct imap_flags){ 0 };
	append->has_date = false;
	if (was_utf8 && ic_expect(&c, ')', "UTF8 not closed") != 0)
		return ERR_SYNTAX;
	ret = append_message(&c, append);
	return ret != 0 ? ret : ic_finish(&c);
}

/* RFC 4315 section 2.1: only UID EXPUNGE has a set. */
static int
ic_parse_expunge(struct imap_cursor *c, struct imap_command *cmd)
{
	if (!cmd->is_uid)
		return 0;
	return ic_space(c) != 0 ? ERR_SYNTAX : ic_set(c, &cmd->u.expunge.set);
}

static int
ic_parse_copy(struct imap_cursor *c, struct imap_command *cmd)
{
	int ret;

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	ret = ic_set(c, &cmd->u.copy.set);
	if (ret != 0)
		return ret;
	return ic_space(c) != 0 ? ERR_SYNTAX :
	    ic_mailbox(c, &cmd->u.copy.mailbox);
}

/* RFC 7162 section 3.1.3: "(UNCHANGEDSINCE" SP number ")" SP */
static int
store_modifiers(struct imap_cursor *c, struct imap_store *store)
{
	(void)ic_accept(c, '(');
	if (!str_eq_nocase(ic_name(c), STR("UNCHANGEDSINCE")))
		return ic_fail(c, "Unknown STORE modifier");
	store->has_unchangedsince = true;
	if (ic_space(c) != 0 || ic_u64(c, &store->unchangedsince) != 0 ||
	    ic_expect(c, ')', "STORE modifiers not closed") != 0)
		return ERR_SYNTAX;
	return ic_space(c);
}

/* RFC 3501 section 6.4.6: STORE */
static int
ic_parse_store(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_store *store = &cmd->u.store;
	struct str name;
	int ret;

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	ret = ic_set(c, &store->set);
	if (ret != 0)
		return ret;
	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	if (ic_peek(c) == '(' && store_modifiers(c, store) != 0)
		return ERR_SYNTAX;
	if (ic_accept(c, '+'))
		store->mode = IMAP_STORE_ADD;
	else if (ic_accept(c, '-'))
		store->mode = IMAP_STORE_REMOVE;
	name = ic_name(c);
	store->is_silent = str_eq_nocase(name, STR("FLAGS.SILENT"));
	if (!store->is_silent && !str_eq_nocase(name, STR("FLAGS")))
		return ic_fail(c, "Unknown STORE item");
	return ic_space(c) != 0 ? ERR_SYNTAX : ic_flags(c, &store->flags);
}

#define NA IMAP_NOT_AUTHENTICATED
#define AU IMAP_AUTHENTICATED
#define SE IMAP_SELECTED

static const struct imap_command_info infos[IMAP_COMMAND_COUNT] = {
#define IMAP_COMMAND(id, name, legal, has_uid, parser) \
	{ IMAP_##id, name, legal, has_uid },
#include "proto/imap_commands.def"
#undef IMAP_COMMAND
};

static int (*const parsers[IMAP_COMMAND_COUNT])(struct imap_cursor *,
    struct imap_command *) = {
#define IMAP_COMMAND(id, name, legal, has_uid, parser) ic_parse_##parser,
#include "proto/imap_commands.def"
#undef IMAP_COMMAND
};

const struct imap_command_info *
imap_command_find(struct str name)
{
	size_t i;

	for (i = 0; i < IMAP_COMMAND_COUNT; i++)
		if (str_eq_nocase(name, str_of(infos[i].name)))
			return &infos[i];
	return NULL;
}

/* RFC 3501 section 9: tag: ASTRING-CHAR without "+" */
bool
imap_is_tag(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if ((!ic_is_atom_char(s.p[i]) && s.p[i] != ']') ||
		    s.p[i] == '+')
			return false;
	return s.len != 0 && s.len <= 200;
}

static int
read_tag(struct imap_cursor *c, struct str *tag_r)
{
	size_t end = str_find(c->text, ' ');
	struct str tag = str_sub(c->text, 0, end);

	if (!imap_is_tag(tag))
		return ic_fail(c, "Invalid tag");
	*tag_r = tag;
	c->at = tag.len;
	if (!ic_accept(c, ' '))
		return ic_fail(c, "Command missing");
	return 0;
}

static int
read_name(struct imap_cursor *c, struct imap_command *cmd)
{
	size_t from = c->at;
	struct str name = ic_name(c);

	if (str_eq_nocase(name, STR("UID"))) {
		cmd->is_uid = true;
		if (ic_space(c) != 0)
			return ERR_SYNTAX;
		name = ic_name(c);
	}
	cmd->info = imap_command_find(name);
	if (cmd->info == NULL || (cmd->is_uid && !cmd->info->has_uid)) {
		cmd->info = NULL;
		c->at = from;
		return ic_fail(c, "Unknown command");
	}
	return 0;
}

int
imap_parse(struct str text, const struct imap_parse_options *options,
    struct arena *arena, struct imap_command *cmd_r,
    struct imap_problem *problem_r)
{
	struct imap_cursor c = { .text = text, .arena = arena,
	    .problem = problem_r };
	int ret;

	*cmd_r = (struct imap_command){ .info = NULL };
	*problem_r = (struct imap_problem){ NULL, 0 };
	if (options != NULL)
		c.options = *options;
	ret = read_tag(&c, &cmd_r->tag);
	if (ret == 0)
		ret = read_name(&c, cmd_r);
	if (ret == 0)
		ret = parsers[cmd_r->info->id](&c, cmd_r);
	if (ret == 0)
		ret = ic_finish(&c);
	return ret;
}
