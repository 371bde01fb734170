/*
 * Where sentences end: after 。！？ at once; after . ! ? before white space, unless the next
 * word is in lower case or the full stop belongs to an abbreviation, an initial or an ordinal;
 * at blank lines, list markers and behind short lines (headings, verses, lists), but not where
 * a paragraph is merely wrapped. What never ends is cut at a gap, so that a text without any
 * punctuation still has pieces to choose from.
 */
#include "llm/extractive.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	SENTENCE_POINTS = 500,	/* longer ones are cut */
	SHORT_LINE = 45		/* columns; a wrapped line is longer */
};

/* Where the scan stands. */
struct scan {
	struct tm_ex_doc *doc;
	size_t start;		/* of the sentence in the making */
	size_t points;		/* in it */
	size_t soft;		/* last gap in it; 0 for none */
	size_t columns;		/* in the line so far */
	bool opens;		/* it is the first of a paragraph */
};

enum tm_err tm_ex_grow(void **array, size_t *room, size_t count, size_t bytes)
{
	size_t more = *room ? *room * 2 : 64;
	void *bigger;

	if (count < *room)
		return TM_OK;
	bigger = realloc(*array, more * bytes);
	if (!bigger)
		return TM_ENOMEM;
	*array = bigger;
	*room = more;
	return TM_OK;
}

static bool has_word(const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		enum tm_ex_class class = tm_ex_class_of(tm_ex_next(text, len, &at));

		if (class == TM_EX_LETTER || class == TM_EX_DIGIT ||
		    (class >= TM_EX_HAN && class <= TM_EX_SOLID))
			return true;
	}
	return false;
}

/* Ends the sentence at end. One of punctuation alone joins the sentence before. */
static enum tm_err close_sentence(struct scan *scan, size_t end, bool line_end)
{
	struct tm_ex_doc *doc = scan->doc;
	struct tm_ex_sentence *sentence;
	const char *text = doc->text + scan->start;
	size_t len = end - scan->start;
	enum tm_err err;

	tm_utf8_trim(&text, &len);
	scan->start = end;
	scan->points = 0;
	scan->soft = 0;
	if (!len)
		return TM_OK;
	if (doc->sentence_count && !has_word(text, len)) {
		sentence = &doc->sentences[doc->sentence_count - 1];
		sentence->len = (size_t)(text - doc->text) + len - sentence->start;
		return TM_OK;
	}
	err = tm_ex_grow((void **)&doc->sentences, &doc->sentence_room, doc->sentence_count,
			 sizeof(*doc->sentences));
	if (err != TM_OK)
		return err;
	sentence = &doc->sentences[doc->sentence_count++];
	*sentence = (struct tm_ex_sentence){
		.start = (size_t)(text - doc->text), .len = len,
		.opens = scan->opens, .title = line_end,
	};
	scan->opens = false;
	return TM_OK;
}

static bool is_lower(uint32_t point)
{
	return (point >= 'a' && point <= 'z') ||
	       (point >= 0xDF && point <= 0xFF && point != 0xF7) ||
	       (point >= 0x100 && point <= 0x17F && !tm_ex_is_upper(point)) ||
	       (point >= 0x3AC && point <= 0x3CE) || (point >= 0x430 && point <= 0x45F);
}

/* True when the full stop at dot does not end the word before it but is part of it. */
static bool abbreviates(const struct scan *scan, size_t dot)
{
	static const char *const known[] = {
		"mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "inc", "ltd", "corp",
		"fig", "vol", "pp", "gen", "lt", "sgt", "capt", "rev", "hon", "gov", "sen",
		"approx", "dept", "jan", "feb", "apr", "aug", "sep", "sept", "oct", "nov", "dec",
		"mme", "mlle", "bzw", "ca", "nr", "str", "vgl", "sog", "evtl", "inkl", "abb", "tel",
		"sra", "srta", "uds", "pág", "núm", "cf", "al",
	};
	const char *text = scan->doc->text;
	size_t from = dot, at, digits = 0, points = 0;
	char folded[TM_EX_FOLD_BYTES];
	bool dotted;

	while (from > scan->start && !strchr(" \t\r\n([\"'", text[from - 1]))
		from--;
	for (at = from; at < dot; points++) {
		uint32_t point = tm_ex_next(text, dot, &at);

		digits += tm_ex_class_of(point) == TM_EX_DIGIT;
	}
	if (!points)
		return false;
	if (digits == points)
		return points <= 2;	/* "3. Oktober", "1. First point" */
	dotted = memchr(text + from, '.', dot - from) != NULL && points <= 4;
	if (points == 1 || dotted)
		return true;		/* "J. Smith", "e.g.", "z.B." */
	tm_ex_fold(text + from, dot - from, folded);
	for (size_t i = 0; i < COUNT(known); i++)
		if (strcmp(folded, known[i]) == 0)
			return true;
	return false;
}

static bool wide(enum tm_ex_class class)
{
	return class >= TM_EX_HAN && class <= TM_EX_SOLID;
}

/*
 * Looks at the stop that begins at dot: *at moves behind it and what closes with it.
 * True when the sentence ends there.
 */
