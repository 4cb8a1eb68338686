/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

/*
 * Every row carries its account, so that the tables can stand side by side in
 * one database. Tables with an INTEGER PRIMARY KEY are looked up by it alone,
 * the account being one more condition; the small ones are their own index.
 *
 * page.id and so on are numbers of our own making (store_int.h); refs.id is
 * message id div REFS_BLOCK, a missing row means no message of the block is
 * in more than one mailbox. garbage.state: 0 hidden, 1 rows deleted and links
 * to be removed.
 */
static const char *const migrations[] = {
	"CREATE TABLE account("
	" account INTEGER PRIMARY KEY,"
	" next_message INTEGER NOT NULL,"
	" next_mailbox INTEGER NOT NULL,"
	" next_uidvalidity INTEGER NOT NULL,"
	" modseq INTEGER NOT NULL,"
	" size INTEGER NOT NULL,"
	" messages INTEGER NOT NULL,"
	" sequence INTEGER NOT NULL,"
	" checked INTEGER NOT NULL);"
	"CREATE TABLE mailbox("
	" id INTEGER PRIMARY KEY,"
	" account INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" role INTEGER NOT NULL,"
	" noselect INTEGER NOT NULL,"
	" uidvalidity INTEGER NOT NULL,"
	" uidnext INTEGER NOT NULL,"
	" recent_uid INTEGER NOT NULL,"
	" messages INTEGER NOT NULL,"
	" unseen INTEGER NOT NULL,"
	" deleted INTEGER NOT NULL,"
	" size INTEGER NOT NULL,"
	" highestmodseq INTEGER NOT NULL,"
	" modseq INTEGER NOT NULL);"
	"CREATE TABLE keyword("
	" account INTEGER NOT NULL,"
	" mailbox INTEGER NOT NULL,"
	" bit INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" PRIMARY KEY (account, mailbox, bit)) WITHOUT ROWID;"
	"CREATE TABLE subscription("
	" account INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" PRIMARY KEY (account, name)) WITHOUT ROWID;"
	"CREATE TABLE page("
	" id INTEGER PRIMARY KEY,"
	" account INTEGER NOT NULL,"
	" data BLOB NOT NULL);"
	"CREATE TABLE vanished("
	" account INTEGER NOT NULL,"
	" mailbox INTEGER NOT NULL,"
	" modseq INTEGER NOT NULL,"
	" data BLOB NOT NULL,"
	" PRIMARY KEY (account, mailbox, modseq)) WITHOUT ROWID;"
	"CREATE TABLE message("
	" id INTEGER PRIMARY KEY,"
	" account INTEGER NOT NULL,"
	" thread INTEGER NOT NULL,"
	" blob_size INTEGER NOT NULL,"
	" codec INTEGER NOT NULL,"
	" date INTEGER NOT NULL,"
	" sent INTEGER NOT NULL,"
	" sha256 BLOB NOT NULL,"
	" trace BLOB NOT NULL,"
	" summary BLOB NOT NULL);"
	"CREATE TABLE refs("
	" id INTEGER PRIMARY KEY,"
	" account INTEGER NOT NULL,"
	" data BLOB NOT NULL);"
	"CREATE TABLE garbage("
	" id INTEGER PRIMARY KEY,"
	" account INTEGER NOT NULL,"
	" expunged INTEGER NOT NULL,"
	" state INTEGER NOT NULL,"
	" data BLOB NOT NULL);"
	"CREATE TABLE delivery("
	" account INTEGER NOT NULL,"
	" queue_id INTEGER NOT NULL,"
	" recipient TEXT NOT NULL,"
	" message INTEGER NOT NULL,"
	" mailbox INTEGER NOT NULL,"
	" uid INTEGER NOT NULL,"
	" uidvalidity INTEGER NOT NULL,"
	" modseq INTEGER NOT NULL,"
	" at INTEGER NOT NULL,"
	" PRIMARY KEY (account, queue_id, recipient)) WITHOUT ROWID;"
	"CREATE TABLE value("
	" account INTEGER NOT NULL,"
	" key TEXT NOT NULL,"
	" until INTEGER NOT NULL,"
	" data BLOB NOT NULL,"
	" PRIMARY KEY (account, key)) WITHOUT ROWID;",
};

#define MESSAGE_COLUMNS \
	"id, thread, blob_size, codec, date, sent, sha256, trace, summary"

