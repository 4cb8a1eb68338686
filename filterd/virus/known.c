/* SPDX-License-Identifier: ISC */
#include "filterd/virus/known.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/when.h"
#include "filterd/attack/attack.h"
#include "ipc/links.h"
#include "ipc/values.h"

#define ASK_MS 10000		/* for one page */
#define REFRESH_MS 300000	/* in case a note was lost */
#define LIST_MAX (LOOKALIKE_DOMAINS_MAX * 288U)
#define CONFIG_MAX 65536U

/* Lists are lines of an owner, a blank and a name, which holds no line end. */
struct known {
	struct known_settings settings;
	struct loop_timer timer;
	struct buf domains;		/* of the directory */
	struct buf incoming;		/* the same, while they come */
	size_t incoming_len;
	struct buf partners;
	struct buf names;
	uint32_t call;
	bool is_asking;
	bool is_asked_again;
	uint64_t asked_ms;		/* when it was asked last */
};

struct entry {
	uint64_t owner;
	struct str name;
};

static void
put_entry(struct buf *list, uint64_t owner, struct str name)
{
	buf_addf(list, "%llu ", (unsigned long long)owner);
	buf_add_str(list, name);
	buf_add_char(list, '\n');
}

static bool
next_entry(struct str *rest, struct entry *entry_r)
{
	struct str owner;

	if (rest->p == NULL || rest->len == 0)
		return false;
	owner = str_cut(str_cut(*rest, '\n', rest), ' ', &entry_r->name);
	return str_to_u64(owner, UINT64_MAX, &entry_r->owner) == 0;
}

/* ---- what follows ---- */

static void
fill_tables(const struct known *known)
{
	struct attack *attack = known->settings.attack;
	struct str domains = buf_str(&known->domains);
	struct str partners = buf_str(&known->partners);
	struct str names = buf_str(&known->names);
	struct entry one;

	attack_forget(attack);
	while (next_entry(&domains, &one))
		(void)attack_add_domain(attack, one.name, one.owner);
	while (next_entry(&partners, &one))
		if (!attack_add_domain(attack, one.name, one.owner))
			ev_warn(NULL, "scan.partner.unusable",
			    EV_STR(domain, one.name));
	while (next_entry(&names, &one))
		attack_add_name(attack, one.name);
}

static void
put_list_of(struct ipc_link *link, enum scan_known kind, struct str list,
    bool *begins)
{
	struct ipc_out *out = NULL;
	struct entry one;

	while (next_entry(&list, &one)) {
		if (out != NULL && ipc_room(out) < one.name.len + 32) {
			(void)ipc_send(out, -1);
			out = NULL;
		}
		if (out == NULL) {
			out = ipc_begin(link, SCANNER_KNOW);
			ipc_put_bool(out, *begins);
			ipc_put_u64(out, kind);
			*begins = false;
		}
		ipc_put_str(out, one.name);
		ipc_put_u64(out, one.owner);
	}
	if (out != NULL)
		(void)ipc_send(out, -1);
}

void
known_tell(const struct known *known, struct ipc_link *generation)
{
	struct ipc_out *out = ipc_begin(generation, SCANNER_KNOW);
	bool begins = false;

	ipc_put_bool(out, true);
	ipc_put_u64(out, SCAN_K_DOMAINS);
	(void)ipc_send(out, -1);
	put_list_of(generation, SCAN_K_DOMAINS, buf_str(&known->domains),
	    &begins);
	put_list_of(generation, SCAN_K_DOMAINS, buf_str(&known->partners),
	    &begins);
	put_list_of(generation, SCAN_K_NAMES, buf_str(&known->names), &begins);
}

static void
changed(struct known *known)
{
	fill_tables(known);
	known->settings.changed(known->settings.ctx);
}

/* ---- the directory ---- */

static void ask_page(struct known *known, struct str after);

/* Several changes at a time are one question. */
static uint64_t
soon_ms(const struct known *known)
{
	return known->settings.gap_ms / 20;
}

