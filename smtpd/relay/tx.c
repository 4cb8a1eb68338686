/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/tx.h"

#include "base/log.h"
#include "proto/pop3.h"

#define SLICE_OCTETS (1U << 20)
#define READ_OCTETS 65536
#define PIECE_OCTETS 32768
#define ADDRESS_MAX 1000

enum phase { PREPARE, MAIL, RCPT, DATA, BODY, FINAL, RSET, OVER };

struct tx {
	struct relay *relay;
	struct client *client;
	const struct tx_mail *mail;
	struct rcpt **rcpts;
	size_t rcpts_len;
	tx_done *done;
	void *ctx;
	enum phase phase;
	size_t asked, answered;		/* RCPTs */
	bool *is_accepted;
	size_t accepted;
	bool is_full;			/* 452: the rest in another one */
	bool is_refused;		/* MAIL was */
	bool is_utf8, is_eof;
	bool is_prepared;		/* the letter; form is known */
	bool is_letter_utf8;
	enum letter_form form;
	struct dotstuff dotstuff;
	struct buf raw, out;
	struct loop_later later;
};

static void on_later(void *ctx);

static bool
has(const struct tx *tx, unsigned extension)
{
	return (client_caps(tx->client)->extensions & extension) != 0;
}

size_t
tx_rcpts_max(const struct client *client)
{
	uint64_t max = client_caps(client)->rcpt_max;

	return max != 0 && max < TX_RCPTS_MAX ? (size_t)max : TX_RCPTS_MAX;
}

/* ---- verdicts ---- */

static void
judge(struct tx *tx, size_t i, const struct verdict *verdict)
{
	struct rcpt *rcpt = tx->rcpts[i];

	if (rcpt->is_final)
		return;
	rcpt->verdict = *verdict;
	rcpt->has_verdict = true;
	rcpt->is_final = verdict->result != RELAY_R_TEMP;
	rcpt->has_dsn = verdict->result == RELAY_R_SENT &&
	    has(tx, SMTP_X_DSN);
	rcpt->remote = client_remote(tx->client);
}

/* All that were accepted (or all, before RCPT). */
static void
judge_all(struct tx *tx, const struct verdict *verdict)
{
	size_t i;

	for (i = 0; i < tx->rcpts_len; i++)
		if (tx->phase < RCPT || tx->is_accepted[i])
			judge(tx, i, verdict);
}

static void
finish(struct tx *tx, enum tx_end end, const struct verdict *verdict)
{
	if (tx->phase == OVER)
		return;
	tx->phase = OVER;
	loop_later_fini(&tx->later);
	client_listen(tx->client, NULL, NULL);
	if (end != TX_OK)
		client_spoil(tx->client);
	tx->done(tx->ctx, end, verdict);
}

static void
finish_ok(struct tx *tx)
{
	struct verdict none;

	verdict_set(&none, RELAY_R_TEMP, "4.0.0", "not tried");
	client_wait(tx->client, 0);
	finish(tx, TX_OK, &none);
}

/* The hop cannot have this letter; the connection is as good as before. */
static void
refuse(struct tx *tx, const char *status, const char *reason)
{
	struct verdict verdict;

	verdict_set(&verdict, RELAY_R_FAILED, status, "%s: %s",
	    client_remote(tx->client), reason);
	judge_all(tx, &verdict);
	finish_ok(tx);
}

static void
close_temp(struct tx *tx, const char *status, const char *reason)
{
	struct verdict verdict;

	verdict_set(&verdict, RELAY_R_TEMP, status, "%s: %s",
	    client_remote(tx->client), reason);
	judge_all(tx, &verdict);
	finish(tx, TX_CLOSED, &verdict);
}

/* ---- commands ---- */

static void
send_buf(struct tx *tx, uint64_t ms)
{
	conn_put_str(client_conn(tx->client), buf_str(&tx->out));
	buf_reset(&tx->out);
	client_wait(tx->client, ms);
}

