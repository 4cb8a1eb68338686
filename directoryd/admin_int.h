/* SPDX-License-Identifier: ISC */
/*
 * admin_int: what the verbs share: reading arguments, writing results.
 *
 * Ownership.  Views live as long as the arguments.
 * Errors.     ERR_SYNTAX with a text that names the argument.
 */
#ifndef DIRECTORYD_ADMIN_INT_H
#define DIRECTORYD_ADMIN_INT_H

#include "directoryd/admin.h"

#define PAGE 100
#define BATCH_MAX 100
#define PLANS_MAX 200
#define LIST_MAX 200

struct str admin_arg_str(const json_t *args, const char *name);
bool admin_arg_has(const json_t *args, const char *name);
int admin_need_str(const json_t *args, const char *name, struct str *value_r,
    struct err *err);
int admin_arg_size(const json_t *args, const char *name, uint64_t *value,
    struct err *err);
int admin_arg_count(const json_t *args, const char *name, uint64_t *value,
    struct err *err);
int admin_arg_address(struct admin_call *call, const json_t *args, const char *name,
    struct str *canon_r, struct err *err);
int admin_arg_domain(struct admin_call *call, const char *name,
    struct directory_domain *domain_r, struct err *err);
int admin_arg_account(struct admin_call *call, const char *name,
    struct directory_account *account_r, struct err *err);
json_t *admin_json_text(struct str s);
void admin_set_text(json_t *object, const char *name, struct str s);
void admin_set_u64(json_t *object, const char *name, uint64_t value);
void admin_changed(struct admin_call *call, uint64_t account, bool ends_sessions);
struct str admin_detail(struct admin_call *call, const json_t *args);

/* admin_account.c */
int admin_account_create(struct admin_call *call, struct err *err);
int admin_account_check(struct admin_call *call, struct err *err);
int admin_account_import(struct admin_call *call, struct err *err);
int admin_account_set(struct admin_call *call, struct err *err);
int admin_account_delete(struct admin_call *call, struct err *err);
int admin_account_password(struct admin_call *call, struct err *err);
int admin_account_show(struct admin_call *call, struct err *err);
int admin_account_list(struct admin_call *call, struct err *err);

#endif
