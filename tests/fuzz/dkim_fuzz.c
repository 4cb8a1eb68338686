/* SPDX-License-Identifier: ISC */
/*
 * A message with its signatures: fed whole and octet by octet it comes to the
 * same. Every key that is asked for is there, so that digests are made.
 */
#include "mailauth/arc.h"
#include "mailauth/dkim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key of RFC 8463 appendix A. */
static const char record[] = "v=DKIM1; k=ed25519; "
    "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

static void
answer_all(struct answers *answers)
{
	char rdata[sizeof(record)] = "";
	struct str text = str_make(rdata, sizeof(record));
	struct answer answer = { .rdata = &text, .rdata_len = 1 };
	struct str name;
	unsigned type;

	rdata[0] = sizeof(record) - 1;
	memcpy(rdata + 1, record, sizeof(record) - 1);
	while (answers_next_wanted(answers, &name, &type))
		answers_put(answers, name, type, &answer);
}

struct outcome {
	struct dkim_results dkim;
	struct arc_result arc;
};

static struct mailauth_message *
evaluate(struct str text, size_t step, struct outcome *outcome)
{
	struct mailauth_message *message = mailauth_message_new();
	struct answers *answers = answers_new();
	size_t at;

	mailauth_message_want(message, CANON_RELAXED);
	for (at = 0; at < text.len; at += step)
		if (mailauth_message_feed(message, text.p + at,
		    text.len - at < step ? text.len - at : step, NULL) != 0)
			break;
	mailauth_message_end(message);
	while (dkim_verify(message, answers, 1700000000, &outcome->dkim) ==
	    MAILAUTH_WAIT)
		answer_all(answers);
	while (arc_verify(message, answers, 1700000000, &outcome->arc) ==
	    MAILAUTH_WAIT)
		answer_all(answers);
	answers_free(&answers);
	return message;
}

static void
sign(struct mailauth_message *message, const struct arc_result *chain)
{
	unsigned char digest[MAILAUTH_HASH_OCTETS];
	struct dkim_sign how = { .domain = STR("x.test"),
	    .selector = STR("s"), .now_s = 1 };
	struct arc_seal seal = { .domain = STR("x.test"),
	    .selector = STR("s"), .now_s = 1, .results = STR("x; none") };
	struct dkim_signing *signing;
	struct arc_sealing *sealing;
	struct buf out;

	buf_init(&out, 1U << 20);
	signing = dkim_sign_begin(message, &how, digest, NULL);
	if (signing != NULL)
		dkim_sign_end(signing, str_make(digest, sizeof(digest)),
		    &out);
	sealing = arc_seal_begin(message, chain, &seal, digest, NULL);
	if (sealing != NULL) {
		arc_seal_message(sealing, STR("signature"), digest);
		arc_seal_end(sealing, STR("signature"), &out);
	}
	invariant(!buf_failed(&out));
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mailauth_message *message, *again;
	struct outcome whole, pieces;
	size_t i;

	message = evaluate(str_make(data, size), size + 1, &whole);
	again = evaluate(str_make(data, size), 1, &pieces);
	invariant(whole.dkim.count == pieces.dkim.count);
	for (i = 0; i < whole.dkim.count; i++)
		invariant(whole.dkim.v[i].result == pieces.dkim.v[i].result &&
		    str_eq(whole.dkim.v[i].reason, pieces.dkim.v[i].reason));
	invariant(whole.arc.result == pieces.arc.result &&
	    whole.arc.instance == pieces.arc.instance);
	sign(message, &whole.arc);
	mailauth_message_free(&message);
	mailauth_message_free(&again);
	return 0;
}