/* What the envelope says of the domain when the hop lacks SMTPUTF8. */
static struct str
path_of(const struct tx *tx, struct str address, struct str ascii)
{
	return tx->is_utf8 || ascii.len == 0 ? address : ascii;
}

/* xtext (RFC 3461 section 4) that cannot be anything else. */
static bool
is_xtext(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '=')
			return false;
	return s.len != 0 && s.len <= 500;
}

static void
put_mail(struct tx *tx)
{
	uint64_t flags = letter_flags(tx->mail->letter);
	struct str path = path_of(tx, tx->mail->sender,
	    tx->mail->sender_ascii);

	buf_add_cstr(&tx->out, "MAIL FROM:<");
	buf_add_str(&tx->out, path);
	buf_add_char(&tx->out, '>');
	if (has(tx, SMTP_X_SIZE) && tx->form <= LETTER_BINARY)
		buf_addf(&tx->out, " SIZE=%llu", (unsigned long long)
		    letter_size(tx->mail->letter));
	if (tx->form == LETTER_BINARY)
		buf_add_cstr(&tx->out, " BODY=BINARYMIME");
	else if (has(tx, SMTP_X_8BITMIME) && tx->form != LETTER_TO_7BIT &&
	    (letter_has_8bit(tx->mail->letter) ||
	    (flags & QUEUE_F_8BIT) != 0))
		buf_add_cstr(&tx->out, " BODY=8BITMIME");
	if (tx->is_utf8)
		buf_add_cstr(&tx->out, " SMTPUTF8");
	if (has(tx, SMTP_X_DSN)) {
		if ((flags & (QUEUE_F_RET_FULL | QUEUE_F_RET_HDRS)) != 0)
			buf_add_cstr(&tx->out, (flags & QUEUE_F_RET_FULL) !=
			    0 ? " RET=FULL" : " RET=HDRS");
		if (is_xtext(tx->mail->envid)) {
			buf_add_cstr(&tx->out, " ENVID=");
			buf_add_str(&tx->out, tx->mail->envid);
		}
	}
	if ((flags & QUEUE_F_REQUIRETLS) != 0)
		buf_add_cstr(&tx->out, " REQUIRETLS");
	buf_add_cstr(&tx->out, "\r\n");
}

static void
put_notify(struct buf *out, unsigned notify)
{
	static const char *const names[] = { "NEVER", "SUCCESS", "FAILURE",
	    "DELAY" };
	const char *before = " NOTIFY=";
	unsigned i;

	for (i = 0; i < 4; i++) {
		if ((notify & 1U << i) == 0)
			continue;
		buf_addf(out, "%s%s", before, names[i]);
		before = ",";
	}
}

static void
put_rcpt(struct tx *tx, const struct rcpt *rcpt)
{
	buf_add_cstr(&tx->out, "RCPT TO:<");
	buf_add_str(&tx->out, path_of(tx, rcpt->address, rcpt->ascii));
	buf_add_char(&tx->out, '>');
	if (has(tx, SMTP_X_DSN)) {
		put_notify(&tx->out, rcpt->notify);
		if (is_xtext(rcpt->orcpt)) {
			buf_add_cstr(&tx->out, " ORCPT=");
			buf_add_str(&tx->out, rcpt->orcpt);
		}
	}
	buf_add_cstr(&tx->out, "\r\n");
}

/* The next RCPT that was not refused by ourselves; all where it pipelines. */
static void
put_rcpts(struct tx *tx)
{
	bool is_all = has(tx, SMTP_X_PIPELINING);

	while (tx->asked < tx->rcpts_len) {
		put_rcpt(tx, tx->rcpts[tx->asked++]);
		if (!is_all)
			break;
	}
}

/* ---- the letter ---- */

