/* SPDX-License-Identifier: ISC */
/* Files as libclamav comes to them: an octet of level (its highest bit: known
 * from before), an octet of length, the file. */
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "filterd/virus/opened.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct opened opened;
	size_t at = 0, len;
	const char *kind;

	opened_begin(&opened, size % 2 == 0);
	while (size - at > 2) {
		len = data[at + 1];
		if (len > size - at - 2)
			len = size - at - 2;
		opened_file(&opened, data[at] & 0x3fU,
		    str_make(data + at + 2, len));
		invariant(opened.depth <= OPENED_DEPTH_MAX);
		if ((data[at] & 0x80U) == 0)
			opened_scan(&opened);
		at += 2 + len;
	}
	kind = opened_end(&opened);
	invariant(opened.depth == 0 && (kind == NULL || *kind != '\0'));
	return 0;
}
