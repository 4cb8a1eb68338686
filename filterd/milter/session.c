/* SPDX-License-Identifier: ISC */
#include "filterd/milter/session.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/table.h"
#include "base/when.h"
#include "filter/counts.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mailauth/authres.h"
#include "proto/milter_command.h"

#define IN_MAX (1U << 20)
#define OUT_MAX (128U << 10)
#define IDLE_MS 7200000U
#define FRAME_DATA_MAX 65535U
#define RCPT_ROOM 16U
#define RCPTS_OCTETS 32768U
#define FIELDS_MAX 8192U
#define FORGED_MAX 2000U

/* Fields that nobody but us may write; the first may be somebody else's. */
enum ours { OURS_RESULTS, OURS_SCAN, OURS_SUSPICIOUS, OURS_DETONATION,
	OURS_RELEASED, OURS_LEN };

static const char *const ours_names[OURS_LEN] = {
	[OURS_RESULTS] = "Authentication-Results",
	[OURS_SCAN] = "X-Hikyaku-Scan",
	[OURS_SUSPICIOUS] = "X-Hikyaku-Suspicious",
	[OURS_DETONATION] = "X-Hikyaku-Detonation",
	[OURS_RELEASED] = "X-Hikyaku-Released",
};

/* From MAIL to the last answer. */
struct message {
	struct arena *arena;	/* NULL: none */
	struct str sender;
	struct buf rcpts;	/* addresses, each with a NUL */
	size_t rcpts_len;
	int fd;			/* of what was told; -1: nothing yet */
	uint64_t octets;
	size_t seen[OURS_LEN];	/* of each field so far */
	struct forged {
		enum ours field;
		size_t number;	/* which of that name claims to be ours */
	} forged[FORGED_MAX];
	size_t forged_len;
	uint64_t header_octets;
	bool has_failed;	/* no room in memory */
	bool is_too_big;	/* or has too much of something: its own fault */
};

struct session {
	struct list node;
	struct milterd *milterd;
	struct front_seat seat;
	struct conn *conn;
	struct ev *ev;
	struct buf out;
	struct milter_options agreed;
	bool has_negotiated;
	char id[32];
	char client[NETADDR_TEXT_SIZE];	/* "local": no address was told */
	char helo[256];
	bool is_authenticated;
	struct message message;
	bool is_judged;		/* a verdict is being waited for */
	bool is_gone;
};

/* ---- life ---- */

static void
message_end(struct session *session)
{
	struct message *message = &session->message;

	if (message->fd != -1)
		(void)close(message->fd);
	buf_fini(&message->rcpts);
	arena_free(&message->arena);
	memset(message, 0, sizeof(*message));
	message->fd = -1;
}

static void
session_free(struct session *session)
{
	struct milterd *milterd = session->milterd;

	message_end(session);
	list_del(&session->node);
	front_leave(&milterd->front, &session->seat);
	conn_free(&session->conn);
	buf_fini(&session->out);
	ev_free(&session->ev);
	free(session);
	if (milterd->is_stopping && list_is_empty(&milterd->sessions))
		child_exit(milterd->child);
}

static void
session_end(struct session *session)
{
	session->is_gone = true;
	conn_free(&session->conn);
	if (!session->is_judged)
		session_free(session);
}

static void
on_end(void *arg, enum conn_end why)
{
	(void)why;
	session_end(arg);
}

static void
violation(struct session *session, const char *why)
{
	ev_warn(session->ev, "milter.session.broken", EV_CSTR(reason, why));
	session_end(session);
}

static void
flush(struct session *session)
{
	if (!session->is_gone)
		conn_put_str(session->conn, buf_str(&session->out));
	buf_reset(&session->out);
}

static void
answer(struct session *session, enum milter_answer_kind kind)
{
	milter_put_answer(&session->out, kind);
	flush(session);
}

/* ---- what is told ---- */

