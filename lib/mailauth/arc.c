/* SPDX-License-Identifier: ISC */
#include "mailauth/arc_int.h"

/* Octets of header hashed to find out since when nothing changed. */
#define OLDEST_OCTETS_MAX (16U << 20)

/* ---- the chain ---- */

/* RFC 8617 section 4.1.1: "i=" instance ";" and what follows it. */
static unsigned
aar_instance(struct str value, struct str *results_r)
{
	struct str tag = str_trim(str_cut(value, ';', results_r));
	struct str number, name = str_trim(str_cut(tag, '=', &number));

	if (number.p == NULL || results_r->p == NULL ||
	    !str_eq(name, STR("i")))
		return 0;
	return sig_instance(str_trim(number));
}

static struct arc_chain_set *
set_of(struct arc_chain *chain, unsigned instance)
{
	if (instance == 0) {
		chain->is_odd = true;
		return NULL;
	}
	if (instance > chain->highest)
		chain->highest = instance;
	return &chain->sets[instance];
}

static void
put_sig(struct arc_chain *chain, struct sig *sig)
{
	struct arc_chain_set *set = set_of(chain, sig->instance);
	struct sig **at;

	if (set == NULL)
		return;
	at = sig->kind == SIG_AS ? &set->as : &set->ams;
	if (*at != NULL)
		chain->is_odd = true;
	*at = sig;
}

static void
put_aar(struct arc_chain *chain, const struct header_field *field)
{
	struct str results;
	struct arc_chain_set *set = set_of(chain,
	    aar_instance(field->value, &results));

	if (set == NULL)
		return;
	if (set->aar != NULL)
		chain->is_odd = true;
	set->aar = field;
	set->results = str_trim(results);
}

void
arc_chain_init(struct arc_chain *chain,
    const struct mailauth_message *message)
{
	size_t i;

	memset(chain, 0, sizeof(*chain));
	chain->is_odd = message->has_too_many_arc;
	for (i = 0; i < message->ams_count; i++)
		put_sig(chain, message->ams[i]);
	for (i = 0; i < message->as_count; i++)
		put_sig(chain, message->as[i]);
	for (i = 0; i < message->aar_count; i++)
		put_aar(chain, message->aar[i]);
}

/* ---- hashing ---- */

void
arc_hash_field(EVP_MD_CTX *md, struct str raw)
{
	struct buf text;

	buf_init(&text, raw.len + 16);
	canon_header(&text, CANON_RELAXED, raw);
	invariant(EVP_DigestUpdate(md, buf_str(&text).p, text.len) == 1);
	buf_fini(&text);
}

void
arc_hash_set(EVP_MD_CTX *md, const struct arc_chain_set *set)
{
	if (set->aar != NULL)
		arc_hash_field(md, set->aar->raw);
	if (set->ams != NULL)
		arc_hash_field(md, set->ams->field->raw);
	if (set->as != NULL)
		arc_hash_field(md, set->as->field->raw);
}

/* What the seal of set signs; md has all sets before it. */
static void
seal_digest(const EVP_MD_CTX *md, const struct arc_chain_set *set,
    unsigned char *digest_r)
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	size_t from, to;
	struct buf own;

	invariant(copy != NULL && EVP_MD_CTX_copy_ex(copy, md) == 1);
	arc_hash_field(copy, set->aar->raw);
	arc_hash_field(copy, set->ams->field->raw);
	sig_hole(set->as, &from, &to);
	buf_init(&own, set->as->field->raw.len + 16);
	sig_put_unsigned(&own, CANON_RELAXED, set->as->field->raw, from, to);
	invariant(EVP_DigestUpdate(copy, buf_str(&own).p, own.len) == 1 &&
	    EVP_DigestFinal_ex(copy, digest_r, NULL) == 1);
	buf_fini(&own);
	EVP_MD_CTX_free(copy);
}

/* ---- verifying ---- */

static enum mailauth_step
fail(struct arc_result *result_r, const char *reason)
{
	result_r->result = MAILAUTH_FAIL;
	result_r->reason = str_of(reason);
	return MAILAUTH_DONE;
}

static enum mailauth_step
fail_of(struct arc_result *result_r, const struct mailauth_message *message,
    const struct sig *sig)
{
	(void)fail(result_r, "");
	result_r->is_temporary = sig->result == MAILAUTH_TEMPERROR;
	result_r->reason = arena_printf(message->arena, "%s %u: %.*s",
	    sig->kind == SIG_AS ? "seal" : "signature", sig->instance,
	    STR_FMT(sig->reason));
	return MAILAUTH_DONE;
}

/* RFC 8617 section 5.2, steps 1 to 3; NULL: nothing is wrong so far. */
static const char *
check_structure(const struct arc_chain *chain)
{
	const struct arc_chain_set *set;
	enum mailauth_result want;
	unsigned i;

	if (chain->is_odd)
		return "a set without number, or a field twice";
	for (i = 1; i <= chain->highest; i++) {
		set = &chain->sets[i];
		if (set->aar == NULL || set->ams == NULL || set->as == NULL)
			return "a set is not whole";
		want = i == 1 ? MAILAUTH_NONE : MAILAUTH_PASS;
		if (set->as->result == MAILAUTH_NONE && set->as->chain != want)
			return "cv= contradicts the chain";
	}
	return NULL;
}

