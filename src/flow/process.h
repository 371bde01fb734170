/*
 * The way of one text through admission, cache and LLM: DESIGN's steps 3 to 7, without HTTP.
 */
#ifndef TM_FLOW_PROCESS_H
#define TM_FLOW_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/settings.h"
#include "gate/keys.h"
#include "gate/limit.h"
#include "text/operation.h"

struct tm_breakers;
struct tm_call_memory;
struct tm_http;
struct tm_redis;

/* What a process has for all its requests. All borrowed. */
struct tm_services {
	struct tm_redis *redis;
	struct tm_http *http;
	struct tm_limit_local *local_limits;	/* holds the line while Redis is away */
	struct tm_breakers *breakers;
	struct tm_call_memory *memory;
	const struct tm_operations *operations;
	struct tm_sha256 hash;			/* reused for every cache key */
};

/* One text to process. All borrowed. */
struct tm_process {
	const struct tm_settings *settings;
	const struct tm_principal *principal;
	struct tm_arena *arena;		/* the outcome's texts live here */
	const char *token;		/* the request's name in Redis: 32 hex digits */
	struct tm_task task;
	bool no_cache, no_store, only_if_cached;	/* request Cache-Control, RFC 9111 5.2.1 */
	bool charged;			/* the request was charged before: only LLM calls are */
	int64_t deadline_ms;		/* steady clock */
	int64_t arrived_ms;		/* wall clock: at the web server; 0 unknown */
	int watch_fd;			/* client's connection; -1 for none */
	/* Streams: takes the answer's text as it comes. NULL: no stream. As tm_call's delta. */
	enum tm_err (*delta)(void *arg, const char *text, size_t len);
	void (*tick)(void *arg);	/* at least every second while waiting; may be NULL */
	void *arg;
};

enum tm_process_end {
	TM_PROCESS_ANSWERED,
	TM_PROCESS_LIMITED,		/* 429, requests */
	TM_PROCESS_QUOTA,		/* 429, LLM calls */
	TM_PROCESS_NOT_CACHED,		/* 504, only-if-cached */
	TM_PROCESS_REDIS_DOWN,		/* 503, limit.on_redis_down = deny */
	TM_PROCESS_REFUSED,		/* 502 */
	TM_PROCESS_NONSENSE,		/* 502 */
	TM_PROCESS_UNAVAILABLE,		/* 503 */
	TM_PROCESS_DEADLINE,		/* 504 */
	TM_PROCESS_GONE,
	TM_PROCESS_NOMEM		/* 503 */
};

struct tm_outcome {
	enum tm_process_end end;
	const char *answer;		/* ANSWERED: JSON members result ... questions */
	size_t answer_len;
	const char *meta;		/* JSON members provider, model */
	size_t meta_len;
	bool hit, stored;
	bool collapsed;			/* answered by the call of an equal request in flight */
	bool degraded;			/* a stale entry or the extractive provider stood in */
	bool begun;			/* delta was called */
	int64_t cached_ms;		/* hit: wall clock of the store */
	int64_t ttl_ms;			/* hit: freshness left; negative for a stale one */
	int attempts;			/* upstream requests made for this one */
	int64_t input_tokens, output_tokens;
	double cost;			/* of this request's attempts; negative: not known */

	struct tm_policy policies[TM_POLICIES_MAX];	/* what admission charged */
	size_t policies_count;
	struct tm_verdict verdict;	/* of those policies; valid when policies_count > 0 */
	int64_t retry_after_ms;		/* LIMITED, QUOTA, UNAVAILABLE, REDIS_DOWN */

	int64_t redis_us, llm_us;
	int64_t ended_us;		/* of a batch: steady clock when it ended; else 0 */
	const char *detail;		/* for the log; never NULL */
};

/* Runs it. Every way it can go is an end in out. */
void tm_process_run(struct tm_services *services, const struct tm_process *process,
		    struct tm_outcome *out);

/* The request policies of a caller ("minute", "hour"), those with a quota. How many. */
size_t tm_process_policies(const struct tm_settings *settings, const struct tm_principal *principal,
			   struct tm_policy out[TM_POLICIES_MAX]);
/* The LLM-call policy, likewise (0 or 1). */
size_t tm_process_llm_policy(const struct tm_settings *settings,
			     struct tm_policy out[TM_POLICIES_MAX]);

/* The providers of a request in order: llm.provider's, or all. How many; at least one. */
size_t tm_process_providers(const struct tm_settings *settings,
			    const struct tm_provider_conf *out[TM_PROVIDERS_MAX]);

#endif
