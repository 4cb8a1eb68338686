/* SPDX-License-Identifier: ISC */
#include "mail/scan_int.h"

/* "--" boundary "--" and some blanks; what is longer must be all blanks. */
#define HOLD_MAX 128U

enum line_state {
	LINE_START,	/* no octet of the line seen */
	LINE_SKIP,	/* nothing special about it */
	LINE_HOLD,	/* may be a boundary or the end of the header */
};

/* An open part: its ancestors are below it. */
struct level {
	uint16_t part;
	uint16_t last_child;
	uint32_t lines_before;	/* LFs in front of the body */
	bool is_awaited;	/* its boundary is looked for */
	bool is_closed;		/* its closing boundary was seen */
	struct str boundary;
};

struct scan {
	struct scan_keeper keeper;
	struct mail_summary sum;
	size_t part_cap;

	struct level stack[SUMMARY_DEPTH_MAX];
	size_t depth;
	size_t awaited;		/* levels whose boundary is looked for */

	uint64_t pos;		/* of the next octet */
	uint64_t line_at;	/* where the current line begins */
	uint32_t lines;		/* LFs in front of line_at */
	unsigned eol_len;	/* line end in front of line_at: 0, 1, 2 */
	bool ends_in_cr;	/* the octet before pos, in this line */
	enum line_state line;

	char hold[HOLD_MAX];
	size_t held;
	bool has_long_tail;	/* an octet past hold that is no blank */

	bool in_header;
	struct buf header;	/* of the part that begins */
	size_t header_line;	/* where the current line begins in it */
};

static const struct mail_envelope envelope_wanted;

static struct mail_part *
part_at(struct scan *scan, size_t i)
{
	return &scan->sum.parts[i];
}

static struct mail_part *
part_new(struct scan *scan, uint16_t parent)
{
	struct mail_summary *sum = &scan->sum;
	struct mail_part *part;

	if (sum->part_count == scan->part_cap) {
		scan->part_cap = scan->part_cap != 0 ? scan->part_cap * 2 : 8;
		sum->parts = realloc(sum->parts,
		    scan->part_cap * sizeof(*sum->parts));
		invariant(sum->parts != NULL);
	}
	part = part_at(scan, sum->part_count++);
	memset(part, 0, sizeof(*part));
	part->parent = parent;
	part->child = MAIL_PART_NONE;
	part->next = MAIL_PART_NONE;
	part->depth = (uint16_t)(scan->depth + 1);
	return part;
}

/* Hang part, the last one made, under the level on top. */
static void
part_link(struct scan *scan)
{
	struct level *top = &scan->stack[scan->depth - 1];
	uint16_t i = (uint16_t)(scan->sum.part_count - 1);
	struct mail_part *parent = part_at(scan, top->part);

	if (parent->children++ == 0)
		parent->child = i;
	else
		part_at(scan, top->last_child)->next = i;
	top->last_child = i;
}

/* A part begins at pos with its header. */
static void
part_open(struct scan *scan, bool is_message_root)
{
	uint16_t parent = scan->depth != 0 ?
	    scan->stack[scan->depth - 1].part : MAIL_PART_NONE;
	struct mail_part *part = part_new(scan, parent);

	part->header_at = scan->pos;
	part->envelope = is_message_root ? &envelope_wanted : NULL;
	if (scan->depth != 0)
		part_link(scan);
	scan->stack[scan->depth++] = (struct level){
		.part = (uint16_t)(scan->sum.part_count - 1),
	};
	scan->in_header = true;
	buf_reset(&scan->header);
	scan->header_line = 0;
}

static bool
can_descend(const struct scan *scan)
{
	return scan->depth < SUMMARY_DEPTH_MAX &&
	    scan->sum.part_count < SUMMARY_PARTS_MAX;
}

static bool
in_digest(struct scan *scan)
{
	const struct mail_part *parent;

	if (scan->depth < 2)
		return false;
	parent = part_at(scan, scan->stack[scan->depth - 2].part);
	return parent->kind == MAIL_MULTIPART &&
	    str_eq(parent->subtype, STR("digest"));
}

/* The header of the part on top ends at at, where its body begins. */
static void
header_end(struct scan *scan, uint64_t at)
{
	struct level *top = &scan->stack[scan->depth - 1];
	struct mail_part *part = part_at(scan, top->part);
	struct scan_verdict verdict;

	part->header_len = at - part->header_at;
	part->body_at = at;
	top->lines_before = scan->lines;
	scan->in_header = false;
	verdict = scan_part_read(&scan->keeper, buf_str(&scan->header), part,
	    top->part == 0 ? &scan->sum : NULL, can_descend(scan),
	    in_digest(scan));
	if (buf_failed(&scan->header)) {
		scan->sum.flags |= SUMMARY_OVER_LIMIT;
		if (top->part == 0)
			scan->sum.fields_missing = UINT64_MAX;
	}
	if (part->flags & MAIL_PART_OPAQUE)
		scan->sum.flags |= SUMMARY_OVER_LIMIT;
	if (verdict.kind == MAIL_MULTIPART) {
		top->boundary = verdict.boundary;
		top->is_awaited = true;
		scan->awaited++;
	} else if (verdict.kind == MAIL_MESSAGE) {
		part_open(scan, true);
		part_at(scan, scan->sum.part_count - 1)->header_at = at;
	}
}

