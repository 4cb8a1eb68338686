/* SPDX-License-Identifier: ISC */
/*
 * doctor: looks at an instance from outside and says what is well (ok), what
 * an operator should look at (WARN) and what is broken (FAIL).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pwd.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/cli/cli.h"

#define GREETING_S 5
#define DAYS_WARN 14
#define SWEPT_S_WARN 3600	/* the quarantine is swept every 5 minutes */

enum state { OK, WARN, FAIL };

static const char *const state_names[] = { "ok", "warn", "fail" };
static const char *const state_marks[] = { "ok  ", "WARN", "FAIL" };

struct doctor {
	struct cli *cli;
	json_t *checks;
	enum state worst;
};

/* ---- findings ---- */

/* The finding, for more members. */
static json_t *
find(struct doctor *d, enum state state, const char *area, const char *name,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static json_t *
find(struct doctor *d, enum state state, const char *area, const char *name,
    const char *fmt, ...)
{
	char text[1024];
	json_t *check, *detail;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	detail = json_string(text);
	check = json_pack("{s:s, s:s, s:s, s:o}", "area", area, "name", name,
	    "state", state_names[state], "detail", detail != NULL ? detail :
	    json_string("?"));
	json_array_append_new(d->checks, check);
	if (state > d->worst)
		d->worst = state;
	if (!d->cli->parsed.is_json) {
		(void)printf("%s  %-11s %-14s ", state_marks[state], area,
		    name);
		print_safe(str_of(text), stdout);
		(void)putchar('\n');
	}
	return check;
}

static json_int_t
number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

/* ---- processes ---- */

struct seen {
	uid_t uid;
	uint64_t rss_kib;
	uint64_t pss_kib;
	int seccomp;
	int no_new_privs;
	unsigned children;
	bool is_there;
};

static bool
line_number(const char *line, const char *name, uint64_t *value_r)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len) != 0 || line[len] != ':')
		return false;
	*value_r = strtoull(line + len + 1, NULL, 10);
	return true;
}

static void
read_status(json_int_t pid, struct seen *seen)
{
	char path[64], line[256];
	uint64_t value;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%lld/status",
	    (long long)pid);
	if ((file = fopen(path, "re")) == NULL)
		return;
	seen->is_there = true;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (line_number(line, "Uid", &value))
			seen->uid = (uid_t)value;
		else if (line_number(line, "Seccomp", &value))
			seen->seccomp = (int)value;
		else if (line_number(line, "NoNewPrivs", &value))
			seen->no_new_privs = (int)value;
		else if (line_number(line, "VmRSS", &value))
			seen->rss_kib = value;
	}
	(void)fclose(file);
}

static uint64_t
pss_of(json_int_t pid)
{
	char path[64], line[256];
	uint64_t value, pss = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%lld/smaps_rollup",
	    (long long)pid);
	if ((file = fopen(path, "re")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL)
		if (line_number(line, "Pss", &value))
			pss = value;
	(void)fclose(file);
	return pss;
}

/* Workers that the process has forked count as part of it. */
static void
read_children(json_int_t pid, struct seen *seen)
{
	char path[96];
	long long child;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%lld/task/%lld/children",
	    (long long)pid, (long long)pid);
	if ((file = fopen(path, "re")) == NULL)
		return;
	while (fscanf(file, "%lld", &child) == 1) {
		seen->children++;
		seen->pss_kib += pss_of(child);
	}
	(void)fclose(file);
}

static enum state
judge_process(const struct doctor *d, const json_t *p,
    const struct seen *seen, const char **why_r)
{
	bool is_degraded = strcmp(config_get(d->cli->config, "sandbox"),
	    "degraded") == 0;

	*why_r = "";
	if (number(p, "pid") == 0 || !seen->is_there) {
		*why_r = "does not run; ";
		return FAIL;
	}
	if (*text_of(p, "version") == '\0') {
		*why_r = "does not serve yet; ";
		return FAIL;
	}
	if (seen->seccomp != 2 || seen->no_new_privs != 1) {
		*why_r = "no full sandbox; ";
		return is_degraded ? WARN : FAIL;
	}
	if (*text_of(p, "alert") != '\0')
		return FAIL;
	if (strcmp(text_of(p, "version"), PACKAGE_VERSION) != 0) {
		*why_r = "another version than this command; ";
		return WARN;
	}
	if (number(p, "restarts") != 0) {
		*why_r = "has died; ";
		return WARN;
	}
	return OK;
}

