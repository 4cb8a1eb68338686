/* SPDX-License-Identifier: ISC */
/*
 * A keyring that a crash or somebody left: it is read or refused, and a key
 * that is made in it is there when it is read again, with all before it. The
 * octets also stand as a record whose check is right.
 */
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "keyd/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
file_of(struct str text)
{
	int fd = memfd_create("ring", MFD_CLOEXEC);

	invariant(fd != -1 &&
	    pwrite(fd, text.p, text.len, 0) == (ssize_t)text.len);
	return fd;
}

static void
load(struct str text)
{
	int fd = file_of(text), again = dup(fd);
	struct ring *ring = ring_load(fd, NULL);
	const struct ring_key *key;
	size_t count;
	int rc;

	if (ring != NULL) {
		count = ring_count(ring);
		rc = ring_add(ring, STR("new.test"), STR("new"),
		    DKIM_ED25519_SHA256, 1, 1, &key, NULL);
		invariant((rc == ERR_CORRUPT) == ring_is_damaged(ring));
		ring_free(&ring);
		ring = ring_load(dup(again), NULL);
		invariant(ring != NULL &&
		    ring_count(ring) == count + (rc == 0));
		ring_free(&ring);
	}
	(void)close(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct buf file;
	unsigned i;

	load(str_make(data, size));
	buf_init(&file, size + 64);
	buf_add_cstr(&file, "HKDKIM1\n");
	for (i = 0; i < 4; i++)
		buf_add_char(&file, (char)(size >> (8 * i) & 255));
	(void)SHA256(data, size, digest);
	buf_add(&file, digest, 8);
	buf_add(&file, data, size);
	load(buf_str(&file));
	buf_fini(&file);
	return 0;
}
