/* SPDX-License-Identifier: ISC */
#include "mailauth/dmarc.h"

struct dmarc {
	struct arena *scratch;
	const struct dmarc_input *input;
	struct answers *answers;
	struct dmarc_result *result;
	struct err err;
};

/* The records of a name and those above it, as far as they were looked at. */
struct walk {
	struct str domains[DMARC_WALK_MAX];
	struct dmarc_record records[DMARC_WALK_MAX];
	bool has_record[DMARC_WALK_MAX];
	size_t count;		/* that were looked at */
	bool is_cut;		/* the DNS failed there */
};

enum aligned {
	ALIGNED_NO,
	ALIGNED_YES,
	ALIGNED_UNKNOWN,	/* the DNS failed */
	ALIGNED_WAIT,
};

/* ---- records ---- */

static const struct answer *
ask(struct dmarc *dm, struct str domain)
{
	return answers_find(dm->answers, arena_printf(dm->scratch,
	    "_dmarc.%.*s", STR_FMT(domain)), DNS_T_TXT);
}

static bool
is_failure(const struct answer *answer)
{
	return answer->is_bogus || (answer->rcode != DNS_R_NOERROR &&
	    answer->rcode != DNS_R_NXDOMAIN);
}

/* RFC 7489 section 6.6.3: exactly one, or there is none. */
static bool
get_record(struct dmarc *dm, const struct answer *answer,
    struct dmarc_record *record_r)
{
	struct dmarc_record record;
	size_t i, found = 0;
	struct str text;

	for (i = 0; i < answer->rdata_len; i++)
		if (dns_rdata_txt(dm->scratch, answer->rdata[i], &text,
		    NULL) == 0 && dmarc_record_parse(text, &record) == 0) {
			*record_r = record;
			found++;
		}
	return found == 1;
}

/* Labels are not escaped here: a dot is a dot. */
static struct str
parent_of(struct str domain)
{
	size_t dot = str_find(domain, '.');

	return dot != STR_NPOS ? str_sub(domain, dot + 1, STR_NPOS) :
	    STR_NONE;
}

static size_t
count_labels(struct str domain)
{
	size_t i, count = domain.len != 0;

	for (i = 0; i < domain.len; i++)
		count += domain.p[i] == '.';
	return count;
}

/* RFC 9989 section 4.10: what a walk from here asks for, in its order. */
static size_t
walk_domains(struct str domain, struct str domains_r[DMARC_WALK_MAX])
{
	size_t count = 0;

	domains_r[count++] = domain;
	do
		domain = parent_of(domain);
	while (count_labels(domain) >= DMARC_WALK_MAX);
	for (; domain.p != NULL; domain = parent_of(domain))
		domains_r[count++] = domain;
	return count;
}

/* Section 4.10, steps 2 and 6. */
static bool
ends_walk(const struct walk *walk, size_t i)
{
	return walk->has_record[i] &&
	    walk->records[i].psd != DMARC_PSD_UNKNOWN;
}

static enum mailauth_step
walk_up(struct dmarc *dm, struct str domain, struct walk *walk)
{
	const struct answer *answers[DMARC_WALK_MAX];
	bool is_waiting = false;
	size_t i, count;

	memset(walk, 0, sizeof(*walk));
	count = walk_domains(domain, walk->domains);
	for (i = 0; i < count; i++) {
		answers[i] = ask(dm, walk->domains[i]);
		is_waiting = is_waiting || answers[i] == NULL;
	}
	if (is_waiting)
		return MAILAUTH_WAIT;
	for (i = 0; i < count; i++) {
		if (is_failure(answers[i])) {
			walk->is_cut = true;
			(void)err_set(&dm->err, ERR_TEMP,
			    "no answer about _dmarc.%.*s",
			    STR_FMT(str_sub(walk->domains[i], 0, 200)));
			break;
		}
		walk->has_record[i] = get_record(dm, answers[i],
		    &walk->records[i]);
		walk->count = i + 1;
		if (ends_walk(walk, i))
			break;
	}
	return MAILAUTH_DONE;
}

/* The last labels of a name that has at least as many. */
static struct str
last_labels(struct str domain, size_t count)
{
	while (count_labels(domain) > count)
		domain = parent_of(domain);
	return domain;
}

/* Section 4.10.2 */
static struct str
org_of_walk(const struct walk *walk)
{
	struct str org = walk->domains[0];
	size_t i;

	for (i = 0; i < walk->count; i++) {
		if (!walk->has_record[i])
			continue;
		if (walk->records[i].psd == DMARC_PSD_YES && i != 0)
			return last_labels(walk->domains[0],
			    count_labels(walk->domains[i]) + 1);
		org = walk->domains[i];
	}
	return org;
}

