/* SPDX-License-Identifier: ISC */
/* Jobs with a grant: a keyd that says what the test wants, the rig's hosts. */
#include "base/test.h"

#include "base/log.h"
#include "ipc/grant.h"
#include "mailauth/dkim_key.h"
#include "smtpd/relay/rig.h"
#include "smtpd/relay/signer.h"

#define HOST "example.org MX 10 mx.example.org\nmx.example.org A 127.0.0.1\n"
#define TEXT "From: s@example.com\r\nSubject: x\r\n\r\nhello\r\n"
#define SESSION(caps) "S 220 mx\nC EHLO\n" caps \
    "C MAIL FROM:<s@example.com>\nS 250 ok\n" \
    "C RCPT TO:<a@example.org>\nS 250 ok\nC DATA\nS 354 go\nD\n" \
    "S 250 2.0.0 taken\n"
#define PLAIN SESSION("S 250 mx\n")

static struct {
	struct rig rig;
	struct ipc_link *keyd;
	EVP_PKEY *pkey;
	const char *selectors;		/* of FIND: "a b" */
	int find_code, sign_code;	/* 0: well */
	unsigned finds, signs;
} t;

static void
on_find(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct str rest = str_of(t.selectors);
	struct ipc_out *out;

	(void)link;
	t.finds++;
	assert_true(str_eq(ipc_get_str(in), t.rig.grant));
	if (t.find_code != 0) {
		ipc_reply_err(req, t.find_code, "no");
		return;
	}
	out = ipc_reply_begin(req);
	ipc_put_str(out, STR("example.com"));
	while (rest.len != 0) {
		ipc_put_str(out, str_cut(rest, ' ', &rest));
		ipc_put_u64(out, DKIM_ED25519_SHA256);
	}
	ipc_reply_end(out, -1);
}

static void
on_sign(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct str digest;
	struct ipc_out *out;
	struct buf signature;

	(void)link;
	t.signs++;
	assert_true(str_eq(ipc_get_str(in), t.rig.grant));
	(void)ipc_get_str(in);
	assert_int_equal(ipc_get_u64(in), DKIM_ED25519_SHA256);
	digest = ipc_get_str(in);
	assert_int_equal(digest.len, 32);
	if (t.sign_code != 0) {
		ipc_reply_err(req, t.sign_code, "no");
		return;
	}
	buf_init(&signature, 1024);
	assert_int_equal(dkim_key_sign(t.pkey,
	    (const unsigned char *)digest.p, &signature, NULL), 0);
	out = ipc_reply_begin(req);
	ipc_put_str(out, buf_str(&signature));
	ipc_reply_end(out, -1);
	buf_fini(&signature);
}

static void
quiet(void *ctx, struct str line)
{
	(void)ctx;
	(void)line;
}

static int
setup(void **state)
{
	static ipc_handler *const handlers[] = {
		[KEY_SIGN] = NULL, [KEY_SECRET] = NULL,
		[KEY_DKIM_CREATE] = NULL, [KEY_DKIM_LIST] = NULL,
		[KEY_DKIM_FIND] = on_find, [KEY_DKIM_SIGN] = on_sign,
	};
	struct relay *relay = &t.rig.relay;
	int fds[2];

	(void)state;
	memset(&t, 0, sizeof(t));
	rig_init(&t.rig);
	t.rig.zone = HOST;
	t.rig.grant = STR("grant");
	t.selectors = "sel";
	t.pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	assert_non_null(t.pkey);
	assert_int_equal(ipc_pair(fds, NULL), 0);
	relay->keyd = ipc_client_new(relay->loop, &ipc_key, &t);
	ipc_client_attach(relay->keyd, fds[0]);
	t.keyd = ipc_serve(relay->loop, &ipc_key, fds[1], STR("relay"),
	    handlers, &t, NULL);
	relay->signatures = signatures_new();
	return 0;
}

