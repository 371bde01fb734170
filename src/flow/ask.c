/*
 * The asking of a run, and what comes of it: the call for the engine, the engine's word as the
 * outcome, and the settlement that stores the answer or tells the failure and frees the lock.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/run.h"
#include "io/redis.h"
#include "llm/breakers.h"
#include "llm/retry.h"

enum { ENTRY_MAX = 8 * 1024 * 1024, FAILURE_BYTES = 512 };

static enum tm_err accept_reply(void *arg, const struct tm_llm_reply *reply)
{
	struct tm_run *run = arg;

	return tm_answer_read(&run->process->task, reply->text, reply->text_len,
			      run->process->arena, &run->answer);
}

static enum tm_err pass_delta(void *arg, const char *text, size_t len)
{
	struct tm_run *run = arg;

	run->out->begun = true;
	return run->process->delta(run->process->arg, text, len);
}

void tm_run_fill_call(struct tm_run *run, struct tm_call *call)
{
	const struct tm_process *process = run->process;

	*call = (struct tm_call){
		.prompt = &run->ask,
		.providers = run->providers,
		.providers_count = run->providers_count,
		.retry = tm_retry_preset(process->task.operation->retry),
		.deadline_ms = process->deadline_ms,
		.arena = process->arena,
		.accept = accept_reply,
		.delta = process->delta ? pass_delta : NULL,
		.arg = run,
	};
}

void tm_run_fill_limits(struct tm_run *run, struct tm_call_limits *limits)
{
	const struct tm_settings *settings = run->process->settings;

	*limits = (struct tm_call_limits){
		.connect_ms = settings->llm.connect_timeout_ms,
		.answer_max = (size_t)settings->llm.answer_max,
		.watch_fd = run->process->watch_fd,
		.gate = tm_breakers_gate(run->services->breakers),
		.memory = run->services->memory,
	};
}

static enum tm_process_end end_of(enum tm_call_end end)
{
	static const enum tm_process_end ends[] = {
		[TM_CALL_ANSWERED] = TM_PROCESS_ANSWERED,
		[TM_CALL_REFUSED] = TM_PROCESS_REFUSED,
		[TM_CALL_NONSENSE] = TM_PROCESS_NONSENSE,
		[TM_CALL_UNAVAILABLE] = TM_PROCESS_UNAVAILABLE,
		[TM_CALL_DEADLINE] = TM_PROCESS_DEADLINE,
		[TM_CALL_GONE] = TM_PROCESS_GONE,
		[TM_CALL_FAILED] = TM_PROCESS_NOMEM,
	};

	return ends[end];
}

void tm_run_take_call(struct tm_run *run, const struct tm_call *call)
{
	struct tm_outcome *out = run->out;
	enum tm_err err;

	out->end = end_of(call->end);
	out->attempts = call->attempts;
	out->input_tokens = call->input_tokens;
	out->output_tokens = call->output_tokens;
	out->cost = call->cost;
	out->llm_us = call->upstream_us;
	out->retry_after_ms = call->retry_after_ms;
	out->detail = call->detail;
	if (out->end != TM_PROCESS_ANSWERED)
		return;
	err = tm_run_render(run, call->provider->name, call->reply.model);
	if (err == TM_ESIZE)
		out->detail = "the LLM's answer is too large to be passed on";
	if (err != TM_OK)
		tm_run_end(run, err == TM_ESIZE ? TM_PROCESS_NONSENSE : TM_PROCESS_NOMEM);
}

/* Step 7 of an answer: the store, which also frees the lock. An answer that could not be stored
 * is an answer all the same. */
static void store(struct tm_run *run, bool wait)
{
	const struct tm_process *process = run->process;
	const struct tm_settings *settings = process->settings;
	struct tm_redis *redis = run->services->redis;
	struct tm_outcome *out = run->out;
	int64_t now_ms = tm_clock_wall_ms();
	int64_t ttl_ms = tm_cache_ttl_ms(settings, process->task.operation);
	const struct tm_cache_entry entry = {
		.stored_ms = now_ms, .fresh_ms = now_ms + ttl_ms,
		.answer = out->answer, .answer_len = out->answer_len,
		.meta = out->meta, .meta_len = out->meta_len,
	};
	struct tm_buf value;
	int at = -1;

	if (!settings->cache.enabled || process->no_store)
		return;
	tm_buf_init(&value, ENTRY_MAX);
	tm_cache_write(&value, &entry);
	if (tm_buf_err(&value) == TM_OK && run->flight.leads)
		at = tm_flight_queue_stored(redis, &run->flight, value.data, value.len,
					    ttl_ms + settings->cache.stale_ms);
	else if (tm_buf_err(&value) == TM_OK)
		at = tm_cache_queue_set(redis, run->cache_name, &value,
					ttl_ms + settings->cache.stale_ms);
	if (at >= 0 && wait)
		out->stored = tm_run_redis(run) == TM_OK &&
			      tm_redis_reply(redis, at)->kind != TM_REPLY_ERROR;
	else if (at >= 0)
		out->stored = tm_redis_send(redis) == TM_OK;
	tm_redis_end(redis);
	tm_buf_clear(&value);
}

/* Step 7 of a failure: those that follow are told. Where nothing is to be told, the next one
 * leads. What does not reach Redis lapses. */
static void free_lock(struct tm_run *run, bool told)
{
	struct tm_redis *redis = run->services->redis;
	const struct tm_outcome *out = run->out;
	char failure[FAILURE_BYTES];

	if (!run->flight.leads)
		return;
	(void)snprintf(failure, sizeof(failure), "%d %" PRId64 " %s", (int)out->end,
		       out->retry_after_ms, out->detail);
	if (told)
		(void)tm_flight_queue_failed(redis, &run->flight, failure);
	else
		(void)tm_flight_queue_dropped(redis, &run->flight);
	if (tm_redis_send(redis) != TM_OK)
		tm_log(TM_LOG_DEBUG, "a lock is left to lapse: %s", tm_redis_error(redis));
	tm_redis_end(redis);
}

void tm_run_settle(struct tm_run *run, bool wait)
{
	const struct tm_run_returns back = {.calls = 1};

	if (run->start.paid && run->out->attempts == 0)	/* no call was made after all */
		tm_run_give_back(run, &back);
	run->start.paid = false;
	switch (run->out->end) {
	case TM_PROCESS_ANSWERED:
		store(run, wait);
		break;
	case TM_PROCESS_GONE:
	case TM_PROCESS_NOMEM:
		free_lock(run, false);
		break;
	default:
		free_lock(run, true);
	}
	run->flight.leads = false;
}
