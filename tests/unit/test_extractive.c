/* The provider without a network: useful answers, and some answer to any text at all. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "llm/extractive.h"
#include "llm/provider.h"
#include "operations_fixture.h"
#include "text/answer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char bees[] =
	"The honey bee is one of the most important pollinators in the world. About a third of the "
	"food that people eat depends on bees and other insects. Honey bees live in large colonies, "
	"each with a single queen, thousands of workers and, in summer, some hundred drones.\n\n"
	"In 2006, beekeepers in the United States began to report unusually high losses. Entire "
	"colonies vanished within days, leaving the queen and the honey behind. Dr. Jeff Pettis, who "
	"led research at the U.S. Department of Agriculture, called the phenomenon colony collapse "
	"disorder. Scientists now believe that no single cause explains the losses. Pesticides, "
	"parasites such as the Varroa mite, poor nutrition and stress from transport all play a "
	"part.\n\nWhat can be done? Farmers can leave strips of wild flowers along their fields. "
	"Beekeepers can treat colonies against mites early. Governments have restricted some "
	"pesticides: the European Union banned three neonicotinoids for outdoor use in 2018.";

static const char freiburg[] =
	"Die Stadt Freiburg liegt am Rand des Schwarzwalds. Am 3. Oktober wird dort ein großes Fest "
	"gefeiert. Die Straßenbahn verbindet die Altstadt mit den neuen Vierteln. Im Jahr 1120 wurde "
	"die Stadt gegründet. Das Münster ist das Wahrzeichen der Stadt.";

static const char klima[] =
	"气候变化是全球面临的重大挑战。科学家指出，过去十年是有记录以来最热的十年。气候变化导致海平面上升，"
	"威胁沿海城市。各国政府正在制定政策，减少温室气体排放。可再生能源的成本在2010年以后大幅下降。"
	"太阳能和风能已经成为许多国家最便宜的电力来源。";

static const char tokyo[] =
	"東京は日本の首都であり、世界最大の都市の一つです。人口は約1400万人です。東京には多くの企業の本社が"
	"あります。1964年に東京オリンピックが開催されました。公共交通機関がとても便利です。";

struct asked {
	struct tm_arena arena;
	struct tm_llm_reply reply;
	struct tm_answer answer;
};

/* Asks the provider and reads what it says, as the program does. */
static struct asked *ask(const char *id, const char *text, size_t len, const char *question,
			 int64_t amount)
{
	struct asked *asked = calloc(1, sizeof(*asked));
	struct tm_llm_prompt prompt = {.operation = id, .text = text, .text_len = len,
				       .question = question, .amount = amount};
	struct tm_task task = {
		.operation = built_in_operation(id), .text = text, .text_len = len,
		.question = question, .question_len = strlen(question), .options = {amount},
	};

	tm_arena_init(&asked->arena, 4 << 20);
	cr_assert_eq(tm_provider_extractive.answer(&prompt, &asked->arena, &asked->reply), TM_OK);
	cr_assert_eq(tm_answer_read(&task, asked->reply.text, asked->reply.text_len, &asked->arena,
				    &asked->answer), TM_OK,
		     "%s of '%.200s' is not read: '%.500s'", id, text, asked->reply.text);
	return asked;
}

static void release(struct asked *asked)
{
	tm_arena_clear(&asked->arena);
	free(asked);
}

Test(extractive, tables_are_sorted)
{
	cr_assert(tm_ex_lexicon_sorted());
}

