/*
 * Questions without understanding: find what the text is about, put it into sentences that are
 * grammatical whatever it is. Subjects are proper names, years, and words that stand like
 * nouns: behind an article or preposition and before something that ends the phrase (after
 * RAKE's idea that stop words bound the phrases: Rose et al., 2010); in German, capitalised
 * words. They rank by how often the text uses them. What does not stand like a noun is asked
 * about in quotation marks.
 */
#include "llm/extractive.h"

#include <stdlib.h>
#include <string.h>

#include "io/json.h"

enum { PATTERNS = 4, NAMES_MAX = 64, NAME_TOKENS = 4, SUBJECTS_MAX = 64, SUBJECT_BYTES = 120 };

/* A pattern's parts before and behind its subject. */
struct pattern {
	const char *before, *behind;
};

static const struct phrasing {
	struct pattern about[PATTERNS];
	const char *general[PATTERNS];	/* questions that fit any text */
	struct pattern year;
	const char *open, *close;	/* quotation marks */
	bool always_quoted;		/* articles and cases would need a grammar */
} phrasings[] = {
	[TM_EX_ENGLISH] = {
		.about = {{"What does the text say about ", "?"},
			  {"How does the text describe ", "?"},
			  {"Why does the text mention ", "?"},
			  {"What can a reader learn about ", "?"}},
		.general = {"What is the text about?", "What is the main statement of the text?",
			    "Which details does the text give?",
			    "Which conclusions can be drawn from the text?"},
		.year = {"What happened in ", "?"}, .open = "“", .close = "”",
	},
	[TM_EX_GERMAN] = {
		.about = {{"Was sagt der Text über ", "?"}, {"Wie beschreibt der Text ", "?"},
			  {"Warum erwähnt der Text ", "?"}, {"Was erfährt man über ", "?"}},
		.general = {"Wovon handelt der Text?", "Was ist die Kernaussage des Textes?",
			    "Welche Einzelheiten nennt der Text?",
			    "Welche Schlüsse lässt der Text zu?"},
		.year = {"Was geschah im Jahr ", "?"}, .open = "„", .close = "“",
		.always_quoted = true,
	},
	[TM_EX_FRENCH] = {
		.about = {{"Que dit le texte au sujet de ", " ?"},
			  {"Comment le texte décrit-il ", " ?"},
			  {"Pourquoi le texte mentionne-t-il ", " ?"},
			  {"Qu'apprend-on au sujet de ", " ?"}},
		.general = {"De quoi parle le texte ?", "Quelle est l'idée principale du texte ?",
			    "Quels détails le texte donne-t-il ?",
			    "Quelles conclusions peut-on tirer du texte ?"},
		.year = {"Que s'est-il passé en ", " ?"}, .open = "« ", .close = " »",
		.always_quoted = true,
	},
	[TM_EX_SPANISH] = {
		.about = {{"¿Qué dice el texto sobre ", "?"}, {"¿Cómo describe el texto ", "?"},
			  {"¿Por qué menciona el texto ", "?"}, {"¿Qué se aprende sobre ", "?"}},
		.general = {"¿De qué trata el texto?", "¿Cuál es la idea principal del texto?",
			    "¿Qué detalles da el texto?",
			    "¿Qué conclusiones se pueden sacar del texto?"},
		.year = {"¿Qué ocurrió en ", "?"}, .open = "«", .close = "»",
		.always_quoted = true,
	},
	[TM_EX_CHINESE] = {
		.about = {{"关于", "，文中说了什么？"}, {"文中如何描述", "？"},
			  {"文中为什么提到", "？"}, {"读者能了解到", "的哪些内容？"}},
		.general = {"这篇文章讲了什么？", "文章的主要观点是什么？", "文章给出了哪些细节？",
			    "从文章中可以得出什么结论？"},
		.year = {"", "年发生了什么？"}, .open = "“", .close = "”", .always_quoted = true,
	},
	[TM_EX_JAPANESE] = {
		.about = {{"", "について本文は何を述べていますか？"},
			  {"本文は", "をどのように説明していますか？"},
			  {"本文はなぜ", "に触れていますか？"}, {"", "について何が分かりますか？"}},
		.general = {"本文は何について述べていますか？", "本文の主な主張は何ですか？",
			    "本文にはどのような詳細がありますか？",
			    "本文からどのような結論が導けますか？"},
		.year = {"", "年に何が起きましたか？"}, .open = "「", .close = "」",
		.always_quoted = true,
	},
};

