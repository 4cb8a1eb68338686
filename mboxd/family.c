/* SPDX-License-Identifier: ISC */
#include "mboxd/family.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "blob/layout.h"

#define BUSY_TRIES 300
#define BUSY_WAIT_MS 10

void
family_path(const struct family *family, uint64_t account,
    char path_r[FAMILY_PATH_SIZE])
{
	char holder[BLOB_PATH_SIZE];

	blob_holder_dir(account, holder);
	/* "accounts/0/17": the first level is where we are. */
	(void)snprintf(path_r, FAMILY_PATH_SIZE, "%s%s", family->accounts_dir,
	    strchr(holder, '/'));
}

int
family_make_group(const struct family *family, uint64_t account,
    struct err *err)
{
	char path[FAMILY_PATH_SIZE];

	family_path(family, account, path);
	*strrchr(path, '/') = '\0';
	/* Mode 2770: group and bit come from the directory above (a chmod by
	 * somebody outside of blobd's group would clear the bit). */
	if (mkdir(path, 0770) == 0 || errno == EEXIST)
		return 0;
	return err_set_errno(err, ERR_TEMP, "mkdir %s", path);
}

int
family_open_fs(const struct family *family, struct err *err)
{
	int fd = open(family->accounts_dir[0] != '\0' ? family->accounts_dir :
	    "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd != -1 ? fd : err_set_errno(err, ERR_TEMP, "accounts");
}

/* All descriptors above the log's but two. */
static void
close_others(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;

	if (low <= STDERR_FILENO)
		low = high;
	if (low > 3)
		(void)close_range(3, (unsigned)low - 1, 0);
	if (high > low + 1)
		(void)close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	(void)close_range((unsigned)high + 1, ~0U, 0);
}

struct loop *
family_begin(int link_fd, int keep)
{
	/* The broker's handler would write into a descriptor of ours. */
	(void)signal(SIGCHLD, SIG_DFL);
	close_others(link_fd, keep);
	return loop_new();
}

int
family_open_store(const struct family *family, uint64_t account,
    enum store_sync sync, struct store **store_r, struct err *err)
{
	const struct timespec wait = { .tv_nsec = BUSY_WAIT_MS * 1000000L };
	struct store_options options = {
		.account = account, .image = family->image,
		.may_create = true, .sync = sync, .are_links_flushed = true,
	};
	char path[FAMILY_PATH_SIZE];
	int rc = ERR_DENIED, i;

	family_path(family, account, path);
	for (i = 0; rc == ERR_DENIED && i < BUSY_TRIES; i++) {
		if (i != 0)
			(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
		err_clear(err);
		rc = store_open(store_r, path, &options, err);
	}
	return rc;
}
