/* SPDX-License-Identifier: ISC */
/*
 * ipc: what two of our processes say to each other.
 *
 * A link is a SOCK_SEQPACKET pair. A frame is at most 64 KiB with typed fields
 * and at most one descriptor; no struct is ever copied onto the wire. What may
 * be asked stands in one table per link (lib/ipc/NAME.def): the request, the
 * states it is legal in, how often, whether a descriptor goes with it, and
 * the signature of its fields. A frame that does not follow the table never
 * reaches a handler: it ends the sender's link and is logged as ipc.violation.
 *
 * An easy case. smtpd asks directoryd about a recipient:
 *
 *     out = ipc_begin(dir, DIR_RCPT);
 *     ipc_put_str(out, address);
 *     ipc_call(out, -1, 10000, on_rcpt, session);
 *
 * and on_rcpt(session, 0, in) reads the reply's fields in the order of the
 * signature. A hard case: directoryd is killed before it answers. The link
 * loses its peer, on_rcpt(session, ERR_TEMP, NULL) is called, and calls made
 * from then on wait, unsent, until hikyakud has attached the link to the new
 * directoryd or their deadline has passed.
 *
 * Signatures. "u:size s:name b:is_new (u:account s:recipient)*": u unsigned 64
 *             bits, i signed 64 bits, s octets, b truth; a group with * comes
 *             last and repeats to the end of the frame. ipc_more() tells
 *             whether another repetition follows.
 * Lifetime.   ipc_client_new() or ipc_serve() -> ipc_link_free(). A struct
 *             ipc_in and its strings live until the callback returns; its
 *             descriptor is closed then unless ipc_take_fd() took it.
 * Ownership.  A link owns its socket. A request belongs to the server's handler
 *             until ipc_reply_end() or ipc_reply_err(), which it calls exactly
 *             once, at any later time, also when the peer is gone.
 * Errors.     A call ends with 0 or the ERR_ code of the reply; ERR_TEMP for a
 *             lost peer, a passed deadline or a full window.
 * Blocking.   ipc_call_wait() only.
 */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"

#define IPC_FRAME_MAX 65536
/* Field octets that always fit into one frame. */
#define IPC_PAYLOAD_MAX 61440
#define IPC_WINDOW 4096

/* States a request may be legal in (a mask, up to 16). */
#define ST_ANY 0xffffU
#define ST(n) (1U << (n))

enum ipc_often { IPC_MANY, IPC_ONCE };

enum ipc_fd_rule {
	IPC_NO_FD = 0,
	IPC_FD_IN = 1,		/* the request carries a descriptor */
	IPC_FD_BACK = 2,	/* the reply carries one */
	IPC_FD_BOTH = 3,
};

enum ipc_kind {
	IPC_K_REQ,		/* client asks, server answers */
	IPC_K_NOTE,		/* client tells, nothing comes back */
	IPC_K_PUSH,		/* server tells */
};

struct ipc_row {
	const char *name;
	enum ipc_kind kind;
	unsigned states;
	enum ipc_often often;
	enum ipc_fd_rule fd;
	const char *args;
	const char *reply;
	const char *doc;
};

struct ipc_proto {
	const char *name;	/* "dir" */
	const char *server;	/* "directoryd" */
	const char *clients;	/* "smtpd, queued, ..." */
	const struct ipc_row *rows;
	size_t rows_len;
};

struct ipc_link;
struct ipc_out;			/* a frame being written */
struct ipc_in;			/* a frame being read */
struct ipc_req;			/* a request to be answered */

/* Reply to a call. code 0: in holds the reply; else in is NULL. */
typedef void ipc_done(void *ctx, int code, struct ipc_in *in);

/* Server: one request (answer it through req) or note (req is NULL). */
typedef void ipc_handler(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in);

/* Client: one push. */
typedef void ipc_push(void *ctx, unsigned type, struct ipc_in *in);

/* The peer is gone (server: free the link here or later). */
typedef void ipc_gone(void *ctx, struct ipc_link *link);

/* ---- client ---- */

/* A link without a peer yet. loop may be NULL: then only ipc_call_wait(). */
struct ipc_link *ipc_client_new(struct loop *loop,
    const struct ipc_proto *proto, void *ctx);

/* Push and gone callbacks; either may be NULL. */
void ipc_client_on(struct ipc_link *link, ipc_push *push, ipc_gone *gone);

/* Use fd (taken over) as the way to the peer; replaces one that is there. */
void ipc_client_attach(struct ipc_link *link, int fd);

