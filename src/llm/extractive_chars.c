/*
 * What a code point is to a reader who looks for words and sentences. One table of ranges for
 * what is not a letter of a script with spaces, so that an unknown script reads as letters.
 * Not the locale's tables: answers must be the same on every host.
 */
#include "llm/extractive.h"

#include <string.h>

#include "base/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct range {
	uint32_t first, last;
	enum tm_ex_class class;
};

/* Sorted, without overlaps. */
static const struct range ranges[] = {
	{0x0000, 0x0008, TM_EX_PUNCT}, {0x0009, 0x000D, TM_EX_SPACE}, {0x000E, 0x001F, TM_EX_PUNCT},
	{0x0020, 0x0020, TM_EX_SPACE}, {0x0021, 0x0021, TM_EX_STOP}, {0x0022, 0x0022, TM_EX_CLOSE},
	{0x0023, 0x0026, TM_EX_PUNCT}, {0x0027, 0x0027, TM_EX_CLOSE}, {0x0028, 0x0028, TM_EX_PUNCT},
	{0x0029, 0x0029, TM_EX_CLOSE}, {0x002A, 0x002D, TM_EX_PUNCT}, {0x002E, 0x002E, TM_EX_STOP},
	{0x002F, 0x002F, TM_EX_PUNCT}, {0x0030, 0x0039, TM_EX_DIGIT}, {0x003A, 0x003E, TM_EX_PUNCT},
	{0x003F, 0x003F, TM_EX_STOP}, {0x0040, 0x0040, TM_EX_PUNCT}, {0x005B, 0x005C, TM_EX_PUNCT},
	{0x005D, 0x005D, TM_EX_CLOSE}, {0x005E, 0x0060, TM_EX_PUNCT}, {0x007B, 0x007C, TM_EX_PUNCT},
	{0x007D, 0x007D, TM_EX_CLOSE}, {0x007E, 0x0084, TM_EX_PUNCT}, {0x0085, 0x0085, TM_EX_SPACE},
	{0x0086, 0x009F, TM_EX_PUNCT}, {0x00A0, 0x00A0, TM_EX_SPACE}, {0x00A1, 0x00A9, TM_EX_PUNCT},
	{0x00AB, 0x00B4, TM_EX_PUNCT}, {0x00B6, 0x00B9, TM_EX_PUNCT}, {0x00BB, 0x00BB, TM_EX_CLOSE},
	{0x00BC, 0x00BF, TM_EX_PUNCT}, {0x00D7, 0x00D7, TM_EX_PUNCT}, {0x00F7, 0x00F7, TM_EX_PUNCT},
	{0x02C2, 0x02C5, TM_EX_PUNCT}, {0x0300, 0x036F, TM_EX_MARK}, {0x037E, 0x037E, TM_EX_STOP},
	{0x0387, 0x0387, TM_EX_PUNCT}, {0x0483, 0x0489, TM_EX_MARK}, {0x055A, 0x055F, TM_EX_PUNCT},
	{0x0589, 0x0589, TM_EX_WIDE_STOP}, {0x0591, 0x05BD, TM_EX_MARK},
	{0x05BE, 0x05BE, TM_EX_PUNCT}, {0x05BF, 0x05BF, TM_EX_MARK}, {0x05C0, 0x05C0, TM_EX_PUNCT},
	{0x05C1, 0x05C2, TM_EX_MARK}, {0x05C3, 0x05C3, TM_EX_STOP}, {0x05F3, 0x05F4, TM_EX_PUNCT},
	{0x0600, 0x061A, TM_EX_PUNCT}, {0x061B, 0x061E, TM_EX_PUNCT}, {0x061F, 0x061F, TM_EX_STOP},
	{0x064B, 0x065F, TM_EX_MARK}, {0x0660, 0x0669, TM_EX_DIGIT}, {0x066A, 0x066D, TM_EX_PUNCT},
	{0x0670, 0x0670, TM_EX_MARK}, {0x06D4, 0x06D4, TM_EX_STOP}, {0x06F0, 0x06F9, TM_EX_DIGIT},
	{0x0900, 0x0903, TM_EX_MARK}, {0x093A, 0x093C, TM_EX_MARK}, {0x093E, 0x094F, TM_EX_MARK},
	{0x0964, 0x0965, TM_EX_WIDE_STOP}, {0x0966, 0x096F, TM_EX_DIGIT},
	{0x0E01, 0x0E30, TM_EX_SOLID}, {0x0E31, 0x0E31, TM_EX_MARK}, {0x0E32, 0x0E33, TM_EX_SOLID},
	{0x0E34, 0x0E3A, TM_EX_MARK}, {0x0E3F, 0x0E3F, TM_EX_PUNCT}, {0x0E40, 0x0E46, TM_EX_SOLID},
	{0x0E47, 0x0E4E, TM_EX_MARK}, {0x0E4F, 0x0E4F, TM_EX_PUNCT}, {0x0E50, 0x0E59, TM_EX_DIGIT},
	{0x0E5A, 0x0E5B, TM_EX_PUNCT}, {0x0E81, 0x0EB0, TM_EX_SOLID}, {0x0EB1, 0x0EB1, TM_EX_MARK},
	{0x0EB2, 0x0EB3, TM_EX_SOLID}, {0x0EB4, 0x0EBC, TM_EX_MARK}, {0x0EBD, 0x0EC6, TM_EX_SOLID},
	{0x0EC8, 0x0ECE, TM_EX_MARK}, {0x1000, 0x102A, TM_EX_SOLID}, {0x102B, 0x103E, TM_EX_MARK},
	{0x103F, 0x103F, TM_EX_SOLID}, {0x104A, 0x104B, TM_EX_WIDE_STOP},
	{0x1362, 0x1362, TM_EX_WIDE_STOP}, {0x1367, 0x1368, TM_EX_WIDE_STOP},
	{0x1780, 0x17B3, TM_EX_SOLID}, {0x17B4, 0x17D3, TM_EX_MARK},
	{0x17D4, 0x17D5, TM_EX_WIDE_STOP}, {0x1AB0, 0x1AFF, TM_EX_MARK},
	{0x1DC0, 0x1DFF, TM_EX_MARK}, {0x2000, 0x200A, TM_EX_SPACE}, {0x200B, 0x200B, TM_EX_PUNCT},
	{0x200C, 0x200D, TM_EX_MARK}, {0x200E, 0x2018, TM_EX_PUNCT}, {0x2019, 0x2019, TM_EX_CLOSE},
	{0x201A, 0x201B, TM_EX_PUNCT}, {0x201C, 0x201D, TM_EX_CLOSE}, {0x201E, 0x2025, TM_EX_PUNCT},
	{0x2026, 0x2026, TM_EX_STOP}, {0x2027, 0x2027, TM_EX_PUNCT}, {0x2028, 0x2029, TM_EX_SPACE},
	{0x202A, 0x202E, TM_EX_PUNCT}, {0x202F, 0x202F, TM_EX_SPACE}, {0x2030, 0x2039, TM_EX_PUNCT},
	{0x203A, 0x203A, TM_EX_CLOSE}, {0x203B, 0x203B, TM_EX_PUNCT}, {0x203C, 0x203D, TM_EX_STOP},
	{0x203E, 0x2046, TM_EX_PUNCT}, {0x2047, 0x2049, TM_EX_STOP}, {0x204A, 0x205E, TM_EX_PUNCT},
	{0x205F, 0x205F, TM_EX_SPACE}, {0x2060, 0x209F, TM_EX_PUNCT}, {0x20A0, 0x20CF, TM_EX_PUNCT},
	{0x20D0, 0x20FF, TM_EX_MARK}, {0x2100, 0x2BFF, TM_EX_PUNCT}, {0x2E00, 0x2FFF, TM_EX_PUNCT},
	{0x3000, 0x3000, TM_EX_SPACE}, {0x3001, 0x3001, TM_EX_PUNCT},
	{0x3002, 0x3002, TM_EX_WIDE_STOP}, {0x3003, 0x3004, TM_EX_PUNCT},
	{0x3005, 0x3007, TM_EX_HAN}, {0x3008, 0x3008, TM_EX_PUNCT}, {0x3009, 0x3009, TM_EX_CLOSE},
	{0x300A, 0x300A, TM_EX_PUNCT}, {0x300B, 0x300B, TM_EX_CLOSE}, {0x300C, 0x300C, TM_EX_PUNCT},
	{0x300D, 0x300D, TM_EX_CLOSE}, {0x300E, 0x300E, TM_EX_PUNCT}, {0x300F, 0x300F, TM_EX_CLOSE},
	{0x3010, 0x3010, TM_EX_PUNCT}, {0x3011, 0x3011, TM_EX_CLOSE}, {0x3012, 0x3040, TM_EX_PUNCT},
	{0x3041, 0x3096, TM_EX_HIRAGANA}, {0x3099, 0x309A, TM_EX_MARK},
	{0x309B, 0x309C, TM_EX_PUNCT}, {0x309D, 0x309F, TM_EX_HIRAGANA},
	{0x30A0, 0x30A0, TM_EX_PUNCT}, {0x30A1, 0x30FA, TM_EX_KATAKANA},
	{0x30FB, 0x30FB, TM_EX_PUNCT}, {0x30FC, 0x30FF, TM_EX_KATAKANA},
	{0x31F0, 0x31FF, TM_EX_KATAKANA}, {0x3200, 0x33FF, TM_EX_PUNCT},
	{0x3400, 0x9FFF, TM_EX_HAN}, {0xF900, 0xFAFF, TM_EX_HAN}, {0xFE00, 0xFE0F, TM_EX_MARK},
	{0xFE10, 0xFE1F, TM_EX_PUNCT}, {0xFE20, 0xFE2F, TM_EX_MARK}, {0xFE30, 0xFE6F, TM_EX_PUNCT},
	{0xFEFF, 0xFEFF, TM_EX_PUNCT}, {0xFF01, 0xFF01, TM_EX_WIDE_STOP},
	{0xFF02, 0xFF08, TM_EX_PUNCT}, {0xFF09, 0xFF09, TM_EX_CLOSE}, {0xFF0A, 0xFF0D, TM_EX_PUNCT},
	{0xFF0E, 0xFF0E, TM_EX_WIDE_STOP}, {0xFF0F, 0xFF0F, TM_EX_PUNCT},
	{0xFF10, 0xFF19, TM_EX_DIGIT}, {0xFF1A, 0xFF1E, TM_EX_PUNCT},
	{0xFF1F, 0xFF1F, TM_EX_WIDE_STOP}, {0xFF20, 0xFF20, TM_EX_PUNCT},
	{0xFF3B, 0xFF40, TM_EX_PUNCT}, {0xFF5B, 0xFF60, TM_EX_PUNCT},
	{0xFF61, 0xFF61, TM_EX_WIDE_STOP}, {0xFF62, 0xFF62, TM_EX_PUNCT},
	{0xFF63, 0xFF63, TM_EX_CLOSE}, {0xFF64, 0xFF65, TM_EX_PUNCT},
	{0xFF66, 0xFF9D, TM_EX_KATAKANA}, {0xFF9E, 0xFF9F, TM_EX_MARK},
	{0xFFE0, 0xFFFF, TM_EX_PUNCT}, {0x1F000, 0x1F3FA, TM_EX_PUNCT},
	{0x1F3FB, 0x1F3FF, TM_EX_MARK}, {0x1F400, 0x1FBFF, TM_EX_PUNCT},
	{0x20000, 0x3FFFF, TM_EX_HAN}, {0xE0000, 0xE0FFF, TM_EX_MARK},
	{0xF0000, 0x10FFFF, TM_EX_PUNCT},
};

