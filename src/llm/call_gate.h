/* What the engine asks and remembers of providers around its attempts. */
#ifndef TM_LLM_CALL_GATE_H
#define TM_LLM_CALL_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/provider_conf.h"

/*
 * Asked around every attempt at a provider with a network: the circuit breakers' side of the
 * engine (llm/breakers). All functions may block for one Redis round trip.
 */
struct tm_call_gate {
	/* Before an attempt. False: not now, and *wait_ms until one may pass; the next provider is
	 * tried, or the call ends TM_CALL_UNAVAILABLE with that wait. */
	bool (*claim)(void *arg, const struct tm_provider_conf *provider, int64_t *wait_ms);
	/* After one that was the provider's own trouble. would_retry: the preset has attempts left.
	 * True: it may be tried again; asked only then. */
	bool (*failed)(void *arg, const struct tm_provider_conf *provider, bool would_retry);
	/* After a response of use. */
	void (*succeeded)(void *arg, const struct tm_provider_conf *provider);
	/* After one that says nothing of the provider's health: refused, dropped, out of memory. */
	void (*neutral)(void *arg, const struct tm_provider_conf *provider);
	void *arg;
};

/* What a process has learned of its providers: who wants to be asked more plainly. Zeroed at
 * start, kept as long as the process. */
struct tm_call_memory {
	struct { char name[64]; int plainness; } providers[TM_PROVIDERS_MAX];
};

#endif
