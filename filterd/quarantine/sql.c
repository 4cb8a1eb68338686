/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/store_int.h"

#define BRIEF "queue_id, owner, domain, is_for_admin, sender, "		\
	"sender_account, flags, envid, verdict, size, sha256, client, "	\
	"arrived_us, kept_s, from_text, subject, date_text, trace"
/* Some of its recipients were decided to get it. */
#define IS_RELEASING "EXISTS (SELECT 1 FROM rcpt WHERE entry = entry.id "	\
	"AND is_releasing = 1)"
#define FILTERED " AND id > ?2 AND (?4 < 0 OR is_for_admin = ?4) "	\
	"ORDER BY id LIMIT ?3"

static const char *const statements[STATEMENTS] = {
	[EPOCH_GET] = "SELECT value FROM meta WHERE name = 'epoch'",
	[EPOCH_SET] = "INSERT INTO meta (name, value) VALUES ('epoch', ?2) "
	    "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	[ENTRY_ADD] = "INSERT INTO entry (id, " BRIEF ", summary) VALUES (?2, "
	    "?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, "
	    "?17, ?18, ?19, ?20, ?21)",
	[ENTRY_FIND] = "SELECT id FROM entry WHERE queue_id = ?2 AND "
	    "owner = ?3",
	[ENTRY_GET] = "SELECT " BRIEF ", " IS_RELEASING " FROM entry "
	    "WHERE id = ?2",
	[ENTRY_GET_WHOLE] = "SELECT " BRIEF ", " IS_RELEASING
	    ", summary FROM entry "
	    "WHERE id = ?2",
	[ENTRY_DELETE] = "DELETE FROM entry WHERE id = ?2",
	[ENTRY_EXISTS] = "SELECT 1 FROM entry WHERE id = ?2",
	[ENTRY_IDS] = "SELECT id FROM entry WHERE 1 = 1" FILTERED,
	[ENTRY_IDS_DOMAIN] = "SELECT id FROM entry WHERE domain = ?5" FILTERED,
	[ENTRY_IDS_OWNER] = "SELECT id FROM entry WHERE owner = ?5" FILTERED,
	[ENTRY_OLD] = "SELECT id FROM entry WHERE domain = ?2 AND "
	    "kept_s <= ?3 AND NOT " IS_RELEASING " ORDER BY kept_s LIMIT ?4",
	[ENTRY_SIZE] = "SELECT owner, size + LENGTH(trace) FROM entry "
	    "WHERE id = ?2",
	[DOMAIN_NEXT] = "SELECT domain FROM entry WHERE domain > ?2 "
	    "ORDER BY domain LIMIT 1",
	[RCPT_ADD] = "INSERT INTO rcpt (entry, n, address, notify, orcpt) "
	    "VALUES (?2, ?3, ?4, ?5, ?6) ON CONFLICT (entry, n) DO NOTHING",
	[RCPT_GET] = "SELECT n, address, notify, orcpt, is_releasing FROM rcpt "
	    "WHERE entry = ?2 ORDER BY n",
	[RCPT_DELETE] = "DELETE FROM rcpt WHERE entry = ?2",
	[RCPT_DELETE_ONE] = "DELETE FROM rcpt WHERE entry = ?2 AND n = ?3",
	[RCPT_ANY] = "SELECT 1 FROM rcpt WHERE entry = ?2 LIMIT 1",
	[GONE_ADD] = "INSERT INTO gone (queue_id, owner, n, gone_s) "
	    "SELECT e.queue_id, e.owner, r.n, ?3 FROM entry e "
	    "JOIN rcpt r ON r.entry = e.id WHERE e.id = ?2 "
	    "ON CONFLICT (queue_id, owner, n) DO NOTHING",
	[GONE_ADD_ONE] = "INSERT INTO gone (queue_id, owner, n, gone_s) "
	    "SELECT queue_id, owner, ?3, ?4 FROM entry WHERE id = ?2 "
	    "ON CONFLICT (queue_id, owner, n) DO NOTHING",
	[GONE_HAS] = "SELECT 1 FROM gone WHERE queue_id = ?2 AND owner = ?3 "
	    "AND n = ?4",
	[GONE_SWEEP] = "DELETE FROM gone WHERE gone_s < ?2",
	[HOLDER_ADD] = "INSERT INTO holder (owner, entries, octets) "
	    "VALUES (?2, 1, ?3) ON CONFLICT (owner) DO UPDATE SET "
	    "entries = entries + 1, octets = octets + excluded.octets",
	[HOLDER_SUB] = "UPDATE holder SET entries = entries - 1, "
	    "octets = octets - ?3 WHERE owner = ?2",
	[HOLDER_EMPTY] = "DELETE FROM holder WHERE owner = ?2 AND "
	    "entries <= 0",
	[HOLDER_GET] = "SELECT entries, octets FROM holder WHERE owner = ?2",
	[HOLDER_LARGEST] = "SELECT owner FROM holder WHERE entries > 0 "
	    "ORDER BY octets DESC LIMIT 1",
	[HOLDER_SUM] = "SELECT COALESCE(SUM(entries), 0), "
	    "COALESCE(SUM(octets), 0) FROM holder",
	[RELEASING_SET] = "UPDATE rcpt SET is_releasing = ?3 WHERE entry = ?2",
	[RELEASING_NEXT] = "SELECT entry FROM rcpt WHERE is_releasing = 1 "
	    "AND entry > ?2 ORDER BY entry LIMIT 1",
	/* ?3: also the newest. */
	[OLDEST_OF] = "SELECT id FROM entry WHERE owner = ?2 AND (?3 = 1 OR "
	    "id < (SELECT MAX(id) FROM entry WHERE owner = ?2)) AND NOT "
	    IS_RELEASING " ORDER BY id LIMIT 1",
};

static const char *const migrations[] = {
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) "
	"WITHOUT ROWID;"
	"CREATE TABLE entry (id INTEGER PRIMARY KEY, "
	" queue_id INTEGER NOT NULL, owner TEXT NOT NULL, "
	" domain TEXT NOT NULL, is_for_admin INTEGER NOT NULL, "
	" sender TEXT NOT NULL, sender_account INTEGER NOT NULL, "
	" flags INTEGER NOT NULL, envid TEXT NOT NULL, "
	" verdict BLOB NOT NULL, size INTEGER NOT NULL, "
	" sha256 BLOB NOT NULL, client TEXT NOT NULL, "
	" arrived_us INTEGER NOT NULL, kept_s INTEGER NOT NULL, "
	" from_text TEXT NOT NULL, subject TEXT NOT NULL, "
	" date_text TEXT NOT NULL, trace BLOB NOT NULL, "
	" summary BLOB NOT NULL, UNIQUE (queue_id, owner));"
	"CREATE INDEX entry_owner ON entry (owner, id);"
	"CREATE INDEX entry_domain ON entry (domain, id);"
	"CREATE INDEX entry_kept ON entry (domain, kept_s);"
	"CREATE TABLE rcpt (entry INTEGER NOT NULL, n INTEGER NOT NULL, "
	" address TEXT NOT NULL, notify INTEGER NOT NULL, "
	" orcpt TEXT NOT NULL, PRIMARY KEY (entry, n)) WITHOUT ROWID;"
	"CREATE TABLE gone (queue_id INTEGER NOT NULL, owner TEXT NOT NULL, "
	" n INTEGER NOT NULL, gone_s INTEGER NOT NULL, "
	" PRIMARY KEY (queue_id, owner, n)) WITHOUT ROWID;"
	"CREATE INDEX gone_when ON gone (gone_s);"
	"CREATE TABLE holder (owner TEXT PRIMARY KEY, "
	" entries INTEGER NOT NULL, octets INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX holder_octets ON holder (octets);",
	("ALTER TABLE rcpt ADD COLUMN is_releasing INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX rcpt_releasing ON rcpt (entry) WHERE is_releasing = 1;"),
};

const struct db_schema quarantine_schema = {
	.name = "quarantine", .application = 0x686b716e,	/* "hkqn" */
	.migrations = migrations,
	.migration_count = sizeof(migrations) / sizeof(migrations[0]),
	.statements = statements, .statement_count = STATEMENTS,
};
