/* Dates as text in both directions, and the fake clock. */
#include "base/clock.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

enum { NOON_2026_S = 1795348800 };	/* 2026-11-22T12:00:00Z */

Test(clock, fake_stands_still_until_real)
{
	int64_t before = tm_clock_mono_us();

	tm_clock_fake(5000123, 99);
	cr_assert_eq(tm_clock_mono_us(), 5000123);
	cr_assert_eq(tm_clock_mono_ms(), 5000);
	cr_assert_eq(tm_clock_wall_ms(), 99);
	tm_clock_real();
	cr_assert_geq(tm_clock_mono_us(), before);
	cr_assert_lt(llabs(tm_clock_wall_ms() / 1000 - (int64_t)time(NULL)), 5);
}

Test(clock, iso_knows_the_calendar)
{
	static const struct {
		int64_t wall_ms;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{1, "1970-01-01T00:00:00.001Z"},
		{951782399999, "2000-02-28T23:59:59.999Z"},
		{951782400000, "2000-02-29T00:00:00.000Z"},
		{951868800000, "2000-03-01T00:00:00.000Z"},
		{4107542400000, "2100-03-01T00:00:00.000Z"},
		{4107542399000, "2100-02-28T23:59:59.000Z"},
		{NOON_2026_S * INT64_C(1000) + 123, "2026-11-22T12:00:00.123Z"},
		{253402300799999, "9999-12-31T23:59:59.999Z"},
		{253402300800000, "9999-12-31T23:59:59.999Z"},
		{INT64_MAX, "9999-12-31T23:59:59.999Z"},
		{-1, "1970-01-01T00:00:00.000Z"},
		{INT64_MIN, "1970-01-01T00:00:00.000Z"},
	};
	char out[TM_CLOCK_ISO_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_str_eq(tm_clock_iso(cases[i].wall_ms, out), cases[i].text);
}

Test(clock, iso_agrees_with_the_system_over_four_centuries)
{
	char ours[TM_CLOCK_ISO_BYTES], theirs[TM_CLOCK_ISO_BYTES];
	struct tm parts;

	for (int64_t day = 0; day < 146097 * 2; day += 1) {
		time_t seconds = (time_t)(day * 86400 + day % 86400);
		int64_t back = 0;

		cr_assert_not_null(gmtime_r(&seconds, &parts));
		cr_assert_gt(strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S.000Z", &parts), 0);
		tm_clock_iso((int64_t)seconds * 1000, ours);
		cr_assert_str_eq(ours, theirs);
		cr_assert_eq(tm_clock_parse_iso(ours, &back), TM_OK);
		cr_assert_eq(back, (int64_t)seconds * 1000);
	}
}

Test(clock, http_date_is_read_in_all_three_forms)
{
	static const struct {
		const char *text;
		int64_t wall_ms;
	} cases[] = {
		{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777000},
		{"Sunday, 06-Nov-94 08:49:37 GMT", 784111777000},
		{"Sun Nov  6 08:49:37 1994", 784111777000},
		{"Wed Nov 16 08:49:37 1994", 784975777000},
		{"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800000},
		{"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800000},
		{"Sunday, 22-Nov-26 12:00:00 GMT", NOON_2026_S * INT64_C(1000)},
		{"Sunday, 22-Nov-76 12:00:00 GMT", 3373272000000},	/* 50 years ahead: 2076 */
		{"Monday, 22-Nov-77 12:00:00 GMT", 249048000000},	/* 51: 1977 */
	};

	tm_clock_fake(0, NOON_2026_S * INT64_C(1000));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t wall_ms = -1;

		cr_assert_eq(tm_clock_parse_http_date(cases[i].text, &wall_ms), TM_OK, "%s",
			     cases[i].text);
		cr_assert_eq(wall_ms, cases[i].wall_ms, "%s: %lld", cases[i].text,
			     (long long)wall_ms);
	}
	tm_clock_real();
}

Test(clock, two_digit_year_may_belong_to_the_next_century)
{
	int64_t wall_ms = 0;

	tm_clock_fake(0, 4086028800000);	/* 2099-06-25 */
	cr_assert_eq(tm_clock_parse_http_date("Thursday, 25-Jun-05 00:00:00 GMT", &wall_ms), TM_OK);
	tm_clock_real();
	cr_assert_eq(wall_ms, 4275331200000, "%lld", (long long)wall_ms);	/* 2105 */
}

Test(clock, broken_http_date_is_refused)
{
	static const char *const cases[] = {
		"", "120", "Sun", "Sun, ", "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 29 Feb 2023 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
		"Xyz, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 06 Nov 1994 08:48:60 GMT", "Sun, 06 Nov 0000 08:49:37 GMT",
		"Sun, -6 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sunday 06-Nov-94 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
		"Sun Nov  6 08:49:37 1994 GMT", "Sun Nov  6 08:49:37 94", "SundayNov",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t wall_ms = 77;

		cr_assert_eq(tm_clock_parse_http_date(cases[i], &wall_ms), TM_EINVAL, "%s",
			     cases[i]);
		cr_assert_eq(wall_ms, 77);
	}
}

Test(clock, iso_is_read_with_and_without_time)
{
	static const struct {
		const char *text;
		int64_t wall_ms;
	} cases[] = {
		{"1970-01-01", 0},
		{"2026-11-22T12:00:00Z", NOON_2026_S * INT64_C(1000)},
		{"2026-11-22t12:00:00z", NOON_2026_S * INT64_C(1000)},
		{"2026-11-22T12:00:00+00:00", NOON_2026_S * INT64_C(1000)},
		{"2026-11-22T12:00:00.1Z", NOON_2026_S * INT64_C(1000) + 100},
		{"2026-11-22T12:00:00.123999999999Z", NOON_2026_S * INT64_C(1000) + 123},
		{"1969-12-31T23:59:59Z", -1000},
		{"0001-01-01", INT64_C(-62135596800000)},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t wall_ms = 77;

		cr_assert_eq(tm_clock_parse_iso(cases[i].text, &wall_ms), TM_OK, "%s",
			     cases[i].text);
		cr_assert_eq(wall_ms, cases[i].wall_ms, "%s", cases[i].text);
	}
}

Test(clock, broken_iso_is_refused)
{
	static const char *const cases[] = {
		"", "2026", "2026-11", "2026-11-2", "2026-13-01", "2026-00-01", "2026-02-29",
		"2026-11-31", "0000-01-01", "2026-11-22T", "2026-11-22T12:00Z", "2026-11-22Z",
		"2026-11-22T12:00:00", "2026-11-22T12:00:00.Z", "2026-11-22T24:00:00Z",
		"2026-11-22T12:00:00+01:00", "2026-11-22 12:00:00Z", " 2026-11-22", "2026-11-22 ",
		"+026-11-22", "2026/11/22", "2026-11-22T12:00:00ZZ",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t wall_ms = 77;

		cr_assert_eq(tm_clock_parse_iso(cases[i], &wall_ms), TM_EINVAL, "%s", cases[i]);
		cr_assert_eq(wall_ms, 77);
	}
}
