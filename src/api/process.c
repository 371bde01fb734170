/*
 * POST /v1/process: the body to a task, the task through flow, the outcome to a response.
 */
#include "api/answer.h"
#include "api/body.h"
#include "api/idempotent.h"
#include "api/route.h"
#include "api/stream.h"

static bool check_input(struct tm_context *context, const struct tm_input *input)
{
	struct tm_problem_more more;
	enum tm_problem problem;

	if (input->errors_count == 0)
		return true;
	problem = tm_input_problem(input, &more);
	tm_problem_set(context->response, context->request, problem, &more);
	return false;
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

static void respond(struct tm_context *context, const struct tm_input *input,
		    const struct tm_process *process, const struct tm_outcome *outcome)
{
	struct tm_request *request = context->request;
	struct tm_response *response = context->response;
	struct tm_problem_more more;
	enum tm_problem problem;

	if (outcome->end == TM_PROCESS_GONE) {
		response->silent = true;
		response->detail = outcome->detail;
		return;
	}
	tm_answer_put_headers(response, process->no_cache, outcome);
	if (outcome->end == TM_PROCESS_ANSWERED) {
		tm_answer_put(&response->body, request, input, outcome);
		return;
	}
	response->expected = outcome->end == TM_PROCESS_NOT_CACHED;
	problem = tm_answer_problem(request, outcome, &more);
	tm_problem_set(response, request, problem, &more);
}

static bool guards(const struct tm_request *request, enum tm_guard_action action)
{
	return request->settings->guard.action == (int64_t)action;
}

static void run_process(struct tm_context *context, struct tm_input *input, bool stream)
{
	struct tm_request *request = context->request;
	struct tm_process process = {
		.settings = request->settings,
		.principal = &request->principal,
		.arena = request->arena, .token = request->token,
		.task = input->task,
		.no_cache = tm_request_cache_control(request, "no-cache"),
		.no_store = tm_request_cache_control(request, "no-store"),
		.only_if_cached = tm_request_cache_control(request, "only-if-cached"),
		.deadline_ms = request->start_us / 1000 + request->settings->llm.deadline_ms,
		.arrived_ms = tm_request_arrived_ms(request),
		.watch_fd = tm_exchange_fd(request->exchange),
	};
	struct tm_outcome outcome;
	struct tm_stream out;

	if (stream)
		tm_stream_open(&out, context, input, &process, &outcome);
	tm_process_run(&context->services, &process, &outcome);
	request->redis_us += outcome.redis_us;
	request->llm_us += outcome.llm_us;
	record(context, &process, &outcome);
	if (guards(request, TM_GUARD_LOG) && !outcome.hit)
		tm_input_guard(context, input);	/* one that was answered before was seen then */
	if (!stream || !tm_stream_close(&out))
		respond(context, input, &process, &outcome);
}

static void run(struct tm_context *context)
{
	struct tm_request *request = context->request;
	const struct tm_rules rules = {request->settings, context->services.operations};
	struct tm_json *json = NULL;
	struct tm_input input;

	if (!tm_body_parse(context, &json))
		return;
	if (tm_validate(json, &rules, request->arena, &input) != TM_OK) {
		tm_body_say_nomem(context);
	} else {
		if (guards(request, TM_GUARD_REJECT))
			tm_input_guard(context, &input);
		if (check_input(context, &input))
			run_process(context, &input, tm_request_wants_stream(request));
	}
	tm_json_free(json);
}

void tm_route_process(struct tm_context *context)
{
	const struct tm_request *request = context->request;
	const struct tm_idempotent what = {
		.route = "process", .run = run, .stream = tm_request_wants_stream(request),
		.deadline_ms = request->settings->llm.deadline_ms,
	};

	if (what.stream || tm_request_accepts(request, "application", "json"))
		tm_idempotent_run(context, &what);
	else
		tm_problem_say(context->response, request, TM_PROBLEM_NOT_ACCEPTABLE,
			       "Answers are application/json or text/event-stream.");
}
