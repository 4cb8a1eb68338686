/* SPDX-License-Identifier: ISC */
/*
 * spf_case: SPF for run-spf-suite, which plays the DNS. Lines of words; every
 * word but the first that may hold anything is in hexadecimal, "-" when
 * empty.
 *
 *     > check IP HELO LOCAL DOMAIN RECEIVER
 *     < ask TYPE NAME            (the name as text, RFC 1035 section 5.1)
 *     > answer RCODE RDATA...
 *     < result RESULT LOOKUPS VOIDS EXPLANATION MECHANISM PROBLEM
 */
#include "mailauth/spf.h"

#include "base/buf.h"

#define LINE_MAX_OCTETS (8U << 20)
#define WORDS_MAX (ANSWERS_RDATA_MAX + 8U)

struct line {
	char *text;
	size_t size;
	struct str words[WORDS_MAX];
	size_t count;
};

/* False at the end of input. */
static bool
read_line(struct line *line)
{
	ssize_t len = getline(&line->text, &line->size, stdin);
	struct str rest;

	if (len <= 0)
		return false;
	rest = str_trim(str_make(line->text, (size_t)len));
	for (line->count = 0; rest.p != NULL; line->count++) {
		if (line->count == WORDS_MAX)
			fatal("a line of over %u words", WORDS_MAX);
		line->words[line->count] = str_cut(rest, ' ', &rest);
	}
	return true;
}

static unsigned
digit(char c)
{
	size_t at = str_find(STR("0123456789abcdef"), ascii_lower(c));

	if (at == STR_NPOS)
		fatal("not hexadecimal");
	return (unsigned)at;
}

static struct str
unhex(struct arena *arena, struct str word)
{
	char *p = arena_alloc(arena, word.len / 2 + 1);
	size_t i;

	if (str_eq(word, STR("-")))
		return str_make(p, 0);
	if (word.len % 2 != 0)
		fatal("half an octet");
	for (i = 0; i < word.len / 2; i++)
		p[i] = (char)(digit(word.p[2 * i]) << 4 |
		    digit(word.p[2 * i + 1]));
	return str_make(p, word.len / 2);
}

static void
put_hex(struct str s)
{
	struct buf out;

	buf_init(&out, LINE_MAX_OCTETS);
	buf_add_hex(&out, s.p, s.len);
	(void)printf(" %.*s", STR_FMT(s.len == 0 ? STR("-") :
	    buf_str(&out)));
	buf_fini(&out);
}

static void
ask(struct arena *arena, struct answers *answers, struct line *line,
    struct str name, unsigned type)
{
	struct str rdata[WORDS_MAX];
	struct answer answer = { .rdata = rdata };
	uint64_t rcode;
	size_t i;

	(void)printf("ask %u", type);
	put_hex(name);
	(void)printf("\n");
	(void)fflush(stdout);
	if (!read_line(line) || line->count < 2 ||
	    !str_eq(line->words[0], STR("answer")) ||
	    str_to_u64(line->words[1], UINT16_MAX, &rcode) != 0)
		fatal("an answer was expected");
	answer.rcode = (unsigned)rcode;
	for (i = 2; i < line->count; i++)
		rdata[answer.rdata_len++] = unhex(arena, line->words[i]);
	answers_put(answers, name, type, &answer);
}

static void
get_input(struct arena *arena, const struct line *line,
    struct spf_input *input_r)
{
	if (line->count != 6 || !str_eq(line->words[0], STR("check")))
		fatal("check IP HELO LOCAL DOMAIN RECEIVER");
	if (netaddr_parse(unhex(arena, line->words[1]), &input_r->ip,
	    NULL) != 0)
		fatal("not an address");
	input_r->helo = unhex(arena, line->words[2]);
	input_r->local = unhex(arena, line->words[3]);
	input_r->domain = unhex(arena, line->words[4]);
	input_r->receiver = unhex(arena, line->words[5]);
	input_r->now_s = 1397836800;
	input_r->wants_explanation = true;
}

static void
run_case(struct line *line)
{
	struct answers *answers = answers_new();
	struct arena *arena = arena_new(0);
	struct spf_input input = { .now_s = 0 };
	struct spf_result result;
	struct str name;
	unsigned type;

	get_input(arena, line, &input);
	while (spf_check_mailfrom(arena, &input, answers, &result) ==
	    MAILAUTH_WAIT)
		while (answers_next_wanted(answers, &name, &type))
			ask(arena, answers, line, name, type);
	(void)printf("result %s %u %u", mailauth_result_name(result.result),
	    result.lookups, result.voids);
	put_hex(result.explanation);
	put_hex(result.mechanism);
	put_hex(result.problem);
	(void)printf("\n");
	(void)fflush(stdout);
	answers_free(&answers);
	arena_free(&arena);
}

int
main(void)
{
	struct line line = { .text = NULL };

	while (read_line(&line))
		run_case(&line);
	free(line.text);
	return 0;
}
