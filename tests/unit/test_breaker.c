/* The breaker's machine, with a clock of the test's own; and that Redis walks the same steps. */
#include "llm/breaker.h"

#include "redis_server.h"

static const struct tm_breaker_conf conf = {.threshold = 3, .min_calls = 10, .ratio = 50,
					    .window_ms = 1000, .recovery_ms = 500, .probe_ms = 200,
					    .patience_ms = 3000};

static struct tm_breaker_local machine;
static struct tm_breaker_view view;

/* Word of an attempt whose claim had this turn. */
static const struct tm_breaker_view *of(int64_t turn, int64_t now_ms, enum tm_breaker_op op)
{
	const struct tm_breaker_ask ask = {.op = op, .turn = turn, .unit = 0.5};

	tm_breaker_step(&machine, &conf, &ask, now_ms, &view);
	return &view;
}

/* The same, claimed at this moment. */
static const struct tm_breaker_view *at(int64_t now_ms, enum tm_breaker_op op)
{
	return of(machine.turn, now_ms, op);
}

static void open_it(int64_t now_ms)
{
	for (int i = 0; i < 3; i++)
		(void)at(now_ms, TM_BREAKER_FAILURE);
	cr_assert_eq(view.state, TM_BREAKER_OPEN);
}

Test(breaker, opens_at_the_threshold_and_says_so_once)
{
	cr_assert_eq(at(0, TM_BREAKER_FAILURE)->state, TM_BREAKER_CLOSED);
	cr_assert_eq(at(0, TM_BREAKER_FAILURE)->state, TM_BREAKER_CLOSED);
	cr_assert(at(0, TM_BREAKER_FAILURE)->opened);
	cr_assert_eq(view.state, TM_BREAKER_OPEN);
	cr_assert_eq(view.wait_ms, 500);
	cr_assert_not(at(0, TM_BREAKER_FAILURE)->opened, "a late failure does not open it again");
	cr_assert_eq(view.wait_ms, 500);
}

Test(breaker, a_success_ends_the_row)
{
	for (int i = 0; i < 20; i++) {
		(void)at(i * 2000, TM_BREAKER_FAILURE);
		(void)at(i * 2000, TM_BREAKER_FAILURE);
		cr_assert_eq(at(i * 2000, TM_BREAKER_SUCCESS)->state, TM_BREAKER_CLOSED);
	}
}

/* So many failures of so many calls, no two of which but the last follow each other. */
static enum tm_breaker_state mixed(int failures, int calls, int64_t ratio)
{
	const struct tm_breaker_conf mix = {.threshold = 1000, .min_calls = 20, .ratio = ratio,
					    .window_ms = 1000, .recovery_ms = 500,
					    .probe_ms = 200, .patience_ms = 3000};
	struct tm_breaker_ask ask = {.op = TM_BREAKER_SUCCESS};

	machine = (struct tm_breaker_local){0};
	for (int i = 0; i < calls; i++) {
		ask.op = i < calls - failures ? TM_BREAKER_SUCCESS : TM_BREAKER_FAILURE;
		tm_breaker_step(&machine, &mix, &ask, 0, &view);
	}
	return view.state;
}

