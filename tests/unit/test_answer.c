/* Reading what models answer: wrappings off, nothing invented, nothing let through. */
#include "text/answer.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operations_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char source[] = "The bakery opened in 1921. It sells bread. \"Fresh\" is its motto.";

static enum tm_err read_len(const char *id, int64_t option, const char *text, size_t len,
			    struct tm_arena *arena, struct tm_answer *out)
{
	struct tm_task task = {
		.operation = built_in_operation(id), .text = source, .text_len = strlen(source),
		.question = "", .options = {option},
	};

	*out = (struct tm_answer){0};
	tm_arena_init(arena, 1 << 20);
	return tm_answer_read(&task, text, len, arena, out);
}

static enum tm_err read(const char *id, int64_t option, const char *text, struct tm_arena *arena,
			struct tm_answer *out)
{
	return read_len(id, option, text, strlen(text), arena, out);
}

/* The items joined with " | ". */
static char *joined(const struct tm_answer *answer, struct tm_arena *arena)
{
	char *all = tm_arena_strdup(arena, "");

	for (size_t i = 0; i < answer->count; i++)
		all = tm_arena_printf(arena, "%s%s%s", all, i ? " | " : "", answer->items[i]);
	return all;
}

Test(answer, results_lose_their_wrapping_and_nothing_else)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"A summary.", "A summary."},
		{"  \n A summary. \r\n\n", "A summary."},
		{"\xEF\xBB\xBFWith a mark of byte order.", "With a mark of byte order."},
		{"First paragraph.\n\nSecond one.", "First paragraph.\n\nSecond one."},
		/* fences */
		{"```\nA summary.\n```", "A summary."},
		{"```text\nTwo\nlines.\n```\n", "Two\nlines."},
		{"~~~\nA summary.\n~~~", "A summary."},
		{"```\na\n```\nand\n```\nb\n```", "```\na\n```\nand\n```\nb\n```"},
		{"Use ```code``` here.", "Use ```code``` here."},
		{"```", "```"},
		/* announcements on a line of their own */
		{"Summary:\nThe shop opened.", "The shop opened."},
		{"**Summary:**\n\nThe shop opened.", "The shop opened."},
		{"**Summary**:\nThe shop opened.", "The shop opened."},
		{"## Summary\n\nThe shop opened.", "The shop opened."},
		{"Here is a summary of the text in at most 50 words:\n\nThe shop opened.",
		 "The shop opened."},
		{"Here's a concise summary:\n```\nThe shop opened.\n```", "The shop opened."},
		{"Sure! Here is the summary:\nThe shop opened.", "The shop opened."},
		{"Zusammenfassung:\nDer Laden wurde eröffnet.", "Der Laden wurde eröffnet."},
		{"Voici un résumé :\nLe magasin a ouvert.", "Le magasin a ouvert."},
		{"以下是摘要：\n商店开业了。", "商店开业了。"},
		{"TL;DR:\nIt opened.", "It opened."},
		/* not announcements */
		{"Summary: it opened.", "Summary: it opened."},
		{"Three causes are named:\nrain, wind, snow.",
		 "Three causes are named:\nrain, wind, snow."},
		{"Summary:", "Summary:"},
		{"Surely nobody knows:\nnot even he.", "Surely nobody knows:\nnot even he."},
		{"Summary judgment was granted\nby the court.",
		 "Summary judgment was granted\nby the court."},
		/* quotes */
		{"\"The whole answer.\"", "The whole answer."},
		{"“The whole answer.”", "The whole answer."},
		{"„Die ganze Antwort.“", "Die ganze Antwort."},
		{"« La réponse entière. »", "La réponse entière."},
		{"「全部の答え。」", "全部の答え。"},
		{"'The whole answer.'", "The whole answer."},
		{"\"Yes,\" he said, \"of course.\"", "\"Yes,\" he said, \"of course.\""},
		{"'It's quoted'", "'It's quoted'"},
		{"He said \"yes\"", "He said \"yes\""},
		{"\"He said \\\"yes\\\".\\nThen left.\"", "He said \"yes\".\nThen left."},
		/* JSON */
		{"{\"summary\": \"The shop opened.\"}", "The shop opened."},
		{"```json\n{\"summary\": \"The shop\\nopened.\"}\n```", "The shop\nopened."},
		{"{\"answer\": \"1921\", \"confidence\": 0.9}", "1921"},
		{"Here is the summary:\n{\"summary\": \"S.\"}", "S."},
		{"{\"a\": \"one\", \"b\": \"two\"}", "{\"a\": \"one\", \"b\": \"two\"}"},
		{"{not JSON}", "{not JSON}"},
		{"{\"rows\": [1, 2], \"title\": \"x\"}", "{\"rows\": [1, 2], \"title\": \"x\"}"},
		/* thoughts */
		{"<think>They want a summary.\n</think>\n\nThe shop opened.", "The shop opened."},
		{"<THINK></THINK>Yes.", "Yes."},
		/* honest answers that sound like apologies */
		{"I'm sorry, but the text does not say who opened it.",
		 "I'm sorry, but the text does not say who opened it."},
		{"The author is sorry that he cannot help with it.",
		 "The author is sorry that he cannot help with it."},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_arena arena;
		struct tm_answer answer;

		cr_assert_eq(read("summarize", 100, rows[i].text, &arena, &answer), TM_OK, "%s",
			     rows[i].text);
		cr_assert_eq(answer.shape, TM_SHAPE_RESULT);
		cr_assert_str_eq(answer.result, rows[i].expected);
		tm_arena_clear(&arena);
	}
}

