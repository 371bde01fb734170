/* UTF-8 (RFC 3629): validation, counting, trimming. Text is bytes and a length throughout. */
#ifndef TM_BASE_UTF8_H
#define TM_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length in bytes of the code point that text starts with, 1..4, and the code point in *point
 * (may be NULL); 0 when len is 0 or the bytes there are malformed. */
size_t tm_utf8_step(const char *text, size_t len, uint32_t *point);

/* Writes a code point, without a NUL; its length in bytes, 1..4. */
size_t tm_utf8_put(uint32_t point, char out[4]);

/* True for well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool tm_utf8_valid(const char *text, size_t len);

/* Code points of valid UTF-8. */
size_t tm_utf8_count(const char *text, size_t len);

/* Length in bytes of the longest prefix of at most count code points. */
size_t tm_utf8_prefix(const char *text, size_t len, size_t count);

/* Length in bytes of the longest prefix of at most max bytes that cuts no code point. */
size_t tm_utf8_prefix_bytes(const char *text, size_t len, size_t max);

/* Narrows *text and *len to what is left without Unicode White_Space at both ends. */
void tm_utf8_trim(const char **text, size_t *len);

/* Words: runs of anything but White_Space. */
size_t tm_utf8_words(const char *text, size_t len);

#endif
