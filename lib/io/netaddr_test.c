/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <arpa/inet.h>

#include "io/netaddr.h"

static void
test_public(void **state)
{
	static const struct {
		const char *text;
		bool is_public;
	} cases[] = {
		{ "8.8.8.8", true },
		{ "1.1.1.1", true },
		{ "0.0.0.0", false },
		{ "0.1.2.3", false },
		{ "9.255.255.255", true },
		{ "10.0.0.0", false },
		{ "10.255.255.255", false },
		{ "11.0.0.0", true },
		{ "100.63.255.255", true },
		{ "100.64.0.0", false },
		{ "100.127.255.255", false },
		{ "100.128.0.0", true },
		{ "126.255.255.255", true },
		{ "127.0.0.1", false },
		{ "127.255.255.255", false },
		{ "128.0.0.0", true },
		{ "169.253.255.255", true },
		{ "169.254.169.254", false },
		{ "172.15.255.255", true },
		{ "172.16.0.0", false },
		{ "172.31.255.255", false },
		{ "172.32.0.0", true },
		{ "192.0.0.8", false },
		{ "192.0.1.0", true },
		{ "192.0.2.1", false },
		{ "192.88.99.1", false },
		{ "192.168.1.1", false },
		{ "192.169.0.0", true },
		{ "198.17.255.255", true },
		{ "198.18.0.0", false },
		{ "198.19.255.255", false },
		{ "198.51.100.7", false },
		{ "203.0.113.7", false },
		{ "223.255.255.255", true },
		{ "224.0.0.1", false },
		{ "239.255.255.255", false },
		{ "240.0.0.1", false },
		{ "255.255.255.255", false },
		{ "2606:4700::1111", true },
		{ "2a00:1450:4001::1", true },
		{ "::", false },
		{ "::1", false },
		{ "::127.0.0.1", false },
		{ "::8.8.8.8", false },
		{ "::ffff:127.0.0.1", false },
		{ "::ffff:8.8.8.8", false },
		{ "64:ff9b::7f00:1", false },
		{ "64:ff9b::808:808", false },
		{ "64:ff9b:1::1", false },
		{ "100::1", false },
		{ "1fff::1", false },
		{ "2000::1", true },
		{ "2001::1", false },
		{ "2001:1ff::1", false },
		{ "2001:200::1", true },
		{ "2001:db8::1", false },
		{ "2001:db9::1", true },
		{ "2002:7f00:1::", false },
		{ "2003::1", true },
		{ "3fff::1", false },
		{ "3fff:1000::1", true },
		{ "4000::1", false },
		{ "5f00::1", false },
		{ "fc00::1", false },
		{ "fd12:3456::1", false },
		{ "fe80::1", false },
		{ "febf::1", false },
		{ "fec0::1", false },
		{ "ff02::1", false },
	};
	struct netaddr addr;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(netaddr_parse(str_of(cases[i].text), &addr,
		    NULL), 0);
		if (netaddr_is_public(&addr) != cases[i].is_public)
			fail_msg("%s", cases[i].text);
	}
}

static void
test_not_an_address(void **state)
{
	static const char *const cases[] = { "", ".", "1", "127.1",
	    "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1.", "1.2.3.4.5",
	    "256.1.1.1", "2130706433", "fe80::1%lo", "[::1]", ":", ":::",
	    "1:2:3:4:5:6:7:8:9", "::ffff:1.2.3", " 1.2.3.4",
	    "1111:2222:3333:4444:5555:6666:7777:8888:9999:1111:2222" };
	struct netaddr addr;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++)
		if (netaddr_parse(str_of(cases[i]), &addr, NULL) !=
		    ERR_SYNTAX)
			fail_msg("%s", cases[i]);
	assert_int_equal(netaddr_parse(str_make("1.2.3.4\0", 8), &addr, NULL),
	    ERR_SYNTAX);
}

static void
test_round_trip(void **state)
{
	static const char *const cases[] = { "192.0.2.1", "2001:db8::1",
	    "::1", "::" };
	char text[NETADDR_TEXT_SIZE];
	struct netaddr addr, again;
	struct sockaddr_storage sa;
	uint16_t port;
	socklen_t len;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(netaddr_parse(str_of(cases[i]), &addr, NULL),
		    0);
		assert_string_equal(netaddr_text(&addr, text), cases[i]);
		len = netaddr_to_sockaddr(&addr, 25, &sa);
		assert_int_equal(netaddr_of_sockaddr(
		    (const struct sockaddr *)&sa, len, &again, &port), 0);
		assert_true(netaddr_eq(&addr, &again));
		assert_int_equal(port, 25);
		assert_int_equal(netaddr_of_sockaddr(
		    (const struct sockaddr *)&sa, 4, &again, &port),
		    ERR_SYNTAX);
	}
	sa.ss_family = AF_UNIX;
	assert_int_equal(netaddr_of_sockaddr((const struct sockaddr *)&sa,
	    sizeof(sa), &again, NULL), ERR_SYNTAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_not_an_address),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