Test(answer, what_is_no_result_is_refused)
{
	static const char *const rows[] = {
		"", " \n\t ", "\"\"", "\"  \"", "```\n```", "```\n\n```", "{\"summary\": \"\"}",
		"{\"summary\": \"a\\u0000b\"}", "{\"error\": \"no text\"}",
		"{\"refusal\": \"I will not\"}", "<think>They want a summary.", "<think>x</think> ",
		"I'm sorry, but I can't assist with that.",
		"I’m sorry, but I can’t help with that request.",
		"\"I'm sorry, I cannot summarize this text.\"",
		"I apologize, but I am unable to comply with this request.",
		"As an AI language model, I cannot access external content.",
		"Es tut mir leid, dabei kann ich nicht helfen.",
		"Lo siento, no puedo ayudar con eso.",
		"抱歉，我无法提供帮助。",
		"申し訳ありませんが、その件にはお答えできません。",
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_arena arena;
		struct tm_answer answer;

		cr_assert_eq(read("summarize", 100, rows[i], &arena, &answer), TM_EPROTO, "%s",
			     rows[i]);
		cr_assert_null(answer.result);
		tm_arena_clear(&arena);
	}
}

/* An extract of the text is the text's: its quotes, braces and apologies are meant. */
Test(answer, quotation_of_the_text_stays_as_it_is)
{
	static const char *const rows[] = {
		"\"Fresh and good\"", "{\"error\": \"broken oven\"}",
		"I'm sorry, but I can't assist with that.", "<think>aloud", "```\nx\n```",
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_arena arena;
		struct tm_answer answer;
		struct tm_task task = {.operation = built_in_operation("summarize"), .question = ""};
		char text[128] = "He said:  ";

		strncat(text, rows[i], sizeof(text) - strlen(text) - 1);
		task.text = text;
		task.text_len = strlen(text);
		tm_arena_init(&arena, 1 << 16);
		cr_assert_eq(tm_answer_read(&task, rows[i], strlen(rows[i]), &arena, &answer),
			     TM_OK,
			     "%s", rows[i]);
		cr_assert_str_eq(answer.result, rows[i]);
		tm_arena_clear(&arena);
	}
}

