/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/signer.h"

#include "base/log.h"
#include "base/when.h"
#include "ipc/grant.h"
#include "mail/header.h"
#include "mailauth/authres.h"

#define KEPT_MAX 256U
#define KEPT_S 3600
#define KEYS_MAX 4U
#define TEXT_MAX (64U << 10)
#define READ_OCTETS 65536U
#define KEYD_MS 20000

/* ---- what is remembered ---- */

struct kept {
	uint64_t queue_id;
	struct buf about;	/* see about_of() */
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
	for (i = 0; i < KEPT_MAX; i++) {
		buf_init(&signatures->v[i].text, TEXT_MAX);
		buf_init(&signatures->v[i].about, GRANT_MAX);
	}
	return signatures;
}

void
signatures_free(struct signatures **signatures)
{
	size_t i;

	if (*signatures == NULL)
		return;
	for (i = 0; i < KEPT_MAX; i++) {
		buf_fini(&(*signatures)->v[i].text);
		buf_fini(&(*signatures)->v[i].about);
	}
	free(*signatures);
	*signatures = NULL;
}

static const struct kept *
recall(const struct signatures *signatures, uint64_t queue_id,
    struct str about, unsigned octets)
{
	int64_t now_s = when_wall_s();
	const struct kept *kept;
	size_t i;

	for (i = 0; i < KEPT_MAX; i++) {
		kept = &signatures->v[i];
		if (kept->made_s != 0 && kept->queue_id == queue_id &&
		    kept->octets == octets && kept->made_s <= now_s &&
		    str_eq(buf_str(&kept->about), about) &&
		    kept->made_s + KEPT_S > now_s)
			return kept;
	}
	return NULL;
}

static void
remember(struct signatures *signatures, uint64_t queue_id,
    struct str about, unsigned octets, struct str text)
{
	struct kept *kept = &signatures->v[signatures->next];

	signatures->next = (signatures->next + 1) % KEPT_MAX;
	buf_fini(&kept->text);
	buf_init(&kept->text, TEXT_MAX);
	buf_add_str(&kept->text, text);
	buf_reset(&kept->about);
	buf_add_str(&kept->about, about);
	kept->queue_id = queue_id;
	kept->octets = octets;
	kept->made_s = when_wall_s();
}

/* ---- one job's ---- */

enum phase { FIND, READ, SIGN, SEAL, SEAL_AGAIN, READY, BROKEN };

struct key {
	struct str selector;
	uint64_t algorithm;
};

struct signer {
	struct relay *relay;
	struct arena *arena;
	struct str grant;
	struct str about;		/* what it grants; not checked here */
	bool is_seal;
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
	struct arc_seal seal;		/* what sealing is about */
	struct arc_sealing *sealing;
	unsigned char digest[MAILAUTH_HASH_OCTETS];	/* of SEAL_AGAIN */
	struct buf text;
	uint32_t call;			/* under way, or 0 */
	struct err err;
	void (*wake)(void *ctx);
	void *wake_ctx;
};

/* Purpose and domain of the grant: signatures for one are none for another. */
static void
about_of(struct signer *signer)
{
	struct grant grant;

	if (grant_peek(signer->grant, &grant, NULL) != 0) {
		signer->about = signer->grant;
		return;
	}
	signer->is_seal = grant.purpose == GRANT_ARC;
	signer->about = arena_printf(signer->arena, "%u %.*s",
	    (unsigned)grant.purpose, STR_FMT(grant.domain));
}

