/* SPDX-License-Identifier: ISC */
#include "filterd/judge/job.h"

#include <unistd.h>

#include "base/log.h"
#include "base/when.h"
#include "filterd/judge/checks.h"
#include "ipc/figures.h"
#include "ipc/values.h"
#include "mail/view.h"

#define QUESTIONS_MAX 32U	/* of one job */
#define QUESTIONS_FEW 4U	/* of one job, when there are many */
#define QUESTIONS_MANY 256U	/* of all jobs */
#define READERS_MAX 32U
#define DNS_DEADLINE_MS 12000U
/* The answer has to travel, and smtpd to read it. */
#define MARGIN_MS 250U

struct question {
	struct list node;
	struct job *job;
	struct str name;
	unsigned type;
	uint32_t call;
};

struct job_impl {
	struct job_env *env;
	struct ipc_req *req;
	struct arena *arena;
	struct ev *ev;
	struct envelope envelope;
	struct mail_view view;		/* without a trace */
	uint64_t at;
	struct checks *checks;		/* NULL: nothing is to be found out */
	struct answers *answers;
	struct list questions;		/* asked and not answered */
	size_t questions_len;
	size_t asked;
	bool is_late;
	bool is_checked;		/* checks are done, or there are none */
	bool is_scanning;		/* scand has not answered */
	bool is_scanned;
	uint32_t scan;			/* the call */
	enum scan_result virus;
	struct str virus_name;
	struct str locked_name;		/* of what has a password, */
	struct str closed_name;		/* of what could not be looked at */
	struct verdict_part *parts;	/* infected ones, if they fit */
	size_t parts_len;
	struct suspicion suspicion;
	struct str readers[READERS_MAX];	/* recipients' domains */
	size_t readers_len;
	uint64_t scan_ms;
	struct loop_timer timer;
	uint64_t started_ms;
	uint64_t deadline_ms;		/* 0: it came too late */
	uint64_t read_ms;		/* when it was read */
	uint64_t checked_ms;		/* when the DNS had said enough */
};

/* ---- end ---- */

static void
job_free(struct job *job)
{
	struct job_impl *impl = job->impl;
	struct job_env *env = impl->env;
	struct question *question, *tmp;
	struct arena *arena = impl->arena;

	list_each(question, tmp, &impl->questions, struct question, node)
		ipc_cancel(env->dnsd, question->call);
	env->questions_len -= impl->questions_len;
	if (impl->is_scanning)
		ipc_cancel(env->scand, impl->scan);
	loop_timer_fini(&impl->timer);
	checks_free(&impl->checks);
	answers_free(&impl->answers);
	(void)close(impl->view.fd);
	ev_free(&impl->ev);
	list_del(&job->turn);
	env->done(env->ctx, job);
	arena_free(&arena);
	free(impl);
	free(job);
}

void
job_abort(struct job *job, const char *why)
{
	ev_warn(job->impl->ev, "filter.message.unjudged",
	    EV_CSTR(reason, why));
	ipc_reply_err(job->impl->req, ERR_TEMP, "%s", why);
	job_free(job);
}

/* The results of a method, for the log: "pass a.test, fail b.test". */
static struct str
results_text(struct job_impl *impl, const struct verdict *verdict,
    const char *method)
{
	struct str text = STR("");
	size_t i;

	for (i = 0; i < verdict->auth_len; i++) {
		const struct verdict_auth *auth = &verdict->auth[i];

		if (strcmp(verdict_method_name(auth->method), method) != 0)
			continue;
		text = arena_printf(impl->arena, "%.*s%s%s %.*s",
		    STR_FMT(text), text.len != 0 ? ", " : "",
		    mailauth_result_name(auth->result),
		    STR_FMT(auth->identity));
	}
	return text;
}

static void
count_stages(const struct job_impl *impl)
{
	struct figures *figures = impl->env->figures;

	if (impl->checks != NULL) {
		figures_stage(figures, "filter.read", impl->read_ms -
		    impl->started_ms);
		figures_stage(figures, "filter.dns", impl->checked_ms -
		    impl->read_ms);
	}
	if (impl->is_scanned)
		figures_stage(figures, "filter.scan", impl->scan_ms);
}

