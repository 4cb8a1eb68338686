/* SPDX-License-Identifier: ISC */
/*
 * smtp_params: the ESMTP parameters of MAIL and RCPT that only some servers
 * offer (SIZE, BODY and AUTH are decoded by smtp.h).
 *
 * Ownership.  Strings are views of the command's line.
 * Units.      Wall-clock seconds.
 * Errors.     ERR_SYNTAX, with the reply to give in struct smtp_refusal: 555
 *             for what is not offered here, 501 for what is malformed.
 * Blocking.   Never.
 * Process.    smtpd ingress.
 * RFC.        3461 section 4 (DSN), 6531 section 3.4 (SMTPUTF8), 8689
 *             (REQUIRETLS), 4865 (FUTURERELEASE).
 */
#ifndef PROTO_SMTP_PARAMS_H
#define PROTO_SMTP_PARAMS_H

#include "proto/smtp.h"

/* What is offered, a mask. */
#define SMTP_X_DSN 1U
#define SMTP_X_UTF8 2U
#define SMTP_X_REQUIRETLS 4U
#define SMTP_X_FUTURERELEASE 8U

#define SMTP_HOLD_MAX_S (30U * 86400U)	/* RFC 4865: longest HOLDFOR */

enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };

struct smtp_mail_params {
	bool is_utf8;
	bool requires_tls;
	enum smtp_ret ret;
	struct str envid;		/* xtext; p NULL: not given */
	bool has_hold;
	uint64_t hold_until_s;		/* absolute */
};

enum smtp_notify {
	SMTP_NOTIFY_NEVER = 1,
	SMTP_NOTIFY_SUCCESS = 2,
	SMTP_NOTIFY_FAILURE = 4,
	SMTP_NOTIFY_DELAY = 8,
};

struct smtp_rcpt_params {
	unsigned notify;		/* 0: not given */
	struct str orcpt;		/* "rfc822;a@b"; p NULL: not given */
};

int smtp_mail_params(const struct smtp_command *cmd, unsigned offered,
    int64_t now_s, struct smtp_mail_params *params_r,
    struct smtp_refusal *refusal_r);

int smtp_rcpt_params(const struct smtp_command *cmd, unsigned offered,
    struct smtp_rcpt_params *params_r, struct smtp_refusal *refusal_r);

#endif
