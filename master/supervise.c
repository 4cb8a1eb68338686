/* SPDX-License-Identifier: ISC */
#include "master/connect.h"
#include "master/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/when.h"
#include "ipc/links.h"
#include "master/topology.h"

#define CHILDREN_MAX 128
#define RESTART_FIRST_MS 100
#define RESTART_LAST_MS 10000
#define RESTART_FORGET_MS 60000
#define STOP_MS 20000
#define STAGE_LAST 4
#define SLICE_PIECE 32768

struct child_slot {
	struct supervisor *s;
	const struct program *program;
	unsigned instance;
	pid_t pid;			/* 0: not running */
	struct ipc_link *link;
	struct logpipe *pipe;
	struct loop_timer timer;	/* restart, or kill when stopping */
	uint64_t started_ms;
	uint64_t backoff_ms;
	unsigned restarts;
	bool is_ready;
	char version[32];
	char sandbox[96];
	char alert[128];
};

struct supervisor {
	struct supervisor_args args;
	struct child_slot slots[CHILDREN_MAX];
	size_t slots_len;
	bool was_ready;
	bool is_stopping;
	int stage;
};

static void child_start(struct child_slot *slot);

/* ---- handing over ---- */

static void
send_fd(struct child_slot *slot, const char *kind, const char *name, int fd)
{
	struct ipc_out *out;
	char full[160];

	if (slot->link == NULL || fd == -1)
		return;
	(void)snprintf(full, sizeof(full), "%s:%s", kind, name);
	out = ipc_begin(slot->link, MASTER_FD);
	ipc_put_str(out, str_of(full));
	if (ipc_send(out, fd) != 0)
		ev_warn(NULL, "master.handover.failed",
		    EV_CSTR(peer, slot->program->name));
}

static void
send_file(struct child_slot *slot, const char *name, const char *key)
{
	const char *path = config_get(slot->s->args.config, key);
	char full[4096];
	int fd;

	(void)snprintf(full, sizeof(full), "%s%s%s",
	    path[0] == '/' ? "" : slot->s->args.dir,
	    path[0] == '/' ? "" : "/", path);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd == -1) {
		ev_error(NULL, "master.file.unreadable", EV_CSTR(path, full),
		    EV_CSTR(reason, strerror(errno)));
		return;
	}
	send_fd(slot, "file", name, fd);
	(void)close(fd);
}

static bool
takes_listener(const struct program *program, const char *protocol)
{
	struct str rest = str_of(program->protocols), word;

	while (rest.p != NULL) {
		word = str_cut(rest, ' ', &rest);
		if (str_eq(word, str_of(protocol)))
			return true;
	}
	return false;
}

static void
send_listeners(struct child_slot *slot)
{
	const struct listen_socket *s = slot->s->args.sockets;

	for (; s != NULL; s = s->next)
		if (takes_listener(slot->program, s->protocol))
			send_fd(slot, "listen", s->name, s->fd);
	if ((slot->program->needs & NEEDS_CONTROL) != 0)
		send_fd(slot, "listen", "control",
		    slot->s->args.control_fd);
}

static void
send_files(struct child_slot *slot)
{
	/* Their alerts are of these files: what is still wrong is told again. */
	if ((slot->program->needs & (NEEDS_CERT | NEEDS_KEY)) != 0)
		slot->alert[0] = '\0';
	if ((slot->program->needs & NEEDS_CERT) != 0)
		send_file(slot, "tls_cert", "tls_certificate");
	if ((slot->program->needs & NEEDS_KEY) != 0)
		send_file(slot, "tls_key", "tls_key");
}

