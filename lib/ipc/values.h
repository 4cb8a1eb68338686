/* SPDX-License-Identifier: ISC */
/*
 * values: what the numbers in the link tables mean. Never renumber: a rolling
 * upgrade may have both ends of a link at different versions.
 */
#ifndef IPC_VALUES_H
#define IPC_VALUES_H

/* DIR_RCPT */
enum dir_verdict {
	DIR_V_LOCAL = 0,	/* ours, accept */
	DIR_V_REMOTE = 1,	/* elsewhere; only from authenticated senders */
	DIR_V_UNKNOWN = 2,	/* 550 5.1.1 */
	DIR_V_DISABLED = 3,	/* 550 5.2.1 */
	DIR_V_FULL = 4,		/* 452 4.2.2 */
	DIR_V_DENIED = 5,	/* 550 5.7.1 with the reason */
	DIR_V_FULL_LONG = 6,	/* full since quota_grace: 552 5.2.2 */
};

/* DIR_RCPT's filter, a mask */
enum dir_filter {
	DIR_F_DMARC_MARK = 1,	/* what DMARC asks for is not done */
	DIR_F_ABSENT_ACCEPT = 2,	/* no verdict: accept */
	DIR_F_ABSENT_TEMPFAIL = 4,	/* no verdict: 451 */
};

/* FILTER_JUDGE's flags, a mask */
enum filter_flag {
	FILTER_F_AUTHENTICATED = 1,	/* the client has logged in */
	FILTER_F_DMARC_MARK = 2,	/* as DIR_F_DMARC_MARK */
	FILTER_F_CONTENT_ONLY = 4,	/* who sent it is not looked at */
	FILTER_F_WHOLE = 8,	/* no part can be taken out */
};

/* SCAN_MESSAGE, SCANNER_SCAN: the weightiest of all that was found */
enum scan_result {
	SCAN_CLEAN = 0,
	SCAN_ENCRYPTED = 1,	/* an archive or a document nobody can open */
	SCAN_LIMIT = 2,		/* too deep, too many, too long: not looked at */
	SCAN_INFECTED = 3,
	SCAN_CRASHED = 4,	/* nobody has looked: it ended the scanner, twice,
				   or files or memory failed */
	SCAN_RESULTS
};

/* DETONATE_WATCH: what became of suspicious mail that was opened */
enum detonation_result {
	DETONATION_CLEAN = 0,
	DETONATION_MALICIOUS = 1,
	DETONATION_UNKNOWN = 2,	/* there was nothing to open */
	DETONATION_LATE = 3,	/* no answer in time */
	DETONATION_FAILED = 4,	/* the engines could not */
	DETONATION_RESULTS
};

/* SCAN_MESSAGE, SCANNER_SCAN: the flags, a mask */
enum scan_flag {
	SCAN_F_OUTSIDE = 1,	/* it comes from a stranger, who may pretend
				   to be somebody */
};

/* Beside enum scan_result: what was found in a part. */
#define SCAN_W_TRAIT 64U

/* SCANNER_KNOW */
enum scan_known {
	SCAN_K_DOMAINS = 0,	/* ours and partners' */
	SCAN_K_NAMES = 1,	/* that stand for us */
};

/* DIR_ROUTE */
enum dir_route {
	DIR_R_ACCOUNT = 0,	/* deliver to account */
	DIR_R_REMOTE = 1,	/* hand to the world at target */
	DIR_R_REFUSED = 2,	/* nobody (any more): target is the reason */
};

/* AUTH_START, AUTH_STEP, AUTH_LOGIN */
enum auth_status {
	AUTH_S_CONTINUE = 0,
	AUTH_S_OK = 1,
	AUTH_S_FAILED = 2,	/* wrong user or password: 535, NO, -ERR */
	AUTH_S_UNAVAILABLE = 3,	/* cannot be decided now: 454 */
	AUTH_S_BAD = 4,		/* malformed exchange: 501 */
	AUTH_S_NO_MECHANISM = 5,	/* 504 */
};

/* QUEUE_SUBMIT */
enum queue_flag {
	QUEUE_F_8BIT = 1,	/* BODY=8BITMIME */
	QUEUE_F_SUBMISSION = 2,	/* from an authenticated sender */
	QUEUE_F_UTF8 = 4,	/* SMTPUTF8 */
	QUEUE_F_BINARY = 8,	/* BODY=BINARYMIME */
	QUEUE_F_RET_FULL = 16,	/* RET=FULL (RFC 3461) */
	QUEUE_F_RET_HDRS = 32,	/* RET=HDRS */
	QUEUE_F_REQUIRETLS = 64,	/* RFC 8689 */
	QUEUE_F_DSN = 128,	/* made by us as a DSN */
	QUEUE_F_TLS_OPTIONAL = 256,	/* "TLS-Required: No" (RFC 8689) */
};

/* QUEUE_FOUND: what became of an infected message. */
enum queue_found {
	QUEUE_V_REFUSED = 0,	/* incoming, in the dialogue */
	QUEUE_V_QUARANTINED = 1,	/* incoming */
	QUEUE_V_REPLACED = 2,	/* incoming: delivered without its attachment */
	QUEUE_V_OUT = 3,	/* an account's, refused in the dialogue */
	QUEUE_V_KINDS
};

/* NOTIFY of a recipient (RFC 3461 section 4.1), a mask; 0: not given. */
enum queue_notify {
	QUEUE_N_NEVER = 1,
	QUEUE_N_SUCCESS = 2,
	QUEUE_N_FAILURE = 4,
	QUEUE_N_DELAY = 8,
};

/* RELAY_RESULT */
enum relay_result {
	RELAY_R_SENT = 0,	/* the next hop answers for it now */
	RELAY_R_TEMP = 1,	/* 4yz, or we could not: try again */
	RELAY_R_FAILED = 2,	/* 5yz, or it can never work: a DSN */
};

/* RELAY_DONE */
enum relay_destination {
	RELAY_D_ALIVE = 0,	/* somebody answered */
	RELAY_D_DEAD = 1,	/* nobody could be reached: leave it for a while */
	RELAY_D_BUSY = 2,	/* it asked for fewer connections (421, 4.7.0) */
};

/* MBOX_DELIVER */
enum mbox_result {
	MBOX_R_DELIVERED = 0,	/* on disk, now or at an earlier try */
	MBOX_R_FULL = 1,	/* over quota: try again, later a bounce */
	MBOX_R_TEMP = 2,	/* try again */
	MBOX_R_GONE = 3,	/* no such account any more */
};

/* KEY_SIGN */
enum key_operation {
	KEY_O_ECDSA = 0,	/* data is the digest; DER signature */
	KEY_O_RSA_PKCS1 = 1,	/* data is the DigestInfo */
	KEY_O_RSA_NONE = 2,	/* data is already padded (PSS) */
};

#endif
