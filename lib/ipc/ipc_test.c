/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <sys/socket.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "ipc/links.h"
#include "ipc/proxy.h"

static struct {
	struct loop *loop;
	struct ipc_link *client;
	struct ipc_link *server;
	struct ipc_req *kept;
	int done;
	int code;
	int gone;
	int violations;
	uint64_t number;
	char text[64];
} t;

static void
on_line(void *ctx, struct str line)
{
	(void)ctx;
	if (str_find_str(line, STR("ipc.violation")) != STR_NPOS)
		t.violations++;
}

static void
on_login(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct str name = ipc_get_str(in);
	struct ipc_out *out;

	(void)link;
	if (str_eq(name, STR("later"))) {
		t.kept = req;
		return;
	}
	if (str_eq(name, STR("nobody"))) {
		ipc_reply_err(req, ERR_NOTFOUND, "no %.*s", STR_FMT(name));
		return;
	}
	out = ipc_reply_begin(req);
	ipc_put_u64(out, UINT64_MAX - 1);
	ipc_put_u64(out, 0);
	ipc_put_str(out, name);
	ipc_put_bool(out, true);
	ipc_put_bool(out, true);
	ipc_reply_end(out, -1);
}

static ipc_handler *const handlers[] = {
	[DIR_LOGIN] = on_login,
	[DIR_CHANGED] = NULL,
};

/* Of DIR_LOGIN, behind the name. */
static void
put_rest(struct ipc_out *out)
{
	ipc_put_str(out, STR("imaps"));
	ipc_put_str(out, STR("internet"));
}

static void
on_done(void *ctx, int code, struct ipc_in *in)
{
	struct str text;

	(void)ctx;
	t.done++;
	t.code = code;
	if (code != 0)
		return;
	t.number = ipc_get_u64(in);
	(void)ipc_get_u64(in);
	text = ipc_get_str(in);
	(void)snprintf(t.text, sizeof(t.text), "%.*s", STR_FMT(text));
}

static void
on_server_gone(void *ctx, struct ipc_link *link)
{
	(void)ctx;
	t.gone++;
	if (link == t.server)
		t.server = NULL;
	ipc_link_free(&link);
}

static int
setup(void **state)
{
	int fds[2];

	(void)state;
	memset(&t, 0, sizeof(t));
	log_capture(on_line, NULL);
	t.loop = loop_new();
	t.client = ipc_client_new(t.loop, &ipc_dir, NULL);
	assert_int_equal(ipc_pair(fds, NULL), 0);
	ipc_client_attach(t.client, fds[0]);
	t.server = ipc_serve(t.loop, &ipc_dir, fds[1], STR("test"), handlers,
	    NULL, on_server_gone);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ipc_link_free(&t.client);
	ipc_link_free(&t.server);
	loop_free(&t.loop);
	log_capture(NULL, NULL);
	return 0;
}

static void
ask(const char *name)
{
	struct ipc_out *out = ipc_begin(t.client, DIR_LOGIN);

	ipc_put_str(out, str_of(name));
	put_rest(out);
	(void)ipc_call(out, -1, 5000, on_done, NULL);
}

static void
test_call(void **state)
{
	(void)state;
	ask("alice");
	ask("nobody");
	while (t.done < 1)
		loop_once(t.loop);
	while (t.done < 2)
		loop_once(t.loop);
	assert_int_equal(t.code, ERR_NOTFOUND);
	assert_true(t.number == UINT64_MAX - 1);
	assert_string_equal(t.text, "alice");
	assert_true(str_eq(ipc_last_error(t.client), STR("no nobody")));
}

static void
test_peer_lost(void **state)
{
	int fds[2];

	(void)state;
	ask("later");
	while (t.kept == NULL)
		loop_once(t.loop);
	ipc_link_free(&t.server);
	while (t.done < 1)
		loop_once(t.loop);
	assert_int_equal(t.code, ERR_TEMP);
	assert_false(ipc_is_attached(t.client));
	/* An answer to a peer that is gone goes nowhere. */
	ipc_reply_err(t.kept, ERR_TEMP, "late");
	/* A call made now waits for the next server. */
	ask("bob");
	assert_int_equal(ipc_pair(fds, NULL), 0);
	t.server = ipc_serve(t.loop, &ipc_dir, fds[1], STR("test"), handlers,
	    NULL, on_server_gone);
	ipc_client_attach(t.client, fds[0]);
	while (t.done < 2)
		loop_once(t.loop);
	assert_int_equal(t.code, 0);
	assert_string_equal(t.text, "bob");
}

static void
test_deadline_and_cancel(void **state)
{
	struct ipc_out *out;
	uint32_t id;

	(void)state;
	out = ipc_begin(t.client, DIR_LOGIN);
	ipc_put_str(out, STR("later"));
	put_rest(out);
	id = ipc_call(out, -1, 5000, on_done, NULL);
	ipc_cancel(t.client, id);
	while (t.kept == NULL)
		loop_once(t.loop);
	ipc_reply_err(t.kept, ERR_TEMP, "x");
	t.kept = NULL;
	out = ipc_begin(t.client, DIR_LOGIN);
	ipc_put_str(out, STR("later"));
	put_rest(out);
	(void)ipc_call(out, -1, 1, on_done, NULL);
	while (t.done < 1)
		loop_once(t.loop);
	assert_int_equal(t.code, ERR_TEMP);
	ipc_reply_err(t.kept, ERR_TEMP, "x");
	loop_once(t.loop);
	assert_int_equal(t.done, 1);
}