/* Section 4.10.1: the author's, the organization's, the suffix's; walk->count
 * without. */
static size_t
policy_of_walk(const struct walk *walk)
{
	struct str org = org_of_walk(walk);
	size_t i, last = walk->count - 1;

	if (walk->count == 0 || walk->has_record[0])
		return 0;
	for (i = 0; i < walk->count; i++)
		if (walk->has_record[i] && str_eq(walk->domains[i], org))
			return i;
	return walk->has_record[last] &&
	    walk->records[last].psd == DMARC_PSD_YES ? last : walk->count;
}

/* ---- the policy ---- */

/* An URI with a scheme: "mailto:reports@example.org". */
static bool
is_uri(struct str uri)
{
	size_t i, colon = str_find(uri, ':');

	if (colon == STR_NPOS || colon == 0 || colon + 1 == uri.len ||
	    !ascii_is_alpha(uri.p[0]))
		return false;
	for (i = 0; i < uri.len; i++)
		if (uri.p[i] <= ' ' || uri.p[i] > '~')
			return false;
	return true;
}

static bool
has_uri(struct str list)
{
	while (list.p != NULL)
		if (is_uri(str_trim(str_cut(list, ',', &list))))
			return true;
	return false;
}

/*
 * RFC 7489 section 6.6.3, RFC 9989 section 4.10.1: a record whose policy
 * cannot be read asks for reports at most. False: as if it were not there.
 */
static bool
is_usable(const struct dmarc *dm, struct dmarc_record *record)
{
	bool is_walk = dm->input->method == DMARC_TREE_WALK;
	/* In the successor a missing p is p=none. */
	bool is_whole = (record->p.is_valid ||
	    (is_walk && !record->p.is_there)) &&
	    record->sp.is_there == record->sp.is_valid &&
	    (!is_walk || record->np.is_there == record->np.is_valid);

	if (is_whole)
		return true;
	memset(&record->p, 0, sizeof(record->p));
	memset(&record->sp, 0, sizeof(record->sp));
	memset(&record->np, 0, sizeof(record->np));
	return has_uri(record->rua);
}

/* False: DMARC does not apply. */
static bool
use_record(struct dmarc *dm, struct str domain,
    const struct dmarc_record *record)
{
	dm->result->record = *record;
	dm->result->record_domain = domain;
	if (is_usable(dm, &dm->result->record))
		return true;
	(void)err_set(&dm->err, ERR_SYNTAX, "no policy in the record");
	return false;
}

static enum mailauth_step
discover_by_walk(struct dmarc *dm, enum mailauth_result *result_r)
{
	struct dmarc_result *result = dm->result;
	struct walk walk;
	size_t i;

	if (walk_up(dm, result->from_domain, &walk) == MAILAUTH_WAIT)
		return MAILAUTH_WAIT;
	if (walk.is_cut && !walk.has_record[0]) {
		*result_r = MAILAUTH_TEMPERROR;
		return MAILAUTH_DONE;
	}
	if (!walk.is_cut)
		result->org_domain = org_of_walk(&walk);
	i = policy_of_walk(&walk);
	if (i == walk.count ||
	    !use_record(dm, walk.domains[i], &walk.records[i]))
		*result_r = MAILAUTH_NONE;
	return MAILAUTH_DONE;
}

/* RFC 7489 section 6.6.3 */
static enum mailauth_step
discover_by_psl(struct dmarc *dm, enum mailauth_result *result_r)
{
	struct dmarc_result *result = dm->result;
	struct str domains[2];
	struct dmarc_record record;
	const struct answer *answer;
	size_t i;

	result->org_domain = psl_org(dm->input->psl, dm->scratch,
	    result->from_domain);
	domains[0] = result->from_domain;
	domains[1] = result->org_domain;
	(void)ask(dm, domains[1]);
	for (i = 0; i < 2; i++) {
		answer = ask(dm, domains[i]);
		if (answer == NULL)
			return MAILAUTH_WAIT;
		if (is_failure(answer)) {
			*result_r = MAILAUTH_TEMPERROR;
			(void)err_set(&dm->err, ERR_TEMP,
			    "no answer about _dmarc.%.*s",
			    STR_FMT(str_sub(domains[i], 0, 200)));
			return MAILAUTH_DONE;
		}
		if (!get_record(dm, answer, &record))
			continue;
		if (!use_record(dm, domains[i], &record))
			*result_r = MAILAUTH_NONE;
		return MAILAUTH_DONE;
	}
	*result_r = MAILAUTH_NONE;
	return MAILAUTH_DONE;
}

