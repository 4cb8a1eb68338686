/* SPDX-License-Identifier: ISC */
/* A grant from a broken relay: never read without the secret. What is read
 * under it is what was put. */
#include "ipc/grant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char secret[GRANT_SECRET_OCTETS] = "secret";
	struct grant grant = { .purpose = GRANT_DKIM, .what = size }, again;
	struct str text = str_make(data, size);
	struct buf out;

	invariant(grant_read(text, secret, 0, &again, NULL) != 0);
	grant.domain = str_sub(text, 0, 253);
	buf_init(&out, GRANT_MAX);
	grant_put(&out, &grant, secret);
	invariant(grant_read(buf_str(&out), secret, 0, &again, NULL) == 0);
	invariant(again.what == size && str_eq(again.domain, grant.domain));
	buf_fini(&out);
	return 0;
}
