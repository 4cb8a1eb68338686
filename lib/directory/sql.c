/* SPDX-License-Identifier: ISC */
#include "directory/sql.h"

/* Columns in the order that account.c reads them. */
#define ACCOUNT_COLUMNS "a.id, a.domain, d.tenant, a.local, d.name, a.name, " \
	"a.plan, a.quota, COALESCE(p.quota, 0), d.mailbox_octets, "	\
	"a.is_enabled, d.is_enabled, a.language, a.used_octets, "	\
	"a.used_messages, d.message_octets, d.message_recipients, "	\
	"a.used_sequence, d.access, d.stops_when_full, a.warned_percent"
#define ACCOUNT_FROM " FROM account a JOIN domain d ON d.id = a.domain " \
	"LEFT JOIN plan p ON p.name = a.plan "
#define DOMAIN_BRIEF "d.id, d.tenant, d.name, t.name, "			\
	"d.mailbox_octets, d.ids_max, d.message_octets, "		\
	"d.message_recipients, d.is_enabled, d.access, "		\
	"d.stops_when_full, d.dmarc_marks, d.filter_absent, "		\
	"d.quarantine_days, "
/* Counting accounts is for people: mail does not need it. */
#define DOMAIN_COLUMNS DOMAIN_BRIEF					\
	"(SELECT COUNT(*) FROM account a WHERE a.domain = d.id)"
#define DOMAIN_FROM " FROM domain d JOIN tenant t ON t.id = d.tenant "

