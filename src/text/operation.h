/* What an operation is: its options, what it needs, the shape of its answer. */
#ifndef TM_TEXT_OPERATION_H
#define TM_TEXT_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TM_OPTIONS_MAX = 8 };

/* Where the answer stands in the response. */
enum tm_shape { TM_SHAPE_RESULT, TM_SHAPE_SENTIMENT, TM_SHAPE_KEY_POINTS, TM_SHAPE_QUESTIONS };

struct tm_option {
	const char *name, *description;
	int64_t min, max, preset;	/* preset: the default */
};

struct tm_operation {
	const char *id, *name, *description;
	const char *version;		/* part of the cache key: change it with the prompt */
	enum tm_shape shape;
	bool requires_question;
	const struct tm_option *options;
	size_t options_count;
	const char *instruction;	/* prompt; {option} stands for an option's value */
	const char *retry;		/* preset of llm/retry: "balanced", ... */
	int64_t max_tokens;		/* ceiling for the answer */
};

/* What to do to one text: an operation with everything filled in. Text is borrowed. */
struct tm_task {
	const struct tm_operation *operation;
	const char *text;		/* trimmed */
	size_t text_len;
	const char *question;		/* trimmed; "" where none */
	size_t question_len;
	int64_t options[TM_OPTIONS_MAX];/* as operation->options */
};

/* The operation of that id; NULL when unknown. Static. */
const struct tm_operation *tm_operation_find(const char *id);

/* All of them, in the order they are listed. */
const struct tm_operation *tm_operation_all(size_t *count);

/* The value of a named option of the task; otherwise where the operation has none of it. */
int64_t tm_task_option(const struct tm_task *task, const char *name, int64_t otherwise);

#endif
