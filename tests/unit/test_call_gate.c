/* What the engine tells the circuit breakers, what it remembers, what it costs. */
#include "call_fixture.h"
#include "fake_gate.h"

TestSuite(call_gate, .init = setup, .fini = teardown, .timeout = 30);

Test(call_gate, hears_of_every_attempt_once)
{
	static char huge[8192];
	static const struct {
		struct llm_answer answer;
		const char *heard;
		enum tm_call_end end;
	} rows[] = {
		{{200, NULL, GOOD, 0, false}, "cs", TM_CALL_ANSWERED},
		{{503, NULL, "", 0, false}, "crcrcf", TM_CALL_UNAVAILABLE},
		{{503, "Retry-After: 60\r\n", "", 0, false}, "cf", TM_CALL_UNAVAILABLE},
		{{429, "retry-after-ms: 1\r\n", "", 0, false}, "crcrcf", TM_CALL_UNAVAILABLE},
		{{429, NULL, "{\"error\":{\"code\":\"insufficient_quota\"}}", 0, false}, "cn",
		 TM_CALL_REFUSED},
		{{401, NULL, "", 0, false}, "cn", TM_CALL_REFUSED},
		{{302, NULL, "", 0, false}, "cn", TM_CALL_REFUSED},
		{{200, NULL, "<html>", 0, false}, "cncn", TM_CALL_NONSENSE},
		{{200, NULL, huge, 0, false}, "cn", TM_CALL_NONSENSE},
		{{503, NULL, huge, 0, false}, "crcrcf", TM_CALL_UNAVAILABLE},
		{{200, NULL, GOOD, 0, true}, "crcrcf", TM_CALL_UNAVAILABLE},
		{{LLM_RAW, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" GOOD, 0, true},
		 "cncn", TM_CALL_NONSENSE},
		{{LLM_RAW, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" GOOD, 0, true},
		 "crcrcf", TM_CALL_UNAVAILABLE},
		{{200, NULL, "{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}", 0, false},
		 "cncn", TM_CALL_NONSENSE},
	};

	memset(huge, ' ', sizeof(huge) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_call call = a_call(1, PLENTY_MS);

		with_gate();
		script(0, &rows[i].answer, 1);
		run(&call, 1);
		cr_assert_eq(call.end, rows[i].end, "row %zu: %s", i, call.detail);
		cr_assert_str_eq(fake.heard, rows[i].heard, "row %zu: %s", i, fake.heard);
		llm_server_stop(&first);
	}
}

Test(call_gate, a_refused_connection_is_the_providers_failure)
{
	struct tm_call call = a_call(1, PLENTY_MS);
	int port, fd = llm_listener(&port);

	with_gate();
	point(0, port);
	run(&call, 1);
	close(fd);
	ENDED(call, TM_CALL_UNAVAILABLE);
	cr_assert_str_eq(fake.heard, "crcrcf");
}

Test(call_gate, silence_until_the_deadline_is_the_providers_failure)
{
	SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false});
	struct tm_call call = a_call(1, 200);

	with_gate();
	run(&call, 1);
	ENDED(call, TM_CALL_DEADLINE);
	cr_assert_str_eq(fake.heard, "cf");
}

Test(call_gate, a_drip_is_the_providers_failure)
{
	SCRIPT(0, {LLM_RAW, NULL,
		   "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{" LLM_PAUSE "\"" LLM_PAUSE "c"
		   LLM_PAUSE "h" LLM_PAUSE "o" LLM_PAUSE "i" LLM_PAUSE "c" LLM_PAUSE, 100, true});
	struct tm_call call = a_call(1, 300);

	with_gate();
	run(&call, 1);
	ENDED(call, TM_CALL_DEADLINE);
	cr_assert_str_eq(fake.heard, "cf");
}

Test(call_gate, an_attempt_over_its_limit_may_be_tried_again)
{
	SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false}, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);

	with_gate();
	confs[0].timeout_ms = 300;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_str_eq(fake.heard, "crcs");
}

