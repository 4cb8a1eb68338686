/* SPDX-License-Identifier: ISC */
#include "mailauth/dkim.h"
#include "mailauth/message_int.h"
#include "mailauth/sig_write.h"

struct dkim_signing {
	struct str text;	/* the field with nothing in b= */
	size_t hole;
};

/*
 * What is signed, all fields of that name; those that are oversigned once more
 * than there are. RFC 6376 section 5.4.1, and what a reader sees or a mail
 * program acts on. Fields that hosts on the way add or change are not there.
 */
static const struct {
	const char *name;
	bool is_oversigned;
} signed_names[] = {
	{ "from", true }, { "to", true }, { "cc", true },
	{ "subject", true }, { "date", true }, { "reply-to", true },
	{ "sender", true }, { "message-id", true },
	{ "in-reply-to", true }, { "references", true },
	{ "mime-version", true }, { "content-type", true },
	{ "content-transfer-encoding", true },
	{ "content-disposition", false }, { "content-id", false },
	{ "content-language", false },
	{ "resent-date", false }, { "resent-from", false },
	{ "resent-sender", false }, { "resent-to", false },
	{ "resent-cc", false }, { "resent-message-id", false },
	{ "list-id", false }, { "list-help", false },
	{ "list-unsubscribe", true }, { "list-unsubscribe-post", true },
	{ "list-subscribe", false }, { "list-post", false },
	{ "list-owner", false }, { "list-archive", false },
	{ "autocrypt", false }, { "feedback-id", false },
};

static size_t
count_fields(const struct mailauth_message *message, const char *name)
{
	struct message_cursor cursor;
	size_t count = 0;

	message_cursor_init(&cursor, message);
	while (message_cursor_take(&cursor, message, str_of(name)) != NULL)
		count++;
	message_cursor_fini(&cursor);
	return count;
}

static void
put_names(const struct mailauth_message *message, struct buf *out)
{
	size_t i, n;

	for (i = 0; i < sizeof(signed_names) / sizeof(*signed_names); i++) {
		n = count_fields(message, signed_names[i].name);
		if (signed_names[i].is_oversigned)
			n++;
		for (; n > 0; n--) {
			if (out->len > 0)
				buf_add_char(out, ':');
			buf_add_cstr(out, signed_names[i].name);
		}
	}
}

struct str
sig_names(const struct mailauth_message *message, struct str asked)
{
	struct str names = asked;
	struct buf text;

	if (asked.len > 0)
		return names;
	buf_init(&text, SIG_WRITE_MAX / 2);
	put_names(message, &text);
	names = buf_failed(&text) ? STR_NONE :
	    arena_str(message->arena, buf_str(&text));
	buf_fini(&text);
	return names;
}

static void
write_field(struct sig_write *write, const struct dkim_sign *sign,
    struct str names, const struct body_hash *hash)
{
	sig_write_begin(write, "DKIM-Signature", false);
	sig_write_tag(write, "v", STR("1"));
	sig_write_tag(write, "a",
	    str_of(dkim_algorithm_name(sign->algorithm)));
	sig_write_tag(write, "c", STR("relaxed/relaxed"));
	sig_write_tag(write, "d", sign->domain);
	sig_write_tag(write, "s", sign->selector);
	sig_write_tag_u64(write, "t", (uint64_t)sign->now_s);
	if (sign->expires_s != 0)
		sig_write_tag_u64(write, "x", (uint64_t)sign->expires_s);
	sig_write_names(write, names);
	sig_write_hash(write, hash->digest);
	sig_write_hole(write);
}

bool
sig_is_name(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) &&
		    s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
			return false;
	return s.len > 0 && s.len <= 253;
}

struct dkim_signing *
dkim_sign_begin(const struct mailauth_message *message,
    const struct dkim_sign *sign,
    unsigned char digest_r[MAILAUTH_HASH_OCTETS], struct err *err)
{
	const struct body_hash *hash = message_body_hash(message,
	    CANON_RELAXED, BODY_WHOLE);
	struct str names = sig_names(message, sign->names);
	struct dkim_signing *signing;
	struct sig_write write;
	struct buf own;

	invariant(message->has_ended && hash != NULL);
	if (!sig_is_name(sign->domain) || !sig_is_name(sign->selector)) {
		(void)err_set(err, ERR_SYNTAX, "no domain or selector");
		return NULL;
	}
	if (count_fields(message, "from") == 0 || names.len == 0) {
		(void)err_set(err, ERR_SYNTAX, "a header that cannot be "
		    "signed");
		return NULL;
	}
	write_field(&write, sign, names, hash);
	buf_init(&own, SIG_WRITE_MAX);
	sig_write_put_unsigned(&write, &own);
	sig_header_digest(message, names, CANON_RELAXED, buf_str(&own),
	    digest_r);
	buf_fini(&own);
	signing = arena_new_of(message->arena, struct dkim_signing);
	signing->text = arena_str(message->arena, buf_str(&write.text));
	signing->hole = write.hole;
	sig_write_fini(&write);
	return signing;
}

void
dkim_sign_end(const struct dkim_signing *signing, struct str signature,
    struct buf *out)
{
	struct sig_write write = { .hole = signing->hole };

	buf_init(&write.text, SIG_WRITE_MAX);
	buf_add_str(&write.text, signing->text);
	sig_write_end(&write, signature, out);
	sig_write_fini(&write);
}
