/* The table of operations holds to the interface and to its own rules. */
#include "text/operation.h"

#include <criterion/criterion.h>
#include <string.h>

Test(operation, all_five_are_listed_in_order)
{
	static const char *const ids[] = {"summarize", "sentiment", "key_points", "questions",
					  "qa"};
	size_t count = 0;
	const struct tm_operation *all = tm_operation_all(&count);

	cr_assert_eq(count, 5);
	for (size_t i = 0; i < count; i++) {
		cr_assert_str_eq(all[i].id, ids[i]);
		cr_assert_eq(tm_operation_find(ids[i]), &all[i]);
	}
}

Test(operation, unknown_id_is_found_nowhere)
{
	static const char *const ids[] = {"", "Summarize", "summarize ", "sum", "qa2"};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		cr_assert_null(tm_operation_find(ids[i]), "%s", ids[i]);
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
		const struct tm_operation *operation = tm_operation_find(rows[i].id);

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
		const struct tm_operation *operation = tm_operation_find(rows[i].id);

		cr_assert_str_eq(operation->retry, rows[i].retry);
		cr_assert_eq(operation->shape, rows[i].shape);
		cr_assert_eq(operation->requires_question, rows[i].question);
	}
}

Test(operation, every_field_is_filled_in)
{
	size_t count;
	const struct tm_operation *all = tm_operation_all(&count);

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
	struct tm_task task = {.operation = tm_operation_find("key_points"), .options = {7}};

	cr_assert_eq(tm_task_option(&task, "max_points", -1), 7);
	cr_assert_eq(tm_task_option(&task, "max_length", -1), -1);
	cr_assert_eq(tm_task_option(&task, "", 3), 3);
}
