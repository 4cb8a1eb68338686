/* SPDX-License-Identifier: ISC */
#include "base/test.h"
#include "base/test_folder.h"

#include "mboxd/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"
#include "base/when.h"
#include "blob/layout.h"
#include "ipc/ticket.h"
#include "store/store.h"

#define NOBODY 65534
#define WAIT_MS 20000

struct rig rig;

/* ---- waiting ---- */

static void
on_tick(void *arg)
{
	loop_timer_start(arg, 20);
}

void
rig_until(const uint64_t *what, uint64_t want)
{
	uint64_t end = when_mono_ms() + WAIT_MS;
	struct loop_timer tick;

	/* So that the loop comes back to look at the clock. */
	loop_timer_init(&tick, rig.loop, on_tick, &tick);
	loop_timer_start(&tick, 20);
	while (*what < want) {
		if (when_mono_ms() > end)
			fail_msg("waited too long");
		loop_once(rig.loop);
	}
	loop_timer_fini(&tick);
}

/* ---- the directory ---- */

static void
on_account(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	uint64_t account = ipc_get_u64(in);
	struct ipc_out *out;

	(void)link;
	if (account == RIG_NO_ACCOUNT) {
		ipc_reply_err(req, ERR_NOTFOUND, "no such account");
		return;
	}
	out = ipc_reply_begin(req);
	ipc_put_str(out, STR("somebody@example.test"));
	ipc_put_u64(out, 1);
	ipc_put_u64(out, account == RIG_QUOTA_ACCOUNT ? 1000 : 0);
	ipc_put_bool(out, account != RIG_SHUT_ACCOUNT);
	ipc_put_str(out, STR("en"));
	ipc_reply_end(out, -1);
}

static void
on_usage(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	(void)link;
	(void)req;
	while (ipc_more(in)) {
		(void)ipc_get_u64(in);
		(void)ipc_get_u64(in);
		(void)ipc_get_u64(in);
		(void)ipc_get_u64(in);
		rig.usage_rows++;
	}
}

static ipc_handler *const dir_handlers[DIR_CHANGED + 1] = {
	[DIR_ACCOUNT] = on_account,
	[DIR_USAGE] = on_usage,
};

static struct ipc_link *directory;

void
rig_directory_changed(uint64_t account, bool ends_sessions)
{
	struct ipc_out *out = ipc_begin(directory, DIR_CHANGED);

	ipc_put_u64(out, account);
	ipc_put_bool(out, ends_sessions);
	assert_int_equal(ipc_send(out, -1), 0);
}

static void
on_peer_gone(void *ctx, struct ipc_link *link)
{
	(void)ctx;
	if (link == directory)
		directory = NULL;
	ipc_link_free(&link);
}

/* ---- hikyakud ---- */

static void
on_ready(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct rig_program *program = ipc_link_ctx(link);

	(void)req;
	(void)in;
	program->is_ready = true;
}

static void
on_alert(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct str what = ipc_get_str(in);

	(void)link;
	(void)req;
	fail_msg("alert: %.*s", STR_FMT(what));
}

static ipc_handler *const master_handlers[MASTER_STOP + 1] = {
	[MASTER_READY] = on_ready,
	[MASTER_ALERT] = on_alert,
};

static void
on_program_gone(void *ctx, struct ipc_link *link)
{
	struct rig_program *program = ctx;

	program->master = NULL;
	ipc_link_free(&link);
}

static _Noreturn void
exec_program(const struct rig_program *program, int fd)
{
	char *argv[2] = { strdup(program->name), NULL };
	int exe;

	if (dup2(fd, 3) == -1)
		_exit(2);
	(void)close_range(4, ~0U, 0);
	/* By a descriptor: others may not enter the build's folder. */
	exe = open(program->path, O_RDONLY | O_CLOEXEC);
	/* Run as a user's instance is: the tests want no users made. */
	if (geteuid() == 0 && (setresgid(NOBODY, NOBODY, NOBODY) == -1 ||
	    setresuid(NOBODY, NOBODY, NOBODY) == -1))
		_exit(2);
	(void)fexecve(exe, argv, environ);
	(void)dprintf(2, "%s: %s\n", program->path, strerror(errno));
	_exit(2);
}

