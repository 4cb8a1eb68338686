/* SPDX-License-Identifier: ISC */
/*
 * GETMETADATA and SETMETADATA (RFC 5464): values of the account, by mailbox id
 * (0: the server), so that a rename keeps them and a deleted mailbox's are
 * never another's. Who may read the mailbox reads both /private and /shared;
 * /shared of the server is the operator's.
 */
#include "imapd/engine/engine_int.h"

#define KEY_SIZE (IMAP_ENTRY_OCTETS_MAX + 40)
#define VALUE_MAX 65536U
#define ENTRIES_OF_ONE_MAX 200U
#define ENTRIES_MAX 5000U	/* of an account */
#define ANSWER_MAX (32U << 20)	/* octets read for one command */

struct metadata_out {
	struct imap_session *s;
	struct str mailbox;	/* empty: the server */
	uint64_t id;
	bool has_begun;
	uint64_t longest;	/* of those over MAXSIZE; 0: none */
};

static struct str
key_of(char buf[KEY_SIZE], uint64_t id, struct str entry)
{
	(void)snprintf(buf, KEY_SIZE, "imap.meta/%llu%.*s",
	    (unsigned long long)id, STR_FMT(entry));
	return str_of(buf);
}

/* False: answered. The mailbox "" is the server. */
static bool
find_owner(struct imap_session *s, struct str *name_r, uint64_t *id_r)
{
	const struct imap_mailbox *mailbox = &s->cmd.u.metadata.mailbox;
	const struct store_mailbox *box;

	*name_r = STR("");
	*id_r = 0;
	if (mailbox->name.len == 0)
		return true;
	box = imap_find(s, mailbox, false);
	if (box == NULL)
		return false;
	*name_r = arena_str(s->arena, box->name);
	*id_r = box->id;
	return true;
}

/* --- GETMETADATA --------------------------------------------------- */

/* RFC 5464 section 4.4.1 */
static void
put_value(struct metadata_out *out, struct str entry, struct str value)
{
	const struct imap_metadata *asked = &out->s->cmd.u.metadata;
	struct buf *to = &out->s->out;

	if (asked->has_maxsize && value.len > asked->maxsize) {
		if (value.len > out->longest)
			out->longest = value.len;
		return;
	}
	if (!out->has_begun) {
		buf_add_cstr(to, "* METADATA ");
		if (out->id == 0)
			buf_add_cstr(to, "\"\"");
		else
			imap_put_name(out->s, out->mailbox);
		buf_add_cstr(to, " (");
	} else {
		buf_add_char(to, ' ');
	}
	out->has_begun = true;
	imap_put_astring(to, entry);
	buf_add_char(to, ' ');
	imap_put_nstring(to, value);
}

static bool
is_in_depth(struct str below, enum imap_depth depth)
{
	return below.len != 0 && below.p[0] == '/' &&
	    (depth == IMAP_DEPTH_ALL ||
	    str_find(str_sub(below, 1, below.len), '/') == STR_NPOS);
}

static int
get_below(struct metadata_out *out, struct str entry, struct err *err)
{
	struct imap_session *s = out->s;
	char buf[KEY_SIZE];
	struct str prefix = key_of(buf, out->id, entry), value, *keys;
	size_t count, i, head = prefix.len - entry.len;
	int ret = store_value_list(s->store, prefix, ENTRIES_MAX, s->arena,
	    &keys, &count, err);

	for (i = 0; i < count && ret == 0; i++) {
		if (arena_used(s->arena) > ANSWER_MAX)
			return err_set(err, ERR_LIMIT, "too much metadata");
		if (!is_in_depth(str_sub(keys[i], prefix.len, keys[i].len),
		    s->cmd.u.metadata.depth))
			continue;
		ret = store_value_get(s->store, keys[i], s->arena, &value,
		    err);
		if (ret == 0)
			put_value(out, str_sub(keys[i], head, keys[i].len),
			    value);
	}
	return ret;
}

static int
get_entry(struct metadata_out *out, struct str entry, struct err *err)
{
	struct imap_session *s = out->s;
	struct str value;
	char buf[KEY_SIZE];
	int ret = store_value_get(s->store, key_of(buf, out->id, entry),
	    s->arena, &value, err);

	if (ret == 0)
		put_value(out, entry, value);
	if (ret != 0 && ret != ERR_NOTFOUND)
		return ret;
	return s->cmd.u.metadata.depth == IMAP_DEPTH_SELF ? 0 :
	    get_below(out, entry, err);
}

