/* SPDX-License-Identifier: ISC */
/*
 * LIST and LSUB. The names are copied when the command begins, so that
 * patterns that take long can be matched in slices.
 */
#include "imapd/engine/engine_int.h"

struct entry {
	struct str name;
	uint64_t id;		/* 0: a subscription without a mailbox */
	enum store_role role;
	bool is_noselect;
	bool has_children;
	bool is_subscribed;
	bool has_subscribed_child;
	bool has_special_child;
};

struct list_job {
	struct entry *entries;
	size_t count;
	size_t at;
	struct str *patterns;
	size_t n_patterns;
	struct str last_parent;		/* LSUB: shown for its children */
};

/* --- patterns ------------------------------------------------------ */

/* RFC 3501 section 6.3.8: the reference goes in front as it is. */
static void
make_patterns(struct imap_session *s, struct list_job *job)
{
	const struct imap_list *list = &s->cmd.u.list;
	struct str ref = list->reference.name, pattern;
	size_t i;

	job->patterns = arena_alloc(s->arena,
	    (list->n_patterns + 1) * sizeof(*job->patterns));
	for (i = 0; i < list->n_patterns; i++) {
		pattern = list->patterns[i].name;
		/* A pattern that begins at the root ignores the reference. */
		if (ref.len == 0 || (pattern.len != 0 && pattern.p[0] == '/'))
			job->patterns[i] = pattern;
		else
			job->patterns[i] = arena_printf(s->arena, "%.*s%.*s",
			    STR_FMT(ref), STR_FMT(pattern));
	}
	job->n_patterns = list->n_patterns;
}

/* INBOX is INBOX in any case. */
static bool
matches_inbox(struct str pattern, struct str name)
{
	char upper[IMAP_PATTERN_OCTETS_MAX];
	size_t i;

	if (!str_eq(name, STR("INBOX")) || pattern.len > sizeof(upper))
		return false;
	for (i = 0; i < pattern.len; i++)
		upper[i] = ascii_upper(pattern.p[i]);
	return imap_match(str_make(upper, pattern.len), name, '/');
}

static bool
matches(const struct list_job *job, struct str name)
{
	size_t i;

	for (i = 0; i < job->n_patterns; i++)
		if (imap_match(job->patterns[i], name, '/') ||
		    matches_inbox(job->patterns[i], name))
			return true;
	return false;
}

/* --- entries ------------------------------------------------------- */

static int
copy_mailboxes(struct imap_session *s, struct list_job *job, struct err *err)
{
	const struct store_mailbox *const *boxes;
	size_t count, i;
	int ret = store_mailbox_list(s->store, &boxes, &count, err);

	if (ret != 0)
		return ret;
	job->entries = arena_alloc(s->arena, (count + 1) *
	    sizeof(*job->entries));
	for (i = 0; i < count; i++)
		job->entries[i] = (struct entry){
			.name = arena_str(s->arena, boxes[i]->name),
			.id = boxes[i]->id,
			.role = boxes[i]->role,
			.is_noselect = boxes[i]->is_noselect,
			.has_children = boxes[i]->has_children,
			.is_subscribed = boxes[i]->is_subscribed,
		};
	job->count = count;
	return 0;
}

static int
copy_subscriptions(struct imap_session *s, struct list_job *job,
    struct err *err)
{
	const struct store_mailbox *box;
	struct str *names;
	size_t count, i;
	int ret = store_subscription_list(s->store, s->arena, &names, &count,
	    err);

	if (ret != 0)
		return ret;
	job->entries = arena_alloc(s->arena, (count + 1) *
	    sizeof(*job->entries));
	for (i = 0; i < count; i++) {
		box = store_mailbox_by_name(s->store, names[i]);
		job->entries[i] = (struct entry){
			.name = names[i], .is_subscribed = true,
			.id = box != NULL ? box->id : 0,
			.role = box != NULL ? box->role : STORE_ROLE_NONE,
			.is_noselect = box == NULL || box->is_noselect,
			.has_children = box != NULL && box->has_children,
		};
	}
	job->count = count;
	return 0;
}

/* --- RECURSIVEMATCH ------------------------------------------------ */

