/*
 * POST /v1/batch_process: the body to tasks, the tasks through flow together, the outcomes to one
 * object. Items are validated one by one: what is wrong with one is that one's own problem.
 */
#include "api/batch.h"

#include <stdio.h>
#include <string.h>

#include "api/answer.h"
#include "api/auth.h"
#include "api/body.h"
#include "api/idempotent.h"
#include "api/problem.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "flow/batch.h"

enum { AGAIN_MS = 1000 };

/* What is wrong with the batch itself. */
struct faults {
	struct tm_field_error list[2];
	size_t count;
};

static void add_fault(struct faults *faults, const char *field, const char *message)
{
	faults->list[faults->count++] =
		(struct tm_field_error){field, message ? message : "is not valid"};
}

static void read_id(const struct tm_request *request, const struct tm_json *json,
		    struct tm_batch *batch, struct faults *faults)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	const struct tm_json *value = tm_json_get(json, "batch_id");
	const char *text;
	size_t len;

	if (tm_json_kind(value) == TM_JSON_NULL) {
		memcpy(batch->id, request->claim, sizeof(request->claim));
		return;
	}
	text = tm_json_text(value, &len);
	/* "." and ".." are segments that web servers and clients take out of a path */
	if (!text || len < 1 || len > TM_BATCH_ID_MAX || strspn(text, plain) != len ||
	    strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		add_fault(faults, "batch_id",
			  "must be a string of 1 to 64 of A-Z, a-z, 0-9, _, . and -, and neither "
			  ". nor ..");
	else
		memcpy(batch->id, text, len + 1);
}

static const struct tm_json *read_requests(const struct tm_context *context,
					   const struct tm_json *json, struct faults *faults)
{
	const struct tm_json *list = tm_json_get(json, "requests");
	struct tm_arena *arena = context->request->arena;

	if (tm_json_kind(json) != TM_JSON_OBJECT_KIND)
		add_fault(faults, "", tm_arena_printf(arena, "must be an object, not %s",
						      tm_json_kind_text(tm_json_kind(json))));
	else if (!list)
		add_fault(faults, "requests", "is required");
	else if (tm_json_kind(list) != TM_JSON_ARRAY)
		add_fault(faults, "requests",
			  tm_arena_printf(arena, "must be an array, not %s",
					  tm_json_kind_text(tm_json_kind(list))));
	else if (tm_json_count(list) == 0)
		add_fault(faults, "requests", "must hold at least one item");
	return list;
}

/* What the guard says of an item is recorded with the item. */
static void guard(struct tm_context *context, struct tm_batch_item *item)
{
	tm_input_guard(context, &item->input);
	item->guarded = context->usage->guarded;
	context->usage->guarded = 0;
	context->usage->operation = "";
}

static bool read_items(struct tm_context *context, const struct tm_json *list,
		       struct tm_batch *batch)
{
	const struct tm_request *request = context->request;
	const struct tm_rules rules = {request->settings, context->services.operations};

	batch->count = tm_json_count(list);
	batch->items = tm_arena_alloc(request->arena, batch->count * sizeof(*batch->items));
	for (size_t i = 0; batch->items && i < batch->count; i++) {
		struct tm_batch_item *item = &batch->items[i];

		item->json = tm_json_item(list, i);
		if (tm_validate(item->json, &rules, request->arena, &item->input) == TM_OK)
			guard(context, item);
		else
			batch->items = NULL;
	}
	if (!batch->items)
		tm_body_say_nomem(context);
	return batch->items;
}

bool tm_batch_read(struct tm_context *context, struct tm_json **json, struct tm_batch *batch)
{
	const struct tm_request *request = context->request;
	int64_t most = request->settings->limits.batch_max;
	struct faults faults = {.count = 0};
	const struct tm_json *list;

	*json = NULL;
	*batch = (struct tm_batch){.count = 0};
	if (!tm_body_parse(context, json))
		return false;
	list = read_requests(context, *json, &faults);
	read_id(request, *json, batch, &faults);
	if (faults.count > 0) {
		tm_problem_set(context->response, request, TM_PROBLEM_INVALID,
			       &(struct tm_problem_more){
				       .detail = "Some fields are not valid; errors lists "
						 "them all.",
				       .errors = faults.list, .errors_count = faults.count});
		return false;
	}
	if ((int64_t)tm_json_count(list) > most) {
		const char *detail = tm_arena_printf(request->arena,
						     "A batch holds at most %lld items, not %zu.",
						     (long long)most, tm_json_count(list));

		tm_problem_say(context->response, request, TM_PROBLEM_BAD_REQUEST,
			       detail ? detail : "The batch holds too many items.");
		return false;
	}
	return read_items(context, list, batch);
}