/* False: we do not come together, and the session is gone. */
static bool
negotiate(struct session *session, const struct milter_command *command)
{
	static const uint32_t actions = MILTER_A_ADDHDRS | MILTER_A_CHGHDRS |
	    MILTER_A_QUARANTINE;
	static const uint32_t protocol = MILTER_P_NOUNKNOWN |
	    MILTER_P_NODATA | MILTER_P_NR_CONN | MILTER_P_NR_HELO |
	    MILTER_P_NR_MAIL | MILTER_P_NR_RCPT | MILTER_P_NR_HDR |
	    MILTER_P_NR_EOH | MILTER_P_NR_BODY | MILTER_P_HDR_LEADSPC;
	const struct milter_options *offered = &command->offered;

	if (session->has_negotiated ||
	    offered->version < MILTER_VERSION_MIN ||
	    (offered->actions & MILTER_A_ADDHDRS) == 0) {
		violation(session, "negotiation");
		return false;
	}
	session->agreed.version = offered->version < MILTER_VERSION ?
	    offered->version : MILTER_VERSION;
	session->agreed.actions = offered->actions & actions;
	session->agreed.protocol = offered->protocol & protocol;
	session->has_negotiated = true;
	milter_put_negotiated(&session->out, &session->agreed);
	flush(session);
	return true;
}

static void
macros(struct session *session, const struct milter_command *command)
{
	struct str rest = command->rest;
	struct milter_macro macro;

	while (milter_macro_next(&rest, &macro))
		if (str_eq(macro.name, STR("{auth_authen}")))
			session->is_authenticated = macro.value.len != 0;
}

static void
on_connect(struct session *session, const struct milter_command *command)
{
	struct str address = command->address;
	struct netaddr addr;

	if (str_begins_nocase(address, STR("IPv6:")))
		address = str_sub(address, 5, address.len);
	(void)snprintf(session->client, sizeof(session->client), "local");
	if ((command->family == MILTER_F_INET ||
	    command->family == MILTER_F_INET6) &&
	    netaddr_parse(address, &addr, NULL) == 0)
		(void)netaddr_text(&addr, session->client);
	ev_put_str(session->ev, LOG_K_remote, str_of(session->client));
}

static void
on_helo(struct session *session, const struct milter_command *command)
{
	(void)snprintf(session->helo, sizeof(session->helo), "%.*s",
	    STR_FMT(command->name));
}

/* "<a@b>" as we write it; as it came where it is no address of ours. */
static struct str
canonical(struct arena *arena, struct str path)
{
	struct address address;
	struct str text;
	struct buf buf;

	if (address_parse_path(arena, path, ADDRESS_UTF8 | ADDRESS_DOTS |
	    ADDRESS_NULL | ADDRESS_BARE_LOCAL, &address, NULL) != 0)
		return arena_str(arena, path);
	if (address.is_null)
		return STR("");
	buf_init(&buf, 1024);
	address_put(&buf, &address);
	text = arena_str(arena, buf_str(&buf));
	buf_fini(&buf);
	return text;
}

static void
on_mail(struct session *session, const struct milter_command *command)
{
	struct message *message = &session->message;

	message_end(session);
	message->arena = arena_new(0);
	buf_init(&message->rcpts, RCPTS_OCTETS);
	message->sender = canonical(message->arena, command->path);
	message->fd = memfd_create("message", MFD_CLOEXEC);
	message->has_failed = message->fd == -1;
}

static void
on_rcpt(struct session *session, const struct milter_command *command)
{
	struct message *message = &session->message;
	struct str address = canonical(message->arena, command->path);

	message->rcpts_len++;
	/* Those that do not fit are only counted. */
	if (message->rcpts.len + address.len + 1 > RCPTS_OCTETS)
		return;
	buf_add_str(&message->rcpts, address);
	buf_add_char(&message->rcpts, '\0');
}

