/*
 * What stands in when no LLM answers: the entry that outlived its time, then, where the sysadmin
 * allows it or has named it behind others, the extractive provider. Flagged as degraded, and never
 * stored.
 */
#include "base/clock.h"
#include "base/log.h"
#include "flow/run.h"
#include "io/redis.h"

enum { COUNT_LIFE_S = 35 * 24 * 3600 };

static bool may_stand_in(enum tm_process_end end)
{
	switch (end) {
	case TM_PROCESS_REFUSED:
	case TM_PROCESS_NONSENSE:
	case TM_PROCESS_UNAVAILABLE:
	case TM_PROCESS_DEADLINE:
		return true;
	case TM_PROCESS_ANSWERED:
	case TM_PROCESS_LIMITED:
	case TM_PROCESS_QUOTA:
	case TM_PROCESS_NOT_CACHED:
	case TM_PROCESS_REDIS_DOWN:
	case TM_PROCESS_GONE:
	case TM_PROCESS_NOMEM:
		return false;
	}
	return false;
}

static bool extract(struct tm_run *run)
{
	struct tm_llm_reply reply = {0};

	return tm_provider_extractive.answer(&run->ask, run->process->arena, &reply) == TM_OK &&
	       tm_answer_read(&run->process->task, reply.text, reply.text_len,
			      run->process->arena, &run->answer) == TM_OK &&
	       tm_run_render(run, run->stand_in ? run->stand_in->name : "extractive",
			     reply.model) == TM_OK;
}

/* For GET /v1/resilience; lost when Redis is away. */
static void count(struct tm_run *run, const char *what)
{
	struct tm_redis *redis = run->services->redis;
	const char *prefix = run->process->settings->redis.prefix;

	(void)tm_redis_queuef(redis, "HINCRBY %sfallbacks %s 1", prefix, what);
	(void)tm_redis_queuef(redis, "EXPIRE %sfallbacks %d", prefix, COUNT_LIFE_S);
	if (tm_redis_send(redis) != TM_OK)
		tm_log(TM_LOG_DEBUG, "a fallback was not counted: %s", tm_redis_error(redis));
	tm_redis_end(redis);
}

void tm_run_fall_back(struct tm_run *run)
{
	const struct tm_settings *settings = run->process->settings;
	struct tm_outcome *out = run->out;

	if (!may_stand_in(out->end) || out->begun)
		return;
	if (settings->fallback.stale && run->stale.answer) {
		out->answer = run->stale.answer;
		out->answer_len = run->stale.answer_len;
		out->meta = run->stale.meta;
		out->meta_len = run->stale.meta_len;
		out->cached_ms = run->stale.stored_ms;
		out->ttl_ms = run->stale.fresh_ms - tm_clock_wall_ms();
		out->hit = true;
		count(run, "stale");
	} else if ((settings->fallback.extractive || run->stand_in) && extract(run)) {
		count(run, "extractive");
	} else {
		return;
	}
	out->degraded = true;
	out->end = TM_PROCESS_ANSWERED;
}
