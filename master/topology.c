/* SPDX-License-Identifier: ISC */
#include "master/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

const struct program programs[] = {
	{ "metricd", NULL, NULL, 0, 4 },
	{ "keyd", NULL, NULL, NEEDS_KEY, 3 },
	{ "blobd", NULL, NULL, 0, 3 },
	{ "directoryd", NULL, NULL, 0, 3 },
	{ "authd", NULL, NULL, 0, 3 },
	{ "dnsd", NULL, NULL, 0, 3 },
	{ "fetchd", NULL, NULL, 0, 3 },
	{ "filterd", "workers_filterd", NULL, 0, 3 },
	{ "scand", NULL, NULL, 0, 3 },
	{ "detonated", NULL, NULL, NEEDS_ENGINES, 3 },
	{ "queued", NULL, NULL, 0, 1 },
	{ "quarantined", NULL, NULL, 0, 2 },
	{ "mboxd", NULL, NULL, 0, 2 },
	{ "relay", "workers_relay", NULL, 0, 0 },
	{ "smtpd", "workers_smtpd", "smtp submission lmtp",
	    NEEDS_CERT | NEEDS_MILTERS, 0 },
	{ "imapd", "workers_imapd", "imap", NEEDS_CERT, 0 },
	{ "pop3d", "workers_pop3d", "pop3", NEEDS_CERT, 0 },
	{ "milterd", NULL, "milter", 0, 0 },
	{ "webmail", "workers_webmail", "web metrics", NEEDS_CERT | NEEDS_LISTENERS, 0 },
	{ "admind", NULL, NULL, NEEDS_CONTROL | NEEDS_CERT, 0 },
};
const size_t programs_len = sizeof(programs) / sizeof(programs[0]);

const struct program_link program_links[] = {
	{ "smtpd", "directoryd", "dir" },
	{ "smtpd", "authd", "auth" },
	{ "smtpd", "blobd", "blob" },
	{ "smtpd", "queued", "queue" },
	{ "smtpd", "keyd", "key" },
	{ "smtpd", "filterd", "filter" },
	{ "smtpd", "metricd", "metric" },
	{ "filterd", "metricd", "metric" },
	{ "milterd", "metricd", "metric" },
	{ "scand", "metricd", "metric" },
	{ "queued", "metricd", "metric" },
	{ "quarantined", "metricd", "metric" },
	{ "webmail", "metricd", "metric" },
	{ "admind", "metricd", "metric" },
	{ "queued", "directoryd", "dir" },
	{ "queued", "blobd", "blob" },
	{ "queued", "mboxd", "mbox" },
	{ "queued", "keyd", "key" },
	{ "queued", "quarantined", "quarantine" },
	{ "quarantined", "queued", "queue" },
	{ "quarantined", "filterd", "filter" },
	{ "quarantined", "directoryd", "dir" },
	{ "quarantined", "blobd", "blob" },
	{ "queued", "detonated", "detonate" },
	{ "authd", "directoryd", "dir" },
	{ "authd", "mboxd", "mbox" },
	{ "mboxd", "directoryd", "dir" },
	{ "mboxd", "blobd", "blob" },
	{ "imapd", "authd", "auth" },
	{ "imapd", "mboxd", "mbox" },
	{ "imapd", "keyd", "key" },
	{ "pop3d", "authd", "auth" },
	{ "pop3d", "mboxd", "mbox" },
	{ "pop3d", "keyd", "key" },
	{ "webmail", "directoryd", "dir" },
	{ "webmail", "keyd", "key" },
	{ "admind", "directoryd", "dir" },
	{ "admind", "authd", "auth" },
	{ "admind", "queued", "queue" },
	{ "admind", "quarantined", "quarantine" },
	{ "admind", "dnsd", "dns" },
	{ "admind", "fetchd", "fetch" },
	{ "admind", "keyd", "key" },
	{ "fetchd", "dnsd", "dns" },
	{ "filterd", "dnsd", "dns" },
	{ "milterd", "filterd", "filter" },
	{ "filterd", "scand", "scan" },
	{ "scand", "directoryd", "dir" },
	{ "relay", "queued", "relay" },
	{ "relay", "dnsd", "dns" },
	{ "relay", "fetchd", "fetch" },
	{ "relay", "keyd", "key" },
};
const size_t program_links_len =
    sizeof(program_links) / sizeof(program_links[0]);

