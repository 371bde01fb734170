/* What an operation is: its options, what it needs, the shape of its answer. */
#ifndef TM_TEXT_OPERATION_H
#define TM_TEXT_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/operation_conf.h"
#include "base/settings.h"

/* Where the answer stands in the response, and its form: LIST and OBJECT stand in result. */
enum tm_shape { TM_SHAPE_RESULT, TM_SHAPE_SENTIMENT, TM_SHAPE_KEY_POINTS, TM_SHAPE_QUESTIONS,
		TM_SHAPE_LIST, TM_SHAPE_OBJECT };

/* Values are int64_t for all types: a boolean is 0 or 1, a choice an index. */
struct tm_option {
	const char *name, *description;
	int64_t min, max, preset;	/* preset: the default */
	enum tm_option_type type;
	const char *const *choices;	/* of a choice: max + 1 of them */
};

/* A member of an object. */
struct tm_field {
	const char *name, *description;
	enum tm_field_type type;
};

struct tm_operation {
	const char *id, *name, *description;
	const char *version;		/* part of the cache key: change it with the prompt */
	enum tm_shape shape;
	bool requires_question;
	const struct tm_option *options;
	size_t options_count;
	const struct tm_field *fields;
	size_t fields_count;
	const char *instruction;	/* prompt; {option} stands for an option's value */
	const char *schema_name, *schema;	/* JSON Schema of the answer; NULL for plain text */
	const char *form;		/* the schema in words, behind the instruction; or NULL */
	const char *retry;		/* preset of llm/retry: "balanced", ... */
	const char *provider;		/* names in order, comma separated; "" or NULL: settings' */
	const char *model;		/* the first provider's; "" or NULL: settings' */
	double temperature;		/* where has_temperature; else the provider's own */
	bool has_temperature;
	int64_t max_tokens;		/* ceiling for the answer */
	int64_t ttl_ms;			/* 0: cache.ttl_default */
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

/* All operations of a process. */
struct tm_operations;

/* Makes them of settings->operations; borrows the settings. TM_OK and *out; TM_ENOMEM. */
TM_CHECK enum tm_err tm_operations_new(struct tm_operations **out,
				       const struct tm_settings *settings);
void tm_operations_free(struct tm_operations *operations);	/* takes NULL */

/* The operation of that id; NULL when unknown. */
const struct tm_operation *tm_operations_find(const struct tm_operations *operations,
					      const char *id);

/* All of them, in the order they are listed. */
const struct tm_operation *tm_operations_all(const struct tm_operations *operations, size_t *count);

/* The value of a named option of the task; otherwise where the operation has none of it. */
int64_t tm_task_option(const struct tm_task *task, const char *name, int64_t otherwise);

/* How many words, points, questions or items the task asks for; 0 where it does not say. */
int64_t tm_task_amount(const struct tm_task *task);

/* The built-in operation that the task is most like, by shape: what a provider that reads no
 * prompt can do about it. */
const char *tm_task_kind(const struct tm_task *task);

#endif