/* What the run of a batch needs beside the work. */
struct ongoing {
	struct tm_context *context;
	const struct tm_batch *batch;
	struct tm_batch_work *work;
};

/* Each item is recorded as the request that it might have been, as soon as it has ended. */
static void record(void *arg, size_t index)
{
	struct ongoing *ongoing = arg;
	struct tm_context *context = ongoing->context;
	const struct tm_batch_item *item = &ongoing->batch->items[index];
	const struct tm_outcome *outcome = &ongoing->work->entries[index].outcome;
	struct tm_problem_more more;
	struct tm_usage_event event = {
		.key_id = context->request->principal.id,
		.operation = item->input.task.operation->id,
		.at_ms = tm_clock_wall_ms(), .status = 200, .hit = outcome->hit,
		.guarded = item->guarded,
		.llm_calls = outcome->attempts, .input_tokens = outcome->input_tokens,
		.output_tokens = outcome->output_tokens,
	};

	if (outcome->end == TM_PROCESS_GONE)
		event.status = 499;
	else if (outcome->end != TM_PROCESS_ANSWERED)
		event.status = tm_problem_status(tm_answer_problem(context->request, outcome,
								   &more));
	tm_usage_add(context->record, &event);
	tm_usage_flush(context->record, context->services.redis);
}

/* The same of an item that the guard has turned away. */
static void record_guarded(const struct ongoing *ongoing, size_t index)
{
	struct tm_context *context = ongoing->context;
	const struct tm_usage_event event = {
		.key_id = context->request->principal.id,
		.operation = ongoing->batch->items[index].input.task.operation->id,
		.at_ms = tm_clock_wall_ms(), .guarded = true,
		.status = tm_problem_status(TM_PROBLEM_INVALID),
	};

	tm_usage_add(context->record, &event);
}

/* One line for all items that the server could not do. */
static void log_failures(const struct ongoing *ongoing)
{
	size_t failed = 0, first = 0;
	const char *detail = "";

	for (size_t i = 0; i < ongoing->batch->count; i++) {
		const struct tm_outcome *outcome = &ongoing->work->entries[i].outcome;

		if (!ongoing->work->entries[i].task || outcome->end == TM_PROCESS_ANSWERED ||
		    outcome->end == TM_PROCESS_QUOTA)
			continue;
		if (failed++ == 0) {
			first = i;
			detail = outcome->detail;
		}
	}
	if (failed > 0)
		tm_log(TM_LOG_ERROR, "batch %s: %zu of %zu items failed, the first is %zu: %s",
		       ongoing->batch->id, failed, ongoing->batch->count, first, detail);
}

static void put_results(struct tm_buf *out, const struct ongoing *ongoing)
{
	for (size_t i = 0; i < ongoing->batch->count; i++) {
		const struct tm_batch_entry *entry = &ongoing->work->entries[i];

		if (i > 0)
			tm_buf_putc(out, ',');
		(void)tm_batch_put_result(out, ongoing->context->request, i,
					  &ongoing->batch->items[i].input,
					  entry->task ? &entry->outcome : NULL);
	}
}

static void answer(const struct ongoing *ongoing)
{
	struct tm_context *context = ongoing->context;
	struct tm_buf *body = &context->response->body;
	struct tm_batch_sum sum = {.id = ongoing->batch->id, .status = "completed",
				   .total = ongoing->batch->count};

	for (size_t i = 0; i < sum.total; i++)
		if (ongoing->work->entries[i].task &&
		    ongoing->work->entries[i].outcome.end == TM_PROCESS_ANSWERED)
			sum.completed++;
	sum.failed = sum.total - sum.completed;
	sum.elapsed_us = tm_clock_mono_us() - context->request->start_us;
	sum.wall_ms = tm_clock_wall_ms();
	tm_batch_put_open(body, &sum);
	put_results(body, ongoing);
	tm_batch_put_close(body, &sum);
	if (tm_buf_err(body) == TM_OK &&
	    !tm_batch_keep(&context->services, ongoing->work, body->data, body->len,
			   context->request->settings->jobs.ttl_ms))
		tm_log(TM_LOG_WARN, "batch %s: its results are not kept", ongoing->batch->id);
	log_failures(ongoing);
}