_Static_assert(sizeof(phrasings) / sizeof(phrasings[0]) == TM_EX_LANGUAGES,
	       "a language lacks its questions");

/* Something to ask about. */
struct subject {
	size_t start, len;	/* in the text */
	size_t tokens, first;	/* of them */
	double rank;
	bool noun, article, year;
};

/* The best of them, best first; what ranks equal stands in the text's order. */
struct subjects {
	struct subject list[SUBJECTS_MAX];
	size_t count;
};

/* The questions so far. */
struct asked {
	struct tm_buf *out;
	size_t count, most;
};

/* What is known of one term. */
struct evidence {
	size_t first;		/* token: where it stood like a noun first, else where it stands */
	unsigned nouns;
	bool seen, article;
};

static bool content(const struct tm_ex_token *token)
{
	return !(token->flags & (TM_EX_IS_STOP | TM_EX_IS_NUMBER | TM_EX_IS_PIECE));
}

/* Four digits are a year only where the text says so: "in 1903", "1903年". */
static bool is_year(const struct tm_ex_doc *doc, size_t at)
{
	static const char *const before[] = {
		"in", "since", "year", "im", "jahr", "seit", "en", "année",
	};
	const struct tm_ex_token *token = &doc->tokens[at];
	const char *text = doc->text + token->start;
	size_t behind = token->start + token->len;
	char folded[TM_EX_FOLD_BYTES];

	if (!(token->flags & TM_EX_IS_NUMBER) || token->len != 4 ||
	    !((text[0] == '1' && text[1] >= '1') || (text[0] == '2' && text[1] == '0')))
		return false;
	if (doc->language == TM_EX_CHINESE || doc->language == TM_EX_JAPANESE)
		return behind + 3 <= doc->len && memcmp(doc->text + behind, "年", 3) == 0;
	if (at == 0 || token->flags & TM_EX_BROKEN)
		return false;
	tm_ex_fold(doc->text + token[-1].start, token[-1].len, folded);
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		if (strcmp(folded, before[i]) == 0)
			return true;
	return false;
}

/* True when token number at of the sentence stands like a noun. */
static bool stands_like_noun(const struct tm_ex_doc *doc, const struct tm_ex_sentence *sentence,
			     size_t at)
{
	const struct tm_ex_token *token = &doc->tokens[at];
	bool last = at + 1 == sentence->first + sentence->count;

	if (token->flags & TM_EX_IS_UPPER && at > sentence->first)
		return true;
	if (doc->language == TM_EX_CHINESE || doc->language == TM_EX_JAPANESE)
		return true;
	if (doc->language == TM_EX_GERMAN || at == sentence->first ||
	    token->flags & TM_EX_BROKEN || !(token[-1].flags & TM_EX_IS_ANCHOR))
		return false;
	return last || token[1].flags & (TM_EX_BROKEN | TM_EX_IS_STOP);
}

static void gather_evidence(const struct tm_ex_doc *doc, struct evidence *evidence)
{
	for (size_t s = 0; s < doc->sentence_count; s++) {
		const struct tm_ex_sentence *sentence = &doc->sentences[s];

		for (size_t i = sentence->first; i < sentence->first + sentence->count; i++) {
			const struct tm_ex_token *token = &doc->tokens[i];
			struct evidence *known = &evidence[token->term];
			bool noun = content(token) && stands_like_noun(doc, sentence, i);

			if (noun && !known->nouns) {
				known->first = i;
				known->article = i > sentence->first &&
						 token[-1].flags & TM_EX_IS_ARTICLE &&
						 !(token->flags & TM_EX_IS_UPPER);
			} else if (!known->seen) {
				known->first = i;
			}
			known->seen = true;
			known->nouns += noun;
		}
	}
}