static void
check_process(struct doctor *d, const json_t *p)
{
	struct seen seen = { .pss_kib = pss_of(number(p, "pid")) };
	const struct passwd *pw;
	const char *why;
	enum state state;
	json_t *check;
	char who[64];

	read_status(number(p, "pid"), &seen);
	read_children(number(p, "pid"), &seen);
	state = judge_process(d, p, &seen, &why);
	pw = getpwuid(seen.uid);
	(void)snprintf(who, sizeof(who), "%s", pw != NULL ? pw->pw_name :
	    "?");
	check = find(d, state, "process", text_of(p, "name"),
	    "%spid %lld, %s, %.1f MB, version %s, up %lld s, restarts %lld, "
	    "%s%s%s", why, (long long)number(p, "pid"), who,
	    (double)(seen.pss_kib != 0 ? seen.pss_kib : seen.rss_kib) / 1024,
	    text_of(p, "version"), (long long)number(p, "age_ms") / 1000,
	    (long long)number(p, "restarts"), text_of(p, "sandbox"),
	    *text_of(p, "alert") != '\0' ? "; ALERT: " : "",
	    text_of(p, "alert"));
	json_object_update(check, (json_t *)(uintptr_t)p);
	json_object_set_new(check, "uid", json_integer(seen.uid));
	json_object_set_new(check, "user", json_string(who));
	json_object_set_new(check, "rss", json_integer(
	    (json_int_t)seen.rss_kib * 1024));
	json_object_set_new(check, "pss", json_integer(
	    (json_int_t)seen.pss_kib * 1024));
	json_object_set_new(check, "children", json_integer(seen.children));
	json_object_set_new(check, "seccomp", json_integer(seen.seccomp));
	json_object_set_new(check, "no_new_privs",
	    json_boolean(seen.no_new_privs == 1));
}

static void
check_missing(struct doctor *d, const json_t *processes)
{
	static const char *const wanted[] = { "metricd", "keyd", "blobd",
	    "directoryd", "authd", "dnsd", "fetchd", "filterd", "scand",
	    "detonated", "quarantined", "queued", "mboxd", "relay", "smtpd",
	    "milterd", "imapd", "pop3d", "webmail", "admind" };
	const json_t *p;
	bool is_there;
	size_t i, j;

	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		is_there = false;
		json_array_foreach(processes, j, p)
			if (strcmp(text_of(p, "name"), wanted[i]) == 0)
				is_there = true;
		if (!is_there)
			(void)find(d, FAIL, "process", wanted[i],
			    "is not installed in %s",
			    config_get(d->cli->config, "programs"));
	}
}

static int
ask_items(struct doctor *d, const char *noun, json_t **items_r,
    struct err *err)
{
	json_t *none = json_object();
	int rc = cli_ask_all(d->cli, noun, "list", none, items_r, err);

	json_decref(none);
	return rc;
}

static void
check_processes(struct doctor *d)
{
	struct err err = ERR_INIT;
	json_t *items, *p;
	size_t i;

	if (ask_items(d, "process", &items, &err) != 0) {
		(void)find(d, FAIL, "process", "-", "%s", err_text(&err));
	} else {
		json_array_foreach(items, i, p)
			check_process(d, p);
		check_missing(d, items);
	}
	json_decref(items);
}

/* ---- ports ---- */

