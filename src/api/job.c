/*
 * An item is checked again before it runs: the configuration may have changed since it was
 * accepted. While it runs it is renewed, so that nobody else takes it; its result is kept until
 * Redis has it, as it may have cost an LLM call.
 */
#include "api/job.h"

#include <stdio.h>
#include <string.h>

#include "api/answer.h"
#include "api/batch.h"
#include "api/problem.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/redis.h"

enum {
	RESULT_MAX = 256 * 1024,	/* so that a whole batch fits into an answer (api/app) */
	REDIS_PAUSE_MS = 100,
	RENEW_MS = 1000,
	PUT_BACK_MS = 1000
};

/* One item at work. */
struct work {
	struct tm_context *context;
	struct tm_jobs *jobs;
	const struct tm_job_wait *wait;
	struct tm_job job;
	struct tm_input input;
	struct tm_outcome outcome;
	struct tm_buf result;
	bool completed;
	int64_t renewed_ms;
};

static void renew(void *arg)
{
	struct work *work = arg;
	int64_t now_ms = tm_clock_mono_ms();

	if (now_ms - work->renewed_ms < RENEW_MS / 2)
		return;
	work->renewed_ms = now_ms;
	tm_jobs_renew(work->jobs, &work->job);
}

/* Repeats a last word to Redis until it is taken. False: it never was, and the item is left to
 * whoever claims it. */
static bool insist(struct work *work, enum tm_err err)
{
	switch (err) {
	case TM_OK:
	case TM_EEXIST:
	case TM_DENIED:
		return false;
	default:
		break;
	}
	if (!work->wait->wait(work->wait->arg, REDIS_PAUSE_MS)) {
		tm_log(TM_LOG_WARN, "item %zu of %s could not be finished: %s; another job worker "
		       "will take it over", work->job.index, work->job.batch.key, tm_err_text(err));
		return false;
	}
	tm_redis_poll(work->jobs->redis);
	return true;
}

static void finish(struct work *work)
{
	enum tm_err err;

	do
		err = tm_jobs_finish(work->jobs, &work->job, work->completed, work->result.data,
				     work->result.len);
	while (insist(work, err));
	if (err == TM_EEXIST)
		tm_log(TM_LOG_INFO, "item %zu of %s had its result already", work->job.index,
		       work->job.batch.key);
}

/* True: put back. False: it would come back too late, and ends as it is. */
static bool put_back(struct work *work, int64_t delay_ms, const char *why)
{
	enum tm_err err;

	do
		err = tm_jobs_put_back(work->jobs, &work->job, delay_ms, why);
	while (insist(work, err));
	return err != TM_DENIED;
}

/* A result that is a problem of the service itself. */
static void fail(struct work *work, const char *detail)
{
	const struct tm_request *request = work->context->request;
	const struct tm_problem_more more = {.detail = detail};

	tm_buf_reset(&work->result, 0);
	tm_buf_printf(&work->result, "{\"request_index\":%zu,\"status\":\"failed\","
		      "\"response\":null,\"error\":", work->job.index);
	tm_problem_write(&work->result, request->id, TM_PROBLEM_INTERNAL, &more);
	tm_buf_putc(&work->result, '}');
	tm_problem_note(work->context->response, request, TM_PROBLEM_INTERNAL, &more);
	work->completed = false;
}

static void write_result(struct work *work, const struct tm_outcome *outcome)
{
	struct tm_context *context = work->context;
	struct tm_problem_more more;
	enum tm_problem problem;

	work->completed = tm_batch_put_result(&work->result, context->request, work->job.index,
					      &work->input, outcome);
	if (tm_buf_err(&work->result) != TM_OK) {
		fail(work, "The result is larger than 256 KiB.");
	} else if (!work->completed) {
		problem = outcome ? tm_answer_problem(context->request, outcome, &more)
				  : tm_input_problem(&work->input, &more);
		tm_problem_note(context->response, context->request, problem, &more);
	}
}

static void record(struct work *work)
{
	struct tm_usage_event *usage = work->context->usage;
	const struct tm_outcome *outcome = &work->outcome;

	usage->operation = work->input.task.operation->id;
	usage->hit = outcome->hit;
	usage->llm_calls = outcome->attempts;
	usage->input_tokens = outcome->input_tokens;
	usage->output_tokens = outcome->output_tokens;
}

