/* SPDX-License-Identifier: ISC */
#include "filterd/virus/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	bool ok = fd != -1 && write(fd, text, len) == (ssize_t)len;

	if (fd != -1)
		(void)close(fd);
	return ok ? 0 : ERR_TEMP;
}

/* Mounts of our own: as root, or as somebody who is root only for them. */
int
slots_begin(struct err *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char text[64];

	if (uid == 0) {
		if (unshare(CLONE_NEWNS) == -1)
			return err_set_errno(err, ERR_DENIED, "unshare");
	} else {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1)
			return err_set_errno(err, ERR_DENIED, "unshare");
		(void)write_file("/proc/self/setgroups", "deny");
		(void)snprintf(text, sizeof(text), "%u %u 1", uid, uid);
		if (write_file("/proc/self/uid_map", text) != 0)
			return err_set_errno(err, ERR_DENIED, "uid_map");
		(void)snprintf(text, sizeof(text), "%u %u 1", gid, gid);
		if (write_file("/proc/self/gid_map", text) != 0)
			return err_set_errno(err, ERR_DENIED, "gid_map");
	}
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		return err_set_errno(err, ERR_DENIED, "private mounts");
	return 0;
}

/* A folder for each worker, which cannot fill the disk. */
int
slots_make(const char *unpack, unsigned slot, uint64_t octets, uid_t owner,
    gid_t group, struct err *err)
{
	char path[4096], options[128];

	(void)snprintf(path, sizeof(path), "%s/%u", unpack, slot);
	if (mkdir(path, 0700) == -1 && errno != EEXIST)
		return err_set_errno(err, ERR_TEMP, "mkdir %s", path);
	(void)snprintf(options, sizeof(options),
	    "size=%llu,nr_inodes=20000,mode=0700",
	    (unsigned long long)octets);
	if (mount("unpack", path, "tmpfs", MS_NODEV | MS_NOSUID | MS_NOEXEC,
	    options) == -1)
		return err_set_errno(err, ERR_DENIED, "tmpfs on %s", path);
	if (owner != (uid_t)-1 && chown(path, owner, group) == -1)
		return err_set_errno(err, ERR_TEMP, "chown %s", path);
	return 0;
}

/* Those of the user namespace, which the mounts needed. */
int
slots_end(struct err *err)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2];

	if (geteuid() == 0)
		return 0;
	memset(none, 0, sizeof(none));
	return syscall(SYS_capset, &head, none) == 0 ? 0 :
	    err_set_errno(err, ERR_TEMP, "capset");
}
