/* SPDX-License-Identifier: ISC */
/*
 * engine: what a protocol engine (imapd/engine, pop3d/engine) and the account
 * process know of each other. mboxd links the engines through the one table
 * at the end of this header; engines see the world through the host alone.
 *
 * Story. A front hands a logged-in session to mboxd; the account process makes
 * a host around its octet stream and calls open(). Whenever something may have
 * changed (input came, output drained, a blob request ended, the account was
 * changed by another session or a delivery) it calls step() again and again
 * until that returns ENGINE_DONE. A step does at most about 20 ms of work or
 * 256 KiB of output and returns ENGINE_MORE when it could go on, so that the
 * sessions of one account take turns. Before a UID, MODSEQ or EXISTS is put
 * into the output the store must be durable (store_is_durable()); a host does
 * not send output while it is not, so an engine need not care beyond calling
 * store_sync() where it wants to answer a change at once.
 *
 * Parking. While engine_set_idle(host, true) holds, the host may call park():
 * the engine writes all it needs to go on into `state` (at most
 * ENGINE_STATE_MAX octets, first a version byte) and changes nothing. Then it
 * is freed, and a later open() gets the state back; or the client turns out to
 * have spoken meanwhile, and it is stepped as if nothing had been. What comes
 * back has been MACed by the broker, but its content is still checked like
 * hostile input.
 *
 * Lifetime.   open() -> step()* -> free(); end() at most once before free().
 * Ownership.  The host owns input, output and store; views of the input live
 *             until the next engine_consume() or the return of step().
 * Units.      Octets.
 * Errors.     A step never fails: the engine answers its client (NO, BAD,
 *             -ERR) or ends the session (ENGINE_END).
 * Blocking.   SQLite and local files only, never the network, never another
 *             process (blob requests are asynchronous).
 * Process.    mboxd's account process.
 */
#ifndef MBOXD_ENGINE_H
#define MBOXD_ENGINE_H

#include "base/buf.h"
#include "store/store.h"

#define ENGINE_STATE_MAX 4096
#define ENGINE_SLICE_OCTETS (256U << 10)
#define ENGINE_SLICE_MS 20

enum engine_step {
	ENGINE_DONE,	/* nothing to do until something happens */
	ENGINE_MORE,	/* more could be done now: let others go first */
	ENGINE_WAIT,	/* a blob request is under way (or output is full) */
	ENGINE_END,	/* over: send the output, then close */
};

struct engine_host;
struct engine_session;

struct engine_user {
	uint64_t account;
	uint64_t quota_octets;		/* 0: none */
	uint64_t message_max_octets;
	struct str name;		/* who logged in */
	struct str remote;		/* client's address */
	struct str hostname;		/* this server's */
	bool has_tls;
	uint64_t pop3_expire_days;	/* UINT64_MAX: never */
	uint64_t pop3_login_delay_s;
};

/* ---- what an engine asks of its host ---- */

const struct engine_user *engine_user(struct engine_host *host);
struct store *engine_store(struct engine_host *host);

/* Unread octets of the client. */
struct str engine_input(struct engine_host *host);
void engine_consume(struct engine_host *host, size_t len);

/* Where replies are appended. Stop when engine_is_full(), return
 * ENGINE_MORE (slice used up) or ENGINE_WAIT (client does not read). */
struct buf *engine_output(struct engine_host *host);
bool engine_is_full(struct engine_host *host);

/* True when the step has used its slice of time or output. */
bool engine_slice_over(struct engine_host *host);

/*
 * The session has changed something in the store, committed: the other
 * sessions of the account are stepped and the broker is told.
 */
void engine_changed(struct engine_host *host);

/* Between commands or in IDLE: may be parked, and for how long it has been
 * idle is counted from here. Set false when a command begins. */
void engine_set_idle(struct engine_host *host, bool is_idle);

/*
 * The client has asked for COMPRESS: after all output so far the front says
 * answer and compresses from there on. Nothing may be put into the output
 * before the next input.
 */
void engine_compress(struct engine_host *host, struct str answer);

/*
 * Writing one blob at a time (APPEND): engine_blob_open(), when its state is
 * OPEN write and count, engine_blob_seal(), when SEALED store_reserve() and
 * engine_blob_link(), when LINKED (flushed) store_add(); engine_blob_close() at
 * any time forgets the blob (links stay). While OPENING, SEALING or LINKING
 * step() returns ENGINE_WAIT.
 */
enum engine_blob {
	ENGINE_BLOB_NONE,
	ENGINE_BLOB_OPENING,
	ENGINE_BLOB_OPEN,
	ENGINE_BLOB_SEALING,
	ENGINE_BLOB_SEALED,
	ENGINE_BLOB_LINKING,
	ENGINE_BLOB_LINKED,
	ENGINE_BLOB_FAILED,	/* engine_blob_error(): ERR_LIMIT: disk full */
};

enum engine_blob engine_blob_state(struct engine_host *host);
int engine_blob_error(struct engine_host *host);
void engine_blob_open(struct engine_host *host, uint64_t size_hint);

/* ERR_LIMIT: the disk is full; ERR_TEMP. The blob is FAILED then. */
int engine_blob_write(struct engine_host *host, struct str data);
void engine_blob_seal(struct engine_host *host);

/* Valid while SEALED or later. */
uint64_t engine_blob_size(struct engine_host *host);
const unsigned char *engine_blob_sha256(struct engine_host *host);
void engine_blob_link(struct engine_host *host, uint64_t message);
void engine_blob_close(struct engine_host *host);

/*
 * Many blobs in a row (MULTIAPPEND). engine_blob_expect(): another one will be
 * opened soon, have a file ready. engine_blob_put_aside() takes an OPEN blob
 * that has been written: it is sealed and linked without waiting or flushing,
 * and the state is NONE again. engine_blob_asides() is LINKING while that is
 * under way for any of them, then LINKED, or FAILED if one failed.
 * engine_blob_aside() tells of each, in order, once they are LINKED; then
 * engine_blob_flush() flushes them all (0 or ERR_TEMP). It and
 * engine_blob_forget() forget them.
 */
struct engine_aside {
	uint64_t size_octets;
	unsigned char sha256[32];
};

void engine_blob_expect(struct engine_host *host);
void engine_blob_put_aside(struct engine_host *host, uint64_t message);
enum engine_blob engine_blob_asides(struct engine_host *host);
const struct engine_aside *engine_blob_aside(struct engine_host *host,
    size_t i);
int engine_blob_flush(struct engine_host *host);
void engine_blob_forget(struct engine_host *host);

/* A line in the structured log with session, user and remote. */
struct ev;
struct ev *engine_ev(struct engine_host *host);

/* ---- what a host asks of an engine ---- */

struct engine {
	const char *protocol;		/* "imap", "pop3" */

	/* Begin; state is empty, or what park() wrote. NULL and err when the
	 * state is not good. The greeting was sent by the front at login:
	 * nothing is sent here but what a resumed session has missed. */
	struct engine_session *(*open)(struct engine_host *host,
	    struct str state, struct err *err);

	enum engine_step (*step)(struct engine_session *session);

	/* Export, without a change; false: cannot be parked now. NULL: never. */
	bool (*park)(struct engine_session *session, struct buf *state);

	/* The server ends the session: say so (BYE). No step() follows. */
	void (*end)(struct engine_session *session, struct str reason);

	void (*free)(struct engine_session **session);
};

extern const struct engine imap_engine;		/* imapd/engine */
extern const struct engine pop3_engine;		/* pop3d/engine */

/* ---- for the engines' own unit tests ---- */

/* mboxd/engine_test.h has a host on buffers and local files. */

#endif
