/*
 * Clocks, and dates as text. Dates are computed here instead of with strftime, strptime and
 * timegm: those know locales and time zones, and this runs for every response.
 * Calendar arithmetic after H. Hinnant, "chrono-Compatible Low-Level Date Algorithms": years
 * begin in March, so that the leap day is the last.
 */
#include "base/clock.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

static struct {
	bool on;
	int64_t mono_us;
	int64_t wall_ms;
} fake;

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
				   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const days[7] = {"Sunday", "Monday", "Tuesday", "Wednesday",
				    "Thursday", "Friday", "Saturday"};

enum { DAY_S = 86400 };
static const int64_t last_ms = 253402300799999;	/* the end of the year 9999 */

struct date {
	int year, month, day, hour, minute, second, ms;
};

int64_t tm_clock_mono_us(void)
{
	struct timespec now;

	if (fake.on)
		return fake.mono_us;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t tm_clock_mono_ms(void)
{
	return tm_clock_mono_us() / 1000;
}

int64_t tm_clock_wall_ms(void)
{
	struct timespec now;

	if (fake.on)
		return fake.wall_ms;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void tm_clock_fake(int64_t mono_us, int64_t wall_ms)
{
	fake.on = true;
	fake.mono_us = mono_us;
	fake.wall_ms = wall_ms;
}

void tm_clock_real(void)
{
	fake.on = false;
}

/* Days from 1970-01-01 to a date of the years 1..9999. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = y / 400;
	int64_t year_of_era = y - era * 400;
	int64_t shifted = (month + 9) % 12;
	int64_t day_of_year = (153 * shifted + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

/* Fills year, month and day from days since 1970-01-01, >= 0. */
static void date_of(int64_t count, struct date *date)
{
	int64_t z = count + 719468;
	int64_t era = z / 146097;
	int64_t day_of_era = z - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
			       day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era -
			      (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t shifted = (5 * day_of_year + 2) / 153;

	date->day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
	date->month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
	date->year = (int)(year_of_era + era * 400 + (date->month <= 2));
}

static char *put_digits(char *at, int value, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		at[i] = (char)('0' + value % 10);
		value /= 10;
	}
	return at + digits;
}

char *tm_clock_iso(int64_t wall_ms, char out[TM_CLOCK_ISO_BYTES])
{
	struct date date;
	char *at = out;
	int64_t seconds;

	if (wall_ms < 0)
		wall_ms = 0;
	if (wall_ms > last_ms)
		wall_ms = last_ms;
	seconds = wall_ms / 1000;
	date_of(seconds / DAY_S, &date);
	seconds %= DAY_S;

	at = put_digits(at, date.year, 4);
	*at++ = '-';
	at = put_digits(at, date.month, 2);
	*at++ = '-';
	at = put_digits(at, date.day, 2);
	*at++ = 'T';
	at = put_digits(at, (int)(seconds / 3600), 2);
	*at++ = ':';
	at = put_digits(at, (int)(seconds / 60 % 60), 2);
	*at++ = ':';
	at = put_digits(at, (int)(seconds % 60), 2);
	*at++ = '.';
	at = put_digits(at, (int)(wall_ms % 1000), 3);
	*at++ = 'Z';
	*at = '\0';
	return out;
}

/* Reads exactly that many digits at *at; -1 when they are not there. */
static int take_digits(const char **at, int digits)
{
	int value = 0;

	for (int i = 0; i < digits; i++) {
		char c = (*at)[i];

		if (c < '0' || c > '9')
			return -1;
		value = value * 10 + (c - '0');
	}
	*at += digits;
	return value;
}

static bool take(const char **at, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*at, word, len) != 0)
		return false;
	*at += len;
	return true;
}

/* hh:mm:ss; 60 seconds only where leap seconds are inserted, at the end of an hour. */
static bool take_time(const char **at, struct date *date)
{
	date->hour = take_digits(at, 2);
	if (date->hour < 0 || date->hour > 23 || !take(at, ":"))
		return false;
	date->minute = take_digits(at, 2);
	if (date->minute < 0 || date->minute > 59 || !take(at, ":"))
		return false;
	date->second = take_digits(at, 2);
	return date->second >= 0 && date->second <= (date->minute == 59 ? 60 : 59);
}

