/* SPDX-License-Identifier: ISC */
#include "authd/rate.h"

#include <arpa/inet.h>

#include "base/table.h"
#include "base/when.h"

#define MINUTE_MS 60000

struct rate {
	struct table *counts;	/* network -> count + 1, as a number */
	uint64_t crowd;		/* of all that did not fit */
	uint64_t max;
	uint64_t began_ms;
};

struct rate *
rate_new(uint64_t max_per_minute)
{
	struct rate *rate = calloc(1, sizeof(*rate));

	invariant(rate != NULL);
	rate->counts = table_new();
	rate->max = max_per_minute;
	rate->began_ms = when_mono_ms();
	return rate;
}

void
rate_free(struct rate **rate)
{
	if (*rate == NULL)
		return;
	table_free(&(*rate)->counts);
	free(*rate);
	*rate = NULL;
}

void
rate_set_max(struct rate *rate, uint64_t max_per_minute)
{
	rate->max = max_per_minute;
}

/* Octets of the network in key; 0: no address. */
static size_t
network_of(struct str remote, unsigned char key[16])
{
	char text[INET6_ADDRSTRLEN + 1];

	(void)snprintf(text, sizeof(text), "%.*s", STR_FMT(remote));
	if (inet_pton(AF_INET, text, key) == 1)
		return 4;
	return inet_pton(AF_INET6, text, key) == 1 ? 7 : 0;
}

static void
turn_minute(struct rate *rate)
{
	uint64_t now = when_mono_ms();

	if (now - rate->began_ms < MINUTE_MS)
		return;
	rate->began_ms = now;
	rate->crowd = 0;
	table_free(&rate->counts);
	rate->counts = table_new();
}

bool
rate_begin(struct rate *rate, struct str remote)
{
	unsigned char octets[16];
	size_t len = network_of(remote, octets);
	struct str key = str_make(octets, len);
	uintptr_t count;

	if (len == 0)
		return true;
	turn_minute(rate);
	count = (uintptr_t)table_get(rate->counts, key);
	if (count == 0 && table_count(rate->counts) >= RATE_SOURCES_MAX) {
		if (rate->crowd >= rate->max)
			return false;
		rate->crowd++;
		return true;
	}
	if (count > rate->max)
		return false;
	if (count == 0)
		count = 1;
	(void)table_put(rate->counts, key, (void *)(count + 1));
	return true;
}

void
rate_succeeded(struct rate *rate, struct str remote)
{
	unsigned char octets[16];
	size_t len = network_of(remote, octets);
	struct str key = str_make(octets, len);
	uintptr_t count = len != 0 ? (uintptr_t)table_get(rate->counts, key) :
	    0;

	if (count > 2)
		(void)table_put(rate->counts, key, (void *)(count - 1));
	else if (count != 0)
		(void)table_del(rate->counts, key);
}
