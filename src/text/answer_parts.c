/*
 * What models wrap around an answer, and how to take it off again: fences, quotes, thoughts,
 * announcements. Each function removes one thing and only when it surrounds the whole, so that
 * an answer that legitimately holds quotes, colons or fences stays as it is.
 */
#include "text/answer_parts.h"

#include <string.h>

#include "base/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ANNOUNCE_BYTES = 200, REFUSAL_BYTES = 600, QUOTE_BYTES = 32 };

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same(const char *text, const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (lower(text[i]) != lower(word[i]))
			return false;
	return true;
}

bool tm_slice_starts(struct tm_slice slice, const char *word)
{
	size_t len = strlen(word);

	return slice.len >= len && same(slice.text, word, len);
}

bool tm_slice_ends(struct tm_slice slice, const char *word)
{
	size_t len = strlen(word);

	return slice.len >= len && same(slice.text + slice.len - len, word, len);
}

bool tm_slice_equal(struct tm_slice slice, const char *word)
{
	return slice.len == strlen(word) && tm_slice_starts(slice, word);
}

bool tm_slice_holds(struct tm_slice slice, const char *word)
{
	for (; slice.len; slice = tm_slice_from(slice, 1))
		if (tm_slice_starts(slice, word))
			return true;
	return false;
}

struct tm_slice tm_slice_from(struct tm_slice slice, size_t offset)
{
	return (struct tm_slice){slice.text + offset, slice.len - offset};
}

struct tm_slice tm_slice_trim(struct tm_slice slice)
{
	tm_utf8_trim(&slice.text, &slice.len);
	return slice;
}

bool tm_slice_line(struct tm_slice *rest, struct tm_slice *line)
{
	const char *end;
	size_t len;

	if (!rest->len)
		return false;
	end = memchr(rest->text, '\n', rest->len);
	len = end ? (size_t)(end - rest->text) : rest->len;
	*line = (struct tm_slice){rest->text, len};
	*rest = tm_slice_from(*rest, end ? len + 1 : len);
	if (line->len && line->text[line->len - 1] == '\r')
		line->len--;
	return true;
}

struct tm_slice tm_slice_unfence(struct tm_slice slice)
{
	struct tm_slice rest = slice, line, inside;

	if (slice.len < 7 || (!tm_slice_starts(slice, "```") && !tm_slice_starts(slice, "~~~")))
		return slice;
	if (!tm_slice_line(&rest, &line) || !rest.len)
		return slice;
	inside = rest;
	while (tm_slice_line(&rest, &line)) {
		struct tm_slice bare = tm_slice_trim(line);

		if (bare.len < 3 || !same(bare.text, slice.text, 3))
			continue;
		if (tm_slice_trim(rest).len)
			return slice;	/* ends before the text does: not around the whole */
		inside.len = (size_t)(line.text - inside.text);
		return tm_slice_trim(inside);
	}
	return slice;
}

struct tm_slice tm_slice_unquote(struct tm_slice slice)
{
	static const char *const pairs[][2] = {
		{"\"", "\""}, {"'", "'"}, {"`", "`"}, {"“", "”"}, {"„", "“"}, {"„", "”"},
		{"‘", "’"}, {"«", "»"}, {"»", "«"}, {"「", "」"}, {"『", "』"}, {"”", "”"},
	};

	for (size_t i = 0; i < COUNT(pairs); i++) {
		size_t open = strlen(pairs[i][0]), close = strlen(pairs[i][1]);
		struct tm_slice inside;

		if (slice.len <= open + close || !tm_slice_starts(slice, pairs[i][0]) ||
		    !tm_slice_ends(slice, pairs[i][1]))
			continue;
		inside = tm_slice_from(slice, open);
		inside.len -= close;
		if (tm_slice_holds(inside, pairs[i][0]) || tm_slice_holds(inside, pairs[i][1]))
			return slice;
		inside = tm_slice_trim(inside);
		return inside.len ? inside : slice;
	}
	return slice;
}

struct tm_slice tm_slice_unbold(struct tm_slice slice)
{
	struct tm_slice inside;

	if (slice.len <= 4 || !tm_slice_starts(slice, "**") || !tm_slice_ends(slice, "**"))
		return slice;
	inside = tm_slice_from(slice, 2);
	inside.len -= 2;
	if (tm_slice_holds(inside, "**"))
		return slice;
	inside = tm_slice_trim(inside);
	return inside.len ? inside : slice;
}

struct tm_slice tm_slice_unthink(struct tm_slice slice)
{
	static const char close[] = "</think>";

	if (!tm_slice_starts(slice, "<think>"))
		return slice;
	while (slice.len && !tm_slice_starts(slice, close))
		slice = tm_slice_from(slice, 1);
	return slice.len ? tm_slice_trim(tm_slice_from(slice, sizeof(close) - 1)) : slice;
}

static bool letter(char c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || (unsigned char)c >= 0x80;
}

