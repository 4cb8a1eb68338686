/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/when.h"

/* --- links --------------------------------------------------------- */

void
store_link_path(uint64_t message, char path_r[STORE_LINK_PATH_SIZE])
{
	(void)snprintf(path_r, STORE_LINK_PATH_SIZE, "b/%llu/%llu",
	    (unsigned long long)(message / STORE_LINKS_PER_DIR),
	    (unsigned long long)message);
}

bool
link_is_there(const struct store *store, uint64_t message, uint64_t *size_r)
{
	char path[STORE_LINK_PATH_SIZE];
	struct stat st;

	store_link_path(message, path);
	if (fstatat(store->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	if (size_r != NULL)
		*size_r = (uint64_t)st.st_size;
	return true;
}

void
link_note_dir(struct store *store, uint64_t message)
{
	uint64_t dir = message / STORE_LINKS_PER_DIR;
	size_t i;

	if (store->options.are_links_flushed)
		return;
	for (i = 0; i < store->dirs.count; i++)
		if (store->dirs.v[i] == dir)
			return;
	ids_push(&store->dirs, dir);
}

int
store_reserve(struct store *store, uint64_t *message_r, struct err *err)
{
	uint64_t id = store->account.next_message;
	char path[STORE_LINK_PATH_SIZE];
	bool is_new = false;
	int ret;

	/* What an unclean stop skips is what may be on its way at most. */
	if (table_count(store->reserved) >= STORE_RESERVED_MAX ||
	    id - store->written_next >= STORE_RESERVED_MAX)
		return err_set(err, ERR_LIMIT, "too many messages reserved");
	if (id != store->next_with_dir || id % STORE_LINKS_PER_DIR == 0) {
		(void)snprintf(path, sizeof(path), "b/%llu",
		    (unsigned long long)(id / STORE_LINKS_PER_DIR));
		ret = make_dir(store, store->dir_fd, path, &is_new, err);
		if (ret != 0)
			return ret;
		if (is_new)
			store->needs_top_flush = true;
	}
	/* A link that a crash of the machine has left would be taken for the
	 * one that blobd is going to make. */
	store_link_path(id, path);
	if (!is_new && unlinkat(store->dir_fd, path, 0) != 0 &&
	    errno != ENOENT)
		return err_set_errno(err, ERR_TEMP, "unlink %s", path);
	store->account.next_message = id + 1;
	store->next_with_dir = id + 1;
	(void)table_put_u64(store->reserved, id, store);
	*message_r = id;
	return 0;
}

void
store_reserve_cancel(struct store *store, uint64_t message)
{
	char path[STORE_LINK_PATH_SIZE];

	if (table_del_u64(store->reserved, message) == NULL)
		return;
	store_link_path(message, path);
	(void)unlinkat(store->dir_fd, path, 0);
}

/* --- delivery keys ------------------------------------------------- */

int
store_delivery_find(struct store *store, uint64_t queue_id,
    struct str recipient, struct store_added *added_r, struct err *err)
{
	struct db_query *q;
	bool has = false;
	int ret;

	*added_r = (struct store_added){ .message = 0 };
	if (recipient.len > STORE_RECIPIENT_MAX || !str_is_utf8(recipient))
		return err_set(err, ERR_SYNTAX, "impossible recipient");
	q = db_query(store->db, Q_DELIVERY_GET);
	db_bind_u64(q, 2, queue_id);
	db_bind_str(q, 3, recipient);
	if (!db_next(q)) {
		ret = db_end(&q, err);
		return ret != 0 ? ret : ERR_NOTFOUND;
	}
	added_r->message = db_col_u64(q, 0);
	added_r->mailbox = db_col_u64(q, 1);
	added_r->uid = db_col_u32(q, 2);
	added_r->uidvalidity = db_col_u32(q, 3);
	added_r->modseq = db_col_u64(q, 4);
	ret = db_end(&q, err);
	if (ret == 0 && added_r->message != 0)
		ret = message_has(store, added_r->message, &has, err);
	if (!has)
		added_r->message = 0;
	return ret;
}

static int
delivery_add(struct store *store, uint64_t queue_id, struct str recipient,
    const struct store_added *added, struct err *err)
{
	struct db_query *q = db_query(store->db, Q_DELIVERY_ADD);

	db_bind_u64(q, 2, queue_id);
	db_bind_str(q, 3, recipient);
	db_bind_u64(q, 4, added->message);
	db_bind_u64(q, 5, added->mailbox);
	db_bind_u64(q, 6, added->uid);
	db_bind_u64(q, 7, added->uidvalidity);
	db_bind_u64(q, 8, added->modseq);
	db_bind_i64(q, 9, when_wall_s());
	return db_run(&q, err);
}

int
store_delivery_note(struct store *store, uint64_t queue_id,
    struct str recipient, struct err *err)
{
	struct store_added none;
	bool is_own;
	int ret = op_begin(store, &is_own, err);

	if (ret != 0)
		return ret;
	ret = store_delivery_find(store, queue_id, recipient, &none, err);
	if (ret == ERR_NOTFOUND)
		ret = delivery_add(store, queue_id, recipient, &none, err);
	return op_end(store, is_own, ret, err);
}

/* --- adding -------------------------------------------------------- */

static int
check_bounds(const struct store_add *add, struct err *err)
{
	if (add->trace.len > STORE_TRACE_MAX ||
	    add->summary.len > STORE_SUMMARY_MAX ||
	    add->blob_octets > UINT32_MAX - STORE_TRACE_MAX)
		return err_set(err, ERR_LIMIT, "message too large");
	if ((add->flags & ~STORE_FLAGS_ALL) != 0 ||
	    add->date_s >= INT64_C(1) << 40 ||
	    add->date_s <= -(INT64_C(1) << 40))
		return err_set(err, ERR_SYNTAX, "impossible flag or date");
	return 0;
}

static int
check_quota(const struct store *store, const struct store_add *add,
    uint64_t octets, struct err *err)
{
	const struct account *a = &store->account;

	if (add->max_octets != 0 && (octets > add->max_octets ||
	    a->size_octets > add->max_octets - octets))
		return err_set(err, ERR_LIMIT, "over quota");
	if (add->max_messages != 0 && a->messages >= add->max_messages)
		return err_set(err, ERR_LIMIT, "over quota of messages");
	return 0;
}

static int
check_link(const struct store *store, const struct store_add *add,
    struct err *err)
{
	uint64_t size = 0;

	if (!link_is_there(store, add->message, &size))
		return err_set(err, ERR_NOTFOUND, "no link of message %llu",
		    (unsigned long long)add->message);
	if (add->codec == 0 && size != add->blob_octets)
		return err_set(err, ERR_SYNTAX, "link of another size");
	return 0;
}

static int
find_keywords(struct store *store, const struct store_add *add,
    uint64_t *bits_r, struct err *err)
{
	unsigned bit;
	size_t i;
	int ret = 0;

	*bits_r = 0;
	for (i = 0; i < add->keyword_count && ret == 0; i++) {
		ret = store_keyword(store, add->mailbox, add->keywords[i],
		    true, &bit, err);
		if (ret == 0)
			*bits_r |= UINT64_C(1) << bit;
	}
	return ret;
}

static int
message_add(struct store *store, const struct store_add *add, struct err *err)
{
	struct db_query *q = db_query(store->db, Q_MESSAGE_ADD);

	db_bind_u64(q, 2, add->message);
	db_bind_u64(q, 3, add->thread != 0 ? add->thread : add->message);
	db_bind_u64(q, 4, add->blob_octets);
	db_bind_u64(q, 5, add->codec);
	db_bind_i64(q, 6, add->date_s);
	db_bind_i64(q, 7, add->sent_s);
	db_bind_blob(q, 8, str_make(add->sha256, 32));
	db_bind_blob(q, 9, add->trace);
	db_bind_blob(q, 10, add->summary);
	return db_run(&q, err);
}

/* All that can refuse it has been asked; from here on an error spoils. */
static int
add_rows(struct store *store, const struct store_add *add, struct mbox *box,
    uint64_t keywords, struct store_added *added_r, struct err *err)
{
	uint32_t octets = (uint32_t)(add->blob_octets + add->trace.len);
	struct store_msg msg = {
		.message = add->message,
		.keywords = keywords,
		.date_s = add->date_s,
		.size_octets = octets,
		.flags = add->flags,
	};
	uint64_t modseq = store_next_modseq(store);
	int ret = message_add(store, add, err);

	if (ret == 0)
		ret = box_append(store, box, &msg, modseq, err);
	if (ret != 0)
		return ret;
	*added_r = (struct store_added){
		.message = add->message,
		.mailbox = box->info.id,
		.modseq = modseq,
		.uid = msg.uid,
		.uidvalidity = box->info.uidvalidity,
	};
	if (add->queue_id != 0)
		ret = delivery_add(store, add->queue_id, add->recipient,
		    added_r, err);
	if (ret != 0)
		return ret;
	store->account.size_octets += octets;
	store->account.messages++;
	store->account.sequence++;
	link_note_dir(store, add->message);
	(void)table_del_u64(store->reserved, add->message);
	ids_push(&store->added, add->message);
	return 0;
}

static int
add_checked(struct store *store, const struct store_add *add,
    struct store_added *added_r, struct err *err)
{
	uint64_t keywords;
	struct mbox *box;
	int ret = check_bounds(add, err);

	if (ret == 0 && add->queue_id != 0) {
		ret = store_delivery_find(store, add->queue_id,
		    add->recipient, added_r, err);
		if (ret == 0)
			return err_set(err, ERR_EXISTS, "delivered before");
		if (ret == ERR_NOTFOUND)
			ret = 0;
	}
	if (ret == 0)
		ret = box_need(store, add->mailbox, MBOX_TAIL, &box, err);
	if (ret == 0)
		ret = check_quota(store, add,
		    add->blob_octets + add->trace.len, err);
	if (ret == 0)
		ret = check_link(store, add, err);
	if (ret == 0)
		ret = find_keywords(store, add, &keywords, err);
	if (ret != 0)
		return ret;
	ret = add_rows(store, add, box, keywords, added_r, err);
	return ret != 0 ? store_spoil(store, err, ret) : 0;
}

int
store_add(struct store *store, const struct store_add *add,
    struct store_added *added_r, struct err *err)
{
	bool is_own;
	int ret;

	*added_r = (struct store_added){ .message = 0 };
	if (table_get_u64(store->reserved, add->message) == NULL)
		return err_set(err, ERR_SYNTAX, "message %llu not reserved",
		    (unsigned long long)add->message);
	ret = op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	ret = add_checked(store, add, added_r, err);
	if (ret == ERR_EXISTS) {
		store_reserve_cancel(store, add->message);
		/* The earlier one's link is going to be made again. */
		if (added_r->message != 0)
			link_note_dir(store, added_r->message);
	}
	return op_end(store, is_own, ret, err);
}
