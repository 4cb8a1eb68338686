/* SPDX-License-Identifier: ISC */
/* Each command is parsed and written out again in a plain form. */
#include "base/test.h"

#include "proto/imap_write.h"

static void
dump_set(struct buf *out, const struct imap_set *set)
{
	size_t i;

	buf_add_cstr(out, set->is_saved ? " $" : " ");
	for (i = 0; i < set->n_ranges; i++)
		buf_addf(out, "%s%u:%u", i != 0 ? "," : "",
		    set->ranges[i].first, set->ranges[i].last);
}

static void
dump_mailbox(struct buf *out, const struct imap_mailbox *mailbox)
{
	buf_addf(out, " %s<%.*s>", mailbox->is_valid ? "" : "!",
	    STR_FMT(mailbox->name));
}

static void
dump_key(struct buf *out, const struct imap_search_key *key)
{
	static const char *const names[] = { "and", "or", "not", "all", "seq",
	    "uid", "flag", "keyword", "header", "body", "text", "before",
	    "on", "since", "larger", "smaller", "older", "younger" };
	const struct imap_search_key *child;

	buf_addf(out, " (%s%s", key->is_sent ? "sent" : "", names[key->op]);
	if (key->op == IMAP_SEARCH_FLAG)
		buf_addf(out, " %u=%d", key->flag, key->is_set);
	if (key->op == IMAP_SEARCH_KEYWORD)
		buf_addf(out, " %d", key->is_set);
	if (key->set.n_ranges != 0 || key->set.is_saved)
		dump_set(out, &key->set);
	if (key->field.len != 0)
		buf_addf(out, " %.*s", STR_FMT(key->field));
	if (key->text.p != NULL)
		buf_addf(out, " <%.*s>", STR_FMT(key->text));
	if (key->day != 0)
		buf_addf(out, " %d", key->day);
	if (key->number != 0)
		buf_addf(out, " %llu", (unsigned long long)key->number);
	for (child = key->children; child != NULL; child = child->next)
		dump_key(out, child);
	buf_add_char(out, ')');
}

static void
dump_fetch(struct buf *out, const struct imap_fetch *fetch)
{
	size_t i;

	dump_set(out, &fetch->set);
	buf_addf(out, " %u%s", fetch->items, fetch->sets_seen ? " seen" : "");
	for (i = 0; i < fetch->n_sections; i++) {
		buf_add_char(out, ' ');
		imap_put_section(out, &fetch->sections[i]);
		if (fetch->sections[i].is_partial)
			buf_addf(out, "+%u", fetch->sections[i].count);
	}
}

static void
dump_list(struct buf *out, const struct imap_list *list)
{
	size_t i;

	buf_addf(out, "%s %u %u %u", list->is_extended ? " ext" : "",
	    list->select, list->returns, list->status);
	dump_mailbox(out, &list->reference);
	for (i = 0; i < list->n_patterns; i++)
		dump_mailbox(out, &list->patterns[i]);
}

static void
dump_names(struct buf *out, const struct imap_command *cmd)
{
	size_t i;

	for (i = 0; cmd->info->id == IMAP_ENABLE && i < cmd->u.enable.n_names;
	    i++)
		buf_addf(out, " %.*s", STR_FMT(cmd->u.enable.names[i]));
	for (i = 0; cmd->info->id == IMAP_ID && i < cmd->u.id.n_pairs; i++) {
		buf_addf(out, " %.*s=", STR_FMT(cmd->u.id.pairs[i].name));
		imap_put_nstring(out, cmd->u.id.pairs[i].value);
	}
}

static void
dump_append(struct buf *out, const struct imap_append *append)
{
	dump_mailbox(out, &append->mailbox);
	buf_add_char(out, ' ');
	imap_put_flags(out, &append->flags);
	if (append->has_date)
		buf_addf(out, " %lld", (long long)append->date_s);
	buf_addf(out, " %llu", (unsigned long long)append->literal_octets);
}

