/*
 * From a task to the two messages an LLM gets: the instruction as system message, the text as
 * data in the user message, unchanged, between fences that it cannot close.
 */
#ifndef TM_TEXT_PROMPT_H
#define TM_TEXT_PROMPT_H

#include "base/arena.h"
#include "base/err.h"
#include "text/operation.h"

struct tm_prompt {
	const char *system;
	const char *user;
	size_t user_len;
	const char *schema_name;	/* for structured answers; NULL for plain text */
	const char *schema;		/* JSON Schema; NULL for plain text */
};

/* Builds the messages in arena. The fence is drawn from the text's own hash, so that equal
 * tasks have equal prompts, and changed until the text does not hold it. TM_OK, TM_ENOMEM. */
TM_CHECK enum tm_err tm_prompt_build(const struct tm_task *task, struct tm_arena *arena,
				     struct tm_prompt *out);

#endif