static void
keep(struct session *session, struct str s)
{
	struct message *message = &session->message;

	if (s.len > session->milterd->message_max_octets - message->octets)
		message->is_too_big = true;
	if (message->has_failed || message->is_too_big)
		return;
	message->has_failed = file_write(message->fd, s, NULL) != 0;
	message->octets += s.len;
}

/* It says our name, or nobody can tell whose. */
static bool
claims_us(struct session *session, struct str results)
{
	struct str rest, id = authres_id(session->message.arena, results,
	    &rest);

	return id.p == NULL || str_eq_nocase(id, session->milterd->hostname);
}

/* Whoever wrote it: it is to go. */
static bool
is_forged(struct session *session, const struct milter_command *command)
{
	struct message *message = &session->message;
	unsigned field = 0;

	while (field < OURS_LEN && !str_eq_nocase(command->name,
	    str_of(ours_names[field])))
		field++;
	if (field == OURS_LEN)
		return false;
	message->seen[field]++;
	if (field == OURS_RESULTS && !claims_us(session, command->value))
		return false;
	if (message->forged_len == FORGED_MAX)
		message->is_too_big = true;
	else
		message->forged[message->forged_len++] = (struct forged){
		    .field = (enum ours)field,
		    .number = message->seen[field] };
	return true;
}

/* Line ends as they were on the wire. */
static void
keep_lines(struct session *session, struct str value)
{
	struct str rest = value, line;

	while (rest.p != NULL) {
		line = str_cut(rest, '\n', &rest);
		if (line.len != 0 && line.p[line.len - 1] == '\r')
			line.len--;
		keep(session, line);
		keep(session, STR("\r\n"));
	}
}

static void
on_header(struct session *session, const struct milter_command *command)
{
	struct message *message = &session->message;

	message->header_octets += command->name.len + command->value.len + 4;
	if (message->header_octets > HEADER_BLOCK_MAX)
		message->is_too_big = true;
	if (is_forged(session, command))
		return;
	keep(session, command->name);
	keep(session, STR(":"));
	if ((session->agreed.protocol & MILTER_P_HDR_LEADSPC) == 0)
		keep(session, STR(" "));
	keep_lines(session, command->value);
}

static void
on_eoh(struct session *session, const struct milter_command *command)
{
	(void)command;
	keep(session, STR("\r\n"));
}

static void
on_body(struct session *session, const struct milter_command *command)
{
	keep(session, command->text);
}

/* ---- the verdict ---- */

/* Deleted from the last on, so that the numbers of the others stay. */
static void
put_deletions(struct session *session)
{
	const struct message *message = &session->message;
	size_t i;

	for (i = message->forged_len; i != 0; i--)
		milter_put_delheader(&session->out,
		    (uint32_t)message->forged[i - 1].number,
		    str_of(ours_names[message->forged[i - 1].field]));
}

static void
put_fields(struct session *session, const struct verdict *verdict)
{
	struct header_iter iter;
	struct header_field field;
	struct buf fields;

	buf_init(&fields, FIELDS_MAX);
	verdict_put_fields(verdict, session->milterd->hostname, &fields);
	header_iter_init(&iter, buf_str(&fields));
	while (!buf_failed(&fields) && header_next(&iter, &field))
		milter_put_insheader(&session->out, &session->agreed, 0,
		    field.name, field.value);
	buf_fini(&fields);
	if (verdict->action == VERDICT_JUNK ||
	    verdict->when_clean == VERDICT_JUNK)
		milter_put_insheader(&session->out, &session->agreed, 0,
		    STR("X-Spam-Flag"), STR(" YES"));
}

static bool
can_hold(const struct session *session)
{
	return (session->agreed.actions & MILTER_A_QUARANTINE) != 0;
}

/* ---- figures ---- */

/* A client without an address, or on the MTA's own host, is no stranger. */
static bool
is_own(const struct session *session)
{
	struct netaddr addr;

	return netaddr_parse(str_of(session->client), &addr, NULL) != 0 ||
	    netaddr_is_loopback(&addr);
}

