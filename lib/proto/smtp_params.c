/* SPDX-License-Identifier: ISC */
#include "proto/smtp_params.h"

#include "mail/date.h"

#define ENVID_MAX 100U		/* RFC 3461 section 4.4 */
#define ORCPT_MAX 500U		/* section 4.2 */

/* A command's parameters being read. */
struct reading {
	unsigned offered;
	int64_t now_s;
	struct smtp_mail_params *mail;
	struct smtp_rcpt_params *rcpt;
	struct smtp_refusal *refusal;
};

static int
refuse(struct reading *r, unsigned code, const char *text)
{
	*r->refusal = (struct smtp_refusal){ code, "5.5.4", text, 0 };
	return ERR_SYNTAX;
}

static int
bad(struct reading *r, const char *text)
{
	return refuse(r, 501, text);
}

/* RFC 3461 section 4: octets in xtext, so that none can end a line. */
static bool
is_xtext(struct str s)
{
	struct buf buf;
	bool is_good;

	buf_init(&buf, s.len + 1);
	is_good = smtp_add_unxtext(&buf, s) == 0 &&
	    str_is_printable(buf_str(&buf));
	buf_fini(&buf);
	return is_good;
}

/* ---- MAIL ---- */

static int
mail_ret(struct reading *r, struct str value)
{
	if (str_eq_nocase(value, STR("FULL")))
		r->mail->ret = SMTP_RET_FULL;
	else if (str_eq_nocase(value, STR("HDRS")))
		r->mail->ret = SMTP_RET_HDRS;
	else
		return bad(r, "RET is FULL or HDRS");
	return 0;
}

static int
mail_envid(struct reading *r, struct str value)
{
	if (value.len == 0 || value.len > ENVID_MAX || !is_xtext(value))
		return bad(r, "ENVID malformed");
	r->mail->envid = value;
	return 0;
}

static int
mail_utf8(struct reading *r, struct str value)
{
	if (value.p != NULL)
		return bad(r, "SMTPUTF8 takes no value");
	r->mail->is_utf8 = true;
	return 0;
}

static int
mail_requiretls(struct reading *r, struct str value)
{
	if (value.p != NULL)
		return bad(r, "REQUIRETLS takes no value");
	r->mail->requires_tls = true;
	return 0;
}

static int
set_hold(struct reading *r, uint64_t until_s)
{
	if (r->mail->has_hold)
		return bad(r, "one of HOLDFOR and HOLDUNTIL");
	if (until_s > (uint64_t)r->now_s + SMTP_HOLD_MAX_S)
		return bad(r, "too far in the future");
	r->mail->has_hold = true;
	r->mail->hold_until_s = until_s;
	return 0;
}

static int
mail_holdfor(struct reading *r, struct str value)
{
	uint64_t seconds;

	if (value.len == 0 || value.len > 9 ||
	    str_to_u64(value, 999999999, &seconds) != 0)
		return bad(r, "HOLDFOR malformed");
	return set_hold(r, (uint64_t)r->now_s + seconds);
}

/* "2026-11-23T09:00:00Z", maybe with ";C" or ";D" behind (RFC 4865 section
 * 4.1), which we treat alike: the message waits. */
static int
mail_holduntil(struct reading *r, struct str value)
{
	struct mail_date date;
	struct str kind, text = str_cut(value, ';', &kind);

	if (text.len < 20 || text.p[10] != 'T' || (kind.p != NULL &&
	    !str_eq_nocase(kind, STR("C")) &&
	    !str_eq_nocase(kind, STR("D"))) ||
	    date_parse(text, &date) != 0 || date.s < 0)
		return bad(r, "HOLDUNTIL malformed");
	return set_hold(r, (uint64_t)date.s);
}

/* ---- RCPT ---- */