static void
dump_simple(struct buf *out, const struct imap_command *cmd)
{
	switch (cmd->info->id) {
	case IMAP_LOGIN:
		buf_addf(out, " <%.*s> <%.*s>", STR_FMT(cmd->u.login.user),
		    STR_FMT(cmd->u.login.password));
		break;
	case IMAP_AUTHENTICATE:
		buf_addf(out, " %.*s %d <%.*s>",
		    STR_FMT(cmd->u.authenticate.mechanism),
		    cmd->u.authenticate.has_initial,
		    STR_FMT(cmd->u.authenticate.initial));
		break;
	case IMAP_CREATE:
	case IMAP_SELECT:
		dump_mailbox(out, &cmd->u.mailbox.mailbox);
		buf_addf(out, " %u", cmd->u.mailbox.use);
		break;
	case IMAP_RENAME:
		dump_mailbox(out, &cmd->u.rename.from);
		dump_mailbox(out, &cmd->u.rename.to);
		break;
	case IMAP_STATUS:
		dump_mailbox(out, &cmd->u.status.mailbox);
		buf_addf(out, " %u", cmd->u.status.items);
		break;
	default:
		dump_names(out, cmd);
		break;
	}
}

static void
dump(struct buf *out, const struct imap_command *cmd)
{
	buf_addf(out, "%s%s", cmd->is_uid ? "UID " : "", cmd->info->name);
	switch (cmd->info->id) {
	case IMAP_LIST:
	case IMAP_LSUB:
		dump_list(out, &cmd->u.list);
		break;
	case IMAP_APPEND:
		dump_append(out, &cmd->u.append);
		break;
	case IMAP_FETCH:
		dump_fetch(out, &cmd->u.fetch);
		break;
	case IMAP_STORE:
		dump_set(out, &cmd->u.store.set);
		buf_addf(out, " %d%s ", (int)cmd->u.store.mode,
		    cmd->u.store.is_silent ? " silent" : "");
		imap_put_flags(out, &cmd->u.store.flags);
		break;
	case IMAP_COPY:
	case IMAP_MOVE:
		dump_set(out, &cmd->u.copy.set);
		dump_mailbox(out, &cmd->u.copy.mailbox);
		break;
	case IMAP_EXPUNGE:
		if (cmd->is_uid)
			dump_set(out, &cmd->u.expunge.set);
		break;
	case IMAP_SEARCH:
		buf_addf(out, " %u <%.*s>", cmd->u.search.returns,
		    STR_FMT(cmd->u.search.charset));
		dump_key(out, cmd->u.search.key);
		break;
	default:
		dump_simple(out, cmd);
		break;
	}
}

static void
check(const char *in, const char *want)
{
	struct arena *arena = arena_new(0);
	struct imap_problem problem;
	struct imap_command cmd;
	struct buf out;

	buf_init(&out, 100000);
	if (imap_parse(str_of(in), NULL, arena, &cmd, &problem) == 0)
		dump(&out, &cmd);
	else
		buf_addf(&out, "%zu %s", problem.offset, problem.text);
	if (!str_eq(buf_str(&out), str_of(want)))
		fail_msg("%s: %.*s", in, STR_FMT(buf_str(&out)));
	buf_fini(&out);
	arena_free(&arena);
}

struct parse_case {
	const char *in;
	const char *want;	/* the dump, or "offset problem" */
};

static void
check_all(const struct parse_case *cases, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		check(cases[i].in, cases[i].want);
}

