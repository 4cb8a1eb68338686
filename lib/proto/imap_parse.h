/* SPDX-License-Identifier: ISC */
/*
 * imap_parse: the text of one IMAP command (from imap_framer) to a struct.
 *
 * Lifetime.   All memory is the arena's; string values may also be views of
 *             the text: both live until the command is done.
 * Ownership.  The caller's arena and text.
 * Units.      Octets, UIDs and message numbers as u32, days since 1970-01-01.
 * Errors.     ERR_SYNTAX or ERR_LIMIT, both BAD; struct imap_problem has a
 *             constant text for the peer and the offset. cmd_r->tag is set
 *             whenever the tag was readable (else empty: answer "* BAD").
 *             A command's legality in a state is the caller's question:
 *             cmd->info->legal.
 * Blocking.   Never.
 * Process.    imapd front and engine.
 * RFC.        RFC 3501 section 9; RFC 2177, RFC 2342, RFC 2971, RFC 4315,
 *             RFC 4731, RFC 4959, RFC 5032, RFC 5161, RFC 5258, RFC 5819,
 *             RFC 6154, RFC 6851, RFC 7162, RFC 7888, RFC 8438, RFC 8474,
 *             RFC 8514, RFC 8970, RFC 9051, RFC 9208, RFC 9394.
 */
#ifndef PROTO_IMAP_PARSE_H
#define PROTO_IMAP_PARSE_H

#include "proto/imap_set.h"

#define IMAP_SEARCH_DEPTH_MAX 50
#define IMAP_SEARCH_KEYS_MAX 1000
#define IMAP_SORT_KEYS_MAX 16
#define IMAP_ENTRIES_MAX 50	/* of METADATA in one command */
#define IMAP_ENTRY_OCTETS_MAX 200
#define IMAP_SECTIONS_MAX 200
#define IMAP_FIELDS_MAX 500	/* header names in one section */
#define IMAP_PART_DEPTH_MAX 60	/* numbers in a section: 1.2.3 */
#define IMAP_FLAGS_MAX 100	/* flags in one list */
#define IMAP_FLAG_OCTETS_MAX 100
#define IMAP_PATTERNS_MAX 50
#define IMAP_ID_PAIRS_MAX 30
#define IMAP_MAILBOX_OCTETS_MAX 1000

/* Where a command is legal (bits). */
enum imap_state {
	IMAP_NOT_AUTHENTICATED = 1,
	IMAP_AUTHENTICATED = 2,
	IMAP_SELECTED = 4,
};

enum imap_command_id {
#define IMAP_COMMAND(id, name, legal, has_uid, parser) IMAP_##id,
#include "proto/imap_commands.def"
#undef IMAP_COMMAND
	IMAP_COMMAND_COUNT
};

struct imap_command_info {
	enum imap_command_id id;
	const char *name;
	unsigned legal;		/* enum imap_state bits */
	bool has_uid;
};

/* Flags (bits). \Recent is accepted in a list and ignored. */
enum imap_flag {
	IMAP_FLAG_ANSWERED = 1,
	IMAP_FLAG_FLAGGED = 2,
	IMAP_FLAG_DELETED = 4,
	IMAP_FLAG_SEEN = 8,
	IMAP_FLAG_DRAFT = 16,
	IMAP_FLAG_RECENT = 32,	/* only in SEARCH and output */
};

struct imap_flags {
	unsigned system;	/* enum imap_flag bits */
	struct str *keywords;	/* as sent; compare without case */
	size_t n_keywords;
};

/*
 * A mailbox name, decoded from modified UTF-7. INBOX in any case comes as
 * "INBOX". A name that is not valid comes as sent with is_valid false: answer
 * NO, not BAD.
 */
struct imap_mailbox {
	struct str name;	/* UTF-8, not normalised */
	bool is_valid;
};

/* Special uses (bits), RFC 6154. */
enum imap_use {
	IMAP_USE_ALL = 1,
	IMAP_USE_ARCHIVE = 2,
	IMAP_USE_DRAFTS = 4,
	IMAP_USE_FLAGGED = 8,
	IMAP_USE_JUNK = 16,
	IMAP_USE_SENT = 32,
	IMAP_USE_TRASH = 64,
	IMAP_USE_UNKNOWN = 128,	/* CREATE with one we do not have */
};

