/* SPDX-License-Identifier: ISC */
#include "proto/imap_parse_int.h"

/* A search being read. */
struct reader {
	struct imap_cursor *c;
	struct imap_search *search;
	unsigned depth;
};

/* What follows the name of a key. */
enum shape {
	SHAPE_NONE,
	SHAPE_NEW,		/* two keys in one */
	SHAPE_KEYWORD,
	SHAPE_TEXT,
	SHAPE_FIELD_TEXT,
	SHAPE_DATE,
	SHAPE_NUMBER,
	SHAPE_INTERVAL,		/* a number that is not 0 */
	SHAPE_SET,
	SHAPE_NOT,
	SHAPE_OR,
	SHAPE_MODSEQ,
	SHAPE_ID,
};

#define FLAG(name, bit, set) \
	{ { name, sizeof(name) - 1 }, SHAPE_NONE, \
	    { .op = IMAP_SEARCH_FLAG, .flag = bit, .is_set = set } }
#define FIELD(name, field_name) \
	{ { name, sizeof(name) - 1 }, SHAPE_TEXT, \
	    { .op = IMAP_SEARCH_HEADER, \
	    .field = { field_name, sizeof(field_name) - 1 } } }
#define KEY(name, shape, key_op) \
	{ { name, sizeof(name) - 1 }, shape, { .op = key_op } }
#define DATE(name, key_op, sent) \
	{ { name, sizeof(name) - 1 }, SHAPE_DATE, \
	    { .op = key_op, .is_sent = sent } }

/* RFC 3501 section 6.4.4; OLDER and YOUNGER: RFC 5032 */
static const struct key_info {
	struct str name;
	enum shape shape;
	struct imap_search_key key;
} keys[] = {
	KEY("ALL", SHAPE_NONE, IMAP_SEARCH_ALL),
	FLAG("ANSWERED", IMAP_FLAG_ANSWERED, true),
	FIELD("BCC", "Bcc"),
	DATE("BEFORE", IMAP_SEARCH_BEFORE, false),
	KEY("BODY", SHAPE_TEXT, IMAP_SEARCH_BODY),
	FIELD("CC", "Cc"),
	FLAG("DELETED", IMAP_FLAG_DELETED, true),
	FLAG("DRAFT", IMAP_FLAG_DRAFT, true),
	FLAG("FLAGGED", IMAP_FLAG_FLAGGED, true),
	FIELD("FROM", "From"),
	KEY("HEADER", SHAPE_FIELD_TEXT, IMAP_SEARCH_HEADER),
	{ { "KEYWORD", 7 }, SHAPE_KEYWORD,
	    { .op = IMAP_SEARCH_KEYWORD, .is_set = true } },
	KEY("EMAILID", SHAPE_ID, IMAP_SEARCH_EMAILID),
	KEY("LARGER", SHAPE_NUMBER, IMAP_SEARCH_LARGER),
	KEY("MODSEQ", SHAPE_MODSEQ, IMAP_SEARCH_MODSEQ),
	KEY("NEW", SHAPE_NEW, IMAP_SEARCH_AND),
	KEY("NOT", SHAPE_NOT, IMAP_SEARCH_NOT),
	FLAG("OLD", IMAP_FLAG_RECENT, false),
	KEY("OLDER", SHAPE_INTERVAL, IMAP_SEARCH_OLDER),
	DATE("ON", IMAP_SEARCH_ON, false),
	KEY("OR", SHAPE_OR, IMAP_SEARCH_OR),
	FLAG("RECENT", IMAP_FLAG_RECENT, true),
	KEY("SAVEDATESUPPORTED", SHAPE_NONE, IMAP_SEARCH_ALL),
	DATE("SAVEDBEFORE", IMAP_SEARCH_SAVEDBEFORE, false),
	DATE("SAVEDON", IMAP_SEARCH_SAVEDON, false),
	DATE("SAVEDSINCE", IMAP_SEARCH_SAVEDSINCE, false),
	FLAG("SEEN", IMAP_FLAG_SEEN, true),
	DATE("SENTBEFORE", IMAP_SEARCH_BEFORE, true),
	DATE("SENTON", IMAP_SEARCH_ON, true),
	DATE("SENTSINCE", IMAP_SEARCH_SINCE, true),
	DATE("SINCE", IMAP_SEARCH_SINCE, false),
	KEY("SMALLER", SHAPE_NUMBER, IMAP_SEARCH_SMALLER),
	FIELD("SUBJECT", "Subject"),
	KEY("TEXT", SHAPE_TEXT, IMAP_SEARCH_TEXT),
	KEY("THREADID", SHAPE_ID, IMAP_SEARCH_THREADID),
	FIELD("TO", "To"),
	KEY("UID", SHAPE_SET, IMAP_SEARCH_UID),
	FLAG("UNANSWERED", IMAP_FLAG_ANSWERED, false),
	FLAG("UNDELETED", IMAP_FLAG_DELETED, false),
	FLAG("UNDRAFT", IMAP_FLAG_DRAFT, false),
	FLAG("UNFLAGGED", IMAP_FLAG_FLAGGED, false),
	{ { "UNKEYWORD", 9 }, SHAPE_KEYWORD,
	    { .op = IMAP_SEARCH_KEYWORD, .is_set = false } },
	FLAG("UNSEEN", IMAP_FLAG_SEEN, false),
	KEY("YOUNGER", SHAPE_INTERVAL, IMAP_SEARCH_YOUNGER),
};

