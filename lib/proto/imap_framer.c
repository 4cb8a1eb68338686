/* SPDX-License-Identifier: ISC */
#include "proto/imap_framer.h"

#include "proto/imap_parse.h"

enum state {
	ST_LINE,		/* collecting a line */
	ST_LITERAL,		/* collecting a literal */
	ST_ASK,			/* the caller decides about a message */
	ST_DATA,		/* passing a message literal on */
	ST_DROP_LINE,		/* a refused command: its line */
	ST_DROP_LITERAL,	/* a refused command: its literal */
	ST_CLOSED,
};

/* Enough of a line's end to know a literal by. */
#define TAIL_OCTETS 40

const struct imap_limits imap_limits_front = {
	.line_octets = 8192,
	.literal_octets = 8192,
	.swallow_octets = 65536,
	.has_append = false,
};

const struct imap_limits imap_limits_session = {
	.line_octets = 65536,
	.literal_octets = 131072,
	.swallow_octets = 64 << 20,
	.has_append = true,
};

/* A literal's announcement at the end of a line. */
struct literal {
	uint64_t octets;	/* UINT64_MAX when it does not fit */
	size_t at;		/* where its "{" or "~{" stands */
	bool is_sync;
	bool is_binary;
};

void
imap_framer_init(struct imap_framer *framer, const struct imap_limits *limits)
{
	*framer = (struct imap_framer){ .limits = *limits, .state = ST_LINE };
	buf_init(&framer->text, limits->line_octets + limits->literal_octets +
	    TAIL_OCTETS * 4);
}

void
imap_framer_fini(struct imap_framer *framer)
{
	buf_fini(&framer->text);
}

bool
imap_framer_is_idle(const struct imap_framer *framer)
{
	return framer->state == ST_LINE && !framer->is_raw &&
	    (framer->is_fresh || framer->text.len == 0);
}

/* Forget the command that is done. */
static void
start_over(struct imap_framer *framer)
{
	buf_reset(&framer->text);
	framer->is_append = false;
	framer->is_fresh = false;
	framer->append_count = 0;
	framer->line_start = 0;
	framer->tail_start = 0;
	framer->line_octets = 0;
	framer->literal_octets = 0;
	framer->swallowed = 0;
}

void
imap_framer_trim(struct imap_framer *framer)
{
	if (!imap_framer_is_idle(framer))
		return;
	start_over(framer);
	buf_trim(&framer->text);
}

/* The next call begins a new command; the text stays until then. */
static void
finish(struct imap_framer *framer)
{
	framer->state = ST_LINE;
	framer->is_fresh = true;
	framer->is_raw = false;
}

/* RFC 7888 section 4: "{" number ["+"] "}" at the end of line. */
static bool
find_literal(struct str line, struct literal *literal_r)
{
	size_t end = line.len, from;

	if (end < 3 || line.p[--end] != '}')
		return false;
	literal_r->is_sync = line.p[end - 1] != '+';
	if (!literal_r->is_sync)
		end--;
	for (from = end; from > 0 && ascii_is_digit(line.p[from - 1]); from--)
		;
	if (from == end || from == 0 || line.p[from - 1] != '{')
		return false;
	if (str_to_u64(str_sub(line, from, end - from), INT64_MAX,
	    &literal_r->octets) != 0)
		literal_r->octets = UINT64_MAX;
	literal_r->at = from - 1;
	literal_r->is_binary = from > 1 && line.p[from - 2] == '~';
	if (literal_r->is_binary)
		literal_r->at--;
	return true;
}

/*
 * What stands before the mailbox name of an APPEND, or of a [UID] REPLACE with
 * its message number, in octets; 0: another command.
 */
static size_t
head_octets(struct str text)
{
	struct str rest;

	(void)str_cut(text, ' ', &rest);
	if (rest.p == NULL)
		return 0;
	if (str_begins_nocase(rest, STR("APPEND ")))
		return (size_t)(rest.p - text.p) + STR("APPEND").len;
	if (str_begins_nocase(rest, STR("UID ")))
		rest = str_sub(rest, STR("UID ").len, rest.len);
	if (!str_begins_nocase(rest, STR("REPLACE ")))
		return 0;
	rest = str_sub(rest, STR("REPLACE ").len, rest.len);
	return (size_t)(rest.p - text.p) + str_cut(rest, ' ', &rest).len;
}

/*
 * RFC 3501 section 6.3.11: of APPEND's literals only the one that stands
 * where the mailbox name stands is a string, each other one a message.
 */
static bool
is_message(struct imap_framer *framer, size_t literal_at)
{
	struct str text = buf_str(&framer->text);
	size_t head;

	if (framer->line_start != 0)
		return framer->is_append;
	head = head_octets(text);
	framer->is_append = head != 0 && framer->limits.has_append;
	return framer->is_append &&
	    str_trim(str_sub(text, 0, literal_at)).len > head;
}