static void
send_config(struct child_slot *slot)
{
	const struct supervisor_args *args = &slot->s->args;
	const struct listen_socket *l = args->sockets;
	struct ipc_out *out;
	struct buf lines;
	struct str all;

	buf_init(&lines, 1 << 20);
	config_slice(args->config, slot->program->name, &lines);
	buf_addf(&lines, "instance=%u\ndirectory=%s\nowner_uid=%u\n",
	    slot->instance, args->dir, (unsigned)geteuid());
	for (; l != NULL; l = l->next)
		if (takes_listener(slot->program, l->protocol))
			buf_addf(&lines, "listener.%s=%s %s %s %s\n",
			    l->name, l->protocol, l->tls,
			    l->takes_clear_logins ? "clear" : "-", l->zone);
	all = buf_str(&lines);
	/* Pieces end with a line, so that each is read by itself. */
	while (all.len != 0) {
		struct str piece = str_sub(all, 0, SLICE_PIECE);

		piece.len = str_rfind(piece, '\n') + 1;
		out = ipc_begin(slot->link, MASTER_CONFIG);
		ipc_put_str(out, piece);
		(void)ipc_send(out, -1);
		all = str_sub(all, piece.len, all.len);
	}
	buf_fini(&lines);
}

/* One link: the client's and the server's ends of a pair. */
static void
make_link(struct child_slot *client, struct child_slot *server,
    const char *proto)
{
	struct err err = ERR_INIT;
	char name[96];
	int fds[2];

	if (ipc_pair(fds, &err) != 0) {
		ev_error(NULL, "master.link.failed", EV_ERR(&err));
		return;
	}
	(void)snprintf(name, sizeof(name), "%s/%s", proto,
	    client->program->name);
	send_fd(server, "serve", name, fds[1]);
	send_fd(client, "call", server->program->name, fds[0]);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/*
 * Of a server with several processes each client has one: theirs are dealt
 * out evenly. A client with several processes is known to all its servers.
 */
static bool
are_partners(const struct child_slot *client, const struct child_slot *server)
{
	const struct supervisor *s = server->s;
	unsigned servers = 0;
	size_t i;

	for (i = 0; i < s->slots_len; i++)
		servers += s->slots[i].program == server->program;
	return client->instance % servers == server->instance;
}

/* All links of slot with the children that run. */
static void
make_links(struct child_slot *slot)
{
	struct supervisor *s = slot->s;
	const struct program_link *row;
	size_t i, j;

	for (i = 0; i < program_links_len; i++) {
		row = &program_links[i];
		for (j = 0; j < s->slots_len; j++) {
			struct child_slot *other = &s->slots[j];

			if (other->link == NULL || other == slot)
				continue;
			if (strcmp(row->client, slot->program->name) == 0 &&
			    strcmp(row->server, other->program->name) == 0 &&
			    are_partners(slot, other))
				make_link(slot, other, row->proto);
			else if (strcmp(row->server, slot->program->name) ==
			    0 && strcmp(row->client, other->program->name) ==
			    0 && are_partners(other, slot))
				make_link(other, slot, row->proto);
		}
	}
}

/* ---- what children say ---- */

static void
check_ready(struct supervisor *s)
{
	size_t i;

	for (i = 0; i < s->slots_len; i++)
		if (!s->slots[i].is_ready)
			return;
	if (s->was_ready)
		return;
	s->was_ready = true;
	s->args.on_ready(s->args.ctx);
}

static void
copy_text(char *to, size_t size, struct str text)
{
	(void)snprintf(to, size, "%.*s", STR_FMT(text));
}

static void
on_ready(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct child_slot *slot = ipc_link_ctx(link);

	(void)req;
	copy_text(slot->version, sizeof(slot->version), ipc_get_str(in));
	copy_text(slot->sandbox, sizeof(slot->sandbox), ipc_get_str(in));
	slot->is_ready = true;
	ipc_link_set_state(link, 1);
	ev_info(NULL, "process.ready", EV_CSTR(peer, slot->program->name),
	    EV_U64(peer_pid, slot->pid), EV_CSTR(detail, slot->sandbox));
	check_ready(slot->s);
}

static void
on_alert(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct child_slot *slot = ipc_link_ctx(link);

	(void)req;
	copy_text(slot->alert, sizeof(slot->alert), ipc_get_str(in));
}

static void
on_processes(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct child_slot *slot = ipc_link_ctx(link);
	struct supervisor *s = slot->s;
	struct ipc_out *out = ipc_reply_begin(req);
	uint64_t now = when_mono_ms();
	size_t i;

	(void)in;
	for (i = 0; i < s->slots_len; i++) {
		slot = &s->slots[i];
		ipc_put_str(out, str_of(slot->program->name));
		ipc_put_u64(out, (uint64_t)slot->pid);
		ipc_put_str(out, str_of(slot->is_ready ? slot->version : ""));
		ipc_put_str(out, str_of(slot->is_ready ? slot->sandbox : ""));
		ipc_put_u64(out, slot->restarts);
		ipc_put_u64(out, now - slot->started_ms);
		ipc_put_str(out, str_of(slot->alert));
	}
	ipc_reply_end(out, -1);
}

static void
on_listeners(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct child_slot *slot = ipc_link_ctx(link);
	const struct listen_socket *l = slot->s->args.sockets;
	struct ipc_out *out = ipc_reply_begin(req);

	(void)in;
	for (; l != NULL; l = l->next) {
		ipc_put_str(out, str_of(l->name));
		ipc_put_str(out, str_of(l->protocol));
		ipc_put_str(out, str_of(l->address));
		ipc_put_u64(out, l->port);
		ipc_put_str(out, str_of(l->tls));
		ipc_put_str(out, str_of(l->zone));
	}
	ipc_reply_end(out, -1);
}

static const char *
milter_address(const struct config *config, struct str name)
{
	const struct config_milter *milters;
	size_t i, n = config_milters(config, &milters);

	for (i = 0; i < n; i++)
		if (str_eq(name, str_of(milters[i].name)))
			return milters[i].address;
	return NULL;
}

static const char *
engine_address(const struct config *config, struct str name)
{
	const struct config_detonation *engines;
	size_t i, n = config_detonations(config, &engines);

	for (i = 0; i < n; i++)
		if (str_eq(name, str_of(engines[i].name)))
			return engines[i].address;
	return NULL;
}

static void
on_connect(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct child_slot *slot = ipc_link_ctx(link);
	const struct config *config = slot->s->args.config;
	struct str name = ipc_get_str(in);
	const char *address = NULL;
	struct err err = ERR_INIT;
	int fd;

	if ((slot->program->needs & NEEDS_MILTERS) != 0)
		address = milter_address(config, name);
	else if ((slot->program->needs & NEEDS_ENGINES) != 0)
		address = engine_address(config, name);
	if (address == NULL) {
		ipc_reply_err(req, ERR_NOTFOUND, "no such service");
		return;
	}
	fd = connect_to(str_of(address), &err);
	if (fd < 0) {
		ipc_reply_err(req, ERR_TEMP, "%s", err_text(&err));
		return;
	}
	ipc_reply_end(ipc_reply_begin(req), fd);
	(void)close(fd);
}

static ipc_handler *const handlers[] = {
	[MASTER_READY] = on_ready,
	[MASTER_ALERT] = on_alert,
	[MASTER_PROCESSES] = on_processes,
	[MASTER_LISTENERS] = on_listeners,
	[MASTER_CONNECT] = on_connect,
	[MASTER_CONFIG] = NULL,
	[MASTER_FD] = NULL,
	[MASTER_START] = NULL,
	[MASTER_RELOAD] = NULL,
	[MASTER_STOP] = NULL,
};

/* The link broke, or the child violated it: it cannot be supervised. */
static void
on_link_gone(void *ctx, struct ipc_link *link)
{
	struct child_slot *slot = ctx;

	ipc_link_free(&link);
	slot->link = NULL;
	if (slot->pid != 0)
		(void)kill(slot->pid, SIGKILL);
}

/* ---- one child ---- */

static _Noreturn void
child_exec(const char *path, const char *name, int log_fd, int master_fd)
{
	static const char *const keep[] = { "TZ", "ASAN_OPTIONS",
	    "UBSAN_OPTIONS", "LSAN_OPTIONS" };
	char *env[8] = { NULL }, *argv[2];
	sigset_t none;
	size_t i, n = 0;
	int null_fd = open("/dev/null", O_RDWR);

	argv[0] = strdup(name);
	argv[1] = NULL;
	for (i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
		const char *value = getenv(keep[i]);

		if (value != NULL &&
		    asprintf(&env[n], "%s=%s", keep[i], value) != -1)
			n++;
	}
	/* Above the targets first, so that none is overwritten. */
	log_fd = fcntl(log_fd, F_DUPFD, 10);
	master_fd = fcntl(master_fd, F_DUPFD, 10);
	if (dup2(null_fd, 0) == -1 || dup2(log_fd, 1) == -1 ||
	    dup2(log_fd, 2) == -1 || dup2(master_fd, 3) == -1)
		_exit(2);
	(void)close_range(4, ~0U, 0);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execve(path, argv, env);
	(void)dprintf(2, "cannot execute %s: %s\n", path, strerror(errno));
	_exit(2);
}

static void
child_hand_over(struct child_slot *slot, int master_fd)
{
	struct ipc_out *out;
	uint64_t allowed = 1ULL << MASTER_READY | 1ULL << MASTER_ALERT;

	if ((slot->program->needs & NEEDS_CONTROL) != 0)
		allowed |= 1ULL << MASTER_PROCESSES |
		    1ULL << MASTER_LISTENERS;
	if ((slot->program->needs & (NEEDS_MILTERS | NEEDS_ENGINES)) != 0)
		allowed |= 1ULL << MASTER_CONNECT;
	if ((slot->program->needs & NEEDS_LISTENERS) != 0)
		allowed |= 1ULL << MASTER_LISTENERS;
	slot->link = ipc_serve(slot->s->args.loop, &ipc_master, master_fd,
	    str_of(slot->program->name), handlers, slot, on_link_gone);
	ipc_link_allow(slot->link, allowed);
	send_config(slot);
	send_files(slot);
	send_listeners(slot);
	make_links(slot);
	out = ipc_begin(slot->link, MASTER_START);
	(void)ipc_send(out, -1);
}

static void
child_start(struct child_slot *slot)
{
	struct supervisor *s = slot->s;
	struct err err = ERR_INIT;
	char path[4096];
	int fds[2], log_fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", s->args.programs_dir,
	    slot->program->name);
	slot->is_ready = false;
	slot->alert[0] = '\0';
	slot->started_ms = when_mono_ms();
	if (ipc_pair(fds, &err) != 0 || (slot->pipe = logpipe_open(s->args.log,
	    s->args.loop, slot->program->name, &log_fd, &err)) == NULL)
		fatal("%s", err_text(&err));
	slot->pid = fork();
	if (slot->pid == -1)
		fatal("fork: %s", strerror(errno));
	if (slot->pid == 0)
		child_exec(path, slot->program->name, log_fd, fds[1]);
	(void)close(fds[1]);
	(void)close(log_fd);
	logpipe_set_pid(slot->pipe, slot->pid);
	child_hand_over(slot, fds[0]);
}