/* Close the way to the peer: calls that were sent end with ERR_TEMP, others
 * wait for the next one. gone is not called. */
void ipc_client_detach(struct ipc_link *link);

bool ipc_is_attached(const struct ipc_link *link);

/* ---- server ---- */

/*
 * Serve a client on fd (taken over). handlers is indexed by request and as
 * long as the proto's table; a NULL handler is an illegal request. gone is
 * called once when the peer leaves or violates the table.
 */
struct ipc_link *ipc_serve(struct loop *loop, const struct ipc_proto *proto,
    int fd, struct str peer, ipc_handler *const *handlers, void *ctx,
    ipc_gone *gone);

/* Only these requests (a bit a request number) are legal for this client. */
void ipc_link_allow(struct ipc_link *link, uint64_t requests);

/* The link's state from now on, for the table's "legal in" column. */
void ipc_link_set_state(struct ipc_link *link, unsigned state);

/* Wipe what the last sent frame left in memory: it held a password. */
void ipc_wipe_sent(struct ipc_link *link);

/* The program at the other end, as hikyakud named it. */
struct str ipc_link_peer(const struct ipc_link *link);

/* ---- both ---- */

void *ipc_link_ctx(const struct ipc_link *link);

/* Close and forget: pending calls end with ERR_TEMP; *link becomes NULL. */
void ipc_link_free(struct ipc_link **link);

/* Stop and go on reading (back-pressure). */
void ipc_link_pause(struct ipc_link *link, bool is_paused);

/* ---- writing ---- */

/* Begin a request, note or push. One frame is written at a time a link. */
struct ipc_out *ipc_begin(struct ipc_link *link, unsigned type);

void ipc_put_u64(struct ipc_out *out, uint64_t value);
void ipc_put_i64(struct ipc_out *out, int64_t value);
void ipc_put_bool(struct ipc_out *out, bool value);
void ipc_put_str(struct ipc_out *out, struct str s);

/* Octets of fields that still fit. */
size_t ipc_room(const struct ipc_out *out);

/*
 * Send a request; done is called exactly once, never from inside this call.
 * fd (-1: none) is duplicated by the kernel and stays the caller's. Returns a
 * call id for ipc_cancel(). A frame that outgrew its limit ends with ERR_LIMIT.
 */
uint32_t ipc_call(struct ipc_out *out, int fd, uint64_t deadline_ms,
    ipc_done *done, void *ctx);

/* done will not be called; harmless for an id that is over. */
void ipc_cancel(struct ipc_link *link, uint32_t id);

/* Send a note or a push. ERR_TEMP when there is no peer or no room. */
int ipc_send(struct ipc_out *out, int fd);

/*
 * Send a request and wait. On 0 *in_r holds the reply until ipc_in_free().
 * Other calls' replies that come meanwhile are delivered.
 */
int ipc_call_wait(struct ipc_out *out, int fd, uint64_t deadline_ms,
    struct ipc_in **in_r, struct err *err);
void ipc_in_free(struct ipc_in **in);

/* The link a request came by. NULL when the peer is gone. */
struct ipc_link *ipc_req_link(const struct ipc_req *req);

/* Answer. A request is answered once; req is gone afterwards. */
struct ipc_out *ipc_reply_begin(struct ipc_req *req);
void ipc_reply_end(struct ipc_out *out, int fd);
void ipc_reply_err(struct ipc_req *req, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- reading: in the order of the signature ---- */

uint64_t ipc_get_u64(struct ipc_in *in);
int64_t ipc_get_i64(struct ipc_in *in);
bool ipc_get_bool(struct ipc_in *in);
struct str ipc_get_str(struct ipc_in *in);

/* True while another repetition of the last group follows. */
bool ipc_more(const struct ipc_in *in);

/* Read again from the first field. */
void ipc_rewind(struct ipc_in *in);

/* The frame's descriptor, which becomes the caller's; -1 when none is left. */
int ipc_take_fd(struct ipc_in *in);

/* Text that came with an error reply, for the log. Valid inside ipc_done. */
struct str ipc_last_error(const struct ipc_link *link);

/* ---- for tests, documentation and the fuzz targets ---- */

/* Check a whole frame's fields against a signature: 0 or ERR_SYNTAX. */
int ipc_check_fields(const char *signature, struct str fields);

/* A connected pair of sockets of the kind links use. */
int ipc_pair(int fds_r[2], struct err *err);

#endif
