/* SPDX-License-Identifier: ISC */
/* A relay against mail hosts that follow scripts, kind and hostile. */
#include "base/test.h"

#include "base/log.h"
#include "base/when.h"
#include "proto/smtp_answer.h"
#include "smtpd/relay/rig.h"
#include "smtpd/relay/route.h"
#include "smtpd/relay/sasl.h"

#define ZONE "example.org MX 10 mx.example.org\nmx.example.org A 127.0.0.1\n"
#define SIGNED "example.org MX * 10 mx.example.org\n" \
    "mx.example.org A * 127.0.0.1\nmx.example.org AAAA * -\n"
#define STS ZONE "_mta-sts.example.org TXT v=STSv1; id=1;\n"
#define POLICY(mode, mx) "version: STSv1\nmode: " mode "\nmx: " mx \
    "\nmax_age: 86400\n"
#define HELLO "S 220 mx\nC EHLO relay.example.com\n"
#define PLAIN HELLO "S 250 mx\n"
#define CAPS(list) HELLO "S 250-mx\n" list
#define MAIL "C MAIL FROM:<s@example.com>\nS 250 ok\n"
#define RCPT "C RCPT TO:<a@example.org>\nS 250 ok\n"
#define DATA "C DATA\nS 354 go\nD\n"
#define REST MAIL RCPT DATA "S 250 2.6.0 taken\n"
#define STARTTLS CAPS("S 250-SIZE\nS 250 STARTTLS\n") \
    "C STARTTLS\nS 220 go\nT\nC EHLO\nS 250 mx\n"
#define TEXT "Subject: x\r\n\r\nhello\r\n"

