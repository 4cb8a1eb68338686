/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* "hikyaku account 00000000000000000007 o\n" */
#define OWNER_FORMAT "hikyaku account %020llu %c\n"
enum { OWNER_LEN = 39, OWNER_STATE_AT = 37 };

static int
owner_write(struct store *store, char state, struct err *err)
{
	char line[OWNER_LEN + 1];

	(void)snprintf(line, sizeof(line), OWNER_FORMAT,
	    (unsigned long long)store->options.account, state);
	if (pwrite(store->owner_fd, line, OWNER_LEN, 0) != OWNER_LEN) {
		store->is_full = errno == ENOSPC || errno == EDQUOT;
		return err_set_errno(err, ERR_TEMP, "write owner");
	}
	store->owner_state = state;
	return 0;
}

/* The state is one octet that may be written in place. When that fails, the
 * next owner sees an unclean stop, which is harmless. */
void
owner_mark(struct store *store, char state)
{
	if (store->owner_fd < 0 || store->owner_state == state)
		return;
	if (pwrite(store->owner_fd, &state, 1, OWNER_STATE_AT) == 1)
		store->owner_state = state;
}

static int
owner_read(struct store *store, struct err *err)
{
	char line[OWNER_LEN + 2], want[OWNER_LEN + 1];
	ssize_t n = pread(store->owner_fd, line, sizeof(line), 0);

	if (n < 0)
		return err_set_errno(err, ERR_TEMP, "read owner");
	if (n == 0)
		return owner_write(store, OWNER_NEW, err);
	(void)snprintf(want, sizeof(want), OWNER_FORMAT,
	    (unsigned long long)store->options.account, ' ');
	if (n != OWNER_LEN || memcmp(line, want, OWNER_STATE_AT) != 0)
		return err_set(err, ERR_CORRUPT,
		    "the directory is not of account %llu",
		    (unsigned long long)store->options.account);
	store->owner_state = line[OWNER_STATE_AT];
	if (store->owner_state != OWNER_SHUT)
		store->is_unclean = true;
	if (store->owner_state == OWNER_SHUT)
		owner_mark(store, OWNER_OPEN);
	return 0;
}

int
owner_take(struct store *store, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;

	store->owner_fd = openat(store->dir_fd, "owner", flags);
	if (store->owner_fd < 0 && errno == ENOENT &&
	    store->options.may_create)
		store->owner_fd = openat(store->dir_fd, "owner",
		    flags | O_CREAT, 0600);
	if (store->owner_fd < 0)
		return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND :
		    ERR_TEMP, "open owner");
	/* Of the open file, not of the process: it is not lost when some
	 * other descriptor of the file is closed. */
	if (fcntl(store->owner_fd, F_OFD_SETLK, &lock) != 0) {
		if (errno == EAGAIN || errno == EACCES)
			return err_set(err, ERR_DENIED, "busy");
		return err_set_errno(err, ERR_TEMP, "lock owner");
	}
	return owner_read(store, err);
}
