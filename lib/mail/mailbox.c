/* SPDX-License-Identifier: ISC */
/* Address lists of header fields: RFC 5322 section 3.4, and what is sent. */
#include "mail/address.h"

#include "mail/lex_int.h"

/*
 * One entry is read into out (never longer than the field): words joined by
 * one blank where blanks or comments stood, dots as they are. The same text
 * is the phrase if "<" or ":" follows, and its last run the local part if "@"
 * follows.
 */
struct list_parser {
	struct lex lex;
	struct arena *arena;
	struct mailbox_list *list;
	size_t cap;
	char *out;
	size_t len;
	size_t from;		/* where this entry begins in out */
	size_t run;		/* where its last dotted run begins */
	bool was_word;		/* the last thing read, without a gap since */
	bool is_glued;		/* two words stood together: "a"b */
	bool in_group;
	struct str comment;
};

static void
add(struct list_parser *lp, struct mailbox mailbox)
{
	struct mailbox_list *list = lp->list;
	struct mailbox *grown;

	if (list->count == ADDRESS_LIST_MAX) {
		list->is_cut = true;
		return;
	}
	if (list->count == lp->cap) {
		lp->cap = lp->cap != 0 ? lp->cap * 4 : 2;
		grown = arena_alloc(lp->arena, lp->cap * sizeof(*grown));
		if (list->count != 0)
			memcpy(grown, list->v, list->count * sizeof(*grown));
		list->v = grown;
	}
	list->v[list->count++] = mailbox;
}

static void
put(struct list_parser *lp, struct str s)
{
	if (s.len != 0)
		memcpy(lp->out + lp->len, s.p, s.len);
	lp->len += s.len;
}

static bool
is_special(char c)
{
	return c == '<' || c == '>' || c == '@' || c == ',' || c == ';' ||
	    c == ':' || c == '"' || c == '(' || c == ')' || c == '[' ||
	    c == ']' || c == '\\' || c == '.';
}

static struct str
atom(struct lex *lex)
{
	const char *from = lex->p;

	while (lex->p < lex->end && !lex_is_blank(*lex->p) &&
	    !is_special(*lex->p))
		lex->p++;
	return str_make(from, (size_t)(lex->p - from));
}

static struct str
entry_text(const struct list_parser *lp)
{
	return str_make(lp->out + lp->from, lp->len - lp->from);
}

/* A word follows a gap: is it still the same dotted run? */
static void
put_gap(struct list_parser *lp)
{
	if (lp->len == lp->from || lex_at(&lp->lex, '.') ||
	    lex_at(&lp->lex, '@'))
		return;
	put(lp, STR(" "));
	lp->run = lp->len;
	lp->was_word = false;
}

/* A word, a dot, or one octet that belongs nowhere. */
static void
put_word(struct list_parser *lp)
{
	struct lex *lex = &lp->lex;
	const char *from = lex->p;
	struct str word;

	word = lex_at(lex, '"') ? lex_quoted(lex, lp->arena) : atom(lex);
	if (lex->p != from) {
		lp->is_glued |= lp->was_word;
		lp->was_word = true;
		put(lp, word);
		return;
	}
	lp->was_word = false;
	if (*lex->p != '.')
		lp->list->is_odd = true;
	put(lp, str_make(lex->p, 1));
	lex->p++;
}

/* Words up to one of stop or the end. */
static void
read_words(struct list_parser *lp, const char *stop)
{
	const char *before;

	lp->from = lp->run = lp->len;
	lp->was_word = lp->is_glued = false;
	lp->comment = STR_NONE;
	while (lp->lex.p < lp->lex.end) {
		before = lp->lex.p;
		lex_skip(&lp->lex, &lp->comment);
		if (lp->lex.p == lp->lex.end ||
		    (*lp->lex.p != '\0' &&
		    strchr(stop, *lp->lex.p) != NULL))
			break;
		if (lp->lex.p != before)
			put_gap(lp);
		put_word(lp);
	}
}

static struct str
literal(struct lex *lex)
{
	const char *from = lex->p;

	while (lex->p < lex->end && *lex->p != ']' && *lex->p != ',' &&
	    *lex->p != '>')
		lex->p++;
	if (lex_at(lex, ']'))
		lex->p++;
	return str_make(from, (size_t)(lex->p - from));
}

