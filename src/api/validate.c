/*
 * API.md's field rules. Each check adds its finding and goes on, so that a caller mends a
 * request in one go. What is in the text is never changed, only measured.
 */
#include "api/validate.h"

#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

enum { OPTION_NAME_SHOWN = 64 };

struct check {
	const struct tm_settings *settings;
	const struct tm_operations *operations;
	struct tm_arena *arena;
	struct tm_input *input;
	enum tm_err err;
};

static void add_error(struct check *check, const char *field, const char *message)
{
	struct tm_input *input = check->input;

	if (!field || !message) {
		check->err = TM_ENOMEM;
		return;
	}
	if (input->errors_count < TM_FIELD_ERRORS_MAX)
		input->errors[input->errors_count++] = (struct tm_field_error){field, message};
}

static void add_type_error(struct check *check, const char *field, const char *wanted,
			   const struct tm_json *value)
{
	add_error(check, field, tm_arena_printf(check->arena, "must be %s, not %s", wanted,
						tm_json_kind_text(tm_json_kind(value))));
}

/* A string of min..max code points after trimming. False: an error was added. */
static bool take_text(struct check *check, const char *field, const struct tm_json *value,
		      int64_t min, int64_t max, const char **text, size_t *len)
{
	size_t count;

	*text = tm_json_text(value, len);
	if (!*text) {
		add_type_error(check, field, "a string", value);
		return false;
	}
	if (memchr(*text, '\0', *len)) {
		add_error(check, field, "must not hold a NUL character");
		return false;
	}
	tm_utf8_trim(text, len);
	count = tm_utf8_count(*text, *len);
	if ((int64_t)count < min || (int64_t)count > max) {
		add_error(check, field,
			  tm_arena_printf(check->arena, "must be %lld to %lld characters long "
					  "without white space around it, is %zu",
					  (long long)min, (long long)max, count));
		return false;
	}
	return true;
}

static void check_text(struct check *check, const struct tm_json *object)
{
	struct tm_task *task = &check->input->task;
	const struct tm_json *value = tm_json_get(object, "text");

	if (!value)
		add_error(check, "text", "is required");
	else
		(void)take_text(check, "text", value, check->settings->limits.text_min,
				check->settings->limits.text_max, &task->text, &task->text_len);
}

static const char *operation_names(const struct tm_operations *operations, struct tm_arena *arena)
{
	size_t count;
	const struct tm_operation *all = tm_operations_all(operations, &count);
	const char *names = "must be one of";

	for (size_t i = 0; i < count && names; i++)
		names = tm_arena_printf(arena, "%s%s %s", names, i ? "," : "", all[i].id);
	return names;
}

static void check_operation(struct check *check, const struct tm_json *object)
{
	struct tm_task *task = &check->input->task;
	const struct tm_json *value = tm_json_get(object, "operation");
	size_t len;
	const char *id;

	if (!value) {
		add_error(check, "operation", "is required");
		return;
	}
	id = tm_json_text(value, &len);
	if (!id) {
		add_type_error(check, "operation", "a string", value);
		return;
	}
	task->operation = strlen(id) == len ? tm_operations_find(check->operations, id)
						: NULL;
	if (!task->operation)
		add_error(check, "operation", operation_names(check->operations, check->arena));
}

static void check_question(struct check *check, const struct tm_json *object)
{
	struct tm_task *task = &check->input->task;
	const struct tm_json *value = tm_json_get(object, "question");
	bool wanted = task->operation && task->operation->requires_question;
	size_t len;
	const char *text;

	task->question = "";
	task->question_len = 0;
	if (value && tm_json_kind(value) != TM_JSON_NULL && tm_json_kind(value) != TM_JSON_STRING) {
		add_type_error(check, "question", "a string", value);
		return;
	}
	if (!wanted)
		return;
	text = tm_json_text(value, &len);
	if (text)
		tm_utf8_trim(&text, &len);
	if (!text || len == 0) {
		check->input->question_missing = true;
		add_error(check, "question", "is required for this operation");
		return;
	}
	(void)take_text(check, "question", value, 1, check->settings->limits.question_max,
			&task->question, &task->question_len);
}

static const char *option_names(struct tm_arena *arena, const struct tm_operation *operation)
{
	const char *names;

	if (operation->options_count == 0)
		return tm_arena_printf(arena, "is unknown: %s takes no options", operation->id);
	names = tm_arena_printf(arena, "is unknown: %s takes", operation->id);
	for (size_t i = 0; i < operation->options_count && names; i++)
		names = tm_arena_printf(arena, "%s%s %s", names, i ? "," : "",
					operation->options[i].name);
	return names;
}

static void take_boolean(struct check *check, const char *field, const struct tm_json *value,
			 int64_t *out)
{
	if (tm_json_kind(value) == TM_JSON_BOOL)
		*out = tm_json_bool(value) ? 1 : 0;
	else
		add_type_error(check, field, "a boolean", value);
}

