/* SPDX-License-Identifier: ISC */
#include "blob/links.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob/layout.h"

void
blob_links_init(struct blob_links *links, int dir_fd)
{
	links->dir_fd = dir_fd;
	links->made_dir = 0;
}

int
blob_links_prepare(struct blob_links *links, uint64_t id, struct err *err)
{
	uint64_t group = id / BLOB_IDS_PER_DIR + 1;
	char dir[BLOB_PATH_SIZE];

	if (group == links->made_dir)
		return 0;
	blob_link_dir(id, dir);
	if (mkdirat(links->dir_fd, dir, 02770) == -1 && errno != EEXIST)
		return err_set_errno(err, errno == ENOSPC ? ERR_LIMIT :
		    ERR_TEMP, "%s", dir);
	/* The umask may have taken blobd's group away. */
	if (fchmodat(links->dir_fd, dir, 02770, 0) == -1)
		return err_set_errno(err, ERR_TEMP, "%s", dir);
	links->made_dir = group;
	return 0;
}

int
blob_links_open(const struct blob_links *links, uint64_t id, struct err *err)
{
	char name[BLOB_PATH_SIZE];
	int fd;

	blob_link_name(id, name);
	fd = openat(links->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND :
		    ERR_TEMP, "%s", name);
	return fd;
}

void
blob_links_remove(const struct blob_links *links, uint64_t id)
{
	char name[BLOB_PATH_SIZE];

	blob_link_name(id, name);
	(void)unlinkat(links->dir_fd, name, 0);
}

static size_t
sweep_dir(int fd, bool (*is_held)(void *ctx, uint64_t id), void *ctx)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	size_t removed = 0;
	uint64_t id;

	if (dir == NULL) {
		(void)close(fd);
		return 0;
	}
	while ((entry = readdir(dir)) != NULL)
		if (str_to_u64(str_of(entry->d_name), UINT64_MAX, &id) == 0 &&
		    !is_held(ctx, id) &&
		    unlinkat(dirfd(dir), entry->d_name, 0) == 0)
			removed++;
	(void)closedir(dir);
	return removed;
}

size_t
blob_links_sweep(const struct blob_links *links,
    bool (*is_held)(void *ctx, uint64_t id), void *ctx)
{
	int fd = openat(links->dir_fd, "b",
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	size_t removed = 0;

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), entry->d_name,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd == -1)
			continue;
		removed += sweep_dir(fd, is_held, ctx);
		/* Succeeds only when it is empty. */
		(void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	(void)closedir(dir);
	return removed;
}