/* The next octets of the letter as they go over the wire. */
static int
read_some(struct tx *tx)
{
	struct err err = ERR_INIT;

	buf_reset(&tx->raw);
	if (letter_read(tx->mail->letter, READ_OCTETS, &tx->raw, &tx->is_eof,
	    &err) != 0 || buf_failed(&tx->raw)) {
		/* Never an end that the hop could take for good. */
		ev_error(NULL, "relay.letter.unreadable", EV_ERR(&err));
		close_temp(tx, "4.3.0", "our message is unreadable");
		return ERR_TEMP;
	}
	if (tx->form == LETTER_BINARY) {
		buf_add_str(&tx->out, buf_str(&tx->raw));
		return 0;
	}
	dotstuff_add(&tx->dotstuff, buf_str(&tx->raw), &tx->out);
	if (tx->is_eof)
		dotstuff_end(&tx->dotstuff, &tx->out);
	return 0;
}

static void
pump(struct tx *tx)
{
	struct conn *conn = client_conn(tx->client);
	struct str piece;

	while (!conn_is_full(conn) && (tx->out.len != 0 || !tx->is_eof)) {
		if (tx->out.len == 0 && read_some(tx) != 0)
			return;
		piece = str_sub(buf_str(&tx->out), 0, PIECE_OCTETS);
		conn_put_str(conn, piece);
		buf_consume(&tx->out, piece.len);
	}
	client_wait(tx->client, tx->relay->timeouts.block);
	if (!tx->is_eof || tx->out.len != 0)
		return;
	tx->phase = FINAL;
	client_wait(tx->client, tx->relay->timeouts.end);
}

static void
begin_body(struct tx *tx)
{
	letter_open(tx->mail->letter, tx->form);
	tx->is_eof = false;
	tx->phase = BODY;
	pump(tx);
}

/* All RCPTs are answered. */
static void
after_rcpts(struct tx *tx)
{
	if (tx->accepted == 0) {
		/* The hop's transaction may be open: close it. */
		tx->phase = RSET;
		buf_add_cstr(&tx->out, "RSET\r\n");
		send_buf(tx, tx->relay->timeouts.rcpt);
	} else if (tx->form == LETTER_BINARY) {
		buf_addf(&tx->out, "BDAT %llu LAST\r\n", (unsigned long long)
		    letter_size(tx->mail->letter));
		send_buf(tx, tx->relay->timeouts.block);
		begin_body(tx);
	} else {
		tx->phase = DATA;
		buf_add_cstr(&tx->out, "DATA\r\n");
		send_buf(tx, tx->relay->timeouts.data);
	}
}

/* ---- answers ---- */

static void
on_mail(struct tx *tx, const struct smtp_answer *answer)
{
	struct verdict verdict;

	if (answer->code / 100 != 2) {
		client_verdict(tx->client, answer, "MAIL", &verdict);
		judge_all(tx, &verdict);
		tx->is_refused = true;
	}
	tx->phase = RCPT;
	if (tx->asked == 0 && !tx->is_refused) {
		put_rcpts(tx);
		send_buf(tx, tx->relay->timeouts.rcpt);
	} else if (tx->asked == 0) {
		after_rcpts(tx);
	} else {
		client_wait(tx->client, tx->relay->timeouts.rcpt);
	}
}

static void
on_rcpt(struct tx *tx, const struct smtp_answer *answer)
{
	struct verdict verdict;
	size_t i = tx->answered++;

	if (answer->code / 100 == 2 && !tx->is_refused) {
		tx->is_accepted[i] = true;
		tx->accepted++;
	} else if ((answer->code == 452 || answer->code == 552) &&
	    tx->accepted != 0 && answer->enhanced[0] != '5') {
		/* Too many for one transaction: RFC 5321 section 4.5.3.1.10.
		 * Without a verdict it goes into the next one. */
		tx->is_full = true;
	} else if (!tx->is_refused) {
		client_verdict(tx->client, answer, "RCPT", &verdict);
		judge(tx, i, &verdict);
	}
	if (tx->answered < tx->asked) {
		client_wait(tx->client, tx->relay->timeouts.rcpt);
	} else if (tx->asked < tx->rcpts_len && !tx->is_full) {
		put_rcpts(tx);
		send_buf(tx, tx->relay->timeouts.rcpt);
	} else {
		after_rcpts(tx);
	}
}

