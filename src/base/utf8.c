/*
 * UTF-8. Nearly all of what passes here is ASCII, so validation and counting look at eight
 * bytes at a time and decode only where one of them has its top bit set.
 * Unicode's White_Space set is small and has been stable since 2013; it stands here as a switch.
 */
#include "base/utf8.h"

#include <string.h>

static bool continues(unsigned char c)
{
	return (c & 0xC0) == 0x80;
}

size_t tm_utf8_step(const char *text, size_t len, uint32_t *point)
{
	const unsigned char *at = (const unsigned char *)text;
	uint32_t value;
	size_t need;

	if (len == 0)
		return 0;
	if (at[0] < 0x80) {
		need = 1;
		value = at[0];
	} else if (at[0] >= 0xC2 && at[0] <= 0xDF) {
		need = 2;
		value = at[0] & 0x1FU;
	} else if ((at[0] & 0xF0) == 0xE0) {
		need = 3;
		value = at[0] & 0x0FU;
	} else if (at[0] >= 0xF0 && at[0] <= 0xF4) {
		need = 4;
		value = at[0] & 0x07U;
	} else {
		return 0;
	}
	if (len < need)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if (!continues(at[i]))
			return 0;
		value = value << 6 | (at[i] & 0x3FU);
	}
	if ((need == 3 && value < 0x800) || (need == 4 && value < 0x10000) || value > 0x10FFFF ||
	    (value >= 0xD800 && value <= 0xDFFF))
		return 0;
	if (point)
		*point = value;
	return need;
}

size_t tm_utf8_put(uint32_t point, char out[4])
{
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (char)(0xC0 | point >> 6);
		out[1] = (char)(0x80 | (point & 0x3F));
		return 2;
	}
	if (point < 0x10000) {
		out[0] = (char)(0xE0 | point >> 12);
		out[1] = (char)(0x80 | (point >> 6 & 0x3F));
		out[2] = (char)(0x80 | (point & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | point >> 18);
	out[1] = (char)(0x80 | (point >> 12 & 0x3F));
	out[2] = (char)(0x80 | (point >> 6 & 0x3F));
	out[3] = (char)(0x80 | (point & 0x3F));
	return 4;
}

/* Length of the ASCII that text starts with, a multiple of 8 but near the end. */
static size_t ascii_run(const char *text, size_t len)
{
	size_t at = 0;
	uint64_t eight;

	while (len - at >= sizeof(eight)) {
		memcpy(&eight, text + at, sizeof(eight));
		if (eight & UINT64_C(0x8080808080808080))
			break;
		at += sizeof(eight);
	}
	while (at < len && !(text[at] & 0x80))
		at++;
	return at;
}

bool tm_utf8_valid(const char *text, size_t len)
{
	size_t at = 0, step;

	for (;;) {
		at += ascii_run(text + at, len - at);
		if (at == len)
			return true;
		while (at < len && (text[at] & 0x80)) {
			step = tm_utf8_step(text + at, len - at, NULL);
			if (step == 0)
				return false;
			at += step;
		}
	}
}

size_t tm_utf8_count(const char *text, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += !continues((unsigned char)text[i]);
	return count;
}

size_t tm_utf8_prefix(const char *text, size_t len, size_t count)
{
	for (size_t i = 0; i < len; i++) {
		if (continues((unsigned char)text[i]))
			continue;
		if (count == 0)
			return i;
		count--;
	}
	return len;
}

size_t tm_utf8_prefix_bytes(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && continues((unsigned char)text[max]))
		max--;
	return max;
}

/* Unicode's property White_Space. */
static bool is_space(uint32_t point)
{
	switch (point) {
	case 0x09: case 0x0A: case 0x0B: case 0x0C: case 0x0D: case 0x20:
	case 0x85: case 0xA0: case 0x1680:
	case 0x2028: case 0x2029: case 0x202F: case 0x205F: case 0x3000:
		return true;
	default:
		return point >= 0x2000 && point <= 0x200A;
	}
}

/* Length of the code point at text; a malformed byte counts as one that is no space. */
static size_t step_space(const char *text, size_t len, bool *space)
{
	unsigned char first = (unsigned char)*text;
	uint32_t point = 0;
	size_t step;

	if (first < 0x80) {
		*space = first == ' ' || (first >= '\t' && first <= '\r');
		return 1;
	}
	step = tm_utf8_step(text, len, &point);
	*space = step > 0 && is_space(point);
	return step > 0 ? step : 1;
}

void tm_utf8_trim(const char **text, size_t *len)
{
	size_t start = 0, end = *len, last;
	bool space;

	while (start < end) {
		size_t step = step_space(*text + start, end - start, &space);

		if (!space)
			break;
		start += step;
	}
	while (end > start) {
		last = end - 1;
		while (last > start && end - last < 4 && continues((unsigned char)(*text)[last]))
			last--;
		if (last + step_space(*text + last, end - last, &space) != end || !space)
			break;
		end = last;
	}
	*text += start;
	*len = end - start;
}

size_t tm_utf8_words(const char *text, size_t len)
{
	size_t words = 0;
	bool inside = false, space;

	for (size_t at = 0; at < len;) {
		at += step_space(text + at, len - at, &space);
		if (!space && !inside)
			words++;
		inside = !space;
	}
	return words;
}
