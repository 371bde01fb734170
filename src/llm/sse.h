/*
 * Server-sent events, the reading side: bytes in any pieces go in, whole events come out.
 * WHATWG HTML, section 9.2.6 (event stream interpretation). No I/O.
 */
#ifndef TM_LLM_SSE_H
#define TM_LLM_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct tm_sse {
	struct tm_buf line;	/* the unfinished line */
	struct tm_buf data;	/* of the unfinished event */
	char event[64];		/* its type; longer ones are cut */
	bool after_cr;		/* a line feed that comes now belongs to the line before */
	bool begun;		/* a byte order mark can no longer come */
};

/* Told of each event; name is "message" where none was sent; data holds a NUL behind len. */
typedef void tm_sse_event(void *arg, const char *name, const char *data, size_t len);

/* event_max: largest event accepted, bytes. */
void tm_sse_init(struct tm_sse *sse, size_t event_max);
void tm_sse_clear(struct tm_sse *sse);

/* Takes bytes. TM_OK; TM_ESIZE an event over its ceiling; TM_ENOMEM. */
TM_CHECK enum tm_err tm_sse_feed(struct tm_sse *sse, const char *bytes, size_t len,
				 tm_sse_event *event, void *arg);

#endif
