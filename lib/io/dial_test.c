/* SPDX-License-Identifier: ISC */
/* Dialling a listener, a closed port, an impossible address; giving up. */
#include "base/test.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/dial.h"

static struct {
	int calls;
	int fd;
	char reason[128];
} got;

static void
on_dialled(void *ctx, int fd, const char *reason)
{
	(void)ctx;
	got.calls++;
	got.fd = fd;
	(void)snprintf(got.reason, sizeof(got.reason), "%s",
	    reason != NULL ? reason : "");
}

static int
listener(uint16_t *port_r)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (void *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (void *)&sin, &len), 0);
	*port_r = ntohs(sin.sin_port);
	return fd;
}

static void
dial_and_wait(struct loop *loop, const char *address, uint16_t port)
{
	struct netaddr to;

	memset(&got, 0, sizeof(got));
	got.fd = -1;
	assert_int_equal(netaddr_parse(str_of(address), &to, NULL), 0);
	(void)dial_new(loop, &to, port, 2000, on_dialled, NULL);
	assert_int_equal(got.calls, 0);
	while (got.calls == 0)
		loop_once(loop);
}

static void
test_dial(void **state)
{
	struct loop *loop = loop_new();
	struct netaddr to;
	struct dial *dial;
	uint16_t port;
	int fd = listener(&port);

	(void)state;
	dial_and_wait(loop, "127.0.0.1", port);
	assert_int_equal(got.fd, -1);
	assert_string_equal(got.reason, "Connection refused");
	assert_int_equal(listen(fd, 5), 0);
	dial_and_wait(loop, "127.0.0.1", port);
	assert_int_not_equal(got.fd, -1);
	(void)close(got.fd);
	/* Given up: nobody is told. */
	got.calls = 0;
	assert_int_equal(netaddr_parse(STR("127.0.0.1"), &to, NULL), 0);
	dial = dial_new(loop, &to, port, 2000, on_dialled, NULL);
	dial_free(&dial);
	dial_and_wait(loop, "255.255.255.255", port);
	assert_int_equal(got.fd, -1);
	assert_int_equal(got.calls, 1);
	(void)close(fd);
	loop_free(&loop);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
