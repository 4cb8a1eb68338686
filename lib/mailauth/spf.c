/* SPDX-License-Identifier: ISC */
/* RFC 7208 section 4: check_host(). */
#include "mailauth/spf_int.h"

/*
 * Section 4.3: what cannot have a policy. A literal ("[192.0.2.1]") has
 * labels too.
 */
static bool
is_checkable(struct arena *arena, struct str domain)
{
	struct str text = spf_name_text(arena, domain);
	unsigned char wire[DNS_NAME_WIRE_MAX];
	size_t len;

	if (text.len != 0 && text.p[text.len - 1] == '.')
		text.len--;
	return text.len != 0 && text.p[0] != '[' &&
	    str_find(text, '.') != STR_NPOS &&
	    dns_name_to_wire(text, wire, &len, NULL) == 0;
}

/* Section 4.5: the one record among the TXT; NULL p without. */
static enum mailauth_result
select_record(struct spf *spf, const struct answer *answer,
    struct str domain, struct str *record_r)
{
	struct str text;
	size_t i;

	*record_r = STR_NONE;
	for (i = 0; i < answer->rdata_len; i++) {
		if (dns_rdata_txt(spf->scratch, answer->rdata[i], &text,
		    NULL) != 0 || !spf_is_record(text))
			continue;
		if (record_r->p != NULL) {
			(void)err_set(&spf->err, ERR_SYNTAX,
			    "several records at %.*s",
			    STR_FMT(str_sub(spf_name_text(spf->scratch,
			    domain), 0, 200)));
			return MAILAUTH_PERMERROR;
		}
		*record_r = text;
	}
	return record_r->p != NULL ? MAILAUTH_PASS : MAILAUTH_NONE;
}

/* Section 4.4. MAILAUTH_PASS: there is one. */
static enum mailauth_step
get_record(struct spf *spf, struct str domain, struct spf_record *record_r,
    enum mailauth_result *result_r)
{
	const struct answer *answer;
	struct str text;

	answer = spf_ask(spf, domain, DNS_T_TXT);
	if (answer == NULL)
		return MAILAUTH_WAIT;
	if (spf_is_failure(answer)) {
		*result_r = MAILAUTH_TEMPERROR;
		(void)err_set(&spf->err, ERR_TEMP, "no answer about %.*s",
		    STR_FMT(str_sub(spf_name_text(spf->scratch, domain), 0,
		    200)));
		return MAILAUTH_DONE;
	}
	*result_r = select_record(spf, answer, domain, &text);
	if (*result_r == MAILAUTH_PASS && spf_record_parse(spf->scratch, text,
	    record_r, &spf->err) != 0)
		*result_r = MAILAUTH_PERMERROR;
	return MAILAUTH_DONE;
}

/* Section 6.1 */
static enum mailauth_step
redirect(struct spf *spf, struct str domain, struct str spec,
    struct spf_found *found_r)
{
	enum spf_match match;
	struct str target;

	found_r->result = MAILAUTH_PERMERROR;
	if (!spf_count_lookup(spf))
		return MAILAUTH_DONE;
	match = spf_target(spf, domain, spec, &target);
	if (match != SPF_YES)
		return match == SPF_WAIT ? MAILAUTH_WAIT : MAILAUTH_DONE;
	if (spf_check_host(spf, target, found_r) == MAILAUTH_WAIT)
		return MAILAUTH_WAIT;
	if (found_r->result == MAILAUTH_NONE) {
		found_r->result = MAILAUTH_PERMERROR;
		(void)err_set(&spf->err, ERR_NOTFOUND,
		    "redirect=%.*s: no record there",
		    STR_FMT(str_sub(spec, 0, 200)));
	}
	return MAILAUTH_DONE;
}

/* Sections 4.6.2 and 4.7. */
static enum mailauth_step
evaluate(struct spf *spf, struct str domain, const struct spf_record *record,
    struct spf_found *found_r)
{
	enum spf_match match;
	size_t i;

	for (i = 0; i < record->count; i++) {
		match = spf_match(spf, domain, &record->terms[i]);
		if (match == SPF_NO)
			continue;
		if (match == SPF_WAIT) {
			spf_ask_ahead(spf, domain, record, i + 1);
			return MAILAUTH_WAIT;
		}
		found_r->term = record->terms[i].text;
		found_r->result = match == SPF_YES ?
		    record->terms[i].result : match == SPF_TEMP ?
		    MAILAUTH_TEMPERROR : MAILAUTH_PERMERROR;
		return MAILAUTH_DONE;
	}
	if (record->redirect.p != NULL)
		return redirect(spf, domain, record->redirect, found_r);
	found_r->result = MAILAUTH_NEUTRAL;
	return MAILAUTH_DONE;
}

enum mailauth_step
spf_check_host(struct spf *spf, struct str domain, struct spf_found *found_r)
{
	struct spf_record record;

	*found_r = (struct spf_found){ .result = MAILAUTH_NONE,
		.domain = domain };
	if (!is_checkable(spf->scratch, domain))
		return MAILAUTH_DONE;
	if (get_record(spf, domain, &record, &found_r->result) ==
	    MAILAUTH_WAIT)
		return MAILAUTH_WAIT;
	if (found_r->result != MAILAUTH_PASS)
		return MAILAUTH_DONE;
	found_r->exp = record.exp;
	return evaluate(spf, domain, &record, found_r);
}

