/* Lists and objects of operations that a sysadmin defined: read tolerantly, checked, nothing more. */
#include <criterion/criterion.h>
#include <string.h>

#include "operations_fixture.h"
#include "text/answer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct tm_field fields[] = {
	{"title", "", TM_FIELD_STRING}, {"score", "", TM_FIELD_NUMBER},
	{"count", "", TM_FIELD_INTEGER}, {"is_new", "", TM_FIELD_BOOLEAN},
	{"tags", "", TM_FIELD_LIST},
};
static const struct tm_operation object = {
	.id = "x", .shape = TM_SHAPE_OBJECT, .fields = fields, .fields_count = COUNT(fields),
};
static const struct tm_option max_items[] = {{.name = "max_items", .min = 1, .max = 200}};
static const struct tm_operation list = {
	.id = "l", .shape = TM_SHAPE_LIST, .options = max_items, .options_count = 1,
};

static enum tm_err read_as(const struct tm_operation *operation, int64_t option, const char *text,
			   struct tm_arena *arena, struct tm_answer *out)
{
	const struct tm_task task = {.operation = operation, .text = "A text.", .text_len = 7,
				     .question = "", .options = {option}};

	*out = (struct tm_answer){0};
	tm_arena_init(arena, 1 << 22);
	return tm_answer_read(&task, text, strlen(text), arena, out);
}

#define GOOD "{\"title\":\"T\",\"score\":0.5,\"count\":3,\"is_new\":true,\"tags\":[\"a\",\"b\"]}"

Test(answer_object, values_are_taken_where_they_can_mean_one_thing_only)
{
	static const struct {
		const char *text, *expected;	/* NULL: no answer */
	} rows[] = {
		{GOOD, GOOD},
		{"```json\n" GOOD "\n```", GOOD},
		{"Here it is:\n\n" GOOD "\nI hope this helps {really}!", GOOD},
		{"<think>{\"title\":1}</think>" GOOD, GOOD},
		{"{\"result\":" GOOD "}", GOOD},
		{"[" GOOD "]", GOOD},
		{"{\"a\":1} then " GOOD, GOOD},
		/* order, spelling, more members */
		{"{\"tags\":[\"a\",\"b\"],\"Is New\":true,\"Count\":3,\"extra\":{},\"SCORE\":0.5,"
		 "\"title\":\"T\"}", GOOD},
		{"{\"Title\":\"wrong\",\"title\":\"T\",\"score\":0.5,\"count\":3,\"isNew\":true,"
		 "\"tags\":[\"a\",\"b\"]}", GOOD},
		/* neighbouring kinds */
		{"{\"title\":12,\"score\":\"4.50\",\"count\":\"3\",\"is_new\":\"Yes\",\"tags\":\"a\"}",
		 "{\"title\":\"12\",\"score\":4.5,\"count\":3,\"is_new\":true,\"tags\":[\"a\"]}"},
		{"{\"title\":null,\"score\":1,\"count\":3.0,\"is_new\":0,\"tags\":null}",
		 "{\"title\":\"\",\"score\":1,\"count\":3,\"is_new\":false,\"tags\":[]}"},
		{"{\"title\":\"  a\\nb \",\"score\":-1e3,\"count\":-0,\"is_new\":\"nein\","
		 "\"tags\":[1,null,\"\\u00e4\"]}",
		 "{\"title\":\"a\\nb\",\"score\":-1000,\"count\":0,\"is_new\":false,"
		 "\"tags\":[\"1\",\"ä\"]}"},
		{"{\"title\":\"\",\"score\":0,\"count\":0,\"is_new\":false,\"tags\":\"\"}",
		 "{\"title\":\"\",\"score\":0,\"count\":0,\"is_new\":false,\"tags\":[]}"},
		/* nothing is made up */
		{"{\"title\":\"T\",\"score\":0.5,\"count\":3,\"is_new\":true}", NULL},
		{"{\"title\":\"T\",\"score\":null,\"count\":3,\"is_new\":true,\"tags\":[]}", NULL},
		{"{\"title\":\"T\",\"score\":\"high\",\"count\":3,\"is_new\":true,\"tags\":[]}", NULL},
		{"{\"title\":\"T\",\"score\":1,\"count\":3.5,\"is_new\":true,\"tags\":[]}", NULL},
		{"{\"title\":\"T\",\"score\":1,\"count\":3,\"is_new\":null,\"tags\":[]}", NULL},
		{"{\"title\":\"T\",\"score\":1,\"count\":3,\"is_new\":\"maybe\",\"tags\":[]}", NULL},
		{"{\"title\":\"T\",\"score\":1,\"count\":3,\"is_new\":2,\"tags\":[]}", NULL},
		{"{\"title\":[\"T\"],\"score\":1,\"count\":3,\"is_new\":true,\"tags\":[]}", NULL},
		{"{\"title\":\"a\\u0000b\",\"score\":1,\"count\":3,\"is_new\":true,\"tags\":[]}", NULL},
		{"{\"title\":\"T\",\"score\":1,\"count\":3,\"is_new\":true,\"tags\":[[]]}", NULL},
		{"{\"title\":\"T\",\"score\":1,\"count\":3,\"is_new\":true,\"tags\":{\"a\":1}}", NULL},
		{"{\"title\":\"T\",\"score\":0.5,\"count\":3,\"is_new\":true,\"tags\":[\"a\"", NULL},
		{"I'm sorry, but I can't help with that.", NULL},
		{"[]", NULL}, {"{}", NULL}, {"null", NULL}, {"", NULL}, {"   ", NULL},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_arena arena;
		struct tm_answer answer;
		enum tm_err err = read_as(&object, 0, rows[i].text, &arena, &answer);

		cr_expect_eq(err, rows[i].expected ? TM_OK : TM_EPROTO, "%s: %d", rows[i].text, err);
		if (err == TM_OK && rows[i].expected)
			cr_expect_str_eq(answer.object, rows[i].expected, "%s: %s", rows[i].text,
					 answer.object);
		tm_arena_clear(&arena);
	}
}

