/* SPDX-License-Identifier: ISC */
/* Verdicts there and back, what is refused, the fields they become. */
#include "base/test.h"

#include "filter/verdict.h"

#define TEXT(literal) { "" literal, sizeof(literal) - 1 }

static struct verdict_auth auth[] = {
	{ .method = VERDICT_M_SPF_MAILFROM, .result = MAILAUTH_SOFTFAIL,
	    .identity = TEXT("a.test") },
	{ .method = VERDICT_M_DKIM, .result = MAILAUTH_PASS,
	    .identity = TEXT("a.test"), .selector = TEXT("sel"),
	    .signature = TEXT("abcdEFGH") },
	{ .method = VERDICT_M_DMARC, .result = MAILAUTH_FAIL,
	    .identity = TEXT("b.test"), .reason = TEXT("p=\"reject\"") },
};

static struct verdict_trait odd[] = {
	{ .trait = ATTACK_PDF_LAUNCH, .part = 2, .detail = TEXT("a.pdf") },
	{ .trait = ATTACK_PDF_SCRIPT, .part = 2, .detail = TEXT("") },
	{ .trait = ATTACK_PDF_SCRIPT, .part = 3, .detail = TEXT("b") },
	{ .trait = ATTACK_NAME_OURS, .part = ATTACK_NO_PART,
	    .detail = TEXT("\xe9\xa3\x9b") },
};

static struct verdict_engine engines[] = {
	{ .result = DETONATION_CLEAN, .score = 4, .engine = TEXT("cape"),
	    .kind = TEXT("virtual"), .name = TEXT("") },
	{ .result = DETONATION_MALICIOUS, .score = 100,
	    .engine = TEXT("bare"), .kind = TEXT("physical"),
	    .name = TEXT("A\"b\"\xc3\xa4") },
};

static struct verdict_part parts[] = {
	{ .number = 2, .name = TEXT("Eicar-Test") },
	{ .number = 65535, .name = TEXT("") },
};

static const struct verdict refused = {
	.action = VERDICT_REFUSE, .code = 550, .enhanced = TEXT("5.7.1"),
	.text = TEXT("not from b.test"), .reason = TEXT("dmarc"),
	.auth = auth, .auth_len = 3, .is_judged = true,
	.is_scanned = true, .virus = SCAN_CLEAN, .virus_name = TEXT(""),
	.is_suspicious = true, .traits = odd, .traits_len = 4,
	.when_clean = VERDICT_JUNK,
	.is_detonated = true, .detonation = DETONATION_MALICIOUS,
	.engines = engines, .engines_len = 2,
	.parts = parts, .parts_len = 2,
};

