/* Presets, statuses worth another try, and what Retry-After may say. */
#include <criterion/criterion.h>

#include "llm/retry.h"

TestSuite(retry);

Test(retry, presets_have_the_designed_numbers)
{
	static const struct {
		const char *name;
		struct tm_backoff want;
	} rows[] = {
		{"aggressive", {2, 500, 1000, 5000}},
		{"balanced", {3, 1000, 2000, 10000}},
		{"conservative", {5, 2000, 4000, 30000}},
		{"critical", {7, 1500, 3000, 60000}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct tm_backoff *got = tm_retry_preset(rows[i].name);

		cr_assert_not_null(got, "%s", rows[i].name);
		cr_assert_eq(got->attempts, rows[i].want.attempts, "%s", rows[i].name);
		cr_assert_eq(got->base_ms, rows[i].want.base_ms, "%s", rows[i].name);
		cr_assert_eq(got->min_ms, rows[i].want.min_ms, "%s", rows[i].name);
		cr_assert_eq(got->max_ms, rows[i].want.max_ms, "%s", rows[i].name);
	}
	cr_assert_null(tm_retry_preset("reckless"));
	cr_assert_null(tm_retry_preset(""));
}

/* Requests that failed at the same moment do not come back at the same moment: a thousand even
 * draws leave no wait to more than a few, and none is without its limits. */
Test(retry, every_wait_of_every_preset_is_spread)
{
	static const char *const names[] = {"aggressive", "balanced", "conservative", "critical"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct tm_backoff *preset = tm_retry_preset(names[i]);

		for (int done = 1; done < preset->attempts; done++) {
			int64_t first = tm_backoff_wait_ms(preset, done, 0), last = first;
			int same = 0;

			cr_assert_eq(first, preset->min_ms, "%s %d", names[i], done);
			for (int n = 1; n < 1000; n++) {
				int64_t wait = tm_backoff_wait_ms(preset, done, n / 1000.0);

				cr_assert_geq(wait, last, "%s %d", names[i], done);
				cr_assert_leq(wait, preset->max_ms, "%s %d", names[i], done);
				same = wait == last ? same + 1 : 0;
				cr_assert_leq(same, 2, "%s %d: %d ms", names[i], done, (int)wait);
				last = wait;
			}
			cr_assert_geq(last - first, preset->base_ms * 9 / 10, "%s %d", names[i],
				      done);
		}
	}
}

Test(retry, only_passing_troubles_are_worth_another_try)
{
	static const int again[] = {408, 409, 425, 429, 500, 501, 502, 503, 504, 529, 599};
	static const int never[] = {0, 200, 204, 301, 400, 401, 402, 403, 404, 413, 422, 600};

	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		cr_assert(tm_retry_status(again[i]), "%d", again[i]);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		cr_assert_not(tm_retry_status(never[i]), "%d", never[i]);
}

Test(retry, reads_the_wait_a_response_asks_for)
{
	const int64_t now = INT64_C(784111777000); /* Sun, 06 Nov 1994 08:49:37 GMT */
	static const struct {
		const char *ms, *after;
		int64_t want;
	} rows[] = {
		{NULL, NULL, -1},
		{NULL, "0", 0},
		{NULL, "12", 12000},
		{NULL, " 12 ", 12000},
		{NULL, "1.5", 1500},
		{NULL, "86400", 86400000},
		{NULL, "86401", 86400000},
		{NULL, "99999999999999999999999999", 86400000},
		{NULL, "-1", -1},
		{NULL, "+5", -1},
		{NULL, "", -1},
		{NULL, "soon", -1},
		{NULL, "12s", -1},
		{NULL, "1e3", -1},
		{NULL, "0x10", -1},
		{NULL, "inf", -1},
		{NULL, "nan", -1},
		{NULL, "1,5", -1},
		{NULL, ".5", -1},
		{NULL, "Sun, 06 Nov 1994 08:49:40 GMT", 3000},
		{NULL, "Sun, 06 Nov 1994 08:49:37 GMT", 0},
		{NULL, "Sun, 06 Nov 1994 08:49:30 GMT", -1},
		{NULL, "Tue, 08 Nov 1994 20:00:00 GMT", 86400000},
		{"250", NULL, 250},
		{"250", "9", 250},
		{"0.25", NULL, 1},
		{"1400.000", NULL, 1400},
		{"1400.2", NULL, 1401},
		{"1400.0001", NULL, 1400},
		{"-20", "9", 9000},
		{"garbage", "9", 9000},
		{"garbage", "garbage", -1},
		{"999999999999", NULL, 86400000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t got = tm_retry_after_ms(rows[i].ms, rows[i].after, now);

		cr_assert_eq(got, rows[i].want, "row %zu (%s, %s): %lld", i,
			     rows[i].ms ? rows[i].ms : "-", rows[i].after ? rows[i].after : "-",
			     (long long)got);
	}
}
