/* SPDX-License-Identifier: ISC */
#include <stddef.h>
#include <stdint.h>

#include "attack_seed.h"
#include "filterd/attack/zip.h"

#define MEMBER_MAX 65536U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zip_entry entry;
	struct buf octets, member;
	struct str file = attack_seed(&octets, data, size);
	struct zip zip;
	size_t entries = 0;

	if (zip_open(&zip, file)) {
		while (zip_next(&zip, &entry)) {
			invariant(++entries <= ZIP_ENTRIES_MAX);
			invariant(entry.name.len == 0 ||
			    (entry.name.p >= file.p && entry.name.p +
			    entry.name.len <= file.p + file.len));
			if (entries > 16)
				continue;
			buf_init(&member, MEMBER_MAX);
			(void)zip_inflate(&zip, &entry, &member);
			invariant(member.len <= MEMBER_MAX);
			invariant(!buf_failed(&member));
			buf_fini(&member);
		}
		invariant(entries == zip.entries ||
		    (zip.is_cut && entries + 1 == zip.entries));
		invariant(zip.packed_octets <= file.len);
	}
	buf_fini(&octets);
	return 0;
}
