/* SPDX-License-Identifier: ISC */
#include "mail/build.h"

#include "mail/charset.h"

#include <stdarg.h>

#define FOLD_COLUMN 78U
#define WORD_MAX 4096U		/* one formatted word */

static void
put_safe(struct buf *buf, struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		buf_add_char(buf, (unsigned char)s.p[i] < 0x20 ||
		    s.p[i] == 0x7f ? '?' : s.p[i]);
}

void
build_begin(struct build *build, struct buf *buf, const char *name)
{
	build->buf = buf;
	build->column = strlen(name) + 1;
	buf_add_cstr(buf, name);
	buf_add_char(buf, ':');
}

void
build_word(struct build *build, struct str word)
{
	if (word.len == 0)
		return;
	/* RFC 5322 section 2.2.3. A first word that is too long stays: a
	 * line of blanks only is obsolete syntax. */
	if (build->column + 1 + word.len > FOLD_COLUMN) {
		buf_add_cstr(build->buf, "\r\n");
		build->column = 0;
	}
	buf_add_char(build->buf, ' ');
	put_safe(build->buf, word);
	build->column += 1 + word.len;
}

void
build_wordf(struct build *build, const char *fmt, ...)
{
	char word[WORD_MAX];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	invariant(len >= 0);
	build_word(build, str_make(word, (size_t)len < sizeof(word) ?
	    (size_t)len : sizeof(word) - 1));
}

void
build_words(struct build *build, struct str text)
{
	while (text.p != NULL)
		build_word(build, str_cut(text, ' ', &text));
}

void
build_end(struct build *build)
{
	buf_add_cstr(build->buf, "\r\n");
	build->column = 0;
}

/* RFC 3848, RFC 6531 section 4.3: ESMTPSA, UTF8LMTPS, ... */
static void
put_with(struct build *build, const struct build_received *r,
    const char *end)
{
	const char *base = r->is_lmtp ? "LMTP" : "ESMTP";

	if (!r->is_lmtp && !r->has_esmtp) {
		build_wordf(build, "with SMTP%s", end);
		return;
	}
	/* UTF8SMTPA, not UTF8ESMTPA. */
	if (r->has_utf8 && !r->is_lmtp)
		base = "SMTP";
	build_wordf(build, "with %s%s%s%s%s", r->has_utf8 ? "UTF8" : "",
	    base, r->has_tls ? "S" : "", r->has_auth ? "A" : "", end);
}

/* What a peer calls itself: nothing that ends a comment or a clause. */
static void
put_host(struct buf *buf, struct str host)
{
	size_t i;

	for (i = 0; i < host.len; i++)
		buf_add_char(buf, (unsigned char)host.p[i] <= 0x20 ||
		    host.p[i] == 0x7f || strchr("();\\\"<>,", host.p[i]) ?
		    '?' : host.p[i]);
}

/* "[192.0.2.1]" or "[IPv6:...]": RFC 5321 section 4.1.3. */
static void
put_from(struct build *build, const struct build_received *r)
{
	bool is_v6 = str_find(r->remote_ip, ':') != STR_NPOS;
	struct str helo = str_sub(r->helo, 0, ADDRESS_DOMAIN_MAX);
	struct buf word;

	buf_init(&word, WORD_MAX);
	buf_add_cstr(&word, "from ");
	put_host(&word, helo.len != 0 ? helo : STR("unknown"));
	build_word(build, buf_str(&word));
	buf_reset(&word);
	buf_add_char(&word, '(');
	put_host(&word, str_sub(r->remote_name, 0, ADDRESS_DOMAIN_MAX));
	if (r->remote_name.len != 0)
		buf_add_char(&word, ' ');
	buf_addf(&word, "[%s%.*s])", is_v6 ? "IPv6:" : "",
	    STR_FMT(r->remote_ip));
	if (r->remote_ip.len != 0)
		build_word(build, buf_str(&word));
	buf_fini(&word);
}

void
build_received(struct buf *buf, const struct build_received *r)
{
	bool has_id = r->id.len != 0, has_for = r->recipient.len != 0;
	struct build build;
	struct buf text;

	build_begin(&build, buf, "Received");
	put_from(&build, r);
	if (r->tls.len != 0)
		build_wordf(&build, "(using %.*s)", STR_FMT(r->tls));
	build_wordf(&build, "by %.*s", STR_FMT(r->by));
	/* The semicolon belongs to the last clause. */
	put_with(&build, r, has_id || has_for ? "" : ";");
	if (has_id)
		build_wordf(&build, "id %.*s%s", STR_FMT(r->id),
		    has_for ? "" : ";");
	if (has_for)
		build_wordf(&build, "for <%.*s>;", STR_FMT(r->recipient));
	buf_init(&text, 64);
	date_put_rfc5322(&text, r->date);
	build_word(&build, buf_str(&text));
	buf_fini(&text);
	build_end(&build);
}

void
build_return_path(struct buf *buf, struct str sender)
{
	buf_add_cstr(buf, "Return-Path: <");
	put_safe(buf, sender);
	buf_add_cstr(buf, ">\r\n");
}

void
build_delivered_to(struct buf *buf, struct str recipient)
{
	buf_add_cstr(buf, "Delivered-To: ");
	put_safe(buf, recipient);
	buf_add_cstr(buf, "\r\n");
}

void
build_date(struct buf *buf, struct mail_date date)
{
	buf_add_cstr(buf, "Date: ");
	date_put_rfc5322(buf, date);
	buf_add_cstr(buf, "\r\n");
}

void
build_message_id(struct buf *buf, struct str unique, struct str host)
{
	buf_add_cstr(buf, "Message-ID: <");
	put_safe(buf, unique);
	buf_add_char(buf, '@');
	put_safe(buf, host);
	buf_add_cstr(buf, ">\r\n");
}

void
build_field(struct buf *buf, const char *name, struct str text)
{
	struct build build;

	build_begin(&build, buf, name);
	build_words(&build, text);
	build_end(&build);
}

void
build_text(struct buf *buf, const char *name, struct str text)
{
	struct build build;

	build_begin(&build, buf, name);
	if (rfc2047_needs_encoding(text))
		rfc2047_encode(text, build_encoded_word, &build);
	else
		build_words(&build, text);
	build_end(&build);
}

void
build_encoded_word(void *ctx, struct str word)
{
	build_word(ctx, word);
}

static void
put_name(struct build *build, struct str name)
{
	struct buf quoted;

	if (rfc2047_needs_encoding(name)) {
		rfc2047_encode(name, build_encoded_word, build);
		return;
	}
	buf_init(&quoted, 2 * name.len + 2);
	mailbox_put_quoted(&quoted, name);
	build_word(build, buf_str(&quoted));
	buf_fini(&quoted);
}

void
build_mailbox(struct build *build, struct str name, struct str address)
{
	if (name.len != 0)
		put_name(build, name);
	build_wordf(build, "<%.*s>", STR_FMT(address));
}
