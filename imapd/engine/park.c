/* SPDX-License-Identifier: ISC */
/*
 * A session as octets, while the front keeps it.
 *
 *   version, flags, enabled, bad_count, tag (length, octets),
 *   with STATE_NOTIFY: its events
 *   selected: mailbox, uidvalidity, modseq, keywords, recent_told,
 *             number of \Recent ranges, ranges,
 *             number of ranges of "$", ranges (gap, length)
 *             number of UIDs, last UID, kind, and by kind
 *               EXACT: number of ranges, ranges (gap, length)
 *               LEVEL: nothing: the UIDs are those that were there at modseq
 *
 * Numbers have seven bits an octet, low ones first. LEVEL is for mailboxes
 * with too many gaps; on return the UIDs are found again from what is there
 * and what has vanished since, and must be as many as before.
 *
 * What comes back is checked like a stranger's: a wrong state ends in an
 * error and never in a wrong message number.
 */
#include "imapd/engine/engine_int.h"

#include "imapd/engine/notify.h"

enum { STATE_VERSION = 2 };
enum {
	STATE_SELECTED = 1,
	STATE_READONLY = 2,
	STATE_IDLE = 4,
	STATE_NOTIFY = 8,	/* of the selected mailbox */
	STATE_DELAYED = 16,
	STATE_ALL = 31,
};
enum { UIDS_EXACT, UIDS_LEVEL };

/* --- writing ------------------------------------------------------- */

static void
put_v(struct buf *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_add_char(out, (char)(v | 0x80));
	buf_add_char(out, (char)v);
}

static void
put_range(struct buf *out, uint32_t *last, uint32_t first, uint32_t to)
{
	put_v(out, first - *last);
	put_v(out, to - first);
	*last = to;
}

static size_t
count_runs(const struct imap_view *view)
{
	size_t i, n = view->count != 0;

	for (i = 1; i < view->count; i++)
		n += view->uids[i] != view->uids[i - 1] + 1;
	return n;
}

static void
put_exact(struct buf *out, const struct imap_view *view)
{
	uint32_t last = 0;
	size_t i, from = 0;

	put_v(out, UIDS_EXACT);
	put_v(out, count_runs(view));
	for (i = 1; i <= view->count; i++)
		if (i == view->count ||
		    view->uids[i] != view->uids[i - 1] + 1) {
			put_range(out, &last, view->uids[from],
			    view->uids[i - 1]);
			from = i;
		}
}

/* Does the client know all there is, and nothing else? */
static bool
is_level(struct imap_session *s)
{
	const struct imap_view *view = s->view;

	return !view->has_gone && view->scan_modseq == 0 &&
	    view->checked == store_modseq(s->store) &&
	    view_change_begin(view, s->store);
}

static void
put_view(struct imap_session *s, struct buf *out)
{
	const struct imap_view *view = s->view;
	uint32_t last = 0;
	size_t i, at;

	put_v(out, view->mailbox);
	put_v(out, view->uidvalidity);
	put_v(out, view->modseq);
	put_v(out, view->keywords);
	put_v(out, view->recent_told);
	put_v(out, view->recent_count);
	for (i = 0; i < view->recent_count; i++)
		put_range(out, &last, view->recent[i].first,
		    view->recent[i].last);
	put_v(out, view->saved_count);
	last = 0;
	for (i = 0; i < view->saved_count && out->len <= ENGINE_STATE_MAX; i++)
		put_range(out, &last, view->saved[i].first,
		    view->saved[i].last);
	put_v(out, view->count);
	put_v(out, view->count != 0 ? view->uids[view->count - 1] : 0);
	at = out->len;
	/* Each run takes two octets at least. */
	if (count_runs(view) <= ENGINE_STATE_MAX / 2)
		put_exact(out, view);
	else
		buf_addf(out, "%*s", ENGINE_STATE_MAX, "");
	if (out->len > ENGINE_STATE_MAX && is_level(s)) {
		buf_truncate(out, at);
		put_v(out, UIDS_LEVEL);
	}
}

/* Between commands, or in IDLE, with nothing half read or half told. */
static bool
is_quiet(const struct imap_session *s)
{
	if (s->is_over || s->out.len != 0 || engine_input(s->host).len != 0)
		return false;
	if (s->view != NULL && s->view->scan_modseq != 0)
		return false;
	if (s->phase == PHASE_IDLE)
		return imap_framer_text(&s->framer).len == 0;
	return s->phase == PHASE_INPUT && imap_framer_is_idle(&s->framer);
}

