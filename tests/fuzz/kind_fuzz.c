/* SPDX-License-Identifier: ISC */
/* The first line: a name; the rest: the file. */
#include <stddef.h>
#include <stdint.h>

#include "attack_seed.h"
#include "filterd/attack/kind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), name, file;
	struct name_look look;
	enum attack_kind kind;
	struct buf octets;

	name = str_cut(rest, '\n', &rest);
	file = attack_seed(&octets, rest.p, rest.len);
	look = names_look(name);
	invariant(memchr(look.extension, '\0', sizeof(look.extension)) !=
	    NULL);
	kind = kind_of(file, &look);
	invariant(kind < KIND_COUNT && kind_name(kind) != NULL);
	invariant((kind == KIND_EMPTY) == (file.len == 0));
	/* The same file is the same whatever it promises to be. */
	if ((kind_flags(kind) & KIND_IMAGES_DISK) != 0)
		invariant(kind_is_disguised(kind, CLAIM_PDF));
	buf_fini(&octets);
	return 0;
}
