/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/dns.h"

uint32_t
dns_ask(struct relay *relay, struct str name, enum dns_type type,
    ipc_done *done, void *ctx)
{
	struct ipc_out *out = ipc_begin(relay->dnsd, DNS_QUERY);

	ipc_put_str(out, name);
	ipc_put_u64(out, type);
	return ipc_call(out, -1, DNS_DEADLINE_MS, done, ctx);
}

void
dns_read(int code, struct ipc_in *in, struct dns_answer *answer_r)
{
	memset(answer_r, 0, sizeof(*answer_r));
	answer_r->rcode = DNS_R_SERVFAIL;
	if (code != 0)
		return;
	answer_r->rcode = (unsigned)ipc_get_u64(in);
	answer_r->is_secure = ipc_get_bool(in);
	if (ipc_get_bool(in))	/* bogus: whatever else it says */
		answer_r->rcode = DNS_R_SERVFAIL;
	(void)ipc_get_u64(in);
	answer_r->canonical = ipc_get_str(in);
	while (ipc_more(in) && answer_r->rdata_len < DNS_RDATA_MAX)
		answer_r->rdata[answer_r->rdata_len++] = ipc_get_str(in);
}
