/* SPDX-License-Identifier: ISC */
#include "mail/date.h"

#define SECONDS_PER_DAY 86400

static const char month_names[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
	"Nov", "Dec",
};
static const char weekday_names[7][4] = {
	"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat",
};

/* RFC 5322 section 4.3 and what mailers write besides. */
static const struct {
	struct str name;
	int minutes;
} zones[] = {
	{ { "UT", 2 }, 0 }, { { "GMT", 3 }, 0 }, { { "UTC", 3 }, 0 },
	{ { "Z", 1 }, 0 }, { { "JST", 3 }, 540 }, { { "KST", 3 }, 540 },
	{ { "EST", 3 }, -300 }, { { "EDT", 3 }, -240 },
	{ { "CST", 3 }, -360 }, { { "CDT", 3 }, -300 },
	{ { "MST", 3 }, -420 }, { { "MDT", 3 }, -360 },
	{ { "PST", 3 }, -480 }, { { "PDT", 3 }, -420 },
	{ { "WET", 3 }, 0 }, { { "CET", 3 }, 60 }, { { "CEST", 4 }, 120 },
	{ { "MET", 3 }, 60 }, { { "EET", 3 }, 120 }, { { "EEST", 4 }, 180 },
	{ { "BST", 3 }, 60 }, { { "MSK", 3 }, 180 }, { { "HKT", 3 }, 480 },
	{ { "SGT", 3 }, 480 }, { { "AEST", 4 }, 600 }, { { "NZST", 4 }, 720 },
};

/* Howard Hinnant, "chrono-compatible low-level date algorithms": years that
 * begin in March put the leap day last. */
int64_t
date_days_of(struct mail_day day)
{
	int64_t y = day.month <= 2 ? (int64_t)day.year - 1 : day.year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t month = (day.month + 9) % 12;
	int64_t day_of_year = (153 * month + 2) / 5 + day.day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 -
	    year_of_era / 100 + day_of_year - 719468;
}

struct mail_day
date_day_of(int64_t days)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t month = (5 * doy + 2) / 153;
	struct mail_day day;

	day.day = (int)(doy - (153 * month + 2) / 5 + 1);
	day.month = (int)(month < 10 ? month + 3 : month - 9);
	day.year = (int)(yoe + era * 400 + (day.month <= 2));
	return day;
}

static bool
is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool
is_day(struct mail_day day)
{
	static const int lengths[12] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31,
	};
	int max;

	if (day.month < 1 || day.month > 12 || day.year < 0 ||
	    day.year > 9999)
		return false;
	max = lengths[day.month - 1];
	if (day.month == 2 && is_leap(day.year))
		max = 29;
	return day.day >= 1 && day.day <= max;
}

/* What was read so far; -1: not yet. */
struct reading {
	const char *p;
	const char *end;
	struct mail_day day;
	int hour;
	int minute;
	int second;
	int zone_min;
	bool has_zone;
};

static int
digits_at(struct reading *r, int max, int *count_r)
{
	int value = 0, count = 0;

	while (r->p < r->end && count < max && ascii_is_digit(*r->p)) {
		value = value * 10 + (*r->p++ - '0');
		count++;
	}
	*count_r = count;
	return value;
}

static void
skip_digits(struct reading *r)
{
	while (r->p < r->end && ascii_is_digit(*r->p))
		r->p++;
}

static bool
next_is(const struct reading *r, char c)
{
	return r->p < r->end && *r->p == c;
}

static void
read_time(struct reading *r, int hour)
{
	int n;

	r->hour = hour;
	r->p++;
	r->minute = digits_at(r, 2, &n);
	r->second = 0;
	if (next_is(r, ':')) {
		r->p++;
		r->second = digits_at(r, 2, &n);
	}
	/* A fraction of a second, as ISO 8601 has it. */
	if (next_is(r, '.') && r->p + 1 < r->end && ascii_is_digit(r->p[1])) {
		r->p++;
		skip_digits(r);
	}
}

static int
full_year(int value, int digits)
{
	/* RFC 5322 section 4.3: obsolete years. */
	if (digits == 2)
		return value < 50 ? value + 2000 : value + 1900;
	return digits == 3 ? value + 1900 : value;
}

static void
read_number(struct reading *r)
{
	int count, value = digits_at(r, 8, &count);

	skip_digits(r);
	if (next_is(r, ':') && r->hour < 0)
		read_time(r, value);
	else if (count <= 2 && r->day.day < 0)
		r->day.day = value;
	else if (r->day.year < 0)
		r->day.year = full_year(value, count);
}

