/* SPDX-License-Identifier: ISC */
#include "mailauth/dkim.h"

#include "mailauth/message_int.h"

#define SIGNATURE_SHOWN_MIN 8U

/* How much of a b= tells it from all the others (RFC 6008 section 4). */
static size_t
shown_len(const struct mailauth_message *message, const struct sig *sig)
{
	size_t i, n, len = SIGNATURE_SHOWN_MIN;
	struct str other;

	for (i = 0; i < message->dkim_count; i++) {
		if (message->dkim[i] == sig)
			continue;
		other = message->dkim[i]->signature_text;
		for (n = 0; n < other.len && n < sig->signature_text.len; n++)
			if (other.p[n] != sig->signature_text.p[n])
				break;
		if (n + 1 > len)
			len = n + 1;
	}
	return len;
}

static void
show(const struct mailauth_message *message, const struct sig *sig,
    struct dkim_result *result_r)
{
	memset(result_r, 0, sizeof(*result_r));
	result_r->result = sig->result;
	result_r->reason = sig->reason;
	result_r->domain = sig->domain;
	result_r->selector = sig->selector;
	result_r->identity = sig->identity;
	result_r->key_bits = sig->key_bits;
	result_r->is_testing = sig->is_testing;
	result_r->signature = str_sub(sig->signature_text, 0,
	    shown_len(message, sig));
	if (sig->signature.len > 0)
		result_r->algorithm =
		    str_of(dkim_algorithm_name(sig->algorithm));
}

enum mailauth_step
dkim_verify(const struct mailauth_message *message, struct answers *answers,
    int64_t now_s, struct dkim_results *results_r)
{
	bool has_all = true;
	size_t i;

	invariant(message->has_ended);
	for (i = 0; i < message->dkim_count; i++)
		has_all &= sig_ask(message->dkim[i], answers);
	if (!has_all)
		return MAILAUTH_WAIT;
	results_r->count = message->dkim_count;
	results_r->is_cut = message->dkim_seen > message->dkim_count;
	for (i = 0; i < message->dkim_count; i++) {
		(void)sig_verify(message->dkim[i], message, answers, now_s);
		show(message, message->dkim[i], &results_r->v[i]);
	}
	return MAILAUTH_DONE;
}
