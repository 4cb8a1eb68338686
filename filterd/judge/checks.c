/* SPDX-License-Identifier: ISC */
#include "filterd/judge/checks.h"

#include "base/rand.h"
#include "ipc/values.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mailauth/arc.h"
#include "mailauth/authres.h"
#include "mailauth/dkim.h"
#include "mailauth/dmarc.h"
#include "mailauth/spf.h"

#define FROM_MAX 100U		/* fields that are looked at */

struct checks {
	const struct envelope *envelope;
	struct arena *arena;
	struct mailauth_message *message;
	struct str *from;		/* domains of From's addresses */
	size_t from_len;
	bool is_from_broken;		/* it is no one's, or several's */
	struct spf_input spf_input;
	bool has_client;		/* its address is known */
	struct spf_result helo;
	struct spf_result mailfrom;
	struct dkim_results dkim;
	struct arc_result arc;
	struct dmarc_result dmarc;
	unsigned sample;
	unsigned done;			/* evaluations, a mask */
	struct verdict_auth auth[VERDICT_AUTH_MAX];
	size_t auth_len;
	bool is_unasked;		/* questions were left out */
};

/* ---- what is looked at ---- */

/* Mail of our users, and what comes from our own network, is not a
 * stranger's: its sender needs no proof. */
bool
checks_wanted(const struct envelope *envelope)
{
	return (envelope->flags & (FILTER_F_AUTHENTICATED |
	    FILTER_F_CONTENT_ONLY)) == 0 &&
	    str_eq(envelope->protocol, STR("smtp")) &&
	    !str_eq(envelope->zone, STR("loopback"));
}

/* ---- reading ---- */

static void
take_envelope(struct checks *checks)
{
	const struct envelope *envelope = checks->envelope;
	struct spf_input *input = &checks->spf_input;
	struct address sender;

	*input = (struct spf_input){ .helo = envelope->helo,
	    .receiver = envelope->hostname, .now_s = envelope->now_s };
	checks->has_client = netaddr_parse(envelope->client, &input->ip,
	    NULL) == 0;
	if (envelope->sender.len == 0 || address_parse(checks->arena,
	    envelope->sender, ADDRESS_UTF8 | ADDRESS_DOTS, &sender, NULL) !=
	    0)
		return;
	input->local = sender.local;
	input->domain = sender.domain;
}

struct checks *
checks_new(const struct envelope *envelope, struct arena *arena)
{
	struct checks *checks = calloc(1, sizeof(*checks));

	invariant(checks != NULL);
	checks->envelope = envelope;
	checks->arena = arena;
	checks->message = mailauth_message_new();
	checks->sample = (unsigned)(rand_u64() % 100);
	take_envelope(checks);
	return checks;
}

void
checks_free(struct checks **checks)
{
	if (*checks == NULL)
		return;
	mailauth_message_free(&(*checks)->message);
	free(*checks);
	*checks = NULL;
}

int
checks_feed(struct checks *checks, const void *data, size_t len,
    struct err *err)
{
	return mailauth_message_feed(checks->message, data, len, err);
}

/* Readers show one of several authors, and which one is not ours to say. */
static bool
is_one_domain(const struct address *addresses, size_t len)
{
	size_t i;

	for (i = 1; i < len; i++)
		if (!str_eq_nocase(addresses[i].domain, addresses[0].domain))
			return false;
	return true;
}

static void
read_from(struct checks *checks)
{
	struct str values[FROM_MAX];
	struct header_iter iter;
	struct header_field field;
	struct address *addresses;
	size_t n = 0, i;

	header_iter_init(&iter, mailauth_message_header(checks->message));
	/* A second one far below the others is a second one, too. */
	while (n < FROM_MAX && header_next_all(&iter, &field))
		if (str_eq_nocase(field.name, STR("From")))
			values[n++] = field.value;
	checks->is_from_broken = address_from(checks->arena, values, n,
	    &addresses, &checks->from_len, NULL) != 0 ||
	    !is_one_domain(addresses, checks->from_len);
	if (checks->is_from_broken)
		checks->from_len = 0;
	checks->from = arena_alloc(checks->arena, (checks->from_len + 1) *
	    sizeof(*checks->from));
	for (i = 0; i < checks->from_len; i++)
		checks->from[i] = addresses[i].domain;
}

void
checks_end(struct checks *checks)
{
	mailauth_message_end(checks->message);
	read_from(checks);
}

/* ---- evaluations ---- */

static enum mailauth_step
run_helo(struct checks *checks, struct answers *answers)
{
	if (!checks->has_client)
		return MAILAUTH_DONE;
	return spf_check_helo(checks->arena, &checks->spf_input, answers,
	    &checks->helo);
}

static enum mailauth_step
run_mailfrom(struct checks *checks, struct answers *answers)
{
	if (!checks->has_client)
		return MAILAUTH_DONE;
	return spf_check_mailfrom(checks->arena, &checks->spf_input, answers,
	    &checks->mailfrom);
}

