/* SPDX-License-Identifier: ISC */
#include "mailauth/spf_int.h"

/* RFC 7208 section 12 */
enum argument { NO_SPEC, MAY_SPEC, MUST_SPEC, ADDRESS };

static const struct {
	const char *name;
	enum argument argument;
	bool has_cidr;
} mechs[SPF_MECH_COUNT] = {
	[SPF_ALL] = { "all", NO_SPEC, false },
	[SPF_INCLUDE] = { "include", MUST_SPEC, false },
	[SPF_A] = { "a", MAY_SPEC, true },
	[SPF_MX] = { "mx", MAY_SPEC, true },
	[SPF_PTR] = { "ptr", MAY_SPEC, false },
	[SPF_IP4] = { "ip4", ADDRESS, false },
	[SPF_IP6] = { "ip6", ADDRESS, false },
	[SPF_EXISTS] = { "exists", MUST_SPEC, false },
};

bool
spf_is_record(struct str txt)
{
	return str_begins_nocase(txt, STR("v=spf1")) &&
	    (txt.len == 6 || txt.p[6] == ' ');
}

/* Octets of name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ) */
static size_t
name_len(struct str text)
{
	size_t i;
	char c;

	for (i = 0; i < text.len; i++) {
		c = text.p[i];
		if (ascii_is_alpha(c))
			continue;
		if (i == 0 || (!ascii_is_digit(c) && c != '-' && c != '_' &&
		    c != '.'))
			break;
	}
	return i;
}

/* The quoted part is printable: what is not was refused before. */
static int
bad_term(struct str term, const char *why, struct err *err)
{
	return err_set(err, ERR_SYNTAX, "%s in \"%.*s\"", why,
	    STR_FMT(str_sub(term, 0, 80)));
}

/* ---- mechanisms ---- */

/* DIGITs without a leading zero, at most max. */
static bool
get_cidr(struct str digits, unsigned max, unsigned *value_r)
{
	uint64_t value;

	if (digits.len == 0 || digits.len > 3 ||
	    (digits.len > 1 && digits.p[0] == '0') ||
	    str_to_u64(digits, max, &value) != 0)
		return false;
	*value_r = (unsigned)value;
	return true;
}

/* The digits that text ends with. */
static struct str
last_digits(struct str text)
{
	size_t at = text.len;

	while (at > 0 && ascii_is_digit(text.p[at - 1]))
		at--;
	return str_sub(text, at, STR_NPOS);
}

/* Take prefix and the digits behind it off the end of rest, if there. */
static bool
cut_cidr(struct str *rest, struct str prefix, unsigned max, unsigned *value_r)
{
	struct str digits = last_digits(*rest), before = *rest;

	before.len -= digits.len;
	if (digits.len == 0 || !str_ends_nocase(before, prefix))
		return true;
	rest->len = before.len - prefix.len;
	return get_cidr(digits, max, value_r);
}

/* dual-cidr-length: "/24", "//64", "/24//64" */
static bool
get_dual_cidr(struct str *rest, struct spf_term *term)
{
	return cut_cidr(rest, STR("//"), 128, &term->cidr6) &&
	    cut_cidr(rest, STR("/"), 32, &term->cidr4);
}

static int
get_spec(struct spf_term *term, struct str rest, struct err *err)
{
	enum argument argument = mechs[term->mech].argument;

	if (mechs[term->mech].has_cidr && !get_dual_cidr(&rest, term))
		return bad_term(term->text, "prefix length", err);
	if (rest.len == 0 && argument != MUST_SPEC)
		return 0;
	if (rest.len == 0 || rest.p[0] != ':' || argument == NO_SPEC)
		return bad_term(term->text, "argument", err);
	term->spec = str_sub(rest, 1, STR_NPOS);
	return spf_macro_check(term->spec, SPF_IN_SPEC, err);
}

/* ":192.0.2.0/24" */
static int
get_address(struct spf_term *term, struct str rest, struct err *err)
{
	bool is_ip4 = term->mech == SPF_IP4;
	struct str address, digits;

	if (rest.len == 0 || rest.p[0] != ':')
		return bad_term(term->text, "no address", err);
	address = str_cut(str_sub(rest, 1, STR_NPOS), '/', &digits);
	if (netaddr_parse(address, &term->net, NULL) != 0 ||
	    term->net.family != (is_ip4 ? AF_INET : AF_INET6))
		return bad_term(term->text, "address", err);
	if (digits.p != NULL && !(is_ip4 ?
	    get_cidr(digits, 32, &term->cidr4) :
	    get_cidr(digits, 128, &term->cidr6)))
		return bad_term(term->text, "prefix length", err);
	return 0;
}

