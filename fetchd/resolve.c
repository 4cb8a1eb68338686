/* SPDX-License-Identifier: ISC */
#include "fetchd/resolve.h"

#include "ipc/links.h"
#include "proto/dns_rdata.h"

struct resolve {
	struct resolved resolved;
	unsigned waiting;
	resolve_done *done;
	void *ctx;
};

static void
note_reason(struct resolve *resolve, const char *reason)
{
	/* "does not resolve now" says more than "has no address". */
	if (resolve->resolved.reason == NULL)
		resolve->resolved.reason = reason;
}

static void
take(struct resolve *resolve, struct ipc_in *in,
    int (*decode)(struct str, struct netaddr *, struct err *))
{
	struct resolved *resolved = &resolve->resolved;
	uint64_t rcode = ipc_get_u64(in);

	(void)ipc_get_bool(in);
	if (ipc_get_bool(in))
		note_reason(resolve, "DNSSEC validation failed");
	else if (rcode != DNS_R_NOERROR && rcode != DNS_R_NXDOMAIN)
		note_reason(resolve, "the name does not resolve now");
	(void)ipc_get_u64(in);
	(void)ipc_get_str(in);
	while (ipc_more(in) && resolved->len < RESOLVE_MAX)
		if (decode(ipc_get_str(in), &resolved->addrs[resolved->len],
		    NULL) == 0)
			resolved->len++;
}

static void
finish(struct resolve *resolve)
{
	if (--resolve->waiting != 0)
		return;
	note_reason(resolve, "the name has no address");
	resolve->done(resolve->ctx, &resolve->resolved);
	free(resolve);
}

static void
on_aaaa(void *ctx, int code, struct ipc_in *in)
{
	struct resolve *resolve = ctx;

	if (code != 0)
		note_reason(resolve, "dnsd does not answer");
	else
		take(resolve, in, dns_rdata_aaaa);
	finish(resolve);
}

static void
on_a(void *ctx, int code, struct ipc_in *in)
{
	struct resolve *resolve = ctx;

	if (code != 0)
		note_reason(resolve, "dnsd does not answer");
	else
		take(resolve, in, dns_rdata_a);
	finish(resolve);
}

static void
ask(struct ipc_link *dns, struct str host, unsigned type,
    uint64_t deadline_ms, ipc_done *done, struct resolve *resolve)
{
	struct ipc_out *out = ipc_begin(dns, DNS_QUERY);

	ipc_put_str(out, host);
	ipc_put_u64(out, type);
	(void)ipc_call(out, -1, deadline_ms, done, resolve);
}

void
resolve_start(struct ipc_link *dns, struct str host, uint64_t deadline_ms,
    resolve_done *done, void *ctx)
{
	struct resolve *resolve = calloc(1, sizeof(*resolve));

	invariant(resolve != NULL);
	resolve->waiting = 2;
	resolve->done = done;
	resolve->ctx = ctx;
	ask(dns, host, DNS_T_AAAA, deadline_ms, on_aaaa, resolve);
	ask(dns, host, DNS_T_A, deadline_ms, on_a, resolve);
}
