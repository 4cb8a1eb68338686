/* SPDX-License-Identifier: ISC */
/* RFC 7208 section 5: the mechanisms, and what they ask the DNS. */
#include "mailauth/spf_int.h"

#define NAME_MAX_OCTETS 253U		/* without the last dot */
#define TARGET_MAX 4096U		/* expanded, before it is cut */

/* ---- questions ---- */

bool
spf_count_lookup(struct spf *spf)
{
	if (spf->lookups == SPF_LOOKUPS_MAX) {
		(void)err_set(&spf->err, ERR_LIMIT,
		    "over %u terms that ask the DNS", SPF_LOOKUPS_MAX);
		return false;
	}
	spf->lookups++;
	return true;
}

struct str
spf_name_text(struct arena *arena, struct str name)
{
	struct str text;
	struct buf out;
	size_t i;
	char c;

	buf_init(&out, TARGET_MAX * 4);
	for (i = 0; i < name.len; i++) {
		c = name.p[i];
		if (c == '\\')
			buf_add_cstr(&out, "\\\\");
		else if (c > 0x20 && c < 0x7f)
			buf_add_char(&out, c);
		else
			buf_addf(&out, "\\%03u", (unsigned)(unsigned char)c);
	}
	text = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return text;
}

const struct answer *
spf_ask(struct spf *spf, struct str name, unsigned type)
{
	return answers_find(spf->answers, spf_name_text(spf->scratch, name),
	    type);
}

bool
spf_is_failure(const struct answer *answer)
{
	return answer->is_bogus || (answer->rcode != DNS_R_NOERROR &&
	    answer->rcode != DNS_R_NXDOMAIN);
}

/* The term's own question: SPF_YES with the answer. */
static enum spf_match
ask_term(struct spf *spf, struct str name, unsigned type,
    const struct answer **answer_r)
{
	const struct answer *answer = spf_ask(spf, name, type);

	*answer_r = answer;
	if (answer == NULL)
		return SPF_WAIT;
	if (spf_is_failure(answer)) {
		(void)err_set(&spf->err, ERR_TEMP, "no answer about %.*s",
		    STR_FMT(str_sub(spf_name_text(spf->scratch, name), 0,
		    200)));
		return SPF_TEMP;
	}
	if (answer->rcode == DNS_R_NOERROR && answer->rdata_len != 0)
		return SPF_YES;
	/* RFC 7208 section 4.6.4: void lookups. */
	if (spf->voids++ < SPF_VOIDS_MAX)
		return SPF_NO;
	(void)err_set(&spf->err, ERR_LIMIT, "over %u names that are not there",
	    SPF_VOIDS_MAX);
	return SPF_PERM;
}

/* RFC 7208 section 7.3: whole labels go from the left. */
static struct str
cut_name(struct str name)
{
	size_t dot;

	if (name.len != 0 && name.p[name.len - 1] == '.')
		name.len--;
	while (name.len > NAME_MAX_OCTETS) {
		dot = str_find(name, '.');
		if (dot == STR_NPOS)
			break;
		name = str_sub(name, dot + 1, STR_NPOS);
	}
	return name;
}

enum spf_match
spf_target(struct spf *spf, struct str domain, struct str spec,
    struct str *name_r)
{
	enum spf_match match = SPF_YES;
	struct buf out;

	*name_r = domain;
	if (spec.p == NULL)
		return SPF_YES;
	buf_init(&out, TARGET_MAX);
	switch (spf_macro_expand(spf, spec, domain, &out)) {
	case SPF_EXPAND_DONE:
		*name_r = arena_str(spf->scratch, cut_name(buf_str(&out)));
		break;
	case SPF_EXPAND_WAIT:
		match = SPF_WAIT;
		break;
	case SPF_EXPAND_LONG:
		(void)err_set(&spf->err, ERR_LIMIT, "a name over %u octets",
		    TARGET_MAX);
		match = SPF_PERM;
		break;
	}
	buf_fini(&out);
	return match;
}

