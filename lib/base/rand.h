/* SPDX-License-Identifier: ISC */
/*
 * rand: unpredictable octets from the kernel (getrandom), good for keys.
 * Blocking.   Only before the kernel's pool is ready, once after boot.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *p, size_t len);
uint64_t rand_u64(void);

/* Equal, in time that depends on len alone. */
int rand_equal(const void *a, const void *b, size_t len);

#endif
