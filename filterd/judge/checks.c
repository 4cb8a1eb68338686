/* SPDX-License-Identifier: ISC */
#include "filterd/judge/checks.h"

#include "ipc/values.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mailauth/spf.h"

#define FROM_MAX 100U		/* fields that are looked at */

struct checks {
	const struct envelope *envelope;
	struct arena *arena;
	struct buf header;		/* and what was fed after it */
	bool has_header;
	struct str from_domain;		/* p NULL: From is no one's */
	struct spf_input spf_input;
	bool has_client;		/* its address is known */
	struct spf_result helo;
	struct spf_result mailfrom;
	unsigned done;			/* evaluations, a mask */
	struct verdict_auth auth[VERDICT_AUTH_MAX];
	size_t auth_len;
};

/* ---- what is looked at ---- */

/* Mail of our users, and what comes from our own network, is not a
 * stranger's: its sender needs no proof. */
bool
checks_wanted(const struct envelope *envelope)
{
	return (envelope->flags & FILTER_F_AUTHENTICATED) == 0 &&
	    str_eq(envelope->protocol, STR("smtp")) &&
	    !str_eq(envelope->zone, STR("loopback"));
}

/* ---- reading ---- */

static void
take_envelope(struct checks *checks)
{
	const struct envelope *envelope = checks->envelope;
	struct spf_input *input = &checks->spf_input;
	struct address sender;

	*input = (struct spf_input){ .helo = envelope->helo,
	    .receiver = envelope->hostname, .now_s = envelope->now_s };
	checks->has_client = netaddr_parse(envelope->client, &input->ip,
	    NULL) == 0;
	if (envelope->sender.len == 0 || address_parse(checks->arena,
	    envelope->sender, ADDRESS_UTF8 | ADDRESS_DOTS, &sender, NULL) !=
	    0)
		return;
	input->local = sender.local;
	input->domain = sender.domain;
}

struct checks *
checks_new(const struct envelope *envelope, struct arena *arena)
{
	struct checks *checks = calloc(1, sizeof(*checks));

	invariant(checks != NULL);
	checks->envelope = envelope;
	checks->arena = arena;
	buf_init(&checks->header, HEADER_BLOCK_MAX);
	take_envelope(checks);
	return checks;
}

void
checks_free(struct checks **checks)
{
	if (*checks == NULL)
		return;
	buf_fini(&(*checks)->header);
	free(*checks);
	*checks = NULL;
}

/* Keep lines up to the empty one. */
static size_t
header_part(const struct buf *header, struct str in, bool *is_end_r)
{
	size_t at = 0, end;
	bool is_line_begin = header->len == 0 ||
	    header->p[header->start + header->len - 1] == '\n';

	*is_end_r = false;
	while (at < in.len) {
		end = str_find(str_sub(in, at, in.len), '\n');
		if (is_line_begin && (in.p[at] == '\n' ||
		    (in.p[at] == '\r' && end == 1))) {
			*is_end_r = true;
			return at + end + 1;
		}
		if (end == STR_NPOS)
			return in.len;
		at += end + 1;
		is_line_begin = true;
	}
	return at;
}

int
checks_feed(struct checks *checks, const void *data, size_t len,
    struct err *err)
{
	size_t part;

	if (checks->has_header)
		return 0;
	part = header_part(&checks->header, str_make(data, len),
	    &checks->has_header);
	buf_add(&checks->header, data, part);
	return buf_failed(&checks->header) ? err_set(err, ERR_LIMIT,
	    "the header is too big") : 0;
}

/* ---- From ---- */

void
checks_end(struct checks *checks)
{
	struct str values[FROM_MAX];
	struct header_iter iter;
	struct header_field field;
	struct address *addresses;
	size_t n = 0, count;

	header_iter_init(&iter, buf_str(&checks->header));
	while (n < FROM_MAX && header_next(&iter, &field))
		if (str_eq_nocase(field.name, STR("From")))
			values[n++] = field.value;
	if (address_from(checks->arena, values, n, &addresses, &count,
	    NULL) == 0)
		checks->from_domain = addresses[0].domain;
}

