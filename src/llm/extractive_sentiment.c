/*
 * Sentiment by word list, after VADER (Hutto, Gilbert: "A parsimonious rule-based model for
 * sentiment analysis of social media text", 2014): opinions have strengths, a negation shortly
 * before one turns it round, intensifiers move it, and what follows a "but" counts more than
 * what precedes it. Unlike it, a long text with few opinions, or with as many of either kind,
 * is neutral.
 */
#include "llm/extractive.h"

#include <math.h>
#include <string.h>

#include "io/json.h"

enum { REACH = 3, SHOWN_MAX = 5, SHOWN_BYTES = 48, SPARSE_WORDS = 50 };

static const double DENSE = 0.05;	/* opinions per word of a text that has a lot of them */

/* Words to name in the explanation. */
struct shown {
	struct {
		const char *text;
		size_t len;
	} words[SHOWN_MAX];
	size_t count;
};

struct tally {
	double positive, negative;	/* both >= 0 */
	size_t hits;
	struct shown shown[2];		/* 0: positive, 1: negative */
};

static void show(struct shown *shown, const char *text, size_t len)
{
	for (size_t i = 0; i < shown->count; i++)
		if (shown->words[i].len == len && memcmp(shown->words[i].text, text, len) == 0)
			return;
	if (shown->count == SHOWN_MAX || len > SHOWN_BYTES)
		return;
	shown->words[shown->count].text = text;
	shown->words[shown->count].len = len;
	shown->count++;
}

static void count(struct tally *tally, double opinion, const char *text, size_t len)
{
	if (opinion > 0)
		tally->positive += opinion;
	else
		tally->negative -= opinion;
	tally->hits++;
	show(&tally->shown[opinion < 0], text, len);
}

static enum tm_ex_turn turn_of(const struct tm_ex_doc *doc, const struct tm_ex_token *token)
{
	char folded[TM_EX_FOLD_BYTES];

	tm_ex_fold(doc->text + token->start, token->len, folded);
	return tm_ex_turn_of(folded);
}

/* What the words before token number at make of its opinion; *from moves to a negation. */
static double turned(const struct tm_ex_doc *doc, size_t first, size_t at, double opinion,
		     size_t *from)
{
	static const char *const chinese[] = {"不", "没"};
	const char *text = doc->text;
	bool negated = false;

	for (size_t i = 0; i < 2; i++)
		if (*from >= 3 && memcmp(text + *from - 3, chinese[i], 3) == 0) {
			negated = true;
			*from -= 3;
			break;
		}
	for (size_t back = 1; back <= REACH && at >= first + back; back++) {
		const struct tm_ex_token *before = &doc->tokens[at - back];

		if (before[1].flags & TM_EX_BROKEN)
			break;
		switch (turn_of(doc, before)) {
		case TM_EX_NEGATES:
			negated = true;
			*from = before->start;
			break;
		case TM_EX_STRENGTHENS:
			opinion *= back == 1 ? 1.3 : 1.1;
			break;
		case TM_EX_WEAKENS:
			opinion *= back == 1 ? 0.7 : 0.9;
			break;
		case TM_EX_PLAIN:
		case TM_EX_CONTRASTS:
		default:
			break;
		}
	}
	return negated ? opinion * -0.74 : opinion;
}

/* The last "but" of a sentence: a token; its first when there is none. */
static size_t last_contrast(const struct tm_ex_doc *doc, const struct tm_ex_sentence *sentence)
{
	size_t at = sentence->first + sentence->count - 1;

	while (at > sentence->first && turn_of(doc, &doc->tokens[at]) != TM_EX_CONTRASTS)
		at--;
	return at;
}

static void read_sentence(const struct tm_ex_doc *doc, const struct tm_ex_sentence *sentence,
			  struct tally *tally)
{
	size_t first = sentence->first, end = first + sentence->count, contrast = end;

	for (size_t i = first; i < end; i++) {
		const struct tm_ex_token *token = &doc->tokens[i];
		char folded[TM_EX_FOLD_BYTES];
		size_t from = token->start;
		double opinion;

		tm_ex_fold(doc->text + token->start, token->len, folded);
		opinion = tm_ex_opinion(folded);
		if (opinion == 0)
			continue;
		opinion = turned(doc, first, i, opinion, &from);
		if (contrast == end)
			contrast = last_contrast(doc, sentence);
		if (contrast > first)
			opinion *= i < contrast ? 0.5 : 1.5;
		count(tally, opinion, doc->text + from, token->start + token->len - from);
	}
}

static void read_emoji(const struct tm_ex_doc *doc, struct tally *tally)
{
	for (size_t at = 0; at < doc->len;) {
		size_t before = at;
		int opinion = tm_ex_emoji(tm_ex_next(doc->text, doc->len, &at));

		if (opinion)
			count(tally, opinion, doc->text + before, at - before);
	}
}

/* The label, and how sure in hundredths. */
static const char *judge(const struct tm_ex_doc *doc, const struct tally *tally, int *hundredths)
{
	double sum = tally->positive - tally->negative, all = tally->positive + tally->negative;
	double strength = fabs(sum) / sqrt(sum * sum + 15), balance = all > 0 ? sum / all : 0;
	double density = (double)tally->hits / (double)(doc->words ? doc->words : 1);

	*hundredths = 60;
	if (!tally->hits || (doc->words > SPARSE_WORDS && tally->hits * 50 < doc->words))
		return "neutral";
	*hundredths = 55;
	if (fabs(balance) < 0.15)
		return "neutral";
	*hundredths = (int)lround(50 + 45 * strength * fabs(balance) * fmin(1, density / DENSE));
	return sum > 0 ? "positive" : "negative";
}

static void put_shown(const struct shown *shown, struct tm_buf *out)
{
	for (size_t i = 0; i < shown->count; i++) {
		bool blank = false;

		tm_buf_puts(out, i ? ", " : "");
		for (size_t k = 0; k < shown->words[i].len; k++) {
			char c = shown->words[i].text[k];
			bool space = c == ' ' || (c >= '\t' && c <= '\r');

			if (!space || !blank)
				tm_buf_putc(out, space ? ' ' : c);
			blank = space;
		}
	}
}

void tm_ex_sentiment(const struct tm_ex_doc *doc, struct tm_buf *out)
{
	struct tally tally = {0};
	struct tm_buf words;
	const char *label;
	int hundredths;

	tm_buf_init(&words, out->max);
	for (size_t i = 0; i < doc->sentence_count; i++)
		read_sentence(doc, &doc->sentences[i], &tally);
	read_emoji(doc, &tally);
	label = judge(doc, &tally, &hundredths);

	if (tally.shown[0].count) {
		tm_buf_puts(&words, "Positive words: ");
		put_shown(&tally.shown[0], &words);
	}
	if (tally.shown[1].count) {
		tm_buf_puts(&words, words.len ? "; negative words: " : "Negative words: ");
		put_shown(&tally.shown[1], &words);
	}
	tm_buf_puts(&words, words.len ? "." : "No words of a clear opinion were found.");
	if (tm_buf_err(&words) != TM_OK && out->err == TM_OK)
		out->err = tm_buf_err(&words);

	tm_buf_printf(out, "{\"sentiment\":\"%s\",\"confidence\":0.%02d,\"explanation\":", label,
		      hundredths);
	tm_json_put_string(out, tm_buf_text(&words), words.len);
	tm_buf_putc(out, '}');
	tm_buf_clear(&words);
}