Test(call_gate, a_request_that_cannot_be_made_is_neutral)
{
	struct tm_call call = a_call(1, PLENTY_MS);

	with_gate();
	point(0, 1);
	confs[0].key = "broken\r\nkey";
	run(&call, 1);
	ENDED(call, TM_CALL_REFUSED);
	cr_assert_str_eq(fake.heard, "cn");
}

Test(call_gate, memory_running_out_is_neutral)
{
	SCRIPT(0, {200, NULL, GOOD, 0, false});
	static const size_t sizes[] = {8, 64, 256, 400, 500, 600, 700, 800, 1000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct tm_arena tiny;
		struct tm_call call = a_call(1, PLENTY_MS);

		with_gate();
		tm_arena_init(&tiny, sizes[i]);
		call.arena = &tiny;
		run(&call, 1);
		cr_assert_str_eq(fake.heard, call.end == TM_CALL_ANSWERED ? "cs" : "cn",
				 "%zu bytes: %s", sizes[i], fake.heard);
		cr_assert(call.end == TM_CALL_ANSWERED || call.end == TM_CALL_FAILED);
		tm_arena_clear(&tiny);
	}
}

static enum tm_err accept_says(void *arg, const struct tm_llm_reply *reply)
{
	(void)reply;
	return *(enum tm_err *)arg;
}

Test(call_gate, an_answer_of_no_use_is_neutral)
{
	SCRIPT(0, {200, NULL, GOOD, 0, false});
	static const struct {
		enum tm_err err;
		const char *heard;
	} rows[] = {{TM_EPROTO, "cncn"}, {TM_EUTF8, "cncn"}, {TM_ENOMEM, "cn"}, {TM_OK, "cs"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_call call = a_call(1, PLENTY_MS);
		enum tm_err err = rows[i].err;

		with_gate();
		call.accept = accept_says;
		call.arg = &err;
		run(&call, 1);
		cr_assert_str_eq(fake.heard, rows[i].heard, "row %zu: %s", i, fake.heard);
	}
}

/* The client's end closes when the first request has come. */
static int leaving_client(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	limits.watch_fd = pair[0];
	pthread_mutex_lock(&first.lock);
	first.close_fd = pair[1];
	pthread_mutex_unlock(&first.lock);
	return pair[0];
}

Test(call_gate, dropped_attempts_are_neutral)
{
	enum { CALLS = 5 };
	SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false});
	struct tm_call calls[CALLS];
	int fd = leaving_client();

	with_gate();
	limits.parallel = 3;
	for (size_t i = 0; i < CALLS; i++)
		calls[i] = a_call(1, PLENTY_MS);
	run(calls, CALLS);
	for (size_t i = 0; i < CALLS; i++)
		ENDED(calls[i], TM_CALL_GONE);
	cr_assert_str_eq(fake.heard, "cccnnn");
	close(fd);
}

Test(call_gate, calls_killed_anywhere_are_answered_for)
{
	enum { CALLS = 5 };
	static const struct llm_answer answers[] = {
		{503, NULL, "", 20, false}, {200, NULL, GOOD, FOR_EVER_MS, false},
		{200, NULL, GOOD, 30, true}, {503, "retry-after-ms: 150\r\n", "", 0, false},
		{200, NULL, "[]", 10, false}, {200, NULL, GOOD, FOR_EVER_MS, false},
	};
	SCRIPT(1, {200, NULL, GOOD, FOR_EVER_MS, false});

	for (int64_t deadline_ms = 25; deadline_ms <= 250; deadline_ms += 45) {
		struct tm_call calls[CALLS];

		with_gate();
		script(0, answers, sizeof(answers) / sizeof(answers[0]));
		for (size_t i = 0; i < CALLS; i++)
			calls[i] = a_call(2, deadline_ms + (int64_t)i);
		run(calls, CALLS);
		heard_in_pairs();
		llm_server_stop(&first);
	}
}

static bool keep(void *arg)
{
	++*(int *)arg;
	return false;
}

Test(call_gate, a_call_that_others_wait_for_outlives_its_client)
{
	SCRIPT(0, {LLM_RAW, NULL,
		   LLM_PAUSE "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" GOOD, 200, true});
	struct tm_call call = a_call(1, PLENTY_MS);
	int asked = 0, fd = leaving_client();

	with_gate();
	limits.may_drop = keep;
	limits.arg = &asked;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(asked, 1);
	cr_assert_str_eq(fake.heard, "cs");
	close(fd);
}