static void
assert_same(const struct verdict *a, const struct verdict *b)
{
	size_t i;

	assert_int_equal(a->action, b->action);
	assert_int_equal(a->code, b->code);
	assert_int_equal(a->is_judged, b->is_judged);
	assert_int_equal(a->is_scanned, b->is_scanned);
	assert_int_equal(a->virus, b->virus);
	assert_true(str_eq(a->virus_name, b->virus_name));
	assert_true(str_eq(a->enhanced, b->enhanced));
	assert_true(str_eq(a->text, b->text));
	assert_true(str_eq(a->reason, b->reason));
	assert_int_equal(a->is_suspicious, b->is_suspicious);
	assert_int_equal(a->traits_len, b->traits_len);
	assert_int_equal(a->has_more_traits, b->has_more_traits);
	for (i = 0; i < a->traits_len; i++) {
		assert_int_equal(a->traits[i].trait, b->traits[i].trait);
		assert_int_equal(a->traits[i].part, b->traits[i].part);
		assert_true(str_eq(a->traits[i].detail,
		    b->traits[i].detail));
	}
	assert_int_equal(a->when_clean, b->when_clean);
	assert_int_equal(a->is_detonated, b->is_detonated);
	assert_int_equal(a->detonation, b->detonation);
	assert_int_equal(a->engines_len, b->engines_len);
	for (i = 0; i < a->engines_len; i++) {
		assert_int_equal(a->engines[i].result, b->engines[i].result);
		assert_int_equal(a->engines[i].score, b->engines[i].score);
		assert_true(str_eq(a->engines[i].engine,
		    b->engines[i].engine));
		assert_true(str_eq(a->engines[i].kind, b->engines[i].kind));
		assert_true(str_eq(a->engines[i].name, b->engines[i].name));
	}
	assert_int_equal(a->parts_len, b->parts_len);
	for (i = 0; i < a->parts_len; i++) {
		assert_int_equal(a->parts[i].number, b->parts[i].number);
		assert_true(str_eq(a->parts[i].name, b->parts[i].name));
	}
	assert_int_equal(a->auth_len, b->auth_len);
	for (i = 0; i < a->auth_len; i++) {
		assert_int_equal(a->auth[i].method, b->auth[i].method);
		assert_int_equal(a->auth[i].result, b->auth[i].result);
		assert_true(str_eq(a->auth[i].identity, b->auth[i].identity));
		assert_true(str_eq(a->auth[i].selector, b->auth[i].selector));
		assert_true(str_eq(a->auth[i].signature,
		    b->auth[i].signature));
		assert_true(str_eq(a->auth[i].reason, b->auth[i].reason));
	}
}

static void
test_there_and_back(void **state)
{
	static const struct verdict empty = { .action = VERDICT_DELIVER };
	struct arena *arena = arena_new(0);
	struct verdict got;
	struct buf out;

	(void)state;
	buf_init(&out, VERDICT_OCTETS_MAX * 2);
	buf_add_cstr(&out, "before");
	verdict_encode(&refused, &out);
	assert_int_equal(verdict_decode(str_sub(buf_str(&out), 6, out.len),
	    arena, &got, NULL), 0);
	assert_same(&refused, &got);
	buf_reset(&out);
	verdict_encode(&empty, &out);
	assert_int_equal(verdict_decode(buf_str(&out), arena, &got, NULL), 0);
	assert_same(&empty, &got);
	buf_fini(&out);
	arena_free(&arena);
}

/* Cut anywhere it is refused, or says less but keeps its action. */
static void
test_cut(void **state)
{
	struct arena *arena = arena_new(0);
	struct verdict got;
	struct buf out;
	size_t len;

	(void)state;
	buf_init(&out, VERDICT_OCTETS_MAX);
	verdict_encode(&refused, &out);
	for (len = 0; len < out.len; len++)
		if (verdict_decode(str_sub(buf_str(&out), 0, len), arena,
		    &got, NULL) == 0)
			assert_int_equal(got.action, VERDICT_REFUSE);
	buf_fini(&out);
	arena_free(&arena);
}

