/* SPDX-License-Identifier: ISC */
#include "imapd/engine/search.h"

#include "base/when.h"
#include "mail/charset.h"
#include "mail/date.h"

#define NEEDLE_OCTETS_MAX (256U << 10)
#define DECODED_MAX (1U << 20)

struct maker {
	const struct imap_view *view;
	struct store *store;
	struct arena *arena;
	struct search *search;
	struct str charset;
	struct err *err;
};

static struct search_node *make(struct maker *mk,
    const struct imap_search_key *key);

/* --- making -------------------------------------------------------- */

/* The command's text in UTF-8. */
static struct str
to_utf8(struct maker *mk, struct str text)
{
	struct buf buf;
	struct str utf8;

	if (!str_has_8bit(text) && str_find(text, '\033') == STR_NPOS)
		return text;
	buf_init(&buf, NEEDLE_OCTETS_MAX * 4);
	if (mk->charset.len == 0 ||
	    charset_to_utf8(&buf, mk->charset, text) != 0)
		charset_guess(&buf, text);
	utf8 = arena_str(mk->arena, buf_str(&buf));
	buf_fini(&buf);
	return utf8;
}

static struct str
fold(struct maker *mk, struct str text)
{
	struct buf buf;
	struct str folded;

	buf_init(&buf, NEEDLE_OCTETS_MAX * 16);
	text_fold(&buf, to_utf8(mk, text));
	folded = arena_str(mk->arena, buf_str(&buf));
	buf_fini(&buf);
	return folded;
}

static int
by_level(const void *a, const void *b)
{
	const struct search_node *const *x = a, *const *y = b;

	return (int)(*x)->level - (int)(*y)->level;
}

static bool
make_children(struct maker *mk, struct search_node *node)
{
	const struct imap_search_key *key;
	size_t n = 0;

	for (key = node->key->children; key != NULL; key = key->next)
		n++;
	node->children = arena_alloc(mk->arena,
	    (n + 1) * sizeof(struct search_node *));
	for (key = node->key->children; key != NULL; key = key->next) {
		node->children[node->n_children] = make(mk, key);
		if (node->children[node->n_children++] == NULL)
			return false;
	}
	qsort(node->children, n, sizeof(struct search_node *), by_level);
	if (n != 0)
		node->level = node->children[n - 1]->level;
	return true;
}

/* RFC 5182 section 2.2: "$" is a set of messages wherever it stands. */
static void
make_saved(struct maker *mk, struct search_node *node)
{
	const struct imap_view *view = mk->view;
	size_t i;

	node->op = IMAP_SEARCH_UID;
	node->set.n_ranges = view->saved_count;
	node->set.ranges = arena_alloc(mk->arena, (view->saved_count + 1) *
	    sizeof(*node->set.ranges));
	for (i = 0; i < view->saved_count; i++)
		node->set.ranges[i] = (struct imap_range){
			view->saved[i].first, view->saved[i].last };
}

static bool
make_set(struct maker *mk, struct search_node *node)
{
	const struct imap_view *view = mk->view;
	uint32_t largest = (uint32_t)view->count;

	if (node->key->set.is_saved) {
		make_saved(mk, node);
		return true;
	}
	if (node->op == IMAP_SEARCH_UID)
		largest = view->count != 0 ? view->uids[view->count - 1] : 0;
	node->set = imap_set_resolve(&node->key->set, largest, mk->arena);
	return true;
}

static bool
make_keyword(struct maker *mk, struct search_node *node)
{
	unsigned bit;

	if (store_keyword(mk->store, mk->view->mailbox, node->key->text,
	    false, &bit, NULL) == 0)
		node->bit = UINT64_C(1) << bit;
	return true;
}

static bool
make_header(struct maker *mk, struct search_node *node)
{
	node->folded = fold(mk, node->key->text);
	node->field = mail_field_id(node->key->field);
	node->level = node->field == MAIL_FIELD_NONE ? SEARCH_HEADER :
	    SEARCH_SUMMARY;
	return true;
}

static bool
make_text(struct maker *mk, struct search_node *node)
{
	unsigned what = MAIL_TEXT_BODY | MAIL_TEXT_FILE_NAMES |
	    (node->op == IMAP_SEARCH_TEXT ? MAIL_TEXT_HEADER : 0);
	struct search_group *g;

	for (g = mk->search->groups; g != NULL; g = g->next)
		if (g->what == what && g->count < TEXT_NEEDLES_MAX)
			break;
	if (g == NULL) {
		g = arena_new_of(mk->arena, struct search_group);
		g->what = what;
		g->next = mk->search->groups;
		mk->search->groups = g;
	}
	node->level = SEARCH_BODY;
	node->group = g;
	node->needle = (unsigned)g->count;
	g->needles[g->count++] = to_utf8(mk, node->key->text);
	return true;
}

