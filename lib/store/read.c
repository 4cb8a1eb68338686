/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Ids are asked for in ascending order nearly always: one statement runs
 * along, and is started anew when an id is far ahead or behind.
 */
struct store_reader {
	struct store *store;
	struct db_query *q;
	uint64_t at;		/* id of the row q stands on; 0: none */
};

/* Rows passed over before a new search is the cheaper way. */
enum { READER_SKIP = 16 };

static bool
message_read(struct db_query *q, struct store_message *m)
{
	struct str sha256 = db_col_blob(q, 6);
	uint64_t codec = db_col_u64(q, 3);

	*m = (struct store_message){
		.id = db_col_u64(q, 0),
		.thread = db_col_u64(q, 1),
		.blob_octets = db_col_u64(q, 2),
		.codec = (uint8_t)codec,
		.date_s = db_col_i64(q, 4),
		.sent_s = db_col_i64(q, 5),
		.trace = db_col_blob(q, 7),
		.summary = db_col_blob(q, 8),
	};
	if (sha256.len != sizeof(m->sha256) || codec > UINT8_MAX ||
	    m->trace.len > STORE_TRACE_MAX ||
	    m->summary.len > STORE_SUMMARY_MAX) {
		db_query_corrupt(q, "a message");
		return false;
	}
	memcpy(m->sha256, sha256.p, sizeof(m->sha256));
	return true;
}

int
store_message(struct store *store, uint64_t message, struct arena *arena,
    struct store_message *message_r, struct err *err)
{
	struct db_query *q = db_query(store->db, Q_MESSAGE_GET);

	*message_r = (struct store_message){ .id = 0 };
	db_bind_u64(q, 2, message);
	if (db_first(q, err) == 0 && message_read(q, message_r)) {
		message_r->trace = arena_str(arena, message_r->trace);
		message_r->summary = arena_str(arena, message_r->summary);
	}
	return db_end(&q, err);
}

struct store_reader *
store_reader_begin(struct store *store)
{
	struct store_reader *reader = calloc(1, sizeof(*reader));

	invariant(reader != NULL);
	reader->store = store;
	store->readers++;
	return reader;
}

static int
reader_stop(struct store_reader *reader, struct err *err)
{
	reader->at = 0;
	return reader->q != NULL ? db_end(&reader->q, err) : 0;
}

static void
reader_step(struct store_reader *reader)
{
	reader->at = db_next(reader->q) ? db_col_u64(reader->q, 0) : 0;
}

int
store_reader_get(struct store_reader *reader, uint64_t message,
    struct store_message *message_r, struct err *err)
{
	int ret, i;

	*message_r = (struct store_message){ .id = 0 };
	for (i = 0; i < READER_SKIP && reader->at != 0 &&
	    reader->at < message; i++)
		reader_step(reader);
	if (reader->at != message) {
		ret = reader_stop(reader, err);
		if (ret != 0)
			return ret;
		reader->q = db_query(reader->store->db, Q_MESSAGE_FROM);
		db_bind_u64(reader->q, 2, message);
		reader_step(reader);
	}
	if (reader->at == message && message != 0 &&
	    message_read(reader->q, message_r))
		return 0;
	ret = reader_stop(reader, err);
	if (ret == 0)
		ret = err_set(err, ERR_NOTFOUND, "no message %llu",
		    (unsigned long long)message);
	return ret;
}

void
store_reader_end(struct store_reader **readerp)
{
	struct store_reader *reader = *readerp;

	if (reader == NULL)
		return;
	(void)reader_stop(reader, NULL);
	reader->store->readers--;
	free(reader);
	*readerp = NULL;
}

int
store_set_summary(struct store *store, uint64_t message, struct str summary,
    struct err *err)
{
	struct db_query *q;
	bool is_own = !store->is_group;
	int ret;

	if (summary.len > STORE_SUMMARY_MAX)
		return err_set(err, ERR_LIMIT, "summary too long");
	ret = is_own ? store_begin(store, STORE_NORMAL, err) :
	    op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	q = db_query(store->db, Q_MESSAGE_SUMMARY);
	db_bind_u64(q, 2, message);
	db_bind_blob(q, 3, summary);
	ret = db_run(&q, err);
	if (ret == 0 && db_changes(store->db) == 0)
		ret = err_set(err, ERR_NOTFOUND, "no such message");
	return op_end(store, is_own, ret, err);
}

int
store_blob_open(struct store *store, uint64_t message, int *fd_r,
    struct err *err)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	char path[STORE_LINK_PATH_SIZE];
	struct stat st;
	long fd;

	*fd_r = -1;
	store_link_path(message, path);
	fd = syscall(SYS_openat2, store->dir_fd, path, &how, sizeof(how));
	if (fd < 0)
		return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND :
		    ERR_TEMP, "open %s", path);
	if (fstat((int)fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close((int)fd);
		return err_set(err, ERR_CORRUPT, "%s is no file", path);
	}
	*fd_r = (int)fd;
	return 0;
}