static void
log_verdict(struct job_impl *impl, const struct verdict *verdict)
{
	uint64_t now = when_mono_ms();

	ev_info(impl->ev, "filter.message.judged",
	    EV_CSTR(status, verdict_action_name(verdict->action)),
	    EV_STR(reason, verdict->reason),
	    EV_STR(spf, results_text(impl, verdict, "spf")),
	    EV_STR(dkim, results_text(impl, verdict, "dkim")),
	    EV_STR(dmarc, results_text(impl, verdict, "dmarc")),
	    EV_STR(arc, results_text(impl, verdict, "arc")),
	    EV_CSTR(virus, !verdict->is_scanned ? "" :
	    verdict->virus == SCAN_CLEAN ? "clean" :
	    arena_cstr(impl->arena, verdict->virus_name)),
	    EV_U64(size, impl->view.blob_size),
	    EV_U64(count, impl->asked),
	    EV_U64(read_ms, impl->checks != NULL ?
	    impl->read_ms - impl->started_ms : 0),
	    EV_U64(dns_ms, impl->checks != NULL ?
	    impl->checked_ms - impl->read_ms : 0),
	    EV_U64(scan_ms, impl->scan_ms),
	    EV_U64(ms, now - impl->started_ms));
}

/* Of mail of our own users this is all that is done. */
static void
log_suspicious(struct job_impl *impl, const struct verdict *verdict)
{
	struct verdict all = { .traits = impl->suspicion.traits,
		.traits_len = impl->suspicion.traits_len };

	ev_warn(impl->ev, "filter.suspicious",
	    EV_CSTR(status, !verdict->is_suspicious ? "logged-in" :
	    verdict_action_name(verdict->action)),
	    EV_STR(traits, verdict_trait_names(&all, impl->arena)),
	    EV_STR(detail, all.traits_len != 0 ? all.traits[0].detail :
	    STR("")), EV_U64(size, impl->view.blob_size));
}

static void
judge_content(struct job_impl *impl, struct verdict *verdict)
{
	verdict->is_scanned = true;
	verdict->virus = impl->virus;
	verdict->virus_name = impl->virus_name;
	verdict->parts = impl->parts;
	verdict->parts_len = impl->parts_len;
	virus_weigh(&impl->env->virus, impl->locked_name, impl->closed_name,
	    verdict);
	virus_judge(&impl->env->virus, &impl->envelope, impl->arena, verdict);
	suspicion_judge(&impl->suspicion, impl->env->suspicious,
	    &impl->envelope, verdict);
	if (impl->suspicion.is_suspicious)
		log_suspicious(impl, verdict);
}

static void
answer(struct job *job)
{
	struct job_impl *impl = job->impl;
	struct verdict verdict = { .action = VERDICT_DELIVER };
	struct ipc_out *out;
	struct buf buf;

	if (impl->checks != NULL)
		checks_verdict(impl->checks, &verdict);
	if (impl->is_scanned)
		judge_content(impl, &verdict);
	if (verdict.is_judged || verdict.is_scanned)
		log_verdict(impl, &verdict);
	count_stages(impl);
	buf_init(&buf, 2 * VERDICT_OCTETS_MAX);
	verdict_encode(&verdict, &buf);
	out = ipc_reply_begin(impl->req);
	ipc_put_str(out, buf_str(&buf));
	ipc_reply_end(out, -1);
	buf_fini(&buf);
	job_free(job);
}

/* All but the scan is done. */
static void
checked(struct job *job)
{
	job->impl->is_checked = true;
	job->impl->checked_ms = when_mono_ms();
	if (!job->impl->is_scanning)
		answer(job);
}

/* ---- the scan ---- */

/* An infected part. False: not all can be named, so none can be told to be
 * what has to go. */
static bool
take_part(struct job_impl *impl, uint64_t number, struct str name)
{
	struct verdict_part *part;

	if (impl->parts == NULL)
		impl->parts = arena_alloc(impl->arena, VERDICT_PARTS_MAX *
		    sizeof(*part));
	if (number > UINT16_MAX || impl->parts_len == VERDICT_PARTS_MAX)
		return false;
	part = &impl->parts[impl->parts_len++];
	part->number = (unsigned)number;
	part->name = arena_str(impl->arena, name);
	return true;
}

