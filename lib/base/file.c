/* SPDX-License-Identifier: ISC */
#include "base/file.h"

#include <errno.h>
#include <unistd.h>

int
file_write(int fd, struct str octets, struct err *err)
{
	ssize_t n;

	while (octets.len != 0) {
		n = write(fd, octets.p, octets.len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_set_errno(err, errno == ENOSPC ||
			    errno == EDQUOT || errno == EFBIG ? ERR_LIMIT :
			    ERR_TEMP, "write");
		octets = str_sub(octets, (size_t)n, octets.len);
	}
	return 0;
}
