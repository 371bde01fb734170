/*
 * From the sections of the configuration to what a request runs. Everything that is the same for
 * all requests of an operation is made here once: version, schema, the words for its form.
 */
#include "text/operation.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "text/operation_schema.h"

enum { MEMORY_MAX = 8 * 1024 * 1024, DEFINITION_MAX = 256 * 1024, VERSION_BYTES = 8 };

struct tm_operations {
	struct tm_arena arena;
	struct tm_operation all[TM_OPERATIONS_MAX];
	size_t count;
};

static const char *retry_name(struct tm_arena *arena, int index)
{
	const char *at = TM_RETRY_NAMES;

	for (; index > 0 && strchr(at, '|'); index--)
		at = strchr(at, '|') + 1;
	return tm_arena_dup(arena, at, strcspn(at, "|"));
}

static void put(struct tm_buf *out, const char *text)
{
	tm_buf_put_int(out, (int64_t)strlen(text));	/* no two definitions run together */
	tm_buf_putc(out, ':');
	tm_buf_puts(out, text);
}

/* Everything in a definition that shapes an answer. */
static void put_definition(struct tm_buf *out, const struct tm_operation_conf *conf)
{
	put(out, conf->prompt);
	tm_buf_printf(out, "%d %d %lld %.6f", conf->result, conf->requires_question,
		      (long long)conf->max_tokens, conf->has_temperature ? conf->temperature : -1);
	for (size_t i = 0; i < conf->options_count; i++) {
		const struct tm_option_conf *option = &conf->options[i];

		put(out, option->name);
		tm_buf_printf(out, "%d", option->type);
		for (size_t j = 0; j < option->choices_count; j++)
			put(out, option->choices[j]);
	}
	for (size_t i = 0; i < conf->fields_count; i++) {
		put(out, conf->fields[i].name);
		tm_buf_printf(out, "%d", conf->fields[i].type);
		put(out, conf->fields[i].help);
	}
}

/* The version of a definition that names none: another one for whatever changes in it. */
static const char *make_version(struct tm_arena *arena, const struct tm_operation_conf *conf)
{
	uint8_t digest[TM_SHA256_BYTES];
	char hex[2 * VERSION_BYTES + 1];
	struct tm_buf text;
	const char *version = NULL;

	tm_buf_init(&text, DEFINITION_MAX);
	put_definition(&text, conf);
	if (tm_buf_err(&text) == TM_OK) {
		tm_digest_sha256(tm_buf_text(&text), text.len, digest);
		version = tm_arena_strdup(arena, tm_digest_hex(digest, VERSION_BYTES, hex));
	}
	tm_buf_clear(&text);
	return version;
}

static bool make_options(struct tm_arena *arena, const struct tm_operation_conf *conf,
			 struct tm_operation *out)
{
	struct tm_option *options = tm_arena_alloc(arena, (conf->options_count + 1) *
							  sizeof(*options));

	for (size_t i = 0; options && i < conf->options_count; i++) {
		const struct tm_option_conf *from = &conf->options[i];

		options[i] = (struct tm_option){
			.name = from->name, .description = from->help,
			.min = from->min, .max = from->max, .preset = from->preset,
			.type = (enum tm_option_type)from->type, .choices = from->choices,
		};
	}
	out->options = options;
	out->options_count = conf->options_count;
	return options != NULL;
}

static bool make_fields(struct tm_arena *arena, const struct tm_operation_conf *conf,
			struct tm_operation *out)
{
	struct tm_field *fields = tm_arena_alloc(arena, (conf->fields_count + 1) * sizeof(*fields));

	for (size_t i = 0; fields && i < conf->fields_count; i++)
		fields[i] = (struct tm_field){
			.name = conf->fields[i].name, .description = conf->fields[i].help,
			.type = (enum tm_field_type)conf->fields[i].type,
		};
	out->fields = fields;
	out->fields_count = conf->fields_count;
	return fields != NULL;
}