static const struct {
	const char *name;
	struct str in;
	int want;
} cases[] = {
	{ "deliver", TEXT("\1\1\0\5\0\0\0\0\0"), 0 },
	{ "refuse", TEXT("\1\1\0\13\5\2\46\0055.7.1\1x"), 0 },
	{ "an unknown section is passed over",
	    TEXT("\1\143\0\2xx\1\0\5\0\0\0\0\0"), 0 },
	{ "more behind a known section", TEXT("\1\1\0\7\0\0\0\0\0xx"), 0 },
	{ "an unknown method is passed over",
	    TEXT("\1\1\0\5\0\0\0\0\0\3\0\2\377\0"), 0 },
	{ "an unknown trait is passed over",
	    TEXT("\1\1\0\5\6\0\0\0\0\6\0\6\1\1x\0\0\0"), 0 },
	{ "a trait that is cut",
	    TEXT("\1\1\0\5\6\0\0\0\0\6\0\5\1\1x\0\0"), ERR_SYNTAX },
	{ "a part", TEXT("\1\1\0\5\0\0\0\0\0\7\0\4\0\1\1x"), 0 },
	{ "a part that is cut", TEXT("\1\1\0\5\0\0\0\0\0\7\0\3\0\1\1"),
	    ERR_SYNTAX },
	{ "half a number", TEXT("\1\1\0\5\0\0\0\0\0\7\0\1\0"), ERR_SYNTAX },
	{ "parts twice",
	    TEXT("\1\1\0\5\0\0\0\0\0\7\0\3\0\1\0\7\0\3\0\1\0"),
	    ERR_SYNTAX },
	{ "17 parts", TEXT("\1\1\0\5\0\0\0\0\0\7\0\63"
	    "\0\1\0\0\1\0\0\1\0\0\1\0\0\1\0\0\1\0"
	    "\0\1\0\0\1\0\0\1\0\0\1\0\0\1\0\0\1\0"
	    "\0\1\0\0\1\0\0\1\0\0\1\0\0\1\0"), ERR_SYNTAX },
	{ "nothing", TEXT(""), ERR_SYNTAX },
	{ "no action", TEXT("\1"), ERR_SYNTAX },
	{ "another version", TEXT("\2\1\0\5\0\0\0\0\0"), ERR_SYNTAX },
	{ "an unknown action", TEXT("\1\1\0\5\177\0\0\0\0"), ERR_SYNTAX },
	{ "two actions", TEXT("\1\1\0\5\0\0\0\0\0\1\0\5\1\0\0\0\0"),
	    ERR_SYNTAX },
	{ "deliver with a code", TEXT("\1\1\0\5\0\2\46\0\0"), ERR_SYNTAX },
	{ "refuse with 250", TEXT("\1\1\0\13\5\0\372\0055.7.1\1x"),
	    ERR_SYNTAX },
	{ "refuse with 4.7.1", TEXT("\1\1\0\13\5\2\46\0054.7.1\1x"),
	    ERR_SYNTAX },
	{ "refuse without a text", TEXT("\1\1\0\12\5\2\46\0055.7.1\0"),
	    ERR_SYNTAX },
	{ "a line end in the text", TEXT("\1\1\0\13\5\2\46\0055.7.1\1\n"),
	    ERR_SYNTAX },
	{ "a text longer than its section",
	    TEXT("\1\1\0\5\0\0\0\0\1\2\0\2\1x"), ERR_SYNTAX },
	{ "a section longer than the rest", TEXT("\1\1\0\6\0\0\0\0\0"),
	    ERR_SYNTAX },
	{ "five engines", TEXT("\1\1\0\5\0\0\0\0\0\10\0\33\0\5"
	    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
	    ERR_SYNTAX },
	{ "an engine that is cut",
	    TEXT("\1\1\0\5\0\0\0\0\0\10\0\4\0\1\0\0"), ERR_SYNTAX },
	{ "over the top of the score",
	    TEXT("\1\1\0\5\0\0\0\0\0\10\0\7\0\1\0\145\0\0\0"),
	    ERR_SYNTAX },
	{ "a detonation of a newer writer",
	    TEXT("\1\1\0\5\0\0\0\0\0\10\0\11\77\1\77\144\0\0\0xx"), 0 },
	{ "a code that is cut", TEXT("\1\1\0\13\5\2\46\0055..71\1x"),
	    ERR_SYNTAX },
};

static void
test_decode(void **state)
{
	struct arena *arena = arena_new(0);
	struct verdict got;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++)
		if (verdict_decode(cases[i].in, arena, &got, NULL) !=
		    cases[i].want)
			fail_msg("%s", cases[i].name);
	arena_free(&arena);
}

/* Without a section the recipient decides; a holder that a newer writer knows
 * is the administrator. */