static const struct {
	const char *name;
	const char *zone;
	const char *policy;
	const char *scripts[4];
	const char *message;	/* NULL: TEXT */
	uint64_t flags;
	const char *recipients;	/* NULL: a@example.org */
	const char *results;
	const char *holds;	/* in what the hosts heard; NULL */
	const char *reason;	/* part of the last reason; NULL */
	enum relay_destination destination;
	unsigned sessions;
} cases[] = {
	/* ---- the ordinary ---- */
	{ .name = "plain", .zone = ZONE, .scripts = { PLAIN REST },
	    .results = "0:sent:2.6.0", .sessions = 1 },
	{ .name = "implicit MX", .zone = "example.org A 127.0.0.1\n",
	    .scripts = { PLAIN REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "HELO", .zone = ZONE, .scripts = { "S 220 mx\nC EHLO\n"
	    "S 502 what\nC HELO relay\nS 250 ok\n" REST },
	    .results = "0:sent:2.6.0", .sessions = 1 },
	{ .name = "all parameters", .zone = ZONE,
	    .scripts = { CAPS("S 250-PIPELINING\nS 250-SIZE 9999\n"
	    "S 250-8BITMIME\nS 250-SMTPUTF8\nS 250 DSN\n")
	    MAIL RCPT "C RCPT\nS 250 ok\n" DATA "S 250 ok\n" },
	    .message = "Subject: x\r\n\r\n\xc3\xa9\r\n",
	    .flags = QUEUE_F_RET_HDRS | QUEUE_F_UTF8,
	    .recipients = "a@example.org b@example.org",
	    .results = "0:sent:2.0.0 1:sent:2.0.0",
	    .holds = "MAIL FROM:<s@example.com> SIZE=31 BODY=8BITMIME "
	    "RET=HDRS ENVID=e+20id\nRCPT TO:<a@example.org> "
	    "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@z\n"
	    "RCPT TO:<b@example.org>\nDATA\n", .sessions = 1 },
	{ .name = "no parameter that was not offered", .zone = ZONE,
	    .scripts = { PLAIN REST }, .flags = QUEUE_F_RET_FULL |
	    QUEUE_F_8BIT, .results = "0:sent:2.6.0",
	    .holds = "\nMAIL FROM:<s@example.com>\nRCPT TO:<a@example.org>\n",
	    .sessions = 1 },
	{ .name = "some recipients", .zone = ZONE, .scripts = { PLAIN
	    MAIL RCPT "C RCPT\nS 550 5.1.1 no such user\nC RCPT\n"
	    "S 450 4.2.1 later\n" DATA "S 250 ok\n" },
	    .recipients = "a@example.org b@example.org c@example.org",
	    .results = "0:sent:2.0.0 1:failed:5.1.1 2:temp:4.2.1",
	    .reason = "later", .sessions = 1 },
	{ .name = "no recipient", .zone = ZONE, .scripts = { PLAIN MAIL
	    "C RCPT\nS 550 no\nC RSET\nS 250 ok\n" },
	    .results = "0:failed:5.0.0", .reason = "550 no",
	    .sessions = 1 },
	{ .name = "too many recipients", .zone = ZONE, .scripts = { PLAIN
	    MAIL RCPT "C RCPT\nS 452 4.5.3 enough\n" DATA "S 250 one\n"
	    MAIL "C RCPT TO:<b@\nS 250 ok\n" DATA "S 250 two\n" },
	    .recipients = "a@example.org b@example.org",
	    .results = "0:sent:2.0.0 1:sent:2.0.0", .sessions = 1 },
	{ .name = "LIMITS", .zone = ZONE, .scripts = {
	    CAPS("S 250 LIMITS RCPTMAX=1\n") MAIL RCPT DATA "S 250 one\n"
	    MAIL "C RCPT TO:<b@\nS 250 ok\n" DATA "S 250 two\n" },
	    .recipients = "a@example.org b@example.org",
	    .results = "0:sent:2.0.0 1:sent:2.0.0", .sessions = 1 },
	{ .name = "MAIL refused", .zone = ZONE, .scripts = { CAPS(
	    "S 250 PIPELINING\n") "C MAIL\nS 550 5.7.1 not you\nC RCPT\n"
	    "S 503 no\nC RSET\nS 250 ok\n" }, .results = "0:failed:5.7.1",
	    .reason = "not you", .sessions = 1 },
	{ .name = "DATA refused", .zone = ZONE, .scripts = { PLAIN MAIL RCPT
	    "C DATA\nS 451 4.3.0 not now\n" }, .results = "0:temp:4.3.0", .sessions = 1 },
	{ .name = "message refused", .zone = ZONE, .scripts = { PLAIN MAIL
	    RCPT DATA "S 554 5.7.1 spam\n" }, .results = "0:failed:5.7.1",
	    .sessions = 1 },
	{ .name = "next host", .zone = "example.org MX 5 dead.example.org\n"
	    "dead.example.org A 127.0.0.2\n" ZONE,
	    .scripts = { PLAIN REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "put off by one host, taken by the next",
	    .zone = ZONE "mx.example.org A 127.0.0.1\n", .scripts = { PLAIN
	    MAIL "C RCPT\nS 450 later\nC RSET\nS 250 ok\n"
	    MAIL RCPT DATA "S 250 ok\n" }, .results = "0:sent:2.0.0",
	    .sessions = 1 },
	{ .name = "no word before MAIL", .zone = ZONE
	    "example.org MX 20 two.example.org\ntwo.example.org A 127.0.0.1"
	    "\n", .scripts = { "S 421 4.3.2 busy\n", PLAIN REST },
	    .results = "0:sent:2.6.0", .destination = RELAY_D_BUSY,
	    .sessions = 2 },
	/* ---- names ---- */
	{ .name = "NXDOMAIN", .zone = "", .results = "0:failed:5.1.2" },
	{ .name = "null MX", .zone = "example.org MX 0 .\n",
	    .results = "0:failed:5.1.10" },
	{ .name = "null MX among others", .zone = ZONE "example.org MX 0 .\n",
	    .scripts = { PLAIN REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "SERVFAIL", .zone = "example.org MX !\n",
	    .results = "0:temp:4.4.3", .destination = RELAY_D_DEAD },
	{ .name = "address SERVFAIL", .zone = "example.org MX 1 x.example\n"
	    "x.example A !\nx.example AAAA !\n", .results = "0:temp:4.4.3",
	    .destination = RELAY_D_DEAD },
	{ .name = "no address", .zone = "example.org MX 1 x.example\n"
	    "x.example TXT y\n", .results = "0:failed:5.4.4" },
	{ .name = "ourselves first", .zone = "example.org MX 1 "
	    "RELAY.example.com\n" ZONE, .results = "0:failed:5.4.6" },
	{ .name = "ourselves second", .zone = ZONE
	    "example.org MX 10 relay.example.com\n"
	    "example.org MX 5 mx.example.org\n"
	    "example.org MX 20 dead.example.org\n",
	    .scripts = { PLAIN REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "calls itself us", .zone = ZONE, .scripts = { HELLO
	    "S 250 relay.example.com\n" }, .results = "0:failed:5.4.6",
	    .sessions = 1 },
	{ .name = "nobody there", .zone = "example.org A 127.0.0.2\n",
	    .results = "0:temp:4.4.1", .reason = "refused",
	    .destination = RELAY_D_DEAD },
	/* ---- hostile ---- */
	{ .name = "closes at once", .zone = ZONE, .scripts = { "X\n" },
	    .results = "0:temp:4.4.2", .sessions = 1 },
	{ .name = "no SMTP", .zone = ZONE, .scripts = {
	    "S HTTP/1.1 200 OK\n" }, .results = "0:temp:4.5.0",
	    .sessions = 1 },
	{ .name = "says nothing", .zone = ZONE, .scripts = { "H\n" },
	    .results = "0:temp:4.4.2", .reason = "timed out",
	    .sessions = 1 },
	{ .name = "554 greeting", .zone = ZONE, .scripts = {
	    "S 554 no service\n" }, .results = "0:temp:4.0.0",
	    .sessions = 1 },
	{ .name = "521 greeting", .zone = ZONE, .scripts = {
	    "S 521 takes no mail\n" }, .results = "0:failed:5.0.0",
	    .sessions = 1 },
	{ .name = "code changes", .zone = ZONE, .scripts = {
	    "S 220-a\nS 250 b\n" }, .results = "0:temp:4.5.0",
	    .sessions = 1 },
	{ .name = "answers ahead of questions", .zone = ZONE, .scripts = {
	    "R 220 x\\r\\n250 x\\r\\n250 x\\r\\n250 x\\r\\n354 x\\r\\n"
	    "250 x\\r\\n\n" }, .results = "0:temp:4.5.0", .sessions = 1 },
	{ .name = "354 to MAIL", .zone = ZONE, .scripts = { PLAIN
	    "C MAIL\nS 354 go\n" }, .results = "0:temp:4.5.0",
	    .sessions = 1 },
	{ .name = "250 to DATA", .zone = ZONE, .scripts = { PLAIN MAIL RCPT
	    "C DATA\nS 250 ok\n" }, .results = "0:temp:4.0.0",
	    .sessions = 1 },
	{ .name = "taken before its end", .zone = ZONE, .scripts = { PLAIN
	    MAIL RCPT "C DATA\nR 354 go\\r\\n250 ok\\r\\n\n" },
	    .results = "0:temp:4.5.0", .sessions = 1 },
	{ .name = "lost after the dot", .zone = ZONE, .scripts = { PLAIN
	    MAIL RCPT DATA "X\n" }, .results = "0:temp:4.4.2",
	    .reason = "it may have it", .sessions = 1 },
	{ .name = "421 at RCPT", .zone = ZONE, .scripts = { PLAIN MAIL
	    "C RCPT\nS 421 4.7.0 slower\n" }, .results = "0:temp:4.7.0",
	    .destination = RELAY_D_BUSY, .sessions = 1 },
	{ .name = "terminal codes", .zone = ZONE, .scripts = { PLAIN
	    "C MAIL\nR 550 \x1b[2J\xff\\r\\n\nC RSET\nS 250 ok\n" },
	    .results = "0:failed:5.0.0", .reason = "550  [2J?",
	    .sessions = 1 },
	/* ---- what the message needs ---- */
	{ .name = "too large", .zone = ZONE, .scripts = {
	    CAPS("S 250 SIZE 10\n") }, .results = "0:failed:5.3.4",
	    .sessions = 1 },
	{ .name = "dots and line ends", .zone = ZONE, .scripts = { PLAIN
	    REST }, .message = "A: b\r\n\r\n.\r\n..x\r\n", .results =
	    "0:sent:2.6.0", .sessions = 1 },
	{ .name = "8 bit to a hop of 7", .zone = ZONE, .scripts = { PLAIN
	    REST }, .message = "A: b\r\n\r\nsome text \xc3\xa9\r\n",
	    .flags = QUEUE_F_8BIT, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "cannot be converted", .zone = ZONE, .scripts = { PLAIN },
	    .message = "Content-Type: message/partial\r\n\r\n\xff\r\n",
	    .results = "0:failed:5.6.3", .sessions = 1 },
	{ .name = "BDAT", .zone = ZONE, .scripts = { CAPS("S 250-CHUNKING\n"
	    "S 250 BINARYMIME\n") "C MAIL\nS 250 ok\n" RCPT
	    "C BDAT\nB\nS 250 ok\n" },
	    .message = "A: b\r\n\r\n\n\r\xff", .flags = QUEUE_F_BINARY,
	    .results = "0:sent:2.0.0", .holds =
	    "MAIL FROM:<s@example.com> BODY=BINARYMIME\n", .sessions = 1 },
	{ .name = "SMTPUTF8 needed by the header", .zone = ZONE,
	    .scripts = { CAPS("S 250 8BITMIME\n") },
	    .message = "Subject: \xc3\xa9\r\n\r\nx\r\n",
	    .flags = QUEUE_F_UTF8, .results = "0:failed:5.6.7",
	    .sessions = 1 },
	{ .name = "SMTPUTF8 needed by one address", .zone = ZONE,
	    .scripts = { CAPS("S 250 8BITMIME\n") MAIL RCPT "C RCPT TO:<c@"
	    "xn--e1aybc.example>\nS 250 ok\n" DATA "S 250 ok\n" },
	    .recipients = "a@example.org \xc3\xa9@example.org "
	    "c@\xd1\x82\xd0\xb5\xd1\x81\xd1\x82.example",
	    .flags = QUEUE_F_UTF8,
	    .results = "0:sent:2.0.0 1:failed:5.6.7 2:sent:2.0.0",
	    .sessions = 1 },
	{ .name = "SMTPUTF8 said and not needed", .zone = ZONE, .scripts = {
	    CAPS("S 250 SMTPUTF8\n") REST }, .flags = QUEUE_F_UTF8,
	    .results = "0:sent:2.6.0",
	    .holds = "MAIL FROM:<s@example.com>\n", .sessions = 1 },
	{ .name = "SMTPUTF8", .zone = ZONE, .scripts = { CAPS(
	    "S 250-8BITMIME\nS 250 SMTPUTF8\n") MAIL
	    "C RCPT TO:<\xc3\xa9@example.org>\nS 250 ok\n" DATA "S 250 ok\n"
	    }, .recipients = "\xc3\xa9@example.org", .flags = QUEUE_F_UTF8,
	    .results = "0:sent:2.0.0", .holds = " SMTPUTF8\n",
	    .sessions = 1 },
	/* ---- TLS ---- */
	{ .name = "opportunistic TLS", .zone = ZONE, .scripts = { STARTTLS
	    REST }, .results = "0:sent:2.6.0", .sessions = 1 },
	{ .name = "STARTTLS refused", .zone = ZONE, .scripts = {
	    CAPS("S 250 STARTTLS\n") "C STARTTLS\nS 454 no\n" REST },
	    .results = "0:sent:2.6.0", .sessions = 1 },
	{ .name = "injection", .zone = ZONE, .scripts = {
	    CAPS("S 250 STARTTLS\n") "C STARTTLS\n"
	    "R 220 go\\r\\n250 injected\\r\\n\n", PLAIN REST },
	    .results = "0:sent:2.6.0", .sessions = 2 },
	{ .name = "handshake fails, nobody minds", .zone = ZONE,
	    .scripts = { CAPS("S 250 STARTTLS\n") "C STARTTLS\n"
	    "S 220 go\nX\n", CAPS("S 250 STARTTLS\n") REST },
	    .results = "0:sent:2.6.0", .sessions = 2 },
	{ .name = "EHLO is forgotten after TLS", .zone = ZONE, .scripts = {
	    CAPS("S 250-SIZE 10\nS 250 STARTTLS\n") "C STARTTLS\nS 220 go\n"
	    "T\nC EHLO\nS 250 mx\n" REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "DANE", .zone = SIGNED
	    "_PORT._tcp.mx.example.org TLSA * 3 1 1 good\n",
	    .scripts = { STARTTLS REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "DANE mismatch", .zone = SIGNED
	    "_PORT._tcp.mx.example.org TLSA * 3 1 1 bad\n",
	    .scripts = { CAPS("S 250 STARTTLS\n") "C STARTTLS\nS 220 go\nT\n",
	    PLAIN REST }, .results = "0:temp:4.7.5", .sessions = 1 },
	{ .name = "DANE, no STARTTLS", .zone = SIGNED
	    "_PORT._tcp.mx.example.org TLSA * 3 1 1 good\n",
	    .scripts = { PLAIN REST }, .results = "0:temp:4.7.5",
	    .reason = "not offered", .sessions = 1 },
	{ .name = "DANE, unusable: encrypted all the same", .zone = SIGNED
	    "_PORT._tcp.mx.example.org TLSA * 1 1 1 good\n",
	    .scripts = { PLAIN REST }, .results = "0:temp:4.7.5",
	    .sessions = 1 },
	{ .name = "TLSA of an unsigned zone", .zone = ZONE
	    "_PORT._tcp.mx.example.org TLSA 3 1 1 bad\n",
	    .scripts = { PLAIN REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "TLSA cannot be had", .zone = SIGNED
	    "_PORT._tcp.mx.example.org TLSA !\n",
	    .results = "0:temp:4.7.5", .destination = RELAY_D_DEAD },
	{ .name = "DANE, one family's addresses cannot be had", .zone =
	    "example.org MX * 10 mx.example.org\n"
	    "mx.example.org A * 127.0.0.1\nmx.example.org AAAA !\n"
	    "_PORT._tcp.mx.example.org TLSA * 3 1 1 good\n",
	    .scripts = { PLAIN REST }, .results = "0:temp:4.4.3",
	    .reason = "cannot be looked up", .destination = RELAY_D_DEAD },
	{ .name = "unsigned, one family's addresses cannot be had", .zone =
	    "example.org MX 10 mx.example.org\n"
	    "mx.example.org A 127.0.0.1\nmx.example.org AAAA !\n",
	    .scripts = { PLAIN REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "TLS-Required: No", .zone = SIGNED
	    "_PORT._tcp.mx.example.org TLSA * 3 1 1 bad\n",
	    .scripts = { STARTTLS REST }, .flags = QUEUE_F_TLS_OPTIONAL,
	    .results = "0:sent:2.6.0", .sessions = 1 },
	{ .name = "STS enforce", .zone = STS,
	    .policy = POLICY("enforce", "*.example.org"),
	    .scripts = { STARTTLS REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "STS enforce, other name", .zone = STS
	    "example.org MX 20 other.example.net\n"
	    "other.example.net A 127.0.0.1\n",
	    .policy = POLICY("enforce", "other.example.net"),
	    .scripts = { CAPS("S 250 STARTTLS\n") "C STARTTLS\nS 220 go\n"
	    "T\n", PLAIN REST }, .results = "0:temp:4.7.5", .sessions = 1 },
	{ .name = "STS enforce, no TLS", .zone = STS,
	    .policy = POLICY("enforce", "mx.example.org"),
	    .scripts = { PLAIN REST }, .results = "0:temp:4.7.5",
	    .sessions = 1 },
	{ .name = "STS enforce, host not named", .zone = STS,
	    .policy = POLICY("enforce", "mx.example.net"),
	    .scripts = { PLAIN REST }, .results = "0:temp:4.7.5",
	    .reason = "does not name", .destination = RELAY_D_DEAD },
	{ .name = "STS testing", .zone = STS,
	    .policy = POLICY("testing", "mx.example.net"),
	    .scripts = { PLAIN REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "STS policy cannot be had", .zone = STS,
	    .scripts = { PLAIN REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "DANE before STS", .zone = SIGNED
	    "_mta-sts.example.org TXT v=STSv1; id=1;\n"
	    "_PORT._tcp.mx.example.org TLSA * 3 1 1 good\n",
	    .policy = POLICY("enforce", "mx.example.net"),
	    .scripts = { STARTTLS REST }, .results = "0:sent:2.6.0",
	    .sessions = 1 },
	{ .name = "REQUIRETLS", .zone = SIGNED, .scripts = { CAPS(
	    "S 250 STARTTLS\n") "C STARTTLS\nS 220 go\nT\nC EHLO\n"
	    "S 250-mx\nS 250 REQUIRETLS\n" REST },
	    .flags = QUEUE_F_REQUIRETLS, .results = "0:sent:2.6.0",
	    .holds = "MAIL FROM:<s@example.com> REQUIRETLS\n",
	    .sessions = 1 },
	{ .name = "REQUIRETLS, not offered", .zone = SIGNED,
	    .scripts = { STARTTLS }, .flags = QUEUE_F_REQUIRETLS,
	    .results = "0:failed:5.7.30", .sessions = 1 },
	{ .name = "REQUIRETLS, no TLS", .zone = SIGNED, .scripts = { PLAIN },
	    .flags = QUEUE_F_REQUIRETLS, .results = "0:failed:5.7.30",
	    .sessions = 1 },
	{ .name = "REQUIRETLS, MX of nobody knows whom", .zone = ZONE,
	    .scripts = { CAPS("S 250 STARTTLS\n") "C STARTTLS\nS 220 go\nT\n"
	    "C EHLO\nS 250-mx\nS 250 REQUIRETLS\n" },
	    .flags = QUEUE_F_REQUIRETLS, .results = "0:failed:5.7.30",
	    .sessions = 1 },
};

static void
quiet(void *ctx, struct str line)
{
	(void)ctx;
	(void)line;
}

static void
run_case(struct rig *rig, size_t i)
{
	const char *message = cases[i].message != NULL ? cases[i].message :
	    TEXT;

	rig->zone = cases[i].zone;
	rig->policy = cases[i].policy;
	rig->scripts = cases[i].scripts;
	rig_job(rig, str_of(message), "example.org", "s@example.com",
	    cases[i].flags, cases[i].recipients != NULL ?
	    cases[i].recipients : "a@example.org");
	rig_wait(rig);
}

static void
test_cases(void **state)
{
	struct rig rig;
	struct str got;
	size_t i;

	(void)state;
	log_capture(quiet, NULL);
	for (i = 0; i < COUNT_OF(cases); i++) {
		rig_init(&rig);
		run_case(&rig, i);
		got = buf_str(&rig.results);
		if (rig.fault != NULL)
			fail_msg("%s: %s", cases[i].name, rig.fault);
		if (!str_eq(got, str_of(cases[i].results)))
			fail_msg("%s: %.*s (%s)", cases[i].name,
			    STR_FMT(got), rig.reason);
		if (cases[i].reason != NULL &&
		    strstr(rig.reason, cases[i].reason) == NULL)
			fail_msg("%s: %s", cases[i].name, rig.reason);
		got = buf_str(&rig.said);
		if (cases[i].holds != NULL && str_find_str(got,
		    str_of(cases[i].holds)) == STR_NPOS)
			fail_msg("%s: %.*s", cases[i].name, STR_FMT(got));
		if (rig.destination != cases[i].destination ||
		    rig.sessions != cases[i].sessions)
			fail_msg("%s: destination %u, %u sessions",
			    cases[i].name, (unsigned)rig.destination,
			    rig.sessions);
		rig_fini(&rig);
	}
	log_capture(NULL, NULL);
}

/* What the host has is what was to be sent, to the octet. */
static void
test_content(void **state)
{
	static const struct {
		const char *hello, *message, *data;
		uint64_t flags;
	} contents[] = {
		{ PLAIN REST, "A: b\r\n\r\n.\r\n..x\r\nend",
		    "Received: x\r\nA: b\r\n\r\n..\r\n...x\r\nend\r\n", 0 },
		{ PLAIN REST, "A: b\r\n\r\n\xc3\xa9 is a letter\r\n",
		    "Received: x\r\nA: b\r\nMIME-Version: 1.0\r\n"
		    "Content-Type: text/plain; charset=unknown-8bit\r\n"
		    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
		    "=C3=A9 is a letter\r\n", QUEUE_F_8BIT },
		{ CAPS("S 250 8BITMIME\n") REST, "A: b\r\n\r\n\xc3\xa9\r\n",
		    "Received: x\r\nA: b\r\n\r\n\xc3\xa9\r\n", 0 },
		{ CAPS("S 250-CHUNKING\nS 250 BINARYMIME\n")
		    "C MAIL\nS 250 ok\n" RCPT "C BDAT\nB\nS 250 ok\n",
		    "A: b\r\n\r\n.\n\r\xff", "Received: x\r\nA: b\r\n\r\n"
		    ".\n\r\xff", QUEUE_F_BINARY },
	};
	struct rig rig;
	size_t i;

	(void)state;
	log_capture(quiet, NULL);
	for (i = 0; i < COUNT_OF(contents); i++) {
		const char *scripts[2] = { contents[i].hello, NULL };
		struct str data;

		rig_init(&rig);
		rig.zone = ZONE;
		rig.scripts = scripts;
		rig_job(&rig, str_of(contents[i].message), "example.org",
		    "s@example.com", contents[i].flags, "a@example.org");
		rig_wait(&rig);
		data = buf_str(&rig.data);
		if (!str_eq(data, str_of(contents[i].data)))
			fail_msg("%zu: %.*s", i, STR_FMT(data));
		rig_fini(&rig);
	}
	log_capture(NULL, NULL);
}

/* ---- more than one job ---- */

static void
one_more(struct rig *rig)
{
	rig_job(rig, STR(TEXT), "example.org", "s@example.com", 0,
	    "a@example.org");
	rig_wait(rig);
}

static void
test_reuse(void **state)
{
	static const char *const scripts[] = { PLAIN REST REST "X\n",
	    PLAIN REST "C MAIL\nX\n", PLAIN REST, NULL };
	struct rig rig;
	int i;

	(void)state;
	log_capture(quiet, NULL);
	rig_init(&rig);
	rig.zone = ZONE;
	rig.scripts = scripts;
	/* Two on one connection, which then closes while it waits. */
	one_more(&rig);
	one_more(&rig);
	assert_int_equal(rig.sessions, 1);
	one_more(&rig);
	assert_int_equal(rig.sessions, 2);
	/* This one dies of the next MAIL: tried again on a new one. */
	one_more(&rig);
	assert_int_equal(rig.sessions, 3);
	assert_null(rig.fault);
	assert_true(str_eq(buf_str(&rig.results), STR("0:sent:2.6.0 "
	    "0:sent:2.6.0 0:sent:2.6.0 0:sent:2.6.0")));
	for (i = 0; i < 3; i++)
		assert_true(rig.destination == RELAY_D_ALIVE);
	rig_fini(&rig);
	log_capture(NULL, NULL);
}

static uint64_t offset_us;

static uint64_t
wall(void)
{
	return 1000000000ULL * 1000000 + offset_us;
}

static void
test_sts_cache(void **state)
{
	static const char *const scripts[] = { STARTTLS REST, NULL };
	static const char *const plain[] = { PLAIN REST, NULL };
	struct rig rig;

	(void)state;
	log_capture(quiet, NULL);
	when_set_wall(wall);
	rig_init(&rig);
	rig.relay.timeouts.idle = 1;
	rig.zone = STS;
	rig.scripts = scripts;
	rig.policy = POLICY("enforce", "mx.example.org");
	one_more(&rig);
	assert_int_equal(rig.fetches, 1);
	one_more(&rig);
	assert_int_equal(rig.fetches, 1);
	/* The record goes away, the host loses TLS: the policy holds. */
	rig.zone = ZONE;
	rig.scripts = plain;
	buf_reset(&rig.results);
	one_more(&rig);
	assert_true(str_eq(buf_str(&rig.results), STR("0:temp:4.7.5")));
	/* A new id whose policy cannot be had: the old one holds. */
	rig.zone = ZONE "_mta-sts.example.org TXT v=STSv1; id=2;\n";
	rig.policy = NULL;
	buf_reset(&rig.results);
	one_more(&rig);
	assert_int_equal(rig.fetches, 2);
	assert_true(str_eq(buf_str(&rig.results), STR("0:temp:4.7.5")));
	/* Not asked again at once, but after some minutes. */
	one_more(&rig);
	assert_int_equal(rig.fetches, 2);
	offset_us = 301 * 1000000ULL;
	rig.policy = POLICY("none", "mx.example.org");
	buf_reset(&rig.results);
	one_more(&rig);
	assert_int_equal(rig.fetches, 3);
	assert_true(str_eq(buf_str(&rig.results), STR("0:sent:2.6.0")));
	rig_fini(&rig);
	when_set_wall(NULL);
	log_capture(NULL, NULL);
}

/* ---- smart host ---- */

#define SMART(text) { .host = { "127.0.0.1", 9 }, .has_mx = false, text }
#define AUTHS CAPS("S 250 AUTH PLAIN LOGIN SCRAM-SHA-256\n")

static const struct {
	const char *name;
	const char *script;
	enum hop_tls tls;
	bool is_implicit;
	const char *results;
} smart[] = {
	{ "no password without TLS", CAPS("S 250 AUTH PLAIN LOGIN\n"),
	    HOP_TLS_MAY, false, "0:temp:4.7.0" },
	{ "SCRAM before all, and it is checked", AUTHS
	    "C AUTH SCRAM-SHA-256 biws\nS 334 xx\n", HOP_TLS_MAY, false,
	    "0:temp:4.7.0" },
	{ "SCRAM that proves nothing", AUTHS
	    "C AUTH SCRAM-SHA-256 biws\nS 235 welcome\n", HOP_TLS_MAY, false,
	    "0:temp:4.7.0" },
	{ "PLAIN in verified TLS", CAPS("S 250 STARTTLS\n") "C STARTTLS\n"
	    "S 220 go\nT\nC EHLO\nS 250-mx\nS 250 AUTH PLAIN LOGIN\n"
	    "C AUTH PLAIN AHVzZXIAcGVuY2ls\nS 235 ok\n" REST, HOP_TLS_NAME,
	    false, "0:sent:2.6.0" },
	{ "LOGIN from the first octet", "T\n" HELLO "S 250-mx\n"
	    "S 250 AUTH LOGIN\nC AUTH LOGIN\nS 334 VXNlcm5hbWU6\n"
	    "C dXNlcg==\nS 334 UGFzc3dvcmQ6\nC cGVuY2ls\nS 235 ok\n" REST,
	    HOP_TLS_NAME, true, "0:sent:2.6.0" },
	{ "wrong password", "T\n" HELLO "S 250-mx\nS 250 AUTH PLAIN\n"
	    "C AUTH PLAIN\nS 535 5.7.8 no\n", HOP_TLS_NAME, true,
	    "0:temp:4.7.8" },
	{ "TLS is required", AUTHS, HOP_TLS_ENCRYPT, false, "0:temp:4.7.5" },
};

static void
test_smart_host(void **state)
{
	struct rig rig;
	struct str got;
	size_t i;

	(void)state;
	log_capture(quiet, NULL);
	for (i = 0; i < COUNT_OF(smart); i++) {
		const char *scripts[2] = { smart[i].script, NULL };
		struct route route = { .host = STR("mx.example.org"),
		    .tls = smart[i].tls, .user = "user",
		    .is_implicit = smart[i].is_implicit,
		    .password = "pencil" };

		rig_init(&rig);
		route.port = rig.relay.port;
		rig.relay.routes = &route;
		rig.relay.routes_len = 1;
		rig.zone = ZONE;
		rig.scripts = scripts;
		one_more(&rig);
		got = buf_str(&rig.results);
		if (rig.fault != NULL || !str_eq(got,
		    str_of(smart[i].results)))
			fail_msg("%s: %s %.*s %s", smart[i].name, rig.fault !=
			    NULL ? rig.fault : "", STR_FMT(got), rig.reason);
		rig_fini(&rig);
	}
	log_capture(NULL, NULL);
}

/* RFC 7677 section 3. */
static void
test_scram(void **state)
{
	struct sasl *sasl = sasl_new(7, "user", "pencil");
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	sasl_set_nonce(sasl, "rOprNGfwEbeRWgbNEkqO");
	sasl_first(sasl, &out);
	assert_true(str_eq(buf_str(&out), STR("SCRAM-SHA-256 "
	    "biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=")));
	buf_reset(&out);
	assert_int_equal(sasl_step(sasl, STR("cj1yT3ByTkdmd0ViZVJXZ2JORWtxTy"
	    "VodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29F"
	    "c1VFamI2Z1E9PSxpPTQwOTY="), &out), 0);
	assert_true(str_eq(buf_str(&out), STR("Yz1iaXdzLHI9ck9wck5HZndFYmVS"
	    "V2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWm"
	    "FwV0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==")));
	buf_reset(&out);
	assert_false(sasl_is_done(sasl));
	assert_int_equal(sasl_step(sasl, STR("dj02cnJpVFJCaTIzV3BSUi93dHVwK2"
	    "1NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ=="), &out), 0);
	assert_true(sasl_is_done(sasl));
	sasl_free(&sasl);
	/* Too many iterations, somebody else's nonce, a wrong proof. */
	sasl = sasl_new(4, "user", "pencil");
	sasl_set_nonce(sasl, "abc");
	assert_int_equal(sasl_step(sasl, STR("cj1hYmNkLHM9YWFhYSxpPTk5OTk5OT"
	    "k5OQ=="), &out), ERR_LIMIT);
	sasl_free(&sasl);
	sasl = sasl_new(4, "user", "pencil");
	assert_int_equal(sasl_step(sasl, STR("cj1hYmNkLHM9YWFhYSxpPTE="),
	    &out), ERR_SYNTAX);
	sasl_free(&sasl);
	assert_null(sasl_new(0, "user", "pencil"));
	buf_fini(&out);
}

static void
test_routes(void **state)
{
	static const struct {
		const char *text;
		const char *host;	/* NULL: refused */
		unsigned port;
		bool has_mx;
	} routes[] = {
		{ "mail.example.org", "mail.example.org", 0, true },
		{ "mail.example.org:587", "mail.example.org", 587, true },
		{ "[mail.example.org]", "mail.example.org", 0, false },
		{ "[mail.example.org]:587", "mail.example.org", 587, false },
		{ "[192.0.2.1]:25", "192.0.2.1", 25, false },
		{ "[IPv6:2001:db8::1]:25", "2001:db8::1", 25, false },
		{ "[x", NULL, 0, false }, { "[x]y", NULL, 0, false },
		{ "x:0", NULL, 0, false }, { "x:65536", NULL, 0, false },
		{ "x:", NULL, 0, false }, { "", NULL, 0, false },
		{ "[]", NULL, 0, false },
	};
	static const struct route table[] = {
		{ .domain = { "a.example", 9 } },
		{ .domain = { ".b.example", 10 } },
	};
	struct relay relay = { .routes = table, .routes_len = 2 };
	struct arena *arena = arena_new(0);
	struct route route;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(routes); i++) {
		memset(&route, 0, sizeof(route));
		rc = route_parse_host(arena, str_of(routes[i].text), &route,
		    NULL);
		if ((rc == 0) != (routes[i].host != NULL) || (rc == 0 &&
		    (!str_eq(route.host, str_of(routes[i].host)) ||
		    route.port != routes[i].port ||
		    route.has_mx != routes[i].has_mx)))
			fail_msg("%s", routes[i].text);
	}
	assert_ptr_equal(route_find(&relay, STR("A.example")), &table[0]);
	assert_ptr_equal(route_find(&relay, STR("x.b.example")), &table[1]);
	assert_null(route_find(&relay, STR("b.example")));
	assert_null(route_find(&relay, STR("x.a.example")));
	assert_int_equal(route_parse_tls(STR("none"), &route, NULL),
	    ERR_SYNTAX);
	arena_free(&arena);
}

/* Private addresses, literals, a queued that goes away. */
static void
test_private(void **state)
{
	static const char *const scripts[] = { PLAIN REST, NULL };
	struct rig rig;

	(void)state;
	log_capture(quiet, NULL);
	rig_init(&rig);
	rig.zone = ZONE;
	rig.scripts = scripts;
	rig_job(&rig, STR(TEXT), "[127.0.0.1]", "s@example.com", 0,
	    "a@example.org");
	rig_wait(&rig);
	rig_job(&rig, STR(TEXT), "[IPv6:x]", "s@example.com", 0, "a@[x]");
	rig_wait(&rig);
	rig.relay.allow_private = false;
	one_more(&rig);
	rig_job(&rig, STR(TEXT), "[127.0.0.1]", "s@example.com", 0, "a@x");
	rig_wait(&rig);
	assert_true(str_eq(buf_str(&rig.results), STR("0:sent:2.6.0 "
	    "0:failed:5.1.2 0:failed:5.4.4 0:failed:5.4.4")));
	assert_int_equal(rig.sessions, 1);
	rig_fini(&rig);
	log_capture(NULL, NULL);
}

/* Each answer comes in time, all of them never. */
static void
test_slow(void **state)
{
	static const char *const scripts[] = { PLAIN MAIL
	    "C RCPT\nS 550 5.1.1 no\n" "C RCPT\nS 250 ok\nC DATA\nH\n",
	    NULL };
	struct rig rig;

	(void)state;
	log_capture(quiet, NULL);
	rig_init(&rig);
	rig.relay.timeouts.job = 100;
	rig.zone = ZONE;
	rig.scripts = scripts;
	rig_job(&rig, STR(TEXT), "example.org", "s@example.com", 0,
	    "a@example.org b@example.org");
	rig_wait(&rig);
	assert_true(str_eq(buf_str(&rig.results),
	    STR("0:failed:5.1.1 1:temp:4.4.7")));
	assert_non_null(strstr(rig.remote, "mx.example.org"));
	rig_fini(&rig);
	log_capture(NULL, NULL);
}

/* A letter of some megabytes to a host that reads slowly. */
static void
test_large(void **state)
{
	static const char *const scripts[] = { PLAIN REST, NULL };
	struct buf message;
	struct rig rig;
	size_t i;

	(void)state;
	log_capture(quiet, NULL);
	buf_init(&message, 1 << 22);
	buf_add_cstr(&message, "A: b\r\n\r\n");
	for (i = 0; message.len < 3000000; i++)
		buf_addf(&message, ".%zu a line of the letter\r\n", i);
	rig_init(&rig);
	rig.zone = ZONE;
	rig.scripts = scripts;
	rig_job(&rig, buf_str(&message), "example.org", "s@example.com", 0,
	    "a@example.org");
	rig_wait(&rig);
	assert_true(str_eq(buf_str(&rig.results), STR("0:sent:2.6.0")));
	assert_int_equal(rig.data.len, message.len + 13 + i);
	buf_fini(&message);
	rig_fini(&rig);
	log_capture(NULL, NULL);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_sts_cache),
		cmocka_unit_test(test_smart_host),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
