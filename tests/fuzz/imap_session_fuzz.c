/* SPDX-License-Identifier: ISC */
/*
 * A whole session: what a client sends goes to the engine on an account with
 * three messages. The first octet says how the input is cut and whether the
 * rest is a parked state instead.
 */
#include "base/test.h"

#include "mboxd/engine_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const messages[] = {
	"Subject: one\r\nFrom: a@b\r\n\r\nbody\r\n",
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n"
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n"
	"--b--\r\n",
	"Subject: =?utf-8?q?=E4=BC=9A?=\r\n\r\n\xe4\xbc\x9a\r\n",
};

static struct test_account *
make_account(void)
{
	struct test_account *account = test_account_new();
	size_t i;

	for (i = 0; i < COUNT_OF(messages); i++)
		(void)test_deliver(account, STR("INBOX"),
		    STR("Return-Path: <a@b>\r\n"), str_of(messages[i]), 0,
		    1700000000, i != 1);
	account->message_max_octets = 100000;
	return account;
}

static void
feed(struct test_account *account, struct engine_host *host, struct str in,
    size_t piece)
{
	struct str part;

	while (in.len != 0 && !test_host_is_over(host)) {
		part = str_sub(in, 0, piece);
		in = str_sub(in, part.len, in.len);
		test_host_feed(host, part);
		test_run(account);
		test_host_take(host, test_host_output(host).len);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct test_account *account;
	struct engine_host *host, *other;
	struct str in = str_make(data, size);

	if (size == 0 || size > 65536)
		return 0;
	in = str_sub(in, 1, in.len);
	account = make_account();
	other = test_host_new(account, &imap_engine, STR_NONE);
	feed(account, other, STR("s SELECT INBOX\r\ni IDLE\r\n"), 1000);
	host = test_host_new(account, &imap_engine,
	    (data[0] & 1) != 0 ? in : STR_NONE);
	if (host != NULL)
		feed(account, host, (data[0] & 1) != 0 ?
		    STR("DONE\r\nx UID FETCH 1:* FLAGS\r\n") : in,
		    (data[0] & 2) != 0 ? 1 : 1000);
	test_host_free(&host);
	test_host_free(&other);
	test_account_free(&account);
	return 0;
}
