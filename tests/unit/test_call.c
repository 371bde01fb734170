/* The engine against scripted providers: attempts, waits, providers, ends. */
#include "call_fixture.h"

TestSuite(call, .init = setup, .fini = teardown, .timeout = 30);

Test(call, answers_at_the_first_attempt)
{
	SCRIPT(0, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);

	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_str_eq(call.reply.text, "fine");
	cr_assert_str_eq(call.reply.model, "small");
	cr_assert_eq(call.provider, &confs[0]);
	cr_assert_eq(call.attempts, 1);
	cr_assert_eq(call.input_tokens, 7);
	cr_assert_eq(call.output_tokens, 3);
	cr_assert_gt(call.upstream_us, 0);
	cr_assert_str_empty(call.detail);
	cr_assert(strstr(first.request, "POST /v1/chat/completions HTTP/1.1\r\n"));
	cr_assert(strstr(first.request, "Authorization: Bearer " KEY "\r\n"));
	cr_assert(strstr(first.request, "canary-of-the-text"));
}

Test(call, tries_again_after_passing_errors)
{
	SCRIPT(0, {503, NULL, "", 0, false}, {503, NULL, "", 0, false},
	       {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);

	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(call.attempts, 3);
	cr_assert_eq(first.served, 3);
	cr_assert_str_eq(call.detail, "main: HTTP 503 (attempt 2)");
}

Test(call, gives_up_when_the_attempts_are_used_up)
{
	SCRIPT(0, {500, NULL, "", 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);

	run(&call, 1);
	ENDED(call, TM_CALL_UNAVAILABLE);
	cr_assert_eq(first.served, 3);
	cr_assert_eq(call.attempts, 3);
	cr_assert_eq(call.retry_after_ms, 1000);
	cr_assert_str_eq(call.detail, "main: HTTP 500 (attempt 3)");
}

Test(call, asks_once_when_refused)
{
	static const struct llm_answer refusals[] = {
		{401, NULL, "{\"error\":{\"message\":\"bad key " KEY "\"}}", 0, false},
		{429, "Retry-After: 0\r\n", "{\"error\":{\"code\":\"insufficient_quota\"}}", 0,
		 false},
		{302, "Location: http://127.0.0.1:1/\r\n", "", 0, false},
		{404, NULL, "", 0, false},
	};
	size_t count = sizeof(refusals) / sizeof(refusals[0]);

	script(0, refusals, count);
	for (size_t i = 0; i < count; i++) {
		struct tm_call call = a_call(1, PLENTY_MS);

		run(&call, 1);
		ENDED(call, TM_CALL_REFUSED);
		cr_assert_eq(call.attempts, 1);
		cr_assert_eq(first.served, i + 1);
	}
}

Test(call, silence_ends_at_the_deadline)
{
	SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false});
	struct tm_call call = a_call(1, 300);
	int64_t took = run(&call, 1);

	ENDED(call, TM_CALL_DEADLINE);
	cr_assert_eq(call.attempts, 1);
	cr_assert_geq(took, 270);
	cr_assert_lt(took, 2000);
	cr_assert(strstr(call.detail, "deadline"));
}

Test(call, a_passed_deadline_begins_nothing)
{
	SCRIPT(0, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(1, -5);

	run(&call, 1);
	ENDED(call, TM_CALL_DEADLINE);
	cr_assert_eq(call.attempts, 0);
	cr_assert_eq(first.served, 0);
}

Test(call, an_attempt_has_its_own_limit)
{
	SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false}, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);

	confs[0].timeout_ms = 150;
	cr_assert_geq(run(&call, 1), 140);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(call.attempts, 2);
}