static void
test_basics(void **state)
{
	static const struct parse_case cases[] = {
		{ "a NOOP", "NOOP" },
		{ "a noop ", "NOOP" },
		{ "A.1]x capability", "CAPABILITY" },
		{ "a NOOP x", "7 Too many arguments" },
		{ "", "0 Invalid tag" },
		{ "a+ NOOP", "0 Invalid tag" },
		{ "* NOOP", "0 Invalid tag" },
		{ " NOOP", "0 Invalid tag" },
		{ "a", "1 Command missing" },
		{ "a ", "2 Unknown command" },
		{ "a BOGUS", "2 Unknown command" },
		{ "a UID NOOP", "2 Unknown command" },
		{ "a UID", "5 Missing arguments" },
		{ "a LOGIN alice secret", "LOGIN <alice> <secret>" },
		{ "a LOGIN \"a\\\"\\\\b\" \"\"", "LOGIN <a\"\\b> <>" },
		{ "a LOGIN {3}\r\na b {2+}\r\npw", "LOGIN <a b> <pw>" },
		{ "a LOGIN {9}\r\na b", "13 Invalid literal" },
		{ "a LOGIN {99999999999999999999}\r\na", "29 Invalid literal" },
		{ "a LOGIN alice", "13 Missing arguments" },
		{ "a LOGIN alice ", "14 Missing arguments" },
		{ "a LOGIN \"alice", "14 Unterminated quoted string" },
		{ "a LOGIN \"alice\\", "15 Invalid escape in string" },
		{ "a LOGIN \"a\\n\" x", "11 Invalid escape in string" },
		{ "a LOGIN \"\xc3\xa9\" x",
		    "9 8-bit text must be sent as a literal" },
		{ "a LOGIN a(b x", "9 Space expected" },
		{ "a LOGIN {1}\r\nax", "14 Space expected" },
		{ "a AUTHENTICATE PLAIN", "AUTHENTICATE PLAIN 0 <>" },
		{ "a AUTHENTICATE PLAIN =", "AUTHENTICATE PLAIN 1 <=>" },
		{ "a AUTHENTICATE X YWI=", "AUTHENTICATE X 1 <YWI=>" },
		{ "a ID NIL", "ID" },
		{ "a ID ()", "ID" },
		{ "a ID (\"name\" \"x\" \"v\" NIL)", "ID name=\"x\" v=NIL" },
		{ "a ID (\"name\")", "12 Space expected" },
		{ "a ID ((\"x\"))", "6 String expected" },
		{ "a ENABLE CONDSTORE X", "ENABLE CONDSTORE X" },
		{ "a ENABLE", "8 Missing arguments" },
	};

	(void)state;
	check_all(cases, COUNT_OF(cases));
}

static void
test_mailboxes(void **state)
{
	static const struct parse_case cases[] = {
		{ "a SELECT inBox", "SELECT <INBOX> 0" },
		{ "a SELECT &AOk-", "SELECT <\xc3\xa9> 0" },
		{ "a SELECT \"a&b\"", "SELECT !<a&b> 0" },
		{ "a SELECT {2}\r\n\xc3\xa9", "SELECT !<\xc3\xa9> 0" },
		{ "a SELECT x]", "SELECT <x]> 0" },
		{ "a SELECT *", "9 Invalid character" },
		{ "a CREATE x/", "CREATE <x/> 0" },
		{ "a CREATE x (USE (\\Sent \\Trash))", "CREATE <x> 96" },
		{ "a CREATE x (USE (\\Foo))", "CREATE <x> 128" },
		{ "a CREATE x (USE ())", "CREATE <x> 0" },
		{ "a CREATE x (FOO)", "15 Unknown CREATE parameter" },
		{ "a RENAME a \"b c\"", "RENAME <a> <b c>" },
		{ "a STATUS x (MESSAGES size)", "STATUS <x> 33" },
		{ "a STATUS x ()", "13 STATUS items missing" },
		{ "a STATUS x (FOO)", "15 Unknown STATUS item" },
		{ "a LIST \"\" %", "LIST 0 0 0 <> <%>" },
		{ "a LIST \"\" \"\"", "LIST 0 0 0 <> <>" },
		{ "a LIST a/ &AOk-*", "LIST 0 0 0 <a/> <\xc3\xa9*>" },
		{ "a LIST (SPECIAL-USE) \"\" *", "LIST ext 8 0 0 <> <*>" },
		{ "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a b)",
		    "LIST ext 5 1 0 <> <a> <b>" },
		{ "a LIST (RECURSIVEMATCH) \"\" a",
		    "23 RECURSIVEMATCH needs SUBSCRIBED" },
		{ "a LIST () \"\" %", "LIST ext 0 0 0 <> <%>" },
		{ "a LIST \"\" % RETURN (CHILDREN SPECIAL-USE "
		    "STATUS (UNSEEN))", "LIST ext 0 56 16 <> <%>" },
		{ "a LIST \"\" % RETURN (X)",
		    "21 Unknown LIST return option" },
		{ "a LSUB \"\" \"*\"", "LSUB 0 0 0 <> <*>" },
		{ "a LSUB \"\" (a b)", "10 Invalid character" },
		{ "a COPY 1:3 x", "COPY 1:3 <x>" },
		{ "a UID MOVE *:5,7 x", "UID MOVE 0:5,7:7 <x>" },
		{ "a EXPUNGE", "EXPUNGE" },
		{ "a EXPUNGE 1", "10 Too many arguments" },
		{ "a UID EXPUNGE 1:*", "UID EXPUNGE 1:0" },
		{ "a UID EXPUNGE", "13 Missing arguments" },
		{ "a APPEND x {310}", "APPEND <x> () 310" },
		{ "a APPEND x (\\Seen \\Recent foo) \" 1-Jan-1970 00:00:09 "
		    "+0000\" ~{5+}", "APPEND <x> (\\Seen foo) 9 5" },
		{ "a APPEND x \"x\" {5}", "14 Invalid date-time" },
		{ "a APPEND x", "10 Missing arguments" },
		{ "a APPEND x y", "11 Message literal expected" },
	};

	(void)state;
	check_all(cases, COUNT_OF(cases));
}

