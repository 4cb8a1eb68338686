/* SPDX-License-Identifier: ISC */
#include "filterd/virus/known.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/when.h"
#include "filterd/attack/attack.h"
#include "ipc/links.h"
#include "ipc/values.h"

#define ASK_MS 10000		/* for one page */
#define SOON_MS 500
#define REFRESH_MS 300000	/* in case a note was lost */
#define LIST_MAX (LOOKALIKE_DOMAINS_MAX * 256U)
#define CONFIG_MAX 65536U

/* Lists are lines: no name holds a line end. */
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

static bool
next_line(struct str *rest, struct str *line_r)
{
	if (rest->p == NULL || rest->len == 0)
		return false;
	*line_r = str_cut(*rest, '\n', rest);
	return true;
}

/* ---- what follows ---- */

static void
fill_tables(const struct known *known)
{
	struct attack *attack = known->settings.attack;
	struct str domains = buf_str(&known->domains);
	struct str partners = buf_str(&known->partners);
	struct str names = buf_str(&known->names), line;

	attack_forget(attack);
	while (next_line(&domains, &line))
		(void)attack_add_domain(attack, line);
	while (next_line(&partners, &line))
		if (!attack_add_domain(attack, line))
			ev_warn(NULL, "scan.partner.unusable",
			    EV_STR(domain, line));
	while (next_line(&names, &line))
		attack_add_name(attack, line);
}

static void
put_lines(struct ipc_link *link, enum scan_known kind, struct str lines,
    bool *begins)
{
	struct ipc_out *out = NULL;
	struct str line;

	while (next_line(&lines, &line)) {
		if (out != NULL && ipc_room(out) < line.len + 16) {
			(void)ipc_send(out, -1);
			out = NULL;
		}
		if (out == NULL) {
			out = ipc_begin(link, SCANNER_KNOW);
			ipc_put_bool(out, *begins);
			ipc_put_u64(out, kind);
			*begins = false;
		}
		ipc_put_str(out, line);
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
	put_lines(generation, SCAN_K_DOMAINS, buf_str(&known->domains),
	    &begins);
	put_lines(generation, SCAN_K_DOMAINS, buf_str(&known->partners),
	    &begins);
	put_lines(generation, SCAN_K_NAMES, buf_str(&known->names), &begins);
}

static void
changed(struct known *known)
{
	fill_tables(known);
	known->settings.changed(known->settings.ctx);
}

/* ---- the directory ---- */

static void ask_page(struct known *known, struct str after);

static void
wait_for(struct known *known, uint64_t ms)
{
	uint64_t since_ms = when_mono_ms() - known->asked_ms;

	if (known->asked_ms != 0 && since_ms < KNOWN_GAP_MS &&
	    KNOWN_GAP_MS - since_ms > ms)
		ms = KNOWN_GAP_MS - since_ms;
	loop_timer_start(&known->timer, ms);
}

static void
pages_end(struct known *known, bool is_whole)
{
	bool is_same = str_eq(buf_str(&known->incoming),
	    buf_str(&known->domains));

	known->is_asking = false;
	wait_for(known, !is_whole || known->is_asked_again ? SOON_MS :
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
		buf_add_str(&known->incoming, name);
		buf_add_char(&known->incoming, '\n');
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
		wait_for(known, SOON_MS);
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
		buf_add_str(out, item);
		buf_add_char(out, '\n');
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
