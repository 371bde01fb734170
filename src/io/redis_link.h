/*
 * One connection to a Redis server: bytes out, answers in, under a deadline. Knows nothing of
 * when to connect or what the commands mean. The only file that knows hiredis. Internal to
 * io/redis.
 */
#ifndef TM_IO_REDIS_LINK_H
#define TM_IO_REDIS_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/url.h"
#include "io/redis.h"

enum {
	TM_REDIS_ERROR_BYTES = 160,
	TM_REDIS_ANSWERS_BYTES_MAX = 64 * 1024 * 1024	/* of one pipeline */
};

/* Where answers go. Slots and order are borrowed. */
struct tm_redis_sink {
	struct tm_reply *slots;
	const unsigned char *order;	/* slot of the n-th answer; NULL: n */
	int wanted, got;
	struct tm_arena arena;		/* texts and arrays of the answers */
};

struct redisContext;

struct tm_redis_link {
	struct redisContext *ctx;	/* hiredis'; NULL while closed */
	struct tm_redis_sink *sink;	/* may change only between two answers */
	int discard;			/* this many answers are thrown away first */
	uint64_t discarded_errors;	/* how many of those were errors; kept over connections */
	bool unsent;			/* bytes wait to be written */
	bool noscript;			/* an answer was NOSCRIPT; the caller's to clear */
	char refusal[TM_REDIS_ERROR_BYTES];	/* LOADING, READONLY and kin; "" for none */
	char error[TM_REDIS_ERROR_BYTES];	/* of the last failure; no secret */
};

/*
 * Starts to connect, without waiting: to url's Unix socket, or to address and url's port.
 * link is closed and zeroed but for sink. As all below that can fail, sets link->error.
 * TM_OK; TM_EIO, TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_redis_link_open(struct tm_redis_link *link, const struct tm_url_redis *url,
					const char *address);

/* Closes; unsent bytes and missing answers are lost. Takes a closed one. Keeps error. */
void tm_redis_link_close(struct tm_redis_link *link);

/* Descriptor to watch, -1 while closed. */
int tm_redis_link_fd(const struct tm_redis_link *link);

/* Queues bytes for writing. */
TM_CHECK enum tm_err tm_redis_link_append(struct tm_redis_link *link, const struct tm_buf *bytes);

/* Writes, and reads into sink, what can be done without waiting. TM_OK; TM_EIO the connection
 * is gone; TM_EPROTO nonsense, or an answer that nobody waits for; TM_ENOMEM. */
TM_CHECK enum tm_err tm_redis_link_flush(struct tm_redis_link *link);
TM_CHECK enum tm_err tm_redis_link_fill(struct tm_redis_link *link);

/* True when no answer is missing. */
bool tm_redis_link_complete(const struct tm_redis_link *link);

/* Flushes and fills until complete. As those; TM_ETIME at deadline_us of the steady clock. */
TM_CHECK enum tm_err tm_redis_link_exchange(struct tm_redis_link *link, int64_t deadline_us);

/* Sets link->error; returns err. */
enum tm_err tm_redis_link_blame(struct tm_redis_link *link, enum tm_err err, const char *text);

#endif
