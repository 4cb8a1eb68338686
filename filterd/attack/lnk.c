/* SPDX-License-Identifier: ISC */
/* Shortcuts of Windows: what they start, and with what. [MS-SHLLINK] 2. */
#include "filterd/attack/inspect.h"

#include "base/buf.h"
#include "filterd/attack/bytes.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HEADER_OCTETS 76U
#define TEXT_MAX 4096U

#define HAS_ID_LIST 0x01U
#define HAS_LINK_INFO 0x02U
#define HAS_ARGUMENTS 0x20U
#define IS_UNICODE 0x80U

/* The five texts, in their order; each is there when its flag is. */
static const uint32_t texts[] = { 0x04, 0x08, 0x10, 0x20, 0x40 };

static const char *const interpreters[] = {
	"cmd.exe", "powershell", "pwsh", "wscript", "cscript", "mshta",
	"rundll32", "regsvr32", "msiexec", "certutil", "bitsadmin",
	"conhost", "forfiles", "curl.exe", "pcalua", "msbuild", "wmic",
	"schtasks", "explorer.exe /", "%comspec%", "http://", "https://",
	"ftp://", ".vbs", ".js", ".hta", ".bat",
};

static void
put_text(struct buf *out, struct str text, bool is_unicode)
{
	if (is_unicode)
		bytes_put_utf16(out, text);
	else
		buf_add_str(out, text);
	buf_add_char(out, '\n');
}

/* Name, relative path, folder, arguments, icon. */
static uint64_t
read_texts(struct str s, uint64_t at, uint32_t flags, struct buf *out)
{
	bool is_unicode = (flags & IS_UNICODE) != 0;
	size_t i;

	for (i = 0; i < COUNT(texts); i++) {
		uint64_t len;

		if ((flags & texts[i]) == 0)
			continue;
		len = (uint64_t)bytes_le16(s, at) * (is_unicode ? 2 : 1);
		put_text(out, str_sub(bytes_from(s, at + 2), 0,
		    len < TEXT_MAX ? (size_t)len : TEXT_MAX), is_unicode);
		at += 2 + len;
	}
	return at;
}

/* Blocks after the texts: that of environment variables names a target. */
static void
read_blocks(struct str s, uint64_t at, struct buf *out)
{
	unsigned blocks;

	for (blocks = 0; blocks < 64; blocks++) {
		uint32_t size = bytes_le32(s, at);

		if (size < 8 || !bytes_has(s, at, size))
			return;
		if (bytes_le32(s, at + 4) == 0xa0000001 && size >= 788)
			put_text(out, bytes_cut(s, at + 268, 520), true);
		at += size;
	}
}

void
inspect_lnk(const struct inspected *file)
{
	struct str s = file->octets;
	uint32_t flags = bytes_le32(s, 20);
	uint64_t at = HEADER_OCTETS;
	struct buf text;
	size_t i;

	buf_init(&text, 64U << 10);
	if ((flags & HAS_ID_LIST) != 0) {
		put_text(&text, bytes_cut(s, at + 2, bytes_le16(s, at)),
		    false);
		put_text(&text, bytes_cut(s, at + 2, bytes_le16(s, at)),
		    true);
		at += 2U + bytes_le16(s, at);
	}
	if ((flags & HAS_LINK_INFO) != 0) {
		put_text(&text, bytes_cut(s, at, bytes_le32(s, at) < TEXT_MAX ?
		    bytes_le32(s, at) : 0), false);
		at += bytes_le32(s, at);
	}
	at = read_texts(s, at, flags, &text);
	read_blocks(s, at, &text);
	for (i = 0; i < COUNT(interpreters); i++)
		if (kind_has_word(buf_str(&text), str_of(interpreters[i])))
			inspect_note(file, ATTACK_SHORTCUT_COMMAND);
	buf_fini(&text);
}