Test(answer, bad_bytes_are_refused_in_every_shape)
{
	static const char *const ids[] = {"summarize", "sentiment", "key_points", "questions",
					  "qa"};
	static const struct {
		const char *bytes;
		size_t len;
		enum tm_err err;
	} rows[] = {
		{"caf\xE9", 4, TM_EUTF8}, {"\xC0\x80", 2, TM_EUTF8}, {"\xED\xA0\x80", 3, TM_EUTF8},
		{"cut \xE4\xBD", 6, TM_EUTF8}, {"a\0b", 3, TM_EPROTO}, {"", 0, TM_EPROTO},
		{"\xEF\xBB\xBF", 3, TM_EPROTO},
	};

	for (size_t i = 0; i < COUNT(ids); i++)
		for (size_t k = 0; k < COUNT(rows); k++) {
			struct tm_arena arena;
			struct tm_answer answer;

			cr_assert_eq(read_len(ids[i], 5, rows[k].bytes, rows[k].len, &arena,
					      &answer),
				     rows[k].err, "%s, row %zu", ids[i], k);
			tm_arena_clear(&arena);
		}
}

Test(answer, sentiments_are_found_in_what_surrounds_them)
{
	static const struct {
		const char *text, *label;
		double confidence;
		const char *explanation;
	} rows[] = {
		{"{\"sentiment\":\"positive\",\"confidence\":0.93,\"explanation\":\"Praise.\"}",
		 "positive", 0.93, "Praise."},
		{"```json\n{\"sentiment\": \"negative\", \"confidence\": 0.8, \"explanation\": \"x\"}\n```",
		 "negative", 0.8, "x"},
		{"Sure! Here is the analysis [1]:\n\n{\"sentiment\": \"Neutral\", \"confidence\": 1}\n"
		 "Let me know {if} you need more.", "neutral", 1, ""},
		{"{\"label\": \"POSITIVE\", \"score\": 0.99}", "positive", 0.99, ""},
		{"[{\"label\": \"NEGATIVE\", \"score\": 0.7}]", "negative", 0.7, ""},
		{"{\"result\": {\"sentiment\": \"neg\", \"confidence\": \"87%\", \"reason\": \"r\"}}",
		 "negative", 0.87, "r"},
		{"{\"sentiment\": \"'positive'\", \"confidence\": 95}", "positive", 0.95, ""},
		{"{\"sentiment\": \"very_positive\", \"confidence\": \"0.87\"}", "positive", 0.87,
		 ""},
		{"{\"Sentiment\": \"Somewhat negative.\", \"Confidence\": \"0,6\"}", "negative",
		 0.6, ""},
		{"{\"sentiment\": \"positive\", \"confidence\": 0, \"explanation\": 7}",
		 "positive", 0, ""},
		{"{\"sentiment\": \"positiv\", \"confidence\": \"87 %\", \"begründung\": \"Lob\"}",
		 "positive", 0.87, "Lob"},
		{"{\"sentiment\": \"négatif\", \"confidence\": 0.5}", "negative", 0.5, ""},
		{"{\"sentiment\": \"消极\", \"confidence\": 0.75, \"explanation\": \"抱怨\"}",
		 "negative", 0.75, "抱怨"},
		{"{\"sentiment\":\"neutral\",\"confidence\":0.5,\"score\":-0.3}", "neutral", 0.5,
		 ""},
		{"Sentiment: Positive\nConfidence: 0.87\nExplanation: It praises: the bread.",
		 "positive", 0.87, "It praises: the bread."},
		{"**Sentiment:** Negative\n\n- **Confidence:** 92% (high)\n* **Reason:** slow service",
		 "negative", 0.92, "slow service"},
		{"Sentiment：中性\nConfidence：60％", "neutral", 0.6, ""},
		{"<think>{\"sentiment\": \"negative\", \"confidence\": 1}</think>"
		 "{\"sentiment\": \"positive\", \"confidence\": 0.6}", "positive", 0.6, ""},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_arena arena;
		struct tm_answer answer;

		cr_assert_eq(read("sentiment", 0, rows[i].text, &arena, &answer), TM_OK, "%s",
			     rows[i].text);
		cr_assert_str_eq(answer.sentiment, rows[i].label, "%s", rows[i].text);
		cr_assert(fabs(answer.confidence - rows[i].confidence) < 1e-9, "%s", rows[i].text);
		cr_assert_str_eq(answer.explanation, rows[i].explanation, "%s", rows[i].text);
		tm_arena_clear(&arena);
	}
}

