/* SPDX-License-Identifier: ISC */
/*
 * scand: looks for malicious content, and for what is odd. It reads no message
 * itself: it keeps the processes that do (pool.h), tells them who we are
 * (known.h) and passes messages and findings on.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "filterd/attack/attack.h"
#include "filterd/virus/known.h"
#include "filterd/virus/pool.h"
#include "filterd/virus/slots.h"
#include "ipc/child.h"
#include "ipc/figures.h"

#define OURS "hikyaku.ndb"
#define KNOWN_GAP_MS 10000U	/* between two looks for our domains */

struct scand {
	struct child *child;
	struct pool *pool;
	struct pool_settings settings;
	struct attack *attack;
	struct known *known;
	struct figures *figures;
	char signatures[4096];
	char clamav[4096];
	char unpack[4096];
};

/* ---- requests ---- */

static void
on_message(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct scand *scand = child_link_ctx(link);

	if (scand->pool == NULL) {
		ipc_reply_err(req, ERR_TEMP, "switched off");
		return;
	}
	pool_scan(scand->pool, req, in);
}

/* ---- what is known of us ---- */

static void
on_known(void *ctx)
{
	struct scand *scand = ctx;

	if (scand->pool != NULL)
		pool_known(scand->pool);
}

static void
tell(void *ctx, struct ipc_link *generation)
{
	const struct scand *scand = ctx;

	known_tell(scand->known, generation);
}

static void
configure_known(struct scand *scand)
{
	known_configure(scand->known,
	    child_config(scand->child, "partner_domains", ""),
	    child_config(scand->child, "protected_names", ""));
}

static void
on_directory_push(void *ctx, unsigned type, struct ipc_in *in)
{
	struct scand *scand = ctx;

	(void)in;
	if (type == DIR_DOMAINS_CHANGED && scand->known != NULL)
		known_ask(scand->known);
}

static void
on_directory(void *ctx, struct ipc_link *link)
{
	struct scand *scand = ctx;

	(void)link;
	if (scand->known != NULL)
		known_ask(scand->known);
}

static void
alert(void *ctx, const char *what)
{
	struct scand *scand = ctx;

	child_alert(scand->child, what);
}

/* ---- folders, while we may still make them ---- */

/* A copy is as old as what it was made of: monitoring asks for the age. */
static bool
keep_age(int out, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	return futimens(out, times) == 0;
}

/* The signatures that come with us stand beside those that are fetched. */
static int
put_ours(struct child *child, struct err *err)
{
	char path[4096], fresh[4104], octets[65536];
	struct str from = child_config(child, "virus_signatures", "");
	struct stat st;
	ssize_t n;
	int in, out;

	if (from.len == 0)
		from = STR(SIGNATURES_DIR);
	(void)snprintf(path, sizeof(path), "%.*s/" OURS, STR_FMT(from));
	in = open(path, O_RDONLY | O_CLOEXEC);
	if (in == -1)
		return err_set_errno(err, ERR_NOTFOUND, "%s", path);
	(void)snprintf(path, sizeof(path), "%s/" OURS,
	    child_dir(child, "data/scan/signatures"));
	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	n = fstat(in, &st) == 0 ? read(in, octets, sizeof(octets)) : -1;
	(void)close(in);
	out = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW |
	    O_CLOEXEC, 0644);
	if (out == -1 || n < 0 || write(out, octets, (size_t)n) != n ||
	    fchmod(out, 0644) == -1 || !keep_age(out, &st) ||
	    rename(fresh, path) == -1)
		err_set_errno(err, ERR_TEMP, "%s", path);
	if (out != -1)
		(void)close(out);
	return err->code;
}

/* Where freshclam keeps ClamAV's signatures, if it is there: to be read. */
static int
show_clamav(struct child *child, struct err *err)
{
	struct str from = child_config(child, "clamav_signatures", "");
	const char *to = child_dir(child, "data/scan/clamav");
	char path[4096];

	(void)snprintf(path, sizeof(path), "%.*s", STR_FMT(from));
	if (from.len == 0 || access(path, F_OK) == -1)
		return 0;
	if (mount(path, to, NULL, MS_BIND, NULL) == -1)
		return err_set_errno(err, ERR_DENIED, "%s on %s", path, to);
	/* Whose flags are locked it cannot be changed for; its owner's rights
	 * are in the way of writing, too. */
	(void)mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY |
	    MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	return 0;
}

