/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/tally.h"

#include "ipc/figures.h"

struct tally {
	struct figures *figures;
	const struct quarantine_store *store;
	uint64_t evicted;	/* told */
};

struct tally *
tally_new(struct loop *loop, struct ipc_link *metricd,
    const struct quarantine_store *store)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	invariant(tally != NULL);
	tally->figures = figures_new(loop, metricd);
	tally->store = store;
	return tally;
}

void
tally_count(struct tally *tally, struct str domain, const char *what,
    uint64_t count)
{
	char name[FIGURES_NAME_MAX];

	(void)snprintf(name, sizeof(name), "quarantine.%s", what);
	figures_count(tally->figures, STR(""), str_of(name), count);
	if (domain.len != 0)
		figures_count(tally->figures, domain, str_of(name), count);
}

void
tally_state(struct tally *tally, int64_t swept_s)
{
	struct quarantine_status status = quarantine_store_status(
	    tally->store);

	figures_gauge(tally->figures, "quarantine.messages", false,
	    status.entries);
	figures_gauge(tally->figures, "quarantine.octets", false,
	    status.octets);
	if (swept_s != 0)
		figures_gauge(tally->figures, "quarantine.swept", true,
		    (uint64_t)swept_s);
	if (status.evicted != tally->evicted)
		tally_count(tally, STR(""), "evicted",
		    status.evicted - tally->evicted);
	tally->evicted = status.evicted;
}

void
tally_flush(struct tally *tally)
{
	figures_flush(tally->figures);
}