Test(answer, sentiments_are_not_invented)
{
	static const char *const rows[] = {
		"Positive", "The sentiment is positive.", "{\"sentiment\": \"positive\"}",
		"{\"confidence\": 0.9}", "{}", "[]", "[0.9, \"positive\"]",
		"{\"sentiment\": \"mixed\", \"confidence\": 0.9}",
		"{\"sentiment\": \"positive|negative\", \"confidence\": 0.9}",
		"{\"sentiment\": \"not positive\", \"confidence\": 0.9}",
		"{\"sentiment\": \"\", \"confidence\": 0.9}",
		"{\"sentiment\": \"positive\", \"confidence\": \"high\"}",
		"{\"sentiment\": \"positive\", \"confidence\": \"\"}",
		"{\"sentiment\": \"positive\", \"confidence\": null}",
		"{\"sentiment\": \"positive\", \"confidence\": true}",
		"{\"sentiment\": \"positive\", \"confidence\": -0.1}",
		"{\"sentiment\": \"positive\", \"confidence\": 1.5}",
		"{\"sentiment\": \"positive\", \"confidence\": 101}",
		"{\"sentiment\": \"positive\", \"confidence\": \"120%\"}",
		"{\"sentiment\": \"positive\", \"confidence\": \"-5%\"}",
		"{\"sentiment\": \"positive\", \"confidence\": 1e300}",
		"{\"sentiment\": \"positive\", \"confidence\": NaN}",
		"{\"sentiment\": \"positive\", \"score\": -0.4}",
		"{\"sentiment\": \"positive\", \"confidence\": 0.9",
		"{\"sentiment\": 1, \"confidence\": 0.9}",
		"Sentiment: Positive", "I'm sorry, but I can't assist with that.",
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_arena arena;
		struct tm_answer answer;

		cr_assert_eq(read("sentiment", 0, rows[i], &arena, &answer), TM_EPROTO, "%s",
			     rows[i]);
		tm_arena_clear(&arena);
	}
}