uint32_t tm_ex_next(const char *text, size_t len, size_t *at)
{
	const unsigned char *p = (const unsigned char *)text + *at;
	size_t left = len - *at, extra = p[0] >= 0xF0 ? 3 : p[0] >= 0xE0 ? 2 : p[0] >= 0xC0 ? 1 : 0;
	uint32_t point;

	if (!extra || extra >= left) {
		*at += 1;
		return p[0];
	}
	point = p[0] & (0x3FU >> extra);
	for (size_t i = 1; i <= extra; i++)
		point = point << 6 | (p[i] & 0x3FU);
	*at += extra + 1;
	return point;
}

enum tm_ex_class tm_ex_class_of(uint32_t point)
{
	size_t low = 0, high = COUNT(ranges);

	/* most of most texts */
	if ((point | 0x20) >= 'a' && (point | 0x20) <= 'z')
		return TM_EX_LETTER;
	if (point >= 0x4E00 && point <= 0x9FFF)
		return TM_EX_HAN;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (point < ranges[middle].first)
			high = middle;
		else if (point > ranges[middle].last)
			low = middle + 1;
		else
			return ranges[middle].class;
	}
	return TM_EX_LETTER;
}

uint32_t tm_ex_lower(uint32_t point)
{
	if ((point >= 'A' && point <= 'Z') || (point >= 0x391 && point <= 0x3A9) ||
	    (point >= 0x410 && point <= 0x42F) || (point >= 0xFF21 && point <= 0xFF3A) ||
	    (point >= 0xC0 && point <= 0xDE && point != 0xD7))
		return point + 0x20;
	if (point >= 0x400 && point <= 0x40F)
		return point + 0x50;
	/* Latin Extended-A stands in pairs, upper case first, the pairs' parity changing twice */
	if ((point >= 0x100 && point <= 0x137 && point != 0x130) ||
	    (point >= 0x14A && point <= 0x177))
		return point | 1;
	if ((point >= 0x139 && point <= 0x148) || (point >= 0x179 && point <= 0x17E))
		return point % 2 ? point + 1 : point;
	if (point == 0x178)
		return 0xFF;
	if (point == 0x386)
		return 0x3AC;
	if (point >= 0x388 && point <= 0x38A)
		return point + 37;
	if (point == 0x38C)
		return 0x3CC;
	if (point == 0x38E || point == 0x38F)
		return point + 63;
	return point;
}

bool tm_ex_is_upper(uint32_t point)
{
	return tm_ex_lower(point) != point;
}

size_t tm_ex_fold(const char *word, size_t len, char out[TM_EX_FOLD_BYTES])
{
	size_t at = 0, used = 0;

	while (at < len) {
		uint32_t point = tm_ex_lower(tm_ex_next(word, len, &at));
		char bytes[4];
		size_t n = tm_utf8_put(point == 0x2019 ? '\'' : point, bytes);

		if (used + n >= TM_EX_FOLD_BYTES)
			break;
		memcpy(out + used, bytes, n);
		used += n;
	}
	out[used] = '\0';
	return used;
}
