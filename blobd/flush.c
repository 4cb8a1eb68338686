/* SPDX-License-Identifier: ISC */
#include "blobd/flush.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"

struct job {
	struct list node;
	int file_fd;
	int dir_fd;
	int code;
	flush_done *done;
	void *ctx;
};

struct flush {
	struct loop_fd watch;
	struct loop_later later;
	struct loop *loop;
	struct list fresh;	/* of this round; the loop's alone */
	size_t pending;
	bool has_failed;
	int fs_fd;
	int event_fd;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list todo;	/* locked */
	struct list done;	/* locked */
};

static void
list_move_all(struct list *from, struct list *to)
{
	struct list *node;

	while (!list_is_empty(from)) {
		node = from->next;
		list_del(node);
		list_add(to, node);
	}
}

/* ---- the thread ---- */

static int
flush_one(const struct job *job)
{
	if (fsync(job->file_fd) == -1 || fsync(job->dir_fd) == -1)
		return -errno;
	return 0;
}

static void
flush_batch(const struct flush *flush, struct list *batch)
{
	struct job *job, *tmp;
	int code = 0;

	if (batch->next->next == batch)
		code = flush_one(list_entry(batch->next, struct job, node));
	else if (syncfs(flush->fs_fd) == -1)
		code = -errno;
	list_each(job, tmp, batch, struct job, node) {
		job->code = code;
		(void)close(job->file_fd);
		(void)close(job->dir_fd);
	}
}

static void *
flusher(void *arg)
{
	struct flush *flush = arg;
	uint64_t one = 1;
	struct list batch;

	list_init(&batch);
	for (;;) {
		(void)pthread_mutex_lock(&flush->lock);
		list_move_all(&batch, &flush->done);
		while (list_is_empty(&flush->todo))
			(void)pthread_cond_wait(&flush->wake, &flush->lock);
		list_move_all(&flush->todo, &batch);
		(void)pthread_mutex_unlock(&flush->lock);
		flush_batch(flush, &batch);
		(void)pthread_mutex_lock(&flush->lock);
		list_move_all(&batch, &flush->done);
		(void)pthread_mutex_unlock(&flush->lock);
		(void)!write(flush->event_fd, &one, sizeof(one));
	}
	return NULL;
}

/* ---- the loop ---- */

static void
fail(struct flush *flush, int code)
{
	if (flush->has_failed)
		return;
	flush->has_failed = true;
	ev_error(NULL, "blob.flush.failed",
	    EV_CSTR(reason, strerror(-code)));
}

static void
on_done(void *arg, int what)
{
	struct flush *flush = arg;
	struct list done;
	struct job *job;
	uint64_t count;

	(void)what;
	list_init(&done);
	(void)!read(flush->event_fd, &count, sizeof(count));
	(void)pthread_mutex_lock(&flush->lock);
	list_move_all(&flush->done, &done);
	(void)pthread_mutex_unlock(&flush->lock);
	while ((job = list_first(&done, struct job, node)) != NULL) {
		list_del(&job->node);
		flush->pending--;
		if (job->code != 0)
			fail(flush, job->code);
		job->done(job->ctx, flush->has_failed ? ERR_TEMP : 0);
		free(job);
	}
}

/* The round's requests are together: hand them over at once. */
static void
hand_over(void *arg)
{
	struct flush *flush = arg;

	(void)pthread_mutex_lock(&flush->lock);
	list_move_all(&flush->fresh, &flush->todo);
	(void)pthread_cond_signal(&flush->wake);
	(void)pthread_mutex_unlock(&flush->lock);
}

void
flush_add(struct flush *flush, int file_fd, int dir_fd, flush_done *done,
    void *ctx)
{
	struct job *job = calloc(1, sizeof(*job));

	invariant(job != NULL);
	job->file_fd = file_fd;
	job->dir_fd = dir_fd;
	job->done = done;
	job->ctx = ctx;
	list_add(&flush->fresh, &job->node);
	flush->pending++;
	loop_later(flush->loop, &flush->later);
}

bool
flush_has_failed(const struct flush *flush)
{
	return flush->has_failed;
}

size_t
flush_pending(const struct flush *flush)
{
	return flush->pending;
}

struct flush *
flush_new(struct loop *loop, int fs_fd, struct err *err)
{
	struct flush *flush = calloc(1, sizeof(*flush));
	pthread_t thread;

	invariant(flush != NULL);
	flush->loop = loop;
	flush->fs_fd = fs_fd;
	list_init(&flush->fresh);
	list_init(&flush->todo);
	list_init(&flush->done);
	flush->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (flush->event_fd == -1) {
		err_set_errno(err, ERR_TEMP, "eventfd");
		free(flush);
		return NULL;
	}
	(void)pthread_mutex_init(&flush->lock, NULL);
	(void)pthread_cond_init(&flush->wake, NULL);
	loop_later_init(&flush->later, hand_over, flush);
	loop_fd_init(&flush->watch, loop, flush->event_fd, on_done, flush);
	loop_fd_want(&flush->watch, LOOP_READ);
	if ((errno = pthread_create(&thread, NULL, flusher, flush)) != 0) {
		err_set_errno(err, ERR_TEMP, "flusher thread");
		(void)close(flush->event_fd);
		free(flush);
		return NULL;
	}
	return flush;
}
