/* SPDX-License-Identifier: ISC */
/*
 * login: the part of a front that asks authd: a SASL exchange or a plain user
 * name and password, one at a time.
 *
 * Lifetime.   login_init() -> login_start() or login_plain() -> login_step()*
 *             -> on_result(). login_cancel() at any time, also with nothing
 *             under way; after it no callback comes.
 * Ownership.  Views in the result live until the callback returns.
 * Blocking.   Never.
 */
#ifndef IPC_LOGIN_H
#define IPC_LOGIN_H

#include "ipc/front.h"
#include "ipc/links.h"
#include "ipc/values.h"

struct login_result {
	enum auth_status status;
	struct str data;	/* challenge, or the mechanism's last words */
	uint64_t account;
	struct str user;
	struct str ticket;
};

struct login {
	struct ipc_link *authd;
	uint64_t session;
	const char *protocol;
	const struct front_listener *listener;
	struct conn *conn;
	uint32_t call;
	bool has_call;		/* an answer is awaited */
	bool is_begun;		/* authd keeps an exchange */
	void (*on_result)(void *ctx, const struct login_result *result);
	void *ctx;
};

void login_start(struct login *login, struct str mechanism,
    bool has_initial, struct str initial);
void login_step(struct login *login, struct str response);
void login_plain(struct login *login, struct str user, struct str password);
void login_cancel(struct login *login);

#endif
