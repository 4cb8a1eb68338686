/* SPDX-License-Identifier: ISC */
#include "base/test.h"
#include "base/test_folder.h"

#include "mboxd/engine_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/when.h"
#include "mail/scan.h"

/* Put aside by one command. */
#define ASIDES_MAX 1000

struct engine_host {
	struct list link;
	struct test_account *account;
	const struct engine *engine;
	struct engine_session *session;
	struct engine_user user;
	struct buf input;
	struct buf output;
	struct buf sent;
	enum engine_blob blob;
	enum engine_blob asides;
	struct engine_aside aside[ASIDES_MAX];
	size_t asides_len;
	int blob_error;
	int blob_fd;
	uint64_t blob_octets;
	uint64_t slice_start_us;
	unsigned random;
	bool is_over;
	bool is_idle;
	bool is_woken;
};

static const unsigned char sha256[32] = { 1, 2, 3 };

/* --- the account --------------------------------------------------- */

static void
open_store(struct test_account *account)
{
	struct store_options options = {
		.account = 1, .may_create = true, .sync = STORE_NORMAL,
	};
	struct err err = ERR_INIT;

	if (store_open(&account->store, account->dir, &options, &err) != 0)
		fail_msg("open: %s", err_text(&err));
}

struct test_account *
test_account_new(void)
{
	struct test_account *account = calloc(1, sizeof(*account));
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".";

	assert_non_null(account);
	(void)snprintf(account->dir, sizeof(account->dir),
	    "%s/engine_test.XXXXXX", tmp);
	assert_non_null(mkdtemp(account->dir));
	assert_int_equal(rmdir(account->dir), 0);
	list_init(&account->hosts);
	account->disk_octets = UINT64_MAX;
	account->message_max_octets = 50 << 20;
	account->pop3_expire_days = UINT64_MAX;
	account->full_octets = ENGINE_SLICE_OCTETS;
	open_store(account);
	return account;
}

void
test_account_free(struct test_account **account)
{
	assert_true(list_is_empty(&(*account)->hosts));
	store_close(&(*account)->store);
	(void)test_folder_remove((*account)->dir);
	free(*account);
	*account = NULL;
}

void
test_account_reopen(struct test_account *account)
{
	assert_true(list_is_empty(&account->hosts));
	store_close(&account->store);
	open_store(account);
}

static int
create_link(struct store *store, uint64_t message)
{
	char path[STORE_LINK_PATH_SIZE];
	int fd;

	store_link_path(message, path);
	fd = openat(store_dir_fd(store), path, O_CREAT | O_EXCL | O_WRONLY,
	    0440);
	assert_true(fd >= 0);
	return fd;
}

static void
encode(struct str blob, struct buf *out)
{
	struct scan *scan = scan_new();

	scan_feed(scan, blob.p, blob.len);
	if (summary_encode(scan_end(scan), out) != 0)
		buf_reset(out);
	scan_free(&scan);
}

uint32_t
test_deliver(struct test_account *account, struct str mailbox,
    struct str trace, struct str blob, uint8_t flags, int64_t date_s,
    bool has_summary)
{
	const struct store_mailbox *box =
	    store_mailbox_by_name(account->store, mailbox);
	struct store_add add = {
		.sha256 = sha256, .trace = trace, .blob_octets = blob.len,
		.flags = flags, .date_s = date_s,
	};
	struct store_added added;
	struct err err = ERR_INIT;
	struct buf summary;
	int fd;

	assert_non_null(box);
	add.mailbox = box->id;
	assert_int_equal(store_reserve(account->store, &add.message, &err), 0);
	fd = create_link(account->store, add.message);
	assert_int_equal(write(fd, blob.p, blob.len), (ssize_t)blob.len);
	(void)close(fd);
	buf_init(&summary, STORE_SUMMARY_MAX);
	if (has_summary)
		encode(blob, &summary);
	add.summary = buf_str(&summary);
	if (store_add(account->store, &add, &added, &err) != 0)
		fail_msg("add: %s", err_text(&err));
	buf_fini(&summary);
	return added.uid;
}

/* --- what an engine asks ------------------------------------------- */

const struct engine_user *
engine_user(struct engine_host *host)
{
	host->user.quota_octets = host->account->quota_octets;
	host->user.message_max_octets = host->account->message_max_octets;
	host->user.pop3_expire_days = host->account->pop3_expire_days;
	return &host->user;
}

struct store *
engine_store(struct engine_host *host)
{
	return host->account->store;
}

struct str
engine_input(struct engine_host *host)
{
	return buf_str(&host->input);
}

void
engine_consume(struct engine_host *host, size_t len)
{
	buf_consume(&host->input, len);
}

