/* SPDX-License-Identifier: ISC */
#include "smtpd/ingress/milters_int.h"

#include "base/when.h"

#define MACROS_MAX 32U

/* ---- macros ---- */

static struct str
value_hostname(struct milters *milters)
{
	return milters->session->ingress->hostname;
}

static struct str
value_version(struct milters *milters)
{
	(void)milters;
	return STR("Hikyaku " PACKAGE_VERSION);
}

static struct str
value_client(struct milters *milters)
{
	return conn_remote(milters->session->conn);
}

static struct str
value_listener(struct milters *milters)
{
	return str_of(milters->session->seat.listener->name);
}

static struct str
value_id(struct milters *milters)
{
	return str_of(milters->id);
}

static struct str
value_tls(struct milters *milters)
{
	return str_of(conn_tls_version(milters->session->conn));
}

static struct str
value_cipher(struct milters *milters)
{
	return str_of(conn_tls_cipher(milters->session->conn));
}

static struct str
value_user(struct milters *milters)
{
	return str_of(milters->session->account != 0 ?
	    milters->session->user : "");
}

static struct str
value_auth(struct milters *milters)
{
	return str_of(milters->session->account != 0 ?
	    milters->session->mechanism : "");
}

/* Without its brackets. */
static struct str
value_path(struct milters *milters)
{
	return str_sub(milters->path, 1, milters->path.len - 2);
}

static struct str
value_sender(struct milters *milters)
{
	return milters->session->tx.sender;
}

static struct str
value_port(struct milters *milters)
{
	uint16_t port = conn_remote_port(milters->session->conn);

	(void)snprintf(milters->port, sizeof(milters->port), "%u", port);
	return str_of(port != 0 ? milters->port : "");
}

#define AT(stage) (1U << MILTER_S_##stage)

static const struct {
	const char *name;
	unsigned stages;	/* where it is told unasked */
	struct str (*value)(struct milters *milters);
} macros[] = {
	{ "j", AT(CONNECT), value_hostname },
	{ "v", AT(CONNECT), value_version },
	{ "_", AT(CONNECT), value_client },
	{ "{client_addr}", AT(CONNECT), value_client },
	{ "{client_port}", 0, value_port },
	{ "{daemon_name}", AT(CONNECT), value_listener },
	{ "{tls_version}", AT(HELO), value_tls },
	{ "{cipher}", AT(HELO), value_cipher },
	{ "i", AT(MAIL) | AT(DATA) | AT(EOH) | AT(EOB), value_id },
	{ "{auth_type}", AT(MAIL), value_auth },
	{ "{auth_authen}", AT(MAIL), value_user },
	{ "{mail_addr}", AT(MAIL), value_sender },
	{ "{rcpt_addr}", AT(RCPT), value_path },
};

#define MACROS_LEN (sizeof(macros) / sizeof(macros[0]))

static const enum milter_stage stages[MILTER_EVENTS] = {
	[MILTER_E_CONNECT] = MILTER_S_CONNECT, [MILTER_E_HELO] =
	MILTER_S_HELO, [MILTER_E_MAIL] = MILTER_S_MAIL,
	[MILTER_E_RCPT] = MILTER_S_RCPT, [MILTER_E_DATA] = MILTER_S_DATA,
	[MILTER_E_HEADER] = MILTER_STAGES, [MILTER_E_EOH] = MILTER_S_EOH,
	[MILTER_E_BODY] = MILTER_STAGES, [MILTER_E_EOB] = MILTER_S_EOB,
	[MILTER_E_UNKNOWN] = MILTER_STAGES,
};

/* "j {client_addr}" names j, and so does "j client_addr". */
static bool
is_chosen(struct str names, struct str name)
{
	struct str rest = names, word;

	while (rest.p != NULL && rest.len != 0) {
		word = str_cut(rest, ' ', &rest);
		if (str_eq(word, name))
			return true;
	}
	return false;
}

