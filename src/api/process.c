/*
 * POST /v1/process: the body to a task, the task through flow, the outcome to a response.
 */
#include <string.h>

#include "api/auth.h"
#include "api/problem.h"
#include "api/route.h"
#include "api/validate.h"
#include "base/clock.h"
#include "base/utf8.h"

static bool parse_body(struct tm_context *context, struct tm_json **out)
{
	const struct tm_request *request = context->request;
	enum tm_err err = tm_json_parse(tm_buf_text(context->body), context->body->len,
					(int)request->settings->limits.json_depth, out);
	const char *detail;

	switch (err) {
	case TM_OK:
		return true;
	case TM_EUTF8:
		detail = "The body is not valid UTF-8.";
		break;
	case TM_ESIZE:
		detail = "The body's JSON is nested too deeply.";
		break;
	case TM_ENOMEM:
		tm_problem_set(context->response, request, TM_PROBLEM_OVERLOADED,
			       &(struct tm_problem_more){.detail = "Out of memory.",
							 .retry_after_ms = 1000});
		return false;
	default:
		detail = "The body is not JSON.";
	}
	tm_problem_say(context->response, request, TM_PROBLEM_BAD_REQUEST, detail);
	return false;
}

static bool check_input(struct tm_context *context, const struct tm_input *input)
{
	bool question_only = input->question_missing && input->errors_count == 1;
	const struct tm_problem_more more = {
		.detail = question_only ? "This operation needs a question."
					: "Some fields are not valid; errors lists them all.",
		.errors = input->errors,
		.errors_count = input->errors_count,
	};

	if (input->errors_count == 0)
		return true;
	tm_problem_set(context->response, context->request,
		       question_only ? TM_PROBLEM_BAD_REQUEST : TM_PROBLEM_INVALID, &more);
	return false;
}

static void put_time(struct tm_buf *body, const char *name, int64_t wall_ms)
{
	char iso[TM_CLOCK_ISO_BYTES];

	tm_buf_puts(body, name);
	tm_buf_putc(body, '"');
	tm_buf_puts(body, tm_clock_iso(wall_ms, iso));
	tm_buf_putc(body, '"');
}

/* Seconds with microseconds: processing_time. */
static void put_seconds(struct tm_buf *body, int64_t us)
{
	char digits[6];
	int64_t rest = us % 1000000;

	tm_buf_put_int(body, us / 1000000);
	tm_buf_putc(body, '.');
	for (int i = 5; i >= 0; i--, rest /= 10)
		digits[i] = (char)('0' + rest % 10);
	tm_buf_put(body, digits, sizeof(digits));
}

static void put_metadata(struct tm_buf *body, const struct tm_request *request,
			 const struct tm_input *input, const struct tm_outcome *outcome)
{
	tm_buf_puts(body, ",\"metadata\":{\"request_id\":\"");
	tm_buf_puts(body, request->id);
	tm_buf_puts(body, "\",\"word_count\":");
	tm_buf_put_int(body, (int64_t)tm_utf8_words(input->task.text, input->task.text_len));
	tm_buf_putc(body, ',');
	tm_buf_put(body, outcome->meta, outcome->meta_len);
	tm_buf_puts(body, ",\"attempts\":");
	tm_buf_put_int(body, outcome->attempts);
	tm_buf_puts(body, ",\"usage\":{\"input_tokens\":");
	tm_buf_put_int(body, outcome->input_tokens);
	tm_buf_puts(body, ",\"output_tokens\":");
	tm_buf_put_int(body, outcome->output_tokens);
	tm_buf_puts(body, ",\"cost\":null}");
	if (outcome->hit)
		put_time(body, ",\"cached_at\":", outcome->cached_ms);
	else
		tm_buf_puts(body, ",\"cached_at\":null");
	tm_buf_puts(body, ",\"degraded\":false,\"user\":");
	if (input->user_metadata)
		tm_json_put(body, input->user_metadata);
	else
		tm_buf_puts(body, "{}");
	tm_buf_putc(body, '}');
}

static void put_answer(struct tm_response *response, const struct tm_request *request,
		       const struct tm_input *input, const struct tm_outcome *outcome)
{
	struct tm_buf *body = &response->body;

	tm_buf_puts(body, "{\"operation\":\"");
	tm_buf_puts(body, input->task.operation->id);
	tm_buf_puts(body, "\",\"success\":true,");
	tm_buf_put(body, outcome->answer, outcome->answer_len);
	put_metadata(body, request, input, outcome);
	tm_buf_puts(body, ",\"processing_time\":");
	put_seconds(body, tm_clock_mono_us() - request->start_us);
	put_time(body, ",\"timestamp\":", tm_clock_wall_ms());
	tm_buf_puts(body, outcome->hit ? ",\"cache_hit\":true}" : ",\"cache_hit\":false}");
}

/* RFC 9211. */
static void put_cache_status(struct tm_response *response, const struct tm_process *process,
			     const struct tm_outcome *outcome)
{
	if (outcome->hit)
		tm_response_headerf(response, "Cache-Status", "textmill; hit; ttl=%lld",
				    (long long)(outcome->ttl_ms / 1000));
	else
		tm_response_headerf(response, "Cache-Status", "textmill; fwd=%s%s",
				    process->no_cache ? "request" : "miss",
				    outcome->stored ? "; stored" : "");
}

