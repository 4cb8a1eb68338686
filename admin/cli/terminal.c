/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <termios.h>
#include <unistd.h>

#include "admin/cli/cli.h"
#include "base/when.h"

#define PASSWORD_MAX 1024
#define SHOW_AFTER_MS 1000
#define SHOW_EVERY_MS 100
#define BAR_WIDTH 30

/* ---- passwords ---- */

int
check_password(struct str password, struct err *err)
{
	size_t i;

	if (password.len == 0)
		return err_set(err, ERR_SYNTAX, "the password is empty");
	if (password.len > PASSWORD_MAX)
		return err_set(err, ERR_SYNTAX, "the password is over %d "
		    "octets", PASSWORD_MAX);
	if (!str_is_utf8(password))
		return err_set(err, ERR_SYNTAX, "the password is not UTF-8");
	for (i = 0; i < password.len; i++)
		if ((unsigned char)password.p[i] < 0x20 ||
		    password.p[i] == 0x7f)
			return err_set(err, ERR_SYNTAX, "the password has a "
			    "control character");
	return 0;
}

/* One line without its end, unbuffered so that nothing stays behind. */
static int
read_line(int fd, struct buf *line, struct err *err)
{
	ssize_t n;
	char c;

	for (;;) {
		n = read(fd, &c, 1);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_set_errno(err, ERR_TEMP, "reading the "
			    "password");
		if (n == 0 || c == '\n')
			break;
		buf_add_char(line, c);
		if (buf_failed(line))
			return err_set(err, ERR_SYNTAX, "the password is "
			    "over %d octets", PASSWORD_MAX);
	}
	if (line->len != 0 && line->p[line->start + line->len - 1] == '\r')
		buf_truncate(line, line->len - 1);
	return 0;
}

static int
prompt(const char *text, struct buf *line, struct err *err)
{
	struct termios was, quiet;
	int rc;

	(void)fputs(text, stderr);
	(void)fflush(stderr);
	if (tcgetattr(STDIN_FILENO, &was) == -1)
		return err_set_errno(err, ERR_TEMP, "terminal");
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	rc = read_line(STDIN_FILENO, line, err);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	(void)fputc('\n', stderr);
	return rc;
}

static int
prompt_twice(struct buf *password, struct err *err)
{
	struct buf again;
	int rc = prompt("Password: ", password, err);

	if (rc != 0)
		return rc;
	buf_init(&again, PASSWORD_MAX + 2);
	rc = prompt("Once more: ", &again, err);
	if (rc == 0 && !str_eq(buf_str(password), buf_str(&again)))
		rc = err_set(err, ERR_SYNTAX, "the two are not the same");
	if (again.p != NULL)
		explicit_bzero(again.p, again.cap);
	buf_fini(&again);
	return rc;
}

int
read_password(const struct cli *cli, struct buf *password, struct err *err)
{
	int rc;

	buf_init(password, PASSWORD_MAX + 2);
	/* It must not move while it grows: that would leave copies. */
	(void)buf_reserve(password, PASSWORD_MAX + 2);
	if (json_object_get(cli->parsed.local, "password_stdin") != NULL)
		rc = read_line(STDIN_FILENO, password, err);
	else if (isatty(STDIN_FILENO))
		rc = prompt_twice(password, err);
	else
		return err_set(err, ERR_SYNTAX, "there is no terminal to ask "
		    "on: use --password-stdin");
	return rc == 0 ? check_password(buf_str(password), err) : rc;
}

/* ---- progress ---- */

void
progress_begin(struct progress *progress, const char *what)
{
	progress->what = what;
	progress->begun_ms = when_mono_ms();
	progress->shown_ms = 0;
}

static void
put_bar(const struct progress *progress, size_t done, size_t total)
{
	char bar[BAR_WIDTH + 1];
	size_t filled = total != 0 ? done * BAR_WIDTH / total : 0;

	if (total == 0) {
		(void)fprintf(stderr, "\r%s: %zu", progress->what, done);
		return;
	}
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', filled < BAR_WIDTH ? filled : BAR_WIDTH);
	bar[BAR_WIDTH] = '\0';
	(void)fprintf(stderr, "\r%s [%s] %zu/%zu", progress->what, bar, done,
	    total);
}

void
progress_show(struct progress *progress, size_t done, size_t total)
{
	uint64_t now = when_mono_ms();

	if (now - progress->begun_ms < SHOW_AFTER_MS ||
	    now - progress->shown_ms < SHOW_EVERY_MS ||
	    !isatty(STDERR_FILENO))
		return;
	progress->shown_ms = now;
	put_bar(progress, done, total);
	(void)fflush(stderr);
}

void
progress_end(struct progress *progress)
{
	if (progress->shown_ms != 0)
		(void)fputs("\r\033[K", stderr);
}