static void
child_stop(struct child_slot *slot)
{
	struct ipc_out *out;

	if (slot->pid == 0 || slot->link == NULL)
		return;
	out = ipc_begin(slot->link, MASTER_STOP);
	(void)ipc_send(out, -1);
	loop_timer_start(&slot->timer, STOP_MS);
}

static void
on_child_timer(void *arg)
{
	struct child_slot *slot = arg;

	if (!slot->s->is_stopping) {
		child_start(slot);
		return;
	}
	if (slot->pid == 0)
		return;
	ev_warn(NULL, "process.stop.late", EV_CSTR(peer, slot->program->name),
	    EV_U64(peer_pid, slot->pid));
	(void)kill(slot->pid, SIGKILL);
}

/* ---- stages of the stop ---- */

static void
stop_stage(struct supervisor *s)
{
	bool is_any = false;
	size_t i;

	for (; s->stage <= STAGE_LAST && !is_any; s->stage++)
		for (i = 0; i < s->slots_len; i++)
			if (s->slots[i].program->stop_stage == s->stage &&
			    s->slots[i].pid != 0) {
				child_stop(&s->slots[i]);
				is_any = true;
			}
	if (!is_any)
		s->args.on_stopped(s->args.ctx);
}

static void
stop_went_on(struct supervisor *s)
{
	size_t i;

	/* s->stage is already the next one. */
	for (i = 0; i < s->slots_len; i++)
		if (s->slots[i].program->stop_stage < s->stage &&
		    s->slots[i].pid != 0)
			return;
	stop_stage(s);
}

