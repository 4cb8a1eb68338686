/* SPDX-License-Identifier: ISC */
/*
 * detonated: has suspicious mail opened where it can do no harm. It reads what
 * strangers wrote and what engines answer, so it has nothing: no file, and no
 * socket but those to the configured engines, which hikyakud makes.
 */
#include "base/log.h"
#include "filterd/detonate/job.h"
#include "ipc/child.h"

#define ADDRESS_OCTETS (2ULL << 30)
#define FIRST_MS 500

struct detonated {
	struct child *child;
	struct curlloop *curlloop;
	struct probes *probes;
	struct jobs *jobs;
	struct engine engines[VERDICT_ENGINES_MAX];
	size_t engines_len;
};

/* ---- requests ---- */

static void
on_watch(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct detonated *detonated = child_link_ctx(link);
	struct job_asked asked = { .req = req };

	asked.queue_id = ipc_get_u64(in);
	asked.deadline_ms = ipc_get_u64(in);
	asked.size = ipc_get_u64(in);
	asked.verdict = ipc_get_str(in);
	asked.blob_fd = ipc_take_fd(in);
	jobs_add(detonated->jobs, &asked);
}

/* What doctor shows: one that is down, or nothing. */
static void
alert(void *ctx, const char *what)
{
	struct detonated *detonated = ctx;
	struct ipc_out *out;
	size_t i;

	if (what[0] != '\0') {
		child_alert(detonated->child, what);
		return;
	}
	for (i = 0; i < detonated->engines_len; i++)
		if (engine_is_down(&detonated->engines[i]))
			return;
	out = ipc_begin(child_master(detonated->child), MASTER_ALERT);
	ipc_put_str(out, STR(""));
	(void)ipc_send(out, -1);
}

/* ---- life ---- */

static struct str
of_engine(struct child *child, const char *what, struct str name)
{
	char key[96];

	(void)snprintf(key, sizeof(key), "%s.%.*s", what, STR_FMT(name));
	return child_config(child, key, "");
}

static int
read_engines(struct detonated *detonated, struct err *err)
{
	struct child *child = detonated->child;
	struct str key, value, name;
	size_t cursor = 0;
	int rc = 0;

	while (rc == 0 && detonated->engines_len < VERDICT_ENGINES_MAX &&
	    child_config_next(child, "detonation.", &cursor, &key, &value)) {
		name = str_sub(key, sizeof("detonation.") - 1, key.len);
		rc = engine_read(&detonated->engines[detonated->engines_len],
		    name, value, of_engine(child, "detonation_ca", name),
		    of_engine(child, "detonation_token", name), err);
		if (rc == 0)
			detonated->engines_len++;
	}
	return rc;
}

static int
prepare(struct child *child, struct err *err)
{
	struct detonated *detonated = child->ctx;
	int rc;

	detonated->child = child;
	rc = read_engines(detonated, err);
	if (rc == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		rc = err_set(err, ERR_TEMP, "libcurl does not start");
	detonated->curlloop = curlloop_new(child->loop, http_call_finished);
	child->sandbox.user = "_hikyaku-detonated";
	/* Names and options of the sockets it is given (nothing listens), and
	 * what is sent, decoded. */
	child->sandbox.groups = SB_ACCEPT | SB_MEMFILES;
	child->sandbox.files_max = 4096;
	child->sandbox.address_octets = ADDRESS_OCTETS;
	(void)child_enter_dir(child, "data/empty", 0);
	return rc;
}

static void
read_config(struct detonated *detonated)
{
	probes_set_score(detonated->probes, 10 * (unsigned)child_config_u64(
	    detonated->child, "detonate_score", 5));
}

static int
start(struct child *child, struct err *err)
{
	struct detonated *detonated = child->ctx;
	size_t i;

	(void)err;
	detonated->probes = probes_new(child->loop, FIRST_MS);
	for (i = 0; i < detonated->engines_len; i++)
		engine_open(&detonated->engines[i], child->loop,
		    detonated->curlloop, child_master(child), alert,
		    detonated);
	detonated->jobs = jobs_new(child->loop, detonated->probes,
	    detonated->engines, detonated->engines_len);
	read_config(detonated);
	return 0;
}

static void
reload(struct child *child)
{
	read_config(child->ctx);
}

int
main(int argc, char **argv)
{
	static ipc_handler *const handlers[] = {
		[DETONATE_WATCH] = on_watch,
	};
	static const struct child_serve serves[] = {
		{ .proto = &ipc_detonate, .handlers = handlers },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "detonated", .ctx_size = sizeof(struct detonated),
		.serves = serves, .prepare = prepare, .start = start,
		.reload = reload,
	};

	return child_main(argc, argv, &spec);
}
