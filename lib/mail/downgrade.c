/* SPDX-License-Identifier: ISC */
#include "mail/downgrade.h"

#include "mail/text.h"

#define READ_OCTETS 65536
#define BASE64_LINE 57

enum piece_kind { PIECE_COPY, PIECE_MASK, PIECE_HEADER, PIECE_BODY };
enum encoding { ENC_KEEP, ENC_7BIT, ENC_8BIT, ENC_QP, ENC_BASE64 };

static const char *const encoding_names[] = {
	[ENC_7BIT] = "7bit", [ENC_8BIT] = "8bit",
	[ENC_QP] = "quoted-printable", [ENC_BASE64] = "base64",
};

struct piece {
	uint64_t at, len;
	enum piece_kind kind;
	enum encoding encoding;
	const struct mail_part *part;
};

/* What a stretch of octets is made of. */
struct content {
	uint64_t octets, eight;
	size_t line, longest;
	bool has_nul, has_bare, has_cr;
};

struct downgrade {
	struct mail_view view;
	enum downgrade_to to;
	struct scan *scan;
	const struct mail_summary *summary;
	struct arena *arena;
	bool is_impossible, has_utf8_header;
	/* preparing: the part that is looked at, and how far */
	size_t part;
	uint64_t done;
	struct content content;
	struct piece *pieces;
	size_t pieces_len;
	uint64_t pos;			/* of the blob; covered by pieces */
	/* reading */
	size_t piece;
	uint64_t at;			/* in the piece; in the trace before */
	bool is_past_trace;
	struct transfer *transfer;
	struct buf plain;		/* decoded, not encoded yet */
	size_t column;
	char held;			/* a blank that waits */
	bool held_cr;
	char base64[BASE64_LINE];
	size_t base64_len;
	bool has_line;
};

/* ---- looking at octets ---- */

static void
look(struct content *c, struct str in)
{
	size_t i;
	char o;

	c->octets += in.len;
	for (i = 0; i < in.len; i++) {
		o = in.p[i];
		if (c->has_cr != (o == '\n'))
			c->has_bare = true;
		c->has_cr = o == '\r';
		c->has_nul |= o == '\0';
		c->eight += (unsigned char)o >> 7;
		if (o == '\n') {
			c->line = 0;
		} else if (o != '\r' && ++c->line > c->longest) {
			c->longest = c->line;
		}
	}
}

static bool
needs_recoding(const struct downgrade *d, const struct content *c)
{
	return c->has_nul || c->has_bare || c->has_cr ||
	    c->longest > DOWNGRADE_LINE_MAX ||
	    (d->to == DOWNGRADE_7BIT && c->eight != 0);
}

static bool
is_any(struct str s, const char *a, const char *b)
{
	return str_eq(s, str_of(a)) || str_eq(s, str_of(b));
}

/* How a leaf with this content is to be encoded. */
static enum encoding
choose(struct downgrade *d, const struct mail_part *part)
{
	const struct content *c = &d->content;

	if (!needs_recoding(d, c)) {
		if (str_eq(part->encoding, STR("binary")) ||
		    (d->to == DOWNGRADE_7BIT &&
		    str_eq(part->encoding, STR("8bit"))))
			return c->eight != 0 ? ENC_8BIT : ENC_7BIT;
		return ENC_KEEP;
	}
	/* Structure may not be encoded: RFC 2045 section 6.4. */
	if ((part->flags & MAIL_PART_OPAQUE) != 0 ||
	    is_any(part->type, "message", "multipart") ||
	    !transfer_is_known(part->encoding)) {
		d->is_impossible = true;
		return ENC_KEEP;
	}
	if (str_eq(part->type, STR("text")) && !c->has_nul && !c->has_bare &&
	    !c->has_cr && c->eight * 3 < c->octets)
		return ENC_QP;
	return ENC_BASE64;
}

/* ---- the plan ---- */

static void
add_piece(struct downgrade *d, enum piece_kind kind, uint64_t len,
    enum encoding encoding, const struct mail_part *part)
{
	if (len != 0)
		d->pieces[d->pieces_len++] = (struct piece){ d->pos, len, kind,
		    encoding, part };
	d->pos += len;
}