struct buf *
engine_output(struct engine_host *host)
{
	return &host->output;
}

bool
engine_is_full(struct engine_host *host)
{
	return host->output.len >= host->account->full_octets;
}

/* The same at each run, without a period that a loop could fall in with. */
static unsigned
next_random(struct engine_host *host)
{
	host->random = host->random * 1103515245 + 12345;
	return host->random >> 16 & 0x7fff;
}

bool
engine_slice_over(struct engine_host *host)
{
	if (host->account->slice_calls != 0)
		return next_random(host) % host->account->slice_calls == 0;
	return host->output.len >= ENGINE_SLICE_OCTETS ||
	    when_mono_us() - host->slice_start_us > ENGINE_SLICE_MS * 1000;
}

void
engine_changed(struct engine_host *host)
{
	struct engine_host *other;
	struct list *tmp;

	for (tmp = host->account->hosts.next; tmp != &host->account->hosts;
	    tmp = tmp->next) {
		other = list_entry(tmp, struct engine_host, link);
		other->is_woken = other->is_woken || other != host;
	}
}

void
engine_set_idle(struct engine_host *host, bool is_idle)
{
	host->is_idle = is_idle;
}

/* A test looks at what is said, not at what it looks like on the wire. */
void
engine_compress(struct engine_host *host, struct str answer)
{
	buf_add_str(engine_output(host), answer);
}

struct ev *
engine_ev(struct engine_host *host)
{
	(void)host;
	return NULL;
}

/* --- blobs --------------------------------------------------------- */

enum engine_blob
engine_blob_state(struct engine_host *host)
{
	return host->blob;
}

int
engine_blob_error(struct engine_host *host)
{
	return host->blob_error;
}

void
engine_blob_open(struct engine_host *host, uint64_t size_hint)
{
	(void)size_hint;
	assert_int_equal(host->blob, ENGINE_BLOB_NONE);
	host->blob = ENGINE_BLOB_OPENING;
	host->blob_octets = 0;
	host->blob_error = 0;
	host->blob_fd = open(host->account->dir, O_TMPFILE | O_RDWR, 0440);
	assert_true(host->blob_fd >= 0);
}

int
engine_blob_write(struct engine_host *host, struct str data)
{
	assert_int_equal(host->blob, ENGINE_BLOB_OPEN);
	if (data.len > host->account->disk_octets - host->blob_octets) {
		host->blob = ENGINE_BLOB_FAILED;
		host->blob_error = ERR_LIMIT;
		return ERR_LIMIT;
	}
	assert_int_equal(write(host->blob_fd, data.p, data.len),
	    (ssize_t)data.len);
	host->blob_octets += data.len;
	return 0;
}

void
engine_blob_seal(struct engine_host *host)
{
	assert_int_equal(host->blob, ENGINE_BLOB_OPEN);
	host->blob = ENGINE_BLOB_SEALING;
}

uint64_t
engine_blob_size(struct engine_host *host)
{
	return host->blob_octets;
}

const unsigned char *
engine_blob_sha256(struct engine_host *host)
{
	(void)host;
	return sha256;
}

void
engine_blob_link(struct engine_host *host, uint64_t message)
{
	char from[64], path[STORE_LINK_PATH_SIZE];

	assert_int_equal(host->blob, ENGINE_BLOB_SEALED);
	store_link_path(message, path);
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", host->blob_fd);
	assert_int_equal(linkat(AT_FDCWD, from,
	    store_dir_fd(host->account->store), path, AT_SYMLINK_FOLLOW), 0);
	host->blob = ENGINE_BLOB_LINKING;
}

void
engine_blob_expect(struct engine_host *host)
{
	(void)host;
}

void
engine_blob_put_aside(struct engine_host *host, uint64_t message)
{
	struct engine_aside *aside;

	assert_int_equal(host->blob, ENGINE_BLOB_OPEN);
	assert_true(host->asides_len < ASIDES_MAX);
	aside = &host->aside[host->asides_len++];
	aside->size_octets = host->blob_octets;
	memcpy(aside->sha256, sha256, sizeof(aside->sha256));
	host->blob = ENGINE_BLOB_SEALED;
	engine_blob_link(host, message);
	engine_blob_close(host);
	host->asides = ENGINE_BLOB_LINKED;
}

const struct engine_aside *
engine_blob_aside(struct engine_host *host, size_t i)
{
	assert_true(i < host->asides_len);
	return &host->aside[i];
}

enum engine_blob
engine_blob_asides(struct engine_host *host)
{
	return host->asides;
}