/* Wildcards are reached by the loopback address. */
static int
connect_tcp(const char *address, int port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct timeval tv = { .tv_sec = GREETING_S };
	bool is_v4 = inet_pton(AF_INET, address, &in4.sin_addr) == 1;
	int fd, rc;

	if (!is_v4 && inet_pton(AF_INET6, address, &in6.sin6_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	if (in4.sin_addr.s_addr == htonl(INADDR_ANY))
		in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr))
		in6.sin6_addr = in6addr_loopback;
	in4.sin_port = htons((uint16_t)port);
	in6.sin6_port = htons((uint16_t)port);
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC,
	    0);
	if (fd == -1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	rc = is_v4 ? connect(fd, (void *)&in4, sizeof(in4)) :
	    connect(fd, (void *)&in6, sizeof(in6));
	if (rc == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static int
connect_path(const struct doctor *d, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = GREETING_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%.60s%s%.40s",
	    path[0] == '/' ? "" : config_get(d->cli->config, "directory"),
	    path[0] == '/' ? "" : "/", path);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(fd, (void *)&un, sizeof(un)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* What a program says first, and after what. */
static const struct greeting {
	const char *protocol;
	struct str ask;		/* empty: it speaks first */
	struct str want;
} greetings[] = {
	{ "imap", { "", 0 }, { "* ", 2 } },
	{ "pop3", { "", 0 }, { "+OK", 3 } },
	{ "web", { "HEAD / HTTP/1.0\r\n\r\n", 19 }, { "HTTP/1.1 ", 9 } },
	{ "metrics", { "HEAD /healthz HTTP/1.0\r\n\r\n", 26 },
	    { "HTTP/1.1 200", 12 } },
	/* Negotiation (proto/milter.h). */
	{ "milter", { "\0\0\0\15O\0\0\0\6\0\0\0\1\0\0\0\0", 17 },
	    { "\0\0\0\15O", 5 } },
	{ "", { "", 0 }, { "220", 3 } },
};

static const struct greeting *
greeting_of(const char *protocol)
{
	const struct greeting *greeting = greetings;

	while (greeting->protocol[0] != '\0' &&
	    strcmp(greeting->protocol, protocol) != 0)
		greeting++;
	return greeting;
}

static size_t
read_tls(int fd, struct str ask, char *text, size_t size)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	int n = 0;

	/* What is asked is whether it answers; whom to trust is the
	 * certificate's check. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 &&
	    SSL_connect(ssl) == 1 && (ask.len == 0 ||
	    SSL_write(ssl, ask.p, (int)ask.len) > 0))
		n = SSL_read(ssl, text, (int)size - 1);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return n > 0 ? (size_t)n : 0;
}

static size_t
read_plain(int fd, struct str ask, char *text, size_t size)
{
	ssize_t n;

	if (ask.len != 0 && send(fd, ask.p, ask.len, MSG_NOSIGNAL) == -1)
		return 0;
	n = recv(fd, text, size - 1, 0);
	return n > 0 ? (size_t)n : 0;
}

static void
check_listener(struct doctor *d, const json_t *l)
{
	const char *address = text_of(l, "address");
	const struct greeting *greeting = greeting_of(text_of(l,
	    "protocol"));
	int port = (int)number(l, "port"), fd;
	char where[300], text[512] = "";
	enum state state = OK;
	json_t *check;
	size_t n;

	(void)snprintf(where, sizeof(where), port != 0 ? "%s port %d" : "%s",
	    address, port);
	fd = port != 0 ? connect_tcp(address, port) :
	    connect_path(d, address);
	if (fd == -1) {
		check = find(d, FAIL, "port", text_of(l, "name"), "%s: %s",
		    where, strerror(errno));
	} else {
		n = strcmp(text_of(l, "tls"), "implicit") == 0 ?
		    read_tls(fd, greeting->ask, text, sizeof(text)) :
		    read_plain(fd, greeting->ask, text, sizeof(text));
		(void)close(fd);
		text[n] = '\0';
		if (!str_begins(str_make(text, n), greeting->want))
			state = FAIL;
		else if (text[0] == '\0')
			(void)snprintf(text, sizeof(text), "negotiates");
		text[strcspn(text, "\r\n")] = '\0';
		check = find(d, state, "port", text_of(l, "name"),
		    "%s, %s, TLS %s: %s", where, text_of(l, "protocol"),
		    text_of(l, "tls"), text[0] != '\0' ? text :
		    "no greeting");
	}
	json_object_update_missing(check, (json_t *)(uintptr_t)l);
}

static void
check_listeners(struct doctor *d)
{
	struct err err = ERR_INIT;
	json_t *items, *l;
	size_t i;

	if (ask_items(d, "listener", &items, &err) != 0)
		(void)find(d, FAIL, "port", "-", "%s", err_text(&err));
	else
		json_array_foreach(items, i, l)
			check_listener(d, l);
	json_decref(items);
}

/* ---- certificate ---- */

static json_t *
names_of(X509 *cert, char *text, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name,
	    NULL, NULL);
	json_t *list = json_array();
	const GENERAL_NAME *name;
	const ASN1_STRING *value;
	size_t at = 0;
	int i, n;

	for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS)
			continue;
		value = name->d.dNSName;
		json_array_append_new(list, json_stringn((const char *)
		    ASN1_STRING_get0_data(value),
		    (size_t)ASN1_STRING_length(value)));
		n = snprintf(text + at, size - at, "%s%.*s",
		    at != 0 ? " " : "", ASN1_STRING_length(value),
		    (const char *)ASN1_STRING_get0_data(value));
		if (n > 0 && (size_t)n < size - at)
			at += (size_t)n;
	}
	GENERAL_NAMES_free(names);
	return list;
}

