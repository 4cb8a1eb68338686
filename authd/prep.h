/* SPDX-License-Identifier: ISC */
/*
 * prep: a password as it is hashed, so that it is the same from every
 * keyboard.
 *
 * Ownership.  Appended to the caller's buf, which it wipes.
 * Errors.     ERR_SYNTAX: empty, over 1024 octets, or not allowed.
 * Blocking.   prep_open() loads tables: before the sandbox.
 * RFC.        4013 (SASLprep).
 */
#ifndef AUTHD_PREP_H
#define AUTHD_PREP_H

#include "base/buf.h"

struct prep;

struct prep *prep_open(struct err *err);
void prep_close(struct prep **prep);

/* password_r has been made by password_buf_init(). */
int prep_password(const struct prep *prep, struct str password,
    struct buf *password_r, struct err *err);

/* A buffer that does not move while it is filled, and its end. */
void password_buf_init(struct buf *buf);
void password_buf_fini(struct buf *buf);

#endif
