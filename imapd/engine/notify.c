/* SPDX-License-Identifier: ISC */
#include "imapd/engine/notify.h"

#define STATUS_ITEMS (IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT | \
	IMAP_STATUS_UIDVALIDITY | IMAP_STATUS_UNSEEN)
#define EVENTS_OF_MESSAGES (IMAP_EVENT_NEW | IMAP_EVENT_EXPUNGE | \
	IMAP_EVENT_FLAGS)

/* A mailbox as it was last told. */
struct seen {
	uint64_t id;
	uint64_t highestmodseq;
	uint32_t uidvalidity;
	uint32_t uidnext;
	uint32_t messages;
	enum store_role role;
	bool is_noselect;
	bool is_subscribed;
	struct str name;
};

struct notify {
	struct imap_notify set;
	struct arena *arena;		/* of the set */
	struct arena *names;		/* of seen */
	struct seen *seen;		/* by id */
	size_t count;
	uint64_t checked;		/* the account's modseq */
};

/* --- the groups ---------------------------------------------------- */

static void
copy_group(struct arena *arena, const struct imap_notify_group *from,
    struct imap_notify_group *to)
{
	size_t i;

	*to = *from;
	to->items = arena_str(arena, from->items);
	to->names = arena_alloc(arena,
	    (from->n_names + 1) * sizeof(*to->names));
	for (i = 0; i < from->n_names; i++) {
		to->names[i] = from->names[i];
		if (store_name_canon(from->names[i].name, arena,
		    &to->names[i].name, NULL) != 0)
			to->names[i].name = STR("");
	}
}

static bool
is_below(struct str name, struct str root)
{
	return str_begins(name, root) &&
	    (name.len == root.len || name.p[root.len] == '/');
}

static bool
names_fit(const struct imap_notify_group *g, struct str name)
{
	size_t i;

	for (i = 0; i < g->n_names; i++)
		if (g->filter == IMAP_NOTIFY_SUBTREE ?
		    is_below(name, g->names[i].name) :
		    str_eq(name, g->names[i].name))
			return true;
	return false;
}

/* RFC 5465 section 6.3: where mail may be delivered. */
static bool
is_inbox(enum store_role role)
{
	return role == STORE_ROLE_INBOX || role == STORE_ROLE_JUNK ||
	    role == STORE_ROLE_NONE;
}

static bool
fits(const struct imap_notify_group *g, const struct seen *box)
{
	switch (g->filter) {
	case IMAP_NOTIFY_SELECTED:
	case IMAP_NOTIFY_SELECTED_DELAYED:
		return false;
	case IMAP_NOTIFY_INBOXES:
		return is_inbox(box->role);
	case IMAP_NOTIFY_PERSONAL:
		return true;
	case IMAP_NOTIFY_SUBSCRIBED:
		return box->is_subscribed;
	case IMAP_NOTIFY_SUBTREE:
	case IMAP_NOTIFY_MAILBOXES:
		return names_fit(g, box->name);
	}
	return false;
}

static unsigned
events_of(const struct notify *n, const struct seen *box)
{
	size_t i;

	for (i = 0; i < n->set.n_groups; i++)
		if (fits(&n->set.groups[i], box))
			return n->set.groups[i].events;
	return 0;
}

static const struct imap_notify_group *
selected_group(const struct notify *n)
{
	size_t i;

	for (i = 0; i < n->set.n_groups; i++)
		if (n->set.groups[i].filter == IMAP_NOTIFY_SELECTED ||
		    n->set.groups[i].filter == IMAP_NOTIFY_SELECTED_DELAYED)
			return &n->set.groups[i];
	return NULL;
}

unsigned
notify_selected(const struct notify *n, bool *is_delayed_r)
{
	const struct imap_notify_group *g = selected_group(n);

	*is_delayed_r = g != NULL &&
	    g->filter == IMAP_NOTIFY_SELECTED_DELAYED;
	return g != NULL ? g->events : 0;
}

struct str
notify_items(const struct notify *n)
{
	const struct imap_notify_group *g = selected_group(n);

	return g != NULL ? g->items : STR_NONE;
}

bool
notify_is_small(const struct notify *n)
{
	return n->set.n_groups == 1 && selected_group(n) != NULL &&
	    notify_items(n).len == 0;
}

/* --- what was seen ------------------------------------------------- */

