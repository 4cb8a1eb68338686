/* SPDX-License-Identifier: ISC */
/*
 * Lines: the first is the sender ("local domain helo"), each further one is
 * the next answer to whatever is asked: a TXT's text when TXT is asked, else
 * a name or address made of its octets. The last answer is given again and
 * again. The check ends, and within its limits.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "mailauth/spf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECORDS_MAX 12

static struct str
make_txt(struct arena *arena, struct str text)
{
	struct buf out;
	struct str rdata, piece;

	buf_init(&out, 1U << 20);
	do {
		piece = str_sub(text, 0, 255);
		text = str_sub(text, piece.len, STR_NPOS);
		buf_add_char(&out, (char)piece.len);
		buf_add_str(&out, piece);
	} while (text.len != 0);
	rdata = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return rdata;
}

/* "!" fails, "?" is nothing; else as many records as there are words. */
static void
make_answer(struct arena *arena, unsigned type, struct str line,
    struct answer *answer_r)
{
	struct str word, rdata;

	*answer_r = (struct answer){ .rdata = arena_alloc(arena,
	    RECORDS_MAX * sizeof(struct str)) };
	if (str_begins(line, STR("!")))
		answer_r->rcode = DNS_R_SERVFAIL;
	else if (str_begins(line, STR("?")))
		answer_r->rcode = DNS_R_NXDOMAIN;
	else if (type == DNS_T_TXT) {
		answer_r->rdata[answer_r->rdata_len++] =
		    make_txt(arena, line);
		return;
	}
	while (answer_r->rcode == DNS_R_NOERROR && line.p != NULL &&
	    answer_r->rdata_len < RECORDS_MAX) {
		word = str_cut(line, ' ', &line);
		rdata = type == DNS_T_MX ? arena_printf(arena, "ab%c%.*s%c",
		    (int)(word.len & 63), STR_FMT(word), 0) :
		    type == DNS_T_PTR ? arena_printf(arena, "%c%.*s%c",
		    (int)(word.len & 63), STR_FMT(word), 0) : word;
		answer_r->rdata[answer_r->rdata_len++] = rdata;
	}
}

static void
answer_all(struct answers *answers, struct str *rest, struct str *line)
{
	struct arena *arena = arena_new(0);
	struct answer answer;
	struct str name;
	unsigned type;

	while (answers_next_wanted(answers, &name, &type)) {
		if (rest->p != NULL)
			*line = str_cut(*rest, '\n', rest);
		make_answer(arena, type, *line, &answer);
		answers_put(answers, name, type, &answer);
	}
	arena_free(&arena);
}

static void
check_result(const struct spf_result *result)
{
	invariant(result->result < MAILAUTH_RESULT_COUNT);
	invariant(result->lookups <= SPF_LOOKUPS_MAX);
	invariant(result->voids <= SPF_VOIDS_MAX + 1);
	invariant(str_is_printable(result->explanation));
	invariant(result->explanation.len <= SPF_EXPLANATION_MAX);
	invariant(str_is_printable(result->problem));
	invariant(str_is_printable(result->mechanism));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), line = STR("?"), sender;
	struct answers *answers = answers_new();
	struct arena *arena = arena_new(0);
	struct spf_input input = { .ip = { .family = AF_INET },
		.wants_explanation = true };
	struct spf_result result;
	unsigned rounds = 0;

	sender = str_cut(rest, '\n', &rest);
	input.ip.family = size % 2 != 0 ? AF_INET : AF_INET6;
	input.local = str_cut(sender, ' ', &sender);
	if (sender.p != NULL)
		input.domain = str_cut(sender, ' ', &sender);
	input.helo = sender;
	while (spf_check_mailfrom(arena, &input, answers, &result) ==
	    MAILAUTH_WAIT) {
		answer_all(answers, &rest, &line);
		invariant(rounds++ < 100);
	}
	check_result(&result);
	arena_free(&arena);
	answers_free(&answers);
	return 0;
}