static void
test_holder(void **state)
{
	static const struct {
		struct str in;
		enum verdict_holder want;
	} holders[] = {
		{ TEXT("\1\1\0\5\2\0\0\0\0"), VERDICT_H_RECIPIENT },
		{ TEXT("\1\1\0\5\2\0\0\0\0\11\0\1\0"),
		    VERDICT_H_RECIPIENT },
		{ TEXT("\1\1\0\5\2\0\0\0\0\11\0\1\1"), VERDICT_H_ADMIN },
		{ TEXT("\1\1\0\5\2\0\0\0\0\11\0\1\7"), VERDICT_H_ADMIN },
	};
	struct verdict verdict = { .action = VERDICT_QUARANTINE,
	    .holder = VERDICT_H_ADMIN }, got;
	struct arena *arena = arena_new(0);
	struct buf out;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(holders); i++) {
		assert_int_equal(verdict_decode(holders[i].in, arena, &got,
		    NULL), 0);
		assert_int_equal(got.holder, holders[i].want);
	}
	buf_init(&out, VERDICT_OCTETS_MAX);
	verdict_encode(&verdict, &out);
	assert_int_equal(verdict_decode(buf_str(&out), arena, &got, NULL), 0);
	assert_int_equal(got.holder, VERDICT_H_ADMIN);
	buf_fini(&out);
	arena_free(&arena);
}

/* Too much to fit: the action and what comes first stay. */
static void
test_full(void **state)
{
	struct verdict_auth many[VERDICT_AUTH_MAX + 5];
	struct verdict verdict = refused, got;
	struct arena *arena = arena_new(0);
	char name[300];
	struct buf out;
	size_t i;

	(void)state;
	memset(name, 'n', sizeof(name));
	for (i = 0; i < COUNT_OF(many); i++)
		many[i] = (struct verdict_auth){ .method = VERDICT_M_DKIM,
		    .result = MAILAUTH_FAIL,
		    .identity = str_make(name, sizeof(name)),
		    .selector = STR("s\r\ns"),
		    .reason = str_make(name, i < 3 ? 300 : 0) };
	verdict.auth = many;
	verdict.auth_len = COUNT_OF(many);
	buf_init(&out, 1 << 16);
	verdict_encode(&verdict, &out);
	assert_true(out.len <= VERDICT_OCTETS_MAX);
	assert_int_equal(verdict_decode(buf_str(&out), arena, &got, NULL), 0);
	assert_int_equal(got.action, VERDICT_REFUSE);
	assert_true(got.auth_len >= 10 && got.auth_len < VERDICT_AUTH_MAX);
	assert_int_equal(got.auth[0].identity.len, VERDICT_IDENTITY_MAX);
	assert_int_equal(got.auth[0].reason.len, VERDICT_TEXT_MAX);
	assert_true(str_eq(got.auth[0].selector, STR("s  s")));
	buf_fini(&out);
	arena_free(&arena);
}

/* All at its longest: what is left out are traits, and it can be read. */
static void
test_longest(void **state)
{
	struct verdict_trait many[VERDICT_TRAITS_MAX];
	struct verdict_engine seen[VERDICT_ENGINES_MAX];
	struct verdict_part bad[VERDICT_PARTS_MAX];
	struct arena *arena = arena_new(0);
	static char text[300];
	struct str longest = { text, sizeof(text) };
	struct verdict verdict = refused, got;
	struct buf out;
	size_t i;

	(void)state;
	memset(text, 'n', sizeof(text));
	for (i = 0; i < COUNT_OF(many); i++)
		many[i] = (struct verdict_trait){ .trait =
		    (enum attack_trait)i, .part = 1, .detail = longest };
	for (i = 0; i < COUNT_OF(seen); i++)
		seen[i] = (struct verdict_engine){ .engine = longest,
		    .kind = longest, .name = longest };
	for (i = 0; i < COUNT_OF(bad); i++)
		bad[i] = (struct verdict_part){ .name = longest };
	verdict.enhanced = STR("5.100.100");
	verdict.text = verdict.reason = verdict.virus_name = longest;
	verdict.holder = VERDICT_H_ADMIN;
	verdict.traits = many;
	verdict.traits_len = COUNT_OF(many);
	verdict.engines = seen;
	verdict.engines_len = COUNT_OF(seen);
	verdict.parts = bad;
	verdict.parts_len = COUNT_OF(bad);
	buf_init(&out, VERDICT_OCTETS_MAX);
	verdict_encode(&verdict, &out);
	assert_false(buf_failed(&out));
	assert_true(out.len <= VERDICT_OCTETS_MAX);
	assert_int_equal(verdict_decode(buf_str(&out), arena, &got, NULL), 0);
	assert_int_equal(got.engines_len, VERDICT_ENGINES_MAX);
	assert_int_equal(got.engines[3].name.len, VERDICT_TEXT_MAX);
	assert_int_equal(got.parts_len, VERDICT_PARTS_MAX);
	assert_in_range(got.traits_len, 1, 5);
	assert_true(got.has_more_traits);
	buf_fini(&out);
	arena_free(&arena);
}