static enum mailauth_step
run_dkim(struct checks *checks, struct answers *answers)
{
	return dkim_verify(checks->message, answers, checks->envelope->now_s,
	    &checks->dkim);
}

static enum mailauth_step
run_arc(struct checks *checks, struct answers *answers)
{
	return arc_verify(checks->message, answers, checks->envelope->now_s,
	    &checks->arc);
}

/* As long as SPF and DKIM are not known they are nothing, and what is asked
 * for then is asked for beside their own questions. */
static enum mailauth_step
run_dmarc(struct checks *checks, struct answers *answers)
{
	struct dmarc_identity dkim[DKIM_SIGNATURES_MAX];
	struct dmarc_input input = {
		.method = checks->envelope->psl != NULL ? DMARC_PSL :
		    DMARC_TREE_WALK,
		.psl = checks->envelope->psl,
		.from = checks->from, .from_count = checks->from_len,
		.is_from_broken = checks->is_from_broken,
		.spf = { checks->mailfrom.domain, checks->mailfrom.result },
		.dkim = dkim, .dkim_count = checks->dkim.count,
		.sample = checks->sample,
	};
	size_t i;

	for (i = 0; i < checks->dkim.count; i++)
		dkim[i] = (struct dmarc_identity){ checks->dkim.v[i].domain,
		    checks->dkim.v[i].result };
	return dmarc_check(checks->arena, &input, answers, &checks->dmarc);
}

/*
 * Those that build on others stand behind all of them. DMARC, which decides,
 * asks beside the first; a chain of up to 50 seals, which at most overrules it,
 * only when the others have all they need, so that its questions cannot take
 * the time of theirs.
 */
static const struct {
	enum mailauth_step (*run)(struct checks *checks,
	    struct answers *answers);
	bool counts_alone;	/* what it says holds without the others */
	bool is_last;		/* not begun before the others are done */
} evaluations[] = {
	{ run_helo, true, false },
	{ run_mailfrom, true, false },
	{ run_dkim, true, false },
	{ run_dmarc, false, false },
	{ run_arc, true, true },
};

#define EVALUATIONS_LEN (sizeof(evaluations) / sizeof(evaluations[0]))

enum mailauth_step
checks_run(struct checks *checks, struct answers *answers)
{
	bool is_known = true;
	size_t i;

	for (i = 0; i < EVALUATIONS_LEN; i++) {
		if ((checks->done & 1U << i) != 0 ||
		    (evaluations[i].is_last && !is_known))
			continue;
		if (evaluations[i].run(checks, answers) == MAILAUTH_WAIT)
			is_known = false;
		else if (evaluations[i].counts_alone || is_known)
			checks->done |= 1U << i;
	}
	return is_known ? MAILAUTH_DONE : MAILAUTH_WAIT;
}

void
checks_unasked(struct checks *checks)
{
	checks->is_unasked = true;
}

/* ---- what is known ---- */

static void
auth_add(struct checks *checks, const struct verdict_auth *auth)
{
	if (checks->auth_len < VERDICT_AUTH_MAX)
		checks->auth[checks->auth_len++] = *auth;
}

static void
add_spf(struct checks *checks, enum verdict_method method,
    const struct spf_result *spf)
{
	struct verdict_auth auth = { .method = method, .result = spf->result,
	    .identity = spf->domain, .reason = spf->problem };

	auth_add(checks, &auth);
}

static void
collect_spf(struct checks *checks)
{
	bool is_null = checks->envelope->sender.len == 0;

	if (!checks->has_client)
		return;
	add_spf(checks, is_null ? VERDICT_M_SPF_HELO :
	    VERDICT_M_SPF_MAILFROM, &checks->mailfrom);
	if (!is_null && checks->helo.result != MAILAUTH_NONE)
		add_spf(checks, VERDICT_M_SPF_HELO, &checks->helo);
}

static void
collect_dkim(struct checks *checks)
{
	struct verdict_auth auth = { .method = VERDICT_M_DKIM,
	    .result = MAILAUTH_NONE };
	const struct dkim_result *dkim;
	size_t i;

	if (checks->dkim.count == 0)
		auth_add(checks, &auth);
	for (i = 0; i < checks->dkim.count; i++) {
		dkim = &checks->dkim.v[i];
		auth.result = dkim->result;
		auth.identity = dkim->domain;
		auth.selector = dkim->selector;
		auth.signature = dkim->signature;
		auth.reason = dkim->reason;
		auth_add(checks, &auth);
	}
}

static void
collect_dmarc(struct checks *checks)
{
	const struct dmarc_result *dmarc = &checks->dmarc;
	struct verdict_auth auth = { .method = VERDICT_M_DMARC,
	    .result = dmarc->result, .identity = dmarc->from_domain,
	    .reason = dmarc->problem };

	if (dmarc->result == MAILAUTH_FAIL)
		auth.reason = arena_printf(checks->arena, "p=%s%s",
		    dmarc_policy_name(dmarc->policy), dmarc->is_testing ?
		    " (testing)" : "");
	auth_add(checks, &auth);
}