static void
on_data(struct tx *tx, const struct smtp_answer *answer)
{
	struct verdict verdict;

	if (answer->code == 354 && conn_input(client_conn(tx->client)).len !=
	    0) {
		close_temp(tx, "4.5.0", "an answer ahead of the message");
		return;
	}
	if (answer->code == 354) {
		begin_body(tx);
		return;
	}
	client_verdict(tx->client, answer, "DATA", &verdict);
	judge_all(tx, &verdict);
	/* 2yz to DATA: nobody knows what it waits for. */
	if (answer->code / 100 == 2)
		finish(tx, TX_CLOSED, &verdict);
	else
		finish_ok(tx);
}

/* An answer while we are still sending: it has heard enough. */
static void
on_body(struct tx *tx, const struct smtp_answer *answer)
{
	struct verdict verdict;

	client_verdict(tx->client, answer, "message", &verdict);
	if (answer->code / 100 == 2)
		verdict_set(&verdict, RELAY_R_TEMP, "4.5.0",
		    "%s: accepted before the end of the message",
		    client_remote(tx->client));
	judge_all(tx, &verdict);
	finish(tx, TX_CLOSED, &verdict);
}

static void
on_final(struct tx *tx, const struct smtp_answer *answer)
{
	struct verdict verdict;

	client_verdict(tx->client, answer, "end of message", &verdict);
	if (answer->code / 100 == 2) {
		verdict.result = RELAY_R_SENT;
		(void)snprintf(verdict.status, sizeof(verdict.status), "%s",
		    answer->enhanced[0] == '2' ? answer->enhanced : "2.0.0");
	}
	judge_all(tx, &verdict);
	finish_ok(tx);
}

static void
on_rset(struct tx *tx, const struct smtp_answer *answer)
{
	if (answer->code / 100 == 2)
		finish_ok(tx);
	else
		close_temp(tx, "4.5.0", "RSET refused");
}

static void
on_answer(void *ctx, const struct smtp_answer *answer)
{
	static void (*const handlers[])(struct tx *tx,
	    const struct smtp_answer *answer) = {
		[MAIL] = on_mail, [RCPT] = on_rcpt, [DATA] = on_data,
		[BODY] = on_body, [FINAL] = on_final, [RSET] = on_rset,
	};
	struct tx *tx = ctx;
	struct verdict verdict;

	if (answer->code == 421) {
		client_verdict(tx->client, answer, "421", &verdict);
		/* Nothing was refused for good: another host may take it. */
		judge_all(tx, &verdict);
		finish(tx, TX_BUSY, &verdict);
	} else if (tx->phase == PREPARE) {
		close_temp(tx, "4.5.0", "an answer to nothing");
	} else if (answer->code / 100 == 3 && tx->phase != DATA) {
		close_temp(tx, "4.5.0", "an answer that makes no sense");
	} else {
		handlers[tx->phase](tx, answer);
	}
}

static void
on_drained(void *ctx)
{
	struct tx *tx = ctx;

	if (tx->phase == BODY)
		pump(tx);
}

static void
on_lost(void *ctx, enum client_end end, const struct verdict *verdict)
{
	struct tx *tx = ctx;
	struct verdict after = *verdict;

	(void)end;
	if (tx->phase <= MAIL && client_uses(tx->client) > 1) {
		finish(tx, TX_STALE, verdict);
		return;
	}
	if (tx->phase == FINAL)
		verdict_set(&after, RELAY_R_TEMP, "4.4.2",
		    "%.300s (after the whole message was sent: it may have it)",
		    verdict->reason);
	judge_all(tx, &after);
	finish(tx, TX_CLOSED, &after);
}

