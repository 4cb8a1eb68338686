/* SPDX-License-Identifier: ISC */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>

void
err_clear(struct err *err)
{
	err->code = 0;
	err->text[0] = '\0';
}

static int err_vset(struct err *err, int code, int with_errno,
    const char *fmt, va_list ap) __attribute__((format(printf, 4, 0)));

static int
err_vset(struct err *err, int code, int with_errno, const char *fmt,
    va_list ap)
{
	int saved_errno = errno;
	int n;

	if (err == NULL || err->code != 0)
		return code;
	err->code = code;
	n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	if (with_errno && n >= 0 && (size_t)n < sizeof(err->text))
		(void)snprintf(err->text + n, sizeof(err->text) - (size_t)n,
		    ": %s", strerror(saved_errno));
	return code;
}

int
err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_vset(err, code, 0, fmt, ap);
	va_end(ap);
	return code;
}

int
err_set_errno(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_vset(err, code, 1, fmt, ap);
	va_end(ap);
	return code;
}

const char *
err_text(const struct err *err)
{
	if (err->text[0] != '\0')
		return err->text;
	return err_code_name(err->code);
}

const char *
err_code_name(int code)
{
	static const char *const names[] = {
		"ok", "temp", "notfound", "exists", "denied", "limit",
		"syntax", "corrupt",
	};

	if (code > 0 || code < ERR_CORRUPT)
		return "unknown";
	return names[-code];
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(2);
}

void
invariant_failed(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "invariant failed: %s (%s:%d)\n", what, file,
	    line);
	abort();
}
