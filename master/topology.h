/* SPDX-License-Identifier: ISC */
/*
 * topology: which programs there are, and who talks to whom. Two tables; the
 * rest of hikyakud only follows them.
 */
#ifndef MASTER_TOPOLOGY_H
#define MASTER_TOPOLOGY_H

#include "base/str.h"

enum {
	NEEDS_CERT = 1,		/* file:tls_cert */
	NEEDS_KEY = 2,		/* file:tls_key */
	NEEDS_CONTROL = 4,	/* listen:control, what runs and listens */
	NEEDS_LISTENERS = 8,	/* may ask what listens */
	NEEDS_MILTERS = 16,	/* may ask for connections to mail filters */
	NEEDS_ENGINES = 32,	/* the same to engines that open mail */
};

struct program {
	const char *name;
	const char *workers_key;	/* configuration key; NULL: one */
	const char *protocols;		/* of the listeners it needs; NULL: none */
	int needs;
	int stop_stage;			/* lower stages are stopped first */
};

struct program_link {
	const char *client;
	const char *server;
	const char *proto;
};

extern const struct program programs[];
extern const size_t programs_len;
extern const struct program_link program_links[];
extern const size_t program_links_len;

/* Make the folders of DIR that the programs expect, with their owners. */
int layout_make(const char *dir, struct err *err);

#endif
