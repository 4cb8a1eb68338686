/* SPDX-License-Identifier: ISC */
#include "dnsd/answer.h"

#define HEADER_OCTETS 12
#define POINTERS_MAX 64
#define TYPE_NS 2
#define TYPE_SOA 6

struct name {
	unsigned char wire[DNS_NAME_WIRE_MAX];
	size_t len;
};

struct record {
	struct name owner;
	unsigned type;
	uint32_t ttl_s;
	size_t at;		/* rdata in the packet */
	size_t len;
};

static unsigned
get_u16(struct str s, size_t at)
{
	return (unsigned)((unsigned char)s.p[at] << 8 |
	    (unsigned char)s.p[at + 1]);
}

static uint32_t
get_u32(struct str s, size_t at)
{
	return (uint32_t)get_u16(s, at) << 16 | get_u16(s, at + 2);
}

/* ---- names ---- */

static bool
name_eq(const struct name *a, const struct name *b)
{
	return str_eq_nocase(str_make(a->wire, a->len),
	    str_make(b->wire, b->len));
}

/*
 * RFC 1035 section 4.1.4. A pointer only leads to what stands before it, so
 * there is no loop. Returns where the name ends in the packet, 0: malformed.
 */
static size_t
get_name(struct str packet, size_t at, struct name *name_r)
{
	size_t end = 0, to;
	unsigned len, jumps = 0;

	name_r->len = 0;
	while (at < packet.len) {
		len = (unsigned char)packet.p[at];
		if (len >= 0xc0) {
			if (packet.len - at < 2 || ++jumps > POINTERS_MAX)
				return 0;
			to = get_u16(packet, at) & 0x3fff;
			if (end == 0)
				end = at + 2;
			if (to >= at)
				return 0;
			at = to;
			continue;
		}
		if (len > DNS_LABEL_MAX || packet.len - at < len + 1U ||
		    name_r->len + len + 1 > sizeof(name_r->wire))
			return 0;
		memcpy(name_r->wire + name_r->len, packet.p + at, len + 1U);
		name_r->len += len + 1U;
		at += len + 1U;
		if (len == 0)
			return end != 0 ? end : at;
	}
	return 0;
}

/* ---- records ---- */

/* The record at `at`; where the next begins, 0: malformed. */
static size_t
get_record(struct str packet, size_t at, struct record *record_r)
{
	at = get_name(packet, at, &record_r->owner);
	if (at == 0 || packet.len - at < 10)
		return 0;
	record_r->type = get_u16(packet, at);
	record_r->ttl_s = get_u32(packet, at + 4);
	/* RFC 2181 section 8: the highest bit makes it zero. */
	if (record_r->ttl_s > INT32_MAX)
		record_r->ttl_s = 0;
	record_r->len = get_u16(packet, at + 8);
	record_r->at = at + 10;
	if (packet.len - record_r->at < record_r->len)
		return 0;
	return record_r->at + record_r->len;
}

/* Octets in front of the one name in the rdata of these types. */
static const struct {
	unsigned type;
	unsigned before;
} named[] = {
	{ TYPE_NS, 0 }, { DNS_T_CNAME, 0 }, { DNS_T_PTR, 0 }, { 39, 0 },
	{ DNS_T_MX, 2 }, { DNS_T_SRV, 6 },
};

/* The rdata with its name uncompressed. */
static int
get_rdata(struct arena *arena, struct str packet,
    const struct record *record, struct str *rdata_r, struct err *err)
{
	char plain[6 + DNS_NAME_WIRE_MAX];
	struct name name;
	size_t i, before;

	*rdata_r = arena_str(arena, str_sub(packet, record->at, record->len));
	for (i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		if (named[i].type != record->type)
			continue;
		before = named[i].before;
		if (record->len <= before || get_name(packet,
		    record->at + before, &name) != record->at + record->len)
			return err_set(err, ERR_SYNTAX, "a bad name in "
			    "record type %u", record->type);
		memcpy(plain, packet.p + record->at, before);
		memcpy(plain + before, name.wire, name.len);
		*rdata_r = arena_str(arena, str_make(plain,
		    before + name.len));
	}
	return 0;
}

/* ---- the answer section ---- */

struct reading {
	struct arena *arena;
	struct str packet;
	unsigned type;
	size_t begin;		/* of the answer section */
	size_t end;		/* of it, once it was walked */
	unsigned count;
	struct name name;	/* being looked for */
	struct answer *answer;
};

