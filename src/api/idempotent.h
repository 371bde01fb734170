/* A route under an Idempotency-Key. */
#ifndef TM_API_IDEMPOTENT_H
#define TM_API_IDEMPOTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "api/route.h"

/* A route that may be called with the header. */
struct tm_idempotent {
	const char *route;	/* "process" */
	bool stream;		/* the answer would be a stream, which cannot be kept */
	int64_t deadline_ms;	/* the longest it may take */
	void (*run)(struct tm_context *context);
};

/* Runs it, where there is no such header or this is the first request under the key, and keeps
 * the answer before it leaves. Else the response is the replay, or the 409, 422 or 503. */
void tm_idempotent_run(struct tm_context *context, const struct tm_idempotent *what);

#endif
