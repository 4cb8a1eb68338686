/* SPDX-License-Identifier: ISC */
#include "mail/dsn.h"

#include "base/rand.h"
#include "mail/build.h"

#define TEXT_MAX (4U << 20)
#define RCPTS_IN_TEXT 100U

/* What each action is called, and what people read. */
static const struct {
	const char *name;
	const char *subject;
	const char *english;
	const char *japanese;
} actions[] = {
	[DSN_FAILED] = { "failed",
	    "Mail could not be delivered (メールを配信できませんでした)",
	    "Your message could not be delivered to the recipients below, "
	    "and will not be\r\ntried again.",
	    "次の宛先にはメールを配信できませんでした。再送は行われません。" },
	[DSN_DELAYED] = { "delayed",
	    "Mail is delayed (メールの配信が遅れています)",
	    "Your message has not yet been delivered to the recipients "
	    "below. You need not\r\nsend it again: we go on trying.",
	    "次の宛先へのメールの配信が遅れています。引き続き配信を試みますので、"
	    "再送の\r\n必要はありません。" },
	[DSN_DELIVERED] = { "delivered",
	    "Mail was delivered (メールを配信しました)",
	    "Your message was delivered to the recipients below.",
	    "次の宛先にメールを配信しました。" },
	[DSN_RELAYED] = { "relayed",
	    "Mail was relayed (メールを転送しました)",
	    "Your message was handed to another system for the recipients "
	    "below; that system\r\nmay not report its delivery.",
	    "次の宛先へのメールを別のシステムに渡しました。以後の配信通知は"
	    "届かないことが\r\nあります。" },
	[DSN_EXPANDED] = { "expanded",
	    "Mail was distributed (メールを配布しました)",
	    "Your message was sent on to the addresses that the recipients "
	    "below stand for.",
	    "次の宛先は複数のアドレスに展開され、配布されました。" },
};

/* ---- text for people ---- */

static void
put_clean(struct buf *buf, struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		buf_add_char(buf, (unsigned char)s.p[i] < 0x20 ||
		    s.p[i] == 0x7f ? '?' : s.p[i]);
}

static void
text_rcpts(struct buf *text, const struct dsn *dsn, enum dsn_action action)
{
	const struct dsn_rcpt *rcpt;
	size_t i, shown = 0, left = 0;

	for (i = 0; i < dsn->rcpts_len; i++) {
		rcpt = &dsn->rcpts[i];
		if (rcpt->action != action)
			continue;
		if (shown++ >= RCPTS_IN_TEXT) {
			left++;
			continue;
		}
		buf_add_cstr(text, "\r\n  ");
		put_clean(text, rcpt->address);
		buf_add_cstr(text, "\r\n");
		if (rcpt->reason.len == 0)
			continue;
		buf_add_cstr(text, "    ");
		if (rcpt->remote.len != 0) {
			put_clean(text, rcpt->remote);
			buf_add_cstr(text, ": ");
		}
		put_clean(text, rcpt->reason);
		buf_add_cstr(text, "\r\n");
	}
	if (left != 0)
		buf_addf(text, "\r\n  + %zu\r\n", left);
}

static void
text_section(struct buf *text, const struct dsn *dsn, enum dsn_action action)
{
	buf_add_cstr(text, actions[action].english);
	buf_add_cstr(text, "\r\n\r\n");
	buf_add_cstr(text, actions[action].japanese);
	buf_add_cstr(text, "\r\n");
	text_rcpts(text, dsn, action);
	buf_add_cstr(text, "\r\n");
}

static bool
has_action(const struct dsn *dsn, enum dsn_action action)
{
	size_t i;

	for (i = 0; i < dsn->rcpts_len; i++)
		if (dsn->rcpts[i].action == action)
			return true;
	return false;
}

