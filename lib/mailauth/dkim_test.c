/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "mailauth/arc.h"
#include "mailauth/dkim.h"

#define NOW 1700000000
#define HEAD "From: a@x.test\r\nTo: b@y.test\r\nSubject: Hi\r\n" \
	"Date: Mon, 01 Jan 2024 10:00:00 +0000\r\nMessage-ID: <1@x.test>\r\n"

/* ---- what all tests use ---- */

struct rig {
	struct arena *arena;
	EVP_PKEY *rsa, *ed, *short_rsa;
	struct answers *answers;
};

static EVP_PKEY *
make_key(int kind, int bits)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(kind, NULL);
	EVP_PKEY *pkey = NULL;

	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	if (bits != 0)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits),
		    1);
	assert_int_equal(EVP_PKEY_keygen(ctx, &pkey), 1);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static int
rig_init(void **state)
{
	static struct rig rig;

	rig.arena = arena_new(0);
	rig.rsa = make_key(EVP_PKEY_RSA, 2048);
	rig.short_rsa = make_key(EVP_PKEY_RSA, 768);
	rig.ed = make_key(EVP_PKEY_ED25519, 0);
	*state = &rig;
	return 0;
}

static int
rig_fini(void **state)
{
	struct rig *rig = *state;

	EVP_PKEY_free(rig->rsa);
	EVP_PKEY_free(rig->short_rsa);
	EVP_PKEY_free(rig->ed);
	answers_free(&rig->answers);
	arena_free(&rig->arena);
	return 0;
}

static void
put_answer(struct rig *rig, struct str name, unsigned rcode,
    const struct str *texts, size_t count)
{
	struct answer answer = { .rcode = rcode, .rdata_len = count };
	struct buf rdata;
	struct str text;
	size_t i, n;

	answer.rdata = arena_alloc(rig->arena, (count + 1) *
	    sizeof(*answer.rdata));
	for (i = 0; i < count; i++) {
		buf_init(&rdata, 8192);
		for (text = texts[i]; text.len > 0;
		    text = str_sub(text, n, STR_NPOS)) {
			n = text.len < 255 ? text.len : 255;
			buf_add_char(&rdata, (char)n);
			buf_add_str(&rdata, str_sub(text, 0, n));
		}
		answer.rdata[i] = arena_str(rig->arena, buf_str(&rdata));
		buf_fini(&rdata);
	}
	answers_put(rig->answers, name, DNS_T_TXT, &answer);
}

static struct str
record_of(struct rig *rig, EVP_PKEY *pkey)
{
	struct str text;
	struct buf out;

	buf_init(&out, 4096);
	assert_int_equal(dkim_key_put_record(pkey, &out, NULL), 0);
	text = arena_str(rig->arena, buf_str(&out));
	buf_fini(&out);
	return text;
}

/* A fresh memo: rsa, ed and short under x.test. */
static void
set_keys(struct rig *rig)
{
	struct str text;

	answers_free(&rig->answers);
	rig->answers = answers_new();
	text = record_of(rig, rig->rsa);
	put_answer(rig, STR("rsa._domainkey.x.test"), DNS_R_NOERROR, &text, 1);
	text = record_of(rig, rig->ed);
	put_answer(rig, STR("ed._domainkey.x.test"), DNS_R_NOERROR, &text, 1);
	text = record_of(rig, rig->short_rsa);
	put_answer(rig, STR("short._domainkey.x.test"), DNS_R_NOERROR, &text,
	    1);
}

static struct mailauth_message *
read_by(struct str text, size_t step)
{
	struct mailauth_message *message = mailauth_message_new();
	size_t at;

	mailauth_message_want(message, CANON_RELAXED);
	for (at = 0; at < text.len; at += step)
		assert_int_equal(mailauth_message_feed(message, text.p + at,
		    text.len - at < step ? text.len - at : step, NULL), 0);
	mailauth_message_end(message);
	return message;
}

static struct str
signature_of(struct rig *rig, EVP_PKEY *pkey, const unsigned char *digest)
{
	struct str signature;
	struct buf out;

	buf_init(&out, 4096);
	assert_int_equal(dkim_key_sign(pkey, digest, &out, NULL), 0);
	signature = arena_str(rig->arena, buf_str(&out));
	buf_fini(&out);
	return signature;
}

