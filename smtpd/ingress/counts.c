/* SPDX-License-Identifier: ISC */
#include "smtpd/ingress/counts.h"

#include "base/table.h"
#include "base/when.h"
#include "ipc/figures.h"

/* ---- names ---- */

static const char *
outcome_name(const struct message *message, unsigned code)
{
	bool is_out = message->session->account != 0;

	if (code < 400)
		return is_out ? "sent" : "received";
	if (code < 500)
		return is_out ? "sent.deferred" : "deferred";
	return is_out ? "sent.refused" : "refused";
}

static void
count(const struct message *message, struct str domain, const char *name)
{
	figures_count(message->session->ingress->figures, domain,
	    str_of(name), 1);
}

static void
count_content(const struct message *message, struct str domain,
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
		count(message, domain, names[verdict->virus]);
	if (verdict->parts_len != 0)
		count(message, domain, "replaced");
	if (verdict->is_suspicious)
		count(message, domain, "suspicious");
	if (actions[verdict->action] != NULL)
		count(message, domain, actions[verdict->action]);
}

/* One result a method: of several signatures one that passes is enough. */
static void
count_auth(const struct message *message, struct str domain,
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
		count(message, domain, name);
	}
}

static void
count_all(const struct message *message, struct str domain, unsigned code)
{
	count(message, domain, outcome_name(message, code));
	if (message->known == NULL)
		return;
	count_content(message, domain, message->known);
	count_auth(message, domain, message->known);
}

/* ---- domains ---- */

static struct str
domain_of(struct str address)
{
	size_t at = str_rfind(address, '@');

	return at == STR_NPOS ? STR_NONE : str_sub(address, at + 1,
	    address.len);
}

/* Each of the recipients' domains once. */
static void
count_domains(const struct message *message, unsigned code)
{
	const struct transaction *tx = &message->session->tx;
	struct table *seen = table_new();
	struct recipient *rcpt, *tmp;
	static char is_there;
	struct str domain;

	list_each(rcpt, tmp, &tx->recipients, struct recipient, node) {
		domain = domain_of(rcpt->address);
		if (domain.p == NULL || table_get(seen, domain) != NULL)
			continue;
		table_put(seen, domain, &is_there);
		count_all(message, domain, code);
	}
	table_free(&seen);
}

void
counts_message(const struct message *message, unsigned code)
{
	const struct session *session = message->session;
	struct str domain;

	count_all(message, STR(""), code);
	if (session->account == 0) {
		count_domains(message, code);
		return;
	}
	domain = domain_of(session->tx.sender);
	if (domain.p != NULL)
		count_all(message, domain, code);
}

void
counts_recipient(const struct session *session, struct str address,
    bool is_ours)
{
	struct figures *figures = session->ingress->figures;
	struct str domain = domain_of(address);

	figures_count(figures, STR(""), STR("rcpt.refused"), 1);
	if (is_ours && domain.p != NULL)
		figures_count(figures, domain, STR("rcpt.refused"), 1);
}

void
counts_stage(struct message *message, const char *stage)
{
	uint64_t now_ms = when_mono_ms();

	figures_stage(message->session->ingress->figures, stage,
	    now_ms - message->stage_ms);
	message->stage_ms = now_ms;
}
