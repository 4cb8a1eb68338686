/* SPDX-License-Identifier: ISC */
/* What scand tells of odd messages, its order, and what follows from it. */
#include "base/test.h"

#include "filterd/judge/checks.h"
#include "filterd/judge/suspicious.h"

static void
add(struct suspicion *suspicion, struct arena *arena, unsigned part,
    const char *name)
{
	assert_true(suspicion_add(suspicion, arena, part, str_of(name),
	    STR("a.pdf")));
}

static void
test_rows(void **state)
{
	struct suspicion suspicion = { .is_suspicious = true };
	struct arena *arena = arena_new(0);
	char many[ATTACK_DETAIL_MAX + 1];
	size_t i;

	(void)state;
	memset(many, 'x', sizeof(many));
	assert_false(suspicion_add(&suspicion, arena, 1, STR("no-such"),
	    STR("")));
	assert_false(suspicion_add(&suspicion, arena, 65536, STR("script"),
	    STR("")));
	assert_false(suspicion_add(&suspicion, arena, 1, STR("script"),
	    STR("two\nlines")));
	assert_false(suspicion_add(&suspicion, arena, 1, STR("script"),
	    str_make(many, sizeof(many))));
	assert_int_equal(suspicion.traits_len, 0);
	assert_false(suspicion.has_more);
	for (i = 0; i < SUSPICION_ROWS_MAX; i++)
		add(&suspicion, arena, (unsigned)i, "script");
	assert_false(suspicion.has_more);
	assert_false(suspicion_add(&suspicion, arena, 1, STR("script"),
	    STR("")));
	assert_true(suspicion.has_more);
	/* The worker says so. */
	suspicion = (struct suspicion){ .is_suspicious = true };
	assert_false(suspicion_add(&suspicion, arena, ATTACK_NO_PART, STR(""),
	    STR("")));
	assert_true(suspicion.has_more);
	assert_int_equal(suspicion.traits_len, 0);
	arena_free(&arena);
}

/* By weight, and no trait twice before each was there once. */
static void
test_order(void **state)
{
	static const struct {
		const char *name;
		unsigned part;
	} want[] = {
		{ "pdf-launch", 3 }, { "pdf-script", 2 }, { "pdf-file", 2 },
		{ "pdf-action", 1 }, { "pdf-script", 4 }, { "pdf-file", 3 },
		{ "pdf-file", 4 },
	};
	struct suspicion suspicion = { .is_suspicious = true };
	struct arena *arena = arena_new(0);
	size_t i;

	(void)state;
	suspicion_sort(&suspicion);
	add(&suspicion, arena, 1, "pdf-action");
	add(&suspicion, arena, 2, "pdf-file");
	add(&suspicion, arena, 2, "pdf-script");
	add(&suspicion, arena, 3, "pdf-file");
	add(&suspicion, arena, 4, "pdf-file");
	add(&suspicion, arena, 4, "pdf-script");
	add(&suspicion, arena, 3, "pdf-launch");
	suspicion_sort(&suspicion);
	assert_int_equal(suspicion.traits_len, COUNT_OF(want));
	for (i = 0; i < COUNT_OF(want); i++) {
		assert_string_equal(attack_trait_name(
		    suspicion.traits[i].trait), want[i].name);
		assert_int_equal(suspicion.traits[i].part, want[i].part);
	}
	arena_free(&arena);
}

