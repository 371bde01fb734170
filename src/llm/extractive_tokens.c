/*
 * Words of a text and what they stem from. Scripts with spaces give words; Japanese is split
 * where its scripts change, which is mostly where its words do; other text without spaces gives
 * overlapping pairs of letters, which retrieval in Chinese has used well since Kwok (1997).
 *
 * Stemming is Harman's S-stemmer (1991) with the English -ed and -ing: enough to count a word
 * and its plural as one, harmless in languages it does not know.
 */
#include "llm/extractive.h"

#include <stdlib.h>
#include <string.h>

enum { TITLE_WORDS = 8 };

struct tokenizer {
	struct tm_ex_doc *doc;
	size_t first, end;	/* of the sentence: bytes */
	bool broken;		/* punctuation since the last token */
	size_t letters, han, kana;	/* for the language */
	size_t votes[TM_EX_LANGUAGES];
};

static bool ends_with(const char *word, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len > n && memcmp(word + len - n, suffix, n) == 0;
}

/* Length of the stem of a folded word; may change its last letter. */
static size_t stem(char *word, size_t len)
{
	if (ends_with(word, len, "'s"))
		len -= 2;
	if (len > 4 && ends_with(word, len, "ies")) {
		word[len - 3] = 'y';
		return len - 2;
	}
	if (len > 3 && ends_with(word, len, "s") && !strchr("sui", word[len - 2]))
		len--;
	if (len > 6 && ends_with(word, len, "ing"))
		len -= 3;
	else if (len > 5 && ends_with(word, len, "ed"))
		len -= 2;
	if (len > 4 && word[len - 1] == 'e')
		len--;
	return len;
}

static uint64_t hash(const char *bytes, size_t len)
{
	uint64_t key = 14695981039346656037U;	/* FNV-1a */

	for (size_t i = 0; i < len; i++)
		key = (key ^ (unsigned char)bytes[i]) * 1099511628211U;
	return key;
}

static enum tm_err add(struct tokenizer *state, size_t start, size_t len, unsigned flags)
{
	struct tm_ex_doc *doc = state->doc;
	struct tm_ex_token *token;
	char folded[TM_EX_FOLD_BYTES];
	size_t at = start, n = tm_ex_fold(doc->text + start, len, folded);
	unsigned known = tm_ex_stop_word(folded);
	enum tm_err err = tm_ex_grow((void **)&doc->tokens, &doc->token_room, doc->token_count,
				     sizeof(*doc->tokens));

	if (err != TM_OK)
		return err;
	if (known & TM_EX_ANCHOR)
		flags |= TM_EX_IS_ANCHOR;
	if (known & TM_EX_ARTICLE)
		flags |= TM_EX_IS_ARTICLE;
	if (tm_ex_is_upper(tm_ex_next(doc->text, doc->len, &at)))
		flags |= TM_EX_IS_UPPER;
	if (state->broken)
		flags |= TM_EX_BROKEN;
	for (unsigned i = 0; i < TM_EX_LANGUAGES; i++)
		state->votes[i] += known >> i & 1;
	token = &doc->tokens[doc->token_count++];
	*token = (struct tm_ex_token){
		.start = start, .len = len, .key = hash(folded, stem(folded, n)), .flags = flags,
		.languages = known & ((1U << TM_EX_LANGUAGES) - 1),
	};
	state->broken = false;
	return TM_OK;
}

/* "l'eau", "d'une", "qu'il": what stands before the apostrophe is a word of its own. */
static size_t elision(const char *text, size_t len, size_t apostrophe)
{
	if (apostrophe == 1 && strchr("ldjmtsncLDJMTSNC", text[0]) && len > 3)
		return 1;
	if (apostrophe == 2 && (text[0] == 'q' || text[0] == 'Q') && text[1] == 'u')
		return 2;
	return 0;
}

