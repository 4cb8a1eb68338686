/* SPDX-License-Identifier: ISC */
#include "base/when.h"

#include <time.h>

static uint64_t (*mono_us)(void);
static uint64_t (*wall_us)(void);

static uint64_t
clock_us(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
when_mono_us(void)
{
	return mono_us != NULL ? mono_us() : clock_us(CLOCK_MONOTONIC);
}

uint64_t
when_mono_ms(void)
{
	return when_mono_us() / 1000;
}

uint64_t
when_wall_us(void)
{
	return wall_us != NULL ? wall_us() : clock_us(CLOCK_REALTIME);
}

int64_t
when_wall_s(void)
{
	return (int64_t)(when_wall_us() / 1000000);
}

void
when_set_mono(uint64_t (*now_us)(void))
{
	mono_us = now_us;
}

void
when_set_wall(uint64_t (*now_us)(void))
{
	wall_us = now_us;
}