void
supervisor_stop(struct supervisor *s)
{
	if (s->is_stopping)
		return;
	s->is_stopping = true;
	s->stage = 0;
	stop_stage(s);
}

/* ---- deaths ---- */

static void
log_death(const struct child_slot *slot, int status)
{
	if (slot->s->is_stopping && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0) {
		ev_info(NULL, "process.stopped",
		    EV_CSTR(peer, slot->program->name),
		    EV_U64(peer_pid, slot->pid));
		return;
	}
	ev_error(NULL, "process.died", EV_CSTR(peer, slot->program->name),
	    EV_U64(peer_pid, slot->pid),
	    EV_I64(status, WIFEXITED(status) ? WEXITSTATUS(status) : -1),
	    EV_I64(signal, WIFSIGNALED(status) ? WTERMSIG(status) : 0));
}

static void
schedule_restart(struct child_slot *slot)
{
	uint64_t wait_ms = slot->backoff_ms;

	if (when_mono_ms() - slot->started_ms > RESTART_FORGET_MS)
		wait_ms = 0;
	slot->backoff_ms = wait_ms == 0 ? RESTART_FIRST_MS : wait_ms * 2;
	if (slot->backoff_ms > RESTART_LAST_MS)
		slot->backoff_ms = RESTART_LAST_MS;
	slot->restarts++;
	loop_timer_start(&slot->timer, wait_ms);
}

