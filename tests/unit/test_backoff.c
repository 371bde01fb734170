/* Waits between tries. */
#include "base/backoff.h"

#include <criterion/criterion.h>
#include <limits.h>

static const struct tm_backoff balanced = {3, 1000, 2000, 10000};
static const struct tm_backoff endless = {7, INT64_MAX / 2, 0, INT64_MAX / 2 + 10};

Test(backoff, wait_is_drawn_from_the_exponential_within_its_limits)
{
	static const struct {
		int done;
		double unit;
		int64_t wait_ms;
	} cases[] = {
		{1, 0, 2000},	   {1, 0.5, 2500},   {1, 0.9999, 2999}, {2, 0, 2000},
		{2, 0.75, 3500},   {3, 0.5, 5000},   {3, 0.25, 3500},	{3, 0.9999, 7999},
		{4, 0.5, 6000},	   {4, 0.9999, 9999}, {40, 0.5, 6000},	{INT_MAX, 0.5, 6000},
		{INT_MAX, 0, 2000},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(tm_backoff_wait_ms(&balanced, cases[i].done, cases[i].unit),
			     cases[i].wait_ms, "try %d, %f", cases[i].done, cases[i].unit);
}

Test(backoff, late_tries_still_spread)
{
	int64_t early = tm_backoff_wait_ms(&balanced, 30, 0.3);
	int64_t late = tm_backoff_wait_ms(&balanced, 30, 0.9);

	cr_assert_eq(early, 4400);
	cr_assert_eq(late, 9200);
}

Test(backoff, never_overflows)
{
	for (int done = 0; done < 100; done++) {
		int64_t wait = tm_backoff_wait_ms(&endless, done, 0.999999999);

		cr_assert_geq(wait, 0);
		cr_assert_leq(wait, endless.max_ms);
	}
}

Test(backoff, zero_base_waits_the_least)
{
	struct tm_backoff backoff = {3, 0, 50, 100};

	cr_assert_eq(tm_backoff_wait_ms(&backoff, 1000000, 0.9), 50);
}