/* text with a signature on top. */
static struct str
sign(struct rig *rig, const char *selector, struct str text)
{
	EVP_PKEY *pkey = strcmp(selector, "rsa") == 0 ? rig->rsa :
	    strcmp(selector, "ed") == 0 ? rig->ed : rig->short_rsa;
	struct dkim_sign how = { .domain = STR("x.test"),
	    .selector = str_of(selector), .now_s = NOW - 60 };
	struct mailauth_message *message = read_by(text, text.len + 1);
	unsigned char digest[MAILAUTH_HASH_OCTETS];
	struct dkim_signing *signing;
	struct str signed_text;
	struct buf out;

	assert_int_equal(dkim_key_algorithm(pkey, &how.algorithm), 0);
	signing = dkim_sign_begin(message, &how, digest, NULL);
	assert_non_null(signing);
	buf_init(&out, text.len + 8192);
	dkim_sign_end(signing, signature_of(rig, pkey, digest), &out);
	buf_add_str(&out, text);
	signed_text = arena_str(rig->arena, buf_str(&out));
	buf_fini(&out);
	mailauth_message_free(&message);
	return signed_text;
}

/* Results' strings are gone with the message: only values are looked at. */
static struct dkim_results
verify(struct rig *rig, struct str text, int64_t now_s)
{
	struct mailauth_message *message = read_by(text, 61);
	struct dkim_results results;
	size_t i;

	assert_int_equal(dkim_verify(message, rig->answers, now_s, &results),
	    MAILAUTH_DONE);
	for (i = 0; i < results.count; i++)
		results.v[i].reason = arena_str(rig->arena,
		    results.v[i].reason);
	mailauth_message_free(&message);
	return results;
}

static struct str
replace(struct rig *rig, struct str text, const char *what, const char *with)
{
	size_t at = str_find_str(text, str_of(what));

	if (at == STR_NPOS)
		fail_msg("no %s in the message", what);
	return arena_printf(rig->arena, "%.*s%s%.*s", (int)at, text.p, with,
	    (int)(text.len - at - strlen(what)), text.p + at + strlen(what));
}

static void
check(struct rig *rig, struct str text, enum mailauth_result want,
    const char *reason)
{
	struct dkim_results results = verify(rig, text, NOW);

	assert_int_equal(results.count, 1);
	if (results.v[0].result != want ||
	    str_find_str(results.v[0].reason, str_of(reason)) == STR_NPOS)
		fail_msg("%s (%.*s), not %s (%s):\n%.*s",
		    mailauth_result_name(results.v[0].result),
		    STR_FMT(results.v[0].reason), mailauth_result_name(want),
		    reason, STR_FMT(text));
}

/* ---- published examples ---- */

/* RFC 8463 appendix A: two signatures; the key of test is RFC 6376's. */
static const char rfc8463[] =
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
    " subject : date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    "\r\n"
    "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

