/*
 * Coalescing: equal requests in flight anywhere make one LLM call. The first one leads, the
 * others follow: they poll for the leader's answer, take over when its lock lapses (the leader
 * died), and are told its failure instead of repeating it.
 */
#ifndef TM_FLOW_FLIGHT_H
#define TM_FLOW_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct tm_redis;
struct tm_reply;

enum {
	TM_FLIGHT_TOKEN_BYTES = 33,
	TM_FLIGHT_LOCK_MS = 3000,	/* a dead leader is replaced after this */
	TM_FLIGHT_POLL_MIN_MS = 20, TM_FLIGHT_POLL_MAX_MS = 200
};

struct tm_flight {
	char name[192];				/* of the flight's hash */
	const char *entry;			/* the cache entry's name; borrowed */
	const char *token;			/* this request's; borrowed */
	char leader[TM_FLIGHT_TOKEN_BYTES];	/* whom it follows; "" */
	bool leads;
};

enum tm_flight_state {
	TM_FLIGHT_ENTRY,	/* a fresh answer is stored: text is the entry */
	TM_FLIGHT_FAILED,	/* the leader failed: text is its failure */
	TM_FLIGHT_LEAD,
	TM_FLIGHT_FOLLOW
};

/* Begins. prefix is redis.prefix; entry ends in "{<hash>}"; token, of 32 hex digits, is no living
 * request's but this one's. Entry and token are borrowed. */
void tm_flight_init(struct tm_flight *flight, const char *prefix, const char *entry,
		    const char *token);

/* Queues the question who leads; index of the reply, or -1. */
int tm_flight_queue_lead(struct tm_redis *redis, const struct tm_flight *flight);

/* Reads the answer into flight. text: for ENTRY and FAILED, the reply item, borrowed.
 * TM_OK; TM_EPROTO not the script's answer. */
TM_CHECK enum tm_err tm_flight_read_lead(const struct tm_reply *reply, struct tm_flight *flight,
					 enum tm_flight_state *state, const struct tm_reply **text);

/* The leader's ends: the answer is stored (value, life_ms), it failed, it gave up. Queued;
 * index of the reply, or -1. */
int tm_flight_queue_stored(struct tm_redis *redis, const struct tm_flight *flight,
			   const char *value, size_t len, int64_t life_ms);
int tm_flight_queue_failed(struct tm_redis *redis, const struct tm_flight *flight,
			   const char *failure);
int tm_flight_queue_dropped(struct tm_redis *redis, const struct tm_flight *flight);

/* Renews the lock; the reply, an integer, is 2 when somebody follows. Index, or -1. */
int tm_flight_queue_renew(struct tm_redis *redis, const struct tm_flight *flight);

#endif
