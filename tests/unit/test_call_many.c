/* The engine with several calls: each told of by itself, each with a time of its own. */
#include "call_fixture.h"

TestSuite(call_many, .init = setup, .fini = teardown, .timeout = 30);

/* A call and the order in which it ended; first member, as the engine hands it back. */
struct noted {
	struct tm_call *call;
	size_t order;
	enum tm_call_end end;
};

static size_t noted_count;

static void note(void *arg)
{
	struct noted *noted = arg;

	noted->order = ++noted_count;
	noted->end = noted->call->end;
}

static void watch(struct tm_call *calls, struct noted *noted, size_t count)
{
	noted_count = 0;
	for (size_t i = 0; i < count; i++) {
		noted[i] = (struct noted){.call = &calls[i]};
		calls[i].ended = note;
		calls[i].arg = &noted[i];
	}
}

Test(call_many, each_is_told_of_as_it_ends)
{
	SCRIPT(0, {200, NULL, GOOD, 300, false}, {400, NULL, "", 0, false});
	struct tm_call calls[2] = {a_call(1, PLENTY_MS), a_call(1, PLENTY_MS)};
	struct noted noted[2];
	size_t late = 0;

	watch(calls, noted, 2);
	run(calls, 2);
	if (calls[1].end == TM_CALL_ANSWERED)
		late = 1;
	ENDED(calls[late], TM_CALL_ANSWERED);
	ENDED(calls[!late], TM_CALL_REFUSED);
	cr_assert_eq(noted_count, 2);
	cr_assert_eq(noted[!late].order, 1);
	cr_assert_eq(noted[late].order, 2);
	cr_assert_eq(noted[late].end, TM_CALL_ANSWERED, "it has its end when it is told of");
	cr_assert_eq(noted[!late].end, TM_CALL_REFUSED);
}

Test(call_many, a_limit_counts_from_the_beginning_of_the_call)
{
	SCRIPT(0, {200, NULL, GOOD, 200, false});
	struct tm_call calls[4];
	int64_t took;

	limits.parallel = 1;
	for (size_t i = 0; i < 4; i++) {
		calls[i] = a_call(1, PLENTY_MS);
		calls[i].limit_ms = 500;
	}
	took = run(calls, 4);
	for (size_t i = 0; i < 4; i++)
		ENDED(calls[i], TM_CALL_ANSWERED);
	cr_assert_geq(took, 700, "%d", (int)took);
}

Test(call_many, a_limit_ends_the_call_that_outlasts_it)
{
	SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false});
	struct tm_call call = a_call(1, PLENTY_MS);
	int64_t took;

	call.limit_ms = 200;
	took = run(&call, 1);
	ENDED(call, TM_CALL_DEADLINE);
	cr_assert(took >= 150 && took < 2000, "%d", (int)took);
}

Test(call_many, the_deadline_ends_calls_whose_limit_is_later_and_those_not_begun)
{
	SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false});
	struct tm_call calls[3] = {a_call(1, 200), a_call(1, 200), a_call(1, 200)};
	struct noted noted[3];

	watch(calls, noted, 3);
	limits.parallel = 1;
	for (size_t i = 0; i < 3; i++)
		calls[i].limit_ms = PLENTY_MS;
	run(calls, 3);
	for (size_t i = 0; i < 3; i++)
		ENDED(calls[i], TM_CALL_DEADLINE);
	cr_assert_eq(noted_count, 3);
	cr_assert_eq(first.served, 1);
}

/* Only the first call is wanted by somebody else. */
static bool keep_first(void *arg)
{
	struct tm_call *calls = arg;

	for (size_t i = 1; i < 3; i++)
		calls[i].unwanted = true;
	return false;
}

Test(call_many, calls_that_nobody_else_wants_end_with_the_client)
{
	SCRIPT(0, {200, NULL, GOOD, 400, false});
	struct tm_call calls[3] = {a_call(1, PLENTY_MS), a_call(1, PLENTY_MS),
				   a_call(1, PLENTY_MS)};
	struct noted noted[3];
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	watch(calls, noted, 3);
	limits.parallel = 2;
	limits.watch_fd = pair[0];
	limits.may_drop = keep_first;
	limits.arg = calls;
	close(pair[1]);
	run(calls, 3);
	ENDED(calls[0], TM_CALL_ANSWERED);
	ENDED(calls[1], TM_CALL_GONE);
	ENDED(calls[2], TM_CALL_GONE);
	cr_assert_eq(noted_count, 3);
	cr_assert_eq(noted[0].order, 3);
	close(pair[0]);
}

static void count_tick(void *arg)
{
	++*(size_t *)arg;
}

Test(call_many, ticks_come_as_often_as_asked_for)
{
	SCRIPT(0, {200, NULL, GOOD, 600, false});
	struct tm_call call = a_call(1, PLENTY_MS);
	size_t ticks = 0;

	limits.tick = count_tick;
	limits.tick_ms = 100;
	limits.arg = &ticks;
	run(&call, 1);
	cr_assert(ticks >= 3 && ticks <= 6, "%zu", ticks);
}
