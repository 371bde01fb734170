/*
 * Values as text, both ways: one reader and one writer for each type of setting. Words about a
 * mistake repeat the text only where it can be no secret.
 */
#include "base/settings_table.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"

enum { ECHO_MAX = 48, MILLION = 1000000 };

struct unit {
	const char *name;
	int64_t factor;
};

/* Largest first: a value is written in the largest that leaves no rest. */
static const struct unit durations[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit sizes[] = {
	{"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}, {"", 1}, {NULL, 0},
};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

/* What to call each number type in a mistake. */
static const char duration_words[] =
	"is no time: a number with ms, s, m, h or d (without a unit: seconds)";
static const char size_words[] = "is no size: a number of bytes, or one with k, m or g";
static const char int_words[] = "is no whole number";

static enum tm_err wrong(char *why, size_t why_bytes, const char *fmt, ...) TM_PRINTF(3, 4);

static enum tm_err wrong(char *why, size_t why_bytes, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, why_bytes, fmt, args);
	va_end(args);
	return TM_EINVAL;
}

/* text as it may appear in a report: short, printable. */
static const char *echo(const char *text, char out[ECHO_MAX + 4])
{
	size_t i;

	for (i = 0; text[i] && i < ECHO_MAX; i++)
		out[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	(void)snprintf(out + i, 4, "%s", text[i] ? "..." : "");
	return out;
}

static const struct unit *units_of(enum tm_setting_type type)
{
	return type == TM_SET_DURATION ? durations : type == TM_SET_SIZE ? sizes : plain;
}

/* Reads digits and a unit. False: malformed, or more than an int64_t holds. */
static bool read_number(enum tm_setting_type type, const char *text, int64_t *out)
{
	const struct unit *unit = units_of(type);
	const char *name;
	char *end;
	long long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	name = *end == '\0' && type == TM_SET_DURATION ? "s" : end;
	while (unit->name && (type == TM_SET_SIZE ? strcasecmp(unit->name, name) :
						    strcmp(unit->name, name)) != 0)
		unit++;
	if (errno || !unit->name || value > INT64_MAX / unit->factor)
		return false;
	*out = value * unit->factor;
	return true;
}

static enum tm_err parse_number(const struct tm_setting *row, const char *text, int64_t *out,
				char *why, size_t why_bytes)
{
	char printed[ECHO_MAX + 4];
	int64_t value, min, max;

	if (!read_number(row->type, text, &value))
		return wrong(why, why_bytes, "\"%s\" %s", echo(text, printed),
			     row->type == TM_SET_DURATION ? duration_words :
			     row->type == TM_SET_SIZE ? size_words : int_words);
	if (!read_number(row->type, row->min, &min) || !read_number(row->type, row->max, &max))
		return wrong(why, why_bytes, "has no range");
	if (value < min || value > max)
		return wrong(why, why_bytes, "must be between %s and %s, not %s", row->min,
			     row->max, echo(text, printed));
	*out = value;
	return TM_OK;
}

/* Reads digits, and up to six more behind a point, as millionths. By hand: strtod would take signs,
 * exponents, "inf" and the locale's comma. */
static bool read_millionths(const char *text, int64_t *out)
{
	const char *point = strchr(text, '.');
	size_t whole = strspn(text, "0123456789"), digits = 0;
	int64_t value = 0;

	if (point)
		digits = strspn(point + 1, "0123456789");
	if (whole == 0 || whole > 12 || digits > 6 || (point && (digits == 0 ||
	    point != text + whole)) || text[whole + (point ? 1 + digits : 0)] != '\0')
		return false;
	for (size_t i = 0; i < whole; i++)
		value = value * 10 + (text[i] - '0');
	for (size_t i = 0; i < 6; i++)
		value = value * 10 + (i < digits ? point[1 + i] - '0' : 0);
	*out = value;
	return true;
}

static enum tm_err parse_real(const struct tm_setting *row, const char *text, double *out,
			      char *why, size_t why_bytes)
{
	char printed[ECHO_MAX + 4];
	int64_t value, min, max;

	if (!read_millionths(text, &value))
		return wrong(why, why_bytes, "\"%s\" is no number such as 2.5",
			     echo(text, printed));
	if (!read_millionths(row->min, &min) || !read_millionths(row->max, &max))
		return wrong(why, why_bytes, "has no range");
	if (value < min || value > max)
		return wrong(why, why_bytes, "must be between %s and %s, not %s", row->min,
			     row->max, echo(text, printed));
	*out = (double)value / MILLION;
	return TM_OK;
}

static enum tm_err parse_bool(const char *text, bool *out, char *why, size_t why_bytes)
{
	static const char words[] = "false|true|no|yes|off|on|0|1";
	char printed[ECHO_MAX + 4];
	int index = tm_setting_choice(words, text);

	if (index < 0)
		return wrong(why, why_bytes, "must be true or false, not \"%s\"",
			     echo(text, printed));
	*out = index % 2 == 1;
	return TM_OK;
}

int tm_setting_choice(const char *choices, const char *text)
{
	size_t len = strlen(text);
	int index = 0;

	for (const char *at = choices; at && len; index++) {
		const char *bar = strchr(at, '|');
		size_t span = bar ? (size_t)(bar - at) : strlen(at);

		if (span == len && memcmp(at, text, len) == 0)
			return index;
		at = bar ? bar + 1 : NULL;
	}
	return -1;
}

const char *tm_setting_range(const struct tm_setting *row, char *out, size_t out_bytes)
{
	const char *choices = row->type == TM_SET_BOOL ? "true|false" : row->choices;
	size_t used = 0;

	out[0] = '\0';
	if (row->min)
		(void)snprintf(out, out_bytes, "%s to %s", row->min, row->max);
	for (const char *at = choices; at && *at && used + 8 < out_bytes; at++) {
		const char *word = strchr(at + 1, '|') ? ", " : " or ";

		if (*at == '|')
			used += (size_t)snprintf(out + used, out_bytes - used, "%s", word);
		else
			out[used++] = *at;
		out[used] = '\0';
	}
	return out;
}

static enum tm_err parse_choice(const struct tm_setting *row, const char *text, int *out,
				char *why, size_t why_bytes)
{
	char printed[ECHO_MAX + 4], words[128];
	int index = tm_setting_choice(row->choices, text);

	if (index < 0)
		return wrong(why, why_bytes, "must be %s, not \"%s\"",
			     tm_setting_range(row, words, sizeof(words)), echo(text, printed));
	*out = index;
	return TM_OK;
}

/* The rules for every text. */
static enum tm_err check_text(const struct tm_setting *row, const char *text, char *why,
			      size_t why_bytes)
{
	const bool prose = row->type == TM_SET_PROSE;
	const int most = prose ? TM_SET_PROSE_MAX : TM_SET_TEXT_MAX;

	if (strlen(text) > (size_t)most)
		return wrong(why, why_bytes, "is longer than %d bytes", most);
	for (const char *at = text; *at; at++) {
		if (prose && strchr("\n\t", *at))
			continue;
		if (*at == '\n')
			return wrong(why, why_bytes,
				     "goes over several lines: is a quote not closed?");
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return wrong(why, why_bytes, "holds a control character");
	}
	/* Texts go into JSON, to callers and providers, and into the log. */
	if (!tm_utf8_valid(text, strlen(text)))
		return wrong(why, why_bytes, "is not UTF-8");
	if (row->type == TM_SET_PATH && text[0] && text[0] != '/')
		return wrong(why, why_bytes, "must be an absolute path");
	return row->check ? row->check(text, why, why_bytes) : TM_OK;
}

static void *field_of(const struct tm_setting *row, void *base)
{
	return (char *)base + row->offset;
}

static const void *field_of_const(const struct tm_setting *row, const void *base)
{
	return (const char *)base + row->offset;
}

/* Choices are kept as int or int64_t, whichever the field is. */
static void put_integer(const struct tm_setting *row, void *base, int64_t value)
{
	const int narrow = (int)value;

	if (row->bytes == sizeof(narrow))
		memcpy(field_of(row, base), &narrow, sizeof(narrow));
	else
		memcpy(field_of(row, base), &value, sizeof(value));
}

static int64_t get_integer(const struct tm_setting *row, const void *base)
{
	int64_t value;
	int narrow;

	if (row->bytes == sizeof(narrow)) {
		memcpy(&narrow, field_of_const(row, base), sizeof(narrow));
		return narrow;
	}
	memcpy(&value, field_of_const(row, base), sizeof(value));
	return value;
}

const char *tm_setting_string(const struct tm_setting *row, const void *base)
{
	const char *text;

	memcpy(&text, field_of_const(row, base), sizeof(text));
	return text ? text : "";
}

enum tm_err tm_setting_set(const struct tm_setting *row, void *base, struct tm_arena *arena,
			   const char *text, char *why, size_t why_bytes)
{
	enum tm_err err;
	int64_t number = 0;
	double real = 0;
	int index = 0;
	bool yes = false;
	const char *copy;

	switch (row->type) {
	case TM_SET_BOOL:
		err = parse_bool(text, &yes, why, why_bytes);
		if (err == TM_OK)
			memcpy(field_of(row, base), &yes, sizeof(yes));
		return err;
	case TM_SET_INT:
	case TM_SET_DURATION:
	case TM_SET_SIZE:
		err = parse_number(row, text, &number, why, why_bytes);
		if (err == TM_OK)
			put_integer(row, base, number);
		return err;
	case TM_SET_REAL:
		err = parse_real(row, text, &real, why, why_bytes);
		if (err == TM_OK)
			memcpy(field_of(row, base), &real, sizeof(real));
		return err;
	case TM_SET_CHOICE:
		err = parse_choice(row, text, &index, why, why_bytes);
		if (err == TM_OK)
			put_integer(row, base, index);
		return err;
	default:
		err = check_text(row, text, why, why_bytes);
		if (err != TM_OK)
			return err;
		copy = tm_arena_strdup(arena, text);
		if (!copy)
			return TM_ENOMEM;
		memcpy(field_of(row, base), &copy, sizeof(copy));
		return TM_OK;
	}
}

static void put_number(enum tm_setting_type type, int64_t value, char *out, size_t out_bytes)
{
	const struct unit *unit = units_of(type);

	while (value && value % unit->factor != 0)
		unit++;
	(void)snprintf(out, out_bytes, "%" PRId64 "%s", value / unit->factor,
		       value ? unit->name : "");
}

/* As one would write it: no exponent, no zeros at the end. */
static void put_real(double value, char *out, size_t out_bytes)
{
	int64_t millionths = llround(value * MILLION), rest = millionths % MILLION;
	int digits = 6;

	for (; rest && rest % 10 == 0; rest /= 10)
		digits--;
	if (rest)
		(void)snprintf(out, out_bytes, "%" PRId64 ".%0*" PRId64, millionths / MILLION,
			       digits, rest);
	else
		(void)snprintf(out, out_bytes, "%" PRId64, millionths / MILLION);
}

static void put_choice(const char *choices, int64_t index, char *out, size_t out_bytes)
{
	for (; index > 0 && strchr(choices, '|'); index--)
		choices = strchr(choices, '|') + 1;
	(void)snprintf(out, out_bytes, "%.*s", (int)strcspn(choices, "|"), choices);
}

/* In double quotes, with what has a meaning in them escaped ("${" is the environment's). */
static void put_quoted(const char *text, char *out, size_t out_bytes)
{
	size_t used = 0;

	out[used++] = '"';
	for (; *text && used + 4 < out_bytes; text++) {
		if (strchr("\"\\$", *text))
			out[used++] = '\\';
		out[used++] = *text;
	}
	out[used++] = '"';
	out[used] = '\0';
}

/* A URL without the password: scheme://user:***@host... */
static void put_url(const char *url, char *out, size_t out_bytes)
{
	const char *from = strstr(url, "://"), *at = from ? strrchr(from, '@') : NULL;
	const char *colon = at ? memchr(from + 3, ':', (size_t)(at - from - 3)) : NULL;
	char masked[TM_SET_TEXT_MAX + 8];

	if (colon)
		(void)snprintf(masked, sizeof(masked), "%.*s:***%s", (int)(colon - url), url, at);
	put_quoted(colon ? masked : url, out, out_bytes);
}

const char *tm_setting_text(const struct tm_setting *row, const void *base, char *out,
			    size_t out_bytes)
{
	double real;
	bool yes;

	switch (row->type) {
	case TM_SET_REAL:
		memcpy(&real, field_of_const(row, base), sizeof(real));
		put_real(real, out, out_bytes);
		break;
	case TM_SET_BOOL:
		memcpy(&yes, field_of_const(row, base), sizeof(yes));
		(void)snprintf(out, out_bytes, "%s", yes ? "true" : "false");
		break;
	case TM_SET_INT:
	case TM_SET_DURATION:
	case TM_SET_SIZE:
		put_number(row->type, get_integer(row, base), out, out_bytes);
		break;
	case TM_SET_CHOICE:
		put_choice(row->choices, get_integer(row, base), out, out_bytes);
		break;
	case TM_SET_SECRET:
		put_quoted(tm_setting_string(row, base)[0] ? "***" : "", out, out_bytes);
		break;
	case TM_SET_URL:
		put_url(tm_setting_string(row, base), out, out_bytes);
		break;
	default:
		put_quoted(tm_setting_string(row, base), out, out_bytes);
		break;
	}
	return out;
}

const char *tm_setting_preset(const struct tm_setting *row, char *out, size_t out_bytes)
{
	switch (row->type) {
	case TM_SET_BOOL:
	case TM_SET_INT:
	case TM_SET_REAL:
	case TM_SET_DURATION:
	case TM_SET_SIZE:
	case TM_SET_CHOICE:
		(void)snprintf(out, out_bytes, "%s", row->preset);
		break;
	default:
		put_quoted(row->preset, out, out_bytes);
		break;
	}
	return out;
}
