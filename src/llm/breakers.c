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

enum {
	SEEN_MS = 300,		/* how long a look is good for: the calls that one round trip began
				 * with follow at once; who leads or falls back later asks again */
	PROBE_MAX_MS = 5000	/* how long a probe may keep others waiting without a sign */
};

struct own {
	const char *name;
	struct tm_breaker_local machine;
	int64_t seen_ms;	/* when a look found it closed; 0: none did, or it was used */
	int64_t seen_turn;	/* at that time */
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

static void step_here(struct tm_breakers *breakers, const char *name,
		      const struct tm_breaker_ask *ask, struct tm_breaker_view *view)
{
	struct own *own = own_of(breakers, name);

	*view = (struct tm_breaker_view){.passes = true};
	if (own)
		tm_breaker_step(&own->machine, &breakers->conf, ask, tm_clock_mono_ms(), view);
}

static int queue(struct tm_breakers *breakers, const char *name, const struct tm_breaker_ask *ask)
{
	return tm_breaker_queue(breakers->redis, breakers->settings->redis.prefix, name,
				&breakers->conf, ask);
}

/* The step for one of the two machines. Turns of one mean nothing to the other. */
static struct tm_breaker_ask ask_of(enum tm_breaker_op op, const struct tm_call_claim *claim,
				    bool here)
{
	return (struct tm_breaker_ask){
		.op = op, .unit = tm_random_unit(),
		.turn = claim && claim->here == here ? claim->turn : TM_BREAKER_ELSEWHERE,
	};
}

static void log_change(const char *name, const struct tm_breaker_view *view)
{
	if (view->opened)
		tm_log(TM_LOG_WARN, "provider %s: circuit breaker opens, next probe in %lld ms",
		       name, (long long)view->wait_ms);
	if (view->probe)
		tm_log(TM_LOG_INFO, "provider %s: circuit breaker half-open, this call probes it",
		       name);
	if (view->closed)
		tm_log(TM_LOG_INFO, "provider %s: circuit breaker closes", name);
}

/* One step that must be decided now. True: decided here, as Redis is away. */
static bool step(struct tm_breakers *breakers, const char *name, enum tm_breaker_op op,
		 const struct tm_call_claim *claim, struct tm_breaker_view *view)
{
	struct tm_redis *redis = breakers->redis;
	struct tm_breaker_ask ask = ask_of(op, claim, false);
	int index = queue(breakers, name, &ask);
	bool here;

	here = tm_redis_run(redis) != TM_OK ||
	       tm_breaker_read(tm_redis_reply(redis, index), view) != TM_OK;
	tm_redis_end(redis);
	if (here) {
		ask = ask_of(op, claim, true);
		step_here(breakers, name, &ask, view);
	}
	log_change(name, view);
	return here;
}

/* One step that only tells. */
static void tell(struct tm_breakers *breakers, const char *name, enum tm_breaker_op op,
		 const struct tm_call_claim *claim)
{
	struct tm_redis *redis = breakers->redis;
	struct tm_breaker_ask ask = ask_of(op, claim, false);
	struct tm_breaker_view view;

	(void)queue(breakers, name, &ask);
	if (tm_redis_send(redis) != TM_OK) {
		ask = ask_of(op, claim, true);
		step_here(breakers, name, &ask, &view);
	}
	tm_redis_end(redis);
}

/* The provider's own limit, or all the time that a request has. Settings of a location do not
 * count: a breaker is everybody's. */
static int64_t fair_ms(const struct tm_breakers *breakers, const struct tm_provider_conf *provider)
{
	int64_t deadline_ms = breakers->settings->llm.deadline_ms;

	if (provider->timeout_ms > 0 && provider->timeout_ms < deadline_ms)
		return provider->timeout_ms;
	return deadline_ms;
}

static bool claim(void *arg, const struct tm_provider_conf *provider, struct tm_call_claim *claim,
		  int64_t *wait_ms)
{
	struct tm_breakers *breakers = arg;
	struct own *own = own_of(breakers, provider->name);
	struct tm_breaker_view view;

	*claim = (struct tm_call_claim){.fair_ms = fair_ms(breakers, provider)};
	if (own && own->seen_ms && tm_clock_mono_ms() - own->seen_ms <= SEEN_MS) {
		own->seen_ms = 0;
		claim->turn = own->seen_turn;
		return true;
	}
	claim->here = step(breakers, provider->name, TM_BREAKER_CLAIM, NULL, &view);
	claim->turn = view.turn;
	claim->probe = view.probe;
	if (view.probe && !view.patient)	/* ends before another one may begin */
		claim->silence_ms = breakers->conf.probe_ms - breakers->conf.probe_ms / 50;
	*wait_ms = view.wait_ms;
	return view.passes;
}

static void alive(void *arg, const struct tm_provider_conf *provider,
		  const struct tm_call_claim *claim)
{
	struct tm_breaker_view view;

	(void)step(arg, provider->name, TM_BREAKER_ALIVE, claim, &view);
}

static bool failed(void *arg, const struct tm_provider_conf *provider,
		   const struct tm_call_claim *claim, bool would_retry)
{
	struct tm_breaker_view view;

	(void)step(arg, provider->name, would_retry ? TM_BREAKER_RETRY : TM_BREAKER_FAILURE, claim,
		   &view);
	return view.passes;
}

static void succeeded(void *arg, const struct tm_provider_conf *provider,
		      const struct tm_call_claim *claim)
{
	struct tm_breaker_view view;

	if (claim->probe)	/* waited for: the log is to say what it did */
		(void)step(arg, provider->name, TM_BREAKER_SUCCESS, claim, &view);
	else
		tell(arg, provider->name, TM_BREAKER_SUCCESS, claim);
}

static void neutral(void *arg, const struct tm_provider_conf *provider,
		    const struct tm_call_claim *claim)
{
	tell(arg, provider->name, TM_BREAKER_NEUTRAL, claim);
}

enum tm_err tm_breakers_new(struct tm_breakers **out, const struct tm_settings *settings,
			    struct tm_redis *redis)
{
	struct tm_breakers *breakers = calloc(1, sizeof(*breakers));

