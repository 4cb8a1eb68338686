/* SPDX-License-Identifier: ISC */
/*
 * access: from which zones a domain's people may use which service. The grid
 * is text, "SERVICE:ZONE,ZONE SERVICE:ZONE ...": a service that is not listed
 * is not allowed, "*" stands for every zone (or every service), and an empty
 * grid allows everything. Zones are named by the operator's listeners.
 *
 *     "submission:closed smtps:closed,internet pop3:closed imaps:*"
 *
 * Services: smtps and imaps, pop3s are those on listeners with TLS from the
 * start; submission, imap, pop3 the others; sieve, web.
 *
 * Lifetime.   Text; nothing is kept.
 * Errors.     ERR_SYNTAX with the word that is wrong.
 * Blocking.   Never.
 */
#ifndef DIRECTORY_ACCESS_H
#define DIRECTORY_ACCESS_H

#include "base/str.h"

/* The closed network by everything that mail programs speak; from the
 * internet only by TLS from the start. */
#define ACCESS_CLOSED_NETWORK						\
	"submission:closed smtps:closed,internet pop3:closed "		\
	"pop3s:closed imap:closed imaps:closed,internet "		\
	"sieve:closed web:closed,internet"

int access_check(struct str grid, struct err *err);
bool access_allows(struct str grid, struct str service, struct str zone);

#endif
