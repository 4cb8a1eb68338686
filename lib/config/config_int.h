/* SPDX-License-Identifier: ISC */
/* config_int: what the files of lib/config share. */
#ifndef CONFIG_CONFIG_INT_H
#define CONFIG_CONFIG_INT_H

#include <confuse.h>

#include "config/config.h"

/* Is value one of the words of list (with blanks between them)? */
bool config_is_one_of(const char *value, const char *list);

/* "unix:/path" or "192.0.2.1@8891": what hikyakud can connect to. */
bool config_is_address(const char *text);

/* Printable, not empty, without blanks. */
bool config_is_word(const char *text);

/* detonation.c: the blocks detonation NAME { ... } */
extern cfg_opt_t config_detonation_opts[];
int config_check_detonation(cfg_t *cfg, cfg_opt_t *opt);
void config_take_detonation(cfg_t *sec, struct config_detonation *d);
void config_slice_detonations(const struct config *config,
    struct buf *lines);
void config_print_detonations(const struct config *config, struct buf *text);
void config_document_detonations(struct buf *text);

#endif