/* STATUS items (bits). */
enum imap_status_item {
	IMAP_STATUS_MESSAGES = 1,
	IMAP_STATUS_RECENT = 2,
	IMAP_STATUS_UIDNEXT = 4,
	IMAP_STATUS_UIDVALIDITY = 8,
	IMAP_STATUS_UNSEEN = 16,
	IMAP_STATUS_SIZE = 32,
	IMAP_STATUS_DELETED = 64,
	IMAP_STATUS_HIGHESTMODSEQ = 128,
	IMAP_STATUS_MAILBOXID = 256,
	IMAP_STATUS_DELETED_STORAGE = 512,
	IMAP_STATUS_APPENDLIMIT = 1024,
};

/* SELECT and EXAMINE parameters, RFC 7162 section 3.2.5. */
struct imap_select {
	struct imap_mailbox mailbox;
	unsigned use;			/* CREATE: enum imap_use */
	bool has_condstore;
	bool has_qresync;
	uint32_t uidvalidity;
	uint64_t modseq;
	bool has_known;
	struct imap_set known;		/* UIDs */
	struct imap_set match_numbers;	/* with match_uids, or empty */
	struct imap_set match_uids;
};

/* LIST selection and return options (bits of both). */
enum imap_list_option {
	IMAP_LIST_SUBSCRIBED = 1,
	IMAP_LIST_REMOTE = 2,
	IMAP_LIST_RECURSIVEMATCH = 4,
	IMAP_LIST_SPECIAL_USE = 8,
	IMAP_LIST_CHILDREN = 16,	/* return only */
	IMAP_LIST_STATUS = 32,		/* return only */
};

struct imap_list {
	bool is_extended;	/* options or several patterns were given */
	unsigned select;	/* enum imap_list_option */
	unsigned returns;	/* enum imap_list_option */
	unsigned status;	/* enum imap_status_item */
	struct imap_mailbox reference;
	struct imap_mailbox *patterns;	/* decoded, % and * kept */
	size_t n_patterns;
};

/* FETCH items without arguments (bits). */
enum imap_fetch_item {
	IMAP_FETCH_UID = 1,
	IMAP_FETCH_FLAGS = 2,
	IMAP_FETCH_INTERNALDATE = 4,
	IMAP_FETCH_SIZE = 8,		/* RFC822.SIZE */
	IMAP_FETCH_ENVELOPE = 16,
	IMAP_FETCH_BODY = 32,
	IMAP_FETCH_BODYSTRUCTURE = 64,
	IMAP_FETCH_MODSEQ = 128,
	IMAP_FETCH_EMAILID = 256,
	IMAP_FETCH_THREADID = 512,
	IMAP_FETCH_SAVEDATE = 1024,
	IMAP_FETCH_PREVIEW = 2048,
};

enum imap_section_kind {
	IMAP_SECTION_ALL,		/* BODY[] or BODY[1] */
	IMAP_SECTION_HEADER,
	IMAP_SECTION_FIELDS,		/* HEADER.FIELDS */
	IMAP_SECTION_FIELDS_NOT,
	IMAP_SECTION_TEXT,
	IMAP_SECTION_MIME,
};

/* How it was asked for, which is how it is answered. */
enum imap_section_form {
	IMAP_FORM_BODY,			/* BODY[...] and BODY.PEEK[...] */
	IMAP_FORM_RFC822,
	IMAP_FORM_RFC822_HEADER,
	IMAP_FORM_RFC822_TEXT,
	IMAP_FORM_BINARY,		/* BINARY[...] and BINARY.PEEK[...] */
	IMAP_FORM_BINARY_SIZE,
};

/* RFC 9394: positions among the results from 1; is_last: from the end. */
struct imap_partial {
	uint32_t first;			/* first <= last; 0: none given */
	uint32_t last;
	bool is_last;
};

struct imap_section {
	enum imap_section_form form;
	enum imap_section_kind kind;
	bool is_peek;			/* does not set \Seen */
	uint32_t *part;			/* 1.2.3 */
	size_t n_part;
	struct str *fields;		/* FIELDS, FIELDS_NOT */
	size_t n_fields;
	bool is_partial;		/* <first.count> */
	uint32_t first;
	uint32_t count;
};

struct imap_fetch {
	struct imap_set set;
	unsigned items;			/* enum imap_fetch_item */
	struct imap_section *sections;
	size_t n_sections;
	bool sets_seen;			/* a section without PEEK is in it */
	bool has_changedsince;
	bool has_vanished;
	uint64_t changedsince;
	struct imap_partial partial;
};

enum imap_store_mode {
	IMAP_STORE_REPLACE,
	IMAP_STORE_ADD,
	IMAP_STORE_REMOVE,
};

