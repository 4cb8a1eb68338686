/* SPDX-License-Identifier: ISC */
/*
 * hikyakud: reads the configuration, binds the sockets, starts the programs
 * and keeps them running. It is root and reads no octet from the network.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "master/supervise.h"
#include "master/topology.h"

#define DEFAULT_CONFIG "/etc/hikyaku/hikyaku.conf"

struct master {
	struct loop *loop;
	struct supervisor *supervisor;
	struct logfile *log;
	char config_path[4096];
	char dir[4096];
	char programs[4096];
	char pid_path[4096];
	int pid_fd;
	int status_fd;		/* to the starter; -1 when told, or -F */
	int exit_status;
};

struct options {
	const char *config;
	bool is_foreground;
	bool is_check;
};

static void
usage(FILE *to)
{
	(void)fputs("usage: hikyakud [-c FILE] [-F] [-t]\n"
	    "  -c FILE  configuration (" DEFAULT_CONFIG ")\n"
	    "  -F       stay in the foreground\n"
	    "  -t       check the configuration and exit\n", to);
}

static struct options
parse_options(int argc, char **argv)
{
	struct options o = { .config = DEFAULT_CONFIG };
	int c;

	while ((c = getopt(argc, argv, "c:Fth")) != -1) {
		if (c == 'c') {
			o.config = optarg;
		} else if (c == 'F') {
			o.is_foreground = true;
		} else if (c == 't') {
			o.is_check = true;
		} else {
			usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 2);
		}
	}
	if (optind != argc) {
		usage(stderr);
		exit(2);
	}
	return o;
}

/* Tell the starter how it went; 0: running. */
static void
tell_starter(struct master *m, const char *text)
{
	if (m->status_fd == -1)
		return;
	(void)!write(m->status_fd, text, strlen(text));
	(void)close(m->status_fd);
	m->status_fd = -1;
}

static void
on_ready(void *ctx)
{
	struct master *m = ctx;

	ev_info(NULL, "master.ready", EV_CSTR(version, PACKAGE_VERSION));
	tell_starter(m, "ok");
}

static void
on_failed(void *ctx, const char *program)
{
	struct master *m = ctx;
	char text[4300];

	(void)snprintf(text, sizeof(text), "%s did not start; see "
	    "%s/log/hikyaku.log", program, m->dir);
	ev_error(NULL, "master.start.failed", EV_CSTR(peer, program));
	if (m->status_fd == -1)
		(void)fprintf(stderr, "hikyakud: %s\n", text);
	tell_starter(m, text);
	m->exit_status = 1;
	supervisor_stop(m->supervisor);
}

static void
on_stopped(void *ctx)
{
	struct master *m = ctx;

	loop_stop(m->loop);
}

static void
reload(struct master *m)
{
	struct err err = ERR_INIT;
	struct config *config = config_load(m->config_path, &err);

	logfile_reopen(m->log);
	if (config == NULL) {
		ev_error(NULL, "master.reload.failed", EV_ERR(&err));
		return;
	}
	supervisor_reload(m->supervisor, config);
	ev_info(NULL, "master.reloaded");
}

static void
on_signal(void *ctx, int signo)
{
	struct master *m = ctx;

	if (signo == SIGCHLD) {
		supervisor_reap(m->supervisor);
	} else if (signo == SIGHUP) {
		reload(m);
	} else {
		ev_info(NULL, "master.stopping");
		supervisor_stop(m->supervisor);
	}
}

/* ---- start ---- */

