/*
 * Answering by looking up: the sentences that hold the rarest words of the question. A word is
 * worth its inverse document frequency over the sentences (Spaerck Jones, 1972); what the
 * sentence before says counts a little, since "she" was named there; a question for a time or
 * a number prefers sentences with digits. When too little of the question is found, the text
 * does not answer it, and saying so is the answer.
 */
#include "llm/extractive.h"

#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { WANTED_MAX = 32, ANSWERS_MAX = 3, FUZZY_BYTES = 5 };

struct wanted {
	uint64_t key;
	char folded[TM_EX_FOLD_BYTES];
	double worth;
	size_t sentences;	/* that hold it */
	bool name;		/* a name or number: no answer without it */
};

struct search {
	const struct tm_ex_doc *doc;
	struct wanted wanted[WANTED_MAX];
	size_t count;
	double all;		/* worth of all wanted words */
	bool digits;		/* a number would answer */
};

static const char *const none[] = {
	[TM_EX_ENGLISH] = "The text does not answer this question.",
	[TM_EX_GERMAN] = "Der Text beantwortet diese Frage nicht.",
	[TM_EX_FRENCH] = "Le texte ne répond pas à cette question.",
	[TM_EX_SPANISH] = "El texto no responde a esta pregunta.",
	[TM_EX_CHINESE] = "文中没有回答这个问题。",
	[TM_EX_JAPANESE] = "本文はこの質問に答えていません。",
};

/* Words of questions about texts as such. */
static bool ignored(const char *folded)
{
	static const char *const words[] = {
		"text", "article", "passage", "document", "author", "mention", "mentioned",
		"according", "tell", "describe", "described", "explain", "topic", "subject",
		"main", "idea", "autor", "laut", "texte", "selon", "texto", "según", "thema",
		"sujet", "tema", "artikel", "文中", "文章", "本文", "多少", "如何", "何年", "何人",
	};

	for (size_t i = 0; i < COUNT(words); i++)
		if (strcmp(folded, words[i]) == 0)
			return true;
	return false;
}

static bool wants_digits(const char *question)
{
	static const char *const cues[] = {
		"when ", "how many", "how much", "how old", "how long", "what year", "which year",
		"wann ", "wie viel", "wie lange", "wie alt", "quand ", "combien", "cuándo ",
		"cuánto", "cuánta", "几", "多少", "何年", "哪年", "什么时候", "いつ", "いくつ", "いくら",
	};
	char folded[TM_EX_FOLD_BYTES];

	tm_ex_fold(question, strlen(question), folded);
	for (size_t i = 0; i < COUNT(cues); i++)
		if (strstr(folded, cues[i]))
			return true;
	return false;
}

static void take_words(struct search *search, const struct tm_ex_doc *question)
{
	for (size_t i = 0; i < question->token_count && search->count < WANTED_MAX; i++) {
		const struct tm_ex_token *token = &question->tokens[i];
		struct wanted *wanted = &search->wanted[search->count];
		size_t k = 0;

		if (token->flags & TM_EX_IS_STOP)
			continue;
		*wanted = (struct wanted){.key = token->key};
		tm_ex_fold(question->text + token->start, token->len, wanted->folded);
		while (k < search->count && search->wanted[k].key != token->key)
			k++;
		if (k < search->count || ignored(wanted->folded))
			continue;
		wanted->name = token->flags & TM_EX_IS_NUMBER ||
			       (token->flags & TM_EX_IS_UPPER && i > 0 &&
				question->language != TM_EX_GERMAN);
		search->count++;
	}
}

/* "founded" and "foundation": a long common beginning is nearly the word. */
static bool akin(const char *left, const char *right)
{
	size_t same = 0, shorter, left_len = strlen(left), right_len = strlen(right);

	shorter = left_len < right_len ? left_len : right_len;
	while (same < shorter && left[same] == right[same])
		same++;
	return same >= FUZZY_BYTES && same * 4 >= shorter * 3;
}