void
milters_put_macros(struct milter_slot *slot, enum milter_event event)
{
	struct milters *milters = slot->milters;
	const struct milter_options *agreed = milter_agreed(slot->milter);
	enum milter_stage stage = stages[event];
	struct milter_macro told[MACROS_MAX];
	struct str value;
	size_t n = 0, i;

	if (stage == MILTER_STAGES)
		return;
	for (i = 0; i < MACROS_LEN; i++) {
		if (agreed->symbols[stage].p != NULL ?
		    !is_chosen(agreed->symbols[stage],
		    str_of(macros[i].name)) :
		    (macros[i].stages & 1U << stage) == 0 &&
		    !is_chosen(str_of(slot->settings.macros),
		    str_of(macros[i].name)))
			continue;
		if (macros[i].value == value_path &&
		    event != MILTER_E_RCPT)
			continue;
		value = macros[i].value(milters);
		if (value.len == 0)
			continue;
		told[n].name = str_of(macros[i].name);
		told[n++].value = value;
	}
	if (n != 0)
		milter_put_macros(milter_out(slot->milter), event, told, n);
}

/* ---- what is said ---- */

static void
say(struct milters *milters, unsigned code, const char *enhanced,
    const char *text)
{
	struct milters_result *result = &milters->result;

	result->code = code;
	(void)snprintf(result->enhanced, sizeof(result->enhanced), "%s",
	    enhanced);
	(void)snprintf(result->text, sizeof(result->text), "%s", text);
	result->is_bye = code == 421;
}

static void
say_reply(struct milters *milters, const struct milter_answer *answer)
{
	struct milter_reply reply;

	if (milter_reply_read(answer, &reply, NULL) != 0)
		say(milters, answer->code < 500 ? 451 : 550,
		    answer->code < 500 ? "4.7.1" : "5.7.1", "refused");
	else
		say(milters, reply.code, reply.enhanced,
		    reply.text[0] != '\0' ? reply.text : "refused");
}

bool
milters_is_in(const struct milter_slot *slot)
{
	return !slot->is_out && !slot->is_out_tx;
}

static void
accept_all(struct milter_slot *slot)
{
	if (slot->milters->event <= MILTER_E_HELO)
		slot->is_out = true;
	else
		slot->is_out_tx = true;
}

static void
discard(struct milters *milters)
{
	size_t i;

	milters->is_discarded = true;
	for (i = 0; i < milters->slots_len; i++)
		milters->slots[i].is_out_tx = true;
}

bool
milters_take(struct milter_slot *slot, const struct milter_answer *answer)
{
	struct milters *milters = slot->milters;

	switch (answer->kind) {
	case MILTER_ACCEPT:
		accept_all(slot);
		return true;
	case MILTER_REJECT:
		say(milters, milters->event == MILTER_E_CONNECT ? 554 : 550,
		    "5.7.1", "refused");
		return false;
	case MILTER_TEMPFAIL:
		say(milters, milters->event == MILTER_E_CONNECT ? 421 : 451,
		    "4.7.1", "try again later");
		return false;
	case MILTER_REPLYCODE:
		say_reply(milters, answer);
		return false;
	case MILTER_CONN_FAIL:
	case MILTER_SHUTDOWN:
		say(milters, 421, "4.7.0", "closing the connection");
		return false;
	case MILTER_DISCARD:
		discard(milters);
		return true;
	default:		/* CONTINUE; SKIP is looked at by the caller */
		return true;
	}
}

bool
milters_absent(struct milter_slot *slot)
{
	struct milters *milters = slot->milters;

	if (!slot->has_failed)
		ev_warn(milters->session->ev, "smtp.milter.failed",
		    EV_CSTR(name, slot->settings.name),
		    EV_CSTR(reason, milter_problem(slot->milter)));
	slot->has_failed = true;
	/* Who connects has done nothing yet: mail is what is decided about. */
	if (milters->event < MILTER_E_MAIL)
		return true;
	switch (slot->settings.absent) {
	case MILTER_ACCEPT_ABSENT:
		if (!slot->is_passed)
			ev_warn(milters->session->ev, "smtp.message.unfiltered",
			    EV_CSTR(name, slot->settings.name),
			    EV_STR(sender, milters->session->tx.sender));
		slot->is_passed = true;
		break;
	case MILTER_QUARANTINE_ABSENT:
		(void)snprintf(milters->quarantine,
		    sizeof(milters->quarantine), "milter %s did not answer",
		    slot->settings.name);
		break;
	case MILTER_REJECT_ABSENT:
		say(milters, 550, "5.7.1", "it cannot be filtered");
		return false;
	case MILTER_TEMPFAIL_ABSENT:
		say(milters, 451, "4.7.1",
		    "it cannot be filtered now, try again later");
		return false;
	}
	return true;
}