/* Composite parts carry the label of what is inside. */
static enum encoding
relabel(const struct downgrade *d, const struct mail_part *part)
{
	if (!is_any(part->encoding, "8bit", "binary"))
		return ENC_KEEP;
	if (d->to == DOWNGRADE_7BIT)
		return ENC_7BIT;
	return str_eq(part->encoding, STR("binary")) ? ENC_8BIT : ENC_KEEP;
}

static void
plan_part(struct downgrade *d, const struct mail_part *part)
{
	bool is_leaf = part->kind == MAIL_LEAF;
	/* A part without a body may be without the end of its header. */
	enum encoding encoding = part->body_len == 0 ? ENC_KEEP :
	    is_leaf ? choose(d, part) : relabel(d, part);

	if (part->header_at < d->pos ||
	    part->body_at + part->body_len > d->summary->size) {
		d->is_impossible = true;
		return;
	}
	add_piece(d, PIECE_MASK, part->header_at - d->pos, ENC_KEEP, NULL);
	add_piece(d, encoding == ENC_KEEP || part->header_len >
	    HEADER_BLOCK_MAX ? PIECE_COPY : PIECE_HEADER, part->header_len,
	    encoding, part);
	if (encoding != ENC_KEEP && (part->header_len == 0 ||
	    part->header_len > HEADER_BLOCK_MAX))
		d->is_impossible = true;
	if (is_leaf)
		add_piece(d, encoding == ENC_QP || encoding == ENC_BASE64 ?
		    PIECE_BODY : PIECE_COPY, part->body_len, encoding, part);
}

/* Look at the next octets of the part's header and, in a leaf, body. */
static int
look_at_part(struct downgrade *d, const struct mail_part *part, size_t max,
    struct err *err)
{
	uint64_t total = part->header_len +
	    (part->kind == MAIL_LEAF ? part->body_len : 0);
	uint64_t left = d->done < part->header_len ?
	    part->header_len - d->done : total - d->done;
	char data[READ_OCTETS];
	size_t len = left < max ? (size_t)left : max;
	int rc;

	if (len > sizeof(data))
		len = sizeof(data);
	rc = mail_view_read_blob(&d->view, part->header_at + d->done, data,
	    len, &len, err);
	if (rc != 0)
		return rc;
	if (len == 0)
		return err_set(err, ERR_CORRUPT, "the message is shorter");
	if (d->done >= part->header_len)
		look(&d->content, str_make(data, len));
	else if (str_has_8bit(str_make(data, len)))
		d->has_utf8_header = true;
	d->done += len;
	return 0;
}

static bool
is_looked_at(const struct downgrade *d, const struct mail_part *part)
{
	return d->done >= part->header_len +
	    (part->kind == MAIL_LEAF ? part->body_len : 0);
}

static enum downgrade_result
prepare_scan(struct downgrade *d, size_t max, struct err *err)
{
	bool is_done;

	if (mail_view_scan(&d->view, d->scan, max, &is_done, err) != 0)
		return DOWNGRADE_FAILED;
	if (is_done) {
		d->summary = scan_end(d->scan);
		d->pieces = arena_alloc(d->arena,
		    (3 * d->summary->part_count + 1) * sizeof(*d->pieces));
	}
	return DOWNGRADE_MORE;
}

enum downgrade_result
downgrade_prepare(struct downgrade *d, size_t max, struct err *err)
{
	const struct mail_part *part;

	if (d->summary == NULL)
		return prepare_scan(d, max, err);
	while (d->part < d->summary->part_count) {
		part = &d->summary->parts[d->part];
		if (!is_looked_at(d, part))
			return look_at_part(d, part, max, err) == 0 ?
			    DOWNGRADE_MORE : DOWNGRADE_FAILED;
		plan_part(d, part);
		d->part++;
		d->done = 0;
		memset(&d->content, 0, sizeof(d->content));
	}
	if (d->pos < d->summary->size)
		add_piece(d, PIECE_MASK, d->summary->size - d->pos, ENC_KEEP,
		    NULL);
	return d->is_impossible ? DOWNGRADE_IMPOSSIBLE : DOWNGRADE_READY;
}

bool
downgrade_has_utf8_header(const struct downgrade *d)
{
	return d->has_utf8_header;
}

/* ---- encoders ---- */

