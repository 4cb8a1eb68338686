/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/signer.h"

#include "base/log.h"
#include "base/when.h"
#include "mailauth/dkim.h"

#define KEPT_MAX 256U
#define KEPT_S 3600
#define KEYS_MAX 4U
#define TEXT_MAX (64U << 10)
#define READ_OCTETS 65536U
#define KEYD_MS 20000

/* ---- what is remembered ---- */

struct kept {
	uint64_t queue_id;
	unsigned octets;	/* which octets: see octets_of() */
	int64_t made_s;		/* 0: a free place */
	struct buf text;
};

struct signatures {
	struct kept v[KEPT_MAX];
	size_t next;		/* the oldest place */
};

struct signatures *
signatures_new(void)
{
	struct signatures *signatures = calloc(1, sizeof(*signatures));
	size_t i;

	invariant(signatures != NULL);
	for (i = 0; i < KEPT_MAX; i++)
		buf_init(&signatures->v[i].text, TEXT_MAX);
	return signatures;
}

void
signatures_free(struct signatures **signatures)
{
	size_t i;

	if (*signatures == NULL)
		return;
	for (i = 0; i < KEPT_MAX; i++)
		buf_fini(&(*signatures)->v[i].text);
	free(*signatures);
	*signatures = NULL;
}

static const struct kept *
recall(const struct signatures *signatures, uint64_t queue_id,
    unsigned octets)
{
	int64_t now_s = when_wall_s();
	const struct kept *kept;
	size_t i;

	for (i = 0; i < KEPT_MAX; i++) {
		kept = &signatures->v[i];
		if (kept->made_s != 0 && kept->queue_id == queue_id &&
		    kept->octets == octets && kept->made_s <= now_s &&
		    kept->made_s + KEPT_S > now_s)
			return kept;
	}
	return NULL;
}

static void
remember(struct signatures *signatures, uint64_t queue_id, unsigned octets,
    struct str text)
{
	struct kept *kept = &signatures->v[signatures->next];

	signatures->next = (signatures->next + 1) % KEPT_MAX;
	buf_fini(&kept->text);
	buf_init(&kept->text, TEXT_MAX);
	buf_add_str(&kept->text, text);
	kept->queue_id = queue_id;
	kept->octets = octets;
	kept->made_s = when_wall_s();
}

/* ---- one job's ---- */

enum phase { FIND, READ, SIGN, READY, BROKEN };

struct key {
	struct str selector;
	uint64_t algorithm;
};

struct signer {
	struct relay *relay;
	struct arena *arena;
	struct str grant;
	uint64_t queue_id;
	enum phase phase;
	unsigned octets;		/* what phase is about */
	bool has_octets;
	struct str domain;
	struct key keys[KEYS_MAX];
	size_t keys_len;
	size_t key;			/* whose turn it is */
	struct mailauth_message *message;
	struct dkim_signing *signing;
	struct buf text;
	uint32_t call;			/* under way, or 0 */
	struct err err;
	void (*wake)(void *ctx);
	void *wake_ctx;
};

struct signer *
signer_new(struct relay *relay, struct str grant, uint64_t queue_id)
{
	struct signer *signer = calloc(1, sizeof(*signer));

	invariant(signer != NULL);
	signer->relay = relay;
	signer->arena = arena_new(0);
	signer->grant = arena_str(signer->arena, grant);
	signer->queue_id = queue_id;
	buf_init(&signer->text, TEXT_MAX);
	return signer;
}

void
signer_free(struct signer **signerp)
{
	struct signer *signer = *signerp;

	if (signer == NULL)
		return;
	if (signer->call != 0)
		ipc_cancel(signer->relay->keyd, signer->call);
	mailauth_message_free(&signer->message);
	buf_fini(&signer->text);
	arena_free(&signer->arena);
	free(signer);
	*signerp = NULL;
}

void
signer_on_wake(struct signer *signer, void (*wake)(void *ctx), void *ctx)
{
	signer->wake = wake;
	signer->wake_ctx = ctx;
}

struct str
signer_text(const struct signer *signer)
{
	return buf_str(&signer->text);
}

static void
wake(struct signer *signer)
{
	signer->call = 0;
	if (signer->wake != NULL)
		signer->wake(signer->wake_ctx);
}

static void
broken(struct signer *signer, int code)
{
	signer->phase = BROKEN;
	(void)err_set(&signer->err, ERR_TEMP, "keyd (%s): %.*s",
	    err_code_name(code), STR_FMT(ipc_last_error(
	    signer->relay->keyd)));
}

static void
ready(struct signer *signer)
{
	mailauth_message_free(&signer->message);
	signer->phase = READY;
	remember(signer->relay->signatures, signer->queue_id, signer->octets,
	    buf_str(&signer->text));
}

/* ---- which keys ---- */

static void
on_found(void *ctx, int code, struct ipc_in *in)
{
	struct signer *signer = ctx;
	struct key *key;

	if (code != 0) {
		broken(signer, code);
	} else {
		signer->domain = arena_str(signer->arena, ipc_get_str(in));
		signer->keys_len = 0;
		while (ipc_more(in) && signer->keys_len < KEYS_MAX) {
			key = &signer->keys[signer->keys_len++];
			key->selector = arena_str(signer->arena,
			    ipc_get_str(in));
			key->algorithm = ipc_get_u64(in);
		}
		signer->phase = READ;
		if (signer->keys_len == 0)
			ready(signer);
	}
	wake(signer);
}