static void
test_rfc8463(void **state)
{
	struct rig *rig = *state;
	struct str key = STR("v=DKIM1; k=ed25519; "
	    "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
	struct mailauth_message *message;
	struct dkim_results results;
	struct str name;
	unsigned type;
	size_t step;

	for (step = 1; step < 80; step += 13) {
		answers_free(&rig->answers);
		rig->answers = answers_new();
		message = read_by(str_of(rfc8463), step);
		assert_int_equal(dkim_verify(message, rig->answers, NOW,
		    &results), MAILAUTH_WAIT);
		assert_true(answers_next_wanted(rig->answers, &name, &type));
		assert_true(str_eq_nocase(name,
		    STR("brisbane._domainkey.football.example.com")));
		assert_int_equal(type, DNS_T_TXT);
		assert_false(answers_next_wanted(rig->answers, &name, &type));
		put_answer(rig, STR("brisbane._domainkey.football.example."
		    "com"), DNS_R_NOERROR, &key, 1);
		assert_int_equal(dkim_verify(message, rig->answers, NOW,
		    &results), MAILAUTH_DONE);
		assert_int_equal(results.count, 1);
		assert_int_equal(results.v[0].result, MAILAUTH_PASS);
		assert_true(str_eq(results.v[0].identity,
		    STR("@football.example.com")));
		assert_true(str_eq(results.v[0].signature, STR("/gCrinpc")));
		assert_int_equal(results.v[0].key_bits, 256);
		mailauth_message_free(&message);
	}
}

/* ---- signing and verifying ---- */

static void
test_both_ways(void **state)
{
	static const char *const messages[] = {
		HEAD "\r\nHello.\r\n",
		HEAD "\r\n",
		HEAD,
		"From: a@x.test\r\n\r\n\r\n\r\n",
		HEAD "List-Unsubscribe: <https://x.test/u>\r\n"
		    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
		    "\r\n a \t b \r\n\r\n",
		"Subject: x\r\n\r\n" /* no From: see below */,
	};
	struct rig *rig = *state;
	struct dkim_sign how = { .domain = STR("x.test"),
	    .selector = STR("rsa") };
	unsigned char digest[MAILAUTH_HASH_OCTETS];
	struct mailauth_message *message;
	struct dkim_results results;
	struct str text;
	size_t i;

	set_keys(rig);
	for (i = 0; i + 1 < COUNT_OF(messages); i++) {
		text = sign(rig, "rsa", str_of(messages[i]));
		check(rig, text, MAILAUTH_PASS, "");
		text = sign(rig, "ed", text);
		results = verify(rig, text, NOW);
		assert_int_equal(results.count, 2);
		assert_int_equal(results.v[0].result, MAILAUTH_PASS);
		assert_int_equal(results.v[1].result, MAILAUTH_PASS);
		assert_int_equal(results.v[0].key_bits, 256);
		assert_int_equal(results.v[1].key_bits, 2048);
		assert_false(results.is_cut);
	}
	message = read_by(str_of(messages[i]), 100);
	assert_null(dkim_sign_begin(message, &how, digest, NULL));
	mailauth_message_free(&message);
	/* What would end the tag never gets into the field. */
	message = read_by(STR(HEAD), 100);
	how.selector = STR("a; d=y.test");
	assert_null(dkim_sign_begin(message, &how, digest, NULL));
	mailauth_message_free(&message);
}

static void
test_changed(void **state)
{
	static const struct {
		const char *what, *with;
		enum mailauth_result want;
		const char *reason;
	} changes[] = {
		{ "Hello", "Hello", MAILAUTH_PASS, "" },
		{ "Hello", "Hallo", MAILAUTH_FAIL, "body" },
		{ "one  two", "one two", MAILAUTH_PASS, "" },
		{ "end.\r\n", "end. \r\n\r\n\r\n", MAILAUTH_PASS, "" },
		{ "end.\r\n", "end.\r\nmore\r\n", MAILAUTH_FAIL, "body" },
		{ "Subject: Hi", "Subject: Ho", MAILAUTH_FAIL, "signature" },
		{ "Subject: Hi", "SUBJECT:\r\n   Hi \t", MAILAUTH_PASS, "" },
		/* Oversigned: nobody adds one, above or below. */
		{ "From:", "From: c@z.test\r\nFrom:", MAILAUTH_FAIL, "" },
		{ "\r\n\r\nHello", "\r\nFrom: c@z.test\r\n\r\nHello",
		    MAILAUTH_FAIL, "" },
		{ "\r\n\r\nHello", "\r\nCc: c@z.test\r\n\r\nHello",
		    MAILAUTH_FAIL, "" },
		{ "\r\n\r\nHello", "\r\nMIME-Version: 1.0\r\n\r\nHello",
		    MAILAUTH_FAIL, "" },
		{ "\r\n\r\nHello", "\r\nX-New: c\r\n\r\nHello",
		    MAILAUTH_PASS, "" },
		/* The signature itself. */
		{ "d=x.test", "d=y.test", MAILAUTH_PERMERROR, "no such key" },
		{ "s=rsa", "s=ed", MAILAUTH_PERMERROR, "another kind" },
		{ "v=1", "v=2", MAILAUTH_PERMERROR, "version" },
		{ "v=1;", "", MAILAUTH_PERMERROR, "version" },
		{ "a=rsa-sha256", "a=rsa-sha1", MAILAUTH_PERMERROR, "sha1" },
		{ "a=rsa-sha256", "a=dsa", MAILAUTH_PERMERROR, "algorithm" },
		{ "a=rsa-sha256", "a=RSA-SHA256", MAILAUTH_FAIL, "" },
		{ "c=relaxed/relaxed", "c=relaxed/lax", MAILAUTH_PERMERROR,
		    "canonicalization" },
		{ "c=relaxed/relaxed", "c=relaxed", MAILAUTH_FAIL, "body" },
		{ "h=from:from:", "h=x:", MAILAUTH_PERMERROR, "From" },
		{ "h=from:", "h=from::", MAILAUTH_PERMERROR, "h=" },
		{ "bh=", "bh=A", MAILAUTH_PERMERROR, "" },
		{ "; t=", "; q=dns/other; t=", MAILAUTH_PERMERROR, "DNS" },
		{ "; t=", "; q=dns/other:dns/txt; t=", MAILAUTH_FAIL, "" },
		{ "; t=", "; i=a@y.test; t=", MAILAUTH_PERMERROR, "i=" },
		{ "; t=", "; i=a@notx.test; t=", MAILAUTH_PERMERROR, "i=" },
		{ "; t=", "; i=nobody; t=", MAILAUTH_PERMERROR, "i=" },
		{ "; t=", "; i=a@sub.X.test; t=", MAILAUTH_FAIL,
		    "signature" },
		{ "; t=", "; x=1; t=", MAILAUTH_PERMERROR, "expires" },
		{ "; t=", "; x=0; t=", MAILAUTH_PERMERROR, "expires" },
		{ "; t=", "; x=1700000001; t=", MAILAUTH_FAIL, "signature" },
		{ "; t=", "; x=1699999999; t=", MAILAUTH_FAIL, "expired" },
		{ "; t=", "; l=3; t=", MAILAUTH_FAIL, "body" },
		{ "; t=", "; l=999999999999999999999; t=", MAILAUTH_FAIL,
		    "l=" },
		{ "; t=", "; l=-1; t=", MAILAUTH_PERMERROR, "number" },
		{ "; t=", "; unknown=x; t=", MAILAUTH_FAIL, "signature" },
		{ "; t=", "; t=", MAILAUTH_PASS, "" },
		{ "; t=", ";; t=", MAILAUTH_PERMERROR, "tag" },
		{ "; t=", "; d=x.test; t=", MAILAUTH_PERMERROR, "twice" },
	};
	struct rig *rig = *state;
	struct str text;
	size_t i;

	set_keys(rig);
	put_answer(rig, STR("rsa._domainkey.y.test"), DNS_R_NXDOMAIN, NULL,
	    0);
	text = sign(rig, "rsa", STR(HEAD
	    "\r\nHello.\r\none  two\r\nend.\r\n"));
	text = replace(rig, text, ";\r\n t=", "; t=");
	for (i = 0; i < COUNT_OF(changes); i++)
		check(rig, replace(rig, text, changes[i].what,
		    changes[i].with), changes[i].want, changes[i].reason);
}

static void
test_keys(void **state)
{
	static const struct {
		const char *before;	/* put in front of "p=..." */
		const char *p;		/* instead of the key, or NULL */
		enum mailauth_result want;
		const char *reason;
	} records[] = {
		{ "", NULL, MAILAUTH_PASS, "" },
		{ "v=DKIM1; k=rsa; n=note; g=*; ", NULL, MAILAUTH_PASS, "" },
		{ "v=DKIM1; h=sha1:sha256; s=*; ", NULL, MAILAUTH_PASS, "" },
		{ "v=DKIM1; s=other:email; t=y:s; ", NULL, MAILAUTH_PASS,
		    "" },
		{ "k=rsa; v=DKIM1; ", NULL, MAILAUTH_PERMERROR, "DKIM1" },
		{ "v=DKIM2; ", NULL, MAILAUTH_PERMERROR, "DKIM1" },
		{ "v=spf1; ", NULL, MAILAUTH_PERMERROR, "DKIM1" },
		{ "h=sha1; ", NULL, MAILAUTH_PERMERROR, "SHA-256" },
		{ "s=tlsrpt; ", NULL, MAILAUTH_PERMERROR, "mail" },
		{ "k=dsa; ", NULL, MAILAUTH_PERMERROR, "kind" },
		{ "k=ed25519; ", NULL, MAILAUTH_PERMERROR, "parse" },
		{ "", "p=", MAILAUTH_PERMERROR, "revoked" },
		{ "", "p=AAAA", MAILAUTH_PERMERROR, "parse" },
		{ "", "p=*", MAILAUTH_PERMERROR, "base64" },
		{ "n=x", "", MAILAUTH_PERMERROR, "no key" },
		{ "garbage", "", MAILAUTH_PERMERROR, "" },
	};
	struct rig *rig = *state;
	struct str record, text, two[2];
	size_t i;

	set_keys(rig);
	text = sign(rig, "rsa", STR(HEAD "\r\nHello.\r\n"));
	record = record_of(rig, rig->rsa);
	record = str_sub(record, str_find_str(record, STR("p=")), STR_NPOS);
	for (i = 0; i < COUNT_OF(records); i++) {
		answers_free(&rig->answers);
		rig->answers = answers_new();
		two[0] = records[i].p == NULL ? arena_printf(rig->arena,
		    "%s%.*s", records[i].before, STR_FMT(record)) :
		    arena_printf(rig->arena, "%s%s", records[i].before,
		    records[i].p);
		put_answer(rig, STR("rsa._domainkey.x.test"), DNS_R_NOERROR,
		    two, 1);
		check(rig, text, records[i].want, records[i].reason);
	}
	answers_free(&rig->answers);
	rig->answers = answers_new();
	two[0] = two[1] = record;
	put_answer(rig, STR("rsa._domainkey.x.test"), DNS_R_NOERROR, two, 2);
	check(rig, text, MAILAUTH_PERMERROR, "more than one");
	answers_free(&rig->answers);
	rig->answers = answers_new();
	put_answer(rig, STR("rsa._domainkey.x.test"), DNS_R_NOERROR, NULL, 0);
	check(rig, text, MAILAUTH_PERMERROR, "no such key");
	answers_free(&rig->answers);
	rig->answers = answers_new();
	put_answer(rig, STR("rsa._domainkey.x.test"), DNS_R_SERVFAIL, NULL,
	    0);
	check(rig, text, MAILAUTH_TEMPERROR, "no answer");
}

/* An RSA key with an exponent of 41 bits; kept until the end. */
static EVP_PKEY *
costly_key(void)
{
	static EVP_PKEY *pkey;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
	BIGNUM *exponent = NULL;

	assert_int_equal(BN_hex2bn(&exponent, "1000000000f"), 11);
	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 1024), 1);
	assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, exponent),
	    1);
	assert_int_equal(EVP_PKEY_keygen(ctx, &pkey), 1);
	BN_free(exponent);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static void
