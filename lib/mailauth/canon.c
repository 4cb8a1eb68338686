/* SPDX-License-Identifier: ISC */
#include "mailauth/canon.h"

/* ---- output ---- */

static void
flush(struct canon_body *body)
{
	if (body->staged > 0)
		body->out(body->ctx, body->stage, body->staged);
	body->staged = 0;
}

static void
put(struct canon_body *body, const char *p, size_t len)
{
	if (len > CANON_STAGE - body->staged)
		flush(body);
	if (len > CANON_STAGE) {
		body->out(body->ctx, p, len);
		return;
	}
	memcpy(body->stage + body->staged, p, len);
	body->staged += len;
}

/* Something follows what was held back: so it counts. */
static void
put_held(struct canon_body *body)
{
	for (; body->crlfs > 0; body->crlfs--)
		put(body, "\r\n", 2);
	if (body->has_blank)
		put(body, " ", 1);
	if (body->has_cr)
		put(body, "\r", 1);
	body->has_blank = false;
	body->has_cr = false;
	body->has_content = true;
}

/* ---- body ---- */

void
canon_body_init(struct canon_body *body, enum canon canon, canon_out *out,
    void *ctx)
{
	body->canon = canon;
	body->out = out;
	body->ctx = ctx;
	body->crlfs = 0;
	body->has_blank = false;
	body->has_cr = false;
	body->has_content = false;
	body->staged = 0;
}

/* How many octets from p on are text that nothing has to be done about. */
static size_t
plain_len(enum canon canon, const char *p, size_t len)
{
	const char *cr;
	size_t i;

	if (canon == CANON_SIMPLE) {
		cr = memchr(p, '\r', len);
		return cr != NULL ? (size_t)(cr - p) : len;
	}
	for (i = 0; i < len; i++) {
		if (p[i] == '\r' || p[i] == '\t')
			break;
		/* One space inside a line stays. */
		if (p[i] == ' ' && (i + 1 == len || p[i + 1] == ' ' ||
		    p[i + 1] == '\t' || p[i + 1] == '\r'))
			break;
	}
	return i;
}

/* CR, LF after it, or a blank. */
static void
take_special(struct canon_body *body, char c)
{
	if (body->has_cr && c == '\n') {
		body->has_cr = false;
		body->has_blank = false;
		body->crlfs++;
		return;
	}
	if (body->has_cr)
		put_held(body);
	if (c == '\r')
		body->has_cr = true;
	else
		body->has_blank = true;
}

void
canon_body_feed(struct canon_body *body, const void *data, size_t len)
{
	const char *p = data;
	size_t i = 0, n;

	while (i < len) {
		/* What is held back decides what these mean. */
		if ((body->has_cr && p[i] == '\n') ||
		    (body->has_blank && p[i] == ' ')) {
			take_special(body, p[i++]);
			continue;
		}
		n = plain_len(body->canon, p + i, len - i);
		if (n > 0) {
			put_held(body);
			put(body, p + i, n);
			i += n;
		} else
			take_special(body, p[i++]);
	}
}

void
canon_body_end(struct canon_body *body)
{
	if (body->has_cr)
		put_held(body);
	/* RFC 6376 section 3.4.3: an empty body is one line end; section
	 * 3.4.4: it is nothing. */
	if (body->has_content || body->canon == CANON_SIMPLE)
		put(body, "\r\n", 2);
	flush(body);
}

/* ---- header ---- */

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* RFC 6376 section 3.4.2; a line end in a field is always a folded one. */
static void
put_relaxed_value(struct buf *buf, struct str value)
{
	bool has_blank = false, has_text = false;
	size_t i;

	for (i = 0; i < value.len; i++) {
		if (value.p[i] == '\n' || (value.p[i] == '\r' &&
		    i + 1 < value.len && value.p[i + 1] == '\n'))
			continue;
		if (is_wsp(value.p[i])) {
			has_blank = true;
			continue;
		}
		if (has_blank && has_text)
			buf_add_char(buf, ' ');
		buf_add_char(buf, value.p[i]);
		has_blank = false;
		has_text = true;
	}
}

static void
put_relaxed(struct buf *buf, struct str raw)
{
	struct str value, name = str_cut(raw, ':', &value);
	size_t i;

	while (name.len > 0 && is_wsp(name.p[name.len - 1]))
		name.len--;
	for (i = 0; i < name.len; i++)
		buf_add_char(buf, ascii_lower(name.p[i]));
	buf_add_char(buf, ':');
	put_relaxed_value(buf, value);
	buf_add_cstr(buf, "\r\n");
}

void
canon_header(struct buf *buf, enum canon canon, struct str raw)
{
	if (canon == CANON_RELAXED) {
		put_relaxed(buf, raw);
		return;
	}
	/* The last field of a header that was cut off may have no line end. */
	if (raw.len > 0 && raw.p[raw.len - 1] == '\n') {
		raw.len--;
		if (raw.len > 0 && raw.p[raw.len - 1] == '\r')
			raw.len--;
	}
	buf_add_str(buf, raw);
	buf_add_cstr(buf, "\r\n");
}

int
canon_of(struct str name, enum canon *canon_r)
{
	if (str_eq_nocase(name, STR("simple")))
		*canon_r = CANON_SIMPLE;
	else if (str_eq_nocase(name, STR("relaxed")))
		*canon_r = CANON_RELAXED;
	else
		return ERR_SYNTAX;
	return 0;
}
