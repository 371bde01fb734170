/* The breaker's machine, with a clock of the test's own; and that Redis walks the same steps. */
#include "llm/breaker.h"

#include "redis_server.h"

static const struct tm_breaker_conf conf = {.threshold = 3, .min_calls = 10, .ratio = 50,
					    .window_ms = 1000, .recovery_ms = 500, .probe_ms = 200};

static struct tm_breaker_local machine;
static struct tm_breaker_view view;

static const struct tm_breaker_view *at(int64_t now_ms, enum tm_breaker_op op)
{
	tm_breaker_step(&machine, op, &conf, now_ms, 0.5, &view);
	return &view;
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

Test(breaker, opens_at_the_ratio_from_min_calls_on)
{
	for (int i = 0; i < 4; i++) {
		(void)at(0, TM_BREAKER_FAILURE);
		cr_assert_eq(at(0, TM_BREAKER_SUCCESS)->state, TM_BREAKER_CLOSED);
	}
	cr_assert_eq(at(0, TM_BREAKER_FAILURE)->state, TM_BREAKER_CLOSED, "9 calls are too few");
	cr_assert_eq(at(0, TM_BREAKER_FAILURE)->state, TM_BREAKER_OPEN, "6 of 10 have failed");
}

Test(breaker, a_row_amid_successes_must_be_twice_as_long)
{
	for (int i = 0; i < 40; i++)
		(void)at(0, TM_BREAKER_SUCCESS);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(at(0, TM_BREAKER_FAILURE)->state, TM_BREAKER_CLOSED, "%d", i);
	cr_assert_eq(at(0, TM_BREAKER_FAILURE)->state, TM_BREAKER_OPEN);
}

Test(breaker, old_calls_fall_out_of_the_window)
{
	for (int i = 0; i < 4; i++) {
		(void)at(0, TM_BREAKER_FAILURE);
		(void)at(0, TM_BREAKER_SUCCESS);
	}
	(void)at(1000, TM_BREAKER_FAILURE);
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
	cr_assert_eq(view.wait_ms, 500);
	cr_assert_eq(view.opens, 2);
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
		struct tm_breaker_local other = {0};

		for (int n = 0; n < 3; n++)
			tm_breaker_step(&other, TM_BREAKER_FAILURE, &conf, 0, cases[i].unit, &view);
		cr_assert_eq(view.wait_ms, cases[i].wait, "%f: %lld", cases[i].unit,
			     (long long)view.wait_ms);
	}
}

Test(breaker, retry_budget_is_a_reserve_and_a_fifth_of_calls)
{
	static const struct tm_breaker_conf calm = {.threshold = 1000, .min_calls = 100000,
						    .ratio = 100, .window_ms = 1000,
						    .recovery_ms = 500, .probe_ms = 200};
	int granted = 0;

	for (int i = 0; i < 500; i++) {
		tm_breaker_step(&machine, TM_BREAKER_RETRY, &calm, 0, 0.5, &view);
		granted += view.passes;
	}
	cr_assert_eq(granted, 200, "100 and a fifth of the calls so far: %d", granted);
	tm_breaker_step(&machine, TM_BREAKER_RETRY, &calm, 10000, 0.5, &view);
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

static const struct tm_breaker_view *in_redis(enum tm_breaker_op op,
					      const struct tm_breaker_conf *with)
{
	int index = tm_breaker_queue(redis, "tm:", "main", op, with, 0.5);

	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_breaker_read(tm_redis_reply(redis, index), &view), TM_OK, "%s",
		     tm_redis_reply(redis, index)->text);
	tm_redis_end(redis);
	return &view;
}

