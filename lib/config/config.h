/* SPDX-License-Identifier: ISC */
/*
 * config: hikyaku.conf, what an operator sets for one node.
 *
 * One table (config_schema.def) makes parser, defaults, documentation
 * (`hikyakud -t`, `hikyaku config`), and the slice of each program. libConfuse reads
 * the file; units and ranges are checked while it reads, so that an error has
 * its file and line.
 *
 * Lifetime.   config_load() -> config_free(). A reload loads a new one.
 * Units.      Sizes in octets (K, M, G are powers of 1024), times in seconds.
 * Errors.     ERR_SYNTAX with "FILE:LINE: reason".
 * Blocking.   Reads the file.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/buf.h"

struct config;

struct config_listener {
	const char *name;
	const char *protocol;	/* smtp, submission, lmtp, imap, pop3, web */
	const char *tls;	/* none, starttls, implicit */
	const char *zone;
	bool takes_clear_logins;
	const char *milters;	/* names of those asked, separated by blanks */
	const char *path;	/* local socket; then no addresses */
	uint16_t port;
	size_t addresses_len;
	const char *const *addresses;
};

/* A mail filter that smtpd asks (proto/milter.h). */
struct config_milter {
	const char *name;
	const char *address;	/* "unix:/path" or "192.0.2.1@8891" */
	uint64_t connect_s;
	uint64_t command_s;
	uint64_t message_s;
	const char *unavailable;	/* tempfail, accept, reject, quarantine */
	const char *macros;	/* told beside the usual ones */
};

#define CONFIG_MILTERS_MAX 16

/* An engine that opens suspicious mail (filterd/detonate/engine.h). */
struct config_detonation {
	const char *name;
	const char *engine;	/* cape */
	const char *kind;	/* virtual, physical, ... */
	const char *address;	/* "unix:/path" or "192.0.2.7@8000" */
	const char *tls;	/* none, verify */
	const char *host;	/* its name in HTTP and its certificate */
	const char *ca;		/* PEM file; empty: the system's */
	const char *token_file;	/* empty: none */
	const char *path;	/* what all paths begin with */
};

#define CONFIG_DETONATIONS_MAX 4

struct config *config_load(const char *path, struct err *err);
void config_free(struct config **config);

/* A value by its name in the schema. */
const char *config_get(const struct config *config, const char *name);
uint64_t config_get_u64(const struct config *config, const char *name);

/* The listeners. */
size_t config_listeners(const struct config *config,
    const struct config_listener **listeners_r);

/* The mail filters. */
size_t config_milters(const struct config *config,
    const struct config_milter **milters_r);

/* The engines that open suspicious mail. */
size_t config_detonations(const struct config *config,
    const struct config_detonation **detonations_r);

/* Append "key=value" lines of what program may know. */
void config_slice(const struct config *config, const char *program,
    struct buf *lines);

/* Append the effective configuration in the file's own syntax. */
void config_print(const struct config *config, struct buf *text);

/* Append the documentation of every key. */
void config_document(struct buf *text);

/* "10G" -> octets; ERR_SYNTAX. */
int config_parse_size(struct str text, uint64_t *octets_r);

/* "90", "30s", "5m", "4h", "5d" -> seconds; ERR_SYNTAX. */
int config_parse_time(struct str text, uint64_t *seconds_r);

#endif
