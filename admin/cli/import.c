/* SPDX-License-Identifier: ISC */
/*
 * account import: all of a file, or nothing of it.
 *
 * The file is read and checked here, then by the directory without a change;
 * only when no line has an error are the accounts made, in batches of one
 * domain, and then their passwords stored, a few at a time since each takes
 * a good part of a second of somebody's processor. What fails after that check
 * (a race with another administrator, a dead program) undoes what was made.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "admin/cli/cli.h"
#include "admin/cli/rows.h"

#define FILE_MAX (64U << 20)
#define BATCH_ROWS 100
#define BATCH_OCTETS 40000
#define PASSWORDS_AT_ONCE 4

struct import {
	struct cli *cli;
	json_t *rows;
	json_t *errors;
	json_t *passwords;	/* by row, in the order of rows */
	json_t *made;		/* {address, id}, in the order of rows */
	size_t made_len;
	struct progress progress;
	struct err err;
	size_t at;		/* next password to send */
	size_t stored;		/* finished, well or not */
	size_t pending;
};

/* ---- the file ---- */

static int
read_file(const char *path, struct buf *file, struct err *err)
{
	int fd = STDIN_FILENO;
	char *p;
	ssize_t n;

	buf_init(file, FILE_MAX);
	if (strcmp(path, "-") != 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return err_set_errno(err, ERR_NOTFOUND, "%s", path);
	for (;;) {
		p = buf_reserve(file, 65536);
		n = p != NULL ? read(fd, p, 65536) : -1;
		if (p == NULL || n == 0 || (n == -1 && errno != EINTR))
			break;
		if (n > 0)
			buf_grow(file, (size_t)n);
	}
	if (fd != STDIN_FILENO)
		(void)close(fd);
	if (buf_failed(file))
		return err_set(err, ERR_LIMIT, "%s: over %u MB", path,
		    FILE_MAX >> 20);
	return n == 0 ? 0 : err_set_errno(err, ERR_TEMP, "%s", path);
}

static void
wipe(struct buf *buf)
{
	if (buf->p != NULL)
		explicit_bzero(buf->p, buf->cap);
	buf_fini(buf);
}

static int
read_rows(struct import *im, struct err *err)
{
	const json_t *local = im->cli->parsed.local;
	struct buf file, text;
	int rc;

	rc = read_file(json_string_value(json_object_get(local, "csv")),
	    &file, err);
	buf_init(&text, 2 * FILE_MAX);
	if (rc == 0)
		rc = rows_decode(buf_str(&file), str_of(json_string_value(
		    json_object_get(local, "encoding"))), &text, im->errors,
		    err);
	if (rc == 0)
		(void)rows_read(buf_str(&text), im->rows, im->errors);
	wipe(&file);
	wipe(&text);
	/* Errors of lines are told apart from a file that cannot be read. */
	return json_array_size(im->errors) != 0 ? 0 : rc;
}

/* Passwords leave the rows: the directory never sees them. */
static void
take_passwords(struct import *im)
{
	json_t *row, *password;
	size_t i;

	json_array_foreach(im->rows, i, row) {
		password = json_object_get(row, "password");
		json_array_append(im->passwords, password != NULL ? password :
		    json_null());
		json_object_del(row, "password");
	}
}

/* ---- batches ---- */

/* Rows from i on that go together; their domain is that of the first. */
static json_t *
batch_of(const struct import *im, size_t i, size_t *next_r)
{
	json_t *batch = json_array(), *row;
	char domain[256], other[256];
	size_t octets = 0;

	rows_domain(json_array_get(im->rows, i), domain, sizeof(domain));
	while (json_array_size(batch) < BATCH_ROWS &&
	    (row = json_array_get(im->rows, i)) != NULL) {
		rows_domain(row, other, sizeof(other));
		octets += json_dumpb(row, NULL, 0, JSON_COMPACT);
		if (strcmp(domain, other) != 0 || (octets > BATCH_OCTETS &&
		    json_array_size(batch) != 0))
			break;
		json_array_append(batch, row);
		i++;
	}
	*next_r = i;
	return batch;
}

static int
check_rows(struct import *im, struct err *err)
{
	size_t i = 0, next, others = 0, n = json_array_size(im->rows);
	char was[256] = "", domain[256], text[32];
	json_t *args, *result;
	int rc = 0;

	progress_begin(&im->progress, "checking");
	while (rc == 0 && i < n) {
		rows_domain(json_array_get(im->rows, i), domain,
		    sizeof(domain));
		if (strcmp(was, domain) != 0)
			others = 0;
		(void)snprintf(was, sizeof(was), "%s", domain);
		(void)snprintf(text, sizeof(text), "%zu", others);
		args = json_pack("{s:o, s:s}", "rows", batch_of(im, i, &next),
		    "others", text);
		rc = cli_ask(im->cli, "account", "check", args, &result,
		    err);
		json_array_extend(im->errors, json_object_get(result,
		    "errors"));
		json_decref(result);
		json_decref(args);
		others += next - i;
		i = next;
		progress_show(&im->progress, i, n);
	}
	progress_end(&im->progress);
	return rc;
}

static int
make_accounts(struct import *im)
{
	size_t i = 0, next, n = json_array_size(im->rows);
	json_t *args, *result;
	int rc = 0;

	progress_begin(&im->progress, "creating");
	while (rc == 0 && i < n) {
		args = json_pack("{s:o}", "rows", batch_of(im, i, &next));
		rc = cli_ask(im->cli, "account", "import", args, &result,
		    &im->err);
		json_array_extend(im->made, json_object_get(result,
		    "items"));
		json_decref(result);
		json_decref(args);
		i = next;
		progress_show(&im->progress, i, n);
	}
	progress_end(&im->progress);
	return rc;
}

/* ---- passwords ---- */

static void
on_stored(void *ctx, int code, struct ipc_in *in)
{
	struct import *im = ctx;

	(void)in;
	im->pending--;
	im->stored++;
	if (code != 0)
		err_set(&im->err, (enum err_code)code, "password: %.*s",
		    STR_FMT(ipc_last_error(im->cli->link)));
}

static void
send_password(struct import *im, size_t i)
{
	json_t *args = json_copy(json_array_get(im->made, i));

	json_object_set(args, "password", json_array_get(im->passwords, i));
	cli_ask_later(im->cli, "account", "secret", args, on_stored, im);
	json_decref(args);
	im->pending++;
}

static int
store_passwords(struct import *im)
{
	size_t n = json_array_size(im->made);

	progress_begin(&im->progress, "passwords");
	while (im->pending != 0 || (im->at < n && im->err.code == 0)) {
		for (; im->pending < PASSWORDS_AT_ONCE && im->at < n &&
		    im->err.code == 0; im->at++)
			if (json_is_string(json_array_get(im->passwords,
			    im->at)))
				send_password(im, im->at);
		if (im->pending != 0)
			cli_wait(im->cli);
		progress_show(&im->progress, im->stored, n);
	}
	progress_end(&im->progress);
	return im->err.code;
}

/* ---- the end ---- */

static int
undo(struct import *im)
{
	size_t i, left = 0;
	json_t *made, *result;

	json_array_foreach(im->made, i, made) {
		if (cli_ask(im->cli, "account", "delete", made, &result,
		    NULL) != 0)
			left++;
		json_decref(result);
	}
	if (left != 0)
		return cli_fail("%s; %zu accounts were made and could not be "
		    "deleted again", err_text(&im->err), left);
	return cli_fail("%s; nothing was changed", err_text(&im->err));
}

static int
compare_errors(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	json_int_t m = json_integer_value(json_object_get(*x, "line"));
	json_int_t n = json_integer_value(json_object_get(*y, "line"));

	return (m > n) - (m < n);
}

static int
report_errors(const struct import *im)
{
	size_t n = json_array_size(im->errors), i;
	json_t *error, **sorted = calloc(n, sizeof(json_t *)), *result;

	invariant(sorted != NULL);
	for (i = 0; i < n; i++)
		sorted[i] = json_array_get(im->errors, i);
	qsort(sorted, n, sizeof(json_t *), compare_errors);
	for (i = 0; i < n; i++) {
		error = sorted[i];
		(void)fprintf(stderr, "line %lld: ", (long long)
		    json_integer_value(json_object_get(error, "line")));
		print_safe(str_of(json_string_value(json_object_get(error,
		    "reason"))), stderr);
		(void)fputc('\n', stderr);
	}
	free(sorted);
	if (im->cli->parsed.is_json) {
		result = json_pack("{s:i, s:O}", "created", 0, "errors",
		    im->errors);
		print_json(result);
		json_decref(result);
	}
	return cli_fail("%zu error%s; nothing was changed", n,
	    n == 1 ? "" : "s");
}

static int
report_done(const struct import *im, bool is_dry)
{
	size_t n = json_array_size(im->rows);
	json_t *result;

	if (im->cli->parsed.is_json) {
		result = json_pack("{s:I, s:b, s:[]}", "created",
		    (json_int_t)(is_dry ? 0 : n), "dry_run", (int)is_dry,
		    "errors");
		json_object_set_new(result, "accounts",
		    json_integer((json_int_t)n));
		print_json(result);
		json_decref(result);
	} else {
		(void)printf(is_dry ? "%zu accounts would be created\n" :
		    "%zu accounts created\n", n);
	}
	return 0;
}

static int
run_import(struct import *im)
{
	bool is_dry = json_object_get(im->cli->parsed.local, "dry_run") !=
	    NULL;
	struct err err = ERR_INIT;

	if (read_rows(im, &err) != 0)
		return err.code == ERR_SYNTAX ?
		    cli_usage("%s", err_text(&err)) :
		    cli_fail("%s", err_text(&err));
	rows_sort(im->rows);
	take_passwords(im);
	if (check_rows(im, &err) != 0)
		return cli_fail("%s; nothing was changed", err_text(&err));
	if (json_array_size(im->errors) != 0)
		return report_errors(im);
	if (is_dry)
		return report_done(im, true);
	if (make_accounts(im) != 0 || store_passwords(im) != 0)
		return undo(im);
	return report_done(im, false);
}

int
account_import(struct cli *cli)
{
	struct import im = { .cli = cli, .rows = json_array(),
	    .errors = json_array(), .passwords = json_array(),
	    .made = json_array() };
	int status = run_import(&im);

	json_decref(im.rows);
	json_decref(im.errors);
	json_decref(im.passwords);
	json_decref(im.made);
	return status;
}
