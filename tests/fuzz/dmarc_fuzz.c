/* SPDX-License-Identifier: ISC */
/*
 * The first line: From:'s domain, SPF's and a signature's, between blanks.
 * Each further line is the TXT that the next question gets, the last one all
 * that come after it.
 */
#include <stddef.h>
#include <stdint.h>

#include "mailauth/dmarc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
answer_all(struct answers *answers, struct str *rest, struct str *line)
{
	struct arena *arena = arena_new(0);
	struct answer answer;
	struct str name, rdata;
	unsigned type;

	while (answers_next_wanted(answers, &name, &type)) {
		if (rest->p != NULL)
			*line = str_sub(str_cut(*rest, '\n', rest), 0, 255);
		rdata = arena_printf(arena, "%c%.*s", (int)line->len,
		    STR_FMT(*line));
		answer = (struct answer){ .rdata = &rdata, .rdata_len = 1,
			.rcode = str_eq(*line, STR("!")) ? DNS_R_SERVFAIL :
			str_eq(*line, STR("?")) ? DNS_R_NXDOMAIN :
			DNS_R_NOERROR };
		answers_put(answers, name, type, &answer);
	}
	arena_free(&arena);
}

static void
check_record(struct str text)
{
	struct dmarc_record record;

	if (dmarc_record_parse(text, &record) != 0)
		return;
	invariant(record.pct <= 100);
	invariant(record.p.is_there || !record.p.is_valid);
	invariant(str_is_printable(record.rua));
	invariant(str_is_printable(record.ruf));
	invariant(str_is_printable(record.fo));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), line = STR("?"), first, from;
	struct answers *answers = answers_new();
	struct arena *arena = arena_new(0);
	struct dmarc_identity dkim = { .result = MAILAUTH_PASS };
	struct dmarc_input input = { .from = &from, .from_count = 1,
		.dkim = &dkim, .dkim_count = 1 };
	struct dmarc_result result;
	unsigned rounds = 0;

	check_record(rest);
	first = str_cut(rest, '\n', &rest);
	from = str_cut(first, ' ', &first);
	if (first.p != NULL)
		input.spf.domain = str_cut(first, ' ', &first);
	input.spf.result = MAILAUTH_PASS;
	dkim.domain = first;
	while (dmarc_check(arena, &input, answers, &result) == MAILAUTH_WAIT) {
		answer_all(answers, &rest, &line);
		invariant(rounds++ < 10);
	}
	invariant(result.result == MAILAUTH_FAIL ||
	    result.disposition == DMARC_P_NONE);
	invariant((result.result == MAILAUTH_PASS) ==
	    (result.is_spf_aligned || result.dkim_aligned == 0));
	invariant(str_is_printable(result.problem));
	arena_free(&arena);
	answers_free(&answers);
	return 0;
}
