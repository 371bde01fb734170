/*
 * One text's way. Redis is asked at most three times: admission and cache together, the LLM
 * quota on a miss, the store after the answer. When Redis is away each of these falls back to
 * what needs none: the process' own limits, a miss, nothing stored.
 */
#include "flow/process.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "flow/cache.h"
#include "io/json.h"
#include "io/redis.h"
#include "llm/call.h"
#include "llm/retry.h"
#include "text/answer.h"
#include "text/prompt.h"

enum { ANSWER_MAX = 4 * 1024 * 1024, REDIS_RETRY_MS = 1000, MINUTE_MS = 60 * 1000,
       HOUR_MS = 60 * MINUTE_MS };

/* One run, from the cache key to the stored answer. */
struct run {
	struct tm_services *services;
	const struct tm_process *process;
	struct tm_outcome *out;
	struct tm_prompt prompt;
	const struct tm_provider_conf *providers[TM_PROVIDERS_MAX];
	struct tm_provider_conf first;	/* the first with llm.model put in */
	size_t providers_count;
	char cache_name[TM_CACHE_NAME_BYTES];
	struct tm_answer answer;
};

static size_t add_policy(struct tm_policy *out, size_t count, const char *name, int64_t quota,
			 int64_t window_ms)
{
	if (quota > 0)
		out[count++] = (struct tm_policy){name, quota, window_ms};
	return count;
}

size_t tm_process_policies(const struct tm_settings *settings, const struct tm_principal *principal,
			   struct tm_policy out[TM_POLICIES_MAX])
{
	int64_t hour = principal->hour > 0 ? principal->hour : settings->limit.hour;
	size_t count = add_policy(out, 0, "minute", settings->limit.minute, MINUTE_MS);

	return add_policy(out, count, "hour", hour, HOUR_MS);
}

size_t tm_process_llm_policy(const struct tm_settings *settings,
			     struct tm_policy out[TM_POLICIES_MAX])
{
	return add_policy(out, 0, "llm_hour", settings->limit.llm_hour, HOUR_MS);
}

static const struct tm_provider_conf *provider_named(const struct tm_settings *settings,
						     const char *name, size_t len)
{
	for (size_t i = 0; i < settings->providers_count; i++) {
		const struct tm_provider_conf *provider = &settings->providers[i];

		if (strlen(provider->name) == len && memcmp(provider->name, name, len) == 0)
			return provider;
	}
	return NULL;
}

size_t tm_process_providers(const struct tm_settings *settings,
			    const struct tm_provider_conf *out[TM_PROVIDERS_MAX])
{
	const char *at = settings->llm.provider;
	size_t count = 0;

	while (*at && count < TM_PROVIDERS_MAX) {
		size_t len;

		at += strspn(at, ", \t");
		len = strcspn(at, ", \t");
		out[count] = provider_named(settings, at, len);
		if (out[count])
			count++;
		at += len;
	}
	if (count > 0)
		return count;
	for (; count < settings->providers_count; count++)
		out[count] = &settings->providers[count];
	return count;
}

static enum tm_err prepare(struct run *run)
{
	const struct tm_process *process = run->process;
	const struct tm_settings *settings = process->settings;
	enum tm_err err = tm_prompt_build(&process->task, process->arena, &run->prompt);

	if (err != TM_OK)
		return err;
	run->providers_count = tm_process_providers(settings, run->providers);
	if (settings->llm.model[0] && run->providers[0]->kind != TM_PROVIDER_EXTRACTIVE) {
		run->first = *run->providers[0];
		run->first.model = settings->llm.model;
		run->providers[0] = &run->first;
	}
	tm_cache_name(&(struct tm_cache_identity){
			.task = &process->task,
			.prompt = &run->prompt,
			.provider = run->providers[0],
			.model = run->providers[0]->model,
			.tenant = settings->cache.shared ? "" : process->principal->user,
		}, settings->redis.prefix, &run->services->hash, run->cache_name);
	return TM_OK;
}

/* Time-keeping around one blocking round trip. */
static enum tm_err redis_run(struct run *run)
{
	int64_t start_us = tm_clock_mono_us();
	enum tm_err err = tm_redis_run(run->services->redis);

	run->out->redis_us += tm_clock_mono_us() - start_us;
	return err;
}

static bool end_with(struct run *run, enum tm_process_end end)
{
	run->out->end = end;
	return false;
}

/*
 * Decides one charge with Redis' reply or, when there is none, with this process' own count.
 * False: limit.on_redis_down says that no one passes.
 */