Test(breaker, opens_at_the_ratio_where_chance_does_not_explain_it)
{
	static const struct { int failures, calls; int64_t ratio; enum tm_breaker_state state; }
	rows[] = {
		{19, 19, 50, TM_BREAKER_CLOSED}, {20, 20, 50, TM_BREAKER_OPEN},
		{10, 20, 50, TM_BREAKER_CLOSED}, {14, 20, 50, TM_BREAKER_CLOSED},
		{15, 20, 50, TM_BREAKER_OPEN},	 {27, 50, 50, TM_BREAKER_CLOSED},
		{28, 50, 50, TM_BREAKER_OPEN},	 {49, 99, 50, TM_BREAKER_CLOSED},
		{50, 100, 50, TM_BREAKER_OPEN},	 {350, 1000, 50, TM_BREAKER_CLOSED},
		{100, 100, 100, TM_BREAKER_OPEN}, {99, 100, 100, TM_BREAKER_CLOSED},
		{20, 100, 20, TM_BREAKER_CLOSED}, {26, 100, 20, TM_BREAKER_OPEN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_assert_eq(mixed(rows[i].failures, rows[i].calls, rows[i].ratio), rows[i].state,
			     "%d of %d", rows[i].failures, rows[i].calls);
}

Test(breaker, a_row_amid_successes_must_be_longer)
{
	static const struct { int good, row; } rows[] = {{0, 3}, {1, 3}, {2, 6}, {60, 6}, {61, 9}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		machine = (struct tm_breaker_local){0};
		for (int n = 0; n < rows[i].good; n++)
			(void)at(0, TM_BREAKER_SUCCESS);
		for (int n = 1; n < rows[i].row; n++)
			cr_assert_eq(at(0, TM_BREAKER_FAILURE)->state, TM_BREAKER_CLOSED,
				     "%d of row %zu", n, i);
		cr_assert_eq(at(0, TM_BREAKER_FAILURE)->state, TM_BREAKER_OPEN, "row %zu", i);
	}
}

/* The end of a window is no time to forget that a provider was well a moment ago. */
Test(breaker, successes_are_remembered_for_a_window_more)
{
	static const struct { int64_t later_ms; int row; } rows[] = {{1000, 6}, {1999, 6}, {2000, 3}};

	for (size_t i = 0; i < 3; i++) {
		machine = (struct tm_breaker_local){0};
		for (int n = 0; n < 10; n++)
			(void)at(0, TM_BREAKER_SUCCESS);
		for (int n = 1; n < rows[i].row; n++)
			cr_assert_eq(at(rows[i].later_ms, TM_BREAKER_FAILURE)->state,
				     TM_BREAKER_CLOSED, "%d of row %zu", n, i);
		cr_assert_eq(at(rows[i].later_ms, TM_BREAKER_FAILURE)->state, TM_BREAKER_OPEN);
	}
}

Test(breaker, old_calls_fall_out_of_the_window)
{
	(void)mixed(14, 20, 50);
	cr_assert_eq(view.state, TM_BREAKER_CLOSED);
	cr_assert_eq(at(999, TM_BREAKER_LOOK)->state, TM_BREAKER_CLOSED);
	machine.row = 0;	/* only the ratio is asked about */
	cr_assert_eq(at(1000, TM_BREAKER_FAILURE)->state, TM_BREAKER_CLOSED);
}

Test(breaker, open_lets_nothing_through_until_recovery)
{
	open_it(0);
	cr_assert_not(at(499, TM_BREAKER_CLAIM)->passes);
	cr_assert_eq(view.wait_ms, 1);
	cr_assert_not(at(499, TM_BREAKER_LOOK)->passes);
}

Test(breaker, lets_exactly_one_probe_through)
{
	open_it(0);
	cr_assert(at(500, TM_BREAKER_LOOK)->passes);
	cr_assert(at(500, TM_BREAKER_CLAIM)->passes);
	cr_assert(view.probe);
	cr_assert_eq(view.state, TM_BREAKER_HALF_OPEN);
	for (int64_t now = 500; now < 700; now += 50)
		cr_assert_not(at(now, TM_BREAKER_CLAIM)->passes);
}

Test(breaker, probe_success_closes)
{
	open_it(0);
	(void)at(500, TM_BREAKER_CLAIM);
	cr_assert_eq(at(510, TM_BREAKER_SUCCESS)->state, TM_BREAKER_CLOSED);
	cr_assert(at(510, TM_BREAKER_CLAIM)->passes);
	cr_assert_not(view.probe);
	cr_assert_eq(at(510, TM_BREAKER_FAILURE)->state, TM_BREAKER_CLOSED, "the row began anew");
}

Test(breaker, probe_failure_opens_again)
{
	open_it(0);
	(void)at(500, TM_BREAKER_CLAIM);
	cr_assert(at(510, TM_BREAKER_RETRY)->opened);
	cr_assert_not(view.passes, "and nobody retries");
	cr_assert_eq(view.wait_ms, 490, "the time that the probe took counts");
	cr_assert_eq(view.opens, 2);
}

/* A probe; returns its turn. */
static int64_t probe(int64_t now_ms)
{
	cr_assert(at(now_ms, TM_BREAKER_CLAIM)->probe);
	return view.turn;
}

Test(breaker, half_open_hears_of_its_probe_only)
{
	static const enum tm_breaker_op words[] = {TM_BREAKER_ALIVE, TM_BREAKER_SUCCESS,
						   TM_BREAKER_FAILURE, TM_BREAKER_RETRY,
						   TM_BREAKER_NEUTRAL};
	int64_t before = machine.turn, mine;

	open_it(0);
	mine = probe(500);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		cr_assert_eq(of(before, 510, words[i])->state, TM_BREAKER_HALF_OPEN, "%zu", i);
		cr_assert_eq(of(TM_BREAKER_ELSEWHERE, 510, words[i])->state, TM_BREAKER_HALF_OPEN);
		cr_assert_not(view.passes);
		cr_assert_not(at(510, TM_BREAKER_CLAIM)->passes, "a second probe: %zu", i);
	}
	cr_assert(of(mine, 520, TM_BREAKER_SUCCESS)->closed);
	cr_assert_eq(view.state, TM_BREAKER_CLOSED);
	cr_assert_eq(view.calls, 3 + 6 + 1, "but all are counted");
	cr_assert_eq(view.failures, 3 + 4);
}

Test(breaker, what_began_before_an_outage_says_nothing_after_it)
{
	int64_t before = machine.turn;

	open_it(0);
	(void)of(probe(500), 510, TM_BREAKER_SUCCESS);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(of(before, 520, TM_BREAKER_FAILURE)->state, TM_BREAKER_CLOSED, "%d",
			     i);
	for (int i = 0; i < 2; i++)
		(void)of(TM_BREAKER_ELSEWHERE, 520, TM_BREAKER_FAILURE);
	cr_assert_eq(of(TM_BREAKER_ELSEWHERE, 520, TM_BREAKER_FAILURE)->state, TM_BREAKER_OPEN,
		     "another machine's count where it is closed");
}

Test(breaker, calls_of_a_record_that_was_lost_still_count)
{
	for (int i = 0; i < 3; i++)
		(void)of(77, 0, TM_BREAKER_FAILURE);
	cr_assert_eq(view.state, TM_BREAKER_OPEN);
}

Test(breaker, a_probes_first_sign_closes)
{
	int64_t mine;

	open_it(0);
	mine = probe(500);
	cr_assert(of(mine, 510, TM_BREAKER_ALIVE)->closed);
	cr_assert_eq(view.calls, 3, "its end is still to come");
	cr_assert(at(510, TM_BREAKER_CLAIM)->passes);
	cr_assert_eq(of(mine, 520, TM_BREAKER_SUCCESS)->state, TM_BREAKER_CLOSED);
	cr_assert_eq(view.calls, 4);
}

Test(breaker, a_probe_that_fails_after_its_first_sign_opens_again)
{
	int64_t mine;

	open_it(0);
	mine = probe(500);
	(void)of(mine, 510, TM_BREAKER_ALIVE);
	cr_assert(of(mine, 520, TM_BREAKER_RETRY)->opened);
	cr_assert_not(view.passes);
	mine = probe(1020);
	(void)of(mine, 1030, TM_BREAKER_ALIVE);
	(void)at(1030, TM_BREAKER_SUCCESS);
	cr_assert_eq(of(mine, 1040, TM_BREAKER_FAILURE)->state, TM_BREAKER_CLOSED,
		     "where another call knows better");
}

Test(breaker, one_silent_probe_at_a_time_is_patient)
{
	int64_t patient;

	open_it(0);
	patient = probe(500);
	cr_assert(view.patient);
	for (int i = 1; i <= 14; i++) {
		(void)probe(500 + 200 * i);
		cr_assert_not(view.patient, "%d", i);
	}
	cr_assert(of(patient, 3400, TM_BREAKER_SUCCESS)->closed, "though others are out");
	open_it(3500);
	patient = probe(4000);
	cr_assert(view.patient);
	(void)probe(4200);
	cr_assert_eq(of(patient, 4300, TM_BREAKER_FAILURE)->state, TM_BREAKER_HALF_OPEN);
	(void)probe(4400);
	cr_assert(view.patient, "there is none any more");
	(void)probe(7399);
	cr_assert_not(view.patient);
	(void)probe(7600);
	cr_assert(view.patient, "the one before is gone for good");
}

Test(breaker, a_silent_probe_costs_no_more_than_the_recovery)
{
	open_it(0);
	(void)probe(500);
	(void)of(probe(700), 900, TM_BREAKER_FAILURE);
	cr_assert_eq(view.state, TM_BREAKER_OPEN);
	cr_assert_eq(view.wait_ms, 300, "500 after it began");
}

Test(breaker, neutral_probe_is_handed_back)
{
	open_it(0);
	(void)at(500, TM_BREAKER_CLAIM);
	cr_assert_eq(at(510, TM_BREAKER_NEUTRAL)->state, TM_BREAKER_OPEN);
	cr_assert(at(510, TM_BREAKER_CLAIM)->probe);
}

Test(breaker, probe_of_a_dead_worker_lapses)
{
	open_it(0);
	(void)at(500, TM_BREAKER_CLAIM);
	cr_assert_not(at(699, TM_BREAKER_CLAIM)->passes);
	cr_assert(at(700, TM_BREAKER_CLAIM)->probe);
}

Test(breaker, late_success_does_not_close_an_open_one)
{
	open_it(0);
	cr_assert_eq(at(10, TM_BREAKER_SUCCESS)->state, TM_BREAKER_OPEN);
	cr_assert_eq(at(10, TM_BREAKER_NEUTRAL)->state, TM_BREAKER_OPEN);
	cr_assert_not(at(10, TM_BREAKER_CLAIM)->passes);
}

Test(breaker, reset_closes_and_keeps_the_totals)
{
	open_it(0);
	cr_assert_eq(at(1, TM_BREAKER_RESET)->state, TM_BREAKER_CLOSED);
	cr_assert(at(1, TM_BREAKER_CLAIM)->passes);
	cr_assert_eq(view.failures, 3);
}

Test(breaker, recovery_is_jittered_by_a_tenth)
{
	static const struct { double unit; int64_t wait; } cases[] = {{0, 450}, {0.5, 500},
								      {0.999, 549}};

	for (size_t i = 0; i < 3; i++) {
		const struct tm_breaker_ask ask = {.op = TM_BREAKER_FAILURE,
						   .unit = cases[i].unit};
		struct tm_breaker_local other = {0};

		for (int n = 0; n < 3; n++)
			tm_breaker_step(&other, &conf, &ask, 0, &view);
		cr_assert_eq(view.wait_ms, cases[i].wait, "%f: %lld", cases[i].unit,
			     (long long)view.wait_ms);
	}
}

Test(breaker, retry_budget_is_a_reserve_and_a_fifth_of_calls)
{
	static const struct tm_breaker_conf calm = {.threshold = 1000, .min_calls = 100000,
						    .ratio = 100, .window_ms = 1000,
						    .recovery_ms = 500, .probe_ms = 200};
	const struct tm_breaker_ask ask = {.op = TM_BREAKER_RETRY};
	int granted = 0;

	for (int i = 0; i < 500; i++) {
		tm_breaker_step(&machine, &calm, &ask, 0, &view);
		granted += view.passes;
	}
	cr_assert_eq(granted, 200, "100 and a fifth of the calls so far: %d", granted);
	tm_breaker_step(&machine, &calm, &ask, 10000, &view);
	cr_assert(view.passes, "a new period has a new budget");
}

static struct redis_server server;
static struct tm_redis *redis;

static void begin_server(void)
{
	const struct tm_redis_conf where = {.url = server.url, .username = "", .password = "",
					    .timeout_ms = 2000};

	server_start(&server, NULL);
	cr_assert_eq(tm_redis_new(&redis, &where), TM_OK);
}

static void end_server(void)
{
	tm_redis_free(redis);
	server_stop(&server);
}

static const struct tm_breaker_view *in_redis(const struct tm_breaker_ask *ask,
					      const struct tm_breaker_conf *with)
{
	int index = tm_breaker_queue(redis, "tm:", "main", with, ask);

	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_breaker_read(tm_redis_reply(redis, index), &view), TM_OK, "%s",
		     tm_redis_reply(redis, index)->text);
	tm_redis_end(redis);
	return &view;
}