static const char *const statements[DIRECTORY_STATEMENTS] = {
	[LOG_ADD] = "INSERT INTO oplog (when_us, actor, verb, object, detail) "
	    "VALUES (?2, ?3, ?4, ?5, ?6)",
	[LOG_READ] = "SELECT id, when_us, actor, verb, object, detail "
	    "FROM oplog WHERE id > ?2 ORDER BY id LIMIT ?3",

	[TENANT_ADD] = "INSERT INTO tenant (name) VALUES (?2)",
	[TENANT_FIND] = "SELECT id FROM tenant WHERE name = ?2",
	[TENANT_DELETE] = "DELETE FROM tenant WHERE id = ?2",
	[TENANT_LIST] = "SELECT name FROM tenant WHERE name > ?2 "
	    "ORDER BY name LIMIT ?3",
	[TENANT_USED] = "SELECT 1 FROM domain WHERE tenant = ?2 LIMIT 1",

	[DOMAIN_ADD] = "INSERT INTO domain (tenant, name, mailbox_octets, "
	    "ids_max, message_octets, message_recipients, is_enabled, "
	    "access, stops_when_full, dmarc_marks, filter_absent, "
	    "quarantine_days) "
	    "VALUES (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
	[DOMAIN_FIND] = "SELECT " DOMAIN_COLUMNS DOMAIN_FROM
	    "WHERE d.name = ?2",
	[DOMAIN_LOOKUP] = "SELECT " DOMAIN_BRIEF "0" DOMAIN_FROM
	    "WHERE d.name = ?2",
	[DOMAIN_SET] = "UPDATE domain SET mailbox_octets = ?3, ids_max = ?4, "
	    "message_octets = ?5, message_recipients = ?6, "
	    "is_enabled = ?7, access = ?8, stops_when_full = ?9, "
	    "dmarc_marks = ?10, filter_absent = ?11, "
	    "quarantine_days = ?12 "
	    "WHERE id = ?2",
	[DOMAIN_DELETE] = "DELETE FROM domain WHERE id = ?2",
	[DOMAIN_LIST] = "SELECT " DOMAIN_COLUMNS DOMAIN_FROM
	    "WHERE d.name > ?2 ORDER BY d.name LIMIT ?3",
	[DOMAIN_NAMES] = "SELECT name, tenant FROM domain "
	    "WHERE name > ?2 "
	    "ORDER BY name LIMIT ?3",

	[PLAN_PUT] = "INSERT INTO plan (name, quota) VALUES (?2, ?3) "
	    "ON CONFLICT (name) DO UPDATE SET quota = excluded.quota",
	[PLAN_FIND] = "SELECT quota FROM plan WHERE name = ?2",
	[PLAN_DELETE] = "DELETE FROM plan WHERE name = ?2",
	[PLAN_LIST] = "SELECT name, quota FROM plan ORDER BY quota, name "
	    "LIMIT ?2",
	[PLAN_USED] = "SELECT 1 FROM account WHERE plan = ?2 LIMIT 1",

	[ACCOUNT_ADD] = "INSERT INTO account (domain, local, name, plan, "
	    "quota, is_enabled, language) VALUES (?2, ?3, ?4, ?5, ?6, ?7, "
	    "?8)",
	[ACCOUNT_GET] = "SELECT " ACCOUNT_COLUMNS ACCOUNT_FROM
	    "WHERE a.id = ?2",
	[ACCOUNT_FIND] = "SELECT " ACCOUNT_COLUMNS ACCOUNT_FROM
	    "WHERE d.name = ?2 AND a.local = ?3",
	[ACCOUNT_SET] = "UPDATE account SET name = ?3, plan = ?4, "
	    "quota = ?5, is_enabled = ?6, language = ?7 WHERE id = ?2",
	[ACCOUNT_DELETE] = "DELETE FROM account WHERE id = ?2",
	[ACCOUNT_LIST] = "SELECT " ACCOUNT_COLUMNS ACCOUNT_FROM
	    "WHERE a.domain = ?2 AND a.id > ?3 ORDER BY a.id LIMIT ?4",
	[ACCOUNT_COUNT] = "SELECT COUNT(*) FROM account WHERE domain = ?2",
	[ACCOUNT_USAGE] = "UPDATE account SET used_octets = ?3, "
	    "used_messages = ?4, used_sequence = ?5 WHERE id = ?2",
	[ACCOUNT_FULL] = "UPDATE account SET full_since_s = ?3 "
	    "WHERE id = ?2",
	[FULL_LIST] = "SELECT id, full_since_s FROM account "
	    "WHERE full_since_s <> 0",
	[ACCOUNT_WARNED] = "UPDATE account SET warned_percent = ?3 "
	    "WHERE id = ?2",

	[PAIR_ADD] = "INSERT INTO pair (kind, owner, target, keeps_copy) "
	    "VALUES (?2, ?3, ?4, ?5)",
	[PAIR_DELETE] = "DELETE FROM pair WHERE kind = ?2 AND owner = ?3 "
	    "AND target = ?4",
	[PAIR_DELETE_ALL] = "DELETE FROM pair WHERE kind = ?2 AND owner = ?3",
	[PAIR_LIST] = "SELECT owner, target, keeps_copy FROM pair "
	    "WHERE kind = ?2 AND (owner, target) > (?3, ?4) "
	    "ORDER BY owner, target LIMIT ?5",
	[PAIR_OF] = "SELECT owner, target, keeps_copy FROM pair "
	    "WHERE kind = ?2 AND owner = ?3 AND target > ?4 "
	    "ORDER BY target LIMIT ?5",
	[PAIR_HAS] = "SELECT 1 FROM pair WHERE kind = ?2 AND owner = ?3 "
	    "AND target = ?4",
	[PAIR_DELETE_OWNED] = "DELETE FROM pair WHERE (owner = ?2 AND "
	    "kind IN (1, 2)) OR (target = ?2 AND kind IN (0, 3))",

	[FIRST_DOMAIN] = "SELECT name FROM domain ORDER BY id LIMIT 1",

	[SENDER_KEY_ADD] = "INSERT INTO sender_key (made_s, secret) "
	    "VALUES (?2, ?3)",
	[SENDER_KEY_LIST] = "SELECT made_s, secret FROM sender_key "
	    "ORDER BY id DESC LIMIT ?2",
	[SENDER_KEY_PRUNE] = "DELETE FROM sender_key WHERE id NOT IN "
	    "(SELECT id FROM sender_key ORDER BY id DESC LIMIT ?2)",
};