static const struct {
	const char *text, *expected;
} lists[] = {
	/* JSON */
	{"{\"key_points\": [\"One.\", \"Two.\"]}", "One. | Two."},
	{"[\"One.\", \"Two.\"]", "One. | Two."},
	{"```json\n[\n  \"One.\",\n  \"Two.\"\n]\n```", "One. | Two."},
	{"Here are the points:\n\n{\"points\": [\"One.\", \"Two.\"], \"count\": 2}\n\nEnjoy!",
	 "One. | Two."},
	{"Here they are: [\"One.\", \"Two.\"] (two)", "One. | Two."},
	{"[{\"point\": \"One.\"}, {\"point\": \"Two.\"}]", "One. | Two."},
	{"[{\"id\": 1, \"x\": \"One.\"}, {\"id\": 2, \"x\": \"Two.\"}]", "One. | Two."},
	{"{\"result\": {\"key_points\": [\"One.\", \"Two.\"]}}", "One. | Two."},
	{"{\"key_points\": [\"One.\"], \"sources\": [\"a\", \"b\"]}", "One."},
	{"{\"key_points\": \"1. One.\\n2. Two.\"}", "One. | Two."},
	{"{\"1\": \"One.\", \"2\": \"Two.\"}", "One. | Two."},
	{"[\"1. One.\", \"2. Two.\"]", "One. | Two."},
	{"[\"3. Oktober: a feast.\", \"Bread.\"]", "3. Oktober: a feast. | Bread."},
	{"[\" One. \", \"\", 7, null, \"One.\", \"ONE.\", \"Two.\"]", "One. | Two."},
	{"[\"He said \\\"yes\\\".\", \"\\\"Quoted.\\\"\"]", "He said \"yes\". | Quoted."},
	{"{\"key_points\": [\"要点一。\", \"要点二。\"]}", "要点一。 | 要点二。"},
	/* numbers */
	{"1. One.\n2. Two.", "One. | Two."},
	{"1) One.\n2) Two.", "One. | Two."},
	{"(1) One.\n(2) Two.", "One. | Two."},
	{"[1] One.\n[2] Two.", "One. | Two."},
	{"1: One.\n2: Two.", "One. | Two."},
	{"**1.** One.\n**2.** Two.", "One. | Two."},
	{"1. **One.**\n2. **Two.**", "One. | Two."},
	{"1. **Bread:** it is fresh.\n2. **Price:** low.",
	 "**Bread:** it is fresh. | **Price:** low."},
	{"1、第一点。\n2、第二点。", "第一点。 | 第二点。"},
	{"１．第一点。\n２．第二点。", "第一点。 | 第二点。"},
	{"1.東京は首都。\n2.人口が多い。", "東京は首都。 | 人口が多い。"},
	{"١. نقطة أولى.\n٢. نقطة ثانية.", "نقطة أولى. | نقطة ثانية."},
	{"Point 1: One.\nPoint 2: Two.", "One. | Two."},
	/* bullets */
	{"- One.\n- Two.", "One. | Two."},
	{"* One.\r\n* Two.\r\n", "One. | Two."},
	{"• One.\n• Two.", "One. | Two."},
	{"•One.\n•Two.", "One. | Two."},
	{"– Eins.\n– Zwei.", "Eins. | Zwei."},
	{"・一つ目。\n・二つ目。", "一つ目。 | 二つ目。"},
	{"```\n- One.\n- Two.\n```", "One. | Two."},
	{"- 1. One.\n- 2. Two.", "One. | Two."},
	{"- One, see [\"a\"].\n- Two.", "One, see [\"a\"]. | Two."},
	/* talk around */
	{"Here are the key points of the text:\n\n- One.\n- Two.\n\nLet me know if you need more!",
	 "One. | Two."},
	{"Sure, I have read it.\n1. One.\n2. Two.", "One. | Two."},
	{"## Key points\n- One.\n- Two.", "One. | Two."},
	{"Voici les points clés :\n- Un.\n- Deux.", "Un. | Deux."},
	/* what belongs together */
	{"1. One\n   goes on.\n2. Two.", "One goes on. | Two."},
	{"1. One\ngoes on.\n2. Two.", "One goes on. | Two."},
	{"- Bread:\n  - white\n  - brown\n- Cake.", "Bread: white brown | Cake."},
	{"- One.\n---\n- Two.\n***\n", "One. | Two."},
	{"1. One.\n\n2. Two.\n\n\n3. Three.", "One. | Two. | Three."},
	/* not a marker */
	{"- -5 degrees.\n- 3.5 million.\n- 10:30 is late.",
	 "-5 degrees. | 3.5 million. | 10:30 is late."},
	/* bare lines */
	{"The bread is fresh.\nThe price is low.", "The bread is fresh. | The price is low."},
	{"Key points:\nThe bread is fresh.\nThe price is low.",
	 "The bread is fresh. | The price is low."},
	{"The bread is fresh.\n\nThe price is low.\n", "The bread is fresh. | The price is low."},
};

Test(answer, lists_are_read_in_all_customary_forms)
{
	for (size_t i = 0; i < COUNT(lists); i++) {
		struct tm_arena arena;
		struct tm_answer answer;

		cr_assert_eq(read("key_points", 20, lists[i].text, &arena, &answer), TM_OK, "%s",
			     lists[i].text);
		cr_assert_eq(answer.shape, TM_SHAPE_KEY_POINTS);
		cr_assert_str_eq(joined(&answer, &arena), lists[i].expected, "%s:\n%s",
				 lists[i].text,
				 joined(&answer, &arena));
		tm_arena_clear(&arena);
	}
}

