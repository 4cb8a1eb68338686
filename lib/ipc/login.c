/* SPDX-License-Identifier: ISC */
#include "ipc/login.h"

#define LOGIN_DEADLINE_MS 60000

static void
on_answer(void *ctx, int code, struct ipc_in *in)
{
	struct login_result result = { .status = AUTH_S_UNAVAILABLE };
	struct login *login = ctx;
	uint64_t status;

	login->has_call = false;
	if (code == 0) {
		status = ipc_get_u64(in);
		if (status <= AUTH_S_NO_MECHANISM)
			result.status = (enum auth_status)status;
		result.data = ipc_get_str(in);
		result.account = ipc_get_u64(in);
		result.user = ipc_get_str(in);
		result.ticket = ipc_get_str(in);
	}
	if (result.status != AUTH_S_CONTINUE)
		login->is_begun = false;
	login->on_result(login->ctx, &result);
}

static void
ask(struct login *login, struct ipc_out *out)
{
	login->has_call = true;
	login->call = ipc_call(out, -1, LOGIN_DEADLINE_MS, on_answer, login);
	ipc_wipe_sent(login->authd);	/* it may have been a password */
}

static void
put_where(struct login *login, struct ipc_out *out)
{
	ipc_put_bool(out, front_takes_logins(login->listener, login->conn));
	ipc_put_str(out, conn_remote(login->conn));
	ipc_put_str(out, str_of(front_service(login->listener)));
	ipc_put_str(out, str_of(login->listener->zone));
}

void
login_start(struct login *login, struct str mechanism, bool has_initial,
    struct str initial)
{
	struct ipc_out *out = ipc_begin(login->authd, AUTH_START);

	ipc_put_u64(out, login->session);
	ipc_put_str(out, str_of(login->protocol));
	ipc_put_str(out, mechanism);
	ipc_put_bool(out, has_initial);
	ipc_put_str(out, initial);
	put_where(login, out);
	login->is_begun = true;
	ask(login, out);
}

void
login_step(struct login *login, struct str response)
{
	struct ipc_out *out = ipc_begin(login->authd, AUTH_STEP);

	ipc_put_u64(out, login->session);
	ipc_put_str(out, response);
	ask(login, out);
}

void
login_plain(struct login *login, struct str user, struct str password)
{
	struct ipc_out *out = ipc_begin(login->authd, AUTH_LOGIN);

	ipc_put_u64(out, login->session);
	ipc_put_str(out, str_of(login->protocol));
	ipc_put_str(out, user);
	ipc_put_str(out, password);
	put_where(login, out);
	ask(login, out);
}

void
login_cancel(struct login *login)
{
	struct ipc_out *out;

	if (login->has_call)
		ipc_cancel(login->authd, login->call);
	login->has_call = false;
	if (!login->is_begun)
		return;
	login->is_begun = false;
	out = ipc_begin(login->authd, AUTH_CANCEL);
	ipc_put_u64(out, login->session);
	(void)ipc_send(out, -1);
}