static bool
make_date(struct maker *mk, struct search_node *node)
{
	(void)mk;
	if (node->key->is_sent)
		node->level = SEARCH_SUMMARY;
	return true;
}

/* RFC 8474 section 6: a letter and a number; another text fits nothing. */
static bool
make_id(struct maker *mk, struct search_node *node)
{
	struct str text = node->key->text;

	(void)mk;
	if (text.len < 2 || text.p[0] != 'M' || text.p[1] == '0' ||
	    str_to_u64(str_sub(text, 1, text.len), UINT64_MAX,
	    &node->id) != 0)
		node->id = 0;
	return true;
}

static bool (*const makers[IMAP_SEARCH_OP_COUNT])(struct maker *,
    struct search_node *) = {
	[IMAP_SEARCH_AND] = make_children,
	[IMAP_SEARCH_OR] = make_children,
	[IMAP_SEARCH_NOT] = make_children,
	[IMAP_SEARCH_SEQ] = make_set,
	[IMAP_SEARCH_UID] = make_set,
	[IMAP_SEARCH_KEYWORD] = make_keyword,
	[IMAP_SEARCH_HEADER] = make_header,
	[IMAP_SEARCH_BODY] = make_text,
	[IMAP_SEARCH_TEXT] = make_text,
	[IMAP_SEARCH_BEFORE] = make_date,
	[IMAP_SEARCH_ON] = make_date,
	[IMAP_SEARCH_SINCE] = make_date,
	[IMAP_SEARCH_EMAILID] = make_id,
};

/* Depth is the parser's (IMAP_SEARCH_DEPTH_MAX). */
static struct search_node *
make(struct maker *mk, const struct imap_search_key *key)
{
	struct search_node *node = arena_new_of(mk->arena, struct search_node);

	node->op = key->op;
	node->key = key;
	node->level = SEARCH_ROW;
	if (makers[key->op] != NULL && !makers[key->op](mk, node))
		return NULL;
	return node;
}

static bool
is_ascii_name(struct str charset)
{
	return str_eq_nocase(charset, STR("US-ASCII")) ||
	    str_eq_nocase(charset, STR("UTF-8"));
}

int
search_new(const struct imap_search *program, const struct imap_view *view,
    struct store *store, struct arena *arena, struct search **search_r,
    struct err *err)
{
	struct search *search = arena_new_of(arena, struct search);
	struct maker mk = {
		.view = view, .store = store, .arena = arena,
		.search = search, .charset = program->charset, .err = err,
	};
	struct search_group *g;

	*search_r = NULL;
	if (program->charset.len != 0 && !is_ascii_name(program->charset) &&
	    !charset_is_known(program->charset))
		return err_set(err, ERR_NOTFOUND, "unknown charset");
	search->root = make(&mk, program->key);
	if (search->root == NULL)
		return ERR_SYNTAX;
	for (g = search->groups; g != NULL; g = g->next)
		g->search = text_search_new(g->needles, g->count);
	buf_init(&search->text, DECODED_MAX);
	search->view = view;
	search->now_s = when_wall_s();
	*search_r = search;
	return 0;
}

void
search_free(struct search **search)
{
	struct search_group *g;

	if (*search == NULL)
		return;
	for (g = (*search)->groups; g != NULL; g = g->next)
		text_search_free(&g->search);
	buf_fini(&(*search)->text);
	*search = NULL;
}

/* --- evaluation ---------------------------------------------------- */

static enum search_answer
answer(bool is_so)
{
	return is_so ? SEARCH_YES : SEARCH_NO;
}

static enum search_answer eval(struct search *s,
    const struct search_node *node, enum search_level level);

static enum search_answer
eval_and(struct search *s, const struct search_node *node,
    enum search_level level)
{
	enum search_answer all = SEARCH_YES, one;
	size_t i;

	for (i = 0; i < node->n_children; i++) {
		one = eval(s, node->children[i], level);
		if (one == SEARCH_NO)
			return SEARCH_NO;
		if (one == SEARCH_UNKNOWN)
			all = SEARCH_UNKNOWN;
	}
	return all;
}

