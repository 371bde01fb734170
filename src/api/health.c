/*
 * GET /v1/health and /v1/ready. Health asks Redis, in one bounded wait, and never the LLM:
 * a probe must neither cost money nor hang.
 */
#include "api/route.h"
#include "base/clock.h"
#include "io/json.h"
#include "io/redis.h"

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

static const char *llm_detail(const struct tm_settings *settings)
{
	const struct tm_provider_conf *providers[TM_PROVIDERS_MAX];

	(void)tm_process_providers(settings, providers);
	return providers[0]->kind == TM_PROVIDER_EXTRACTIVE
		? "built-in extractive provider: no LLM is configured" : "configured";
}

void tm_route_health(struct tm_context *context)
{
	struct tm_buf *body = &context->response->body;
	bool redis = redis_answers(context);
	char iso[TM_CLOCK_ISO_BYTES];

	tm_buf_printf(body, "{\"status\":\"%s\",\"version\":\"" PACKAGE_VERSION "\","
		      "\"timestamp\":\"%s\",\"ai_model_available\":true,\"cache_healthy\":%s,"
		      "\"resilience_healthy\":true,\"components\":{",
		      redis ? "healthy" : "degraded", tm_clock_iso(tm_clock_wall_ms(), iso),
		      redis ? "true" : "false");
	put_component(body, "redis", redis,
		      redis ? "answers" : "away: answers are not cached, limits count per process");
	tm_buf_putc(body, ',');
	put_component(body, "llm", true, llm_detail(context->request->settings));
	tm_buf_puts(body, "}}");
}

void tm_route_ready(struct tm_context *context)
{
	tm_buf_puts(&context->response->body, "{\"ready\":true}");
}
