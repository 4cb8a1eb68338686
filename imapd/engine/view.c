/* SPDX-License-Identifier: ISC */
#include "imapd/engine/view.h"

/* Messages looked at, and octets written, in one go. */
#define TELL_OCTETS (128U << 10)
/* 32 MiB of numbers: more than any mailbox here. */
#define UIDS_MAX (8U << 20)

struct imap_view *
view_new(const struct store_mailbox *box, bool is_readonly)
{
	struct imap_view *view = calloc(1, sizeof(*view));

	invariant(view != NULL);
	view->mailbox = box->id;
	view->uidvalidity = box->uidvalidity;
	view->is_readonly = is_readonly;
	return view;
}

void
view_free(struct imap_view **viewp)
{
	if (*viewp == NULL)
		return;
	free((*viewp)->uids);
	free((*viewp)->saved);
	free(*viewp);
	*viewp = NULL;
}

static void
reserve(struct imap_view *view, size_t count)
{
	size_t cap = view->cap != 0 ? view->cap : 64;
	uint32_t *uids;

	if (count <= view->cap)
		return;
	while (cap < count)
		cap *= 2;
	uids = realloc(view->uids, cap * sizeof(*uids));
	invariant(uids != NULL);
	view->uids = uids;
	view->cap = cap;
}

static void
add_msgs(struct imap_view *view, const struct store_msg *msgs, size_t count)
{
	size_t i;

	reserve(view, view->count + count);
	for (i = 0; i < count; i++)
		view->uids[view->count + i] = msgs[i].uid;
	view->count += count;
}

int
view_add_range(struct imap_view *view, uint32_t first, uint32_t last)
{
	uint64_t n = (uint64_t)last - first + 1;

	if (n > UIDS_MAX || view->count + n > UIDS_MAX)
		return ERR_LIMIT;
	reserve(view, view->count + (size_t)n);
	for (; n > 0; n--)
		view->uids[view->count++] = first++;
	return 0;
}