/* Each of the recipients' domains once. */
static void
count_domains(const struct session *session, unsigned code,
    const struct verdict *verdict)
{
	struct str rest = buf_str(&session->message.rcpts), domain;
	struct table *seen = table_new();
	static char is_there;

	while (rest.p != NULL && rest.len != 0) {
		domain = counts_domain(str_cut(rest, '\0', &rest));
		if (domain.p == NULL || table_get(seen, domain) != NULL)
			continue;
		table_put(seen, domain, &is_there);
		counts_add(session->milterd->figures, domain, false, code,
		    verdict);
	}
	table_free(&seen);
}

/* As smtpd does: what goes out is its sender's domain's, or any domain of the
 * world would have figures here. */
static void
count_message(const struct session *session, unsigned code,
    const struct verdict *verdict)
{
	struct figures *figures = session->milterd->figures;
	bool is_out = session->is_authenticated || is_own(session);
	struct str domain = counts_domain(session->message.sender);

	counts_add(figures, STR(""), is_out, code, verdict);
	if (!is_out)
		count_domains(session, code, verdict);
	else if (domain.p != NULL)
		counts_add(figures, domain, true, code, verdict);
}

static void
count_verdict(const struct session *session, const struct verdict *verdict)
{
	struct verdict counted = *verdict;
	unsigned code = 250;

	if (verdict->action == VERDICT_DETONATE)
		counted.action = session->milterd->delivers_unopened ?
		    verdict->when_clean : VERDICT_QUARANTINE;
	if (verdict->action == VERDICT_REFUSE ||
	    verdict->action == VERDICT_TEMPFAIL)
		code = verdict->code;
	else if (counted.action == VERDICT_QUARANTINE && !can_hold(session)) {
		counted.action = VERDICT_REFUSE;
		code = 550;
	}
	count_message(session, code, &counted);
}

/* ---- the answer ---- */

/* An MTA that cannot hold it must not deliver it. */
static void
quarantine(struct session *session, const struct verdict *verdict)
{
	if (!can_hold(session)) {
		milter_put_reply(&session->out, 550, STR("5.7.1"),
		    STR("it would have to be quarantined"));
		return;
	}
	milter_put_quarantine(&session->out, verdict->reason);
	milter_put_answer(&session->out, MILTER_CONTINUE);
}

static void
say_verdict(struct session *session, const struct verdict *verdict)
{
	switch (verdict->action) {
	case VERDICT_REFUSE:
	case VERDICT_TEMPFAIL:
		milter_put_reply(&session->out, verdict->code,
		    verdict->enhanced, verdict->text);
		break;
	case VERDICT_DISCARD:
		milter_put_answer(&session->out, MILTER_DISCARD);
		break;
	default:
		put_deletions(session);
		put_fields(session, verdict);
		/* There is nobody here who opens it first. */
		if (verdict->action == VERDICT_QUARANTINE ||
		    (verdict->action == VERDICT_DETONATE &&
		    !session->milterd->delivers_unopened))
			quarantine(session, verdict);
		else
			milter_put_answer(&session->out, MILTER_CONTINUE);
		break;
	}
	flush(session);
}

static void
unjudged(struct session *session, const char *why)
{
	bool accepts = session->milterd->accepts_unjudged;

	ev_warn(session->ev, accepts ? "milter.message.unfiltered" :
	    "milter.message.unjudged", EV_CSTR(reason, why),
	    EV_STR(sender, session->message.sender));
	count_message(session, accepts ? 250 : 451, NULL);
	/* A forged field goes in any case. */
	if (accepts)
		put_deletions(session);
	answer(session, accepts ? MILTER_CONTINUE : MILTER_TEMPFAIL);
}