static uint32_t dice(void)
{
	static uint32_t random = 42;

	random = random * 1664525 + 1013904223;
	return random >> 16;
}

static void same_steps(const struct tm_breaker_conf *with, int steps, uint32_t failing)
{
	static const enum tm_breaker_op rare[] = {TM_BREAKER_LOOK, TM_BREAKER_NEUTRAL,
						  TM_BREAKER_RESET};
	struct tm_breaker_view there;
	int64_t turns[4] = {0};

	for (int i = 0; i < steps; i++) {
		struct tm_breaker_ask ask = {.op = TM_BREAKER_SUCCESS, .unit = 0.5};
		int64_t *turn = &turns[dice() % 4];

		ask.turn = dice() % 20 ? *turn : TM_BREAKER_ELSEWHERE;
		if (dice() % 3 == 0)
			ask.op = TM_BREAKER_CLAIM;
		else if (dice() % 100 == 0)
			ask.op = rare[dice() % 3];
		else if (dice() % 10 == 0)
			ask.op = TM_BREAKER_ALIVE;
		else if (dice() % 100 < failing)
			ask.op = dice() % 2 ? TM_BREAKER_FAILURE : TM_BREAKER_RETRY;
		there = *in_redis(&ask, with);
		tm_breaker_step(&machine, with, &ask, 1, &view);
		cr_assert_eq(there.state, view.state, "step %d op %d", i, (int)ask.op);
		cr_assert_eq(there.passes, view.passes, "step %d op %d", i, (int)ask.op);
		cr_assert_eq(there.probe, view.probe);
		cr_assert_eq(there.patient, view.patient);
		cr_assert_eq(there.opened, view.opened);
		cr_assert_eq(there.closed, view.closed);
		cr_assert_eq(there.turn, view.turn);
		cr_assert_eq(there.calls, view.calls);
		cr_assert_eq(there.failures, view.failures);
		cr_assert_eq(there.retries, view.retries);
		cr_assert_eq(there.opens, view.opens);
		if (view.passes && ask.op == TM_BREAKER_CLAIM)
			*turn = view.turn;
	}
}