void
milters_end(struct milters *milters)
{
	milters_done *done = milters->done;

	milters->done = NULL;
	done(milters->ctx, &milters->result);
}

/* ---- events of the session ---- */

static void go_on(struct milters *milters);

static enum milter_family
family_of(struct str remote)
{
	if (str_eq(remote, STR("local")))
		return MILTER_F_UNKNOWN;
	return str_find(remote, ':') != STR_NPOS ? MILTER_F_INET6 :
	    MILTER_F_INET;
}

static void
put_connect(struct milters *milters, struct buf *out)
{
	struct str remote = conn_remote(milters->session->conn);
	char name[64];

	/* No name is known of it: its address in brackets, as a literal. */
	(void)snprintf(name, sizeof(name), "[%.*s]", STR_FMT(remote));
	milter_put_connect(out, str_of(name), family_of(remote),
	    conn_remote_port(milters->session->conn), remote);
}

static void
put_helo(struct milters *milters, struct buf *out)
{
	milter_put_helo(out, str_of(milters->session->helo));
}

static void
put_mail(struct milters *milters, struct buf *out)
{
	const struct transaction *tx = &milters->session->tx;
	struct str params[3];
	char size[32];
	size_t n = 0;

	if (tx->declared_octets != 0) {
		(void)snprintf(size, sizeof(size), "SIZE=%llu",
		    (unsigned long long)tx->declared_octets);
		params[n++] = str_of(size);
	}
	if ((tx->flags & QUEUE_F_8BIT) != 0)
		params[n++] = (tx->flags & QUEUE_F_BINARY) != 0 ?
		    STR("BODY=BINARYMIME") : STR("BODY=8BITMIME");
	if ((tx->flags & QUEUE_F_UTF8) != 0)
		params[n++] = STR("SMTPUTF8");
	milter_put_envelope(out, MILTER_E_MAIL, milters->path, params, n);
}

static void
put_rcpt(struct milters *milters, struct buf *out)
{
	milter_put_envelope(out, MILTER_E_RCPT, milters->path, NULL, 0);
}

static void
put_data(struct milters *milters, struct buf *out)
{
	(void)milters;
	milter_put_data(out);
}

static void (*const commands[MILTER_EVENTS])(struct milters *milters,
    struct buf *out) = {
	[MILTER_E_CONNECT] = put_connect, [MILTER_E_HELO] = put_helo,
	[MILTER_E_MAIL] = put_mail, [MILTER_E_RCPT] = put_rcpt,
	[MILTER_E_DATA] = put_data,
};

static void
on_answer(void *ctx, const struct milter_answer *answer)
{
	struct milter_slot *slot = ctx;
	struct milters *milters = slot->milters;
	bool goes_on = answer != NULL ? milters_take(slot, answer) :
	    milters_absent(slot);

	milters->at++;
	if (goes_on)
		go_on(milters);
	else
		milters_end(milters);
}

static void
on_open(void *ctx, bool is_open)
{
	struct milter_slot *slot = ctx;

	if (is_open)
		go_on(slot->milters);
	else
		on_answer(slot, NULL);
}

/* Ask the slot; false: it has no answer to wait for. */
static bool
ask(struct milter_slot *slot)
{
	struct milters *milters = slot->milters;
	const struct milter_options *agreed = milter_agreed(slot->milter);

	if (milters->event == MILTER_E_MAIL)
		slot->has_tx = true;
	if (!milter_wants(agreed, milters->event))
		return false;
	milters_put_macros(slot, milters->event);
	commands[milters->event](milters, milter_out(slot->milter));
	if (milter_has_answer(agreed, milters->event)) {
		milter_ask(slot->milter, milters->event, on_answer);
		return true;
	}
	milter_tell(slot->milter);
	return false;
}

static void
go_on(struct milters *milters)
{
	struct milter_slot *slot;

	for (; milters->at < milters->slots_len; milters->at++) {
		slot = &milters->slots[milters->at];
		if (!milters_is_in(slot))
			continue;
		if (milter_is_open(slot->milter)) {
			if (ask(slot))
				return;
		} else if (milters->event == MILTER_E_CONNECT &&
		    !slot->has_failed) {
			milter_open(slot->milter, on_open);
			return;
		} else if (!milters_absent(slot)) {
			break;
		}
	}
	milters_end(milters);
}