static void
take_rows(struct job_impl *impl, struct ipc_in *in)
{
	bool are_named = true;

	while (ipc_more(in)) {
		uint64_t part = ipc_get_u64(in), what = ipc_get_u64(in);
		struct str name = ipc_get_str(in), detail = ipc_get_str(in);

		if (what == SCAN_W_TRAIT)
			(void)suspicion_add(&impl->suspicion, impl->arena,
			    part, name, detail);
		else if (what == SCAN_INFECTED && are_named)
			are_named = take_part(impl, part, name);
		else if (what == SCAN_ENCRYPTED && impl->locked_name.len == 0)
			impl->locked_name = arena_str(impl->arena, name);
		else if (what == SCAN_LIMIT && impl->closed_name.len == 0)
			impl->closed_name = arena_str(impl->arena, name);
	}
	if (!are_named)
		impl->parts_len = 0;
	suspicion_sort(&impl->suspicion);
}

static void
on_scanned(void *ctx, int code, struct ipc_in *in)
{
	struct job *job = ctx;
	struct job_impl *impl = job->impl;
	uint64_t result;

	impl->is_scanning = false;
	impl->scan_ms = when_mono_ms() - impl->started_ms;
	if (code != 0) {
		job_abort(job, "nobody could look at its content");
		return;
	}
	result = ipc_get_u64(in);
	impl->virus = result < SCAN_RESULTS ? (enum scan_result)result :
	    SCAN_LIMIT;
	impl->virus_name = arena_str(impl->arena, ipc_get_str(in));
	impl->suspicion.is_suspicious = ipc_get_bool(in);
	take_rows(impl, in);
	impl->is_scanned = true;
	if (impl->is_checked)
		answer(job);
}

static void
ask_scand(struct job *job, uint64_t deadline_ms)
{
	struct job_impl *impl = job->impl;
	struct ipc_out *out = ipc_begin(impl->env->scand, SCAN_MESSAGE);
	size_t i;

	ipc_put_u64(out, deadline_ms - MARGIN_MS);
	ipc_put_u64(out, impl->view.blob_size);
	ipc_put_u64(out, (impl->envelope.flags & FILTER_F_AUTHENTICATED) !=
	    0 ? 0 : (uint64_t)SCAN_F_OUTSIDE);
	ipc_put_str(out, job_client(job));
	for (i = 0; i < impl->readers_len; i++)
		ipc_put_str(out, impl->readers[i]);
	impl->is_scanning = true;
	impl->scan = ipc_call(out, impl->view.fd, deadline_ms -
	    impl->started_ms, on_scanned, job);
}

/* ---- the DNS ---- */

static void go_on(struct job *job);

static void
put_failure(struct job_impl *impl, struct str name, unsigned type)
{
	struct answer answer = { .rcode = DNS_R_SERVFAIL };

	answers_put(impl->answers, name, type, &answer);
}

static void
put_answer(struct question *question, struct ipc_in *in)
{
	struct str rdata[ANSWERS_RDATA_MAX];
	struct answer answer = { .rdata = rdata };

	answer.rcode = (unsigned)ipc_get_u64(in);
	answer.is_secure = ipc_get_bool(in);
	answer.is_bogus = ipc_get_bool(in);
	(void)ipc_get_u64(in);
	(void)ipc_get_str(in);
	while (ipc_more(in) && answer.rdata_len < ANSWERS_RDATA_MAX)
		rdata[answer.rdata_len++] = ipc_get_str(in);
	answers_put(question->job->impl->answers, question->name,
	    question->type, &answer);
}

static void
on_answer(void *ctx, int code, struct ipc_in *in)
{
	struct question *question = ctx;
	struct job *job = question->job;

	list_del(&question->node);
	job->impl->questions_len--;
	job->impl->env->questions_len--;
	if (code == 0) {
		put_answer(question, in);
	} else {
		/* dnsd has no room, or has ended: that says nothing. */
		checks_unasked(job->impl->checks);
		put_failure(job->impl, question->name, question->type);
	}
	go_on(job);
}

