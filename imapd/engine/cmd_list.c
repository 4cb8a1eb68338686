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

static void
put_list(struct imap_session *s, const struct entry *e)
{
	const struct imap_list *list = &s->cmd.u.list;
	const struct store_mailbox *box;

	buf_add_cstr(&s->out, "* LIST (");
	put_attributes(s, e);
	buf_add_cstr(&s->out, ") \"/\" ");
	imap_put_mailbox(&s->out, e->name, false);
	buf_add_cstr(&s->out, "\r\n");
	if ((list->returns & IMAP_LIST_STATUS) == 0 || e->is_noselect)
		return;
	box = store_mailbox_by_id(s->store, e->id);
	if (box != NULL)
		imap_put_status(s, box, list->status);
}

static bool
is_wanted(const struct imap_list *list, const struct entry *e)
{
	if ((list->select & IMAP_LIST_SUBSCRIBED) != 0 && !e->is_subscribed)
		return false;
	return (list->select & IMAP_LIST_SPECIAL_USE) == 0 ||
	    imap_role_name(e->role) != NULL;
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
	if ((list->select & IMAP_LIST_RECURSIVEMATCH) != 0)
		return imap_bad(s, "RECURSIVEMATCH is not supported");
	if (job == NULL) {
		/* Subscribed names need not exist. */
		job = list_begin(s, (list->select & IMAP_LIST_SUBSCRIBED) != 0 ?
		    copy_subscriptions : copy_mailboxes);
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
	imap_put_mailbox(&s->out, name, false);
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