/* ---- addresses ---- */

static unsigned
address_type(const struct spf *spf)
{
	return spf->ip.family == AF_INET ? DNS_T_A : DNS_T_AAAA;
}

static bool
in_network(const struct netaddr *net, const struct netaddr *ip,
    unsigned prefix)
{
	unsigned octets = prefix / 8, bits = prefix % 8;

	if (net->family != ip->family ||
	    memcmp(net->octets, ip->octets, octets) != 0)
		return false;
	return bits == 0 || (net->octets[octets] ^ ip->octets[octets]) >>
	    (8 - bits) == 0;
}

/* Is the client in a network of one of these addresses? */
static bool
has_address(const struct spf *spf, const struct answer *answer,
    unsigned cidr4, unsigned cidr6)
{
	bool is_ip4 = spf->ip.family == AF_INET;
	struct netaddr net;
	size_t i;
	int rc;

	for (i = 0; i < answer->rdata_len; i++) {
		rc = is_ip4 ? dns_rdata_a(answer->rdata[i], &net, NULL) :
		    dns_rdata_aaaa(answer->rdata[i], &net, NULL);
		if (rc == 0 && in_network(&net, &spf->ip,
		    is_ip4 ? cidr4 : cidr6))
			return true;
	}
	return false;
}

static enum spf_match
match_ip(struct spf *spf, struct str domain, const struct spf_term *term)
{
	(void)domain;
	return in_network(&term->net, &spf->ip, term->net.family == AF_INET ?
	    term->cidr4 : term->cidr6) ? SPF_YES : SPF_NO;
}

static enum spf_match
match_all(struct spf *spf, struct str domain, const struct spf_term *term)
{
	(void)spf;
	(void)domain;
	(void)term;
	return SPF_YES;
}

/* ---- a, exists ---- */

static enum spf_match
match_a(struct spf *spf, struct str target, const struct spf_term *term)
{
	const struct answer *answer;
	enum spf_match match;

	match = ask_term(spf, target, address_type(spf), &answer);
	if (match != SPF_YES)
		return match;
	return has_address(spf, answer, term->cidr4, term->cidr6) ? SPF_YES :
	    SPF_NO;
}

/* RFC 7208 section 5.7: an A record, whatever the client's family. */
static enum spf_match
match_exists(struct spf *spf, struct str target, const struct spf_term *term)
{
	const struct answer *answer;

	(void)term;
	return ask_term(spf, target, DNS_T_A, &answer);
}

/* ---- mx ---- */

/* Every host is asked about before one is looked at: the order in which the
 * answers come changes nothing. */
static enum spf_match
match_hosts(struct spf *spf, const struct spf_term *term,
    const struct str *hosts, size_t count)
{
	enum spf_match match = SPF_NO;
	const struct answer *answer;
	bool is_waiting = false;
	size_t i;

	for (i = 0; i < count; i++) {
		answer = answers_find(spf->answers, hosts[i],
		    address_type(spf));
		if (answer == NULL)
			is_waiting = true;
		else if (spf_is_failure(answer))
			match = match == SPF_YES ? match : SPF_TEMP;
		else if (has_address(spf, answer, term->cidr4, term->cidr6))
			match = SPF_YES;
	}
	if (is_waiting)
		return SPF_WAIT;
	if (match == SPF_TEMP)
		(void)err_set(&spf->err, ERR_TEMP, "no answer about a host of"
		    " %.*s", STR_FMT(str_sub(term->text, 0, 100)));
	return match;
}