Test(call, waits_as_long_as_the_provider_asks)
{
	SCRIPT(0, {429, "Retry-After: 30\r\nretry-after-ms: 120\r\n", "", 0, false},
	       {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);
	int64_t took;

	call.retry = &slow;
	took = run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(first.served, 2);
	cr_assert_geq(took, 120);
	cr_assert_lt(took, 3000);
}

Test(call, does_not_sleep_out_a_wait_beyond_the_deadline)
{
	SCRIPT(0, {503, "Retry-After: 60\r\n", "", 0, false}, {503, NULL, "", 0, false});
	static const int64_t want_ms[] = {60000, 90000};	/* asked for; the back-off */

	for (size_t i = 0; i < 2; i++) {
		struct tm_call call = a_call(1, PLENTY_MS);

		call.retry = &slow;
		cr_assert_lt(run(&call, 1), 3000);
		ENDED(call, TM_CALL_UNAVAILABLE);
		cr_assert_eq(call.retry_after_ms, want_ms[i]);
		cr_assert_eq(first.served, i + 1);
	}
}

Test(call, nonsense_is_asked_for_once_more)
{
	SCRIPT(0, {200, NULL, "<html>", 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);

	call.retry = &slow;	/* no wait in between */
	cr_assert_lt(run(&call, 1), 3000);
	ENDED(call, TM_CALL_NONSENSE);
	cr_assert_eq(first.served, 2);
}

static enum tm_err accept_second(void *arg, const struct tm_llm_reply *reply)
{
	int *asked = arg;

	cr_assert_str_eq(reply->text, "fine");
	return ++*asked < 2 ? TM_EPROTO : TM_OK;
}

static enum tm_err accept_none(void *arg, const struct tm_llm_reply *reply)
{
	(void)reply;
	return *(enum tm_err *)arg;
}

Test(call, an_answer_of_another_shape_is_asked_for_once_more)
{
	SCRIPT(0, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);
	int asked = 0;

	call.accept = accept_second;
	call.arg = &asked;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(asked, 2);
	cr_assert_eq(first.served, 2);
	cr_assert_eq(call.input_tokens, 14);
	cr_assert_eq(call.output_tokens, 6);
}

Test(call, the_once_more_is_for_all_providers_together)
{
	SCRIPT(0, {200, NULL, GOOD, 0, false});
	SCRIPT(1, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(2, PLENTY_MS);
	enum tm_err err = TM_EPROTO;

	call.accept = accept_none;
	call.arg = &err;
	run(&call, 1);
	ENDED(call, TM_CALL_NONSENSE);
	cr_assert_eq(first.served, 2);
	cr_assert_eq(second.served, 1);
	cr_assert_eq(call.provider, &confs[1]);
}

Test(call, memory_gone_in_accept_ends_it)
{
	SCRIPT(0, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);
	enum tm_err err = TM_ENOMEM;

	call.accept = accept_none;
	call.arg = &err;
	run(&call, 1);
	ENDED(call, TM_CALL_FAILED);
	cr_assert_eq(first.served, 1);
}

Test(call, goes_on_to_the_second_provider)
{
	static const struct {
		struct llm_answer answer;
		size_t served;
	} rows[] = {
		{{401, NULL, "", 0, false}, 1},
		{{503, NULL, "", 0, false}, 3},
		{{200, NULL, "[]", 0, false}, 2},
		{{503, "Retry-After: 60\r\n", "", 0, false}, 1},
	};
	SCRIPT(1, {200, NULL, GOOD, 0, false});

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_call call = a_call(2, PLENTY_MS);

		script(0, &rows[i].answer, 1);
		run(&call, 1);
		ENDED(call, TM_CALL_ANSWERED);
		cr_assert_eq(call.provider, &confs[1]);
		cr_assert_eq(first.served, rows[i].served, "row %zu", i);
		cr_assert_eq(call.attempts, (int)rows[i].served + 1, "row %zu", i);
		cr_assert_eq(second.served, i + 1);
		llm_server_stop(&first);
	}
}

Test(call, unavailable_outweighs_a_refusal)
{
	static const struct llm_answer busy = {503, "Retry-After: 60\r\n", "", 0, false};
	static const struct llm_answer refusal = {401, NULL, "", 0, false};
	struct tm_call call = a_call(2, PLENTY_MS);

	script(0, &busy, 1);
	script(1, &refusal, 1);
	run(&call, 1);
	ENDED(call, TM_CALL_UNAVAILABLE);
	cr_assert_eq(call.retry_after_ms, 60000);
	cr_assert_str_eq(call.detail, "main: HTTP 503 (attempt 1); backup: HTTP 401 (attempt 1)");
}

Test(call, a_provider_without_network_stands_in)
{
	SCRIPT(0, {401, NULL, "", 0, false});
	struct tm_call call = a_call(2, PLENTY_MS);

	confs[1].kind = TM_PROVIDER_EXTRACTIVE;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(call.provider, &confs[1]);
	cr_assert_eq(call.attempts, 1);
	cr_assert_gt(call.reply.text_len, 0);
}

Test(call, a_cut_answer_is_tried_again)
{
	SCRIPT(0, {200, NULL, GOOD, 0, true}, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);

	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(call.attempts, 2);
}

Test(call, an_oversized_answer_is_not_fetched_twice)
{
	static char huge[8192];
	static struct llm_answer answer = {200, NULL, huge, 0, false};
	struct tm_call call = a_call(1, PLENTY_MS);

	memset(huge, ' ', sizeof(huge) - 1);
	script(0, &answer, 1);
	run(&call, 1);
	ENDED(call, TM_CALL_NONSENSE);
	cr_assert_eq(first.served, 1);
}

Test(call, a_refused_connection_is_tried_again)
{
	struct tm_call call = a_call(1, PLENTY_MS);
	int port, fd = llm_listener(&port);	/* bound, never listening */

	point(0, port);
	run(&call, 1);
	close(fd);
	ENDED(call, TM_CALL_UNAVAILABLE);
	cr_assert_eq(call.attempts, 3);
	cr_assert(strstr(call.detail, "main: "));
	cr_assert(strstr(call.detail, "(attempt 3)"));
}

Test(call, a_request_that_cannot_be_made_goes_to_the_next_provider)
{
	SCRIPT(1, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(2, PLENTY_MS);

	point(0, 1);
	confs[0].key = "broken\r\nkey";
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(call.attempts, 1);
	cr_assert_eq(call.provider, &confs[1]);
}

Test(call, no_provider_is_unavailable)
{
	struct tm_call call = a_call(0, PLENTY_MS);

	run(&call, 1);
	ENDED(call, TM_CALL_UNAVAILABLE);
	cr_assert_geq(call.retry_after_ms, 1000);
}

Test(call, no_more_run_at_once_than_allowed)
{
	enum { CALLS = 5 };
	SCRIPT(0, {200, NULL, GOOD, 150, false});
	struct tm_call calls[CALLS];

	for (size_t i = 0; i < CALLS; i++)
		calls[i] = a_call(1, PLENTY_MS);
	limits.parallel = 2;
	cr_assert_geq(run(calls, CALLS), 440);
	for (size_t i = 0; i < CALLS; i++)
		ENDED(calls[i], TM_CALL_ANSWERED);
	cr_assert_eq(first.served, CALLS);
	cr_assert_eq(first.peak, 2, "%zu", first.peak);
}

Test(call, five_are_under_way_at_once)
{
	enum { CALLS = 5 };
	SCRIPT(0, {200, NULL, GOOD, 200, false});
	struct tm_call calls[CALLS];

	for (size_t i = 0; i < CALLS; i++)
		calls[i] = a_call(1, PLENTY_MS);
	run(calls, CALLS);
	for (size_t i = 0; i < CALLS; i++)
		ENDED(calls[i], TM_CALL_ANSWERED);
	cr_assert_eq(first.peak, CALLS);
}

Test(call, a_call_that_waits_for_its_turn_keeps_its_deadline)
{
	SCRIPT(0, {200, NULL, GOOD, 400, false});
	struct tm_call calls[] = {a_call(1, PLENTY_MS), a_call(1, 100)};

	limits.parallel = 1;
	run(calls, 2);
	ENDED(calls[0], TM_CALL_ANSWERED);
	ENDED(calls[1], TM_CALL_DEADLINE);
	cr_assert_eq(calls[1].attempts, 0);
	cr_assert_eq(first.served, 1);
}

Test(call, upstream_is_dropped_when_the_client_leaves)
{
	SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false});
	struct tm_call calls[] = {a_call(1, PLENTY_MS), a_call(1, PLENTY_MS)};
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	limits.watch_fd = pair[0];
	limits.parallel = 1;
	pthread_mutex_lock(&first.lock);
	first.close_fd = pair[1];
	pthread_mutex_unlock(&first.lock);
	cr_assert_lt(run(calls, 2), 3000);
	ENDED(calls[0], TM_CALL_GONE);
	ENDED(calls[1], TM_CALL_GONE);
	cr_assert_eq(calls[0].attempts, 1);
	cr_assert_eq(calls[1].attempts, 0);
	llm_server_stop(&first);
	cr_assert_eq(first.dropped, 1);
	close(pair[0]);
}

Test(call, bytes_from_the_client_are_not_its_leaving)
{
	SCRIPT(0, {200, NULL, GOOD, 300, false}, {200, NULL, GOOD, FOR_EVER_MS, false});
	struct tm_call stays = a_call(1, PLENTY_MS), leaves;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	cr_assert_eq(write(pair[1], "late bytes", 10), 10);
	limits.watch_fd = pair[0];
	run(&stays, 1);
	ENDED(stays, TM_CALL_ANSWERED);

	pthread_mutex_lock(&first.lock);
	first.close_fd = pair[1];
	pthread_mutex_unlock(&first.lock);
	leaves = a_call(1, PLENTY_MS);
	cr_assert_lt(run(&leaves, 1), 3000);
	ENDED(leaves, TM_CALL_GONE);
	close(pair[0]);
}

static void count_tick(void *arg)
{
	++*(int *)arg;
}

Test(call, ticks_while_it_waits)
{
	SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false});
	struct tm_call call = a_call(1, 1300);
	int ticks = 0;

	limits.tick = count_tick;
	limits.arg = &ticks;
	run(&call, 1);
	ENDED(call, TM_CALL_DEADLINE);
	cr_assert_geq(ticks, 1);
}

Test(call, an_exhausted_arena_fails_the_call_alone)
{
	SCRIPT(0, {200, NULL, GOOD, 0, false});
	struct tm_arena tiny;
	struct tm_call calls[] = {a_call(1, PLENTY_MS), a_call(1, PLENTY_MS)};

	tm_arena_init(&tiny, 8);
	calls[0].arena = &tiny;
	run(calls, 2);
	ENDED(calls[0], TM_CALL_FAILED);
	ENDED(calls[1], TM_CALL_ANSWERED);
	tm_arena_clear(&tiny);
}
