/* SPDX-License-Identifier: ISC */
/*
 * filterd: judges messages. It reads what strangers wrote, so it has nothing:
 * no file, no network, only the descriptors of the messages it is asked about
 * and links to smtpd and dnsd.
 */
#include "base/log.h"
#include "filterd/judge/job.h"
#include "filterd/judge/shares.h"
#include "ipc/child.h"
#include "ipc/figures.h"
#include "mailauth/psl.h"

#define CLIENTS_MAX 64
#define SHARE_MIN 4U
#define WAITING_MAX 512U
#define ADDRESS_OCTETS (1ULL << 30)

struct filterd {
	struct child *child;
	struct psl *psl;		/* NULL: there is no list here */
	struct job_env env;
	struct list jobs;
	struct list waiting;		/* their network has enough at work */
	size_t waiting_len;
	struct shares *shares;
	struct list turns;		/* jobs that have more to read */
	struct loop_timer turn;
	size_t jobs_len;
	size_t jobs_max;
	struct ipc_link *clients[CLIENTS_MAX];
	size_t clients_len;
	bool is_paused;
	bool is_stopping;
	char buffer[JOB_READ_OCTETS];
};

/* ---- jobs ---- */

/* Over the limit nothing more is read from the clients: what waits there has
 * its own deadline. */
static void
set_paused(struct filterd *filterd, bool is_paused)
{
	size_t i;

	if (filterd->is_paused == is_paused)
		return;
	filterd->is_paused = is_paused;
	for (i = 0; i < filterd->clients_len; i++)
		ipc_link_pause(filterd->clients[i], is_paused);
}

static void
on_wants_turn(void *ctx, struct job *job)
{
	struct filterd *filterd = ctx;

	list_add(&filterd->turns, &job->turn);
	loop_timer_start(&filterd->turn, 0);
}

static void
on_turn(void *arg)
{
	struct filterd *filterd = arg;
	struct job *job = list_first(&filterd->turns, struct job, turn);

	if (job != NULL)
		job_step(job);
	if (!list_is_empty(&filterd->turns))
		loop_timer_start(&filterd->turn, 0);
}

static void
leave(struct filterd *filterd)
{
	figures_flush(filterd->env.figures);
	child_exit(filterd->child);
}

static void
start_job(struct filterd *filterd, struct job *job)
{
	list_add(&filterd->jobs, &job->node);
	if (++filterd->jobs_len >= filterd->jobs_max)
		set_paused(filterd, true);
	job_start(job);
}

/* A network has an eighth of the jobs, and a few. */
static bool
takes_share(struct filterd *filterd, const struct job *job)
{
	return shares_take(filterd->shares, job_client(job),
	    filterd->jobs_max / 8 + SHARE_MIN);
}

/* The first of those that wait whose network has room again. */
static void
start_waiting(struct filterd *filterd)
{
	struct job *job, *tmp;

	list_each(job, tmp, &filterd->waiting, struct job, node) {
		if (filterd->jobs_len >= filterd->jobs_max ||
		    !takes_share(filterd, job))
			continue;
		list_del(&job->node);
		filterd->waiting_len--;
		start_job(filterd, job);
		return;
	}
}

static void
on_done(void *ctx, struct job *job)
{
	struct filterd *filterd = ctx;

	list_del(&job->node);
	if (job->is_started) {
		shares_give(filterd->shares, job_client(job));
		filterd->jobs_len--;
		start_waiting(filterd);
	} else {
		filterd->waiting_len--;
	}
	if (filterd->jobs_len < filterd->jobs_max)
		set_paused(filterd, false);
	if (filterd->is_stopping && filterd->jobs_len == 0 &&
	    filterd->waiting_len == 0)
		leave(filterd);
}

static void
on_judge(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct filterd *filterd = child_link_ctx(link);
	struct job *job;

	if (filterd->is_stopping) {
		ipc_reply_err(req, ERR_TEMP, "stopping");
		return;
	}
	job = job_new(&filterd->env, req, in);
	if (takes_share(filterd, job)) {
		start_job(filterd, job);
		return;
	}
	list_add(&filterd->waiting, &job->node);
	if (++filterd->waiting_len > WAITING_MAX)
		job_abort(job, "its network has too many at a time");
}

/* ---- clients ---- */

