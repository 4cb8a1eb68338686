/* SPDX-License-Identifier: ISC */
#include "master/connect.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/netaddr.h"

static int
begin(const struct sockaddr_storage *to, socklen_t len, struct err *err)
{
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0), rc;

	if (fd == -1)
		return err_set_errno(err, ERR_TEMP, "socket");
	if (connect(fd, (const struct sockaddr *)to, len) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	rc = err_set_errno(err, ERR_TEMP, "connect");
	(void)close(fd);
	return rc;
}

static int
to_path(struct str path, struct err *err)
{
	struct sockaddr_storage to = { .ss_family = AF_UNIX };
	struct sockaddr_un *un = (struct sockaddr_un *)&to;

	if (path.len >= sizeof(un->sun_path))
		return err_set(err, ERR_SYNTAX, "the path is too long");
	memcpy(un->sun_path, path.p, path.len);
	return begin(&to, sizeof(*un), err);
}

int
connect_to(struct str address, struct err *err)
{
	struct sockaddr_storage to;
	struct netaddr addr;
	struct str host, rest;
	uint64_t port;
	socklen_t len;

	if (str_begins(address, STR("unix:")))
		return to_path(str_sub(address, 5, address.len), err);
	host = str_cut(address, '@', &rest);
	if (rest.p == NULL || netaddr_parse(host, &addr, NULL) != 0 ||
	    str_to_u64(rest, 65535, &port) != 0)
		return err_set(err, ERR_SYNTAX, "no address");
	len = netaddr_to_sockaddr(&addr, (uint16_t)port, &to);
	return begin(&to, len, err);
}
