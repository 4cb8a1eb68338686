/* SPDX-License-Identifier: ISC */
#include "mail/address.h"
#include "mailauth/message_int.h"

#define NUMBER_DIGITS_MAX 12U

/* ---- parsing ---- */

/* What is wrong with it, for good. */
static int
refuse(struct sig *sig, enum mailauth_result result, const char *reason)
{
	sig->result = result;
	sig->reason = str_of(reason);
	return ERR_SYNTAX;
}

/* RFC 6376 section 3.5: sub-domain *("." sub-domain); underscores are about. */
static bool
is_dns_text(struct str s)
{
	size_t i, label = 0;

	if (s.len == 0 || s.len > ADDRESS_DOMAIN_MAX)
		return false;
	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) &&
		    s.p[i] != '-' && s.p[i] != '_')
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0;
}

/* As the DNS has it: lower case, A-labels (RFC 8616 section 5). */
static bool
dns_text(struct arena *arena, struct str value, struct str *text_r)
{
	struct str s = tags_squeeze(arena, value);
	char *p;
	size_t i;

	if (str_has_8bit(s))
		return address_domain(arena, s, ADDRESS_UTF8, text_r,
		    NULL) == 0;
	if (!is_dns_text(s))
		return false;
	p = arena_alloc(arena, s.len);
	for (i = 0; i < s.len; i++)
		p[i] = ascii_lower(s.p[i]);
	*text_r = str_make(p, s.len);
	return true;
}

static int
parse_names(struct sig *sig, struct arena *arena)
{
	if (!dns_text(arena, tags_get(&sig->tags, "d"), &sig->domain))
		return refuse(sig, MAILAUTH_PERMERROR, "no domain in d=");
	if (!dns_text(arena, tags_get(&sig->tags, "s"), &sig->selector))
		return refuse(sig, MAILAUTH_PERMERROR, "no selector in s=");
	sig->key_name = dkim_key_name(arena, sig->selector, sig->domain);
	return 0;
}

static int
parse_algorithm(struct sig *sig, struct arena *arena)
{
	struct str name = tags_squeeze(arena, tags_get(&sig->tags, "a"));

	if (dkim_algorithm_of(name, &sig->algorithm) == 0)
		return 0;
	/* RFC 8301 section 3.1: SHA-1 is never accepted. */
	return refuse(sig, MAILAUTH_PERMERROR,
	    str_eq_nocase(name, STR("rsa-sha1")) ?
	    "rsa-sha1 is not accepted" : "unknown algorithm");
}

/* RFC 6376 section 3.5: simple where it is not said; also in ARC, where the
 * drafts meant relaxed (RFC 8617 section 4.1.2). */
static int
parse_canon(struct sig *sig, struct arena *arena)
{
	struct str body, header;

	header = str_cut(tags_squeeze(arena, tags_get(&sig->tags, "c")), '/',
	    &body);
	sig->header_canon = sig->body_canon = CANON_SIMPLE;
	if (header.p == NULL)
		return 0;
	if (canon_of(header, &sig->header_canon) != 0 ||
	    (body.p != NULL && canon_of(body, &sig->body_canon) != 0))
		return refuse(sig, MAILAUTH_PERMERROR,
		    "unknown canonicalization");
	return 0;
}

static int
parse_base64(struct sig *sig, struct arena *arena, const char *name,
    struct str *octets_r)
{
	struct str text = tags_get(&sig->tags, name);

	if (text.p == NULL || text.len == 0)
		return refuse(sig, MAILAUTH_PERMERROR,
		    "a required tag is missing");
	if (tags_base64(arena, text, octets_r, NULL) != 0)
		return refuse(sig, MAILAUTH_PERMERROR,
		    "signature or hash is no base64");
	return 0;
}

