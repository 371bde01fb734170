/* Validation, counting, cutting and trimming of text. */
#include "base/utf8.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
	const char *text;
	size_t len;
};

#define BYTES(text) {text, sizeof(text) - 1}

Test(utf8, well_formed_text_is_valid)
{
	static const struct bytes cases[] = {
		BYTES(""), BYTES("plain"), BYTES("a\0b"), BYTES("\x7F"),
		BYTES("\xC2\x80"), BYTES("\xDF\xBF"), BYTES("\xE0\xA0\x80"), BYTES("\xED\x9F\xBF"),
		BYTES("\xEE\x80\x80"), BYTES("\xEF\xBF\xBF"), BYTES("\xF0\x90\x80\x80"),
		BYTES("\xF4\x8F\xBF\xBF"), BYTES("\xEF\xBB\xBFtext"),
		BYTES("seven b\xC3\xA9yond the eight \xF0\x9F\x98\x80 bytes"),
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert(tm_utf8_valid(cases[i].text, cases[i].len), "case %zu", i);
}

Test(utf8, malformed_text_is_not)
{
	static const struct bytes cases[] = {
		BYTES("\x80"), BYTES("\xBF"), BYTES("\xC0\x80"), BYTES("\xC1\xBF"), BYTES("\xC2"),
		BYTES("\xC2\x41"), BYTES("\xC2\xC2"), BYTES("\xE0\x80\x80"), BYTES("\xE0\x9F\xBF"),
		BYTES("\xE1\x80"), BYTES("\xE1\x80\x41"), BYTES("\xED\xA0\x80"),
		BYTES("\xED\xBF\xBF"), BYTES("\xF0\x80\x80\x80"), BYTES("\xF0\x8F\xBF\xBF"),
		BYTES("\xF0\x90\x80"), BYTES("\xF4\x90\x80\x80"), BYTES("\xF5\x80\x80\x80"),
		BYTES("\xF8\x88\x80\x80\x80"), BYTES("\xFE"), BYTES("\xFF"),
	};
	char around[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_not(tm_utf8_valid(cases[i].text, cases[i].len), "case %zu", i);
		cr_assert_eq(tm_utf8_step(cases[i].text, cases[i].len, NULL), 0, "case %zu", i);
		for (size_t at = 0; at < 20; at++) {	/* wherever it stands */
			memset(around, 'x', sizeof(around));
			memcpy(around + at, cases[i].text, cases[i].len);
			cr_assert_not(tm_utf8_valid(around, 30), "case %zu at %zu", i, at);
		}
	}
}

Test(utf8, every_code_point_is_read_back)
{
	for (uint32_t point = 0; point <= 0x10FFFF; point++) {
		char text[4];
		size_t len = tm_utf8_put(point, text);
		uint32_t read = 0;

		cr_assert_eq(len, point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4);
		if (point >= 0xD800 && point <= 0xDFFF) {
			cr_assert_eq(tm_utf8_step(text, len, &read), 0);
			continue;
		}
		cr_assert_eq(tm_utf8_step(text, len, &read), len);
		cr_assert_eq(read, point);
		cr_assert_eq(tm_utf8_step(text, len - 1, NULL), 0);
	}
}

Test(utf8, counts_code_points)
{
	cr_assert_eq(tm_utf8_count("", 0), 0);
	cr_assert_eq(tm_utf8_count("abc", 3), 3);
	cr_assert_eq(tm_utf8_count("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z", 10), 4);
}

Test(utf8, prefixes_cut_between_code_points)
{
	static const char text[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";	/* 1+2+3+4 bytes */
	static const size_t ends[] = {0, 1, 3, 6, 10, 10};
	static const size_t by_bytes[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

	for (size_t count = 0; count < 6; count++)
		cr_assert_eq(tm_utf8_prefix(text, 10, count), ends[count], "%zu", count);
	for (size_t max = 0; max < 12; max++)
		cr_assert_eq(tm_utf8_prefix_bytes(text, 10, max), by_bytes[max], "%zu", max);
}

Test(utf8, trims_every_white_space_of_unicode)
{
	static const struct {
		struct bytes in;
		const char *out;
	} cases[] = {
		{BYTES(""), ""},
		{BYTES("  "), ""},
		{BYTES("x"), "x"},
		{BYTES(" \t\n\v\f\rx y\r\n"), "x y"},
		{BYTES("\xC2\x85x\xC2\x85"), "x"},
		{BYTES("\xC2\xA0x\xC2\xA0"), "x"},
		{BYTES("\xE1\x9A\x80x\xE1\x9A\x80"), "x"},
		{BYTES("\xE2\x80\x80x\xE2\x80\x80"), "x"},
		{BYTES("\xE2\x80\x8Ax\xE2\x80\x8A"), "x"},
		{BYTES("\xE2\x80\xA8x\xE2\x80\xA9"), "x"},
		{BYTES("\xE2\x80\xAFx\xE2\x81\x9F"), "x"},
		{BYTES("\xE3\x80\x80x\xE3\x80\x80"), "x"},
		{BYTES(" \xC2\xA0 \xE3\x80\x80 "), ""},
		{BYTES("\xE3\x80\x80"), ""},
		/* not White_Space: zero width space, BOM, U+001F, U+180E */
		{BYTES("\xE2\x80\x8Bx"), "\xE2\x80\x8Bx"},
		{BYTES("x\xEF\xBB\xBF"), "x\xEF\xBB\xBF"},
		{BYTES("\x1Fx"), "\x1Fx"},
		{BYTES("x\xE1\xA0\x8E"), "x\xE1\xA0\x8E"},
		/* malformed bytes stay */
		{BYTES(" \x80 "), "\x80"},
		{BYTES("\xA0\xA0 "), "\xA0\xA0"},
		{BYTES(" x\x80\x80\x80\x80\x80"), "x\x80\x80\x80\x80\x80"},
		{BYTES(" \xE3\x80 "), "\xE3\x80"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i].in.text;
		size_t len = cases[i].in.len;

		tm_utf8_trim(&text, &len);
		cr_assert_eq(len, strlen(cases[i].out), "case %zu: %zu", i, len);
		cr_assert_eq(memcmp(text, cases[i].out, len), 0, "case %zu", i);
	}
}

Test(utf8, counts_words)
{
	static const struct {
		struct bytes in;
		size_t words;
	} cases[] = {
		{BYTES(""), 0},		       {BYTES("   "), 0},
		{BYTES("one"), 1},	       {BYTES(" one  two\nthree "), 3},
		{BYTES("a\xE3\x80\x80" "b"), 2}, {BYTES("a\xE2\x80\x8B" "b"), 1},
		{BYTES("caf\xC3\xA9 au lait"), 3}, {BYTES("\xFF \xFF"), 2},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(tm_utf8_words(cases[i].in.text, cases[i].in.len), cases[i].words,
			     "case %zu", i);
}

/* Bytes at the very end of an allocation: a sanitizer sees any read behind them. */
Test(utf8, reads_nothing_behind_the_end)
{
	static const struct bytes cases[] = {BYTES("\xF0"), BYTES("ab\xE3\x80"), BYTES("\xE3\x80\x80")};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *exact = malloc(cases[i].len);
		const char *text = exact;
		size_t len = cases[i].len;

		cr_assert_not_null(exact);
		memcpy(exact, cases[i].text, len);
		cr_assert_eq(tm_utf8_valid(exact, len), i == 2);
		(void)tm_utf8_words(exact, len);
		(void)tm_utf8_prefix(exact, len, 9);
		tm_utf8_trim(&text, &len);
		cr_assert_eq(len, i == 2 ? 0 : cases[i].len);
		free(exact);
	}
}
