/* SPDX-License-Identifier: ISC */
#include "filter/counts.h"

static const char *
outcome_name(bool is_out, unsigned code)
{
	if (code < 400)
		return is_out ? "sent" : "received";
	if (code < 500)
		return is_out ? "sent.deferred" : "deferred";
	return is_out ? "sent.refused" : "refused";
}

static void
count(struct figures *figures, struct str domain, const char *name)
{
	figures_count(figures, domain, str_of(name), 1);
}

static void
count_content(struct figures *figures, struct str domain,
    const struct verdict *verdict)
{
	static const char *const names[SCAN_RESULTS] = {
		[SCAN_CLEAN] = NULL, [SCAN_ENCRYPTED] = "encrypted",
		[SCAN_LIMIT] = "unscannable", [SCAN_INFECTED] = "virus",
		[SCAN_CRASHED] = "crashed",
	};
	static const char *const actions[VERDICT_ACTIONS] = {
		[VERDICT_JUNK] = "junk", [VERDICT_QUARANTINE] = "quarantined",
		[VERDICT_DISCARD] = "discarded",
		[VERDICT_DETONATE] = "detonated",
	};

	if (verdict->is_scanned && names[verdict->virus] != NULL)
		count(figures, domain, names[verdict->virus]);
	if (verdict->parts_len != 0)
		count(figures, domain, "replaced");
	if (verdict->is_suspicious)
		count(figures, domain, "suspicious");
	if (actions[verdict->action] != NULL)
		count(figures, domain, actions[verdict->action]);
}

/* One result a method: of several signatures one that passes is enough. */
static void
count_auth(struct figures *figures, struct str domain,
    const struct verdict *verdict)
{
	const struct verdict_auth *best[VERDICT_METHODS] = { NULL }, *auth;
	char name[FIGURES_NAME_MAX + 1];
	size_t i;

	for (i = 0; i < verdict->auth_len; i++) {
		auth = &verdict->auth[i];
		if (best[auth->method] == NULL ||
		    auth->result == MAILAUTH_PASS)
			best[auth->method] = auth;
	}
	/* The name of HELO counts where there is no sender. */
	if (best[VERDICT_M_SPF_MAILFROM] != NULL)
		best[VERDICT_M_SPF_HELO] = NULL;
	for (i = 0; i < VERDICT_METHODS; i++) {
		if (best[i] == NULL)
			continue;
		(void)snprintf(name, sizeof(name), "%s.%s",
		    verdict_method_name(best[i]->method),
		    mailauth_result_name(best[i]->result));
		count(figures, domain, name);
	}
}

void
counts_add(struct figures *figures, struct str domain, bool is_out,
    unsigned code, const struct verdict *verdict)
{
	count(figures, domain, outcome_name(is_out, code));
	if (verdict == NULL)
		return;
	count_content(figures, domain, verdict);
	count_auth(figures, domain, verdict);
}

struct str
counts_domain(struct str address)
{
	size_t at = str_rfind(address, '@');

	return at == STR_NPOS ? STR_NONE : str_sub(address, at + 1,
	    address.len);
}
