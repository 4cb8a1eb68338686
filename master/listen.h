/* SPDX-License-Identifier: ISC */
/*
 * listen: the sockets that hikyakud binds for its children.
 *
 * Lifetime.   listeners_open() -> listeners_close(). Descriptors stay open in
 *             hikyakud, so that a restarted child gets the same sockets.
 * Errors.     ERR_EXISTS for a port in use, with who uses it.
 */
#ifndef MASTER_LISTEN_H
#define MASTER_LISTEN_H

#include "config/config.h"

struct listen_socket {
	/* As it was bound: a configuration read later says nothing of it. */
	char *name;
	char *protocol;
	char *tls;
	char *zone;
	bool takes_clear_logins;
	uint16_t port;
	int fd;
	char address[64];
	struct listen_socket *next;
};

/* Bind and listen on all of them; paths are relative to dir. */
int listeners_open(const struct config *config, const char *dir,
    struct listen_socket **sockets_r, struct err *err);
void listeners_close(struct listen_socket **sockets);

/* The command line's socket, DIR/run/control.sock. */
int control_open(const char *dir, int *fd_r, struct err *err);

#endif
