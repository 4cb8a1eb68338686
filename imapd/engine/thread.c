/* SPDX-License-Identifier: ISC */
#include "imapd/engine/thread.h"

#include "base/table.h"
#include "imapd/engine/merge.h"
#include "imapd/engine/sorter.h"
#include "mail/subject.h"

#define OCTETS_MAX (64U << 20)
#define STEP_NODES 4096U
#define STEP_COMPARISONS 8192U
#define ID_OCTETS_MAX 1000U

/* Index 0 is nobody. */
struct node {
	uint32_t parent;
	uint32_t child;		/* the first */
	uint32_t next;		/* siblings */
	uint32_t prev;
	uint32_t number;	/* 0: a dummy */
	bool is_reply;
	bool is_gone;		/* merged away */
	int64_t date_s;
	struct str subject;
};

enum phase {
	PHASE_ORDER,	/* ORDEREDSUBJECT: all by subject and date */
	PHASE_PRUNE,
	PHASE_GROUP,
	PHASE_CHILDREN,
	PHASE_ROOTS,
	PHASE_SORT,
	PHASE_END,
};

struct thread {
	enum imap_thread kind;
	struct arena *arena;
	struct arena *scratch;
	struct table *ids;	/* Message-ID, later subject: node */
	struct node *nodes;
	uint32_t count;
	uint32_t cap;
	enum phase phase;
	bool is_merging;
	uint32_t at;
	struct merge merge;
};

struct thread *
thread_new(enum imap_thread kind)
{
	struct thread *t = calloc(1, sizeof(*t));

	invariant(t != NULL);
	t->kind = kind;
	t->arena = arena_new(256U << 10);
	t->scratch = arena_new(0);
	t->ids = table_new();
	t->count = 1;
	t->phase = kind == IMAP_THREAD_REFERENCES ? PHASE_PRUNE : PHASE_ORDER;
	return t;
}

void
thread_free(struct thread **threadp)
{
	struct thread *t = *threadp;

	if (t == NULL)
		return;
	*threadp = NULL;
	merge_end(&t->merge);
	table_free(&t->ids);
	arena_free(&t->arena);
	arena_free(&t->scratch);
	free(t->nodes);
	free(t);
}

/* --- trees --------------------------------------------------------- */

static uint32_t
new_node(struct thread *t)
{
	if (t->count >= t->cap) {
		t->cap = t->cap != 0 ? t->cap * 2 : 256;
		t->nodes = realloc(t->nodes, t->cap * sizeof(*t->nodes));
		invariant(t->nodes != NULL);
	}
	t->nodes[t->count] = (struct node){ .subject = { "", 0 } };
	return t->count++;
}

static void
link_child(struct thread *t, uint32_t parent, uint32_t child)
{
	struct node *nodes = t->nodes;

	nodes[child].parent = parent;
	nodes[child].prev = 0;
	nodes[child].next = nodes[parent].child;
	if (nodes[parent].child != 0)
		nodes[nodes[parent].child].prev = child;
	nodes[parent].child = child;
}

static void
unlink_child(struct thread *t, uint32_t child)
{
	struct node *nodes = t->nodes, *n = &nodes[child];

	if (n->parent == 0)
		return;
	if (n->prev != 0)
		nodes[n->prev].next = n->next;
	else
		nodes[n->parent].child = n->next;
	if (n->next != 0)
		nodes[n->next].prev = n->prev;
	n->parent = n->next = n->prev = 0;
}

/* May child stand under parent? Not in a circle, and not too deep. */
static bool
may_link(const struct thread *t, uint32_t parent, uint32_t child)
{
	unsigned depth;

	for (depth = 0; parent != 0; depth++) {
		if (parent == child || depth == THREAD_DEPTH_MAX)
			return false;
		parent = t->nodes[parent].parent;
	}
	return true;
}

/* All children of from come under to (0: they become roots). */
static void
move_children(struct thread *t, uint32_t from, uint32_t to)
{
	uint32_t child;

	while ((child = t->nodes[from].child) != 0) {
		unlink_child(t, child);
		if (to != 0)
			link_child(t, to, child);
	}
}

/* --- messages in --------------------------------------------------- */

/* The next "<id>" of a field; false: no more. */
static bool
next_id(struct str *rest, struct str *id_r)
{
	size_t open, end;

	open = str_find(*rest, '<');
	if (open == STR_NPOS)
		return false;
	*rest = str_sub(*rest, open + 1, rest->len);
	end = str_find(*rest, '>');
	if (end == STR_NPOS)
		return false;
	*id_r = str_trim(str_sub(*rest, 0, end));
	*rest = str_sub(*rest, end + 1, rest->len);
	return true;
}

