/* SPDX-License-Identifier: ISC */
/*
 * connect: what libcurl finds in place of libc's. This program is handed
 * sockets that are connected, and says so (CURL_SOCKOPT_ALREADY_CONNECTED), but
 * libcurl 7.88 connects them all the same and gives up at the error that it
 * gets for that. The sandbox would not let a connection be made here anyway.
 */
#include <sys/socket.h>

int
connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	(void)fd;
	(void)addr;
	(void)len;
	return 0;
}