static void
collect_arc(struct checks *checks)
{
	const struct arc_result *arc = &checks->arc;
	struct verdict_auth auth = { .method = VERDICT_M_ARC,
	    .result = arc->result, .reason = arc->reason };

	if (arc->result == MAILAUTH_NONE)
		return;
	if (arc->result == MAILAUTH_PASS) {
		auth.identity = arc->sets[arc->instance - 1].domain;
		auth.selector = arc->sets[arc->instance - 1].selector;
	}
	auth_add(checks, &auth);
}

/* ---- the verdict ---- */

static void
refuse(struct verdict *verdict, const char *enhanced, struct str text,
    const char *reason)
{
	verdict->action = VERDICT_REFUSE;
	verdict->code = 550;
	verdict->enhanced = str_of(enhanced);
	verdict->text = text;
	verdict->reason = str_of(reason);
}

/* Whom a message is from must be the same for every reader. */
static bool
judge_from(struct checks *checks, struct verdict *verdict)
{
	if (!checks->is_from_broken)
		return false;
	refuse(verdict, "5.7.1",
	    STR("From is missing, doubled or cannot be told"), "from");
	return true;
}

/* RFC 7372 section 3.2. */
static bool
judge_spf(struct checks *checks, struct verdict *verdict)
{
	if (!checks->envelope->refuses_spf_fail ||
	    checks->mailfrom.result != MAILAUTH_FAIL)
		return false;
	refuse(verdict, "5.7.23", arena_printf(checks->arena,
	    "%.*s sends no mail from %.*s (SPF)",
	    STR_FMT(checks->mailfrom.domain),
	    STR_FMT(checks->envelope->client)), "spf");
	return true;
}

static bool
is_trusted(struct str trusted, struct str domain)
{
	struct str rest = trusted, word;

	while (rest.p != NULL) {
		word = str_cut(rest, ' ', &rest);
		if (word.len != 0 && str_eq_nocase(word, domain))
			return true;
	}
	return false;
}

/* RFC 8617 section 7.2.1: hosts that we believe passed it on, and the first
 * of them saw DMARC pass. */
static bool
is_vouched_for(struct checks *checks)
{
	struct authres_list *list;
	unsigned i;
	size_t k;

	if (checks->arc.result != MAILAUTH_PASS)
		return false;
	for (i = 0; i < checks->arc.instance; i++)
		if (!is_trusted(checks->envelope->arc_trusted,
		    checks->arc.sets[i].domain))
			return false;
	list = arena_new_of(checks->arena, struct authres_list);
	if (authres_parse(checks->arena, checks->arc.sets[0].results, list,
	    NULL) != 0)
		return false;
	for (k = 0; k < list->count; k++)
		if (str_eq_nocase(list->v[k].method, STR("dmarc")))
			return str_eq_nocase(list->v[k].result, STR("pass"));
	return false;
}

/* RFC 7489 section 6.6.2: what could not be asked may be known next time. A
 * sender must not be able to take the time away in which it is asked. */
static bool
judge_unasked(struct checks *checks, struct verdict *verdict)
{
	if (!checks->is_unasked || checks->dmarc.result != MAILAUTH_TEMPERROR ||
	    (checks->envelope->flags & FILTER_F_DMARC_MARK) != 0)
		return false;
	verdict->action = VERDICT_TEMPFAIL;
	verdict->code = 451;
	verdict->enhanced = STR("4.7.1");
	verdict->text = STR("the sender's policy cannot be looked up now");
	verdict->reason = STR("dmarc");
	return true;
}

static bool
judge_dmarc(struct checks *checks, struct verdict *verdict)
{
	const struct dmarc_result *dmarc = &checks->dmarc;

	if (dmarc->result != MAILAUTH_FAIL ||
	    dmarc->disposition == DMARC_P_NONE ||
	    (checks->envelope->flags & FILTER_F_DMARC_MARK) != 0)
		return false;
	if (is_vouched_for(checks)) {
		verdict->reason = STR("arc");
		return true;
	}
	if (dmarc->disposition == DMARC_P_REJECT) {
		refuse(verdict, "5.7.1", arena_printf(checks->arena,
		    "%.*s wants unproven mail refused (DMARC)",
		    STR_FMT(dmarc->from_domain)), "dmarc");
		return true;
	}
	verdict->action = VERDICT_JUNK;
	verdict->reason = STR("dmarc");
	return true;
}

/* The first that has something to say decides. */
static bool (*const judgements[])(struct checks *checks,
    struct verdict *verdict) = { judge_from, judge_spf, judge_unasked,
    judge_dmarc };

void
checks_verdict(struct checks *checks, struct verdict *verdict_r)
{
	size_t i;

	*verdict_r = (struct verdict){ .action = VERDICT_DELIVER,
	    .is_judged = true };
	collect_spf(checks);
	collect_dmarc(checks);
	collect_arc(checks);
	collect_dkim(checks);
	verdict_r->auth = checks->auth;
	verdict_r->auth_len = checks->auth_len;
	for (i = 0; i < sizeof(judgements) / sizeof(judgements[0]); i++)
		if (judgements[i](checks, verdict_r))
			return;
}