/* The domain after "@": atoms and dots, gaps around dots dropped. */
static struct str
domain(struct list_parser *lp)
{
	struct lex *lex = &lp->lex;
	size_t from = lp->len;
	const char *before = lex->p;
	struct str word;

	lex_skip(lex, NULL);
	if (lex->p != before)
		lp->list->is_odd = true;
	if (lex_at(lex, '['))
		return literal(lex);
	for (;;) {
		word = atom(lex);
		put(lp, word);
		before = lex->p;
		lex_skip(lex, &lp->comment);
		if (!lex_at(lex, '.'))
			break;
		put(lp, STR("."));
		lex->p++;
		if (lex->p != before + 1 || (lex->p < lex->end &&
		    lex_is_blank(*lex->p)))
			lp->list->is_odd = true;
		lex_skip(lex, &lp->comment);
	}
	return str_make(lp->out + from, lp->len - from);
}

/* RFC 5322 section 4.4: obs-route = obs-domain-list ":" */
static struct str
route(struct list_parser *lp)
{
	const char *from = lp->lex.p, *p;

	for (p = from; p < lp->lex.end && *p != ':' && *p != '>'; p++)
		continue;
	if (p == lp->lex.end || *p != ':')
		return STR_NONE;
	lp->lex.p = p + 1;
	lp->list->is_odd = true;
	return str_make(from, (size_t)(p - from));
}

/* local@domain where the local part stands in out already. */
static void
take_address(struct list_parser *lp, struct mailbox *mailbox)
{
	mailbox->local = entry_text(lp);
	if (lp->comment.p != NULL || lp->is_glued)
		lp->list->is_odd = true;
	if (!lex_at(&lp->lex, '@'))
		return;
	lp->lex.p++;
	put(lp, STR("@"));
	mailbox->domain = domain(lp);
	/* A second "@" and what follows is taken by nobody. */
	while (lex_at(&lp->lex, '@')) {
		lp->list->is_odd = true;
		lp->lex.p++;
		(void)domain(lp);
	}
}

/* At "<" of an angle-addr. */
static void
read_angle(struct list_parser *lp, struct str name)
{
	struct mailbox mailbox = { .kind = MAILBOX_ADDRESS, .name = name };

	lp->lex.p++;
	lex_skip(&lp->lex, NULL);
	if (lex_at(&lp->lex, '@'))
		mailbox.route = route(lp);
	read_words(lp, "@>,;<");
	if (lp->run != lp->from)
		lp->list->is_odd = true;
	take_address(lp, &mailbox);
	if (lex_at(&lp->lex, '>')) {
		lp->lex.p++;
	} else {
		lp->list->is_odd = true;
		while (lp->lex.p < lp->lex.end && *lp->lex.p != '>' &&
		    *lp->lex.p != ',' && *lp->lex.p != ';')
			lp->lex.p++;
		if (lex_at(&lp->lex, '>'))
			lp->lex.p++;
	}
	if (mailbox.local.len == 0 && mailbox.domain.p == NULL &&
	    mailbox.name.p == NULL)
		lp->list->is_odd = true;
	add(lp, mailbox);
}

/* At "@": an address without angle brackets, its name in a comment. */
static void
read_bare(struct list_parser *lp)
{
	struct mailbox mailbox = { .kind = MAILBOX_ADDRESS };
	struct str before;
	size_t from = lp->from;

	before = str_trim(str_make(lp->out + from, lp->run - from));
	lp->from = lp->run;
	if (before.len != 0)
		lp->list->is_odd = true;
	take_address(lp, &mailbox);
	lex_skip(&lp->lex, &lp->comment);
	if (lex_at(&lp->lex, '<')) {
		/* "a@b <c@d>": what reads like an address is a name. */
		lp->list->is_odd = true;
		read_angle(lp, str_make(lp->out + from, lp->len - from));
		return;
	}
	mailbox.name = before.len != 0 ? before : lp->comment;
	add(lp, mailbox);
}

static void
begin_group(struct list_parser *lp)
{
	if (lp->in_group) {
		lp->list->is_odd = true;
		return;
	}
	lp->in_group = true;
	add(lp, (struct mailbox){ .kind = MAILBOX_GROUP_BEGIN,
	    .name = entry_text(lp) });
}