void
milters_ask(struct milters *milters, enum milter_event event,
    struct str path, milters_done *done, void *ctx)
{
	static const struct milters_result nothing = { .code = 0 };

	if (milters == NULL) {
		done(ctx, &nothing);
		return;
	}
	if (event == MILTER_E_MAIL)
		(void)snprintf(milters->id, sizeof(milters->id), "%llx.%llx",
		    (unsigned long long)milters->session->id,
		    (unsigned long long)when_wall_us());
	milters->event = event;
	milters->has_data |= event == MILTER_E_DATA;
	milters->path = path;
	milters->done = done;
	milters->ctx = ctx;
	milters->at = 0;
	milters->result.code = 0;
	milters->result.is_bye = false;
	go_on(milters);
}

bool
milters_discards(const struct milters *milters)
{
	return milters != NULL && milters->is_discarded;
}

struct str
milters_quarantine(const struct milters *milters)
{
	return str_of(milters != NULL ? milters->quarantine : "");
}

void
milters_reset(struct milters *milters)
{
	struct milter_slot *slot;
	size_t i;

	if (milters == NULL)
		return;
	for (i = 0; i < milters->slots_len; i++) {
		slot = &milters->slots[i];
		slot->is_out_tx = false;
		slot->is_passed = false;
		if (slot->has_tx && milter_is_open(slot->milter)) {
			milter_put_abort(milter_out(slot->milter));
			milter_tell(slot->milter);
		}
		slot->has_tx = false;
	}
	milters->is_discarded = false;
	milters->has_data = false;
	milters->quarantine[0] = '\0';
}

/* ---- life ---- */

/* "30 30 120 tempfail {macro} {macro}" */
static void
read_settings(struct child *child, struct milter_settings *settings)
{
	static const struct str absents[] = { { "tempfail", 8 },
	    { "accept", 6 }, { "reject", 6 }, { "quarantine", 10 } };
	uint64_t *times[] = { &settings->connect_ms, &settings->command_ms,
	    &settings->message_ms };
	struct str rest, word;
	char key[96];
	size_t i;

	(void)snprintf(key, sizeof(key), "milter.%s", settings->name);
	rest = child_config(child, key, "30 30 120 tempfail");
	for (i = 0; i < 3; i++) {
		word = str_cut(rest, ' ', &rest);
		if (rest.p == NULL || str_to_u64(word, 3600, times[i]) != 0)
			return;
		*times[i] *= 1000;
	}
	word = str_cut(rest, ' ', &rest);
	(void)snprintf(settings->macros, sizeof(settings->macros), "%.*s",
	    STR_FMT(rest));
	for (i = 0; i < sizeof(absents) / sizeof(absents[0]); i++)
		if (str_eq(word, absents[i]))
			settings->absent = (enum milter_absent)i;
}

static void
add_slot(struct milters *milters, struct str name)
{
	struct milter_slot *slot = &milters->slots[milters->slots_len++];

	slot->milters = milters;
	slot->settings = (struct milter_settings){ .connect_ms = 30000,
	    .command_ms = 30000, .message_ms = 120000 };
	(void)snprintf(slot->settings.name, sizeof(slot->settings.name),
	    "%.*s", STR_FMT(name));
	read_settings(milters->session->ingress->child, &slot->settings);
	slot->milter = milter_new(milters->session->ingress->child,
	    &slot->settings, slot);
}

struct milters *
milters_new(struct session *session)
{
	struct milters *milters;
	struct str rest, word;
	char key[96];

	(void)snprintf(key, sizeof(key), "milters.%s",
	    session->seat.listener->name);
	rest = child_config(session->ingress->child, key, "");
	if (rest.len == 0)
		return NULL;
	milters = calloc(1, sizeof(*milters));
	invariant(milters != NULL);
	milters->session = session;
	while (rest.p != NULL && milters->slots_len < MILTERS_MAX) {
		word = str_cut(rest, ' ', &rest);
		add_slot(milters, word);
	}
	return milters;
}

void
milters_free(struct milters **milters)
{
	size_t i;

	if (*milters == NULL)
		return;
	for (i = 0; i < (*milters)->slots_len; i++)
		milter_free(&(*milters)->slots[i].milter);
	free(*milters);
	*milters = NULL;
}
