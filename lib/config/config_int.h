/* SPDX-License-Identifier: ISC */
/* config_int: what the files of lib/config share. */
#ifndef CONFIG_CONFIG_INT_H
#define CONFIG_CONFIG_INT_H

#include <confuse.h>

#include "base/arena.h"
#include "config/config.h"

/* Is value one of the words of list (with blanks between them)? */
bool config_is_one_of(const char *value, const char *list);

/* "unix:/path" or "192.0.2.1@8891": what hikyakud can connect to. */
bool config_is_address(const char *text);

/* Printable, not empty, without blanks. */
bool config_is_word(const char *text);

/* The words of a list with blanks between them; and as it is written. */
const char *config_join(struct arena *arena, cfg_t *sec, const char *name);
void config_print_words(struct buf *text, const char *name,
    const char *words);

/* milter.c: the blocks milter NAME { ... } */
extern cfg_opt_t config_milter_opts[];
int config_check_milter(cfg_t *cfg, cfg_opt_t *opt);
void config_take_milter(cfg_t *sec, struct arena *arena,
    struct config_milter *m);
/* The milters that listeners name are there. */
int config_check_milters(const struct config *config, const char *path,
    struct err *err);
void config_slice_milters(const struct config *config, struct buf *lines);
void config_print_milters(const struct config *config, struct buf *text);

/* detonation.c: the blocks detonation NAME { ... } */
extern cfg_opt_t config_detonation_opts[];
int config_check_detonation(cfg_t *cfg, cfg_opt_t *opt);
void config_take_detonation(cfg_t *sec, struct config_detonation *d);
void config_slice_detonations(const struct config *config,
    struct buf *lines);
void config_print_detonations(const struct config *config, struct buf *text);
void config_document_detonations(struct buf *text);

#endif
