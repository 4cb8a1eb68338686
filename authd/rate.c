/* SPDX-License-Identifier: ISC */
#include "authd/rate.h"

#include <arpa/inet.h>

#include "base/table.h"
#include "base/when.h"

struct rate {
	struct table *counts;	/* network -> count + 1, as a number */
	uint64_t crowd;		/* of all that did not fit */
	uint64_t max;
	uint64_t period_ms;
	uint64_t began_ms;
};

struct rate *
rate_new(uint64_t max, uint64_t period_ms)
{
	struct rate *rate = calloc(1, sizeof(*rate));

	invariant(rate != NULL);
	rate->counts = table_new();
	rate->max = max;
	rate->period_ms = period_ms;
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
rate_set_max(struct rate *rate, uint64_t max)
{
	rate->max = max;
}

struct str
rate_network(struct str remote, unsigned char octets[RATE_NETWORK_OCTETS])
{
	char text[INET6_ADDRSTRLEN + 1];

	(void)snprintf(text, sizeof(text), "%.*s", STR_FMT(remote));
	if (inet_pton(AF_INET, text, octets) == 1)
		return str_make(octets, 4);
	return str_make(octets, inet_pton(AF_INET6, text, octets) == 1 ? 7 :
	    0);
}

static void
turn_period(struct rate *rate)
{
	uint64_t now = when_mono_ms();

	if (now - rate->began_ms < rate->period_ms)
		return;
	rate->began_ms = now;
	rate->crowd = 0;
	table_free(&rate->counts);
	rate->counts = table_new();
}

bool
rate_allows_name(struct rate *rate, struct str name)
{
	turn_period(rate);
	return (uintptr_t)table_get(rate->counts, name) <= rate->max;
}

bool
rate_begin_name(struct rate *rate, struct str name)
{
	uintptr_t count;

	turn_period(rate);
	count = (uintptr_t)table_get(rate->counts, name);
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
	(void)table_put(rate->counts, name, (void *)(count + 1));
	return true;
}

void
rate_succeeded_name(struct rate *rate, struct str name)
{
	uintptr_t count = (uintptr_t)table_get(rate->counts, name);

	if (count > 2)
		(void)table_put(rate->counts, name, (void *)(count - 1));
	else if (count != 0)
		(void)table_del(rate->counts, name);
}

bool
rate_begin(struct rate *rate, struct str remote)
{
	unsigned char octets[RATE_NETWORK_OCTETS];
	struct str network = rate_network(remote, octets);

	return network.len == 0 || rate_begin_name(rate, network);
}

void
rate_succeeded(struct rate *rate, struct str remote)
{
	unsigned char octets[RATE_NETWORK_OCTETS];
	struct str network = rate_network(remote, octets);

	if (network.len != 0)
		rate_succeeded_name(rate, network);
}