static const struct client_listener listener = {
	.answer = on_answer, .drained = on_drained, .lost = on_lost,
};

/* ---- the beginning ---- */

static bool
is_safe(struct str address)
{
	size_t i;

	for (i = 0; i < address.len; i++)
		if ((unsigned char)address.p[i] < ' ' ||
		    address.p[i] == 0x7f)
			return false;
	return address.len <= ADDRESS_MAX;
}

/* Some address cannot be written without SMTPUTF8. */
static bool
has_utf8_path(const struct tx *tx)
{
	size_t i;

	if (str_has_8bit(tx->mail->sender))
		return true;
	for (i = 0; i < tx->rcpts_len; i++)
		if (str_has_8bit(tx->rcpts[i]->address))
			return true;
	return false;
}

static void
drop_rcpt(struct tx *tx, size_t i, const char *status, const char *reason)
{
	struct verdict verdict;

	verdict_set(&verdict, RELAY_R_FAILED, status, "%s: %s",
	    client_remote(tx->client), reason);
	judge(tx, i, &verdict);
	tx->rcpts_len--;
	for (; i < tx->rcpts_len; i++)
		tx->rcpts[i] = tx->rcpts[i + 1];
}

/* RFC 6531 section 3.2: what cannot be said to this hop. False: the
 * transaction is over, and tx with it. */
static bool
check_paths(struct tx *tx, bool is_letter_utf8)
{
	static const char *const reason =
	    "the hop does not know SMTPUTF8, which this message needs";
	size_t i;

	tx->is_utf8 = has(tx, SMTP_X_SMTPUTF8) &&
	    (is_letter_utf8 || has_utf8_path(tx));
	for (i = tx->rcpts_len; i-- > 0;) {
		if (!is_safe(tx->rcpts[i]->address))
			drop_rcpt(tx, i, "5.1.3", "malformed address");
		else if (!tx->is_utf8 && tx->rcpts[i]->ascii.len == 0)
			drop_rcpt(tx, i, "5.6.7", reason);
	}
	if (!is_safe(tx->mail->sender))
		refuse(tx, "5.1.7", "malformed sender");
	else if (!tx->is_utf8 && (is_letter_utf8 ||
	    (tx->mail->sender.len != 0 && tx->mail->sender_ascii.len == 0)))
		refuse(tx, "5.6.7", reason);
	else if (tx->rcpts_len == 0)
		finish_ok(tx);
	else
		return true;
	return false;
}

/* RFC 8689 section 4.2.1. */
static bool
may_require_tls(struct tx *tx)
{
	return has(tx, SMTP_X_REQUIRETLS) && client_is_verified(tx->client) &&
	    client_hop(tx->client)->tls >= HOP_TLS_NAME &&
	    client_hop(tx->client)->is_name_trusted;
}

static void
start(struct tx *tx, bool is_letter_utf8)
{
	uint64_t size = letter_size(tx->mail->letter);
	const struct smtp_caps *caps = client_caps(tx->client);

	if ((letter_flags(tx->mail->letter) & QUEUE_F_REQUIRETLS) != 0 &&
	    !may_require_tls(tx)) {
		refuse(tx, "5.7.30", "REQUIRETLS is not possible there");
		return;
	}
	if (caps->size_octets != 0 && size > caps->size_octets) {
		refuse(tx, "5.3.4", "the message is larger than it takes");
		return;
	}
	if (!check_paths(tx, is_letter_utf8))
		return;
	tx->phase = MAIL;
	put_mail(tx);
	if (has(tx, SMTP_X_PIPELINING))
		put_rcpts(tx);
	send_buf(tx, tx->relay->timeouts.mail);
}

