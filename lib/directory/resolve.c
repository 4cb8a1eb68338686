/* SPDX-License-Identifier: ISC */
/* resolve: what an address means. */
#include "directory/directory_int.h"
#include "mail/address.h"

/* ---- canonical form ---- */

static void
lower(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = ascii_lower(p[i]);
}

static int
canon_of(struct arena *arena, struct str address, unsigned flags,
    bool keeps_case, struct str *canon_r, struct err *err)
{
	struct address parsed;
	struct buf buf;
	char *copy;
	int rc;

	rc = address_parse(arena, address, ADDRESS_BARE_LOCAL | ADDRESS_DOTS |
	    flags, &parsed, NULL);
	if (rc != 0)
		return err_set(err, ERR_SYNTAX, "not an address: %.*s",
		    STR_FMT(address));
	copy = arena_cstr(arena, parsed.local);
	if (!keeps_case)
		lower(copy, parsed.local.len);
	parsed.local = str_make(copy, parsed.local.len);
	buf_init(&buf, 1024);
	address_put(&buf, &parsed);
	*canon_r = arena_str(arena, buf_str(&buf));
	buf_fini(&buf);
	return 0;
}

int
directory_canon(struct arena *arena, struct str address,
    struct str *canon_r, struct err *err)
{
	return canon_of(arena, address, 0, false, canon_r, err);
}

int
directory_canon_recipient(struct arena *arena, struct str address,
    struct str *canon_r, struct err *err)
{
	return canon_of(arena, address, ADDRESS_UTF8, false, canon_r, err);
}

/* ---- pairs ---- */

int
directory_pair_add(struct directory *dir, enum directory_pair kind,
    struct str owner, struct str target, bool keeps_copy, struct err *err)
{
	struct db_query *q = db_query(dir->db, PAIR_ADD);
	int rc;

	db_bind_u64(q, 2, (uint64_t)kind);
	db_bind_str(q, 3, owner);
	db_bind_str(q, 4, target);
	db_bind_u64(q, 5, keeps_copy);
	rc = db_run(&q, NULL);
	if (rc == ERR_EXISTS)
		err_set(err, rc, "%.*s -> %.*s exists", STR_FMT(owner),
		    STR_FMT(target));
	else if (rc != 0)
		err_set(err, rc, "not written");
	return rc;
}

int
directory_pair_delete(struct directory *dir, enum directory_pair kind,
    struct str owner, struct str target, struct err *err)
{
	struct db_query *q = db_query(dir->db, target.len != 0 ?
	    PAIR_DELETE : PAIR_DELETE_ALL);
	int rc;

	db_bind_u64(q, 2, (uint64_t)kind);
	db_bind_str(q, 3, owner);
	if (target.len != 0)
		db_bind_str(q, 4, target);
	rc = db_run(&q, err);
	if (rc == 0 && db_changes(dir->db) == 0)
		rc = err_set(err, ERR_NOTFOUND, "%.*s has none such",
		    STR_FMT(owner));
	return rc;
}

static void
pair_read(struct db_query *q, struct arena *arena,
    struct directory_pair_row *row)
{
	row->owner = arena_str(arena, db_col_str(q, 0));
	row->target = arena_str(arena, db_col_str(q, 1));
	row->keeps_copy = db_col_bool(q, 2);
}

int
directory_pair_list(struct directory *dir, enum directory_pair kind,
    struct str owner, const struct directory_pair_row *after, size_t max,
    struct arena *arena, struct directory_pair_row *rows, size_t *count_r,
    struct err *err)
{
	struct db_query *q = db_query(dir->db, owner.len != 0 ? PAIR_OF :
	    PAIR_LIST);
	struct str from = after != NULL ? after->target : STR("");
	size_t n = 0;

	db_bind_u64(q, 2, (uint64_t)kind);
	db_bind_str(q, 3, owner.len != 0 ? owner : after != NULL ?
	    after->owner : STR(""));
	db_bind_str(q, 4, from);
	db_bind_u64(q, 5, max);
	while (n < max && db_next(q))
		pair_read(q, arena, &rows[n++]);
	*count_r = n;
	return db_end(&q, err);
}

static int
pair_has(struct directory *dir, enum directory_pair kind, struct str owner,
    struct str target, bool *has_r, struct err *err)
{
	struct db_query *q = db_query(dir->db, PAIR_HAS);

	db_bind_u64(q, 2, (uint64_t)kind);
	db_bind_str(q, 3, owner);
	db_bind_str(q, 4, target);
	*has_r = db_next(q);
	return db_end(&q, err);
}

/* ---- walking ---- */