/* One line, ended by NUL. */
static void
unfold(struct buf *out)
{
	struct buf line;
	size_t i;

	buf_init(&line, 4096);
	for (i = 0; i < out->len; i++) {
		char c = out->p[out->start + i];

		if (c == '\t')
			c = ' ';
		if (c != '\r' && c != '\n' && (c != ' ' || line.len == 0 ||
		    line.p[line.len - 1] != ' '))
			buf_add_char(&line, c);
	}
	buf_add_char(&line, '\0');
	buf_reset(out);
	buf_add(out, line.p, line.len);
	buf_fini(&line);
}

static void
test_fields(void **state)
{
	struct verdict verdict = refused;
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	verdict.is_suspicious = false;
	verdict_put_fields(&verdict, STR("mx.test"), &out);
	unfold(&out);
	assert_string_equal(out.p, "Authentication-Results: mx.test; "
	    "spf=softfail smtp.mailfrom=a.test; "
	    "dkim=pass header.d=a.test header.s=sel header.b=abcdEFGH; "
	    "dmarc=fail reason=\"p=\\\"reject\\\"\" header.from=b.test");
	buf_reset(&out);
	verdict.auth_len = 0;
	verdict_put_fields(&verdict, STR("mx.test"), &out);
	unfold(&out);
	assert_string_equal(out.p, "Authentication-Results: mx.test; none");
	buf_reset(&out);
	verdict.is_judged = false;
	verdict_put_fields(&verdict, STR("mx.test"), &out);
	assert_int_equal(out.len, 0);
	/* What is clean says nothing; what nobody opened is not clean. */
	verdict.virus = SCAN_ENCRYPTED;
	verdict.virus_name = STR("Zip\r\nX: y");
	verdict_put_fields(&verdict, STR("mx.test"), &out);
	unfold(&out);
	assert_string_equal(out.p, "X-Hikyaku-Scan: encrypted; Zip X: y; removed");
	buf_fini(&out);
}