static void insert(struct subjects *subjects, const struct subject *subject)
{
	size_t at = subjects->count;

	while (at > 0 && subjects->list[at - 1].rank < subject->rank)
		at--;
	if (at == SUBJECTS_MAX)
		return;
	if (subjects->count < SUBJECTS_MAX)
		subjects->count++;
	memmove(&subjects->list[at + 1], &subjects->list[at],
		(subjects->count - 1 - at) * sizeof(*subject));
	subjects->list[at] = *subject;
}

/* Capitalised content words side by side from token number at; how many. */
static size_t name_length(const struct tm_ex_doc *doc, size_t at, size_t end)
{
	size_t n = 0;

	for (; at + n < end && n < NAME_TOKENS; n++) {
		const struct tm_ex_token *token = &doc->tokens[at + n];

		if (!content(token) || !(token->flags & TM_EX_IS_UPPER) ||
		    (n && token->flags & TM_EX_BROKEN))
			break;
	}
	return n;
}

/* The name of n tokens that begins at token number at: the known one, or a new entry. */
static struct subject *name_entry(const struct tm_ex_doc *doc, size_t at, size_t n,
				  struct subject *names, size_t *known)
{
	const struct tm_ex_token *token = &doc->tokens[at], *last = token + n - 1;
	size_t k = 0;

	while (k < *known && (names[k].tokens != n ||
			      doc->tokens[names[k].first].key != token[0].key ||
			      doc->tokens[names[k].first + 1].key != token[1].key))
		k++;
	if (k == NAMES_MAX)
		return NULL;
	if (k == *known) {
		*known += 1;
		names[k] = (struct subject){
			.start = token->start, .len = last->start + last->len - token->start,
			.tokens = n, .first = at, .noun = true,
		};
	}
	return &names[k];
}

/* "Marie Curie", "the United States". In German it would be any two nouns. */
static void find_names(const struct tm_ex_doc *doc, struct subjects *subjects)
{
	struct subject names[NAMES_MAX];
	size_t known = 0;

	for (size_t s = 0; s < doc->sentence_count && doc->language != TM_EX_GERMAN; s++) {
		const struct tm_ex_sentence *sentence = &doc->sentences[s];
		size_t end = sentence->first + sentence->count, n;

		for (size_t i = sentence->first; i < end && !sentence->title; i += n ? n : 1) {
			const struct tm_ex_token *token = &doc->tokens[i];
			struct subject *name;

			n = name_length(doc, i, end);
			name = n < 2 ? NULL : name_entry(doc, i, n, names, &known);
			if (!name)
				continue;
			name->rank += 6;
			if (i > sentence->first && token[-1].len == 3 &&
			    token[-1].flags & TM_EX_IS_ARTICLE)
				name->article = true;
		}
	}
	for (size_t i = 0; i < known; i++)
		insert(subjects, &names[i]);
}

/* Chinese pairs that overlap and are as frequent as each other are parts of one word. */
static void extend(const struct tm_ex_doc *doc, struct subject *word)
{
	const struct tm_ex_token *last = &doc->tokens[word->first];
	uint32_t uses = doc->uses[last->term];

	while (doc->language == TM_EX_CHINESE && uses > 1 && word->tokens < NAME_TOKENS &&
	       word->first + word->tokens < doc->token_count) {
		const struct tm_ex_token *next = last + 1;

		if (next->start >= last->start + last->len || doc->uses[next->term] != uses)
			break;
		word->tokens++;
		word->len = next->start + next->len - word->start;
		last = next;
	}
}

static void find_words(const struct tm_ex_doc *doc, const struct evidence *evidence,
		       struct subjects *subjects)
{
	/* by tokens, not terms: first come, first ranked */
	for (size_t i = 0; i < doc->token_count; i++) {
		const struct tm_ex_token *token = &doc->tokens[i];
		const struct evidence *known = &evidence[token->term];
		struct subject word = {
			.start = token->start, .len = token->len, .tokens = 1, .first = i,
			.noun = known->nouns > 0, .article = known->article,
			.year = is_year(doc, i),
		};

		if (i != known->first || (!word.year && (!content(token) || token->len < 3)))
			continue;
		word.rank = (double)doc->uses[token->term] *
			    (word.year ? 3 : known->nouns > 2 ? 3.5 : 0.5 + known->nouns);
		extend(doc, &word);
		insert(subjects, &word);
	}
}

