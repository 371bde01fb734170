/* From a JSON object to a task: every wrong field is found, not only the first. */
#ifndef TM_API_VALIDATE_H
#define TM_API_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/problem.h"
#include "base/arena.h"
#include "base/settings.h"
#include "io/json.h"
#include "text/operation.h"

enum { TM_FIELD_ERRORS_MAX = 32 };

/* What requests are measured by. */
struct tm_rules {
	const struct tm_settings *settings;
	const struct tm_operations *operations;
};

/* What a request object came to. Texts are borrowed from the JSON document and the arena. */
struct tm_input {
	struct tm_task task;
	const struct tm_json *user_metadata;	/* an object; NULL when absent */
	struct tm_field_error errors[TM_FIELD_ERRORS_MAX];
	size_t errors_count;			/* 0: task is complete */
	bool question_missing;			/* the one error that is a 400 when it is alone */
	const char *refusal;			/* detail of the guard's error; NULL for none */
};

/* Reads one request object of process or of a batch item. TM_OK: look at errors_count;
 * TM_ENOMEM. */
TM_CHECK enum tm_err tm_validate(const struct tm_json *object, const struct tm_rules *rules,
				 struct tm_arena *arena, struct tm_input *out);

/* The problem that an input with errors is; more borrows from it. */
enum tm_problem tm_input_problem(const struct tm_input *input, struct tm_problem_more *more);

struct tm_context;

/*
 * Scores a complete input for attempts to give the LLM orders. At guard.threshold or above it is
 * logged, without the text, and counted; where guard.action says reject, errors and refusal are
 * added too. Does nothing to an input that has errors already.
 */
void tm_input_guard(struct tm_context *context, struct tm_input *input);

#endif
