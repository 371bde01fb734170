/*
 * Google answers 400 to a schema with any member that it does not know, so what passes is listed
 * here: the rest (additionalProperties, $schema, pattern keywords, ...) only makes a schema
 * narrower, and answers are checked on our side all the same.
 */
#include "llm/gemini_schema.h"

#include <ctype.h>
#include <string.h>

#include "io/json.h"

enum { DEPTH = 24 };

static void put_schema(struct tm_buf *body, const struct tm_json *schema);

static void put_upper(struct tm_buf *body, const char *text)
{
	tm_buf_putc(body, '"');
	for (; isalpha((unsigned char)*text); text++)
		tm_buf_putc(body, (char)toupper((unsigned char)*text));
	tm_buf_putc(body, '"');
}

/* "string", or ["string", "null"]: Google has one type, and a member for null. */
static void put_type(struct tm_buf *body, const struct tm_json *type)
{
	size_t count = tm_json_kind(type) == TM_JSON_ARRAY ? tm_json_count(type) : 0, len;
	const char *name = tm_json_text(type, &len);
	bool nullable = false;

	for (size_t i = 0; i < count; i++) {
		const char *text = tm_json_text(tm_json_item(type, i), &len);

		if (text && !strcmp(text, "null"))
			nullable = true;
		else if (text && !name)
			name = text;
	}
	tm_buf_puts(body, "\"type\":");
	put_upper(body, name ? name : "string");
	if (nullable)
		tm_buf_puts(body, ",\"nullable\":true");
}

/* Google's choices are texts. */
static bool all_strings(const struct tm_json *list)
{
	size_t count = tm_json_kind(list) == TM_JSON_ARRAY ? tm_json_count(list) : 0;

	for (size_t i = 0; i < count; i++)
		if (tm_json_kind(tm_json_item(list, i)) != TM_JSON_STRING)
			return false;
	return count > 0;
}

static void put_each(struct tm_buf *body, const struct tm_json *list)
{
	tm_buf_putc(body, '[');
	for (size_t i = 0; i < tm_json_count(list); i++) {
		if (i)
			tm_buf_putc(body, ',');
		put_schema(body, tm_json_item(list, i));
	}
	tm_buf_putc(body, ']');
}

static void put_properties(struct tm_buf *body, const struct tm_json *properties)
{
	struct tm_json_member member = {0};
	const char *between = "";

	tm_buf_putc(body, '{');
	while (tm_json_next(properties, &member)) {
		tm_buf_puts(body, between);
		tm_json_put_cstr(body, member.name);
		tm_buf_putc(body, ':');
		put_schema(body, member.value);
		between = ",";
	}
	tm_buf_putc(body, '}');
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

/* True when the member is passed on. */
static bool is_known(const char *name, const struct tm_json *value)
{
	static const char *const plain[] = {
		"description", "nullable", "required", "minItems", "maxItems", "minimum", "maximum",
		"propertyOrdering", NULL,
	};

	if (!strcmp(name, "enum"))
		return all_strings(value);
	if (!strcmp(name, "properties") || !strcmp(name, "items"))
		return tm_json_kind(value) == TM_JSON_OBJECT_KIND;
	if (!strcmp(name, "anyOf"))
		return tm_json_kind(value) == TM_JSON_ARRAY;
	return !strcmp(name, "type") || is_one_of(name, plain);
}

static void put_member(struct tm_buf *body, const char *name, const struct tm_json *value)
{
	if (!strcmp(name, "type")) {
		put_type(body, value);
		return;
	}
	tm_json_put_cstr(body, name);
	tm_buf_putc(body, ':');
	if (!strcmp(name, "properties"))
		put_properties(body, value);
	else if (!strcmp(name, "items"))
		put_schema(body, value);
	else if (!strcmp(name, "anyOf"))
		put_each(body, value);
	else
		tm_json_put(body, value);
}

static void put_schema(struct tm_buf *body, const struct tm_json *schema)
{
	struct tm_json_member member = {0};
	const char *between = "";

	tm_buf_putc(body, '{');
	while (tm_json_next(schema, &member)) {
		if (!is_known(member.name, member.value))
			continue;
		tm_buf_puts(body, between);
		put_member(body, member.name, member.value);
		between = ",";
	}
	tm_buf_putc(body, '}');
}

enum tm_err tm_gemini_put_schema(struct tm_buf *body, const char *lead, const char *schema)
{
	struct tm_json *doc = NULL;
	enum tm_err err = tm_json_parse(schema, strlen(schema), DEPTH, &doc);

	if (err == TM_OK && tm_json_kind(doc) == TM_JSON_OBJECT_KIND) {
		tm_buf_puts(body, lead);
		put_schema(body, doc);
	}
	tm_json_free(doc);
	return err == TM_ENOMEM ? err : TM_OK;
}