test_key_forms(void **state)
{
	struct rig *rig = *state;
	unsigned char *der = NULL;
	struct dkim_key key;
	struct buf record;
	int len;

	/* RFC 6376 erratum 3017: an RSAPublicKey without its wrapping. */
	buf_init(&record, 4096);
	len = i2d_PublicKey(rig->rsa, &der);
	assert_true(len > 0);
	buf_add_cstr(&record, "p=");
	buf_add_base64(&record, der, (size_t)len);
	assert_int_equal(dkim_key_parse(buf_str(&record), &key, NULL), 0);
	assert_int_equal(key.bits, 2048);
	dkim_key_fini(&key);
	/* Octets after the key are not its. */
	buf_reset(&record);
	buf_add_cstr(&record, "p=");
	buf_add_base64(&record, der, (size_t)len - 1);
	assert_int_equal(dkim_key_parse(buf_str(&record), &key, NULL),
	    ERR_SYNTAX);
	OPENSSL_free(der);
	/* One that costs more than it may. */
	buf_reset(&record);
	assert_int_equal(dkim_key_put_record(costly_key(), &record, NULL), 0);
	assert_int_equal(dkim_key_parse(buf_str(&record), &key, NULL),
	    ERR_DENIED);
	/* The short one is read, and never accepted. */
	set_keys(rig);
	check(rig, sign(rig, "short", STR(HEAD "\r\nHello.\r\n")),
	    MAILAUTH_POLICY, "short");
	buf_fini(&record);
}

