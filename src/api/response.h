/* A response in the making, and the one way it leaves. */
#ifndef TM_API_RESPONSE_H
#define TM_API_RESPONSE_H

#include <stdbool.h>

#include "api/request.h"
#include "base/buf.h"
#include "base/err.h"

struct tm_response {
	int status;			/* HTTP */
	const char *content_type;	/* static */
	const char *code;		/* the problem's code, for the log; "" on success */
	const char *detail;		/* the cause in the log's words; static or the request's
					 * arena's; NULL where memory was out */
	struct tm_buf headers;		/* "Name: value\r\n" of this route */
	struct tm_buf body;
	bool silent;			/* the client has gone: send nothing */
	bool expected;			/* the caller asked for this failure: no error of ours */
	bool streamed; /* the body is events: headers went ahead without a length */
};

void tm_response_init(struct tm_response *response, size_t body_max);
void tm_response_clear(struct tm_response *response);

/* Back to an empty 200 of application/json; keeps small memory. */
void tm_response_reset(struct tm_response *response);

/*
 * Adds a header. A control byte in the value ends the value there: nothing that came from
 * outside can begin another line.
 */
void tm_response_header(struct tm_response *response, const char *name, const char *value);
void tm_response_headerf(struct tm_response *response, const char *name, const char *fmt, ...)
	TM_PRINTF(3, 4);

/* Writes status, the headers every response has, the route's own, and the body.
 * TM_EGONE: nobody listens; TM_ENOMEM. Does not finish the exchange. */
TM_CHECK enum tm_err tm_response_send(struct tm_response *response,
				      const struct tm_request *request);

#endif