static void
qp_escape(struct downgrade *d, unsigned char c, struct buf *out)
{
	if (d->column > 72) {
		buf_add_cstr(out, "=\r\n");
		d->column = 0;
	}
	buf_addf(out, "=%02X", c);
	d->column += 3;
}

static void
qp_plain(struct downgrade *d, char c, struct buf *out)
{
	if (d->column > 74) {
		buf_add_cstr(out, "=\r\n");
		d->column = 0;
	}
	/* A soft line break must not make a boundary line. */
	if (c == '-' && d->column == 0) {
		qp_escape(d, '-', out);
		return;
	}
	buf_add_char(out, c);
	d->column++;
}

/* The blank that waits: at a line's end it is escaped. */
static void
qp_held(struct downgrade *d, bool is_line_end, struct buf *out)
{
	if (d->held != '\0' && is_line_end)
		qp_escape(d, (unsigned char)d->held, out);
	else if (d->held != '\0')
		qp_plain(d, d->held, out);
	d->held = '\0';
}

/* RFC 2045 section 6.7. Only CR LF together is a line's end. */
static void
qp_octet(struct downgrade *d, char c, struct buf *out)
{
	bool is_line_end = d->held_cr && c == '\n';

	if (d->held_cr) {
		d->held_cr = false;
		qp_held(d, is_line_end, out);
		if (!is_line_end) {
			qp_escape(d, '\r', out);
		} else {
			buf_add_cstr(out, "\r\n");
			d->column = 0;
			return;
		}
	}
	if (c == '\r') {
		d->held_cr = true;
		return;
	}
	qp_held(d, false, out);
	if (c == ' ' || c == '\t')
		d->held = c;
	else if (c < ' ' || c > '~' || c == '=')
		qp_escape(d, (unsigned char)c, out);
	else
		qp_plain(d, c, out);
}

static void
qp_end(struct downgrade *d, struct buf *out)
{
	qp_held(d, !d->held_cr, out);
	if (d->held_cr)
		qp_escape(d, '\r', out);
	d->held_cr = false;
}

static void
base64_line(struct downgrade *d, struct buf *out)
{
	if (d->base64_len == 0)
		return;
	if (d->has_line)
		buf_add_cstr(out, "\r\n");
	buf_add_base64(out, d->base64, d->base64_len);
	d->has_line = true;
	d->base64_len = 0;
}

static void
encode(struct downgrade *d, enum encoding encoding, struct str in,
    bool is_last, struct buf *out)
{
	size_t i;

	for (i = 0; i < in.len; i++) {
		if (encoding == ENC_QP) {
			qp_octet(d, in.p[i], out);
			continue;
		}
		d->base64[d->base64_len++] = in.p[i];
		if (d->base64_len == BASE64_LINE)
			base64_line(d, out);
	}
	if (!is_last)
		return;
	if (encoding == ENC_BASE64)
		base64_line(d, out);
	else
		qp_end(d, out);
	d->column = 0;
	d->has_line = false;
}

/* ---- reading ---- */

/* A header with another Content-Transfer-Encoding. */
static void
put_header(const struct piece *piece, struct str block, struct buf *out)
{
	bool has_version = false, has_type = false, has_put = false;
	const char *name = encoding_names[piece->encoding];
	struct header_iter iter;
	struct header_field field;
	size_t at = 0;

	header_iter_init(&iter, block);
	while (header_next(&iter, &field)) {
		has_version |= str_eq_nocase(field.name,
		    STR("MIME-Version"));
		has_type |= str_eq_nocase(field.name, STR("Content-Type"));
		buf_add(out, block.p + at, field.at - at);
		at = field.at + field.raw.len;
		if (!str_eq_nocase(field.name,
		    STR("Content-Transfer-Encoding")))
			buf_add_str(out, field.raw);
		else if (!has_put)
			buf_addf(out, "Content-Transfer-Encoding: %s\r\n",
			    name);
		has_put |= str_eq_nocase(field.name,
		    STR("Content-Transfer-Encoding"));
	}
	if (piece->part->envelope != NULL && !has_version)
		buf_add_cstr(out, "MIME-Version: 1.0\r\n");
	/* RFC 1428 section 3: nobody has said what the octets mean. */
	if (!has_type && piece->part->kind == MAIL_LEAF)
		buf_add_cstr(out,
		    "Content-Type: text/plain; charset=unknown-8bit\r\n");
	if (!has_put)
		buf_addf(out, "Content-Transfer-Encoding: %s\r\n", name);
	buf_add(out, block.p + at, block.len - at);
}