static void
test_over_a_frame(void **state)
{
	static char big[70000];
	struct ipc_out *out = ipc_begin(t.client, DIR_LOGIN);

	(void)state;
	ipc_put_str(out, str_make(big, sizeof(big)));
	put_rest(out);
	(void)ipc_call(out, -1, 5000, on_done, NULL);
	while (t.done < 1)
		loop_once(t.loop);
	assert_int_equal(t.code, ERR_TEMP);
	assert_int_equal(t.gone, 0);
}

/* Octets that are no legal frame end the sender's link, nothing else. */
static void
test_violations(void **state)
{
	static const struct {
		const char *name;
		const char *frame;
		size_t len;
	} cases[] = {
		{ "short", "\1\0", 2 },
		{ "version", "\2\0\3\0\1\0\0\0s\1\0\0\0a", 14 },
		{ "unknown request", "\1\0\377\0\1\0\0\0", 8 },
		{ "no handler", "\1\0\0\0\1\0\0\0", 8 },
		{ "a push from the client", "\1\2\7\0\1\0\0\0", 8 },
		{ "no field", "\1\0\3\0\1\0\0\0", 8 },
		{ "wrong type", "\1\0\3\0\1\0\0\0u\1\0\0\0\0\0\0\0", 17 },
		{ "length over the frame", "\1\0\3\0\1\0\0\0s\2\0\0\0a", 14 },
		{ "huge length", "\1\0\3\0\1\0\0\0s\377\377\377\377a", 14 },
		{ "a field too many",
		    "\1\0\3\0\1\0\0\0s\1\0\0\0as\1\0\0\0a", 20 },
		{ "a note as request", "\1\1\3\0\1\0\0\0s\1\0\0\0a", 14 },
	};
	int fds[2];
	size_t i;

	(void)state;
	assert_int_equal(DIR_LOGIN, 3);
	for (i = 0; i < COUNT_OF(cases); i++) {
		struct ipc_link *server;

		t.gone = t.violations = 0;
		assert_int_equal(ipc_pair(fds, NULL), 0);
		server = ipc_serve(t.loop, &ipc_dir, fds[1], STR("test"),
		    handlers, NULL, on_server_gone);
		assert_non_null(server);
		assert_int_equal(send(fds[0], cases[i].frame, cases[i].len, 0),
		    (ssize_t)cases[i].len);
		while (t.gone == 0)
			loop_once(t.loop);
		assert_int_equal(t.violations, 1);
		(void)close(fds[0]);
	}
}

static void
test_unexpected_fd(void **state)
{
	struct ipc_out *out = ipc_begin(t.client, DIR_LOGIN);

	(void)state;
	ipc_put_str(out, STR("alice"));
	put_rest(out);
	(void)ipc_call(out, STDERR_FILENO, 5000, on_done, NULL);
	while (t.gone == 0)
		loop_once(t.loop);
	assert_int_equal(t.violations, 1);
}

static void
test_check_fields(void **state)
{
	static const struct {
		const char *sig;
		const char *fields;
		size_t len;
		int want;
	} cases[] = {
		{ "", "", 0, 0 },
		{ "", "b\1", 2, ERR_SYNTAX },
		{ "b:x", "b\1", 2, 0 },
		{ "b:x", "b\2", 2, ERR_SYNTAX },
		{ "(b:x)*", "", 0, 0 },
		{ "(b:x b:y)*", "b\1b\0", 4, 0 },
		{ "(b:x b:y)*", "b\1b\0b\1", 6, ERR_SYNTAX },
		{ "s:a (s:b)*", "s\0\0\0\0s\1\0\0\0x", 11, 0 },
		{ "s:a (s:b)*", "", 0, ERR_SYNTAX },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(ipc_check_fields(cases[i].sig,
		    str_make(cases[i].fields, cases[i].len)), cases[i].want);
}

/* ---- proxy ---- */

static struct proxy *broken;
static int broken_ends;

static void
on_broken_end(void *ctx, enum proxy_end why)
{
	struct conn **conn = ctx;

	assert_int_equal(why, PROXY_UNAVAILABLE);
	/* As fronts do it: the owner must know its proxy by now. */
	assert_non_null(broken);
	*conn = proxy_take_conn(broken);
	proxy_free(&broken);
	broken_ends++;
}

/* Out of descriptors: the owner is told, once it has the proxy. */
static void
test_proxy_without_descriptors(void **state)
{
	static const struct proxy_ops ops = { .on_end = on_broken_end };
	struct loop *loop = loop_new();
	struct rlimit had, none;
	struct conn *conn = NULL;
	struct proxy_args args = { .loop = loop, .protocol = "imap",
	    .ticket = STR("ticket"), .ops = &ops, .ctx = &conn };
	int fds[2], i;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	args.conn = conn_new(loop, fds[0], 4096, 4096, NULL, NULL);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
	none = had;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	broken = proxy_open(&args);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &had), 0);
	assert_int_equal(broken_ends, 0);
	for (i = 0; i < 100 && broken_ends == 0; i++)
		loop_once(loop);
	assert_int_equal(broken_ends, 1);
	conn_free(&conn);
	(void)close(fds[1]);
	loop_free(&loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peer_lost, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_deadline_and_cancel,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_over_a_frame, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_violations, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_unexpected_fd, setup,
		    teardown),
		cmocka_unit_test(test_proxy_without_descriptors),
		cmocka_unit_test(test_check_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
