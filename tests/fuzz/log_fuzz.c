/* SPDX-License-Identifier: ISC */
/* Whatever a peer sent, a JSON string in the log is printable and closed. */
#include "base/buf.h"
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str out;
	struct buf buf;

	buf_init(&buf, 8 * size + 16);
	json_put_str(&buf, str_make(data, size));
	out = buf_str(&buf);
	invariant(!buf_failed(&buf));
	invariant(out.len >= 2 && out.p[out.len - 1] == '"');
	invariant(str_is_printable(out) || str_has_8bit(out));
	invariant(str_is_utf8(out));
	buf_fini(&buf);
	return 0;
}
