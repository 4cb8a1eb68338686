/* SPDX-License-Identifier: ISC */
/* Every setting, in and out, with every result of the scanner. */
#include "base/test.h"

#include "filterd/judge/checks.h"
#include "filterd/judge/virus.h"
#include "ipc/values.h"

/* In the order of the settings below. */
enum { S_REPLACE, S_DELIVER, S_QUARANTINE, S_REFUSE };
static const char *const settings[] = { "replace", "deliver", "quarantine",
	"refuse" };

/* REPLACE: the verdict keeps its action and names the parts. */
#define REPLACE VERDICT_ACTIONS

/* How it came. */
enum { IN, IN_WHOLE, OUT };
static const uint64_t flags[] = { 0, FILTER_F_WHOLE, FILTER_F_AUTHENTICATED };

struct setting {
	unsigned attachment, body, encrypted, unscannable;
};

/* What is wanted of a result, with this one of the settings and this way in. */
static enum verdict_action
wanted(const struct setting *setting, unsigned way, enum scan_result result,
    bool has_parts)
{
	static const enum verdict_action of[] = {
		[S_REPLACE] = REPLACE, [S_DELIVER] = VERDICT_DELIVER,
		[S_QUARANTINE] = VERDICT_QUARANTINE,
		[S_REFUSE] = VERDICT_REFUSE,
	};

	if (result == SCAN_CLEAN)
		return VERDICT_DELIVER;
	if (result == SCAN_ENCRYPTED)
		return of[setting->encrypted];
	if (result == SCAN_LIMIT)
		return of[setting->unscannable];
	if (way == OUT)
		return VERDICT_REFUSE;
	if (result == SCAN_CRASHED)
		return VERDICT_QUARANTINE;
	/* With nothing to take out, or taken out before, it is the body. */
	if (!has_parts || (setting->attachment == S_REPLACE &&
	    way == IN_WHOLE))
		return of[setting->body];
	return of[setting->attachment];
}

static struct verdict
judged(const struct setting *setting, unsigned way, enum scan_result result,
    bool has_parts, enum verdict_action before, struct arena *arena)
{
	static struct verdict_part part = { .number = 2,
	    .name = { .p = "Name.Of-It", .len = 10 } };
	const struct virus_config config = {
		.attachment = str_of(settings[setting->attachment]),
		.body = str_of(settings[setting->body]),
		.encrypted = str_of(settings[setting->encrypted]),
		.unscannable = str_of(settings[setting->unscannable]),
	};
	struct envelope envelope = { .flags = flags[way] };
	struct verdict verdict = { .action = before, .virus = result,
	    .is_scanned = true,
	    .virus_name = result != SCAN_CLEAN ? part.name : STR(""),
	    .parts = &part, .parts_len = has_parts };
	struct virus_policy policy;

	virus_policy_read(&policy, &config);
	virus_judge(&policy, &envelope, arena, &verdict);
	return verdict;
}

static void
expect(const struct setting *setting, unsigned way, enum scan_result result,
    bool has_parts)
{
	enum verdict_action want = wanted(setting, way, result, has_parts);
	bool is_replaced = want == REPLACE, is_admins;
	struct arena *arena = arena_new(0);
	struct verdict verdict = judged(setting, way, result, has_parts,
	    VERDICT_DELIVER, arena);

	if (is_replaced)
		want = VERDICT_DELIVER;
	if (verdict.action != want)
		fail_msg("attachment %s, body %s, encrypted %s, "
		    "unscannable %s, way %u, %s%s: %s",
		    settings[setting->attachment], settings[setting->body],
		    settings[setting->encrypted],
		    settings[setting->unscannable], way,
		    verdict_scan_name(result), has_parts ? " part" : "",
		    verdict_action_name(verdict.action));
	assert_int_equal(verdict.parts_len, is_replaced ? 1 : 0);
	is_admins = want != VERDICT_DELIVER && (result == SCAN_INFECTED ||
	    result == SCAN_CRASHED);
	assert_int_equal(verdict.holder, is_admins ? VERDICT_H_ADMIN :
	    VERDICT_H_RECIPIENT);
	assert_int_equal(verdict.code, want == VERDICT_REFUSE ? 554 : 0);
	assert_true(str_eq(verdict.enhanced, want == VERDICT_REFUSE ?
	    STR("5.7.1") : STR("")));
	assert_int_equal(verdict.text.len != 0, want == VERDICT_REFUSE);
	assert_int_equal(verdict.reason.len != 0, want != VERDICT_DELIVER);
	if (want != VERDICT_DELIVER)
		assert_true(str_ends_nocase(verdict.reason,
		    STR(": Name.Of-It")));
	if (want == VERDICT_REFUSE)
		assert_true(str_ends_nocase(verdict.text,
		    STR(" (Name.Of-It)")));
	arena_free(&arena);
}

static struct verdict
weighed(unsigned encrypted, unsigned unscannable, enum scan_result result,
    struct str locked, struct str closed)
{
	const struct virus_config config = {
		.encrypted = str_of(settings[encrypted]),
		.unscannable = str_of(settings[unscannable]),
	};
	struct verdict verdict = { .virus = result,
	    .virus_name = STR("Limits.Octets") };
	struct virus_policy policy;

