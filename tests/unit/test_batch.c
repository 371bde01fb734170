/* The objects of a batch, and which of its items are equal. */
#include <criterion/criterion.h>
#include <string.h>

#include "api/batch.h"
#include "flow/batch.h"

static struct tm_buf out;
static struct tm_arena arena;
static struct tm_request request;

static void begin(void)
{
	tm_buf_init(&out, 1 << 20);
	tm_arena_init(&arena, 1 << 20);
	request = (struct tm_request){.arena = &arena, .id = "req-1"};
}

static void end(void)
{
	tm_buf_clear(&out);
	tm_arena_clear(&arena);
}

TestSuite(batch, .init = begin, .fini = end);

/* The text read back; it must be JSON. */
static struct tm_json *parsed(void)
{
	struct tm_json *json;

	cr_assert_eq(tm_buf_err(&out), TM_OK);
	cr_assert_eq(tm_json_parse(out.data, out.len, 16, &json), TM_OK, "%s", out.data);
	return json;
}

static const char *text_of(const struct tm_json *json, const char *name)
{
	size_t len;

	return tm_json_text(tm_json_get(json, name), &len);
}

Test(batch, equal_names_pair_with_their_first)
{
	const char *const names[] = {"a", "b", NULL, "a", "b", NULL, "a", "c"};
	const size_t wanted[] = {0, 1, 2, 0, 1, 5, 0, 7};
	size_t first[8];

	tm_batch_pair(names, 8, first);
	for (size_t i = 0; i < 8; i++)
		cr_expect_eq(first[i], wanted[i], "%zu: %zu", i, first[i]);
}

Test(batch, a_claim_names_user_and_id)
{
	char key[TM_BATCH_KEY_BYTES], long_id[TM_BATCH_ID_MAX + 1];

	tm_batch_key("tm:", "ann", "b-1", key);
	cr_expect_str_eq(key, "tm:batch:{ann:b-1}");
	memset(long_id, 'i', sizeof(long_id) - 1);
	long_id[TM_BATCH_ID_MAX] = '\0';
	tm_batch_key("tm:", "ann", long_id, key);
	cr_expect_eq(strlen(key), strlen("tm:batch:{ann:}") + TM_BATCH_ID_MAX);
}

Test(batch, an_invalid_item_says_what_a_single_request_would)
{
	static const struct { bool question; size_t errors; const char *code; } cases[] = {
		{false, 1, "invalid"}, {true, 1, "bad_request"}, {true, 2, "invalid"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tm_input input = {.question_missing = cases[i].question,
					 .errors_count = cases[i].errors};
		const struct tm_json *error;
		struct tm_json *json;

		input.errors[0] = (struct tm_field_error){"text", "is required"};
		input.errors[1] = (struct tm_field_error){"question", "is required"};
		tm_buf_reset(&out, 0);
		cr_expect_not(tm_batch_put_result(&out, &request, 7, &input, NULL));
		json = parsed();
		error = tm_json_get(json, "error");
		cr_expect_eq(tm_json_int(tm_json_get(json, "request_index")), 7);
		cr_expect_str_eq(text_of(json, "status"), "failed");
		cr_expect_null(tm_json_get(json, "response"));
		cr_expect_str_eq(text_of(error, "code"), cases[i].code);
		cr_expect_str_eq(text_of(error, "request_id"), "req-1");
		cr_expect_eq(tm_json_count(tm_json_get(error, "errors")), cases[i].errors);
		tm_json_free(json);
	}
}

Test(batch, a_failed_item_carries_its_problem)
{
	static const struct { enum tm_process_end end; const char *code; bool wait; } cases[] = {
		{TM_PROCESS_REFUSED, "llm_error", false},
		{TM_PROCESS_UNAVAILABLE, "llm_unavailable", true},
		{TM_PROCESS_DEADLINE, "deadline_exceeded", false},
		{TM_PROCESS_QUOTA, "quota_exceeded", true},
		{TM_PROCESS_NOMEM, "overloaded", true},
	};
	const struct tm_input input = {.errors_count = 0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tm_outcome outcome = {.end = cases[i].end, .detail = "",
					     .retry_after_ms = 1500, .policies_count = 1};
		struct tm_json *json;

		outcome.policies[0] = (struct tm_policy){"llm_hour", 3, 3600 * 1000};
		tm_buf_reset(&out, 0);
		cr_expect_not(tm_batch_put_result(&out, &request, 0, &input, &outcome));
		json = parsed();
		cr_expect_str_eq(text_of(tm_json_get(json, "error"), "code"), cases[i].code);
		cr_expect_eq(tm_json_get(tm_json_get(json, "error"), "retry_after") != NULL,
			     cases[i].wait, "%s", cases[i].code);
		tm_json_free(json);
	}
}

Test(batch, an_object_surrounds_its_results)
{
	const struct tm_batch_sum sum = {.id = "b-1", .status = "processing", .total = 2,
					 .completed = 1, .elapsed_us = 2050007, .wall_ms = 1000};
	struct tm_json *json;

	tm_batch_put_open(&out, &sum);
	tm_batch_put_unanswered(&out, 0, "processing");
	tm_buf_putc(&out, ',');
	tm_batch_put_unanswered(&out, 1, "pending");
	tm_batch_put_close(&out, &sum);
	json = parsed();
	cr_expect_str_eq(text_of(json, "batch_id"), "b-1");
	cr_expect_str_eq(text_of(json, "status"), "processing");
	cr_expect_eq(tm_json_int(tm_json_get(json, "total_requests")), 2);
	cr_expect_eq(tm_json_int(tm_json_get(json, "completed")), 1);
	cr_expect_eq(tm_json_int(tm_json_get(json, "failed")), 0);
	cr_expect_eq(tm_json_count(tm_json_get(json, "results")), 2);
	cr_expect_str_eq(text_of(tm_json_item(tm_json_get(json, "results"), 1), "status"),
			 "pending");
	cr_expect_str_eq(text_of(json, "timestamp"), "1970-01-01T00:00:01.000Z");
	cr_expect(strstr(out.data, "\"total_processing_time\":2.050007,"), "%s", out.data);
	tm_json_free(json);
}
