/*
 * What a shape asks of the answer: a schema for providers that take one, and the same in words
 * for those that do not. Every member is required and nothing else allowed: that is what strict
 * schema modes take.
 */
#include "text/operation_schema.h"

#include <string.h>

#include "base/buf.h"
#include "io/json.h"

enum { SCHEMA_MAX = 256 * 1024 };

#define ANSWER_IN "\n\nAnswer with one JSON object and nothing else, in this form: "

/* An object with one array of strings. */
#define LIST_SCHEMA(name) \
	"{\"type\":\"object\",\"properties\":{" \
	"\"" name "\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}," \
	"\"required\":[\"" name "\"],\"additionalProperties\":false}"
#define LIST_FORM(name) ANSWER_IN "{\"" name "\": [\"...\", \"...\"]}"

static const struct {
	const char *name, *schema, *form;
} shapes[] = {
	[TM_SHAPE_RESULT] = {NULL, NULL, NULL},
	[TM_SHAPE_SENTIMENT] = {"sentiment",
		"{\"type\":\"object\",\"properties\":{"
		"\"sentiment\":{\"type\":\"string\","
		"\"enum\":[\"positive\",\"negative\",\"neutral\"]},"
		"\"confidence\":{\"type\":\"number\",\"description\":\"from 0 to 1\"},"
		"\"explanation\":{\"type\":\"string\"}},"
		"\"required\":[\"sentiment\",\"confidence\",\"explanation\"],"
		"\"additionalProperties\":false}",
		ANSWER_IN "{\"sentiment\": \"...\", \"confidence\": 0.0, "
		"\"explanation\": \"...\"}"},
	[TM_SHAPE_KEY_POINTS] = {"key_points", LIST_SCHEMA("key_points"), LIST_FORM("key_points")},
	[TM_SHAPE_QUESTIONS] = {"questions", LIST_SCHEMA("questions"), LIST_FORM("questions")},
	[TM_SHAPE_LIST] = {"items", LIST_SCHEMA("items"), LIST_FORM("items")},
};

static const struct {
	const char *schema, *example, *words;
} types[] = {
	[TM_FIELD_STRING] = {"\"type\":\"string\"", "\"...\"", "a string"},
	[TM_FIELD_NUMBER] = {"\"type\":\"number\"", "0.0", "a number"},
	[TM_FIELD_INTEGER] = {"\"type\":\"integer\"", "0", "a whole number"},
	[TM_FIELD_BOOLEAN] = {"\"type\":\"boolean\"", "true", "true or false"},
	[TM_FIELD_LIST] = {"\"type\":\"array\",\"items\":{\"type\":\"string\"}",
			   "[\"...\", \"...\"]", "an array of strings"},
};

static void put_schema(struct tm_buf *out, const struct tm_operation *operation)
{
	tm_buf_puts(out, "{\"type\":\"object\",\"properties\":{");
	for (size_t i = 0; i < operation->fields_count; i++) {
		const struct tm_field *field = &operation->fields[i];

		tm_buf_puts(out, i ? "," : "");
		tm_json_put_cstr(out, field->name);
		tm_buf_printf(out, ":{%s", types[field->type].schema);
		if (field->description[0]) {
			tm_buf_puts(out, ",\"description\":");
			tm_json_put_cstr(out, field->description);
		}
		tm_buf_putc(out, '}');
	}
	tm_buf_puts(out, "},\"required\":[");
	for (size_t i = 0; i < operation->fields_count; i++) {
		tm_buf_puts(out, i ? "," : "");
		tm_json_put_cstr(out, operation->fields[i].name);
	}
	tm_buf_puts(out, "],\"additionalProperties\":false}");
}

static void put_form(struct tm_buf *out, const struct tm_operation *operation)
{
	tm_buf_puts(out, ANSWER_IN "{");
	for (size_t i = 0; i < operation->fields_count; i++)
		tm_buf_printf(out, "%s\"%s\": %s", i ? ", " : "", operation->fields[i].name,
			      types[operation->fields[i].type].example);
	tm_buf_puts(out, "}\nEvery member is there; where the text says nothing on it, a string or "
			 "an array is empty.");
	for (size_t i = 0; i < operation->fields_count; i++) {
		const struct tm_field *field = &operation->fields[i];

		tm_buf_printf(out, "\n\"%s\" is %s%s%s", field->name, types[field->type].words,
			      field->description[0] ? ": " : "", field->description);
	}
}

static const char *written(struct tm_arena *arena, const struct tm_operation *operation,
			   void (*put)(struct tm_buf *out, const struct tm_operation *operation))
{
	const char *text = NULL;
	struct tm_buf out;

	tm_buf_init(&out, SCHEMA_MAX);
	put(&out, operation);
	if (tm_buf_err(&out) == TM_OK)
		text = tm_arena_dup(arena, tm_buf_text(&out), out.len);
	tm_buf_clear(&out);
	return text;
}

enum tm_err tm_operation_schema(struct tm_operation *operation, struct tm_arena *arena)
{
	if (operation->shape != TM_SHAPE_OBJECT) {
		operation->schema_name = shapes[operation->shape].name;
		operation->schema = shapes[operation->shape].schema;
		operation->form = shapes[operation->shape].form;
		return TM_OK;
	}
	operation->schema_name = "answer";
	operation->schema = written(arena, operation, put_schema);
	operation->form = written(arena, operation, put_form);
	return operation->schema && operation->form ? TM_OK : TM_ENOMEM;
}