/* The header ends where no empty line is: a boundary, or the end. */
static void
header_cut(struct scan *scan, uint64_t at)
{
	/* A message/rfc822 opens its inner message, whose header is empty. */
	while (scan->in_header)
		header_end(scan, at);
}

/* BODYSTRUCTURE has no multipart without parts: give it an empty one. */
static void
fill_multipart(struct scan *scan, struct level *top)
{
	struct mail_part *part = part_at(scan, top->part), *child;
	uint64_t end = part->body_at + part->body_len;

	if (scan->sum.part_count == SUMMARY_PARTS_MAX) {
		scan_part_opaque(part);
		return;
	}
	child = part_new(scan, top->part);
	scan_part_plain(&scan->keeper, child);
	child->header_at = end;
	child->body_at = end;
	part_link(scan);
}

/* A header that a boundary cut off ends where a body would: the line end in
 * front of the boundary belongs to that. */
static void
clip_header(struct mail_part *part, uint64_t end)
{
	if (part->header_at > end)
		part->header_at = end;
	part->header_len = end - part->header_at;
	part->body_at = end;
}

/* The part on top ends with the line before line_at. */
static void
part_close(struct scan *scan)
{
	struct level *top = &scan->stack[scan->depth - 1];
	struct mail_part *part = part_at(scan, top->part);
	uint64_t end = scan->line_at - scan->eol_len;

	if (end > part->body_at) {
		part->body_len = end - part->body_at;
		part->lines = scan->lines - top->lines_before -
		    (scan->eol_len != 0);
	} else if (end < part->body_at) {
		clip_header(part, end);
	}
	if (part->kind == MAIL_MULTIPART) {
		if (!top->is_closed)
			part->flags |= MAIL_PART_BROKEN;
		if (part->children == 0)
			fill_multipart(scan, top);
	}
	if (top->is_awaited)
		scan->awaited--;
	scan->depth--;
}

/* The last part there may be takes all that follows. */
static void
swallow_rest(struct scan *scan)
{
	struct mail_part *part = part_new(scan,
	    scan->stack[scan->depth - 1].part);

	part->header_at = part->body_at = scan->pos;
	scan_part_opaque(part);
	part_link(scan);
	scan->stack[scan->depth++] = (struct level){
		.part = (uint16_t)(scan->sum.part_count - 1),
		.lines_before = scan->lines + 1,
	};
	scan->sum.flags |= SUMMARY_OVER_LIMIT;
	scan->awaited = 0;
	for (size_t i = 0; i < scan->depth; i++)
		scan->stack[i].is_awaited = false;
}

/* A boundary line of the multipart at level was read; pos is after it. */
static void
at_boundary(struct scan *scan, size_t level, bool is_last)
{
	buf_truncate(&scan->header, scan->header_line);
	header_cut(scan, scan->line_at);
	while (scan->depth > level + 1)
		part_close(scan);
	if (is_last) {
		scan->stack[level].is_awaited = false;
		scan->stack[level].is_closed = true;
		scan->awaited--;
	} else if (scan->sum.part_count == SUMMARY_PARTS_MAX - 1) {
		swallow_rest(scan);
	} else {
		part_open(scan, false);
	}
}

/* What stands between "--" and the line end; STR_NONE when it cannot be a
 * boundary. RFC 2046 section 5.1.1: transport padding may follow it. */
static struct str
held_boundary(const struct scan *scan)
{
	struct str s = str_make(scan->hold,
	    scan->held < HOLD_MAX ? scan->held : HOLD_MAX);

	if (scan->has_long_tail || scan->awaited == 0)
		return STR_NONE;
	s = str_trim(s);
	if (s.len < 3 || s.p != scan->hold || s.p[0] != '-' || s.p[1] != '-')
		return STR_NONE;
	return str_sub(s, 2, s.len);
}

static bool
check_boundary(struct scan *scan)
{
	struct str s = held_boundary(scan), b;
	size_t level;
	bool is_last;

	if (s.p == NULL)
		return false;
	for (level = scan->depth; level-- > 0;) {
		if (!scan->stack[level].is_awaited)
			continue;
		b = scan->stack[level].boundary;
		is_last = s.len == b.len + 2 && s.p[b.len] == '-' &&
		    s.p[b.len + 1] == '-';
		if ((s.len != b.len && !is_last) ||
		    memcmp(s.p, b.p, b.len) != 0)
			continue;
		at_boundary(scan, level, is_last);
		return true;
	}
	return false;
}

