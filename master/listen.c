/* SPDX-License-Identifier: ISC */
#include "master/listen.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

/* ---- who has the port ---- */

/* Inode of a socket that listens on port, from /proc/net/tcp or tcp6. */
static bool
listening_inode(const char *table, uint16_t port, unsigned long *inode_r)
{
	FILE *file = fopen(table, "re");
	bool is_found = false;
	unsigned state, local;
	char line[512];

	if (file == NULL)
		return false;
	while (!is_found && fgets(line, sizeof(line), file) != NULL)
		is_found = sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[^ ] %x "
		    "%*s %*s %*s %*s %*s %lu", &local, &state, inode_r) == 3 &&
		    local == port && state == 0x0a;
	(void)fclose(file);
	return is_found;
}

static bool
process_has_socket(const char *pid, unsigned long inode)
{
	char path[300], link[64], want[64];
	struct dirent *entry;
	bool is_found = false;
	ssize_t n;
	DIR *dir;

	(void)snprintf(want, sizeof(want), "socket:[%lu]", inode);
	(void)snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	if ((dir = opendir(path)) == NULL)
		return false;
	while (!is_found && (entry = readdir(dir)) != NULL) {
		n = readlinkat(dirfd(dir), entry->d_name, link,
		    sizeof(link) - 1);
		if (n > 0) {
			link[n] = '\0';
			is_found = strcmp(link, want) == 0;
		}
	}
	(void)closedir(dir);
	return is_found;
}

static void
name_process(const char *pid, char *who, size_t size)
{
	char path[300], comm[64] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (file != NULL) {
		if (fgets(comm, sizeof(comm), file) != NULL)
			comm[strcspn(comm, "\n")] = '\0';
		(void)fclose(file);
	}
	(void)snprintf(who, size, "%s (pid %.16s)", comm, pid);
}

static void
who_listens(uint16_t port, char *who, size_t size)
{
	struct dirent *entry;
	unsigned long inode;
	DIR *proc;

	(void)snprintf(who, size, "another process");
	if (!listening_inode("/proc/net/tcp", port, &inode) &&
	    !listening_inode("/proc/net/tcp6", port, &inode))
		return;
	if ((proc = opendir("/proc")) == NULL)
		return;
	while ((entry = readdir(proc)) != NULL) {
		if (!ascii_is_digit(entry->d_name[0]) ||
		    !process_has_socket(entry->d_name, inode))
			continue;
		name_process(entry->d_name, who, size);
		break;
	}
	(void)closedir(proc);
}

/* ---- sockets ---- */

static int
parse_address(const char *text, uint16_t port, struct sockaddr_storage *ss,
    socklen_t *len_r)
{
	struct sockaddr_in6 *in6 = (void *)ss;
	struct sockaddr_in *in4 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, text, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
		*len_r = sizeof(*in4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		*len_r = sizeof(*in6);
		return 0;
	}
	return ERR_SYNTAX;
}

static int
bind_tcp(const struct config_listener *l, const char *address, int *fd_r,
    struct err *err)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, one = 1;
	char who[128];

	if (parse_address(address, l->port, &ss, &len) != 0)
		return err_set(err, ERR_SYNTAX, "listener %s: \"%s\" is no "
		    "IP address", l->name, address);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd == -1)
		return err_set_errno(err, ERR_TEMP, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ss.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one,
		    sizeof(one));
	if (bind(fd, (void *)&ss, len) == -1 || listen(fd, BACKLOG) == -1) {
		if (errno == EADDRINUSE) {
			who_listens(l->port, who, sizeof(who));
			err_set(err, ERR_EXISTS, "listener %s: port %u on %s "
			    "is in use by %s", l->name, l->port, address, who);
		} else {
			err_set_errno(err, ERR_TEMP, "listener %s: port %u "
			    "on %s", l->name, l->port, address);
		}
		(void)close(fd);
		return err != NULL ? err->code : ERR_TEMP;
	}
	*fd_r = fd;
	return 0;
}

/* A socket file that nobody answers on is left over: remove it. */
static int
bind_path(const char *path, int type, mode_t mode, int *fd_r,
    struct err *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(un.sun_path))
		return err_set(err, ERR_LIMIT, "%s: over %zu octets", path,
		    sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_set_errno(err, ERR_TEMP, "socket");
	if (connect(fd, (void *)&un, sizeof(un)) == 0) {
		(void)close(fd);
		return err_set(err, ERR_EXISTS, "%s is in use", path);
	}
	(void)unlink(path);
	if (bind(fd, (void *)&un, sizeof(un)) == -1 ||
	    chmod(path, mode) == -1 || listen(fd, BACKLOG) == -1) {
		err_set_errno(err, ERR_TEMP, "%s", path);
		(void)close(fd);
		return ERR_TEMP;
	}
	*fd_r = fd;
	return 0;
}

static char *
copy_text(const char *text)
{
	char *copy = strdup(text);

	invariant(copy != NULL);
	return copy;
}

static void
keep(struct listen_socket **sockets, const struct config_listener *l,
    const char *address, int fd)
{
	struct listen_socket *s = calloc(1, sizeof(*s));

	invariant(s != NULL);
	s->name = copy_text(l->name);
	s->protocol = copy_text(l->protocol);
	s->tls = copy_text(l->tls);
	s->zone = copy_text(l->zone);
	s->takes_clear_logins = l->takes_clear_logins;
	s->port = l->port;
	s->fd = fd;
	(void)snprintf(s->address, sizeof(s->address), "%s", address);
	s->next = *sockets;
	*sockets = s;
}

static int
open_one(const struct config_listener *l, const char *dir,
    struct listen_socket **sockets, struct err *err)
{
	char path[256];
	size_t i;
	int fd, rc;

	if (l->path[0] != '\0') {
		(void)snprintf(path, sizeof(path), "%s%s%s",
		    l->path[0] == '/' ? "" : dir,
		    l->path[0] == '/' ? "" : "/", l->path);
		rc = bind_path(path, SOCK_STREAM, 0666, &fd, err);
		if (rc == 0)
			keep(sockets, l, l->path, fd);
		return rc;
	}
	for (i = 0; i < l->addresses_len; i++) {
		rc = bind_tcp(l, l->addresses[i], &fd, err);
		if (rc != 0)
			return rc;
		keep(sockets, l, l->addresses[i], fd);
	}
	return 0;
}

int
listeners_open(const struct config *config, const char *dir,
    struct listen_socket **sockets_r, struct err *err)
{
	const struct config_listener *l;
	size_t n = config_listeners(config, &l), i;
	int rc = 0;

	*sockets_r = NULL;
	for (i = 0; rc == 0 && i < n; i++)
		rc = open_one(&l[i], dir, sockets_r, err);
	if (rc != 0)
		listeners_close(sockets_r);
	return rc;
}

void
listeners_close(struct listen_socket **sockets)
{
	struct listen_socket *s;

	while ((s = *sockets) != NULL) {
		*sockets = s->next;
		(void)close(s->fd);
		free(s->name);
		free(s->protocol);
		free(s->tls);
		free(s->zone);
		free(s);
	}
}

int
control_open(const char *dir, int *fd_r, struct err *err)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/run/control.sock", dir);
	return bind_path(path, SOCK_SEQPACKET, 0660, fd_r, err);
}
