/* SPDX-License-Identifier: ISC */
#include "base/rand.h"

#include <errno.h>
#include <sys/random.h>

#include "base/err.h"

void
rand_bytes(void *p, size_t len)
{
	unsigned char *at = p;
	ssize_t n;

	while (len > 0) {
		n = getrandom(at, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		invariant(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

uint64_t
rand_u64(void)
{
	uint64_t value;

	rand_bytes(&value, sizeof(value));
	return value;
}

int
rand_equal(const void *a, const void *b, size_t len)
{
	const volatile unsigned char *x = a, *y = b;
	unsigned char diff = 0;
	size_t i;

	for (i = 0; i < len; i++)
		diff |= (unsigned char)(x[i] ^ y[i]);
	return diff == 0;
}