static void
on_judged(void *ctx, int code, struct ipc_in *in)
{
	struct session *session = ctx;
	struct err err = ERR_INIT;
	struct verdict verdict;

	session->is_judged = false;
	if (session->is_gone) {
		session_free(session);
		return;
	}
	if (code != 0)
		unjudged(session, "no verdict from filterd");
	else if (verdict_decode(ipc_get_str(in), session->message.arena,
	    &verdict, &err) != 0)
		unjudged(session, err_text(&err));
	else {
		count_verdict(session, &verdict);
		say_verdict(session, &verdict);
	}
	message_end(session);
	conn_pause(session->conn, false);
	conn_kick(session->conn);
	if (session->milterd->is_stopping)
		conn_finish(session->conn);
}

static struct str
zone_of(const struct session *session)
{
	return is_own(session) ? STR("loopback") : STR("internet");
}

static void
put_rcpts(struct ipc_out *out, const struct message *message)
{
	struct str rest = buf_str(&message->rcpts), one;

	ipc_put_u64(out, message->rcpts_len);
	while (rest.p != NULL && rest.len != 0) {
		one = str_cut(rest, '\0', &rest);
		if (ipc_room(out) < one.len + RCPT_ROOM)
			break;
		ipc_put_str(out, one);
	}
}

static void
judge(struct session *session)
{
	struct milterd *milterd = session->milterd;
	struct message *message = &session->message;
	struct ipc_out *out = ipc_begin(child_link(milterd->child,
	    "filterd"), FILTER_JUDGE);

	ipc_put_u64(out, when_mono_ms() + milterd->budget_ms);
	ipc_put_u64(out, FILTER_F_WHOLE | (session->is_authenticated ?
	    (uint64_t)FILTER_F_AUTHENTICATED : 0));
	ipc_put_u64(out, message->octets);
	ipc_put_str(out, str_of(session->id));
	ipc_put_str(out, STR("smtp"));
	ipc_put_str(out, zone_of(session));
	ipc_put_str(out, str_of(session->client));
	ipc_put_str(out, str_of(session->helo));
	ipc_put_str(out, message->sender);
	put_rcpts(out, message);
	session->is_judged = true;
	conn_pause(session->conn, true);
	(void)ipc_call(out, message->fd, milterd->budget_ms, on_judged,
	    session);
}

/* Not every MTA lets us delete fields. */
static bool
is_stuck_with_forged(const struct session *session)
{
	return session->message.forged_len != 0 &&
	    (session->agreed.actions & MILTER_A_CHGHDRS) == 0;
}

/* A forged field beside ours would be believed. Mail that passed another
 * installation has such fields honestly: it is to come again when the MTA
 * has been set up, not to bounce. */
static void
put_off_forged(struct session *session)
{
	ev_warn(session->ev, "milter.message.deferred",
	    EV_CSTR(reason, "the MTA does not let forged fields be deleted"),
	    EV_STR(sender, session->message.sender));
	count_message(session, 451, NULL);
	milter_put_reply(&session->out, 451, STR("4.7.1"),
	    STR("fields that claim to be ours cannot be deleted here"));
	flush(session);
}

static void
on_eob(struct session *session, const struct milter_command *command)
{
	keep(session, command->text);
	if (session->message.is_too_big) {
		/* Not our failure: nobody decides to go unfiltered. */
		ev_info(session->ev, "milter.message.refused",
		    EV_CSTR(reason, "too big"),
		    EV_STR(sender, session->message.sender));
		milter_put_reply(&session->out, 552, STR("5.3.4"),
		    STR("message or header too big"));
		flush(session);
	} else if (is_stuck_with_forged(session)) {
		put_off_forged(session);
	} else if (!session->message.has_failed) {
		judge(session);
		return;
	} else {
		unjudged(session, "there is no memory for it");
	}
	message_end(session);
}

/* ---- frames ---- */

