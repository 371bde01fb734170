/* What Redis answers a command. */
#ifndef TM_IO_REDIS_REPLY_H
#define TM_IO_REDIS_REPLY_H

#include <stddef.h>
#include <stdint.h>

enum tm_reply_kind {
	TM_REPLY_NIL,
	TM_REPLY_INT,
	TM_REPLY_TEXT,	/* bulk or status */
	TM_REPLY_ARRAY,
	TM_REPLY_ERROR	/* Redis' own words in text */
};

/* One answer. Borrowed from the pipeline until tm_redis_end. */
struct tm_reply {
	enum tm_reply_kind kind;
	int64_t integer;
	const char *text;	/* NUL-terminated, may hold NULs */
	size_t len;
	const struct tm_reply *items;
	size_t count;
};

#endif
