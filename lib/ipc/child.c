/* SPDX-License-Identifier: ISC */
#include "ipc/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"

#define MASTER_SOCKET 3
#define CALLS_MAX 8
#define PIECES_MAX 64

struct named_fd {
	struct list node;
	int fd;
	char name[96];
};

struct served {
	struct list node;
	const struct child_serve *serve;
	struct ipc_link *link;
};

struct setting {
	struct list node;
	struct str key;
	struct str value;
};

/* What struct child is the visible part of. */
struct inner {
	struct child child;
	struct ipc_link *master;
	struct arena *arena;		/* as long as the process */
	struct ipc_link *calls[CALLS_MAX];
	struct list fds;
	struct list served;
	struct arena *settings_arena;
	struct list settings;
	struct arena *next_arena;	/* pieces since start or reload */
	struct list next_settings;
	bool is_started;
	bool has_begun;
};

static struct inner *
inner(struct child *child)
{
	return (struct inner *)(void *)child;
}

/* ---- configuration ---- */

static void
take_config(struct inner *in, struct str lines)
{
	struct str rest = lines, line, value;
	struct setting *setting;

	if (in->next_arena == NULL) {
		in->next_arena = arena_new(0);
		list_init(&in->next_settings);
	}
	while (rest.p != NULL && rest.len != 0) {
		line = str_cut(rest, '\n', &rest);
		line = str_cut(line, '=', &value);
		if (line.len == 0 || value.p == NULL)
			continue;
		setting = arena_new_of(in->next_arena, struct setting);
		setting->key = arena_str(in->next_arena, line);
		setting->value = arena_str(in->next_arena, value);
		list_add(&in->next_settings, &setting->node);
	}
}

static void
use_config(struct inner *in)
{
	struct setting *setting;

	if (in->next_arena == NULL)
		return;
	arena_free(&in->settings_arena);
	in->settings_arena = in->next_arena;
	in->next_arena = NULL;
	list_init(&in->settings);
	while ((setting = list_first(&in->next_settings, struct setting,
	    node)) != NULL) {
		list_del(&setting->node);
		list_add(&in->settings, &setting->node);
	}
	log_set_level((enum log_level)log_level_of(child_config(&in->child,
	    "log_level", "info")));
}

struct str
child_config(struct child *child, const char *key, const char *fallback)
{
	struct inner *in = inner(child);
	struct setting *it, *tmp;

	list_each(it, tmp, &in->settings, struct setting, node)
		if (str_eq(it->key, str_of(key)))
			return it->value;
	return str_of(fallback);
}

uint64_t
child_config_u64(struct child *child, const char *key, uint64_t fallback)
{
	uint64_t value;

	if (str_to_u64(child_config(child, key, ""), UINT64_MAX, &value) != 0)
		return fallback;
	return value;
}

bool
child_config_next(struct child *child, const char *prefix, size_t *cursor,
    struct str *key_r, struct str *value_r)
{
	struct inner *in = inner(child);
	struct setting *it, *tmp;
	size_t i = 0;

	list_each(it, tmp, &in->settings, struct setting, node) {
		if (i++ < *cursor || !str_begins(it->key, str_of(prefix)))
			continue;
		*cursor = i;
		*key_r = it->key;
		*value_r = it->value;
		return true;
	}
	return false;
}

const char *
child_dir(struct child *child, const char *folder)
{
	struct str dir = child_config(child, "directory", ".");

	return arena_printf(inner(child)->arena, "%.*s/%s", STR_FMT(dir),
	    folder).p;
}

const char *
child_enter_dir(struct child *child, const char *folder, int rights)
{
	struct sandbox_path *paths = arena_alloc(inner(child)->arena,
	    2 * sizeof(*paths));
	const char *dir = child_dir(child, folder);

	child->sandbox.root = dir;
	if (rights != 0) {
		paths[0].path = child->is_root ? "/" : dir;
		paths[0].rights = rights;
		child->sandbox.paths = paths;
	}
	return child->is_root ? "" : dir;
}

/* ---- descriptors ---- */

static void
keep_fd(struct inner *in, struct str name, int fd)
{
	struct named_fd *named = calloc(1, sizeof(*named));

	invariant(named != NULL);
	named->fd = fd;
	(void)snprintf(named->name, sizeof(named->name), "%.*s",
	    STR_FMT(name));
	list_add(&in->fds, &named->node);
}