static bool
is_good_id(struct str id)
{
	return id.len != 0 && id.len <= ID_OCTETS_MAX;
}

static uint32_t
known_node(const struct thread *t, struct str id)
{
	return (uint32_t)(uintptr_t)table_get(t->ids, id);
}

static uint32_t
node_of_id(struct thread *t, struct str id)
{
	uint32_t node = known_node(t, id);

	if (node != 0)
		return node;
	node = new_node(t);
	(void)table_put(t->ids, arena_str(t->arena, id),
	    (void *)(uintptr_t)node);
	return node;
}

/* Step 1: a message without an id of its own, or with another's, is known
 * to nobody. */
static uint32_t
node_of_message(struct thread *t, struct str message_id)
{
	struct str id;
	uint32_t node;

	if (message_id.p == NULL || !next_id(&message_id, &id) ||
	    !is_good_id(id))
		return new_node(t);
	node = node_of_id(t, id);
	return t->nodes[node].number == 0 ? node : new_node(t);
}

/* Step 1.A: References, else the first id of In-Reply-To. The last ones. */
static size_t
references(struct str refs, struct str reply,
    struct str ids_r[THREAD_REFERENCES_MAX])
{
	size_t n = 0;
	struct str id;

	while (refs.p != NULL && next_id(&refs, &id)) {
		if (!is_good_id(id))
			continue;
		if (n == THREAD_REFERENCES_MAX)
			memmove(ids_r, ids_r + 1, --n * sizeof(*ids_r));
		ids_r[n++] = id;
	}
	if (n == 0 && reply.p != NULL && next_id(&reply, &id) &&
	    is_good_id(id))
		ids_r[n++] = id;
	return n;
}

static void
link_references(struct thread *t, uint32_t node, struct str refs,
    struct str reply)
{
	struct str ids[THREAD_REFERENCES_MAX];
	size_t i, n = references(refs, reply, ids);
	uint32_t last = 0, here;

	for (i = 0; i < n; i++) {
		here = node_of_id(t, ids[i]);
		if (last != 0 && t->nodes[here].parent == 0 &&
		    may_link(t, last, here))
			link_child(t, last, here);
		last = here;
	}
	/* Step 1.B: what the message itself says counts more. */
	if (last == 0 || t->nodes[node].parent == last ||
	    !may_link(t, last, node))
		return;
	unlink_child(t, node);
	link_child(t, last, node);
}

static struct str
field(const struct mail_summary *summary, enum mail_field_id id)
{
	const struct mail_field *found = summary_field(summary, id);

	return found != NULL ? found->value : STR_NONE;
}

int
thread_add(struct thread *t, uint32_t number, const struct store_msg *msg,
    const struct imap_message *m)
{
	const struct mail_summary *summary = m->summary;
	struct str subject = field(summary, MAIL_FIELD_SUBJECT), base;
	bool is_reply = subject_base(t->scratch, subject, &base);
	uint32_t node;

	if (arena_used(t->arena) + t->count * sizeof(*t->nodes) > OCTETS_MAX)
		return ERR_LIMIT;
	if (t->kind == IMAP_THREAD_REFERENCES) {
		node = node_of_message(t, field(summary,
		    MAIL_FIELD_MESSAGE_ID));
		t->nodes[node].number = number;
		link_references(t, node, field(summary, MAIL_FIELD_REFERENCES),
		    field(summary, MAIL_FIELD_IN_REPLY_TO));
	} else {
		node = new_node(t);
		t->nodes[node].number = number;
	}
	t->nodes[node].date_s = sorter_sent_s(msg, summary);
	t->nodes[node].subject = arena_str(t->arena, base);
	t->nodes[node].is_reply = is_reply;
	arena_reset(t->scratch);
	return 0;
}

/* --- order --------------------------------------------------------- */