/* RFC 6376 section 3.5: h= has names, and From is one of them. */
static int
parse_header_list(struct sig *sig, bool needs_from)
{
	struct str name, rest = tags_get(&sig->tags, "h");
	bool has_from = false;
	size_t i, bad, count = 0;

	sig->names = rest;
	/* RFC 8617 section 4.1.2 forbids it, the published suite wants it: a
	 * sealer that signs the body alone. */
	if (!needs_from && rest.p != NULL && rest.len == 0)
		return 0;
	while (tags_next_item(&rest, &name)) {
		for (i = 0, bad = 0; i < name.len; i++)
			bad += name.p[i] <= 0x20 || name.p[i] >= 0x7f;
		if (name.len == 0 && !needs_from && bad == 0)
			continue;	/* as above */
		if (name.len == 0 || bad > 0 || ++count > SIG_NAMES_MAX)
			return refuse(sig, MAILAUTH_PERMERROR,
			    "no list of names in h=");
		has_from |= str_eq_nocase(name, STR("From"));
	}
	if (count == 0)
		return refuse(sig, MAILAUTH_PERMERROR,
		    "a required tag is missing");
	if (needs_from && !has_from)
		return refuse(sig, MAILAUTH_PERMERROR,
		    "From is not signed");
	return 0;
}

/* RFC 6376 section 3.5: digits; a number too big to matter is the greatest. */
static int
parse_number(struct sig *sig, const char *name, uint64_t without,
    uint64_t *number_r)
{
	struct str text = tags_get(&sig->tags, name);
	size_t i;

	*number_r = without;
	if (text.p == NULL)
		return 0;
	for (i = 0; i < text.len; i++)
		if (!ascii_is_digit(text.p[i]))
			break;
	if (text.len == 0 || i < text.len)
		return refuse(sig, MAILAUTH_PERMERROR,
		    "a number that is none");
	if (text.len > NUMBER_DIGITS_MAX ||
	    str_to_u64(text, UINT64_MAX, number_r) != 0)
		*number_r = UINT64_MAX - 1;
	return 0;
}

static int
parse_times(struct sig *sig)
{
	if (parse_number(sig, "t", 0, &sig->made_s) != 0 ||
	    parse_number(sig, "x", UINT64_MAX, &sig->expires_s) != 0)
		return ERR_SYNTAX;
	if (sig->made_s != 0 && sig->expires_s <= sig->made_s)
		return refuse(sig, MAILAUTH_PERMERROR,
		    "it expires before it is made");
	return 0;
}

/* RFC 6376 section 3.5: the domain of i= is d= or below it. */
static int
parse_identity(struct sig *sig, struct arena *arena)
{
	struct str text = tags_get(&sig->tags, "i"), domain;
	struct str below;
	size_t at;

	sig->is_identity_exact = true;
	sig->identity = arena_printf(arena, "@%.*s", STR_FMT(sig->domain));
	if (text.p == NULL)
		return 0;
	text = tags_squeeze(arena, text);
	at = str_rfind(text, '@');
	if (at == STR_NPOS ||
	    !dns_text(arena, str_sub(text, at + 1, STR_NPOS), &domain))
		return refuse(sig, MAILAUTH_PERMERROR, "no identity in i=");
	sig->identity = text;
	if (str_eq(domain, sig->domain))
		return 0;
	sig->is_identity_exact = false;
	below = arena_printf(arena, ".%.*s", STR_FMT(sig->domain));
	if (!str_ends_nocase(domain, below))
		return refuse(sig, MAILAUTH_PERMERROR,
		    "i= is not in the domain of d=");
	return 0;
}

static int
parse_hashed(struct sig *sig, struct arena *arena, bool needs_from)
{
	if (parse_canon(sig, arena) != 0 ||
	    parse_header_list(sig, needs_from) != 0 ||
	    parse_base64(sig, arena, "bh", &sig->body_hash) != 0)
		return ERR_SYNTAX;
	if (sig->body_hash.len != MAILAUTH_HASH_OCTETS)
		return refuse(sig, MAILAUTH_PERMERROR,
		    "bh= has another length than SHA-256");
	return 0;
}

