/*
 * Counting words and writing sentences. Sentences are the text's own words: only white space
 * is evened out, and what is too long ends at a word and says so.
 */
#include "llm/extractive.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static bool blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Words of one run without white space, of which letters need no space between them. */
static size_t words_of(size_t letters)
{
	return letters > 2 ? (letters + 1) / 2 : 1;
}

size_t tm_ex_words(const char *text, size_t len)
{
	size_t words = 0, letters = 0;
	bool inside = false;

	for (size_t at = 0; at < len;) {
		enum tm_ex_class class = tm_ex_class_of(tm_ex_next(text, len, &at));

		if (class == TM_EX_SPACE) {
			words += inside ? words_of(letters) : 0;
			inside = false;
			letters = 0;
		} else {
			inside = true;
			letters += class >= TM_EX_HAN && class <= TM_EX_SOLID;
		}
	}
	return words + (inside ? words_of(letters) : 0);
}

/* Takes "- ", "3. ", "## " off the front, unless nothing stands behind it. */
static void skip_marker(const char **text, size_t *len)
{
	static const char bullet[] = "•";
	size_t at = 0, digits = 0;

	while (at < *len && strchr("-*+#>", (*text)[at]))
		at++;
	while (!at && digits < *len && digits < 3 && (*text)[digits] >= '0' &&
	       (*text)[digits] <= '9')
		digits++;
	if (digits && digits < *len && strchr(".)", (*text)[digits]))
		at = digits + 1;
	if (*len > sizeof(bullet) && memcmp(*text, bullet, sizeof(bullet) - 1) == 0)
		at = sizeof(bullet) - 1;
	if (!at || at == *len || !blank((*text)[at]))
		return;
	while (at < *len && blank((*text)[at]))
		at++;
	if (at == *len)
		return;
	*text += at;
	*len -= at;
}

/* Length of the longest front of at most words words and bytes bytes that cuts no word. */
static size_t front(const char *text, size_t len, size_t words, size_t bytes)
{
	size_t kept = 0, at = 0, seen = 0, letters = 0;
	bool inside = false;

	while (at < len) {
		size_t before = at;
		enum tm_ex_class class = tm_ex_class_of(tm_ex_next(text, len, &at));
		bool solid = class >= TM_EX_HAN && class <= TM_EX_SOLID;

		if (class == TM_EX_SPACE || (solid && letters >= 2)) {
			if (before <= bytes)
				kept = before;
			if (class == TM_EX_SPACE && inside)
				seen += words_of(letters);
			inside = inside && class != TM_EX_SPACE;
			letters = class == TM_EX_SPACE ? 0 : letters;
		}
		if (class != TM_EX_SPACE) {
			inside = true;
			letters += solid;
		}
		if (at > bytes || (words && seen + (inside ? words_of(letters) : 0) > words))
			break;
	}
	return kept ? kept : tm_utf8_prefix_bytes(text, len, bytes);
}

void tm_ex_put_sentence(const struct tm_ex_doc *doc, size_t sentence, size_t words,
			struct tm_buf *out)
{
	const char *text = doc->text + doc->sentences[sentence].start;
	size_t len = doc->sentences[sentence].len, all;

	skip_marker(&text, &len);
	all = len;
	if (len > TM_EX_SENTENCE_BYTES || (words && tm_ex_words(text, len) > words))
		len = front(text, len, words, TM_EX_SENTENCE_BYTES);
	while (len < all && len > 1 && strchr(",;:", text[len - 1]))
		len--;
	for (size_t i = 0; i < len; i++) {
		if (!blank(text[i]))
			tm_buf_putc(out, text[i]);
		else if (i == 0 || !blank(text[i - 1]))
			tm_buf_putc(out, ' ');
	}
	if (len < all)
		tm_buf_puts(out, "…");
}

static int by_place(const void *left, const void *right)
{
	const size_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

void tm_ex_put_sentences(const struct tm_ex_doc *doc, size_t *picks, size_t count, size_t words,
			 struct tm_buf *out)
{
	bool spaces = doc->language != TM_EX_CHINESE && doc->language != TM_EX_JAPANESE;

	qsort(picks, count, sizeof(*picks), by_place);
	for (size_t i = 0; i < count; i++) {
		tm_buf_puts(out, i && spaces ? " " : "");
		tm_ex_put_sentence(doc, picks[i], words, out);
	}
}