/* t=s: i= must be of d= itself; t=y is told and changes nothing. */
static void
test_flags(void **state)
{
	struct rig *rig = *state;
	struct dkim_results results;
	struct str text, record;

	set_keys(rig);
	text = sign(rig, "rsa", STR(HEAD "\r\nHello.\r\n"));
	record = arena_printf(rig->arena, "t=y:s; %.*s",
	    STR_FMT(str_sub(record_of(rig, rig->rsa), 9, STR_NPOS)));
	answers_free(&rig->answers);
	rig->answers = answers_new();
	put_answer(rig, STR("rsa._domainkey.x.test"), DNS_R_NOERROR, &record,
	    1);
	results = verify(rig, text, NOW);
	assert_int_equal(results.v[0].result, MAILAUTH_PASS);
	assert_true(results.v[0].is_testing);
	text = replace(rig, text, " c=relaxed", " i=@sub.x.test; c=relaxed");
	check(rig, text, MAILAUTH_PERMERROR, "subdomains");
	text = replace(rig, text, "@sub.x.test", "b@X.test");
	check(rig, text, MAILAUTH_FAIL, "signature");
	/* In the future, and not so much that it matters. */
	text = sign(rig, "rsa", STR(HEAD "\r\nHello.\r\n"));
	assert_int_equal(verify(rig, text, NOW - 300).v[0].result,
	    MAILAUTH_PASS);
	assert_int_equal(verify(rig, text, NOW - 3600).v[0].result,
	    MAILAUTH_FAIL);
}

