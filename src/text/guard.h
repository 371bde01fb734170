/*
 * How much a text looks like an attempt to give the LLM orders (prompt injection). It only
 * scores: nothing of the text is altered, and the prompt's fences hold whatever the score is.
 */
#ifndef TM_TEXT_GUARD_H
#define TM_TEXT_GUARD_H

#include <stddef.h>

enum tm_guard_pattern {
	TM_GUARD_IGNORE, TM_GUARD_NEW, TM_GUARD_OTHER_TASK, TM_GUARD_EXTRACT, TM_GUARD_ROLE_PLAY,
	TM_GUARD_ROLE_LINES, TM_GUARD_TOKENS, TM_GUARD_FENCES, TM_GUARD_ENCODED, TM_GUARD_HIDDEN,
	TM_GUARD_PATTERNS
};

/* What was found: of each pattern the weight of its clearest hit, 0 for none. Begins zeroed. */
struct tm_guard {
	int weights[TM_GUARD_PATTERNS];
};

enum { TM_GUARD_NAMES_BYTES = 256 };

/* Adds what stands in valid UTF-8. Takes time in proportion to len, and no memory. */
void tm_guard_look(struct tm_guard *guard, const char *text, size_t len);

/* The sum of the weights, at most 100. */
int tm_guard_score(const struct tm_guard *guard);

/* The patterns found, "ignore_instructions, chat_tokens"; "" for none. Returns out. */
const char *tm_guard_names(const struct tm_guard *guard, char out[TM_GUARD_NAMES_BYTES]);

#endif