static void
put_text(struct buf *buf, const struct dsn *dsn)
{
	struct buf text, coded;
	struct str rest;
	size_t i;

	buf_init(&text, TEXT_MAX);
	buf_addf(&text, "This is the mail system at %.*s.\r\n\r\n",
	    STR_FMT(dsn->hostname));
	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (has_action(dsn, (enum dsn_action)i))
			text_section(&text, dsn, (enum dsn_action)i);
	buf_init(&coded, TEXT_MAX * 2);
	buf_add_base64(&coded, text.p, text.len);
	for (rest = buf_str(&coded); rest.len != 0;
	    rest = str_sub(rest, 76, rest.len)) {
		buf_add_str(buf, str_sub(rest, 0, 76));
		buf_add_cstr(buf, "\r\n");
	}
	buf_fini(&coded);
	buf_fini(&text);
}

/* ---- delivery status (RFC 3464 section 2) ---- */

/* "Name: type; text". One line, however long: the grammar has no comments to
 * fold at inside an address. */
static void
put_typed(struct buf *buf, const char *name, const char *type,
    struct str text)
{
	buf_addf(buf, "%s: %s; ", name, type);
	put_clean(buf, text);
	buf_add_cstr(buf, "\r\n");
}

static void
put_date(struct buf *buf, const char *name, const struct dsn *dsn, int64_t s)
{
	struct mail_date date = { .s = s, .zone_min = dsn->zone_min };

	buf_addf(buf, "%s: ", name);
	date_put_rfc5322(buf, date);
	buf_add_cstr(buf, "\r\n");
}

/* xtext (RFC 3461 section 4) back to octets; printable ones only. */
static void
put_unxtext(struct buf *buf, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *high, *low;
	bool is_hidden;
	size_t i;
	int c;

	for (i = 0; i < s.len; i++) {
		c = (unsigned char)s.p[i];
		is_hidden = c == '+';
		if (is_hidden && i + 2 < s.len &&
		    (high = strchr(digits, s.p[i + 1])) != NULL &&
		    (low = strchr(digits, s.p[i + 2])) != NULL &&
		    *high != '\0' && *low != '\0') {
			c = (int)((high - digits) * 16 + (low - digits));
			i += 2;
		}
		/* What xtext hides may be no octet of a 7-bit part. */
		buf_add_char(buf, c < 0x20 || c == 0x7f ||
		    (c > 0x7f && is_hidden) ? '?' : (char)c);
	}
}

static void
put_orcpt(struct buf *buf, struct str orcpt)
{
	struct str text, type = str_cut(orcpt, ';', &text);

	if (orcpt.len == 0 || text.p == NULL)
		return;
	buf_add_cstr(buf, "Original-Recipient: ");
	put_clean(buf, type);
	buf_add_char(buf, ';');
	put_unxtext(buf, text);
	buf_add_cstr(buf, "\r\n");
}

/* "mx.example.org [192.0.2.1]:25" -> the name. */
static struct str
host_of(struct str remote)
{
	struct str address;

	return str_cut(remote, ' ', &address);
}

static void
put_rcpt(struct buf *buf, const struct dsn *dsn, const struct dsn_rcpt *rcpt)
{
	buf_add_cstr(buf, "\r\n");
	put_orcpt(buf, rcpt->orcpt);
	put_typed(buf, "Final-Recipient", str_has_8bit(rcpt->address) ?
	    "utf-8" : "rfc822", rcpt->address);
	buf_addf(buf, "Action: %s\r\n", actions[rcpt->action].name);
	buf_add_cstr(buf, "Status: ");
	put_clean(buf, rcpt->status);
	buf_add_cstr(buf, "\r\n");
	if (rcpt->remote.len != 0)
		put_typed(buf, "Remote-MTA", "dns", host_of(rcpt->remote));
	if (rcpt->reason.len != 0 && rcpt->action <= DSN_DELAYED)
		put_typed(buf, "Diagnostic-Code", rcpt->remote.len != 0 ?
		    "smtp" : "x-hikyaku", rcpt->reason);
	put_date(buf, "Last-Attempt-Date", dsn, dsn->now_s);
	if (rcpt->action == DSN_DELAYED)
		put_date(buf, "Will-Retry-Until", dsn, rcpt->retry_until_s);
}