/* Be ready to drop a literal of a command that is refused. */
static void
drop_literal(struct imap_framer *framer, uint64_t octets)
{
	uint64_t room = framer->limits.swallow_octets - framer->swallowed;

	framer->left = octets;
	framer->is_fresh = false;
	framer->state = octets > room ? ST_CLOSED : ST_DROP_LITERAL;
}

static enum imap_frame
refuse(struct imap_framer *framer, enum imap_frame_refusal refusal)
{
	framer->refusal = refusal;
	return IMAP_FRAME_REFUSE;
}

static enum imap_frame
begin_message(struct imap_framer *framer, const struct literal *literal)
{
	if (literal->octets == UINT64_MAX) {
		if (literal->is_sync)
			finish(framer);
		else
			framer->state = ST_CLOSED;
		return refuse(framer, IMAP_REFUSAL_LITERAL);
	}
	framer->append_octets = literal->octets;
	framer->append_is_sync = literal->is_sync;
	framer->append_is_binary = literal->is_binary;
	framer->append_count++;
	framer->state = ST_ASK;
	return IMAP_FRAME_APPEND;
}

static enum imap_frame
begin_literal(struct imap_framer *framer, const struct literal *literal)
{
	size_t room = framer->limits.literal_octets - framer->literal_octets;

	if (literal->octets > room) {
		if (literal->is_sync)
			finish(framer);
		else
			drop_literal(framer, literal->octets);
		return refuse(framer, IMAP_REFUSAL_LITERAL);
	}
	buf_add_cstr(&framer->text, "\r\n");
	framer->left = literal->octets;
	framer->literal_octets += (size_t)literal->octets;
	framer->state = ST_LITERAL;
	return literal->is_sync ? IMAP_FRAME_CONTINUE : IMAP_FRAME_MORE;
}

/* Cut the line end off the text. */
static void
strip_line_end(struct imap_framer *framer)
{
	struct str text = buf_str(&framer->text);
	size_t len = text.len - 1;

	if (len > framer->line_start && text.p[len - 1] == '\r')
		len--;
	buf_truncate(&framer->text, len);
}

/* A line is whole: a command, or a literal follows. */
static enum imap_frame
end_line(struct imap_framer *framer)
{
	struct literal literal;
	struct str line;
	bool is_raw = framer->is_raw;

	strip_line_end(framer);
	line = buf_str(&framer->text);
	line = str_sub(line, framer->line_start, line.len);
	if (is_raw || !find_literal(line, &literal)) {
		finish(framer);
		return is_raw ? IMAP_FRAME_LINE : IMAP_FRAME_COMMAND;
	}
	if (is_message(framer, framer->line_start + literal.at))
		return begin_message(framer, &literal);
	return begin_literal(framer, &literal);
}

/* Up to and including the first LF, or all. */
static struct str
line_part(struct str in)
{
	size_t lf = str_find(in, '\n');

	return lf == STR_NPOS ? in : str_sub(in, 0, lf + 1);
}

static bool
ends_line(struct str part)
{
	return part.len != 0 && part.p[part.len - 1] == '\n';
}

static enum imap_frame
take_line(struct imap_framer *framer, struct str in, size_t *used_r)
{
	size_t max = framer->is_raw ? framer->raw_max :
	    framer->limits.line_octets;
	struct str part = line_part(in);

	if (part.len > max - framer->line_octets) {
		*used_r = max - framer->line_octets;
		buf_add(&framer->text, part.p, *used_r);
		framer->state = ST_DROP_LINE;
		return refuse(framer, IMAP_REFUSAL_LINE);
	}
	buf_add_str(&framer->text, part);
	framer->line_octets += part.len;
	*used_r = part.len;
	return ends_line(part) ? end_line(framer) : IMAP_FRAME_MORE;
}

static enum imap_frame
take_literal(struct imap_framer *framer, struct str in, size_t *used_r)
{
	size_t n = framer->left < in.len ? (size_t)framer->left : in.len;

	buf_add(&framer->text, in.p, n);
	framer->left -= n;
	*used_r = n;
	if (framer->left == 0) {
		framer->line_start = framer->text.len;
		framer->state = ST_LINE;
	}
	return IMAP_FRAME_MORE;
}

static enum imap_frame
take_data(struct imap_framer *framer, struct str in, size_t *used_r,
    struct str *data_r)
{
	*data_r = str_sub(in, 0, framer->left < in.len ?
	    (size_t)framer->left : in.len);
	*used_r = data_r->len;
	framer->left -= data_r->len;
	if (framer->left == 0) {
		framer->line_start = framer->text.len;
		framer->tail_start = framer->text.len;
		framer->state = ST_LINE;
	}
	return data_r->len != 0 ? IMAP_FRAME_DATA : IMAP_FRAME_MORE;
}