/* How far each wanted word is in the sentence: 0..1. */
static void look(const struct search *search, size_t index, double hits[WANTED_MAX])
{
	const struct tm_ex_sentence *sentence = &search->doc->sentences[index];

	for (size_t w = 0; w < WANTED_MAX; w++)
		hits[w] = 0;
	for (size_t i = 0; i < sentence->count; i++) {
		const struct tm_ex_token *token = &search->doc->tokens[sentence->first + i];
		char folded[TM_EX_FOLD_BYTES];

		if (token->flags & TM_EX_IS_STOP)
			continue;
		tm_ex_fold(search->doc->text + token->start, token->len, folded);
		for (size_t w = 0; w < search->count; w++) {
			if (token->key == search->wanted[w].key)
				hits[w] = 1;
			else if (hits[w] < 0.7 && akin(folded, search->wanted[w].folded))
				hits[w] = 0.7;
		}
	}
}

static void weigh(struct search *search)
{
	double hits[WANTED_MAX], total = (double)search->doc->sentence_count;

	for (size_t s = 0; s < search->doc->sentence_count; s++) {
		look(search, s, hits);
		for (size_t w = 0; w < search->count; w++)
			search->wanted[w].sentences += hits[w] > 0;
	}
	for (size_t w = 0; w < search->count; w++) {
		struct wanted *wanted = &search->wanted[w];

		wanted->worth = log(1 + (total + 0.5) / ((double)wanted->sentences + 0.5));
		search->all += wanted->worth;
	}
}

static bool has_digits(const struct search *search, const struct tm_ex_sentence *sentence)
{
	for (size_t i = 0; i < sentence->count; i++)
		if (search->doc->tokens[sentence->first + i].flags & TM_EX_IS_NUMBER)
			return true;
	return false;
}

/* The three best sentences, best first. *covered: how much of the question the best holds. */
static size_t rank(const struct search *search, size_t best[ANSWERS_MAX],
		   double scores[ANSWERS_MAX], double *covered)
{
	double hits[WANTED_MAX], before[WANTED_MAX] = {0};
	size_t count = 0;

	*covered = 0;
	for (size_t s = 0; s < search->doc->sentence_count; s++) {
		const struct tm_ex_sentence *sentence = &search->doc->sentences[s];
		double own = 0, found = 0, score;
		size_t at;

		look(search, s, hits);
		for (size_t w = 0; w < search->count; w++) {
			own += search->wanted[w].worth * hits[w];
			found += search->wanted[w].worth * fmax(hits[w], 0.4 * before[w]);
		}
		memcpy(before, hits, sizeof(before));
		if (own <= 0)
			continue;
		score = found;
		if (search->digits && has_digits(search, sentence))
			score += 0.3 * search->all;
		if (sentence->asks || sentence->title)
			score *= 0.5;
		at = count;
		while (at > 0 && scores[at - 1] < score)
			at--;
		if (at == ANSWERS_MAX)
			continue;
		if (at == 0)
			*covered = search->all > 0 ? found / search->all : 0;
		if (count < ANSWERS_MAX)
			count++;
		memmove(&best[at + 1], &best[at], (count - 1 - at) * sizeof(*best));
		memmove(&scores[at + 1], &scores[at], (count - 1 - at) * sizeof(*scores));
		best[at] = s;
		scores[at] = score;
	}
	return count;
}

static void put_best(const struct search *search, size_t *best, const double *scores, size_t count,
		     struct tm_buf *out)
{
	size_t kept = 1;

	while (kept < count && scores[kept] >= 0.8 * scores[0])
		kept++;
	tm_ex_put_sentences(search->doc, best, kept, 0, out);
}

enum tm_err tm_ex_qa(struct tm_ex_doc *doc, const char *question, struct tm_buf *out)
{
	enum tm_err err;
	struct tm_ex_doc asked;
	struct search search = {.doc = doc, .digits = wants_digits(question)};
	size_t best[ANSWERS_MAX], count;
	double scores[ANSWERS_MAX], covered, enough = 0.4;

	err = tm_ex_doc_read(&asked, question, strlen(question));
	if (err != TM_OK)
		return err;
	take_words(&search, &asked);
	weigh(&search);
	count = rank(&search, best, scores, &covered);
	for (size_t w = 0; w < search.count; w++)
		if (search.wanted[w].name && !search.wanted[w].sentences)
			enough = 0.6;

	if (!search.count) {	/* "What is it about?" */
		count = tm_ex_pick(doc, 1, 0, best);
		scores[0] = 1;
		put_best(&search, best, scores, count, out);
	} else if (count && covered >= enough) {
		put_best(&search, best, scores, count, out);
	} else {
		tm_buf_puts(out, none[asked.language]);
	}
	tm_ex_doc_clear(&asked);
	return TM_OK;
}