	if (!breakers)
		return TM_ENOMEM;
	breakers->settings = settings;
	breakers->redis = redis;
	breakers->gate = (struct tm_call_gate){claim, alive, failed, succeeded, neutral, breakers};
	breakers->conf = (struct tm_breaker_conf){
		.threshold = settings->breaker.threshold,
		.min_calls = settings->breaker.min_calls,
		.ratio = settings->breaker.ratio,
		.window_ms = settings->breaker.window_ms,
		.recovery_ms = settings->breaker.recovery_ms,
		.probe_ms = settings->llm.deadline_ms < PROBE_MAX_MS ?
				    settings->llm.deadline_ms : PROBE_MAX_MS,
		.patience_ms = settings->llm.deadline_ms,
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
	const struct tm_breaker_ask look = {.op = TM_BREAKER_LOOK};
	struct own *own = own_of(breakers, provider->name);

	if (own)
		own->seen_ms = 0;
	return queue(breakers, provider->name, &look);
}

void tm_breakers_seen(struct tm_breakers *breakers, const struct tm_provider_conf *provider,
		      const struct tm_reply *reply)
{
	struct own *own = own_of(breakers, provider->name);
	struct tm_breaker_view view;

	if (!own || tm_breaker_read(reply, &view) != TM_OK || view.state != TM_BREAKER_CLOSED)
		return;
	own->seen_ms = tm_clock_mono_ms();
	own->seen_turn = view.turn;
}

void tm_breakers_view(struct tm_breakers *breakers, const char *provider,
		      struct tm_breaker_view *view)
{
	(void)step(breakers, provider, TM_BREAKER_LOOK, NULL, view);
}

enum tm_err tm_breakers_reset(struct tm_breakers *breakers, const char *provider)
{
	const struct tm_breaker_ask reset = {.op = TM_BREAKER_RESET};
	struct tm_redis *redis = breakers->redis;
	struct tm_breaker_view view;
	enum tm_err err;
	int index = queue(breakers, provider, &reset);

	err = tm_redis_run(redis);
	if (err == TM_OK)
		err = tm_breaker_read(tm_redis_reply(redis, index), &view);
	tm_redis_end(redis);
	step_here(breakers, provider, &reset, &view);
	return err == TM_OK ? TM_OK : TM_EUNAVAIL;
}
