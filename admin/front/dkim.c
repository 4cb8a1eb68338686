/* SPDX-License-Identifier: ISC */
#include "admin/front/dkim.h"

#include "admin/front/dnstext.h"
#include "base/when.h"
#include "mail/address.h"

#define STEP_MS 15000
#define ROTATE_DELAY_S (2 * 86400)
#define ALGORITHMS 2U

/* By enum dkim_algorithm. */
static const char *const algorithms[ALGORITHMS] = { "rsa", "ed25519" };

struct dkim_job {
	struct child *child;
	struct ipc_req *req;
	struct arena *arena;
	struct str domain;
	struct str selector;		/* empty: keyd makes one */
	bool is_create, is_rotate, is_now;
	bool wanted[ALGORITHMS];	/* still to be made */
	bool is_any;			/* no --algorithm */
	bool is_both;
};

static void ask_list(struct dkim_job *job, ipc_done *done);

/* ---- the end ---- */

static void
job_free(struct dkim_job *job)
{
	arena_free(&job->arena);
	free(job);
}

static void
fail(struct dkim_job *job, int code, const char *text)
{
	ipc_reply_err(job->req, code, "%s", text);
	job_free(job);
}

static void
fail_keyd(struct dkim_job *job, int code)
{
	ipc_reply_err(job->req, code, "keyd: %.*s", STR_FMT(
	    ipc_last_error(child_link(job->child, "keyd"))));
	job_free(job);
}

static json_t *
json_of(struct str s)
{
	json_t *text = json_stringn(s.p != NULL ? s.p : "", s.len);

	return text != NULL ? text : json_string("?");
}