/* Which of p, sp and np is meant: for the names below the record's. */
static enum mailauth_step
choose_policy(struct dmarc *dm)
{
	struct dmarc_result *result = dm->result;
	const struct dmarc_record *record = &result->record;
	const struct answer *answer;

	result->policy = record->p.policy;
	if (dns_name_eq(result->from_domain, result->record_domain))
		return MAILAUTH_DONE;
	if (record->sp.is_there)
		result->policy = record->sp.policy;
	if (!record->np.is_there || dm->input->method != DMARC_TREE_WALK)
		return MAILAUTH_DONE;
	/* RFC 9989 section 3.2.13, RFC 8020: a name that does not exist is
	 * one the DNS says so about. */
	answer = answers_find(dm->answers, result->from_domain, DNS_T_A);
	if (answer == NULL)
		return MAILAUTH_WAIT;
	if (!is_failure(answer) && answer->rcode == DNS_R_NXDOMAIN)
		result->policy = record->np.policy;
	return MAILAUTH_DONE;
}

/* ---- alignment ---- */

/* name is domain or lies below it. */
static bool
is_under(struct str name, struct str domain)
{
	struct str rest;

	if (name.len < domain.len)
		return false;
	rest = str_sub(name, name.len - domain.len, STR_NPOS);
	return str_eq_nocase(rest, domain) && (name.len == domain.len ||
	    name.p[name.len - domain.len - 1] == '.');
}

/* RFC 9989 section 4.4: the same organization by walks. */
static enum aligned
is_aligned_by_walk(struct dmarc *dm, struct str domain)
{
	struct walk walk;

	if (dm->result->org_domain.p == NULL)
		return ALIGNED_UNKNOWN;
	/* An organization's names are all below its own. */
	if (!is_under(domain, dm->result->org_domain))
		return ALIGNED_NO;
	if (walk_up(dm, domain, &walk) == MAILAUTH_WAIT)
		return ALIGNED_WAIT;
	if (walk.is_cut)
		return ALIGNED_UNKNOWN;
	return dns_name_eq(org_of_walk(&walk), dm->result->org_domain) ?
	    ALIGNED_YES : ALIGNED_NO;
}

static enum aligned
is_aligned(struct dmarc *dm, struct str domain, bool is_strict)
{
	if (dns_name_eq(domain, dm->result->from_domain))
		return ALIGNED_YES;
	if (is_strict)
		return ALIGNED_NO;
	if (domain.len != 0 && domain.p[domain.len - 1] == '.')
		domain.len--;
	if (dm->input->method == DMARC_TREE_WALK)
		return is_aligned_by_walk(dm, domain);
	return dns_name_eq(psl_org(dm->input->psl, dm->scratch, domain),
	    dm->result->org_domain) ? ALIGNED_YES : ALIGNED_NO;
}

/* What all identities together say. */
struct tally {
	bool has_pass;
	bool has_doubt;		/* another try could make it a pass */
	bool is_waiting;
};

/* True when it is aligned and passed. */
static bool
weigh(struct dmarc *dm, const struct dmarc_identity *identity,
    bool is_strict, struct tally *tally)
{
	enum aligned aligned;

	if (identity->domain.len == 0 ||
	    (identity->result != MAILAUTH_PASS &&
	    identity->result != MAILAUTH_TEMPERROR))
		return false;
	aligned = is_aligned(dm, identity->domain, is_strict);
	if (aligned == ALIGNED_YES && identity->result == MAILAUTH_PASS) {
		tally->has_pass = true;
		return true;
	}
	tally->is_waiting = tally->is_waiting || aligned == ALIGNED_WAIT;
	tally->has_doubt = tally->has_doubt || aligned == ALIGNED_YES ||
	    aligned == ALIGNED_UNKNOWN;
	return false;
}

static enum mailauth_step
check_alignment(struct dmarc *dm, enum mailauth_result *result_r)
{
	struct dmarc_result *result = dm->result;
	const struct dmarc_input *input = dm->input;
	struct tally tally = { .has_pass = false };
	size_t i;

	result->is_spf_aligned = weigh(dm, &input->spf,
	    result->record.is_spf_strict, &tally);
	for (i = 0; i < input->dkim_count; i++)
		if (weigh(dm, &input->dkim[i], result->record.is_dkim_strict,
		    &tally) && result->dkim_aligned == DMARC_NO_SIGNATURE)
			result->dkim_aligned = i;
	/* All of them are known before it is done, so that the order of the
	 * answers changes nothing. */
	if (tally.is_waiting)
		return MAILAUTH_WAIT;
	*result_r = tally.has_pass ? MAILAUTH_PASS : tally.has_doubt ?
	    MAILAUTH_TEMPERROR : MAILAUTH_FAIL;
	if (*result_r == MAILAUTH_TEMPERROR)
		(void)err_set(&dm->err, ERR_TEMP,
		    "an aligned name could not be checked");
	return MAILAUTH_DONE;
}

