/* SPDX-License-Identifier: ISC */
/*
 * when: the two clocks. Intervals, deadlines and retries use the monotonic
 * clock; dates that people read use the wall clock. Tests put their own
 * functions behind both.
 *
 * Blocking.   Never.
 */
#ifndef BASE_WHEN_H
#define BASE_WHEN_H

#include <stdint.h>

/* Milliseconds of the monotonic clock. */
uint64_t when_mono_ms(void);
uint64_t when_mono_us(void);

/* Microseconds and seconds since 1970-01-01 UTC. */
uint64_t when_wall_us(void);
int64_t when_wall_s(void);

/* Replace a clock (NULL: the real one). For tests. */
void when_set_mono(uint64_t (*now_us)(void));
void when_set_wall(uint64_t (*now_us)(void));

#endif