static void
end_group(struct list_parser *lp)
{
	if (!lp->in_group) {
		lp->list->is_odd = true;
		return;
	}
	lp->in_group = false;
	add(lp, (struct mailbox){ .kind = MAILBOX_GROUP_END });
}

/* Words and then "," or ";" or the end: a local name at best. */
static void
add_words(struct list_parser *lp)
{
	struct str words = entry_text(lp);

	if (words.len == 0)
		return;
	lp->list->is_odd = true;
	add(lp, (struct mailbox){ .kind = MAILBOX_ADDRESS, .local = words });
}

static void
read_entry(struct list_parser *lp)
{
	struct lex *lex = &lp->lex;

	read_words(lp, "<@:,;");
	if (lex_at(lex, '<')) {
		read_angle(lp, lp->len != lp->from ? entry_text(lp) :
		    STR_NONE);
	} else if (lex_at(lex, '@')) {
		read_bare(lp);
	} else if (lex_at(lex, ':')) {
		begin_group(lp);
		lex->p++;
		return;
	} else {
		add_words(lp);
	}
	/* After an address only a separator may follow. */
	lex_skip(lex, NULL);
	if (lex_at(lex, ';')) {
		end_group(lp);
		lex->p++;
		lex_skip(lex, NULL);
	}
	if (lex_at(lex, ','))
		lex->p++;
	else if (lex->p < lex->end)
		lp->list->is_odd = true;
}

void
mailbox_list_parse(struct arena *arena, struct str value,
    struct mailbox_list *list_r)
{
	struct list_parser lp = {
		.lex = lex_of(value), .arena = arena, .list = list_r,
	};

	*list_r = (struct mailbox_list){ NULL, 0, false, false };
	lp.out = arena_alloc(arena, value.len + 1);
	lex_skip(&lp.lex, NULL);
	while (lp.lex.p < lp.lex.end && !list_r->is_cut) {
		read_entry(&lp);
		lex_skip(&lp.lex, NULL);
	}
	if (lp.in_group) {
		/* A group that never ends. */
		list_r->is_odd = true;
		end_group(&lp);
	}
	if (lp.lex.is_open)
		list_r->is_odd = true;
}

/* A local part and domain that mean the same to RFC 5321. */
static int
canonical(struct arena *arena, const struct mailbox *mailbox,
    struct address *address_r, struct err *err)
{
	struct buf buf;
	struct str text;
	int rc;

	if (mailbox->kind != MAILBOX_ADDRESS || mailbox->domain.p == NULL)
		return err_set(err, ERR_SYNTAX, "no single mailbox");
	/* An encoded word is a name, never an address. */
	if (str_find_str(mailbox->local, STR("=?")) != STR_NPOS)
		return err_set(err, ERR_SYNTAX, "encoded word as address");
	buf_init(&buf, 4 * ADDRESS_MAX);
	address_put_local(&buf, mailbox->local);
	buf_add_char(&buf, '@');
	buf_add_str(&buf, mailbox->domain);
	text = arena_str(arena, buf_str(&buf));
	rc = buf_failed(&buf) ? err_set(err, ERR_LIMIT, "long address") :
	    address_parse(arena, text, ADDRESS_UTF8, address_r, err);
	buf_fini(&buf);
	return rc;
}

int
address_from(struct arena *arena, const struct str *values,
    size_t value_count, struct address **addresses_r, size_t *count_r,
    struct err *err)
{
	struct mailbox_list list;
	size_t i;

	if (value_count != 1)
		return err_set(err, ERR_SYNTAX, "%zu fields", value_count);
	mailbox_list_parse(arena, values[0], &list);
	if (list.count == 0 || list.is_cut || list.is_odd)
		return err_set(err, ERR_SYNTAX, "ambiguous address list");
	*addresses_r = arena_alloc(arena, list.count * sizeof(**addresses_r));
	for (i = 0; i < list.count; i++)
		if (canonical(arena, &list.v[i], &(*addresses_r)[i], err) != 0)
			return ERR_SYNTAX;
	*count_r = list.count;
	return 0;
}
