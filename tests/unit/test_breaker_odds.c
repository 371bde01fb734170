/*
 * Breaker, retry budget and presets against a provider that fails at random, or for good: what a
 * site sees of it. The time is the test's own and the dice are seeded, so every run is the same.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "llm/breaker.h"
#include "llm/retry.h"

enum { PENDING_MAX = 4096 };

/* The settings' defaults. */
static const struct tm_breaker_conf conf = {.threshold = 5, .min_calls = 20, .ratio = 50,
					    .window_ms = 30000, .recovery_ms = 8000,
					    .probe_ms = 5000, .patience_ms = 30000};

/* A request on its way: its next call, and those behind it. */
struct pending {
	double at_ms;
	int tries;
};

struct site {
	const struct tm_backoff *retry;
	double fails;		/* how often a call does */
	double gap_ms;		/* between two requests; 0: each comes as the one before ends */
	double asked_ms;	/* the wait that the provider asks for; 0: the preset's */
	struct tm_breaker_local breaker;
	uint64_t dice;
	double now_ms;
	struct pending pending[PENDING_MAX];
	size_t count;
	long answered, calls;
};

static struct site site;

static double unit(void)
{
	site.dice = site.dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(site.dice >> 11) / 9007199254740992.0;
}

static void seed(uint64_t number)
{
	site.dice = number * UINT64_C(0x9E3779B97F4A7C15) + 1;
	for (int i = 0; i < 4; i++)
		(void)unit();
}

static struct tm_breaker_view step(enum tm_breaker_op op, int64_t turn)
{
	const struct tm_breaker_ask ask = {.op = op, .turn = turn, .unit = unit()};
	struct tm_breaker_view view;

	tm_breaker_step(&site.breaker, &conf, &ask, (int64_t)site.now_ms, &view);
	return view;
}

static void push(double at_ms, int tries)
{
	cr_assert_lt(site.count, (size_t)PENDING_MAX);
	site.pending[site.count++] = (struct pending){at_ms, tries};
}

static struct pending pop(void)
{
	size_t first = 0;
	struct pending next;

	for (size_t i = 1; i < site.count; i++)
		if (site.pending[i].at_ms < site.pending[first].at_ms)
			first = i;
	next = site.pending[first];
	site.pending[first] = site.pending[--site.count];
	site.now_ms = next.at_ms;
	return next;
}

/* One call of a request, or none; with another to come or not. True: the request has ended. */
static bool attempt(int tries)
{
	struct tm_breaker_view view = step(TM_BREAKER_CLAIM, 0);
	bool again = tries + 1 < site.retry->attempts;
	double wait_ms;

	if (!view.passes)
		return true;
	site.calls++;
	if (unit() >= site.fails) {
		(void)step(TM_BREAKER_SUCCESS, view.turn);
		site.answered++;
		return true;
	}
	view = step(again ? TM_BREAKER_RETRY : TM_BREAKER_FAILURE, view.turn);
	if (!again || !view.passes)
		return true;
	wait_ms = (double)tm_backoff_wait_ms(site.retry, tries + 1, unit());
	push(site.now_ms + (site.asked_ms > 0 ? site.asked_ms : wait_ms), tries + 1);
	return false;
}

static void serve(int requests)
{
	int made = 0;

	if (requests > made++)
		push(site.now_ms, 0);
	while (site.count > 0) {
		struct pending next = pop();
		bool first = next.tries == 0, ended = attempt(next.tries);

		if (made < requests && (site.gap_ms > 0 ? first : ended)) {
			push(site.now_ms + (site.gap_ms > 0 ? site.gap_ms : 1), 0);
			made++;
		}
	}
}

/* Percent of requests that are answered while 30 % of calls fail, over many seeds. */
static double answered(const char *preset, double gap_ms, int requests, int seeds)
{
	long all = 0;

	for (int i = 1; i <= seeds; i++) {
		site = (struct site){.retry = tm_retry_preset(preset), .fails = 0.3,
				     .gap_ms = gap_ms, .asked_ms = gap_ms > 0 ? 0 : 5};
		seed((uint64_t)i);
		serve(requests);
		all += site.answered;
	}
	return 100.0 * (double)all / requests / seeds;
}

/* What two and three attempts can come to is 91 and 97.3 %; the rest is the breaker's, and at a
 * hundred requests a second the retry budget's. */
static const struct { const char *preset; double least; } rows[] = {
	{"aggressive", 90}, {"balanced", 95}, {"conservative", 95}};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

Test(breaker_odds, nine_tenths_are_answered_where_a_third_of_calls_fails_at_random)
{
	static const double gaps_ms[] = {10000, 2000, 500, 100, 20, 10};

	for (size_t i = 0; i < ROWS; i++)
		for (size_t n = 0; n < sizeof(gaps_ms) / sizeof(gaps_ms[0]); n++) {
			double percent = answered(rows[i].preset, gaps_ms[n], 10000, 100);

			cr_assert_gt(percent, rows[i].least, "%s, one in %g ms: %.2f %%",
				     rows[i].preset, gaps_ms[n], percent);
		}
}

/* Two hundred requests that are over before a breaker that opened by chance would close again. */
Test(breaker_odds, short_runs_are_not_lost_to_an_unlucky_row)
{
	for (size_t i = 0; i < ROWS; i++) {
		double percent = answered(rows[i].preset, 0, 200, 1000);

		cr_assert_gt(percent, rows[i].least, "%s: %.2f %%", rows[i].preset, percent);
	}
}

Test(breaker_odds, an_outage_costs_at_most_a_fifth_more_calls_than_requests)
{
	static const double gaps_ms[] = {0, 10, 100, 1000, 10000};
	static const int before[] = {0, 2, 50, 5000};

	for (size_t i = 0; i < ROWS; i++)
		for (size_t n = 0; n < sizeof(gaps_ms) / sizeof(gaps_ms[0]); n++)
			for (size_t b = 0; b < sizeof(before) / sizeof(before[0]); b++) {
				site = (struct site){.retry = tm_retry_preset(rows[i].preset),
						     .gap_ms = gaps_ms[n]};
				seed(b);
				serve(before[b]);
				cr_assert_eq(site.answered, before[b]);
				site.calls = 0;
				site.fails = 1;
				serve(100);
				cr_assert_leq(site.calls, 120, "%s, one in %g ms after %d: %ld",
					      rows[i].preset, gaps_ms[n], before[b], site.calls);
			}
}
