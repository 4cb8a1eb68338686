/* SPDX-License-Identifier: ISC */
/*
 * cli: the `hikyaku` command. Verbs are functions that return the exit status:
 * 0, 1 (failed, and standard error says what and what to do) or 2 (usage).
 *
 * Errors.     cli_fail() prints and is 1; cli_usage() prints and is 2.
 * Blocking.   Everything waits for the instance.
 */
#ifndef ADMIN_CLI_CLI_H
#define ADMIN_CLI_CLI_H

#include "admin/cli/options.h"
#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "io/loop.h"
#include "ipc/links.h"

struct cli {
	struct parsed parsed;
	struct config *config;
	struct loop *loop;
	struct ipc_link *link;		/* NULL: not connected */
};

extern const struct verb cli_verbs[];
extern const size_t cli_verbs_len;

/* ---- client.c: asking the instance ---- */

/* Connect to DIR/run/control.sock. */
int cli_connect(struct cli *cli, struct err *err);

/* Ask noun verb; *result_r is the caller's object. */
int cli_ask(struct cli *cli, const char *noun, const char *verb,
    const json_t *args, json_t **result_r, struct err *err);

/* All items of a list, page by page, after what args say. */
int cli_ask_all(struct cli *cli, const char *noun, const char *verb,
    const json_t *args, json_t **items_r, struct err *err);

/* Send without waiting: done is called from cli_wait(). */
void cli_ask_later(struct cli *cli, const char *noun, const char *verb,
    const json_t *args, ipc_done *done, void *ctx);
void cli_wait(struct cli *cli);

/* ---- print.c ---- */

int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* An array of objects as a table (or as JSON). */
void print_items(const struct cli *cli, json_t *items, const char *columns);

/* One object as "key  value" lines (or as JSON). */
void print_item(const struct cli *cli, json_t *item, const char *columns);

/* Any JSON, indented. */
void print_json(const json_t *json);

/* Text that may come from a peer: nothing in it commands a terminal. */
void print_safe(struct str text, FILE *to);

/* "10.0G", "512", "1.5M" */
void format_size(uint64_t octets, char *to, size_t size);

/* ---- terminal.c ---- */

/* By --password-stdin, or asked twice on a terminal. The buf is wiped by
 * the caller. */
int read_password(const struct cli *cli, struct buf *password,
    struct err *err);

/* 1 to 1024 octets of UTF-8 without control characters. */
int check_password(struct str password, struct err *err);

/* A bar on a terminal, from the second second on. */
struct progress {
	const char *what;
	uint64_t begun_ms;
	uint64_t shown_ms;
};

void progress_begin(struct progress *progress, const char *what);
void progress_show(struct progress *progress, size_t done, size_t total);
void progress_end(struct progress *progress);

/* ---- verbs ---- */

int verb_change(struct cli *cli);
int verb_show(struct cli *cli);
int verb_list(struct cli *cli);
int account_create(struct cli *cli);
int account_password(struct cli *cli);
int account_list(struct cli *cli);
int account_import(struct cli *cli);
int account_export(struct cli *cli);
int queue_list(struct cli *cli);
int queue_show(struct cli *cli);
int queue_act(struct cli *cli);
int quarantine_show(struct cli *cli);
int quarantine_act(struct cli *cli);
int log_list(struct cli *cli);
int config_show(struct cli *cli);
int config_doc(struct cli *cli);
int dns_show(struct cli *cli);
int dns_check(struct cli *cli);
int doctor(struct cli *cli);

#endif