static void
wait_for(struct known *known, uint64_t ms)
{
	uint64_t since_ms = when_mono_ms() - known->asked_ms;

	if (known->asked_ms != 0 && since_ms < known->settings.gap_ms &&
	    known->settings.gap_ms - since_ms > ms)
		ms = known->settings.gap_ms - since_ms;
	loop_timer_start(&known->timer, ms);
}

static void
pages_end(struct known *known, bool is_whole)
{
	bool is_same = str_eq(buf_str(&known->incoming),
	    buf_str(&known->domains));

	known->is_asking = false;
	wait_for(known, !is_whole || known->is_asked_again ? soon_ms(known) :
	    REFRESH_MS);
	known->is_asked_again = false;
	if (!is_whole || is_same || buf_failed(&known->incoming))
		return;
	buf_reset(&known->domains);
	buf_add_str(&known->domains, buf_str(&known->incoming));
	ev_info(NULL, "scan.domains.known",
	    EV_U64(count, known->incoming_len));
	changed(known);
}

static void
on_page(void *ctx, int code, struct ipc_in *in)
{
	struct known *known = ctx;
	struct str name = STR_NONE;

	if (code != 0) {
		pages_end(known, false);
		return;
	}
	while (ipc_more(in)) {
		name = ipc_get_str(in);
		if (known->incoming_len == LOOKALIKE_DOMAINS_MAX) {
			ev_warn(NULL, "scan.domains.many",
			    EV_U64(count, known->incoming_len));
			pages_end(known, true);
			return;
		}
		known->incoming_len++;
		put_entry(&known->incoming, ipc_get_u64(in), name);
	}
	if (name.p == NULL)
		pages_end(known, true);
	else
		ask_page(known, name);
}

static void
ask_page(struct known *known, struct str after)
{
	struct ipc_out *out = ipc_begin(known->settings.directory,
	    DIR_DOMAINS);

	ipc_put_str(out, after);
	known->call = ipc_call(out, -1, ASK_MS, on_page, known);
}

static void
on_timer(void *arg)
{
	struct known *known = arg;

	if (known->is_asking)
		return;
	known->is_asking = true;
	known->asked_ms = when_mono_ms();
	known->incoming_len = 0;
	buf_reset(&known->incoming);
	ask_page(known, STR(""));
}

void
known_ask(struct known *known)
{
	if (known->is_asking)
		known->is_asked_again = true;
	else
		wait_for(known, soon_ms(known));
}

/* ---- the configuration ---- */

static void
put_list(struct buf *out, struct str text, char separator)
{
	struct str item;

	while (text.p != NULL && text.len != 0) {
		item = str_trim(str_cut(text, separator, &text));
		if (item.len == 0)
			continue;
		put_entry(out, 0, item);
	}
}

void
known_configure(struct known *known, struct str partners, struct str names)
{
	buf_reset(&known->partners);
	buf_reset(&known->names);
	put_list(&known->partners, partners, ' ');
	put_list(&known->names, names, ',');
	changed(known);
}

/* ---- life ---- */

struct known *
known_new(const struct known_settings *settings)
{
	struct known *known = calloc(1, sizeof(*known));

	invariant(known != NULL);
	known->settings = *settings;
	buf_init(&known->domains, LIST_MAX);
	buf_init(&known->incoming, LIST_MAX);
	buf_init(&known->partners, CONFIG_MAX);
	buf_init(&known->names, CONFIG_MAX);
	loop_timer_init(&known->timer, settings->loop, on_timer, known);
	loop_timer_start(&known->timer, 0);
	return known;
}

void
known_free(struct known **knownp)
{
	struct known *known = *knownp;

	if (known == NULL)
		return;
	*knownp = NULL;
	if (known->is_asking)
		ipc_cancel(known->settings.directory, known->call);
	loop_timer_fini(&known->timer);
	buf_fini(&known->domains);
	buf_fini(&known->incoming);
	buf_fini(&known->partners);
	buf_fini(&known->names);
	free(known);
}