/* "Curie" when there is "Marie Curie". */
static bool part_of_earlier(const struct tm_ex_doc *doc, const struct subject *subjects, size_t at)
{
	if (subjects[at].tokens > 1 && doc->language != TM_EX_CHINESE)
		return false;
	for (size_t i = 0; i < at; i++)
		for (size_t k = 0; k < subjects[i].tokens; k++)
			if (doc->tokens[subjects[i].first + k].key ==
			    doc->tokens[subjects[at].first].key)
				return true;
	return false;
}

static void put_question(const struct tm_ex_doc *doc, const struct subject *subject,
			 size_t pattern, struct tm_buf *out)
{
	const struct phrasing *phrasing = &phrasings[doc->language];
	const struct pattern *around = subject->year ? &phrasing->year : &phrasing->about[pattern];
	bool quoted = !subject->year && (phrasing->always_quoted || !subject->noun);
	struct tm_buf text;

	tm_buf_init(&text, out->max);
	tm_buf_puts(&text, around->before);
	if (quoted)
		tm_buf_puts(&text, phrasing->open);
	else if (subject->article)
		tm_buf_puts(&text, "the ");
	for (size_t i = subject->start; i < subject->start + subject->len; i++)
		tm_buf_putc(&text, (unsigned char)doc->text[i] < ' ' ? ' ' : doc->text[i]);
	if (quoted)
		tm_buf_puts(&text, phrasing->close);
	tm_buf_puts(&text, around->behind);
	if (tm_buf_err(&text) != TM_OK && out->err == TM_OK)
		out->err = tm_buf_err(&text);
	tm_json_put_string(out, tm_buf_text(&text), text.len);
	tm_buf_clear(&text);
}

/* One round asks about each subject once, in another way than the round before. */
static void put_round(const struct tm_ex_doc *doc, const struct subjects *subjects, size_t round,
		      bool nouns, struct asked *asked)
{
	for (size_t i = 0; i < subjects->count && asked->count < asked->most; i++) {
		const struct subject *subject = &subjects->list[i];

		if ((subject->noun || subject->year) != nouns || (subject->year && round) ||
		    subject->len > SUBJECT_BYTES || part_of_earlier(doc, subjects->list, i))
			continue;
		tm_buf_puts(asked->out, asked->count++ ? "," : "");
		put_question(doc, subject, (round + i) % PATTERNS, asked->out);
	}
}

/* Nouns and what fits any text first; single words in quotation marks only when more is
 * asked for than that. */
static void put_all(const struct tm_ex_doc *doc, const struct subjects *subjects,
		    struct asked *asked)
{
	for (size_t round = 0; round < PATTERNS && asked->count < asked->most; round++) {
		put_round(doc, subjects, round, true, asked);
		if (asked->count == asked->most)
			return;
		tm_buf_puts(asked->out, asked->count++ ? "," : "");
		tm_json_put_cstr(asked->out, phrasings[doc->language].general[round]);
	}
	for (size_t round = 0; round < PATTERNS && asked->count < asked->most; round++)
		put_round(doc, subjects, round, false, asked);
}

enum tm_err tm_ex_questions(const struct tm_ex_doc *doc, size_t most, struct tm_buf *out)
{
	struct subjects subjects = {0};
	struct asked asked = {.out = out, .most = most};
	struct evidence *evidence = calloc(doc->terms + 1, sizeof(*evidence));

	if (!evidence)
		return TM_ENOMEM;
	gather_evidence(doc, evidence);
	find_names(doc, &subjects);
	find_words(doc, evidence, &subjects);
	free(evidence);

	tm_buf_puts(out, "{\"questions\":[");
	put_all(doc, &subjects, &asked);
	tm_buf_puts(out, "]}");
	return TM_OK;
}