Test(answer, questions_are_read_in_all_customary_forms)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"{\"questions\": [\"Who?\", \"Why?\"]}", "Who? | Why?"},
		{"[{\"question\": \"Who?\", \"answer\": \"He.\"}, {\"question\": \"Why?\"}]",
		 "Who? | Why?"},
		{"{\"question_1\": \"Who?\", \"question_2\": \"Why?\"}", "Who? | Why?"},
		{"Q1: Who?\nQ2: Why?", "Who? | Why?"},
		{"Q: Who?\nA: He.\n\nQ: Why?\nA: Because.", "Who? | Why?"},
		{"1. Who?\n   - He.\n2. Why?\n   Because.", "Who? | Why?"},
		{"**Q1:** Who?\n**Q2:** Why?", "Who? | Why?"},
		{"**Q1: Who?**\n**Q2: Why?**", "Who? | Why?"},
		{"- **Question 1:** Who?\n- **Question 2:** Why?", "Who? | Why?"},
		{"Frage 1: Wer?\nFrage 2: Warum?", "Wer? | Warum?"},
		{"问题1：谁？\n问题2：为什么？", "谁？ | 为什么？"},
		{"1. Explain why it opened.\n2. Who?", "Explain why it opened. | Who?"},
		{"1. ร้านเปิดเมื่อไร\n2. ใครเปิดร้าน", "ร้านเปิดเมื่อไร | ใครเปิดร้าน"},
		/* bare lines: a question mark of any script tells */
		{"Who opened it?", "Who opened it?"},
		{"Sure, here you go!\nWho?\nWhy?\nHope this helps.", "Who? | Why?"},
		{"谁开的店？\n为什么？", "谁开的店？ | 为什么？"},
		{"من فتح المتجر؟\nلماذا؟", "من فتح المتجر؟ | لماذا؟"},
		{"Ποιος το άνοιξε;\nΓιατί;", "Ποιος το άνοιξε; | Γιατί;"},
		{"店はいつ開きましたか。\n誰が開きましたか", "店はいつ開きましたか。 | 誰が開きましたか"},
		{"What is \"fresh\"?\nWho says “fresh?”", "What is \"fresh\"? | Who says “fresh?”"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_arena arena;
		struct tm_answer answer;

		cr_assert_eq(read("questions", 20, rows[i].text, &arena, &answer), TM_OK, "%s",
			     rows[i].text);
		cr_assert_eq(answer.shape, TM_SHAPE_QUESTIONS);
		cr_assert_str_eq(joined(&answer, &arena), rows[i].expected, "%s:\n%s", rows[i].text,
				 joined(&answer, &arena));
		tm_arena_clear(&arena);
	}
}

Test(answer, lists_are_not_invented)
{
	static const struct {
		const char *id, *text;
	} rows[] = {
		{"key_points", "I'm sorry, I cannot do that."},
		{"key_points", "The bread is fresh."},
		{"key_points", "- I'm sorry, but I can't do that."},
		{"key_points", "{\"key_points\": [\"I'm sorry, but I cannot list any.\"]}"},
		{"key_points", "I'm sorry, I cannot do that.\nPlease send a text."},
		{"key_points", "{\"key_points\": []}"},
		{"key_points", "[]"}, {"key_points", "{}"}, {"key_points", "[\"\", \" \"]"},
		{"key_points", "[1, 2, 3]"}, {"key_points", "{\"error\": \"too short\"}"},
		{"key_points", "{\"key_points\": [\"One.\", \"Tw"},
		{"key_points", "[\"One.\", \"Two.\""},
		{"key_points", "-\n-\n"}, {"key_points", "```\n```"},
		{"questions", "The text has no questions."},
		{"questions", "The bread is fresh.\nThe price is low."},
		{"questions", "I'm sorry, I cannot do that."},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_arena arena;
		struct tm_answer answer;

		cr_assert_eq(read(rows[i].id, 5, rows[i].text, &arena, &answer), TM_EPROTO,
			     "%s: %s",
			     rows[i].id, rows[i].text);
		tm_arena_clear(&arena);
	}
}

Test(answer, lists_end_at_the_number_asked_for)
{
	struct tm_arena arena;
	struct tm_answer answer;
	char text[30 * 16] = "";

	for (int i = 1; i <= 30; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d. Point %d.\n",
			       i, i);
	cr_assert_eq(read("key_points", 1, text, &arena, &answer), TM_OK);
	cr_assert_eq(answer.count, 1);
	cr_assert_str_eq(answer.items[0], "Point 1.");
	tm_arena_clear(&arena);
	cr_assert_eq(read("key_points", 20, text, &arena, &answer), TM_OK);
	cr_assert_eq(answer.count, 20);
	cr_assert_str_eq(answer.items[19], "Point 20.");
	tm_arena_clear(&arena);
	cr_assert_eq(read("questions", 3, text, &arena, &answer), TM_OK);
	cr_assert_eq(answer.count, 3);
	tm_arena_clear(&arena);
}