/* Keep just the end of what is dropped, to know a literal by. */
static void
keep_tail(struct imap_framer *framer, struct str part)
{
	if (part.len > TAIL_OCTETS)
		part = str_sub(part, part.len - TAIL_OCTETS, TAIL_OCTETS);
	if (framer->text.len > TAIL_OCTETS)
		buf_consume(&framer->text, framer->text.len - TAIL_OCTETS);
	buf_add_str(&framer->text, part);
	if (framer->text.len > TAIL_OCTETS)
		buf_consume(&framer->text, framer->text.len - TAIL_OCTETS);
}

/* The dropped line ends: the command with it, unless a literal follows. */
static void
end_dropped_line(struct imap_framer *framer)
{
	struct literal literal;

	framer->line_start = 0;
	strip_line_end(framer);
	if (!framer->is_raw &&
	    find_literal(buf_str(&framer->text), &literal) && !literal.is_sync)
		drop_literal(framer, literal.octets);
	else
		finish(framer);
}

static enum imap_frame
drop_line(struct imap_framer *framer, struct str in, size_t *used_r)
{
	struct str part = line_part(in);

	*used_r = part.len;
	keep_tail(framer, part);
	framer->swallowed += part.len;
	if (framer->swallowed > framer->limits.swallow_octets)
		framer->state = ST_CLOSED;
	else if (ends_line(part))
		end_dropped_line(framer);
	return IMAP_FRAME_MORE;
}

static enum imap_frame
drop_octets(struct imap_framer *framer, struct str in, size_t *used_r)
{
	size_t n = framer->left < in.len ? (size_t)framer->left : in.len;

	*used_r = n;
	framer->left -= n;
	framer->swallowed += n;
	if (framer->left == 0) {
		buf_reset(&framer->text);
		framer->state = ST_DROP_LINE;
	}
	return IMAP_FRAME_MORE;
}

/* One step; IMAP_FRAME_MORE: go on while there is input. */
static enum imap_frame
take(struct imap_framer *framer, struct str in, size_t *used_r,
    struct str *data_r)
{
	switch ((enum state)framer->state) {
	case ST_LINE:
		return take_line(framer, in, used_r);
	case ST_LITERAL:
		return take_literal(framer, in, used_r);
	case ST_DATA:
		return take_data(framer, in, used_r, data_r);
	case ST_DROP_LINE:
		return drop_line(framer, in, used_r);
	case ST_DROP_LITERAL:
		return drop_octets(framer, in, used_r);
	case ST_ASK:
	case ST_CLOSED:
		break;
	}
	return IMAP_FRAME_CLOSE;
}

enum imap_frame
imap_framer_next(struct imap_framer *framer, struct str in, size_t *used_r,
    struct str *data_r)
{
	enum imap_frame event = IMAP_FRAME_MORE;
	size_t used;

	/* The caller must have accepted or refused the message. */
	invariant(framer->state != ST_ASK);
	*used_r = 0;
	*data_r = STR_NONE;
	if (framer->is_fresh)
		start_over(framer);
	while (event == IMAP_FRAME_MORE && *used_r < in.len &&
	    framer->state != ST_CLOSED) {
		used = 0;
		event = take(framer, str_sub(in, *used_r, in.len), &used,
		    data_r);
		*used_r += used;
		/* A new command begins: forget the one that was dropped. */
		if (event == IMAP_FRAME_MORE && framer->is_fresh)
			start_over(framer);
	}
	if (event == IMAP_FRAME_MORE && framer->state == ST_CLOSED)
		return IMAP_FRAME_CLOSE;
	return event;
}

struct str
imap_framer_text(const struct imap_framer *framer)
{
	return buf_str(&framer->text);
}

struct str
imap_framer_tail(const struct imap_framer *framer)
{
	struct str text = buf_str(&framer->text);

	return str_sub(text, framer->tail_start, text.len);
}

struct str
imap_framer_tag(const struct imap_framer *framer)
{
	struct str rest, tag;

	tag = str_cut(buf_str(&framer->text), ' ', &rest);
	return rest.p != NULL && imap_is_tag(tag) ? tag : STR_NONE;
}

void
imap_framer_accept(struct imap_framer *framer)
{
	invariant(framer->state == ST_ASK);
	framer->left = framer->append_octets;
	framer->state = ST_DATA;
}

void
imap_framer_refuse(struct imap_framer *framer)
{
	invariant(framer->state == ST_ASK);
	if (framer->append_is_sync)
		finish(framer);
	else
		drop_literal(framer, framer->append_octets);
}

void
imap_framer_want_line(struct imap_framer *framer, size_t max_octets)
{
	invariant(imap_framer_is_idle(framer));
	framer->is_fresh = true;
	framer->is_raw = true;
	framer->raw_max = max_octets;
}
