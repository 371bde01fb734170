/* What the engine asks and remembers of providers around its attempts. */
#ifndef TM_LLM_CALL_GATE_H
#define TM_LLM_CALL_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/provider_conf.h"

/* What the gate says of an attempt that it lets pass; goes back with the word of it. */
struct tm_call_claim {
	int64_t fair_ms;	/* what an attempt normally has: one that the request's own
				 * deadline ends much earlier says nothing of the provider */
	bool probe;		/* word is wanted as soon as its response begins well */
	int64_t silence_ms;	/* and if it does not, the end after this time; 0: no such end */
	int64_t turn;		/* the gate's own notes */
	bool here;
};

/*
 * Asked around every attempt at a provider with a network: the circuit breakers' side of the
 * engine (llm/breakers). All functions may block for one Redis round trip.
 */
struct tm_call_gate {
	/* Before an attempt. True: it may be made, *claim is filled. False: not now, and *wait_ms
	 * until one may pass; the next provider is tried, or the call ends TM_CALL_UNAVAILABLE with
	 * that wait. */
	bool (*claim)(void *arg, const struct tm_provider_conf *provider,
		      struct tm_call_claim *claim, int64_t *wait_ms);
	/* A probe's response begins well. Word of its end comes all the same. */
	void (*alive)(void *arg, const struct tm_provider_conf *provider,
		      const struct tm_call_claim *claim);
	/* After one that was the provider's own trouble. would_retry: the preset has attempts left.
	 * True: it may be tried again; asked only then. */
	bool (*failed)(void *arg, const struct tm_provider_conf *provider,
		       const struct tm_call_claim *claim, bool would_retry);
	/* After a response of use. */
	void (*succeeded)(void *arg, const struct tm_provider_conf *provider,
			  const struct tm_call_claim *claim);
	/* After one that says nothing of the provider's health: refused, dropped, out of memory,
	 * cut off before it had its time. */
	void (*neutral)(void *arg, const struct tm_provider_conf *provider,
			const struct tm_call_claim *claim);
	void *arg;
};

/* What a process has learned of its providers: who wants to be asked more plainly. Zeroed at
 * start, kept as long as the process. */
struct tm_call_memory {
	struct { char name[64]; int plainness; } providers[TM_PROVIDERS_MAX];
};

#endif
