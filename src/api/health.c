/*
 * GET /v1/health and /v1/ready. Health asks Redis, within one second in all, and never the LLM:
 * a probe must neither cost money nor hang. Ready asks only where no request is taken without
 * Redis.
 */
#include "api/problem.h"
#include "api/route.h"
#include "base/clock.h"
#include "io/json.h"
#include "io/redis.h"
#include "llm/breakers.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

enum { WAIT_MAX_US = 1000 * 1000, AGAIN_MS = 1000 };

static bool redis_answers(struct tm_context *context)
{
	struct tm_redis *redis = context->services.redis;
	int64_t start_us = tm_clock_mono_us();
	int index = tm_redis_queuef(redis, "PING");
	bool up = index >= 0 && tm_redis_run(redis) == TM_OK &&
		  tm_redis_reply(redis, index)->kind == TM_REPLY_TEXT;

	tm_redis_end(redis);
	context->request->redis_us += tm_clock_mono_us() - start_us;
	return up;
}

static void put_component(struct tm_buf *body, const char *name, bool healthy, const char *detail)
{
	tm_buf_printf(body, "\"%s\":{\"status\":\"%s\",\"detail\":", name,
		      healthy ? "healthy" : "degraded");
	tm_json_put_cstr(body, detail);
	tm_buf_putc(body, '}');
}

/* How the providers of this request's settings stand. */
struct llm {
	bool available;		/* one of them at least takes calls */
	bool well;		/* no breaker is open */
	const char *detail;
};

static struct llm look_at_llm(struct tm_context *context)
{
	const struct tm_provider_conf *providers[TM_PROVIDERS_MAX];
	size_t count = tm_process_providers(context->request->settings, providers);
	struct llm llm = {.well = true, .detail = "every provider takes calls"};

	if (providers[0]->kind == TM_PROVIDER_EXTRACTIVE)
		llm.detail = "built-in extractive provider: no LLM is configured";
	for (size_t i = 0; i < count; i++) {
		struct tm_breaker_view view = {.passes = true};

		if (providers[i]->kind != TM_PROVIDER_EXTRACTIVE)
			tm_breakers_view(context->services.breakers, providers[i]->name, &view);
		llm.available = llm.available || view.passes;
		llm.well = llm.well && view.state == TM_BREAKER_CLOSED;
	}
	if (!llm.well)
		llm.detail = llm.available ? "a provider is left alone after failures"
					   : "every provider is left alone after failures";
	return llm;
}

void tm_route_health(struct tm_context *context)
{
	struct tm_buf *body = &context->response->body;
	char iso[TM_CLOCK_ISO_BYTES];
	struct llm llm;
	bool redis;

	tm_redis_bound(context->services.redis, tm_clock_mono_us() + WAIT_MAX_US);
	redis = redis_answers(context);
	llm = look_at_llm(context);
	tm_redis_bound(context->services.redis, 0);
	tm_buf_printf(body, "{\"status\":\"%s\",\"version\":\"" PACKAGE_VERSION "\","
		      "\"timestamp\":\"%s\",\"ai_model_available\":%s,\"cache_healthy\":%s,"
		      "\"resilience_healthy\":%s,\"components\":{",
		      redis && llm.well ? "healthy" : "degraded",
		      tm_clock_iso(tm_clock_wall_ms(), iso), llm.available ? "true" : "false",
		      redis ? "true" : "false", llm.well ? "true" : "false");
	put_component(body, "redis", redis,
		      redis ? "answers" : "away: answers are not cached, limits count per process");
	tm_buf_putc(body, ',');
	put_component(body, "llm", llm.well, llm.detail);
	tm_buf_puts(body, "}}");
}

/* True where each request is charged in Redis or refused. */
static bool needs_redis(const struct tm_settings *settings)
{
	const struct tm_principal anybody = {0};
	struct tm_policy policies[TM_POLICIES_MAX];

	return settings->limit.on_redis_down == TM_REDIS_DOWN_DENY &&
	       (tm_process_policies(settings, &anybody, policies) > 0 ||
		tm_process_llm_policy(settings, policies) > 0);
}

void tm_route_ready(struct tm_context *context)
{
	struct tm_redis *redis = context->services.redis;
	bool ready = true;

	if (needs_redis(context->request->settings)) {
		tm_redis_bound(redis, tm_clock_mono_us() + WAIT_MAX_US);
		ready = redis_answers(context);
		tm_redis_bound(redis, 0);
	}
	if (ready)
		tm_buf_puts(&context->response->body, "{\"ready\":true}");
	else
		tm_problem_set(context->response, context->request, TM_PROBLEM_OVERLOADED,
			       &(struct tm_problem_more){
				       .detail = "Rate limits cannot be checked at the moment.",
				       .log = "Redis is away and limit.on_redis_down is deny",
				       .retry_after_ms = AGAIN_MS});
}
