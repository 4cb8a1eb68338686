/* SPDX-License-Identifier: ISC */
/*
 * result: what a check of the sender's identity came to, in the words of
 * Authentication-Results. Which of them a method uses, its RFC says.
 *
 * Lifetime.   Values.
 * Blocking.   Never.
 * RFC.        RFC 8601 section 2.7; RFC 7208 section 2.6.
 */
#ifndef MAILAUTH_RESULT_H
#define MAILAUTH_RESULT_H

#include "base/str.h"

/* Stored and sent between processes: numbers are never given again. */
enum mailauth_result {
	MAILAUTH_NONE,		/* nothing there to check */
	MAILAUTH_PASS,
	MAILAUTH_FAIL,
	MAILAUTH_SOFTFAIL,
	MAILAUTH_NEUTRAL,
	MAILAUTH_POLICY,	/* it holds, but we do not accept it so */
	MAILAUTH_TEMPERROR,	/* another try could come to something else */
	MAILAUTH_PERMERROR,
	MAILAUTH_RESULT_COUNT
};

/* "none", "pass", ... */
const char *mailauth_result_name(enum mailauth_result result);

/* The result of that name, in any case; ERR_SYNTAX. */
int mailauth_result_of(struct str name, enum mailauth_result *result_r);

#endif