/* Where the key is, and what version it is all of. ARC-Message-Signature has
 * no v=, but one that is there means what it says. */
static int
parse_version(struct sig *sig)
{
	struct str queries = tags_get(&sig->tags, "q");
	struct str version = tags_get(&sig->tags, "v");

	if ((version.p != NULL || sig->kind == SIG_DKIM) &&
	    !str_eq(version, STR("1")))
		return refuse(sig, MAILAUTH_PERMERROR, "not version 1");
	if (queries.p != NULL && !tags_list_has(queries, "dns/txt"))
		return refuse(sig, MAILAUTH_PERMERROR,
		    "the key is not in the DNS");
	return 0;
}

static int
parse_dkim(struct sig *sig, struct arena *arena)
{
	if (parse_version(sig) != 0)
		return ERR_SYNTAX;
	if (parse_hashed(sig, arena, true) != 0 ||
	    parse_number(sig, "l", BODY_WHOLE, &sig->body_limit) != 0 ||
	    parse_identity(sig, arena) != 0)
		return ERR_SYNTAX;
	return 0;
}

unsigned
sig_instance(struct str value)
{
	uint64_t number;

	/* RFC 8617 section 4.2.1: 1 to 50, and no leading zero. */
	if (value.p == NULL || str_to_u64(value, 50, &number) != 0 ||
	    value.p[0] == '0')
		return 0;
	return (unsigned)number;
}

static int
parse_ams(struct sig *sig, struct arena *arena)
{
	if (parse_version(sig) != 0 || parse_hashed(sig, arena, false) != 0)
		return ERR_SYNTAX;
	/* RFC 8617 section 4.1.2: seals are not signed by AMS. */
	if (tags_list_has(sig->names, "ARC-Seal"))
		return refuse(sig, MAILAUTH_PERMERROR,
		    "h= names ARC-Seal");
	if (tags_find(&sig->tags, "l") != NULL)
		return refuse(sig, MAILAUTH_POLICY, "l= is not accepted");
	return 0;
}

static int
parse_as(struct sig *sig)
{
	struct str chain = tags_get(&sig->tags, "cv");

	sig->header_canon = CANON_RELAXED;
	/* RFC 8617 section 4.1.3: it signs ARC fields and nothing else. */
	if (tags_find(&sig->tags, "h") != NULL ||
	    tags_find(&sig->tags, "bh") != NULL)
		return refuse(sig, MAILAUTH_PERMERROR,
		    "ARC-Seal with h= or bh=");
	if (mailauth_result_of(chain, &sig->chain) != 0 ||
	    (sig->chain != MAILAUTH_NONE && sig->chain != MAILAUTH_PASS &&
	    sig->chain != MAILAUTH_FAIL))
		return refuse(sig, MAILAUTH_PERMERROR, "no cv=");
	return 0;
}

static int
parse_all(struct sig *sig, struct arena *arena)
{
	struct err err = ERR_INIT;

	if (tags_parse(sig->field->value, &sig->tags, &err) != 0)
		return refuse(sig, MAILAUTH_PERMERROR,
		    arena_cstr(arena, str_of(err_text(&err))));
	if (sig->kind != SIG_DKIM)
		sig->instance = sig_instance(tags_get(&sig->tags, "i"));
	if (parse_names(sig, arena) != 0 ||
	    parse_algorithm(sig, arena) != 0 ||
	    parse_base64(sig, arena, "b", &sig->signature) != 0 ||
	    parse_times(sig) != 0)
		return ERR_SYNTAX;
	sig->signature_text = tags_squeeze(arena, tags_get(&sig->tags, "b"));
	if (sig->kind == SIG_DKIM)
		return parse_dkim(sig, arena);
	return sig->kind == SIG_AMS ? parse_ams(sig, arena) : parse_as(sig);
}