enum imap_run
imap_run_getmetadata(struct imap_session *s)
{
	struct metadata_out out = { .s = s };
	struct err err = ERR_INIT;
	size_t i;
	int ret = 0;

	if (!find_owner(s, &out.mailbox, &out.id))
		return RUN_DONE;
	for (i = 0; i < s->cmd.u.metadata.n_entries && ret == 0; i++)
		ret = get_entry(&out, s->cmd.u.metadata.entries[i].name,
		    &err);
	if (out.has_begun)
		buf_add_cstr(&s->out, ")\r\n");
	if (ret != 0 && ret != ERR_NOTFOUND)
		return imap_fail(s, &err);
	imap_ok(s);
	if (out.longest != 0) {
		buf_reset(&s->reply);
		buf_addf(&s->reply,
		    "OK [METADATA LONGENTRIES %llu] Some are longer",
		    (unsigned long long)out.longest);
	}
	return RUN_DONE;
}

/* --- SETMETADATA --------------------------------------------------- */

/* What stands against it; NULL: nothing. */
static const char *
refusal_of(struct imap_session *s, uint64_t id)
{
	const struct imap_metadata *set = &s->cmd.u.metadata;
	size_t i, count, all;
	struct str *keys;
	char buf[KEY_SIZE];

	for (i = 0; i < set->n_entries; i++) {
		if (set->entries[i].value.len > VALUE_MAX)
			return "[METADATA MAXSIZE 65536] Value too long";
		if (id == 0 && str_begins(set->entries[i].name,
		    STR("/shared/")))
			return "[NOPERM] Set by the operator alone";
	}
	if (store_value_list(s->store, key_of(buf, id, STR("/")),
	    ENTRIES_OF_ONE_MAX, s->arena, &keys, &count, NULL) != 0 ||
	    store_value_list(s->store, STR("imap.meta/"), ENTRIES_MAX,
	    s->arena, &keys, &all, NULL) != 0)
		return "[UNAVAILABLE] Try again later";
	return count + set->n_entries > ENTRIES_OF_ONE_MAX ||
	    all + set->n_entries > ENTRIES_MAX ?
	    "[METADATA TOOMANY] Too many entries" : NULL;
}

/* RFC 5464 section 4.3: NIL takes the entry away. */
static int
set_entry(struct imap_session *s, uint64_t id, const struct imap_entry *entry,
    struct err *err)
{
	char buf[KEY_SIZE];
	struct str key = key_of(buf, id, entry->name);
	int ret;

	if (entry->value.p != NULL)
		return store_value_put(s->store, key, entry->value, 0, err);
	ret = store_value_delete(s->store, key, err);
	return ret == ERR_NOTFOUND ? 0 : ret;
}

/* All or none of the entries. */
enum imap_run
imap_run_setmetadata(struct imap_session *s)
{
	const struct imap_metadata *set = &s->cmd.u.metadata;
	struct err err = ERR_INIT;
	const char *refusal;
	struct str name;
	uint64_t id;
	size_t i;
	int ret;

	if (!find_owner(s, &name, &id))
		return RUN_DONE;
	refusal = refusal_of(s, id);
	if (refusal != NULL)
		return imap_no(s, refusal);
	ret = store_begin(s->store, STORE_FULL, &err);
	for (i = 0; i < set->n_entries && ret == 0; i++)
		ret = set_entry(s, id, &set->entries[i], &err);
	if (ret == 0)
		ret = store_commit(s->store, &err);
	else
		store_rollback(s->store);
	if (ret != 0)
		return imap_fail(s, &err);
	imap_ok(s);
	return RUN_DONE;
}

/* The mailbox is gone: what cannot be taken away now is nobody's for ever. */
void
imap_forget_metadata(struct imap_session *s, uint64_t id)
{
	char buf[KEY_SIZE];
	struct str *keys;
	size_t count, i;

	if (store_value_list(s->store, key_of(buf, id, STR("/")),
	    ENTRIES_OF_ONE_MAX, s->arena, &keys, &count, NULL) != 0)
		return;
	for (i = 0; i < count; i++)
		(void)store_value_delete(s->store, keys[i], NULL);
}
