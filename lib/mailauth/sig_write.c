/* SPDX-License-Identifier: ISC */
#include "mailauth/sig_write.h"

#include "mailauth/sig_int.h"

#define LINE_MAX_OCTETS 76U

void
sig_write_begin(struct sig_write *write, const char *name, bool is_long)
{
	buf_init(&write->text, SIG_WRITE_MAX);
	write->hole = 0;
	write->has_tag = false;
	write->is_long = is_long;
	buf_add_cstr(&write->text, name);
	buf_add_cstr(&write->text, ":");
	write->column = write->text.len;
}

static void
new_line(struct sig_write *write)
{
	buf_add_cstr(&write->text, "\r\n ");
	write->column = 1;
}

static void
add(struct sig_write *write, struct str s)
{
	buf_add_str(&write->text, s);
	write->column += s.len;
}

/* "; name=", on a new line when value_len more would not fit this one. */
static void
begin_tag(struct sig_write *write, const char *name, size_t value_len)
{
	size_t len = strlen(name) + 3 + value_len;

	if (write->has_tag)
		add(write, STR(";"));
	if (write->column + len > LINE_MAX_OCTETS && write->has_tag)
		new_line(write);
	else
		add(write, STR(" "));
	write->has_tag = true;
	add(write, str_of(name));
	add(write, STR("="));
}

void
sig_write_tag(struct sig_write *write, const char *name, struct str value)
{
	begin_tag(write, name, value.len);
	add(write, value);
}

void
sig_write_tag_u64(struct sig_write *write, const char *name, uint64_t value)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%llu",
	    (unsigned long long)value);

	sig_write_tag(write, name, str_make(text, (size_t)len));
}

void
sig_write_names(struct sig_write *write, struct str names)
{
	struct str name, rest = names;
	bool is_first = true;

	begin_tag(write, "h", names.len);
	while (tags_next_item(&rest, &name)) {
		if (!is_first)
			add(write, STR(":"));
		if (!is_first && !write->is_long &&
		    write->column + name.len + 1 > LINE_MAX_OCTETS)
			new_line(write);
		add(write, name);
		is_first = false;
	}
}

void
sig_write_hash(struct sig_write *write,
    const unsigned char digest[MAILAUTH_HASH_OCTETS])
{
	struct buf text;

	buf_init(&text, 64);
	buf_add_base64(&text, digest, MAILAUTH_HASH_OCTETS);
	sig_write_tag(write, "bh", buf_str(&text));
	buf_fini(&text);
}

void
sig_write_hole(struct sig_write *write)
{
	begin_tag(write, "b", 0);
	write->hole = write->text.len;
	/* What follows stands on a line of its own. */
	write->column = LINE_MAX_OCTETS;
}

void
sig_write_put_unsigned(const struct sig_write *write, struct buf *out)
{
	sig_put_unsigned(out, CANON_RELAXED, buf_str(&write->text),
	    write->hole, write->hole);
}

/* White space in b= does not count: it is folded as it comes. */
static void
put_folded(struct buf *out, struct str text, size_t column)
{
	size_t n;

	while (text.len > 0) {
		n = column < LINE_MAX_OCTETS ? LINE_MAX_OCTETS - column : 0;
		if (n > text.len)
			n = text.len;
		buf_add_str(out, str_sub(text, 0, n));
		text = str_sub(text, n, STR_NPOS);
		if (text.len > 0)
			buf_add_cstr(out, "\r\n ");
		column = 1;
	}
}

static size_t
column_of(struct str text)
{
	size_t nl = str_rfind(text, '\n');

	return nl == STR_NPOS ? text.len : text.len - nl - 1;
}

void
sig_write_end(const struct sig_write *write, struct str signature,
    struct buf *out)
{
	struct str text = buf_str(&write->text);
	struct str before = str_sub(text, 0, write->hole);
	struct buf base64;

	invariant(write->hole > 0 && !buf_failed(&write->text));
	buf_init(&base64, signature.len * 2 + 4);
	buf_add_base64(&base64, signature.p, signature.len);
	buf_add_str(out, before);
	if (write->is_long)
		buf_add_str(out, buf_str(&base64));
	else
		put_folded(out, buf_str(&base64), column_of(before));
	buf_add_str(out, str_sub(text, write->hole, STR_NPOS));
	buf_add_cstr(out, "\r\n");
	buf_fini(&base64);
}

void
sig_write_fini(struct sig_write *write)
{
	buf_fini(&write->text);
}