static const struct imap_word returns[] = {
	IMAP_WORD("MIN", IMAP_RETURN_MIN),
	IMAP_WORD("MAX", IMAP_RETURN_MAX),
	IMAP_WORD("ALL", IMAP_RETURN_ALL),
	IMAP_WORD("COUNT", IMAP_RETURN_COUNT),
	IMAP_WORD("SAVE", IMAP_RETURN_SAVE),
	IMAP_WORD("PARTIAL", IMAP_RETURN_PARTIAL),
	IMAP_WORD_END,
};

static int read_key(struct reader *r, struct imap_search_key **key_r);

static struct imap_search_key *
new_key(struct reader *r, const struct imap_search_key *from)
{
	struct imap_search_key *key;

	key = arena_new_of(r->c->arena, struct imap_search_key);
	*key = *from;
	r->search->n_keys++;
	return key;
}

/* Keys up to ")" or the end of the command become key's children. */
static int
read_list(struct reader *r, struct imap_search_key *key)
{
	struct imap_search_key **place = &key->children;
	int ret;

	do {
		ret = read_key(r, place);
		if (ret != 0)
			return ret;
		place = &(*place)->next;
	} while (ic_accept(r->c, ' ') && !ic_is_end(r->c));
	return 0;
}

static int
read_children(struct reader *r, struct imap_search_key *key, unsigned count)
{
	struct imap_search_key **place = &key->children;
	int ret;

	for (; count != 0; count--) {
		if (ic_space(r->c) != 0)
			return ERR_SYNTAX;
		ret = read_key(r, place);
		if (ret != 0)
			return ret;
		place = &(*place)->next;
	}
	return 0;
}

/* NEW is RECENT and UNSEEN. */
static void
make_new(struct reader *r, struct imap_search_key *key)
{
	const struct imap_search_key recent = { .op = IMAP_SEARCH_FLAG,
	    .flag = IMAP_FLAG_RECENT, .is_set = true };
	const struct imap_search_key unseen = { .op = IMAP_SEARCH_FLAG,
	    .flag = IMAP_FLAG_SEEN, .is_set = false };

	key->children = new_key(r, &recent);
	key->children->next = new_key(r, &unseen);
}

