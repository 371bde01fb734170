/* Private to text/guard*.c: the words that patterns are made of, and the patterns. */
#ifndef TM_TEXT_GUARD_TABLE_H
#define TM_TEXT_GUARD_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "text/guard.h"

/* What a word may be in a pattern. */
enum tm_guard_class {
	G_NONE, G_IGNORE, G_IGNORE_LAST, G_PREVIOUS, G_ALL, G_YOUR, G_INSTRUCTIONS, G_RULES, G_SHOW,
	G_SYSTEM, G_PROMPT, G_WHAT, G_NEW, G_TASK, G_YOU, G_ARE, G_NOW, G_ACT, G_AS, G_PRETEND,
	G_PERSONA, G_FROM, G_ON, G_DECODE, G_BASE64, G_BLOB, G_NOT, G_SUMMARIZE, G_INSTEAD, G_SAY,
	G_DEVELOPER, G_MODE, G_ENABLED, G_DO, G_ANYTHING, G_END, G_OF, G_TEXT, G_LEAD, G_TO,
	G_CLASSES
};

/* Lower case, Latin letters without accents; a * at the end stands for any more letters. In
 * scripts without blanks a word is found wherever it stands, the longest first. */
struct tm_guard_word {
	const char *text;
	enum tm_guard_class class;
};

enum { TM_GUARD_STEPS = 4 };

enum tm_guard_rule_flags {
	TM_GUARD_ORDER = 1,	/* the first word gives an order: half the weight when it is only
				 * told of, none when it is forbidden */
	TM_GUARD_MARKED = 2	/* on a line that begins with marks such as --- or ### */
};

/* Words in this order, each at most gap behind the one before; a word counts 2, a character of a
 * script without blanks 1. */
struct tm_guard_rule {
	enum tm_guard_pattern pattern;
	int weight, gap;
	unsigned flags;
	enum tm_guard_class steps[TM_GUARD_STEPS];	/* G_NONE: no more */
};

/* A piece of text that is a sign by itself, in lower case. */
struct tm_guard_mark {
	const char *text;
	enum tm_guard_pattern pattern;
	int weight;
};

extern const struct tm_guard_word tm_guard_words[];
extern const size_t tm_guard_words_count;
extern const struct tm_guard_rule tm_guard_rules[];
extern const size_t tm_guard_rules_count;
extern const struct tm_guard_mark tm_guard_marks[];
extern const size_t tm_guard_marks_count;

#endif
