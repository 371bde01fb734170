/*
 * The presets are the only numbers of the retry policy; operations name one. Reading of
 * Retry-After is strict about form and generous about kind: a wait that cannot be trusted is no
 * wait at all, and the caller falls back on its own back-off.
 */
#include "llm/retry.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"

static const struct {
	const char *name;
	struct tm_backoff backoff;
} presets[] = {
	{"aggressive", {.attempts = 2, .base_ms = 500, .min_ms = 1000, .max_ms = 5000}},
	{"balanced", {.attempts = 3, .base_ms = 1000, .min_ms = 2000, .max_ms = 10000}},
	{"conservative", {.attempts = 5, .base_ms = 2000, .min_ms = 4000, .max_ms = 30000}},
	{"critical", {.attempts = 7, .base_ms = 1500, .min_ms = 3000, .max_ms = 60000}},
};

const struct tm_backoff *tm_retry_preset(const char *name)
{
	for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
		if (!strcmp(presets[i].name, name))
			return &presets[i].backoff;
	return NULL;
}

bool tm_retry_status(int status)
{
	switch (status) {
	case 408:	/* request time-out */
	case 409:	/* conflict: some providers' word for a lock they could not get */
	case 425:	/* too early */
	case 429:	/* too many requests */
		return true;
	default:
		return status >= 500 && status <= 599;
	}
}

static const char *skip_space(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* Reads "12" or "1.5" in units of unit_ms, rounded up. -1 when it is anything else. By hand:
 * strtod would take signs, exponents, "inf" and the locale's comma. */
static int64_t parse_wait(const char *text, int64_t unit_ms)
{
	const char *at = skip_space(text);
	int64_t whole = 0, thousandths = 0, scale = 100;

	if (*at < '0' || *at > '9')
		return -1;
	for (; *at >= '0' && *at <= '9'; at++) {
		whole = whole * 10 + (*at - '0');
		if (whole > TM_RETRY_AFTER_MAX_MS)
			whole = TM_RETRY_AFTER_MAX_MS;
	}
	if (*at == '.') {
		for (at++; *at >= '0' && *at <= '9'; at++) {
			thousandths += (*at - '0') * scale;
			scale /= 10;
		}
	}
	if (*skip_space(at))
		return -1;
	whole = (whole * 1000 + thousandths) * unit_ms;
	return (whole + 999) / 1000;
}

static int64_t parse_date(const char *text, int64_t now_ms)
{
	int64_t at_ms;

	if (tm_clock_parse_http_date(skip_space(text), &at_ms) != TM_OK)
		return -1;
	return at_ms - now_ms;	/* negative: gone by, or one of the clocks is wrong */
}

int64_t tm_retry_after_ms(const char *retry_after_ms, const char *retry_after, int64_t now_ms)
{
	int64_t wait = -1;

	if (retry_after_ms)
		wait = parse_wait(retry_after_ms, 1);
	if (wait < 0 && retry_after)
		wait = parse_wait(retry_after, 1000);
	if (wait < 0 && retry_after)
		wait = parse_date(retry_after, now_ms);
	if (wait > TM_RETRY_AFTER_MAX_MS)
		wait = TM_RETRY_AFTER_MAX_MS;
	return wait < 0 ? -1 : wait;
}
