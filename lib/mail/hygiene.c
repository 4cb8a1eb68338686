/* SPDX-License-Identifier: ISC */
#include "mail/hygiene.h"

#include "base/buf.h"
#include "mail/lex_int.h"

#define NAME_MAX_OCTETS 256U	/* a longer name is none we know */
#define FLUSH_OCTETS (16U << 10)

/* Where in the header the next octet stands. */
enum place {
	AT_LINE,	/* at the begin of a line */
	AT_CR,		/* after a CR that began a line */
	IN_NAME,	/* before the colon */
	IN_FIELD,	/* after it, or in a line that is no field */
	IN_BODY,
};

/* What happens to the field that is being read. */
enum fate { PASS, DROP, HOLD };

struct known;

struct hygiene {
	hygiene_out *out;
	void *ctx;
	struct arena *arena;
	struct hygiene_notes notes;
	struct str authserv_id;
	bool is_submission;
	int failed;

	enum place place;
	enum fate fate;
	const struct known *known;	/* of the field in HOLD */
	struct buf held;		/* octets not yet given out */
	size_t field_at;		/* where this field begins in held */
	size_t value_at;		/* after its colon */
};

/* A field whose end is waited for: true when it may pass. */
struct known {
	struct str name;
	enum fate fate;
	bool only_submission;
	bool (*judge)(struct hygiene *h, struct str value);
};

/*
 * RFC 8601 section 2.2: [CFWS] authserv-id. An id that is not there or hides
 * in an open quote or comment could be ours to somebody: drop it.
 */
static bool
judge_results(struct hygiene *h, struct str value)
{
	struct lex lex = lex_of(value);
	struct str id;
	bool is_joined;

	lex_skip(&lex, NULL);
	id = lex_at(&lex, '"') ? lex_quoted(&lex, h->arena) :
	    lex_until(&lex, ";(\"");
	/* "our"name and our"name": one word to some readers. */
	is_joined = lex.p < lex.end && !lex_is_blank(*lex.p) &&
	    !lex_at(&lex, ';') && !lex_at(&lex, '(');
	if (is_joined)
		return false;
	if (id.len > 0 && id.p[id.len - 1] == '.')
		id.len--;
	return id.len != 0 && !lex.is_open &&
	    !str_eq_nocase(id, h->authserv_id);
}

static void
take_note(struct hygiene *h, struct hygiene_note *note, struct str value)
{
	if (note->count < HYGIENE_NOTES_MAX)
		note->v[note->count] = arena_str(h->arena, value);
	note->count++;
}

#define NOTE(name)							\
static bool								\
note_##name(struct hygiene *h, struct str value)			\
{									\
	take_note(h, &h->notes.name, value);				\
	return true;							\
}
NOTE(from)
NOTE(sender)
NOTE(resent_from)
NOTE(resent_sender)
NOTE(delivered_to)

static bool
note_received(struct hygiene *h, struct str value)
{
	(void)value;
	h->notes.received++;
	return true;
}

static bool
note_date(struct hygiene *h, struct str value)
{
	h->notes.has_date |= str_trim(value).len != 0;
	return true;
}

static bool
note_message_id(struct hygiene *h, struct str value)
{
	h->notes.has_message_id |= str_trim(value).len != 0;
	return true;
}

static bool
note_tls_required(struct hygiene *h, struct str value)
{
	h->notes.has_tls_optional |= str_eq_nocase(str_trim(value),
	    STR("No"));
	return true;
}