/* Ids are never given twice (AUTOINCREMENT): mail folders are named by them. */
static const char *const migrations[] = {
	"CREATE TABLE oplog (id INTEGER PRIMARY KEY AUTOINCREMENT, "
	" when_us INTEGER NOT NULL, actor TEXT NOT NULL, "
	" verb TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL);"
	"CREATE TABLE tenant (id INTEGER PRIMARY KEY AUTOINCREMENT, "
	" name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE domain (id INTEGER PRIMARY KEY AUTOINCREMENT, "
	" tenant INTEGER NOT NULL REFERENCES tenant (id), "
	" name TEXT NOT NULL UNIQUE, mailbox_octets INTEGER NOT NULL, "
	" ids_max INTEGER NOT NULL, message_octets INTEGER NOT NULL, "
	" message_recipients INTEGER NOT NULL, "
	" is_enabled INTEGER NOT NULL);"
	"CREATE TABLE plan (name TEXT PRIMARY KEY, quota INTEGER NOT NULL) "
	" WITHOUT ROWID;"
	"INSERT INTO plan (name, quota) VALUES ('100M', 104857600), "
	" ('3G', 3221225472), ('10G', 10737418240);"
	"CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT, "
	" domain INTEGER NOT NULL REFERENCES domain (id), "
	" local TEXT NOT NULL, name TEXT NOT NULL, "
	" plan TEXT REFERENCES plan (name), quota INTEGER, "
	" is_enabled INTEGER NOT NULL, language TEXT NOT NULL, "
	" used_octets INTEGER NOT NULL DEFAULT 0, "
	" used_messages INTEGER NOT NULL DEFAULT 0, "
	" used_sequence INTEGER NOT NULL DEFAULT 0, "
	" UNIQUE (domain, local));"
	"CREATE TABLE pair (kind INTEGER NOT NULL, owner TEXT NOT NULL, "
	" target TEXT NOT NULL, keeps_copy INTEGER NOT NULL, "
	" PRIMARY KEY (kind, owner, target)) WITHOUT ROWID;"
	"CREATE INDEX pair_target ON pair (target, kind);"
	"CREATE INDEX account_plan ON account (plan);",

	"ALTER TABLE domain ADD COLUMN access TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE domain ADD COLUMN stops_when_full INTEGER NOT NULL "
	" DEFAULT 0;"
	"ALTER TABLE account ADD COLUMN full_since_s INTEGER NOT NULL "
	" DEFAULT 0;"
	"ALTER TABLE account ADD COLUMN warned_percent INTEGER NOT NULL "
	" DEFAULT 0;"
	"CREATE INDEX account_full ON account (full_since_s) "
	" WHERE full_since_s <> 0;",

	"ALTER TABLE domain ADD COLUMN dmarc_marks INTEGER NOT NULL "
	" DEFAULT 0;"
	"ALTER TABLE domain ADD COLUMN filter_absent INTEGER NOT NULL "
	" DEFAULT 0;",

	("CREATE TABLE sender_key (id INTEGER PRIMARY KEY AUTOINCREMENT, "
	" made_s INTEGER NOT NULL, secret BLOB NOT NULL);"),

	("ALTER TABLE domain ADD COLUMN quarantine_days INTEGER NOT NULL "
	" DEFAULT 14;"),
};

const struct db_schema directory_schema = {
	.name = "directory", .application = 0x686b6469,	/* "hkdi" */
	.migrations = migrations,
	.migration_count = sizeof(migrations) / sizeof(migrations[0]),
	.statements = statements,
	.statement_count = DIRECTORY_STATEMENTS,
};
