/* SPDX-License-Identifier: ISC */
/*
 * remote: destinations elsewhere, and the relay processes that send to them.
 *
 * Story. A job is one message for recipients of one domain. A destination
 * takes so many jobs at a time (it begins with 5; each success allows one
 * more, up to 20; one that asks for less gets less). A job it has no room for
 * is not kept: its item's number waits in the destination's line and the
 * item is woken when there is room, so that memory does not grow with the
 * messages and a slow destination never takes the place of others. A
 * destination that could not be reached is left alone for a while: items for
 * it hear so at once, and one job tries it again.
 *
 * A relay says how many jobs it can take. When it ends, its jobs end without
 * a result and their recipients are tried again.
 *
 * With a smart host all domains without a route of their own are one
 * destination.
 *
 * Lifetime.   remote_new() -> remote_client()*, remote_send()* ->
 *             remote_stop(). A job belongs to its maker; remote holds it from
 *             REMOTE_TAKEN to on_done.
 * Units.      Wall-clock seconds.
 * Blocking.   Never.
 * RFC.        5321 section 4.5.4.1.
 */
#ifndef QUEUE_REMOTE_H
#define QUEUE_REMOTE_H

#include "ipc/links.h"
#include "ipc/values.h"
#include "smtpd/queue/store.h"

/* Of all destinations: local mail has the rest of the items at work. */
#define REMOTE_JOBS_MAX 500

struct remote;
struct remote_job;

struct remote_result {
	uint32_t n;		/* queue_rcpt.n */
	enum relay_result result;
	bool has_dsn;
	struct str status;
	struct str reason;
	struct str remote;
};

struct remote_job {
	/* the maker's */
	const struct queue_item *item;
	struct str sender;		/* in place of the item's */
	struct str trace;
	struct str domain;
	struct str grant;		/* that it may be signed, or empty */
	int blob_fd;			/* borrowed */
	size_t rcpts_len;
	const struct queue_rcpt **rcpts;
	void (*on_result)(struct remote_job *job,
	    const struct remote_result *result);
	/* The last call. What has no result is to be tried again; was_sent
	 * false: no relay has seen it. */
	void (*on_done)(struct remote_job *job, bool was_sent);
	void *ctx;
	/* remote's */
	struct list node;
	uint64_t id;
	struct destination *to;
	struct relay *relay;
};

enum remote_answer {
	REMOTE_TAKEN,		/* on_done will be called, later */
	REMOTE_WAITS,		/* the item will be woken */
	REMOTE_DEAD,		/* not before *until_r, and why */
};

struct remote *remote_new(struct loop *loop,
    void (*wake)(void *ctx, uint64_t id), void *ctx);

struct remote_settings {
	uint64_t retry_first_s;
	uint64_t retry_last_s;
	bool has_smart_host;
};

/* What the configuration says now; routes are to be told again. */
void remote_config(struct remote *remote,
    const struct remote_settings *settings);

/* A domain that does not go by the smart host. */
void remote_route(struct remote *remote, struct str domain);

/* A relay came. */
void remote_client(struct remote *remote, struct str peer, int fd);

enum remote_answer remote_send(struct remote *remote, struct remote_job *job,
    int64_t *until_r, struct str *why_r);

/* Try what could not be reached at once (an operator's flush). */
void remote_forgive(struct remote *remote);

/* End jobs that no relay has; take no more. */
void remote_stop(struct remote *remote);

/* Not from a callback. Jobs must have ended. */
void remote_free(struct remote **remote);

#endif
