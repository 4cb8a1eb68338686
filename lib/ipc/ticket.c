/* SPDX-License-Identifier: ISC */
#include "ipc/ticket.h"

#include <openssl/err.h>

#define TICKET_VERSION 1
#define FIXED_OCTETS 41		/* version and five numbers */
#define SIGNATURE_OCTETS 64
#define PROTOCOL_MAX 32
#define USER_MAX 512

/* ---- keys ---- */

EVP_PKEY *
ticket_key_new(struct err *err)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	if (key == NULL)
		(void)err_set(err, ERR_TEMP, "cannot make an Ed25519 key");
	ERR_clear_error();
	return key;
}

int
ticket_key_public(EVP_PKEY *key, unsigned char public_r[TICKET_KEY_OCTETS],
    struct err *err)
{
	size_t len = TICKET_KEY_OCTETS;

	if (EVP_PKEY_get_raw_public_key(key, public_r, &len) == 1 &&
	    len == TICKET_KEY_OCTETS)
		return 0;
	ERR_clear_error();
	return err_set(err, ERR_TEMP, "no raw public key");
}

EVP_PKEY *
ticket_key_of(struct str public_half, struct err *err)
{
	EVP_PKEY *key = NULL;

	if (public_half.len == TICKET_KEY_OCTETS)
		key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
		    (const unsigned char *)public_half.p, public_half.len);
	if (key == NULL)
		(void)err_set(err, ERR_SYNTAX, "no Ed25519 public key");
	ERR_clear_error();
	return key;
}

/* ---- octets ---- */

static void
put_number(struct buf *out, uint64_t value)
{
	char octets[8];
	int i;

	for (i = 7; i >= 0; i--, value >>= 8)
		octets[i] = (char)(value & 255);
	buf_add(out, octets, sizeof(octets));
}

static void
put_text(struct buf *out, struct str s)
{
	buf_add_char(out, (char)(s.len >> 8));
	buf_add_char(out, (char)(s.len & 255));
	buf_add_str(out, s);
}

static uint64_t
get_number(struct str *rest)
{
	uint64_t value = 0;
	int i;

	for (i = 0; i < 8; i++)
		value = value << 8 | (unsigned char)rest->p[i];
	*rest = str_sub(*rest, 8, rest->len);
	return value;
}

static bool
get_text(struct str *rest, size_t max, struct str *text_r)
{
	size_t len;

	if (rest->len < 2)
		return false;
	len = (size_t)(unsigned char)rest->p[0] << 8 |
	    (unsigned char)rest->p[1];
	if (len > max || len > rest->len - 2)
		return false;
	*text_r = str_sub(*rest, 2, len);
	*rest = str_sub(*rest, 2 + len, rest->len);
	return true;
}

/* ---- tickets ---- */

int
ticket_sign(const struct ticket *ticket, EVP_PKEY *key, struct buf *out,
    struct err *err)
{
	unsigned char signature[SIGNATURE_OCTETS];
	size_t from = out->len, len = sizeof(signature);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	struct str body;
	int ok;

	if (md == NULL || ticket->protocol.len > PROTOCOL_MAX ||
	    ticket->user.len > USER_MAX) {
		EVP_MD_CTX_free(md);
		return err_set(err, ERR_LIMIT, "ticket too long");
	}
	buf_add_char(out, TICKET_VERSION);
	put_number(out, ticket->account);
	put_number(out, (uint64_t)ticket->issued_s);
	put_number(out, (uint64_t)ticket->expires_s);
	put_number(out, ticket->session);
	put_number(out, ticket->serial);
	put_text(out, ticket->protocol);
	put_text(out, ticket->user);
	body = str_sub(buf_str(out), from, out->len);
	ok = !buf_failed(out) &&
	    EVP_DigestSignInit(md, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(md, signature, &len,
	    (const unsigned char *)body.p, body.len) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	if (!ok)
		return err_set(err, ERR_TEMP, "cannot sign a ticket");
	buf_add(out, signature, len);
	return buf_failed(out) ? err_set(err, ERR_LIMIT, "no room") : 0;
}

static bool
is_signed(struct str body, struct str signature, EVP_PKEY *key)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL &&
	    EVP_DigestVerifyInit(md, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestVerify(md, (const unsigned char *)signature.p,
	    signature.len, (const unsigned char *)body.p, body.len) == 1;

	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok;
}

int
ticket_read(struct str octets, EVP_PKEY *key, struct ticket *t,
    struct err *err)
{
	struct str body, rest;

	if (octets.len < FIXED_OCTETS + SIGNATURE_OCTETS ||
	    octets.len > TICKET_MAX || octets.p[0] != TICKET_VERSION)
		return err_set(err, ERR_SYNTAX, "no ticket");
	body = str_sub(octets, 0, octets.len - SIGNATURE_OCTETS);
	if (!is_signed(body, str_sub(octets, body.len, SIGNATURE_OCTETS), key))
		return err_set(err, ERR_DENIED, "signature of a ticket");
	rest = str_sub(body, 1, body.len);
	t->account = get_number(&rest);
	t->issued_s = (int64_t)get_number(&rest);
	t->expires_s = (int64_t)get_number(&rest);
	t->session = get_number(&rest);
	t->serial = get_number(&rest);
	if (!get_text(&rest, PROTOCOL_MAX, &t->protocol) ||
	    !get_text(&rest, USER_MAX, &t->user) || rest.len != 0)
		return err_set(err, ERR_SYNTAX, "no ticket");
	return 0;
}
