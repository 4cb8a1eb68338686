/* SPDX-License-Identifier: ISC */
/* A date that parses is written in a form that parses to itself. */
#include "mail_fuzz.h"

#include "mail/date.h"

static void
check(struct mail_date date)
{
	struct mail_date again;
	struct buf buf;

	/* A zone can move a date of the year 0 or 9999 out of four digits. */
	if (date.s < -62000000000 || date.s > 253000000000)
		return;
	buf_init(&buf, 100);
	date_put_rfc5322(&buf, date);
	invariant(date_parse(buf_str(&buf), &again) == 0);
	invariant(again.s == date.s && again.zone_min == date.zone_min);
	buf_reset(&buf);
	date_put_imap(&buf, date);
	invariant(date_parse_imap(buf_str(&buf), &again) == 0);
	invariant(again.s == date.s && again.zone_min == date.zone_min);
	buf_reset(&buf);
	date_put_iso(&buf, date.s);
	invariant(date_parse(buf_str(&buf), &again) == 0);
	invariant(again.s == date.s);
	buf_fini(&buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, size);
	struct mail_date date;
	struct mail_day day;

	if (date_parse(in, &date) == 0)
		check(date);
	if (date_parse_imap(in, &date) == 0)
		check(date);
	if (date_parse_imap_day(in, &day) == 0)
		invariant(date_day_of(date_days_of(day)).day == day.day);
	return 0;
}