static void
judge_certificate(struct doctor *d, X509 *cert)
{
	const char *hostname = config_get(d->cli->config, "hostname");
	char subject[256] = "", names[512] = "";
	enum state state = OK;
	int days = 0, seconds = 0;
	bool is_ours;
	json_t *check, *list = names_of(cert, names, sizeof(names));

	(void)X509_NAME_oneline(X509_get_subject_name(cert), subject,
	    sizeof(subject));
	(void)ASN1_TIME_diff(&days, &seconds, NULL,
	    X509_get0_notAfter(cert));
	is_ours = X509_check_host(cert, hostname, 0, 0, NULL) == 1;
	if (days < DAYS_WARN || !is_ours)
		state = WARN;
	if (days < 0 || seconds < 0)
		state = FAIL;
	check = find(d, state, "certificate", hostname, "%s, for %s, %d days "
	    "left%s%s", subject, names, days, state == FAIL ?
	    ": it has expired" : "", is_ours ? "" :
	    "; it does not name this host");
	json_object_set_new(check, "subject", json_string(subject));
	json_object_set_new(check, "names", list);
	json_object_set_new(check, "days", json_integer(days));
}

static void
check_certificate(struct doctor *d)
{
	const char *path = config_get(d->cli->config, "tls_certificate");
	char full[4096];
	X509 *cert = NULL;
	FILE *file;

	(void)snprintf(full, sizeof(full), "%s%s%s", path[0] == '/' ? "" :
	    config_get(d->cli->config, "directory"),
	    path[0] == '/' ? "" : "/", path);
	file = fopen(full, "re");
	if (file == NULL) {
		(void)find(d, FAIL, "certificate", "-", "%s: %s", full,
		    strerror(errno));
		return;
	}
	cert = PEM_read_X509(file, NULL, NULL, NULL);
	(void)fclose(file);
	if (cert == NULL)
		(void)find(d, FAIL, "certificate", "-", "%s is no PEM "
		    "certificate", full);
	else
		judge_certificate(d, cert);
	X509_free(cert);
}

/* ---- disk, queue ---- */

static uint64_t
per_cent(uint64_t part, uint64_t whole)
{
	return whole != 0 ? part * 100 / whole : 100;
}

static enum state
judge_free(uint64_t free_pc, uint64_t floor_pc)
{
	if (free_pc < floor_pc)
		return FAIL;
	return free_pc < 2 * floor_pc ? WARN : OK;
}