struct sig *
sig_new(struct arena *arena, const struct header_field *field,
    enum sig_kind kind)
{
	struct sig *sig = arena_new_of(arena, struct sig);

	sig->kind = kind;
	sig->field = field;
	sig->body_limit = BODY_WHOLE;
	(void)parse_all(sig, arena);
	return sig;
}

/* ---- digests ---- */

void
sig_hole(const struct sig *sig, size_t *from_r, size_t *to_r)
{
	const struct tag *tag = tags_find(&sig->tags, "b");
	size_t value_at = (size_t)(sig->field->value.p - sig->field->raw.p);

	*from_r = value_at + tag->at;
	*to_r = value_at + tag->end;
}

void
sig_put_unsigned(struct buf *buf, enum canon canon, struct str raw,
    size_t from, size_t to)
{
	struct buf copy;

	buf_init(&copy, raw.len);
	buf_add_str(&copy, str_sub(raw, 0, from));
	buf_add_str(&copy, str_sub(raw, to, STR_NPOS));
	canon_header(buf, canon, buf_str(&copy));
	buf_truncate(buf, buf->len - 2);
	buf_fini(&copy);
}

static void
hash_str(EVP_MD_CTX *md, struct str s)
{
	invariant(EVP_DigestUpdate(md, s.p, s.len) == 1);
}

void
sig_header_digest(const struct mailauth_message *message, struct str names,
    enum canon canon, struct str unsigned_field, unsigned char *digest_r)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const struct header_field *field;
	struct message_cursor cursor;
	struct str name;
	struct buf one;

	invariant(md != NULL &&
	    EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
	buf_init(&one, HEADER_BLOCK_MAX + 16);
	message_cursor_init(&cursor, message);
	while (tags_next_item(&names, &name)) {
		field = message_cursor_take(&cursor, message, name);
		if (field == NULL)
			continue;
		buf_reset(&one);
		canon_header(&one, canon, field->raw);
		hash_str(md, buf_str(&one));
	}
	hash_str(md, unsigned_field);
	invariant(EVP_DigestFinal_ex(md, digest_r, NULL) == 1);
	EVP_MD_CTX_free(md);
	message_cursor_fini(&cursor);
	buf_fini(&one);
}

/* ---- verifying ---- */

static enum mailauth_result
end(struct sig *sig, enum mailauth_result result, const char *reason)
{
	sig->result = result;
	sig->reason = str_of(reason);
	return result;
}

bool
sig_ask(const struct sig *sig, struct answers *answers)
{
	return sig->result != MAILAUTH_NONE ||
	    answers_find(answers, sig->key_name, DNS_T_TXT) != NULL;
}

/* The record in the answer; p is NULL (and the result set) without one. */
static struct str
find_record(struct sig *sig, struct arena *arena, struct answers *answers)
{
	const struct answer *answer =
	    answers_find(answers, sig->key_name, DNS_T_TXT);
	struct str text = STR_NONE;

	invariant(answer != NULL);
	if (answer->rcode != DNS_R_NOERROR && answer->rcode != DNS_R_NXDOMAIN)
		(void)end(sig, MAILAUTH_TEMPERROR, "no answer about its key");
	else if (answer->rcode == DNS_R_NXDOMAIN || answer->rdata_len == 0)
		(void)end(sig, MAILAUTH_PERMERROR, "no such key");
	else if (answer->rdata_len > 1)
		/* RFC 6376 section 3.6.2.2: undefined; nobody chooses. */
		(void)end(sig, MAILAUTH_PERMERROR, "more than one key");
	else if (dns_rdata_txt(arena, answer->rdata[0], &text, NULL) != 0)
		(void)end(sig, MAILAUTH_PERMERROR, "the key does not parse");
	return text;
}