static void
test_messages(void **state)
{
	static const struct parse_case cases[] = {
		{ "a FETCH 1 ALL", "FETCH 1:1 30" },
		{ "a FETCH 1 fast", "FETCH 1:1 14" },
		{ "a FETCH 1 FULL", "FETCH 1:1 62" },
		{ "a FETCH 1 (FULL)", "15 Unknown FETCH item" },
		{ "a UID FETCH 1:* FLAGS", "UID FETCH 1:0 3" },
		{ "a FETCH 1 (UID BODY BODYSTRUCTURE)", "FETCH 1:1 97" },
		{ "a FETCH 1 BODY[]", "FETCH 1:1 0 seen BODY[]" },
		{ "a FETCH 1 BODY.PEEK[]<0.100>",
		    "FETCH 1:1 0 BODY[]<0>+100" },
		{ "a FETCH 1 body.peek[1.2.header.fields (From \"X Y\")]",
		    "FETCH 1:1 0 BODY[1.2.HEADER.FIELDS (From \"X Y\")]" },
		{ "a FETCH 1 BODY[HEADER.FIELDS.NOT (a)]",
		    "FETCH 1:1 0 seen BODY[HEADER.FIELDS.NOT (a)]" },
		{ "a FETCH 1 (BODY[1] BODY[2.MIME] BODY[TEXT] BODY[HEADER])",
		    "FETCH 1:1 0 seen BODY[1] BODY[2.MIME] BODY[TEXT] "
		    "BODY[HEADER]" },
		{ "a FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)",
		    "FETCH 1:1 8 seen RFC822 RFC822.HEADER RFC822.TEXT" },
		{ "a FETCH 1 RFC822.HEADER", "FETCH 1:1 0 RFC822.HEADER" },
		{ "a FETCH 1 BODY[MIME]", "19 Unknown body section" },
		{ "a FETCH 1 BODY[1.]", "17 Unknown body section" },
		{ "a FETCH 1 BODY[0]", "16 Number out of range" },
		{ "a FETCH 1 BODY[", "15 Unknown body section" },
		{ "a FETCH 1 BODY[]<0.0>", "20 Number out of range" },
		{ "a FETCH 1 BODY[]<5>", "18 Invalid partial" },
		{ "a FETCH 1 BODY[HEADER.FIELDS ()]", "30 Invalid character" },
		{ "a FETCH 1 ()", "11 Unknown FETCH item" },
		{ "a FETCH 1 (FLAGS", "16 FETCH list not closed" },
		{ "a FETCH 1 FOO[]", "14 Unknown FETCH item" },
		{ "a FETCH 0 FLAGS", "9 Number out of range" },
		{ "a FETCH 4294967296 FLAGS", "18 Number out of range" },
		{ "a FETCH 1, FLAGS", "10 Invalid number" },
		{ "a FETCH 1:2:3 FLAGS", "11 Space expected" },
		{ "a FETCH $ FLAGS", "FETCH $ 2" },
		{ "a STORE 1 FLAGS (\\Seen)", "STORE 1:1 0 (\\Seen)" },
		{ "a STORE 1 +flags.silent \\Deleted foo",
		    "STORE 1:1 1 silent (\\Deleted foo)" },
		{ "a UID STORE 1 -FLAGS ()", "UID STORE 1:1 2 ()" },
		{ "a STORE 1 FLAGS (\\Foo)", "21 Unknown system flag" },
		{ "a STORE 1 FLAG ()", "14 Unknown STORE item" },
		{ "a STORE 1 FLAGS (a", "18 Flag list not closed" },
		{ "a STORE 1 FLAGS", "15 Missing arguments" },
	};

	(void)state;
	check_all(cases, COUNT_OF(cases));
}

