/* SPDX-License-Identifier: ISC */
#include "mailauth/arc_int.h"
#include "mailauth/sig_write.h"

#define AAR_MAX (64U << 10)

struct arc_sealing {
	const struct mailauth_message *message;
	const struct arc_seal *seal;
	unsigned instance;
	enum mailauth_result chain;	/* cv= */
	struct str aar;			/* finished fields */
	struct str ams;
	struct str text;		/* the one that waits for b= */
	size_t hole;
};

/* ---- fields ---- */

static int
write_aar(struct arc_sealing *sealing, struct err *err)
{
	struct buf text;
	int rc = 0;

	buf_init(&text, AAR_MAX);
	buf_addf(&text, "ARC-Authentication-Results: i=%u; ",
	    sealing->instance);
	buf_add_str(&text, str_trim(sealing->seal->results));
	buf_add_cstr(&text, "\r\n");
	if (buf_failed(&text))
		rc = err_set(err, ERR_LIMIT, "results over 64 KiB");
	else
		sealing->aar = arena_str(sealing->message->arena,
		    buf_str(&text));
	buf_fini(&text);
	return rc;
}

static void
write_ams(const struct arc_sealing *sealing, struct sig_write *write,
    struct str names)
{
	const struct arc_seal *seal = sealing->seal;
	const struct body_hash *hash = message_body_hash(sealing->message,
	    CANON_RELAXED, BODY_WHOLE);

	invariant(hash != NULL);
	sig_write_begin(write, "ARC-Message-Signature", seal->has_long_lines);
	sig_write_tag(write, "a",
	    str_of(dkim_algorithm_name(seal->algorithm)));
	sig_write_hole(write);
	sig_write_hash(write, hash->digest);
	sig_write_tag(write, "c", STR("relaxed/relaxed"));
	sig_write_tag(write, "d", seal->domain);
	sig_write_names(write, names);
	sig_write_tag_u64(write, "i", sealing->instance);
	sig_write_tag(write, "s", seal->selector);
	sig_write_tag_u64(write, "t", (uint64_t)seal->now_s);
}

static void
write_as(const struct arc_sealing *sealing, struct sig_write *write)
{
	const struct arc_seal *seal = sealing->seal;

	sig_write_begin(write, "ARC-Seal", seal->has_long_lines);
	sig_write_tag(write, "a",
	    str_of(dkim_algorithm_name(seal->algorithm)));
	sig_write_hole(write);
	sig_write_tag(write, "cv",
	    str_of(mailauth_result_name(sealing->chain)));
	sig_write_tag(write, "d", seal->domain);
	sig_write_tag_u64(write, "i", sealing->instance);
	sig_write_tag(write, "s", seal->selector);
	sig_write_tag_u64(write, "t", (uint64_t)seal->now_s);
}

static void
keep(struct arc_sealing *sealing, struct sig_write *write)
{
	sealing->text = arena_str(sealing->message->arena,
	    buf_str(&write->text));
	sealing->hole = write->hole;
	sig_write_fini(write);
}

static void
finish(const struct arc_sealing *sealing, struct str signature,
    struct buf *out)
{
	struct sig_write write = { .hole = sealing->hole,
	    .is_long = sealing->seal->has_long_lines };

	buf_init(&write.text, SIG_WRITE_MAX);
	buf_add_str(&write.text, sealing->text);
	sig_write_end(&write, signature, out);
	sig_write_fini(&write);
}

/* ---- steps ---- */

/* RFC 8617 section 4.1.2: DKIM-Signature fields are signed too. */
static struct str
message_names(const struct mailauth_message *message, struct str asked)
{
	struct str names = sig_names(message, asked);
	struct buf text;
	size_t i;

	if (asked.len > 0 || names.len == 0)
		return names;
	buf_init(&text, SIG_WRITE_MAX / 2);
	buf_add_str(&text, names);
	for (i = 0; i < message->dkim_count; i++)
		buf_add_cstr(&text, ":dkim-signature");
	names = buf_failed(&text) ? STR_NONE :
	    arena_str(message->arena, buf_str(&text));
	buf_fini(&text);
	return names;
}

struct arc_sealing *
arc_seal_begin(const struct mailauth_message *message,
    const struct arc_result *chain, const struct arc_seal *seal,
    unsigned char digest_r[MAILAUTH_HASH_OCTETS], struct err *err)
{
	struct arc_sealing *sealing =
	    arena_new_of(message->arena, struct arc_sealing);
	struct str names = message_names(message, seal->names);
	struct sig_write write;
	struct buf own;

	sealing->message = message;
	sealing->seal = seal;
	sealing->instance = chain->instance + 1;
	sealing->chain = chain->result;
	if (!chain->may_seal) {
		(void)err_set(err, ERR_DENIED, "no more sets");
		return NULL;
	}
	if (!sig_is_name(seal->domain) || !sig_is_name(seal->selector) ||
	    names.len == 0) {
		(void)err_set(err, ERR_SYNTAX, "cannot be sealed");
		return NULL;
	}
	if (write_aar(sealing, err) != 0)
		return NULL;
	write_ams(sealing, &write, names);
	buf_init(&own, SIG_WRITE_MAX);
	sig_write_put_unsigned(&write, &own);
	sig_header_digest(message, names, CANON_RELAXED, buf_str(&own),
	    digest_r);
	buf_fini(&own);
	keep(sealing, &write);
	return sealing;
}

void
arc_seal_message(struct arc_sealing *sealing, struct str signature,
    unsigned char digest_r[MAILAUTH_HASH_OCTETS])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	struct arc_chain chain;
	struct sig_write write;
	struct buf text;
	unsigned i;

	buf_init(&text, SIG_WRITE_MAX + AAR_MAX);
	finish(sealing, signature, &text);
	sealing->ams = arena_str(sealing->message->arena, buf_str(&text));
	invariant(md != NULL &&
	    EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
	/* RFC 8617 section 5.1.2: a broken chain is not looked into. */
	if (sealing->chain == MAILAUTH_PASS) {
		arc_chain_init(&chain, sealing->message);
		for (i = 1; i <= chain.highest; i++)
			arc_hash_set(md, &chain.sets[i]);
	}
	arc_hash_field(md, sealing->aar);
	arc_hash_field(md, sealing->ams);
	write_as(sealing, &write);
	buf_reset(&text);
	sig_write_put_unsigned(&write, &text);
	invariant(EVP_DigestUpdate(md, buf_str(&text).p, text.len) == 1 &&
	    EVP_DigestFinal_ex(md, digest_r, NULL) == 1);
	keep(sealing, &write);
	EVP_MD_CTX_free(md);
	buf_fini(&text);
}

void
arc_seal_end(struct arc_sealing *sealing, struct str signature,
    struct buf *out)
{
	finish(sealing, signature, out);
	buf_add_str(out, sealing->ams);
	buf_add_str(out, sealing->aar);
}
