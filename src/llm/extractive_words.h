/* Private to the extractive provider: classes of characters, and what words mean to it. */
#ifndef TM_LLM_EXTRACTIVE_WORDS_H
#define TM_LLM_EXTRACTIVE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum tm_ex_class {
	TM_EX_SPACE,
	TM_EX_LETTER,	/* part of a word */
	TM_EX_DIGIT,
	TM_EX_MARK,	/* joins what stands before it */
	TM_EX_HAN,	/* scripts that put no spaces between words: */
	TM_EX_KATAKANA,
	TM_EX_HIRAGANA,
	TM_EX_SOLID,	/* Thai, Lao, Khmer, Burmese */
	TM_EX_STOP,	/* ends a sentence where white space follows: . ! ? */
	TM_EX_WIDE_STOP,/* ends a sentence by itself: 。 ！ ？ */
	TM_EX_CLOSE,	/* may stand between the stop and the end: quotes, brackets */
	TM_EX_PUNCT	/* everything else, symbols and emoji too */
};

/* The code point at *at, which moves on; at least one byte, whatever the bytes are. */
uint32_t tm_ex_next(const char *text, size_t len, size_t *at);
enum tm_ex_class tm_ex_class_of(uint32_t point);
uint32_t tm_ex_lower(uint32_t point);	/* Latin, Greek, Cyrillic; others unchanged */
bool tm_ex_is_upper(uint32_t point);

enum { TM_EX_FOLD_BYTES = 64 };

/* The word in lower case, ’ as ', cut to fit; with a NUL. Returns its length. */
size_t tm_ex_fold(const char *word, size_t len, char out[TM_EX_FOLD_BYTES]);

enum tm_ex_language {
	TM_EX_ENGLISH, TM_EX_GERMAN, TM_EX_FRENCH, TM_EX_SPANISH, TM_EX_CHINESE, TM_EX_JAPANESE,
	TM_EX_LANGUAGES
};

enum {
	TM_EX_ANCHOR = 1 << 6,	/* a noun phrase may follow: the, of, in */
	TM_EX_ARTICLE = 1 << 7	/* English a, an, the, this: "the" may replace it */
};

/* A stop word's languages, 1 << enum tm_ex_language each, and flags as above; 0 for others. */
unsigned tm_ex_stop_word(const char *folded);

/* Opinion of a folded word, -3 .. 3; 0 for none. */
int tm_ex_opinion(const char *folded);

/* What a word does to the opinions behind it. */
enum tm_ex_turn { TM_EX_PLAIN, TM_EX_NEGATES, TM_EX_STRENGTHENS, TM_EX_WEAKENS, TM_EX_CONTRASTS };
enum tm_ex_turn tm_ex_turn_of(const char *folded);

/* True when the tables are in the order that searching them needs; for tests. */
bool tm_ex_lexicon_sorted(void);

/* Opinion of an emoji, -3 .. 3; 0 for others. */
int tm_ex_emoji(uint32_t point);

#endif