static void
check_disk(struct doctor *d)
{
	uint64_t floor_pc = config_get_u64(d->cli->config, "disk_floor");
	uint64_t octets_pc, inodes_pc, octets;
	char path[4096], size[32];
	struct statvfs fs;
	json_t *check;

	(void)snprintf(path, sizeof(path), "%s/data",
	    config_get(d->cli->config, "directory"));
	if (statvfs(path, &fs) == -1) {
		(void)find(d, FAIL, "disk", "data", "%s: %s", path,
		    strerror(errno));
		return;
	}
	octets = (uint64_t)fs.f_bavail * fs.f_frsize;
	format_size(octets, size, sizeof(size));
	octets_pc = per_cent(fs.f_bavail, fs.f_blocks);
	inodes_pc = per_cent(fs.f_favail, fs.f_files);
	check = find(d, judge_free(octets_pc, floor_pc), "disk", "space",
	    "%s free (%llu %%) in %s; mail is refused below %llu %%", size,
	    (unsigned long long)octets_pc, path,
	    (unsigned long long)floor_pc);
	json_object_set_new(check, "free",
	    json_integer((json_int_t)octets));
	check = find(d, judge_free(inodes_pc, floor_pc), "disk", "inodes",
	    "%llu free (%llu %%)", (unsigned long long)fs.f_favail,
	    (unsigned long long)inodes_pc);
	json_object_set_new(check, "free", json_integer(
	    (json_int_t)fs.f_favail));
}

static void
check_queue(struct doctor *d)
{
	struct err err = ERR_INIT;
	json_t *items, *item, *check;
	size_t i, held = 0;

	if (ask_items(d, "queue", &items, &err) != 0) {
		(void)find(d, FAIL, "queue", "-", "%s", err_text(&err));
	} else {
		json_array_foreach(items, i, item)
			if (json_is_true(json_object_get(item, "held")))
				held++;
		check = find(d, OK, "queue", "depth", "%zu items, %zu held",
		    json_array_size(items), held);
		json_object_set_new(check, "items", json_integer(
		    (json_int_t)json_array_size(items)));
	}
	json_decref(items);
}

/* Something is wrong with it: what, in words; NULL: nothing. */
static const char *
quarantine_ails(const json_t *item)
{
	json_int_t total = number(item, "total");

	if (time(NULL) - number(item, "swept_s") > SWEPT_S_WARN)
		return *text_of(item, "failure") != '\0' ?
		    text_of(item, "failure") : "has not been swept yet";
	if (number(item, "octets") > total - total / 10)
		return "it is nearly full: the oldest go first";
	return NULL;
}

static void
check_quarantine(struct doctor *d)
{
	json_t *none = json_object(), *result, *check;
	char octets[32], total[32];
	struct err err = ERR_INIT;
	const json_t *item;
	const char *why;

	if (cli_ask(d->cli, "quarantine", "status", none, &result, &err) !=
	    0) {
		(void)find(d, FAIL, "quarantine", "-", "%s", err_text(&err));
		json_decref(none);
		return;
	}
	item = json_object_get(result, "item");
	why = quarantine_ails(item);
	format_size((uint64_t)number(item, "octets"), octets,
	    sizeof(octets));
	format_size((uint64_t)number(item, "total"), total, sizeof(total));
	check = find(d, why != NULL ? WARN : OK, "quarantine", "size",
	    "%lld messages, %s of %s, swept %s%s%s",
	    (long long)number(item, "entries"), octets, total,
	    number(item, "swept_s") != 0 ? text_of(item, "swept") : "never",
	    why != NULL ? "; " : "", why != NULL ? why : "");
	json_object_update_missing(check, (json_t *)(uintptr_t)item);
	json_decref(result);
	json_decref(none);
}

int
doctor(struct cli *cli)
{
	struct doctor d = { .cli = cli, .checks = json_array() };
	struct err err = ERR_INIT;
	json_t *result;

	if (cli_connect(cli, &err) != 0)
		(void)find(&d, FAIL, "instance", "-", "%s", err_text(&err));
	if (d.worst == OK) {
		check_processes(&d);
		check_listeners(&d);
		check_queue(&d);
		check_quarantine(&d);
	}
	check_certificate(&d);
	check_disk(&d);
	if (cli->parsed.is_json) {
		result = json_pack("{s:s, s:O}", "state",
		    state_names[d.worst], "checks", d.checks);
		print_json(result);
		json_decref(result);
	}
	json_decref(d.checks);
	return d.worst == FAIL ? 1 : 0;
}