static int
by_id(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static struct seen
look(const struct store_mailbox *box, struct arena *names)
{
	return (struct seen){
		.id = box->id, .highestmodseq = box->highestmodseq,
		.uidvalidity = box->uidvalidity, .uidnext = box->uidnext,
		.messages = box->messages, .role = box->role,
		.is_noselect = box->is_noselect,
		.is_subscribed = box->is_subscribed,
		.name = arena_str(names, box->name),
	};
}

/* All mailboxes as they are now, by id. */
static struct seen *
look_at_all(struct store *store, struct arena *names, size_t *count_r)
{
	const struct store_mailbox *const *boxes;
	struct seen *seen;
	size_t i;

	if (store_mailbox_list(store, &boxes, count_r, NULL) != 0)
		*count_r = 0;
	seen = calloc(*count_r + 1, sizeof(*seen));
	invariant(seen != NULL);
	for (i = 0; i < *count_r; i++)
		seen[i] = look(boxes[i], names);
	qsort(seen, *count_r, sizeof(*seen), by_id);
	return seen;
}

struct notify *
notify_new(const struct imap_notify *asked, struct store *store)
{
	struct notify *n = calloc(1, sizeof(*n));
	size_t i;

	invariant(n != NULL);
	n->arena = arena_new(0);
	n->names = arena_new(0);
	n->set = *asked;
	n->set.groups = arena_alloc(n->arena,
	    (asked->n_groups + 1) * sizeof(*n->set.groups));
	for (i = 0; i < asked->n_groups; i++)
		copy_group(n->arena, &asked->groups[i], &n->set.groups[i]);
	n->checked = store_modseq(store);
	if (!notify_is_small(n))
		n->seen = look_at_all(store, n->names, &n->count);
	return n;
}

void
notify_free(struct notify **notify)
{
	if (*notify == NULL)
		return;
	arena_free(&(*notify)->arena);
	arena_free(&(*notify)->names);
	free((*notify)->seen);
	free(*notify);
	*notify = NULL;
}

/* --- telling ------------------------------------------------------- */

static bool
is_selected(const struct imap_session *s, const struct seen *box)
{
	return s->view != NULL && s->view->mailbox == box->id;
}

static void
put_status(struct imap_session *s, const struct seen *box)
{
	const struct store_mailbox *now = store_mailbox_by_id(s->store,
	    box->id);
	bool has_modseq = (s->enabled & IMAP_ENABLED_CONDSTORE) != 0;

	if (now != NULL && !now->is_noselect)
		imap_put_status(s, now, STATUS_ITEMS |
		    (has_modseq ? IMAP_STATUS_HIGHESTMODSEQ : 0U));
}

/* RFC 5465 section 5.4 and 5.5: the name, and what it was before. */
static void
put_name(struct imap_session *s, const struct seen *box,
    const struct seen *old)
{
	buf_addf(&s->out, "* LIST (%s%s) \"/\" ",
	    box->is_noselect ? "\\Noselect" : "",
	    !box->is_subscribed ? "" :
	    box->is_noselect ? " \\Subscribed" : "\\Subscribed");
	imap_put_name(s, box->name);
	if (old != NULL && !str_eq(old->name, box->name)) {
		buf_add_cstr(&s->out, " (\"OLDNAME\" (");
		imap_put_name(s, old->name);
		buf_add_cstr(&s->out, "))");
	}
	buf_add_cstr(&s->out, "\r\n");
}

static void
tell_deleted(const struct notify *n, struct imap_session *s,
    const struct seen *old)
{
	if ((events_of(n, old) & IMAP_EVENT_NAME) == 0)
		return;
	buf_add_cstr(&s->out, "* LIST (\\NonExistent) \"/\" ");
	imap_put_name(s, old->name);
	buf_add_cstr(&s->out, "\r\n");
}

static void
tell_created(const struct notify *n, struct imap_session *s,
    const struct seen *box)
{
	unsigned events = events_of(n, box);

	if ((events & IMAP_EVENT_NAME) != 0)
		put_name(s, box, NULL);
	if ((events & IMAP_EVENT_NEW) != 0 && box->messages != 0)
		put_status(s, box);
}

/* Which message events have happened between the two? */
static unsigned
message_events(const struct seen *old, const struct seen *box)
{
	uint32_t came = box->uidnext - old->uidnext;
	unsigned events = 0;

	if (box->highestmodseq == old->highestmodseq &&
	    box->uidvalidity == old->uidvalidity)
		return 0;
	if (came != 0 || box->uidvalidity != old->uidvalidity)
		events |= IMAP_EVENT_NEW;
	if (box->messages != old->messages + came)
		events |= IMAP_EVENT_EXPUNGE;
	/* Whether flags changed as well cannot be told from outside. */
	return events | IMAP_EVENT_FLAGS;
}

static void
tell_changed(const struct notify *n, struct imap_session *s,
    const struct seen *old, const struct seen *box)
{
	unsigned events = events_of(n, box) | events_of(n, old);
	bool is_renamed = !str_eq(old->name, box->name) ||
	    old->is_noselect != box->is_noselect;

	if ((is_renamed && (events & IMAP_EVENT_NAME) != 0) ||
	    (old->is_subscribed != box->is_subscribed &&
	    (events & IMAP_EVENT_SUBSCRIPTION) != 0))
		put_name(s, box, is_renamed ? old : NULL);
	if (!is_selected(s, box) && (events & EVENTS_OF_MESSAGES &
	    message_events(old, box)) != 0)
		put_status(s, box);
}

static void
compare(const struct notify *n, struct imap_session *s,
    const struct seen *now, size_t count)
{
	size_t i = 0, j = 0;

	while (i < n->count || j < count) {
		if (j == count ||
		    (i < n->count && n->seen[i].id < now[j].id))
			tell_deleted(n, s, &n->seen[i++]);
		else if (i == n->count || now[j].id < n->seen[i].id)
			tell_created(n, s, &now[j++]);
		else
			tell_changed(n, s, &n->seen[i++], &now[j++]);
	}
}

void
notify_put_all(const struct notify *n, struct imap_session *s)
{
	size_t i;

	for (i = 0; i < n->count; i++)
		if (!is_selected(s, &n->seen[i]) && (events_of(n,
		    &n->seen[i]) & EVENTS_OF_MESSAGES) != 0)
			put_status(s, &n->seen[i]);
}

void
notify_tell(struct notify *n, struct imap_session *s)
{
	struct arena *names;
	struct seen *now;
	size_t count;

	if (n->checked == store_modseq(s->store))
		return;
	n->checked = store_modseq(s->store);
	if (notify_is_small(n))
		return;
	names = arena_new(0);
	now = look_at_all(s->store, names, &count);
	compare(n, s, now, count);
	free(n->seen);
	arena_free(&n->names);
	n->seen = now;
	n->count = count;
	n->names = names;
}