static bool stop_ends(const struct scan *scan, size_t dot, size_t *at)
{
	const char *text = scan->doc->text;
	size_t len = scan->doc->len, next = dot, stops = 0;
	bool full = false, closed = false;
	uint32_t point = 0;
	enum tm_ex_class class;

	for (*at = dot; next < len; *at = next) {
		class = tm_ex_class_of(tm_ex_next(text, len, &next));
		if (class != TM_EX_STOP && class != TM_EX_WIDE_STOP && class != TM_EX_CLOSE &&
		    class != TM_EX_MARK)
			break;
		full = full || class == TM_EX_WIDE_STOP;
		closed = class == TM_EX_CLOSE;
		stops += class != TM_EX_CLOSE;
	}
	if (*at == len)
		return true;
	next = *at;
	point = tm_ex_next(text, len, &next);
	class = tm_ex_class_of(point);
	if (full)	/* 「...。」と言った goes on, as does the point in a number */
		return !(closed && class == TM_EX_HIRAGANA) &&
		       !(class == TM_EX_DIGIT && memcmp(text + dot, "．", 3) == 0);
	if (wide(class))
		return true;
	if (class != TM_EX_SPACE)
		return false;
	while (class == TM_EX_SPACE && next < len) {
		point = tm_ex_next(text, len, &next);
		class = tm_ex_class_of(point);
	}
	if (is_lower(point))
		return false;
	return stops > 1 || text[dot] != '.' || !abbreviates(scan, dot);
}

static bool list_marker(const char *text, size_t len)
{
	size_t digits = 0;

	if (len > 2 && strchr("-*+", text[0]) && text[1] == ' ')
		return true;
	if (len > 3 && (memcmp(text, "•", 3) == 0 || text[0] == '#'))
		return true;
	while (digits < len && digits < 3 && text[digits] >= '0' && text[digits] <= '9')
		digits++;
	return digits && digits + 1 < len && strchr(".)", text[digits]) && text[digits + 1] == ' ';
}

/* True when the line break before at ends a sentence; *blank when a paragraph. */
static bool break_ends(const struct scan *scan, size_t at, bool *blank)
{
	const char *text = scan->doc->text;
	size_t len = scan->doc->len, next;

	while (at < len && strchr(" \t\r", text[at]))
		at++;
	*blank = at == len || text[at] == '\n';
	if (*blank || list_marker(text + at, len - at))
		return true;
	next = at;
	return scan->columns < SHORT_LINE && !is_lower(tm_ex_next(text, len, &next));
}

/* What one code point, from before to *at, does to the scan. */
static enum tm_err take_point(struct scan *scan, size_t before, size_t *at, uint32_t point)
{
	enum tm_ex_class class = tm_ex_class_of(point);
	enum tm_err err = TM_OK;

	scan->points++;
	scan->columns += wide(class) ? 2 : 1;
	if (point == '\n') {
		bool blank, ends = break_ends(scan, *at, &blank);

		if (ends)
			err = close_sentence(scan, before, true);
		scan->opens = scan->opens || blank;
		scan->columns = 0;
	} else if (class == TM_EX_STOP || class == TM_EX_WIDE_STOP) {
		if (stop_ends(scan, before, at))
			err = close_sentence(scan, *at, false);
	} else if (class == TM_EX_SPACE || class == TM_EX_PUNCT) {
		if (class == TM_EX_SPACE || point == ',' || point == ';' || point == 0x3001 ||
		    point == 0xFF0C)
			scan->soft = *at;
	}
	if (err == TM_OK && scan->points > SENTENCE_POINTS && scan->soft > scan->start) {
		*at = scan->soft;
		err = close_sentence(scan, scan->soft, false);
	}
	return err;
}

/* A question ends in its mark, and a title ends in none. */
static void look_at_end(const struct tm_ex_doc *doc, struct tm_ex_sentence *sentence)
{
	const char *text = doc->text + sentence->start;
	enum tm_ex_class class = TM_EX_PUNCT;

	for (size_t at = 0; at < sentence->len;) {
		uint32_t point = tm_ex_next(text, sentence->len, &at);

		class = tm_ex_class_of(point);
		sentence->asks = point == '?' || point == 0xFF1F || point == 0x61F ||
				 (sentence->asks && class == TM_EX_CLOSE);
	}
	if (class == TM_EX_STOP || class == TM_EX_WIDE_STOP || class == TM_EX_CLOSE)
		sentence->title = false;
}

enum tm_err tm_ex_split_sentences(struct tm_ex_doc *doc)
{
	struct scan scan = {.doc = doc, .opens = true};
	enum tm_err err = TM_OK;

	for (size_t at = 0; at < doc->len && err == TM_OK;) {
		size_t before = at;
		uint32_t point = tm_ex_next(doc->text, doc->len, &at);

		err = take_point(&scan, before, &at, point);
	}
	if (err == TM_OK)
		err = close_sentence(&scan, doc->len, false);
	if (err == TM_OK && !doc->sentence_count) {	/* nothing but white space */
		err = tm_ex_grow((void **)&doc->sentences, &doc->sentence_room, 0,
				 sizeof(*doc->sentences));
		if (err == TM_OK)
			doc->sentences[doc->sentence_count++] =
				(struct tm_ex_sentence){.len = doc->len, .opens = true};
	}
	for (size_t i = 0; i < doc->sentence_count; i++)
		look_at_end(doc, &doc->sentences[i]);
	return err;
}
