/* SPDX-License-Identifier: ISC */
#include "keyd/dkim.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/when.h"

#define DELAY_MAX_S (365 * 86400)
#define DIGEST_OCTETS 32U
#define NAMES_TRIED_MAX 100U

/* ---- the file ---- */

/* A file that was just made is there for good. */
static int
flush_folder(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd == -1 || fsync(fd) == -1)
		rc = err_set_errno(err, ERR_TEMP, "flush %s", path);
	if (fd != -1)
		(void)close(fd);
	return rc;
}

int
dkim_open(struct child *child, struct err *err)
{
	struct dkim_keys *keys = child->ctx;
	const char *dir = child_dir(child, "data/keys");
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/dkim.ring", dir) >=
	    (int)sizeof(path))
		return err_set(err, ERR_LIMIT, "path too long");
	fd = open(path, O_RDWR | O_CREAT | O_DSYNC | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd == -1)
		return err_set_errno(err, ERR_TEMP, "open %s", path);
	if (flush_folder(dir, err) != 0) {
		(void)close(fd);
		return ERR_TEMP;
	}
	keys->ring = ring_load(fd, err);
	return keys->ring != NULL ? 0 : err->code;
}

int
dkim_start(struct child *child, struct err *err)
{
	struct dkim_keys *keys = child->ctx;

	(void)err;
	if (ring_has_tail(keys->ring))
		ev_warn(NULL, "dkim.ring.torn");
	if (ring_is_damaged(keys->ring))
		child_alert(child, "data/keys/dkim.ring is damaged: keys "
		    "before the damage sign, new ones cannot be made");
	return 0;
}

/* ---- making and listing ---- */

/* "20240131", then "20240131b", ...: nothing that an operator must invent. */
static void
date_selector(const struct dkim_keys *keys, struct str domain,
    enum dkim_algorithm algorithm, int64_t now_s, char *text_r, size_t size)
{
	struct list *have = ring_keys(keys->ring, domain);
	time_t now = (time_t)now_s;
	struct ring_key *key, *tmp;
	char date[16], more[8] = "";
	bool is_taken = true;
	struct tm tm;
	unsigned n;

	(void)gmtime_r(&now, &tm);
	(void)strftime(date, sizeof(date), "%Y%m%d", &tm);
	for (n = 0; is_taken && n < NAMES_TRIED_MAX; n++) {
		if (n > 0)
			(void)snprintf(more, sizeof(more), "-%u", n + 1);
		(void)snprintf(text_r, size, "%s%s%s", date,
		    algorithm == DKIM_ED25519_SHA256 ? "e" : "r", more);
		is_taken = false;
		if (have == NULL)
			return;
		list_each(key, tmp, have, struct ring_key, node)
			is_taken |= str_eq(key->selector, str_of(text_r));
	}
}

void
dkim_on_secret(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in)
{
	struct dkim_keys *keys = child_link_ctx(link);
	struct str secret = ipc_get_str(in);

	(void)req;
	if (secret.len != sizeof(keys->secret))
		return;
	memcpy(keys->secret, secret.p, secret.len);
	keys->has_secret = true;
}

void
dkim_on_create(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in)
{
	struct dkim_keys *keys = child_link_ctx(link);
	struct str domain = ipc_get_str(in), selector = ipc_get_str(in);
	uint64_t algorithm = ipc_get_u64(in), delay_s = ipc_get_u64(in);
	int64_t now_s = when_wall_s();
	const struct ring_key *key;
	struct err err = ERR_INIT;
	char name[32];
	int rc;

	if (algorithm >= DKIM_ALGORITHM_COUNT || delay_s > DELAY_MAX_S) {
		ipc_reply_err(req, ERR_SYNTAX, "no such algorithm or delay");
		return;
	}
	if (selector.len == 0) {
		date_selector(keys, domain, (enum dkim_algorithm)algorithm,
		    now_s, name, sizeof(name));
		selector = str_of(name);
	}
	rc = ring_add(keys->ring, domain, selector,
	    (enum dkim_algorithm)algorithm, now_s, now_s + (int64_t)delay_s,
	    &key, &err);
	if (rc != 0) {
		ipc_reply_err(req, rc, "%s", err_text(&err));
		return;
	}
	ev_info(NULL, "dkim.key.made", EV_STR(domain, domain),
	    EV_STR(selector, selector));
	ipc_reply_end(ipc_reply_begin(req), -1);
}

