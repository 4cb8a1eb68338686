/* SPDX-License-Identifier: ISC */
/* Edits of a header: what it becomes, and whether the blob can stay. */
#include "base/test.h"

#include "smtpd/ingress/milter_edit.h"

#define TEXT(literal) { "" literal, sizeof(literal) - 1 }
#define BLOCK "A: 1\r\nB: 2\r\n two\r\nno field\r\na: 3\r\n"

static const struct milter_options agreed = { .version = 6,
	.protocol = MILTER_P_HDR_LEADSPC };

static const struct {
	const char *name;
	const char *front;
	struct milter_answer edits[3];
	const char *want;
	bool is_changed;
} cases[] = {
	{ "nothing", "", { { .kind = MILTER_CONTINUE } }, BLOCK, false },
	{ "nothing under a front", "F: 0\r\n", { { .kind = MILTER_CONTINUE } },
	    "F: 0\r\n" BLOCK, false },
	{ "on top", "", { { .kind = MILTER_INSHEADER, .index = 1,
	    .name = TEXT("N"), .value = TEXT(" v") } },
	    "N: v\r\n" BLOCK, false },
	{ "two on top, one above our Received", "F: 0\r\n",
	    { { .kind = MILTER_INSHEADER, .index = 0, .name = TEXT("N"),
	    .value = TEXT(" v") }, { .kind = MILTER_INSHEADER, .index = 1,
	    .name = TEXT("M"), .value = TEXT(" w\n x") } },
	    "N: v\r\nM: w\r\n x\r\nF: 0\r\n" BLOCK, false },
	{ "in the middle", "", { { .kind = MILTER_INSHEADER, .index = 2,
	    .name = TEXT("N"), .value = TEXT(" v") } },
	    "A: 1\r\nN: v\r\nB: 2\r\n two\r\nno field\r\na: 3\r\n", true },
	{ "past the end", "", { { .kind = MILTER_INSHEADER, .index = 99,
	    .name = TEXT("N"), .value = TEXT(" v") } }, BLOCK "N: v\r\n",
	    true },
	{ "at the end", "", { { .kind = MILTER_ADDHEADER, .name = TEXT("N"),
	    .value = TEXT(" v") } }, BLOCK "N: v\r\n", true },
	{ "change", "", { { .kind = MILTER_CHGHEADER, .index = 1,
	    .name = TEXT("b"), .value = TEXT(" v") } },
	    "A: 1\r\nb: v\r\nno field\r\na: 3\r\n", true },
	{ "change the second of a name", "", { { .kind = MILTER_CHGHEADER,
	    .index = 2, .name = TEXT("A"), .value = TEXT(" v") } },
	    "A: 1\r\nB: 2\r\n two\r\nno field\r\nA: v\r\n", true },
	{ "0 is the first", "", { { .kind = MILTER_CHGHEADER, .index = 0,
	    .name = TEXT("A"), .value = TEXT("") } },
	    "B: 2\r\n two\r\nno field\r\na: 3\r\n", true },
	{ "delete what is not there", "", { { .kind = MILTER_CHGHEADER,
	    .index = 3, .name = TEXT("A"), .value = TEXT("") } }, BLOCK,
	    false },
	{ "change what is not there", "", { { .kind = MILTER_CHGHEADER,
	    .index = 3, .name = TEXT("A"), .value = TEXT(" v") } },
	    BLOCK "A: v\r\n", true },
	{ "take back what another filter put on top", "A: 0\r\n",
	    { { .kind = MILTER_CHGHEADER, .index = 1, .name = TEXT("A"),
	    .value = TEXT("") } }, BLOCK, false },
	{ "change both, then delete the first", "", {
	    { .kind = MILTER_CHGHEADER, .index = 1, .name = TEXT("A"),
	    .value = TEXT(" x") }, { .kind = MILTER_CHGHEADER, .index = 2,
	    .name = TEXT("A"), .value = TEXT(" y") },
	    { .kind = MILTER_CHGHEADER, .index = 1, .name = TEXT("A"),
	    .value = TEXT("") } },
	    "B: 2\r\n two\r\nno field\r\nA: y\r\n", true },
};

static void
write_out(const struct milter_header *header, struct buf *out)
{
	struct milter_piece *piece, *tmp;

	list_each(piece, tmp, &header->pieces, struct milter_piece, node)
		buf_add_str(out, piece->raw);
}

