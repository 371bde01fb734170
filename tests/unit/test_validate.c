/* API.md's field rules, each with its nearest valid neighbour. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "api/validate.h"
#include "operations_fixture.h"

static const struct tm_settings settings = {
	.limits = {.text_min = 10, .text_max = 40, .question_max = 12, .metadata_max = 24,
		   .json_depth = 16},
};

static enum tm_err validate(const struct tm_json *json, struct tm_arena *arena,
			    struct tm_input *input)
{
	const struct tm_rules rules = {&settings, built_in()};

	return tm_validate(json, &rules, arena, input);
}

/* errors: the wrong fields in order, separated by spaces; "" for none. */
static const struct {
	const char *json, *errors;
} cases[] = {
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\"}", ""},
	{"{\"text\":\"  0123456789\\n\",\"operation\":\"summarize\"}", ""},
	{"{\"text\":\"012345678\",\"operation\":\"summarize\"}", "text"},
	{"{\"text\":\"   012345678   \",\"operation\":\"summarize\"}", "text"},
	{"{\"text\":\"\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\","
	 "\"operation\":\"summarize\"}", ""},
	{"{\"text\":\"0123456789012345678901234567890123456789\",\"operation\":\"summarize\"}", ""},
	{"{\"text\":\"01234567890123456789012345678901234567890\",\"operation\":\"summarize\"}",
	 "text"},
	{"{\"text\":\"0123456789\\u0000\",\"operation\":\"summarize\"}", "text"},
	{"{\"text\":5,\"operation\":\"summarize\"}", "text"},
	{"{\"text\":null,\"operation\":null}", "text operation"},
	{"{}", "text operation"},
	{"[]", ""  /* the object itself: field "" */},
	{"{\"text\":\"0123456789\",\"operation\":\"Summarize\"}", "operation"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\\u0000x\"}", "operation"},
	{"{\"text\":\"0123456789\",\"operation\":[]}", "operation"},
	{"{\"text\":\"0123456789\",\"operation\":\"qa\"}", "question"},
	{"{\"text\":\"0123456789\",\"operation\":\"qa\",\"question\":\"  \"}", "question"},
	{"{\"text\":\"0123456789\",\"operation\":\"qa\",\"question\":\"why?\"}", ""},
	{"{\"text\":\"0123456789\",\"operation\":\"qa\",\"question\":\"0123456789012\"}",
	 "question"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"question\":7}", "question"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"question\":null}", ""},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"options\":{\"max_length\":10}}", ""},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"options\":{\"max_length\":1000}}",
	 ""},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"options\":{\"max_length\":9}}",
	 "options.max_length"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"options\":{\"max_length\":1001}}",
	 "options.max_length"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"options\":{\"max_length\":\"100\"}}",
	 "options.max_length"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"options\":{\"max_length\":99.5}}",
	 "options.max_length"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"options\":{\"max_length\":true}}",
	 "options.max_length"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"options\":{\"max_points\":5}}",
	 "options.max_points"},
	{"{\"text\":\"0123456789\",\"operation\":\"sentiment\",\"options\":{\"a\":1,\"b\":2}}",
	 "options.a options.b"},
	{"{\"text\":\"0123456789\",\"operation\":\"key_points\",\"options\":{\"max_points\":20}}", ""},
	{"{\"text\":\"0123456789\",\"operation\":\"key_points\",\"options\":{\"max_points\":0}}",
	 "options.max_points"},
	{"{\"text\":\"0123456789\",\"operation\":\"questions\",\"options\":{\"num_questions\":21}}",
	 "options.num_questions"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"options\":[]}", "options"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"options\":null}", ""},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"user_metadata\":{\"a\":1}}", ""},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"user_metadata\":[]}",
	 "user_metadata"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\","
	 "\"user_metadata\":{\"a\":\"0123456789abcdef\"}}", ""},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\","
	 "\"user_metadata\":{\"a\":\"0123456789abcdefg\"}}", "user_metadata"},
	{"{\"text\":\"0123456789\",\"operation\":\"summarize\",\"other\":1}", ""},
	{"{\"text\":7,\"operation\":\"key_points\",\"options\":{\"max_points\":99,\"x\":1},"
	 "\"user_metadata\":3}", "text options.max_points options.x user_metadata"},
};

Test(validate, lists_every_wrong_field)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tm_json *json = NULL;
		struct tm_arena arena;
		struct tm_input input;
		char fields[256] = "";

		tm_arena_init(&arena, 1 << 20);
		cr_assert_eq(tm_json_parse(cases[i].json, strlen(cases[i].json), 16, &json), TM_OK,
			     "%s", cases[i].json);
		cr_assert_eq(validate(json, &arena, &input), TM_OK);
		for (size_t e = 0; e < input.errors_count; e++) {
			size_t len = strlen(fields);

			(void)snprintf(fields + len, sizeof(fields) - len, "%s%s", len ? " " : "",
				       input.errors[e].field);
			cr_assert_gt(strlen(input.errors[e].message), 5);
		}
		cr_assert_str_eq(fields, cases[i].errors, "%s: got '%s'", cases[i].json, fields);
		tm_json_free(json);
		tm_arena_clear(&arena);
	}
}

Test(validate, an_array_is_one_error)
{
	struct tm_json *json = NULL;
	struct tm_arena arena;
	struct tm_input input;

	tm_arena_init(&arena, 1 << 20);
	cr_assert_eq(tm_json_parse("[1]", 3, 16, &json), TM_OK);
	cr_assert_eq(validate(json, &arena, &input), TM_OK);
	cr_assert_eq(input.errors_count, 1);
	tm_json_free(json);
	tm_arena_clear(&arena);
}

