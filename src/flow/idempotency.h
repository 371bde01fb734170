/*
 * Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request that is sent again under
 * the same key gets the answer of the first, whichever worker and host it comes to.
 */
#ifndef TM_FLOW_IDEMPOTENCY_H
#define TM_FLOW_IDEMPOTENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct tm_redis;

enum {
	TM_IDEMPOTENCY_KEY_MAX = 255,
	TM_IDEMPOTENCY_ANSWER_MAX = 1024 * 1024	/* larger answers are not kept, bytes */
};

/* What is asked, under which key. All borrowed. */
struct tm_idempotency_ask {
	const char *prefix;	/* redis.prefix */
	const char *user;	/* keys of one user say nothing of another's */
	const char *key;
	const char *route;	/* "process": part of what is asked */
	const char *body;
	size_t body_len;
	const char *token;	/* the request's name in Redis: 32 hex digits */
};

/* One request under a key. */
struct tm_idempotency {
	char name[256];		/* in Redis */
	char request[65];	/* digest of route and body */
	const char *token;	/* this request's; borrowed */
};

/* An answer as it is kept. */
struct tm_idempotency_answer {
	int64_t status;		/* HTTP */
	const char *content_type;
	const char *headers;	/* "Name: value\r\n" of those that belong to the answer */
	const char *body;
	size_t body_len;
};

enum tm_idempotency_state {
	TM_IDEMPOTENCY_BEGUN,	/* this request runs, and must end with finish or drop */
	TM_IDEMPOTENCY_RUNNING,	/* an equal one runs elsewhere */
	TM_IDEMPOTENCY_OTHER,	/* something else was asked under this key */
	TM_IDEMPOTENCY_DONE	/* the answer is there */
};

/* True for 1..255 visible ASCII characters. */
bool tm_idempotency_key_valid(const char *key);

/* True for an answer that a repeat gets: 2xx, and 4xx that would be the same again. The others
 * may pass (409, 429, 5xx) or hang on more than the body (406). */
bool tm_idempotency_keeps(int status, size_t bytes);

/* Names of what a request under a key begins: equal for all that ask the same under it. */
void tm_idempotency_claim(const struct tm_idempotency *idempotency, char out[33]);

/* Names it. The token is borrowed. */
void tm_idempotency_init(struct tm_idempotency *idempotency, const struct tm_idempotency_ask *ask);

/*
 * Begins, in one round trip.
 *
 * lock_ms  a request that has not ended by then counts as dead
 * answer   filled on TM_IDEMPOTENCY_DONE, from the arena
 *
 * TM_OK and *state; otherwise nothing is known: Redis is away, or TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_idempotency_begin(struct tm_redis *redis,
					  const struct tm_idempotency *idempotency,
					  int64_t lock_ms, struct tm_arena *arena,
					  enum tm_idempotency_state *state,
					  struct tm_idempotency_answer *answer);

/* Keeps the answer for ttl_ms, in one round trip: a repeat after this cannot run. TM_OK;
 * TM_EEXIST the lock had lapsed: another runs or has answered; else Redis' trouble. */
TM_CHECK enum tm_err tm_idempotency_finish(struct tm_redis *redis,
					   const struct tm_idempotency *idempotency,
					   const struct tm_idempotency_answer *answer,
					   int64_t ttl_ms);

/* Frees the key, in one round trip: a repeat runs. As finish. */
TM_CHECK enum tm_err tm_idempotency_drop(struct tm_redis *redis,
					 const struct tm_idempotency *idempotency);

#endif