static void
test_header(void **state)
{
	struct milter_header header;
	struct milter_edits edits;
	struct arena *arena;
	struct buf out;
	size_t i, j;

	(void)state;
	buf_init(&out, 4096);
	for (i = 0; i < COUNT_OF(cases); i++) {
		arena = arena_new(0);
		buf_reset(&out);
		milter_edits_init(&edits, arena, 1000);
		for (j = 0; j < 3; j++)
			if (cases[i].edits[j].name.len != 0)
				assert_int_equal(milter_edits_add(&edits,
				    &cases[i].edits[j], NULL), 0);
		milter_edits_apply(&edits, &agreed, str_of(cases[i].front),
		    STR(BLOCK), &header);
		write_out(&header, &out);
		if (!str_eq(buf_str(&out), str_of(cases[i].want)) ||
		    header.is_changed != cases[i].is_changed)
			fail_msg("%s: %d %.*s", cases[i].name,
			    header.is_changed, STR_FMT(buf_str(&out)));
		milter_edits_fini(&edits);
		arena_free(&arena);
	}
	buf_fini(&out);
}

/* More fields than anybody counts: all octets stay. */
static void
test_many_fields(void **state)
{
	struct milter_answer add = { .kind = MILTER_ADDHEADER,
	    .name = STR("N"), .value = STR(" v") };
	struct arena *arena = arena_new(0);
	struct milter_header header;
	struct milter_edits edits;
	struct buf block, out;
	int i;

	(void)state;
	buf_init(&block, 1 << 20);
	buf_init(&out, 1 << 20);
	for (i = 0; i < 5000; i++)
		buf_addf(&block, "X-%d: %d\r\n", i, i);
	milter_edits_init(&edits, arena, 1000);
	assert_int_equal(milter_edits_add(&edits, &add, NULL), 0);
	milter_edits_apply(&edits, &agreed, STR(""), buf_str(&block),
	    &header);
	write_out(&header, &out);
	buf_add_cstr(&block, "N: v\r\n");
	assert_true(str_eq(buf_str(&out), buf_str(&block)));
	buf_fini(&out);
	buf_fini(&block);
	milter_edits_fini(&edits);
	arena_free(&arena);
}

static void
test_body(void **state)
{
	static const struct {
		struct str pieces[3];
		const char *want;
	} bodies[] = {
		{ { TEXT("a\r\nb\r\n") }, "a\r\nb\r\n" },
		{ { TEXT("a\nb\n") }, "a\r\nb\r\n" },
		{ { TEXT("a\r"), TEXT("\nb"), TEXT("\n") }, "a\r\nb\r\n" },
		{ { TEXT("a\rb") }, "a\r\nb" },
		{ { TEXT("a\r\rb\n\n") }, "a\r\n\r\nb\r\n\r\n" },
	};
	struct milter_answer answer = { .kind = MILTER_REPLBODY };
	struct arena *arena = arena_new(0);
	struct milter_edits edits;
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT_OF(bodies); i++) {
		milter_edits_init(&edits, arena, 1000);
		for (j = 0; j < 3; j++) {
			answer.text = bodies[i].pieces[j];
			assert_int_equal(milter_edits_add(&edits, &answer,
			    NULL), 0);
		}
		assert_true(edits.has_body);
		if (!str_eq(buf_str(&edits.body), str_of(bodies[i].want)))
			fail_msg("body %zu", i);
		milter_edits_fini(&edits);
	}
	arena_free(&arena);
}

static void
test_limits(void **state)
{
	struct milter_answer body = { .kind = MILTER_REPLBODY,
	    .text = STR("0123456789") };
	struct milter_answer rcpt = { .kind = MILTER_ADDRCPT,
	    .address = STR("<a@b>") };
	struct arena *arena = arena_new(0);
	struct milter_edits edits;
	unsigned i;

	(void)state;
	milter_edits_init(&edits, arena, 10);
	assert_int_equal(milter_edits_add(&edits, &body, NULL), 0);
	assert_int_equal(milter_edits_add(&edits, &body, NULL), ERR_LIMIT);
	for (i = 0; i < MILTER_EDITS_MAX; i++)
		assert_int_equal(milter_edits_add(&edits, &rcpt, NULL), 0);
	assert_int_equal(milter_edits_add(&edits, &rcpt, NULL), ERR_LIMIT);
	milter_edits_fini(&edits);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_many_fields),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