/* A batch that was refused as a whole. */
static void say_limited(const struct ongoing *ongoing)
{
	struct tm_context *context = ongoing->context;
	const struct tm_batch_work *work = ongoing->work;
	struct tm_outcome outcome = {.end = TM_PROCESS_LIMITED, .verdict = work->verdict,
				     .policies_count = work->policies_count,
				     .retry_after_ms = work->verdict.retry_ms, .detail = ""};
	struct tm_problem_more more;
	enum tm_problem problem;

	memcpy(outcome.policies, work->policies, sizeof(outcome.policies));
	problem = tm_answer_problem(context->request, &outcome, &more);
	tm_problem_set(context->response, context->request, problem, &more);
}

static void respond(const struct ongoing *ongoing)
{
	struct tm_context *context = ongoing->context;
	const struct tm_batch_work *work = ongoing->work;

	if (work->policies_count > 0 &&
	    (work->end == TM_BATCH_DONE || work->end == TM_BATCH_LIMITED))
		tm_auth_put_limits(context->response, work->policies, work->policies_count,
				   &work->verdict);
	switch (work->end) {
	case TM_BATCH_DONE:
		answer(ongoing);
		break;
	case TM_BATCH_LIMITED:
		say_limited(ongoing);
		break;
	case TM_BATCH_ANSWERED:
		tm_buf_put(&context->response->body, work->object, work->object_len);
		break;
	case TM_BATCH_CONFLICT:
		tm_batch_say_conflict(context, ongoing->batch->id);
		break;
	case TM_BATCH_REDIS_DOWN:
		tm_problem_set(context->response, context->request, TM_PROBLEM_OVERLOADED,
			       &(struct tm_problem_more){
				       .detail = "Batches cannot be taken at the moment.",
				       .log = "batches need Redis, which is away",
				       .retry_after_ms = AGAIN_MS});
		break;
	case TM_BATCH_GONE:
		context->response->silent = true;
		context->response->detail = "the client left while its batch ran";
		break;
	case TM_BATCH_NOMEM:
		tm_body_say_nomem(context);
		break;
	}
}

static void run_now(struct tm_context *context, const struct tm_batch *batch)
{
	struct tm_request *request = context->request;
	const struct tm_settings *settings = request->settings;
	char claim[TM_BATCH_KEY_BYTES];
	struct ongoing ongoing = {.context = context, .batch = batch};
	struct tm_batch_work work = {
		.settings = settings, .principal = &request->principal, .arena = request->arena,
		.token = request->token, .id_claim = claim, .claim = request->claim,
		.no_cache = tm_request_cache_control(request, "no-cache"),
		.no_store = tm_request_cache_control(request, "no-store"),
		.only_if_cached = tm_request_cache_control(request, "only-if-cached"),
		.deadline_ms = request->start_us / 1000 + settings->batch.deadline_ms,
		.arrived_ms = tm_request_arrived_ms(request),
		.watch_fd = tm_exchange_fd(request->exchange),
		.ended = record, .arg = &ongoing, .count = batch->count,
	};

	ongoing.work = &work;
	work.entries = tm_arena_alloc(request->arena, batch->count * sizeof(*work.entries));
	if (!work.entries) {
		tm_body_say_nomem(context);
		return;
	}
	for (size_t i = 0; i < batch->count; i++)
		if (batch->items[i].input.errors_count == 0)
			work.entries[i].task = &batch->items[i].input.task;
	tm_batch_key(settings->redis.prefix, request->principal.user, batch->id, claim);
	tm_batch_run(&context->services, &work);
	for (size_t i = 0; work.end == TM_BATCH_DONE && i < batch->count; i++)
		if (!work.entries[i].task && batch->items[i].guarded)
			record_guarded(&ongoing, i);
	request->redis_us += work.redis_us;
	request->llm_us += work.llm_us;
	respond(&ongoing);
}

static void run(struct tm_context *context)
{
	struct tm_json *json = NULL;
	struct tm_batch batch;
	const char *value;

	if (tm_batch_read(context, &json, &batch)) {
		if (tm_request_prefers(context->request, "respond-async", &value))
			tm_jobs_submit_route(context, &batch);
		else
			run_now(context, &batch);
	}
	tm_json_free(json);
}

void tm_route_batch_process(struct tm_context *context)
{
	const int64_t deadline_ms = context->request->settings->batch.deadline_ms;
	const int64_t wait_ms = tm_jobs_wait_ms(context->request);
	const struct tm_idempotent what = {
		.route = "batch_process", .run = run,
		.deadline_ms = wait_ms > deadline_ms ? wait_ms : deadline_ms,
	};

	if (tm_request_accepts(context->request, "application", "json"))
		tm_idempotent_run(context, &what);
	else
		tm_problem_say(context->response, context->request, TM_PROBLEM_NOT_ACCEPTABLE,
			       "Answers are application/json.");
}
