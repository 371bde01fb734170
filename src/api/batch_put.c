/* The objects of a batch: one per item, and the one around them. */
#include "api/batch.h"

#include <stdio.h>

#include "api/answer.h"
#include "api/problem.h"
#include "base/clock.h"

void tm_batch_key(const char *prefix, const char *user, const char *id,
		  char out[TM_BATCH_KEY_BYTES])
{
	(void)snprintf(out, TM_BATCH_KEY_BYTES, "%.48sbatch:{%.64s:%.64s}", prefix, user, id);
}

void tm_batch_say_conflict(struct tm_context *context, const char *id)
{
	const char *detail = tm_arena_printf(context->request->arena,
					     "The batch_id %s is in use.", id);

	tm_problem_say(context->response, context->request, TM_PROBLEM_CONFLICT,
		       detail ? detail : "The batch_id is in use.");
}

bool tm_batch_put_result(struct tm_buf *out, const struct tm_request *request, size_t index,
			 const struct tm_input *input, const struct tm_outcome *outcome)
{
	bool completed = outcome && outcome->end == TM_PROCESS_ANSWERED;
	struct tm_problem_more more;
	enum tm_problem problem;

	tm_buf_puts(out, "{\"request_index\":");
	tm_buf_put_int(out, (int64_t)index);
	if (completed) {
		tm_buf_puts(out, ",\"status\":\"completed\",\"response\":");
		tm_answer_put(out, request, input, outcome);
		tm_buf_puts(out, ",\"error\":null}");
		return true;
	}
	problem = outcome ? tm_answer_problem(request, outcome, &more)
			  : tm_input_problem(input, &more);
	tm_buf_puts(out, ",\"status\":\"failed\",\"response\":null,\"error\":");
	tm_problem_write(out, request->id, problem, &more);
	tm_buf_putc(out, '}');
	return false;
}

void tm_batch_put_unanswered(struct tm_buf *out, size_t index, const char *status)
{
	tm_buf_puts(out, "{\"request_index\":");
	tm_buf_put_int(out, (int64_t)index);
	tm_buf_printf(out, ",\"status\":\"%s\",\"response\":null,\"error\":null}", status);
}

void tm_batch_put_open(struct tm_buf *out, const struct tm_batch_sum *sum)
{
	tm_buf_printf(out, "{\"batch_id\":\"%s\",\"status\":\"%s\",\"total_requests\":%zu,"
		      "\"completed\":%zu,\"failed\":%zu,\"results\":[", sum->id, sum->status,
		      sum->total, sum->completed, sum->failed);
}

void tm_batch_put_close(struct tm_buf *out, const struct tm_batch_sum *sum)
{
	char iso[TM_CLOCK_ISO_BYTES];

	tm_buf_putc(out, ']');
	if (sum->waiting && sum->waiting[0])
		tm_buf_printf(out, ",\"waiting\":\"%s\",\"waiting_until\":\"%s\"", sum->waiting,
			      tm_clock_iso(sum->waiting_until_ms, iso));
	tm_buf_printf(out, ",\"total_processing_time\":%lld.%06lld,\"timestamp\":\"%s\"}",
		      (long long)(sum->elapsed_us / 1000000),
		      (long long)(sum->elapsed_us % 1000000), tm_clock_iso(sum->wall_ms, iso));
}
