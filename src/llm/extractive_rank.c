/*
 * Which sentences say most. SumBasic (Nenkova, Vanderwende: "The impact of frequency on
 * summarization", 2005): a sentence is worth the mean probability of its content words, and a
 * word that has been said loses probability, so that the next pick says something else. With
 * Edmundson's cue of position (1969): what opens a text or a paragraph weighs more, titles and
 * questions less. Linear in the text for each pick, unlike the graph methods, which are not
 * clearly better on single texts.
 */
#include "llm/extractive.h"

#include <stdlib.h>

enum {
	PICKS_MAX = 200,	/* bounds the work for a text of thousands of tiny sentences */
	CONTENT_MIN = 6		/* a sentence of fewer content words is no better for that */
};

struct numbered {
	uint64_t key;
	size_t token;
};

static int by_key(const void *left, const void *right)
{
	const struct numbered *a = left, *b = right;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->token < b->token ? -1 : a->token > b->token;
}

enum tm_err tm_ex_weigh_terms(struct tm_ex_doc *doc)
{
	enum tm_err err = TM_ENOMEM;
	size_t count = doc->token_count, content = 0;
	/* Sorted, not hashed: no text can make this slow. */
	struct numbered *order = calloc(count + 1, sizeof(*order));

	if (!order)
		goto out;
	for (size_t i = 0; i < count; i++)
		order[i] = (struct numbered){doc->tokens[i].key, i};
	qsort(order, count, sizeof(*order), by_key);
	for (size_t i = 0; i < count; i++) {
		doc->terms += i == 0 || order[i].key != order[i - 1].key;
		doc->tokens[order[i].token].term = (uint32_t)(doc->terms - 1);
	}
	doc->weight = calloc(doc->terms + 1, sizeof(*doc->weight));
	doc->uses = calloc(doc->terms + 1, sizeof(*doc->uses));
	if (!doc->weight || !doc->uses)
		goto out;
	for (size_t i = 0; i < count; i++) {
		bool counts = !(doc->tokens[i].flags & TM_EX_IS_STOP);

		doc->uses[doc->tokens[i].term] += counts;
		content += counts;
	}
	for (size_t i = 0; i < doc->terms && content; i++)
		doc->weight[i] = (double)doc->uses[i] / (double)content;
	err = TM_OK;
out:
	free(order);
	return err;
}

enum tm_err tm_ex_doc_read(struct tm_ex_doc *doc, const char *text, size_t len)
{
	enum tm_err err;

	*doc = (struct tm_ex_doc){.text = text, .len = len};
	err = tm_ex_split_sentences(doc);
	if (err == TM_OK)
		err = tm_ex_split_tokens(doc);
	if (err == TM_OK)
		err = tm_ex_weigh_terms(doc);
	if (err != TM_OK)
		tm_ex_doc_clear(doc);
	return err;
}

void tm_ex_doc_clear(struct tm_ex_doc *doc)
{
	free(doc->sentences);
	free(doc->tokens);
	free(doc->weight);
	free(doc->uses);
	*doc = (struct tm_ex_doc){0};
}

static double score(const struct tm_ex_doc *doc, size_t index)
{
	const struct tm_ex_sentence *sentence = &doc->sentences[index];
	double sum = 0;
	size_t content = 0;

	for (size_t i = 0; i < sentence->count; i++) {
		const struct tm_ex_token *token = &doc->tokens[sentence->first + i];

		if (token->flags & TM_EX_IS_STOP)
			continue;
		sum += doc->weight[token->term];
		content++;
	}
	if (!content)
		return 0;
	sum /= (double)(content > CONTENT_MIN ? content : CONTENT_MIN);
	if (index == 0)
		sum *= 1.4;
	else if (sentence->opens)
		sum *= 1.15;
	if (sentence->title)
		sum *= 0.3;
	if (sentence->asks)
		sum *= 0.6;
	if (sentence->leans && index)
		sum *= 0.8;
	return sum;
}

/* What was said once is worth less: p becomes p squared. */
static void lower_words(struct tm_ex_doc *doc, const struct tm_ex_sentence *sentence)
{
	for (size_t i = 0; i < sentence->count; i++) {
		double *weight = &doc->weight[doc->tokens[sentence->first + i].term];

		*weight *= *weight;
	}
}

static bool said(const struct tm_ex_doc *doc, const size_t *picks, size_t count, size_t index)
{
	for (size_t i = 0; i < count; i++)
		if (doc->sentences[picks[i]].key == doc->sentences[index].key)
			return true;
	return false;
}

/* The best sentence not yet picked that has at most words words (0: any); or the count. */
static size_t best(const struct tm_ex_doc *doc, size_t words, const size_t *picks, size_t count,
		   double *value)
{
	size_t found = doc->sentence_count;

	*value = 0;
	for (size_t i = 0; i < doc->sentence_count; i++) {
		double here;

		if (doc->sentences[i].picked || (words && doc->sentences[i].words > words))
			continue;
		here = score(doc, i);
		if (here > *value && !said(doc, picks, count, i)) {
			*value = here;
			found = i;
		}
	}
	return found;
}

size_t tm_ex_pick(struct tm_ex_doc *doc, size_t most, size_t words, size_t *picks)
{
	size_t count = 0, left = words;
	double value, any;

	if (most > PICKS_MAX)
		most = PICKS_MAX;
	while (count < most) {
		size_t next = best(doc, left, picks, count, &value);

		/* A short remark is no summary only because it fits: rather cut what matters. */
		if (!count && words) {
			size_t longer = best(doc, 0, picks, 0, &any);

			if (value < 0.4 * any)
				next = longer;
		}
		if (next == doc->sentence_count)
			break;
		picks[count++] = next;
		doc->sentences[next].picked = true;
		lower_words(doc, &doc->sentences[next]);
		if (words && doc->sentences[next].words >= left)
			break;
		left -= words ? doc->sentences[next].words : 0;
	}
	if (!count)
		picks[count++] = 0;	/* no words at all: the text as far as it goes */
	return count;
}