static void
on_signer(void *ctx)
{
	struct tx *tx = ctx;

	if (tx->phase == PREPARE)
		loop_later(tx->relay->loop, &tx->later);
}

/* The letter has its form: now its signatures in this form. */
static void
sign(struct tx *tx)
{
	struct signer *signer = tx->mail->signer;
	struct err err = ERR_INIT;

	if (signer == NULL) {
		start(tx, tx->is_letter_utf8);
		return;
	}
	signer_on_wake(signer, on_signer, tx);
	switch (signer_step(signer, tx->mail->letter, tx->form, SLICE_OCTETS,
	    &err)) {
	case SIGNER_MORE:
		loop_later(tx->relay->loop, &tx->later);
		break;
	case SIGNER_WAIT:
		break;
	case SIGNER_DONE:
		letter_put_front(tx->mail->letter, signer_text(signer));
		start(tx, tx->is_letter_utf8);
		break;
	case SIGNER_FAILED:
		ev_warn(NULL, "relay.sign.failed", EV_ERR(&err));
		close_temp(tx, "4.7.0", "it cannot be signed now");
		break;
	}
}

/* Some more of the preparation, between other work. */
static void
prepare(struct tx *tx)
{
	bool is_done, is_utf8;
	struct err err = ERR_INIT;
	int rc = letter_prepare(tx->mail->letter,
	    client_caps(tx->client)->extensions, SLICE_OCTETS, &is_done,
	    &tx->form, &is_utf8, &err);

	if (rc == ERR_DENIED) {
		refuse(tx, "5.6.3", "the message cannot be converted to "
		    "what it takes");
	} else if (rc != 0) {
		ev_error(NULL, "relay.letter.unreadable", EV_ERR(&err));
		close_temp(tx, "4.3.0", "our message is unreadable");
	} else if (!is_done) {
		loop_later(tx->relay->loop, &tx->later);
	} else {
		tx->is_prepared = true;
		tx->is_letter_utf8 = is_utf8;
		sign(tx);
	}
}

static void
on_later(void *ctx)
{
	struct tx *tx = ctx;

	if (tx->is_prepared)
		sign(tx);
	else
		prepare(tx);
}

struct tx *
tx_new(struct relay *relay, struct client *client,
    const struct tx_mail *mail, struct rcpt **rcpts, size_t rcpts_len,
    tx_done *done, void *ctx)
{
	struct tx *tx = calloc(1, sizeof(*tx));

	invariant(tx != NULL && rcpts_len <= TX_RCPTS_MAX);
	tx->relay = relay;
	tx->client = client;
	tx->mail = mail;
	tx->rcpts = calloc(rcpts_len + 1, sizeof(*tx->rcpts));
	tx->is_accepted = calloc(rcpts_len + 1, sizeof(*tx->is_accepted));
	invariant(tx->rcpts != NULL && tx->is_accepted != NULL);
	memcpy(tx->rcpts, rcpts, rcpts_len * sizeof(*rcpts));
	tx->rcpts_len = rcpts_len;
	tx->done = done;
	tx->ctx = ctx;
	dotstuff_init(&tx->dotstuff);
	buf_init(&tx->raw, 8 * READ_OCTETS + (4U << 20));
	buf_init(&tx->out, 16 * READ_OCTETS + (8U << 20));
	client_count_use(client);
	client_listen(client, &listener, tx);
	loop_later_init(&tx->later, on_later, tx);
	loop_later(relay->loop, &tx->later);
	return tx;
}

void
tx_free(struct tx **txp)
{
	struct tx *tx = *txp;

	if (tx == NULL)
		return;
	*txp = NULL;
	loop_later_fini(&tx->later);
	if (tx->mail->signer != NULL)
		signer_on_wake(tx->mail->signer, NULL, NULL);
	buf_fini(&tx->raw);
	buf_fini(&tx->out);
	free(tx->rcpts);
	free(tx->is_accepted);
	free(tx);
}
