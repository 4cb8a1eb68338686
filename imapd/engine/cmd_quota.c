/* SPDX-License-Identifier: ISC */
/*
 * GETQUOTA and GETQUOTAROOT: one root, "", for the whole account. Limits are
 * set by the operator, so there is no SETQUOTA (no capability QUOTASET).
 */
#include "imapd/engine/engine_int.h"

/* RFC 9208 section 4.2.1: QUOTA; STORAGE counts units of 1,024 octets. */
static void
put_quota(struct imap_session *s)
{
	uint64_t limit = engine_user(s->host)->quota_octets;
	struct store_usage usage;

	store_usage(s->store, &usage);
	buf_addf(&s->out, "* QUOTA \"\" (STORAGE %llu %llu)\r\n",
	    (unsigned long long)((usage.size_octets + 1023) / 1024),
	    (unsigned long long)(limit / 1024));
}

static bool
has_quota(const struct imap_session *s)
{
	return engine_user(s->host)->quota_octets != 0;
}

/* RFC 9208 section 4.1.1: GETQUOTA */
enum imap_run
imap_run_getquota(struct imap_session *s)
{
	if (s->cmd.u.getquota.root.len != 0 || !has_quota(s))
		return imap_no(s, "[NONEXISTENT] No such quota root");
	put_quota(s);
	imap_ok(s);
	return RUN_DONE;
}

/* RFC 9208 section 4.1.2: GETQUOTAROOT */
enum imap_run
imap_run_getquotaroot(struct imap_session *s)
{
	const struct store_mailbox *box = imap_find(s,
	    &s->cmd.u.mailbox.mailbox, false);

	if (box == NULL)
		return RUN_DONE;
	buf_add_cstr(&s->out, "* QUOTAROOT ");
	imap_put_name(s, box->name);
	buf_add_cstr(&s->out, has_quota(s) ? " \"\"\r\n" : "\r\n");
	if (has_quota(s))
		put_quota(s);
	imap_ok(s);
	return RUN_DONE;
}