struct walk {
	struct directory *dir;
	struct arena *arena;
	struct directory_leaf *leaves;
	size_t len;
	size_t cap;
	struct table *seen;	/* addresses already walked */
	size_t lookups;
	struct err *err;
};

#define PAIRS_PAGE 16

static int walk_address(struct walk *w, struct str address, int depth);

static void
leaf_add(struct walk *w, enum directory_leaf_kind kind, struct str address,
    const struct directory_account *a)
{
	struct directory_leaf *leaf;
	struct directory_leaf *more;

	if (w->len == DIRECTORY_LEAVES_MAX)
		return;
	if (w->len == w->cap) {
		w->cap = w->cap != 0 ? w->cap * 2 : 4;
		more = arena_alloc(w->arena, w->cap * sizeof(*more));
		if (w->len != 0)
			memcpy(more, w->leaves, w->len * sizeof(*more));
		w->leaves = more;
	}
	leaf = &w->leaves[w->len++];
	*leaf = (struct directory_leaf){ .kind = kind, .address = address };
	if (a == NULL)
		return;
	leaf->account = a->id;
	leaf->quota_octets = a->quota_octets;
	leaf->used_octets = a->used_octets;
}

static int
walk_pairs(struct walk *w, enum directory_pair kind, struct str owner,
    int depth, bool *has_any, bool *keeps_copy)
{
	struct directory_pair_row rows[PAIRS_PAGE], after;
	size_t n, i;
	int rc;

	*has_any = false;
	*keeps_copy = false;
	after.target = STR("");
	do {
		rc = directory_pair_list(w->dir, kind, owner, &after,
		    PAIRS_PAGE, w->arena, rows, &n, w->err);
		*has_any |= n != 0;
		for (i = 0; rc == 0 && i < n; i++) {
			after = rows[i];
			*keeps_copy |= rows[i].keeps_copy;
			rc = walk_address(w, rows[i].target, depth + 1);
		}
	} while (rc == 0 && n == PAIRS_PAGE);
	return rc;
}

static int
walk_account(struct walk *w, const struct directory_account *a, int depth)
{
	bool has_forwards, keeps_copy;
	int rc;

	if (!a->is_enabled) {
		leaf_add(w, DIRECTORY_LEAF_DISABLED, a->address, a);
		return 0;
	}
	rc = walk_pairs(w, DIRECTORY_FORWARD, a->address, depth,
	    &has_forwards, &keeps_copy);
	if (rc == 0 && (!has_forwards || keeps_copy))
		leaf_add(w, DIRECTORY_LEAF_ACCOUNT, a->address, a);
	return rc;
}

/* postmaster@ and abuse@ lead to the domain's administrators (RFC 2142). */
static int
walk_role(struct walk *w, struct str local, struct str domain, int depth,
    bool *is_role)
{
	bool unused;

	*is_role = str_eq(local, STR("postmaster")) ||
	    str_eq(local, STR("abuse"));
	if (!*is_role)
		return 0;
	return walk_pairs(w, DIRECTORY_ADMIN, domain, depth, is_role,
	    &unused);
}

/* An address of a domain of ours. */
static int
walk_local(struct walk *w, struct str address, struct str local,
    struct str domain, int depth, bool *is_known)
{
	struct directory_account account;
	bool unused;
	int rc;

	*is_known = true;
	rc = directory_account_find(w->dir, address, w->arena, &account,
	    NULL);
	if (rc == 0)
		return walk_account(w, &account, depth);
	if (rc != ERR_NOTFOUND)
		return err_set(w->err, rc, "account cannot be read");
	rc = walk_pairs(w, DIRECTORY_ALIAS, address, depth, is_known,
	    &unused);
	if (rc == 0 && !*is_known)
		rc = walk_role(w, local, domain, depth, is_known);
	return rc;
}

static int
bare_postmaster(struct walk *w, struct str *domain)
{
	struct db_query *q = db_query(w->dir->db, FIRST_DOMAIN);

	if (db_next(q))
		*domain = arena_str(w->arena, db_col_str(q, 0));
	return db_end(&q, w->err);
}