static bool decide(struct run *run, enum tm_err redis_err, int reply_index,
		   const struct tm_charge *charge, struct tm_verdict *verdict)
{
	struct tm_services *services = run->services;

	if (redis_err == TM_OK &&
	    tm_limit_read(tm_redis_reply(services->redis, reply_index), charge, verdict) == TM_OK)
		return true;
	if (run->process->settings->limit.on_redis_down == TM_REDIS_DOWN_DENY) {
		run->out->retry_after_ms = REDIS_RETRY_MS;
		run->out->detail = "Redis is away and limit.on_redis_down is deny";
		return end_with(run, TM_PROCESS_REDIS_DOWN);
	}
	tm_limit_local_take(services->local_limits, charge, tm_clock_mono_us(), verdict);
	return true;
}

static bool take_hit(struct run *run, const struct tm_reply *reply)
{
	struct tm_outcome *out = run->out;
	struct tm_cache_entry entry;
	int64_t now_ms = tm_clock_wall_ms();

	if (tm_cache_read(reply, &entry) != TM_OK || entry.fresh_ms <= now_ms)
		return false;
	out->answer = tm_arena_dup(run->process->arena, entry.answer, entry.answer_len);
	out->meta = tm_arena_dup(run->process->arena, entry.meta, entry.meta_len);
	if (!out->answer || !out->meta)
		return false;
	out->answer_len = entry.answer_len;
	out->meta_len = entry.meta_len;
	out->cached_ms = entry.stored_ms;
	out->ttl_ms = entry.fresh_ms - now_ms;
	out->hit = true;
	out->end = TM_PROCESS_ANSWERED;
	return true;
}

/* Steps 3 and 4: admission and cache in one round trip. True: a miss that may go on. */
static bool admit(struct run *run)
{
	const struct tm_process *process = run->process;
	struct tm_redis *redis = run->services->redis;
	struct tm_outcome *out = run->out;
	bool cache = process->settings->cache.enabled && !process->no_cache, go_on = false;
	int charge_at = -1, entry_at = -1;
	enum tm_err err = TM_OK;
	struct tm_charge charge;

	out->policies_count = tm_process_policies(process->settings, process->principal,
						  out->policies);
	charge = (struct tm_charge){.key_id = process->principal->id, .take = out->policies,
				    .take_count = out->policies_count, .cost = 1};
	if (charge.take_count > 0)
		charge_at = tm_limit_queue(redis, process->settings->redis.prefix, &charge);
	if (cache)
		entry_at = tm_cache_queue_get(redis, run->cache_name);
	if (charge.take_count > 0 || cache)
		err = redis_run(run);
	if (charge.take_count > 0) {
		if (!decide(run, err, charge_at, &charge, &out->verdict))
			goto out;
		if (!out->verdict.passed) {
			out->retry_after_ms = out->verdict.retry_ms;
			end_with(run, TM_PROCESS_LIMITED);
			goto out;
		}
	}
	if (cache && err == TM_OK && take_hit(run, tm_redis_reply(redis, entry_at)))
		goto out;
	if (process->only_if_cached)
		end_with(run, TM_PROCESS_NOT_CACHED);
	else
		go_on = true;
out:
	tm_redis_end(redis);
	return go_on;
}

/*
 * Step 5: an LLM call is about to be made; is there one left this hour? A refusal gives the
 * requests back that admission took, in the same script: a refused request spends nothing.
 */
static bool take_llm_call(struct run *run)
{
	const struct tm_process *process = run->process;
	struct tm_redis *redis = run->services->redis;
	struct tm_outcome *out = run->out;
	struct tm_policy policy[TM_POLICIES_MAX];
	struct tm_verdict verdict = {0};
	struct tm_charge charge = {.key_id = process->principal->id, .take = policy, .cost = 1,
				   .back = out->policies, .back_count = out->policies_count,
				   .back_cost = 1};
	enum tm_err err;
	bool passed = false;
	int index;

	charge.take_count = tm_process_llm_policy(process->settings, policy);
	if (charge.take_count == 0 || run->providers[0]->kind == TM_PROVIDER_EXTRACTIVE)
		return true;
	index = tm_limit_queue(redis, process->settings->redis.prefix, &charge);
	err = redis_run(run);
	if (!decide(run, err, index, &charge, &verdict))
		goto out;
	passed = verdict.passed;
	if (!passed) {
		out->policies[0] = policy[0];
		out->policies_count = 1;
		out->verdict = verdict;
		out->retry_after_ms = verdict.retry_ms;
		end_with(run, TM_PROCESS_QUOTA);
	}
out:
	tm_redis_end(redis);
	return passed;
}

static enum tm_err accept_reply(void *arg, const struct tm_llm_reply *reply)
{
	struct run *run = arg;