int
engine_blob_flush(struct engine_host *host)
{
	host->asides = ENGINE_BLOB_NONE;
	host->asides_len = 0;
	return 0;
}

void
engine_blob_forget(struct engine_host *host)
{
	host->asides = ENGINE_BLOB_NONE;
	host->asides_len = 0;
}

void
engine_blob_close(struct engine_host *host)
{
	if (host->blob_fd != -1)
		(void)close(host->blob_fd);
	host->blob_fd = -1;
	host->blob = ENGINE_BLOB_NONE;
}

/* What was asked for comes true. */
static bool
blob_tick(struct engine_host *host)
{
	switch (host->blob) {
	case ENGINE_BLOB_OPENING:
		host->blob = host->account->is_blob_down ?
		    ENGINE_BLOB_FAILED : ENGINE_BLOB_OPEN;
		host->blob_error = host->account->is_blob_down ? ERR_LIMIT : 0;
		return true;
	case ENGINE_BLOB_SEALING:
		host->blob = ENGINE_BLOB_SEALED;
		return true;
	case ENGINE_BLOB_LINKING:
		host->blob = ENGINE_BLOB_LINKED;
		return true;
	case ENGINE_BLOB_NONE:
	case ENGINE_BLOB_OPEN:
	case ENGINE_BLOB_SEALED:
	case ENGINE_BLOB_LINKED:
	case ENGINE_BLOB_FAILED:
		break;
	}
	return false;
}

/* --- hosts --------------------------------------------------------- */

struct engine_host *
test_host_new(struct test_account *account, const struct engine *engine,
    struct str state)
{
	struct engine_host *host = calloc(1, sizeof(*host));
	struct err err = ERR_INIT;

	assert_non_null(host);
	host->account = account;
	host->engine = engine;
	host->blob_fd = -1;
	host->user = (struct engine_user){
		.account = 1, .name = STR("alice@example.test"),
		.remote = STR("192.0.2.1"), .hostname = STR("mail.test"),
		.has_tls = true,
	};
	buf_init(&host->input, 256 << 20);
	buf_init(&host->output, 8 << 20);
	buf_init(&host->sent, 1U << 30);
	list_init(&host->link);
	host->is_woken = true;
	list_add(&account->hosts, &host->link);
	host->session = engine->open(host, state, &err);
	if (host->session == NULL)
		test_host_free(&host);
	return host;
}

void
test_host_free(struct engine_host **host)
{
	struct engine_host *h = *host;

	if (h == NULL)
		return;
	if (h->session != NULL)
		h->engine->free(&h->session);
	engine_blob_close(h);
	list_del(&h->link);
	buf_fini(&h->input);
	buf_fini(&h->output);
	buf_fini(&h->sent);
	free(h);
	*host = NULL;
}

void
test_host_feed(struct engine_host *host, struct str input)
{
	buf_add_str(&host->input, input);
	host->is_woken = true;
}

static void
send_output(struct engine_host *host)
{
	if (buf_failed(&host->output))
		fail_msg("more output than the host has room for");
	buf_add_str(&host->sent, buf_str(&host->output));
	buf_reset(&host->output);
}

/* One step; true while it wants more. */
static bool
step(struct engine_host *host)
{
	enum engine_step result;
	bool was_full;

	host->slice_start_us = when_mono_us();
	host->is_woken = false;
	result = host->engine->step(host->session);
	was_full = engine_is_full(host);
	send_output(host);
	host->is_over = result == ENGINE_END;
	if (host->is_over)
		return false;
	return blob_tick(host) || was_full || result == ENGINE_MORE;
}

void
test_run(struct test_account *account)
{
	struct engine_host *host, *tmp;
	bool is_moving = true;

	while (is_moving) {
		is_moving = false;
		list_each(host, tmp, &account->hosts, struct engine_host,
		    link)
			if (!host->is_over && host->is_woken) {
				host->is_woken = step(host) || host->is_woken;
				is_moving = true;
			}
	}
}

struct str
test_host_output(const struct engine_host *host)
{
	return buf_str(&host->sent);
}

void
test_host_take(struct engine_host *host, size_t len)
{
	buf_consume(&host->sent, len);
}

bool
test_host_is_over(const struct engine_host *host)
{
	return host->is_over;
}

bool
test_host_is_idle(const struct engine_host *host)
{
	return host->is_idle && host->input.len == 0;
}

bool
test_host_park(struct engine_host *host, struct buf *state)
{
	return test_host_is_idle(host) &&
	    host->engine->park(host->session, state);
}

void
test_host_end(struct engine_host *host, struct str reason)
{
	host->engine->end(host->session, reason);
	send_output(host);
	host->is_over = true;
}