struct imap_store {
	struct imap_set set;
	enum imap_store_mode mode;
	bool is_silent;
	bool has_unchangedsince;
	uint64_t unchangedsince;
	struct imap_flags flags;
};

enum imap_search_op {
	IMAP_SEARCH_AND,	/* all of children; none: true */
	IMAP_SEARCH_OR,		/* two children */
	IMAP_SEARCH_NOT,	/* one child */
	IMAP_SEARCH_ALL,
	IMAP_SEARCH_SEQ,	/* set: message numbers */
	IMAP_SEARCH_UID,	/* set: UIDs */
	IMAP_SEARCH_FLAG,	/* flag is set == is_set */
	IMAP_SEARCH_KEYWORD,	/* text; is_set */
	IMAP_SEARCH_HEADER,	/* field name, text (empty: field exists) */
	IMAP_SEARCH_BODY,	/* text */
	IMAP_SEARCH_TEXT,	/* text */
	IMAP_SEARCH_BEFORE,	/* day; is_sent: the Date: field's */
	IMAP_SEARCH_ON,
	IMAP_SEARCH_SINCE,
	IMAP_SEARCH_LARGER,	/* number: octets */
	IMAP_SEARCH_SMALLER,
	IMAP_SEARCH_OLDER,	/* number: seconds */
	IMAP_SEARCH_YOUNGER,
	IMAP_SEARCH_MODSEQ,	/* number: at least */
	IMAP_SEARCH_EMAILID,	/* text */
	IMAP_SEARCH_THREADID,	/* text */
	IMAP_SEARCH_SAVEDBEFORE,
	IMAP_SEARCH_SAVEDON,
	IMAP_SEARCH_SAVEDSINCE,
	IMAP_SEARCH_OP_COUNT
};

/*
 * FROM, TO, CC, BCC and SUBJECT come as HEADER; NEW as AND of two FLAGs.
 * Text is as sent, in the command's charset.
 */
struct imap_search_key {
	enum imap_search_op op;
	struct imap_search_key *children;	/* the first child */
	struct imap_search_key *next;		/* its next sibling */
	struct imap_set set;
	unsigned flag;				/* one enum imap_flag */
	bool is_set;
	bool is_sent;
	struct str field;
	struct str text;
	int32_t day;
	uint64_t number;
};

/* SEARCH RETURN options (bits), RFC 4731 and RFC 5182. */
enum imap_search_return {
	IMAP_RETURN_MIN = 1,
	IMAP_RETURN_MAX = 2,
	IMAP_RETURN_ALL = 4,
	IMAP_RETURN_COUNT = 8,
	IMAP_RETURN_SAVE = 16,
	IMAP_RETURN_PARTIAL = 32,
};

/* RFC 5256 section 3, RFC 5957. */
enum imap_sort_by {
	IMAP_SORT_ARRIVAL,
	IMAP_SORT_CC,
	IMAP_SORT_DATE,
	IMAP_SORT_FROM,
	IMAP_SORT_SIZE,
	IMAP_SORT_SUBJECT,
	IMAP_SORT_TO,
	IMAP_SORT_DISPLAYFROM,
	IMAP_SORT_DISPLAYTO,
};

struct imap_sort_key {
	enum imap_sort_by by;
	bool is_reverse;
};

enum imap_thread {
	IMAP_THREAD_NONE,
	IMAP_THREAD_ORDEREDSUBJECT,
	IMAP_THREAD_REFERENCES,
};

/* SEARCH, SORT, THREAD. */
struct imap_search {
	struct imap_sort_key sort[IMAP_SORT_KEYS_MAX];
	size_t n_sort;
	enum imap_thread thread;
	bool has_return;
	unsigned returns;		/* enum imap_search_return */
	struct str charset;		/* empty: not given */
	struct imap_search_key *key;	/* an IMAP_SEARCH_AND */
	size_t n_keys;
	bool has_text;			/* BODY or TEXT is among them */
	bool has_modseq;		/* MODSEQ is */
	bool has_numbers;		/* a set of message numbers is */
	struct imap_partial partial;
};

/* RFC 5465 section 6. */
enum imap_notify_filter {
	IMAP_NOTIFY_SELECTED,
	IMAP_NOTIFY_SELECTED_DELAYED,
	IMAP_NOTIFY_INBOXES,
	IMAP_NOTIFY_PERSONAL,
	IMAP_NOTIFY_SUBSCRIBED,
	IMAP_NOTIFY_SUBTREE,
	IMAP_NOTIFY_MAILBOXES,
};