/* A word of a script with spaces, from start; moves *at behind it. */
static enum tm_err add_word(struct tokenizer *state, size_t start, size_t *at)
{
	const char *text = state->doc->text;
	size_t next = *at, apostrophe = 0, mark = 0, cut;
	bool digits = true;
	enum tm_err err;

	next = start;
	while (next < state->end) {
		size_t before = next, ahead;
		uint32_t point = tm_ex_next(text, state->end, &next);
		enum tm_ex_class class = tm_ex_class_of(point);

		if (class == TM_EX_LETTER || class == TM_EX_DIGIT || class == TM_EX_MARK) {
			digits = digits && class == TM_EX_DIGIT;
			*at = next;
			continue;
		}
		ahead = next;
		if ((point != '\'' && point != 0x2019) || next == state->end ||
		    tm_ex_class_of(tm_ex_next(text, state->end, &ahead)) != TM_EX_LETTER)
			break;
		if (!apostrophe) {
			apostrophe = before - start;
			mark = next - before;
		}
	}
	state->letters += *at - start;
	cut = apostrophe ? elision(text + start, *at - start, apostrophe) : 0;
	if (cut) {
		err = add(state, start, cut + mark, 0);
		if (err != TM_OK)
			return err;
		start += cut + mark;
	}
	return add(state, start, *at - start, digits ? TM_EX_IS_NUMBER : 0);
}

static int by_point(const void *left, const void *right)
{
	const uint32_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

/* Chinese letters that only join others, as 的 and 了: a pair with one is no content. */
static bool joins(uint32_t point)
{
	static const uint32_t joining[] = {
		0x4E00, 0x4E0D, 0x4E0E, 0x4E2A, 0x4E3A, 0x4E4B, 0x4E5F, 0x4E86, 0x4EC0, 0x4ECE,
		0x4ED6, 0x4EE5, 0x4EEC, 0x4F1A, 0x4F46, 0x4F60, 0x5176, 0x5230, 0x53CA, 0x5417,
		0x548C, 0x56E0, 0x5728, 0x5979, 0x5B83, 0x5BF9, 0x5C31, 0x5F88, 0x6211, 0x6216,
		0x6240, 0x628A, 0x662F, 0x6709, 0x7684, 0x800C, 0x80FD, 0x88AB, 0x8981, 0x8FD9,
		0x90A3, 0x90FD,
	};

	return bsearch(&point, joining, sizeof(joining) / sizeof(joining[0]), sizeof(joining[0]),
		       by_point) != NULL;
}

/* A run of one script without spaces: one token in Japanese, else pairs. */
static enum tm_err add_run(struct tokenizer *state, size_t start, enum tm_ex_class class,
			   size_t *at)
{
	const char *text = state->doc->text;
	size_t points = 0, last = start;
	bool joining = false;
	enum tm_err err = TM_OK;

	for (size_t next = start; next < state->end; *at = next) {
		enum tm_ex_class here = tm_ex_class_of(tm_ex_next(text, state->end, &next));

		points += here == class;
		if (here != class && here != TM_EX_MARK)
			break;
	}
	state->han += class == TM_EX_HAN ? points : 0;
	state->kana += class == TM_EX_KATAKANA || class == TM_EX_HIRAGANA ? points : 0;
	if (class == TM_EX_HIRAGANA) {	/* endings and particles */
		state->broken = true;
		return TM_OK;
	}
	if (points == 1 || class == TM_EX_KATAKANA ||
	    (class == TM_EX_HAN && state->doc->kana && points <= 4))
		return add(state, start, *at - start, points == 1 ? TM_EX_IS_PIECE : 0);

	for (size_t next = start, seen = 0; next < *at && err == TM_OK;) {
		size_t before = next, previous = last;
		uint32_t point = tm_ex_next(text, *at, &next);
		bool joined = joining;

		if (tm_ex_class_of(point) == TM_EX_MARK && next < *at)
			continue;
		last = before;
		joining = class == TM_EX_HAN && joins(point);
		if (seen++)
			err = add(state, previous, next - previous,
				  (class == TM_EX_SOLID ? TM_EX_IS_PIECE : 0U) |
				  (joined || joining ? TM_EX_IS_STOP : 0U));
	}
	return err;
}

static enum tm_err split_sentence(struct tokenizer *state, struct tm_ex_sentence *sentence)
{
	struct tm_ex_doc *doc = state->doc;
	enum tm_err err = TM_OK;

	state->first = sentence->start;
	state->end = sentence->start + sentence->len;
	state->broken = false;
	sentence->first = doc->token_count;
	for (size_t at = sentence->start; at < state->end && err == TM_OK;) {
		size_t before = at;
		enum tm_ex_class class = tm_ex_class_of(tm_ex_next(doc->text, state->end, &at));

		if (class == TM_EX_LETTER || class == TM_EX_DIGIT)
			err = add_word(state, before, &at);
		else if (class >= TM_EX_HAN && class <= TM_EX_SOLID)
			err = add_run(state, before, class, &at);
		else if (class != TM_EX_SPACE)
			state->broken = true;
	}
	sentence->count = doc->token_count - sentence->first;
	for (size_t i = 0; i < sentence->count; i++)
		sentence->key = sentence->key * 31 + doc->tokens[sentence->first + i].key;
	return err;
}

/* "However, ...", "They ...": hard to understand without the sentence before. */
static bool leans(const struct tm_ex_doc *doc, const struct tm_ex_sentence *sentence)
{
	static const char *const words[] = {
		"however", "but", "therefore", "thus", "this", "these", "such", "it", "they", "he",
		"she", "also", "aber", "jedoch", "er", "sie", "dies", "mais", "cependant", "il",
		"elle", "ils", "elles", "pero", "además", "esto", "eso",
	};
	char folded[TM_EX_FOLD_BYTES];

	if (!sentence->count)
		return false;
	tm_ex_fold(doc->text + doc->tokens[sentence->first].start,
		   doc->tokens[sentence->first].len, folded);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(folded, words[i]) == 0)
			return true;
	return false;
}