static int
read_text(struct reader *r, struct imap_search_key *key)
{
	if (ic_space(r->c) != 0)
		return ERR_SYNTAX;
	if (key->op == IMAP_SEARCH_BODY || key->op == IMAP_SEARCH_TEXT)
		r->search->has_text = true;
	return ic_astring(r->c, &key->text);
}

static int
read_number(struct reader *r, enum shape shape, struct imap_search_key *key)
{
	if (ic_space(r->c) != 0 || ic_u64(r->c, &key->number) != 0)
		return ERR_SYNTAX;
	if (shape == SHAPE_INTERVAL && key->number == 0)
		return ic_fail(r->c, "Number out of range");
	return 0;
}

/* RFC 7162 section 3.1.5: the entry's name and type say which flag's change
 * counts; ours is the message's, which is never older. */
static int
read_modseq(struct reader *r, struct imap_search_key *key)
{
	struct str entry, type;

	r->search->has_modseq = true;
	if (ic_space(r->c) != 0)
		return ERR_SYNTAX;
	if (ic_peek(r->c) != '"')
		return ic_u64(r->c, &key->number);
	if (ic_string(r->c, &entry) != 0 || ic_space(r->c) != 0)
		return ERR_SYNTAX;
	type = ic_name(r->c);
	if (!str_begins_nocase(entry, STR("/flags/")) ||
	    (!str_eq_nocase(type, STR("priv")) &&
	    !str_eq_nocase(type, STR("shared")) &&
	    !str_eq_nocase(type, STR("all"))))
		return ic_fail(r->c, "Unknown MODSEQ entry");
	return ic_space(r->c) != 0 ? ERR_SYNTAX :
	    ic_u64(r->c, &key->number);
}

static int
read_args(struct reader *r, enum shape shape, struct imap_search_key *key)
{
	switch (shape) {
	case SHAPE_NONE:
		return 0;
	case SHAPE_NEW:
		make_new(r, key);
		return 0;
	case SHAPE_KEYWORD:
		return ic_space(r->c) != 0 ? ERR_SYNTAX :
		    ic_atom(r->c, &key->text);
	case SHAPE_TEXT:
		return read_text(r, key);
	case SHAPE_FIELD_TEXT:
		return ic_space(r->c) != 0 ||
		    ic_astring(r->c, &key->field) != 0 ? ERR_SYNTAX :
		    read_text(r, key);
	case SHAPE_DATE:
		return ic_space(r->c) != 0 ? ERR_SYNTAX :
		    ic_date(r->c, &key->day);
	case SHAPE_NUMBER:
	case SHAPE_INTERVAL:
		return read_number(r, shape, key);
	case SHAPE_MODSEQ:
		return read_modseq(r, key);
	case SHAPE_ID:
		return ic_space(r->c) != 0 ? ERR_SYNTAX :
		    ic_astring(r->c, &key->text);
	case SHAPE_SET:
		return ic_space(r->c) != 0 ? ERR_SYNTAX :
		    ic_set(r->c, &key->set);
	case SHAPE_NOT:
		return read_children(r, key, 1);
	case SHAPE_OR:
		return read_children(r, key, 2);
	}
	return ic_fail(r->c, "Unknown search key");
}

static int
read_named(struct reader *r, struct imap_search_key **key_r)
{
	struct str name = ic_name(r->c);
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (str_eq_nocase(name, keys[i].name)) {
			*key_r = new_key(r, &keys[i].key);
			return read_args(r, keys[i].shape, *key_r);
		}
	return ic_fail(r->c, ic_is_end(r->c) && name.len == 0 ?
	    "Missing arguments" : "Unknown search key");
}

static int
read_set(struct reader *r, struct imap_search_key **key_r)
{
	const struct imap_search_key seq = { .op = IMAP_SEARCH_SEQ };

	*key_r = new_key(r, &seq);
	if (ic_peek(r->c) != '$')
		r->search->has_numbers = true;
	return ic_set(r->c, &(*key_r)->set);
}