/* Events (bits), RFC 5465 section 5. */
enum imap_notify_event {
	IMAP_EVENT_NEW = 1,
	IMAP_EVENT_EXPUNGE = 2,
	IMAP_EVENT_FLAGS = 4,
	IMAP_EVENT_NAME = 8,
	IMAP_EVENT_SUBSCRIPTION = 16,
	IMAP_EVENT_UNKNOWN = 32,	/* or one that we do not serve */
};

struct imap_notify_group {
	enum imap_notify_filter filter;
	struct imap_mailbox *names;	/* SUBTREE, MAILBOXES */
	size_t n_names;
	unsigned events;		/* enum imap_notify_event */
	struct str items;		/* of MessageNew, as written: "(UID)" */
};

/* No group: NOTIFY NONE. */
struct imap_notify {
	bool has_status;
	struct imap_notify_group *groups;
	size_t n_groups;
};

/* RFC 5464 section 4.2.2: which entries below one belong to it. */
enum imap_depth {
	IMAP_DEPTH_SELF,
	IMAP_DEPTH_CHILDREN,
	IMAP_DEPTH_ALL,
};

struct imap_entry {
	struct str name;		/* in lower case */
	struct str value;		/* SETMETADATA; p NULL: NIL */
};

struct imap_metadata {
	struct imap_mailbox mailbox;	/* empty: the server */
	struct imap_entry *entries;
	size_t n_entries;
	enum imap_depth depth;
	bool has_maxsize;
	uint32_t maxsize;
};

struct imap_append {
	struct imap_mailbox mailbox;
	struct imap_flags flags;
	bool has_date;
	int64_t date_s;			/* seconds since 1970 UTC */
	uint64_t literal_octets;
	bool is_utf8;			/* UTF8 (~{...}): ")" follows it */
	struct imap_set replaced;	/* REPLACE: one message */
};

struct imap_id_pair {
	struct str name;
	struct str value;		/* p == NULL: NIL */
};

struct imap_command {
	struct str tag;
	const struct imap_command_info *info;	/* NULL until it is known */
	bool is_uid;				/* UID FETCH ... */
	union {
		struct {
			struct str user;
			struct str password;
		} login;
		struct {
			struct str mechanism;
			bool has_initial;
			struct str initial;	/* base64 or "=" */
		} authenticate;
		/* SELECT EXAMINE CREATE DELETE SUBSCRIBE UNSUBSCRIBE
		 * GETQUOTAROOT */
		struct imap_select mailbox;
		struct {
			struct imap_mailbox from;
			struct imap_mailbox to;
		} rename;
		struct {
			struct imap_mailbox mailbox;
			unsigned items;		/* enum imap_status_item */
		} status;
		/* COPY MOVE */
		struct {
			struct imap_set set;
			struct imap_mailbox mailbox;
		} copy;
		/* UID EXPUNGE */
		struct {
			struct imap_set set;
		} expunge;
		struct {
			struct imap_id_pair *pairs;
			size_t n_pairs;
		} id;
		struct {
			struct str *names;
			size_t n_names;
		} enable;
		struct {
			struct str root;
		} getquota;
		struct {
			struct str algorithm;
		} compress;
		struct imap_list list;		/* and LSUB */
		struct imap_notify notify;
		struct imap_metadata metadata;
		struct imap_append append;
		struct imap_fetch fetch;
		struct imap_store store;
		struct imap_search search;
	} u;
};

struct imap_problem {
	const char *text;	/* for "tag BAD text" */
	size_t offset;
};

struct imap_parse_options {
	bool is_utf8;		/* UTF8=ACCEPT: names are UTF-8 as sent */
};

/* Parse text; options may be NULL. */
int imap_parse(struct str text, const struct imap_parse_options *options,
    struct arena *arena, struct imap_command *cmd_r,
    struct imap_problem *problem_r);

/*
 * MULTIAPPEND: what stands between two messages of one APPEND (with the ")"
 * of a UTF8 before it) into append, whose mailbox stays.
 */
int imap_parse_append_next(struct str text,
    const struct imap_parse_options *options, struct arena *arena,
    struct imap_append *append, struct imap_problem *problem_r);

/* The command called name (any case), or NULL. */
const struct imap_command_info *imap_command_find(struct str name);

/* True for what may stand as a tag. */
bool imap_is_tag(struct str s);

/* Days since 1970-01-01 of a civil date. */
int32_t imap_day(int year, int month, int day);

/* Parse "dd-Mon-yyyy hh:mm:ss +zzzz" (without the quotes). */
int imap_parse_date_time(struct str s, int64_t *date_s_r);

#endif
