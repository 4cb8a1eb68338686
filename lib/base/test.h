/* SPDX-License-Identifier: ISC */
/*
 * test: what every *_test.c includes first: cmocka and the headers it needs.
 */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

/* Processor time of this process: other programs' work does not count. */
static inline uint64_t
test_cpu_us(void)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts), 0);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* For "twice the input takes at most two and a half times as long": measured
 * again when it does not seem so, since caches and neighbours disturb. What is
 * really not linear never passes. */
#define TEST_LINEAR_TRIES 6
#define test_is_linear(once, twice) ((twice) <= (once) * 5 / 2 + 20000)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
