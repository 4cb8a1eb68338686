/* SPDX-License-Identifier: ISC */
/*
 * connect: sockets to the services that the configuration names (mail
 * filters, engines that open mail), for children that may open none. hikyakud
 * begins to connect and hands the socket on: it neither waits nor reads an
 * octet, and a child reaches the services of its own kind and nothing else.
 *
 * Ownership.  The descriptor is the caller's.
 * Errors.     A negative code: ERR_TEMP, ERR_SYNTAX.
 * Blocking.   Never.
 * Process.    hikyakud.
 */
#ifndef MASTER_CONNECT_H
#define MASTER_CONNECT_H

#include "base/str.h"

/* address: "unix:/PATH" or "192.0.2.1@8891". */
int connect_to(struct str address, struct err *err);

#endif
