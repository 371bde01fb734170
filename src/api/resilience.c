/*
 * GET /v1/resilience: how the providers' circuit breakers stand, and what stood in for them.
 * POST /v1/resilience/{provider}/reset: a sysadmin who knows better closes one.
 */
#include <string.h>

#include "api/problem.h"
#include "api/route.h"
#include "base/log.h"
#include "io/json.h"
#include "io/redis.h"
#include "llm/breakers.h"
#include "llm/provider.h"

static void put_provider(struct tm_context *context, const struct tm_provider_conf *provider)
{
	struct tm_buf *body = &context->response->body;
	struct tm_breaker_view view = {.state = TM_BREAKER_CLOSED};

	if (provider->kind != TM_PROVIDER_EXTRACTIVE)
		tm_breakers_view(context->services.breakers, provider->name, &view);
	tm_buf_puts(body, "{\"name\":");
	tm_json_put_cstr(body, provider->name);
	tm_buf_puts(body, ",\"kind\":");
	tm_json_put_cstr(body, tm_provider_of(provider->kind)->name);
	tm_buf_printf(body, ",\"state\":\"%s\",\"retry_after\":%lld,\"calls\":%lld,"
		      "\"failures\":%lld,\"retries\":%lld,\"opens\":%lld}",
		      tm_breaker_state_text(view.state), (long long)((view.wait_ms + 999) / 1000),
		      (long long)view.calls, (long long)view.failures, (long long)view.retries,
		      (long long)view.opens);
}

static void put_fallbacks(struct tm_context *context)
{
	struct tm_redis *redis = context->services.redis;
	struct tm_buf *body = &context->response->body;
	int at = tm_redis_queuef(redis, "HMGET %sfallbacks stale extractive",
				 context->request->settings->redis.prefix);
	bool known = tm_redis_run(redis) == TM_OK &&
		     tm_redis_reply(redis, at)->kind == TM_REPLY_ARRAY &&
		     tm_redis_reply(redis, at)->count == 2;
	const struct tm_reply *items = known ? tm_redis_reply(redis, at)->items : NULL;

	tm_buf_printf(body, "],\"fallbacks\":{\"stale\":%s,\"extractive\":%s}}",
		      !known ? "null" : items[0].kind == TM_REPLY_TEXT ? items[0].text : "0",
		      !known ? "null" : items[1].kind == TM_REPLY_TEXT ? items[1].text : "0");
	tm_redis_end(redis);
}

void tm_route_resilience(struct tm_context *context)
{
	const struct tm_settings *settings = context->request->settings;

	tm_buf_puts(&context->response->body, "{\"providers\":[");
	for (size_t i = 0; i < settings->providers_count; i++) {
		tm_buf_puts(&context->response->body, i ? "," : "");
		put_provider(context, &settings->providers[i]);
	}
	put_fallbacks(context);
}

void tm_route_resilience_reset(struct tm_context *context)
{
	const struct tm_settings *settings = context->request->settings;

	for (size_t i = 0; i < settings->providers_count; i++) {
		const struct tm_provider_conf *provider = &settings->providers[i];

		if (strcmp(provider->name, context->param) != 0)
			continue;
		if (tm_breakers_reset(context->services.breakers, provider->name) != TM_OK) {
			tm_problem_set(context->response, context->request, TM_PROBLEM_OVERLOADED,
				       &(struct tm_problem_more){
					       .detail = "Redis is away: the breaker cannot be "
							 "reset for all workers.",
					       .retry_after_ms = 1000});
			return;
		}
		tm_log(TM_LOG_INFO, "provider %s: circuit breaker reset by key %s", provider->name,
		       context->request->principal.id);
		tm_buf_puts(&context->response->body, "{\"name\":");
		tm_json_put_cstr(&context->response->body, provider->name);
		tm_buf_puts(&context->response->body, ",\"state\":\"closed\"}");
		return;
	}
	tm_problem_say(context->response, context->request, TM_PROBLEM_NOT_FOUND,
		       "No such provider.");
}
