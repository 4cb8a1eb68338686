/* SPDX-License-Identifier: ISC */
#include "imapd/engine/ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

/* One file in so many is looked at. */
#define PROBE_EVERY 16
/* Of a large one only so much is asked for; the kernel reads on. */
#define FILE_OCTETS_MAX (1U << 20)

static void
drop_first(struct ahead *ahead)
{
	(void)close(ahead->slots[ahead->first].fd);
	ahead->octets -= ahead->slots[ahead->first].octets;
	ahead->first = (ahead->first + 1) % AHEAD_MAX;
	ahead->count--;
}

static bool
holds(const struct ahead *ahead, uint64_t message)
{
	size_t i;

	for (i = 0; i < ahead->count; i++)
		if (ahead->slots[(ahead->first + i) % AHEAD_MAX].message ==
		    message)
			return true;
	return false;
}

int
ahead_take(struct ahead *ahead, uint64_t message)
{
	int fd;

	if (!holds(ahead, message))
		return -1;
	while (ahead->slots[ahead->first].message != message)
		drop_first(ahead);
	fd = ahead->slots[ahead->first].fd;
	ahead->slots[ahead->first].fd = -1;
	ahead->octets -= ahead->slots[ahead->first].octets;
	ahead->first = (ahead->first + 1) % AHEAD_MAX;
	ahead->count--;
	return fd;
}

/* preadv2(2): RWF_NOWAIT fails where the page would have to be read. */
void
ahead_probe(struct ahead *ahead, int fd)
{
	char octet;
	struct iovec iov = { &octet, 1 };

	if (ahead->since_probe++ % PROBE_EVERY != 0 || fd == -1)
		return;
	ahead->is_cold = preadv2(fd, &iov, 1, 0, RWF_NOWAIT) == -1 &&
	    errno == EAGAIN;
}

bool
ahead_wants(const struct ahead *ahead)
{
	return ahead->is_cold && ahead->count < AHEAD_MAX &&
	    ahead->octets < AHEAD_OCTETS_MAX;
}

void
ahead_add(struct ahead *ahead, struct store *store, uint64_t message,
    uint32_t octets)
{
	size_t slot = (ahead->first + ahead->count) % AHEAD_MAX;
	int fd;

	if (store_blob_open(store, message, &fd, NULL) != 0)
		return;
	ahead_probe(ahead, fd);
	if (octets > FILE_OCTETS_MAX)
		octets = FILE_OCTETS_MAX;
	(void)posix_fadvise(fd, 0, octets, POSIX_FADV_WILLNEED);
	ahead->slots[slot].message = message;
	ahead->slots[slot].fd = fd;
	ahead->slots[slot].octets = octets;
	ahead->octets += octets;
	ahead->count++;
}

void
ahead_end(struct ahead *ahead)
{
	while (ahead->count != 0)
		drop_first(ahead);
}