static const struct {
	void (*run)(struct session *session,
	    const struct milter_command *command);
	bool needs_mail;
} events[MILTER_EVENTS] = {
	[MILTER_E_CONNECT] = { on_connect, false },
	[MILTER_E_HELO] = { on_helo, false },
	[MILTER_E_MAIL] = { on_mail, false },
	[MILTER_E_RCPT] = { on_rcpt, true },
	[MILTER_E_DATA] = { NULL, true },
	[MILTER_E_HEADER] = { on_header, true },
	[MILTER_E_EOH] = { on_eoh, true },
	[MILTER_E_BODY] = { on_body, true },
	[MILTER_E_EOB] = { on_eob, true },
	[MILTER_E_UNKNOWN] = { NULL, false },
};

/* It is in order. */
static void
take_event(struct session *session, const struct milter_command *command)
{
	enum milter_event event = command->event;

	if (events[event].run != NULL)
		events[event].run(session, command);
	/* The end has its own answer. */
	if (event != MILTER_E_EOB && milter_has_answer(&session->agreed,
	    event))
		answer(session, MILTER_CONTINUE);
}

static void
new_client(struct session *session)
{
	message_end(session);
	session->client[0] = session->helo[0] = '\0';
	session->is_authenticated = false;
}

/* False: no more is to be read now. */
static bool
take_frame(struct session *session, const struct milter_frame *frame)
{
	struct milter_command command;
	struct err err = ERR_INIT;

	if (milter_command_read(frame, &command, &err) != 0) {
		violation(session, err_text(&err));
		return false;
	}
	switch (command.kind) {
	case MILTER_C_NEGOTIATE:
		return negotiate(session, &command);
	case MILTER_C_MACROS:
		macros(session, &command);
		return true;
	case MILTER_C_ABORT:
		message_end(session);
		return true;
	case MILTER_C_QUIT_NC:
		new_client(session);
		return true;
	case MILTER_C_QUIT:
		session_end(session);
		return false;
	case MILTER_C_EVENT:
		break;
	}
	if (!session->has_negotiated || (events[command.event].needs_mail &&
	    session->message.arena == NULL)) {
		violation(session, "a command out of order");
		return false;
	}
	take_event(session, &command);
	return !session->is_judged;
}

static void
on_input(void *arg)
{
	struct session *session = arg;
	struct milter_frame frame;
	enum milter_result result;
	bool goes_on = !session->is_judged;
	size_t used;

	while (goes_on && !conn_is_full(session->conn)) {
		result = milter_frame_next(conn_input(session->conn),
		    FRAME_DATA_MAX, &frame, &used);
		if (result == MILTER_BAD) {
			violation(session, "a frame that is too big");
			return;
		}
		if (result == MILTER_MORE)
			return;
		conn_consume(session->conn, used);
		conn_deadline(session->conn, IDLE_MS);
		goes_on = take_frame(session, &frame);
	}
}

static const struct conn_ops conn_ops = { .on_input = on_input,
	.on_drained = on_input, .on_end = on_end };

/* ---- begin ---- */

void
session_new(struct milterd *milterd, const struct front_seat *seat, int fd,
    bool is_full)
{
	struct session *session = calloc(1, sizeof(*session));

	invariant(session != NULL);
	session->milterd = milterd;
	session->seat = *seat;
	session->message.fd = -1;
	list_add(&milterd->sessions, &session->node);
	buf_init(&session->out, IN_MAX);
	(void)snprintf(session->id, sizeof(session->id), "m%llx",
	    (unsigned long long)++milterd->next_session);
	session->ev = ev_new(NULL);
	ev_put_str(session->ev, LOG_K_session, str_of(session->id));
	session->conn = conn_new(milterd->child->loop, fd, IN_MAX, OUT_MAX,
	    &conn_ops, session);
	conn_deadline(session->conn, IDLE_MS);
	if (is_full)
		conn_finish(session->conn);
}

void
sessions_stop(struct milterd *milterd)
{
	struct session *session, *tmp;

	list_each(session, tmp, &milterd->sessions, struct session, node)
		if (!session->is_judged)
			conn_finish(session->conn);
}