static void
program_start(struct rig_program *program, const char *config)
{
	struct ipc_out *out;
	char lines[1024];
	int fds[2];

	assert_int_equal(ipc_pair(fds, NULL), 0);
	program->is_ready = false;
	program->pid = fork();
	assert_true(program->pid >= 0);
	if (program->pid == 0)
		exec_program(program, fds[1]);
	(void)close(fds[1]);
	program->master = ipc_serve(rig.loop, &ipc_master, fds[0],
	    str_of(program->name), master_handlers, program, on_program_gone);
	(void)snprintf(lines, sizeof(lines), "directory=%s\nlog_level=warn\n"
	    "%s", rig.dir, config);
	out = ipc_begin(program->master, MASTER_CONFIG);
	ipc_put_str(out, str_of(lines));
	assert_int_equal(ipc_send(out, -1), 0);
}

static void
give_fd(struct rig_program *program, const char *name, int fd)
{
	struct ipc_out *out = ipc_begin(program->master, MASTER_FD);

	ipc_put_str(out, str_of(name));
	assert_int_equal(ipc_send(out, fd), 0);
	(void)close(fd);
}

static void
attach(struct ipc_link *client, struct rig_program *program, const char *name)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds, NULL), 0);
	give_fd(program, name, fds[1]);
	ipc_client_attach(client, fds[0]);
}

static void
link_blobd(void)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds, NULL), 0);
	give_fd(&rig.blobd, "serve:blob/mboxd", fds[1]);
	give_fd(&rig.mboxd, "call:blobd", fds[0]);
}

static void
send_key(void)
{
	struct ipc_out *out = ipc_begin(rig.authd, MBOX_TICKET_KEY);
	unsigned char half[TICKET_KEY_OCTETS];

	assert_int_equal(ticket_key_public(rig.key, half, NULL), 0);
	ipc_put_str(out, str_make(half, sizeof(half)));
	assert_int_equal(ipc_send(out, -1), 0);
}

static void
link_mboxd(void)
{
	int fds[2];

	attach(rig.queued, &rig.mboxd, "serve:mbox/queued");
	attach(rig.authd, &rig.mboxd, "serve:mbox/authd");
	attach(rig.front, &rig.mboxd, "serve:mbox/imapd");
	assert_int_equal(ipc_pair(fds, NULL), 0);
	ipc_link_free(&directory);
	directory = ipc_serve(rig.loop, &ipc_dir, fds[0], STR("mboxd"),
	    dir_handlers, NULL, on_peer_gone);
	give_fd(&rig.mboxd, "call:directoryd", fds[1]);
	send_key();
}

static void
begin(struct rig_program *program)
{
	assert_int_equal(ipc_send(ipc_begin(program->master, MASTER_START),
	    -1), 0);
}

static void
wait_ready(struct rig_program *program)
{
	uint64_t end = when_mono_ms() + WAIT_MS;

	while (!program->is_ready && program->master != NULL &&
	    when_mono_ms() < end)
		loop_once(rig.loop);
	assert_true(program->is_ready);
}

static void
on_front_push(void *ctx, unsigned type, struct ipc_in *in)
{
	(void)ctx;
	(void)in;
	if (type == MBOX_CHANGED)
		rig.changed++;
	if (type == MBOX_END)
		rig.ended++;
}

static char mboxd_config[512];

void
rig_restart(struct rig_program *program)
{
	int status;

	(void)kill(program->pid, SIGKILL);
	assert_int_equal(waitpid(program->pid, &status, 0), program->pid);
	ipc_link_free(&program->master);
	program_start(program, program == &rig.mboxd ? mboxd_config : "");
	link_blobd();
	if (program == &rig.mboxd)
		link_mboxd();
	else
		attach(rig.blobs, &rig.blobd, "serve:blob/smtpd");
	begin(program);
	wait_ready(program);
}

