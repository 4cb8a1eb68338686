/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/when.h"
#include "blob/ids.h"

static int64_t now_s;

static uint64_t
fake_wall_us(void)
{
	return (uint64_t)now_s * 1000000;
}

static uint64_t
first_id(uint64_t last_epoch, uint64_t *epoch_r)
{
	struct blob_ids ids;

	*epoch_r = blob_ids_epoch_after(last_epoch);
	blob_ids_begin(&ids, *epoch_r);
	return blob_ids_next(&ids);
}

/* Starts go up, whatever the clock does. */
static void
test_each_start_is_new(void **state)
{
	static const int64_t clocks[] = { 1800000000, 1800000000, 1800000001,
	    1700000000, 0, 1800000002 };
	uint64_t last = 0, epoch = 0, id;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		now_s = clocks[i];
		id = first_id(epoch, &epoch);
		assert_true(id > last);
		last = id;
	}
}

/* A copy from before is put back: what was given since is not given again. */
static void
test_older_copy(void **state)
{
	uint64_t copy, epoch, given, again;
	struct blob_ids ids;
	int i;

	(void)state;
	now_s = 1800000000;
	(void)first_id(0, &copy);
	epoch = copy;
	for (i = 0; i < 5; i++) {
		now_s += 100;
		epoch = blob_ids_epoch_after(epoch);
	}
	blob_ids_begin(&ids, epoch);
	given = 0;
	while (!blob_ids_used_up(&ids))
		given = blob_ids_next(&ids);
	now_s++;
	again = first_id(copy, &epoch);
	assert_true(again > given);
	/* Nor when it is lost. */
	assert_true(first_id(0, &epoch) > given);
}

static void
test_fits_a_double(void **state)
{
	uint64_t epoch;

	(void)state;
	now_s = 3913056000;	/* 2094 */
	assert_true(first_id(0, &epoch) < 1ULL << 53);
	now_s = 1800000000;
	/* More than those of epochs that were counted from 1, also with a
	 * clock that is wrong. */
	assert_true(first_id(10000, &epoch) > 10001ULL << 27);
	now_s = 0;
	assert_true(first_id(10000, &epoch) >= 10001ULL << 27);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_start_is_new),
		cmocka_unit_test(test_older_copy),
		cmocka_unit_test(test_fits_a_double),
	};
	int rc;

	when_set_wall(fake_wall_us);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	when_set_wall(NULL);
	return rc;
}
