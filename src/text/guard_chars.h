/* Private to text/guard*.c: what a character is to the guard, and words letter by letter. */
#ifndef TM_TEXT_GUARD_CHARS_H
#define TM_TEXT_GUARD_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tm_guard_sort {
	TM_GUARD_LETTER,
	TM_GUARD_DENSE,		/* of a script that puts no blanks between words */
	TM_GUARD_SEPARATOR,
	TM_GUARD_JOINT,		/* an apostrophe: parts no word, and is no letter */
	TM_GUARD_TAG, TM_GUARD_SELECTOR, TM_GUARD_BIDI, TM_GUARD_ZERO	/* not to be seen */
};

enum { TM_GUARD_BLACK_FLAG = 0x1F3F4, TM_GUARD_WORD_BYTES = 48 };

enum tm_guard_sort tm_guard_sort_of(uint32_t point);
bool tm_guard_is_quote(uint32_t point);
bool tm_guard_is_blank(uint32_t point);
bool tm_guard_ends_sentence(uint32_t point);

/* A word in the making, in lower case, without accents. Begins zeroed. */
struct tm_guard_letters {
	char text[TM_GUARD_WORD_BYTES];
	size_t len, count;	/* count: letters, also those that had no room */
	bool latin, alike;	/* it has Latin letters, and others that look like them */
	bool hidden;		/* characters in it are not what they seem */
};

void tm_guard_letters_begin(struct tm_guard_letters *letters);
void tm_guard_letters_add(struct tm_guard_letters *letters, const char *bytes, size_t len,
			  uint32_t point);

/* The word is whole. False: it is longer than any known one. */
bool tm_guard_letters_end(struct tm_guard_letters *letters);

/* True when text begins with mark, which is in lower case; ASCII letters in either case. */
bool tm_guard_begins(const char *text, size_t len, const char *mark);

/* The weight of a line that begins as a speaker's: "System:", "### Instruction". */
int tm_guard_role_line(const char *text, size_t len);

/* Bytes of base64's alphabet from here on; and whether so many look like it: upper and lower case
 * and digits. */
size_t tm_guard_base64_run(const char *text, size_t len);
bool tm_guard_looks_encoded(const char *text, size_t len);

#endif