/* ---- the explanation ---- */

/* The only TXT at the name; p NULL: no explanation. */
static enum mailauth_step
get_explanation(struct spf *spf, const struct spf_found *found,
    struct str *text_r)
{
	const struct answer *answer;
	struct str name;

	*text_r = STR_NONE;
	switch (spf_target(spf, found->domain, found->exp, &name)) {
	case SPF_YES:
		break;
	case SPF_WAIT:
		return MAILAUTH_WAIT;
	default:
		return MAILAUTH_DONE;
	}
	answer = spf_ask(spf, name, DNS_T_TXT);
	if (answer == NULL)
		return MAILAUTH_WAIT;
	if (!spf_is_failure(answer) && answer->rdata_len == 1)
		(void)dns_rdata_txt(spf->scratch, answer->rdata[0], text_r,
		    NULL);
	return MAILAUTH_DONE;
}

/* Section 6.2: whatever is wrong with it, there is none. */
static enum mailauth_step
explain(struct spf *spf, const struct spf_found *found, struct arena *arena,
    struct str *explanation_r)
{
	enum mailauth_step step = MAILAUTH_DONE;
	enum spf_expand expand;
	struct str text;
	struct buf out;

	*explanation_r = STR_NONE;
	if (found->result != MAILAUTH_FAIL || found->exp.p == NULL ||
	    !spf->input->wants_explanation)
		return MAILAUTH_DONE;
	if (get_explanation(spf, found, &text) == MAILAUTH_WAIT)
		return MAILAUTH_WAIT;
	if (text.p == NULL || spf_macro_check(text, SPF_IN_TEXT, NULL) != 0)
		return MAILAUTH_DONE;
	buf_init(&out, SPF_EXPLANATION_MAX);
	expand = spf_macro_expand(spf, text, found->domain, &out);
	if (expand == SPF_EXPAND_WAIT)
		step = MAILAUTH_WAIT;
	else if (expand == SPF_EXPAND_DONE && str_is_printable(buf_str(&out)))
		*explanation_r = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return step;
}

/* ---- the two identities ---- */

/* Section 5: IPv4 in its mapped form is IPv4. */
static struct netaddr
unmapped(const struct netaddr *ip)
{
	static const unsigned char prefix[12] = { [10] = 0xff, [11] = 0xff };
	struct netaddr ip4 = { .family = AF_INET };

	if (ip->family != AF_INET6 ||
	    memcmp(ip->octets, prefix, sizeof(prefix)) != 0)
		return *ip;
	memcpy(ip4.octets, ip->octets + sizeof(prefix), 4);
	return ip4;
}

static struct str
keep(struct arena *arena, struct str s)
{
	return s.p != NULL ? arena_str(arena, s) : STR_NONE;
}

static void
put_result(const struct spf *spf, const struct spf_found *found,
    struct arena *arena, struct spf_result *result_r)
{
	bool is_error = found->result == MAILAUTH_TEMPERROR ||
	    found->result == MAILAUTH_PERMERROR;

	result_r->result = found->result;
	result_r->domain = arena_str(arena, spf->domain);
	result_r->mechanism = keep(arena, found->term);
	result_r->record_domain = arena_str(arena, found->domain);
	if (is_error)
		result_r->problem = arena_str(arena,
		    str_of(err_text(&spf->err)));
	result_r->lookups = spf->lookups;
	result_r->voids = spf->voids;
}

static enum mailauth_step
check(struct arena *arena, const struct spf_input *input, struct str local,
    struct str domain, struct answers *answers, struct spf_result *result_r)
{
	struct spf spf = { .input = input, .answers = answers,
		.scratch = arena_new(16U << 10), .domain = domain,
		.ip = unmapped(&input->ip) };
	enum mailauth_step step;
	struct spf_found found;

	memset(result_r, 0, sizeof(*result_r));
	if (domain.len > 1 && domain.p[domain.len - 1] == '.')
		spf.domain.len--;
	/* Section 4.3 */
	spf.local = local.len != 0 ? local : STR("postmaster");
	step = spf_check_host(&spf, spf.domain, &found);
	if (step == MAILAUTH_DONE)
		step = explain(&spf, &found, arena, &result_r->explanation);
	if (step == MAILAUTH_DONE)
		put_result(&spf, &found, arena, result_r);
	arena_free(&spf.scratch);
	return step;
}

enum mailauth_step
spf_check_helo(struct arena *arena, const struct spf_input *input,
    struct answers *answers, struct spf_result *result_r)
{
	return check(arena, input, STR_NONE, input->helo, answers, result_r);
}

enum mailauth_step
spf_check_mailfrom(struct arena *arena, const struct spf_input *input,
    struct answers *answers, struct spf_result *result_r)
{
	if (input->domain.len == 0)
		return spf_check_helo(arena, input, answers, result_r);
	return check(arena, input, input->local, input->domain, answers,
	    result_r);
}