static enum mailauth_result
get_qualifier(struct str *rest)
{
	static const enum mailauth_result results[] = {
		MAILAUTH_PASS, MAILAUTH_FAIL, MAILAUTH_NEUTRAL,
		MAILAUTH_SOFTFAIL,
	};
	size_t which = rest->len != 0 ? str_find(STR("+-?~"), rest->p[0]) :
	    STR_NPOS;

	if (which == STR_NPOS)
		return MAILAUTH_PASS;
	*rest = str_sub(*rest, 1, STR_NPOS);
	return results[which];
}

static int
get_mech(struct spf_record *record, struct str text, struct err *err)
{
	struct spf_term *term = &record->terms[record->count];
	struct str rest = text, name;
	unsigned i;

	if (record->count == SPF_TERMS_MAX)
		return err_set(err, ERR_LIMIT, "over %u terms",
		    SPF_TERMS_MAX);
	*term = (struct spf_term){ .text = text, .cidr4 = 32, .cidr6 = 128 };
	term->result = get_qualifier(&rest);
	name = str_sub(rest, 0, name_len(rest));
	for (i = 0; i < SPF_MECH_COUNT; i++)
		if (str_eq_nocase(name, str_of(mechs[i].name)))
			break;
	if (i == SPF_MECH_COUNT)
		return bad_term(text, "unknown mechanism", err);
	record->count++;
	term->mech = (enum spf_mech)i;
	rest = str_sub(rest, name.len, STR_NPOS);
	return mechs[i].argument == ADDRESS ? get_address(term, rest, err) :
	    get_spec(term, rest, err);
}

/* ---- modifiers ---- */

/* RFC 7208 section 6: neither may stand twice. */
static int
get_known_modifier(struct str *spec_r, struct str term, struct str value,
    struct err *err)
{
	if (spec_r->p != NULL)
		return bad_term(term, "second modifier", err);
	*spec_r = value;
	return spf_macro_check(value, SPF_IN_SPEC, err);
}

static int
get_modifier(struct spf_record *record, struct str term, struct str name,
    struct err *err)
{
	struct str value = str_sub(term, name.len + 1, STR_NPOS);

	if (str_eq_nocase(name, STR("redirect")))
		return get_known_modifier(&record->redirect, term, value,
		    err);
	if (str_eq_nocase(name, STR("exp")))
		return get_known_modifier(&record->exp, term, value, err);
	return spf_macro_check(value, SPF_IN_TEXT, err);
}

static int
get_term(struct spf_record *record, struct str term, struct err *err)
{
	size_t len = name_len(term);

	if (!str_is_printable(term))
		return err_set(err, ERR_SYNTAX,
		    "octets outside printable ASCII");
	if (len != 0 && len < term.len && term.p[len] == '=')
		return get_modifier(record, term, str_sub(term, 0, len), err);
	return get_mech(record, term, err);
}

/* At least as many as there are mechanisms, within the limit. */
static size_t
count_terms(struct str text)
{
	size_t i, count = 1;

	for (i = 0; i < text.len; i++)
		count += text.p[i] == ' ';
	return count < SPF_TERMS_MAX ? count : SPF_TERMS_MAX;
}

int
spf_record_parse(struct arena *arena, struct str text,
    struct spf_record *record_r, struct err *err)
{
	struct str rest = str_sub(text, 6, STR_NPOS), term;
	int rc = 0;

	*record_r = (struct spf_record){ .count = 0 };
	if (!spf_is_record(text))
		return err_set(err, ERR_SYNTAX, "not an SPF record");
	record_r->terms = arena_alloc(arena,
	    count_terms(rest) * sizeof(*record_r->terms));
	while (rc == 0 && rest.p != NULL) {
		term = str_cut(rest, ' ', &rest);
		if (term.len != 0)
			rc = get_term(record_r, term, err);
	}
	return rc;
}
