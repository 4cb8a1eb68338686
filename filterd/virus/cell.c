/* SPDX-License-Identifier: ISC */
#include "filterd/virus/cell.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rand.h"
#include "filterd/virus/engine.h"
#include "proc/sandbox.h"

#define CPU_S 600		/* a worker's whole life */
#define FILES_MAX 256
#define SWEEP_DEPTH 32
#define SWEEP_ROUNDS_MAX 1000

/* ---- the folder ---- */

/* A folder below dir; one that cannot be read is made readable, which works
 * before the cell's walls stand. No message can leave a symbolic link. */
static int
open_below(int dir, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct stat st;
	int fd = openat(dir, name, flags);

	if (fd != -1 || errno != EACCES || fstatat(dir, name, &st,
	    AT_SYMLINK_NOFOLLOW) == -1 || !S_ISDIR(st.st_mode) ||
	    fchmodat(dir, name, 0700, 0) == -1)
		return fd;
	return openat(dir, name, flags);
}

/* Too deep for now: on top, for the next round. */
static void
lift(int top, int dir, const char *name)
{
	char lifted[24];

	(void)snprintf(lifted, sizeof(lifted), "%016llx",
	    (unsigned long long)rand_u64());
	(void)renameat(dir, name, top, lifted);
}

/* Names are not trusted. */
static void
sweep(int top, int dir, unsigned depth)
{
	int fd = open_below(dir, "."), below;
	DIR *stream = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (stream == NULL) {
		if (fd != -1)
			(void)close(fd);
		return;
	}
	while ((entry = readdir(stream)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dir, entry->d_name, 0) == 0 ||
		    unlinkat(dir, entry->d_name, AT_REMOVEDIR) == 0)
			continue;
		if (depth == SWEEP_DEPTH) {
			lift(top, dir, entry->d_name);
			continue;
		}
		below = open_below(dir, entry->d_name);
		if (below == -1)
			continue;
		sweep(top, below, depth + 1);
		(void)close(below);
		(void)unlinkat(dir, entry->d_name, AT_REMOVEDIR);
	}
	(void)closedir(stream);
}

static bool
is_empty(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd != -1 ? fdopendir(fd) : NULL;
	unsigned count = 0;

	if (stream == NULL && fd != -1)
		(void)close(fd);
	while (stream != NULL && count < 3 && readdir(stream) != NULL)
		count++;
	if (stream != NULL)
		(void)closedir(stream);
	return count < 3;
}

/* Each round takes SWEEP_DEPTH levels away; there are only so many inodes. */
void
cell_sweep(int dir)
{
	unsigned round;

	for (round = 0; round < SWEEP_ROUNDS_MAX && !is_empty(dir); round++)
		sweep(dir, dir, 0);
}

int
cell_open(const char *unpack, uint64_t slot, char *folder_r,
    size_t folder_size, int *dir_r, struct err *err)
{
	(void)snprintf(folder_r, folder_size, "%s/%llu", unpack,
	    (unsigned long long)slot);
	*dir_r = open(folder_r, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (*dir_r == -1)
		return err_set_errno(err, ERR_TEMP, "open %s", folder_r);
	cell_sweep(*dir_r);
	return 0;
}

/* ---- walls ---- */

static int
set_limit(int what, rlim_t value, struct err *err)
{
	struct rlimit limit = { value, value };

	return setrlimit(what, &limit) == 0 ? 0 :
	    err_set_errno(err, ERR_TEMP, "setrlimit");
}

static int
set_limits(struct err *err)
{
	int rc = set_limit(RLIMIT_CORE, 0, err);

	if (rc == 0)
		rc = set_limit(RLIMIT_NPROC, 0, err);
	if (rc == 0)
		rc = set_limit(RLIMIT_CPU, CPU_S, err);
	if (rc == 0)
		rc = set_limit(RLIMIT_NOFILE, FILES_MAX, err);
	if (rc == 0)
		rc = set_limit(RLIMIT_FSIZE, ENGINE_SCAN_OCTETS_MAX, err);
	return rc;
}

int
cell_enter(int dir, bool is_degraded_ok, struct err *err)
{
	int rc = set_limits(err);

	/* Without SB_MODES: Landlock lets everybody change rights. */
	return rc != 0 ? rc : sandbox_narrow(&dir, 1, SB_READ | SB_WRITE,
	    SB_FILES, is_degraded_ok, err);
}