/* Times so long that none of them ends within the test, or so short that all have: both machines
 * see one moment. */
Test(breaker, redis_and_this_process_walk_the_same_steps, .init = begin_server, .fini = end_server)
{
	static const struct tm_breaker_conf shapes[] = {
		{.threshold = 4, .min_calls = 12, .ratio = 40, .window_ms = 3600000,
		 .recovery_ms = 3600000, .probe_ms = 3600000, .patience_ms = 3600000},
		{.threshold = 4, .min_calls = 12, .ratio = 40, .window_ms = 3600000,
		 .recovery_ms = 0, .probe_ms = 3600000, .patience_ms = 3600000},
		{.threshold = 4, .min_calls = 12, .ratio = 40, .window_ms = 3600000,
		 .recovery_ms = 0, .probe_ms = 0, .patience_ms = 3600000},
		{.threshold = 50, .min_calls = 20, .ratio = 50, .window_ms = 3600000,
		 .recovery_ms = 0, .probe_ms = 3600000, .patience_ms = 3600000},
	};
	static const uint32_t failing[] = {30, 50, 70};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct tm_breaker_ask reset = {.op = TM_BREAKER_RESET};

		for (size_t n = 0; n < 3; n++)
			same_steps(&shapes[i], 250, failing[n]);
		(void)in_redis(&reset, &shapes[i]);
		tm_breaker_step(&machine, &shapes[i], &reset, 1, &view);
	}
}

