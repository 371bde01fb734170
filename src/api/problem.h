/* Errors in the one shape every route answers with: application/problem+json (RFC 9457). */
#ifndef TM_API_PROBLEM_H
#define TM_API_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

#include "api/request.h"
#include "api/response.h"

enum tm_problem {
	TM_PROBLEM_BAD_REQUEST, TM_PROBLEM_UNAUTHENTICATED, TM_PROBLEM_FORBIDDEN,
	TM_PROBLEM_NOT_FOUND, TM_PROBLEM_METHOD_NOT_ALLOWED, TM_PROBLEM_NOT_ACCEPTABLE,
	TM_PROBLEM_CONFLICT,
	TM_PROBLEM_TOO_LARGE, TM_PROBLEM_UNSUPPORTED_MEDIA_TYPE, TM_PROBLEM_INVALID,
	TM_PROBLEM_RATE_LIMITED, TM_PROBLEM_QUOTA_EXCEEDED, TM_PROBLEM_INTERNAL,
	TM_PROBLEM_LLM_ERROR, TM_PROBLEM_LLM_UNAVAILABLE, TM_PROBLEM_OVERLOADED,
	TM_PROBLEM_DEADLINE_EXCEEDED,
	TM_PROBLEM_COUNT
};

/* One wrong field of a request. */
struct tm_field_error {
	const char *field;	/* "text", "options.max_length" */
	const char *message;
};

struct tm_problem_more {
	const char *detail;	/* for the client: never a provider's text, never a secret */
	const char *log;	/* for the log only; NULL: detail */
	int64_t retry_after_ms;	/* > 0: Retry-After, rounded up to whole seconds */
	const struct tm_field_error *errors;
	size_t errors_count;
};

/* Its HTTP status. */
int tm_problem_status(enum tm_problem problem);

/* Makes the response this problem: status, body, Retry-After. Headers already there stay. */
void tm_problem_set(struct tm_response *response, const struct tm_request *request,
		    enum tm_problem problem, const struct tm_problem_more *more);

/* Only notes status, code and cause in the response, for the log: the client is told otherwise. */
void tm_problem_note(struct tm_response *response, const struct tm_request *request,
		     enum tm_problem problem, const struct tm_problem_more *more);

/* As tm_problem_set, with a detail only. */
void tm_problem_say(struct tm_response *response, const struct tm_request *request,
		    enum tm_problem problem, const char *detail);

/* The problem object itself, without the response around it (items of a batch, streams). */
void tm_problem_write(struct tm_buf *out, const char *request_id, enum tm_problem problem,
		      const struct tm_problem_more *more);

#endif