static int
by_date(const void *ctx, uint32_t a, uint32_t b)
{
	const struct node *x = &((const struct node *)ctx)[a];
	const struct node *y = &((const struct node *)ctx)[b];

	if (x->date_s != y->date_s)
		return x->date_s < y->date_s ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static int
by_subject(const void *ctx, uint32_t a, uint32_t b)
{
	const struct node *nodes = ctx;
	int order = str_cmp(nodes[a].subject, nodes[b].subject);

	return order != 0 ? order : by_date(ctx, a, b);
}

/* The nodes for which is_in() holds are sorted in steps. True: done. */
static bool
sort_step(struct thread *t, bool (*is_in)(const struct node *),
    int (*compare)(const void *, uint32_t, uint32_t))
{
	uint32_t *items, i;
	size_t count = 0;

	if (!t->is_merging) {
		items = calloc(t->count, sizeof(*items));
		invariant(items != NULL);
		for (i = 1; i < t->count; i++)
			if (is_in(&t->nodes[i]))
				items[count++] = i;
		merge_end(&t->merge);
		merge_begin(&t->merge, items, count, compare, t->nodes);
		t->is_merging = true;
	}
	if (!merge_step(&t->merge, STEP_COMPARISONS))
		return false;
	t->is_merging = false;
	return true;
}

static bool
is_any(const struct node *node)
{
	(void)node;
	return true;
}

static bool
is_root(const struct node *node)
{
	return node->parent == 0 && !node->is_gone;
}

/* --- phases: true: done with it ------------------------------------ */

/* ORDEREDSUBJECT: the first of a subject is the root of the others. */
static bool
phase_order(struct thread *t)
{
	const uint32_t *order;
	uint32_t root = 0;
	size_t i;

	if (!sort_step(t, is_any, by_subject))
		return false;
	order = merge_result(&t->merge);
	for (i = 0; i + 1 < t->count; i++) {
		if (root != 0 && str_eq(t->nodes[root].subject,
		    t->nodes[order[i]].subject))
			link_child(t, root, order[i]);
		else
			root = order[i];
	}
	return true;
}

/* Step 3: dummies inside a tree give their place to their children. */
static void
prune_inner(struct thread *t, uint32_t i)
{
	struct node *n = &t->nodes[i];
	uint32_t parent = n->parent;

	if (n->number != 0 || parent == 0)
		return;
	move_children(t, i, parent);
	unlink_child(t, i);
	t->nodes[i].is_gone = true;
}

/* ... and at the top only when they hold at most one. */
static void
prune_root(struct thread *t, uint32_t i)
{
	struct node *n = &t->nodes[i];

	if (n->number != 0 || n->parent != 0 || n->is_gone ||
	    (n->child != 0 && t->nodes[n->child].next != 0))
		return;
	move_children(t, i, 0);
	n->is_gone = true;
}

static bool
phase_prune(struct thread *t)
{
	uint32_t i;

	for (i = 1; i < t->count; i++)
		prune_inner(t, i);
	for (i = 1; i < t->count; i++)
		prune_root(t, i);
	return true;
}

/* Of a dummy the earliest child counts. */
static uint32_t
first_of(const struct thread *t, uint32_t root)
{
	uint32_t child, first;

	if (t->nodes[root].number != 0)
		return root;
	first = t->nodes[root].child;
	for (child = first; child != 0; child = t->nodes[child].next)
		if (by_date(t->nodes, child, first) < 0)
			first = child;
	return first;
}

/* Step 5.B: which tree stands for its subject? */
static void
enter_subject(struct thread *t, uint32_t root)
{
	const struct node *here = &t->nodes[root];
	const struct node *first = &t->nodes[first_of(t, root)];
	const struct node *old;
	uint32_t known;

	if (first->subject.len == 0)
		return;
	known = known_node(t, first->subject);
	old = &t->nodes[known];
	if (known == 0 || (here->number == 0 && old->number != 0) ||
	    (old->number != 0 && old->is_reply && !here->is_reply))
		(void)table_put(t->ids, first->subject,
		    (void *)(uintptr_t)root);
}

/* Step 5.C */
static void
join_subject(struct thread *t, uint32_t root)
{
	struct str subject = t->nodes[first_of(t, root)].subject;
	uint32_t known, dummy;
	bool is_dummy;

	if (subject.len == 0)
		return;
	known = known_node(t, subject);
	if (known == 0 || known == root)
		return;
	is_dummy = t->nodes[root].number == 0;
	if (t->nodes[known].number == 0 && is_dummy) {
		move_children(t, root, known);
		t->nodes[root].is_gone = true;
	} else if (t->nodes[known].number == 0 ||
	    (t->nodes[root].is_reply && !t->nodes[known].is_reply)) {
		link_child(t, known, root);
	} else {
		dummy = new_node(t);
		link_child(t, dummy, known);
		link_child(t, dummy, root);
		(void)table_put(t->ids, subject, (void *)(uintptr_t)dummy);
	}
}

static bool
phase_group(struct thread *t)
{
	uint32_t i, count = t->count;

	table_free(&t->ids);
	t->ids = table_new();
	for (i = 1; i < count; i++)
		if (is_root(&t->nodes[i]))
			enter_subject(t, i);
	for (i = 1; i < count; i++)
		if (is_root(&t->nodes[i]))
			join_subject(t, i);
	t->at = 1;
	return true;
}

static void
sort_children(struct thread *t, uint32_t parent)
{
	uint32_t child, *items;
	struct merge merge;
	size_t count = 0, i;

	for (child = t->nodes[parent].child; child != 0;
	    child = t->nodes[child].next)
		count++;
	if (count < 2)
		return;
	items = calloc(count, sizeof(*items));
	invariant(items != NULL);
	for (i = 0; i < count; i++) {
		items[i] = t->nodes[parent].child;
		unlink_child(t, items[i]);
	}
	merge_begin(&merge, items, count, by_date, t->nodes);
	while (!merge_step(&merge, SIZE_MAX))
		;
	/* The last one linked stands first. */
	for (i = count; i-- > 0;)
		link_child(t, parent, merge_result(&merge)[i]);
	merge_end(&merge);
}

/* Step 6 */
static bool
phase_children(struct thread *t)
{
	uint32_t n;

	if (t->at == 0)
		t->at = 1;
	for (n = 0; t->at < t->count; t->at++) {
		if (n++ == STEP_NODES)
			return false;
		sort_children(t, t->at);
	}
	return true;
}

/* Step 4: the date of a dummy is its first child's. */
static bool
phase_roots(struct thread *t)
{
	uint32_t i;

	for (i = 1; i < t->count; i++)
		if (is_root(&t->nodes[i]) && t->nodes[i].number == 0 &&
		    t->nodes[i].child != 0)
			t->nodes[i].date_s =
			    t->nodes[t->nodes[i].child].date_s;
	return true;
}

static bool
phase_sort(struct thread *t)
{
	return sort_step(t, is_root, by_date);
}

bool
thread_step(struct thread *t)
{
	static bool (*const phases[])(struct thread *) = {
		[PHASE_ORDER] = phase_order,
		[PHASE_PRUNE] = phase_prune,
		[PHASE_GROUP] = phase_group,
		[PHASE_CHILDREN] = phase_children,
		[PHASE_ROOTS] = phase_roots,
		[PHASE_SORT] = phase_sort,
	};

	if (t->phase == PHASE_END)
		return true;
	if (phases[t->phase](t))
		t->phase = t->phase == PHASE_ORDER ? PHASE_CHILDREN :
		    t->phase + 1;
	return t->phase == PHASE_END;
}

/* --- output -------------------------------------------------------- */

struct writer {
	const struct thread *t;
	const struct imap_view *view;
	bool is_uid;
	struct buf *out;
	uint32_t *stack;	/* nodes to come; 0: ")" */
	size_t depth;
};

/* The children of a node, so that the first comes off the stack first. */
static void
push_children(struct writer *w, uint32_t node)
{
	const struct node *nodes = w->t->nodes;
	uint32_t child;
	size_t i, from = w->depth, count;

	for (child = nodes[node].child; child != 0; child = nodes[child].next)
		w->stack[w->depth++] = child;
	count = w->depth - from;
	for (i = 0; i < count / 2; i++) {
		child = w->stack[from + i];
		w->stack[from + i] = w->stack[w->depth - 1 - i];
		w->stack[w->depth - 1 - i] = child;
	}
}

/* RFC 5256 section 4: as long as there is one child, numbers in a row. */
static void
put_chain(struct writer *w, uint32_t node)
{
	const struct node *nodes = w->t->nodes;
	bool has_number = false;
	uint32_t number;

	buf_add_char(w->out, '(');
	for (;; node = nodes[node].child) {
		if (has_number)
			buf_add_char(w->out, ' ');
		number = nodes[node].number;
		if (number != 0)
			buf_add_u64(w->out, w->is_uid ?
			    w->view->uids[number - 1] : number);
		has_number = number != 0;
		if (nodes[node].child == 0 ||
		    nodes[nodes[node].child].next != 0)
			break;
	}
	if (nodes[node].child != 0 && has_number)
		buf_add_char(w->out, ' ');
	w->stack[w->depth++] = 0;
	push_children(w, node);
}

static void
put_tree(struct writer *w, uint32_t root)
{
	uint32_t node;

	w->stack[w->depth++] = root;
	while (w->depth != 0) {
		node = w->stack[--w->depth];
		if (node != 0)
			put_chain(w, node);
		else
			buf_add_char(w->out, ')');
	}
}

void
thread_put(const struct thread *t, const struct imap_view *view, bool is_uid,
    struct buf *out)
{
	struct writer w = { .t = t, .view = view, .is_uid = is_uid,
	    .out = out };
	const uint32_t *roots = merge_result(&t->merge);
	size_t i;

	/* Every node and one ")" for each. */
	w.stack = calloc(2 * (size_t)t->count + 2, sizeof(*w.stack));
	invariant(w.stack != NULL);
	for (i = 0; i < t->merge.count; i++)
		put_tree(&w, roots[i]);
	free(w.stack);
}
