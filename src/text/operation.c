/*
 * The five built-in operations as one table: what a new one needs is a row, not code.
 *
 * An instruction says what to do and in what manner. How the text is fenced and in which form
 * a structured answer comes is the same for all operations of a shape: text/prompt adds it.
 */
#include "text/operation.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct tm_option summarize_options[] = {
	{"max_length", "most words the summary may have", 10, 1000, 100},
};

static const struct tm_option key_points_options[] = {
	{"max_points", "most key points to list", 1, 20, 5},
};

static const struct tm_option questions_options[] = {
	{"num_questions", "number of questions to write", 1, 20, 5},
};

static const struct tm_operation operations[] = {
	{
		.id = "summarize",
		.name = "Summarize",
		.description = "A concise summary of the text",
		.version = "1",
		.shape = TM_SHAPE_RESULT,
		.options = summarize_options,
		.options_count = COUNT(summarize_options),
		.instruction =
		"Summarize the text in at most {max_length} words, in the language of the "
		"text. Keep what matters most: the subject, the main statements, decisions, "
		"names and figures. Use only what the text says; add no opinion and nothing "
		"from elsewhere. Answer with the summary alone: no heading, no "
		"introduction, no quotation marks around it.",
		.retry = "balanced",
		.max_tokens = 4096,
	},
	{
		.id = "sentiment",
		.name = "Sentiment",
		.description = "Whether the text is positive, negative or neutral, and why",
		.version = "1",
		.shape = TM_SHAPE_SENTIMENT,
		.instruction =
		"Judge the sentiment that the text expresses as a whole. \"sentiment\" is one "
		"of \"positive\", \"negative\" and \"neutral\"; a text with both sides gets the "
		"one that prevails, or \"neutral\" when none does. \"confidence\" is a number "
		"from 0 to 1: how sure you are. \"explanation\" gives the reason in one or two "
		"sentences, in the language of the text.",
		.retry = "aggressive",
		.max_tokens = 1024,
	},
	{
		.id = "key_points",
		.name = "Key points",
		.description = "The most important points of the text as a list",
		.version = "1",
		.shape = TM_SHAPE_KEY_POINTS,
		.options = key_points_options,
		.options_count = COUNT(key_points_options),
		.instruction =
		"List the most important points of the text, {max_points} at most, the most "
		"important first, in the language of the text. Each point is one full "
		"sentence that can be understood alone; no two say the same. Use only what "
		"the text says. A short text may have fewer points.",
		.retry = "balanced",
		.max_tokens = 4096,
	},
	{
		.id = "questions",
		.name = "Questions",
		.description = "Questions that the text raises or answers",
		.version = "1",
		.shape = TM_SHAPE_QUESTIONS,
		.options = questions_options,
		.options_count = COUNT(questions_options),
		.instruction =
		"Write {num_questions} questions about the text, in the language of the text. "
		"They help a reader to understand it and think it through: ask for facts, "
		"reasons and consequences, each for something else. Write the questions "
		"only, without answers.",
		.retry = "balanced",
		.max_tokens = 4096,
	},
	{
		.id = "qa",
		.name = "Question and answer",
		.description = "The answer to a question, found in the text",
		.version = "1",
		.shape = TM_SHAPE_RESULT,
		.requires_question = true,
		.instruction =
		"Answer the question from the text alone, in the language of the question, as "
		"briefly as is still complete. If the text does not hold the answer, say so "
		"plainly instead of guessing. Answer with the answer alone: no heading and no "
		"repetition of the question.",
		.retry = "conservative",
		.max_tokens = 4096,
	},
};

const struct tm_operation *tm_operation_find(const char *id)
{
	for (size_t i = 0; i < COUNT(operations); i++)
		if (strcmp(operations[i].id, id) == 0)
			return &operations[i];
	return NULL;
}

const struct tm_operation *tm_operation_all(size_t *count)
{
	*count = COUNT(operations);
	return operations;
}

int64_t tm_task_option(const struct tm_task *task, const char *name, int64_t otherwise)
{
	const struct tm_operation *operation = task->operation;

	for (size_t i = 0; i < operation->options_count && i < TM_OPTIONS_MAX; i++)
		if (strcmp(operation->options[i].name, name) == 0)
			return task->options[i];
	return otherwise;
}
