/*
 * Marks in front of and behind the items of a list, in the scripts and habits that models have:
 * bullets, numbers, "Q1:", question marks. A mark counts only where nothing else could be
 * meant, so that "-5 degrees", "10:30" and "3.5 million" keep theirs.
 */
#include "text/answer_parts.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

bool tm_slice_asks(struct tm_slice item)
{
	static const char *const marks[] = {
		"?", "？", "؟", "\xCD\xBE", "⁇", "⁈", "‽", "՞", "፧", "か", "か。",
	};
	static const char *const behind[] = {
		"\"", "'", ")", "*", "_", "”", "’", "»", "」", "）", "`", " ",
	};
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < COUNT(behind); i++)
			if (tm_slice_ends(item, behind[i])) {
				item.len -= strlen(behind[i]);
				again = true;
			}
	}
	for (size_t i = 0; i < COUNT(marks); i++)
		if (tm_slice_ends(item, marks[i]))
			return true;
	/* Greek asks with what looks like a semicolon, and is one after normalisation. */
	return tm_slice_ends(item, ";") && (tm_slice_holds(item, "\xCE") ||
					    tm_slice_holds(item, "\xCF"));
}

/* Length of one decimal digit at the front: ASCII, Arabic-Indic, Devanagari, full width. */
static size_t digit(struct tm_slice slice)
{
	const unsigned char *at = (const unsigned char *)slice.text;

	if (slice.len >= 1 && at[0] >= '0' && at[0] <= '9')
		return 1;
	if (slice.len >= 2 && at[0] == 0xD9 && at[1] >= 0xA0 && at[1] <= 0xA9)
		return 2;
	if (slice.len >= 3 && at[0] == 0xE0 && at[1] == 0xA5 && at[2] >= 0xA6 && at[2] <= 0xAF)
		return 3;
	if (slice.len >= 3 && at[0] == 0xEF && at[1] == 0xBC && at[2] >= 0x90 && at[2] <= 0x99)
		return 3;
	return 0;
}

static size_t bullet(struct tm_slice line)
{
	static const char *const loose[] = {"•", "‣", "◦", "▪", "●", "○", "■", "・", "▸", "➤", "✓"};
	static const char *const spaced[] = {"-", "*", "+", "–", "—", "·"};

	for (size_t i = 0; i < COUNT(loose); i++)
		if (tm_slice_starts(line, loose[i]))
			return strlen(loose[i]);
	for (size_t i = 0; i < COUNT(spaced); i++) {
		size_t len = strlen(spaced[i]);

		/* "-5 degrees" and "**bold" are no bullets */
		if (tm_slice_starts(line, spaced[i]) &&
		    (line.len == len || strchr(" \t", line.text[len])))
			return len;
	}
	return 0;
}

/* What may close a number: with ASCII ones white space or a letter of a script without spaces
 * has to follow, so that "3.5 million" and "10:30" are no numbering. stars of ** may close. */
static size_t number_end(struct tm_slice rest, size_t stars)
{
	static const char *const wide[] = {"、", "．", "：", "）"};
	size_t end = 1;

	for (size_t i = 0; i < COUNT(wide); i++)
		if (tm_slice_starts(rest, wide[i]))
			return strlen(wide[i]);
	if (!rest.len || !strchr(".):]", rest.text[0]))
		return 0;
	while (end < rest.len && stars && rest.text[end] == '*') {
		end++;
		stars--;
	}
	if (end == rest.len || strchr(" \t*", rest.text[end]) ||
	    (unsigned char)rest.text[end] >= 0x80)
		return end;
	return 0;
}

/* "1.", "(1)", "[1]", "Q1:", "Question 1:", "**Q1:**" and the like; 0 for none. */
size_t tm_slice_numbering(struct tm_slice line)
{
	static const char *const words[] = {"question", "point", "frage", "pregunta", "q", "问题"};
	struct tm_slice rest = line;
	size_t digits = 0, stars = 0, len, end;
	bool word = false;

	while (rest.len && strchr("*([", rest.text[0])) {
		stars += rest.text[0] == '*';
		rest = tm_slice_from(rest, 1);
	}
	for (size_t i = 0; i < COUNT(words) && !word; i++)
		if (tm_slice_starts(rest, words[i])) {
			rest = tm_slice_trim(tm_slice_from(rest, strlen(words[i])));
			word = true;
		}
	for (; digits < 3 && (len = digit(rest)) > 0; digits++)
		rest = tm_slice_from(rest, len);
	end = number_end(rest, stars);
	if (!end || (!digits && !(word && (rest.text[0] == ':' || tm_slice_starts(rest, "：")))))
		return 0;
	return (size_t)(rest.text - line.text) + end;
}

/* Length of the marker in front, and of one more behind it ("- Q1: ..."); 0 for none. */
size_t tm_slice_marker(struct tm_slice line)
{
	size_t len = bullet(line), more;
	struct tm_slice rest;

	if (!len)
		return tm_slice_numbering(line);
	rest = tm_slice_trim(tm_slice_from(line, len));
	more = tm_slice_numbering(rest);
	return more ? (size_t)(rest.text - line.text) + more : len;
}