	return tm_answer_read(&run->process->task, reply->text, reply->text_len,
			      run->process->arena, &run->answer);
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

static int64_t amount_of(const struct tm_task *task)
{
	return task->operation->options_count > 0 ? task->options[0] : 0;
}

/* Renders answer and meta into the arena. */
static enum tm_err render(struct run *run, const struct tm_call *call)
{
	struct tm_outcome *out = run->out;
	struct tm_buf text;
	enum tm_err err;

	tm_buf_init(&text, ANSWER_MAX);
	tm_answer_write(&run->answer, &text);
	out->answer_len = text.len;
	tm_buf_puts(&text, "\"provider\":");
	tm_json_put_cstr(&text, call->provider->name);
	tm_buf_puts(&text, ",\"model\":");
	tm_json_put_cstr(&text, call->reply.model);
	err = tm_buf_err(&text);
	if (err == TM_OK) {
		out->answer = tm_arena_dup(run->process->arena, text.data, text.len);
		if (!out->answer)
			err = TM_ENOMEM;
	}
	if (err == TM_OK) {
		out->meta = out->answer + out->answer_len;
		out->meta_len = text.len - out->answer_len;
	}
	tm_buf_clear(&text);
	return err;
}

/* Step 6: the call. True: answered. */
static bool call_llm(struct run *run)
{
	const struct tm_process *process = run->process;
	const struct tm_task *task = &process->task;
	struct tm_outcome *out = run->out;
	const struct tm_llm_prompt prompt = {
		.system = run->prompt.system,
		.user = run->prompt.user,
		.user_len = run->prompt.user_len,
		.schema_name = run->prompt.schema_name,
		.schema = run->prompt.schema,
		.max_tokens = process->settings->llm.max_tokens < task->operation->max_tokens
			? process->settings->llm.max_tokens : task->operation->max_tokens,
		.operation = task->operation->id,
		.text = task->text,
		.text_len = task->text_len,
		.question = task->question,
		.amount = amount_of(task),
	};
	struct tm_call call = {
		.prompt = &prompt,
		.providers = run->providers,
		.providers_count = run->providers_count,
		.retry = tm_retry_preset(task->operation->retry),
		.deadline_ms = process->deadline_ms,
		.arena = process->arena,
		.accept = accept_reply,
		.arg = run,
	};
	const struct tm_call_limits limits = {
		.connect_ms = process->settings->llm.connect_timeout_ms,
		.answer_max = (size_t)process->settings->llm.answer_max,
		.parallel = 1,
		.watch_fd = process->watch_fd,
	};

	if (tm_calls_run(run->services->http, &call, 1, &limits) != TM_OK)
		return end_with(run, TM_PROCESS_NOMEM);
	out->end = end_of(call.end);
	out->attempts = call.attempts;
	out->input_tokens = call.input_tokens;
	out->output_tokens = call.output_tokens;
	out->llm_us = call.upstream_us;
	out->retry_after_ms = call.retry_after_ms;
	out->detail = call.detail;
	if (out->end != TM_PROCESS_ANSWERED)
		return false;
	if (render(run, &call) != TM_OK)
		return end_with(run, TM_PROCESS_NOMEM);
	return true;
}

/* Step 7: the store. An answer that could not be stored is an answer all the same. */
static void store(struct run *run)
{
	const struct tm_process *process = run->process;
	const struct tm_settings *settings = process->settings;
	struct tm_redis *redis = run->services->redis;
	struct tm_outcome *out = run->out;
	int64_t now_ms = tm_clock_wall_ms();
	const struct tm_cache_entry entry = {
		.stored_ms = now_ms,
		.fresh_ms = now_ms + tm_cache_ttl_ms(settings, process->task.operation->id),
		.answer = out->answer, .answer_len = out->answer_len,
		.meta = out->meta, .meta_len = out->meta_len,
	};
	int index;

	if (!settings->cache.enabled || process->no_store)
		return;
	index = tm_cache_queue_set(redis, run->cache_name, &entry, settings->cache.stale_ms);
	if (index >= 0 && redis_run(run) == TM_OK)
		out->stored = tm_redis_reply(redis, index)->kind != TM_REPLY_ERROR;
	tm_redis_end(redis);
}

void tm_process_run(struct tm_services *services, const struct tm_process *process,
		    struct tm_outcome *out)
{
	struct run run = {.services = services, .process = process, .out = out};

	*out = (struct tm_outcome){.detail = ""};
	if (prepare(&run) != TM_OK) {
		end_with(&run, TM_PROCESS_NOMEM);
		return;
	}
	if (admit(&run) && take_llm_call(&run) && call_llm(&run))
		store(&run);
}
