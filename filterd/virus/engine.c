/* SPDX-License-Identifier: ISC */
#include "filterd/virus/engine.h"

#include <clamav.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "filterd/virus/opened.h"

#define PCRE_MATCH_MAX 100000
#define PCRE_DEPTH_MAX 2000
#define TEST_MS 10000
/* Without the lists behind Heuristics.Phishing, a guess that newsletters
 * meet. */
#define SIGNATURES (CL_DB_PHISHING | CL_DB_BYTECODE)

struct engine {
	struct cl_engine *cl;
	bool is_forgetful;	/* it keeps no list of clean files */
	bool opens_rar;		/* its module for that is there */
};

/* ---- what libclamav comes to ---- */

static cl_error_t
on_file(int fd, const char *type, const char **ancestors, size_t parent_size,
    const char *name, size_t size, const char *octets, uint32_t level,
    uint32_t attributes, void *ctx)
{
	(void)fd;
	(void)type;
	(void)ancestors;
	(void)parent_size;
	(void)name;
	(void)attributes;
	if (ctx != NULL)
		opened_file(ctx, level, octets != NULL ?
		    str_make(octets, size) : STR_NONE);
	return CL_CLEAN;
}

static cl_error_t
on_scan(int fd, const char *type, void *ctx)
{
	(void)fd;
	(void)type;
	if (ctx != NULL)
		opened_scan(ctx);
	return CL_CLEAN;
}

/* What is clean but for a container that stays closed would be known as clean
 * the next time: from now on everything is gone into. */
static void
forget(struct engine *engine)
{
	if (!engine->is_forgetful && cl_engine_set_num(engine->cl,
	    CL_ENGINE_DISABLE_CACHE, 1) == CL_SUCCESS)
		engine->is_forgetful = true;
}

/* ---- loading ---- */

/* What libclamav would write to stderr, one line of text. */
static void
on_message(enum cl_msg severity, const char *whole, const char *message,
    void *ctx)
{
	struct str text = str_trim(str_sub(str_of(message), 0, 500));

	(void)whole;
	(void)ctx;
	if (!str_is_text(text))
		text = STR("(a message that is no text)");
	if (severity == CL_MSG_ERROR)
		ev_warn(NULL, "scan.engine.warns", EV_STR(detail, text));
	else
		ev_debug(NULL, "scan.engine.says", EV_STR(detail, text));
}

static int
set_limits(struct cl_engine *cl, struct err *err)
{
	static const struct {
		enum cl_engine_field field;
		long long value;
	} limits[] = {
		{ CL_ENGINE_MAX_SCANSIZE, ENGINE_SCAN_OCTETS_MAX },
		{ CL_ENGINE_MAX_FILESIZE, ENGINE_SCAN_OCTETS_MAX },
		{ CL_ENGINE_MAX_RECURSION, ENGINE_DEPTH_MAX },
		{ CL_ENGINE_MAX_FILES, ENGINE_FILES_MAX },
		{ CL_ENGINE_PCRE_MATCH_LIMIT, PCRE_MATCH_MAX },
		{ CL_ENGINE_PCRE_RECMATCH_LIMIT, PCRE_DEPTH_MAX },
	};
	size_t i;
	cl_error_t rc;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		rc = cl_engine_set_num(cl, limits[i].field, limits[i].value);
		if (rc != CL_SUCCESS)
			return err_set(err, ERR_TEMP, "libclamav: %s",
			    cl_strerror(rc));
	}
	return 0;
}

/* libclamav takes a folder without signatures for a failure. */
static bool
has_files(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	bool has = false;

	while (dir != NULL && !has && (entry = readdir(dir)) != NULL)
		has = entry->d_name[0] != '.';
	if (dir != NULL)
		(void)closedir(dir);
	return has;
}

static int
load_folders(struct cl_engine *cl, const char *const *folders,
    unsigned *count, struct err *err)
{
	cl_error_t rc = CL_SUCCESS;

	for (; *folders != NULL && rc == CL_SUCCESS; folders++)
		if (has_files(*folders))
			rc = cl_load(*folders, cl, count, SIGNATURES);
	if (rc == CL_SUCCESS && *count != 0)
		rc = cl_engine_compile(cl);
	if (rc != CL_SUCCESS)
		return err_set(err, ERR_CORRUPT, "signatures: %s",
		    cl_strerror(rc));
	return *count != 0 ? 0 : err_set(err, ERR_NOTFOUND, "no signatures");
}

struct engine *
engine_load(const char *const *folders, uint64_t *signatures_r,
    struct err *err)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	unsigned count = 0;
	cl_error_t rc;

	invariant(engine != NULL);
	cl_set_clcb_msg(on_message);
	rc = cl_init(CL_INIT_DEFAULT);
	engine->cl = rc == CL_SUCCESS ? cl_engine_new() : NULL;
	if (engine->cl == NULL)
		err_set(err, ERR_TEMP, "libclamav: %s", cl_strerror(rc));
	else if (set_limits(engine->cl, err) == 0)
		(void)load_folders(engine->cl, folders, &count, err);
	if (err->code == 0) {
		cl_engine_set_clcb_file_inspection(engine->cl, on_file);
		cl_engine_set_clcb_pre_scan(engine->cl, on_scan);
	}
	if (err->code != 0)
		engine_free(&engine);
	*signatures_r = count;
	return engine;
}

