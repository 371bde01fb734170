/* The table of operations holds to the interface and to its own rules. */
#include "text/operation.h"

#include <criterion/criterion.h>
#include <string.h>

#include "operations_fixture.h"

Test(operation, all_five_are_listed_in_order)
{
	static const char *const ids[] = {"summarize", "sentiment", "key_points", "questions",
					  "qa"};
	size_t count = 0;
	const struct tm_operation *all = tm_operations_all(built_in(), &count);

	cr_assert_eq(count, 5);
	for (size_t i = 0; i < count; i++) {
		cr_assert_str_eq(all[i].id, ids[i]);
		cr_assert_eq(built_in_operation(ids[i]), &all[i]);
	}
}

Test(operation, unknown_id_is_found_nowhere)
{
	static const char *const ids[] = {"", "Summarize", "summarize ", "sum", "qa2"};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		cr_assert_null(built_in_operation(ids[i]), "%s", ids[i]);
}

Test(operation, options_have_the_ranges_of_the_interface)
{
	static const struct {
		const char *id, *option;
		int64_t min, max, preset;
	} rows[] = {
		{"summarize", "max_length", 10, 1000, 100},
		{"key_points", "max_points", 1, 20, 5},
		{"questions", "num_questions", 1, 20, 5},
		{"sentiment", NULL, 0, 0, 0},
		{"qa", NULL, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct tm_operation *operation = built_in_operation(rows[i].id);

		cr_assert_eq(operation->options_count, rows[i].option ? 1 : 0, "%s", rows[i].id);
		if (!rows[i].option)
			continue;
		cr_assert_str_eq(operation->options[0].name, rows[i].option);
		cr_assert_eq(operation->options[0].min, rows[i].min);
		cr_assert_eq(operation->options[0].max, rows[i].max);
		cr_assert_eq(operation->options[0].preset, rows[i].preset);
	}
}

Test(operation, shapes_and_retry_presets_fit_the_operation)
{
	static const struct {
		const char *id, *retry;
		enum tm_shape shape;
		bool question;
	} rows[] = {
		{"summarize", "balanced", TM_SHAPE_RESULT, false},
		{"sentiment", "aggressive", TM_SHAPE_SENTIMENT, false},
		{"key_points", "balanced", TM_SHAPE_KEY_POINTS, false},
		{"questions", "balanced", TM_SHAPE_QUESTIONS, false},
		{"qa", "conservative", TM_SHAPE_RESULT, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct tm_operation *operation = built_in_operation(rows[i].id);

		cr_assert_str_eq(operation->retry, rows[i].retry);
		cr_assert_eq(operation->shape, rows[i].shape);
		cr_assert_eq(operation->requires_question, rows[i].question);
	}
}

Test(operation, every_field_is_filled_in)
{
	size_t count;
	const struct tm_operation *all = tm_operations_all(built_in(), &count);

	for (size_t i = 0; i < count; i++) {
		cr_assert(strlen(all[i].name) > 0 && strlen(all[i].description) > 0);
		cr_assert(strlen(all[i].version) > 0 && strlen(all[i].instruction) > 0);
		cr_assert_gt(all[i].max_tokens, 0);
		cr_assert_leq(all[i].options_count, TM_OPTIONS_MAX);
		for (size_t k = 0; k < all[i].options_count; k++) {
			const struct tm_option *option = &all[i].options[k];

			cr_assert(strlen(option->description) > 0);
			cr_assert_leq(option->min, option->preset);
			cr_assert_leq(option->preset, option->max);
		}
	}
}

Test(operation, task_gives_the_value_of_its_option)
{
	struct tm_task task = {.operation = built_in_operation("key_points"), .options = {7}};

	cr_assert_eq(tm_task_amount(&task), 7);

	cr_assert_eq(tm_task_option(&task, "max_points", -1), 7);
	cr_assert_eq(tm_task_option(&task, "max_length", -1), -1);
	cr_assert_eq(tm_task_option(&task, "", 3), 3);
}

Test(operation, answers_are_served_as_long_as_specified)
{
	static const struct {
		const char *id;
		int64_t ttl_s;
	} rows[] = {
		{"summarize", 7200}, {"sentiment", 86400}, {"key_points", 7200},
		{"questions", 3600}, {"qa", 1800},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(built_in_operation(rows[i].id)->ttl_ms, rows[i].ttl_s * 1000, "%s",
			     rows[i].id);
}

Test(operation, defined_ones_stand_behind_those_built_in)
{
	struct tm_settings from;
	struct tm_operations *set = operations_of(&from,
		"operation \"tldr\" {\n prompt = \"Say it in {words} words,\n"
		"   {tone}{loud}.\n     - so\"\n"
		"ttl = 10m provider = extractive model = big temperature = 0.25 max_tokens = 77\n"
		"retry = critical requires_question = true name = Short description = \"In short\"\n"
		"option \"words\" { min = 1 max = 50 default = 20 help = \"how many\" }\n"
		"option \"tone\" { type = choice choices = \"dry, warm\" }\n"
		"option \"loud\" { type = boolean default = yes } }\n"
		"operation \"qa\" { prompt = mine }\n");
	const struct tm_operation *one = tm_operations_find(set, "tldr");
	const struct tm_operation *all;
	size_t count;

	all = tm_operations_all(set, &count);
	cr_assert_eq(count, 6);
	cr_assert_eq(one, &all[5]);
	cr_expect_str_eq(one->name, "Short");
	cr_expect_str_eq(one->description, "In short");
	cr_expect_str_eq(one->instruction, "Say it in {words} words,\n{tone}{loud}.\n  - so");
	cr_expect_str_eq(one->provider, "extractive");
	cr_expect_str_eq(one->model, "big");
	cr_expect(one->has_temperature && one->temperature == 0.25);
	cr_expect_eq(one->max_tokens, 77);
	cr_expect_eq(one->ttl_ms, 600000);
	cr_expect_str_eq(one->retry, "critical");
	cr_expect(one->requires_question);
	cr_expect_eq(one->shape, TM_SHAPE_RESULT);
	cr_assert_eq(one->options_count, 3);
	cr_expect_eq(one->options[0].preset, 20);
	cr_expect_str_eq(one->options[0].description, "how many");
	cr_expect_str_eq(one->options[1].choices[1], "warm");
	cr_expect_eq(one->options[1].preset, 0);
	cr_expect_eq(one->options[2].preset, 1);

	/* In the place of the one it replaces, and nothing of that is left. */
	cr_expect_str_eq(all[4].id, "qa");
	cr_expect_str_eq(all[4].instruction, "mine");
	cr_expect_not(all[4].requires_question);
	cr_expect_eq(all[4].ttl_ms, 0);
	cr_expect_not(all[4].has_temperature);
	tm_operations_free(set);
	tm_settings_clear(&from);
}

static void version_of(const char *definition, char out[64])
{
	char text[512];
	struct tm_settings from;
	struct tm_operations *set;

	(void)snprintf(text, sizeof(text), "operation \"x\" { %s }", definition);
	set = operations_of(&from, text);
	(void)snprintf(out, 64, "%s", tm_operations_find(set, "x")->version);
	tm_operations_free(set);
	tm_settings_clear(&from);
}

Test(operation, a_version_that_is_not_given_changes_with_the_definition)
{
	static const char *const others[] = {
		"prompt = \"Do it!\"",
		"prompt = \"Do it.\" result = list",
		"prompt = \"Do it.\" temperature = 0",
		"prompt = \"Do it.\" max_tokens = 5",
		"prompt = \"Do it.\" requires_question = true",
		"prompt = \"Do it.\" option \"max_items\" { max = 3 default = 1 }",
		"prompt = \"Do it.\" result = object field \"a\" { type = string }",
		"prompt = \"Do it.\" result = object field \"a\" { type = number }",
		"prompt = \"Do it.\" result = object field \"a\" { help = b }",
	};
	char versions[9][64], one[64], two[64];

	version_of("prompt = \"Do it.\"", one);
	version_of("prompt = \"Do it.\" name = Other ttl = 1h description = b", two);
	cr_expect_str_eq(one, two, "what shapes no answer changes no version");
	for (size_t i = 0; i < 9; i++) {
		version_of(others[i], versions[i]);
		cr_expect_str_neq(versions[i], one, "%s", others[i]);
		for (size_t j = 0; j < i; j++)
			cr_expect_str_neq(versions[i], versions[j], "%s and %s", others[i],
					  others[j]);
	}
	version_of("prompt = x version = v7", one);
	cr_expect_str_eq(one, "v7");
}

Test(operation, an_object_has_a_schema_of_its_fields)
{
	struct tm_settings from;
	struct tm_operations *set = operations_of(&from,
		"operation \"x\" { prompt = p result = object\n"
		"field \"title\" { type = string help = \"a \\\"short\\\" one\" }\n"
		"field \"score\" { type = number }\nfield \"n\" { type = integer }\n"
		"field \"ok\" { type = boolean }\nfield \"tags\" { type = list } }");
	const struct tm_operation *one = tm_operations_find(set, "x");

	cr_expect_str_eq(one->schema,
		"{\"type\":\"object\",\"properties\":{"
		"\"title\":{\"type\":\"string\",\"description\":\"a \\\"short\\\" one\"},"
		"\"score\":{\"type\":\"number\"},\"n\":{\"type\":\"integer\"},"
		"\"ok\":{\"type\":\"boolean\"},"
		"\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}},"
		"\"required\":[\"title\",\"score\",\"n\",\"ok\",\"tags\"],"
		"\"additionalProperties\":false}");
	cr_expect(strstr(one->form, "{\"title\": \"...\", \"score\": 0.0, \"n\": 0, \"ok\": true, "
			 "\"tags\": [\"...\", \"...\"]}"), "%s", one->form);
	cr_expect(strstr(one->form, "\"title\" is a string: a \"short\" one"), "%s", one->form);
	tm_operations_free(set);
	tm_settings_clear(&from);
}
