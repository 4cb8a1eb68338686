/* SPDX-License-Identifier: ISC */
#include "base/test.h"
#include "base/test_folder.h"

#include "db/db.h"
#include "store/store_test.h"

#include <fcntl.h>
#include <unistd.h>

char account_dir[64];

int
account_setup(void **state)
{
	(void)state;
	(void)snprintf(account_dir, sizeof(account_dir), "store_test.XXXXXX");
	/* Only the name is wanted: the store makes the directory. */
	assert_non_null(mkdtemp(account_dir));
	assert_int_equal(rmdir(account_dir), 0);
	return 0;
}

int
account_teardown(void **state)
{
	(void)state;
	(void)test_folder_remove(account_dir);
	return 0;
}

struct store *
account_open(enum store_sync sync)
{
	struct store_options options = {
		.account = 7, .may_create = true, .sync = sync,
	};
	struct err err = ERR_INIT;
	struct db_image *image;
	struct store *store;

	assert_int_equal(store_image_new(&image, &err), 0);
	options.image = image;
	if (store_open(&store, account_dir, &options, &err) != 0)
		fail_msg("open: %s", err_text(&err));
	db_image_free(&image);
	return store;
}

void
account_link(struct store *store, uint64_t message, size_t len)
{
	char path[STORE_LINK_PATH_SIZE];
	int fd;

	store_link_path(message, path);
	fd = openat(store_dir_fd(store), path, O_CREAT | O_EXCL | O_WRONLY,
	    0440);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	assert_int_equal(close(fd), 0);
}

struct store_added
account_add(struct store *store, uint64_t mailbox, size_t len, uint8_t flags)
{
	static const unsigned char sha256[32] = { 1, 2, 3 };
	struct store_add add = {
		.mailbox = mailbox, .blob_octets = len, .sha256 = sha256,
		.flags = flags, .date_s = 1700000000,
		.summary = STR("summary"),
	};
	struct store_added added;
	struct err err = ERR_INIT;

	if (store_reserve(store, &add.message, &err) != 0)
		fail_msg("reserve: %s", err_text(&err));
	account_link(store, add.message, len);
	if (store_add(store, &add, &added, &err) != 0)
		fail_msg("add: %s", err_text(&err));
	return added;
}

uint64_t
account_mailbox(struct store *store, const char *name)
{
	const struct store_mailbox *box =
	    store_mailbox_by_name(store, str_of(name));

	if (box == NULL)
		fail_msg("no mailbox %s", name);
	return box->id;
}