/* Is it a database that says when it was made? */
static bool
is_dated(struct str name)
{
	return str_ends_nocase(name, STR(".cvd")) ||
	    str_ends_nocase(name, STR(".cld"));
}

static int64_t
built_of(const char *path, bool is_with_head)
{
	struct cl_cvd *head;
	struct stat st;
	int64_t built_s = 0;

	if (!is_with_head)
		return stat(path, &st) == 0 ? st.st_mtim.tv_sec : 0;
	head = cl_cvdhead(path);
	if (head != NULL) {
		built_s = head->stime;
		cl_cvdfree(head);
	}
	return built_s;
}

/* newest_s[1]: of databases with a date of their own. */
static void
look_at_folder(const char *folder, int64_t newest_s[2])
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[4096 + 256];
	int64_t built_s;
	bool is_with_head;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder,
		    entry->d_name);
		is_with_head = is_dated(str_of(entry->d_name));
		built_s = built_of(path, is_with_head);
		if (built_s > newest_s[is_with_head])
			newest_s[is_with_head] = built_s;
	}
	if (dir != NULL)
		(void)closedir(dir);
}

int64_t
engine_signatures_built(const char *const *folders)
{
	int64_t newest_s[2] = { 0, 0 };

	for (; *folders != NULL; folders++)
		look_at_folder(*folders, newest_s);
	return newest_s[1] != 0 ? newest_s[1] : newest_s[0];
}

void
engine_free(struct engine **engine)
{
	if (*engine == NULL)
		return;
	if ((*engine)->cl != NULL)
		(void)cl_engine_free((*engine)->cl);
	free(*engine);
	*engine = NULL;
}

int
engine_use_folder(struct engine *engine, const char *folder, struct err *err)
{
	cl_error_t rc = cl_engine_set_str(engine->cl, CL_ENGINE_TMPDIR,
	    folder);

	return rc == CL_SUCCESS ? 0 : err_set(err, ERR_TEMP, "libclamav: %s",
	    cl_strerror(rc));
}

/* ---- scanning ---- */

static void
put_name(struct finding *finding, const char *name)
{
	size_t i;

	for (i = 0; i < ENGINE_NAME_MAX && name[i] != '\0'; i++)
		finding->name[i] = name[i] > ' ' && name[i] <= '~' ?
		    name[i] : '?';
	finding->name[i] = '\0';
}

/* What libclamav's own alarms mean; every other name is a signature's. */
static enum scan_result
result_of(const char *name)
{
	static const struct {
		const char *prefix;
		enum scan_result result;
	} alarms[] = {
		{ "Heuristics.Encrypted.", SCAN_ENCRYPTED },
		{ "Heuristics.Limits.Exceeded", SCAN_LIMIT },
		{ "Heuristics.XZ.DicSizeLimit", SCAN_LIMIT },
	};
	size_t i;

	for (i = 0; i < sizeof(alarms) / sizeof(alarms[0]); i++)
		if (str_begins(str_of(name), str_of(alarms[i].prefix)))
			return alarms[i].result;
	return SCAN_INFECTED;
}

/* Our own trouble, not the content's: then nobody has looked. */
static bool
is_ours(cl_error_t rc)
{
	static const cl_error_t codes[] = {
		CL_EOPEN, CL_ECREAT, CL_EUNLINK, CL_ESTAT, CL_EREAD, CL_ESEEK,
		CL_EWRITE, CL_EDUP, CL_EACCES, CL_ETMPFILE, CL_ETMPDIR,
		CL_EMAP, CL_EMEM, CL_ENULLARG, CL_EARG,
	};
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i] == rc)
			return true;
	return false;
}

struct finding
engine_scan(struct engine *engine, int fd, uint64_t ms)
{
	struct cl_scan_options options = {
		.general = CL_SCAN_GENERAL_HEURISTICS, .parse = ~0U,
		.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX |
		    CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE |
		    CL_SCAN_HEURISTIC_ENCRYPTED_DOC,
	};
	struct finding finding = { .result = SCAN_CLEAN };
	const char *name = NULL, *unopened;
	unsigned long scanned = 0;
	struct opened opened;
	struct stat st;
	cl_error_t rc;

	if (fstat(fd, &st) == -1 ||
	    (uint64_t)st.st_size > ENGINE_SCAN_OCTETS_MAX) {
		put_name(&finding, "Limits.Octets");
		finding.result = SCAN_LIMIT;
		return finding;
	}

	(void)cl_engine_set_num(engine->cl, CL_ENGINE_MAX_SCANTIME,
	    ms != 0 ? (long long)ms : 1);
	opened_begin(&opened, engine->opens_rar);
	rc = cl_scandesc_callback(fd, NULL, &name, &scanned, engine->cl,
	    &options, &opened);
	unopened = opened_end(&opened);
	if (unopened != NULL)
		forget(engine);
	finding.unopened = unopened;
	if (rc == CL_VIRUS) {
		put_name(&finding, name != NULL ? name : "unnamed");
		finding.result = result_of(finding.name);
	} else if (rc != CL_SUCCESS) {
		put_name(&finding, cl_strerror(rc));
		finding.result = is_ours(rc) ? SCAN_CRASHED : SCAN_LIMIT;
	} else if (unopened != NULL) {
		(void)snprintf(finding.name, sizeof(finding.name),
		    "Unopened.%s", unopened);
		finding.result = SCAN_LIMIT;
	}
	return finding;
}