static bool take_month(const char **at, struct date *date)
{
	for (int i = 0; i < 12; i++) {
		if (take(at, months[i])) {
			date->month = i + 1;
			return true;
		}
	}
	return false;
}

static bool real_day(const struct date *date)
{
	static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (date->year % 4 == 0 && date->year % 100 != 0) || date->year % 400 == 0;

	if (date->year < 1 || date->month < 1 || date->month > 12 || date->day < 1)
		return false;
	return date->day <= lengths[date->month - 1] + (leap && date->month == 2);
}

static int64_t wall_of(const struct date *date)
{
	int64_t seconds = days_of(date->year, date->month, date->day) * DAY_S +
			  date->hour * 3600 + date->minute * 60 + date->second;

	return seconds * 1000 + date->ms;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool take_imf(const char **at, struct date *date)
{
	date->day = take_digits(at, 2);
	if (date->day < 0 || !take(at, " ") || !take_month(at, date) || !take(at, " "))
		return false;
	date->year = take_digits(at, 4);
	return date->year >= 0 && take(at, " ") && take_time(at, date) && take(at, " GMT");
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static bool take_rfc850(const char **at, struct date *date)
{
	struct date now;
	int64_t wall_ms = tm_clock_wall_ms();

	date->day = take_digits(at, 2);
	if (date->day < 0 || !take(at, "-") || !take_month(at, date) || !take(at, "-"))
		return false;
	date->year = take_digits(at, 2);
	if (date->year < 0 || !take(at, " ") || !take_time(at, date) || !take(at, " GMT"))
		return false;
	date_of(wall_ms > 0 ? wall_ms / 1000 / DAY_S : 0, &now);
	date->year += now.year - now.year % 100;
	if (date->year > now.year + 50)
		date->year -= 100;
	else if (date->year <= now.year - 50)
		date->year += 100;
	return true;
}

/* Sun Nov  6 08:49:37 1994 */
static bool take_asctime(const char **at, struct date *date)
{
	if (!take_month(at, date) || !take(at, " "))
		return false;
	date->day = take_digits(at, take(at, " ") ? 1 : 2);
	if (date->day < 0 || !take(at, " ") || !take_time(at, date) || !take(at, " "))
		return false;
	date->year = take_digits(at, 4);
	return date->year >= 0;
}

static bool take_http_date(const char **at, struct date *date)
{
	for (int i = 0; i < 7; i++) {
		char brief[4] = {days[i][0], days[i][1], days[i][2], '\0'};

		if (take(at, days[i]))
			return take(at, ", ") && take_rfc850(at, date);
		if (!take(at, brief))
			continue;
		if (take(at, ", "))
			return take_imf(at, date);
		return take(at, " ") && take_asctime(at, date);
	}
	return false;
}

enum tm_err tm_clock_parse_http_date(const char *text, int64_t *wall_ms)
{
	struct date date = {0};
	const char *at = text;

	if (!take_http_date(&at, &date) || *at != '\0' || !real_day(&date))
		return TM_EINVAL;
	*wall_ms = wall_of(&date);
	return TM_OK;
}

/* .123456789: any number of digits, of which three count. */
static bool take_fraction(const char **at, struct date *date)
{
	int scale = 100;

	if (!take(at, "."))
		return true;
	if (**at < '0' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; (*at)++) {
		date->ms += (**at - '0') * scale;
		scale /= 10;
	}
	return true;
}

enum tm_err tm_clock_parse_iso(const char *text, int64_t *wall_ms)
{
	struct date date = {0};
	const char *at = text;

	date.year = take_digits(&at, 4);
	if (date.year < 0 || !take(&at, "-"))
		return TM_EINVAL;
	date.month = take_digits(&at, 2);
	if (date.month < 0 || !take(&at, "-"))
		return TM_EINVAL;
	date.day = take_digits(&at, 2);
	if (!real_day(&date))
		return TM_EINVAL;
	if (take(&at, "T") || take(&at, "t")) {
		if (!take_time(&at, &date) || !take_fraction(&at, &date))
			return TM_EINVAL;
		if (!take(&at, "Z") && !take(&at, "z") && !take(&at, "+00:00"))
			return TM_EINVAL;
	}
	if (*at != '\0')
		return TM_EINVAL;
	*wall_ms = wall_of(&date);
	return TM_OK;
}