static const char *choice_names(struct tm_arena *arena, const struct tm_option *option)
{
	const char *names = "must be one of";

	for (int64_t i = 0; i <= option->max && names; i++)
		names = tm_arena_printf(arena, "%s%s %s", names, i ? "," : "", option->choices[i]);
	return names;
}

static void take_choice(struct check *check, const char *field, const struct tm_json *value,
			const struct tm_option *option, int64_t *out)
{
	size_t len;
	const char *text = tm_json_text(value, &len);

	if (!text) {
		add_type_error(check, field, "a string", value);
		return;
	}
	for (int64_t i = 0; i <= option->max; i++)
		if (strlen(option->choices[i]) == len &&
		    memcmp(option->choices[i], text, len) == 0) {
			*out = i;
			return;
		}
	add_error(check, field, choice_names(check->arena, option));
}

static void take_integer(struct check *check, const char *field, const struct tm_json *value,
			 const struct tm_option *option, int64_t *out)
{
	if (tm_json_kind(value) != TM_JSON_INT)
		add_type_error(check, field, "an integer", value);
	else if (tm_json_int(value) < option->min || tm_json_int(value) > option->max)
		add_error(check, field,
			  tm_arena_printf(check->arena, "must be %lld to %lld",
					  (long long)option->min, (long long)option->max));
	else
		*out = tm_json_int(value);
}

static void check_option(struct check *check, const char *name, const struct tm_json *value)
{
	struct tm_task *task = &check->input->task;
	const struct tm_operation *operation = task->operation;
	const char *field;
	size_t at = 0;

	if (check->input->errors_count == TM_FIELD_ERRORS_MAX)
		return;
	field = tm_arena_printf(check->arena, "options.%.*s",
				(int)tm_utf8_prefix_bytes(name, strlen(name), OPTION_NAME_SHOWN),
				name);
	while (at < operation->options_count && strcmp(operation->options[at].name, name) != 0)
		at++;
	if (at == operation->options_count)
		add_error(check, field, option_names(check->arena, operation));
	else if (operation->options[at].type == TM_OPTION_BOOLEAN)
		take_boolean(check, field, value, &task->options[at]);
	else if (operation->options[at].type == TM_OPTION_CHOICE)
		take_choice(check, field, value, &operation->options[at], &task->options[at]);
	else
		take_integer(check, field, value, &operation->options[at], &task->options[at]);
}

static void check_options(struct check *check, const struct tm_json *object)
{
	struct tm_task *task = &check->input->task;
	const struct tm_json *options = tm_json_get(object, "options");
	struct tm_json_member member = {0};

	if (options && tm_json_kind(options) != TM_JSON_NULL &&
	    tm_json_kind(options) != TM_JSON_OBJECT_KIND) {
		add_type_error(check, "options", "an object", options);
		return;
	}
	if (!task->operation)
		return;
	for (size_t i = 0; i < task->operation->options_count; i++)
		task->options[i] = task->operation->options[i].preset;
	while (tm_json_next(options, &member))
		check_option(check, member.name, member.value);
}

static void check_metadata(struct check *check, const struct tm_json *object)
{
	const struct tm_json *value = tm_json_get(object, "user_metadata");
	struct tm_buf compact;

	if (!value || tm_json_kind(value) == TM_JSON_NULL)
		return;
	if (tm_json_kind(value) != TM_JSON_OBJECT_KIND) {
		add_type_error(check, "user_metadata", "an object", value);
		return;
	}
	tm_buf_init(&compact, (size_t)check->settings->limits.metadata_max);
	tm_json_put(&compact, value);
	if (tm_buf_err(&compact) == TM_ESIZE)
		add_error(check, "user_metadata",
			  tm_arena_printf(check->arena, "must be at most %lld bytes as JSON",
					  (long long)check->settings->limits.metadata_max));
	else if (tm_buf_err(&compact) != TM_OK)
		check->err = tm_buf_err(&compact);
	else
		check->input->user_metadata = value;
	tm_buf_clear(&compact);
}

enum tm_err tm_validate(const struct tm_json *object, const struct tm_rules *rules,
			struct tm_arena *arena, struct tm_input *out)
{
	struct check check = {.settings = rules->settings, .operations = rules->operations,
			      .arena = arena, .input = out};

	memset(out, 0, sizeof(*out));
	if (tm_json_kind(object) != TM_JSON_OBJECT_KIND) {
		add_type_error(&check, "", "an object", object);
		return check.err;
	}
	check_text(&check, object);
	check_operation(&check, object);
	check_question(&check, object);
	check_options(&check, object);
	check_metadata(&check, object);
	return check.err;
}

enum tm_problem tm_input_problem(const struct tm_input *input, struct tm_problem_more *more)
{
	bool question_only = input->question_missing && input->errors_count == 1;
	const char *detail = input->refusal;

	if (!detail)
		detail = question_only ? "This operation needs a question."
				       : "Some fields are not valid; errors lists them all.";
	*more = (struct tm_problem_more){.detail = detail, .errors = input->errors,
					 .errors_count = input->errors_count};
	return question_only ? TM_PROBLEM_BAD_REQUEST : TM_PROBLEM_INVALID;
}
