/* SPDX-License-Identifier: ISC */
/*
 * ipc_int: a frame on the wire and in memory, and a link: what frame.c, ipc.c,
 * calls.c and reply.c share.
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

struct call {
	struct list node;
	uint32_t id;
	unsigned type;
	uint64_t deadline_ms;
	bool is_sent;
	ipc_done *done;		/* NULL: cancelled */
	void *ctx;
};

struct ipc_req {
	struct list node;
	struct ipc_link *link;	/* NULL: the peer is gone */
	uint32_t id;
	unsigned type;
};

struct ipc_link {
	struct loop *loop;
	const struct ipc_proto *proto;
	bool is_server;
	int fd;
	struct loop_fd watch;
	struct loop_timer timer;
	void *ctx;
	char peer[48];

	/* server */
	ipc_handler *const *handlers;
	uint64_t allowed;
	uint64_t seen_once;
	unsigned state;
	struct list reqs;
	size_t reqs_len;

	/* client */
	ipc_push *push;
	struct table *calls;
	struct list calls_list;
	uint32_t next_id;

	ipc_gone *gone;
	struct list frames;	/* waiting to be sent */
	size_t frames_len;
	struct ipc_out out;
	int depth;		/* callbacks running; free waits for 0 */
	bool is_freed;
	bool is_paused;
	char last_error[ERR_TEXT_SIZE];
};

/* --- ipc.c --- */

/* What malloc() gave: without memory there is no going on. */
void *ipc_must(void *p);

/*
 * Around whatever may call back: a link that is freed between the two lives
 * until the last ipc_leave(), which is false when the link is gone.
 */
void ipc_enter(struct ipc_link *link);
bool ipc_leave(struct ipc_link *link);

/* Wait for what the link can do now; called when its frames have changed. */
void ipc_watch_update(struct ipc_link *link);

/* For the log, also of a type that no row has. */
const char *ipc_request_name(const struct ipc_link *link, unsigned type);

/* Read and dispatch one frame. False when there is nothing more to read. */
bool ipc_read_one(struct ipc_link *link);

/* --- calls.c --- */

/* Send now or keep for later; call_id is 0 for what is not a request. */
int ipc_transmit(struct ipc_link *link, struct ipc_out *out, int fd,
    uint32_t call_id);

/* Send what waits. False when the peer is lost. */
bool ipc_frames_flush(struct ipc_link *link);

/* Forget frames that wait: of one call; all, or all but requests. */
void ipc_drop_call_frame(struct ipc_link *link, uint32_t call_id);
void ipc_drop_frames(struct ipc_link *link, bool is_all);

/* End a call and tell its owner, who may free the link. */
void ipc_call_finish(struct ipc_link *link, struct call *call, int code,
    struct ipc_in *in);

/* End with ERR_TEMP all calls, or those that were sent. */
void ipc_fail_calls(struct ipc_link *link, bool is_all);

/* The timer of a link: end the calls whose deadline has passed. */
void ipc_on_timer(void *arg);

#endif
