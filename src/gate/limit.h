/*
 * How often a key may call: token buckets that all workers share through Redis.
 *
 * Count and expiry change in one server-side script with Redis' own clock: a worker that dies
 * half-way leaves no bucket without an expiry and no request half counted. Where Redis is
 * away, the same arithmetic runs per process (struct tm_limit_local).
 *
 * Buckets are kept as GCRA's theoretical arrival time, which equals a token bucket that
 * refills continuously: ITU-T I.371 annex A; RFC 2697 without the yellow mark.
 */
#ifndef TM_GATE_LIMIT_H
#define TM_GATE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct tm_redis;
struct tm_reply;

enum { TM_POLICIES_MAX = 4 };

/* The wait for a charge that is larger than a whole bucket. */
enum { TM_LIMIT_NEVER = -1 };

struct tm_policy {
	const char *name;	/* "minute", "hour", "llm_hour", "login"; static */
	int64_t quota;		/* requests the bucket holds, 1..1e9 */
	int64_t window_ms;	/* an empty bucket is full again after this */
};

/* A charge: cost taken from every bucket of take, or from none. If refused, back_cost goes
 * back into every bucket of back (the requests that an earlier charge took for nothing). */
struct tm_charge {
	const char *key_id;	/* public id or "login:<address>": 1..128 bytes, no braces */
	const struct tm_policy *take;
	size_t take_count;	/* 1..TM_POLICIES_MAX; 0: back is given back, nothing else */
	int64_t cost;		/* 0 only looks; at most 1000 */
	const struct tm_policy *back;
	size_t back_count;	/* 0..TM_POLICIES_MAX */
	int64_t back_cost;
};

/* What a charge came to. */
struct tm_verdict {
	bool passed;
	struct {
		int64_t left, reset_ms;
	} state[TM_POLICIES_MAX]; /* as take; reset: until full */
	size_t tightest;	/* index in take: fewest left, or on refusal the longest wait */
	int64_t retry_ms;	/* until the same charge can pass; 0 when passed; TM_LIMIT_NEVER */
	int64_t cost;		/* the charge's */
};

/* Queues the charge into redis' pipeline; the index of its reply, -1 as tm_redis_queue. */
int tm_limit_queue(struct tm_redis *redis, const char *prefix, const struct tm_charge *charge);

/* Reads the reply. TM_OK, verdict filled; TM_EPROTO the reply is not the script's, or an error. */
TM_CHECK enum tm_err tm_limit_read(const struct tm_reply *reply, const struct tm_charge *charge,
				   struct tm_verdict *verdict);

/* The same decided in this process, for a bounded number of keys (the least recently used are
 * forgotten). */
struct tm_limit_local;
TM_CHECK enum tm_err tm_limit_local_new(struct tm_limit_local **out, size_t keys_max);
void tm_limit_local_free(struct tm_limit_local *local);
void tm_limit_local_take(struct tm_limit_local *local, const struct tm_charge *charge,
			 int64_t now_us, struct tm_verdict *verdict);

#endif