static bool
is_empty_line(const struct scan *scan)
{
	return (scan->held == 1 && scan->hold[0] == '\n') ||
	    (scan->held == 2 && scan->hold[0] == '\r' &&
	    scan->hold[1] == '\n');
}

/* The line ended with LF; pos is after it. */
static void
line_done(struct scan *scan, bool has_cr)
{
	bool ends_header = false;

	if (scan->line == LINE_HOLD) {
		ends_header = scan->in_header && is_empty_line(scan);
		if (!ends_header)
			(void)check_boundary(scan);
	}
	scan->lines++;
	if (ends_header)
		header_end(scan, scan->pos);
	if (!has_cr)
		scan->sum.flags |= SUMMARY_BARE_LF;
	scan->eol_len = has_cr ? 2 : 1;
	scan->line_at = scan->pos;
	scan->header_line = scan->header.len;
	scan->line = LINE_START;
	scan->held = 0;
	scan->has_long_tail = false;
	scan->ends_in_cr = false;
}

static void
hold_add(struct scan *scan, const char *p, size_t len)
{
	size_t i, n = 0;

	if (scan->held < HOLD_MAX) {
		n = HOLD_MAX - scan->held;
		n = n < len ? n : len;
		memcpy(scan->hold + scan->held, p, n);
	}
	for (i = n; i < len && !scan->has_long_tail; i++)
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r' &&
		    p[i] != '\n')
			scan->has_long_tail = true;
	scan->held += len;
}

static void
line_begin(struct scan *scan, char c)
{
	bool is_held = (c == '-' && scan->awaited != 0) ||
	    (scan->in_header && (c == '\r' || c == '\n'));

	scan->line = is_held ? LINE_HOLD : LINE_SKIP;
}

/* One line, or what there is of it; where it ends. */
static const char *
feed_line(struct scan *scan, const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));
	const char *stop = nl != NULL ? nl + 1 : end;
	size_t len = (size_t)(stop - p);
	bool has_cr;

	if (scan->line == LINE_START)
		line_begin(scan, *p);
	if (scan->in_header)
		buf_add(&scan->header, p, len);
	if (scan->line == LINE_HOLD)
		hold_add(scan, p, len);
	scan->pos += len;
	if (nl == NULL) {
		scan->ends_in_cr = stop[-1] == '\r';
		return stop;
	}
	has_cr = len > 1 ? nl[-1] == '\r' : scan->ends_in_cr;
	line_done(scan, has_cr);
	return stop;
}

/* Body lines that cannot be a boundary: where it had to stop. */
static const char *
feed_body(struct scan *scan, const char *from, const char *end)
{
	const char *p = from, *nl;
	bool is_awaiting = scan->awaited != 0;
	uint32_t lines = 0, bare = 0;

	while (p < end && !(is_awaiting && *p == '-')) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			break;
		bare += nl == p || nl[-1] != '\r';
		lines++;
		p = nl + 1;
	}
	if (lines == 0)
		return from;
	if (bare != 0)
		scan->sum.flags |= SUMMARY_BARE_LF;
	scan->lines += lines;
	scan->pos += (uint64_t)(p - from);
	scan->line_at = scan->pos;
	scan->eol_len = p - from > 1 && p[-2] == '\r' ? 2 : 1;
	return p;
}

void
scan_feed(struct scan *scan, const void *data, size_t len)
{
	const char *p = data, *end;

	if (len == 0)
		return;
	end = p + len;
	if (memchr(data, '\0', len) != NULL)
		scan->sum.flags |= SUMMARY_HAS_NUL;
	while (p < end) {
		if (scan->line == LINE_START && !scan->in_header) {
			p = feed_body(scan, p, end);
			if (p == end)
				break;
		}
		p = feed_line(scan, p, end);
	}
}

const struct mail_summary *
scan_end(struct scan *scan)
{
	if (scan->line == LINE_HOLD)
		(void)check_boundary(scan);
	header_cut(scan, scan->pos);
	scan->line_at = scan->pos;
	scan->eol_len = 0;
	while (scan->depth > 0)
		part_close(scan);
	scan->sum.size = scan->pos;
	scan->sum.lines = scan->lines;
	if (scan->keeper.is_over)
		scan->sum.flags |= SUMMARY_OVER_LIMIT;
	return &scan->sum;
}

struct scan *
scan_new(void)
{
	struct scan *scan = calloc(1, sizeof(*scan));

	invariant(scan != NULL);
	scan->keeper.arena = arena_new(0);
	buf_init(&scan->header, HEADER_BLOCK_MAX);
	part_open(scan, true);
	return scan;
}

void
scan_free(struct scan **scan)
{
	if (*scan == NULL)
		return;
	arena_free(&(*scan)->keeper.arena);
	buf_fini(&(*scan)->header);
	free((*scan)->sum.parts);
	free(*scan);
	*scan = NULL;
}

uint64_t
scan_size(const struct scan *scan)
{
	return scan->pos;
}
