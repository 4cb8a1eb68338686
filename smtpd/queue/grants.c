/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/grants.h"

#include "base/log.h"
#include "base/when.h"
#include "ipc/links.h"
#include "ipc/values.h"
#include "mail/address.h"
#include "mail/summary.h"

#define FROM_MAX 4U

void
grants_tell(unsigned char secret[GRANT_SECRET_OCTETS],
    struct ipc_link *keyd)
{
	struct ipc_out *out = ipc_begin(keyd, KEY_SECRET);

	ipc_put_str(out, str_make(secret, GRANT_SECRET_OCTETS));
	if (ipc_send(out, -1) != 0)
		ev_warn(NULL, "queue.grant.untold");
	ipc_wipe_sent(keyd);
}

/* The values of From, as the summary has them. */
static size_t
from_values(const struct mail_summary *summary, struct str *values_r)
{
	size_t i, count = 0;

	for (i = 0; i < summary->field_count && count < FROM_MAX; i++)
		if (summary->fields[i].id == MAIL_FIELD_FROM)
			values_r[count++] = summary->fields[i].value;
	return count;
}

/* The one domain that From names; empty: it names none, or several. */
static struct str
from_domain(struct arena *arena, const struct queue_item *item)
{
	struct mail_summary *summary;
	struct address *addresses;
	struct str values[FROM_MAX];
	size_t i, count;

	if (summary_decode(item->summary, arena, &summary, NULL) != 0 ||
	    address_from(arena, values, from_values(summary, values),
	    &addresses, &count, NULL) != 0)
		return STR_NONE;
	for (i = 1; i < count; i++)
		if (!str_eq(addresses[i].domain, addresses[0].domain))
			return STR_NONE;
	return addresses[0].domain;
}

static struct str
domain_of_address(struct arena *arena, struct str text)
{
	struct address address;

	return address_parse(arena, text, ADDRESS_UTF8 | ADDRESS_DOTS,
	    &address, NULL) == 0 ? address.domain : STR_NONE;
}

/* A header that was too long for a summary: the envelope, which is the
 * sender's own too. */
static struct str
domain_of(struct arena *arena, const struct queue_item *item)
{
	return item->summary.len != 0 ? from_domain(arena, item) :
	    domain_of_address(arena, item->sender);
}

struct str
grants_make(const unsigned char *secret, struct arena *arena,
    const struct queue_item *item, struct str via)
{
	struct grant grant = { .purpose = GRANT_DKIM, .what = item->id };
	struct str octets;
	struct buf out;

	if ((item->flags & QUEUE_F_DSN) != 0)
		return STR_NONE;
	if (item->sender_account != 0 && item->sender.len != 0) {
		grant.domain = domain_of(arena, item);
	} else if (item->sender_account == 0 && via.len != 0) {
		grant.purpose = GRANT_ARC;
		grant.domain = domain_of_address(arena, via);
	}
	if (grant.domain.len == 0 || grant.domain.len > 253)
		return STR_NONE;
	grant.expires_s = when_wall_s() + GRANT_LIFE_S;
	buf_init(&out, GRANT_MAX);
	grant_put(&out, &grant, secret);
	octets = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return octets;
}