/* Levels of names: '/' comes before everything else, as in the store. */
static int
compare_names(struct str a, struct str b)
{
	size_t i, n = a.len < b.len ? a.len : b.len;
	int x, y;

	for (i = 0; i < n; i++) {
		x = a.p[i] == '/' ? -1 : (unsigned char)a.p[i];
		y = b.p[i] == '/' ? -1 : (unsigned char)b.p[i];
		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a.len > b.len) - (a.len < b.len);
}

static int
by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = compare_names(x->name, y->name);

	/* Of two with one name the mailbox comes first. */
	return order != 0 ? order : (x->id == 0) - (y->id == 0);
}

static struct entry *
find_entry(struct list_job *job, struct str name)
{
	const struct entry key = { .name = name };
	size_t low = 0, high = job->count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (compare_names(job->entries[mid].name, key.name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < job->count && str_eq(job->entries[low].name, name) ?
	    &job->entries[low] : NULL;
}

/* The number of parents a name has. */
static size_t
count_parents(struct str name)
{
	size_t i, n = 0;

	for (i = 0; i < name.len; i++)
		n += name.p[i] == '/';
	return n;
}

/* Append name, and the parents it may lack, as names without a mailbox. */
static void
add_missing(struct list_job *job, struct str name)
{
	size_t slash;

	job->entries[job->count++] = (struct entry){
		.name = name, .is_noselect = true, .is_subscribed = true,
	};
	while ((slash = str_rfind(name, '/')) != STR_NPOS) {
		name = str_sub(name, 0, slash);
		job->entries[job->count++] = (struct entry){
			.name = name, .is_noselect = true,
			.has_children = true,
		};
	}
}

/* Sort; of equal names the first stays, with what the others know. */
static void
merge_entries(struct list_job *job)
{
	struct entry *e, *last = NULL;
	size_t i, kept = 0;

	qsort(job->entries, job->count, sizeof(*job->entries), by_name);
	for (i = 0; i < job->count; i++) {
		e = &job->entries[i];
		if (last == NULL || !str_eq(last->name, e->name)) {
			last = &job->entries[kept++];
			*last = *e;
			continue;
		}
		last->is_subscribed |= e->is_subscribed;
		last->has_children |= e->has_children && last->id == 0;
	}
	job->count = kept;
}

static void
mark_parents(struct list_job *job, const struct entry *e)
{
	struct str name = e->name;
	struct entry *parent;
	size_t slash;

	while ((slash = str_rfind(name, '/')) != STR_NPOS) {
		name = str_sub(name, 0, slash);
		parent = find_entry(job, name);
		if (parent == NULL)
			continue;
		parent->has_subscribed_child |= e->is_subscribed;
		parent->has_special_child |= imap_role_name(e->role) != NULL;
	}
}

/* RFC 5258 section 3: all mailboxes, subscribed names that are none, and the
 * parents of those; each knows what is below it. */
static int
copy_recursive(struct imap_session *s, struct list_job *job, struct err *err)
{
	struct entry *entries;
	struct str *names;
	size_t count, i, room;
	int ret = copy_mailboxes(s, job, err);

	if (ret == 0)
		ret = store_subscription_list(s->store, s->arena, &names,
		    &count, err);
	if (ret != 0)
		return ret;
	room = job->count + 1;
	for (i = 0; i < count; i++)
		room += 1 + count_parents(names[i]);
	entries = arena_alloc(s->arena, room * sizeof(*entries));
	memcpy(entries, job->entries, job->count * sizeof(*entries));
	job->entries = entries;
	for (i = 0; i < count; i++)
		if (store_mailbox_by_name(s->store, names[i]) == NULL)
			add_missing(job, names[i]);
	merge_entries(job);
	for (i = 0; i < job->count; i++)
		mark_parents(job, &job->entries[i]);
	return 0;
}

/* --- LIST ---------------------------------------------------------- */

static void
put_attributes(struct imap_session *s, const struct entry *e)
{
	const struct imap_list *list = &s->cmd.u.list;
	const char *role = imap_role_name(e->role);

	if (e->id == 0)
		buf_add_cstr(&s->out, "\\NonExistent ");
	else if (e->is_noselect)
		buf_add_cstr(&s->out, "\\Noselect ");
	buf_add_cstr(&s->out, e->has_children ? "\\HasChildren" :
	    "\\HasNoChildren");
	if (((list->select | list->returns) & IMAP_LIST_SUBSCRIBED) != 0 &&
	    e->is_subscribed)
		buf_add_cstr(&s->out, " \\Subscribed");
	if (role != NULL) {
		buf_add_char(&s->out, ' ');
		buf_add_cstr(&s->out, role);
	}
}

/* RFC 5258 section 4: which criteria something below fulfils. */
static void
put_childinfo(struct imap_session *s, const struct entry *e)
{
	unsigned select = s->cmd.u.list.select;
	bool is_subscribed = (select & IMAP_LIST_SUBSCRIBED) != 0 &&
	    e->has_subscribed_child;
	bool is_special = (select & IMAP_LIST_SPECIAL_USE) != 0 &&
	    e->has_special_child;

	if ((select & IMAP_LIST_RECURSIVEMATCH) == 0 ||
	    (!is_subscribed && !is_special))
		return;
	buf_add_cstr(&s->out, " (\"CHILDINFO\" (");
	if (is_subscribed)
		buf_add_cstr(&s->out, "\"SUBSCRIBED\"");
	if (is_special)
		buf_add_cstr(&s->out, is_subscribed ? " \"SPECIAL-USE\"" :
		    "\"SPECIAL-USE\"");
	buf_add_cstr(&s->out, "))");
}

void
imap_put_list(struct imap_session *s, const struct store_mailbox *box,
    struct str old_name)
{
	const char *role = imap_role_name(box->role);

	buf_addf(&s->out, "* LIST (%s%s%s%s) \"/\" ",
	    box->is_noselect ? "\\Noselect " : "",
	    box->has_children ? "\\HasChildren" : "\\HasNoChildren",
	    role != NULL ? " " : "", role != NULL ? role : "");
	imap_put_name(s, box->name);
	if (old_name.len != 0 && !str_eq(old_name, box->name)) {
		buf_add_cstr(&s->out, " (\"OLDNAME\" (");
		imap_put_name(s, old_name);
		buf_add_cstr(&s->out, "))");
	}
	buf_add_cstr(&s->out, "\r\n");
}

static void
put_list(struct imap_session *s, const struct entry *e)
{
	const struct imap_list *list = &s->cmd.u.list;
	const struct store_mailbox *box;

	buf_add_cstr(&s->out, "* LIST (");
	put_attributes(s, e);
	buf_add_cstr(&s->out, ") \"/\" ");
	imap_put_name(s, e->name);
	put_childinfo(s, e);
	buf_add_cstr(&s->out, "\r\n");
	if ((list->returns & IMAP_LIST_STATUS) == 0 || e->is_noselect)
		return;
	box = store_mailbox_by_id(s->store, e->id);
	if (box != NULL)
		imap_put_status(s, box, list->status);
}

static bool
is_selected(const struct imap_list *list, const struct entry *e)
{
	if ((list->select & IMAP_LIST_SUBSCRIBED) != 0 && !e->is_subscribed)
		return false;
	return (list->select & IMAP_LIST_SPECIAL_USE) == 0 ||
	    imap_role_name(e->role) != NULL;
}

static bool
has_selected_child(const struct imap_list *list, const struct entry *e)
{
	return ((list->select & IMAP_LIST_SUBSCRIBED) != 0 &&
	    e->has_subscribed_child) ||
	    ((list->select & IMAP_LIST_SPECIAL_USE) != 0 &&
	    e->has_special_child);
}

static bool
is_wanted(const struct imap_list *list, const struct entry *e)
{
	/* What is there only as somebody's parent. */
	if (e->id == 0 && !e->is_subscribed && !has_selected_child(list, e))
		return false;
	return is_selected(list, e) ||
	    ((list->select & IMAP_LIST_RECURSIVEMATCH) != 0 &&
	    has_selected_child(list, e));
}

static int (*copier(const struct imap_list *list))(struct imap_session *,
    struct list_job *, struct err *)
{
	if ((list->select & IMAP_LIST_RECURSIVEMATCH) != 0)
		return copy_recursive;
	/* Subscribed names need not exist. */
	return (list->select & IMAP_LIST_SUBSCRIBED) != 0 ?
	    copy_subscriptions : copy_mailboxes;
}

/* RFC 3501 section 6.3.8: LIST "" "" asks for the separator. */
static enum imap_run
put_root(struct imap_session *s, const char *name)
{
	buf_addf(&s->out, "* %s (\\Noselect) \"/\" \"\"\r\n", name);
	imap_ok(s);
	return RUN_DONE;
}

static bool
asks_for_root(const struct imap_list *list)
{
	return !list->is_extended && list->n_patterns == 1 &&
	    list->patterns[0].name.len == 0;
}

static struct list_job *
list_begin(struct imap_session *s,
    int (*copy)(struct imap_session *, struct list_job *, struct err *))
{
	struct list_job *job = arena_new_of(s->arena, struct list_job);
	struct err err = ERR_INIT;

	if (copy(s, job, &err) != 0) {
		imap_reply_err(s, &err);
		return NULL;
	}
	make_patterns(s, job);
	s->job = job;
	return job;
}

enum imap_run
imap_run_list(struct imap_session *s)
{
	const struct imap_list *list = &s->cmd.u.list;
	struct list_job *job = s->job;
	struct entry *e;

	if (asks_for_root(list))
		return put_root(s, "LIST");
	if (job == NULL) {
		/* RFC 7162 section 3.1: as by STATUS. */
		if ((list->status & IMAP_STATUS_HIGHESTMODSEQ) != 0)
			imap_enable(s, IMAP_ENABLED_CONDSTORE);
		job = list_begin(s, copier(list));
		if (job == NULL)
			return RUN_DONE;
	}
	for (; job->at < job->count; job->at++) {
		if (imap_is_full(s) || engine_slice_over(s->host))
			return RUN_MORE;
		e = &job->entries[job->at];
		if (is_wanted(list, e) && matches(job, e->name))
			put_list(s, e);
	}
	imap_ok(s);
	return RUN_DONE;
}

/* --- LSUB ---------------------------------------------------------- */

static void
put_lsub(struct imap_session *s, struct str name, bool is_noselect)
{
	buf_add_cstr(&s->out, is_noselect ? "* LSUB (\\Noselect) \"/\" " :
	    "* LSUB () \"/\" ");
	imap_put_name(s, name);
	buf_add_cstr(&s->out, "\r\n");
}

static bool
is_in(const struct list_job *job, struct str name)
{
	size_t i;

	for (i = 0; i < job->count; i++)
		if (str_eq(job->entries[i].name, name))
			return true;
	return false;
}

/*
 * RFC 3501 section 6.3.9: when "%" stops above a subscribed name, the name it
 * stops at is shown with \Noselect. Siblings are neighbours mostly.
 */
static void
put_lsub_parent(struct imap_session *s, struct list_job *job, struct str name)
{
	size_t slash;

	while ((slash = str_rfind(name, '/')) != STR_NPOS) {
		name = str_sub(name, 0, slash);
		if (!matches(job, name))
			continue;
		if (!str_eq(name, job->last_parent) && !is_in(job, name))
			put_lsub(s, name, true);
		job->last_parent = name;
		return;
	}
}

enum imap_run
imap_run_lsub(struct imap_session *s)
{
	struct list_job *job = s->job;
	struct entry *e;

	if (asks_for_root(&s->cmd.u.list))
		return put_root(s, "LSUB");
	if (job == NULL) {
		job = list_begin(s, copy_subscriptions);
		if (job == NULL)
			return RUN_DONE;
	}
	for (; job->at < job->count; job->at++) {
		if (imap_is_full(s) || engine_slice_over(s->host))
			return RUN_MORE;
		e = &job->entries[job->at];
		if (matches(job, e->name))
			put_lsub(s, e->name, false);
		else
			put_lsub_parent(s, job, e->name);
	}
	imap_ok(s);
	return RUN_DONE;
}