/* More than fits: the weightiest, which come first, are kept. */
static void
test_traits(void **state)
{
	struct verdict_trait many[VERDICT_TRAITS_MAX + 10];
	struct verdict verdict = { .is_suspicious = true, .traits = many,
	    .traits_len = COUNT_OF(many) }, got;
	struct arena *arena = arena_new(0);
	char name[300];
	struct buf out;
	size_t i;

	(void)state;
	memset(name, 'n', sizeof(name));
	for (i = 0; i < COUNT_OF(many); i++)
		many[i] = (struct verdict_trait){ .trait =
		    (enum attack_trait)i, .part = ATTACK_NO_PART,
		    .detail = str_make(name, sizeof(name)) };
	buf_init(&out, 1 << 16);
	verdict_encode(&verdict, &out);
	assert_true(out.len <= VERDICT_TRAITS_OCTETS_MAX + 16);
	assert_int_equal(verdict_decode(buf_str(&out), arena, &got, NULL), 0);
	assert_in_range(got.traits_len, 5, VERDICT_TRAITS_MAX - 1);
	assert_true(got.is_suspicious && got.has_more_traits);
	assert_int_equal(got.traits[0].trait, many[0].trait);
	assert_int_equal(got.traits[0].detail.len, ATTACK_DETAIL_MAX);
	/* Without details all that the verdict holds are there. */
	for (i = 0; i < COUNT_OF(many); i++)
		many[i].detail = STR("");
	buf_reset(&out);
	verdict_encode(&verdict, &out);
	assert_int_equal(verdict_decode(buf_str(&out), arena, &got, NULL), 0);
	assert_int_equal(got.traits_len, VERDICT_TRAITS_MAX);
	assert_true(got.has_more_traits);
	/* As many as there may be, and no more; whoever cut them says so. */
	verdict.traits_len = VERDICT_TRAITS_MAX;
	buf_reset(&out);
	verdict_encode(&verdict, &out);
	assert_int_equal(verdict_decode(buf_str(&out), arena, &got, NULL), 0);
	assert_false(got.has_more_traits);
	verdict = (struct verdict){ .has_more_traits = true };
	buf_reset(&out);
	verdict_encode(&verdict, &out);
	assert_int_equal(verdict_decode(buf_str(&out), arena, &got, NULL), 0);
	assert_same(&verdict, &got);
	assert_true(verdict_can_be_opened(&got));
	buf_fini(&out);
	arena_free(&arena);
}

static void
test_suspicious(void **state)
{
	struct verdict verdict = refused;
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	verdict.is_judged = false;
	verdict_put_fields(&verdict, STR("mx.test"), &out);
	unfold(&out);
	assert_string_equal(out.p, "X-Hikyaku-Suspicious: pdf-launch, "
	    "pdf-script, name-ours");
	buf_reset(&out);
	verdict.traits_len = 0;
	verdict_put_fields(&verdict, STR("mx.test"), &out);
	unfold(&out);
	assert_string_equal(out.p, "X-Hikyaku-Suspicious: yes");
	buf_reset(&out);
	/* Odd, but not enough. */
	verdict.traits_len = 4;
	verdict.is_suspicious = false;
	verdict_put_fields(&verdict, STR("mx.test"), &out);
	assert_int_equal(out.len, 0);
	assert_true(verdict_can_be_opened(&verdict));
	verdict.traits = &odd[3];
	verdict.traits_len = 1;
	assert_false(verdict_can_be_opened(&verdict));
	verdict.traits = (struct verdict_trait []){ {
	    .trait = ATTACK_URL_LOOKALIKE, .part = ATTACK_NO_PART } };
	assert_true(verdict_can_be_opened(&verdict));
	buf_fini(&out);
}

static void
test_detonation(void **state)
{
	struct verdict verdict = refused;
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	verdict_put_detonation(&verdict, &out);
	unfold(&out);
	assert_string_equal(out.p, "X-Hikyaku-Detonation: malicious; "
	    "engine=cape; kind=virtual; result=clean; score=0.4; "
	    "engine=bare; kind=physical; result=malicious; score=10.0; "
	    "name=\"A?b???\"");
	buf_reset(&out);
	verdict.engines_len = 0;
	verdict.detonation = DETONATION_LATE;
	verdict_put_detonation(&verdict, &out);
	assert_true(str_eq(buf_str(&out),
	    STR("X-Hikyaku-Detonation: late\r\n")));
	buf_reset(&out);
	verdict.is_detonated = false;
	verdict_put_detonation(&verdict, &out);
	assert_int_equal(out.len, 0);
	buf_fini(&out);
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(verdict_action_name(VERDICT_QUARANTINE),
	    "quarantine");
	assert_string_equal(verdict_method_name(VERDICT_M_SPF_HELO), "spf");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_holder),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_traits),
		cmocka_unit_test(test_suspicious),
		cmocka_unit_test(test_detonation),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