bool
imap_park(struct imap_session *s, struct buf *state)
{
	struct str tag = STR_NONE;
	struct buf out;
	unsigned flags = 0, events = 0;
	bool is_good, is_delayed;

	/* What NOTIFY has seen of other mailboxes is too much to keep. */
	if (!is_quiet(s) ||
	    (s->notify != NULL && !notify_is_small(s->notify)))
		return false;
	if (s->phase == PHASE_IDLE) {
		flags |= STATE_IDLE;
		tag = str_of(s->idle_tag);
	}
	if (s->view != NULL)
		flags |= STATE_SELECTED | (s->view->is_readonly ?
		    STATE_READONLY : 0U);
	if (s->notify != NULL) {
		events = notify_selected(s->notify, &is_delayed);
		flags |= STATE_NOTIFY | (is_delayed ? STATE_DELAYED : 0U);
	}
	buf_init(&out, 8 * ENGINE_STATE_MAX);
	put_v(&out, STATE_VERSION);
	put_v(&out, flags);
	put_v(&out, s->enabled);
	put_v(&out, s->bad_count);
	put_v(&out, tag.len);
	buf_add_str(&out, tag);
	if (s->notify != NULL)
		put_v(&out, events);
	if (s->view != NULL)
		put_view(s, &out);
	is_good = !buf_failed(&out) && out.len <= ENGINE_STATE_MAX;
	if (is_good)
		buf_add_str(state, buf_str(&out));
	buf_fini(&out);
	return is_good && !buf_failed(state);
}

/* --- reading ------------------------------------------------------- */

struct reader {
	struct str in;
	bool has_failed;
};

static uint64_t
get_v(struct reader *r, uint64_t max)
{
	uint64_t v = 0;
	unsigned shift;
	unsigned char c;

	for (shift = 0; shift < 64 && r->in.len != 0; shift += 7) {
		c = (unsigned char)r->in.p[0];
		r->in = str_sub(r->in, 1, r->in.len);
		if (shift == 63 && c > 1)
			break;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80 && v <= max)
			return v;
		if (c < 0x80)
			break;
	}
	r->has_failed = true;
	return 0;
}

/* The next range, after *last. */
static struct store_range
get_range(struct reader *r, uint32_t *last)
{
	uint64_t first = *last + get_v(r, UINT32_MAX);
	uint64_t to = first + get_v(r, UINT32_MAX);

	if (first <= *last || to >= UINT32_MAX)
		r->has_failed = true;
	if (r->has_failed)
		return (struct store_range){ 0, 0 };
	*last = (uint32_t)to;
	return (struct store_range){ (uint32_t)first, (uint32_t)to };
}

static void
get_tag(struct reader *r, struct imap_session *s, bool is_idle)
{
	size_t len = (size_t)get_v(r, sizeof(s->idle_tag) - 1);
	struct str tag = str_sub(r->in, 0, len);

	if (tag.len != len || (is_idle && !imap_is_tag(tag)) ||
	    (!is_idle && len != 0))
		r->has_failed = true;
	if (r->has_failed)
		return;
	memcpy(s->idle_tag, tag.p, len);
	s->idle_tag[len] = '\0';
	r->in = str_sub(r->in, len, r->in.len);
}

static void
get_recent(struct reader *r, struct imap_view *view)
{
	uint32_t last = 0;

	view->recent_told = (size_t)get_v(r, UINT32_MAX);
	view->recent_count = (size_t)get_v(r, VIEW_RECENT_MAX);
	for (size_t i = 0; i < view->recent_count; i++)
		view->recent[i] = get_range(r, &last);
}

static void
get_saved(struct reader *r, struct imap_view *view)
{
	size_t i, count = (size_t)get_v(r, ENGINE_STATE_MAX);
	uint32_t last = 0;

	if (r->has_failed || count == 0)
		return;
	view->saved = calloc(count, sizeof(*view->saved));
	invariant(view->saved != NULL);
	for (i = 0; i < count && !r->has_failed; i++)
		view->saved[i] = get_range(r, &last);
	view->saved_count = r->has_failed ? 0 : count;
}

/* UIDs of msgs and of gone up to last, merged. */
static int
add_level(struct imap_view *view, const struct store_msg *msgs, size_t count,
    const struct store_set *gone, uint32_t last)
{
	size_t i = 0, j = 0;
	uint32_t uid, to;

	while (i < count || j < gone->count) {
		if (j == gone->count ||
		    (i < count && msgs[i].uid < gone->ranges[j].first)) {
			uid = to = msgs[i++].uid;
		} else {
			uid = gone->ranges[j].first;
			to = gone->ranges[j++].last;
		}
		if (uid > last)
			return 0;
		if (view_add_range(view, uid, to < last ? to : last) != 0)
			return ERR_LIMIT;
	}
	return 0;
}

static void
get_exact(struct reader *r, struct imap_view *view, size_t count)
{
	size_t n = (size_t)get_v(r, ENGINE_STATE_MAX);
	struct store_range range;
	uint32_t last = 0;

	while (n-- > 0 && !r->has_failed) {
		range = get_range(r, &last);
		if (r->has_failed || (uint64_t)range.last - range.first + 1 >
		    count - view->count ||
		    view_add_range(view, range.first, range.last) != 0)
			r->has_failed = true;
	}
}