#define NAME(literal) { literal, sizeof(literal) - 1 }
static const struct known known_fields[] = {
	{ NAME("Return-Path"), DROP, false, NULL },
	{ NAME("Bcc"), DROP, true, NULL },
	{ NAME("Resent-Bcc"), DROP, true, NULL },
	{ NAME("X-Hikyaku-Scan"), DROP, false, NULL },
	{ NAME("X-Hikyaku-Suspicious"), DROP, false, NULL },
	{ NAME("X-Hikyaku-Detonation"), DROP, false, NULL },
	{ NAME("X-Hikyaku-Released"), DROP, false, NULL },
	{ NAME("Authentication-Results"), HOLD, false, judge_results },
	{ NAME("From"), HOLD, false, note_from },
	{ NAME("Sender"), HOLD, false, note_sender },
	{ NAME("Resent-From"), HOLD, false, note_resent_from },
	{ NAME("Resent-Sender"), HOLD, false, note_resent_sender },
	{ NAME("Delivered-To"), HOLD, false, note_delivered_to },
	{ NAME("Received"), HOLD, false, note_received },
	{ NAME("Date"), HOLD, false, note_date },
	{ NAME("Message-ID"), HOLD, false, note_message_id },
	{ NAME("TLS-Required"), HOLD, false, note_tls_required },
};

static const struct known *
known_find(const struct hygiene *h, struct str name)
{
	const struct known *known;
	size_t i;

	for (i = 0; i < sizeof(known_fields) / sizeof(known_fields[0]); i++) {
		known = &known_fields[i];
		if (str_eq_nocase(known->name, name))
			return known->only_submission && !h->is_submission ?
			    NULL : known;
	}
	return NULL;
}

static int
give(struct hygiene *h, const void *data, size_t len, struct err *err)
{
	if (len == 0)
		return 0;
	h->failed = h->out(h->ctx, data, len, err);
	return h->failed;
}

/* Give out the first len octets of held. */
static int
flush(struct hygiene *h, size_t len, struct err *err)
{
	struct str s = str_sub(buf_str(&h->held), 0, len);
	int rc = give(h, s.p, s.len, err);

	buf_consume(&h->held, s.len);
	h->field_at -= s.len < h->field_at ? s.len : h->field_at;
	return rc;
}

static struct str
field_value(const struct hygiene *h)
{
	struct str value = str_sub(buf_str(&h->held), h->value_at,
	    h->held.len);

	if (value.len == 0 || value.p[value.len - 1] != '\n')
		return value;
	value.len--;
	if (value.len > 0 && value.p[value.len - 1] == '\r')
		value.len--;
	return value;
}

static void
drop_field(struct hygiene *h)
{
	buf_truncate(&h->held, h->field_at);
	h->fate = DROP;
	h->notes.dropped++;
}

/* The line before this one was the field's last. */
static void
field_done(struct hygiene *h)
{
	if (h->fate == HOLD && !h->known->judge(h, field_value(h)))
		drop_field(h);
	h->fate = PASS;
	h->known = NULL;
	h->field_at = h->held.len;
}

/* The colon stands at the end of held. */
static void
name_done(struct hygiene *h)
{
	struct str name = str_sub(buf_str(&h->held), h->field_at,
	    h->held.len - h->field_at - 1);

	while (name.len > 0 && (name.p[name.len - 1] == ' ' ||
	    name.p[name.len - 1] == '\t'))
		name.len--;
	h->place = IN_FIELD;
	h->value_at = h->held.len;
	h->known = known_find(h, name);
	if (h->known == NULL)
		return;
	h->fate = h->known->fate;
	if (h->fate == DROP)
		drop_field(h);
}

/* Append to held what is not dropped. */
static int
hold(struct hygiene *h, const char *p, size_t len, struct err *err)
{
	if (h->fate == DROP)
		return 0;
	buf_add(&h->held, p, len);
	if (h->fate == HOLD &&
	    h->held.len - h->field_at > HEADER_FIELD_MAX) {
		if (h->known->judge != judge_results)
			return h->failed = err_set(err, ERR_LIMIT,
			    "field over 256 KiB");
		drop_field(h);
	}
	return 0;
}

static const char *
in_name(struct hygiene *h, const char *p, const char *end)
{
	const char *from = p;

	while (p < end && *p != ':' && *p != '\n')
		p++;
	buf_add(&h->held, from, (size_t)(p - from));
	if (h->held.len - h->field_at > NAME_MAX_OCTETS) {
		h->place = IN_FIELD;
		return p;
	}
	if (p == end)
		return p;
	buf_add(&h->held, p, 1);
	if (*p == ':')
		name_done(h);
	else
		h->place = AT_LINE;
	return p + 1;
}

