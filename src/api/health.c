/*
 * GET /v1/health and /v1/ready. Health asks Redis, in one bounded wait, and never the LLM:
 * a probe must neither cost money nor hang.
 */
#include "api/route.h"
#include "base/clock.h"
#include "io/json.h"
#include "io/redis.h"
#include "llm/breakers.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

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
	bool redis = redis_answers(context);
	struct llm llm = look_at_llm(context);
	char iso[TM_CLOCK_ISO_BYTES];

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

void tm_route_ready(struct tm_context *context)
{
	tm_buf_puts(&context->response->body, "{\"ready\":true}");
}