	virus_policy_read(&policy, &config);
	virus_weigh(&policy, locked, closed, &verdict);
	return verdict;
}

/* What cannot be looked at is no way around what has a password, nor the
 * other way. */
static void
test_password_beside_a_limit(void **state)
{
	struct str locked = STR("Heuristics.Encrypted.Zip");
	struct str closed = STR("Unopened.rar"), none = STR("");
	static const struct {
		unsigned encrypted, unscannable;
		enum scan_result result, wanted;
	} cases[] = {
		{ S_REFUSE, S_DELIVER, SCAN_LIMIT, SCAN_ENCRYPTED },
		{ S_REFUSE, S_QUARANTINE, SCAN_LIMIT, SCAN_ENCRYPTED },
		{ S_QUARANTINE, S_QUARANTINE, SCAN_LIMIT, SCAN_LIMIT },
		{ S_DELIVER, S_REFUSE, SCAN_LIMIT, SCAN_LIMIT },
		{ S_DELIVER, S_REFUSE, SCAN_ENCRYPTED, SCAN_LIMIT },
		{ S_REFUSE, S_REFUSE, SCAN_ENCRYPTED, SCAN_ENCRYPTED },
		{ S_REFUSE, S_DELIVER, SCAN_ENCRYPTED, SCAN_ENCRYPTED },
		{ S_REFUSE, S_DELIVER, SCAN_INFECTED, SCAN_INFECTED },
		{ S_DELIVER, S_REFUSE, SCAN_CRASHED, SCAN_CRASHED },
	};
	struct verdict verdict;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		verdict = weighed(cases[i].encrypted, cases[i].unscannable,
		    cases[i].result, locked, closed);
		assert_int_equal(verdict.virus, cases[i].wanted);
		if (cases[i].wanted != cases[i].result)
			assert_true(str_eq(verdict.virus_name,
			    cases[i].wanted == SCAN_LIMIT ? closed : locked));
		/* Nothing else was found. */
		verdict = weighed(cases[i].encrypted, cases[i].unscannable,
		    cases[i].result, none, none);
		assert_int_equal(verdict.virus, cases[i].result);
	}
}

static void
expect_of(const struct setting *setting)
{
	unsigned way, result;

	for (way = IN; way <= OUT; way++)
		for (result = 0; result < SCAN_RESULTS; result++) {
			expect(setting, way, result, false);
			if (result == SCAN_INFECTED)
				expect(setting, way, result, true);
		}
}

static void
test_every_setting(void **state)
{
	static const unsigned attachments[] = { S_REPLACE, S_QUARANTINE,
	    S_REFUSE };
	struct setting s;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(attachments); i++)
		for (s.body = S_QUARANTINE; s.body <= S_REFUSE; s.body++)
			for (s.encrypted = S_DELIVER; s.encrypted <= S_REFUSE;
			    s.encrypted++)
				for (s.unscannable = S_DELIVER;
				    s.unscannable <= S_REFUSE;
				    s.unscannable++) {
					s.attachment = attachments[i];
					expect_of(&s);
				}
}

/* The weightier of two actions stands; of two refusals ours. */
static const struct {
	enum verdict_action before;
	enum scan_result result;
	unsigned encrypted;
	enum verdict_action want;
	bool is_ours;
} befores[] = {
	{ VERDICT_JUNK, SCAN_ENCRYPTED, S_QUARANTINE, VERDICT_QUARANTINE,
	    true },
	{ VERDICT_JUNK, SCAN_ENCRYPTED, S_DELIVER, VERDICT_JUNK, false },
	{ VERDICT_REFUSE, SCAN_ENCRYPTED, S_QUARANTINE, VERDICT_REFUSE,
	    false },
	{ VERDICT_REFUSE, SCAN_CRASHED, S_DELIVER, VERDICT_REFUSE, false },
	{ VERDICT_REFUSE, SCAN_INFECTED, S_DELIVER, VERDICT_REFUSE, true },
	{ VERDICT_TEMPFAIL, SCAN_INFECTED, S_DELIVER, VERDICT_REFUSE, true },
	{ VERDICT_REFUSE, SCAN_CLEAN, S_REFUSE, VERDICT_REFUSE, false },
};

static void
test_weights(void **state)
{
	struct setting setting = { .attachment = S_REFUSE, .body = S_REFUSE,
	    .unscannable = S_DELIVER };
	struct arena *arena = arena_new(0);
	struct verdict verdict;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(befores); i++) {
		setting.encrypted = befores[i].encrypted;
		verdict = judged(&setting, IN, befores[i].result, false,
		    befores[i].before, arena);
		if (verdict.action != befores[i].want ||
		    (verdict.reason.len != 0) != befores[i].is_ours)
			fail_msg("%zu: %s", i,
			    verdict_action_name(verdict.action));
	}
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_setting),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_password_beside_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