Test(breaker, redis_lets_one_probe_through_after_recovery, .init = begin_server,
     .fini = end_server)
{
	static const struct tm_breaker_conf quick = {.threshold = 1, .min_calls = 20, .ratio = 50,
						     .window_ms = 1000, .recovery_ms = 40,
						     .probe_ms = 60000, .patience_ms = 60000};
	const struct tm_breaker_ask look = {.op = TM_BREAKER_LOOK}, claim = {.op = TM_BREAKER_CLAIM};
	struct tm_breaker_ask word = {.op = TM_BREAKER_FAILURE};
	int passed = 0;

	cr_assert(in_redis(&word, &quick)->opened);
	cr_assert_not(in_redis(&claim, &quick)->passes);
	while (!in_redis(&look, &quick)->passes)
		server_pause();
	for (int i = 0; i < 20; i++)
		passed += in_redis(&claim, &quick)->passes;
	cr_assert_eq(passed, 1);
	word.op = TM_BREAKER_SUCCESS;
	cr_assert_eq(in_redis(&word, &quick)->state, TM_BREAKER_HALF_OPEN);
	word.turn = view.turn;
	cr_assert_eq(in_redis(&word, &quick)->state, TM_BREAKER_CLOSED);
}

Test(breaker, looking_and_claiming_a_closed_one_leave_no_key, .init = begin_server,
     .fini = end_server)
{
	int index;

	(void)in_redis(&(struct tm_breaker_ask){.op = TM_BREAKER_LOOK}, &conf);
	(void)in_redis(&(struct tm_breaker_ask){.op = TM_BREAKER_CLAIM}, &conf);
	index = tm_redis_queuef(redis, "DBSIZE");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_redis_reply(redis, index)->integer, 0);
	tm_redis_end(redis);
	(void)in_redis(&(struct tm_breaker_ask){.op = TM_BREAKER_SUCCESS}, &conf);
	index = tm_redis_queuef(redis, "PTTL tm:breaker:{main}");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_gt(tm_redis_reply(redis, index)->integer, 0, "the record has an expiry");
	tm_redis_end(redis);
}

Test(breaker, reply_that_is_not_the_scripts_is_refused)
{
	const struct tm_reply number = {.kind = TM_REPLY_INT, .integer = 1};
	struct tm_reply items[10];

	for (size_t i = 0; i < 10; i++)
		items[i] = number;
	cr_assert_eq(tm_breaker_read(&(struct tm_reply){.kind = TM_REPLY_ARRAY, .items = items,
							.count = 10}, &view), TM_OK);
	cr_assert_eq(tm_breaker_read(&number, &view), TM_EPROTO);
	cr_assert_eq(tm_breaker_read(&(struct tm_reply){.kind = TM_REPLY_ARRAY, .items = items,
							.count = 9}, &view), TM_EPROTO);
	items[0].integer = 3;
	cr_assert_eq(tm_breaker_read(&(struct tm_reply){.kind = TM_REPLY_ARRAY, .items = items,
							.count = 10}, &view), TM_EPROTO);
}