Test(call_gate, a_refused_claim_asks_nobody)
{
	static const struct {
		int64_t wait_ms, retry_after_ms;
	} rows[] = {{57000, 57000}, {3, 1000}};
	SCRIPT(0, {200, NULL, GOOD, 0, false});

	for (size_t i = 0; i < 2; i++) {
		struct tm_call call = a_call(1, PLENTY_MS);

		with_gate();
		fake.passes = 0;
		fake.wait_ms = rows[i].wait_ms;
		run(&call, 1);
		ENDED(call, TM_CALL_UNAVAILABLE);
		cr_assert_eq(call.retry_after_ms, rows[i].retry_after_ms);
		cr_assert_eq(call.attempts, 0);
		cr_assert_str_eq(call.detail, "main: not asked, its circuit breaker is open");
		cr_assert_str_eq(fake.heard, "C");
	}
	cr_assert_eq(first.served, 0);
}

Test(call_gate, a_refused_retry_goes_to_the_next_provider)
{
	SCRIPT(0, {503, NULL, "", 0, false});
	SCRIPT(1, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(2, PLENTY_MS);

	with_gate();
	fake.no_retry = true;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(call.provider, &confs[1]);
	cr_assert_str_eq(fake.heard, "crcs");
	cr_assert_eq(first.served, 1);
}

Test(call_gate, a_refused_retry_of_the_last_provider_is_the_end)
{
	SCRIPT(0, {503, NULL, "", 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);

	with_gate();
	fake.no_retry = true;
	run(&call, 1);
	ENDED(call, TM_CALL_UNAVAILABLE);
	cr_assert_eq(first.served, 1);
	cr_assert_geq(call.retry_after_ms, 1000);
}

Test(call_gate, a_breaker_that_opens_between_attempts_ends_them)
{
	SCRIPT(0, {503, NULL, "", 0, false});
	struct tm_call call = a_call(1, PLENTY_MS);

	with_gate();
	fake.passes = 1;
	fake.wait_ms = 60000;
	run(&call, 1);
	ENDED(call, TM_CALL_UNAVAILABLE);
	cr_assert_str_eq(fake.heard, "crC");
	cr_assert_eq(call.retry_after_ms, 60000);
	cr_assert_str_eq(call.detail, "main: HTTP 503 (attempt 1)");
}

Test(call_gate, a_claim_that_outlasts_the_deadline_is_handed_back)
{
	SCRIPT(0, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(1, 60);

	with_gate();
	fake.claim_takes_ms = 80;
	run(&call, 1);
	ENDED(call, TM_CALL_DEADLINE);
	cr_assert_eq(call.attempts, 0);
	cr_assert_str_eq(fake.heard, "cn");
}

Test(call_gate, a_provider_without_network_has_no_breaker)
{
	struct tm_call call = a_call(1, PLENTY_MS);

	with_gate();
	fake.passes = 0;
	confs[0].kind = TM_PROVIDER_EXTRACTIVE;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_str_empty(fake.heard);
}

#define NO_FORMAT \
	"{\"error\":{\"message\":\"response_format is not supported by this model\"," \
	"\"type\":\"invalid_request_error\",\"param\":\"response_format\"}}"

static struct tm_call a_structured_call(struct tm_llm_prompt *asked)
{
	struct tm_call call = a_call(1, PLENTY_MS);

	*asked = prompt;
	asked->schema_name = "points";
	asked->schema = "{\"type\":\"object\"}";
	call.prompt = asked;
	return call;
}

Test(call_gate, a_server_is_asked_more_plainly_and_remembered)
{
	SCRIPT(0, {400, NULL, NO_FORMAT, 0, false}, {400, NULL, NO_FORMAT, 0, false},
	       {400, NULL, NO_FORMAT, 0, false}, {200, NULL, GOOD, 0, false});
	struct tm_llm_prompt asked;
	struct tm_call call = a_structured_call(&asked);
	struct tm_call_memory memory = {0};

	with_gate();
	limits.memory = &memory;
	call.retry = &slow;	/* no wait in between */
	cr_assert_lt(run(&call, 1), 3000);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(call.attempts, 4);
	cr_assert_str_eq(fake.heard, "cncncncs");
	cr_assert_null(strstr(first.request, "response_format"));
	cr_assert_str_eq(memory.providers[0].name, "main");
	cr_assert_eq(memory.providers[0].plainness, 3);

	call = a_structured_call(&asked);
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(call.attempts, 1);
	cr_assert_null(strstr(first.request, "response_format"));
}

Test(call_gate, asking_plainly_is_no_try)
{
	SCRIPT(0, {400, NULL, NO_FORMAT, 0, false}, {503, NULL, "", 0, false},
	       {503, NULL, "", 0, false}, {200, NULL, GOOD, 0, false});
	struct tm_llm_prompt asked;
	struct tm_call call = a_structured_call(&asked);

	with_gate();
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(call.attempts, 4);
	cr_assert_str_eq(fake.heard, "cncrcrcs");
}

Test(call_gate, a_server_that_no_plainness_helps_has_refused)
{
	SCRIPT(0, {400, NULL, NO_FORMAT, 0, false});
	struct tm_llm_prompt asked;
	struct tm_call call = a_structured_call(&asked);
	struct tm_call_memory memory = {0};

	with_gate();
	limits.memory = &memory;
	run(&call, 1);
	ENDED(call, TM_CALL_REFUSED);
	cr_assert_eq(call.attempts, tm_provider_openai.plainest + 1);
	cr_assert_eq(memory.providers[0].plainness, 0);
	heard_in_pairs();
}

Test(call_gate, each_provider_is_remembered_by_itself)
{
	SCRIPT(0, {401, NULL, "", 0, false});
	SCRIPT(1, {200, NULL, GOOD, 0, false});
	struct tm_llm_prompt asked;
	struct tm_call call = a_structured_call(&asked);
	struct tm_call_memory memory = {.providers = {{"main", 4}}};

	limits.memory = &memory;
	call.providers_count = 2;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_null(strstr(first.request, "response_format"));
	cr_assert_not_null(strstr(second.request, "response_format"));
}

Test(call_gate, tokens_cost_what_their_provider_asks)
{
	static const struct {
		struct llm_answer first, second;
		double prices[2][2], cost;
	} rows[] = {
		{{200, NULL, GOOD, 0, false}, {0}, {{2, 10}, {0, 0}}, 44e-6},
		{{200, NULL, GOOD, 0, false}, {0}, {{0, 10}, {0, 0}}, 30e-6},
		{{200, NULL, GOOD, 0, false}, {0}, {{0, 0}, {2, 10}}, -1},
		/* twice an answer cut, then a good one of the other */
		{{200, NULL,
		  "{\"choices\":[{\"message\":{\"content\":\"f\"},\"finish_reason\":\"length\"}],"
		  "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}", 0, false},
		 {200, NULL, GOOD, 0, false}, {{2, 10}, {1, 1}}, 98e-6},
		{{401, NULL, "", 0, false}, {200, NULL, GOOD, 0, false}, {{2, 10}, {0, 0}}, -1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tm_call call = a_call(2, PLENTY_MS);

		for (int p = 0; p < 2; p++) {
			confs[p].price_input = rows[i].prices[p][0];
			confs[p].price_output = rows[i].prices[p][1];
		}
		script(0, &rows[i].first, 1);
		script(1, &rows[i].second, 1);
		run(&call, 1);
		ENDED(call, TM_CALL_ANSWERED);
		if (rows[i].cost < 0)
			cr_assert_lt(call.cost, 0, "row %zu", i);
		else
			cr_assert_float_eq(call.cost, rows[i].cost, 1e-9, "row %zu: %g", i,
					   call.cost);
		llm_server_stop(&first);
		llm_server_stop(&second);
	}
}

Test(call_gate, the_answer_without_network_is_free)
{
	SCRIPT(0, {401, NULL, "", 0, false});
	struct tm_call call = a_call(2, PLENTY_MS);

	confs[1].kind = TM_PROVIDER_EXTRACTIVE;
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_float_eq(call.cost, 0, 1e-12);
}
