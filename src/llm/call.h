/*
 * The LLM engine: any number of calls at once, event-driven, each under one deadline that
 * covers its attempts, waits and providers. One engine for a single request, a batch's five,
 * and streams.
 */
#ifndef TM_LLM_CALL_H
#define TM_LLM_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/backoff.h"
#include "base/err.h"
#include "base/settings.h"
#include "llm/call_gate.h"
#include "llm/provider.h"

struct tm_http;

enum tm_call_end {
	TM_CALL_ANSWERED,
	TM_CALL_REFUSED,	/* 502: the provider will not do it */
	TM_CALL_NONSENSE,	/* 502: no answer of the asked shape, twice */
	TM_CALL_UNAVAILABLE,	/* 503: provider errors outlasted the attempts, or the next try
				 * would come after the deadline */
	TM_CALL_DEADLINE,	/* 504 */
	TM_CALL_GONE,		/* the client left; upstream was dropped */
	TM_CALL_FAILED		/* out of memory here */
};

struct tm_call {
	/* In. All borrowed until the run is over. */
	const struct tm_llm_prompt *prompt;
	const struct tm_provider_conf *const *providers;	/* in order */
	size_t providers_count;
	const struct tm_backoff *retry;
	int64_t deadline_ms;		/* steady clock (tm_clock_mono_ms) */
	int64_t limit_ms;		/* longest from its beginning on, as others may run before
					 * it; 0: no limit but the deadline */
	struct tm_arena *arena;		/* the answer and log details live here */
	/* Reads the answer into the operation's shape: TM_OK, TM_ENOMEM, or another code
	 * (TM_EPROTO, TM_EUTF8) to ask once more. NULL takes any answer. */
	enum tm_err (*accept)(void *arg, const struct tm_llm_reply *reply);
	/* Takes the answer's text as it is streamed, whole code points at a time; an answer that
	 * comes whole all the same, in one piece. NULL: the answer is asked for whole. After its
	 * first call nothing is asked again and no other provider is tried. Anything but TM_OK:
	 * nobody reads any more, as if the client's connection had ended: limits->may_drop
	 * decides, and the run goes on without deltas or not at all. Called while bytes are
	 * taken from the connection: must not call tm_http_*. */
	enum tm_err (*delta)(void *arg, const char *text, size_t len);
	/* Told as soon as the call has its end, while others may still run. Must not call
	 * tm_http_*. NULL: nobody. */
	void (*ended)(void *arg);
	void *arg;
	/* In and out: set by limits->may_drop where nobody else waits for this call, though
	 * somebody does for another: it ends TM_CALL_GONE. */
	bool unwanted;
	/* Out. */
	enum tm_call_end end;
	struct tm_llm_reply reply;	/* TM_CALL_ANSWERED */
	const struct tm_provider_conf *provider;	/* that answered or failed last */
	int attempts;			/* transfers begun, of all providers */
	int64_t input_tokens, output_tokens;	/* of all attempts that reported them */
	double cost;			/* of these tokens at their providers' prices; negative: not
					 * known, as provider has a network and no price */
	int64_t retry_after_ms;		/* TM_CALL_UNAVAILABLE: when it may help; >= 1000 */
	int64_t upstream_us;		/* time spent in attempts */
	/* For the log: what went wrong per provider, "name: cause (attempt n)", the last cause of
	 * each, without the number where no attempt was made; "" when nothing did. Never NULL after
	 * a run; no key or answer is in it. */
	const char *detail;
};

struct tm_call_limits {
	int64_t connect_ms;
	size_t answer_max;		/* bytes of one response */
	size_t parallel;		/* calls begun and not ended, 1..TM_CALLS_PARALLEL */
	int watch_fd;			/* client's connection; -1: nobody to watch */
	/* Called at least every tick_ms while waiting; e.g. renews a lock. NULL: none. */
	void (*tick)(void *arg);
	int64_t tick_ms;		/* 0: a second */
	/* The client has left. False: somebody else waits for an answer, go on unwatched and
	 * without deltas, and without the calls that it made unwanted. Asked once. NULL: always
	 * true. */
	bool (*may_drop)(void *arg);
	void *arg;
	const struct tm_call_gate *gate;	/* NULL: every attempt may be made */
	struct tm_call_memory *memory;		/* NULL: nothing is remembered */
};

enum { TM_CALLS_PARALLEL = 16 };

/*
 * Runs count calls to their ends.
 *
 * A provider's errors are tried again up to retry->attempts, after the wait that it asked for or
 * a back-off; an answer of no use is asked for once more in all, at once; then, and after a
 * refusal, comes the next provider. A wait that would outlast the deadline is not begun.
 * With no provider left the call ends as the last one did, but as TM_CALL_UNAVAILABLE if any of
 * them was: then a later try may help. A provider that stays silent until the deadline makes it
 * TM_CALL_DEADLINE, even with others left.
 *
 * A stream that breaks after its first delta ends as what broke it: TM_CALL_UNAVAILABLE cut or the
 * provider's own error, TM_CALL_DEADLINE silent, TM_CALL_NONSENSE or _REFUSED what was said.
 *
 * TM_OK: every call has its end, good or bad; TM_ENOMEM: none was begun, all are TM_CALL_FAILED.
 */
TM_CHECK enum tm_err tm_calls_run(struct tm_http *http, struct tm_call *calls, size_t count,
				  const struct tm_call_limits *limits);

#endif