static void
came(void *ctx, struct ipc_link *link)
{
	struct filterd *filterd = ctx;

	if (filterd->clients_len < CLIENTS_MAX)
		filterd->clients[filterd->clients_len++] = link;
	ipc_link_pause(link, filterd->is_paused);
}

static void
gone(void *ctx, struct ipc_link *link)
{
	struct filterd *filterd = ctx;
	size_t i;

	for (i = 0; i < filterd->clients_len; i++)
		if (filterd->clients[i] == link)
			filterd->clients[i] =
			    filterd->clients[--filterd->clients_len];
}

/* ---- life ---- */

static bool
wants_list(struct child *child)
{
	return str_eq(child_config(child, "dmarc_organization", "walk"),
	    STR("list"));
}

static void
read_config(struct filterd *filterd)
{
	struct child *child = filterd->child;
	const struct virus_config virus = {
		.attachment = child_config(child, "virus_attachment",
		    "replace"),
		.body = child_config(child, "virus_body", "refuse"),
		.encrypted = child_config(child, "virus_encrypted",
		    "deliver"),
		.unscannable = child_config(child, "virus_unscannable",
		    "deliver"),
	};

	filterd->jobs_max = child_config_u64(child, "filter_jobs", 256);
	if (filterd->jobs_max == 0)
		filterd->jobs_max = 1;
	filterd->env.hostname = child_config(child, "hostname", "localhost");
	filterd->env.arc_trusted = child_config(child,
	    "arc_trusted_sealers", "");
	filterd->env.psl = wants_list(child) ? filterd->psl : NULL;
	filterd->env.refuses_spf_fail = child_config_u64(child,
	    "spf_fail_refuse", 0) != 0;
	filterd->env.scand = child_config_u64(child, "virus", 1) != 0 ?
	    child_link(child, "scand") : NULL;
	virus_policy_read(&filterd->env.virus, &virus);
	filterd->env.suspicious = suspicion_action(child_config(child,
	    "suspicious", "mark"));
}

static int
prepare(struct child *child, struct err *err)
{
	struct filterd *filterd = child->ctx;
	struct err why = ERR_INIT;
	int rc = psl_open(NULL, &filterd->psl, &why);

	/* A reload may want it, and cannot open it any more. */
	if (rc != 0 && wants_list(child))
		return err_set(err, rc, "%s", err_text(&why));
	child->sandbox.user = "_hikyaku-filterd";
	child->sandbox.files_max = 256 + WAITING_MAX + child_config_u64(child,
	    "filter_jobs", 256);
	child->sandbox.address_octets = ADDRESS_OCTETS;
	(void)child_enter_dir(child, "data/empty", 0);
	return 0;
}

static int
start(struct child *child, struct err *err)
{
	struct filterd *filterd = child->ctx;

	(void)err;
	filterd->child = child;
	list_init(&filterd->jobs);
	list_init(&filterd->waiting);
	filterd->shares = shares_new();
	list_init(&filterd->turns);
	loop_timer_init(&filterd->turn, child->loop, on_turn, filterd);
	filterd->env = (struct job_env){ .loop = child->loop,
	    .dnsd = child_link(child, "dnsd"),
	    .figures = figures_new(child->loop, child_link(child,
	    "metricd")),
	    .buffer = filterd->buffer,
	    .wants_turn = on_wants_turn, .done = on_done, .ctx = filterd };
	read_config(filterd);
	return 0;
}

static void
reload(struct child *child)
{
	read_config(child->ctx);
}

/* What is begun is finished: smtpd has stopped asking. */
static void
stop(struct child *child)
{
	struct filterd *filterd = child->ctx;

	filterd->is_stopping = true;
	if (filterd->jobs_len == 0 && filterd->waiting_len == 0)
		leave(filterd);
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "dnsd", .proto = &ipc_dns },
		{ .server = "scand", .proto = &ipc_scan },
		{ .server = "metricd", .proto = &ipc_metric },
		{ .server = NULL },
	};
	static ipc_handler *const handlers[] = { [FILTER_JUDGE] = on_judge };
	static const struct child_serve serves[] = {
		{ .proto = &ipc_filter, .handlers = handlers, .came = came,
		    .gone = gone },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "filterd", .ctx_size = sizeof(struct filterd),
		.calls = calls, .serves = serves, .prepare = prepare,
		.start = start, .reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
