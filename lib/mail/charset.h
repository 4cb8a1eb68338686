/* SPDX-License-Identifier: ISC */
/*
 * charset: everything that arrives becomes UTF-8. The names are those that
 * mail uses, wrong ones too: Shift_JIS means Windows-31J, ISO-2022-JP takes
 * NEC and 8-bit kana, ISO-8859-1 means windows-1252, GB2312 means GB18030.
 *
 * Text without a name, called us-ascii or unknown, is judged by its first
 * octets that are not ASCII: ESC $ or ESC ( is ISO-2022-JP, then UTF-8,
 * EUC-JP, Shift_JIS, windows-1252, the first that is well-formed.
 *
 * Lifetime.   charset_open() -> charset_feed()* -> charset_close().
 * Ownership.  Output is appended to the caller's buf, whose maximum bounds it.
 * Units.      Octets.
 * Errors.     Malformed input becomes U+FFFD. charset_to_utf8(): ERR_NOTFOUND
 *             for a name nobody knows.
 * Blocking.   charset_init() loads tables; nothing after it opens a file.
 * Process.    charset_init() before the sandbox.
 * RFC.        1468, 2047, 2152, 2231 section 4, 6532.
 */
#ifndef MAIL_CHARSET_H
#define MAIL_CHARSET_H

#include "base/arena.h"
#include "base/buf.h"
#include "mail/header.h"

struct charset;

/* Touch every table once. Calling it again does nothing. */
void charset_init(void);

/* Is name one that we can convert (BADCHARSET otherwise)? */
bool charset_is_known(struct str name);

/* A converter to UTF-8; never NULL. Unknown names: see above. */
struct charset *charset_open(struct str name);
void charset_close(struct charset **charset);

/* Convert the next octets; characters may be split between calls. is_last:
 * what is incomplete at the end becomes U+FFFD. */
void charset_feed(struct charset *charset, struct str in, bool is_last,
    struct buf *out);

/* All at once. */
int charset_to_utf8(struct buf *out, struct str name, struct str in);

/* Text whose charset nobody named. */
void charset_guess(struct buf *out, struct str in);

/*
 * Decode the encoded words of a field value to UTF-8. Adjacent words of one
 * charset are joined before conversion, since senders split characters; raw
 * 8-bit and raw ISO-2022-JP are guessed. Line ends go away; control
 * characters become blanks, so that the result is one line.
 */
void rfc2047_decode(struct buf *out, struct str value);

/* Does text need encoded words: not ASCII, a control, or "=?" in it? */
bool rfc2047_needs_encoding(struct str text);

/* UTF-8 text as encoded words of at most 75 octets, split between
 * characters. Malformed octets become U+FFFD. */
void rfc2047_encode(struct str text, void (*put)(void *ctx, struct str word),
    void *ctx);

/*
 * A parameter (lower-case name) in UTF-8: the extended form of RFC 2231
 * first, then the plain one with encoded words or raw 8-bit, as mailers do.
 * STR_NONE without it.
 */
struct str mail_param_decode(struct arena *arena,
    const struct mail_params *params, struct str name);

#endif