static void
ask(struct job *job, struct str name, unsigned type)
{
	struct job_impl *impl = job->impl;
	struct question *question = arena_new_of(impl->arena,
	    struct question);
	struct ipc_out *out = ipc_begin(impl->env->dnsd, DNS_QUERY);

	question->job = job;
	question->name = name;
	question->type = type;
	list_add(&impl->questions, &question->node);
	impl->questions_len++;
	impl->env->questions_len++;
	impl->asked++;
	ipc_put_str(out, name);
	ipc_put_u64(out, type);
	question->call = ipc_call(out, -1, DNS_DEADLINE_MS, on_answer,
	    question);
}

static size_t
questions_max(const struct job_impl *impl)
{
	return impl->env->questions_len < QUESTIONS_MANY ? QUESTIONS_MAX :
	    QUESTIONS_FEW;
}

/* Ask what is wanted, as far as there is room. */
static void
ask_wanted(struct job *job)
{
	struct job_impl *impl = job->impl;
	struct str name;
	unsigned type;

	while (impl->questions_len < questions_max(impl) &&
	    answers_next_wanted(impl->answers, &name, &type)) {
		if (impl->is_late)
			put_failure(impl, name, type);
		else
			ask(job, name, type);
	}
}

/* The message is read: everything that can be known now. */
static void
go_on(struct job *job)
{
	struct job_impl *impl = job->impl;

	ask_wanted(job);
	/* What was asked together is looked at together. */
	while (impl->questions_len == 0) {
		if (checks_run(impl->checks, impl->answers) ==
		    MAILAUTH_DONE) {
			checked(job);
			return;
		}
		ask_wanted(job);
	}
}

/* ---- reading ---- */

static int
read_part(struct job_impl *impl, bool *is_end_r, struct err *err)
{
	size_t total = 0, len;
	int rc;

	*is_end_r = false;
	while (total < JOB_STEP_OCTETS) {
		rc = mail_view_read(&impl->view, impl->at,
		    impl->env->buffer, JOB_READ_OCTETS, &len, err);
		if (rc == 0 && len == 0) {
			*is_end_r = true;
			return 0;
		}
		if (rc == 0)
			rc = checks_feed(impl->checks, impl->env->buffer, len,
			    err);
		if (rc != 0)
			return rc;
		impl->at += len;
		total += len;
	}
	return 0;
}

void
job_step(struct job *job)
{
	struct job_impl *impl = job->impl;
	struct err err = ERR_INIT;
	bool is_end;

	list_del(&job->turn);
	if (impl->checks == NULL) {
		checked(job);
		return;
	}
	if (read_part(impl, &is_end, &err) != 0) {
		job_abort(job, err_text(&err));
		return;
	}
	if (!is_end) {
		impl->env->wants_turn(impl->env->ctx, job);
		return;
	}
	impl->read_ms = when_mono_ms();
	checks_end(impl->checks);
	go_on(job);
}

static void
on_late(void *arg)
{
	struct job *job = arg;
	struct job_impl *impl = job->impl;
	struct question *question, *tmp;

	impl->is_late = true;
	if (impl->is_scanning || (impl->checks != NULL &&
	    impl->read_ms == 0)) {
		job_abort(job, impl->is_scanning ?
		    "not looked at in time" : "not read in time");
		return;
	}
	if (impl->is_checked)
		return;
	/* It was late when it came: nobody waits for it any more. */
	if (impl->checks == NULL) {
		job_abort(job, "it came too late");
		return;
	}
	checks_unasked(impl->checks);
	list_each(question, tmp, &impl->questions, struct question, node) {
		ipc_cancel(impl->env->dnsd, question->call);
		list_del(&question->node);
		put_failure(impl, question->name, question->type);
	}
	impl->env->questions_len -= impl->questions_len;
	impl->questions_len = 0;
	go_on(job);
}

/* ---- begin ---- */