/* ---- the whole ---- */

/* The one domain of From:. */
static bool
get_from(struct dmarc *dm)
{
	const struct dmarc_input *input = dm->input;
	struct str domain;
	size_t i;

	if (input->is_from_broken || input->from_count == 0)
		return false;
	domain = input->from[0];
	if (domain.len > 1 && domain.p[domain.len - 1] == '.')
		domain.len--;
	for (i = 0; i < input->from_count; i++)
		if (!dns_name_eq(input->from[i], domain))
			return false;
	dm->result->from_domain = domain;
	return domain.len != 0 && domain.p[0] != '[';
}

static enum mailauth_step
evaluate(struct dmarc *dm)
{
	struct dmarc_result *result = dm->result;
	enum mailauth_step step;

	if (!get_from(dm)) {
		result->result = MAILAUTH_PERMERROR;
		result->from_domain = STR_NONE;
		(void)err_set(&dm->err, ERR_SYNTAX,
		    "From: is not of one domain");
		return MAILAUTH_DONE;
	}
	/* fail: there is a record to go by. */
	result->result = MAILAUTH_FAIL;
	step = dm->input->method == DMARC_TREE_WALK ?
	    discover_by_walk(dm, &result->result) :
	    discover_by_psl(dm, &result->result);
	if (step == MAILAUTH_WAIT || result->result != MAILAUTH_FAIL)
		return step;
	/* Both ask before either waits. */
	if (choose_policy(dm) == MAILAUTH_WAIT)
		step = MAILAUTH_WAIT;
	if (check_alignment(dm, &result->result) == MAILAUTH_WAIT)
		step = MAILAUTH_WAIT;
	return step;
}

static enum dmarc_policy
next_weaker(enum dmarc_policy policy)
{
	return policy == DMARC_P_REJECT ? DMARC_P_QUARANTINE : DMARC_P_NONE;
}

/* RFC 9989 section 4.7 (t=), RFC 7489 section 6.6.4 (pct=): both ask for the
 * next weaker policy. */
static void
set_disposition(const struct dmarc_input *input, struct dmarc_result *result)
{
	bool is_walk = input->method == DMARC_TREE_WALK;

	result->is_testing = is_walk && result->record.is_testing;
	if (result->result != MAILAUTH_FAIL)
		return;
	result->is_sampled_out = !is_walk &&
	    result->policy != DMARC_P_NONE &&
	    input->sample >= result->record.pct;
	result->disposition = result->is_testing || result->is_sampled_out ?
	    next_weaker(result->policy) : result->policy;
}

static void
keep(struct arena *arena, struct str *s)
{
	if (s->p != NULL)
		*s = arena_str(arena, *s);
}

/* Out of the scratch arena. */
static void
keep_result(const struct dmarc *dm, struct arena *arena)
{
	struct dmarc_result *result = dm->result;

	if (result->record_domain.p == NULL)
		result->org_domain = STR_NONE;
	keep(arena, &result->from_domain);
	keep(arena, &result->org_domain);
	keep(arena, &result->record_domain);
	keep(arena, &result->record.fo);
	keep(arena, &result->record.rf);
	keep(arena, &result->record.ri);
	keep(arena, &result->record.rua);
	keep(arena, &result->record.ruf);
	if (dm->err.code == 0 || result->result == MAILAUTH_PASS ||
	    result->result == MAILAUTH_FAIL)
		return;
	result->problem = str_of(err_text(&dm->err));
	/* Names come from the caller, who may have been lenient. */
	if (!str_is_printable(result->problem))
		result->problem = STR("a name that is not printable");
	result->problem = arena_str(arena, result->problem);
}

enum mailauth_step
dmarc_check(struct arena *arena, const struct dmarc_input *input,
    struct answers *answers, struct dmarc_result *result_r)
{
	struct dmarc dm = { .input = input, .answers = answers,
		.result = result_r, .scratch = arena_new(0) };
	enum mailauth_step step;

	memset(result_r, 0, sizeof(*result_r));
	result_r->dkim_aligned = DMARC_NO_SIGNATURE;
	step = evaluate(&dm);
	if (step == MAILAUTH_DONE) {
		set_disposition(input, result_r);
		keep_result(&dm, arena);
	}
	arena_free(&dm.scratch);
	return step;
}