static void
test_search(void **state)
{
	static const struct parse_case cases[] = {
		{ "a SEARCH ALL", "SEARCH 0 <> (and (all))" },
		{ "a UID SEARCH 1:* UNSEEN",
		    "UID SEARCH 0 <> (and (seq 1:0) (flag 8=0))" },
		{ "a SEARCH CHARSET UTF-8 TEXT {2}\r\n\xc3\xa9 SEEN",
		    "SEARCH 0 <UTF-8> (and (text <\xc3\xa9>) (flag 8=1))" },
		{ "a SEARCH OR FROM x NOT (TO y CC \"z\")",
		    "SEARCH 0 <> (and (or (header From <x>) (not (and "
		    "(header To <y>) (header Cc <z>)))))" },
		{ "a SEARCH HEADER Message-ID \"\"",
		    "SEARCH 0 <> (and (header Message-ID <>))" },
		{ "a SEARCH SINCE 2-Jan-1970 SENTON \"03-Jan-1970\"",
		    "SEARCH 0 <> (and (since 1) (senton 2))" },
		{ "a SEARCH LARGER 5 SMALLER 6 OLDER 7 YOUNGER 8",
		    "SEARCH 0 <> (and (larger 5) (smaller 6) (older 7) "
		    "(younger 8))" },
		{ "a SEARCH KEYWORD foo UNKEYWORD bar",
		    "SEARCH 0 <> (and (keyword 1 <foo>) (keyword 0 <bar>))" },
		{ "a SEARCH NEW OLD",
		    "SEARCH 0 <> (and (and (flag 32=1) (flag 8=0)) "
		    "(flag 32=0))" },
		{ "a SEARCH UID 5,7:* $",
		    "SEARCH 0 <> (and (uid 5:5,7:0) (seq $))" },
		{ "a SEARCH RETURN (MIN COUNT) ALL",
		    "SEARCH 9 <> (and (all))" },
		{ "a SEARCH RETURN () ALL", "SEARCH 4 <> (and (all))" },
		{ "a SEARCH BODY x SUBJECT y BCC z",
		    "SEARCH 0 <> (and (body <x>) (header Subject <y>) "
		    "(header Bcc <z>))" },
		{ "a SEARCH", "8 Missing arguments" },
		{ "a SEARCH FOO", "12 Unknown search key" },
		{ "a SEARCH ()", "10 Unknown search key" },
		{ "a SEARCH (ALL", "13 Search key not closed" },
		{ "a SEARCH ALL)", "12 Too many arguments" },
		{ "a SEARCH OR ALL", "15 Missing arguments" },
		{ "a SEARCH ON 30-Feb-2024", "23 Invalid date" },
		{ "a SEARCH LARGER -1", "16 Invalid number" },
		{ "a SEARCH YOUNGER 0", "18 Number out of range" },
		{ "a SEARCH CHARSET UTF-8", "22 Missing arguments" },
	};

	(void)state;
	check_all(cases, COUNT_OF(cases));
}

