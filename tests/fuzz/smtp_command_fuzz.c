/* SPDX-License-Identifier: ISC */
/*
 * Lines cut the same way whatever the pieces; a command that parses holds
 * nothing that could end a line; a reply made from any text is well formed.
 */
#include "base/buf.h"
#include "proto/line.h"
#include "proto/smtp.h"
#include "proto/smtp_params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINE_OCTETS 300

static void
check_str(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		invariant((unsigned char)s.p[i] >= 0x20 || s.p[i] == '\t');
}

static void
check_extensions(const struct smtp_command *cmd)
{
	struct smtp_refusal refusal = { 0 };
	struct smtp_mail_params mail;
	struct smtp_rcpt_params rcpt;

	if (smtp_mail_params(cmd, ~0U, 1795322730, &mail, &refusal) != 0)
		invariant(refusal.code == 501 || refusal.code == 555);
	else
		check_str(mail.envid);
	if (smtp_rcpt_params(cmd, ~0U, &rcpt, &refusal) == 0)
		check_str(rcpt.orcpt);
}

static void
check_command(struct str line)
{
	struct smtp_command cmd;
	struct smtp_refusal refusal = { 0 };
	size_t i;

	if (smtp_parse(line, &cmd, &refusal) != 0) {
		invariant(refusal.code >= 500 && refusal.offset <= line.len);
		return;
	}
	invariant(cmd.verb < SMTP_VERB_COUNT);
	check_extensions(&cmd);
	check_str(cmd.arg);
	check_str(cmd.path);
	check_str(cmd.auth);
	for (i = 0; i < cmd.n_params; i++) {
		check_str(cmd.params[i].name);
		check_str(cmd.params[i].value);
	}
}

/* A digest of what comes out when the input arrives step octets at a time. */
static void
run(struct str in, size_t step, bool is_strict, struct buf *out)
{
	struct line line;
	struct str text;
	size_t from = 0, have = 0, used;
	enum line_result result;

	line_init(&line, LINE_OCTETS, is_strict);
	while (have < in.len) {
		have = have + step < in.len ? have + step : in.len;
		do {
			result = line_next(&line, str_sub(in, from,
			    have - from), &text, &used);
			from += used;
			if (result == LINE_MORE)
				continue;
			buf_addf(out, "%d:", (int)result);
			buf_add_str(out, text);
			if (result == LINE_DONE)
				check_command(text);
		} while (result != LINE_MORE);
	}
}

static void
check_reply(struct str text)
{
	struct str rest, line;
	struct buf out;
	bool is_last = false;

	buf_init(&out, 64 * text.len + 4096);
	smtp_put_reply(&out, 550, "5.7.1", text);
	invariant(!buf_failed(&out));
	rest = buf_str(&out);
	while (rest.len != 0) {
		invariant(!is_last);
		line = str_cut(rest, '\n', &rest);
		invariant(line.len > 9 && line.len < 512);
		invariant(line.p[line.len - 1] == '\r');
		invariant(str_is_printable(str_sub(line, 0, line.len - 1)));
		is_last = line.p[3] == ' ';
	}
	invariant(is_last);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, size);
	struct buf whole, single;
	bool is_strict = size % 2 == 0;

	check_command(in);
	check_reply(in);
	buf_init(&whole, 64 * size + 64);
	buf_init(&single, 64 * size + 64);
	run(in, size, is_strict, &whole);
	run(in, 1, is_strict, &single);
	invariant(str_eq(buf_str(&whole), buf_str(&single)));
	buf_fini(&whole);
	buf_fini(&single);
	return 0;
}
