/* SPDX-License-Identifier: ISC */
#include "ipc/links.h"

#define IPC_REQ(name, states, often, fd, args, reply, doc) \
	{ #name, IPC_K_REQ, states, often, fd, args, reply, doc },
#define IPC_NOTE(name, states, fd, args, doc) \
	{ #name, IPC_K_NOTE, states, IPC_MANY, fd, args, "", doc },
#define IPC_PUSH(name, fd, args, doc) \
	{ #name, IPC_K_PUSH, ST_ANY, IPC_MANY, fd, args, "", doc },
#define IPC_LINK(name, server, clients)

static const struct ipc_row master_rows[] = {
#include "ipc/master.def"
};
static const struct ipc_row dir_rows[] = {
#include "ipc/dir.def"
};
static const struct ipc_row auth_rows[] = {
#include "ipc/auth.def"
};
static const struct ipc_row blob_rows[] = {
#include "ipc/blob.def"
};
static const struct ipc_row queue_rows[] = {
#include "ipc/queue.def"
};
static const struct ipc_row mbox_rows[] = {
#include "ipc/mbox.def"
};
static const struct ipc_row account_rows[] = {
#include "ipc/account.def"
};
static const struct ipc_row session_rows[] = {
#include "ipc/session.def"
};
static const struct ipc_row key_rows[] = {
#include "ipc/key.def"
};
static const struct ipc_row control_rows[] = {
#include "ipc/control.def"
};
static const struct ipc_row hash_rows[] = {
#include "ipc/hash.def"
};
static const struct ipc_row dns_rows[] = {
#include "ipc/dns.def"
};
static const struct ipc_row fetch_rows[] = {
#include "ipc/fetch.def"
};
static const struct ipc_row relay_rows[] = {
#include "ipc/relay.def"
};
static const struct ipc_row filter_rows[] = {
#include "ipc/filter.def"
};
static const struct ipc_row quarantine_rows[] = {
#include "ipc/quarantine.def"
};
static const struct ipc_row scan_rows[] = {
#include "ipc/scan.def"
};
static const struct ipc_row scanner_rows[] = {
#include "ipc/scanner.def"
};
static const struct ipc_row detonate_rows[] = {
#include "ipc/detonate.def"
};
static const struct ipc_row metric_rows[] = {
#include "ipc/metric.def"
};

#undef IPC_REQ
#undef IPC_NOTE
#undef IPC_PUSH
#undef IPC_LINK

#define IPC_REQ(name, states, often, fd, args, reply, doc)
#define IPC_NOTE(name, states, fd, args, doc)
#define IPC_PUSH(name, fd, args, doc)
#define IPC_LINK(name, server, clients)					\
	const struct ipc_proto ipc_##name = { #name, server, clients,	\
	    name##_rows, sizeof(name##_rows) / sizeof(name##_rows[0]) };

#include "ipc/master.def"
#include "ipc/dir.def"
#include "ipc/auth.def"
#include "ipc/blob.def"
#include "ipc/queue.def"
#include "ipc/mbox.def"
#include "ipc/account.def"
#include "ipc/session.def"
#include "ipc/key.def"
#include "ipc/control.def"
#include "ipc/hash.def"
#include "ipc/dns.def"
#include "ipc/fetch.def"
#include "ipc/relay.def"
#include "ipc/filter.def"
#include "ipc/quarantine.def"
#include "ipc/scan.def"
#include "ipc/scanner.def"
#include "ipc/detonate.def"
#include "ipc/metric.def"

const struct ipc_proto *const ipc_protos[] = {
	&ipc_master, &ipc_dir, &ipc_auth, &ipc_blob, &ipc_queue, &ipc_mbox,
	&ipc_account, &ipc_session, &ipc_key, &ipc_control,
	&ipc_hash, &ipc_dns, &ipc_fetch, &ipc_relay,
	&ipc_filter, &ipc_quarantine, &ipc_scan, &ipc_scanner,
	&ipc_detonate, &ipc_metric, NULL,
};
