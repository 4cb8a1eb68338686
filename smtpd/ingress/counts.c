/* SPDX-License-Identifier: ISC */
#include "smtpd/ingress/counts.h"

#include "base/table.h"
#include "base/when.h"
#include "filter/counts.h"

static void
count_all(const struct message *message, struct str domain, unsigned code)
{
	counts_add(message->session->ingress->figures, domain,
	    message->session->account != 0, code, message->known);
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
		domain = counts_domain(rcpt->address);
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
	domain = counts_domain(session->tx.sender);
	if (domain.p != NULL)
		count_all(message, domain, code);
}

void
counts_recipient(const struct session *session, struct str address,
    bool is_ours)
{
	struct figures *figures = session->ingress->figures;
	struct str domain = counts_domain(address);

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
