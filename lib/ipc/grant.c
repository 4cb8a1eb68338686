/* SPDX-License-Identifier: ISC */
#include "ipc/grant.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/rand.h"

#define GRANT_VERSION 1
#define MAC_OCTETS 32U
#define FIXED_OCTETS 19U	/* version, purpose, what, expiry, length */

static void
put_number(struct buf *out, uint64_t value, unsigned octets)
{
	for (; octets > 0; octets--, value >>= 8)
		buf_add_char(out, (char)(value & 255));
}

static uint64_t
number_at(struct str octets, size_t at, unsigned len)
{
	uint64_t value = 0;

	for (; len > 0; len--)
		value = value << 8 | (unsigned char)octets.p[at + len - 1];
	return value;
}

static void
mac_of(struct str text, const unsigned char *secret, unsigned char *mac_r)
{
	unsigned len = MAC_OCTETS;

	invariant(HMAC(EVP_sha256(), secret, GRANT_SECRET_OCTETS,
	    (const unsigned char *)text.p, text.len, mac_r, &len) != NULL);
}

void
grant_put(struct buf *out, const struct grant *grant,
    const unsigned char secret[GRANT_SECRET_OCTETS])
{
	unsigned char mac[MAC_OCTETS];
	struct buf text;

	invariant(grant->domain.len <= 253);
	buf_init(&text, GRANT_MAX);
	put_number(&text, GRANT_VERSION, 1);
	put_number(&text, grant->purpose, 1);
	put_number(&text, grant->what, 8);
	put_number(&text, (uint64_t)grant->expires_s, 8);
	put_number(&text, grant->domain.len, 1);
	buf_add_str(&text, grant->domain);
	mac_of(buf_str(&text), secret, mac);
	buf_add(&text, mac, sizeof(mac));
	buf_add_str(out, buf_str(&text));
	buf_fini(&text);
}

int
grant_peek(struct str octets, struct grant *grant_r, struct err *err)
{
	size_t len;

	if (octets.len < FIXED_OCTETS + MAC_OCTETS ||
	    number_at(octets, 0, 1) != GRANT_VERSION)
		return err_set(err, ERR_SYNTAX, "no grant");
	len = octets.len - MAC_OCTETS;
	if (number_at(octets, FIXED_OCTETS - 1, 1) != len - FIXED_OCTETS)
		return err_set(err, ERR_SYNTAX, "no grant");
	grant_r->purpose = (enum grant_purpose)number_at(octets, 1, 1);
	grant_r->what = number_at(octets, 2, 8);
	grant_r->expires_s = (int64_t)number_at(octets, 10, 8);
	grant_r->domain = str_sub(octets, FIXED_OCTETS, len - FIXED_OCTETS);
	return 0;
}

int
grant_read(struct str octets,
    const unsigned char secret[GRANT_SECRET_OCTETS], int64_t now_s,
    struct grant *grant_r, struct err *err)
{
	unsigned char mac[MAC_OCTETS];
	size_t len;

	if (grant_peek(octets, grant_r, err) != 0)
		return ERR_SYNTAX;
	len = octets.len - MAC_OCTETS;
	mac_of(str_sub(octets, 0, len), secret, mac);
	if (!rand_equal(mac, octets.p + len, MAC_OCTETS))
		return err_set(err, ERR_DENIED, "not a grant of ours");
	if (grant_r->expires_s < now_s)
		return err_set(err, ERR_DENIED, "the grant is too old");
	return 0;
}