static const char *const statements[Q_MAX] = {
[Q_ACCOUNT_GET] =
    "SELECT next_message, next_mailbox, next_uidvalidity, modseq, size, "
    "messages, sequence, checked FROM account WHERE account = ?1",
[Q_ACCOUNT_PUT] =
    "INSERT INTO account(account, next_message, next_mailbox, "
    "next_uidvalidity, modseq, size, messages, sequence, checked) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
    "ON CONFLICT (account) DO UPDATE SET next_message = ?2, "
    "next_mailbox = ?3, next_uidvalidity = ?4, modseq = ?5, size = ?6, "
    "messages = ?7, sequence = ?8, checked = ?9",
[Q_MAILBOX_LIST] =
    "SELECT id, name, role, noselect, uidvalidity, uidnext, recent_uid, "
    "messages, unseen, deleted, size, highestmodseq, modseq "
    "FROM mailbox WHERE account = ?1",
[Q_MAILBOX_PUT] =
    "INSERT INTO mailbox(account, id, name, role, noselect, uidvalidity, "
    "uidnext, recent_uid, messages, unseen, deleted, size, highestmodseq, "
    "modseq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, "
    "?13, ?14) "
    "ON CONFLICT (id) DO UPDATE SET name = ?3, role = ?4, noselect = ?5, "
    "uidvalidity = ?6, uidnext = ?7, recent_uid = ?8, messages = ?9, "
    "unseen = ?10, deleted = ?11, size = ?12, highestmodseq = ?13, "
    "modseq = ?14 WHERE account = ?1",
[Q_MAILBOX_DELETE] =
    "DELETE FROM mailbox WHERE account = ?1 AND id = ?2",
[Q_KEYWORD_LIST] =
    "SELECT bit, name FROM keyword WHERE account = ?1 AND mailbox = ?2",
[Q_KEYWORD_ADD] =
    "INSERT INTO keyword(account, mailbox, bit, name) "
    "VALUES (?1, ?2, ?3, ?4)",
[Q_KEYWORD_DELETE] =
    "DELETE FROM keyword WHERE account = ?1 AND mailbox = ?2",
[Q_SUBSCRIPTION_LIST] =
    "SELECT name FROM subscription WHERE account = ?1 ORDER BY name",
[Q_SUBSCRIPTION_ADD] =
    "INSERT INTO subscription(account, name) VALUES (?1, ?2)",
[Q_SUBSCRIPTION_DELETE] =
    "DELETE FROM subscription WHERE account = ?1 AND name = ?2",
[Q_PAGE_LIST] =
    "SELECT id, data FROM page WHERE account = ?1 AND id BETWEEN ?2 AND ?3 "
    "ORDER BY id",
[Q_PAGE_LAST] =
    "SELECT id, data FROM page WHERE account = ?1 AND id BETWEEN ?2 AND ?3 "
    "ORDER BY id DESC LIMIT 1",
[Q_PAGE_PUT] =
    "INSERT INTO page(account, id, data) VALUES (?1, ?2, ?3) "
    "ON CONFLICT (id) DO UPDATE SET data = ?3 WHERE account = ?1",
[Q_PAGE_DELETE] =
    "DELETE FROM page WHERE account = ?1 AND id = ?2",
[Q_PAGE_DELETE_ALL] =
    "DELETE FROM page WHERE account = ?1 AND id BETWEEN ?2 AND ?3",
[Q_VANISHED_SINCE] =
    "SELECT data FROM vanished WHERE account = ?1 AND mailbox = ?2 "
    "AND modseq > ?3",
[Q_VANISHED_FIRST] =
    "SELECT modseq, data FROM vanished WHERE account = ?1 AND mailbox = ?2 "
    "ORDER BY modseq LIMIT ?3",
[Q_VANISHED_COUNT] =
    "SELECT count(*) FROM vanished WHERE account = ?1 AND mailbox = ?2",
[Q_VANISHED_ADD] =
    "INSERT INTO vanished(account, mailbox, modseq, data) "
    "VALUES (?1, ?2, ?3, ?4)",
[Q_VANISHED_DELETE_TO] =
    "DELETE FROM vanished WHERE account = ?1 AND mailbox = ?2 "
    "AND modseq <= ?3",
[Q_MESSAGE_ADD] =
    "INSERT INTO message(account, " MESSAGE_COLUMNS ") "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
[Q_MESSAGE_GET] =
    "SELECT " MESSAGE_COLUMNS " FROM message "
    "WHERE account = ?1 AND id = ?2",
[Q_MESSAGE_FROM] =
    "SELECT " MESSAGE_COLUMNS " FROM message "
    "WHERE account = ?1 AND id >= ?2 ORDER BY id",
[Q_MESSAGE_HAS] =
    "SELECT 1 FROM message WHERE account = ?1 AND id = ?2",
[Q_MESSAGE_IDS] =
    "SELECT id, blob_size, codec, length(trace) FROM message "
    "WHERE account = ?1 AND id >= ?2 ORDER BY id",
[Q_MESSAGE_DELETE] =
    "DELETE FROM message WHERE account = ?1 AND id = ?2",
[Q_MESSAGE_SUMMARY] =
    "UPDATE message SET summary = ?3 WHERE account = ?1 AND id = ?2",
[Q_REFS_GET] =
    "SELECT data FROM refs WHERE account = ?1 AND id = ?2",
[Q_REFS_PUT] =
    "INSERT INTO refs(account, id, data) VALUES (?1, ?2, ?3) "
    "ON CONFLICT (id) DO UPDATE SET data = ?3 WHERE account = ?1",
[Q_REFS_DELETE] =
    "DELETE FROM refs WHERE account = ?1 AND id = ?2",
[Q_GARBAGE_ADD] =
    "INSERT INTO garbage(account, expunged, state, data) "
    "VALUES (?1, ?2, ?3, ?4)",
[Q_GARBAGE_OLDEST] =
    "SELECT id, state, data FROM garbage WHERE account = ?1 "
    "AND (state = 1 OR expunged < ?2) ORDER BY id LIMIT 1",
[Q_GARBAGE_LIST] =
    "SELECT id, expunged, data FROM garbage WHERE account = ?1 "
    "AND state = 0 ORDER BY id DESC",
[Q_GARBAGE_PUT] =
    "UPDATE garbage SET state = ?3, data = ?4 "
    "WHERE account = ?1 AND id = ?2",
[Q_GARBAGE_DELETE] =
    "DELETE FROM garbage WHERE account = ?1 AND id = ?2",
[Q_DELIVERY_GET] =
    "SELECT message, mailbox, uid, uidvalidity, modseq FROM delivery "
    "WHERE account = ?1 AND queue_id = ?2 AND recipient = ?3",
[Q_DELIVERY_ADD] =
    "INSERT INTO delivery(account, queue_id, recipient, message, mailbox, "
    "uid, uidvalidity, modseq, at) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
[Q_DELIVERY_OLDEST] =
    "SELECT queue_id, recipient, at FROM delivery WHERE account = ?1 "
    "ORDER BY queue_id LIMIT ?2",
[Q_DELIVERY_DELETE] =
    "DELETE FROM delivery WHERE account = ?1 AND queue_id = ?2 "
    "AND recipient = ?3",
[Q_DELIVERY_FORGET] =
    "DELETE FROM delivery WHERE account = ?1 AND message = ?2",
[Q_VALUE_GET] =
    "SELECT data FROM value WHERE account = ?1 AND key = ?2 "
    "AND (until = 0 OR until > ?3)",
[Q_VALUE_PUT] =
    "INSERT INTO value(account, key, until, data) VALUES (?1, ?2, ?3, ?4) "
    "ON CONFLICT (account, key) DO UPDATE SET until = ?3, data = ?4",
[Q_VALUE_DELETE] =
    "DELETE FROM value WHERE account = ?1 AND key = ?2",
[Q_VALUE_LIST] =
    "SELECT key FROM value WHERE account = ?1 AND key >= ?2 AND key < ?3 "
    "AND (until = 0 OR until > ?4) ORDER BY key LIMIT ?5",
[Q_VALUE_EXPIRE] =
    "DELETE FROM value WHERE account = ?1 AND until <> 0 AND until <= ?2",
};

const struct db_schema store_schema = {
	.name = "mail",
	.application = 0x686b6d61,	/* "hkma" */
	.migrations = migrations,
	.migration_count = sizeof(migrations) / sizeof(migrations[0]),
	.statements = statements,
	.statement_count = Q_MAX,
	.page_octets = 4096,
};