/* One hikyakud per instance: the pid file is locked while it runs. */
static void
take_pid_file(struct master *m)
{
	(void)snprintf(m->pid_path, sizeof(m->pid_path),
	    "%.4000s/run/hikyakud.pid", m->dir);
	m->pid_fd = open(m->pid_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (m->pid_fd == -1)
		fatal("hikyakud: %s: %s", m->pid_path, strerror(errno));
	if (flock(m->pid_fd, LOCK_EX | LOCK_NB) == -1)
		fatal("hikyakud: already running (%s)", m->pid_path);
}

static void
write_pid_file(struct master *m)
{
	if (ftruncate(m->pid_fd, 0) == -1 ||
	    dprintf(m->pid_fd, "%d\n", (int)getpid()) < 0)
		fatal("hikyakud: %s: %s", m->pid_path, strerror(errno));
}

/*
 * Go into the background. The starter stays until the children serve and
 * exits with the status they came to.
 */
static void
detach(struct master *m)
{
	char text[4400];
	size_t len = 0;
	ssize_t n;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		fatal("hikyakud: %s", strerror(errno));
	if (pid == 0) {
		(void)close(fds[0]);
		m->status_fd = fds[1];
		(void)setsid();
		return;
	}
	(void)close(fds[1]);
	while ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	if (strcmp(text, "ok") == 0)
		_exit(0);
	(void)fprintf(stderr, "hikyakud: %s\n", len != 0 ? text :
	    "ended while starting");
	_exit(1);
}

static void
quiet_stdio(void)
{
	int fd = open("/dev/null", O_RDWR);

	(void)dup2(fd, 0);
	(void)dup2(fd, 1);
	(void)dup2(fd, 2);
	if (fd > 2)
		(void)close(fd);
}

static void
find_dirs(struct master *m, const struct config *config)
{
	const char *folder = config_get(config, "programs");

	if (realpath(config_get(config, "directory"), m->dir) == NULL)
		fatal("hikyakud: directory %s: %s",
		    config_get(config, "directory"), strerror(errno));
	if (folder[0] == '\0')
		folder = PROGRAMS_DIR;
	if (realpath(folder, m->programs) == NULL)
		fatal("hikyakud: programs %s: %s", folder,
		    strerror(errno));
}

/* Each of them is needed: without one there is no start. */
static void
check_programs(const struct master *m)
{
	char path[sizeof(m->programs) + 64];
	bool is_whole = true;
	size_t i;

	for (i = 0; i < programs_len; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", m->programs,
		    programs[i].name);
		if (access(path, X_OK) == 0)
			continue;
		(void)fprintf(stderr, "hikyakud: program %s: %s\n", path,
		    strerror(errno));
		is_whole = false;
	}
	if (!is_whole)
		exit(1);
}

static void
watch_signals(struct master *m)
{
	loop_on_signal(m->loop, SIGCHLD, on_signal, m);
	loop_on_signal(m->loop, SIGTERM, on_signal, m);
	loop_on_signal(m->loop, SIGINT, on_signal, m);
	loop_on_signal(m->loop, SIGHUP, on_signal, m);
	(void)signal(SIGPIPE, SIG_IGN);
}

static void
serve(struct master *m, struct config *config, struct listen_socket *sockets,
    int control_fd)
{
	struct supervisor_args args = {
		.config = config, .dir = m->dir, .programs_dir = m->programs,
		.sockets = sockets, .control_fd = control_fd, .log = m->log,
		.on_ready = on_ready, .on_failed = on_failed,
		.on_stopped = on_stopped, .ctx = m,
	};

	m->loop = loop_new();
	args.loop = m->loop;
	m->supervisor = supervisor_new(&args);
	watch_signals(m);
	supervisor_start(m->supervisor);
	loop_run(m->loop);
	ev_info(NULL, "master.stopped");
	supervisor_free(&m->supervisor);
	listeners_close(&sockets);
	(void)close(control_fd);
	(void)unlink(m->pid_path);
	loop_free(&m->loop);
}

int
main(int argc, char **argv)
{
	static struct master m = { .status_fd = -1, .pid_fd = -1 };
	struct options options = parse_options(argc, argv);
	struct listen_socket *sockets = NULL;
	struct err err = ERR_INIT;
	struct config *config;
	int control_fd = -1;

	if (realpath(options.config, m.config_path) == NULL)
		fatal("hikyakud: %s: %s", options.config, strerror(errno));
	config = config_load(m.config_path, &err);
	if (config == NULL)
		fatal("hikyakud: %s", err_text(&err));
	if (options.is_check) {
		(void)printf("%s: ok\n", m.config_path);
		config_free(&config);
		return 0;
	}
	(void)umask(0022);
	find_dirs(&m, config);
	check_programs(&m);
	if (layout_make(m.dir, &err) != 0)
		fatal("hikyakud: %s", err_text(&err));
	take_pid_file(&m);
	if (listeners_open(config, m.dir, &sockets, &err) != 0 ||
	    control_open(m.dir, &control_fd, &err) != 0 ||
	    (m.log = logfile_open(m.dir, &err)) == NULL)
		fatal("hikyakud: %s", err_text(&err));
	if (!options.is_foreground) {
		detach(&m);
		quiet_stdio();
	}
	write_pid_file(&m);
	log_to_fd(logfile_fd(m.log), "hikyakud");
	serve(&m, config, sockets, control_fd);
	return m.exit_status;
}