/* ---- folders ---- */

struct folder {
	const char *path;
	const char *user;	/* NULL: root */
	const char *group;	/* NULL: the user's */
	mode_t mode;
};

/*
 * Holder folders carry blobd's group and the set-group-id bit, so that blobd
 * may link into them; stage/ carries the readers' group, so that every blob
 * made there can be read, but not written, by the holders.
 */
static const struct folder folders[] = {
	{ "run", NULL, NULL, 0755 },
	{ "log", NULL, NULL, 0750 },
	{ "data", NULL, NULL, 0755 },
	{ "data/stage", "_hikyaku-blobd", "_hikyaku-mail", 02750 },
	{ "data/directory", "_hikyaku-directoryd", NULL, 0700 },
	{ "data/secrets", "_hikyaku-authd", NULL, 0700 },
	{ "data/keys", "_hikyaku-keyd", NULL, 0700 },
	{ "data/metrics", "_hikyaku-metricd", NULL, 0700 },
	{ "data/queue", "_hikyaku-queued", "_hikyaku-blobd", 02770 },
	{ "data/queue/b", "_hikyaku-queued", "_hikyaku-blobd", 02770 },
	{ "data/quarantine", "_hikyaku-quarantined", "_hikyaku-blobd",
	    02770 },
	{ "data/quarantine/b", "_hikyaku-quarantined", "_hikyaku-blobd",
	    02770 },
	{ "data/accounts", "_hikyaku-mboxd", "_hikyaku-blobd", 02770 },
	{ "data/scan", NULL, NULL, 0755 },
	{ "data/scan/signatures", NULL, NULL, 0755 },
	{ "data/scan/clamav", NULL, NULL, 0755 },
	{ "data/scan/unpack", NULL, NULL, 0755 },
	{ "data/empty", NULL, NULL, 0555 },
};

static int
folder_own(int fd, const char *path, const struct folder *folder,
    struct err *err)
{
	const struct passwd *pw;
	const struct group *gr;
	uid_t uid = 0;
	gid_t gid = 0;

	if (geteuid() != 0)
		return 0;
	if (folder->user != NULL) {
		if ((pw = getpwnam(folder->user)) == NULL)
			return err_set(err, ERR_NOTFOUND, "no user %s "
			    "(quickstart or systemd-sysusers makes them)",
			    folder->user);
		uid = pw->pw_uid;
		gid = pw->pw_gid;
	}
	if (folder->group != NULL) {
		if ((gr = getgrnam(folder->group)) == NULL)
			return err_set(err, ERR_NOTFOUND, "no group %s",
			    folder->group);
		gid = gr->gr_gid;
	}
	if (fchown(fd, uid, gid) == -1)
		return err_set_errno(err, ERR_TEMP, "chown %s", path);
	return 0;
}

/* By descriptor: a folder's owner may exchange what is inside meanwhile. */
static int
folder_make(const char *path, const struct folder *folder, struct err *err)
{
	int fd, rc;

	if (mkdir(path, 0700) == -1 && errno != EEXIST)
		return err_set_errno(err, ERR_TEMP, "mkdir %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return err_set_errno(err, ERR_TEMP, "folder %s", path);
	rc = folder_own(fd, path, folder, err);
	if (rc == 0 && fchmod(fd, folder->mode) == -1)
		rc = err_set_errno(err, ERR_TEMP, "chmod %s", path);
	(void)close(fd);
	return rc;
}

int
layout_make(const char *dir, struct err *err)
{
	char path[4096];
	size_t i;
	int rc;

	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (snprintf(path, sizeof(path), "%s/%s", dir,
		    folders[i].path) >= (int)sizeof(path))
			return err_set(err, ERR_LIMIT, "path too long");
		if ((rc = folder_make(path, &folders[i], err)) != 0)
			return rc;
	}
	return 0;
}
