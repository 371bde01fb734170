/*
 * The provider without a network: answers with the text's own sentences and words. It is what
 * a fresh installation answers with and the last resort when every model is away. Equal texts
 * get equal answers on every host.
 *
 * It reads the task, not the prompt, and answers in the form a model is asked for: plain text,
 * or the JSON of the operation's schema. An operation it does not know it answers by the
 * schema, else with a summary.
 */
#include <string.h>

#include "base/buf.h"
#include "io/json.h"
#include "llm/extractive.h"
#include "llm/provider.h"

enum {
	SUMMARY_WORDS = 100, SUMMARY_WORDS_MIN = 20, SUMMARY_SENTENCES = 200,
	POINTS = 5, POINTS_MAX = 20,
	ANSWER_MAX = 16 * 1024 * 1024	/* never reached by a text within any limit */
};

/*
 * The best sentences in the text's order, within the words asked for and within half of the
 * text's: a summary that repeats everything is none.
 */
static enum tm_err summarize(struct tm_ex_doc *doc, size_t words, struct tm_buf *out)
{
	size_t picks[SUMMARY_SENTENCES], count, most = doc->words / 2;

	if (most < SUMMARY_WORDS_MIN)
		most = SUMMARY_WORDS_MIN;
	if (most > words)
		most = words;
	count = tm_ex_pick(doc, SUMMARY_SENTENCES, most, picks);
	tm_ex_put_sentences(doc, picks, count, count == 1 ? words : 0, out);
	return TM_OK;
}

static enum tm_err key_points(struct tm_ex_doc *doc, size_t points, struct tm_buf *out)
{
	size_t picks[POINTS_MAX], count;
	struct tm_buf point;

	tm_buf_init(&point, ANSWER_MAX);
	count = tm_ex_pick(doc, points, 0, picks);
	tm_buf_puts(out, "{\"key_points\":[");
	for (size_t i = 0; i < count; i++) {
		tm_buf_reset(&point, TM_EX_SENTENCE_BYTES);
		tm_ex_put_sentence(doc, picks[i], 0, &point);
		if (i)
			tm_buf_putc(out, ',');
		tm_json_put_string(out, tm_buf_text(&point), point.len);
		if (tm_buf_err(&point) != TM_OK && out->err == TM_OK)
			out->err = tm_buf_err(&point);
	}
	tm_buf_puts(out, "]}");
	tm_buf_clear(&point);
	return TM_OK;
}

static size_t amount_of(const struct tm_llm_prompt *prompt, size_t preset, size_t most)
{
	if (prompt->amount < 1)
		return preset;
	return (uint64_t)prompt->amount > most ? most : (size_t)prompt->amount;
}

static bool asks_for(const struct tm_llm_prompt *prompt, const char *operation)
{
	static const char *const known[] = {
		"summarize", "sentiment", "key_points", "questions", "qa",
	};

	for (size_t i = 0; prompt->operation && i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(prompt->operation, known[i]) == 0)
			return strcmp(prompt->operation, operation) == 0;
	return prompt->schema_name && strcmp(prompt->schema_name, operation) == 0;
}

static enum tm_err answer_task(const struct tm_llm_prompt *prompt, struct tm_ex_doc *doc,
			       struct tm_buf *out)
{
	if (asks_for(prompt, "sentiment")) {
		tm_ex_sentiment(doc, out);
		return TM_OK;
	}
	if (asks_for(prompt, "key_points"))
		return key_points(doc, amount_of(prompt, POINTS, POINTS_MAX), out);
	if (asks_for(prompt, "questions"))
		return tm_ex_questions(doc, amount_of(prompt, POINTS, POINTS_MAX), out);
	if (asks_for(prompt, "qa"))
		return tm_ex_qa(doc, prompt->question ? prompt->question : "", out);
	return summarize(doc, amount_of(prompt, SUMMARY_WORDS, SIZE_MAX), out);
}

static enum tm_err answer(const struct tm_llm_prompt *prompt, struct tm_arena *arena,
			  struct tm_llm_reply *reply)
{
	enum tm_err err;
	struct tm_ex_doc doc = {0};
	struct tm_buf out;
	const char *text;

	tm_buf_init(&out, ANSWER_MAX);
	err = tm_ex_doc_read(&doc, prompt->text, prompt->text_len);
	if (err != TM_OK)
		goto out;
	err = answer_task(prompt, &doc, &out);
	if (err == TM_OK)
		err = tm_buf_err(&out);
	if (err != TM_OK)
		goto out;
	err = TM_ENOMEM;
	text = tm_arena_dup(arena, tm_buf_text(&out), out.len);
	if (!text)
		goto out;

	*reply = (struct tm_llm_reply){.text = text, .text_len = out.len, .model = "extractive"};
	err = TM_OK;
out:
	tm_buf_clear(&out);
	tm_ex_doc_clear(&doc);
	return err;
}

const struct tm_provider tm_provider_extractive = {
	.name = "extractive",
	.answer = answer,
};
