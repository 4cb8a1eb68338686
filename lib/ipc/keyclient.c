/* SPDX-License-Identifier: ISC */
#include "ipc/keyclient.h"

static void
on_signature(void *ctx, int code, struct ipc_in *in)
{
	tls_sign_done(ctx, code == 0 ? ipc_get_str(in) : STR_NONE);
}

void
keyclient_sign(void *key_link, struct tls_sign *sign, struct str key,
    unsigned operation, struct str data)
{
	struct ipc_out *out = ipc_begin(key_link, KEY_SIGN);

	ipc_put_str(out, key);
	ipc_put_u64(out, operation);
	ipc_put_str(out, data);
	(void)ipc_call(out, -1, KEY_DEADLINE_MS, on_signature, sign);
}
