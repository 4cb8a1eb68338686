/* SPDX-License-Identifier: ISC */
/* sender: senders of mail that is sent on, there and back (mailauth/srs.h). */
#include "base/rand.h"
#include "base/when.h"
#include "directory/directory_int.h"
#include "mail/address.h"
#include "mailauth/srs.h"

#define DAY_S 86400
/* An old key counts until the next but one is made: longer than SRS_DAYS. */
#define KEY_DAYS 90

/* ---- keys ---- */

static int
load(struct directory *dir, struct err *err)
{
	struct db_query *q = db_query(dir->db, SENDER_KEY_LIST);
	struct sender_key *key;
	bool is_corrupt = false;
	struct str secret;
	int rc;

	dir->sender_keys_len = 0;
	db_bind_u64(q, 2, SENDER_KEYS_MAX);
	while (dir->sender_keys_len < SENDER_KEYS_MAX && db_next(q)) {
		key = &dir->sender_keys[dir->sender_keys_len];
		key->made_s = db_col_i64(q, 0);
		secret = db_col_blob(q, 1);
		is_corrupt = secret.len != SENDER_KEY_OCTETS;
		if (is_corrupt)
			break;
		memcpy(key->secret, secret.p, SENDER_KEY_OCTETS);
		dir->sender_keys_len++;
	}
	rc = db_end(&q, err);
	return is_corrupt ? err_set(err, ERR_CORRUPT,
	    "a key of another length") : rc;
}

static int
add_key(struct directory *dir, struct err *err)
{
	char secret[SENDER_KEY_OCTETS];
	struct db_query *q;
	int rc;

	rand_bytes(secret, sizeof(secret));
	q = db_query(dir->db, SENDER_KEY_ADD);
	db_bind_i64(q, 2, when_wall_s());
	db_bind_blob(q, 3, str_make(secret, sizeof(secret)));
	rc = db_run(&q, err);
	explicit_bzero(secret, sizeof(secret));
	if (rc != 0)
		return rc;
	q = db_query(dir->db, SENDER_KEY_PRUNE);
	db_bind_u64(q, 2, SENDER_KEYS_MAX);
	return db_run(&q, err);
}

/* On disk before anything is signed with it. */
static int
new_key(struct directory *dir, struct err *err)
{
	int rc = directory_begin(dir, STR("directoryd"), err);

	if (rc != 0)
		return rc;
	rc = add_key(dir, err);
	if (rc != 0) {
		directory_rollback(dir);
		return rc;
	}
	rc = directory_commit(dir, err);
	return rc != 0 ? rc : load(dir, err);
}

int
directory_sender_load(struct directory *dir, struct err *err)
{
	int rc = load(dir, err);

	return rc != 0 || dir->sender_keys_len != 0 ? rc :
	    new_key(dir, err);
}

/* An old key goes on signing when no new one can be written. */
static void
renew(struct directory *dir)
{
	if (when_wall_s() - dir->sender_keys[0].made_s >
	    KEY_DAYS * (int64_t)DAY_S)
		(void)new_key(dir, NULL);
}

struct keys {
	struct str secrets[SENDER_KEYS_MAX];
	struct srs_keys srs;
};

static void
get_keys(const struct directory *dir, struct keys *keys_r)
{
	size_t i;

	for (i = 0; i < dir->sender_keys_len; i++)
		keys_r->secrets[i] = str_make(dir->sender_keys[i].secret,
		    SENDER_KEY_OCTETS);
	keys_r->srs.keys = keys_r->secrets;
	keys_r->srs.count = dir->sender_keys_len;
}

/* ---- there and back ---- */

static bool
is_ours(struct directory *dir, struct str domain, struct arena *arena)
{
	struct directory_domain ours;

	return directory_domain_lookup(dir, domain, arena, &ours, NULL) == 0;
}

/* local@domain as text; ERR_LIMIT over what a path holds. */
static int
put_address(struct arena *arena, struct str local, struct str domain,
    struct str *text_r, struct err *err)
{
	struct address address = { .local = local, .domain = domain };
	struct buf buf;
	int rc = 0;

	buf_init(&buf, ADDRESS_MAX);
	address_put(&buf, &address);
	if (buf_failed(&buf))
		rc = err_set(err, ERR_LIMIT, "an address of over %u octets",
		    ADDRESS_MAX);
	else
		*text_r = arena_str(arena, buf_str(&buf));
	buf_fini(&buf);
	return rc;
}

int
directory_sender_for(struct directory *dir, struct str via,
    struct str sender, struct arena *arena, struct str *sender_r,
    struct err *err)
{
	struct str domain, local;
	struct address from;
	struct keys keys;
	int rc;

	*sender_r = sender;
	(void)directory_local_of(via, &domain);
	if (sender.len == 0 || address_parse(arena, sender, ADDRESS_UTF8 |
	    ADDRESS_DOTS, &from, NULL) != 0 || domain.p == NULL ||
	    !is_ours(dir, domain, arena) || is_ours(dir, from.domain, arena))
		return 0;
	renew(dir);
	get_keys(dir, &keys);
	rc = srs_forward(arena, &keys.srs, from.local, from.domain,
	    when_wall_s(), &local, err);
	return rc != 0 ? rc : put_address(arena, local, domain, sender_r,
	    err);
}

int
directory_sender_of(struct directory *dir, struct str address,
    struct arena *arena, struct str *sender_r)
{
	struct str local, domain;
	struct address to;
	struct keys keys;

	if (address_parse(arena, address, ADDRESS_UTF8 | ADDRESS_DOTS, &to,
	    NULL) != 0)
		return ERR_NOTFOUND;
	get_keys(dir, &keys);
	if (srs_reverse(arena, &keys.srs, to.local, when_wall_s(), &local,
	    &domain, NULL) != 0)
		return ERR_NOTFOUND;
	return put_address(arena, local, domain, sender_r, NULL);
}