static void
take_envelope(struct job_impl *impl, struct ipc_in *in, uint64_t flags)
{
	struct envelope *envelope = &impl->envelope;
	struct arena *arena = impl->arena;
	struct str session = ipc_get_str(in);

	envelope->flags = flags;
	envelope->protocol = arena_str(arena, ipc_get_str(in));
	envelope->zone = arena_str(arena, ipc_get_str(in));
	envelope->client = arena_str(arena, ipc_get_str(in));
	envelope->helo = arena_str(arena, ipc_get_str(in));
	envelope->sender = arena_str(arena, ipc_get_str(in));
	envelope->hostname = arena_str(arena, impl->env->hostname);
	envelope->now_s = when_wall_s();
	envelope->refuses_spf_fail = impl->env->refuses_spf_fail;
	envelope->arc_trusted = arena_str(arena, impl->env->arc_trusted);
	envelope->psl = impl->env->psl;
	ev_put_str(impl->ev, LOG_K_session, session);
	ev_put_str(impl->ev, LOG_K_remote, envelope->client);
	ev_put_str(impl->ev, LOG_K_sender, envelope->sender);
}

/* Of the first recipients: where they have more domains than fit, what is
 * said to the others is what these hear. */
static void
take_readers(struct job_impl *impl, struct ipc_in *in)
{
	struct str address, domain;
	size_t at, i;

	(void)ipc_get_u64(in);
	while (ipc_more(in) && impl->readers_len < READERS_MAX) {
		address = ipc_get_str(in);
		at = str_rfind(address, '@');
		if (at == STR_NPOS)
			continue;
		domain = str_sub(address, at + 1, address.len);
		for (i = 0; i < impl->readers_len; i++)
			if (str_eq(impl->readers[i], domain))
				break;
		if (i == impl->readers_len)
			impl->readers[impl->readers_len++] =
			    arena_str(impl->arena, domain);
	}
}

static struct job *
job_alloc(struct job_env *env, struct ipc_req *req)
{
	struct job *job = calloc(1, sizeof(*job));

	invariant(job != NULL);
	job->impl = calloc(1, sizeof(*job->impl));
	invariant(job->impl != NULL);
	list_init(&job->node);
	list_init(&job->turn);
	job->impl->env = env;
	job->impl->req = req;
	job->impl->arena = arena_new(0);
	job->impl->ev = ev_new(NULL);
	job->impl->started_ms = when_mono_ms();
	list_init(&job->impl->questions);
	loop_timer_init(&job->impl->timer, env->loop, on_late, job);
	return job;
}

struct job *
job_new(struct job_env *env, struct ipc_req *req, struct ipc_in *in)
{
	uint64_t deadline_ms = ipc_get_u64(in), flags = ipc_get_u64(in);
	uint64_t size = ipc_get_u64(in);
	struct job *job = job_alloc(env, req);
	struct job_impl *impl = job->impl;

	take_envelope(impl, in, flags);
	take_readers(impl, in);
	impl->view = mail_view_of_fd(STR_NONE, ipc_take_fd(in), size);
	if (deadline_ms <= impl->started_ms + MARGIN_MS) {
		/* Nobody waits for it any more. */
		loop_timer_start(&impl->timer, 0);
		return job;
	}
	loop_timer_start(&impl->timer, deadline_ms - impl->started_ms -
	    MARGIN_MS);
	impl->deadline_ms = deadline_ms;
	return job;
}

void
job_start(struct job *job)
{
	struct job_impl *impl = job->impl;

	job->is_started = true;
	if (impl->deadline_ms == 0)
		return;
	if (checks_wanted(&impl->envelope)) {
		impl->checks = checks_new(&impl->envelope, impl->arena);
		impl->answers = answers_new();
	}
	if (impl->env->scand != NULL)
		ask_scand(job, impl->deadline_ms);
	impl->env->wants_turn(impl->env->ctx, job);
}

/* Who has logged in, and who is of our own host, is not a stranger. */
struct str
job_client(const struct job *job)
{
	const struct envelope *envelope = &job->impl->envelope;

	return (envelope->flags & FILTER_F_AUTHENTICATED) != 0 ||
	    str_eq(envelope->zone, STR("loopback")) ? STR("") :
	    envelope->client;
}