static void
put_key(struct ipc_out *out, const struct dkim_keys *keys,
    struct ring_key *key, int64_t now_s, int64_t until_s)
{
	EVP_PKEY *pkey = ring_pkey(key);
	struct buf record;

	buf_init(&record, 4096);
	if (pkey == NULL || dkim_key_put_record(pkey, &record, NULL) != 0)
		buf_reset(&record);
	ipc_put_str(out, key->selector);
	ipc_put_u64(out, key->algorithm);
	ipc_put_u64(out, (uint64_t)key->made_s);
	ipc_put_u64(out, (uint64_t)key->active_s);
	ipc_put_u64(out, (uint64_t)until_s);
	ipc_put_bool(out, ring_signing(keys->ring, key->domain,
	    key->algorithm, now_s) == key);
	ipc_put_str(out, buf_str(&record));
	buf_fini(&record);
}

void
dkim_on_list(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct dkim_keys *keys = child_link_ctx(link);
	struct list *list = ring_keys(keys->ring, ipc_get_str(in));
	struct ipc_out *out = ipc_reply_begin(req);
	int64_t until_s, now_s = when_wall_s();
	struct ring_key *key, *tmp;

	if (list != NULL)
		list_each(key, tmp, list, struct ring_key, node) {
			until_s = ring_until(keys->ring, key);
			if (until_s == 0 || until_s > now_s)
				put_key(out, keys, key, now_s, until_s);
		}
	ipc_reply_end(out, -1);
}

/* ---- signing ---- */

/* Nobody signs without queued's word; false: answered. */
static bool
read_grant(const struct dkim_keys *keys, struct ipc_req *req,
    struct str octets, struct grant *grant_r)
{
	struct err err = ERR_INIT;

	if (!keys->has_secret) {
		ipc_reply_err(req, ERR_TEMP, "queued has told nothing yet");
		return false;
	}
	if (grant_read(octets, keys->secret, when_wall_s(), grant_r, &err) !=
	    0 || (grant_r->purpose != GRANT_DKIM &&
	    grant_r->purpose != GRANT_ARC)) {
		ipc_reply_err(req, ERR_DENIED, "%s", err_text(&err));
		return false;
	}
	return true;
}

void
dkim_on_find(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct dkim_keys *keys = child_link_ctx(link);
	const struct ring_key *key;
	struct grant grant;
	struct ipc_out *out;
	unsigned i;

	if (!read_grant(keys, req, ipc_get_str(in), &grant))
		return;
	out = ipc_reply_begin(req);
	ipc_put_str(out, grant.domain);
	for (i = 0; i < DKIM_ALGORITHM_COUNT; i++) {
		key = ring_signing(keys->ring, grant.domain,
		    (enum dkim_algorithm)i, when_wall_s());
		if (key == NULL)
			continue;
		ipc_put_str(out, key->selector);
		ipc_put_u64(out, key->algorithm);
	}
	ipc_reply_end(out, -1);
}

void
dkim_on_sign(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct dkim_keys *keys = child_link_ctx(link);
	struct str octets = ipc_get_str(in), selector = ipc_get_str(in);
	uint64_t algorithm = ipc_get_u64(in);
	struct str digest = ipc_get_str(in);
	struct ring_key *key = NULL;
	struct err err = ERR_INIT;
	struct buf signature;
	struct grant grant;
	struct ipc_out *out;

	if (!read_grant(keys, req, octets, &grant))
		return;
	if (algorithm < DKIM_ALGORITHM_COUNT)
		key = ring_signing(keys->ring, grant.domain,
		    (enum dkim_algorithm)algorithm, when_wall_s());
	/* Another one since the relay asked: it asks again. */
	if (key == NULL || !str_eq(key->selector, selector) ||
	    digest.len != DIGEST_OCTETS) {
		ipc_reply_err(req, ERR_NOTFOUND, "that key does not sign");
		return;
	}
	buf_init(&signature, 4096);
	if (ring_pkey(key) == NULL || dkim_key_sign(key->pkey,
	    (const unsigned char *)digest.p, &signature, &err) != 0) {
		ipc_reply_err(req, ERR_CORRUPT, "the key is unusable");
	} else {
		out = ipc_reply_begin(req);
		ipc_put_str(out, buf_str(&signature));
		ipc_reply_end(out, -1);
	}
	buf_fini(&signature);
}
