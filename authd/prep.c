/* SPDX-License-Identifier: ISC */
#include "authd/prep.h"

#include <unicode/usprep.h>
#include <unicode/ustring.h>

#include "authd/hash.h"

#define UNITS (PASSWORD_MAX + 8)

struct prep {
	UStringPrepProfile *profile;
};

struct prep *
prep_open(struct err *err)
{
	struct prep *prep = calloc(1, sizeof(*prep));
	UErrorCode status = U_ZERO_ERROR;

	invariant(prep != NULL);
	prep->profile = usprep_openByType(USPREP_RFC4013_SASLPREP, &status);
	if (U_SUCCESS(status))
		return prep;
	(void)err_set(err, ERR_TEMP, "SASLprep tables: %s",
	    u_errorName(status));
	free(prep);
	return NULL;
}

void
prep_close(struct prep **prep)
{
	if (*prep == NULL)
		return;
	usprep_close((*prep)->profile);
	free(*prep);
	*prep = NULL;
}

void
password_buf_init(struct buf *buf)
{
	buf_init(buf, 4 * UNITS);
	(void)buf_reserve(buf, 4 * UNITS);
}

void
password_buf_fini(struct buf *buf)
{
	if (buf->p != NULL)
		explicit_bzero(buf->p, buf->cap);
	buf_fini(buf);
}

/* The profile works on UTF-16. */
static int
prep_unicode(const struct prep *prep, struct str password, struct buf *out)
{
	UChar in[UNITS], prepared[UNITS];
	int32_t in_len = 0, len = 0, octets = 0;
	UErrorCode status = U_ZERO_ERROR;
	char *p = buf_reserve(out, 3 * UNITS);

	u_strFromUTF8(in, UNITS, &in_len, password.p, (int32_t)password.len,
	    &status);
	if (U_SUCCESS(status))
		len = usprep_prepare(prep->profile, in, in_len, prepared,
		    UNITS, USPREP_DEFAULT, NULL, &status);
	if (U_SUCCESS(status) && p != NULL)
		u_strToUTF8(p, 3 * UNITS, &octets, prepared, len, &status);
	explicit_bzero(in, sizeof(in));
	explicit_bzero(prepared, sizeof(prepared));
	if (U_FAILURE(status) || p == NULL || len == 0 ||
	    octets > PASSWORD_MAX)
		return ERR_SYNTAX;
	buf_grow(out, (size_t)octets);
	return 0;
}

int
prep_password(const struct prep *prep, struct str password,
    struct buf *password_r, struct err *err)
{
	if (password.len == 0)
		return err_set(err, ERR_SYNTAX, "the password is empty");
	if (password.len > PASSWORD_MAX)
		return err_set(err, ERR_SYNTAX, "the password is over %d "
		    "octets", PASSWORD_MAX);
	/* ASCII is as it is, but for controls. */
	if (str_is_printable(password)) {
		buf_add_str(password_r, password);
		return 0;
	}
	if (!str_is_utf8(password) ||
	    prep_unicode(prep, password, password_r) != 0)
		return err_set(err, ERR_SYNTAX, "the password has characters "
		    "that cannot be used in one (RFC 4013)");
	return 0;
}