size_t
view_find(const struct imap_view *view, uint32_t uid)
{
	size_t low = 0, high = view->count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (view->uids[mid] < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Index of the first message with at least uid in the store's array. */
static size_t
find_msg(const struct store_msg *msgs, size_t count, uint32_t uid)
{
	size_t low = 0, high = count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (msgs[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static uint32_t
last_uid(const struct imap_view *view)
{
	return view->count != 0 ? view->uids[view->count - 1] : 0;
}

/* --- \Recent ------------------------------------------------------- */

bool
view_is_recent(const struct imap_view *view, uint32_t uid)
{
	size_t i;

	for (i = view->recent_count; i-- > 0;)
		if (uid >= view->recent[i].first)
			return uid <= view->recent[i].last;
	return false;
}

bool
view_shows_recent(const struct imap_view *view, uint32_t uid)
{
	return (view->style & VIEW_NO_RECENT) == 0 &&
	    view_is_recent(view, uid);
}

size_t
view_count_recent(const struct imap_view *view)
{
	const struct store_range *r;
	size_t i, n = 0;

	for (i = 0; i < view->recent_count; i++) {
		r = &view->recent[i];
		n += (r->last == UINT32_MAX ? view->count :
		    view_find(view, r->last + 1)) - view_find(view, r->first);
	}
	return n;
}

static void
add_recent(struct imap_view *view, uint32_t first, uint32_t last)
{
	struct store_range *top = &view->recent[view->recent_count];

	if (first > last)
		return;
	/* Too many pieces: what lies between becomes \Recent as well. */
	if (view->recent_count != 0 && (top[-1].last + 1 == first ||
	    view->recent_count == VIEW_RECENT_MAX)) {
		top[-1].last = last;
		return;
	}
	*top = (struct store_range){ first, last };
	view->recent_count++;
}

/* Take what nobody has taken yet; read-only only looks. */
static int
take_recent(struct imap_view *view, struct store *store, struct err *err)
{
	const struct store_mailbox *box =
	    store_mailbox_by_id(store, view->mailbox);
	uint32_t first, next = box->uidnext;
	int ret;

	if (view->is_readonly) {
		first = box->recent_uid;
		if (view->recent_count != 0 && first <=
		    view->recent[view->recent_count - 1].last)
			first = view->recent[view->recent_count - 1].last + 1;
	} else {
		ret = store_recent_take(store, view->mailbox, &first, err);
		if (ret != 0)
			return ret;
	}
	add_recent(view, first, next - 1);
	return 0;
}

/* --- load and tell ------------------------------------------------- */

int
view_load(struct imap_view *view, struct store *store, struct err *err)
{
	const struct store_msg *msgs;
	size_t count;
	int ret = take_recent(view, store, err);

	if (ret == 0)
		ret = store_messages(store, view->mailbox, &msgs, &count, err);
	if (ret != 0)
		return ret;
	view->count = 0;
	add_msgs(view, msgs, count);
	view->recent_told = view_count_recent(view);
	view->checked = store_modseq(store);
	view->modseq = store_mailbox_by_id(store, view->mailbox)
	    ->highestmodseq;
	return 0;
}

static uint64_t
keyword_bits(const struct str *names)
{
	uint64_t bits = 0;
	size_t i;

	for (i = 0; names != NULL && i < STORE_KEYWORD_COUNT; i++)
		if (names[i].len != 0)
			bits |= UINT64_C(1) << i;
	return bits;
}

static void
tell_keywords(struct imap_view *view, struct store *store, struct buf *out)
{
	uint64_t bits = keyword_bits(store_keyword_names(store,
	    view->mailbox));

	if ((bits & ~view->keywords) != 0)
		view_put_known_flags(view, store, out);
}

static void
put_expunge(struct buf *out, size_t number)
{
	buf_add(out, "* ", 2);
	buf_add_u64(out, number);
	buf_add(out, " EXPUNGE\r\n", 10);
}

/* Say EXPUNGE for each that is gone, or VANISHED for all, and close the
 * gaps. */
static void
tell_gone(struct imap_view *view, const struct store_msg *msgs, size_t count,
    struct buf *out)
{
	bool is_vanished = (view->style & VIEW_VANISHED) != 0;
	struct imap_set_writer writer;
	size_t i, j = 0, kept = 0, from = out->len, empty;

	if (is_vanished)
		buf_add_cstr(out, "* VANISHED ");
	empty = out->len;
	imap_set_writer_init(&writer, out);
	for (i = 0; i < view->count; i++) {
		while (j < count && msgs[j].uid < view->uids[i])
			j++;
		if (j < count && msgs[j].uid == view->uids[i]) {
			view->uids[kept++] = view->uids[i];
			continue;
		}
		if (is_vanished)
			imap_set_writer_add(&writer, view->uids[i]);
		else
			put_expunge(out, kept + 1);
	}
	imap_set_writer_end(&writer);
	if (is_vanished && out->len != empty)
		buf_add_cstr(out, "\r\n");
	else if (is_vanished)
		buf_truncate(out, from);
	view->count = kept;
	view->has_gone = false;
}

/* The scan for flags: false: enough for now. */
static bool
tell_flags(struct imap_view *view, struct store *store,
    const struct store_msg *msgs, size_t count, struct buf *out, bool has_uid)
{
	const struct str *names = store_keyword_names(store, view->mailbox);
	size_t j = find_msg(msgs, count, view->scan_uid);
	size_t i, hint = 0;

	for (; j < count && msgs[j].uid <= view->scan_last; j++) {
		if (msgs[j].modseq <= view->modseq)
			continue;
		if (out->len > TELL_OCTETS) {
			view->scan_uid = msgs[j].uid;
			return false;
		}
		/* Changes often come in runs: the next one is near. */
		i = hint < view->count && view->uids[hint] == msgs[j].uid ?
		    hint : view_find(view, msgs[j].uid);
		hint = i + 1;
		view_put_fetch_flags(view, out, i + 1, &msgs[j], has_uid,
		    false, names);
	}
	view->modseq = view->scan_modseq;
	view->scan_modseq = 0;
	return true;
}

static void
begin_scan(struct imap_view *view, const struct store_mailbox *box)
{
	if (view->scan_modseq != 0 || box->highestmodseq <= view->modseq)
		return;
	view->scan_modseq = box->highestmodseq;
	view->scan_uid = 1;
	view->scan_last = last_uid(view);
}

/* Again when flags have changed while a scan was under way. */
static bool
tell_all_flags(struct imap_view *view, struct store *store,
    const struct store_msg *msgs, size_t count, struct buf *out, bool has_uid)
{
	const struct store_mailbox *box = store_mailbox_by_id(store,
	    view->mailbox);

	for (begin_scan(view, box); view->scan_modseq != 0;
	    begin_scan(view, box))
		if (!tell_flags(view, store, msgs, count, out, has_uid))
			return false;
	return true;
}

static int
tell_new(struct imap_view *view, struct store *store,
    const struct store_msg *msgs, size_t count, struct buf *out,
    struct err *err)
{
	size_t known = find_msg(msgs, count, last_uid(view) + 1);
	size_t recent;
	int ret;

	if (known < count)
		add_msgs(view, msgs + known, count - known);
	ret = take_recent(view, store, err);
	if (ret != 0)
		return ret;
	if (known < count) {
		buf_add_cstr(out, "* ");
		buf_add_u64(out, view->count);
		buf_add_cstr(out, " EXISTS\r\n");
	}
	recent = view_count_recent(view);
	if ((view->style & VIEW_NO_RECENT) == 0 &&
	    (recent != view->recent_told || known < count)) {
		buf_add_cstr(out, "* ");
		buf_add_u64(out, recent);
		buf_add_cstr(out, " RECENT\r\n");
	}
	view->recent_told = recent;
	return 0;
}

static bool
is_same(const struct imap_view *view, const struct store_mailbox *box)
{
	return box != NULL && !box->is_noselect &&
	    box->uidvalidity == view->uidvalidity;
}

enum view_tell
view_tell(struct imap_view *view, struct store *store, struct buf *out,
    bool may_expunge, bool has_uid, struct err *err)
{
	const struct store_mailbox *box;
	const struct store_msg *msgs;
	size_t count;
	bool is_changed = view->checked != store_modseq(store);

	/* A new keyword alone is no change of the mailbox. */
	tell_keywords(view, store, out);
	if (!is_changed && view->scan_modseq == 0 &&
	    !(view->has_gone && may_expunge))
		return VIEW_DONE;
	box = store_mailbox_by_id(store, view->mailbox);
	if (!is_same(view, box))
		return VIEW_DELETED;
	if (store_messages(store, view->mailbox, &msgs, &count, err) != 0)
		return VIEW_FAILED;
	/* All that is there and old was here before: fewer means gone. */
	if (find_msg(msgs, count, last_uid(view) + 1) != view->count)
		view->has_gone = true;
	if (view->has_gone && may_expunge && view->scan_modseq == 0)
		tell_gone(view, msgs, count, out);
	/*
	 * RFC 7162 section 3.2: who takes the MODSEQ of a flag for all there
	 * is up to it must not miss an EXPUNGE that is still held back.
	 */
	if (view->has_gone && (view->style & VIEW_VANISHED) != 0 &&
	    view->scan_modseq == 0)
		return VIEW_DONE;
	if ((view->style & VIEW_NO_FLAGS) == 0 &&
	    !tell_all_flags(view, store, msgs, count, out, has_uid))
		return VIEW_MORE;
	/* Last: it may change the store, and msgs with it. */
	if (tell_new(view, store, msgs, count, out, err) != 0)
		return VIEW_FAILED;
	/* What is held back is looked for again. */
	if ((view->style & VIEW_NO_FLAGS) == 0)
		view->checked = store_modseq(store);
	return VIEW_DONE;
}

bool
view_change_begin(const struct imap_view *view, struct store *store)
{
	const struct store_mailbox *box =
	    store_mailbox_by_id(store, view->mailbox);

	return box != NULL && view->scan_modseq == 0 &&
	    view->modseq == box->highestmodseq;
}

void
view_change_end(struct imap_view *view, struct store *store, bool was_level)
{
	const struct store_mailbox *box =
	    store_mailbox_by_id(store, view->mailbox);

	if (was_level && box != NULL)
		view->modseq = box->highestmodseq;
}

/* --- sets ---------------------------------------------------------- */

/* Message numbers of UIDs first to last; none: first > last. */
static struct imap_range
numbers_of(const struct imap_view *view, struct imap_range uids)
{
	size_t from = view_find(view, uids.first);
	size_t to = uids.last == UINT32_MAX ? view->count :
	    view_find(view, uids.last + 1);

	return (struct imap_range){ (uint32_t)from + 1, (uint32_t)to };
}

void
view_save(struct imap_view *view, const struct imap_range *numbers,
    size_t count)
{
	size_t i;

	free(view->saved);
	view->saved = calloc(count + 1, sizeof(*view->saved));
	invariant(view->saved != NULL);
	/* Between two neighbours of today no message will ever be put. */
	for (i = 0; i < count; i++)
		view->saved[i] = (struct store_range){
			view->uids[numbers[i].first - 1],
			view->uids[numbers[i].last - 1],
		};
	view->saved_count = count;
}

static void
resolve_saved(const struct imap_view *view, struct arena *arena,
    struct view_set *set_r)
{
	struct imap_range r;
	size_t i;

	set_r->ranges = arena_alloc(arena,
	    (view->saved_count + 1) * sizeof(*set_r->ranges));
	for (i = 0; i < view->saved_count; i++) {
		r = numbers_of(view, (struct imap_range){
		    view->saved[i].first, view->saved[i].last });
		if (r.first <= r.last)
			set_r->ranges[set_r->count++] = r;
	}
}

int
view_resolve(const struct imap_view *view, const struct imap_set *set,
    bool is_uid, struct arena *arena, struct view_set *set_r)
{
	struct imap_set resolved = imap_set_resolve(set, is_uid ?
	    last_uid(view) : (uint32_t)view->count, arena);
	struct imap_range r;
	size_t i;

	*set_r = (struct view_set){ NULL, 0 };
	if (set->is_saved) {
		resolve_saved(view, arena, set_r);
		return 0;
	}
	if (!is_uid && imap_set_max(&resolved) > view->count)
		return ERR_SYNTAX;
	set_r->ranges = arena_alloc(arena,
	    (resolved.n_ranges + 1) * sizeof(*set_r->ranges));
	for (i = 0; i < resolved.n_ranges; i++) {
		r = is_uid ? numbers_of(view, resolved.ranges[i]) :
		    resolved.ranges[i];
		if (r.first <= r.last)
			set_r->ranges[set_r->count++] = r;
	}
	return 0;
}

struct store_set
view_uids(const struct imap_view *view, const struct view_set *set,
    struct arena *arena)
{
	struct store_range *ranges = arena_alloc(arena,
	    (set->count + 1) * sizeof(*ranges));
	size_t i;

	for (i = 0; i < set->count; i++)
		ranges[i] = (struct store_range){
			view->uids[set->ranges[i].first - 1],
			view->uids[set->ranges[i].last - 1],
		};
	return (struct store_set){ ranges, set->count };
}

const struct store_msg *
view_msg(const struct imap_view *view, size_t i, const struct store_msg *msgs,
    size_t count, size_t *hint)
{
	uint32_t uid = view->uids[i];
	size_t at = *hint;

	if (at >= count || msgs[at].uid != uid)
		at = i < count && msgs[i].uid == uid ? i :
		    find_msg(msgs, count, uid);
	*hint = at + 1;
	return at < count && msgs[at].uid == uid ? &msgs[at] : NULL;
}

/* --- flags --------------------------------------------------------- */

uint8_t
view_flags_to(unsigned flags)
{
	return (uint8_t)(((flags & IMAP_FLAG_SEEN) ? STORE_SEEN : 0) |
	    ((flags & IMAP_FLAG_ANSWERED) ? STORE_ANSWERED : 0) |
	    ((flags & IMAP_FLAG_FLAGGED) ? STORE_FLAGGED : 0) |
	    ((flags & IMAP_FLAG_DELETED) ? STORE_DELETED : 0) |
	    ((flags & IMAP_FLAG_DRAFT) ? STORE_DRAFT : 0));
}

static const struct {
	uint8_t flag;
	struct str name;
} flag_names[] = {
	{ STORE_ANSWERED, { "\\Answered ", 10 } },
	{ STORE_FLAGGED, { "\\Flagged ", 9 } },
	{ STORE_DELETED, { "\\Deleted ", 9 } },
	{ STORE_SEEN, { "\\Seen ", 6 } },
	{ STORE_DRAFT, { "\\Draft ", 7 } },
};

static void
put_keywords(struct buf *out, uint64_t bits, const struct str *names)
{
	unsigned i;

	for (i = 0; bits != 0 && names != NULL; i++, bits >>= 1)
		if ((bits & 1) != 0 && names[i].len != 0) {
			buf_add_str(out, names[i]);
			buf_add_char(out, ' ');
		}
}

/* The blank after the last name becomes the bracket. */
static void
end_list(struct buf *out, size_t from)
{
	if (out->len > from)
		buf_truncate(out, out->len - 1);
	buf_add_char(out, ')');
}

void
view_put_flags(struct buf *out, const struct store_msg *msg, bool is_recent,
    const struct str *keyword_names)
{
	size_t i, from;

	buf_add_char(out, '(');
	from = out->len;
	for (i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++)
		if ((msg->flags & flag_names[i].flag) != 0)
			buf_add_str(out, flag_names[i].name);
	if (is_recent)
		buf_add_cstr(out, "\\Recent ");
	if (msg->keywords != 0)
		put_keywords(out, msg->keywords, keyword_names);
	end_list(out, from);
}

void
view_put_known_flags(struct imap_view *view, struct store *store,
    struct buf *out)
{
	static const char flags[] =
	    "\\Answered \\Flagged \\Deleted \\Seen \\Draft ";
	const struct str *names = store_keyword_names(store, view->mailbox);
	uint64_t bits = keyword_bits(names);
	size_t from;

	buf_add_cstr(out, "* FLAGS (");
	from = out->len;
	buf_add_cstr(out, flags);
	put_keywords(out, bits, names);
	end_list(out, from);
	buf_add_cstr(out, "\r\n* OK [PERMANENTFLAGS (");
	if (!view->is_readonly) {
		buf_add_cstr(out, flags);
		put_keywords(out, bits, names);
		buf_add_cstr(out, "\\*");
	}
	buf_add_cstr(out, view->is_readonly ? ")] No flags can be changed\r\n" :
	    ")] Flags that can be changed\r\n");
	view->keywords = bits;
}

void
view_put_fetch(const struct imap_view *view, struct buf *out, size_t number,
    uint32_t uid)
{
	bool is_uidonly = (view->style & VIEW_UIDONLY) != 0;

	buf_add(out, "* ", 2);
	buf_add_u64(out, is_uidonly ? uid : number);
	if (is_uidonly)
		buf_add(out, " UIDFETCH (", 11);
	else
		buf_add(out, " FETCH (", 8);
}

void
view_put_fetch_flags(const struct imap_view *view, struct buf *out,
    size_t number, const struct store_msg *msg, bool has_uid, bool is_silent,
    const struct str *keyword_names)
{
	view_put_fetch(view, out, number, msg->uid);
	if (has_uid || (view->style & VIEW_VANISHED) != 0) {
		buf_add(out, "UID ", 4);
		buf_add_u64(out, msg->uid);
		buf_add_char(out, ' ');
	}
	if (!is_silent) {
		buf_add(out, "FLAGS ", 6);
		view_put_flags(out, msg, view_shows_recent(view, msg->uid),
		    keyword_names);
		buf_add_char(out, ' ');
	}
	if ((view->style & VIEW_MODSEQ) != 0) {
		buf_add(out, "MODSEQ (", 8);
		buf_add_u64(out, msg->modseq);
		buf_add(out, ") ", 2);
	}
	/* The blank after the last item. */
	buf_truncate(out, out->len - 1);
	buf_add(out, ")\r\n", 3);
}