/* ---- directory of the instance ---- */

static void
make_dirs(void)
{
	static const char *const dirs[] = { "", "/data", "/data/stage",
	    "/data/queue", "/data/queue/b", "/data/accounts" };
	char path[600];
	size_t i;

	if (geteuid() == 0)
		(void)snprintf(path, sizeof(path), "/tmp");
	else
		assert_non_null(getcwd(path, 400));
	(void)snprintf(rig.dir, sizeof(rig.dir), "%.400s/mboxd_test.%u", path,
	    (unsigned)getpid());
	for (i = 0; i < COUNT_OF(dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", rig.dir, dirs[i]);
		assert_int_equal(mkdir(path, 0755), 0);
		if (geteuid() == 0)
			assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	}
}

void
rig_remove(void)
{
	(void)test_folder_remove(rig.dir);
}

/* ---- life ---- */

void
rig_start(const char *config)
{
	memset(&rig, 0, sizeof(rig));
	(void)snprintf(mboxd_config, sizeof(mboxd_config), "%s", config);
	rig.loop = loop_new();
	make_dirs();
	rig.key = ticket_key_new(NULL);
	rig.mboxd = (struct rig_program){ .name = "mboxd",
	    .path = "mboxd/mboxd" };
	rig.blobd = (struct rig_program){ .name = "blobd",
	    .path = "blobd/blobd" };
	rig.queued = ipc_client_new(rig.loop, &ipc_mbox, NULL);
	rig.authd = ipc_client_new(rig.loop, &ipc_mbox, NULL);
	rig.front = ipc_client_new(rig.loop, &ipc_mbox, NULL);
	ipc_client_on(rig.front, on_front_push, NULL);
	rig.blobs = ipc_client_new(rig.loop, &ipc_blob, NULL);
	program_start(&rig.blobd, "");
	program_start(&rig.mboxd, mboxd_config);
	link_blobd();
	link_mboxd();
	attach(rig.blobs, &rig.blobd, "serve:blob/smtpd");
	begin(&rig.blobd);
	begin(&rig.mboxd);
	wait_ready(&rig.blobd);
	wait_ready(&rig.mboxd);
}

static void
stop_program(struct rig_program *program)
{
	uint64_t end = when_mono_ms() + WAIT_MS;
	pid_t pid = 0;
	int status = -1;

	assert_int_equal(ipc_send(ipc_begin(program->master, MASTER_STOP), -1),
	    0);
	while ((pid = waitpid(program->pid, &status, WNOHANG)) == 0 &&
	    when_mono_ms() < end) {
		loop_once(rig.loop);
		(void)usleep(1000);
	}
	assert_int_equal(pid, program->pid);
	assert_int_equal(status, 0);
	ipc_link_free(&program->master);
}

void
rig_stop(void)
{
	struct loop_timer tick;

	loop_timer_init(&tick, rig.loop, on_tick, &tick);
	loop_timer_start(&tick, 20);
	stop_program(&rig.mboxd);
	stop_program(&rig.blobd);
	loop_timer_fini(&tick);
	ipc_link_free(&rig.queued);
	ipc_link_free(&rig.authd);
	ipc_link_free(&rig.front);
	ipc_link_free(&rig.blobs);
	ipc_link_free(&directory);
	EVP_PKEY_free(rig.key);
	loop_free(&rig.loop);
}

/* ---- blobs and deliveries ---- */

struct rig_blob
rig_blob(struct str text)
{
	struct rig_blob blob = { .fd = -1 };
	struct ipc_out *out = ipc_begin(rig.blobs, BLOB_CREATE);
	struct err err = ERR_INIT;
	struct ipc_in *in;
	struct str sha256;
	uint64_t handle;
	int fd;

	ipc_put_u64(out, text.len);
	if (ipc_call_wait(out, -1, WAIT_MS, &in, &err) != 0)
		fail_msg("create: %s", err_text(&err));
	handle = ipc_get_u64(in);
	fd = ipc_take_fd(in);
	ipc_in_free(&in);
	assert_int_equal(write(fd, text.p, text.len), (ssize_t)text.len);
	(void)close(fd);
	out = ipc_begin(rig.blobs, BLOB_SEAL);
	ipc_put_u64(out, handle);
	assert_int_equal(ipc_call_wait(out, -1, WAIT_MS, &in, &err), 0);
	blob.size = ipc_get_u64(in);
	sha256 = ipc_get_str(in);
	assert_int_equal(sha256.len, 32);
	memcpy(blob.sha256, sha256.p, 32);
	blob.fd = ipc_take_fd(in);
	ipc_in_free(&in);
	return blob;
}

static void
on_delivered(void *ctx, int code, struct ipc_in *in)
{
	struct rig_delivery *delivery = ctx;
	unsigned result;
	size_t i = 0;

	if (code != 0)
		delivery->has_failed = true;
	while (code == 0 && ipc_more(in)) {
		(void)ipc_get_u64(in);
		result = (unsigned)ipc_get_u64(in);
		(void)ipc_get_str(in);
		if (delivery->results != NULL && i < delivery->len)
			delivery->results[i] = result;
		if (result != MBOX_R_DELIVERED)
			delivery->has_failed = true;
		i++;
	}
	(*delivery->answers)++;
}

void
rig_deliver(struct rig_delivery *delivery, uint64_t queue_id,
    const struct rig_blob *blob, const uint64_t *accounts, size_t len)
{
	struct ipc_out *out = ipc_begin(rig.queued, MBOX_DELIVER);
	char name[64];
	size_t i;

	delivery->len = len;
	ipc_put_u64(out, queue_id);
	ipc_put_str(out, STR("Return-Path: <a@example.test>\r\n"
	    "Received: from here by there\r\n"));
	ipc_put_str(out, STR_NONE);
	ipc_put_u64(out, blob->size);
	ipc_put_str(out, str_make(blob->sha256, 32));
	ipc_put_u64(out, when_wall_us());
	ipc_put_bool(out, delivery->is_junk);
	for (i = 0; i < len; i++) {
		(void)snprintf(name, sizeof(name), "u%llu@example.test",
		    (unsigned long long)accounts[i]);
		ipc_put_u64(out, accounts[i]);
		ipc_put_str(out, str_of(name));
	}
	(void)ipc_call(out, blob->fd, 60000, on_delivered, delivery);
}

/* ---- sessions ---- */

void
rig_ticket(struct buf *out, const char *protocol, uint64_t account,
    uint64_t session, int64_t expires_in_s)
{
	struct ticket ticket = {
		.account = account, .issued_s = when_wall_s(),
		.expires_s = when_wall_s() + expires_in_s,
		.session = session, .serial = ++rig.next_serial,
		.protocol = str_of(protocol), .user = STR("somebody"),
	};

	assert_int_equal(ticket_sign(&ticket, rig.key, out, NULL), 0);
}

static void
on_session_push(void *ctx, unsigned type, struct ipc_in *in)
{
	struct rig_session *session = ctx;
	uint64_t at_in, at_out;
	struct str state;

	if (type == SESSION_END) {
		session->ends++;
		return;
	}
	at_in = ipc_get_u64(in);
	at_out = ipc_get_u64(in);
	state = ipc_get_str(in);
	if (!session->takes_parking || at_in != session->sent ||
	    at_out != session->got)
		return;
	memcpy(session->state, state.p, state.len);
	session->state_len = state.len;
	session->parks++;
	(void)ipc_send(ipc_begin(session->link, SESSION_PARKED), -1);
}

static void
on_answer(void *ctx, int code, struct ipc_in *in)
{
	struct rig_session *session = ctx;

	(void)in;
	session->code = code;
	session->is_answered++;
}

/* A new stream and link, asked for with the frame that `begin` starts. */
static int
session_connect(struct rig_session *session, bool is_resumed,
    const char *protocol, struct str credential)
{
	int stream[2], link[2];
	struct ipc_out *out;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, stream), 0);
	assert_int_equal(ipc_pair(link, NULL), 0);
	session->stream = stream[0];
	session->sent = session->got = session->is_answered = 0;
	session->link = ipc_client_new(rig.loop, &ipc_session, session);
	ipc_client_on(session->link, on_session_push, NULL);
	ipc_client_attach(session->link, link[0]);
	out = ipc_begin(rig.front, is_resumed ? MBOX_RESUME : MBOX_OPEN);
	ipc_put_u64(out, session->number);
	if (is_resumed)
		ipc_put_u64(out, session->account);
	else
		ipc_put_str(out, str_of(protocol));
	ipc_put_str(out, credential);
	ipc_put_str(out, STR("192.0.2.1"));
	if (!is_resumed)
		ipc_put_bool(out, true);
	(void)ipc_call(out, link[1], WAIT_MS, on_answer, session);
	(void)close(link[1]);
	rig_until(&session->is_answered, 1);
	if (session->code == 0) {
		out = ipc_begin(session->link, SESSION_STREAM);
		ipc_put_str(out, STR_NONE);
		assert_int_equal(ipc_send(out, stream[1]), 0);
	}
	(void)close(stream[1]);
	return session->code;
}

