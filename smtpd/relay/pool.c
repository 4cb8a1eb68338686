/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/pool.h"

#include "base/buf.h"
#include "base/list.h"

struct seat {
	struct list node;
	struct pool *pool;
	struct client *client;
	struct buf key;
	struct loop_timer timer;
};

struct pool {
	struct relay *relay;
	struct list seats;
	size_t len;
};

/* All that two jobs must agree on to share a connection. */
static void
put_key(struct buf *key, const struct hop *hop)
{
	char remote[HOP_TEXT_SIZE];
	struct str other = hop->other_name;
	size_t i;

	hop_text(hop, remote);
	buf_addf(key, "%s %d %d %d %s %.*s %s", remote, hop->tls,
	    hop->is_implicit, hop->is_name_trusted, hop->policy,
	    STR_FMT(other), hop->user != NULL ? hop->user : "");
	for (i = 0; i < hop->tlsa_len; i++) {
		buf_addf(key, " %u%u%u", hop->tlsa[i].usage,
		    hop->tlsa[i].selector, hop->tlsa[i].type);
		buf_add_hex(key, hop->tlsa[i].data.p, hop->tlsa[i].data.len);
	}
}

static void
seat_free(struct seat *seat)
{
	list_del(&seat->node);
	seat->pool->len--;
	loop_timer_fini(&seat->timer);
	buf_fini(&seat->key);
	client_free(&seat->client);
	free(seat);
}

static void
on_idle(void *ctx)
{
	seat_free(ctx);
}

static void
on_ready(void *ctx)
{
	(void)ctx;
}

static void
on_failed(void *ctx, enum client_end end, const struct verdict *verdict)
{
	(void)end;
	(void)verdict;
	seat_free(ctx);
}

static const struct client_ops idle_ops = {
	.ready = on_ready, .failed = on_failed,
};

struct client *
pool_take(struct pool *pool, const struct hop *hop,
    const struct client_ops *ops, void *ctx)
{
	struct client *client = NULL;
	struct seat *seat, *tmp;
	struct buf key;

	buf_init(&key, 1 << 20);
	put_key(&key, hop);
	list_each(seat, tmp, &pool->seats, struct seat, node) {
		if (!str_eq(buf_str(&seat->key), buf_str(&key)))
			continue;
		client = seat->client;
		seat->client = NULL;
		seat_free(seat);
		client_take(client, ops, ctx);
		break;
	}
	buf_fini(&key);
	return client;
}

void
pool_put(struct pool *pool, struct client **client)
{
	uint64_t max = client_caps(*client)->mail_max;
	struct seat *seat;

	if (!client_is_good(*client) || pool->len == POOL_MAX ||
	    pool->relay->is_stopping ||
	    client_uses(*client) >= POOL_USES_MAX ||
	    (max != 0 && client_uses(*client) >= max)) {
		client_free(client);
		return;
	}
	seat = calloc(1, sizeof(*seat));
	invariant(seat != NULL);
	seat->pool = pool;
	seat->client = *client;
	*client = NULL;
	buf_init(&seat->key, 1 << 20);
	put_key(&seat->key, client_hop(seat->client));
	client_take(seat->client, &idle_ops, seat);
	loop_timer_init(&seat->timer, pool->relay->loop, on_idle, seat);
	loop_timer_start(&seat->timer, pool->relay->timeouts.idle);
	list_add(&pool->seats, &seat->node);
	pool->len++;
}

struct pool *
pool_new(struct relay *relay)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	invariant(pool != NULL);
	pool->relay = relay;
	list_init(&pool->seats);
	return pool;
}

void
pool_free(struct pool **pool)
{
	struct seat *seat, *tmp;

	if (*pool == NULL)
		return;
	list_each(seat, tmp, &(*pool)->seats, struct seat, node)
		seat_free(seat);
	free(*pool);
	*pool = NULL;
}