Test(answer, item_without_end_is_no_item)
{
	enum { LEN = 20000 };
	struct tm_arena arena;
	struct tm_answer answer;
	char *text = malloc(LEN + 8);

	memset(text, 'a', LEN);
	memcpy(text, "- ", 2);
	memcpy(text + LEN, "\n- b", 5);
	cr_assert_eq(read("key_points", 5, text, &arena, &answer), TM_EPROTO);
	tm_arena_clear(&arena);
	memset(text, 'a', LEN);
	memcpy(text, "[\"", 2);
	memcpy(text + LEN, "\"]", 3);
	cr_assert_eq(read("key_points", 5, text, &arena, &answer), TM_EPROTO);
	tm_arena_clear(&arena);
	free(text);
}

Test(answer, brackets_without_end_cost_little)
{
	enum { LEN = 1 << 20 };
	static const char *const ids[] = {"summarize", "sentiment", "key_points", "questions"};
	static const char *const fills[] = {"[", "{", "{\"a\":", "[\"", "\n- ", "\"", "*", "1. "};
	char *text = malloc(LEN + 1);

	for (size_t f = 0; f < COUNT(fills); f++) {
		size_t n = strlen(fills[f]);

		for (size_t i = 0; i < LEN; i++)
			text[i] = fills[f][i % n];
		text[LEN] = '\0';
		for (size_t i = 0; i < COUNT(ids); i++) {
			struct tm_arena arena;
			struct tm_answer answer;
			enum tm_err err = read(ids[i], 5, text, &arena, &answer);

			cr_assert(err == TM_OK || err == TM_EPROTO || err == TM_ENOMEM,
				  "%s %s: %d", ids[i], fills[f], (int)err);
			cr_assert(i == 0 || err == TM_EPROTO, "%s %s", ids[i], fills[f]);
			tm_arena_clear(&arena);
		}
	}
	free(text);
}

Test(answer, random_bytes_are_read_or_refused)
{
	static const char *const pieces[] = {
		"{", "}", "[", "]", "\"", ":", ",", "\n", "- ", "1. ", "Q1:", "**", "```",
		"key_points",
		"\"sentiment\"", "positive", "0.9", "?", "；", "“", "”", "<think>", "</think>", "a",
		" ", "é", "要", "\\", "\\u00e9", "I'm sorry, I can't help with", "%", "：",
	};
	static const char *const ids[] = {"summarize", "sentiment", "key_points", "questions"};
	unsigned state = 12345;

	for (int round = 0; round < 4000; round++) {
		char text[1024] = "";
		struct tm_arena arena;
		struct tm_answer answer;
		enum tm_err err;

		for (int i = 0; i < 24; i++) {
			state = state * 1103515245 + 12345;
			strncat(text, pieces[state / 65536 % COUNT(pieces)],
				sizeof(text) - strlen(text) - 1);
		}
		err = read(ids[round % 4], 5, text, &arena, &answer);
		cr_assert(err == TM_OK || err == TM_EPROTO, "%s", text);
		if (err == TM_OK && round % 4 == 0)
			cr_assert(strlen(answer.result) > 0);
		if (err == TM_OK && round % 4 >= 2)
			cr_assert(answer.count >= 1 && answer.count <= 5);
		tm_arena_clear(&arena);
	}
}

Test(answer, too_small_an_arena_is_out_of_memory)
{
	static const struct {
		const char *id, *text;
	} rows[] = {
		{"summarize", "The shop opened."},
		{"sentiment",
		 "{\"sentiment\":\"neutral\",\"confidence\":1,\"explanation\":\"long enough\"}"},
		{"key_points", "- One of them.\n- Two of them."},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_arena arena;
		struct tm_answer answer = {0};
		struct tm_task task = {.operation = built_in_operation(rows[i].id), .text = source,
				       .text_len = strlen(source), .question = ""};

		tm_arena_init(&arena, 10);
		cr_assert_eq(tm_answer_read(&task, rows[i].text, strlen(rows[i].text), &arena,
					    &answer),
			     TM_ENOMEM, "%s", rows[i].id);
		tm_arena_clear(&arena);
	}
}