Test(answer_object, a_list_holds_no_more_than_asked)
{
	struct tm_arena arena;
	struct tm_answer answer;
	struct tm_buf text;

	tm_buf_init(&text, 1 << 20);
	tm_buf_puts(&text, "{\"items\":[");
	for (int i = 0; i < 300; i++)
		tm_buf_printf(&text, "%s\"item %d\"", i ? "," : "", i);
	tm_buf_puts(&text, "]}");
	cr_assert_eq(read_as(&list, 3, tm_buf_text(&text), &arena, &answer), TM_OK);
	cr_expect_eq(answer.count, 3);
	cr_expect_str_eq(answer.items[2], "item 2");
	tm_arena_clear(&arena);
	cr_assert_eq(read_as(&list, 200, tm_buf_text(&text), &arena, &answer), TM_OK);
	cr_expect_eq(answer.count, 100, "the ceiling of every list");
	tm_arena_clear(&arena);
	tm_buf_clear(&text);

	cr_assert_eq(read_as(&list, 9, "1. First\n2. Second\n", &arena, &answer), TM_OK);
	cr_expect_eq(answer.count, 2);
	tm_arena_clear(&arena);
	cr_assert_eq(read_as(&list, 9, "{\"words\":[\"a\"],\"n\":1}", &arena, &answer), TM_OK);
	cr_expect_str_eq(answer.items[0], "a");
	tm_arena_clear(&arena);
	cr_expect_eq(read_as(&list, 9, "I'm sorry, but I can't help with that.", &arena, &answer),
		     TM_EPROTO);
	tm_arena_clear(&arena);
}

Test(answer_object, a_task_of_a_shape_is_like_the_built_in_one)
{
	static const struct {
		enum tm_shape shape;
		bool question;
		const char *kind;
	} rows[] = {
		{TM_SHAPE_RESULT, false, "summarize"}, {TM_SHAPE_RESULT, true, "qa"},
		{TM_SHAPE_SENTIMENT, false, "sentiment"}, {TM_SHAPE_KEY_POINTS, false, "key_points"},
		{TM_SHAPE_QUESTIONS, false, "questions"}, {TM_SHAPE_LIST, false, "key_points"},
		{TM_SHAPE_OBJECT, false, "own"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct tm_operation operation = {
			.id = "own", .shape = rows[i].shape, .requires_question = rows[i].question,
		};
		const struct tm_task task = {.operation = &operation};

		cr_expect_str_eq(tm_task_kind(&task), rows[i].kind);
	}
}