static void
end_header(struct hygiene *h)
{
	h->notes.has_end = true;
	h->place = IN_BODY;
}

/* The first octet of a line decides whether the field goes on. */
static const char *
at_line(struct hygiene *h, const char *p)
{
	if (*p == ' ' || *p == '\t') {
		h->place = IN_FIELD;
		return p;
	}
	field_done(h);
	if (*p != '\r' && *p != '\n') {
		h->place = IN_NAME;
		return p;
	}
	buf_add(&h->held, p, 1);
	if (*p == '\n')
		end_header(h);
	else
		h->place = AT_CR;
	return p + 1;
}

static const char *
at_cr(struct hygiene *h, const char *p)
{
	if (*p != '\n') {
		h->place = IN_NAME;
		return p;
	}
	buf_add(&h->held, p, 1);
	end_header(h);
	return p + 1;
}

static const char *
in_field(struct hygiene *h, const char *p, const char *end, struct err *err)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));
	const char *stop = nl != NULL ? nl + 1 : end;

	if (hold(h, p, (size_t)(stop - p), err) != 0)
		return stop;
	if (nl != NULL)
		h->place = AT_LINE;
	return stop;
}

static const char *
header_step(struct hygiene *h, const char *p, const char *end,
    struct err *err)
{
	switch (h->place) {
	case AT_LINE:
		return at_line(h, p);
	case AT_CR:
		return at_cr(h, p);
	case IN_NAME:
		return in_name(h, p, end);
	case IN_FIELD:
		return in_field(h, p, end, err);
	case IN_BODY:
		break;
	}
	return p;
}

static int
count_header(struct hygiene *h, const char *p, size_t len, struct err *err)
{
	h->notes.header_octets += len;
	if (!h->notes.has_8bit && str_has_8bit(str_make(p, len)))
		h->notes.has_8bit = true;
	if (h->notes.header_octets > HEADER_BLOCK_MAX)
		return h->failed = err_set(err, ERR_LIMIT,
		    "header over 2 MB");
	return 0;
}

/* What of held is sure to pass. */
static size_t
decided(const struct hygiene *h)
{
	if (h->place == IN_BODY ||
	    (h->fate == PASS && h->place == IN_FIELD))
		return h->held.len;
	return h->field_at;
}

int
hygiene_feed(struct hygiene *h, const void *data, size_t len, struct err *err)
{
	const char *p = data, *end, *before;

	if (h->failed != 0 || len == 0)
		return h->failed;
	end = p + len;
	while (p < end && h->place != IN_BODY) {
		before = p;
		p = header_step(h, p, end, err);
		if (h->failed != 0 || count_header(h, before,
		    (size_t)(p - before), err) != 0)
			return h->failed;
		if (decided(h) >= FLUSH_OCTETS &&
		    flush(h, decided(h), err) != 0)
			return h->failed;
	}
	if (h->place == IN_BODY && h->held.len != 0 &&
	    flush(h, h->held.len, err) != 0)
		return h->failed;
	return give(h, p, (size_t)(end - p), err);
}

int
hygiene_end(struct hygiene *h, struct err *err)
{
	if (h->failed != 0)
		return h->failed;
	if (h->place != IN_BODY)
		field_done(h);
	return flush(h, h->held.len, err);
}

const struct hygiene_notes *
hygiene_notes(const struct hygiene *h)
{
	return &h->notes;
}

struct hygiene *
hygiene_new(struct str authserv_id, bool is_submission, hygiene_out *out,
    void *ctx)
{
	struct hygiene *h = calloc(1, sizeof(*h));

	invariant(h != NULL);
	h->arena = arena_new(0);
	h->authserv_id = arena_str(h->arena, authserv_id);
	h->is_submission = is_submission;
	h->out = out;
	h->ctx = ctx;
	h->place = AT_LINE;
	buf_init(&h->held, HEADER_BLOCK_MAX + NAME_MAX_OCTETS);
	return h;
}

void
hygiene_free(struct hygiene **h)
{
	if (*h == NULL)
		return;
	arena_free(&(*h)->arena);
	buf_fini(&(*h)->held);
	free(*h);
	*h = NULL;
}