static int
make_slots(struct child *child, unsigned slots, struct err *err)
{
	uint64_t octets = child_config_u64(child, "scan_unpack_size",
	    256ULL << 20);
	const struct passwd *owner = NULL;
	unsigned i;
	int rc;

	if (geteuid() == 0 &&
	    (owner = getpwnam("_hikyaku-scand")) == NULL)
		return err_set(err, ERR_NOTFOUND, "no user _hikyaku-scand");
	if ((rc = slots_begin(err)) != 0 ||
	    (rc = show_clamav(child, err)) != 0)
		return rc;
	for (i = 0; i < slots && rc == 0; i++)
		rc = slots_make(child_dir(child, "data/scan/unpack"), i,
		    octets, owner != NULL ? owner->pw_uid : (uid_t)-1,
		    owner != NULL ? owner->pw_gid : (gid_t)-1, err);
	return rc == 0 ? slots_end(err) : rc;
}

/* ---- life ---- */

static int
prepare(struct child *child, struct err *err)
{
	struct scand *scand = child->ctx;
	const char *root;
	int rc;

	scand->child = child;
	/* Generations end by themselves: nobody waits for them. */
	(void)signal(SIGCHLD, SIG_IGN);
	scand->settings.workers = (unsigned)child_config_u64(child,
	    "workers_scan", 2);
	if (scand->settings.workers == 0)
		scand->settings.workers = 1;
	if (scand->settings.workers >= POOL_WORKERS_MAX)
		scand->settings.workers = POOL_WORKERS_MAX - 1;
	if ((rc = put_ours(child, err)) != 0 ||
	    (rc = attack_begin(&scand->attack, err)) != 0)
		return rc;
	/* One more, for the test of new signatures. */
	if ((rc = make_slots(child, scand->settings.workers + 1, err)) != 0)
		return rc;
	child->sandbox.user = "_hikyaku-scand";
	child->sandbox.groups = SB_FILES | SB_MODES | SB_FORK | SB_SANDBOX |
	    SB_SOCKETPAIR;
	child->sandbox.files_max = 4096;
	child->sandbox.address_octets = child_config_u64(child,
	    "scan_memory", 4ULL << 30);
	root = child_enter_dir(child, "data/scan", SB_READ | SB_WRITE);
	(void)snprintf(scand->signatures, sizeof(scand->signatures),
	    "%s/signatures", root);
	(void)snprintf(scand->clamav, sizeof(scand->clamav), "%s/clamav",
	    root);
	(void)snprintf(scand->unpack, sizeof(scand->unpack), "%s/unpack",
	    root);
	return 0;
}

static void
ready(void *ctx, uint64_t signatures, uint64_t built_s)
{
	struct scand *scand = ctx;

	figures_gauge(scand->figures, "signatures", false, signatures);
	figures_gauge(scand->figures, "signatures.built", true, built_s);
}

static int
start(struct child *child, struct err *err)
{
	struct scand *scand = child->ctx;

	(void)err;
	scand->settings.env = (struct worker_env){
		.signatures = { scand->signatures, scand->clamav },
		.unpack = scand->unpack,
		.is_degraded_ok = child->sandbox.is_degraded_ok,
		.attack = scand->attack,
	};
	scand->settings.generation = generation_main;
	scand->settings.scan_ms = 1000 * child_config_u64(child,
	    "scan_time", 20);
	scand->settings.scans_max = (unsigned)child_config_u64(child,
	    "scan_messages", 20);
	scand->figures = figures_new(child->loop, child_link(child,
	    "metricd"));
	scand->settings.ready = ready;
	scand->settings.tell = tell;
	scand->settings.alert = alert;
	scand->settings.ctx = scand;
	/* Nobody will ask. */
	if (child_config_u64(child, "filter", 1) == 0 ||
	    child_config_u64(child, "virus", 1) == 0)
		return 0;
	scand->pool = pool_new(child->loop, &scand->settings);
	scand->known = known_new(&(struct known_settings){
	    .loop = child->loop, .directory = child_link(child, "directoryd"),
	    .attack = scand->attack, .gap_ms = KNOWN_GAP_MS,
	    .changed = on_known, .ctx = scand });
	configure_known(scand);
	return 0;
}

static void
reload(struct child *child)
{
	struct scand *scand = child->ctx;

	if (scand->pool == NULL)
		return;
	configure_known(scand);
	pool_reload(scand->pool);
}

int
main(int argc, char **argv)
{
	static ipc_handler *const handlers[] = {
		[SCAN_MESSAGE] = on_message,
	};
	static const struct child_call calls[] = {
		{ .server = "metricd", .proto = &ipc_metric },
		{ .server = "directoryd", .proto = &ipc_dir,
		    .push = on_directory_push, .attached = on_directory },
		{ .server = NULL },
	};
	static const struct child_serve serves[] = {
		{ .proto = &ipc_scan, .handlers = handlers },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "scand", .ctx_size = sizeof(struct scand),
		.calls = calls, .serves = serves, .prepare = prepare,
		.start = start, .reload = reload,
	};

	return child_main(argc, argv, &spec);
}
