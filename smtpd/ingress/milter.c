/* SPDX-License-Identifier: ISC */
#include "smtpd/ingress/milter.h"

#include "io/conn.h"

#define IN_MAX (DATA_ROOM + 1024)
#define DATA_ROOM 65536U	/* data of a frame: no larger ones are offered */
#define OUT_MAX (128U << 10)
#define WRITE_MAX (160U << 10)

enum state { CLOSED, CONNECTING, NEGOTIATING, READY, WAITING, BROKEN };

struct milter {
	struct child *child;
	const struct milter_settings *settings;
	void *ctx;
	enum state state;
	struct conn *conn;
	struct buf out;
	uint32_t call;			/* to hikyakud; 0: none */
	struct milter_options agreed;
	struct buf symbols;		/* what agreed.symbols look into */
	enum milter_event event;
	milter_opened *opened;
	milter_answered *answered;
	void (*drained)(void *ctx);
	char problem[ERR_TEXT_SIZE];
};

/* More is offered than any filter needs; larger frames are not. */
static const struct milter_options offered = {
	.version = MILTER_VERSION, .actions = MILTER_A_ALL,
	.protocol = MILTER_P_ALL & ~(uint32_t)(MILTER_P_MDS_256K |
	    MILTER_P_MDS_1M | MILTER_P_RCPT_REJ),
};

/* ---- the end ---- */

static void
broken(struct milter *milter, const char *why)
{
	enum state was = milter->state;

	milter->state = BROKEN;
	(void)snprintf(milter->problem, sizeof(milter->problem), "%s", why);
	conn_free(&milter->conn);
	/* The owner may free the milter in these calls. */
	if (was == CONNECTING || was == NEGOTIATING)
		milter->opened(milter->ctx, false);
	else if (was == WAITING)
		milter->answered(milter->ctx, NULL);
	else if (milter->drained != NULL)
		milter->drained(milter->ctx);
}

static void
on_end(void *arg, enum conn_end why)
{
	broken(arg, why == CONN_TIMEOUT ? "no answer in time" :
	    "the connection was closed");
}

/* ---- answers ---- */

/* The frame's memory is the connection's: keep the names. */
static void
keep_symbols(struct milter *milter)
{
	struct str *s;
	size_t i, at = 0;

	buf_reset(&milter->symbols);
	for (i = 0; i < MILTER_STAGES; i++)
		buf_add_str(&milter->symbols, milter->agreed.symbols[i]);
	for (i = 0; i < MILTER_STAGES; i++) {
		s = &milter->agreed.symbols[i];
		if (s->p == NULL)
			continue;
		*s = s->len != 0 ? str_sub(buf_str(&milter->symbols), at,
		    s->len) : STR("");
		at += s->len;
	}
}

static void
negotiated(struct milter *milter, const struct milter_frame *frame)
{
	struct err err = ERR_INIT;

	if (milter_negotiated(frame, &offered, &milter->agreed, &err) != 0) {
		broken(milter, err_text(&err));
		return;
	}
	keep_symbols(milter);
	milter->state = READY;
	conn_deadline(milter->conn, 0);
	milter->opened(milter->ctx, true);
}

/* True: more frames may be read. */
static bool
take_answer(struct milter *milter, const struct milter_frame *frame)
{
	struct milter_answer answer;
	struct err err = ERR_INIT;

	if (milter->state != WAITING) {
		broken(milter, "it speaks without being asked");
		return false;
	}
	if (milter_answer_read(frame, &milter->agreed, milter->event,
	    &answer, &err) != 0) {
		broken(milter, err_text(&err));
		return false;
	}
	/* A sign of life. */
	conn_deadline(milter->conn, milter->event == MILTER_E_EOB ?
	    milter->settings->message_ms : milter->settings->command_ms);
	if (answer.kind == MILTER_PROGRESS)
		return true;
	if (milter_is_last(answer.kind)) {
		milter->state = READY;
		conn_deadline(milter->conn, 0);
	}
	milter->answered(milter->ctx, &answer);
	return !milter_is_last(answer.kind);
}

