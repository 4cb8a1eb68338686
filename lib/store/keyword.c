/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

static void *
must(void *p)
{
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

/* RFC 9051 section 9: flag-keyword = "$..." / atom. */
static bool
is_atom(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (c <= 0x20 || c >= 0x7f || strchr("(){%*\"\\]", c) != NULL)
			return false;
	}
	return s.len != 0;
}

int
keywords_load(struct store *store, struct mbox *box, struct err *err)
{
	struct db_query *q;
	struct str name;
	uint32_t bit;
	int ret;

	if (box->keywords != NULL)
		return 0;
	box->keywords = must(calloc(STORE_KEYWORD_COUNT,
	    sizeof(*box->keywords)));
	q = db_query(store->db, Q_KEYWORD_LIST);
	db_bind_u64(q, 2, box->info.id);
	while (db_next(q)) {
		bit = db_col_u32(q, 0);
		name = db_col_str(q, 1);
		if (bit >= STORE_KEYWORD_COUNT || !is_atom(name) ||
		    name.len > STORE_KEYWORD_MAX ||
		    box->keywords[bit].len != 0) {
			db_query_corrupt(q, "a keyword");
			continue;
		}
		box->keywords[bit] = str_make(must(strndup(name.p,
		    name.len)), name.len);
	}
	ret = db_end(&q, err);
	if (ret != 0) {
		for (bit = 0; bit < STORE_KEYWORD_COUNT; bit++)
			free((void *)(uintptr_t)box->keywords[bit].p);
		free(box->keywords);
		box->keywords = NULL;
	}
	return ret;
}

static int
keyword_make(struct store *store, struct mbox *box, struct str name,
    unsigned bit, struct err *err)
{
	struct db_query *q;
	bool is_own;
	int ret = op_begin(store, &is_own, err);

	if (ret != 0)
		return ret;
	q = db_query(store->db, Q_KEYWORD_ADD);
	db_bind_u64(q, 2, box->info.id);
	db_bind_u64(q, 3, bit);
	db_bind_str(q, 4, name);
	ret = db_run(&q, err);
	if (ret == 0) {
		box->keywords[bit] = str_make(must(strndup(name.p,
		    name.len)), name.len);
		store->is_changed = true;
	}
	return op_end(store, is_own, ret, err);
}

int
store_keyword(struct store *store, uint64_t mailbox, struct str name,
    bool may_make, unsigned *bit_r, struct err *err)
{
	struct mbox *box;
	unsigned bit, unused = STORE_KEYWORD_COUNT;
	int ret;

	if (!is_atom(name))
		return err_set(err, ERR_SYNTAX, "keyword is no atom");
	if (name.len > STORE_KEYWORD_MAX)
		return err_set(err, ERR_LIMIT, "keyword too long");
	ret = box_need(store, mailbox, MBOX_NONE, &box, err);
	if (ret == 0)
		ret = keywords_load(store, box, err);
	if (ret != 0)
		return ret;
	for (bit = STORE_KEYWORD_COUNT; bit-- > 0;) {
		if (box->keywords[bit].len == 0)
			unused = bit;
		else if (str_eq_nocase(box->keywords[bit], name))
			break;
	}
	if (bit != UINT32_MAX) {
		*bit_r = bit;
		return 0;
	}
	if (!may_make)
		return err_set(err, ERR_NOTFOUND, "no such keyword");
	if (unused == STORE_KEYWORD_COUNT)
		return err_set(err, ERR_LIMIT, "too many keywords");
	*bit_r = unused;
	return keyword_make(store, box, name, unused, err);
}

const struct str *
store_keyword_names(struct store *store, uint64_t mailbox)
{
	struct mbox *box;

	if (box_need(store, mailbox, MBOX_NONE, &box, NULL) != 0 ||
	    keywords_load(store, box, NULL) != 0)
		return NULL;
	return box->keywords;
}
