/*
 * A streamed answer: server-sent events (WHATWG HTML 9.2) of type delta, then one result, or an
 * error. Nothing is sent before there is something to say, so that a failure before the first
 * delta is still an ordinary response with its status.
 */
#ifndef TM_API_STREAM_H
#define TM_API_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "api/answer.h"
#include "api/route.h"

enum { TM_STREAM_HEARTBEAT_MS = 10 * 1000 };

struct tm_stream {
	struct tm_context *context;
	const struct tm_input *input;
	const struct tm_process *process;
	const struct tm_outcome *outcome;
	bool begun;		/* the header block has left */
	bool gone;		/* a write failed: nobody reads any more */
	int64_t last_ms;	/* steady clock: when something was last sent */
};

/* Prepares the stream and hooks it into process. All borrowed until close. */
void tm_stream_open(struct tm_stream *stream, struct tm_context *context,
		    const struct tm_input *input, struct tm_process *process,
		    const struct tm_outcome *outcome);

/* Sends how the run ended. False: nothing was sent and the caller answers in the ordinary way. */
bool tm_stream_close(struct tm_stream *stream);

#endif
