/*
 * Private to the extractive provider: a text taken apart into sentences and terms, and what
 * its answers need of that. Offsets and lengths are bytes of the text.
 */
#ifndef TM_LLM_EXTRACTIVE_H
#define TM_LLM_EXTRACTIVE_H

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

enum {
	TM_EX_IS_STOP = 1,	/* stop word: no content */
	TM_EX_IS_ANCHOR = 2,
	TM_EX_IS_ARTICLE = 4,
	TM_EX_IS_UPPER = 8,	/* begins with an upper-case letter */
	TM_EX_IS_NUMBER = 16,	/* digits only */
	TM_EX_IS_PIECE = 32,	/* part of a run without spaces, not fit to be shown alone */
	TM_EX_BROKEN = 64	/* punctuation stands before it */
};

struct tm_ex_token {
	size_t start, len;
	uint64_t key;		/* equal for words of one stem */
	uint32_t term;		/* number of the stem in the text, 0 .. terms - 1 */
	unsigned flags;
	unsigned languages;	/* in which it is a stop word, 1 << enum tm_ex_language each */
};

struct tm_ex_sentence {
	size_t start, len;
	size_t first, count;	/* its tokens */
	size_t words;		/* tm_ex_words */
	uint64_t key;		/* equal for sentences of equal words */
	bool opens;		/* first of its paragraph */
	bool title;		/* short, without a stop */
	bool asks;
	bool leans;		/* begins with "However", "They": refers to the one before */
	bool picked;
};

struct tm_ex_doc {
	const char *text;
	size_t len;
	struct tm_ex_sentence *sentences;	/* at least one */
	size_t sentence_count, sentence_room;
	struct tm_ex_token *tokens;
	size_t token_count, token_room;
	size_t terms;
	double *weight;		/* per term: its share of the content words; 0 for stop words */
	uint32_t *uses;		/* per term: how often */
	size_t words;
	enum tm_ex_language language;
	bool kana;		/* Japanese: split where the script changes */
};

/* Takes text apart; tm_ex_doc_clear frees. TM_OK, TM_ENOMEM. */
TM_CHECK enum tm_err tm_ex_doc_read(struct tm_ex_doc *doc, const char *text, size_t len);
void tm_ex_doc_clear(struct tm_ex_doc *doc);	/* takes a zeroed one */

/* Steps of doc_read, in its order: sentences and their marks; tokens, words and languages;
 * terms and their weights. TM_OK, TM_ENOMEM. */
TM_CHECK enum tm_err tm_ex_split_sentences(struct tm_ex_doc *doc);
TM_CHECK enum tm_err tm_ex_split_tokens(struct tm_ex_doc *doc);
TM_CHECK enum tm_err tm_ex_weigh_terms(struct tm_ex_doc *doc);

/* Makes room for one more element in a growing array of count elements of bytes each. */
TM_CHECK enum tm_err tm_ex_grow(void **array, size_t *room, size_t count, size_t bytes);

/* Words as a reader counts them: between white space, or two letters of a script without. */
size_t tm_ex_words(const char *text, size_t len);

/* Writes a sentence with white space collapsed and a list marker taken off; at most words
 * words (0: all) and TM_EX_SENTENCE_BYTES bytes, an ellipsis where it was cut. */
enum { TM_EX_SENTENCE_BYTES = 4096 };
void tm_ex_put_sentence(const struct tm_ex_doc *doc, size_t sentence, size_t words,
			struct tm_buf *out);

/* Sorts picks into the text's order and writes them, with spaces between where the language
 * has them. words: of each sentence, as above. */
void tm_ex_put_sentences(const struct tm_ex_doc *doc, size_t *picks, size_t count, size_t words,
			 struct tm_buf *out);

/*
 * Picks the sentences that say most, each for something the ones before did not say.
 *
 * most    how many at most
 * words   all together at most; 0: any number. When none is short enough, one longer is picked
 * picks   room for most, best first
 *
 * Returns how many, at least 1.
 */
size_t tm_ex_pick(struct tm_ex_doc *doc, size_t most, size_t words, size_t *picks);

void tm_ex_sentiment(const struct tm_ex_doc *doc, struct tm_buf *out);
TM_CHECK enum tm_err tm_ex_questions(const struct tm_ex_doc *doc, size_t most, struct tm_buf *out);
TM_CHECK enum tm_err tm_ex_qa(struct tm_ex_doc *doc, const char *question, struct tm_buf *out);

#endif