/* Is it a key that this signature may have been made with? */
static bool
check_key(struct sig *sig, const struct dkim_key *key)
{
	sig->key_bits = key->bits;
	sig->is_testing = key->is_testing;
	if (key->algorithm != sig->algorithm)
		(void)end(sig, MAILAUTH_PERMERROR,
		    "the key is of another kind");
	else if (key->is_exact && sig->kind == SIG_DKIM &&
	    !sig->is_identity_exact)
		(void)end(sig, MAILAUTH_PERMERROR,
		    "the key is not for subdomains");
	else if (key->algorithm == DKIM_RSA_SHA256 &&
	    (key->bits < DKIM_RSA_BITS_MIN || key->bits > DKIM_RSA_BITS_MAX))
		(void)end(sig, MAILAUTH_POLICY,
		    key->bits < DKIM_RSA_BITS_MIN ? "the key is too short" :
		    "the key is too long");
	return sig->result == MAILAUTH_NONE;
}

enum mailauth_result
sig_verify_digest(struct sig *sig, struct arena *arena,
    struct answers *answers, const unsigned char *digest)
{
	struct str record = find_record(sig, arena, answers);
	struct err err = ERR_INIT;
	struct dkim_key key;

	if (sig->result != MAILAUTH_NONE)
		return sig->result;
	if (dkim_key_parse(record, &key, &err) != 0)
		return end(sig, MAILAUTH_PERMERROR,
		    arena_cstr(arena, str_of(err_text(&err))));
	if (check_key(sig, &key)) {
		if (dkim_key_verify(&key, digest, sig->signature))
			(void)end(sig, MAILAUTH_PASS, "");
		else
			(void)end(sig, MAILAUTH_FAIL,
			    "the signature does not verify");
	}
	dkim_key_fini(&key);
	return sig->result;
}

/* RFC 6376 section 3.5: t= and x=. */
static bool
check_time(struct sig *sig, int64_t now_s)
{
	uint64_t now = (uint64_t)now_s;

	if (sig->expires_s < now)
		(void)end(sig, MAILAUTH_FAIL, "it has expired");
	else if (sig->made_s != 0 && sig->made_s > now + SIG_CLOCK_DRIFT_S)
		(void)end(sig, MAILAUTH_FAIL, "it was made in the future");
	return sig->result == MAILAUTH_NONE;
}

static bool
check_body(struct sig *sig, const struct mailauth_message *message)
{
	const struct body_hash *hash = message_body_hash(message,
	    sig->body_canon, sig->body_limit);
	uint64_t octets = message->streams[sig->body_canon].octets;

	invariant(hash != NULL);
	if (sig->body_limit != BODY_WHOLE && sig->body_limit > octets)
		(void)end(sig, MAILAUTH_FAIL, "l= is more than the body");
	else if (memcmp(hash->digest, sig->body_hash.p,
	    MAILAUTH_HASH_OCTETS) != 0)
		(void)end(sig, MAILAUTH_FAIL, "the body was changed");
	return sig->result == MAILAUTH_NONE;
}

enum mailauth_result
sig_verify(struct sig *sig, const struct mailauth_message *message,
    struct answers *answers, int64_t now_s)
{
	unsigned char digest[MAILAUTH_HASH_OCTETS];
	size_t from, to;
	struct buf own;

	if (sig->result != MAILAUTH_NONE || !check_time(sig, now_s) ||
	    !check_body(sig, message))
		return sig->result;
	sig_hole(sig, &from, &to);
	buf_init(&own, sig->field->raw.len + 16);
	sig_put_unsigned(&own, sig->header_canon, sig->field->raw, from, to);
	sig_header_digest(message, sig->names, sig->header_canon,
	    buf_str(&own), digest);
	buf_fini(&own);
	if (sig_verify_digest(sig, message->arena, answers, digest) !=
	    MAILAUTH_PASS)
		return sig->result;
	/* What follows the signed part could be anything (threats 19). */
	if (sig->body_limit != BODY_WHOLE)
		(void)end(sig, MAILAUTH_POLICY,
		    "only the beginning of the body is signed");
	return sig->result;
}