static enum tm_ex_language language_of(const struct tokenizer *state)
{
	enum tm_ex_language best = TM_EX_ENGLISH;

	if (state->kana && state->kana + state->han > state->letters / 2)
		return TM_EX_JAPANESE;
	if (state->han > state->letters / 2)
		return TM_EX_CHINESE;
	for (int i = TM_EX_ENGLISH; i <= TM_EX_SPANISH; i++)
		if (state->votes[i] > state->votes[best])
			best = (enum tm_ex_language)i;
	return best;
}

static bool has_kana(const struct tm_ex_doc *doc)
{
	for (size_t at = 0; at < doc->len;) {
		enum tm_ex_class class = tm_ex_class_of(tm_ex_next(doc->text, doc->len, &at));

		if (class == TM_EX_HIRAGANA || class == TM_EX_KATAKANA)
			return true;
	}
	return false;
}

enum tm_err tm_ex_split_tokens(struct tm_ex_doc *doc)
{
	struct tokenizer state = {.doc = doc};

	doc->kana = has_kana(doc);
	for (size_t i = 0; i < doc->sentence_count; i++) {
		struct tm_ex_sentence *sentence = &doc->sentences[i];
		enum tm_err err = split_sentence(&state, sentence);

		if (err != TM_OK)
			return err;
		sentence->words = tm_ex_words(doc->text + sentence->start, sentence->len);
		sentence->title = sentence->title && sentence->words <= TITLE_WORDS;
		sentence->leans = leans(doc, sentence);
		doc->words += sentence->words;
	}
	doc->language = language_of(&state);
	for (size_t i = 0; i < doc->token_count; i++)
		if (doc->tokens[i].languages >> doc->language & 1)
			doc->tokens[i].flags |= TM_EX_IS_STOP;
	return TM_OK;
}
