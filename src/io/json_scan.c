/*
 * One pass over the text, no recursion: which brackets are open is a bit each of one word.
 *
 * json-c's strict mode takes NaN and Infinity, names in single quotes, -01, "1.", raw control
 * characters in strings, and cuts a name at an escaped NUL and a number at 64 bits. Each of
 * those lets two readers of one document disagree, so the grammar is checked here, whole.
 */
#include "io/json_scan.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const char *at, *end;
	uint64_t objects;	/* bit per open bracket, the innermost lowest: 1 for an object */
	int depth, depth_max;
	size_t values;
	bool too_deep;
	bool half;		/* a surrogate without its other half was seen */
	const char *fault;	/* as struct tm_json_scan's */
};

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_digit(const struct cursor *cursor)
{
	return cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9';
}

size_t tm_json_space(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len && is_space(text[at]))
		at++;
	return at;
}

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end && is_space(*cursor->at))
		cursor->at++;
}

static bool take(struct cursor *cursor, char c)
{
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

static bool take_word(struct cursor *cursor, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(cursor->end - cursor->at) < len || memcmp(cursor->at, word, len) != 0)
		return false;
	cursor->at += len;
	return true;
}

/* Four hex digits; *value is what they say. */
static bool take_hex(struct cursor *cursor, unsigned *value)
{
	*value = 0;
	for (int i = 0; i < 4; i++) {
		char c = cursor->at < cursor->end ? *cursor->at : '\0';

		if (c >= '0' && c <= '9')
			*value = *value << 4 | (unsigned)(c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			*value = *value << 4 | (unsigned)((c | 0x20) - 'a' + 10);
		else
			return false;
		cursor->at++;
	}
	return true;
}

static bool fail(struct cursor *cursor, const char *fault)
{
	cursor->fault = fault;
	return false;
}

/* Takes the second half of a surrogate pair if it stands here. */
static bool take_low_surrogate(struct cursor *cursor)
{
	const char *start = cursor->at;
	unsigned value;

	if (take_word(cursor, "\\u") && take_hex(cursor, &value) && value >> 10 == 0xdc00 >> 10)
		return true;
	cursor->at = start;
	return false;
}

/* The digits of \uXXXX. json-c keeps names as C strings: no NUL in them. */
static bool scan_code(struct cursor *cursor, bool name)
{
	unsigned value;

	if (!take_hex(cursor, &value))
		return false;
	if (value == 0 && name)
		return fail(cursor, "A member's name holds a NUL character.");
	if (value >> 10 == 0xdc00 >> 10 ||
	    (value >> 10 == 0xd800 >> 10 && !take_low_surrogate(cursor)))
		cursor->half = true;
	return true;
}

/* What follows a backslash. */
static bool scan_escape(struct cursor *cursor, bool name)
{
	if (cursor->at == cursor->end)
		return false;
	switch (*cursor->at) {
	case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
		cursor->at++;
		return true;
	case 'u':
		cursor->at++;
		return scan_code(cursor, name);
	default:
		return false;
	}
}

static bool scan_string(struct cursor *cursor, bool name)
{
	if (!take(cursor, '"'))
		return false;
	while (cursor->at < cursor->end) {
		unsigned char c = (unsigned char)*cursor->at;

		if (c < 0x20)
			return false;
		cursor->at++;
		if (c == '"')
			return true;
		if (c == '\\' && !scan_escape(cursor, name))
			return false;
	}
	return false;
}

/* A run of digits, at least one. *fits turns false when they exceed limit. */
static bool scan_digits(struct cursor *cursor, uint64_t limit, bool *fits)
{
	uint64_t value = 0;

	if (!is_digit(cursor))
		return false;
	for (; is_digit(cursor); cursor->at++) {
		unsigned digit = (unsigned)(*cursor->at - '0');

		if (value > (limit - digit) / 10)
			*fits = false;
		else
			value = value * 10 + digit;
	}
	return true;
}

static bool scan_number(struct cursor *cursor)
{
	bool negative = take(cursor, '-');
	bool whole = true, fits = true, unused;

	if (!take(cursor, '0') &&
	    !scan_digits(cursor, negative ? UINT64_C(1) << 63 : UINT64_MAX, &fits))
		return false;
	if (take(cursor, '.')) {
		whole = false;
		if (!scan_digits(cursor, UINT64_MAX, &unused))
			return false;
	}
	if (take(cursor, 'e') || take(cursor, 'E')) {
		whole = false;
		if (!take(cursor, '+'))
			(void)take(cursor, '-');
		if (!scan_digits(cursor, UINT64_MAX, &unused))
			return false;
	}
	return fits || !whole || fail(cursor, TM_JSON_RANGE_FAULT);
}

static bool scan_scalar(struct cursor *cursor)
{
	if (cursor->at == cursor->end)
		return false;
	switch (*cursor->at) {
	case '"':
		return scan_string(cursor, false);
	case 't':
		return take_word(cursor, "true");
	case 'f':
		return take_word(cursor, "false");
	case 'n':
		return take_word(cursor, "null");
	default:
		return scan_number(cursor);
	}
}

static bool scan_name(struct cursor *cursor)
{
	skip_space(cursor);
	if (!scan_string(cursor, true))
		return false;
	skip_space(cursor);
	return take(cursor, ':');
}

/* Closes the innermost bracket if its end stands here. */
static bool take_close(struct cursor *cursor)
{
	skip_space(cursor);
	if (!take(cursor, cursor->objects & 1 ? '}' : ']'))
		return false;
	cursor->objects >>= 1;
	cursor->depth--;
	return true;
}

/* A value up to its first complete part: opens brackets until a scalar or an empty pair. */
static bool scan_value(struct cursor *cursor)
{
	for (;;) {
		bool object;

		skip_space(cursor);
		cursor->values++;
		object = cursor->at < cursor->end && *cursor->at == '{';
		if (!object && (cursor->at == cursor->end || *cursor->at != '['))
			return scan_scalar(cursor);
		if (cursor->depth == cursor->depth_max) {
			cursor->too_deep = true;
			return false;
		}
		cursor->at++;
		cursor->depth++;
		cursor->objects = cursor->objects << 1 | object;
		if (take_close(cursor))
			return true;
		if (object && !scan_name(cursor))
			return false;
	}
}

static bool scan_document(struct cursor *cursor)
{
	for (;;) {
		if (!scan_value(cursor))
			return false;
		while (cursor->depth > 0 && take_close(cursor))
			;
		if (cursor->depth == 0)
			return true;
		if (!take(cursor, ','))
			return false;
		if ((cursor->objects & 1) && !scan_name(cursor))
			return false;
	}
}

enum tm_err tm_json_scan(const char *text, size_t len, int depth, struct tm_json_scan *out)
{
	struct cursor cursor = {.at = text, .end = text + len, .depth_max = depth};
	bool whole;

	if (depth < 1)
		cursor.depth_max = 1;
	if (depth > TM_JSON_DEPTH_MAX)
		cursor.depth_max = TM_JSON_DEPTH_MAX;
	whole = scan_document(&cursor);
	out->end = (size_t)(cursor.at - text);
	out->values = cursor.values;
	out->half = cursor.half;
	out->fault = cursor.fault;
	if (whole)
		return TM_OK;
	return cursor.too_deep ? TM_ESIZE : TM_EINVAL;
}