Test(extractive, words_are_known_with_their_endings)
{
	static const struct {
		const char *word;
		int opinion;
	} rows[] = {
		{"good", 2}, {"bad", -2}, {"enjoyed", 2}, {"disappointing", -2}, {"enttäuschend",
										  -2},
		{"hervorragende", 3}, {"délicieux", 2}, {"excelentes", 3}, {"satisfied", 2},
		{"dissatisfied", -2}, {"", 0}, {"goods", 0}, {"a", 0}, {"zzz", 0}, {"table", 0},
		{"喜欢", 2}, {"abysmal", -3},
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		cr_assert_eq(tm_ex_opinion(rows[i].word), rows[i].opinion, "%s: %d", rows[i].word,
			     tm_ex_opinion(rows[i].word));
	cr_assert_eq(tm_ex_turn_of("wouldn't"), TM_EX_NEGATES);
	cr_assert_eq(tm_ex_turn_of("nicht"), TM_EX_NEGATES);
	cr_assert_eq(tm_ex_turn_of("very"), TM_EX_STRENGTHENS);
	cr_assert_eq(tm_ex_turn_of("n't"), TM_EX_PLAIN);
	cr_assert_eq(tm_ex_turn_of("but"), TM_EX_CONTRASTS);
}

Test(extractive, sentences_end_where_readers_see_it)
{
	static const struct {
		const char *text, *expected;	/* sentences joined with | */
	} rows[] = {
		{"One. Two! Three? Four", "One.|Two!|Three?|Four"},
		{"Mr. Smith met Dr. Jones. They spoke.", "Mr. Smith met Dr. Jones.|They spoke."},
		{"J. R. Tolkien wrote it. We read it.", "J. R. Tolkien wrote it.|We read it."},
		{"It costs 3.50 euros. Cheap.", "It costs 3.50 euros.|Cheap."},
		{"Am 3. Oktober war es. Danach nicht.", "Am 3. Oktober war es.|Danach nicht."},
		{"See e.g. Berlin. Or z.B. Köln.", "See e.g. Berlin.|Or z.B. Köln."},
		{"It ended in 1945. Then came peace.", "It ended in 1945.|Then came peace."},
		{"Wait... what? Yes.", "Wait... what?|Yes."},
		{"\"Stop!\" he said. \"Why?\" She left.", "\"Stop!\" he said.|\"Why?\"|She left."},
		{"Visit example.com today. Bye.", "Visit example.com today.|Bye."},
		{"一。二！三？四", "一。|二！|三？|四"},
		{"「行く。」と言った。彼は去った。", "「行く。」と言った。|彼は去った。"},
		{"約３．５です。はい。", "約３．５です。|はい。"},
		{"यह एक है। यह दो है।", "यह एक है।|यह दो है।"},
		{"هل هذا؟ نعم.", "هل هذا؟|نعم."},
		{"A heading\n\nA paragraph that\ngoes on.", "A heading|A paragraph that\ngoes on."},
		{"Milk\nBread\nSix eggs", "Milk|Bread|Six eggs"},
		{"Buy:\n- milk\n- bread", "Buy:|- milk|- bread"},
		{"This is a long line which an editor has wrapped after\nBerlin and it goes on here.",
		 "This is a long line which an editor has wrapped after\nBerlin and it goes on here."},
		{"One. ... Two.", "One. ...|Two."},
		{"   ", "   "},
		{"!!!", "!!!"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_ex_doc doc;
		struct tm_buf out;

		tm_buf_init(&out, 4096);
		cr_assert_eq(tm_ex_doc_read(&doc, rows[i].text, strlen(rows[i].text)), TM_OK);
		for (size_t s = 0; s < doc.sentence_count; s++) {
			tm_buf_puts(&out, s ? "|" : "");
			tm_buf_put(&out, doc.text + doc.sentences[s].start, doc.sentences[s].len);
		}
		cr_assert_str_eq(tm_buf_text(&out), rows[i].expected);
		tm_buf_clear(&out);
		tm_ex_doc_clear(&doc);
	}
}

Test(extractive, language_is_told_by_script_and_small_words)
{
	static const struct {
		const char *text;
		enum tm_ex_language language;
	} rows[] = {
		{bees, TM_EX_ENGLISH}, {freiburg, TM_EX_GERMAN}, {klima, TM_EX_CHINESE},
		{tokyo, TM_EX_JAPANESE}, {"Le chat est sur la table et il dort.", TM_EX_FRENCH},
		{"El gato está en la mesa y duerme.", TM_EX_SPANISH}, {"xyzzy", TM_EX_ENGLISH},
		{"\"I like Tokyo (東京) a lot\", she said.", TM_EX_ENGLISH},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_ex_doc doc;

		cr_assert_eq(tm_ex_doc_read(&doc, rows[i].text, strlen(rows[i].text)), TM_OK);
		cr_assert_eq(doc.language, rows[i].language, "%s", rows[i].text);
		tm_ex_doc_clear(&doc);
	}
}

Test(extractive, summary_keeps_the_limit_and_the_order)
{
	static const struct {
		const char *text;
		size_t sentences_max;
	} texts[] = {{bees, 12}, {freiburg, 5}, {klima, 6}, {tokyo, 5}};
	static const int64_t limits[] = {10, 15, 30, 50, 100, 1000};

	for (size_t t = 0; t < COUNT(texts); t++)
		for (size_t l = 0; l < COUNT(limits); l++) {
			const char *text = texts[t].text;
			struct asked *asked = ask("summarize", text, strlen(text), "", limits[l]);
			struct tm_ex_doc doc;
			const char *at = text;

			cr_assert_leq(tm_utf8_words(asked->answer.result,
						    strlen(asked->answer.result)),
				      (size_t)limits[l]);
			cr_assert_lt(strlen(asked->answer.result), strlen(text));
			cr_assert_eq(tm_ex_doc_read(&doc, asked->answer.result,
						    strlen(asked->answer.result)), TM_OK);
			for (size_t s = 0; s < doc.sentence_count; s++) {
				char *sentence = strndup(doc.text + doc.sentences[s].start,
							 doc.sentences[s].len);
				char *cut = strstr(sentence, "…");

				if (cut)
					*cut = '\0';
				at = strstr(at, sentence);
				cr_assert(at, "'%s' is not in the text or out of order", sentence);
				free(sentence);
			}
			tm_ex_doc_clear(&doc);
			release(asked);
		}
}

Test(extractive, summary_says_what_the_text_is_about)
{
	struct asked *asked = ask("summarize", bees, strlen(bees), "", 60);

	cr_assert(strstr(asked->answer.result,
			 "honey bee is one of the most important pollinators"));
	cr_assert(strstr(asked->answer.result, "losses"));
	release(asked);
}

Test(extractive, sentence_over_the_limit_is_cut_at_a_word)
{
	struct asked *asked = ask("summarize",
		"The committee, which had met for many weeks in the old hall by the river, finally "
		"decided that the bridge had to be built.", 122, "", 10);

	cr_assert_str_eq(asked->answer.result,
			 "The committee, which had met for many weeks in the…");
	release(asked);
}

Test(extractive, key_points_are_distinct_and_no_more_than_asked)
{
	static const char twice[] =
		"The bridge was closed. The bridge was closed! The bridge was closed? It rained. "
		"The river rose by two metres in one night. The bridge was closed.";
	static const int64_t amounts[] = {1, 3, 5, 20};

	for (size_t i = 0; i < COUNT(amounts); i++) {
		struct asked *asked = ask("key_points", bees, strlen(bees), "", amounts[i]);

		cr_assert_leq(asked->answer.count, (size_t)amounts[i]);
		cr_assert(asked->answer.count == (size_t)amounts[i] || amounts[i] == 20);
		release(asked);

		asked = ask("key_points", twice, strlen(twice), "", amounts[i]);
		for (size_t k = 1; k < asked->answer.count; k++)
			cr_assert_neq(strncmp(asked->answer.items[k], asked->answer.items[0], 20),
				      0);
		release(asked);
	}
}

Test(extractive, list_markers_are_not_part_of_a_point)
{
	static const char text[] = "Plan:\n1. Build the new bridge over the river\n"
				   "- Repair the old bridge near the mill\n• Paint the bridge";
	struct asked *asked = ask("key_points", text, strlen(text), "", 5);

	for (size_t i = 0; i < asked->answer.count; i++)
		cr_assert(strchr("BRPp", asked->answer.items[i][0]), "%s", asked->answer.items[i]);
	release(asked);
}

Test(extractive, sentiment_follows_the_words)
{
	static const struct {
		const char *text, *label, *word;
	} rows[] = {
		{"I love this phone, the screen is excellent.", "positive", "excellent"},
		{"Terrible service, the food was awful.", "negative", "awful"},
		{"The meeting starts at nine in room four.", "neutral", "No words"},
		{"This is not good at all.", "negative", "not good"},
		{"I have no problems with it.", "positive", "no problems"},
		{"It isn't a bad film.", "positive", "isn't a bad"},
		{"The room was nice, but the staff was rude and the bed broken.", "negative",
		 "rude"},
		{"Das Essen war hervorragend und der Kellner sehr freundlich.", "positive",
		 "hervorragend"},
		{"Das Hotel war nicht gut und leider sehr teuer.", "negative", "teuer"},
		{"Les desserts du chef sont délicieux.", "positive", "délicieux"},
		{"La comida fue pésima y el servicio lento.", "negative", "pésima"},
		{"我很喜欢这家餐厅。", "positive", "喜欢"},
		{"我不喜欢这家餐厅。", "negative", "不喜欢"},
		{"残念な結果でした。", "negative", "残念"},
		{"😀😍👍 today", "positive", "😍"},
		{"😡😡 👎 ......", "negative", "👎"},
		{"It was good.\nIt was bad.", "neutral", "good"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct asked *asked = ask("sentiment", rows[i].text, strlen(rows[i].text), "", 0);

		cr_assert_str_eq(asked->answer.sentiment, rows[i].label, "%s: %s (%s)",
				 rows[i].text,
				 asked->answer.sentiment, asked->answer.explanation);
		cr_assert(strstr(asked->answer.explanation, rows[i].word), "%s: %s", rows[i].text,
			  asked->answer.explanation);
		cr_assert(asked->answer.confidence >= 0.5 && asked->answer.confidence < 1);
		release(asked);
	}
}

Test(extractive, stronger_words_make_a_surer_sentiment)
{
	static const char weak[] = "The soup was okay, I think.";
	static const char strong[] = "The soup was really excellent, the best, simply wonderful.";
	struct asked *low = ask("sentiment", weak, strlen(weak), "", 0);
	struct asked *high = ask("sentiment", strong, strlen(strong), "", 0);

	cr_assert_lt(low->answer.confidence, high->answer.confidence);
	release(low);
	release(high);
}

Test(extractive, questions_are_as_many_as_asked_distinct_and_end_in_a_mark)
{
	static const char *const texts[] = {bees, freiburg, klima, tokyo};
	static const int64_t amounts[] = {1, 5, 20};

	for (size_t t = 0; t < COUNT(texts); t++)
		for (size_t a = 0; a < COUNT(amounts); a++) {
			struct asked *asked = ask("questions", texts[t], strlen(texts[t]), "",
						  amounts[a]);

			/* the reader drops what it has seen: equal counts mean distinct ones */
			cr_assert_eq(asked->answer.count, (size_t)amounts[a], "%s",
				     asked->reply.text);
			for (size_t i = 0; i < asked->answer.count; i++) {
				const char *item = asked->answer.items[i];
				size_t len = strlen(item);

				cr_assert(item[len - 1] == '?' || strcmp(item + len - 3, "？") == 0,
					  "%s", item);
			}
			release(asked);
		}
}

Test(extractive, questions_ask_about_the_texts_subjects)
{
	static const struct {
		const char *text, *subject;
	} rows[] = {
		{bees, "the United States"}, {bees, "Jeff Pettis"}, {bees, "happened in 2006?"},
		{freiburg, "„Stadt“"}, {freiburg, "im Jahr 1120?"}, {klima, "“气候变化”"},
		{tokyo, "「東京」"}, {tokyo, "1964年"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct asked *asked = ask("questions", rows[i].text, strlen(rows[i].text), "", 10);
		bool found = false;

		for (size_t k = 0; k < asked->answer.count; k++)
			found = found || strstr(asked->answer.items[k], rows[i].subject);
		cr_assert(found, "%s: %s", rows[i].subject, asked->reply.text);
		release(asked);
	}
}

Test(extractive, answers_are_looked_up_in_the_text)
{
	static const struct {
		const char *text, *question, *expected;
	} rows[] = {
		{bees, "When did beekeepers report losses?", "In 2006, beekeepers"},
		{bees, "Who led research at the Department of Agriculture?", "Jeff Pettis"},
		{bees, "What did the European Union ban?", "neonicotinoids"},
		{bees, "What can farmers do?", "wild flowers"},
		{bees, "What is the text about?", "pollinators"},
		{freiburg, "Wann wurde die Stadt gegründet?", "1120"},
		{freiburg, "Was verbindet die Straßenbahn?", "Altstadt"},
		{klima, "可再生能源的成本什么时候下降？", "2010年"},
		{tokyo, "東京の人口は？", "1400万人"},
		{bees, "Who is the president of France?",
		 "The text does not answer this question."},
		{bees, "How many cars are there?", "The text does not answer this question."},
		{freiburg, "Wer ist der Präsident von Frankreich?",
		 "Der Text beantwortet diese Frage nicht."},
		{bees, "Qui est le président de la France ?",
		 "Le texte ne répond pas à cette question."},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct asked *asked = ask("qa", rows[i].text, strlen(rows[i].text),
					  rows[i].question, 0);

		cr_assert(strstr(asked->answer.result, rows[i].expected), "%s: %s",
			  rows[i].question,
			  asked->answer.result);
		release(asked);
	}
}

static const char *const odd[] = {
	"a", "?", "\"", "{", "[", "-", "…", "。", "😀", "\"\"", "\"          \"", "''''''''''",
	"- - - - - - -", "1. 2. 3. 4. 5.", "* * * * *", "################", "``````````",
	"```\ncode\n```", "~~~\n~~~\n~~~\n~~~", "{\"error\": \"refused\"}", "{\"a\": [\"b\"]}",
	"[\"one\", \"two\", \"three\"]", "<think>never ending", "<think></think>",
	"I'm sorry, but I can't assist with that.", "Summary:\n\nSummary:\n\nSummary:",
	"**************", "**  ******  **", "“”“”“”“”“”", "« « « « «",
	"\x01\x02\x03\x04\x05\x06\x07\x08",
	"\xEF\xBB\xBF\xEF\xBB\xBF\xEF\xBB\xBF", "\xE2\x80\x8B\xE2\x80\x8B\xE2\x80\x8B",
	"é́́́́́́́́́́",
	"no punctuation at all just words that go on", "ONLY CAPITALS HERE",
	"สวัสดีชาวโลกนี่คือข้อความ",
	"مرحبا بالعالم هذا نص", "שלום עולם זה טקסט", "Привет мир. Это текст.", "안녕하세요. 이것은 텍스트입니다.",
	"中", "中文", "的的的的的的的的的的", "あああああああああ", "アアアアアアアア", "1234567890",
	"http://example.com/?a=b&c=d",
	"The The The The The The", "What? What? What? What?",
	"Q1: Who?\nA1: He.\nQ2: Why?\nA2: So.",
	"x\n\n\n\n\n\n\n\ny", "a.b.c.d.e.f.g.h", "l'l'l'l'l' d' qu'", "' ' ' ' '", ". . . . . . .",
	"𝒜𝓁𝓅𝒽𝒶 𝐁𝐞𝐭𝐚", "\xF4\x8F\xBF\xBF\xF4\x8F\xBF\xBF",
};

static void ask_everything(const char *text, size_t len)
{
	static const char *const ids[] = {"summarize", "sentiment", "key_points", "questions",
					  "qa"};
	static const int64_t amounts[] = {10, 0, 20, 20, 0};

	for (size_t i = 0; i < COUNT(ids); i++) {
		struct asked *asked = ask(ids[i], text, len, "What is it? 何？", amounts[i]);

		cr_assert(tm_utf8_valid(asked->reply.text, asked->reply.text_len));
		release(asked);
	}
}

Test(extractive, odd_texts_get_answers_of_the_right_shape)
{
	for (size_t i = 0; i < COUNT(odd); i++)
		ask_everything(odd[i], strlen(odd[i]));
}

Test(extractive, long_texts_without_an_end_get_answers)
{
	static const char *const fills[] = {"a", "A! ", "😀", ".", "中", "ก", "a ", "\"", "A1. ", "é",
					    "1 ",
					    "的", "Ab ", "x, ", "?\n", "ab\n", "it's "};
	enum { POINTS = 10000 };

	for (size_t i = 0; i < COUNT(fills); i++) {
		size_t n = strlen(fills[i]), len = POINTS / tm_utf8_count(fills[i], n) * n;
		char *text = malloc(len + 1);

		for (size_t k = 0; k < len; k++)
			text[k] = fills[i][k % n];
		while (len && (text[len - 1] == ' ' || text[len - 1] == '\n'))
			len--;
		text[len] = '\0';
		ask_everything(text, len);
		free(text);
	}
}

static uint32_t step(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static uint32_t random_point(uint32_t *state)
{
	static const char common[] = " \n.!?\"'-*#[]{}:,1aAeE";
	static const uint32_t blocks[] = {0x20, 0x80, 0x300, 0x400, 0x600, 0x900, 0xE00, 0x2000,
					  0x3000, 0x4E00, 0xAC00, 0xFF00, 0x1F600, 0x20000};
	uint32_t point;

	switch (step(state) % 4) {
	case 0:
		return (unsigned char)common[step(state) % (sizeof(common) - 1)];
	case 1:
		return blocks[step(state) % COUNT(blocks)] + step(state) % 0x60;
	case 2:
		point = step(state) % 0x110000;
		return !point || (point >= 0xD800 && point <= 0xDFFF) ? 'x' : point;
	default:
		return 'a' + step(state) % 26;
	}
}

Test(extractive, random_texts_get_answers_of_the_right_shape)
{
	for (uint32_t seed = 1; seed <= 300; seed++) {
		uint32_t state = seed * 2654435761U;
		size_t points = 1 + step(&state) % (seed % 50 ? 120 : 4000), len = 0;
		char *text = malloc(points * 4 + 1);
		const char *trimmed;

		for (size_t i = 0; i < points; i++)
			len += tm_utf8_put(random_point(&state), text + len);
		text[len] = '\0';
		trimmed = text;
		tm_utf8_trim(&trimmed, &len);
		if (len) {
			char *exact = strndup(trimmed, len);	/* so that a byte too far is seen */

			cr_assert(tm_utf8_valid(exact, len));
			ask_everything(exact, len);
			free(exact);
		}
		free(text);
	}
}

Test(extractive, equal_tasks_get_equal_answers)
{
	static const char *const ids[] = {"summarize", "sentiment", "key_points", "questions",
					  "qa"};

	for (size_t i = 0; i < COUNT(ids); i++) {
		struct asked *first = ask(ids[i], bees, strlen(bees), "Who is the queen?", 10);
		struct asked *again = ask(ids[i], bees, strlen(bees), "Who is the queen?", 10);

		cr_assert_eq(first->reply.text_len, again->reply.text_len);
		cr_assert_str_eq(first->reply.text, again->reply.text);
		release(first);
		release(again);
	}
}

Test(extractive, reply_says_who_answered_and_costs_nothing)
{
	struct asked *asked = ask("summarize", bees, strlen(bees), "", 50);

	cr_assert_str_eq(asked->reply.model, "extractive");
	cr_assert_eq(asked->reply.text_len, strlen(asked->reply.text));
	cr_assert_eq(asked->reply.input_tokens, 0);
	cr_assert_eq(asked->reply.output_tokens, 0);
	cr_assert_not(asked->reply.cut);
	release(asked);
}

Test(extractive, other_operations_are_answered_by_their_schema_or_with_a_summary)
{
	static const struct {
		const char *operation, *schema, *like;
	} rows[] = {
		{"tldr", NULL, "summarize"}, {NULL, NULL, "summarize"}, {"", NULL, "summarize"},
		{"mood", "sentiment", "sentiment"}, {"points", "key_points", "key_points"},
		{"quiz", "questions", "questions"}, {"summarize", "questions", "summarize"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tm_llm_prompt prompt = {.operation = rows[i].operation, .amount = 10,
					       .schema_name = rows[i].schema, .text = bees,
					       .text_len = strlen(bees)};
		struct asked *like = ask(rows[i].like, bees, strlen(bees), "", 10);
		struct tm_llm_reply reply;
		struct tm_arena arena;

		tm_arena_init(&arena, 1 << 20);
		cr_assert_eq(tm_provider_extractive.answer(&prompt, &arena, &reply), TM_OK);
		cr_assert_str_eq(reply.text, like->reply.text);
		tm_arena_clear(&arena);
		release(like);
	}
}

Test(extractive, too_small_an_arena_is_out_of_memory)
{
	struct tm_llm_prompt prompt = {.operation = "summarize", .text = bees,
				       .text_len = strlen(bees), .amount = 100};
	struct tm_llm_reply reply = {0};
	struct tm_arena arena;

	tm_arena_init(&arena, 10);
	cr_assert_eq(tm_provider_extractive.answer(&prompt, &arena, &reply), TM_ENOMEM);
	cr_assert_null(reply.text);
	tm_arena_clear(&arena);
}
