/* SPDX-License-Identifier: ISC */
#include "mboxd/state.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/rand.h"

#define STATE_VERSION 1
#define MAC_OCTETS 32
#define FIXED_OCTETS 18		/* version, account, session, has_tls */

static void
mac(const unsigned char key[STATE_KEY_OCTETS], struct str data,
    unsigned char mac_r[MAC_OCTETS])
{
	unsigned len = 0;

	invariant(HMAC(EVP_sha256(), key, STATE_KEY_OCTETS,
	    (const unsigned char *)data.p, data.len, mac_r, &len) != NULL);
	invariant(len == MAC_OCTETS);
}

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
get_text(struct str *rest, struct str *text_r)
{
	size_t len;

	if (rest->len < 2)
		return false;
	len = (size_t)(unsigned char)rest->p[0] << 8 |
	    (unsigned char)rest->p[1];
	if (len > rest->len - 2)
		return false;
	*text_r = str_sub(*rest, 2, len);
	*rest = str_sub(*rest, 2 + len, rest->len);
	return true;
}

void
state_key(const unsigned char broker_key[STATE_KEY_OCTETS], uint64_t account,
    unsigned char key_r[STATE_KEY_OCTETS])
{
	struct buf buf;

	buf_init(&buf, 8);
	put_number(&buf, account);
	mac(broker_key, buf_str(&buf), key_r);
	buf_fini(&buf);
}

int
state_write(const struct state *state,
    const unsigned char key[STATE_KEY_OCTETS], struct buf *out,
    struct err *err)
{
	size_t from = out->len;
	unsigned char code[MAC_OCTETS];

	if (state->protocol.len + state->user.len + state->remote.len +
	    state->engine.len + 128 > STATE_MAX)
		return err_set(err, ERR_LIMIT, "state too long");
	buf_add_char(out, STATE_VERSION);
	put_number(out, state->account);
	put_number(out, state->session);
	buf_add_char(out, state->has_tls);
	put_text(out, state->protocol);
	put_text(out, state->user);
	put_text(out, state->remote);
	put_text(out, state->engine);
	mac(key, str_sub(buf_str(out), from, out->len), code);
	buf_add(out, code, sizeof(code));
	return buf_failed(out) ? err_set(err, ERR_LIMIT, "no room") : 0;
}

int
state_read(struct str octets, const unsigned char key[STATE_KEY_OCTETS],
    struct state *state, struct err *err)
{
	unsigned char code[MAC_OCTETS];
	struct str body, rest;

	if (octets.len < FIXED_OCTETS + MAC_OCTETS || octets.len > STATE_MAX ||
	    octets.p[0] != STATE_VERSION)
		return err_set(err, ERR_SYNTAX, "no state of this version");
	body = str_sub(octets, 0, octets.len - MAC_OCTETS);
	mac(key, body, code);
	if (!rand_equal(code, octets.p + body.len, MAC_OCTETS))
		return err_set(err, ERR_DENIED, "MAC of a parked session");
	rest = str_sub(body, 1, body.len);
	state->account = get_number(&rest);
	state->session = get_number(&rest);
	state->has_tls = rest.p[0] != 0;
	rest = str_sub(rest, 1, rest.len);
	if (!get_text(&rest, &state->protocol) ||
	    !get_text(&rest, &state->user) ||
	    !get_text(&rest, &state->remote) ||
	    !get_text(&rest, &state->engine) || rest.len != 0)
		return err_set(err, ERR_SYNTAX, "no state of this version");
	return 0;
}
