/* SPDX-License-Identifier: ISC */
#include "proto/imap_parse_int.h"
#include "proto/imap_write.h"

const char imap_months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	"Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};

static bool
is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int
days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
	    30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days are counted from a year that begins in March. */
int32_t
imap_day(int year, int month, int day)
{
	int y = month <= 2 ? year - 1 : year;
	int era = (y >= 0 ? y : y - 399) / 400;
	int yoe = y - era * 400;
	int doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

static void
civil(int32_t day, int *year_r, int *month_r, int *day_r)
{
	int32_t z = day + 719468;
	int32_t era = (z >= 0 ? z : z - 146096) / 146097;
	int32_t doe = z - era * 146097;
	int32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int32_t mp = (5 * doy + 2) / 153;

	*day_r = doy - (153 * mp + 2) / 5 + 1;
	*month_r = mp < 10 ? mp + 3 : mp - 9;
	*year_r = yoe + era * 400 + (*month_r <= 2);
}

/* Exactly len digits at s[from]; -1 when they are not. */
static int
digits(struct str s, size_t from, size_t len)
{
	uint64_t n;

	if (from + len > s.len || str_to_u64(str_sub(s, from, len), 9999,
	    &n) != 0)
		return -1;
	return (int)n;
}

static int
month_of(struct str s)
{
	int i;

	for (i = 0; i < 12; i++)
		if (str_eq_nocase(s, str_of(imap_months[i])))
			return i + 1;
	return -1;
}

/* RFC 3501 section 9: date-text, date-day-fixed */
int
imap_read_date(struct str s, int *year, int *month, int *day)
{
	if (s.len != 0 && s.p[0] == ' ')
		s = str_sub(s, 1, s.len);
	*day = digits(s, 0, s.len == 11 ? 2 : 1);
	s = str_sub(s, s.len == 11 ? 2 : 1, s.len);
	if (s.len != 9 || s.p[0] != '-' || s.p[4] != '-')
		return ERR_SYNTAX;
	*month = month_of(str_sub(s, 1, 3));
	*year = digits(s, 5, 4);
	if (*month < 1 || *year < 1 || *day < 1 ||
	    *day > days_in_month(*year, *month))
		return ERR_SYNTAX;
	return 0;
}

/* "hh:mm:ss" to seconds, or -1. */
static int
read_time(struct str s)
{
	int h = digits(s, 0, 2), m = digits(s, 3, 2), sec = digits(s, 6, 2);

	if (s.len != 8 || s.p[2] != ':' || s.p[5] != ':')
		return -1;
	if (h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60)
		return -1;
	return h * 3600 + m * 60 + sec;
}

/* "+hhmm" to seconds east. */
static int
read_zone(struct str s, int *zone_s_r)
{
	int h = digits(s, 1, 2), m = digits(s, 3, 2);

	if (s.len != 5 || (s.p[0] != '+' && s.p[0] != '-') || h < 0 ||
	    h > 23 || m < 0 || m > 59)
		return ERR_SYNTAX;
	*zone_s_r = (h * 3600 + m * 60) * (s.p[0] == '-' ? -1 : 1);
	return 0;
}

/* RFC 3501 section 9: date-time */
int
imap_parse_date_time(struct str s, int64_t *date_s_r)
{
	int year, month, day, time_s, zone_s;
	size_t date_len;

	if (s.len < 16)
		return ERR_SYNTAX;
	/* One digit without the space before it is common. */
	date_len = s.len - 15;
	time_s = read_time(str_sub(s, date_len + 1, 8));
	if (date_len < 10 || s.p[date_len] != ' ' ||
	    s.p[date_len + 9] != ' ' || time_s < 0 ||
	    imap_read_date(str_sub(s, 0, date_len), &year, &month, &day) ||
	    read_zone(str_sub(s, date_len + 10, 5), &zone_s) != 0)
		return ERR_SYNTAX;
	*date_s_r = (int64_t)imap_day(year, month, day) * 86400 + time_s -
	    zone_s;
	return 0;
}

static void
put_digits(char *p, int value, int count, char pad)
{
	while (count-- > 0) {
		p[count] = pad;
		if (value != 0 || pad == '0')
			p[count] = (char)('0' + value % 10);
		value /= 10;
	}
}

void
imap_put_date_time(struct buf *out, int64_t date_s)
{
	static const char text[] = "\"dd-Mon-yyyy hh:mm:ss +0000\"";
	char *p;
	int64_t days = date_s / 86400;
	int64_t s = date_s % 86400;
	int year, month, day;

	if (s < 0) {
		s += 86400;
		days--;
	}
	/* Years of four digits only; nothing else can be written. */
	if (days < imap_day(1, 1, 1) || days > imap_day(9999, 12, 31))
		days = s = 0;
	civil((int32_t)days, &year, &month, &day);
	p = buf_reserve(out, sizeof(text));
	if (p == NULL)
		return;
	memcpy(p, text, sizeof(text));
	put_digits(p + 1, day, 2, ' ');
	memcpy(p + 4, imap_months[month - 1], 3);
	put_digits(p + 8, year, 4, '0');
	put_digits(p + 13, (int)(s / 3600), 2, '0');
	put_digits(p + 16, (int)(s / 60 % 60), 2, '0');
	put_digits(p + 19, (int)(s % 60), 2, '0');
	buf_grow(out, sizeof(text) - 1);
}