static enum tm_err make(struct tm_arena *arena, const struct tm_operation_conf *conf,
			struct tm_operation *out)
{
	static const enum tm_shape shapes[] = {
		[TM_RESULT_TEXT] = TM_SHAPE_RESULT, [TM_RESULT_LIST] = TM_SHAPE_LIST,
		[TM_RESULT_OBJECT] = TM_SHAPE_OBJECT, [TM_RESULT_SENTIMENT] = TM_SHAPE_SENTIMENT,
		[TM_RESULT_KEY_POINTS] = TM_SHAPE_KEY_POINTS,
		[TM_RESULT_QUESTIONS] = TM_SHAPE_QUESTIONS,
	};

	*out = (struct tm_operation){
		.id = conf->id, .name = conf->name, .description = conf->description,
		.version = conf->version[0] ? conf->version : make_version(arena, conf),
		.shape = shapes[conf->result],
		.requires_question = conf->requires_question,
		.instruction = conf->prompt,
		.retry = retry_name(arena, conf->retry),
		.provider = conf->provider, .model = conf->model,
		.temperature = conf->temperature, .has_temperature = conf->has_temperature,
		.max_tokens = conf->max_tokens, .ttl_ms = conf->ttl_ms,
	};
	if (!out->version || !out->retry || !make_options(arena, conf, out) ||
	    !make_fields(arena, conf, out))
		return TM_ENOMEM;
	return tm_operation_schema(out, arena);
}

enum tm_err tm_operations_new(struct tm_operations **out, const struct tm_settings *settings)
{
	struct tm_operations *set = calloc(1, sizeof(*set));
	const struct tm_operation_conf *conf = settings->operations;
	enum tm_err err = TM_OK;

	if (!set)
		return TM_ENOMEM;
	tm_arena_init(&set->arena, MEMORY_MAX);
	for (; conf && set->count < TM_OPERATIONS_MAX && err == TM_OK; conf = conf->next)
		err = make(&set->arena, conf, &set->all[set->count++]);
	if (err != TM_OK) {
		tm_operations_free(set);
		return err;
	}
	*out = set;
	return TM_OK;
}

void tm_operations_free(struct tm_operations *operations)
{
	if (!operations)
		return;
	tm_arena_clear(&operations->arena);
	free(operations);
}

const struct tm_operation *tm_operations_find(const struct tm_operations *operations,
					      const char *id)
{
	for (size_t i = 0; i < operations->count; i++)
		if (strcmp(operations->all[i].id, id) == 0)
			return &operations->all[i];
	return NULL;
}

const struct tm_operation *tm_operations_all(const struct tm_operations *operations, size_t *count)
{
	*count = operations->count;
	return operations->all;
}

int64_t tm_task_option(const struct tm_task *task, const char *name, int64_t otherwise)
{
	const struct tm_operation *operation = task->operation;

	for (size_t i = 0; i < operation->options_count && i < TM_OPTIONS_MAX; i++)
		if (strcmp(operation->options[i].name, name) == 0)
			return task->options[i];
	return otherwise;
}

int64_t tm_task_amount(const struct tm_task *task)
{
	static const char *const names[] = {"max_length", "max_points", "num_questions",
					    "max_items"};
	int64_t amount = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && amount == 0; i++)
		amount = tm_task_option(task, names[i], 0);
	return amount;
}

const char *tm_task_kind(const struct tm_task *task)
{
	switch (task->operation->shape) {
	case TM_SHAPE_SENTIMENT:
		return "sentiment";
	case TM_SHAPE_KEY_POINTS:
	case TM_SHAPE_LIST:
		return "key_points";
	case TM_SHAPE_QUESTIONS:
		return "questions";
	case TM_SHAPE_OBJECT:
		return task->operation->id;	/* none can do it */
	case TM_SHAPE_RESULT:
	default:
		return task->operation->requires_question ? "qa" : "summarize";
	}
}