static int
teardown(void **state)
{
	struct relay *relay = &t.rig.relay;
	struct signatures *signatures = relay->signatures;
	struct ipc_link *keyd = relay->keyd;

	(void)state;
	ipc_link_free(&t.keyd);
	ipc_link_free(&keyd);
	signatures_free(&signatures);
	rig_fini(&t.rig);
	EVP_PKEY_free(t.pkey);
	return 0;
}

static void
run(const char *const *scripts, struct str text)
{
	t.rig.scripts = scripts;
	t.rig.sessions = 0;
	buf_reset(&t.rig.data);
	buf_reset(&t.rig.results);
	rig_job(&t.rig, text, "example.org", "s@example.com", 0,
	    "a@example.org");
	rig_wait(&t.rig);
	assert_null(t.rig.fault);
}

/* How many fields called so stand in what the host got. */
static unsigned
count(const char *what)
{
	struct str rest = buf_str(&t.rig.data);
	size_t at, n = 0;

	while ((at = str_find_str(rest, str_of(what))) != STR_NPOS) {
		rest = str_sub(rest, at + 1, STR_NPOS);
		n++;
	}
	return (unsigned)n;
}

static void
assert_sent(void)
{
	if (!str_eq(buf_str(&t.rig.results), STR("0:sent:2.0.0")) &&
	    !str_eq(str_trim(buf_str(&t.rig.results)), STR("0:sent:2.0.0")))
		fail_msg("%.*s (%s)", STR_FMT(buf_str(&t.rig.results)),
		    t.rig.reason);
}

static void
test_signed(void **state)
{
	static const char *const scripts[] = { PLAIN, NULL };

	(void)state;
	t.selectors = "one two";
	run(scripts, STR(TEXT));
	assert_sent();
	assert_true(str_begins(buf_str(&t.rig.data),
	    STR("DKIM-Signature: v=1;")));
	assert_int_equal(count("DKIM-Signature:"), 2);
	assert_int_equal(count("s=one;"), 1);
	assert_int_equal(count("d=example.com;"), 2);
	/* In front of the trace. */
	assert_true(str_find_str(buf_str(&t.rig.data), STR("Received: x")) >
	    str_find_str(buf_str(&t.rig.data), STR("s=two;")));
	assert_int_equal(t.finds, 1);
	assert_int_equal(t.signs, 2);
	/* The same message for another domain: remembered. */
	run(scripts, STR(TEXT));
	assert_sent();
	assert_int_equal(count("DKIM-Signature:"), 2);
	assert_int_equal(t.finds, 1);
	assert_int_equal(t.signs, 2);
}

/* A hop that takes less gets another form, which is signed by itself; SIZE
 * counts the signature. */
static void
test_forms(void **state)
{
	static const char *const eight[] = {
		SESSION("S 250-mx\nS 250-8BITMIME\nS 250 SIZE\n"), NULL };
	static const char *const seven[] = { PLAIN, NULL };
	struct str text = STR("From: s@example.com\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa9\r\n");
	size_t size;
	char mail[64];

	(void)state;
	run(eight, text);
	assert_sent();
	assert_int_equal(count("\xc3\xa9"), 1);
	assert_int_equal(t.signs, 1);
	size = t.rig.data.len;
	(void)snprintf(mail, sizeof(mail), "SIZE=%zu ", size);
	if (str_find_str(buf_str(&t.rig.said), str_of(mail)) == STR_NPOS)
		fail_msg("%s is not in %.*s", mail,
		    STR_FMT(buf_str(&t.rig.said)));
	run(seven, text);
	assert_sent();
	assert_false(str_has_8bit(buf_str(&t.rig.data)));
	assert_int_equal(count("DKIM-Signature:"), 1);
	assert_int_equal(t.signs, 2);
}