/* Is each message that is there, and as old as the known ones, known? */
static bool
knows_all(const struct imap_view *view, const struct store_msg *msgs,
    size_t count)
{
	size_t i, j = 0;

	for (i = 0; i < count && view->count != 0 &&
	    msgs[i].uid <= view->uids[view->count - 1]; i++) {
		while (view->uids[j] < msgs[i].uid)
			j++;
		if (view->uids[j] != msgs[i].uid)
			return false;
	}
	return true;
}

static void
get_uids(struct reader *r, struct imap_session *s,
    const struct store_mailbox *box)
{
	size_t count = (size_t)get_v(r, UINT32_MAX), now;
	uint32_t last = (uint32_t)get_v(r, UINT32_MAX);
	uint64_t kind = get_v(r, UIDS_LEVEL);
	const struct store_msg *msgs;
	struct store_set gone;

	/* No more than were ever given out. */
	if (r->has_failed || last >= box->uidnext || count > last ||
	    store_vanished(s->store, box->id, s->view->modseq, s->arena,
	    &gone, NULL) != 0 ||
	    store_messages(s->store, box->id, &msgs, &now, NULL) != 0)
		r->has_failed = true;
	else if (kind == UIDS_EXACT)
		get_exact(r, s->view, count);
	else if (add_level(s->view, msgs, now, &gone, last) != 0)
		r->has_failed = true;
	if (r->has_failed || s->view->count != count ||
	    (count != 0 && s->view->uids[count - 1] != last) ||
	    !knows_all(s->view, msgs, now))
		r->has_failed = true;
}

static int
get_view(struct reader *r, struct imap_session *s, bool is_readonly,
    struct err *err)
{
	const struct store_mailbox *box = store_mailbox_by_id(s->store,
	    get_v(r, UINT64_MAX));
	uint32_t uidvalidity = (uint32_t)get_v(r, UINT32_MAX);

	if (r->has_failed || box == NULL || box->is_noselect ||
	    box->uidvalidity != uidvalidity)
		return err_set(err, ERR_NOTFOUND, "the mailbox is gone");
	s->view = view_new(box, is_readonly);
	s->view->modseq = get_v(r, store_modseq(s->store));
	s->view->keywords = get_v(r, UINT64_MAX);
	get_recent(r, s->view);
	get_saved(r, s->view);
	if (!r->has_failed)
		get_uids(r, s, box);
	/* Nothing has been compared yet: no modseq is that high. */
	s->view->checked = UINT64_MAX;
	return 0;
}

static void
get_notify(struct reader *r, struct imap_session *s, bool is_delayed)
{
	struct imap_notify_group group = {
		.filter = is_delayed ? IMAP_NOTIFY_SELECTED_DELAYED :
		    IMAP_NOTIFY_SELECTED,
		.events = (unsigned)get_v(r, IMAP_EVENT_NEW |
		    IMAP_EVENT_EXPUNGE | IMAP_EVENT_FLAGS),
	};
	const struct imap_notify set = { .groups = &group, .n_groups = 1 };

	if (!r->has_failed)
		s->notify = notify_new(&set, s->store);
}

int
imap_unpark(struct imap_session *s, struct str state, struct err *err)
{
	struct reader r = { .in = str_sub(state, 0, ENGINE_STATE_MAX) };
	uint64_t version = get_v(&r, UINT64_MAX);
	unsigned flags = (unsigned)get_v(&r, STATE_ALL);
	int ret = 0;

	s->enabled = (unsigned)get_v(&r, IMAP_ENABLED_ALL);
	s->bad_count = (unsigned)get_v(&r, IMAP_BAD_MAX);
	if (version != STATE_VERSION || state.len > ENGINE_STATE_MAX)
		return err_set(err, ERR_CORRUPT, "not a parked session");
	get_tag(&r, s, (flags & STATE_IDLE) != 0);
	if ((flags & STATE_NOTIFY) != 0)
		get_notify(&r, s, (flags & STATE_DELAYED) != 0);
	if (!r.has_failed && (flags & STATE_SELECTED) != 0)
		ret = get_view(&r, s, (flags & STATE_READONLY) != 0, err);
	if (ret != 0)
		return ret;
	if (r.has_failed || r.in.len != 0)
		return err_set(err, ERR_CORRUPT, "not a parked session");
	arena_reset(s->arena);
	if (s->view != NULL)
		imap_enable(s, 0);
	if ((flags & STATE_IDLE) != 0) {
		imap_framer_want_line(&s->framer, 64);
		s->phase = PHASE_IDLE;
	}
	return 0;
}