/* "2024-01-31T10:00:00Z" */
static const char *
time_text(struct arena *arena, int64_t when_s)
{
	time_t when = (time_t)when_s;
	char text[32];
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL || strftime(text, sizeof(text),
	    "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		text[0] = '\0';
	return arena_cstr(arena, str_of(text));
}

static json_t *
item_of(struct dkim_job *job, const struct dkim_admin_key *key)
{
	struct arena *arena = job->arena;
	bool is_waiting = key->active_s > when_wall_s();
	const char *state = key->is_signing ? "signing" : is_waiting ?
	    "waiting" : "published";
	struct str purpose = key->is_signing ? STR("signs") : is_waiting ?
	    arena_printf(arena, "signs from %s", time_text(arena,
	    key->active_s)) : STR("no longer signs");
	struct buf value;
	json_t *item;

	if (key->until_s != 0)
		purpose = arena_printf(arena, "%.*s; publish until %s",
		    STR_FMT(purpose), time_text(arena, key->until_s));
	buf_init(&value, 8192);
	dns_put_txt(&value, key->record);
	item = json_pack("{s:o, s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:o}",
	    "name", json_of(arena_printf(arena, "%.*s._domainkey.%.*s",
	    STR_FMT(key->selector), STR_FMT(job->domain))), "type", "TXT",
	    "value", json_of(buf_str(&value)), "purpose",
	    json_of(arena_printf(arena, "DKIM (%s): %.*s", key->algorithm,
	    STR_FMT(purpose))), "selector", json_of(key->selector),
	    "algorithm", key->algorithm, "state", state, "active",
	    time_text(arena, key->active_s), "until", key->until_s == 0 ?
	    json_null() : json_string(time_text(arena, key->until_s)));
	invariant(item != NULL);
	buf_fini(&value);
	return item;
}

static void
on_shown(void *ctx, int code, struct ipc_in *in)
{
	struct dkim_admin_key keys[DKIM_ADMIN_KEYS_MAX];
	struct dkim_job *job = ctx;
	json_t *items, *result;
	struct ipc_out *out;
	size_t i, count;
	char *text;

	if (code != 0) {
		fail_keyd(job, code);
		return;
	}
	count = dkim_read_keys(in, keys, DKIM_ADMIN_KEYS_MAX);
	items = json_array();
	for (i = 0; i < count; i++)
		json_array_append_new(items, item_of(job, &keys[i]));
	result = json_pack("{s:o, s:o, s:[]}", "domain", json_of(job->domain),
	    "items", items, "notes");
	if (count == 0)
		json_array_append_new(json_object_get(result, "notes"),
		    json_string("no key: hikyaku dkim create"));
	text = json_dumps(result, JSON_COMPACT);
	invariant(text != NULL);
	out = ipc_reply_begin(job->req);
	ipc_put_str(out, str_of(text));
	ipc_reply_end(out, -1);
	free(text);
	json_decref(result);
	job_free(job);
}

/* ---- keys ---- */

size_t
dkim_read_keys(struct ipc_in *in, struct dkim_admin_key *keys_r, size_t max)
{
	struct dkim_admin_key *key;
	uint64_t algorithm;
	size_t count = 0;

	while (ipc_more(in) && count < max) {
		key = &keys_r[count++];
		key->selector = ipc_get_str(in);
		algorithm = ipc_get_u64(in);
		key->algorithm = algorithm < ALGORITHMS ?
		    algorithms[algorithm] : "?";
		key->made_s = (int64_t)ipc_get_u64(in);
		key->active_s = (int64_t)ipc_get_u64(in);
		key->until_s = (int64_t)ipc_get_u64(in);
		key->is_signing = ipc_get_bool(in);
		key->record = ipc_get_str(in);
	}
	return count;
}

static void make_next(struct dkim_job *job);

static void
on_made(void *ctx, int code, struct ipc_in *in)
{
	struct dkim_job *job = ctx;

	(void)in;
	if (code != 0)
		fail_keyd(job, code);
	else
		make_next(job);
}

/* Two keys cannot share a name. */
static struct str
selector_for(struct dkim_job *job, size_t algorithm)
{
	if (job->selector.len == 0 || !job->is_both || algorithm == 0)
		return job->selector;
	return arena_printf(job->arena, "%.*s-ed", STR_FMT(job->selector));
}

static void
make_next(struct dkim_job *job)
{
	struct ipc_out *out;
	size_t i = 0;

	while (i < ALGORITHMS && !job->wanted[i])
		i++;
	if (i == ALGORITHMS) {
		ask_list(job, on_shown);
		return;
	}
	job->wanted[i] = false;
	out = ipc_begin(child_link(job->child, "keyd"), KEY_DKIM_CREATE);
	ipc_put_str(out, job->domain);
	ipc_put_str(out, selector_for(job, i));
	ipc_put_u64(out, i);
	ipc_put_u64(out, job->is_rotate && !job->is_now ? ROTATE_DELAY_S : 0);
	(void)ipc_call(out, -1, STEP_MS, on_made, job);
}

/* create is for algorithms without a key, rotate for those with one. */
static void
on_before(void *ctx, int code, struct ipc_in *in)
{
	struct dkim_admin_key keys[DKIM_ADMIN_KEYS_MAX];
	bool have[ALGORITHMS] = { false, false };
	struct dkim_job *job = ctx;
	size_t i, n, count;

	if (code != 0) {
		fail_keyd(job, code);
		return;
	}
	count = dkim_read_keys(in, keys, DKIM_ADMIN_KEYS_MAX);
	for (i = 0; i < count; i++)
		for (n = 0; n < ALGORITHMS; n++)
			have[n] |= strcmp(keys[i].algorithm,
			    algorithms[n]) == 0;
	if (job->is_rotate && !have[0] && !have[1]) {
		fail(job, ERR_NOTFOUND, "no key yet: create one");
		return;
	}
	for (n = 0; n < ALGORITHMS; n++) {
		if (job->is_create && job->wanted[n] && have[n]) {
			fail(job, ERR_EXISTS, "there is a key: rotate it");
			return;
		}
		/* Without --algorithm those that are there. */
		if (job->is_rotate && job->is_any)
			job->wanted[n] = have[n];
	}
	job->is_both = job->wanted[0] && job->wanted[1];
	make_next(job);
}

static void
ask_list(struct dkim_job *job, ipc_done *done)
{
	struct ipc_out *out = ipc_begin(child_link(job->child, "keyd"),
	    KEY_DKIM_LIST);

	ipc_put_str(out, job->domain);
	(void)ipc_call(out, -1, STEP_MS, done, job);
}

/* ---- the way there ---- */

static void
on_domain(void *ctx, int code, struct ipc_in *in)
{
	struct dkim_job *job = ctx;

	(void)in;
	if (code == ERR_NOTFOUND)
		fail(job, code, "no such domain");
	else if (code != 0)
		fail(job, code, "directoryd does not answer");
	else
		ask_list(job, job->is_create || job->is_rotate ? on_before :
		    on_shown);
}

static struct str
text_of(const json_t *args, const char *key)
{
	const json_t *value = json_object_get(args, key);

	return json_is_string(value) ? str_make(json_string_value(value),
	    json_string_length(value)) : STR_NONE;
}

static int
read_args(struct dkim_job *job, const json_t *args)
{
	struct str algorithm = text_of(args, "algorithm"), domain;
	size_t i;

	if (address_domain(job->arena, text_of(args, "domain"), ADDRESS_UTF8,
	    &domain, NULL) != 0)
		return ERR_SYNTAX;
	job->domain = arena_str(job->arena, domain);
	job->selector = arena_str(job->arena, text_of(args, "selector"));
	job->is_now = json_is_true(json_object_get(args, "now"));
	job->is_any = algorithm.p == NULL;
	job->is_both = job->is_any || str_eq(algorithm, STR("both"));
	for (i = 0; i < ALGORITHMS; i++)
		job->wanted[i] = job->is_both || str_eq(algorithm,
		    str_of(algorithms[i]));
	return job->wanted[0] || job->wanted[1] ? 0 : ERR_SYNTAX;
}

void
dkim_run(struct child *child, struct ipc_req *req, const char *verb,
    const json_t *args)
{
	struct dkim_job *job = calloc(1, sizeof(*job));
	struct ipc_out *out;

	invariant(job != NULL);
	job->child = child;
	job->req = req;
	job->arena = arena_new(0);
	job->is_create = strcmp(verb, "create") == 0;
	job->is_rotate = strcmp(verb, "rotate") == 0;
	if (!job->is_create && !job->is_rotate && strcmp(verb, "show") != 0) {
		fail(job, ERR_NOTFOUND, "no such verb");
		return;
	}
	if (read_args(job, args) != 0) {
		fail(job, ERR_SYNTAX, "not a domain, or no such algorithm");
		return;
	}
	out = ipc_begin(child_link(child, "directoryd"), DIR_DOMAIN);
	ipc_put_str(out, job->domain);
	(void)ipc_call(out, -1, STEP_MS, on_domain, job);
}