/* What is sent on: one set with the first key, of what our field says. */
static void
test_sealed(void **state)
{
#define OURS "Authentication-Results: relay.example.com; "
	static const struct {
		const char *head;
		unsigned seals;
		const char *cv;
	} cases[] = {
		{ OURS "spf=pass smtp.mailfrom=a@b.test\r\n", 1, "cv=none;" },
		{ OURS "arc=none; spf=pass\r\n", 1, "cv=none;" },
		{ OURS "arc=fail (i=1)\r\n", 1, "cv=fail;" },
		{ OURS "arc=pass\r\n", 0, NULL },
		{ OURS "arc=what\r\n", 0, NULL },
		{ "Authentication-Results: other.test; spf=pass\r\n", 0,
		    NULL },
		{ "", 0, NULL },
		{ OURS "spf=none\r\nARC-Seal: i=1; cv=fail\r\n", 0, NULL },
		{ OURS "arc=none\r\nARC-Seal: i=1; cv=none\r\n", 0, NULL },
	};
	static const unsigned char secret[GRANT_SECRET_OCTETS];
	static const char *const scripts[] = { PLAIN, NULL };
	struct grant grant = { .purpose = GRANT_ARC,
	    .domain = STR("example.com") };
	struct buf octets, text;
	size_t i;

	buf_init(&octets, GRANT_MAX);
	buf_init(&text, 4096);
	grant_put(&octets, &grant, secret);
	for (i = 0; i < COUNT_OF(cases); i++) {
		(void)setup(state);
		t.rig.grant = buf_str(&octets);
		t.selectors = "one two";
		buf_reset(&text);
		buf_addf(&text, "%s%s", cases[i].head, TEXT);
		run(scripts, buf_str(&text));
		assert_sent();
		if (count("ARC-Message-Signature:") != cases[i].seals ||
		    (cases[i].cv != NULL && count(cases[i].cv) != 1) ||
		    count("DKIM-Signature:") != 0 || t.signs !=
		    2 * cases[i].seals || count("s=two") != 0)
			fail_msg("case %zu: %.*s", i,
			    STR_FMT(buf_str(&t.rig.data)));
		(void)teardown(state);
	}
	buf_fini(&octets);
	buf_fini(&text);
}

/* What keyd may say, and what becomes of the mail. */
static void
test_refused(void **state)
{
	static const struct {
		const char *selectors, *text;
		int find_code, sign_code;
		const char *result;
		unsigned fields;
	} cases[] = {
		{ "", TEXT, 0, 0, "0:sent:2.0.0", 0 },
		{ "sel", "Subject: x\r\n\r\nno From\r\n", 0, 0,
		    "0:sent:2.0.0", 0 },
		{ "sel", TEXT, ERR_DENIED, 0, "0:temp:4.7.0", 0 },
		{ "sel", TEXT, ERR_TEMP, 0, "0:temp:4.7.0", 0 },
		{ "sel", TEXT, 0, ERR_NOTFOUND, "0:temp:4.7.0", 0 },
		{ "no name", TEXT, 0, 0, "0:sent:2.0.0", 2 },
		{ "bad;name", TEXT, 0, 0, "0:sent:2.0.0", 0 },
	};
	static const char *const scripts[] = { PLAIN, NULL };
	static const char *const silent[] = {
		"S 220 mx\nC EHLO\nS 250 mx\nH\n", NULL };
	size_t i;

	for (i = 0; i < COUNT_OF(cases); i++) {
		(void)setup(state);
		t.selectors = cases[i].selectors;
		t.find_code = cases[i].find_code;
		t.sign_code = cases[i].sign_code;
		run(strstr(cases[i].result, "temp") != NULL ? silent :
		    scripts, str_of(cases[i].text));
		if (!str_begins(str_trim(buf_str(&t.rig.results)),
		    str_of(cases[i].result)) ||
		    count("DKIM-Signature:") != cases[i].fields)
			fail_msg("case %zu: %.*s", i,
			    STR_FMT(buf_str(&t.rig.results)));
		(void)teardown(state);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_signed, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_forms, setup, teardown),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_refused),
	};

	log_capture(quiet, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