static const char *limit_detail(struct tm_context *context, const struct tm_outcome *outcome)
{
	const struct tm_policy *policy = &outcome->policies[outcome->verdict.tightest];
	int64_t wait_s = (outcome->retry_after_ms + 999) / 1000;

	return tm_arena_printf(context->request->arena, "%lld %s per %s for key %s: try again in %lld s",
			       (long long)policy->quota,
			       outcome->end == TM_PROCESS_QUOTA ? "LLM calls" : "requests",
			       strcmp(policy->name, "minute") == 0 ? "minute" : "hour",
			       context->request->principal.id, (long long)wait_s);
}

/* What each end other than an answer says. */
static const struct {
	enum tm_problem problem;
	const char *detail;
} ends[] = {
	[TM_PROCESS_NOT_CACHED] = {TM_PROBLEM_DEADLINE_EXCEEDED,
		"No stored answer, and the request said only-if-cached."},
	[TM_PROCESS_REDIS_DOWN] = {TM_PROBLEM_OVERLOADED,
		"Rate limits cannot be checked at the moment."},
	[TM_PROCESS_REFUSED] = {TM_PROBLEM_LLM_ERROR, "The LLM provider refused the request."},
	[TM_PROCESS_NONSENSE] = {TM_PROBLEM_LLM_ERROR,
		"The LLM provider gave no answer of the expected form."},
	[TM_PROCESS_UNAVAILABLE] = {TM_PROBLEM_LLM_UNAVAILABLE,
		"No LLM provider answers at the moment."},
	[TM_PROCESS_DEADLINE] = {TM_PROBLEM_DEADLINE_EXCEEDED,
		"The LLM provider did not answer in time."},
	[TM_PROCESS_NOMEM] = {TM_PROBLEM_OVERLOADED, "Out of memory."},
};

static void put_failure(struct tm_context *context, const struct tm_outcome *outcome)
{
	struct tm_problem_more more = {.retry_after_ms = outcome->retry_after_ms};
	enum tm_problem problem;

	switch (outcome->end) {
	case TM_PROCESS_GONE:
		context->response->silent = true;
		context->response->detail = outcome->detail;
		return;
	case TM_PROCESS_LIMITED:
	case TM_PROCESS_QUOTA:
		problem = outcome->end == TM_PROCESS_QUOTA ? TM_PROBLEM_QUOTA_EXCEEDED
							    : TM_PROBLEM_RATE_LIMITED;
		more.detail = limit_detail(context, outcome);
		if (more.retry_after_ms < 1)
			more.retry_after_ms = 1;
		break;
	default:
		problem = ends[outcome->end].problem;
		more.detail = ends[outcome->end].detail;
		more.log = outcome->detail[0] ? outcome->detail : NULL;
	}
	if ((problem == TM_PROBLEM_LLM_UNAVAILABLE || problem == TM_PROBLEM_OVERLOADED) &&
	    more.retry_after_ms < 1000)
		more.retry_after_ms = 1000;
	if (problem == TM_PROBLEM_LLM_ERROR || problem == TM_PROBLEM_DEADLINE_EXCEEDED)
		more.retry_after_ms = 0;
	tm_problem_set(context->response, context->request, problem, &more);
}

static void record(struct tm_context *context, const struct tm_process *process,
		   const struct tm_outcome *outcome)
{
	context->usage->operation = process->task.operation->id;
	context->usage->hit = outcome->hit;
	context->usage->llm_calls = outcome->attempts;
	context->usage->input_tokens = outcome->input_tokens;
	context->usage->output_tokens = outcome->output_tokens;
}

static void run_process(struct tm_context *context, const struct tm_input *input)
{
	struct tm_request *request = context->request;
	const struct tm_process process = {
		.settings = request->settings,
		.principal = &request->principal,
		.arena = request->arena,
		.task = input->task,
		.no_cache = tm_request_cache_control(request, "no-cache"),
		.no_store = tm_request_cache_control(request, "no-store"),
		.only_if_cached = tm_request_cache_control(request, "only-if-cached"),
		.deadline_ms = request->start_us / 1000 + request->settings->llm.deadline_ms,
		.watch_fd = tm_exchange_fd(request->exchange),
	};
	struct tm_outcome outcome;

	tm_process_run(&context->services, &process, &outcome);
	request->redis_us += outcome.redis_us;
	request->llm_us += outcome.llm_us;
	record(context, &process, &outcome);
	if (outcome.policies_count > 0 && outcome.end != TM_PROCESS_REDIS_DOWN)
		tm_auth_put_limits(context->response, outcome.policies, outcome.policies_count,
				   &outcome.verdict);
	if (outcome.end != TM_PROCESS_ANSWERED) {
		put_failure(context, &outcome);
		return;
	}
	put_cache_status(context->response, &process, &outcome);
	put_answer(context->response, request, input, &outcome);
}

void tm_route_process(struct tm_context *context)
{
	struct tm_request *request = context->request;
	struct tm_json *json = NULL;
	struct tm_input input;

	if (!tm_request_accepts(request, "application", "json")) {
		tm_problem_say(context->response, request, TM_PROBLEM_NOT_ACCEPTABLE,
			       "Answers are application/json.");
		return;
	}
	if (!parse_body(context, &json))
		return;
	if (tm_validate(json, request->settings, request->arena, &input) != TM_OK)
		tm_problem_set(context->response, request, TM_PROBLEM_OVERLOADED,
			       &(struct tm_problem_more){.detail = "Out of memory.",
							 .retry_after_ms = 1000});
	else if (check_input(context, &input))
		run_process(context, &input);
	tm_json_free(json);
}
