/*
 * One text's way. Redis is asked at most three times: admission and cache together, the LLM
 * quota on a miss, the store after the answer. When Redis is away each of these falls back to
 * what needs none: the process' own limits, a miss, nothing stored.
 */
#include "flow/process.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "flow/run.h"
#include "io/json.h"
#include "io/redis.h"

enum { ANSWER_MAX = 4 * 1024 * 1024, REDIS_RETRY_MS = 1000, MINUTE_MS = 60 * 1000,
		HOUR_MS = 60 * MINUTE_MS };

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

/* Those of a list of names; all, where it is empty. */
static size_t providers_of(const struct tm_settings *settings, const char *at,
			   const struct tm_provider_conf *out[TM_PROVIDERS_MAX])
{
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

size_t tm_process_providers(const struct tm_settings *settings,
			    const struct tm_provider_conf *out[TM_PROVIDERS_MAX])
{
	return providers_of(settings, settings->llm.provider, out);
}

/* A built-in provider behind others is no provider of the chain: it never fails, and its answers
 * are not theirs. It stands in when all of them have failed. */
static void set_stand_in_aside(struct tm_run *run)
{
	size_t count = 1;

	if (run->providers[0]->kind == TM_PROVIDER_EXTRACTIVE)
		return;
	for (size_t i = 1; i < run->providers_count; i++) {
		if (run->providers[i]->kind != TM_PROVIDER_EXTRACTIVE)
			run->providers[count++] = run->providers[i];
		else if (!run->stand_in)
			run->stand_in = run->providers[i];
	}
	run->providers_count = count;
}

/* Who is asked, and for which model: a location's settings count more than the operation's, and
 * those more than the rest. llm.model is meant for the first of llm.provider. */
static void choose_providers(struct tm_run *run)
{
	const struct tm_settings *settings = run->process->settings;
	const struct tm_operation *operation = run->process->task.operation;
	bool own = operation->provider && operation->provider[0] && !settings->llm.provider_local;
	const char *model = operation->model ? operation->model : "";

	run->providers_count = providers_of(settings, own ? operation->provider
							  : settings->llm.provider, run->providers);
	set_stand_in_aside(run);
	if (settings->llm.model_local || (!model[0] && !own))
		model = settings->llm.model;
	if (model[0] && run->providers[0]->kind != TM_PROVIDER_EXTRACTIVE) {
		run->first = *run->providers[0];
		run->first.model = model;
		run->providers[0] = &run->first;
	}
}

static struct tm_llm_prompt ask_of(const struct tm_run *run)
{
	const struct tm_settings *settings = run->process->settings;
	const struct tm_task *task = &run->process->task;

	return (struct tm_llm_prompt){
		.system = run->prompt.system,
		.user = run->prompt.user,
		.user_len = run->prompt.user_len,
		.schema_name = run->prompt.schema_name,
		.schema = run->prompt.schema,
		.max_tokens = settings->llm.max_tokens < task->operation->max_tokens
			? settings->llm.max_tokens : task->operation->max_tokens,
		.temperature = task->operation->temperature,
		.has_temperature = task->operation->has_temperature,
		.operation = tm_task_kind(task),
		.text = task->text,
		.text_len = task->text_len,
		.question = task->question,
		.amount = tm_task_amount(task),
	};
}

enum tm_err tm_run_prepare(struct tm_run *run)
{
	const struct tm_process *process = run->process;
	const struct tm_settings *settings = process->settings;
	enum tm_err err = tm_prompt_build(&process->task, process->arena, &run->prompt);

	if (err != TM_OK)
		return err;
	run->ask = ask_of(run);
	choose_providers(run);
	tm_cache_name(&(struct tm_cache_identity){
			.task = &process->task,
			.prompt = &run->prompt,
			.provider = run->providers[0],
			.model = run->providers[0]->model,
			.tenant = settings->cache.shared ? "" : process->principal->user,
		}, settings->redis.prefix, &run->services->hash, run->cache_name);
	return TM_OK;
}

bool tm_run_end(struct tm_run *run, enum tm_process_end end)
{
	run->out->end = end;
	return false;
}

enum tm_err tm_run_redis(struct tm_run *run)
{
	int64_t start_us = tm_clock_mono_us();
	enum tm_err err = tm_redis_run(run->services->redis);

	run->out->redis_us += tm_clock_mono_us() - start_us;
	return err;
}

bool tm_run_decide(struct tm_run *run, enum tm_err redis_err, int reply_index,
		   const struct tm_charge *charge, struct tm_verdict *verdict)
{
	struct tm_services *services = run->services;

	if (redis_err == TM_OK &&
	    tm_limit_read(tm_redis_reply(services->redis, reply_index), charge, verdict) == TM_OK)
		return true;
	if (run->process->settings->limit.on_redis_down == TM_REDIS_DOWN_DENY) {
		run->out->retry_after_ms = REDIS_RETRY_MS;
		run->out->detail = "Redis is away and limit.on_redis_down is deny";
		return tm_run_end(run, TM_PROCESS_REDIS_DOWN);
	}
	tm_limit_local_take(services->local_limits, charge, tm_clock_mono_us(), verdict);
	return true;
}

bool tm_run_take_entry(struct tm_run *run, const struct tm_cache_entry *entry)
{
	struct tm_outcome *out = run->out;

	out->answer = tm_arena_dup(run->process->arena, entry->answer, entry->answer_len);
	out->meta = tm_arena_dup(run->process->arena, entry->meta, entry->meta_len);
	if (!out->answer || !out->meta)
		return tm_run_end(run, TM_PROCESS_NOMEM);
	out->answer_len = entry->answer_len;
	out->meta_len = entry->meta_len;
	out->cached_ms = entry->stored_ms;
	out->ttl_ms = entry->fresh_ms - tm_clock_wall_ms();
	out->end = TM_PROCESS_ANSWERED;
	return true;
}

/* An entry past its time is kept for when nobody answers. */
static void keep_stale(struct tm_run *run, const struct tm_cache_entry *entry)
{
	struct tm_cache_entry stale = *entry;

	stale.answer = tm_arena_dup(run->process->arena, entry->answer, entry->answer_len);
	stale.meta = tm_arena_dup(run->process->arena, entry->meta, entry->meta_len);
	if (stale.answer && stale.meta)
		run->stale = stale;
}

int tm_run_queue_get(struct tm_run *run)
{
	if (!run->process->settings->cache.enabled || run->process->no_cache)
		return -1;
	return tm_cache_queue_get(run->services->redis, run->cache_name);
}

/* One that was stored after this request had arrived at the web server came from the call of an
 * equal request, while this one waited for a worker. */
bool tm_run_read_get(struct tm_run *run, int at)
{
	struct tm_outcome *out = run->out;
	struct tm_cache_entry entry;

	if (at < 0 || tm_cache_read(tm_redis_reply(run->services->redis, at), &entry) != TM_OK)
		return false;
	if (entry.fresh_ms <= tm_clock_wall_ms()) {
		keep_stale(run, &entry);
		return false;
	}
	if (!tm_run_take_entry(run, &entry))
		return false;
	out->collapsed = run->process->arrived_ms > 0 &&
			 entry.stored_ms > run->process->arrived_ms;
	out->hit = !out->collapsed;
	return true;
}

/* Steps 3 and 4: admission and cache in one round trip. True: a miss that may go on. */
static bool admit(struct tm_run *run)
{
	const struct tm_process *process = run->process;
	struct tm_redis *redis = run->services->redis;
	struct tm_outcome *out = run->out;
	int charge_at = -1, entry_at;
	bool go_on = false;
	enum tm_err err = TM_OK;
	struct tm_charge charge;

	if (!process->charged)
		out->policies_count = tm_process_policies(process->settings, process->principal,
							  out->policies);
	charge = (struct tm_charge){.key_id = process->principal->id, .take = out->policies,
				    .take_count = out->policies_count, .cost = 1};
	if (charge.take_count > 0)
		charge_at = tm_limit_queue(redis, process->settings->redis.prefix, &charge);
	entry_at = tm_run_queue_get(run);
	if (charge.take_count > 0 || entry_at >= 0)
		err = tm_run_redis(run);
	if (charge.take_count > 0) {
		if (!tm_run_decide(run, err, charge_at, &charge, &out->verdict))
			goto out;
		if (!out->verdict.passed) {
			out->retry_after_ms = out->verdict.retry_ms;
			tm_run_end(run, TM_PROCESS_LIMITED);
			goto out;
		}
	}
	if (err == TM_OK && tm_run_read_get(run, entry_at))
		goto out;
	if (process->only_if_cached)
		tm_run_end(run, TM_PROCESS_NOT_CACHED);
	else
		go_on = true;
out:
	tm_redis_end(redis);
	return go_on;
}

enum tm_err tm_run_render(struct tm_run *run, const char *provider, const char *model)
{
	struct tm_outcome *out = run->out;
	struct tm_buf text;
	enum tm_err err;

	tm_buf_init(&text, ANSWER_MAX);
	tm_answer_write(&run->answer, &text);
	out->answer_len = text.len;
	tm_buf_puts(&text, "\"provider\":");
	tm_json_put_cstr(&text, provider);
	tm_buf_puts(&text, ",\"model\":");
	tm_json_put_cstr(&text, model);
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

void tm_process_run(struct tm_services *services, const struct tm_process *process,
		    struct tm_outcome *out)
{
	struct tm_run run = {.services = services, .process = process, .out = out};

	*out = (struct tm_outcome){.detail = ""};
	if (tm_run_prepare(&run) != TM_OK) {
		tm_run_end(&run, TM_PROCESS_NOMEM);
		return;
	}
	if (!admit(&run))
		return;
	tm_run_miss(&run);
	tm_run_fall_back(&run);
}