bool tm_slice_announces(struct tm_slice line)
{
	static const char *const leads[] = {
		"summary", "the summary", "a summary", "concise summary", "brief summary",
		"short summary", "summary of the text", "tl;dr", "tldr", "answer", "the answer",
		"response", "result", "key points", "the key points", "main points", "questions",
		"here is", "here's", "here’s", "here are", "sure", "certainly", "of course",
		"absolutely", "zusammenfassung", "kurzfassung", "hier ist", "hier sind",
		"antwort", "résumé", "Résumé", "voici", "réponse", "Réponse", "resumen", "aquí",
		"respuesta", "riassunto", "ecco", "risposta", "resumo", "resposta", "aqui",
		"samenvatting", "краткое содержание", "Краткое содержание", "Резюме", "Вот",
	};
	static const char *const cjk[] = {
		"摘要", "总结", "總結", "以下", "概要", "要約", "回答", "答案", "好的", "요약", "다음",
	};
	bool heading = false, colon = false;

	line = tm_slice_trim(line);
	if (line.len > ANNOUNCE_BYTES)
		return false;
	while (line.len && strchr("#*_ ", line.text[0])) {
		heading = true;
		line = tm_slice_from(line, 1);
	}
	for (bool more = true; more && line.len;) {
		more = strchr("*_ :", line.text[line.len - 1]) != NULL;
		colon = colon || line.text[line.len - 1] == ':';
		line.len -= more;
	}
	if (tm_slice_ends(line, "：")) {
		colon = true;
		line.len -= strlen("：");
	}
	for (size_t i = 0; i < COUNT(leads); i++) {
		size_t len = strlen(leads[i]);

		if (!tm_slice_starts(line, leads[i]))
			continue;
		if (line.len == len)
			return heading || colon;
		if (colon && !letter(line.text[len]))
			return true;
	}
	for (size_t i = 0; i < COUNT(cjk); i++)
		if (tm_slice_starts(line, cjk[i]) &&
		    (colon || (heading && tm_slice_equal(line, cjk[i]))))
			return true;
	return false;
}

static bool starts_any(struct tm_slice slice, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (tm_slice_starts(slice, words[i]))
			return true;
	return false;
}

static bool holds_any(struct tm_slice slice, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (tm_slice_holds(slice, words[i]))
			return true;
	return false;
}

static bool space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* True when at begins with the words of head, any white space being as good as any other. */
static bool begins(struct tm_slice at, struct tm_slice head)
{
	while (head.len && at.len) {
		if (space(head.text[0]) && space(at.text[0])) {
			while (head.len && space(head.text[0]))
				head = tm_slice_from(head, 1);
			while (at.len && space(at.text[0]))
				at = tm_slice_from(at, 1);
			continue;
		}
		if (head.text[0] != at.text[0])
			return false;
		head = tm_slice_from(head, 1);
		at = tm_slice_from(at, 1);
	}
	return !head.len;
}

bool tm_slice_quotes(struct tm_slice slice, struct tm_slice source)
{
	slice.len = slice.len < QUOTE_BYTES ? slice.len : QUOTE_BYTES;
	for (; slice.len && source.len; source = tm_slice_from(source, 1))
		if (begins(source, slice))
			return true;
	return false;
}

bool tm_slice_refuses(struct tm_slice slice, bool loose)
{
	static const char *const openers[] = {
		"i'm sorry", "i’m sorry", "i am sorry", "sorry", "i apologize", "i apologise",
		"my apologies", "unfortunately, i", "as an ai", "i'm unable", "i’m unable",
		"i am unable", "i can't", "i can’t", "i cannot", "i won't", "i'm not able",
		"es tut mir leid", "tut mir leid", "entschuldigung", "leider kann ich",
		"lo siento", "je suis désolé", "désolé", "Désolé", "mi dispiace", "对不起",
		"抱歉", "很抱歉", "申し訳", "すみません", "죄송",
	};
	static const char *const noes[] = {
		"can't", "can’t", "cannot", "can not", "unable", "not able", "won't", "won’t",
		"could not", "couldn't",
	};
	static const char *const deeds[] = {
		"help with", "help you", "assist", "comply", "fulfill", "fulfil", "complete th",
		"process this", "summarize", "summarise", "provide a summary", "provide that",
		"do that", "access", "see any text", "engage",
	};
	static const char *const others[] = {
		"nicht helfen", "nicht unterstützen", "nicht nachkommen", "no puedo ayudar",
		"no puedo asistir", "peux pas vous aider", "ne peux pas répondre à cette demande",
		"non posso aiutar", "无法提供", "无法帮助", "不能提供", "お手伝いできません",
		"お答えできません", "도와드릴 수 없",
	};

	slice = tm_slice_unquote(slice);
	if (slice.len > REFUSAL_BYTES || !starts_any(slice, openers, COUNT(openers)))
		return false;
	if (holds_any(slice, others, COUNT(others)))
		return true;
	return holds_any(slice, noes, COUNT(noes)) &&
	       (loose || holds_any(slice, deeds, COUNT(deeds)));
}

bool tm_slice_of_json(const struct tm_json *json, struct tm_slice *out)
{
	struct tm_slice slice;

	if (tm_json_kind(json) != TM_JSON_STRING)
		return false;
	slice.text = tm_json_text(json, &slice.len);
	if (!slice.text || memchr(slice.text, '\0', slice.len) ||
	    !tm_utf8_valid(slice.text, slice.len))
		return false;
	slice = tm_slice_trim(slice);
	if (!slice.len)
		return false;
	*out = slice;
	return true;
}