static void
test_many(void **state)
{
	struct rig *rig = *state;
	struct str text = STR(HEAD "\r\nHello.\r\n");
	struct dkim_results results;
	unsigned i;

	set_keys(rig);
	for (i = 0; i < DKIM_SIGNATURES_MAX + 3; i++)
		text = sign(rig, "ed", text);
	results = verify(rig, text, NOW);
	assert_int_equal(results.count, DKIM_SIGNATURES_MAX);
	assert_true(results.is_cut);
	for (i = 0; i < results.count; i++)
		assert_int_equal(results.v[i].result, MAILAUTH_PASS);
}

/* No header, no field, a header that never ends, over 2 MB. */
static void
test_odd_messages(void **state)
{
	static const char *const texts[] = {
		"", "\r\n", "\r\nbody", "\n\nbody", "no field", "\r",
		"DKIM-Signature:\r\n\r\n", "DKIM-Signature: v=1\r\n",
		"DKIM-Signature: v=1; a=rsa-sha256; b=; bh=; d=; h=; s=\r\n",
		"ARC-Seal: i=1\r\nARC-Seal: i=99\r\n\r\n",
	};
	struct rig *rig = *state;
	struct mailauth_message *message;
	struct dkim_results results;
	char line[1000];
	size_t i, step;
	int rc = 0;

	set_keys(rig);
	for (i = 0; i < COUNT_OF(texts); i++)
		for (step = 1; step < 8; step += 6) {
			message = read_by(str_of(texts[i]), step);
			assert_int_equal(dkim_verify(message, rig->answers,
			    NOW, &results), MAILAUTH_DONE);
			if (results.count > 0)
				assert_int_equal(results.v[0].result,
				    MAILAUTH_PERMERROR);
			mailauth_message_free(&message);
		}
	memset(line, 'x', sizeof(line));
	message = mailauth_message_new();
	for (i = 0; i < 2200 && rc == 0; i++)
		rc = mailauth_message_feed(message, line, sizeof(line), NULL);
	assert_int_equal(rc, ERR_LIMIT);
	mailauth_message_free(&message);
}

/* Many names in h= and many fields cost no more than their number. */
static uint64_t
cost(struct rig *rig, unsigned fields)
{
	struct mailauth_message *message;
	struct dkim_results results;
	struct buf text;
	uint64_t begin;
	unsigned i;

	buf_init(&text, 8U << 20);
	buf_add_cstr(&text, "DKIM-Signature: v=1; a=rsa-sha256; d=x.test; "
	    "s=rsa; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; "
	    "c=relaxed/relaxed; b=AAAA; h=from");
	for (i = 0; i < fields && i < 990; i++)
		buf_addf(&text, ":x-%u", i % 7);
	buf_add_cstr(&text, "\r\nFrom: a@x.test\r\n");
	for (i = 0; i < fields; i++)
		buf_addf(&text, "X-%u: some text for this field\r\n", i % 7);
	buf_add_cstr(&text, "\r\n");
	message = read_by(buf_str(&text), 4096);
	begin = test_cpu_us();
	for (i = 0; i < 20; i++)
		(void)dkim_verify(message, rig->answers, NOW, &results);
	begin = test_cpu_us() - begin;
	mailauth_message_free(&message);
	buf_fini(&text);
	return begin;
}

static void
test_linear(void **state)
{
	struct rig *rig = *state;
	uint64_t once = 1, twice = UINT64_MAX;
	unsigned i;

	set_keys(rig);
	for (i = 0; i < TEST_LINEAR_TRIES; i++) {
		once = cost(rig, 450);
		twice = cost(rig, 900);
		if (test_is_linear(once, twice))
			break;
	}
	assert_true(test_is_linear(once, twice));
}

/* ---- ARC ---- */

static struct arc_result
get_chain(struct rig *rig, struct str text)
{
	struct mailauth_message *message = read_by(text, 97);
	struct arc_result result;

	assert_int_equal(arc_verify(message, rig->answers, NOW, &result),
	    MAILAUTH_DONE);
	result.reason = arena_str(rig->arena, result.reason);
	mailauth_message_free(&message);
	return result;
}

/* text with one more set by a host that got it as before; p NULL when there
 * may be none. */