/* The first field that cannot be used, or NULL. */
static const struct sig *
first_broken(const struct arc_chain *chain)
{
	unsigned i;

	if (chain->sets[chain->highest].ams->result != MAILAUTH_NONE)
		return chain->sets[chain->highest].ams;
	for (i = chain->highest; i > 0; i--)
		if (chain->sets[i].as->result != MAILAUTH_NONE &&
		    chain->sets[i].as->result != MAILAUTH_PASS)
			return chain->sets[i].as;
	return NULL;
}

static bool
ask_all(const struct arc_chain *chain, struct answers *answers)
{
	bool has_all = true;
	unsigned i;

	for (i = chain->highest; i > 0; i--) {
		has_all &= sig_ask(chain->sets[i].as, answers);
		has_all &= sig_ask(chain->sets[i].ams, answers);
	}
	return has_all;
}

/* All seals, each over what stands below it; NULL: they hold. */
static const struct sig *
check_seals(const struct arc_chain *chain,
    const struct mailauth_message *message, struct answers *answers)
{
	unsigned char digest[MAILAUTH_HASH_OCTETS];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const struct sig *broken = NULL;
	struct sig *as;
	unsigned i;

	invariant(md != NULL &&
	    EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
	for (i = 1; i <= chain->highest && broken == NULL; i++) {
		as = chain->sets[i].as;
		seal_digest(md, &chain->sets[i], digest);
		if (as->result == MAILAUTH_NONE)
			(void)sig_verify_digest(as, message->arena, answers,
			    digest);
		if (as->result != MAILAUTH_PASS)
			broken = as;
		arc_hash_set(md, &chain->sets[i]);
	}
	EVP_MD_CTX_free(md);
	return broken;
}

/* RFC 8617 section 5.2, step 5. */
static void
find_oldest_pass(const struct arc_chain *chain,
    const struct mailauth_message *message, struct answers *answers,
    int64_t now_s, struct arc_result *result_r)
{
	size_t octets = message->header.len;
	unsigned i;

	if (octets * chain->highest > OLDEST_OCTETS_MAX)
		return;
	for (i = chain->highest; i > 1; i--)
		if (sig_verify(chain->sets[i - 1].ams, message, answers,
		    now_s) != MAILAUTH_PASS)
			break;
	result_r->has_oldest_pass = true;
	result_r->oldest_pass = i == 1 ? 0 : i;
}

static void
pass(const struct arc_chain *chain, struct arc_result *result_r)
{
	unsigned i;

	result_r->result = MAILAUTH_PASS;
	for (i = 1; i <= chain->highest; i++) {
		result_r->sets[i - 1].domain = chain->sets[i].as->domain;
		result_r->sets[i - 1].selector = chain->sets[i].as->selector;
		result_r->sets[i - 1].results = chain->sets[i].results;
	}
}

static enum mailauth_step
verify_chain(const struct arc_chain *chain,
    const struct mailauth_message *message, struct answers *answers,
    int64_t now_s, struct arc_result *result_r)
{
	struct sig *ams = chain->sets[chain->highest].ams;
	const struct sig *broken;

	if (sig_verify(ams, message, answers, now_s) != MAILAUTH_PASS)
		return fail_of(result_r, message, ams);
	broken = check_seals(chain, message, answers);
	if (broken != NULL)
		return fail_of(result_r, message, broken);
	pass(chain, result_r);
	find_oldest_pass(chain, message, answers, now_s, result_r);
	return MAILAUTH_DONE;
}

/* RFC 8617 section 5.1.3: a chain that was broken before is not continued. */
static bool
was_broken(const struct arc_chain *chain)
{
	const struct sig *as = chain->sets[chain->highest].as;

	return as != NULL && as->chain == MAILAUTH_FAIL;
}

static void
look(const struct mailauth_message *message, struct arc_chain *chain_r,
    struct arc_result *result_r)
{
	invariant(message->has_ended);
	memset(result_r, 0, sizeof(*result_r));
	arc_chain_init(chain_r, message);
	result_r->instance = chain_r->highest;
	result_r->may_seal = chain_r->highest < ARC_SETS_MAX &&
	    !message->has_too_many_arc && !was_broken(chain_r);
}

void
arc_look(const struct mailauth_message *message, struct arc_result *result_r)
{
	struct arc_chain chain;

	look(message, &chain, result_r);
}

enum mailauth_step
arc_verify(const struct mailauth_message *message, struct answers *answers,
    int64_t now_s, struct arc_result *result_r)
{
	struct arc_chain chain;
	const struct sig *broken;
	const char *reason;

	look(message, &chain, result_r);
	if (chain.highest == 0 && !chain.is_odd)
		return MAILAUTH_DONE;
	if (was_broken(&chain))
		return fail(result_r, "the chain was broken before");
	if ((reason = check_structure(&chain)) != NULL)
		return fail(result_r, reason);
	if (chain.sets[chain.highest].ams->result == MAILAUTH_NONE &&
	    (broken = first_broken(&chain)) != NULL)
		return fail_of(result_r, message, broken);
	if (!ask_all(&chain, answers))
		return MAILAUTH_WAIT;
	return verify_chain(&chain, message, answers, now_s, result_r);
}