static const struct {
	const char *name;
	const char *setting;
	const char *trait;
	unsigned part;
	uint64_t flags;
	enum verdict_action before;
	enum verdict_action after;
	bool is_marked;
} cases[] = {
	{ "mark", "mark", "script", 1, 0, VERDICT_DELIVER, VERDICT_DELIVER,
	    true },
	{ "junk", "junk", "script", 1, 0, VERDICT_DELIVER, VERDICT_JUNK,
	    true },
	{ "quarantine", "quarantine", "script", 1, 0, VERDICT_DELIVER,
	    VERDICT_QUARANTINE, true },
	{ "detonate a part", "detonate", "script", 1, 0, VERDICT_DELIVER,
	    VERDICT_DETONATE, true },
	{ "detonate a link", "detonate", "url-lookalike", ATTACK_NO_PART, 0,
	    VERDICT_DELIVER, VERDICT_DETONATE, true },
	{ "nothing to detonate", "detonate", "name-ours", ATTACK_NO_PART, 0,
	    VERDICT_DELIVER, VERDICT_DELIVER, true },
	{ "junk stays junk", "mark", "script", 1, 0, VERDICT_JUNK,
	    VERDICT_JUNK, true },
	{ "detonate before junk", "detonate", "script", 1, 0, VERDICT_JUNK,
	    VERDICT_DETONATE, true },
	{ "quarantine before detonate", "detonate", "script", 1, 0,
	    VERDICT_QUARANTINE, VERDICT_QUARANTINE, true },
	{ "quarantine before junk", "junk", "script", 1, 0,
	    VERDICT_QUARANTINE, VERDICT_QUARANTINE, true },
	{ "refused is refused", "quarantine", "script", 1, 0, VERDICT_REFUSE,
	    VERDICT_REFUSE, true },
	{ "a login's is not held", "quarantine", "script", 1,
	    FILTER_F_AUTHENTICATED, VERDICT_DELIVER, VERDICT_DELIVER, false },
};

static void
test_judge(void **state)
{
	struct arena *arena = arena_new(0);
	struct envelope envelope = { .protocol = STR("smtp") };
	struct suspicion suspicion;
	struct verdict verdict;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		suspicion = (struct suspicion){ .is_suspicious = true };
		add(&suspicion, arena, cases[i].part, cases[i].trait);
		verdict = (struct verdict){ .action = cases[i].before };
		envelope.flags = cases[i].flags;
		suspicion_judge(&suspicion,
		    suspicion_action(str_of(cases[i].setting)), &envelope,
		    &verdict);
		if (verdict.action != cases[i].after ||
		    verdict.is_suspicious != cases[i].is_marked ||
		    verdict.traits_len != cases[i].is_marked)
			fail_msg("%s: %u", cases[i].name, verdict.action);
		assert_int_equal(verdict.when_clean, cases[i].after ==
		    VERDICT_DETONATE ? cases[i].before : VERDICT_DELIVER);
		assert_int_equal(str_eq(verdict.reason, STR("suspicious")),
		    cases[i].before != cases[i].after);
	}
	arena_free(&arena);
}

/* Infected parts will be taken out first: the rest decides. */
static void
test_to_be_replaced(void **state)
{
	struct arena *arena = arena_new(0);
	struct envelope envelope = { .protocol = STR("smtp") };
	struct suspicion suspicion = { .is_suspicious = true };
	struct verdict_part part = { .number = 1 };
	struct verdict verdict = { .action = VERDICT_DELIVER,
	    .parts = &part, .parts_len = 1 };

	(void)state;
	add(&suspicion, arena, 1, "script");
	suspicion_judge(&suspicion, VERDICT_QUARANTINE, &envelope, &verdict);
	assert_int_equal(verdict.action, VERDICT_DELIVER);
	assert_true(verdict.is_suspicious);
	arena_free(&arena);
}

/* Odd, but not enough: the verdict says what, and nothing follows. */
static void
test_not_enough(void **state)
{
	struct arena *arena = arena_new(0);
	struct envelope envelope = { .protocol = STR("smtp") };
	struct suspicion suspicion = { .is_suspicious = false };
	struct verdict verdict = { .action = VERDICT_DELIVER };

	(void)state;
	add(&suspicion, arena, 1, "pdf-action");
	suspicion_judge(&suspicion, VERDICT_QUARANTINE, &envelope, &verdict);
	assert_int_equal(verdict.action, VERDICT_DELIVER);
	assert_false(verdict.is_suspicious);
	assert_int_equal(verdict.traits_len, 1);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_to_be_replaced),
		cmocka_unit_test(test_not_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