int
rig_session_open(struct rig_session *session, const char *protocol,
    struct str ticket, uint64_t number)
{
	memset(session, 0, sizeof(*session));
	session->number = number;
	buf_init(&session->text, 16U << 20);
	return session_connect(session, false, protocol, ticket);
}

int
rig_session_resume(struct rig_session *session)
{
	ipc_link_free(&session->link);
	(void)close(session->stream);
	return session_connect(session, true, "", str_make(session->state,
	    session->state_len));
}

void
rig_session_close(struct rig_session *session)
{
	ipc_link_free(&session->link);
	(void)close(session->stream);
	buf_fini(&session->text);
}

void
rig_session_say(struct rig_session *session, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(write(session->stream, text, len), (ssize_t)len);
	session->sent += len;
}

void
rig_session_expect(struct rig_session *session, const char *want)
{
	uint64_t end = when_mono_ms() + WAIT_MS;
	struct loop_timer tick;
	size_t at;
	ssize_t n;

	loop_timer_init(&tick, rig.loop, on_tick, &tick);
	loop_timer_start(&tick, 5);
	while ((at = str_find_str(buf_str(&session->text), str_of(want))) ==
	    STR_NPOS) {
		if (when_mono_ms() > end)
			fail_msg("wanted \"%s\", got \"%.*s\"", want,
			    STR_FMT(buf_str(&session->text)));
		n = read(session->stream, buf_reserve(&session->text, 65536),
		    65536);
		if (n > 0) {
			buf_grow(&session->text, (size_t)n);
			session->got += (uint64_t)n;
		} else {
			loop_once(rig.loop);
			(void)usleep(500);
		}
	}
	buf_consume(&session->text, at + strlen(want));
	loop_timer_fini(&tick);
}

/* ---- what came of it ---- */

long
rig_count_in(uint64_t account, enum store_role role)
{
	struct store_options options = { .account = account };
	char holder[BLOB_PATH_SIZE], path[1024];
	const struct store_mailbox *mailbox;
	struct err err = ERR_INIT;
	struct store_repair done;
	struct store *store;
	long n;
	int rc;

	blob_holder_dir(account, holder);
	(void)snprintf(path, sizeof(path), "%s/data/%s", rig.dir,
	    holder);
	rc = store_open(&store, path, &options, &err);
	if (rc == ERR_NOTFOUND)
		return -1;
	if (rc != 0)
		fail_msg("open %s: %s", path, err_text(&err));
	mailbox = store_mailbox_by_role(store, role);
	assert_non_null(mailbox);
	n = (long)mailbox->messages;
	/* Every row has its link and the other way round. */
	assert_int_equal(store_repair(store, &done, &err), 0);
	assert_true(done.rows_removed == 0 && done.counters_fixed == 0);
	store_close(&store);
	return n;
}

long
rig_count(uint64_t account)
{
	return rig_count_in(account, STORE_ROLE_INBOX);
}