/* ---- the test ---- */

/* conf/signatures/hikyaku.ndb calls this Hikyaku.SelfTest. */
static const char test_text[] = "HIKYAKU-SCANNER-SELF-TEST\n"
    "If this is found inside an archive, archives are looked into.\n";

static void
put_le(struct buf *out, uint32_t value, unsigned octets)
{
	for (; octets-- > 0; value >>= 8)
		buf_add_char(out, (char)(value & 0xff));
}

/* What a local header and a directory entry share (APPNOTE.TXT 4.3.7). */
static void
put_entry(struct buf *out, struct str packed)
{
	put_le(out, 20, 2);		/* version */
	put_le(out, 0, 2);		/* flags */
	put_le(out, 8, 2);		/* deflate */
	put_le(out, 0x00215a21, 4);	/* a date */
	put_le(out, (uint32_t)crc32(0, (const Bytef *)test_text,
	    sizeof(test_text) - 1), 4);
	put_le(out, (uint32_t)packed.len, 4);
	put_le(out, sizeof(test_text) - 1, 4);
	put_le(out, 4, 2);		/* length of the name */
	put_le(out, 0, 2);
}

static void
put_zip(struct buf *out, struct str packed)
{
	size_t at;

	put_le(out, 0x04034b50, 4);
	put_entry(out, packed);
	buf_add_cstr(out, "test");
	buf_add_str(out, packed);
	at = out->len;
	put_le(out, 0x02014b50, 4);
	put_le(out, 20, 2);
	put_entry(out, packed);
	put_le(out, 0, 2 + 2 + 2);	/* comment, disk, attributes */
	put_le(out, 0, 4);
	put_le(out, 0, 4);		/* where its local header is */
	buf_add_cstr(out, "test");
	put_le(out, 0x06054b50, 4);
	put_le(out, 0, 4);
	put_le(out, 1, 2);
	put_le(out, 1, 2);
	put_le(out, (uint32_t)(out->len - 12 - at), 4);
	put_le(out, (uint32_t)at, 4);
	put_le(out, 0, 2);
}

static bool
deflated(unsigned char *packed, size_t *len)
{
	z_stream z = { .zalloc = NULL };
	bool ok;

	if (deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return false;
	z.next_in = (Bytef *)(uintptr_t)test_text;
	z.avail_in = sizeof(test_text) - 1;
	z.next_out = packed;
	z.avail_out = (uInt)*len;
	ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
	*len -= z.avail_out;
	(void)deflateEnd(&z);
	return ok;
}

/* Does libclamav come to the file in it? Debian's has no module for RAR. */
static bool
opens_rar(struct engine *engine, int fd)
{
	/* RAR 4, a text of 16 octets, stored. */
	static const char rar[] =
    "Rar!\x1a\x07\x00\xcf\x90s\x00\x00\x0d\x00\x00\x00\x00\x00\x00"
    "\x00*\xect\x00\x80!\x00\x10\x00\x00\x00\x10\x00\x00\x00\x02\x1e"
    "\x9d\x22\xbd!Z!Z\x14""0\x01\x00 \x00\x00\x00ta text in a rar\x0a"
    "\xc4={\x00@\x07\x00";
	struct cl_scan_options options = { .parse = ~0U };
	unsigned long scanned = 0;
	struct opened opened;
	const char *name;

	opened_begin(&opened, true);
	return ftruncate(fd, 0) == 0 &&
	    pwrite(fd, rar, sizeof(rar) - 1, 0) == (ssize_t)sizeof(rar) - 1 &&
	    cl_scandesc_callback(fd, NULL, &name, &scanned, engine->cl,
	    &options, &opened) == CL_SUCCESS && opened.has_inner;
}

bool
engine_test(struct engine *engine, int dir)
{
	unsigned char packed[512];
	size_t len = sizeof(packed);
	struct finding finding;
	struct buf zip;
	bool ok = false;
	int fd;

	if (!deflated(packed, &len))
		return false;
	buf_init(&zip, 4096);
	put_zip(&zip, str_make(packed, len));
	fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd != -1 && write(fd, buf_str(&zip).p, zip.len) ==
	    (ssize_t)zip.len) {
		finding = engine_scan(engine, fd, TEST_MS);
		ok = finding.result == SCAN_INFECTED &&
		    str_begins(str_of(finding.name),
		    STR("Hikyaku.SelfTest"));
		engine->opens_rar = opens_rar(engine, fd);
	}
	if (fd != -1)
		(void)close(fd);
	buf_fini(&zip);
	return ok;
}
