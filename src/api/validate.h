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

/* What a request object came to. Texts are borrowed from the JSON document and the arena. */
struct tm_input {
	struct tm_task task;
	const struct tm_json *user_metadata;	/* an object; NULL when absent */
	struct tm_field_error errors[TM_FIELD_ERRORS_MAX];
	size_t errors_count;			/* 0: task is complete */
	bool question_missing;			/* the one error that is a 400 when it is alone */
};

/* Reads one request object of process or of a batch item. TM_OK: look at errors_count;
 * TM_ENOMEM. */
TM_CHECK enum tm_err tm_validate(const struct tm_json *object, const struct tm_settings *settings,
				 struct tm_arena *arena, struct tm_input *out);

#endif