static enum search_answer
eval_or(struct search *s, const struct search_node *node,
    enum search_level level)
{
	enum search_answer any = SEARCH_NO, one;
	size_t i;

	for (i = 0; i < node->n_children; i++) {
		one = eval(s, node->children[i], level);
		if (one == SEARCH_YES)
			return SEARCH_YES;
		if (one == SEARCH_UNKNOWN)
			any = SEARCH_UNKNOWN;
	}
	return any;
}

static enum search_answer
eval_not(struct search *s, const struct search_node *node,
    enum search_level level)
{
	enum search_answer one = eval(s, node->children[0], level);

	return one == SEARCH_UNKNOWN ? SEARCH_UNKNOWN :
	    answer(one == SEARCH_NO);
}

static enum search_answer
eval_all(struct search *s, const struct search_node *node,
    enum search_level level)
{
	(void)s;
	(void)node;
	(void)level;
	return SEARCH_YES;
}

static enum search_answer
eval_seq(struct search *s, const struct search_node *node,
    enum search_level level)
{
	(void)level;
	return answer(imap_set_has(&node->set, (uint32_t)s->number));
}

static enum search_answer
eval_uid(struct search *s, const struct search_node *node,
    enum search_level level)
{
	(void)level;
	return answer(imap_set_has(&node->set, s->msg->uid));
}

static enum search_answer
eval_flag(struct search *s, const struct search_node *node,
    enum search_level level)
{
	bool is_set;

	(void)level;
	if (node->key->flag == IMAP_FLAG_RECENT)
		is_set = view_is_recent(s->view, s->msg->uid);
	else
		is_set = (s->msg->flags & view_flags_to(node->key->flag)) != 0;
	return answer(is_set == node->key->is_set);
}

static enum search_answer
eval_keyword(struct search *s, const struct search_node *node,
    enum search_level level)
{
	(void)level;
	return answer(((s->msg->keywords & node->bit) != 0) ==
	    node->key->is_set);
}

static enum search_answer
eval_size(struct search *s, const struct search_node *node,
    enum search_level level)
{
	(void)level;
	return answer(node->op == IMAP_SEARCH_LARGER ?
	    s->msg->size_octets > node->key->number :
	    s->msg->size_octets < node->key->number);
}

/* RFC 5032 section 3: seconds back from now. */
static enum search_answer
eval_age(struct search *s, const struct search_node *node,
    enum search_level level)
{
	uint64_t age = s->now_s > s->msg->date_s ?
	    (uint64_t)(s->now_s - s->msg->date_s) : 0;

	(void)level;
	return answer(node->op == IMAP_SEARCH_OLDER ?
	    age >= node->key->number : age <= node->key->number);
}

/* RFC 3501 section 6.4.4: time and zone do not count. Without a Date field
 * SENT* is never true. */
static bool
day_of(struct search *s, const struct search_node *node, int64_t *day_r)
{
	const struct mail_summary *summary = s->message->summary;
	int64_t date_s = s->msg->date_s;

	if (!node->key->is_sent) {
		*day_r = date_s / 86400 - (date_s % 86400 < 0);
		return true;
	}
	*day_r = date_local_days((struct mail_date){ summary->sent_s,
	    summary->zone_min });
	return (summary->flags & SUMMARY_HAS_DATE) != 0;
}

static enum search_answer
eval_date(struct search *s, const struct search_node *node,
    enum search_level level)
{
	int64_t day, want = node->key->day;

	(void)level;
	if (!day_of(s, node, &day))
		return SEARCH_NO;
	if (node->op == IMAP_SEARCH_BEFORE)
		return answer(day < want);
	return answer(node->op == IMAP_SEARCH_ON ? day == want : day >= want);
}

/* RFC 7162 section 3.1.5 */
static enum search_answer
eval_modseq(struct search *s, const struct search_node *node,
    enum search_level level)
{
	(void)level;
	return answer(s->msg->modseq >= node->key->number);
}

static enum search_answer
eval_emailid(struct search *s, const struct search_node *node,
    enum search_level level)
{
	(void)level;
	return answer(node->id != 0 && s->msg->message == node->id);
}

/* RFC 8474 section 5.2: THREADID is NIL here, which fits no id. */
static enum search_answer
eval_threadid(struct search *s, const struct search_node *node,
    enum search_level level)
{
	(void)s;
	(void)node;
	(void)level;
	return SEARCH_NO;
}