static int
read_parens(struct reader *r, struct imap_search_key **key_r)
{
	const struct imap_search_key all = { .op = IMAP_SEARCH_AND };
	int ret;

	*key_r = new_key(r, &all);
	ret = read_list(r, *key_r);
	return ret != 0 ? ret : ic_expect(r->c, ')', "Search key not closed");
}

/* RFC 3501 section 9: search-key */
static int
read_key(struct reader *r, struct imap_search_key **key_r)
{
	char first = ic_peek(r->c);
	int ret;

	if (r->depth == IMAP_SEARCH_DEPTH_MAX)
		return ic_fail_code(r->c, ERR_LIMIT, "Search nested too deep");
	if (r->search->n_keys >= IMAP_SEARCH_KEYS_MAX)
		return ic_fail_code(r->c, ERR_LIMIT, "Too many search keys");
	r->depth++;
	if (ic_accept(r->c, '('))
		ret = read_parens(r, key_r);
	else if (ascii_is_digit(first) || first == '*' || first == '$')
		ret = read_set(r, key_r);
	else
		ret = read_named(r, key_r);
	r->depth--;
	return ret;
}

/* Take a word and the space behind it, if it stands here. */
static bool
accept_word(struct imap_cursor *c, struct str word)
{
	struct str here = str_sub(c->text, c->at, word.len + 1);

	if (here.len != word.len + 1 || here.p[word.len] != ' ' ||
	    !str_begins_nocase(here, word))
		return false;
	c->at += here.len;
	return true;
}

static int
read_return(struct imap_cursor *c, struct imap_search *search)
{
	unsigned bit = ic_word_bit(returns, ic_name(c));

	search->returns |= bit;
	if (bit == IMAP_RETURN_PARTIAL)
		return ic_space(c) != 0 ? ERR_SYNTAX :
		    ic_partial(c, &search->partial);
	return bit != 0 ? 0 : ic_fail(c, "Unknown RETURN option");
}

static int
read_returns(struct imap_cursor *c, struct imap_search *search)
{
	int ret;

	if (ic_expect(c, '(', "List expected") != 0)
		return ERR_SYNTAX;
	if (ic_accept(c, ')'))
		return 0;
	do {
		ret = read_return(c, search);
	} while (ret == 0 && ic_accept(c, ' '));
	/* RFC 9394 section 3.1 */
	if (ret == 0 && (search->returns & IMAP_RETURN_PARTIAL) != 0 &&
	    (search->returns & IMAP_RETURN_ALL) != 0)
		return ic_fail(c, "PARTIAL and ALL exclude each other");
	return ret != 0 ? ret : ic_expect(c, ')', "List not closed");
}

/* RFC 4731 section 3.1: RETURN */
int
ic_search_return(struct imap_cursor *c, struct imap_search *search)
{
	if (!accept_word(c, STR("RETURN")))
		return 0;
	search->has_return = true;
	if (read_returns(c, search) != 0 || ic_space(c) != 0)
		return ERR_SYNTAX;
	/* RFC 4731 section 3.1: "()" means ALL. */
	if (search->returns == 0)
		search->returns = IMAP_RETURN_ALL;
	return 0;
}

int
ic_search_keys(struct imap_cursor *c, struct imap_search *search)
{
	const struct imap_search_key all = { .op = IMAP_SEARCH_AND };
	struct reader r = { .c = c, .search = search };

	r.search->key = new_key(&r, &all);
	return read_list(&r, r.search->key);
}

/* RFC 3501 section 6.4.4: SEARCH */
int
ic_parse_search(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_search *search = &cmd->u.search;

	if (ic_space(c) != 0 || ic_search_return(c, search) != 0)
		return ERR_SYNTAX;
	if (accept_word(c, STR("CHARSET")) &&
	    (ic_astring(c, &search->charset) != 0 || ic_space(c) != 0))
		return ERR_SYNTAX;
	return ic_search_keys(c, search);
}
