/* SPDX-License-Identifier: ISC */
/*
 * ipc_int: a frame on the wire and in memory, for the files of lib/ipc that
 * make and read frames.
 */
#ifndef IPC_IPC_INT_H
#define IPC_IPC_INT_H

#include "base/buf.h"
#include "ipc/ipc.h"

/*
 * A frame: version, kind, type (2 octets), call id (4 octets), then fields.
 * A field: its type letter, then 8 octets little-endian (u, i), 1 octet (b),
 * or a 4-octet length and as many octets (s).
 */
#define WIRE_VERSION 1
#define HEADER_OCTETS 8

enum wire_kind { W_REQ, W_NOTE, W_PUSH, W_REPLY, W_ERROR };

struct ipc_out {
	struct ipc_link *link;	/* NULL: nobody will read it */
	struct ipc_req *req;	/* set for a reply */
	struct buf buf;
	unsigned type;
};

struct ipc_in {
	struct str fields;
	size_t at;
	int fd;
	char *heap;		/* owns the octets when not NULL */
};

/* Start a frame in out; what it held is gone. */
struct ipc_out *frame_begin(struct ipc_out *out, enum wire_kind kind,
    unsigned type, uint32_t id);

/* n octets, little-endian. */
uint64_t frame_load(const char *p, size_t n);

/* Close the descriptor that nobody took, free the octets. */
void frame_in_fini(struct ipc_in *in);

/* sendmsg() of a frame with at most one descriptor (-1: none). */
ssize_t frame_send(int sock, struct str frame, int fd);

enum received { RX_FRAME, RX_NOTHING, RX_LOST, RX_BAD };

/* Receive a frame into rx (IPC_FRAME_MAX octets); *fd_r is -1 without one. */
enum received frame_receive(int sock, char *rx, struct str *frame_r,
    int *fd_r);

#endif