static int
named_fd_take(struct named_fd *named)
{
	int fd = named->fd;

	list_del(&named->node);
	free(named);
	return fd;
}

int
child_take_fd(struct child *child, const char *name)
{
	struct named_fd *it, *tmp;

	list_each(it, tmp, &inner(child)->fds, struct named_fd, node)
		if (str_eq(str_of(it->name), str_of(name)))
			return named_fd_take(it);
	return -1;
}

int
child_take_next_fd(struct child *child, const char *prefix,
    struct str *rest_r)
{
	static char rest[96];
	struct named_fd *it, *tmp;

	list_each(it, tmp, &inner(child)->fds, struct named_fd, node) {
		if (!str_begins(str_of(it->name), str_of(prefix)))
			continue;
		(void)snprintf(rest, sizeof(rest), "%s",
		    it->name + strlen(prefix));
		*rest_r = str_of(rest);
		return named_fd_take(it);
	}
	return -1;
}

/* ---- links ---- */

struct ipc_link *
child_link(struct child *child, const char *server)
{
	const struct child_call *calls = child->spec->calls;
	size_t i;

	for (i = 0; calls != NULL && calls[i].server != NULL; i++)
		if (strcmp(calls[i].server, server) == 0)
			return inner(child)->calls[i];
	invariant_failed("a link that spec->calls names", __FILE__, __LINE__);
}

struct ipc_link *
child_master(struct child *child)
{
	return inner(child)->master;
}

static void
attach_call(struct inner *in, struct str server, int fd)
{
	const struct child_call *calls = in->child.spec->calls;
	size_t i;

	for (i = 0; calls != NULL && calls[i].server != NULL; i++) {
		if (!str_eq(server, str_of(calls[i].server)))
			continue;
		ipc_client_attach(in->calls[i], fd);
		if (calls[i].attached != NULL)
			calls[i].attached(in->child.ctx, in->calls[i]);
		return;
	}
	(void)close(fd);
}

static void
on_served_gone(void *ctx, struct ipc_link *link)
{
	struct inner *in = ctx;
	struct served *it, *tmp;

	list_each(it, tmp, &in->served, struct served, node) {
		if (it->link != link)
			continue;
		if (it->serve->gone != NULL)
			it->serve->gone(in->child.ctx, link);
		list_del(&it->node);
		free(it);
		break;
	}
	ipc_link_free(&link);
}

/* name is PROTO/PEER: which of the tables we serve, and to whom. */
static void
attach_serve(struct inner *in, struct str name, int fd)
{
	const struct child_serve *serve = in->child.spec->serves;
	struct str peer, proto = str_cut(name, '/', &peer);
	struct served *served;

	for (; serve != NULL && serve->proto != NULL; serve++)
		if (str_eq(proto, str_of(serve->proto->name)))
			break;
	if (serve == NULL || serve->proto == NULL) {
		(void)close(fd);
		return;
	}
	if (serve->accept != NULL) {
		serve->accept(&in->child, peer, fd);
		return;
	}
	served = calloc(1, sizeof(*served));
	invariant(served != NULL);
	served->serve = serve;
	list_add(&in->served, &served->node);
	served->link = ipc_serve(in->child.loop, serve->proto, fd, peer,
	    serve->handlers, in, on_served_gone);
	if (serve->came != NULL)
		serve->came(in->child.ctx, served->link);
}

void *
child_link_ctx(const struct ipc_link *link)
{
	struct inner *in = ipc_link_ctx(link);

	return in->child.ctx;
}

/* Links that came before the start, or come now. */
static void
attach_links(struct inner *in)
{
	struct str name;
	int fd;

	while ((fd = child_take_next_fd(&in->child, "call:", &name)) != -1)
		attach_call(in, name, fd);
	while ((fd = child_take_next_fd(&in->child, "serve:", &name)) != -1)
		attach_serve(in, name, fd);
}

/* ---- start and stop ---- */

static _Noreturn void
give_up(struct inner *in, const char *step, struct err *err)
{
	ev_error(NULL, "process.start.failed", EV_CSTR(state, step),
	    EV_ERR(err));
	(void)in;
	_exit(2);
}

