/* What a run came to, as the objects API.md promises: the answer, or the problem. */
#include "api/answer.h"

#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"

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
	tm_buf_puts(body, ",\"cost\":");
	if (outcome->cost < 0)
		tm_buf_puts(body, "null");
	else
		tm_json_put_double(body, outcome->cost);
	tm_buf_putc(body, '}');
	if (outcome->hit)
		put_time(body, ",\"cached_at\":", outcome->cached_ms);
	else
		tm_buf_puts(body, ",\"cached_at\":null");
	tm_buf_puts(body, outcome->degraded ? ",\"degraded\":true" : ",\"degraded\":false");
	tm_buf_puts(body, ",\"user\":");
	if (input->user_metadata)
		tm_json_put(body, input->user_metadata);
	else
		tm_buf_puts(body, "{}");
	tm_buf_putc(body, '}');
}

void tm_answer_put(struct tm_buf *body, const struct tm_request *request,
		   const struct tm_input *input, const struct tm_outcome *outcome)
{
	int64_t now_us = tm_clock_mono_us();
	int64_t ended_us = outcome->ended_us ? outcome->ended_us : now_us;

	tm_buf_puts(body, "{\"operation\":\"");
	tm_buf_puts(body, input->task.operation->id);
	tm_buf_puts(body, "\",\"success\":true,");
	tm_buf_put(body, outcome->answer, outcome->answer_len);
	put_metadata(body, request, input, outcome);
	tm_buf_puts(body, ",\"processing_time\":");
	put_seconds(body, ended_us - request->start_us);
	put_time(body, ",\"timestamp\":", tm_clock_wall_ms() - (now_us - ended_us) / 1000);
	tm_buf_puts(body, outcome->hit ? ",\"cache_hit\":true}" : ",\"cache_hit\":false}");
}

void tm_answer_put_headers(struct tm_response *response, bool no_cache,
			   const struct tm_outcome *outcome)
{
	if (outcome->policies_count > 0 && outcome->end != TM_PROCESS_REDIS_DOWN)
		tm_auth_put_limits(response, outcome->policies, outcome->policies_count,
				   &outcome->verdict);
	if (outcome->end != TM_PROCESS_ANSWERED)
		return;
	if (outcome->hit)
		tm_response_headerf(response, "Cache-Status", "textmill; hit; ttl=%lld",
				    (long long)(outcome->ttl_ms / 1000));
	else
		tm_response_headerf(response, "Cache-Status", "textmill; fwd=%s%s%s",
				    no_cache ? "request" : "miss",
				    outcome->stored ? "; stored" : "",
				    outcome->collapsed ? "; collapsed" : "");
}

static const char *limit_detail(const struct tm_request *request, const struct tm_outcome *outcome)
{
	const struct tm_policy *policy = &outcome->policies[outcome->verdict.tightest];
	const char *window = strcmp(policy->name, "minute") == 0 ? "minute" : "hour";
	int64_t wait_s = (outcome->retry_after_ms + 999) / 1000;
	const char *detail;

	if (outcome->retry_after_ms == TM_LIMIT_NEVER)
		detail = tm_arena_printf(request->arena,
					 "A batch of %lld items does not fit into %lld requests "
					 "per %s: send fewer items at once.",
					 (long long)outcome->verdict.cost,
					 (long long)policy->quota, window);
	else
		detail = tm_arena_printf(
			request->arena, "%lld %s per %s for key %s: try again in %lld s",
			(long long)policy->quota,
			outcome->end == TM_PROCESS_QUOTA ? "LLM calls" : "requests", window,
			request->principal.id, (long long)wait_s);
	return detail ? detail : "Over a limit.";
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

enum tm_problem tm_answer_problem(const struct tm_request *request,
				  const struct tm_outcome *outcome, struct tm_problem_more *more)
{
	enum tm_problem problem;

	*more = (struct tm_problem_more){.retry_after_ms = outcome->retry_after_ms};
	if (outcome->end == TM_PROCESS_LIMITED || outcome->end == TM_PROCESS_QUOTA) {
		more->detail = limit_detail(request, outcome);
		if (more->retry_after_ms < 1 && more->retry_after_ms != TM_LIMIT_NEVER)
			more->retry_after_ms = 1;
		return outcome->end == TM_PROCESS_QUOTA ? TM_PROBLEM_QUOTA_EXCEEDED
							 : TM_PROBLEM_RATE_LIMITED;
	}
	problem = ends[outcome->end].problem;
	more->detail = ends[outcome->end].detail;
	more->log = outcome->detail[0] ? outcome->detail : NULL;
	if (problem == TM_PROBLEM_LLM_ERROR || problem == TM_PROBLEM_DEADLINE_EXCEEDED)
		more->retry_after_ms = 0;
	else if (more->retry_after_ms < 1000)
		more->retry_after_ms = 1000;
	return problem;
}
