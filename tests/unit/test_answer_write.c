/* An answer as members of the response. */
#include "text/answer.h"

#include <criterion/criterion.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(answer, each_shape_is_written_with_null_for_the_others)
{
	static const char *const items[] = {"One \"quoted\".", "Zwei."};
	const struct {
		struct tm_answer answer;
		const char *expected;
	} rows[] = {
		{{.shape = TM_SHAPE_RESULT, .result = "A\nb."},
		 "\"result\":\"A\\nb.\",\"sentiment\":null,\"key_points\":null,\"questions\":null"},
		{{.shape = TM_SHAPE_SENTIMENT, .sentiment = "neutral", .confidence = 0.5,
		  .explanation = ""},
		 "\"result\":null,\"sentiment\":{\"sentiment\":\"neutral\",\"confidence\":0.5,"
		 "\"explanation\":\"\"},\"key_points\":null,\"questions\":null"},
		{{.shape = TM_SHAPE_KEY_POINTS, .items = items, .count = 2},
		 "\"result\":null,\"sentiment\":null,\"key_points\":[\"One \\\"quoted\\\".\",\"Zwei.\"],"
		 "\"questions\":null"},
		{{.shape = TM_SHAPE_QUESTIONS, .items = items + 1, .count = 1},
		 "\"result\":null,\"sentiment\":null,\"key_points\":null,\"questions\":[\"Zwei.\"]"},
		{{.shape = TM_SHAPE_LIST, .items = items + 1, .count = 1},
		 "\"result\":[\"Zwei.\"],\"sentiment\":null,\"key_points\":null,\"questions\":null"},
		{{.shape = TM_SHAPE_OBJECT, .object = "{\"a\":1}"},
		 "\"result\":{\"a\":1},\"sentiment\":null,\"key_points\":null,\"questions\":null"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_buf out;

		tm_buf_init(&out, 4096);
		tm_answer_write(&rows[i].answer, &out);
		cr_assert_eq(tm_buf_err(&out), TM_OK);
		cr_assert_str_eq(tm_buf_text(&out), rows[i].expected);
		tm_buf_clear(&out);
	}
}