static void
begin(struct inner *in)
{
	const struct child_spec *spec = in->child.spec;
	struct err err = ERR_INIT;
	struct ipc_out *out;
	char entered[128];
	size_t i;

	in->has_begun = true;
	use_config(in);
	for (i = 0; spec->calls != NULL && spec->calls[i].server != NULL; i++) {
		invariant(i < CALLS_MAX);
		in->calls[i] = ipc_client_new(in->child.loop,
		    spec->calls[i].proto, in->child.ctx);
		ipc_client_on(in->calls[i], spec->calls[i].push,
		    spec->calls[i].gone);
	}
	in->child.sandbox.is_degraded_ok = str_eq(child_config(&in->child,
	    "sandbox", "full"), STR("degraded"));
	if (spec->prepare != NULL && spec->prepare(&in->child, &err) != 0)
		give_up(in, "prepare", &err);
	if (sandbox_enter(&in->child.sandbox, entered, sizeof(entered),
	    &err) != 0)
		give_up(in, "sandbox", &err);
	if (spec->start != NULL && spec->start(&in->child, &err) != 0)
		give_up(in, "start", &err);
	in->is_started = true;
	attach_links(in);
	out = ipc_begin(in->master, MASTER_READY);
	ipc_put_str(out, str_of(PACKAGE_VERSION));
	ipc_put_str(out, str_of(entered));
	(void)ipc_send(out, -1);
}

static void
on_master_push(void *ctx, unsigned type, struct ipc_in *msg)
{
	struct inner *in = ctx;
	struct str name;

	switch ((enum ipc_master_request)type) {
	case MASTER_CONFIG:
		take_config(in, ipc_get_str(msg));
		break;
	case MASTER_FD:
		name = ipc_get_str(msg);
		keep_fd(in, name, ipc_take_fd(msg));
		if (in->is_started)
			attach_links(in);
		break;
	case MASTER_START:
		if (!in->has_begun)
			begin(in);
		break;
	case MASTER_RELOAD:
		use_config(in);
		if (in->child.spec->reload != NULL)
			in->child.spec->reload(&in->child);
		break;
	case MASTER_STOP:
		if (in->child.spec->stop != NULL && in->is_started)
			in->child.spec->stop(&in->child);
		else
			child_exit(&in->child);
		break;
	default:
		break;
	}
}

/* Without hikyakud nobody restarts or relinks us: end as if told to stop. */
static void
on_master_gone(void *ctx, struct ipc_link *link)
{
	struct inner *in = ctx;

	(void)link;
	ev_warn(NULL, "process.master.gone");
	if (in->child.spec->stop != NULL && in->is_started)
		in->child.spec->stop(&in->child);
	else
		child_exit(&in->child);
}

void
child_exit(struct child *child)
{
	loop_stop(child->loop);
}

void
child_alert(struct child *child, const char *what)
{
	struct ipc_out *out = ipc_begin(inner(child)->master, MASTER_ALERT);

	ev_error(NULL, "process.alert", EV_CSTR(detail, what));
	ipc_put_str(out, str_of(what));
	(void)ipc_send(out, -1);
}

static bool
is_master_fd(void)
{
	struct stat st;

	return fstat(MASTER_SOCKET, &st) == 0 && S_ISSOCK(st.st_mode);
}

int
child_main(int argc, char **argv, const struct child_spec *spec)
{
	struct inner *in = calloc(1, sizeof(*in));

	(void)argc;
	(void)argv;
	invariant(in != NULL);
	if (!is_master_fd())
		fatal("%s belongs to hikyakud, which starts it", spec->name);
	/* Fronts and servers outlive a terminal; hikyakud alone stops us. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)fcntl(MASTER_SOCKET, F_SETFD, FD_CLOEXEC);
	(void)umask(0007);
	log_to_fd(STDERR_FILENO, spec->name);
	in->child.spec = spec;
	in->child.is_root = geteuid() == 0;
	in->child.loop = loop_new();
	in->child.ctx = calloc(1, spec->ctx_size != 0 ? spec->ctx_size : 1);
	invariant(in->child.ctx != NULL);
	in->arena = arena_new(0);
	list_init(&in->fds);
	list_init(&in->served);
	list_init(&in->settings);
	in->master = ipc_client_new(in->child.loop, &ipc_master, in);
	ipc_client_on(in->master, on_master_push, on_master_gone);
	ipc_client_attach(in->master, MASTER_SOCKET);
	loop_run(in->child.loop);
	/* Everything durable is on disk before a stop is granted, and the
	 * kernel frees memory faster than we do. */
	_exit(0);
}
