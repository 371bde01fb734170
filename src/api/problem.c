/*
 * The table of problems is API.md's table of errors; a client switches on code, a person reads
 * title and detail, support asks for request_id.
 */
#include "api/problem.h"

#include "io/json.h"

static const struct {
	int status;
	const char *code, *slug, *title;
} problems[] = {
	[TM_PROBLEM_BAD_REQUEST] = {400, "bad_request", "bad-request", "Bad request"},
	[TM_PROBLEM_UNAUTHENTICATED] = {401, "unauthenticated", "unauthenticated",
					"Authentication required"},
	[TM_PROBLEM_FORBIDDEN] = {403, "forbidden", "forbidden", "Permission missing"},
	[TM_PROBLEM_NOT_FOUND] = {404, "not_found", "not-found", "Not found"},
	[TM_PROBLEM_METHOD_NOT_ALLOWED] = {405, "method_not_allowed", "method-not-allowed",
					   "Method not allowed"},
	[TM_PROBLEM_NOT_ACCEPTABLE] = {406, "not_acceptable", "not-acceptable", "Not acceptable"},
	[TM_PROBLEM_CONFLICT] = {409, "conflict", "conflict", "Conflict"},
	[TM_PROBLEM_TOO_LARGE] = {413, "too_large", "too-large", "Body too large"},
	[TM_PROBLEM_UNSUPPORTED_MEDIA_TYPE] = {415, "unsupported_media_type",
					       "unsupported-media-type", "Unsupported media type"},
	[TM_PROBLEM_INVALID] = {422, "invalid", "invalid", "Invalid request"},
	[TM_PROBLEM_RATE_LIMITED] = {429, "rate_limited", "rate-limited", "Rate limit exceeded"},
	[TM_PROBLEM_QUOTA_EXCEEDED] = {429, "quota_exceeded", "quota-exceeded", "Quota exceeded"},
	[TM_PROBLEM_INTERNAL] = {500, "internal", "internal", "Internal error"},
	[TM_PROBLEM_LLM_ERROR] = {502, "llm_error", "llm-error", "LLM provider error"},
	[TM_PROBLEM_LLM_UNAVAILABLE] = {503, "llm_unavailable", "llm-unavailable",
					"LLM unavailable"},
	[TM_PROBLEM_OVERLOADED] = {503, "overloaded", "overloaded", "Service overloaded"},
	[TM_PROBLEM_DEADLINE_EXCEEDED] = {504, "deadline_exceeded", "deadline-exceeded",
					  "Deadline exceeded"},
};

_Static_assert(sizeof(problems) / sizeof(problems[0]) == TM_PROBLEM_COUNT,
	       "a problem lacks its row");

int tm_problem_status(enum tm_problem problem)
{
	return problems[problem].status;
}

static int64_t retry_seconds(const struct tm_problem_more *more)
{
	return more->retry_after_ms > 0 ? (more->retry_after_ms + 999) / 1000 : 0;
}

static void put_errors(struct tm_buf *out, const struct tm_problem_more *more)
{
	tm_buf_puts(out, ",\"errors\":[");
	for (size_t i = 0; i < more->errors_count; i++) {
		tm_buf_puts(out, i ? ",{\"field\":" : "{\"field\":");
		tm_json_put_cstr(out, more->errors[i].field);
		tm_buf_puts(out, ",\"message\":");
		tm_json_put_cstr(out, more->errors[i].message);
		tm_buf_putc(out, '}');
	}
	tm_buf_putc(out, ']');
}

void tm_problem_write(struct tm_buf *out, const char *request_id, enum tm_problem problem,
		      const struct tm_problem_more *more)
{
	tm_buf_printf(out, "{\"type\":\"https://textmill.dev/errors/%s\",\"title\":\"%s\","
		      "\"status\":%d,\"detail\":", problems[problem].slug, problems[problem].title,
		      problems[problem].status);
	tm_json_put_cstr(out, more->detail);
	tm_buf_printf(out, ",\"code\":\"%s\",\"request_id\":\"%s\"", problems[problem].code,
		      request_id);
	if (more->retry_after_ms > 0) {
		tm_buf_puts(out, ",\"retry_after\":");
		tm_buf_put_int(out, retry_seconds(more));
	}
	if (more->errors_count > 0)
		put_errors(out, more);
	tm_buf_putc(out, '}');
}

void tm_problem_note(struct tm_response *response, const struct tm_request *request,
		     enum tm_problem problem, const struct tm_problem_more *more)
{
	response->status = problems[problem].status;
	response->code = problems[problem].code;
	response->detail = tm_arena_strdup(request->arena, more->log ? more->log : more->detail);
}

void tm_problem_set(struct tm_response *response, const struct tm_request *request,
		    enum tm_problem problem, const struct tm_problem_more *more)
{
	tm_problem_note(response, request, problem, more);
	response->content_type = "application/problem+json; charset=utf-8";
	tm_buf_reset(&response->body, response->body.size);
	if (more->retry_after_ms > 0)
		tm_response_headerf(response, "Retry-After", "%lld",
				    (long long)retry_seconds(more));
	tm_problem_write(&response->body, request->id, problem, more);
}

void tm_problem_say(struct tm_response *response, const struct tm_request *request,
		    enum tm_problem problem, const char *detail)
{
	tm_problem_set(response, request, problem, &(struct tm_problem_more){.detail = detail});
}
