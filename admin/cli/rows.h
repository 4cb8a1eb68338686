/* SPDX-License-Identifier: ISC */
/*
 * rows: a CSV file of accounts as JSON rows, and its errors by line.
 *
 * The header names the columns, in any order: address (must be there),
 * password, name, quota, plan, aliases, forwards. Several aliases or forwards
 * are separated by spaces or semicolons.
 *
 * Ownership.  rows and errors are arrays that are added to. A row is {line,
 *             address, ...}; its password is a member until it is taken out.
 *             An error is {line, reason}.
 * Errors.     ERR_SYNTAX: the file cannot be read as a table at all, which is
 *             in errors too.
 * Blocking.   Never.
 */
#ifndef ADMIN_CLI_ROWS_H
#define ADMIN_CLI_ROWS_H

#include <jansson.h>

#include "base/buf.h"

#define ROWS_MAX 200000

/* To UTF-8: encoding empty means UTF-8. A malformed line is an error. */
int rows_decode(struct str file, struct str encoding, struct buf *text,
    json_t *errors, struct err *err);

int rows_read(struct str text, json_t *rows, json_t *errors);

void rows_error(json_t *errors, json_int_t line, const char *reason);

/* By domain, then line: a batch is of one domain. */
void rows_sort(json_t *rows);

/* The domain of a row, lower case. */
void rows_domain(const json_t *row, char *to, size_t size);

#endif
