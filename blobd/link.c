/* SPDX-License-Identifier: ISC */
#include "blobd/link.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob/layout.h"

/* Directories of recent links, so that one is not opened for each link. */
#define DIRS_KEPT 64

struct kept_dir {
	uint64_t account;
	uint64_t group;		/* id div 4096 + 1; 0: empty slot */
	int fd;
};

struct linker {
	int data_fd;
	int proc_fd;		/* our own /proc/self/fd */
	size_t next_kept;
	struct kept_dir kept[DIRS_KEPT];
};

struct linker *
linker_open(int data_fd, int proc_fd)
{
	struct linker *linker = calloc(1, sizeof(*linker));

	invariant(linker != NULL);
	linker->data_fd = data_fd;
	linker->proc_fd = proc_fd;
	return linker;
}

int
linker_check(int blob_fd, struct err *err)
{
	struct stat st;

	if (fstat(blob_fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid() || (st.st_mode & 0777) != 0440 ||
	    (fcntl(blob_fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
		return err_set(err, ERR_DENIED, "not a sealed blob");
	return 0;
}

/* The directory of a link; it stays open for the next ones. */
static int
dir_of(struct linker *linker, uint64_t account, uint64_t id, struct err *err)
{
	uint64_t group = id / 4096 + 1;
	struct kept_dir *kept;
	char holder[BLOB_PATH_SIZE], dir[BLOB_PATH_SIZE];
	char path[2 * BLOB_PATH_SIZE];
	size_t i;
	int fd;

	for (i = 0; i < DIRS_KEPT; i++)
		if (linker->kept[i].group == group &&
		    linker->kept[i].account == account)
			return linker->kept[i].fd;
	blob_holder_dir(account, holder);
	blob_link_dir(id, dir);
	(void)snprintf(path, sizeof(path), "%s/%s", holder, dir);
	fd = openat(linker->data_fd, path,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND :
		    ERR_TEMP, "%s", path);
	kept = &linker->kept[linker->next_kept++ % DIRS_KEPT];
	if (kept->group != 0)
		(void)close(kept->fd);
	*kept = (struct kept_dir){ account, group, fd };
	return fd;
}

static void
forget_dir(struct linker *linker, int fd)
{
	size_t i;

	for (i = 0; i < DIRS_KEPT; i++)
		if (linker->kept[i].group != 0 && linker->kept[i].fd == fd) {
			(void)close(fd);
			linker->kept[i].group = 0;
		}
}

static int
is_same_file(int dir, const char *name, int blob_fd, struct err *err)
{
	struct stat a, b;

	if (fstat(blob_fd, &a) == 0 &&
	    fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	    a.st_ino == b.st_ino && a.st_dev == b.st_dev)
		return 0;
	return err_set(err, ERR_EXISTS, "%s is another blob", name);
}

/* The file has as many links as its file system allows: go on with a copy. */
static int
copy_file(int dir, const char *name, int blob_fd, struct err *err)
{
	struct stat st;
	off_t from = 0;
	ssize_t n = 1;
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0440);

	if (fd == -1)
		return err_set_errno(err, ERR_TEMP, "copy %s", name);
	if (fstat(blob_fd, &st) == -1 || fchown(fd, (uid_t)-1, st.st_gid) ==
	    -1 || fchmod(fd, 0440) == -1)
		n = -1;
	while (n > 0 && from < st.st_size)
		n = copy_file_range(blob_fd, &from, fd, NULL,
		    (size_t)(st.st_size - from), 0);
	if (n <= 0 && from < st.st_size) {
		err_set_errno(err, errno == ENOSPC ? ERR_LIMIT : ERR_TEMP,
		    "copy %s", name);
		(void)close(fd);
		(void)unlinkat(dir, name, 0);
		return err != NULL ? err->code : ERR_TEMP;
	}
	/* Flushed at once: the caller flushes the blob it knows of. */
	if (fsync(fd) == -1)
		err_set_errno(err, ERR_TEMP, "copy %s", name);
	(void)close(fd);
	return err != NULL ? err->code : 0;
}

int
linker_link(struct linker *linker, int blob_fd, uint64_t account,
    uint64_t id, int *dir_fd_r, struct err *err)
{
	int dir = dir_of(linker, account, id, err);
	char source[32], name[32];
	int rc = 0;

	if (dir < 0)
		return dir;
	(void)snprintf(source, sizeof(source), "%d", blob_fd);
	(void)snprintf(name, sizeof(name), "%llu", (unsigned long long)id);
	if (linkat(linker->proc_fd, source, dir, name, AT_SYMLINK_FOLLOW) ==
	    -1) {
		if (errno == EEXIST)
			rc = is_same_file(dir, name, blob_fd, err);
		else if (errno == EMLINK)
			rc = copy_file(dir, name, blob_fd, err);
		else if (errno == ENOSPC || errno == EDQUOT)
			rc = err_set_errno(err, ERR_LIMIT, "link");
		else if (errno == ENOENT)
			rc = err_set_errno(err, ERR_NOTFOUND, "link");
		else
			rc = err_set_errno(err, ERR_TEMP, "link");
	}
	/* An account may have been removed and its folder with it. */
	if (rc == ERR_NOTFOUND)
		forget_dir(linker, dir);
	else if (rc == 0 && dir_fd_r != NULL)
		*dir_fd_r = dir;
	return rc;
}