static int
rcpt_notify(struct reading *r, struct str value)
{
	static const struct {
		struct str name;
		unsigned bit;
	} words[] = {
		{ { "NEVER", 5 }, SMTP_NOTIFY_NEVER },
		{ { "SUCCESS", 7 }, SMTP_NOTIFY_SUCCESS },
		{ { "FAILURE", 7 }, SMTP_NOTIFY_FAILURE },
		{ { "DELAY", 5 }, SMTP_NOTIFY_DELAY },
	};
	struct str word;
	size_t i;

	do {
		word = str_cut(value, ',', &value);
		for (i = 0; i < 4; i++)
			if (str_eq_nocase(word, words[i].name))
				break;
		if (i == 4)
			return bad(r, "NOTIFY malformed");
		r->rcpt->notify |= words[i].bit;
	} while (value.p != NULL);
	if ((r->rcpt->notify & SMTP_NOTIFY_NEVER) != 0 &&
	    r->rcpt->notify != SMTP_NOTIFY_NEVER)
		return bad(r, "NEVER stands alone");
	return 0;
}

/* RFC 3461 section 4.2; with SMTPUTF8 the type utf-8 (RFC 6533 section 3),
 * whose address may hold UTF-8. */
static int
rcpt_orcpt(struct reading *r, struct str value)
{
	struct str address, type = str_cut(value, ';', &address);
	size_t i;

	if (value.len > ORCPT_MAX || type.len == 0 || address.len == 0)
		return bad(r, "ORCPT malformed");
	for (i = 0; i < type.len; i++)
		if (!ascii_is_alpha(type.p[i]) &&
		    !ascii_is_digit(type.p[i]) && type.p[i] != '-')
			return bad(r, "ORCPT malformed");
	if (!is_xtext(address) && !(str_eq_nocase(type, STR("utf-8")) &&
	    str_is_text(address)))
		return bad(r, "ORCPT malformed");
	r->rcpt->orcpt = value;
	return 0;
}

/* ---- all ---- */

struct known {
	struct str name;
	unsigned needs;
	int (*read)(struct reading *r, struct str value);
};

static const struct known of_mail[] = {
	{ { "RET", 3 }, SMTP_X_DSN, mail_ret },
	{ { "ENVID", 5 }, SMTP_X_DSN, mail_envid },
	{ { "SMTPUTF8", 8 }, SMTP_X_UTF8, mail_utf8 },
	{ { "REQUIRETLS", 10 }, SMTP_X_REQUIRETLS, mail_requiretls },
	{ { "HOLDFOR", 7 }, SMTP_X_FUTURERELEASE, mail_holdfor },
	{ { "HOLDUNTIL", 9 }, SMTP_X_FUTURERELEASE, mail_holduntil },
};

static const struct known of_rcpt[] = {
	{ { "NOTIFY", 6 }, SMTP_X_DSN, rcpt_notify },
	{ { "ORCPT", 5 }, SMTP_X_DSN, rcpt_orcpt },
};

static int
read_one(struct reading *r, const struct known *known, size_t n,
    const struct smtp_param *param)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((known[i].needs & r->offered) != 0 &&
		    str_eq_nocase(param->name, known[i].name))
			return known[i].read(r, param->value);
	return refuse(r, 555, "unknown parameter");
}

static int
read_all(struct reading *r, const struct known *known, size_t n,
    const struct smtp_command *cmd)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < cmd->n_params; i++)
		rc = read_one(r, known, n, &cmd->params[i]);
	return rc;
}

int
smtp_mail_params(const struct smtp_command *cmd, unsigned offered,
    int64_t now_s, struct smtp_mail_params *params_r,
    struct smtp_refusal *refusal_r)
{
	struct reading r = { .offered = offered, .now_s = now_s,
	    .mail = params_r, .refusal = refusal_r };

	*params_r = (struct smtp_mail_params){ .ret = SMTP_RET_NONE };
	return read_all(&r, of_mail, sizeof(of_mail) / sizeof(of_mail[0]),
	    cmd);
}

int
smtp_rcpt_params(const struct smtp_command *cmd, unsigned offered,
    struct smtp_rcpt_params *params_r, struct smtp_refusal *refusal_r)
{
	struct reading r = { .offered = offered, .rcpt = params_r,
	    .refusal = refusal_r };

	*params_r = (struct smtp_rcpt_params){ .notify = 0 };
	return read_all(&r, of_rcpt, sizeof(of_rcpt) / sizeof(of_rcpt[0]),
	    cmd);
}