static void
on_input(void *arg)
{
	struct milter *milter = arg;
	struct milter_frame frame;
	enum milter_result result;
	struct str in;
	bool goes_on = true;
	size_t used;

	while (goes_on) {
		in = conn_input(milter->conn);
		result = milter_frame_next(in, DATA_ROOM, &frame, &used);
		if (result == MILTER_BAD) {
			broken(milter, "a frame that is too big");
			return;
		}
		if (result == MILTER_MORE)
			return;
		/* The view stays good until the connection reads again. */
		conn_consume(milter->conn, used);
		if (milter->state == NEGOTIATING) {
			negotiated(milter, &frame);
			return;
		}
		goes_on = take_answer(milter, &frame);
	}
}

static void
on_drained(void *arg)
{
	struct milter *milter = arg;
	void (*drained)(void *ctx) = milter->drained;

	if (drained == NULL || milter_is_full(milter))
		return;
	milter->drained = NULL;
	drained(milter->ctx);
}

static const struct conn_ops conn_ops = { .on_input = on_input,
	.on_drained = on_drained, .on_end = on_end };

/* ---- opening ---- */

static void
on_connect(void *arg, int code, struct ipc_in *in)
{
	struct milter *milter = arg;

	milter->call = 0;
	if (code != 0) {
		broken(milter, "no connection");
		return;
	}
	milter->conn = conn_new(milter->child->loop, ipc_take_fd(in), IN_MAX,
	    OUT_MAX, &conn_ops, milter);
	conn_deadline(milter->conn, milter->settings->connect_ms);
	milter->state = NEGOTIATING;
	milter_put_negotiate(&milter->out, &offered);
	milter_tell(milter);
}

void
milter_open(struct milter *milter, milter_opened *opened)
{
	struct ipc_out *out = ipc_begin(child_master(milter->child),
	    MASTER_CONNECT);

	milter->opened = opened;
	milter->state = CONNECTING;
	ipc_put_str(out, str_of(milter->settings->name));
	milter->call = ipc_call(out, -1, milter->settings->connect_ms,
	    on_connect, milter);
}

bool
milter_is_open(const struct milter *milter)
{
	return milter->state == READY || milter->state == WAITING;
}

const struct milter_options *
milter_agreed(const struct milter *milter)
{
	return &milter->agreed;
}

/* ---- asking ---- */

struct buf *
milter_out(struct milter *milter)
{
	return &milter->out;
}

void
milter_tell(struct milter *milter)
{
	invariant(!buf_failed(&milter->out));
	if (milter->conn != NULL)
		conn_put_str(milter->conn, buf_str(&milter->out));
	buf_reset(&milter->out);
}

bool
milter_is_full(const struct milter *milter)
{
	return milter->conn != NULL && conn_is_full(milter->conn);
}

void
milter_drained(struct milter *milter, void (*drained)(void *ctx))
{
	milter->drained = drained;
	conn_deadline(milter->conn, milter->settings->command_ms);
}

void
milter_ask(struct milter *milter, enum milter_event event,
    milter_answered *answered)
{
	milter->event = event;
	milter->answered = answered;
	milter->state = WAITING;
	milter_tell(milter);
	conn_deadline(milter->conn, event == MILTER_E_EOB ?
	    milter->settings->message_ms : milter->settings->command_ms);
	/* Answers that came too early are in the input. */
	conn_kick(milter->conn);
}

const char *
milter_problem(const struct milter *milter)
{
	return milter->problem;
}

/* ---- life ---- */

struct milter *
milter_new(struct child *child, const struct milter_settings *settings,
    void *ctx)
{
	struct milter *milter = calloc(1, sizeof(*milter));

	invariant(milter != NULL);
	milter->child = child;
	milter->settings = settings;
	milter->ctx = ctx;
	buf_init(&milter->out, WRITE_MAX);
	buf_init(&milter->symbols, MILTER_STAGES * MILTER_SYMBOLS_MAX);
	return milter;
}

void
milter_free(struct milter **milter)
{
	struct milter *m = *milter;

	if (m == NULL)
		return;
	*milter = NULL;
	if (m->call != 0)
		ipc_cancel(child_master(m->child), m->call);
	if (milter_is_open(m)) {
		milter_put_quit(&m->out);
		milter_tell(m);
		/* What is not sent at once is lost: closing says it too. */
	}
	conn_free(&m->conn);
	buf_fini(&m->out);
	buf_fini(&m->symbols);
	free(m);
}