static struct str
seal_changed(struct rig *rig, const char *selector, struct str before,
    struct str text)
{
	EVP_PKEY *pkey = strcmp(selector, "rsa") == 0 ? rig->rsa : rig->ed;
	struct mailauth_message *message = read_by(text, 97);
	unsigned char digest[MAILAUTH_HASH_OCTETS];
	struct arc_seal how = { .domain = STR("x.test"),
	    .selector = str_of(selector), .now_s = NOW,
	    .results = STR("x.test; spf=pass smtp.mailfrom=a@x.test;\r\n"
	    " dkim=none") };
	struct arc_result chain = get_chain(rig, before);
	struct arc_sealing *sealing;
	struct str sealed = STR_NONE;
	struct buf out;

	assert_int_equal(dkim_key_algorithm(pkey, &how.algorithm), 0);
	sealing = arc_seal_begin(message, &chain, &how, digest, NULL);
	assert_int_equal(sealing != NULL, chain.may_seal);
	if (sealing != NULL) {
		buf_init(&out, text.len + 16384);
		arc_seal_message(sealing, signature_of(rig, pkey, digest),
		    digest);
		arc_seal_end(sealing, signature_of(rig, pkey, digest), &out);
		buf_add_str(&out, text);
		sealed = arena_str(rig->arena, buf_str(&out));
		buf_fini(&out);
	}
	mailauth_message_free(&message);
	return sealed;
}

static struct str
seal(struct rig *rig, const char *selector, struct str text)
{
	return seal_changed(rig, selector, text, text);
}

static void
test_arc_chain(void **state)
{
	struct rig *rig = *state;
	struct str text = STR(HEAD "\r\nHello.\r\n"), more;
	struct arc_result result;
	unsigned i;

	set_keys(rig);
	result = get_chain(rig, text);
	assert_int_equal(result.result, MAILAUTH_NONE);
	assert_true(result.may_seal);
	for (i = 1; i <= ARC_SETS_MAX; i++) {
		text = seal(rig, i % 2 == 0 ? "rsa" : "ed", text);
		assert_non_null(text.p);
		/* seal() has looked at what was before it, too. */
		if (i > 2 && i < ARC_SETS_MAX)
			continue;
		result = get_chain(rig, text);
		if (result.result != MAILAUTH_PASS)
			fail_msg("%u: %.*s", i, STR_FMT(result.reason));
		assert_int_equal(result.instance, i);
		assert_true(result.has_oldest_pass);
		assert_int_equal(result.oldest_pass, 0);
	}
	assert_false(result.may_seal);
	assert_null(seal(rig, "rsa", text).p);
	/* A subject tag by the host of set 4. */
	text = STR(HEAD "\r\nHello.\r\n");
	for (i = 1; i <= 3; i++)
		text = seal(rig, "ed", text);
	more = replace(rig, text, "Subject: Hi", "Subject: [list] Hi");
	result = get_chain(rig, more);
	assert_int_equal(result.result, MAILAUTH_FAIL);
	/* The last host sealed what it found before it changed that. */
	assert_int_equal(get_chain(rig, seal(rig, "ed", more)).result,
	    MAILAUTH_FAIL);
}

/* The set that stands at place n of text, or all of text without it. */
static struct str
without_field(struct rig *rig, struct str text, const char *name)
{
	size_t at = str_find_str(text, str_of(name)), end = at;

	assert_true(at != STR_NPOS);
	do {
		while (text.p[end++] != '\n')
			;
	} while (text.p[end] == ' ' || text.p[end] == '\t');
	return arena_printf(rig->arena, "%.*s%.*s", (int)at, text.p,
	    (int)(text.len - end), text.p + end);
}

