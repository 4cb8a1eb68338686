/* SPDX-License-Identifier: ISC */
#include "store/page.h"

/* First octet of every packed value, so that a later form can be told.
 * Pages of form 2 have the save date; those of form 1 are read as well. */
#define FORM 1
#define FORM_SAVED 2

/* Seconds: nothing our clocks or a peer's date can mean is beyond it. */
#define DATE_LIMIT (INT64_C(1) << 40)

/* --- numbers ------------------------------------------------------- */

struct reader {
	const unsigned char *p;
	const unsigned char *end;
	bool is_bad;
};

/* Little-endian base 128; at most ten octets, no number in two ways. */
static unsigned char *
put_u64(unsigned char *p, uint64_t value)
{
	while (value >= 0x80) {
		*p++ = (unsigned char)(value | 0x80);
		value >>= 7;
	}
	*p++ = (unsigned char)value;
	return p;
}

static unsigned char *
put_i64(unsigned char *p, int64_t value)
{
	return put_u64(p, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static uint64_t
get_long(struct reader *r)
{
	uint64_t value = 0;
	unsigned shift = 0;
	unsigned char c;

	do {
		if (r->p == r->end || shift > 63)
			goto bad;
		c = *r->p++;
		if (shift == 63 && c > 1)
			goto bad;
		value |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
	} while (c & 0x80);
	if (c != 0 || shift == 7)
		return value;
bad:
	r->is_bad = true;
	r->p = r->end;
	return 0;
}

static inline uint64_t
get_u64(struct reader *r)
{
	if (r->p != r->end && *r->p < 0x80)
		return *r->p++;
	return get_long(r);
}

static inline int64_t
get_i64(struct reader *r)
{
	uint64_t value = get_u64(r);

	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* base + delta for unsigned numbers below 2^63; else bad. */
static inline uint64_t
step(struct reader *r, uint64_t base)
{
	int64_t delta = get_i64(r);
	int64_t sum;

	if (__builtin_add_overflow((int64_t)base, delta, &sum) || sum < 0) {
		r->is_bad = true;
		return 0;
	}
	return (uint64_t)sum;
}

/* The form's octet is still to be read. */
static struct reader
reader_of_any(struct str data)
{
	struct reader r = { .is_bad = data.len == 0 };

	/* An empty view may be of nothing at all. */
	r.p = (const unsigned char *)(data.len != 0 ? data.p : "");
	r.end = r.p + data.len;
	return r;
}

static struct reader
reader_of(struct str data)
{
	struct reader r = reader_of_any(data);

	if (!r.is_bad && *r.p++ != FORM)
		r.is_bad = true;
	return r;
}

static int
reader_done(const struct reader *r, const char *what, struct err *err)
{
	if (r->is_bad || r->p != r->end)
		return err_set(err, ERR_CORRUPT, "%s does not read back",
		    what);
	return 0;
}

/* --- memberships --------------------------------------------------- */

void
page_encode(const struct store_msg *msgs, size_t count, struct buf *out)
{
	unsigned char *begin, *p;
	struct store_msg last = { .uid = 0 };
	size_t i;

	invariant(count > 0 && count <= PAGE_MAX);
	begin = (unsigned char *)buf_reserve(out, PAGE_OCTETS_MAX);
	invariant(begin != NULL);
	p = begin;
	*p++ = FORM_SAVED;
	p = put_u64(p, count);
	for (i = 0; i < count; i++) {
		p = put_u64(p, msgs[i].uid - last.uid);
		p = put_i64(p, (int64_t)(msgs[i].message - last.message));
		p = put_i64(p, (int64_t)(msgs[i].modseq - last.modseq));
		*p++ = msgs[i].flags;
		p = put_u64(p, msgs[i].keywords);
		p = put_i64(p, msgs[i].date_s - last.date_s);
		p = put_u64(p, msgs[i].size_octets);
		p = put_i64(p, (int64_t)msgs[i].saved_s - last.saved_s);
		last = msgs[i];
	}
	buf_grow(out, (size_t)(p - begin));
}

static void
get_saved(struct reader *r, const struct store_msg *last, struct store_msg *m)
{
	uint64_t saved = step(r, last->saved_s);

	if (saved > UINT32_MAX)
		r->is_bad = true;
	m->saved_s = (uint32_t)saved;
}

static void
get_msg(struct reader *r, const struct store_msg *last, struct store_msg *m)
{
	uint64_t uid = get_u64(r), size;
	int64_t date;

	if (uid == 0 || uid > UINT32_MAX - last->uid)
		r->is_bad = true;
	m->uid = last->uid + (uint32_t)uid;
	m->message = step(r, last->message);
	m->modseq = step(r, last->modseq);
	if (r->p == r->end) {
		r->is_bad = true;
		return;
	}
	m->flags = *r->p++;
	m->keywords = get_u64(r);
	date = get_i64(r);
	if (date > 2 * DATE_LIMIT || date < -2 * DATE_LIMIT)
		date = 2 * DATE_LIMIT;
	m->date_s = last->date_s + date;
	size = get_u64(r);
	m->size_octets = (uint32_t)size;
	if (m->message == 0 || m->modseq == 0 || size > UINT32_MAX ||
	    (m->flags & ~STORE_FLAGS_ALL) != 0 || m->date_s > DATE_LIMIT ||
	    m->date_s < -DATE_LIMIT)
		r->is_bad = true;
}

int
page_decode(struct str data, struct store_msg *msgs_r, size_t *count_r,
    struct err *err)
{
	static const struct store_msg nothing;
	struct reader r = reader_of_any(data);
	const struct store_msg *last = &nothing;
	unsigned char form = r.is_bad ? 0 : *r.p++;
	uint64_t count = get_u64(&r), i;

	if (form != FORM && form != FORM_SAVED)
		r.is_bad = true;
	*count_r = 0;
	if (count == 0 || count > PAGE_MAX)
		r.is_bad = true;
	for (i = 0; i < count && !r.is_bad; i++) {
		msgs_r[i] = nothing;
		get_msg(&r, last, &msgs_r[i]);
		if (form == FORM_SAVED)
			get_saved(&r, last, &msgs_r[i]);
		last = &msgs_r[i];
	}
	if (!r.is_bad)
		*count_r = (size_t)count;
	return reader_done(&r, "a page of messages", err);
}

/* --- UID ranges ---------------------------------------------------- */

void
ranges_encode(const struct store_range *ranges, size_t count,
    struct buf *out)
{
	unsigned char tmp[24], *p;
	uint32_t last = 0;
	size_t i;

	buf_add_char(out, FORM);
	for (i = 0; i < count; i++) {
		p = put_u64(tmp, ranges[i].first - last);
		p = put_u64(p, ranges[i].last - ranges[i].first);
		buf_add(out, tmp, (size_t)(p - tmp));
		last = ranges[i].last;
	}
}

int
ranges_decode(struct str data, struct store_range *ranges_r,
    size_t *count_r, struct err *err)
{
	struct reader r = reader_of(data);
	uint64_t first, len, last = 0;
	size_t count = 0;

	while (!r.is_bad && r.p != r.end) {
		first = get_u64(&r);
		len = get_u64(&r);
		if (first == 0 || first > UINT32_MAX || len > UINT32_MAX ||
		    last + first + len > UINT32_MAX) {
			r.is_bad = true;
			break;
		}
		first += last;
		last = first + len;
		if (ranges_r != NULL)
			ranges_r[count] = (struct store_range){
			    (uint32_t)first, (uint32_t)last };
		count++;
	}
	*count_r = r.is_bad ? 0 : count;
	return reader_done(&r, "a tombstone", err);
}

/* --- message ids --------------------------------------------------- */

void
ids_encode(const uint64_t *ids, size_t count, struct buf *out)
{
	unsigned char tmp[16], *p;
	uint64_t last = 0;
	size_t i;

	invariant(count <= IDS_MAX);
	buf_add_char(out, FORM);
	for (i = 0; i < count; i++) {
		p = put_i64(tmp, (int64_t)(ids[i] - last));
		buf_add(out, tmp, (size_t)(p - tmp));
		last = ids[i];
	}
}

int
ids_decode(struct str data, uint64_t *ids_r, size_t *count_r,
    struct err *err)
{
	struct reader r = reader_of(data);
	uint64_t last = 0;
	size_t count = 0;

	while (!r.is_bad && r.p != r.end) {
		last = step(&r, last);
		if (last == 0 || count == IDS_MAX) {
			r.is_bad = true;
			break;
		}
		ids_r[count++] = last;
	}
	*count_r = r.is_bad ? 0 : count;
	return reader_done(&r, "a list of message ids", err);
}

/* --- references ---------------------------------------------------- */

void
refs_encode(const uint16_t refs[REFS_BLOCK], unsigned char out[REFS_OCTETS])
{
	size_t i;

	for (i = 0; i < REFS_BLOCK; i++) {
		out[2 * i] = (unsigned char)(refs[i] >> 8);
		out[2 * i + 1] = (unsigned char)refs[i];
	}
}

int
refs_decode(struct str data, uint16_t refs_r[REFS_BLOCK], struct err *err)
{
	const unsigned char *p = (const unsigned char *)data.p;
	size_t i;

	if (data.len != REFS_OCTETS)
		return err_set(err, ERR_CORRUPT, "references of %zu octets",
		    data.len);
	for (i = 0; i < REFS_BLOCK; i++)
		refs_r[i] = (uint16_t)(p[2 * i] << 8 | p[2 * i + 1]);
	return 0;
}