static enum spf_match
match_mx(struct spf *spf, struct str target, const struct spf_term *term)
{
	struct str hosts[SPF_HOSTS_MAX];
	const struct answer *answer;
	enum spf_match match;
	size_t i, count = 0;
	struct dns_mx mx;

	match = ask_term(spf, target, DNS_T_MX, &answer);
	if (match != SPF_YES)
		return match;
	/* RFC 7208 section 4.6.4 */
	if (answer->rdata_len > SPF_HOSTS_MAX) {
		(void)err_set(&spf->err, ERR_LIMIT, "over %u MX hosts",
		    SPF_HOSTS_MAX);
		return SPF_PERM;
	}
	for (i = 0; i < answer->rdata_len; i++)
		/* "." takes no mail (RFC 7505). */
		if (dns_rdata_mx(spf->scratch, answer->rdata[i], &mx,
		    NULL) == 0 && !str_eq(mx.exchange, STR(".")))
			hosts[count++] = mx.exchange;
	return match_hosts(spf, term, hosts, count);
}

/* ---- ptr ---- */

static const struct answer *
ask_ptr(struct spf *spf, struct str *name_r)
{
	struct str ip = spf->ip.family == AF_INET ? STR("%{ir}.in-addr.arpa") :
	    STR("%{ir}.ip6.arpa");

	/* Neither long nor with a %{p}. */
	(void)spf_target(spf, STR_NONE, ip, name_r);
	return spf_ask(spf, *name_r, DNS_T_PTR);
}

/* name, or a name below domain. Both as the DNS is asked. */
static bool
is_under(struct str name, struct str domain)
{
	struct str rest = str_sub(name, name.len - (name.len < domain.len ?
	    name.len : domain.len), STR_NPOS);

	if (domain.len == 0 || !str_eq_nocase(rest, domain))
		return false;
	return name.len == domain.len ||
	    name.p[name.len - domain.len - 1] == '.';
}

/* The names of the first ten PTR records; those that say nothing are left
 * out. */
static size_t
ptr_names(struct spf *spf, const struct answer *answer, struct str *names_r)
{
	size_t i, count = 0;

	for (i = 0; i < answer->rdata_len && i < SPF_HOSTS_MAX; i++)
		if (dns_rdata_name(spf->scratch, answer->rdata[i],
		    &names_r[count], NULL) == 0)
			count++;
	return count;
}

/* RFC 7208 section 5.5: a validated name leads back to the client. */
static enum spf_match
is_validated(struct spf *spf, struct str name)
{
	const struct answer *answer = answers_find(spf->answers, name,
	    address_type(spf));

	if (answer == NULL)
		return SPF_WAIT;
	return !spf_is_failure(answer) && has_address(spf, answer, 32, 128) ?
	    SPF_YES : SPF_NO;
}

static enum spf_match
match_ptr(struct spf *spf, struct str target, const struct spf_term *term)
{
	struct str names[SPF_HOSTS_MAX], domain, name;
	const struct answer *answer = ask_ptr(spf, &name);
	bool is_waiting = false, is_found = false;
	enum spf_match match;
	size_t i, count;

	(void)term;
	/* A failure is no match: section 5.5. */
	if (answer != NULL && spf_is_failure(answer))
		return SPF_NO;
	match = ask_term(spf, name, DNS_T_PTR, &answer);
	if (match != SPF_YES)
		return match;
	domain = spf_name_text(spf->scratch, target);
	count = ptr_names(spf, answer, names);
	for (i = 0; i < count; i++) {
		if (!is_under(names[i], domain))
			continue;
		match = is_validated(spf, names[i]);
		is_waiting = is_waiting || match == SPF_WAIT;
		is_found = is_found || match == SPF_YES;
	}
	if (is_waiting)
		return SPF_WAIT;
	return is_found ? SPF_YES : SPF_NO;
}

/* The domain itself, else one below it, else any; the first of its kind. */
static unsigned
name_rank(struct str name, struct str domain)
{
	if (!is_under(name, domain))
		return 1;
	return name.len == domain.len ? 3 : 2;
}

