/*
 * JSON (RFC 8259): a bounded parser over json-c and a writer into a buffer. The only file that
 * knows json-c.
 *
 * Stricter than the RFC asks, so that what is accepted means one thing: no name twice in an
 * object, no NUL in a name, no integer outside -2^63..2^64-1, no number that overflows a double.
 * Half of a surrogate pair (\ud800) reads as U+FFFD where LLMs write it, and is refused where
 * clients do.
 */
#ifndef TM_IO_JSON_H
#define TM_IO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* A parsed value; owned by the document it came from. Opaque. JSON's null is a NULL pointer. */
struct tm_json;

enum tm_json_kind {
	TM_JSON_NULL, TM_JSON_BOOL, TM_JSON_INT, TM_JSON_DOUBLE, TM_JSON_STRING,
	TM_JSON_ARRAY, TM_JSON_OBJECT_KIND
};

/*
 * Parses exactly one document: white space around it, nothing else behind it.
 *
 * depth  arrays and objects allowed inside one another, 1..64: [1] needs 1, [[1]] needs 2
 *
 * TM_OK and *out (NULL for null), to be freed with tm_json_free; TM_EINVAL not JSON (also NaN,
 * comments, single quotes, trailing commas, and the above); TM_EUTF8; TM_ESIZE too deep, or
 * above 2 GiB; TM_ENOMEM. *out is NULL on failure.
 */
TM_CHECK enum tm_err tm_json_parse(const char *text, size_t len, int depth, struct tm_json **out);

/*
 * The same for what a client sends: halves of surrogate pairs are refused, or two texts would
 * become one. *fault is set in any case: to a sentence for the client, static, where the
 * document is one by RFC 8259 and refused all the same; else to NULL.
 */
struct tm_json_source { const char *text; size_t len; int depth; };
TM_CHECK enum tm_err tm_json_receive(struct tm_json_source source, struct tm_json **out,
				     const char **fault);
void tm_json_free(struct tm_json *json);	/* takes NULL */

/*
 * The first JSON object or array that stands anywhere in text (prose, code fences around it).
 *
 * What starts like one and breaks off is passed over as far as it could be read: a whole value
 * inside a broken one is not taken for the answer. So each byte is looked at twice at most, be
 * it 4 MB of '['. The text around may be anything, UTF-8 or not.
 *
 * TM_OK and *out, to be freed; TM_ENOENT none; TM_ESIZE the first one is too deep; TM_ENOMEM.
 */
TM_CHECK enum tm_err tm_json_find(const char *text, size_t len, int depth, struct tm_json **out);

enum tm_json_kind tm_json_kind(const struct tm_json *json);	/* NULL is TM_JSON_NULL */
const char *tm_json_kind_text(enum tm_json_kind kind);		/* "a string", "an integer"... */

/* Member of an object; NULL when absent, or json is no object. */
struct tm_json *tm_json_get(const struct tm_json *json, const char *name);

/* Walks an object's members in their order: at starts as NULL; false at the end. */
struct tm_json_member { const char *name; struct tm_json *value; void *at; };
bool tm_json_next(const struct tm_json *object, struct tm_json_member *member);

size_t tm_json_count(const struct tm_json *json);		/* of an array or object; else 0 */
struct tm_json *tm_json_item(const struct tm_json *array, size_t index);
const char *tm_json_text(const struct tm_json *json, size_t *len);	/* of a string; else NULL */
int64_t tm_json_int(const struct tm_json *json); /* of an int or double, clamped; else 0 */
double tm_json_double(const struct tm_json *json);		/* of an int or double; else 0 */
bool tm_json_bool(const struct tm_json *json);			/* of a bool; else false */

/* Writers. Strings are valid UTF-8, written with the escapes JSON needs and no others. */
void tm_json_put_string(struct tm_buf *buf, const char *text, size_t len);
void tm_json_put_cstr(struct tm_buf *buf, const char *text);	/* NULL writes null */
/* The shortest digits that read back as value; null for NaN and infinities. */
void tm_json_put_double(struct tm_buf *buf, double value);
void tm_json_put(struct tm_buf *buf, const struct tm_json *json);	/* compact; NULL: null */

#endif
