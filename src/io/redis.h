/*
 * One connection to Redis, with deadlines, a breaker and pipelines. The program has to ignore
 * SIGPIPE. Redis 5 or newer.
 *
 * Commands are queued and sent together; one wait, bounded by one deadline, brings all their
 * answers. After a failure the connection is closed (a late reply must never answer the next
 * request) and the breaker opens: calls fail at once with TM_EUNAVAIL, and the way back is
 * found without anybody waiting for it, by tm_redis_poll between requests.
 */
#ifndef TM_IO_REDIS_H
#define TM_IO_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/redis_reply.h"

struct tm_redis;

struct tm_redis_conf {
	const char *url; /* redis://[user[:password]@]host[:port][/db], unix:///path[?db=N] */
	const char *username;	/* "" for none; overrides the url's */
	const char *password;	/* secret; "" for none */
	int64_t timeout_ms;	/* one round trip, and one connect */
};

/* Makes the handle; connects at first use. Strings are copied. TM_OK, TM_ENOMEM, TM_EINVAL. */
TM_CHECK enum tm_err tm_redis_new(struct tm_redis **out, const struct tm_redis_conf *conf);
void tm_redis_free(struct tm_redis *redis);

/* Lua scripts of src/io/script, embedded at build. */
enum tm_script {
	TM_SCRIPT_ADMIT, TM_SCRIPT_BREAKER, TM_SCRIPT_CLAIM, TM_SCRIPT_IDEMPOTENCY,
	TM_SCRIPT_JOB_END, TM_SCRIPT_JOB_SUBMIT, TM_SCRIPT_JOB_TAKE, TM_SCRIPT_JOB_VIEW,
	TM_SCRIPT_LEAD, TM_SCRIPT_SETTLE,
	TM_SCRIPT_COUNT
};

/*
 * A pipeline: queue any number of commands (at most TM_REDIS_PIPELINE), run, read, end.
 *
 *   tm_redis_queue(r, argv...); tm_redis_queue_script(r, ...);
 *   err = tm_redis_run(r);
 *   if (err == TM_OK) use tm_redis_reply(r, 0), (r, 1) ...
 *   tm_redis_end(r);
 *
 * queue returns the index of the reply, from 0 on, or -1 when the pipeline is full or memory
 * is out (run then fails with TM_ENOMEM).
 */
enum { TM_REDIS_PIPELINE = 128 };

int tm_redis_queue(struct tm_redis *redis, int argc, const char *const *argv, const size_t *lens);
/* The same for words with blanks between: %s (C string), %b (pointer, size_t), %d, %lld, %%;
 * what they insert may hold blanks. Any other conversion breaks the pipeline as a full one. */
int tm_redis_queuef(struct tm_redis *redis, const char *fmt, ...);
/* EVALSHA of a script; loaded again by itself where Redis has forgotten it. argv: keys_count
 * keys, then the arguments. */
int tm_redis_queue_script(struct tm_redis *redis, enum tm_script script, int keys_count, int argc,
			  const char *const *argv, const size_t *lens);

/*
 * Sends what is queued and waits for all answers: one blocking round trip (two where a script
 * had to be loaded).
 *
 * TM_OK every command was answered (an answer may still be TM_REPLY_ERROR);
 * TM_ETIME, TM_EIO, TM_EPROTO the connection failed now; TM_EUNAVAIL it failed before, nothing
 * was tried; TM_ENOMEM. LOADING, READONLY, MASTERDOWN, NOAUTH and kin count as TM_EIO.
 */
TM_CHECK enum tm_err tm_redis_run(struct tm_redis *redis);

/* Sends what is queued and does not wait: the answers are read and thrown away before the
 * next run or by poll. TM_OK means handed to the connection; otherwise as run. Waits as run
 * does only to connect at first use, and when Redis is far behind: over 1024 answers missing,
 * or earlier bytes not taken. A script that Redis has forgotten is lost, once. */
TM_CHECK enum tm_err tm_redis_send(struct tm_redis *redis);

/* Of what was sent: whether all answers are in, or will never come; and how many were errors since
 * the handle was made. */
bool tm_redis_sent_over(const struct tm_redis *redis);
uint64_t tm_redis_sent_errors(const struct tm_redis *redis);

/* The answer with that index; a TM_REPLY_NIL for one out of range. */
const struct tm_reply *tm_redis_reply(const struct tm_redis *redis, int index);

/* Frees the answers and empties the queue. Always, whatever run said. */
void tm_redis_end(struct tm_redis *redis);

/* True when the last use worked or nothing was tried yet. */
bool tm_redis_up(const struct tm_redis *redis);

/* Looks, without waiting, for the way back of a lost connection and for answers of send.
 * Call when the wait for a request is over, and before each while it is not up. */
void tm_redis_poll(struct tm_redis *redis);

/* For the caller's ppoll: a descriptor to watch (-1 none) with *events, and *timeout_ms, after
 * which tm_redis_poll wants to be called (-1: never). */
int tm_redis_watch(struct tm_redis *redis, short *events, int64_t *timeout_ms);

/* Until lifted by 0: no wait goes on after until_us of the steady clock, be timeout_ms longer. */
void tm_redis_bound(struct tm_redis *redis, int64_t until_us);

uint64_t tm_redis_trips(const struct tm_redis *redis);	/* blocking round trips: for tests */
/* Why it is down, for health and the log; "" when up. Holds no secret. */
const char *tm_redis_error(const struct tm_redis *redis);

#endif