/* RFC 8514 section 4.3: without a save date INTERNALDATE stands in. */
static enum search_answer
eval_saved(struct search *s, const struct search_node *node,
    enum search_level level)
{
	int64_t when_s = s->msg->saved_s != 0 ? s->msg->saved_s :
	    s->msg->date_s;
	int64_t day = when_s / 86400 - (when_s % 86400 < 0);

	(void)level;
	if (node->op == IMAP_SEARCH_SAVEDBEFORE)
		return answer(day < node->key->day);
	return answer(node->op == IMAP_SEARCH_SAVEDON ?
	    day == node->key->day : day >= node->key->day);
}

/* --- headers ------------------------------------------------------- */

static bool
value_matches(struct search *s, const struct search_node *node,
    struct str value)
{
	if (node->folded.len == 0)
		return true;
	buf_reset(&s->text);
	rfc2047_decode(&s->text, value);
	return text_contains(buf_str(&s->text), node->folded);
}

static bool
block_matches(struct search *s, const struct search_node *node,
    struct str block)
{
	struct header_iter iter;
	struct header_field field;

	header_iter_init(&iter, block);
	while (header_next(&iter, &field))
		if (str_eq_nocase(field.name, node->key->field) &&
		    value_matches(s, node, field.value))
			return true;
	return false;
}

static bool
summary_matches(struct search *s, const struct search_node *node)
{
	const struct mail_summary *summary = s->message->summary;
	size_t i;

	for (i = 0; i < summary->field_count; i++)
		if (summary->fields[i].id == node->field &&
		    value_matches(s, node, summary->fields[i].value))
			return true;
	return false;
}

static enum search_answer
eval_header(struct search *s, const struct search_node *node,
    enum search_level level)
{
	if (node->field != MAIL_FIELD_NONE &&
	    summary_has_field(s->message->summary, node->field))
		return answer(summary_matches(s, node) ||
		    block_matches(s, node, s->message->row.trace));
	if (level < SEARCH_HEADER)
		return SEARCH_UNKNOWN;
	return answer(block_matches(s, node, s->header));
}

static enum search_answer
eval_text(struct search *s, const struct search_node *node,
    enum search_level level)
{
	(void)s;
	(void)level;
	return answer((node->group->found >> node->needle & 1) != 0);
}

static enum search_answer (*const evals[IMAP_SEARCH_OP_COUNT])(
    struct search *, const struct search_node *, enum search_level) = {
	[IMAP_SEARCH_AND] = eval_and,
	[IMAP_SEARCH_OR] = eval_or,
	[IMAP_SEARCH_NOT] = eval_not,
	[IMAP_SEARCH_ALL] = eval_all,
	[IMAP_SEARCH_SEQ] = eval_seq,
	[IMAP_SEARCH_UID] = eval_uid,
	[IMAP_SEARCH_FLAG] = eval_flag,
	[IMAP_SEARCH_KEYWORD] = eval_keyword,
	[IMAP_SEARCH_HEADER] = eval_header,
	[IMAP_SEARCH_BODY] = eval_text,
	[IMAP_SEARCH_TEXT] = eval_text,
	[IMAP_SEARCH_BEFORE] = eval_date,
	[IMAP_SEARCH_ON] = eval_date,
	[IMAP_SEARCH_SINCE] = eval_date,
	[IMAP_SEARCH_LARGER] = eval_size,
	[IMAP_SEARCH_SMALLER] = eval_size,
	[IMAP_SEARCH_OLDER] = eval_age,
	[IMAP_SEARCH_YOUNGER] = eval_age,
	[IMAP_SEARCH_MODSEQ] = eval_modseq,
	[IMAP_SEARCH_EMAILID] = eval_emailid,
	[IMAP_SEARCH_THREADID] = eval_threadid,
	[IMAP_SEARCH_SAVEDBEFORE] = eval_saved,
	[IMAP_SEARCH_SAVEDON] = eval_saved,
	[IMAP_SEARCH_SAVEDSINCE] = eval_saved,
};

static bool
has_children(enum imap_search_op op)
{
	return op == IMAP_SEARCH_AND || op == IMAP_SEARCH_OR ||
	    op == IMAP_SEARCH_NOT;
}

static enum search_answer
eval(struct search *s, const struct search_node *node,
    enum search_level level)
{
	if (level < node->level && !has_children(node->op))
		return SEARCH_UNKNOWN;
	return evals[node->op](s, node, level);
}

enum search_answer
search_eval(struct search *search, enum search_level level)
{
	return eval(search, search->root, level);
}