/*
 * What passes by itself is no failure of an item that has time. NULL: no reason. Of providers
 * that are out of use an item is told at once and without a try: a whole batch would fail in the
 * moment before they are back.
 */
static const char *reason_to_wait(const struct tm_outcome *outcome)
{
	if (outcome->end == TM_PROCESS_QUOTA)
		return "llm_quota";
	if (outcome->end == TM_PROCESS_UNAVAILABLE && outcome->attempts == 0 && !outcome->collapsed)
		return "llm_unavailable";
	return outcome->end == TM_PROCESS_REDIS_DOWN ? "" : NULL;
}

/* Asks flow for the answer. False: the item is put back. */
static bool run(struct work *work)
{
	struct tm_context *context = work->context;
	struct tm_request *request = context->request;
	const struct tm_process process = {
		.settings = request->settings,
		.principal = &request->principal,
		.arena = request->arena,
		.token = request->token,
		.task = work->input.task,
		.no_cache = work->job.batch.no_cache,
		.no_store = work->job.batch.no_store,
		.only_if_cached = work->job.batch.only_if_cached,
		.charged = true,
		.deadline_ms = tm_clock_mono_ms() + request->settings->llm.deadline_ms,
		.watch_fd = -1,
		.tick = renew,
		.arg = work,
	};
	struct tm_outcome *outcome = &work->outcome;
	const char *why;
	int64_t delay_ms;

	tm_process_run(&context->services, &process, outcome);
	delay_ms = outcome->retry_after_ms > 0 ? outcome->retry_after_ms : PUT_BACK_MS;
	why = reason_to_wait(outcome);
	if (why && put_back(work, delay_ms, why))
		return false;
	record(work);
	write_result(work, outcome);
	return true;
}

/* The stored request to its input. False: the result says what is wrong with it. */
static bool read_item(struct work *work, struct tm_json **json)
{
	const struct tm_request *request = work->context->request;
	const struct tm_rules rules = {request->settings, work->context->services.operations};

	if (tm_json_parse(work->job.text, work->job.len, (int)request->settings->limits.json_depth,
			  json) != TM_OK ||
	    tm_validate(*json, &rules, request->arena, &work->input) != TM_OK) {
		fail(work, "The request could not be read again.");
		return false;
	}
	if (work->input.errors_count == 0)
		return true;
	write_result(work, NULL);
	return false;
}

static void work_on(struct work *work)
{
	struct tm_json *json = NULL;
	bool ended = true;

	if (work->job.poison) {
		tm_log(TM_LOG_ERROR, "item %zu of %s was begun %lld times and never finished: it "
		       "fails", work->job.index, work->job.batch.key, (long long)work->job.deaths);
		fail(work, "The item could not be finished: every worker that began it died.");
	} else if (tm_request_override(work->context->request, work->job.batch.overrides,
				       work->job.batch.overrides_len) != TM_OK) {
		fail(work, "The settings of the batch's location cannot be applied.");
	} else if (read_item(work, &json)) {
		ended = run(work);
	}
	if (ended)
		finish(work);
	tm_json_free(json);
}

/* The job as the request that it was. */
static void open_request(struct work *work)
{
	struct tm_request *request = work->context->request;

	request->method = "JOB";
	request->path = work->job.batch.key;
	request->principal = work->job.batch.principal;
	request->authenticated = true;
	request->head = false;
	request->start_us = tm_clock_mono_us();
	request->auth_us = request->redis_us = request->llm_us = 0;
	(void)snprintf(request->id, sizeof(request->id), "%s", work->job.batch.request_id);
	request->trace_id[0] = '\0';
	tm_random_hex(request->token);
	work->context->usage->key_id = request->principal.id;
	tm_log_set_request(request->id);
}

enum tm_err tm_job_work(struct tm_context *context, struct tm_jobs *jobs,
			const struct tm_job_wait *wait)
{
	struct work work = {.context = context, .jobs = jobs, .wait = wait};
	enum tm_err err = tm_jobs_take(jobs, context->request->arena, &work.job);

	if (err != TM_OK)
		return err;
	if (!work.job.poison)
		tm_jobs_begin(jobs, &work.job);
	work.renewed_ms = tm_clock_mono_ms();
	open_request(&work);
	tm_buf_init(&work.result, RESULT_MAX);
	work_on(&work);
	tm_buf_clear(&work.result);
	return TM_OK;
}