/* ---- evaluations ---- */

static enum mailauth_step
run_helo(struct checks *checks, struct answers *answers)
{
	if (!checks->has_client)
		return MAILAUTH_DONE;
	return spf_check_helo(checks->arena, &checks->spf_input, answers,
	    &checks->helo);
}

static enum mailauth_step
run_mailfrom(struct checks *checks, struct answers *answers)
{
	if (!checks->has_client)
		return MAILAUTH_DONE;
	return spf_check_mailfrom(checks->arena, &checks->spf_input, answers,
	    &checks->mailfrom);
}

/* Those that build on others stand behind them. */
static enum mailauth_step (*const evaluations[])(struct checks *checks,
    struct answers *answers) = { run_helo, run_mailfrom };

#define EVALUATIONS_LEN (sizeof(evaluations) / sizeof(evaluations[0]))

enum mailauth_step
checks_run(struct checks *checks, struct answers *answers)
{
	size_t i;

	for (i = 0; i < EVALUATIONS_LEN; i++)
		if ((checks->done & 1U << i) == 0 &&
		    evaluations[i](checks, answers) == MAILAUTH_DONE)
			checks->done |= 1U << i;
	return checks->done == (1U << EVALUATIONS_LEN) - 1 ? MAILAUTH_DONE :
	    MAILAUTH_WAIT;
}

/* ---- what is known ---- */

static void
auth_add(struct checks *checks, const struct verdict_auth *auth)
{
	if (checks->auth_len < VERDICT_AUTH_MAX)
		checks->auth[checks->auth_len++] = *auth;
}

static void
auth_add_spf(struct checks *checks, enum verdict_method method,
    const struct spf_result *spf)
{
	struct verdict_auth auth = { .method = method, .result = spf->result,
	    .identity = spf->domain, .reason = spf->problem };

	auth_add(checks, &auth);
}

static void
collect(struct checks *checks)
{
	bool is_null = checks->envelope->sender.len == 0;

	if (!checks->has_client)
		return;
	auth_add_spf(checks, is_null ? VERDICT_M_SPF_HELO :
	    VERDICT_M_SPF_MAILFROM, &checks->mailfrom);
	if (!is_null && checks->helo.result != MAILAUTH_NONE)
		auth_add_spf(checks, VERDICT_M_SPF_HELO, &checks->helo);
}

/* ---- the verdict ---- */

static void
refuse(struct verdict *verdict, const char *enhanced, struct str text,
    const char *reason)
{
	verdict->action = VERDICT_REFUSE;
	verdict->code = 550;
	verdict->enhanced = str_of(enhanced);
	verdict->text = text;
	verdict->reason = str_of(reason);
}

/* Whom a message is from must be the same for every reader. */
static bool
judge_from(struct checks *checks, struct verdict *verdict)
{
	if (checks->from_domain.p != NULL)
		return false;
	refuse(verdict, "5.7.1",
	    STR("From is missing, doubled or cannot be told"), "from");
	return true;
}

/* RFC 7372 section 3.2. */
static bool
judge_spf(struct checks *checks, struct verdict *verdict)
{
	if (!checks->envelope->refuses_spf_fail ||
	    checks->mailfrom.result != MAILAUTH_FAIL)
		return false;
	refuse(verdict, "5.7.23", arena_printf(checks->arena,
	    "%.*s sends no mail from %.*s (SPF)",
	    STR_FMT(checks->mailfrom.domain),
	    STR_FMT(checks->envelope->client)), "spf");
	return true;
}

void
checks_verdict(struct checks *checks, struct verdict *verdict_r)
{
	*verdict_r = (struct verdict){ .action = VERDICT_DELIVER,
	    .is_judged = true };
	collect(checks);
	verdict_r->auth = checks->auth;
	verdict_r->auth_len = checks->auth_len;
	if (judge_from(checks, verdict_r))
		return;
	(void)judge_spf(checks, verdict_r);
}
