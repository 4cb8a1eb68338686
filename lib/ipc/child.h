/* SPDX-License-Identifier: ISC */
/*
 * child: the life of every program that hikyakud starts.
 *
 * hikyakud executes the program with a master link (master.def) on descriptor
 * 3, hands over its slice of the configuration and its descriptors, and says
 * start. Then, in this order:
 *
 *   1. spec->prepare(): still privileged, nothing hostile read yet. Open
 *      what the sandbox will forbid (libraries, converters, databases' dirs),
 *      fill in child->sandbox.
 *   2. the sandbox is entered.
 *   3. spec->start(): serve. Links declared in spec->calls are there as
 *      child_link(); clients in spec->serves are accepted as they come,
 *      also later, when a peer was restarted.
 *   4. the event loop, until spec->stop() has called child_exit(). Stop
 *      means: take nothing new, finish what is begun (SMTP 421, IMAP BYE).
 *
 *     int
 *     main(int argc, char **argv)
 *     {
 *             return child_main(argc, argv, &spec);
 *     }
 *
 * A program started by hand says that it belongs to hikyakud and exits 2.
 *
 * Ownership.  Descriptors from child_take_fd() are the caller's.
 * Errors.     An error from prepare or start is logged and ends the process
 *             with status 2; hikyakud starts it again with back-off.
 * Blocking.   As the callbacks do.
 */
#ifndef IPC_CHILD_H
#define IPC_CHILD_H

#include "io/loop.h"
#include "ipc/links.h"
#include "ipc/values.h"
#include "proc/sandbox.h"

struct child;

/* A link this program is the client of. */
struct child_call {
	const char *server;	/* as hikyakud names it: "directoryd" */
	const struct ipc_proto *proto;
	ipc_push *push;		/* ctx is child->ctx; may be NULL */
	ipc_gone *gone;		/* may be NULL */
	/* Called each time a (new) peer is attached; may be NULL. */
	void (*attached)(void *ctx, struct ipc_link *link);
};

/* Clients this program serves. */
struct child_serve {
	const struct ipc_proto *proto;
	ipc_handler *const *handlers;
	/* A client came; NULL: it gets all requests. */
	void (*came)(void *ctx, struct ipc_link *link);
	void (*gone)(void *ctx, struct ipc_link *link);	/* may be NULL */
	/* Instead of all that: make the link yourself, with what you keep
	 * per client as its ctx. fd is yours. */
	void (*accept)(struct child *child, struct str peer, int fd);
};

struct child_spec {
	const char *name;		/* "smtpd" */
	size_t ctx_size;		/* child->ctx: so many zeroed octets */
	const struct child_call *calls;	/* ended by server NULL; or NULL */
	const struct child_serve *serves;	/* ended by proto NULL; or NULL */
	int (*prepare)(struct child *child, struct err *err);
	int (*start)(struct child *child, struct err *err);
	void (*reload)(struct child *child);	/* may be NULL */
	void (*stop)(struct child *child);	/* NULL: exit at once */
};

struct child {
	const struct child_spec *spec;
	struct loop *loop;
	void *ctx;
	struct sandbox sandbox;		/* prepare fills it in */
	bool is_root;			/* started as root: uids and chroot apply */
};

int child_main(int argc, char **argv, const struct child_spec *spec);

/* The link to a server of spec->calls. */
struct ipc_link *child_link(struct child *child, const char *server);

/* child->ctx of the program that serves this link: for handlers. */
void *child_link_ctx(const struct ipc_link *link);

/* The link to hikyakud. */
struct ipc_link *child_master(struct child *child);

/* A value of the configuration slice; the default when it is not there. */
struct str child_config(struct child *child, const char *key,
    const char *fallback);
uint64_t child_config_u64(struct child *child, const char *key,
    uint64_t fallback);

/*
 * Path of a folder of the instance ("data/queue"). Under root the sandbox's
 * root is that folder and paths are relative to it: see child_enter_dir().
 */
const char *child_dir(struct child *child, const char *folder);

/*
 * For prepare: make folder the one part of the file system that is left, with
 * these rights (0: nothing at all). Returns the path by which it is reached
 * afterwards: "" under root (chroot), the full path otherwise.
 */
const char *child_enter_dir(struct child *child, const char *folder,
    int rights);

/* Walk the keys that begin with prefix: *cursor starts at 0; false: no more. */
bool child_config_next(struct child *child, const char *prefix,
    size_t *cursor, struct str *key_r, struct str *value_r);

/* Take the descriptor that hikyakud sent under this name; -1: there is none. */
int child_take_fd(struct child *child, const char *name);

/* Walk descriptors whose name begins with prefix ("listen:"), taking them. */
int child_take_next_fd(struct child *child, const char *prefix,
    struct str *rest_r);

/* Leave the loop and exit 0. */
void child_exit(struct child *child);

/* Tell hikyakud (and so doctor) that something needs an operator. */
void child_alert(struct child *child, const char *what);

#endif
