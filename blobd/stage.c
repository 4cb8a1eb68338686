/* SPDX-License-Identifier: ISC */
#include "blobd/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/when.h"

#define FULL_CHECK_MS 200
#define READ_OCTETS 65536

struct stage {
	int dir_fd;
	int proc_fd;
	unsigned floor_percent;
	uint64_t next_number;
	bool has_no_tmpfile;
	EVP_MD *md;		/* found once: a search costs as much as hashing
				   a small message */
	uint64_t checked_ms;
	bool is_full;
};

static void
number_name(uint64_t number, char name[32])
{
	(void)snprintf(name, 32, "%llu", (unsigned long long)number);
}

static void
sweep(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			(void)unlinkat(dir_fd, entry->d_name, 0);
	(void)closedir(dir);
}

struct stage *
stage_open(int dir_fd, int proc_fd, unsigned floor_percent)
{
	struct stage *stage = calloc(1, sizeof(*stage));

	invariant(stage != NULL);
	stage->dir_fd = dir_fd;
	stage->proc_fd = proc_fd;
	stage->floor_percent = floor_percent;
	stage->next_number = 1;
	stage->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	invariant(stage->md != NULL);
	sweep(dir_fd);
	return stage;
}

bool
stage_is_full(struct stage *stage)
{
	uint64_t now = when_mono_ms();
	struct statvfs vfs;

	if (stage->checked_ms != 0 && now - stage->checked_ms < FULL_CHECK_MS)
		return stage->is_full;
	stage->checked_ms = now;
	if (fstatvfs(stage->dir_fd, &vfs) == -1)
		return stage->is_full;
	stage->is_full = vfs.f_bavail * 100 <
	    vfs.f_blocks * stage->floor_percent ||
	    (vfs.f_files != 0 && vfs.f_favail * 100 <
	    vfs.f_files * stage->floor_percent);
	return stage->is_full;
}

static int
no_file(struct err *err)
{
	return err_set_errno(err, errno == ENOSPC || errno == EDQUOT ?
	    ERR_LIMIT : ERR_TEMP, "stage file");
}

/* child_main()'s umask, 0007, leaves the readers' group its right. */
static int
open_unnamed(struct stage *stage, int *write_fd_r, int *read_fd_r,
    struct err *err)
{
	char name[32];
	int wfd, rfd;

	wfd = openat(stage->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC,
	    0440);
	if (wfd == -1) {
		/* open(2): what kernels and file systems without it say. */
		stage->has_no_tmpfile = errno == EOPNOTSUPP ||
		    errno == EISDIR || errno == EINVAL;
		return no_file(err);
	}
	number_name((uint64_t)wfd, name);
	rfd = openat(stage->proc_fd, name, O_RDONLY | O_CLOEXEC);
	if (rfd == -1) {
		(void)no_file(err);
		(void)close(wfd);
		return err->code;
	}
	*write_fd_r = wfd;
	*read_fd_r = rfd;
	return 0;
}

static int
open_named(struct stage *stage, uint64_t number, int *write_fd_r,
    int *read_fd_r, struct err *err)
{
	char name[32];
	int wfd, rfd;

	number_name(number, name);
	wfd = openat(stage->dir_fd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0440);
	if (wfd == -1)
		return no_file(err);
	rfd = openat(stage->dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (rfd == -1) {
		(void)no_file(err);
		(void)close(wfd);
		(void)unlinkat(stage->dir_fd, name, 0);
		return err->code;
	}
	*write_fd_r = wfd;
	*read_fd_r = rfd;
	return 0;
}

struct stage_file *
stage_file_new(struct stage *stage, int *write_fd_r, struct err *err)
{
	struct stage_file *file;
	uint64_t number = 0;
	int rfd = -1, rc = ERR_TEMP;

	if (stage_is_full(stage)) {
		err_set(err, ERR_LIMIT, "less than %u %% of the disk is free",
		    stage->floor_percent);
		return NULL;
	}
	if (!stage->has_no_tmpfile)
		rc = open_unnamed(stage, write_fd_r, &rfd, err);
	if (stage->has_no_tmpfile) {
		number = stage->next_number++;
		rc = open_named(stage, number, write_fd_r, &rfd, err);
	}
	if (rc != 0)
		return NULL;
	file = calloc(1, sizeof(*file));
	invariant(file != NULL);
	file->stage = stage;
	file->number = number;
	file->read_fd = rfd;
	return file;
}

void
stage_file_free(struct stage_file **filep)
{
	struct stage_file *file = *filep;
	char name[32];

	if (file == NULL)
		return;
	*filep = NULL;
	if (file->number != 0) {
		number_name(file->number, name);
		(void)unlinkat(file->stage->dir_fd, name, 0);
	}
	(void)close(file->read_fd);
	EVP_MD_CTX_free(file->hash);
	free(file);
}

int
stage_seal(struct stage_file *file, struct err *err)
{
	struct stat st;

	/* fcntl(2): granted only when no writable descriptor is left. */
	if (fcntl(file->read_fd, F_SETLEASE, F_RDLCK) == -1)
		return err_set_errno(err, errno == EAGAIN ? ERR_DENIED :
		    ERR_TEMP, "seal");
	(void)fcntl(file->read_fd, F_SETLEASE, F_UNLCK);
	if (fstat(file->read_fd, &st) == -1)
		return err_set_errno(err, ERR_TEMP, "seal");
	file->is_sealed = true;
	file->size_octets = (uint64_t)st.st_size;
	file->hash = EVP_MD_CTX_new();
	invariant(file->hash != NULL);
	if (EVP_DigestInit_ex(file->hash, file->stage->md, NULL) != 1)
		return err_set(err, ERR_TEMP, "sha256");
	return 0;
}

enum stage_step
stage_seal_step(struct stage_file *file, struct err *err)
{
	unsigned char chunk[READ_OCTETS];
	uint64_t end = file->hashed_octets + SEAL_SLICE_OCTETS;
	ssize_t n;

	while (file->hashed_octets < file->size_octets) {
		if (file->hashed_octets >= end)
			return STAGE_MORE;
		n = pread(file->read_fd, chunk, sizeof(chunk),
		    (off_t)file->hashed_octets);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_set_errno(err, ERR_TEMP, "read back");
			return STAGE_FAILED;
		}
		if (EVP_DigestUpdate(file->hash, chunk, (size_t)n) != 1) {
			err_set(err, ERR_TEMP, "sha256");
			return STAGE_FAILED;
		}
		file->hashed_octets += (uint64_t)n;
	}
	if (EVP_DigestFinal_ex(file->hash, file->sha256, NULL) != 1) {
		err_set(err, ERR_TEMP, "sha256");
		return STAGE_FAILED;
	}
	EVP_MD_CTX_free(file->hash);
	file->hash = NULL;
	return STAGE_DONE;
}
