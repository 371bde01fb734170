/*
 * Commands in Redis' wire format, kept until their answers are in, so that they can be sent
 * again. Internal to io/redis; knows no connection.
 */
#ifndef TM_IO_REDIS_WIRE_H
#define TM_IO_REDIS_WIRE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/redis.h"

enum { TM_REDIS_SHA_BYTES = 41 };	/* 40 hex digits and a NUL */

struct tm_redis_wire {
	struct tm_buf bytes;	/* all commands, one behind the other */
	struct tm_buf words;	/* scratch of putf */
	struct {
		size_t at, rest, end;	/* in bytes; rest: what follows EVALSHA and the sha */
		int argc;
		int script;		/* enum tm_script, or -1 */
	} commands[TM_REDIS_PIPELINE];
	int count;
	bool broken;		/* a command did not fit: nothing of it may be sent */
};

void tm_redis_wire_init(struct tm_redis_wire *wire);
void tm_redis_wire_clear(struct tm_redis_wire *wire);
/* Empty again; keeps a little memory. */
void tm_redis_wire_reset(struct tm_redis_wire *wire);

/* Each returns the command's index, or -1: full, too large or out of memory (wire->broken). */
int tm_redis_wire_put(struct tm_redis_wire *wire, int argc, const char *const *argv,
		      const size_t *lens);
int tm_redis_wire_vputf(struct tm_redis_wire *wire, const char *fmt, va_list args);
int tm_redis_wire_putf(struct tm_redis_wire *wire, const char *fmt, ...);

/* A script's call, as in tm_redis_queue_script. */
struct tm_redis_call {
	enum tm_script script;
	const char *sha;	/* "" : send the whole text instead (EVAL) */
	int keys_count, argc;
	const char *const *argv;
	const size_t *lens;
};
int tm_redis_wire_put_script(struct tm_redis_wire *wire, const struct tm_redis_call *call);

/* Appends command index, which calls a script by its sha, as EVAL with the script's text. */
void tm_redis_wire_put_eval(const struct tm_redis_wire *wire, int index, struct tm_buf *out);

/* Text of an embedded script. */
const char *tm_redis_wire_script(enum tm_script script, size_t *len);

#endif
