/*
 * The breakers of all providers as the engine sees them: Redis' while it is there, this
 * process' own while it is away. One per process; its gate goes into tm_call_limits.
 */
#ifndef TM_LLM_BREAKERS_H
#define TM_LLM_BREAKERS_H

#include "base/err.h"
#include "base/settings.h"
#include "llm/breaker.h"
#include "llm/call.h"

struct tm_breakers;

/* settings and redis are borrowed and must outlive it. TM_OK, TM_ENOMEM. */
TM_CHECK enum tm_err tm_breakers_new(struct tm_breakers **out, const struct tm_settings *settings,
				     struct tm_redis *redis);
void tm_breakers_free(struct tm_breakers *breakers);

/* For tm_call_limits.gate; valid as long as breakers. */
const struct tm_call_gate *tm_breakers_gate(struct tm_breakers *breakers);

/*
 * A look at a provider's breaker ahead of the call, in a pipeline that is under way anyway:
 * queue returns the reply's index; seen reads the reply after a run that was TM_OK. A claim
 * that comes at once and finds the breaker seen closed needs no round trip of its own.
 */
int tm_breakers_queue_look(struct tm_breakers *breakers, const struct tm_provider_conf *provider);
void tm_breakers_seen(struct tm_breakers *breakers, const struct tm_provider_conf *provider,
		      const struct tm_reply *reply);

/* How a provider's breaker stands, in one blocking round trip. */
void tm_breakers_view(struct tm_breakers *breakers, const char *provider,
		      struct tm_breaker_view *view);

/* Closes it. TM_OK; TM_EUNAVAIL Redis is away: closed for this process only. */
TM_CHECK enum tm_err tm_breakers_reset(struct tm_breakers *breakers, const char *provider);

#endif