static int
read_header(struct downgrade *d, const struct piece *piece, struct buf *out,
    struct err *err)
{
	char *block = malloc((size_t)piece->len);
	size_t have = 0, len;
	int rc = 0;

	invariant(block != NULL);
	while (rc == 0 && have < piece->len) {
		rc = mail_view_read_blob(&d->view, piece->at + have,
		    block + have, (size_t)piece->len - have, &len, err);
		if (rc == 0 && len == 0)
			rc = err_set(err, ERR_CORRUPT,
			    "the message is shorter");
		have += len;
	}
	if (rc == 0)
		put_header(piece, str_make(block, have), out);
	free(block);
	d->at = piece->len;
	return rc;
}

/* Between the parts nothing means anything: no way to encode it either. */
static void
mask(const struct downgrade *d, char *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (data[i] == '\0' || (d->to == DOWNGRADE_7BIT &&
		    (unsigned char)data[i] > 0x7f))
			data[i] = '?';
}

static void
put_body(struct downgrade *d, const struct piece *piece, struct str in,
    bool is_last, struct buf *out)
{
	if (d->transfer == NULL)
		d->transfer = transfer_new(piece->part->encoding);
	buf_reset(&d->plain);
	transfer_feed(d->transfer, in, is_last, &d->plain);
	encode(d, piece->encoding, buf_str(&d->plain), is_last, out);
	if (is_last)
		transfer_free(&d->transfer);
}

static int
read_piece(struct downgrade *d, const struct piece *piece, struct buf *out,
    struct err *err)
{
	uint64_t left = piece->len - d->at;
	char data[READ_OCTETS];
	size_t len = left < sizeof(data) ? (size_t)left : sizeof(data);
	int rc;

	if (piece->kind == PIECE_HEADER)
		return read_header(d, piece, out, err);
	rc = mail_view_read_blob(&d->view, piece->at + d->at, data, len,
	    &len, err);
	if (rc == 0 && len == 0)
		rc = err_set(err, ERR_CORRUPT, "the message is shorter");
	if (rc != 0)
		return rc;
	d->at += len;
	if (piece->kind == PIECE_MASK)
		mask(d, data, len);
	if (piece->kind == PIECE_BODY)
		put_body(d, piece, str_make(data, len), d->at == piece->len,
		    out);
	else
		buf_add(out, data, len);
	return 0;
}

int
downgrade_read(struct downgrade *d, size_t max, struct buf *out,
    bool *is_end_r, struct err *err)
{
	size_t from = out->len;
	int rc = 0;

	invariant(d->pieces != NULL && !d->is_impossible);
	if (!d->is_past_trace)
		buf_add_str(out, d->view.trace);
	d->is_past_trace = true;
	while (rc == 0 && d->piece < d->pieces_len && out->len - from < max) {
		rc = read_piece(d, &d->pieces[d->piece], out, err);
		if (d->at == d->pieces[d->piece].len) {
			d->piece++;
			d->at = 0;
		}
	}
	*is_end_r = d->piece == d->pieces_len;
	return rc;
}

void
downgrade_rewind(struct downgrade *d)
{
	transfer_free(&d->transfer);
	d->piece = 0;
	d->at = 0;
	d->is_past_trace = false;
	d->column = 0;
	d->held = '\0';
	d->held_cr = false;
	d->base64_len = 0;
	d->has_line = false;
}

struct downgrade *
downgrade_new(const struct mail_view *view, enum downgrade_to to)
{
	struct downgrade *d = calloc(1, sizeof(*d));

	invariant(d != NULL);
	d->view = *view;
	d->to = to;
	d->scan = scan_new();
	d->arena = arena_new(0);
	buf_init(&d->plain, 4 * READ_OCTETS);
	return d;
}

void
downgrade_free(struct downgrade **downgrade)
{
	struct downgrade *d = *downgrade;

	if (d == NULL)
		return;
	*downgrade = NULL;
	transfer_free(&d->transfer);
	buf_fini(&d->plain);
	scan_free(&d->scan);
	arena_free(&d->arena);
	free(d);
}
