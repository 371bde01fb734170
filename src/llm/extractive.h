/*
 * Private to the extractive provider: a text taken apart into sentences and terms, and what
 * its answers need of that. Offsets and lengths are bytes of the text.
 */
#ifndef TM_LLM_EXTRACTIVE_H
#define TM_LLM_EXTRACTIVE_H

#include "llm/extractive_words.h"

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
