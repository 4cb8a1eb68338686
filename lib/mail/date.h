/* SPDX-License-Identifier: ISC */
/*
 * date: dates of header fields and of IMAP. No libc calendar, no locale, no
 * time zone of the machine.
 *
 * Units.      Seconds since 1970-01-01 UTC; zones in minutes east of UTC.
 * Errors.     ERR_SYNTAX.
 * Blocking.   Never.
 * RFC.        5322 section 3.3, 4.3; 3501 and 9051 section 9: date-time.
 */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include "base/buf.h"

struct mail_date {
	int64_t s;
	int zone_min;
};

struct mail_day {
	int year;
	int month;	/* 1 to 12 */
	int day;	/* 1 to 31 */
};

/*
 * A Date: field's value. Tolerant: comments, a missing or wrong weekday,
 * missing seconds, two- and three-digit years, named and missing zones (UTC),
 * asctime() order, ISO 8601.
 */
int date_parse(struct str value, struct mail_date *date_r);

/* "Sun, 22 Nov 2026 04:45:30 +0900"; years 0 to 9999. */
void date_put_rfc5322(struct buf *buf, struct mail_date date);

/* "22-Nov-2026 04:45:30 +0900", the day with a blank for its first digit
 * (IMAP date-time without quotes). */
void date_put_imap(struct buf *buf, struct mail_date date);

/* "2026-11-22T04:45:30Z" in UTC (JMAP UTCDate). */
void date_put_iso(struct buf *buf, int64_t s);

/* IMAP date-time without quotes, strict. */
int date_parse_imap(struct str text, struct mail_date *date_r);

/* IMAP date ("1-Feb-1994", SEARCH SINCE), strict. */
int date_parse_imap_day(struct str text, struct mail_day *day_r);

/* Calendar day (proleptic Gregorian) from and to days since 1970-01-01. */
int64_t date_days_of(struct mail_day day);
struct mail_day date_day_of(int64_t days);

/* The day on which date falls in its own zone (SEARCH SENTON). */
int64_t date_local_days(struct mail_date date);

#endif
