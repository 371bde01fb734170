/*
 * What each key has used, per hour, as counters in Redis: requests, hits, errors, LLM calls,
 * tokens, texts that the guard spoke up at. Written after the answer has left; while Redis is
 * away counts gather in a bounded table and are written later.
 */
#ifndef TM_RECORD_USAGE_H
#define TM_RECORD_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct tm_redis;
struct tm_usage;

/* One finished request. */
struct tm_usage_event {
	const char *key_id;
	const char *operation;	/* id; "" where none was reached */
	int64_t at_ms;		/* wall clock */
	int status;		/* HTTP */
	int hit;		/* from the cache */
	int guarded;		/* the guard spoke up */
	int64_t llm_calls, input_tokens, output_tokens;
};

/* cells_max distinct key, operation and hour combinations are kept while Redis is away. */
TM_CHECK enum tm_err tm_usage_new(struct tm_usage **out, const char *prefix, size_t cells_max);
void tm_usage_free(struct tm_usage *usage);

/* Counts one event. When the table is full the event goes to the cell "overflow" of its hour:
 * sums stay true, their split does not. */
void tm_usage_add(struct tm_usage *usage, const struct tm_usage_event *event);

/* True when something has gathered, or is sent and not known to have been taken. */
bool tm_usage_pending(const struct tm_usage *usage);

/* Sends what has gathered without waiting for the answer; keeps it when Redis is away, and sends
 * it again when Redis has refused it, which the next flush finds out. Keys expire after 35 days. */
void tm_usage_flush(struct tm_usage *usage, struct tm_redis *redis);

/* The last flush of a process: waits until Redis has taken everything, or is away. */
void tm_usage_finish(struct tm_usage *usage, struct tm_redis *redis);

#endif