/* Times so long that none of them ends within the test: both machines see one moment. */
Test(breaker, redis_and_this_process_walk_the_same_steps, .init = begin_server, .fini = end_server)
{
	static const struct tm_breaker_conf slow = {.threshold = 4, .min_calls = 12, .ratio = 40,
						    .window_ms = 3600000, .recovery_ms = 3600000,
						    .probe_ms = 3600000};
	static const enum tm_breaker_op ops[] = {
		TM_BREAKER_LOOK, TM_BREAKER_CLAIM, TM_BREAKER_SUCCESS, TM_BREAKER_FAILURE,
		TM_BREAKER_RETRY, TM_BREAKER_NEUTRAL, TM_BREAKER_RESET,
	};
	struct tm_breaker_view there;
	uint32_t random = 42;

	for (int i = 0; i < 1500; i++) {
		enum tm_breaker_op op;

		random = random * 1664525 + 1013904223;
		op = ops[(random >> 16) % (i % 50 == 0 ? 7 : 5)];
		there = *in_redis(op, &slow);
		tm_breaker_step(&machine, op, &slow, 1, 0.5, &view);
		cr_assert_eq(there.state, view.state, "step %d op %d", i, (int)op);
		cr_assert_eq(there.passes, view.passes, "step %d op %d", i, (int)op);
		cr_assert_eq(there.probe, view.probe);
		cr_assert_eq(there.opened, view.opened);
		cr_assert_eq(there.calls, view.calls);
		cr_assert_eq(there.failures, view.failures);
		cr_assert_eq(there.retries, view.retries);
		cr_assert_eq(there.opens, view.opens);
	}
}

Test(breaker, redis_lets_one_probe_through_after_recovery, .init = begin_server,
     .fini = end_server)
{
	static const struct tm_breaker_conf quick = {.threshold = 1, .min_calls = 20, .ratio = 50,
						     .window_ms = 1000, .recovery_ms = 40,
						     .probe_ms = 60000};
	int passed = 0;

	cr_assert(in_redis(TM_BREAKER_FAILURE, &quick)->opened);
	cr_assert_not(in_redis(TM_BREAKER_CLAIM, &quick)->passes);
	while (!in_redis(TM_BREAKER_LOOK, &quick)->passes)
		server_pause();
	for (int i = 0; i < 20; i++)
		passed += in_redis(TM_BREAKER_CLAIM, &quick)->passes;
	cr_assert_eq(passed, 1);
	cr_assert_eq(in_redis(TM_BREAKER_SUCCESS, &quick)->state, TM_BREAKER_CLOSED);
}

Test(breaker, looking_and_claiming_a_closed_one_leave_no_key, .init = begin_server,
     .fini = end_server)
{
	int index;

	(void)in_redis(TM_BREAKER_LOOK, &conf);
	(void)in_redis(TM_BREAKER_CLAIM, &conf);
	index = tm_redis_queuef(redis, "DBSIZE");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_eq(tm_redis_reply(redis, index)->integer, 0);
	tm_redis_end(redis);
	(void)in_redis(TM_BREAKER_SUCCESS, &conf);
	index = tm_redis_queuef(redis, "PTTL tm:breaker:{main}");
	cr_assert_eq(tm_redis_run(redis), TM_OK);
	cr_assert_gt(tm_redis_reply(redis, index)->integer, 0, "the record has an expiry");
	tm_redis_end(redis);
}

Test(breaker, reply_that_is_not_the_scripts_is_refused)
{
	const struct tm_reply number = {.kind = TM_REPLY_INT, .integer = 1};
	struct tm_reply items[9];

	for (size_t i = 0; i < 9; i++)
		items[i] = number;
	cr_assert_eq(tm_breaker_read(&(struct tm_reply){.kind = TM_REPLY_ARRAY, .items = items,
							.count = 9}, &view), TM_OK);
	cr_assert_eq(tm_breaker_read(&number, &view), TM_EPROTO);
	cr_assert_eq(tm_breaker_read(&(struct tm_reply){.kind = TM_REPLY_ARRAY, .items = items,
							.count = 8}, &view), TM_EPROTO);
	items[0].integer = 3;
	cr_assert_eq(tm_breaker_read(&(struct tm_reply){.kind = TM_REPLY_ARRAY, .items = items,
							.count = 9}, &view), TM_EPROTO);
}