static void
read_zone(struct reading *r)
{
	bool is_west = *r->p++ == '-';
	int count, value;

	/* A sign before the time is only a separator: 22-Nov-2026. */
	if (r->hour < 0 || r->p == r->end || !ascii_is_digit(*r->p))
		return;
	value = digits_at(r, 4, &count);
	if (count == 2 && next_is(r, ':')) {
		r->p++;
		value = value * 100 + digits_at(r, 2, &count);
	} else if (count <= 2) {
		value *= 100;
	}
	skip_digits(r);
	if (value % 100 > 59 || value > 2359)
		value = 0;
	value = value / 100 * 60 + value % 100;
	r->zone_min = is_west ? -value : value;
	r->has_zone = true;
}

static int
name_index(struct str word, const char (*names)[4], size_t count)
{
	size_t i;

	if (word.len < 3)
		return -1;
	for (i = 0; i < count; i++)
		if (str_eq_nocase(str_sub(word, 0, 3), str_of(names[i])))
			return (int)i;
	return -1;
}

static void
read_word(struct reading *r)
{
	const char *from = r->p;
	struct str word;
	size_t i;
	int month;

	while (r->p < r->end && ascii_is_alpha(*r->p))
		r->p++;
	word = str_make(from, (size_t)(r->p - from));
	month = name_index(word, month_names, 12);
	if (month >= 0 && r->day.month < 0) {
		r->day.month = month + 1;
		return;
	}
	for (i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		if (r->hour < 0 || r->has_zone ||
		    !str_eq_nocase(word, zones[i].name))
			continue;
		r->zone_min = zones[i].minutes;
		r->has_zone = true;
	}
	if (r->hour >= 0 && r->hour < 12 && str_eq_nocase(word, STR("PM")))
		r->hour += 12;
	else if (r->hour == 12 && str_eq_nocase(word, STR("AM")))
		r->hour = 0;
}

static void
skip_comment(struct reading *r)
{
	int depth = 0;

	for (; r->p < r->end; r->p++) {
		if (*r->p == '\\' && r->p + 1 < r->end) {
			r->p++;
		} else if (*r->p == '(') {
			depth++;
		} else if (*r->p == ')' && --depth == 0) {
			r->p++;
			return;
		}
	}
}

/* ISO 8601: 2026-11-22. */
static void
read_iso_day(struct reading *r)
{
	const char *from = r->p;
	int n[3], year, month, day;

	year = digits_at(r, 4, &n[0]);
	if (n[0] == 4 && next_is(r, '-')) {
		r->p++;
		month = digits_at(r, 2, &n[1]);
		if (n[1] == 2 && next_is(r, '-')) {
			r->p++;
			day = digits_at(r, 2, &n[2]);
			if (n[2] == 2) {
				r->day = (struct mail_day){ year, month, day };
				return;
			}
		}
	}
	r->p = from;
}

static void
read_all(struct reading *r)
{
	while (r->p < r->end) {
		if (ascii_is_digit(*r->p))
			read_number(r);
		else if (ascii_is_alpha(*r->p))
			read_word(r);
		else if (*r->p == '+' || *r->p == '-')
			read_zone(r);
		else if (*r->p == '(')
			skip_comment(r);
		else
			r->p++;
	}
}

/* RFC 5322 section 3.3: 60 is a leap second. */
static bool
is_time(const struct reading *r)
{
	return r->hour >= 0 && r->hour <= 23 && r->minute >= 0 &&
	    r->minute <= 59 && r->second >= 0 && r->second <= 60;
}

static struct mail_date
date_of(const struct reading *r)
{
	int64_t s = date_days_of(r->day) * SECONDS_PER_DAY;

	s += r->hour * 3600 + r->minute * 60 + r->second;
	return (struct mail_date){ s - (int64_t)r->zone_min * 60,
	    r->zone_min };
}

static struct reading
reading_of(struct str text)
{
	if (text.len == 0)
		text.p = "";
	return (struct reading){
		.p = text.p, .end = text.p + text.len,
		.day = { -1, -1, -1 }, .hour = -1,
	};
}

int
date_parse(struct str value, struct mail_date *date_r)
{
	/* No date is longer; what follows is a comment at best. */
	struct reading r = reading_of(str_sub(str_trim(value), 0, 256));

	read_iso_day(&r);
	read_all(&r);
	if (r.hour < 0)
		r.hour = 0;
	if (!is_day(r.day) || !is_time(&r))
		return ERR_SYNTAX;
	*date_r = date_of(&r);
	return 0;
}

struct clock {
	struct mail_day day;
	int weekday;
	int hour, minute, second;
	int zone;	/* hhmm */
	char sign;
};