static int
walk_address(struct walk *w, struct str address, int depth)
{
	struct str domain, local = directory_local_of(address, &domain);
	struct directory_domain ours;
	struct str tag, base;
	bool is_known = false;
	int rc = 0;

	if (table_put(w->seen, address, w) != NULL)
		return 0;
	if (depth > DIRECTORY_DEPTH_MAX ||
	    ++w->lookups > DIRECTORY_LEAVES_MAX) {
		leaf_add(w, DIRECTORY_LEAF_LOOP, address, NULL);
		return 0;
	}
	if (domain.p == NULL && (rc = bare_postmaster(w, &domain)) != 0)
		return rc;
	rc = directory_domain_lookup(w->dir, domain, w->arena, &ours, NULL);
	if (rc == ERR_NOTFOUND) {
		leaf_add(w, DIRECTORY_LEAF_REMOTE, address, NULL);
		return 0;
	}
	if (rc != 0)
		return err_set(w->err, rc, "domain cannot be read");
	rc = walk_local(w, address, local, domain, depth, &is_known);
	base = address_split_tag(local, &tag);
	if (rc == 0 && !is_known && tag.p != NULL) {
		base = arena_printf(w->arena, "%.*s@%.*s", STR_FMT(base),
		    STR_FMT(domain));
		return walk_address(w, base, depth + 1);
	}
	if (rc == 0 && !is_known)
		leaf_add(w, DIRECTORY_LEAF_UNKNOWN, address, NULL);
	return rc;
}

int
directory_resolve(struct directory *dir, struct str address,
    struct arena *arena, struct directory_leaf **leaves_r, size_t *count_r,
    struct err *err)
{
	struct walk w = { .dir = dir, .arena = arena, .err = err };
	struct str canon, kept;
	size_t i;
	int rc;

	*count_r = 0;
	rc = directory_canon_recipient(arena, address, &canon, err);
	if (rc != 0)
		return rc;
	w.seen = table_new();
	rc = walk_address(&w, canon, 0);
	table_free(&w.seen);
	if (rc == 0 && w.len == 1 &&
	    w.leaves[0].kind == DIRECTORY_LEAF_UNKNOWN &&
	    directory_sender_of(dir, address, arena, &kept) == 0)
		w.leaves[0] = (struct directory_leaf){
		    .kind = DIRECTORY_LEAF_RETURN, .address = kept };
	/* RFC 5321 section 2.4: what the case of a name means elsewhere is
	 * not ours to say. */
	for (i = 0; rc == 0 && i < w.len; i++)
		if (w.leaves[i].kind == DIRECTORY_LEAF_REMOTE &&
		    str_eq(w.leaves[i].address, canon) &&
		    canon_of(arena, address, ADDRESS_UTF8, true, &kept,
		    NULL) == 0)
			w.leaves[i].address = kept;
	*leaves_r = w.leaves;
	*count_r = w.len;
	return rc;
}

int
directory_domain_of(struct directory *dir, struct str address,
    struct arena *arena, struct directory_domain *domain_r, struct err *err)
{
	struct str domain;

	(void)directory_local_of(address, &domain);
	return directory_domain_lookup(dir, domain, arena, domain_r, err);
}

/* ---- send-as ---- */

static bool
leads_to(const struct directory_leaf *leaves, size_t n, uint64_t account)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (leaves[i].kind == DIRECTORY_LEAF_ACCOUNT &&
		    leaves[i].account == account)
			return true;
	return false;
}

int
directory_may_send_as(struct directory *dir, uint64_t account,
    struct str address, struct err *err)
{
	struct arena *arena = arena_new(0);
	struct directory_account self;
	struct directory_leaf *leaves;
	struct str canon, domain, base, tag;
	bool is_granted = false;
	size_t n;
	int rc;

	rc = directory_canon(arena, address, &canon, err);
	if (rc == 0)
		rc = directory_account_get(dir, account, arena, &self, err);
	if (rc != 0)
		goto out;
	base = address_split_tag(directory_local_of(canon, &domain), &tag);
	if (str_eq(canon, self.address) || (tag.p != NULL && str_eq(
	    arena_printf(arena, "%.*s@%.*s", STR_FMT(base), STR_FMT(domain)),
	    self.address)))
		goto out;
	rc = pair_has(dir, DIRECTORY_SEND_AS, self.address, canon,
	    &is_granted, err);
	if (rc != 0 || is_granted)
		goto out;
	/* An alias of ours that leads to this account is its own address; an
	 * account's forward is not (that would lend the forwarder's name). */
	rc = pair_has(dir, DIRECTORY_ALIAS, canon, self.address, &is_granted,
	    err);
	if (rc == 0 && !is_granted && directory_account_find(dir, canon,
	    arena, &self, NULL) == ERR_NOTFOUND &&
	    directory_resolve(dir, canon, arena, &leaves, &n, err) == 0)
		is_granted = leads_to(leaves, n, account);
	if (rc == 0 && !is_granted)
		rc = err_set(err, ERR_DENIED, "not an address of this "
		    "account");
out:
	arena_free(&arena);
	return rc;
}