static enum signer_step
step_find(struct signer *signer)
{
	struct ipc_out *out;

	if (signer->call == 0) {
		out = ipc_begin(signer->relay->keyd, KEY_DKIM_FIND);
		ipc_put_str(out, signer->grant);
		signer->call = ipc_call(out, -1, KEYD_MS, on_found, signer);
	}
	return SIGNER_WAIT;
}

/* ---- reading ---- */

static int
read_piece(struct signer *signer, struct letter *letter, bool *is_end_r,
    size_t *len_r, struct err *err)
{
	struct buf piece;
	int rc;

	buf_init(&piece, 8 * READ_OCTETS + (4U << 20));
	rc = letter_read(letter, READ_OCTETS, &piece, is_end_r, err);
	if (rc == 0 && buf_failed(&piece))
		rc = err_set(err, ERR_LIMIT, "a piece too large");
	*len_r = piece.len;
	if (rc == 0)
		rc = mailauth_message_feed(signer->message,
		    buf_str(&piece).p, piece.len, err);
	buf_fini(&piece);
	return rc;
}

static enum signer_step
step_read(struct signer *signer, struct letter *letter,
    enum letter_form form, size_t max, struct err *err)
{
	size_t len, done = 0;
	bool is_end = false;

	if (signer->message == NULL) {
		signer->message = mailauth_message_new();
		mailauth_message_want(signer->message, CANON_RELAXED);
		letter_put_front(letter, STR_NONE);
		letter_open(letter, form);
	}
	while (!is_end && done < max) {
		if (read_piece(signer, letter, &is_end, &len, err) != 0)
			return SIGNER_FAILED;
		done += len;
	}
	if (is_end) {
		mailauth_message_end(signer->message);
		signer->phase = SIGN;
		signer->key = 0;
		signer->signing = NULL;
	}
	return SIGNER_MORE;
}

/* ---- signing ---- */

static void
on_signed(void *ctx, int code, struct ipc_in *in)
{
	struct signer *signer = ctx;

	if (code != 0)
		broken(signer, code);
	else
		dkim_sign_end(signer->signing, ipc_get_str(in),
		    &signer->text);
	signer->signing = NULL;
	signer->key++;
	wake(signer);
}

/* Ask for the signature of the next key; what cannot be signed leaves without
 * one. */
static enum signer_step
step_sign(struct signer *signer)
{
	unsigned char digest[MAILAUTH_HASH_OCTETS];
	struct dkim_sign how = { .domain = signer->domain,
	    .now_s = when_wall_s() };
	struct err err = ERR_INIT;
	const struct key *key;
	struct ipc_out *out;

	if (signer->call != 0)
		return SIGNER_WAIT;
	if (signer->key == signer->keys_len) {
		ready(signer);
		return SIGNER_DONE;
	}
	key = &signer->keys[signer->key];
	how.selector = key->selector;
	how.algorithm = key->algorithm == DKIM_ED25519_SHA256 ?
	    DKIM_ED25519_SHA256 : DKIM_RSA_SHA256;
	signer->signing = dkim_sign_begin(signer->message, &how, digest,
	    &err);
	if (signer->signing == NULL) {
		ev_warn(NULL, "relay.sign.impossible",
		    EV_U64(queue_id, signer->queue_id), EV_ERR(&err));
		signer->key++;
		return SIGNER_MORE;
	}
	out = ipc_begin(signer->relay->keyd, KEY_DKIM_SIGN);
	ipc_put_str(out, signer->grant);
	ipc_put_str(out, key->selector);
	ipc_put_u64(out, key->algorithm);
	ipc_put_str(out, str_make(digest, sizeof(digest)));
	signer->call = ipc_call(out, -1, KEYD_MS, on_signed, signer);
	return SIGNER_WAIT;
}

/* ---- the steps ---- */

/* The forms that are the same octets. */
static unsigned
octets_of(enum letter_form form)
{
	return form == LETTER_BINARY ? LETTER_PLAIN : form;
}

/* Another form than last time, or the first: from the begin. */
static void
begin(struct signer *signer, unsigned octets)
{
	const struct kept *kept = recall(signer->relay->signatures,
	    signer->queue_id, octets);

	if (signer->call != 0)
		ipc_cancel(signer->relay->keyd, signer->call);
	signer->call = 0;
	mailauth_message_free(&signer->message);
	err_clear(&signer->err);
	buf_reset(&signer->text);
	signer->octets = octets;
	signer->has_octets = true;
	signer->phase = FIND;
	if (kept != NULL) {
		buf_add_str(&signer->text, buf_str(&kept->text));
		signer->phase = READY;
	}
}

enum signer_step
signer_step(struct signer *signer, struct letter *letter,
    enum letter_form form, size_t max, struct err *err)
{
	if (!signer->has_octets || signer->octets != octets_of(form))
		begin(signer, octets_of(form));
	switch (signer->phase) {
	case FIND:
		return step_find(signer);
	case READ:
		return step_read(signer, letter, form, max, err);
	case SIGN:
		return step_sign(signer);
	case READY:
		return SIGNER_DONE;
	case BROKEN:
	default:
		signer->has_octets = false;
		*err = signer->err;
		return SIGNER_FAILED;
	}
}
