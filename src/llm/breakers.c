/*
 * The engine asks around each attempt; every question is one step of the provider's machine.
 * What must be decided waits for Redis (one round trip, and only on the way of trouble); what
 * only tells Redis something is sent and not waited for. A machine of this process' own goes
 * through the same steps while Redis is away.
 */
#include "llm/breakers.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "io/redis.h"

struct own {
	const char *name;
	struct tm_breaker_local machine;
	bool seen_closed;	/* by a look of this request */
	bool probing;		/* this process' attempt is the probe */
};

struct tm_breakers {
	const struct tm_settings *settings;
	struct tm_redis *redis;
	struct tm_call_gate gate;
	struct tm_breaker_conf conf;
	struct own own[TM_PROVIDERS_MAX];
};

static struct own *own_of(struct tm_breakers *breakers, const char *name)
{
	for (size_t i = 0; i < TM_PROVIDERS_MAX && breakers->own[i].name; i++)
		if (strcmp(breakers->own[i].name, name) == 0)
			return &breakers->own[i];
	return NULL;
}

static void step_here(struct tm_breakers *breakers, const char *name, enum tm_breaker_op op,
		      struct tm_breaker_view *view)
{
	struct own *own = own_of(breakers, name);

	*view = (struct tm_breaker_view){.passes = true};
	if (own)
		tm_breaker_step(&own->machine, op, &breakers->conf, tm_clock_mono_ms(),
				tm_random_unit(), view);
}

/* One step that must be decided now. */
static void step(struct tm_breakers *breakers, const char *name, enum tm_breaker_op op,
		 struct tm_breaker_view *view)
{
	struct tm_redis *redis = breakers->redis;
	int index = tm_breaker_queue(redis, breakers->settings->redis.prefix, name, op,
				     &breakers->conf, tm_random_unit());

	if (tm_redis_run(redis) != TM_OK ||
	    tm_breaker_read(tm_redis_reply(redis, index), view) != TM_OK)
		step_here(breakers, name, op, view);
	tm_redis_end(redis);
	if (view->opened)
		tm_log(TM_LOG_WARN, "provider %s: circuit breaker opens, next probe in %lld ms",
		       name, (long long)view->wait_ms);
	if (view->probe)
		tm_log(TM_LOG_INFO, "provider %s: circuit breaker half-open, this call probes it",
		       name);
}

/* One step that only tells. */
static void tell(struct tm_breakers *breakers, const char *name, enum tm_breaker_op op)
{
	struct tm_redis *redis = breakers->redis;
	struct tm_breaker_view view;

	(void)tm_breaker_queue(redis, breakers->settings->redis.prefix, name, op, &breakers->conf,
			       tm_random_unit());
	if (tm_redis_send(redis) != TM_OK)
		step_here(breakers, name, op, &view);
	tm_redis_end(redis);
}

static bool claim(void *arg, const struct tm_provider_conf *provider, int64_t *wait_ms)
{
	struct tm_breakers *breakers = arg;
	struct own *own = own_of(breakers, provider->name);
	struct tm_breaker_view view;

	if (own && own->seen_closed) {
		own->seen_closed = own->probing = false;
		return true;
	}
	step(breakers, provider->name, TM_BREAKER_CLAIM, &view);
	if (own)
		own->probing = view.probe;
	*wait_ms = view.wait_ms;
	return view.passes;
}

static bool failed(void *arg, const struct tm_provider_conf *provider, bool would_retry)
{
	struct tm_breaker_view view;

	step(arg, provider->name, would_retry ? TM_BREAKER_RETRY : TM_BREAKER_FAILURE, &view);
	return view.passes;
}

static void succeeded(void *arg, const struct tm_provider_conf *provider)
{
	struct own *own = own_of(arg, provider->name);

	tell(arg, provider->name, TM_BREAKER_SUCCESS);
	if (own && own->probing)
		tm_log(TM_LOG_INFO, "provider %s: circuit breaker closes", provider->name);
	if (own)
		own->probing = false;
}

static void neutral(void *arg, const struct tm_provider_conf *provider)
{
	tell(arg, provider->name, TM_BREAKER_NEUTRAL);
}

enum tm_err tm_breakers_new(struct tm_breakers **out, const struct tm_settings *settings,
			    struct tm_redis *redis)
{
	struct tm_breakers *breakers = calloc(1, sizeof(*breakers));

	if (!breakers)
		return TM_ENOMEM;
	breakers->settings = settings;
	breakers->redis = redis;
	breakers->gate = (struct tm_call_gate){claim, failed, succeeded, neutral, breakers};
	breakers->conf = (struct tm_breaker_conf){
		.threshold = settings->breaker.threshold,
		.min_calls = settings->breaker.min_calls,
		.ratio = settings->breaker.ratio,
		.window_ms = settings->breaker.window_ms,
		.recovery_ms = settings->breaker.recovery_ms,
		.probe_ms = settings->llm.deadline_ms,
	};
	for (size_t i = 0; i < settings->providers_count; i++)
		breakers->own[i].name = settings->providers[i].name;
	*out = breakers;
	return TM_OK;
}

void tm_breakers_free(struct tm_breakers *breakers)
{
	free(breakers);
}

const struct tm_call_gate *tm_breakers_gate(struct tm_breakers *breakers)
{
	return &breakers->gate;
}

int tm_breakers_queue_look(struct tm_breakers *breakers, const struct tm_provider_conf *provider)
{
	struct own *own = own_of(breakers, provider->name);

	if (own)
		own->seen_closed = false;
	return tm_breaker_queue(breakers->redis, breakers->settings->redis.prefix, provider->name,
				TM_BREAKER_LOOK, &breakers->conf, 0.0);
}

void tm_breakers_seen(struct tm_breakers *breakers, const struct tm_provider_conf *provider,
		      const struct tm_reply *reply)
{
	struct own *own = own_of(breakers, provider->name);
	struct tm_breaker_view view;

	if (own && tm_breaker_read(reply, &view) == TM_OK)
		own->seen_closed = view.state == TM_BREAKER_CLOSED;
}

void tm_breakers_view(struct tm_breakers *breakers, const char *provider,
		      struct tm_breaker_view *view)
{
	step(breakers, provider, TM_BREAKER_LOOK, view);
}

enum tm_err tm_breakers_reset(struct tm_breakers *breakers, const char *provider)
{
	struct tm_redis *redis = breakers->redis;
	struct tm_breaker_view view;
	enum tm_err err;
	int index = tm_breaker_queue(redis, breakers->settings->redis.prefix, provider,
				     TM_BREAKER_RESET, &breakers->conf, 0.0);

	err = tm_redis_run(redis);
	if (err == TM_OK)
		err = tm_breaker_read(tm_redis_reply(redis, index), &view);
	tm_redis_end(redis);
	step_here(breakers, provider, TM_BREAKER_RESET, &view);
	return err == TM_OK ? TM_OK : TM_EUNAVAIL;
}
