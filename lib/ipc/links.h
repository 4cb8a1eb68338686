/* SPDX-License-Identifier: ISC */
/*
 * links: all link tables as enums and protos. To add a link: write NAME.def,
 * add a line to the list below; docs/ipc.md and the fuzz target follow.
 */
#ifndef IPC_LINKS_H
#define IPC_LINKS_H

#include "ipc/ipc.h"

#define IPC_REQ(name, states, often, fd, args, reply, doc) name,
#define IPC_NOTE(name, states, fd, args, doc) name,
#define IPC_PUSH(name, fd, args, doc) name,
#define IPC_LINK(name, server, clients)

enum ipc_master_request {
#include "ipc/master.def"
};
enum ipc_dir_request {
#include "ipc/dir.def"
};
enum ipc_auth_request {
#include "ipc/auth.def"
};
enum ipc_blob_request {
#include "ipc/blob.def"
};
enum ipc_queue_request {
#include "ipc/queue.def"
};
enum ipc_mbox_request {
#include "ipc/mbox.def"
};
enum ipc_account_request {
#include "ipc/account.def"
};
enum ipc_session_request {
#include "ipc/session.def"
};
enum ipc_key_request {
#include "ipc/key.def"
};
enum ipc_control_request {
#include "ipc/control.def"
};
enum ipc_dns_request {
#include "ipc/dns.def"
};
enum ipc_fetch_request {
#include "ipc/fetch.def"
};
enum ipc_relay_request {
#include "ipc/relay.def"
};
enum ipc_hash_request {
#include "ipc/hash.def"
};
enum ipc_filter_request {
#include "ipc/filter.def"
};
enum ipc_quarantine_request {
#include "ipc/quarantine.def"
};
enum ipc_scan_request {
#include "ipc/scan.def"
};
enum ipc_detonate_request {
#include "ipc/detonate.def"
};
enum ipc_metric_request {
#include "ipc/metric.def"
};
enum ipc_scanner_request {
#include "ipc/scanner.def"
};

#undef IPC_REQ
#undef IPC_NOTE
#undef IPC_PUSH
#undef IPC_LINK

extern const struct ipc_proto ipc_master;
extern const struct ipc_proto ipc_dir;
extern const struct ipc_proto ipc_auth;
extern const struct ipc_proto ipc_blob;
extern const struct ipc_proto ipc_queue;
extern const struct ipc_proto ipc_mbox;
extern const struct ipc_proto ipc_account;
extern const struct ipc_proto ipc_session;
extern const struct ipc_proto ipc_key;
extern const struct ipc_proto ipc_control;
extern const struct ipc_proto ipc_hash;
extern const struct ipc_proto ipc_dns;
extern const struct ipc_proto ipc_fetch;
extern const struct ipc_proto ipc_relay;
extern const struct ipc_proto ipc_filter;
extern const struct ipc_proto ipc_quarantine;
extern const struct ipc_proto ipc_scan;
extern const struct ipc_proto ipc_scanner;
extern const struct ipc_proto ipc_detonate;
extern const struct ipc_proto ipc_metric;

/* All of them, for documentation and fuzzing; ends with NULL. */
extern const struct ipc_proto *const ipc_protos[];

#endif