/* head, count times piece, tail */
static int
parse_many(const char *head, const char *piece, size_t count,
    const char *tail)
{
	struct arena *arena = arena_new(0);
	struct imap_problem problem;
	struct imap_command cmd;
	struct buf text;
	int ret;

	buf_init(&text, 1 << 20);
	buf_add_cstr(&text, head);
	for (; count != 0; count--)
		buf_add_cstr(&text, piece);
	buf_add_cstr(&text, tail);
	ret = imap_parse(buf_str(&text), NULL, arena, &cmd, &problem);
	assert_true(ret == 0 || problem.text != NULL);
	buf_fini(&text);
	arena_free(&arena);
	return ret;
}

static void
test_limits(void **state)
{
	static const struct {
		const char *head;
		const char *piece;
		size_t max;
		const char *tail;
	} cases[] = {
		{ "a SEARCH ", "NOT ", IMAP_SEARCH_DEPTH_MAX - 1, "ALL" },
		{ "a SEARCH ", "OR ALL ", IMAP_SEARCH_DEPTH_MAX - 1, "ALL" },
		{ "a SEARCH ALL", " ALL", IMAP_SEARCH_KEYS_MAX - 2, "" },
		{ "a FETCH 1", ",1", IMAP_RANGES_MAX - 1, " UID" },
		{ "a FETCH 1 (UID", " BODY[]", IMAP_SECTIONS_MAX, ")" },
		{ "a FETCH 1 BODY[1", ".1", IMAP_PART_DEPTH_MAX - 1, "]" },
		{ "a FETCH 1 BODY[HEADER.FIELDS (a", " a",
		    IMAP_FIELDS_MAX - 1, ")]" },
		{ "a STORE 1 FLAGS (a", " a", IMAP_FLAGS_MAX - 1, ")" },
		{ "a STORE 1 FLAGS ", "a", IMAP_FLAG_OCTETS_MAX, "" },
		{ "a LIST \"\" (a", " a", IMAP_PATTERNS_MAX - 1, ")" },
		{ "a ID (\"a\" NIL", " \"a\" NIL", IMAP_ID_PAIRS_MAX - 1,
		    ")" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		if (parse_many(cases[i].head, cases[i].piece, cases[i].max,
		    cases[i].tail) != 0)
			fail_msg("at the limit: %s", cases[i].head);
		if (parse_many(cases[i].head, cases[i].piece,
		    cases[i].max + 1, cases[i].tail) != ERR_LIMIT)
			fail_msg("over the limit: %s", cases[i].head);
	}
	assert_int_equal(parse_many("a SEARCH ", "(", 60000, ""), ERR_LIMIT);
	assert_int_equal(parse_many("a SEARCH ALL", ")", 60000, ""),
	    ERR_SYNTAX);
}

static void
test_nul_and_utf8(void **state)
{
	static const struct {
		struct str in;
		bool is_utf8;
		int want;
	} cases[] = {
		{ { "a LOGIN \"a\0b\" x", 15 }, false, ERR_SYNTAX },
		{ { "a LOGIN {3}\r\na\0b x", 18 }, false, ERR_SYNTAX },
		{ { "a LOGIN a\0b x", 13 }, false, ERR_SYNTAX },
		{ { "a NOOP\0", 7 }, false, ERR_SYNTAX },
		{ { "a SELECT \"\xc3\xa9\"", 13 }, true, 0 },
		{ { "a SELECT \"\xc3\"", 12 }, true, ERR_SYNTAX },
	};
	struct imap_parse_options options;
	struct imap_problem problem;
	struct imap_command cmd;
	struct arena *arena = arena_new(0);
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		options.is_utf8 = cases[i].is_utf8;
		assert_int_equal(imap_parse(cases[i].in, &options, arena,
		    &cmd, &problem), cases[i].want);
		assert_true(str_eq(cmd.tag, STR("a")));
	}
	arena_free(&arena);
}

static void
test_legal(void **state)
{
	(void)state;
	assert_int_equal(imap_command_find(STR("login"))->legal,
	    IMAP_NOT_AUTHENTICATED);
	assert_int_equal(imap_command_find(STR("FETCH"))->legal,
	    IMAP_SELECTED);
	assert_null(imap_command_find(STR("UID")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basics),
		cmocka_unit_test(test_mailboxes),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_nul_and_utf8),
		cmocka_unit_test(test_legal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