static void
put_status(struct buf *buf, const struct dsn *dsn)
{
	size_t i;

	if (dsn->envid.len != 0) {
		buf_add_cstr(buf, "Original-Envelope-Id: ");
		put_unxtext(buf, dsn->envid);
		buf_add_cstr(buf, "\r\n");
	}
	put_typed(buf, "Reporting-MTA", "dns", dsn->hostname);
	put_date(buf, "Arrival-Date", dsn, dsn->arrived_s);
	for (i = 0; i < dsn->rcpts_len; i++)
		put_rcpt(buf, dsn, &dsn->rcpts[i]);
}

/* ---- the whole ---- */

static void
put_head(struct buf *buf, const struct dsn *dsn)
{
	struct mail_date now = { .s = dsn->now_s,
	    .zone_min = dsn->zone_min };
	struct build build;
	struct buf from;
	size_t worst = 0;

	while (worst + 1 < sizeof(actions) / sizeof(actions[0]) &&
	    !has_action(dsn, (enum dsn_action)worst))
		worst++;
	build_date(buf, now);
	build_message_id(buf, str_of(dsn->boundary), dsn->hostname);
	buf_init(&from, 1024);
	buf_addf(&from, "MAILER-DAEMON@%.*s", STR_FMT(dsn->hostname));
	build_begin(&build, buf, "From");
	build_mailbox(&build, STR("Mail Delivery System"), buf_str(&from));
	build_end(&build);
	buf_fini(&from);
	build_begin(&build, buf, "To");
	build_mailbox(&build, STR(""), dsn->to);
	build_end(&build);
	build_text(buf, "Subject", str_of(actions[worst].subject));
	buf_add_cstr(buf, "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    " boundary=\"");
	buf_add_cstr(buf, dsn->boundary);
	buf_add_cstr(buf, "\"\r\n\r\n");
}

static void
put_part(struct buf *buf, const struct dsn *dsn, const char *head)
{
	buf_addf(buf, "\r\n--%s\r\n", dsn->boundary);
	buf_add_cstr(buf, head);
	buf_add_cstr(buf, "\r\n");
}

static bool
status_is_utf8(const struct dsn *dsn)
{
	size_t i;

	for (i = 0; i < dsn->rcpts_len; i++)
		if (str_has_8bit(dsn->rcpts[i].address) ||
		    str_has_8bit(dsn->rcpts[i].reason))
			return true;
	return false;
}

static const char *
returned_head(const struct dsn *dsn)
{
	static const char *const heads[2][2] = {
		[DSN_RETURN_HEADER] = {
		    "Content-Type: text/rfc822-headers\r\n"
		    "Content-Transfer-Encoding: 8bit\r\n",
		    "Content-Type: message/global-headers\r\n"
		    "Content-Transfer-Encoding: 8bit\r\n" },
		[DSN_RETURN_FULL] = {
		    "Content-Type: message/rfc822\r\n"
		    "Content-Transfer-Encoding: 8bit\r\n",
		    "Content-Type: message/global\r\n"
		    "Content-Transfer-Encoding: 8bit\r\n" },
	};

	return heads[dsn->returned][dsn->is_utf8];
}

void
dsn_boundary(struct dsn *dsn)
{
	unsigned char octets[16];
	struct buf hex;

	rand_bytes(octets, sizeof(octets));
	buf_init(&hex, 64);
	buf_add_hex(&hex, octets, sizeof(octets));
	memcpy(dsn->boundary, hex.p, 32);
	dsn->boundary[32] = '\0';
	buf_fini(&hex);
}

void
dsn_begin(struct buf *buf, const struct dsn *dsn)
{
	put_head(buf, dsn);
	put_part(buf, dsn, "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: base64\r\n");
	put_text(buf, dsn);
	put_part(buf, dsn, status_is_utf8(dsn) ?
	    "Content-Type: message/global-delivery-status\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n" :
	    "Content-Type: message/delivery-status\r\n");
	put_status(buf, dsn);
	put_part(buf, dsn, returned_head(dsn));
}

void
dsn_end(struct buf *buf, const struct dsn *dsn)
{
	buf_addf(buf, "\r\n--%s--\r\n", dsn->boundary);
}