static void
child_died(struct child_slot *slot, int status)
{
	struct supervisor *s = slot->s;

	log_death(slot, status);
	slot->pid = 0;
	slot->is_ready = false;
	ipc_link_free(&slot->link);
	logpipe_free(&slot->pipe);
	loop_timer_stop(&slot->timer);
	if (s->is_stopping) {
		stop_went_on(s);
	} else if (!s->was_ready && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 2) {
		s->args.on_failed(s->args.ctx, slot->program->name);
	} else {
		schedule_restart(slot);
	}
}

void
supervisor_reap(struct supervisor *s)
{
	pid_t pid;
	int status;
	size_t i;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < s->slots_len; i++)
			if (s->slots[i].pid == pid) {
				child_died(&s->slots[i], status);
				break;
			}
}

/* ---- life ---- */

void
supervisor_reload(struct supervisor *s, struct config *config)
{
	struct ipc_out *out;
	size_t i;

	config_free(&s->args.config);
	s->args.config = config;
	for (i = 0; i < s->slots_len; i++) {
		struct child_slot *slot = &s->slots[i];

		if (slot->link == NULL)
			continue;
		send_config(slot);
		send_files(slot);
		out = ipc_begin(slot->link, MASTER_RELOAD);
		(void)ipc_send(out, -1);
	}
}

static void
add_slots(struct supervisor *s, const struct program *program)
{
	struct child_slot *slot;
	uint64_t n = 1;
	unsigned i;

	if (program->workers_key != NULL)
		n = config_get_u64(s->args.config, program->workers_key);
	for (i = 0; i < n && s->slots_len < CHILDREN_MAX; i++) {
		slot = &s->slots[s->slots_len++];
		slot->s = s;
		slot->program = program;
		slot->instance = i;
		loop_timer_init(&slot->timer, s->args.loop, on_child_timer,
		    slot);
	}
}

struct supervisor *
supervisor_new(const struct supervisor_args *args)
{
	struct supervisor *s = calloc(1, sizeof(*s));
	size_t i;

	invariant(s != NULL);
	s->args = *args;
	for (i = 0; i < programs_len; i++)
		add_slots(s, &programs[i]);
	return s;
}

void
supervisor_start(struct supervisor *s)
{
	size_t i;

	for (i = 0; i < s->slots_len; i++)
		child_start(&s->slots[i]);
}

void
supervisor_free(struct supervisor **s)
{
	size_t i;

	if (*s == NULL)
		return;
	for (i = 0; i < (*s)->slots_len; i++)
		loop_timer_fini(&(*s)->slots[i].timer);
	config_free(&(*s)->args.config);
	free(*s);
	*s = NULL;
}