struct signer *
signer_new(struct relay *relay, struct str grant, uint64_t queue_id)
{
	struct signer *signer = calloc(1, sizeof(*signer));

	invariant(signer != NULL);
	signer->relay = relay;
	signer->arena = arena_new(0);
	signer->grant = arena_str(signer->arena, grant);
	signer->queue_id = queue_id;
	about_of(signer);
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
	remember(signer->relay->signatures, signer->queue_id, signer->about,
	    signer->octets, buf_str(&signer->text));
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
	int rc;

	if (signer->message == NULL) {
		signer->message = mailauth_message_new();
		mailauth_message_want(signer->message, CANON_RELAXED);
		letter_put_front(letter, STR_NONE);
		letter_open(letter, form);
	}
	while (!is_end && done < max) {
		rc = read_piece(signer, letter, &is_end, &len, err);
		if (rc == ERR_LIMIT) {
			/* It was accepted so: unsigned is better than never. */
			ev_warn(NULL, "relay.sign.impossible",
			    EV_U64(queue_id, signer->queue_id), EV_ERR(err));
			err_clear(err);
			ready(signer);
			return SIGNER_DONE;
		}
		if (rc != 0)
			return SIGNER_FAILED;
		done += len;
	}
	if (is_end) {
		mailauth_message_end(signer->message);
		signer->phase = signer->is_seal ? SEAL : SIGN;
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

/* KEY_DKIM_SIGN for the key whose turn it is. */
static void
ask_signature(struct signer *signer, const unsigned char *digest,
    ipc_done *done)
{
	const struct key *key = &signer->keys[signer->key];
	struct ipc_out *out = ipc_begin(signer->relay->keyd, KEY_DKIM_SIGN);

	ipc_put_str(out, signer->grant);
	ipc_put_str(out, key->selector);
	ipc_put_u64(out, key->algorithm);
	ipc_put_str(out, str_make(digest, MAILAUTH_HASH_OCTETS));
	signer->call = ipc_call(out, -1, KEYD_MS, done, signer);
}

static enum dkim_algorithm
algorithm_of(const struct key *key)
{
	return key->algorithm == DKIM_ED25519_SHA256 ? DKIM_ED25519_SHA256 :
	    DKIM_RSA_SHA256;
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

	if (signer->call != 0)
		return SIGNER_WAIT;
	if (signer->key == signer->keys_len) {
		ready(signer);
		return SIGNER_DONE;
	}
	key = &signer->keys[signer->key];
	how.selector = key->selector;
	how.algorithm = algorithm_of(key);
	signer->signing = dkim_sign_begin(signer->message, &how, digest,
	    &err);
	if (signer->signing == NULL) {
		ev_warn(NULL, "relay.sign.impossible",
		    EV_U64(queue_id, signer->queue_id), EV_ERR(&err));
		signer->key++;
		return SIGNER_MORE;
	}
	ask_signature(signer, digest, on_signed);
	return SIGNER_WAIT;
}

/* ---- sealing ---- */

/* The first signature was for the message, the second is for the seal. */
static void
on_sealed(void *ctx, int code, struct ipc_in *in)
{
	struct signer *signer = ctx;

	if (code != 0) {
		broken(signer, code);
	} else if (signer->phase == SEAL) {
		arc_seal_message(signer->sealing, ipc_get_str(in),
		    signer->digest);
		signer->phase = SEAL_AGAIN;
	} else {
		arc_seal_end(signer->sealing, ipc_get_str(in),
		    &signer->text);
		ready(signer);
	}
	wake(signer);
}

/* What we have found out when it came: the field of our name. */
static bool
find_results(const struct signer *signer, struct str *value_r)
{
	struct str name = str_of(signer->relay->hostname), rest;
	struct header_field field;
	struct header_iter iter;

	header_iter_init(&iter, mailauth_message_header(signer->message));
	while (header_next(&iter, &field)) {
		if (!str_eq_nocase(field.name,
		    STR("Authentication-Results")) || !str_eq_nocase(
		    authres_id(signer->arena, field.value, &rest), name))
			continue;
		*value_r = field.value;
		return true;
	}
	return false;
}

/* The state of the chain as it came; false: nobody looked, or it is not this
 * message's. */
static bool
find_chain(struct signer *signer, struct arc_result *chain_r)
{
	struct authres_list *list = arena_new_of(signer->arena,
	    struct authres_list);
	bool is_known = true;
	size_t i;

	arc_look(signer->message, chain_r);
	if (!chain_r->may_seal ||
	    !find_results(signer, &signer->seal.results) ||
	    authres_parse(signer->arena, signer->seal.results, list,
	    NULL) != 0)
		return false;
	/* Where there is no chain nothing is said of it. */
	for (i = 0; i < list->count; i++)
		if (str_eq_nocase(list->v[i].method, STR("arc")))
			is_known = mailauth_result_of(list->v[i].result,
			    &chain_r->result) == 0;
	return is_known && (chain_r->result == MAILAUTH_FAIL ||
	    (chain_r->result == MAILAUTH_PASS && chain_r->instance > 0) ||
	    (chain_r->result == MAILAUTH_NONE && chain_r->instance == 0));
}

/* With one key: RSA, which every reader knows, stands first. */
static enum signer_step
step_seal(struct signer *signer)
{
	unsigned char digest[MAILAUTH_HASH_OCTETS];
	struct arc_result chain;
	struct err err = ERR_INIT;

	if (signer->call != 0)
		return SIGNER_WAIT;
	if (!find_chain(signer, &chain)) {
		ready(signer);
		return SIGNER_DONE;
	}
	signer->seal.domain = signer->domain;
	signer->seal.selector = signer->keys[0].selector;
	signer->seal.algorithm = algorithm_of(&signer->keys[0]);
	signer->seal.now_s = when_wall_s();
	signer->sealing = arc_seal_begin(signer->message, &chain,
	    &signer->seal, digest, &err);
	if (signer->sealing == NULL) {
		ev_warn(NULL, "relay.sign.impossible",
		    EV_U64(queue_id, signer->queue_id), EV_ERR(&err));
		ready(signer);
		return SIGNER_DONE;
	}
	ask_signature(signer, digest, on_sealed);
	return SIGNER_WAIT;
}

static enum signer_step
step_seal_again(struct signer *signer)
{
	if (signer->call == 0)
		ask_signature(signer, signer->digest, on_sealed);
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
	    signer->queue_id, signer->about, octets);

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
	case SEAL:
		return step_seal(signer);
	case SEAL_AGAIN:
		return step_seal_again(signer);
	case READY:
		return SIGNER_DONE;
	case BROKEN:
	default:
		signer->has_octets = false;
		*err = signer->err;
		return SIGNER_FAILED;
	}
}