static void
test_arc_broken(void **state)
{
	static const struct {
		const char *what, *with;	/* in the newest set */
		bool may_seal;
	} changes[] = {
		{ "cv=pass", "cv=none", true },
		{ "cv=pass", "cv=fail", false },
		{ "cv=pass", "cv=maybe", true },
		{ "cv=pass", "cv=pass; h=from", true },
		{ "i=2", "i=3", true },
		{ "i=2", "i=1", true },
		{ "i=2", "i=0", true },
		{ "i=2", "i=51", true },
		{ "i=2", "i=02", true },
		{ "i=2", "i=x", true },
		{ "smtp.mailfrom=a", "smtp.mailfrom=b", true },
		{ "Hello", "Hallo", true },
		{ "Subject: Hi", "Subject: Ho", true },
		{ "ARC-Seal:", "ARC-Seal: i=2; a=rsa-sha256; b=AAAA; cv=pass; "
		    "d=x.test; s=rsa\r\nARC-Seal:", true },
		{ "ARC-Message-Signature:", "ARC-Authentication-Results: i=1; "
		    "x.test; none\r\nARC-Message-Signature:", true },
	};
	static const char *const fields[] = { "ARC-Seal:",
		"ARC-Message-Signature:", "ARC-Authentication-Results:" };
	struct rig *rig = *state;
	struct arc_result result;
	struct str text, broken;
	size_t i;

	set_keys(rig);
	text = seal(rig, "rsa", STR(HEAD "\r\nHello.\r\n"));
	text = seal(rig, "rsa", text);
	for (i = 0; i < COUNT_OF(changes); i++) {
		broken = replace(rig, text, changes[i].what,
		    changes[i].with);
		result = get_chain(rig, broken);
		if (result.result != MAILAUTH_FAIL || result.reason.len == 0 ||
		    result.may_seal != changes[i].may_seal)
			fail_msg("change %zu: %s", i,
			    mailauth_result_name(result.result));
		/* What is broken stays so, also sealed: once. */
		broken = seal(rig, "ed", broken);
		if (!changes[i].may_seal)
			continue;
		assert_true(str_find_str(broken, STR("cv=fail")) != STR_NPOS);
		result = get_chain(rig, broken);
		assert_int_equal(result.result, MAILAUTH_FAIL);
		assert_false(result.may_seal);
	}
	for (i = 0; i < COUNT_OF(fields); i++)
		assert_int_equal(get_chain(rig, without_field(rig, text,
		    fields[i])).result, MAILAUTH_FAIL);
}

/* A list changes the subject and seals what it found before that: the older
 * message signatures no longer hold, the chain does. */
static void
test_arc_oldest_pass(void **state)
{
	struct rig *rig = *state;
	struct mailauth_message *message;
	struct arc_result result;
	struct str text, changed;

	set_keys(rig);
	text = seal(rig, "ed", STR(HEAD "\r\nHello.\r\n"));
	text = seal(rig, "rsa", text);
	changed = replace(rig, text, "Subject: Hi", "Subject: [list] Hi");
	text = seal_changed(rig, "ed", text, changed);
	text = seal(rig, "ed", text);
	message = read_by(text, 10);
	assert_int_equal(arc_verify(message, rig->answers, NOW, &result),
	    MAILAUTH_DONE);
	assert_int_equal(result.result, MAILAUTH_PASS);
	assert_int_equal(result.instance, 4);
	assert_true(result.has_oldest_pass);
	assert_int_equal(result.oldest_pass, 3);
	assert_true(str_eq(result.sets[0].domain, STR("x.test")));
	assert_true(str_eq(result.sets[1].selector, STR("rsa")));
	assert_true(str_begins(result.sets[3].results, STR("x.test; spf=")));
	mailauth_message_free(&message);
}

static void
test_arc_dns(void **state)
{
	struct rig *rig = *state;
	struct mailauth_message *message;
	struct arc_result result;
	struct str text, name;
	unsigned type;

	set_keys(rig);
	text = seal(rig, "rsa", STR(HEAD "\r\nHello.\r\n"));
	text = seal(rig, "ed", text);
	answers_free(&rig->answers);
	rig->answers = answers_new();
	message = read_by(text, 1000);
	assert_int_equal(arc_verify(message, rig->answers, NOW, &result),
	    MAILAUTH_WAIT);
	/* Both at once. */
	assert_true(answers_next_wanted(rig->answers, &name, &type));
	assert_true(answers_next_wanted(rig->answers, &name, &type));
	assert_false(answers_next_wanted(rig->answers, &name, &type));
	put_answer(rig, STR("ed._domainkey.x.test"), DNS_R_SERVFAIL, NULL, 0);
	put_answer(rig, STR("rsa._domainkey.x.test"), DNS_R_SERVFAIL, NULL,
	    0);
	assert_int_equal(arc_verify(message, rig->answers, NOW, &result),
	    MAILAUTH_DONE);
	assert_int_equal(result.result, MAILAUTH_FAIL);
	assert_true(result.is_temporary);
	mailauth_message_free(&message);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc8463),
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_key_forms),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_odd_messages),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_arc_chain),
		cmocka_unit_test(test_arc_broken),
		cmocka_unit_test(test_arc_oldest_pass),
		cmocka_unit_test(test_arc_dns),
	};

	return cmocka_run_group_tests(tests, rig_init, rig_fini);
}