static void
note_ttl(struct answer *answer, uint32_t ttl_s)
{
	if (ttl_s < answer->ttl_s)
		answer->ttl_s = ttl_s;
}

/* Where the name is an alias: go on with the other name. */
static int
follow(struct reading *r, const struct record *record, struct err *err)
{
	if (get_name(r->packet, record->at, &r->name) !=
	    record->at + record->len)
		return err_set(err, ERR_SYNTAX, "a bad name in a CNAME");
	note_ttl(r->answer, record->ttl_s);
	return 0;
}

/* One walk: take the records of the name; *is_alias_r: it had a CNAME. */
static int
walk(struct reading *r, bool *is_alias_r, struct err *err)
{
	struct name name = r->name;
	struct answer *answer = r->answer;
	struct record record;
	size_t at = r->begin;
	unsigned i;
	int rc = 0;

	*is_alias_r = false;
	for (i = 0; rc == 0 && i < r->count; i++) {
		at = get_record(r->packet, at, &record);
		if (at == 0)
			return err_set(err, ERR_SYNTAX, "a bad record");
		if (!name_eq(&record.owner, &name))
			continue;
		if (record.type == r->type &&
		    answer->rdata_len < ANSWER_RDATA_MAX) {
			note_ttl(answer, record.ttl_s);
			rc = get_rdata(r->arena, r->packet, &record,
			    &answer->rdata[answer->rdata_len++], err);
		} else if (record.type == DNS_T_CNAME && !*is_alias_r &&
		    r->type != DNS_T_CNAME) {
			*is_alias_r = true;
			rc = follow(r, &record, err);
		}
	}
	r->end = at;
	return rc;
}

static int
walk_answers(struct reading *r, struct err *err)
{
	bool is_alias = true;
	unsigned hops = 0;
	int rc = 0;

	while (rc == 0 && is_alias && r->answer->rdata_len == 0) {
		if (hops++ > ANSWER_CNAMES_MAX)
			return err_set(err, ERR_LIMIT, "over %d CNAMEs",
			    ANSWER_CNAMES_MAX);
		rc = walk(r, &is_alias, err);
	}
	return rc;
}

/* RFC 2308 section 5: the SOA says how long there is nothing. */
static void
note_negative_ttl(struct reading *r, unsigned count)
{
	struct record record;
	size_t at = r->end;
	uint32_t minimum_s;
	unsigned i;

	for (i = 0; i < count; i++) {
		at = get_record(r->packet, at, &record);
		if (at == 0)
			return;
		if (record.type != TYPE_SOA || record.len < 22)
			continue;
		minimum_s = get_u32(r->packet, record.at + record.len - 4);
		note_ttl(r->answer, record.ttl_s);
		note_ttl(r->answer, minimum_s);
		return;
	}
	r->answer->ttl_s = 0;
}

/* ---- the packet ---- */

static int
skip_questions(struct reading *r, struct err *err)
{
	unsigned n = get_u16(r->packet, 4), i;
	struct name name;

	r->begin = HEADER_OCTETS;
	for (i = 0; i < n; i++) {
		r->begin = get_name(r->packet, r->begin, &name);
		if (r->begin == 0 || r->packet.len - r->begin < 4)
			return err_set(err, ERR_SYNTAX, "a bad question");
		r->begin += 4;
	}
	return 0;
}

int
answer_read(struct arena *arena, struct str packet, struct str name,
    unsigned type, struct answer *answer_r, struct err *err)
{
	struct reading r = { .arena = arena, .packet = packet, .type = type,
	    .answer = answer_r };
	size_t used;
	int rc;

	answer_r->rdata_len = 0;
	answer_r->ttl_s = ANSWER_TTL_MAX_S;
	if (packet.len < HEADER_OCTETS || name.len > sizeof(r.name.wire))
		return err_set(err, ERR_SYNTAX, "a short packet");
	memcpy(r.name.wire, name.p, name.len);
	r.name.len = name.len;
	answer_r->rcode = (unsigned char)packet.p[3] & 0x0f;
	r.count = get_u16(packet, 6);
	rc = skip_questions(&r, err);
	if (rc == 0)
		rc = walk_answers(&r, err);
	if (rc == 0 && answer_r->rdata_len == 0)
		note_negative_ttl(&r, get_u16(packet, 8));
	if (rc == 0)
		rc = dns_name_from_wire(arena, str_make(r.name.wire,
		    r.name.len), &answer_r->canonical, &used, err);
	return rc;
}