Test(validate, fills_in_defaults_and_trims_text)
{
	static const char text[] = "{\"text\":\" \\u00a00123456789\\t\",\"operation\":\"key_points\"}";
	struct tm_json *json = NULL;
	struct tm_arena arena;
	struct tm_input input;

	tm_arena_init(&arena, 1 << 20);
	cr_assert_eq(tm_json_parse(text, strlen(text), 16, &json), TM_OK);
	cr_assert_eq(validate(json, &arena, &input), TM_OK);
	cr_assert_eq(input.task.text_len, 10);
	cr_assert_eq(memcmp(input.task.text, "0123456789", 10), 0);
	cr_assert_eq(tm_task_option(&input.task, "max_points", -1), 5);
	tm_json_free(json);
	tm_arena_clear(&arena);
}

Test(validate, thousands_of_unknown_options_stay_bounded)
{
	struct tm_json *json = NULL;
	struct tm_arena arena;
	struct tm_input input;
	struct tm_buf text;

	tm_arena_init(&arena, 1 << 20);
	tm_buf_init(&text, 1 << 20);
	tm_buf_puts(&text, "{\"text\":\"0123456789\",\"operation\":\"qa\",\"options\":{");
	for (int i = 0; i < 5000; i++)
		tm_buf_printf(&text, "%s\"o%d\":1", i ? "," : "", i);
	tm_buf_puts(&text, "}}");
	cr_assert_eq(tm_json_parse(text.data, text.len, 16, &json), TM_OK);
	cr_assert_eq(validate(json, &arena, &input), TM_OK);
	cr_assert_eq(input.errors_count, TM_FIELD_ERRORS_MAX);
	tm_json_free(json);
	tm_buf_clear(&text);
	tm_arena_clear(&arena);
}

Test(validate, options_of_every_type_are_measured)
{
	static const struct {
		const char *options, *errors;
		int64_t values[3];
	} rows[] = {
		{"{}", "", {5, 0, 1}},
		{"{\"n\":1,\"b\":true,\"c\":\"dry\"}", "", {1, 1, 0}},
		{"{\"b\":false,\"c\":\"very warm\"}", "", {5, 0, 2}},
		{"{\"b\":1}", "options.b must be a boolean, not an integer", {5, 0, 1}},
		{"{\"b\":\"yes\"}", "options.b must be a boolean, not a string", {5, 0, 1}},
		{"{\"c\":\"Dry\"}", "options.c must be one of dry, warm, very warm", {5, 0, 1}},
		{"{\"c\":\"\"}", "options.c must be one of dry, warm, very warm", {5, 0, 1}},
		{"{\"c\":\"dry\\u0000\"}", "options.c must be one of dry, warm, very warm",
		 {5, 0, 1}},
		{"{\"c\":2}", "options.c must be a string, not an integer", {5, 0, 1}},
		{"{\"n\":10}", "options.n must be 1 to 9", {5, 0, 1}},
		{"{\"x\":1}", "options.x is unknown: t takes n, b, c", {5, 0, 1}},
	};
	struct tm_settings from;
	struct tm_operations *operations = operations_of(&from,
		"operation \"t\" { prompt = \"{n} {b} {c}\"\n"
		"option \"n\" { min = 1 max = 9 default = 5 }\n"
		"option \"b\" { type = boolean }\n"
		"option \"c\" { type = choice choices = \"dry, warm,very warm\" default = warm } }");
	const struct tm_rules rules = {&settings, operations};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256], errors[256] = "";
		struct tm_json *json = NULL;
		struct tm_arena arena;
		struct tm_input input;

		tm_arena_init(&arena, 1 << 20);
		(void)snprintf(text, sizeof(text),
			       "{\"text\":\"0123456789\",\"operation\":\"t\",\"options\":%s}",
			       rows[i].options);
		cr_assert_eq(tm_json_parse(text, strlen(text), 16, &json), TM_OK);
		cr_assert_eq(tm_validate(json, &rules, &arena, &input), TM_OK);
		if (input.errors_count)
			(void)snprintf(errors, sizeof(errors), "%s %s", input.errors[0].field,
				       input.errors[0].message);
		cr_expect_str_eq(errors, rows[i].errors, "%s: %s", rows[i].options, errors);
		cr_expect_leq(input.errors_count, 1);
		cr_expect_eq(memcmp(input.task.options, rows[i].values, sizeof(rows[i].values)), 0,
			     "%s", rows[i].options);
		tm_json_free(json);
		tm_arena_clear(&arena);
	}
	tm_operations_free(operations);
	tm_settings_clear(&from);
}

Test(validate, an_unknown_operation_is_told_those_there_are)
{
	static const char text[] = "{\"text\":\"0123456789\",\"operation\":\"tl\"}";
	struct tm_settings from;
	struct tm_operations *operations = operations_of(&from,
		"operation \"tldr\" { prompt = \"x\" }\noperation \"qa\" { enabled = false }");
	struct tm_json *json = NULL;
	struct tm_arena arena;
	struct tm_input input;

	tm_arena_init(&arena, 1 << 20);
	cr_assert_eq(tm_json_parse(text, strlen(text), 16, &json), TM_OK);
	cr_assert_eq(tm_validate(json, &(const struct tm_rules){&settings, operations}, &arena,
				 &input), TM_OK);
	cr_assert_eq(input.errors_count, 1);
	cr_assert_str_eq(input.errors[0].message,
			 "must be one of summarize, sentiment, key_points, questions, tldr");
	tm_json_free(json);
	tm_arena_clear(&arena);
	tm_operations_free(operations);
	tm_settings_clear(&from);
}
