/* When an attempt's silence is held against its provider, and how a probe of one goes. */
#include "call_fixture.h"
#include "fake_gate.h"

TestSuite(call_probe, .init = setup, .fini = teardown, .timeout = 30);

/* A request in a hurry, or the last moments of one, say nothing of the provider. */
Test(call_probe, silence_is_held_against_it_only_after_a_fair_time)
{
	static const struct {
		int64_t fair_ms;
		const char *heard;
	} rows[] = {{0, "cf"}, {200, "cf"}, {240, "cf"}, {30000, "cn"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false});
		struct tm_call call = a_call(1, 200);

		with_gate();
		fake.says.fair_ms = rows[i].fair_ms;
		run(&call, 1);
		ENDED(call, TM_CALL_DEADLINE);
		cr_assert_str_eq(fake.heard, rows[i].heard, "row %zu: %s", i, fake.heard);
		llm_server_stop(&first);
	}
}

Test(call_probe, the_next_provider_is_not_blamed_for_what_the_first_one_used_up)
{
	SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false});
	SCRIPT(1, {200, NULL, GOOD, FOR_EVER_MS, false});
	static const struct tm_backoff once = {.attempts = 1, .base_ms = 1, .max_ms = 1};
	struct tm_call call = a_call(2, 500);

	with_gate();
	fake.says.fair_ms = 500;
	confs[0].timeout_ms = 300;
	call.retry = &once;
	run(&call, 1);
	ENDED(call, TM_CALL_DEADLINE);
	cr_assert_str_eq(fake.heard, "cfcn");
}

Test(call_probe, a_probe_that_stays_silent_ends_early)
{
	SCRIPT(0, {200, NULL, GOOD, FOR_EVER_MS, false});
	SCRIPT(1, {200, NULL, GOOD, 0, false});
	struct tm_call call = a_call(2, FOR_EVER_MS);

	with_gate();
	fake.no_retry = true;
	fake.says = (struct tm_call_claim){.fair_ms = FOR_EVER_MS, .probe = true,
					   .silence_ms = 100};
	cr_assert_lt(run(&call, 1), PLENTY_MS);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert_eq(call.provider, &confs[1]);
	cr_assert_eq(strncmp(fake.heard, "crc", 3), 0, "%s", fake.heard);
	cr_assert_not_null(strstr(call.detail, "no sign of life within 100 ms"), "%s",
			   call.detail);
}

Test(call_probe, a_patient_probe_may_stay_silent)
{
	SCRIPT(0, {200, NULL, GOOD, 300, false});
	struct tm_call call = a_call(1, PLENTY_MS);

	with_gate();
	fake.says = (struct tm_call_claim){.fair_ms = FOR_EVER_MS, .probe = true};
	run(&call, 1);
	ENDED(call, TM_CALL_ANSWERED);
	cr_assert(!strcmp(fake.heard, "cs") || !strcmp(fake.heard, "cas"), "%s", fake.heard);
}

/* Of a good response the first bytes are told, and it may take its time from there on. */
Test(call_probe, a_probe_whose_response_begins_well_is_alive)
{
	static const struct {
		const char *raw, *heard;
		enum tm_call_end end;
	} rows[] = {
		{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" LLM_PAUSE GOOD, "cas",
		 TM_CALL_ANSWERED},
		{"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{" LLM_PAUSE "}", "caf",
		 TM_CALL_UNAVAILABLE},
		{"HTTP/1.1 401 No\r\nConnection: close\r\n\r\n{" LLM_PAUSE "}", "cn",
		 TM_CALL_REFUSED},
		{"HTTP/1.1 503 No\r\nConnection: close\r\n\r\n{" LLM_PAUSE "}", "cf",
		 TM_CALL_UNAVAILABLE},
	};
	static const struct tm_backoff once = {.attempts = 1, .base_ms = 1, .max_ms = 1};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct llm_answer answer = {LLM_RAW, NULL, rows[i].raw, 1500, true};
		struct tm_call call = a_call(1, PLENTY_MS);

		with_gate();
		call.retry = &once;
		fake.says = (struct tm_call_claim){.fair_ms = FOR_EVER_MS, .probe = true,
						   .silence_ms = i < 2 ? 1000 : PLENTY_MS};
		script(0, &answer, 1);
		run(&call, 1);
		cr_assert_eq(call.end, rows[i].end, "row %zu: %s", i, call.detail);
		cr_assert_str_eq(fake.heard, rows[i].heard, "row %zu: %s", i, fake.heard);
		llm_server_stop(&first);
	}
}