static struct clock
clock_of(struct mail_date date)
{
	int64_t s = date.s + (int64_t)date.zone_min * 60, days, rest;
	int zone = date.zone_min < 0 ? -date.zone_min : date.zone_min;
	struct clock c;

	days = (s >= 0 ? s : s - (SECONDS_PER_DAY - 1)) / SECONDS_PER_DAY;
	rest = s - days * SECONDS_PER_DAY;
	c.day = date_day_of(days);
	c.weekday = (int)(((days % 7) + 11) % 7);
	c.hour = (int)(rest / 3600);
	c.minute = (int)(rest / 60 % 60);
	c.second = (int)(rest % 60);
	c.zone = zone / 60 * 100 + zone % 60;
	c.sign = date.zone_min < 0 ? '-' : '+';
	return c;
}

void
date_put_rfc5322(struct buf *buf, struct mail_date date)
{
	struct clock c = clock_of(date);

	buf_addf(buf, "%s, %02d %s %04d %02d:%02d:%02d %c%04d",
	    weekday_names[c.weekday], c.day.day, month_names[c.day.month - 1],
	    c.day.year, c.hour, c.minute, c.second, c.sign, c.zone);
}

static void
put_two(char *p, int value)
{
	p[0] = (char)('0' + value / 10 % 10);
	p[1] = (char)('0' + value % 10);
}

/* By hand: FETCH INTERNALDATE renders one for every message. */
void
date_put_imap(struct buf *buf, struct mail_date date)
{
	struct clock c = clock_of(date);
	char out[27] = "dd-mmm-yyyy hh:mm:ss +zzzz";

	put_two(out, c.day.day);
	if (c.day.day < 10)
		out[0] = ' ';
	memcpy(out + 3, month_names[c.day.month - 1], 3);
	put_two(out + 7, c.day.year / 100);
	put_two(out + 9, c.day.year);
	put_two(out + 12, c.hour);
	put_two(out + 15, c.minute);
	put_two(out + 18, c.second);
	out[21] = c.sign;
	put_two(out + 22, c.zone / 100);
	put_two(out + 24, c.zone);
	buf_add(buf, out, sizeof(out) - 1);
}

void
date_put_iso(struct buf *buf, int64_t s)
{
	struct clock c = clock_of((struct mail_date){ s, 0 });

	buf_addf(buf, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.day.year,
	    c.day.month, c.day.day, c.hour, c.minute, c.second);
}

static bool
take(struct reading *r, char c)
{
	if (!next_is(r, c))
		return false;
	r->p++;
	return true;
}

static bool
take_digits(struct reading *r, int want, int *value_r)
{
	int count;

	*value_r = digits_at(r, want, &count);
	return count == want;
}

static bool
take_month(struct reading *r)
{
	struct str word = str_make(r->p, (size_t)(r->end - r->p));

	r->day.month = name_index(str_sub(word, 0, 3), month_names, 12) + 1;
	if (r->day.month == 0)
		return false;
	r->p += 3;
	return true;
}

/* RFC 9051 section 9: date-text = date-day "-" date-month "-" date-year,
 * after its day. */
static bool
take_month_year(struct reading *r)
{
	return take(r, '-') && take_month(r) && take(r, '-') &&
	    take_digits(r, 4, &r->day.year) && is_day(r->day);
}

static bool
take_zone(struct reading *r)
{
	int value;
	bool is_west = next_is(r, '-');

	if (!take(r, '+') && !take(r, '-'))
		return false;
	if (!take_digits(r, 4, &value) || value % 100 > 59 || value > 2359)
		return false;
	value = value / 100 * 60 + value % 100;
	r->zone_min = is_west ? -value : value;
	return true;
}

/* RFC 9051 section 9: date-day-fixed = (SP DIGIT) / 2DIGIT */
int
date_parse_imap(struct str text, struct mail_date *date_r)
{
	struct reading r = reading_of(text);
	int want = take(&r, ' ') ? 1 : 2;

	if (!take_digits(&r, want, &r.day.day) || !take_month_year(&r) ||
	    !take(&r, ' ') || !take_digits(&r, 2, &r.hour) ||
	    !take(&r, ':') || !take_digits(&r, 2, &r.minute) ||
	    !take(&r, ':') || !take_digits(&r, 2, &r.second) ||
	    !take(&r, ' ') || !take_zone(&r) || r.p != r.end || !is_time(&r))
		return ERR_SYNTAX;
	*date_r = date_of(&r);
	return 0;
}

int
date_parse_imap_day(struct str text, struct mail_day *day_r)
{
	struct reading r = reading_of(text);
	int count;

	r.day.day = digits_at(&r, 2, &count);
	if (count == 0 || !take_month_year(&r) || r.p != r.end)
		return ERR_SYNTAX;
	*day_r = r.day;
	return 0;
}

int64_t
date_local_days(struct mail_date date)
{
	int64_t s = date.s + (int64_t)date.zone_min * 60;

	return (s >= 0 ? s : s - (SECONDS_PER_DAY - 1)) / SECONDS_PER_DAY;
}
