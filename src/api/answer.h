/* The objects of API.md that a run of flow/process ends in. Shared by process, streams, batches. */
#ifndef TM_API_ANSWER_H
#define TM_API_ANSWER_H

#include <stdbool.h>

#include "api/auth.h"
#include "api/problem.h"
#include "api/validate.h"
#include "flow/process.h"

/* Writes the response object of an answered run. */
void tm_answer_put(struct tm_buf *body, const struct tm_request *request,
		   const struct tm_input *input, const struct tm_outcome *outcome);

/* Adds what the run says in headers: limits, and Cache-Status (RFC 9211) of an answer. */
void tm_answer_put_headers(struct tm_response *response, bool no_cache,
			   const struct tm_outcome *outcome);

/* The problem that an unanswered run is, other than TM_PROCESS_GONE; fills more. */
enum tm_problem tm_answer_problem(const struct tm_request *request,
				  const struct tm_outcome *outcome, struct tm_problem_more *more);

#endif