enum spf_match
spf_validated_name(struct spf *spf, struct str domain, struct str *name_r)
{
	struct str names[SPF_HOSTS_MAX], text, ptr;
	const struct answer *answer = ask_ptr(spf, &ptr);
	unsigned best = 0, rank;
	bool is_waiting = false;
	enum spf_match match;
	size_t i, count;

	*name_r = STR("unknown");
	if (answer == NULL)
		return SPF_WAIT;
	if (spf_is_failure(answer))
		return SPF_YES;
	text = spf_name_text(spf->scratch, domain);
	count = ptr_names(spf, answer, names);
	for (i = 0; i < count; i++) {
		match = is_validated(spf, names[i]);
		is_waiting = is_waiting || match == SPF_WAIT;
		rank = name_rank(names[i], text);
		if (match != SPF_YES || rank <= best)
			continue;
		best = rank;
		*name_r = names[i];
	}
	return is_waiting ? SPF_WAIT : SPF_YES;
}

/* ---- include ---- */

/* RFC 7208 section 5.2 */
static enum spf_match
match_include(struct spf *spf, struct str target, const struct spf_term *term)
{
	static const enum spf_match matches[MAILAUTH_RESULT_COUNT] = {
		[MAILAUTH_PASS] = SPF_YES,
		[MAILAUTH_FAIL] = SPF_NO,
		[MAILAUTH_SOFTFAIL] = SPF_NO,
		[MAILAUTH_NEUTRAL] = SPF_NO,
		[MAILAUTH_TEMPERROR] = SPF_TEMP,
		[MAILAUTH_PERMERROR] = SPF_PERM,
		[MAILAUTH_NONE] = SPF_PERM,
		[MAILAUTH_POLICY] = SPF_PERM,
	};
	struct spf_found found;

	if (spf_check_host(spf, target, &found) == MAILAUTH_WAIT)
		return SPF_WAIT;
	if (found.result == MAILAUTH_NONE)
		(void)err_set(&spf->err, ERR_NOTFOUND,
		    "%.*s: no record there",
		    STR_FMT(str_sub(term->text, 0, 200)));
	return matches[found.result];
}

/* ---- all of them ---- */

static const struct {
	enum spf_match (*match)(struct spf *, struct str,
	    const struct spf_term *);
	bool asks;	/* counts as a lookup; its name is expanded */
} kinds[SPF_MECH_COUNT] = {
	[SPF_ALL] = { match_all, false },
	[SPF_INCLUDE] = { match_include, true },
	[SPF_A] = { match_a, true },
	[SPF_MX] = { match_mx, true },
	[SPF_PTR] = { match_ptr, true },
	[SPF_IP4] = { match_ip, false },
	[SPF_IP6] = { match_ip, false },
	[SPF_EXISTS] = { match_exists, true },
};

enum spf_match
spf_match(struct spf *spf, struct str domain, const struct spf_term *term)
{
	struct str target = domain;
	enum spf_match match;

	if (kinds[term->mech].asks) {
		if (!spf_count_lookup(spf))
			return SPF_PERM;
		match = spf_target(spf, domain, term->spec, &target);
		if (match != SPF_YES)
			return match;
	}
	return kinds[term->mech].match(spf, target, term);
}

/* The first question of a term; 0: cannot be asked ahead. */
static unsigned
first_question(const struct spf *spf, enum spf_mech mech)
{
	if (mech == SPF_INCLUDE)
		return DNS_T_TXT;
	if (mech == SPF_MX)
		return DNS_T_MX;
	return mech == SPF_A ? address_type(spf) : 0;
}

void
spf_ask_ahead(struct spf *spf, struct str domain,
    const struct spf_record *record, size_t first)
{
	unsigned type, asked = spf->lookups;
	const struct spf_term *term;
	size_t i;

	for (i = first; i < record->count && asked < SPF_LOOKUPS_MAX; i++) {
		term = &record->terms[i];
		if (term->mech == SPF_ALL)
			return;
		type = first_question(spf, term->mech);
		asked += kinds[term->mech].asks;
		if (type == 0 || (term->spec.p != NULL &&
		    !spf_macro_is_plain(term->spec)))
			continue;
		(void)spf_ask(spf, term->spec.p != NULL ? term->spec : domain,
		    type);
	}
}
