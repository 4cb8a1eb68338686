/* SPDX-License-Identifier: ISC */
#include <stddef.h>
#include <stdint.h>

#include "attack_seed.h"
#include "filterd/attack/cfb.h"

#define STREAM_MAX 65536U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cfb_entry entry;
	struct buf octets, stream;
	struct str file = attack_seed(&octets, data, size);
	struct cfb cfb;
	size_t entries = 0;

	if (cfb_open(&cfb, file)) {
		while (cfb_next(&cfb, &entry)) {
			invariant(++entries <= CFB_ENTRIES_MAX + 1);
			invariant(strlen(entry.name) <= CFB_NAME_MAX);
			invariant(entry.clsid.len == 16);
			if (entries > 16)
				continue;
			buf_init(&stream, STREAM_MAX);
			cfb_read(&cfb, &entry, &stream);
			invariant(stream.len <= entry.octets);
			buf_fini(&stream);
		}
		cfb_close(&cfb);
	}
	buf_fini(&octets);
	return 0;
}
